//! A metric's result is a function of the contents of its splits: not of threads, partitions, replicas, flushes, or how the rows came in.
//!
//! Every run is compared, value by value and bit by bit, with the reference aggregator's word on the same rows.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use raympp_state::replica::ExportedGroup;
use raympp_testkit::generate::splits::TextEncoding;
use raympp_testkit::generate::{COLUMNS, ScriptShape, SplitsShape, script, splits};
use raympp_testkit::random::Random;
use raympp_testkit::reference::SplitRows;
use raympp_testkit::rows::difference;
use raympp_tests::directory::Directory;
use raympp_tests::feed::{Feed, csv};
use raympp_tests::job::{DEADLINE, Shape, at_end, check, expected, run};

const BOUND_US: i64 = 2_000_000;

/// Out of order beyond the bound, so some rows are late; NULLs everywhere, in keys and event times too.
const ROWS: SplitsShape = SplitsShape {
    splits: 3,
    rows: 450,
    batch_rows: 90,
    keys: 150,
    start_us: -7_000_000,
    step_us: 60_000,
    disorder_us: 4_000_000,
    null_once_in: 12,
    null_time_once_in: 25,
    leap_once_in: 0,
    undecodable_once_in: 0,
    text: TextEncoding::SharedDictionary,
};

/// All window kinds, all aggregates, keys of one, two and no columns, expressions that fail for some rows.
const METRICS: &str = "
CREATE METRIC tumbled AS
SELECT k, window_start, window_end, count(*) AS rows, count(amount) AS amounts, sum(i) AS si, sum(big) AS sb, sum(amount) AS sa, avg(i) AS ai,
       avg(amount) AS aa, min(x) AS lo, max(big) AS hi, min(day) AS d, max(et) AS t, bool_and(flag) AS b, bool_or(flag) AS o,
       sum(x) AS sx, sum(r) AS sr, avg(x) AS ax, first_value(name) AS f, last_value(i) AS l, arg_min(name, amount) AS am, arg_max(i, x) AS an
FROM TUMBLE(s, et, INTERVAL '3 seconds') GROUP BY k, window_start, window_end;
CREATE METRIC hopped AS
SELECT k, flag, window_end, count(*) FILTER (WHERE flag)::DOUBLE PRECISION / count(*) AS rate, sum(amount) AS sa, stddev_pop(i) AS sp,
       stddev_samp(amount) AS ss, var_pop(x) AS vp, var_samp(big) AS vs, min(name) AS lo, max(name) AS hi, min(amount) AS la, max(r) AS hr
FROM HOP(s, et, INTERVAL '1 second', INTERVAL '8 seconds') WHERE amount > 0 OR name <> 'b' GROUP BY k, flag, window_start, window_end
HAVING count(*) >= 2;
CREATE METRIC distinct_hopped AS
SELECT window_start, window_end, count(DISTINCT name) AS names, sum(DISTINCT i) AS si, approx_count_distinct(big) AS ab,
       approx_percentile(i, 0.9) AS p90, approx_median(x) AS m, top_k(name, 3) AS top, count(DISTINCT i) FILTER (WHERE flag) AS ci
FROM HOP(s, et, INTERVAL '2 seconds', INTERVAL '6 seconds', INTERVAL '500 milliseconds') GROUP BY window_start, window_end;
CREATE METRIC cumulated AS
SELECT n, window_start, window_end, count(*) AS rows, sum(x) AS sx, max(name) AS hi, last_value(amount) AS l
FROM CUMULATE(s, et, INTERVAL '1 second', INTERVAL '10 seconds') GROUP BY n, window_start, window_end;
CREATE METRIC sessions AS
SELECT k, window_start, window_end, count(*) AS rows, sum(x) AS sx, count(DISTINCT name) AS names, top_k(name, 2) AS top, arg_max(i, x) AS an
FROM SESSION(s, et, INTERVAL '1500 milliseconds') GROUP BY k, window_start, window_end;
CREATE METRIC totals AS SELECT flag, count(*) AS rows, sum(x) AS sx, avg(r) AS ar, approx_count_distinct(big) AS ab FROM s GROUP BY flag;
CREATE METRIC recent WITH (ttl = '4s') AS SELECT n, count(*) AS rows, last_value(x) AS l, min(big) AS lo FROM s GROUP BY n;
CREATE METRIC failing AS
SELECT 100 / tiny AS key, window_end, sum(100 / i) AS s, count(*) AS rows
FROM HOP(s, et, INTERVAL '1 second', INTERVAL '4 seconds') WHERE i = 0 OR 12 / i > -3 GROUP BY 100 / tiny, window_start, window_end;";

