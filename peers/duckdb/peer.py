"""DuckDB, in batch: what the metric costs when all rows are there beforehand and nobody waits for a result. Not a streaming system; a bound."""

import argparse
import json
import time

import duckdb
import numpy

COLUMNS = {"channel": ("channel.i32", "<i4"), "status": ("status.i8", "i1"), "amount": ("amount.i64", "<i8"), "event_time": ("event_time.i64", "<i8")}
# Seconds of slide and size.
QUERIES = {"hop": (1, 60), "tumble10": (10, 10), "tumble1": (1, 1)}
# A pass of the rows is as many of these long as there are rows.
ROW_US = 1


def sql(slide_s, size_s):
    """First by slide, which is all that a tumbling window needs; a hopping one then adds up the slides that it covers."""
    slide = slide_s * 1_000_000
    slides = f"""
        SELECT channel, (event_time // {slide} + 1) * {slide} AS window_end, count(*) AS payments,
               count(*) FILTER (status = 0) AS successes, sum(amount)::BIGINT AS volume
        FROM payments WHERE amount > 0 GROUP BY ALL"""
    if slide_s == size_s:
        return slides
    return f"""
        SELECT channel, window_end + later * {slide} AS window_end, sum(payments)::BIGINT AS payments, sum(successes)::BIGINT AS successes,
               sum(volume)::BIGINT AS volume
        FROM ({slides}), range({size_s // slide_s}) AS windows(later) GROUP BY ALL"""


def mix(z):
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return z ^ (z >> numpy.uint64(31))


def hash_of(results):
    h = mix(results["window_end"].astype(numpy.uint64))
    for name in ("channel", "payments", "successes", "volume"):
        h = mix(h ^ results[name].astype(numpy.uint64))
    return int(h.sum(dtype=numpy.uint64))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--input", required=True)
    parser.add_argument("--query", required=True, choices=QUERIES)
    for name in ("--rows", "--threads", "--runs"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--passes", type=int, default=1)
    options = parser.parse_args()
    columns = {name: numpy.fromfile(f"{options.input}/{file}", dtype, options.rows) for name, (file, dtype) in COLUMNS.items()}
    connection = duckdb.connect(config={"threads": options.threads})
    connection.execute("CREATE TABLE payments AS SELECT * FROM columns LIMIT 0")
    for shift_us in range(0, options.passes * options.rows * ROW_US, options.rows * ROW_US):
        connection.execute(f"INSERT INTO payments SELECT * REPLACE (event_time + {shift_us} AS event_time) FROM columns")
    for run in range(options.runs):
        started, cpu_started = time.perf_counter(), time.process_time()
        results = connection.execute(sql(*QUERIES[options.query])).fetchnumpy()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        print(json.dumps({
            "peer": "DuckDB, in batch", "version": duckdb.__version__, "settings": f"{options.threads} threads, a table in memory made before the clock",
            "run": run, "rows": options.rows, "passes": options.passes, "results": len(results["channel"]), "hash": f"{hash_of(results):016x}", "seconds": seconds, "cpu_seconds": cpu_seconds,
        }), flush=True)


if __name__ == "__main__":
    main()
