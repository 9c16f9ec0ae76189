"""The expected rows of a case, computed by DuckDB from the same input by SQL that states the rules directly.

Late: a row is late iff its event time is below the highest one of the rows before it in its split, less the bound. A window holds the
rows with start <= event time < end; all windows of a row are listed by their ends. Sessions are gaps and islands over the rows of a
key. Nothing here knows of slices, deltas or partitions.
"""

import tempfile

import duckdb

import exact
from cases import both, micros
from inputs import date_or_cell
from values import cell

DUCK_TYPES = {"TEXT": "VARCHAR", "DOUBLE PRECISION": "DOUBLE", "REAL": "FLOAT"}


def connect():
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = true")
    return connection


def field(value, type_name):
    """A value in quotes, NULL without."""
    text = date_or_cell(value, type_name)
    return "NULL" if text is None else '"' + text.replace('"', '""') + '"'


def duck_type(type_name):
    return DUCK_TYPES.get(type_name, type_name)


class Oracle:
    def __init__(self, connection, flight_log):
        self.connection = connection
        self.flight_log = flight_log
        self.loaded = set()
        self.judged = set()

    def load(self, table):
        """The table's rows with the columns split and rownum."""
        if table.name in self.loaded:
            return
        self.loaded.add(table.name)
        types = {"split": "INTEGER", "rownum": "BIGINT", **{name: duck_type(type_name) for name, type_name in table.columns}}
        columns = ", ".join(f"{name} {type_name}" for name, type_name in types.items())
        self.connection.execute(f"CREATE TABLE {table.name} ({columns})")
        if table.splits:
            self.load_rows(table, types)
        else:
            self.load_flight_log(table)

    def load_flight_log(self, table):
        """One thread reads the file, so that row numbers are those of the file."""
        types = ", ".join(f"'{name}': '{duck_type(type_name)}'" for name, type_name in table.columns)
        names = ", ".join(name for name, _ in table.columns)
        self.connection.execute("SET threads = 1")
        self.connection.execute(
            f"INSERT INTO {table.name} SELECT 0, row_number() OVER (), {names} "
            f"FROM read_csv('{self.flight_log}', header = true, columns = {{{types}}}, parallel = false)"
        )
        self.connection.execute("SET threads = 2")

    def load_rows(self, table, types):
        """Through a file with every field in quotes but NULL, so that nothing is left to guess."""
        with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", newline="") as file:
            for split, rows in enumerate(table.splits):
                for number, row in enumerate(rows):
                    cells = [field(value, type_name) for value, (_, type_name) in zip(row, table.columns)]
                    file.write(",".join([f'"{split}"', f'"{number}"', *cells]) + "\n")
            file.flush()
            declared = ", ".join(f"'{name}': '{type_name}'" for name, type_name in types.items())
            self.connection.execute(
                f"INSERT INTO {table.name} SELECT * FROM read_csv('{file.name}', header = false, columns = {{{declared}}}, "
                f"nullstr = 'NULL', allow_quoted_nulls = false, quote = '\"', escape = '\"', auto_detect = false, delim = ',')"
            )

    def judge(self, stream):
        """A table of the stream's rows with their event time in microseconds and whether they are late; bad rows are left out."""
        self.load(stream.table)
        name = f"judged_{stream.table.name}_{stream.time}_{(stream.bound or 'none').replace(' ', '_')}"
        if name not in self.judged:
            self.judged.add(name)
            bound = micros(stream.bound) if stream.bound else 0
            before = "PARTITION BY split ORDER BY rownum ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
            self.connection.execute(
                f"CREATE TABLE {name} AS WITH timed AS (SELECT *, epoch_us({stream.time}) AS us FROM {stream.table.name} "
                f"WHERE {stream.time} IS NOT NULL) "
                f"SELECT *, coalesce(us < max(us) OVER ({before}) - {bound}, false) AS late FROM timed"
            )
        return name

    def windowed(self, case):
        """The WITH clause that defines `windowed`: one row per row that counts and window that it is in."""
        where = both(case.where).duck
        key_columns = "".join(f", ({both(key).duck}) AS key_{i}" for i, (_, key) in enumerate(case.keys))
        condition = "NOT late" + (f" AND ({where})" if where else "")
        kept = f"SELECT *{key_columns} FROM {self.judge(case.stream)} WHERE {condition}"
        return f"WITH kept AS ({kept}), windowed AS ({windows(case.window, 'kept', key_names(case))})"

    def query(self, case):
        """SQL whose rows are keys, window, then one or three columns per result column."""
        bounds = [] if case.window.kind == "none" else [{"window_start": "ws", "window_end": "we"}[bound] for bound in case.bounds]
        grouping = key_names(case) + (["ws", "we"] if bounds else [])
        times = [time_text(f"make_timestamp({bound})", case.stream.time_type()) for bound in bounds]
        outputs = [output.replace("{time}", "us") for column in case.columns for output in raw_columns(column)]
        sql = f"{self.windowed(case)} SELECT {', '.join(key_names(case) + times + outputs)} FROM windowed"
        sql += f" GROUP BY {', '.join(grouping)}" if grouping else ""
        having = both(case.having).duck
        # Without rows there is no group, also where SQL's aggregates make one.
        conditions = ([] if grouping else ["count(*) > 0"]) + ([f"({having})"] if having else [])
        return sql + (f" HAVING {' AND '.join(conditions)}" if conditions else "")

    def counters(self, stream):
        """Rows, late rows and bad rows of a stream."""
        judged, malformed = self.judge(stream), len(stream.table.raw_lines)
        [(rows,)] = self.connection.execute(f"SELECT count(*) FROM {stream.table.name}").fetchall()
        [(timed, late)] = self.connection.execute(f"SELECT count(*), count(*) FILTER (WHERE late) FROM {judged}").fetchall()
        return {"rows": rows + malformed, "late": late, "bad": rows - timed + malformed}

    def bad_of_metric(self, case):
        """Rows that can't be evaluated for the metric."""
        if not case.bad:
            return 0
        [(count,)] = self.connection.execute(f"SELECT count(*) FROM {self.judge(case.stream)} WHERE NOT late AND ({case.bad})").fetchall()
        return count

    def pairs(self, case):
        """How many rows `windowed` has."""
        [(count,)] = self.connection.execute(f"{self.windowed(case)} SELECT count(*) FROM windowed").fetchall()
        return count

    def expected(self, case):
        """Rows of cells."""
        if case.late_rows:
            return self.late_rows(case.stream)
        relation = self.connection.execute(self.query(case))
        types = [str(column[1]) for column in relation.description]
        identity = case.identity()
        rows = []
        for raw in relation.fetchall():
            row = [cell(value, type_name) for value, type_name in zip(raw[:identity], types)]
            position = identity
            for column in case.columns:
                width = len(raw_columns(column))
                row.append(finish(column, raw[position : position + width], types[position]))
                position += width
            rows.append(tuple(row))
        return rows

    def late_rows(self, stream):
        columns = ", ".join(in_text(name, type_name) for name, type_name in stream.table.columns)
        relation = self.connection.execute(f"SELECT {columns} FROM {self.judge(stream)} WHERE late")
        types = [str(column[1]) for column in relation.description]
        return [tuple(cell(value, type_name) for value, type_name in zip(row, types)) for row in relation.fetchall()]


