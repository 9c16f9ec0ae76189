"""Compares the engine with DuckDB, row by row: python compare.py [--seeds N] [--oracle-only] [NAME …]

RAYMPP_BIN is the engine's binary, RAYMPP_SCRATCH a directory for inputs and results. Every case runs twice: alone, on one thread and
one partition, and together with all other cases of its stream, on two threads and three partitions; both must give the oracle's rows.
With --oracle-only the engine is left out and the oracle checks itself. The last line is `N passed, N failed`.
"""

import argparse
import os
import sys
import tempfile

import check_harness
import engine
from case_list import all_cases
from cases import micros
from inputs import FLIGHTS, Files
from oracle import Oracle, connect
from results import difference

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLIGHT_LOG = os.path.join(ROOT, "examples", "data", "flights-2013.csv.gz")
ALONE = ("--threads", "1", "--partitions", "1")
TOGETHER = ("--threads", "2", "--partitions", "3")


class Score:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def note(self, name, problem):
        if problem is None:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}: {problem}", flush=True)


def judge(case, expected, directory, connection):
    """None, or what is wrong with the engine's result."""
    try:
        names, rows = engine.result(case, directory, connection)
    except (ValueError, OSError) as error:
        return str(error)
    if names != engine.column_names(case):
        return f"columns are {names}, not {engine.column_names(case)}"
    problem = difference(expected, rows, case.identity())
    if problem is None and case.is_sorted:
        order = [(row[case.identity() - 1], sort_key(row[: len(case.keys)])) for row in rows]
        problem = None if order == sorted(order) else "rows are not in order of window_end and key"
    return problem


def sort_key(cells):
    return [int(cell) for cell in cells]


def run_cases(binary, cases, files, directory, arguments, expected, connection, score, label):
    try:
        engine.run(binary, cases, files, directory, arguments)
    except engine.Refused as error:
        for case in cases:
            score.note(f"{case.name} ({label})", error)
        return
    for case in cases:
        score.note(f"{case.name} ({label})", judge(case, expected[case.name], directory, connection))


def compare(binary, cases, oracle, files, scratch, score):
    streams = {}
    for case in cases:
        streams.setdefault(case.stream, []).append(case)
    for stream, of_stream in streams.items():
        expected = {case.name: oracle.expected(case) for case in of_stream}
        for case in of_stream:
            directory = os.path.join(scratch, "alone")
            run_cases(binary, [case], files, directory, ALONE, expected, oracle.connection, score, "alone")
        directory = os.path.join(scratch, "together")
        run_cases(binary, of_stream, files, directory, TOGETHER, expected, oracle.connection, score, "together")
        print(f"{stream.name}: {len(of_stream)} cases, {sum(map(len, expected.values()))} rows", flush=True)


def check_oracle(cases, oracle, files, score):
    """Every case has input and rows, and its windows hold each row as often as their kind says."""
    for case in cases:
        try:
            engine.script([case], files, "out")
            rows = oracle.expected(case)
        except Exception as error:  # whatever it is, it is the case's fault and belongs to its name
            score.note(case.name, repr(error))
            continue
        empty = case.name.startswith("where_nothing")
        problem = None if bool(rows) != empty else f"{len(rows)} rows"
        score.note(case.name, problem or conservation(case, oracle))


def conservation(case, oracle):
    """None, or how the number of (row, window) pairs differs from rows × windows per row."""
    if case.late_rows or case.window.kind in ("none", "cumulate") or case.where or case.having:
        return None
    judged = oracle.judge(case.stream)
    [(rows,)] = oracle.connection.execute(f"SELECT count(*) FROM {judged} WHERE NOT late").fetchall()
    per_row = micros(case.window.lengths[-1]) // micros(case.window.lengths[0]) if case.window.kind == "hop" else 1
    pairs = oracle.pairs(case)
    return None if pairs == rows * per_row else f"{pairs} pairs of row and window, not {rows} × {per_row}"


def check_flight_log(oracle, score):
    """What is known of the log: 336,776 rows, of which 3,345 are late at 3 hours."""
    oracle.load(FLIGHTS)
    query = "SELECT count(*), count(*) FILTER (WHERE us < highest), count(*) FILTER (WHERE us < highest - 10800000000) FROM "
    before = "max(epoch_us(event_time)) OVER (ORDER BY rownum ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    [found] = oracle.connection.execute(query + f"(SELECT epoch_us(event_time) AS us, {before} AS highest FROM flights)").fetchall()
    score.note("flight log as known", None if found == (336_776, 198_500, 3_345) else f"rows, out of order, late: {found}")


def arguments():
    parser = argparse.ArgumentParser(description="Compares the engine with DuckDB.")
    parser.add_argument("names", nargs="*", help="only cases whose name contains one of these")
    parser.add_argument("--seeds", type=int, default=1, help="how many sets of random tables")
    parser.add_argument("--oracle-only", action="store_true", help="leave the engine out")
    return parser.parse_args()


def main():
    chosen = arguments()
    binary = os.environ.get("RAYMPP_BIN")
    if not binary and not chosen.oracle_only:
        sys.exit("RAYMPP_BIN names no binary; --oracle-only runs without one")
    scratch = os.environ.get("RAYMPP_SCRATCH") or tempfile.mkdtemp(prefix="raympp-")
    os.makedirs(scratch, exist_ok=True)
    score = Score()
    check_harness.run(score)
    oracle = Oracle(connect(), FLIGHT_LOG)
    check_flight_log(oracle, score)
    cases = all_cases(FLIGHT_LOG, chosen.seeds)
    if chosen.names:
        cases = [case for case in cases if any(name in case.name for name in chosen.names)]
    for case in cases:
        oracle.load(case.stream.table)
    files = Files(scratch, FLIGHT_LOG, oracle.connection)
    if chosen.oracle_only:
        check_oracle(cases, oracle, files, score)
    else:
        compare(os.path.abspath(binary), cases, oracle, files, scratch, score)
    print(f"{score.passed} passed, {score.failed} failed")
    sys.exit(1 if score.failed else 0)


if __name__ == "__main__":
    main()