fn stream(options: &str) -> String {
    format!("CREATE STREAM s ({COLUMNS}, WATERMARK FOR et AS et - INTERVAL '2 seconds') {options};\n{METRICS}")
}

#[test]
fn results_are_the_same_for_all_shapes_of_an_engine() {
    let sql = stream("");
    let splits = splits(&mut Random::new(1), ROWS);
    let reference = expected(&sql, &splits);
    let awkward = [reference.late, reference.bad, reference.windows(7).bad];
    assert!(awkward.iter().all(|&rows| rows > 5), "the rows are awkward enough: {awkward:?}");
    let rows: u64 = splits.iter().map(SplitRows::len).sum();
    assert!(reference.late * 10 > rows, "more than a tenth of the rows are late: {} of {rows}", reference.late);
    for (number, shape) in Shape::all().into_iter().enumerate() {
        let feed = Feed::Cuts { seed: number as u64, rows_max: 1 + number * 7 % 100 };
        let outcome = run(shape, &sql, &splits, feed);
        check(&sql, &reference, &splits, &outcome, &format!("{shape:?}"));
    }
}

#[test]
fn random_scripts_give_what_the_reference_says() {
    let shapes = Shape::all();
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let script_shape = ScriptShape { metrics: 6, all_windows: true, heavy_aggregates: true, fallible: true };
        let sql = script(&mut random, script_shape, BOUND_US, "max_jump = '1 minute'");
        let text = random.pick(&[TextEncoding::Plain, TextEncoding::SharedDictionary, TextEncoding::OwnDictionary]);
        let shape = SplitsShape { splits: 1 + random.index(4), rows: 300, keys: 9, text, ..ROWS };
        let splits = splits(&mut random, shape);
        let shape = random.pick(&shapes);
        let outcome = run(shape, &sql, &splits, Feed::Batches);
        check(&sql, &expected(&sql, &splits), &splits, &outcome, &format!("seed {seed}, {shape:?}\n{sql}"));
    }
}

/// A CSV sink for each metric whose windows close.
fn with_sinks(sql: &str, directory: &Directory, run: &str) -> (String, Vec<String>) {
    let names = ["tumbled", "hopped", "distinct_hopped", "cumulated", "sessions", "failing"].map(|name| format!("{run}-{name}"));
    let mut sql = sql.to_owned();
    for name in &names {
        let metric = name.split_once('-').expect("made with one").1;
        sql += &format!(
            "\nCREATE SINK {metric}_out FROM {metric} WITH (connector = 'file', path = '{}', format = 'csv');",
            directory.text(name)
        );
    }
    (sql, names.to_vec())
}

fn sorted_lines(directory: &Directory, sinks: &[String]) -> Vec<Vec<String>> {
    let lines = |sink: &String| {
        let mut lines = directory.csv_lines(sink);
        lines.sort_unstable();
        lines
    };
    sinks.iter().map(lines).collect()
}

/// Runs a script over CSV files to its end.
fn run_files(shape: Shape, sql: &str) -> raympp_tests::job::Outcome {
    let engine = shape.engine();
    engine.execute(sql).expect("a right script");
    assert!(engine.wait_timeout(DEADLINE).expect("the job does not fail"), "not done in time");
    let outcome = at_end(&engine, &raympp_testkit::script::bind(sql));
    engine.shutdown().expect("a clean shutdown");
    outcome
}

