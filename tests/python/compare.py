"""Compares the engine with DuckDB, row by row: python compare.py [--seeds N] [--oracle-only] [NAME …]

RAYMPP_BIN is the engine's binary, RAYMPP_SCRATCH a directory for inputs and results. Every case runs three times: alone, on one thread
and one partition; together with all other cases of its stream, on two threads and three partitions; and so again with more
threads than cores, many partitions, two replicas and small deltas. All must give the oracle's rows, and its numbers of late and bad rows.
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
SHAKEN = ("--threads", "4", "--partitions", "16", "--replicas", "2", "--flush-rows", "509")


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


def judge_counters(of_stream, oracle, directory):
    """None, or which counter is wrong: rows, late and bad rows of the stream, bad rows of its metrics, and those that must stay 0."""
    try:
        counted = engine.counters(directory)
    except (ValueError, KeyError, OSError) as error:
        return f"counters: {error!r}"
    expected = oracle.counters(of_stream[0].stream)
    found = {name: counted.get(name) for name in expected}
    if found != expected:
        return f"counters are {found}, not {expected}"
    bad = {metric["name"]: metric["bad"] for metric in counted["metrics"]}
    bad_expected = {case.name: oracle.bad_of_metric(case) for case in of_stream if not case.late_rows}
    if bad != bad_expected:
        wrong = [name for name in bad_expected if bad.get(name) != bad_expected[name]]
        return f"bad rows of metrics {wrong} are {[bad.get(name) for name in wrong]}, not {[bad_expected[name] for name in wrong]}"
    broken = [partition for partition in counted["partitions"] if partition["rows_below_frontier"] or partition["violations"]]
    return f"a partition counts breaches of its invariants: {broken}" if broken else None


class Runs:
    """Runs the cases of one stream after the other and scores them."""

    def __init__(self, binary, oracle, files, scratch, score):
        self.binary, self.oracle, self.files, self.scratch, self.score = binary, oracle, files, scratch, score

    def compare(self, cases):
        streams = {}
        for case in cases:
            streams.setdefault(case.stream, []).append(case)
        for stream, of_stream in streams.items():
            expected = {case.name: self.oracle.expected(case) for case in of_stream}
            for case in of_stream:
                self.run([case], ALONE, expected, "alone")
            self.run(of_stream, TOGETHER, expected, "together")
            self.run(of_stream, SHAKEN, expected, "shaken")
            print(f"{stream.name}: {len(of_stream)} cases, {sum(map(len, expected.values()))} rows", flush=True)

    def run(self, cases, how, expected, label):
        directory = os.path.join(self.scratch, label)
        try:
            engine.run(self.binary, cases, self.files, directory, how)
        except engine.Refused as error:
            for case in cases:
                self.score.note(f"{case.name} ({label})", error)
            return
        for case in cases:
            self.score.note(f"{case.name} ({label})", judge(case, expected[case.name], directory, self.oracle.connection))
        self.score.note(f"counters of {cases[0].stream.name} ({label}: {cases[0].name})", judge_counters(cases, self.oracle, directory))


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
        Runs(os.path.abspath(binary), oracle, files, scratch, score).compare(cases)
    print(f"{score.passed} passed, {score.failed} failed")
    sys.exit(1 if score.failed else 0)


if __name__ == "__main__":
    main()
