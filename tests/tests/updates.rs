//! EMIT ON UPDATE: steps may differ from run to run, the last row per key and window may not.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use arrow::array::{ArrayRef, RecordBatch};
use raympp_engine::{Engine, Subscription, Value, Writer};
use raympp_operators::expr::arrow_types::value_at;
use raympp_testkit::generate::splits::TextEncoding;
use raympp_testkit::generate::{COLUMNS, SplitsShape, splits};
use raympp_testkit::random::Random;
use raympp_testkit::reference::SplitRows;
use raympp_testkit::rows::{difference, row_text};
use raympp_tests::directory::Directory;
use raympp_tests::feed::Feed;
use raympp_tests::job::{DEADLINE, Shape, drain, expected};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Metrics whose keys and windows are their first three columns; HAVING comes and goes as rows are added.
const METRICS: [(&str, &str); 4] = [
    ("tumbled", "FROM TUMBLE(s, et, INTERVAL '2 seconds') GROUP BY k, window_start, window_end HAVING count(*) < 4"),
    ("hopped", "FROM HOP(s, et, INTERVAL '1 second', INTERVAL '5 seconds') GROUP BY k, window_start, window_end HAVING sum(i) % 3 <> 0"),
    ("cumulated", "FROM CUMULATE(s, et, INTERVAL '1 second', INTERVAL '4 seconds') GROUP BY k, window_start, window_end"),
    ("sessions", "FROM SESSION(s, et, INTERVAL '800 milliseconds') GROUP BY k, window_start, window_end HAVING count(*) <> 3"),
];

const ROWS: SplitsShape = SplitsShape {
    splits: 2,
    rows: 600,
    batch_rows: 30,
    keys: 8,
    start_us: 0,
    step_us: 60_000,
    disorder_us: 3_000_000,
    null_once_in: 12,
    null_time_once_in: 50,
    leap_once_in: 0,
    undecodable_once_in: 0,
    text: TextEncoding::Plain,
};

fn script() -> String {
    let metric = |(name, from): &(&str, &str)| {
        format!("CREATE METRIC {name} AS SELECT k, window_start, window_end, count(*) AS rows, sum(i) AS si, max(name) AS hi {from};\n")
    };
    let metrics: String = METRICS.iter().map(metric).collect();
    format!("CREATE STREAM s ({COLUMNS}, WATERMARK FOR et AS et - INTERVAL '2 seconds');\n{metrics}")
}

/// The last change of each key and window: its operation and its row.
fn last_changes(batches: &[RecordBatch]) -> BTreeMap<Vec<String>, (String, String)> {
    let mut last = BTreeMap::new();
    for batch in batches {
        assert_eq!(batch.schema_ref().field(0).name(), "op");
        let columns: Vec<usize> = (1..batch.num_columns()).collect();
        let rows = batch.project(&columns).expect("columns of the batch");
        for row in 0..batch.num_rows() {
            let cell = |column: usize| value_at(batch.column(column).as_ref(), row).to_string();
            last.insert((1..4).map(cell).collect(), (cell(0), row_text(&rows, row)));
        }
    }
    last
}

fn upserted(last: &BTreeMap<Vec<String>, (String, String)>) -> Vec<String> {
    let mut rows: Vec<String> = last.values().filter(|(op, _)| op == "upsert").map(|(_, row)| row.clone()).collect();
    rows.sort_unstable();
    rows
}

fn feed_all(engine: &Engine, splits: &[SplitRows]) {
    let writers: Vec<Writer> = splits.iter().map(|_| engine.writer("s").expect("a stream for writers")).collect();
    std::thread::scope(|scope| {
        for (writer, split) in writers.into_iter().zip(splits) {
            scope.spawn(move || {
                Feed::Cuts { seed: 3, rows_max: 20 }.push(&writer, split);
                writer.finish();
            });
        }
    });
}

