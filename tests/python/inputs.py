"""Input: tables of random rows from a seed, the flight log, and the files that the engine reads them from."""

import csv
import datetime
import gzip
import itertools
import json
import os
import random
import struct
from decimal import Decimal

from cases import Table, micros
from values import cell

RANDOM_COLUMNS = (
    ("id", "BIGINT"),
    ("k", "VARCHAR"),
    ("g", "INTEGER"),
    ("flag", "BOOLEAN"),
    ("s", "SMALLINT"),
    ("n", "BIGINT"),
    ("big", "BIGINT"),
    ("x", "DOUBLE PRECISION"),
    ("r", "REAL"),
    ("d", "DECIMAL(18,4)"),
    ("day", "DATE"),
    ("ts", "TIMESTAMP"),
)

FLIGHT_COLUMNS = (
    ("flight_id", "BIGINT"),
    ("event_time", "TIMESTAMP"),
    ("carrier", "VARCHAR"),
    ("origin", "VARCHAR"),
    ("dest", "VARCHAR"),
    ("distance", "INTEGER"),
    ("status", "VARCHAR"),
    ("dep_delay_min", "INTEGER"),
    ("arr_delay_min", "INTEGER"),
)

FLIGHTS = Table("flights", FLIGHT_COLUMNS, ())

# Where event time begins, in microseconds: before, across and after 1970.
STARTS = {"old": -2_177_452_800 * 10**6 + 123_456, "epoch": -600 * 10**6 + 7, "new": 1_704_067_199 * 10**6}

TEXTS = ["alpha", "Beta", "gamma", "", "a,b", 'say "hi"', "two\nlines", "naïve", "日本", " pad ", "x-1-y", "100%", "under_score", "ALPHA"]


def random_tables(seed, start, rows=3000, splits=1, specials=True):
    """A table of random rows; half of the keys get most of the rows, times go mostly forward."""
    random_numbers = random.Random(f"{seed} {start} {splits}")
    name = f"events_{start}_{splits}_{seed}" + ("" if specials else "_tame")
    made = [[] for _ in range(splits)]
    clocks = [STARTS[start] + random_numbers.randrange(5_000_000) for _ in range(splits)]
    for row_id in range(rows):
        split = random_numbers.randrange(splits)
        clocks[split] += random_step(random_numbers)
        made[split].append(random_row(random_numbers, row_id, clocks[split], specials))
    return Table(name, RANDOM_COLUMNS, tuple(tuple(split) for split in made))


def random_step(numbers):
    """Mostly less than two seconds, sometimes none, now and then minutes."""
    dice = numbers.random()
    if dice < 0.2:
        return 0
    if dice < 0.99:
        return numbers.randrange(2_000_000)
    return numbers.randrange(300_000_000)


def random_time(numbers, clock):
    """At the clock, a little or much before it, or on a whole second, where windows begin and end."""
    dice = numbers.random()
    if dice < 0.02:
        return None
    if dice < 0.4:
        return clock
    if dice < 0.6:
        return clock - clock % 1_000_000
    if dice < 0.9:
        return clock - numbers.randrange(8_000_000)
    return clock - numbers.randrange(120_000_000)


