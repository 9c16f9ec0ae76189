//! Closed windows, what a SELECT shows, counters, updates: as the reference says.

use crate::breaking::{Breaking, What};
use arrow::array::RecordBatch;
use raympp_engine::{Subscription, Writer};
use raympp_operators::expr::arrow_types::value_at;
use raympp_testkit::generate::splits::TextEncoding;
use raympp_testkit::generate::{COLUMNS, SplitsShape, splits};
use raympp_testkit::random::Random;
use raympp_testkit::rows::{difference, row_text};
use raympp_tests::feed::Feed;
use raympp_tests::job::{DEADLINE, Shape, check, drain, expected, run_on};
use std::collections::BTreeMap;

/// Some rows are late, some are bad.
const ROWS: SplitsShape = SplitsShape {
    splits: 3,
    rows: 900,
    batch_rows: 60,
    keys: 40,
    start_us: -7_000_000,
    step_us: 40_000,
    disorder_us: 4_000_000,
    null_once_in: 12,
    null_time_once_in: 25,
    leap_once_in: 0,
    undecodable_once_in: 0,
    text: TextEncoding::SharedDictionary,
};

/// All kinds of windows; keys and windows are the first columns.
const METRICS: [(&str, &str); 5] = [
    ("tumbled", "FROM TUMBLE(s, et, INTERVAL '2 seconds') GROUP BY k, window_start, window_end HAVING count(*) < 6"),
    ("hopped", "FROM HOP(s, et, INTERVAL '1 second', INTERVAL '6 seconds') GROUP BY k, window_start, window_end HAVING sum(i) % 3 <> 0"),
    ("cumulated", "FROM CUMULATE(s, et, INTERVAL '1 second', INTERVAL '4 seconds') GROUP BY k, window_start, window_end"),
    ("sessions", "FROM SESSION(s, et, INTERVAL '300 milliseconds') GROUP BY k, window_start, window_end HAVING count(*) <> 3"),
    ("failing", "FROM HOP(s, et, INTERVAL '2 seconds', INTERVAL '4 seconds') WHERE 12 / i > -3 GROUP BY k, window_start, window_end"),
];

fn script() -> String {
    let metric = |(name, from): &(&str, &str)| {
        format!(
            "CREATE METRIC {name} AS SELECT k, window_start, window_end, count(*) AS rows, sum(i) AS si, max(name) AS hi, sum(x) AS sx {from};\n"
        )
    };
    let metrics: String = METRICS.iter().map(metric).collect();
    format!(
        "CREATE STREAM s ({COLUMNS}, WATERMARK FOR et AS et - INTERVAL '2 seconds');\n{metrics}
         CREATE METRIC totals AS SELECT flag, count(*) AS rows, sum(x) AS sx, count(DISTINCT name) AS names FROM s GROUP BY flag;
         CREATE METRIC recent WITH (ttl = '4s') AS SELECT n, count(*) AS rows, last_value(x) AS l FROM s GROUP BY n;"
    )
}

fn shape_of(random: &mut Random, replicas: usize) -> Shape {
    Shape { threads: random.pick(&[1, 2, 3]), partitions: random.pick(&[1, 3]), flush_rows: random.pick(&[1, 7, 100]), replicas }
}

/// Runs with what breaks; returns how many readers and replicas have broken.
fn run_broken(seeds: std::ops::Range<u64>, what: What, replicas: usize) -> (usize, usize) {
    let sql = script();
    let splits = splits(&mut Random::new(11), ROWS);
    let reference = expected(&sql, &splits);
    let mut all = (0, 0);
    for seed in seeds {
        let mut random = Random::new(seed);
        let shape = shape_of(&mut random, replicas);
        let once_in = random.pick(&[3, 10, 40]);
        let (builder, breaking) = Breaking::plant(shape.builder(), seed, what, once_in, 12);
        let feed = Feed::Cuts { seed, rows_max: 40 };
        let outcome = run_on(builder.build().unwrap(), &sql, &splits, feed);
        let broken = breaking.broken();
        check(&sql, &reference, &splits, &outcome, &format!("seed {seed}, {shape:?}, broken {broken:?}"));
        all = (all.0 + broken.0, all.1 + broken.1);
    }
    all
}

#[test]
fn readers_that_break_are_replaced() {
    let (readers, replicas) = run_broken(0..12, What::Readers, 1);
    assert!(readers > 40 && replicas == 0, "{readers} readers have broken, {replicas} replicas");
}

#[test]
fn replicas_that_break_are_replaced() {
    let (readers, replicas) = run_broken(100..112, What::Replicas, 2);
    assert!(readers == 0 && replicas > 40, "{readers} readers have broken, {replicas} replicas");
}

#[test]
fn readers_and_replicas_that_break_together_are_replaced() {
    let (readers, replicas) = run_broken(200..216, What::Both, 2);
    assert!(readers > 40 && replicas > 40, "{readers} readers have broken, {replicas} replicas");
}

/// The last change of each key and window: its operation and its row.
fn last_changes(batches: &[RecordBatch]) -> BTreeMap<Vec<String>, (String, String)> {
    let mut last = BTreeMap::new();
    for batch in batches {
        let columns: Vec<usize> = (1..batch.num_columns()).collect();
        let rows = batch.project(&columns).expect("columns of the batch");
        for row in 0..batch.num_rows() {
            let cell = |column: usize| value_at(batch.column(column).as_ref(), row).to_string();
            last.insert((1..4).map(cell).collect(), (cell(0), row_text(&rows, row)));
        }
    }
    last
}

#[test]
fn the_last_update_of_each_key_and_window_is_its_closed_row() {
    let sql = script();
    let splits = splits(&mut Random::new(12), ROWS);
    let reference = expected(&sql, &splits);
    let mut broken = 0;
    for seed in 300..310 {
        let mut random = Random::new(seed);
        let shape = shape_of(&mut random, 2);
        let (builder, breaking) = Breaking::plant(shape.builder(), seed, What::Both, random.pick(&[3, 20]), 12);
        let engine = builder.build().unwrap();
        engine.execute(&sql).expect("a right script");
        let subscribe = |name: &str| engine.metric(name).expect("a metric").subscribe_updates(None).expect("rows can be told apart");
        let subscriptions: Vec<Subscription> = METRICS.iter().map(|(name, _)| subscribe(name)).collect();
        let writers: Vec<Writer> = splits.iter().map(|_| engine.writer("s").expect("a stream for writers")).collect();
        let changes: Vec<Vec<RecordBatch>> = std::thread::scope(|scope| {
            let readers: Vec<_> = subscriptions.into_iter().map(|one| scope.spawn(|| drain(one))).collect();
            for (writer, split) in writers.into_iter().zip(&splits) {
                scope.spawn(move || {
                    Feed::Cuts { seed, rows_max: 20 }.push(&writer, split);
                    writer.finish();
                });
            }
            readers.into_iter().map(|reader| reader.join().expect("a subscription is read")).collect()
        });
        assert!(engine.wait_timeout(DEADLINE).expect("the job does not fail"));
        for (position, (name, _)) in METRICS.iter().enumerate() {
            let last = last_changes(&changes[position]);
            let mut upserted: Vec<String> = last.values().filter(|(op, _)| op == "upsert").map(|(_, row)| row.clone()).collect();
            upserted.sort_unstable();
            let difference = difference(&reference.closed_rows(position), &upserted);
            assert_eq!(difference, None, "{name}, seed {seed}, {shape:?}");
        }
        broken += breaking.broken().1;
    }
    assert!(broken > 30, "{broken} replicas have broken");
}