#[test]
fn the_last_row_of_each_key_and_window_is_its_closed_row() {
    let splits = splits(&mut Random::new(1), ROWS);
    let reference = expected(&script(), &splits);
    let shapes = [
        Shape::ONE,
        Shape { threads: 1, partitions: 3, flush_rows: 1, replicas: 1 },
        Shape { threads: 2, partitions: 3, flush_rows: 7, replicas: 2 },
        Shape { threads: 4, partitions: 16, flush_rows: 4096, replicas: 1 },
    ];
    for shape in shapes {
        for every in [None, Some(Duration::from_millis(1)), Some(Duration::from_secs(3600))] {
            let engine = shape.engine();
            engine.execute(&script()).expect("a right script");
            let subscribe = |name: &str| engine.metric(name).expect("a metric").subscribe_updates(every).expect("rows can be told apart");
            let subscriptions: Vec<Subscription> = METRICS.iter().map(|(name, _)| subscribe(name)).collect();
            let changes: Vec<Vec<RecordBatch>> = std::thread::scope(|scope| {
                let readers: Vec<_> = subscriptions.into_iter().map(|one| scope.spawn(|| drain(one))).collect();
                feed_all(&engine, &splits);
                readers.into_iter().map(|reader| reader.join().expect("a subscription is read")).collect()
            });
            for (position, (name, _)) in METRICS.iter().enumerate() {
                let last = last_changes(&changes[position]);
                let difference = difference(&reference.closed_rows(position), &upserted(&last));
                assert_eq!(difference, None, "{name}, {shape:?}, every {every:?}");
            }
            assert!(engine.wait_timeout(DEADLINE).expect("the job does not fail"));
        }
    }
}

#[test]
fn a_sink_is_given_the_same_as_a_subscription() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "updates-sink");
    let splits = splits(&mut Random::new(2), ROWS);
    let engine = Shape { threads: 2, partitions: 3, flush_rows: 7, replicas: 1 }.engine();
    let mut sql = script();
    for (name, _) in METRICS {
        let path = directory.text(name);
        sql += &format!("CREATE SINK {name}_out FROM {name} EMIT ON UPDATE WITH (connector = 'file', path = '{path}', format = 'csv');\n");
        let path = directory.text(&format!("{name}-closed"));
        sql += &format!("CREATE SINK {name}_closed FROM {name} WITH (connector = 'file', path = '{path}', format = 'csv');\n");
    }
    engine.execute(&sql).expect("a right script");
    feed_all(&engine, &splits);
    assert!(engine.wait_timeout(DEADLINE).expect("the job does not fail"));
    for (name, _) in METRICS {
        let mut last: BTreeMap<String, (String, String)> = BTreeMap::new();
        for line in directory.csv_lines(name) {
            let (op, row) = line.split_once(',').expect("op comes first");
            let key = row.splitn(4, ',').take(3).collect::<Vec<_>>().join(",");
            last.insert(key, (op.to_owned(), row.to_owned()));
        }
        let mut upserted: Vec<String> = last.into_values().filter(|(op, _)| op == "upsert").map(|(_, row)| row).collect();
        upserted.sort_unstable();
        let mut closed = directory.csv_lines(&format!("{name}-closed"));
        closed.sort_unstable();
        assert!(closed.len() > 10, "{name} has rows");
        assert_eq!(difference(&closed, &upserted), None, "{name}");
    }
}

#[derive(Serialize)]
struct P {
    k: &'static str,
    n: i64,
    t: i64,
}

const STREAM: &str = "CREATE STREAM p (k VARCHAR, n BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1 minute');";

/// Each row of the next batch as "op k rows".
fn next_changes(subscription: &mut Subscription) -> Vec<String> {
    lines(&subscription.next_timeout(DEADLINE).expect("a change comes"))
}

/// Rows as texts of their values, times in seconds.
fn lines(batch: &RecordBatch) -> Vec<String> {
    let cell = |column: &ArrayRef, row: usize| match value_at(column.as_ref(), row) {
        Value::Timestamp(us) => (us / SECOND).to_string(),
        value => value.to_string(),
    };
    let line = |row: usize| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join(" ");
    (0..batch.num_rows()).map(line).collect()
}