def key_names(case):
    return [f"key_{i}" for i in range(len(case.keys))]


def time_text(time, type_name):
    """SQL that writes a time as the engine does."""
    return f"strftime({time}, '%Y-%m-%d %H:%M:%S.%f{'+00' if type_name == 'TIMESTAMPTZ' else ''}')"


def in_text(name, type_name):
    return time_text(name, type_name) if type_name.startswith("TIMESTAMP") else name


def windows(window, source, keys):
    """All (row, ws, we) of the rows of `source`; ws and we in microseconds."""
    if window.kind == "none":
        return f"SELECT * FROM {source}"
    if window.kind == "session":
        return sessions(micros(window.lengths[0]), source, keys)
    step, size = micros(window.lengths[0]), micros(window.lengths[-1])
    offset = micros(window.offset) if window.offset else 0
    base = size if window.kind == "cumulate" else step
    # The last multiple of `base`, plus the offset, that is not after the row: % has the sign of its left side.
    floor = f"us - ((us - {offset}) % {base} + {base}) % {base}"
    if window.kind == "cumulate":
        ends = f"range({floor} + {step}, {floor} + {size} + 1, {step})"
        starts, condition = floor, "we > us"
    else:
        ends = f"range({floor} + {step}, {floor} + {size} + 1, {step})"
        starts, condition = f"we - {size}", "true"
    listed = f"SELECT *, unnest({ends}) AS we FROM {source}"
    return f"SELECT *, {starts} AS ws FROM ({listed}) WHERE {condition}"


def sessions(gap, source, keys):
    """A row starts a session iff it is the key's first or at least `gap` after the one before it."""
    by_key = f"PARTITION BY {', '.join(keys)} " if keys else ""
    order = f"OVER ({by_key}ORDER BY us)"
    starts = f"SELECT *, coalesce(us - lag(us) {order} >= {gap}, true)::INTEGER AS opens FROM {source}"
    islands = f"SELECT *, sum(opens) OVER ({by_key}ORDER BY us RANGE UNBOUNDED PRECEDING) AS island FROM ({starts})"
    island = f"OVER (PARTITION BY {', '.join([*keys, 'island'])})"
    return f"SELECT *, min(us) {island} AS ws, max(us) {island} + {gap} AS we FROM ({islands})"


def raw_columns(column):
    """What DuckDB is asked for a result column."""
    if column.kind == "plain":
        return [column.duck]
    where = f" FILTER (WHERE {column.filter})" if column.filter else ""
    argument = column.argument
    if column.kind == "near_count":
        return [f"count(DISTINCT {argument}){where}"]
    if column.moments:
        wide = f"({argument})::HUGEINT"
        return [f"count({argument}){where}", f"sum({wide}){where}", f"sum({wide} * {wide}){where}"]
    return [f"list({column.duck or argument}){where}"]


def finish(column, raw, type_name):
    """The cell of a result column."""
    if column.kind == "plain":
        return cell(raw[0], type_name)
    if column.kind == "near_count":
        return exact.near_count(raw[0])
    if column.kind == "near_percentile":
        return exact.near_percentile(raw[0], column.parameter)
    if column.kind == "top_k":
        return exact.top_k(raw[0], int(column.parameter))
    if column.moments:
        return exact.finish_moments(column.kind, *raw)
    return exact.finish_list(column.kind, raw[0])