def random_row(numbers, row_id, clock, specials):
    maybe = lambda make, share=0.08: None if numbers.random() < share else make()
    return (
        row_id,
        maybe(lambda: TEXTS[min(int(numbers.expovariate(0.35)), len(TEXTS) - 1)]),
        maybe(lambda: numbers.randrange(-5, 6)),
        maybe(lambda: numbers.random() < 0.6),
        maybe(lambda: numbers.randrange(-300, 300)),
        maybe(lambda: numbers.randrange(-(2**40), 2**40) if numbers.random() < 0.2 else numbers.randrange(-1000, 1000)),
        maybe(lambda: numbers.choice([-(2**63), 2**63 - 1, 2**62, -1, 0, 1, numbers.randrange(-(2**63), 2**63)])),
        maybe(lambda: random_double(numbers, specials)),
        maybe(lambda: as_real(numbers.uniform(-1000, 1000))),
        maybe(lambda: Decimal(numbers.randrange(-(10**9), 10**9)).scaleb(-4)),
        maybe(lambda: (clock // (86_400 * 10**6)) + numbers.randrange(-400, 400)),
        random_time(numbers, clock),
    )


def random_double(numbers, specials):
    dice = numbers.random()
    if specials and dice < 0.004:
        return numbers.choice([float("inf"), float("-inf"), float("nan")])
    if dice < 0.3:
        return numbers.uniform(-1, 1) * 10.0 ** numbers.randrange(-300, 300)
    if dice < 0.6:
        return numbers.randrange(-50, 50) / 4
    return numbers.uniform(-1e6, 1e6)


def as_real(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def flight_tables(flight_log, rows):
    """The first rows of the flight log as one table, and twice as many cut into one split per origin."""
    with gzip.open(flight_log, "rt", newline="") as file:
        records = [flight(record) for record in itertools.islice(csv.DictReader(file), 2 * rows)]
    head = Table("flights_head", FLIGHT_COLUMNS, (tuple(records[:rows]),))
    origins = tuple(tuple(record for record in records[: 2 * rows] if record[3] == origin) for origin in ("EWR", "JFK", "LGA"))
    return head, Table("flights_by_origin", FLIGHT_COLUMNS, origins)


def flight(record):
    def convert(name, type_name):
        text = record[name]
        if text == "":
            return None
        if type_name in ("BIGINT", "INTEGER"):
            return int(text)
        return parse_time(text) if type_name == "TIMESTAMP" else text

    return tuple(convert(name, type_name) for name, type_name in FLIGHT_COLUMNS)


def parse_time(text):
    """'2013-01-01 05:15:00' → microseconds since 1970"""
    return (datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)


def field(value, type_name):
    """A CSV field: NULL is nothing, the empty string is two quotes."""
    text = date_or_cell(value, type_name)
    if text is None:
        return ""
    if text == "" or any(c in text for c in ',"\r\n') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def date_or_cell(value, type_name):
    """DATE columns hold days since 1970."""
    if value is not None and type_name == "DATE":
        return cell(value * micros("1 day"), "TIMESTAMP")[:10]
    return cell(value, type_name)


def json_value(value, type_name):
    text = date_or_cell(value, type_name)
    if text is None:
        return "null"
    if isinstance(value, (bool, Decimal)) or (isinstance(value, int) and type_name in ("BIGINT", "INTEGER", "SMALLINT")):
        return text
    return text if isinstance(value, float) else json.dumps(text, ensure_ascii=False)


class Files:
    """Writes the files of streams, each once, and knows the path or pattern to read them by."""

    def __init__(self, directory, flight_log, connection):
        self.directory, self.flight_log, self.connection = directory, flight_log, connection
        self.written = {}

    def path(self, stream):
        if not stream.table.splits:
            return self.flight_log
        key = (stream.table.name, stream.format, stream.gzip)
        if key not in self.written:
            self.written[key] = self.write(stream)
        return self.written[key]

    def write(self, stream):
        table = stream.table
        extension = stream.format + (".gz" if stream.gzip else "")
        stem = os.path.join(self.directory, f"{table.name}-{stream.format}{'-gz' if stream.gzip else ''}")
        os.makedirs(stem, exist_ok=True)
        paths = [os.path.join(stem, f"split-{number}.{extension}") for number in range(len(table.splits))]
        for number, path in enumerate(paths):
            if stream.format == "parquet":
                self.write_parquet(table, number, path)
            else:
                self.write_text(table, number, path, stream)
        return paths[0] if len(paths) == 1 else os.path.join(stem, f"split-*.{extension}")

    def write_text(self, table, number, path, stream):
        opener = gzip.open if stream.gzip else open
        line = csv_line if stream.format == "csv" else json_line
        raw = {}
        for split, before, text in table.raw_lines:
            if split == number:
                raw.setdefault(before, []).append(text)
        with opener(path, "wt", encoding="utf-8", newline="") as file:
            if stream.format == "csv":
                file.write(",".join(name for name, _ in table.columns) + "\n")
            for position, row in enumerate(table.splits[number]):
                for text in raw.get(position, []):
                    file.write(text + "\n")
                file.write(line(table.columns, row) + "\n")

    def write_parquet(self, table, number, path):
        """By DuckDB, from the table that the oracle has loaded; small row groups, so that there are several."""
        columns = ", ".join(name for name, _ in table.columns)
        self.connection.execute(
            f"COPY (SELECT {columns} FROM {table.name} WHERE split = {number} ORDER BY rownum) "
            f"TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)"
        )


def csv_line(columns, row):
    return ",".join(field(value, type_name) for (_, type_name), value in zip(columns, row))


def json_line(columns, row):
    """NULLs are written as null or left out, by turns."""
    pairs = [
        f"{json.dumps(name)}: {json_value(value, type_name)}"
        for position, ((name, type_name), value) in enumerate(zip(columns, row))
        if value is not None or position % 2
    ]
    return "{" + ", ".join(pairs) + "}"