fn one_metric(select: &str) -> (Engine, Writer, Subscription) {
    let engine = Shape::ONE.engine();
    engine.execute(&format!("{STREAM} CREATE METRIC m AS {select};")).expect("a right script");
    let subscription = engine.metric("m").expect("the metric").subscribe_updates(None).expect("rows can be told apart");
    let writer = engine.writer("p").expect("a stream for writers");
    (engine, writer, subscription)
}

const SECOND: i64 = 1_000_000;

#[test]
fn a_row_that_stops_satisfying_having_is_deleted() {
    let from = "FROM TUMBLE(p, t, INTERVAL '1 hour') GROUP BY k, window_start, window_end HAVING COUNT(*) < 3";
    let (_engine, writer, mut subscription) = one_metric(&format!("SELECT k, window_start, COUNT(*) AS c {from}"));
    let push = |n: i64| writer.push(&P { k: "a", n, t: n * SECOND }).expect("a row");
    push(1);
    assert_eq!(next_changes(&mut subscription), ["upsert a 0 1"]);
    push(2);
    assert_eq!(next_changes(&mut subscription), ["upsert a 0 2"]);
    push(3);
    assert_eq!(next_changes(&mut subscription), ["delete a 0 NULL"]);
    push(4);
    writer.finish();
    assert_eq!(drain(subscription).iter().flat_map(lines).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn sessions_that_merge_are_deleted() {
    let select = "SELECT k, window_start, window_end, COUNT(*) AS c
                  FROM SESSION(p, t, INTERVAL '10 seconds') GROUP BY k, window_start, window_end";
    let (_engine, writer, mut subscription) = one_metric(select);
    let push = |t: i64| writer.push(&P { k: "a", n: 0, t: t * SECOND }).expect("a row");
    push(0);
    assert_eq!(next_changes(&mut subscription), ["upsert a 0 10 1"]);
    push(15);
    assert_eq!(next_changes(&mut subscription), ["upsert a 15 25 1"]);
    push(8);
    assert_eq!(next_changes(&mut subscription), ["delete a 0 10 NULL", "delete a 15 25 NULL", "upsert a 0 25 3"]);
    push(70);
    assert_eq!(next_changes(&mut subscription), ["upsert a 70 80 1"]);
    writer.finish();
    assert_eq!(drain(subscription).iter().flat_map(lines).collect::<Vec<_>>(), ["upsert a 0 25 3", "upsert a 70 80 1"]);
}

/// A receiver keeps the last row per key and window, so it must see both.
#[test]
fn rows_that_cannot_be_told_apart_are_refused() {
    let engine = Shape::ONE.engine();
    engine.execute(STREAM).expect("a right script");
    for (number, (select, missing)) in [
        ("k, COUNT(*) AS c FROM TUMBLE(p, t, INTERVAL '1 s') GROUP BY k, window_end", Some("window_end")),
        ("upper(k) AS k, window_end FROM HOP(p, t, INTERVAL '1 s', INTERVAL '2 s') GROUP BY p.k, window_end", Some("k")),
        ("window_start, COUNT(*) AS c FROM HOP(p, t, INTERVAL '1 s', INTERVAL '2 s') GROUP BY k, n, window_start", Some("k, n")),
        ("k, window_start FROM CUMULATE(p, t, INTERVAL '1 s', INTERVAL '2 s') GROUP BY k, window_start", Some("window_end")),
        ("k, window_end FROM SESSION(p, t, INTERVAL '1 s') GROUP BY k, window_end", Some("window_start")),
        ("COUNT(*) AS c FROM p GROUP BY k", Some("k")),
        ("k, window_start FROM HOP(p, t, INTERVAL '1 s', INTERVAL '2 s') GROUP BY k, window_start", None),
        ("k, window_end FROM CUMULATE(p, t, INTERVAL '1 s', INTERVAL '2 s') GROUP BY k, window_end", None),
        ("COUNT(*) AS c FROM p", None),
    ]
    .into_iter()
    .enumerate()
    {
        engine.execute(&format!("CREATE METRIC m{number} AS SELECT {select}")).unwrap_or_else(|error| panic!("{error}"));
        let subscribed = engine.metric(&format!("m{number}")).expect("the metric").subscribe_updates(None).map(drop);
        let sink = format!("{STREAM} CREATE METRIC m AS SELECT {select}; CREATE SINK s FROM m EMIT ON UPDATE WITH (connector = 'stdout')");
        let sink = Engine::check(&sink);
        match missing {
            None => assert!(subscribed.is_ok() && sink.is_ok(), "{select}"),
            Some(missing) => {
                let expected = format!("SELECT does not show {missing}");
                assert!(subscribed.is_err_and(|error| error.to_string().ends_with(&expected)), "{select}");
                assert!(sink.is_err_and(|error| error.to_string().contains(&format!("does not show {missing}; add"))), "{select}");
            }
        }
    }
}

#[test]
fn an_interval_holds_changes_back_but_not_the_final_row() {
    let engine = Shape::ONE.engine();
    let select = "SELECT k, window_start, COUNT(*) AS c FROM TUMBLE(p, t, INTERVAL '1 hour') GROUP BY k, window_start, window_end";
    engine.execute(&format!("{STREAM} CREATE METRIC m AS {select};")).expect("a right script");
    let mut subscription =
        engine.metric("m").expect("the metric").subscribe_updates(Some(Duration::from_secs(3600))).expect("rows can be told apart");
    let writer = engine.writer("p").expect("a stream for writers");
    let push = |n: i64| writer.push(&P { k: "a", n, t: n * SECOND }).expect("a row");
    push(1);
    assert_eq!(next_changes(&mut subscription), ["upsert a 0 1"]);
    for n in 2..100 {
        push(n);
        writer.flush().expect("rows are taken");
    }
    writer.finish();
    assert_eq!(drain(subscription).iter().flat_map(lines).collect::<Vec<_>>(), ["upsert a 0 99"]);
}

#[test]
fn a_running_total_ends_with_its_last_value() {
    for every in [None, Some(Duration::from_secs(3600))] {
        for with in ["", " WITH (ttl = '5 seconds')"] {
            let engine = Shape { threads: 2, partitions: 3, flush_rows: 7, replicas: 1 }.engine();
            engine
                .execute(&format!("{STREAM} CREATE METRIC m{with} AS SELECT k, COUNT(*) AS c FROM p GROUP BY k;"))
                .expect("a right script");
            let subscription = engine.metric("m").expect("the metric").subscribe_updates(every).expect("rows can be told apart");
            let writer = engine.writer("p").expect("a stream for writers");
            for n in 0..300 {
                writer.push(&P { k: ["a", "b", "c"][n as usize % 3], n, t: n * SECOND / 10 }).expect("a row");
            }
            writer.finish();
            let mut last: BTreeMap<String, String> = BTreeMap::new();
            for line in drain(subscription).iter().flat_map(lines) {
                let (op, key, count) = (line.split(' ').next(), line.split(' ').nth(1), line.split(' ').nth(2));
                last.insert(key.unwrap().to_owned(), format!("{} {}", op.unwrap(), count.unwrap()));
            }
            assert_eq!(
                last.into_iter().map(|(key, change)| format!("{key} {change}")).collect::<Vec<_>>(),
                ["a upsert 100", "b upsert 100", "c upsert 100"]
            );
        }
    }
}

/// A group that starts anew is still the one row of its key, and its last change is not the deletion of the old one.
#[test]
fn a_group_that_starts_anew_replaces_the_old_one() {
    let engine = Shape::ONE.engine();
    engine.execute(&format!("{STREAM} CREATE METRIC m WITH (ttl = '5 seconds') AS SELECT k, COUNT(*) AS c FROM p GROUP BY k;")).unwrap();
    let mut subscription = engine.metric("m").expect("the metric").subscribe_updates(None).expect("rows can be told apart");
    let writer = engine.writer("p").expect("a stream for writers");
    for (t, expected) in [(0, "upsert a 1"), (1, "upsert a 2"), (100, "upsert a 1"), (102, "upsert a 2")] {
        writer.push(&P { k: "a", n: 0, t: t * SECOND }).expect("a row");
        assert_eq!(next_changes(&mut subscription), [expected]);
    }
    writer.finish();
    assert_eq!(drain(subscription).iter().flat_map(lines).collect::<Vec<_>>(), [""; 0]);
}

/// A change that an interval holds back comes out although its group is forgotten before the interval is over.
#[test]
fn a_forgotten_group_ends_with_its_last_value() {
    let engine = Shape::ONE.engine();
    engine.execute(&format!("{STREAM} CREATE METRIC m WITH (ttl = '5 seconds') AS SELECT k, COUNT(*) AS c FROM p GROUP BY k;")).unwrap();
    let mut subscription =
        engine.metric("m").expect("the metric").subscribe_updates(Some(Duration::from_secs(3600))).expect("rows can be told apart");
    let writer = engine.writer("p").expect("a stream for writers");
    let push = |k, t: i64| writer.push(&P { k, n: 0, t: t * SECOND }).expect("a row");
    push("a", 0);
    assert_eq!(next_changes(&mut subscription), ["upsert a 1"]);
    for (k, t) in [("a", 1), ("a", 2), ("b", 1000), ("c", 2000)] {
        push(k, t);
        writer.flush().expect("rows are taken");
    }
    writer.finish();
    let mut last: Vec<String> = drain(subscription).iter().flat_map(lines).collect();
    last.sort_unstable();
    assert_eq!(last, ["upsert a 3", "upsert b 1", "upsert c 1"]);
}

/// Rows of each key's last group, if there are not two of them: what `HAVING COUNT(*) <> 2` leaves.
fn last_groups(rows: &[(&'static str, i64)], ttl_us: i64) -> BTreeMap<String, i64> {
    let mut groups: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for &(key, t) in rows {
        let (count, last) = groups.entry(key.to_owned()).or_insert((0, t));
        *count = if t - *last < ttl_us { *count + 1 } else { 1 };
        *last = t;
    }
    groups.into_iter().map(|(key, (count, _))| (key, count)).filter(|(_, count)| *count != 2).collect()
}

/// Keys come, are forgotten, give their ids to others and come again, and HAVING refuses some of their totals.
#[test]
fn the_last_row_of_each_group_with_a_time_to_live_is_its_last_total() {
    const KEYS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut random = Random::new(7);
    let mut t = 0;
    let mut draw = || {
        t += random.between(0, 1500) * 1000;
        (random.pick(&KEYS), t)
    };
    let rows: Vec<(&str, i64)> = (0..400).map(|_| draw()).collect();
    let expected = last_groups(&rows, 3 * SECOND);
    assert!((4..KEYS.len()).contains(&expected.len()), "HAVING refuses some: {expected:?}");
    let sql = "CREATE STREAM p (k VARCHAR, n BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '0 seconds');
               CREATE METRIC m WITH (ttl = '3 seconds') AS SELECT k, COUNT(*) AS c FROM p GROUP BY k HAVING COUNT(*) <> 2;";
    for shape in [Shape::ONE, Shape { threads: 2, partitions: 3, flush_rows: 1, replicas: 2 }] {
        for every in [None, Some(Duration::from_millis(1)), Some(Duration::from_secs(3600))] {
            let engine = shape.engine();
            engine.execute(sql).expect("a right script");
            let subscription = engine.metric("m").expect("the metric").subscribe_updates(every).expect("rows can be told apart");
            let writer = engine.writer("p").expect("a stream for writers");
            for &(k, t) in &rows {
                writer.push(&P { k, n: 0, t }).expect("a row");
                writer.flush().expect("rows are taken");
            }
            writer.finish();
            let mut last: BTreeMap<String, i64> = BTreeMap::new();
            for line in drain(subscription).iter().flat_map(lines) {
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["upsert", key, count] => drop(last.insert(key.to_owned(), count.parse().expect("a count"))),
                    ["delete", key, _] => drop(last.remove(key).expect("what is deleted was there")),
                    _ => panic!("{line}"),
                }
            }
            assert_eq!(last, expected, "{shape:?}, every {every:?}");
        }
    }
}
