"""What a case is made of: a table of rows, a stream that reads it, a metric over the stream.

A case says each thing once, and twice where the dialects differ: `sql` is what the engine is given and `duck` what DuckDB is.
"""

from dataclasses import dataclass
from typing import Optional

MICROS = {"microsecond": 1, "millisecond": 1000, "second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6, "day": 86400 * 10**6}


def micros(text):
    """'90 seconds' → 90000000"""
    number, unit = text.split()
    return int(number) * MICROS[unit.rstrip("s")]


@dataclass(frozen=True)
class Table:
    """Rows by split, in order. A cell is None, bool, int, float, Decimal, str, or microseconds for a time column."""

    name: str
    columns: tuple  # of (name, type)
    splits: tuple  # of tuples of rows; empty for the flight log, which is read from its file
    raw_lines: tuple = ()  # (split, row number before which it stands, text): lines that make bad rows


@dataclass(frozen=True)
class Stream:
    name: str
    table: Table
    bound: Optional[str] = None
    time: str = "ts"
    format: str = "csv"
    gzip: bool = False

    def time_type(self):
        return dict(self.table.columns)[self.time]


@dataclass(frozen=True)
class Window:
    """kind: tumble, hop, cumulate, session or none."""

    kind: str
    lengths: tuple = ()
    offset: Optional[str] = None
    flink: bool = False

    def sql(self, stream):
        if self.kind == "none":
            return stream.name
        lengths = self.lengths + ((self.offset,) if self.offset else ())
        intervals = ", ".join(f"INTERVAL '{length}'" for length in lengths)
        if self.flink:
            return f"TABLE({self.kind.upper()}(TABLE {stream.name}, DESCRIPTOR({stream.time}), {intervals}))"
        return f"{self.kind.upper()}({stream.name}, {stream.time}, {intervals})"


def tumble(size, offset=None, flink=False):
    return Window("tumble", (size,), offset, flink)


def hop(slide, size, offset=None, flink=False):
    return Window("hop", (slide, size), offset, flink)


def cumulate(step, size, offset=None, flink=False):
    return Window("cumulate", (step, size), offset, flink)


def session(gap):
    return Window("session", (gap,))


NO_WINDOW = Window("none")


@dataclass(frozen=True)
class Both:
    """One expression in both dialects."""

    sql: str
    duck: str


def both(expression):
    return expression if isinstance(expression, Both) else Both(expression, expression)


@dataclass(frozen=True)
class Column:
    """A result column. `kind`: plain, or what exact.py computes from `argument`."""

    name: str
    sql: str
    duck: str = ""
    kind: str = "plain"
    argument: str = ""
    filter: str = ""
    parameter: float = 0
    moments: bool = False


def plain(name, sql, duck=None):
    return Column(name, sql, sql if duck is None else duck)


def filtered(call, condition):
    return f"{call} FILTER (WHERE {condition})" if condition else call


def exact(name, kind, argument, where="", moments=False, duck=None):
    """sum (of floats), avg, var_pop, var_samp, stddev_pop, stddev_samp; `moments` for integers whose squares' sum fits."""
    return Column(name, filtered(f"{kind.upper()}({argument})", where), "", kind, duck or argument, where, 0, moments)


def approx_count(name, argument, where=""):
    return Column(name, filtered(f"APPROX_COUNT_DISTINCT({argument})", where), "", "near_count", argument, where)


def approx_percentile(name, argument, quantile, where=""):
    return Column(name, filtered(f"APPROX_PERCENTILE({argument}, {quantile})", where), "", "near_percentile", argument, where, quantile)


def approx_median(name, argument):
    return Column(name, f"APPROX_MEDIAN({argument})", "", "near_percentile", argument, "", 0.5)


def top_k(name, argument, limit, where=""):
    return Column(name, filtered(f"TOP_K({argument}, {limit})", where), "", "top_k", argument, where, limit)


def picked(name, call, where=""):
    """FIRST_VALUE(x), LAST_VALUE(x), ARG_MIN(x, by), ARG_MAX(x, by), with the ties that SQL has no word for."""
    function, arguments = call.rstrip(")").split("(", 1)
    value, by = [part.strip() for part in (arguments + ",").split(",")][:2]
    order = {
        "FIRST_VALUE": "{time}, split, rownum",
        "LAST_VALUE": "{time} DESC, split DESC, rownum DESC",
        "ARG_MIN": f"{by}, {{time}}, split, rownum",
        "ARG_MAX": f"{by} DESC, {{time}}, split, rownum",
    }[function]
    condition = f"{value} IS NOT NULL" + (f" AND {by} IS NOT NULL" if by else "") + (f" AND ({where})" if where else "")
    return Column(name, filtered(call, where), f"first({value} ORDER BY {order}) FILTER (WHERE {condition})")


COUNT = plain("n", "COUNT(*)")


@dataclass(frozen=True)
class Case:
    name: str
    stream: Stream
    window: Window
    keys: tuple = ()  # of (name, Both or str)
    columns: tuple = (COUNT,)
    where: object = ""  # str or Both
    having: object = ""
    bounds: tuple = ("window_start", "window_end")
    sink_format: str = "csv"
    changelog: bool = False
    is_sorted: bool = False
    late_rows: bool = False  # the case is the stream's late side output
    bad: str = ""  # condition of the rows that can't be evaluated for the metric

    def identity(self):
        """Number of leading columns that tell result rows apart."""
        return len(self.keys) + (0 if self.window.kind == "none" else len(self.bounds))
