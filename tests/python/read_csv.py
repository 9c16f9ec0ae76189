"""How fast DuckDB reads a CSV file on one thread: python read_csv.py FILE. Prints rows per second of processor time, best of five."""

import sys
import time

import duckdb

COLUMNS = {
    "flight_id": "BIGINT",
    "event_time": "TIMESTAMP",
    "carrier": "VARCHAR",
    "origin": "VARCHAR",
    "dest": "VARCHAR",
    "distance": "INTEGER",
    "status": "VARCHAR",
    "dep_delay_min": "INTEGER",
    "arr_delay_min": "INTEGER",
}


def main():
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    # Every column is read and nothing is kept: one count of values each.
    counts = ", ".join(f"count({name})" for name in COLUMNS)
    query = f"SELECT count(*), {counts} FROM read_csv(?, header = true, auto_detect = false, delim = ',', quote = '\"', columns = {COLUMNS})"
    best = None
    for _ in range(5):
        started = time.process_time()
        rows = connection.execute(query, [sys.argv[1]]).fetchone()[0]
        spent = time.process_time() - started
        best = spent if best is None else min(best, spent)
    print(rows / best)


if __name__ == "__main__":
    main()
