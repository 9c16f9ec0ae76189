"""Runs `raympp` on a script made from cases and reads what its sinks have written."""

import json
import os
import shutil
import subprocess

from cases import both
from results import last_of_changelog, read_result

SECONDS_MAX = 300
COUNTERS = "counters.json"


class Refused(Exception):
    """The engine ended with an error."""


def stream_sql(stream, path):
    columns = ", ".join(f"{name} {type_name}" for name, type_name in stream.table.columns)
    bound = f" - INTERVAL '{stream.bound}'" if stream.bound else ""
    watermark = f", WATERMARK FOR {stream.time} AS {stream.time}{bound}"
    path = path.replace("'", "''")
    return f"CREATE STREAM {stream.name} ({columns}{watermark})\nWITH (connector = 'file', path = '{path}', format = '{stream.format}');"


def metric_sql(case):
    keys = [(name, both(key).sql) for name, key in case.keys]
    bounds = [] if case.window.kind == "none" else list(case.bounds)
    items = [f"{sql} AS {name}" for name, sql in keys] + bounds + [f"{column.sql} AS {column.name}_" for column in case.columns]
    grouping = [sql for _, sql in keys] + bounds
    sql = f"CREATE METRIC {case.name} AS\nSELECT {', '.join(items)}\nFROM {case.window.sql(case.stream)}"
    sql += f"\nWHERE {both(case.where).sql}" if both(case.where).sql else ""
    sql += f"\nGROUP BY {', '.join(grouping)}" if grouping else ""
    return sql + (f"\nHAVING {both(case.having).sql}" if both(case.having).sql else "") + ";"


def column_names(case):
    if case.late_rows:
        return [name for name, _ in case.stream.table.columns]
    bounds = [] if case.window.kind == "none" else list(case.bounds)
    return [name for name, _ in case.keys] + bounds + [f"{column.name}_" for column in case.columns]


def sink_sql(case, directory):
    source = f"{case.stream.name}_late" if case.late_rows else case.name
    emit = " EMIT ON UPDATE" if case.changelog else ""
    is_sorted = ", sorted = true" if case.is_sorted else ""
    return (
        f"CREATE SINK {case.name}_out FROM {source}{emit} "
        f"WITH (connector = 'file', path = '{directory}', format = '{case.sink_format}'{is_sorted});"
    )


def script(cases, files, directory):
    """One script for cases over one stream."""
    parts = [stream_sql(cases[0].stream, files.path(cases[0].stream))]
    for case in cases:
        if not case.late_rows:
            parts.append(metric_sql(case))
        parts.append(sink_sql(case, os.path.join(directory, case.name)))
    return "\n\n".join(parts) + "\n"


def run(binary, cases, files, directory, arguments):
    """Runs the script of the cases; raises Refused with the engine's own words if it fails."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    path = os.path.join(directory, "script.sql")
    with open(path, "w", encoding="utf-8") as file:
        file.write(script(cases, files, directory))
    command = [binary, "run", path, "--plain", "--metrics-file", os.path.join(directory, COUNTERS), *arguments]
    try:
        done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired as error:
        raise Refused(f"still running after {SECONDS_MAX} s") from error
    if done.returncode != 0:
        raise Refused(f"exit code {done.returncode}\n{done.stderr.strip()[-2000:]}")


def counters(directory):
    """What the engine has counted for the one stream of a script."""
    with open(os.path.join(directory, COUNTERS), encoding="utf-8") as file:
        [stream] = json.load(file)["streams"]
    return stream


def result(case, directory, connection):
    """(names, rows) of one case, changelogs reduced to what they leave."""
    names = column_names(case)
    wanted = ["op", *names] if case.changelog else names
    found_names, rows = read_result(os.path.join(directory, case.name), case.sink_format, wanted, connection)
    if found_names is None:
        return names, []
    if case.changelog:
        return last_of_changelog(found_names, rows, case.identity())
    return found_names, rows
