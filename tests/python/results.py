"""Reads what a file sink has written and compares it with what the oracle expects."""

import glob
import json
import os
from collections import Counter

from exact import Near
from values import cell


def parse_csv(text):
    """Records of RFC 4180; an empty field without quotes is None, with quotes the empty string."""
    records, fields, i, n = [], [], 0, len(text)
    while i < n:
        if text[i] == '"':
            parts, i = [], i + 1
            while True:
                end = text.index('"', i)
                parts.append(text[i:end])
                i = end + 1
                if text[i : i + 1] != '"':
                    break
                parts.append('"')
                i += 1
            fields.append("".join(parts))
        else:
            end = i
            while end < n and text[end] not in ",\r\n":
                end += 1
            fields.append(text[i:end] or None)
            i = end
        if text[i : i + 1] == ",":
            i += 1
            if i == n or text[i] in "\r\n":
                fields.append(None)
            else:
                continue
        i += 2 if text[i : i + 2] == "\r\n" else 1
        records.append(fields)
        fields = []
    return records


def published_parts(directory, extension):
    """Part files in order; files that start with a dot are not published."""
    return sorted(glob.glob(os.path.join(glob.escape(directory), f"part-*.{extension}")))


def read_result(directory, sink_format, types, connection):
    """(column names, rows of cells) of all parts of a sink, in order of parts."""
    names, rows = None, []
    for part in published_parts(directory, sink_format):
        part_names, part_rows = READERS[sink_format](part, types, connection)
        if names is not None and part_names and part_names != names:
            raise ValueError(f"{part}: columns {part_names}, but other parts have {names}")
        names = part_names or names
        rows.extend(part_rows)
    return names, rows


def read_csv(path, _types, _connection):
    with open(path, encoding="utf-8", newline="") as file:
        records = parse_csv(file.read())
    if not records:
        raise ValueError(f"{path} has no header")
    wrong = [record for record in records if len(record) != len(records[0])]
    if wrong:
        raise ValueError(f"{path}: {wrong[0]} does not have {len(records[0])} fields")
    return records[0], [tuple(record) for record in records[1:]]


def read_jsonl(path, types, _connection):
    names, rows = None, []
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line, parse_float=str, parse_int=str)
            names = list(types) if names is None else names
            unknown = set(record) - set(names)
            if unknown:
                raise ValueError(f"{path} has fields {sorted(unknown)} that the metric does not name")
            rows.append(tuple(json_cell(record.get(name)) for name in names))
    return names, rows


def json_cell(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def read_parquet(path, _types, connection):
    relation = connection.execute("SELECT * FROM read_parquet(?)", [path])
    names = [column[0] for column in relation.description]
    types = [str(column[1]) for column in relation.description]
    return names, [tuple(cell(value, type_name) for value, type_name in zip(row, types)) for row in relation.fetchall()]


READERS = {"csv": read_csv, "jsonl": read_jsonl, "parquet": read_parquet}


def difference(expected, found, identity):
    """None if the rows are the same, in whatever order; else words that say what differs first.

    `identity` is the number of leading columns (keys and window) that tell rows apart; it matters where cells are only near.
    """
    if any(isinstance(value, Near) for row in expected for value in row):
        return near_difference(expected, found, identity)
    missing, extra = Counter(expected), Counter(found)
    missing, extra = missing - extra, extra - missing
    if not missing and not extra:
        return None
    shown = [f"  missing {row}" for row in sorted(missing, key=repr)[:5]] + [f"  extra   {row}" for row in sorted(extra, key=repr)[:5]]
    heading = f"{sum(missing.values())} rows missing, {sum(extra.values())} extra, of {len(expected)}"
    return "\n".join([heading] + shown)


def near_difference(expected, found, identity):
    by_key = {row[:identity]: row for row in found}
    if len(by_key) != len(found):
        return "a key and window are there twice"
    for row in expected:
        other = by_key.pop(row[:identity], None)
        if other is None:
            return f"missing {row}"
        for value, cell_found in zip(row, other):
            same = value.accepts(cell_found) if isinstance(value, Near) else value == cell_found
            if not same:
                return f"expected {row}\n  found    {other}"
    return f"extra {next(iter(by_key.values()))}" if by_key else None


def last_of_changelog(names, rows, identity):
    """What a reader of a changelog holds at its end: the last row per key and window, less the deleted ones."""
    position = names.index("op")
    last = {}
    for row in rows:
        op, rest = row[position], row[:position] + row[position + 1 :]
        if op not in ("upsert", "delete"):
            raise ValueError(f"op is {op}")
        if op == "upsert":
            last[rest[:identity]] = rest
        else:
            last.pop(rest[:identity], None)
    return names[:position] + names[position + 1 :], list(last.values())