fn write_files(directory: &Directory, name: &str, splits: &[SplitRows]) -> String {
    for split in splits {
        directory.write(&format!("{name}-{:02}.csv", split.split.0), csv(split));
    }
    format!("WITH (connector = 'file', path = '{}', format = 'csv')", directory.text(&format!("{name}-*.csv")))
}

#[test]
fn files_rows_and_batches_give_the_same() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "determinism-feeds");
    let splits = splits(&mut Random::new(5), SplitsShape { text: TextEncoding::Plain, ..ROWS });
    let reference = expected(&stream(""), &splits);
    let (sql, sinks) = with_sinks(&stream(&write_files(&directory, "in", &splits)), &directory, "files");
    let shape = Shape { threads: 2, partitions: 3, flush_rows: 100, replicas: 1 };
    check(&sql, &reference, &splits, &run_files(shape, &sql), "files");
    let of_files = sorted_lines(&directory, &sinks);
    let counts: Vec<usize> = of_files.iter().map(Vec::len).collect();
    assert!(counts.iter().all(|&rows| rows > 10), "every sink has rows: {counts:?}");
    let feeds = [("rows", Feed::Rows), ("batches", Feed::Batches), ("cuts", Feed::Cuts { seed: 5, rows_max: 40 })];
    for (name, feed) in feeds {
        let (sql, sinks) = with_sinks(&stream(""), &directory, name);
        let outcome = run(shape, &sql, &splits, feed);
        check(&sql, &reference, &splits, &outcome, name);
        for (expected, found) in of_files.iter().zip(sorted_lines(&directory, &sinks)) {
            assert_eq!(difference(expected, &found), None, "{name}");
        }
    }
}

#[test]
fn undecodable_rows_of_files_are_content_too() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "determinism-bad");
    let splits = splits(&mut Random::new(3), SplitsShape { undecodable_once_in: 9, ..ROWS });
    let sql = stream(&write_files(&directory, "in", &splits));
    let reference = expected(&stream(""), &splits);
    for shape in [Shape::ONE, Shape { threads: 2, partitions: 16, flush_rows: 1, replicas: 2 }] {
        check(&sql, &reference, &splits, &run_files(shape, &sql), &format!("{shape:?}"));
    }
}

/// Without an end nothing has closed, so there is much to compare: replicas of one partition hold the same, and all partitions together
/// hold what one would, whatever the shape.
#[test]
fn replicas_of_a_partition_hold_the_same() {
    let sql = stream("");
    let splits = splits(&mut Random::new(4), ROWS);
    let mut all: Vec<(Shape, Vec<ExportedGroup>)> = Vec::new();
    for (number, shape) in Shape::all().into_iter().enumerate() {
        let engine = shape.engine();
        engine.execute(&sql).expect("a right script");
        let writers: Vec<_> = splits.iter().map(|_| engine.writer("s").expect("a stream for writers")).collect();
        std::thread::scope(|scope| {
            for (writer, split) in writers.iter().zip(&splits) {
                scope.spawn(move || Feed::Cuts { seed: number as u64, rows_max: 50 }.push(writer, split));
            }
        });
        let exports = engine.shutdown_with_exports().expect("a clean shutdown");
        assert_eq!(exports.len(), shape.partitions as usize * shape.replicas);
        let (primaries, standbys): (Vec<_>, Vec<_>) = exports.into_iter().partition(|export| export.primary);
        for standby in &standbys {
            let primary = primaries.iter().find(|primary| primary.partition == standby.partition).expect("each has one");
            assert_eq!(primary.groups, standby.groups, "{shape:?}, {}", standby.partition);
        }
        let mut groups: Vec<ExportedGroup> = primaries.into_iter().flat_map(|primary| primary.groups).collect();
        groups.sort();
        all.push((shape, groups));
    }
    assert!(all[0].1.len() > 500, "there is something to compare: {}", all[0].1.len());
    for (shape, groups) in &all[1..] {
        assert!(all[0].1 == *groups, "{shape:?} holds other groups than {:?}", all[0].0);
    }
}
