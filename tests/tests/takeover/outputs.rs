//! Sinks, checkpoints, look-ups, counters, and what cannot be replaced.

use crate::breaking::{Breaking, What};
use raympp_engine::{Engine, Value};
use raympp_testkit::random::Random;
use raympp_tests::directory::Directory;
use raympp_tests::job::{DEADLINE, Shape};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};

/// Generated payments, some late, into sinks of all kinds.
fn payments(directory: &Directory, out: &str) -> String {
    let sink = |name: &str, from: &str, options: &str| {
        let path = directory.text(&format!("{out}-{name}"));
        format!("CREATE SINK {name}_out FROM {from} WITH (connector = 'file', path = '{path}', format = 'csv'{options});\n")
    };
    format!(
        "CREATE STREAM payments (channel VARCHAR, merchant BIGINT, status VARCHAR, amount DECIMAL(18,2), event_time TIMESTAMP,
           WATERMARK FOR event_time AS event_time - INTERVAL '100 milliseconds')
         WITH (connector = 'payments', rows = '60000', splits = '3', event_rate = '20000', keys = '50', skew = '0.9',
               out_of_orderness = '150ms');
         CREATE METRIC rates AS SELECT channel, window_start, window_end, COUNT(*) AS n, SUM(amount) AS total, MAX(amount) AS most
         FROM HOP(payments, event_time, INTERVAL '50 milliseconds', INTERVAL '1 second') GROUP BY channel, window_start, window_end;
         CREATE METRIC visits AS SELECT merchant, window_start, window_end, COUNT(*) AS n, FIRST_VALUE(channel) AS first
         FROM SESSION(payments, event_time, INTERVAL '20 milliseconds') GROUP BY merchant, window_start, window_end;\n{}{}{}",
        sink("rates", "rates", ", sorted = true, roll = '20ms'"),
        sink("visits", "visits", ", roll = '10ms'"),
        sink("late", "payments_late", ", roll = '10ms'"),
    )
}

fn published(directory: &Directory, out: &str) -> Vec<Vec<String>> {
    let lines = |name: &str| {
        let mut lines = directory.csv_lines(&format!("{out}-{name}"));
        lines.sort_unstable();
        lines
    };
    ["rates", "visits", "late"].map(lines).to_vec()
}

fn run(engine: Engine, sql: &str) {
    engine.execute(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    assert!(engine.wait_timeout(DEADLINE).expect("the job does not fail"), "not done in time");
    engine.shutdown().expect("a clean shutdown");
}

#[test]
fn sinks_publish_each_row_once_with_and_without_checkpoints() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "takeover-sinks");
    run(Shape::ONE.engine(), &payments(&directory, "expected"));
    let expected = published(&directory, "expected");
    assert!(expected.iter().all(|lines| lines.len() > 100), "every sink has rows");
    let mut broken = (0, 0);
    for seed in 0..8 {
        let mut random = Random::new(seed);
        let shape = Shape { threads: 2, partitions: random.pick(&[1, 3]), flush_rows: random.pick(&[50, 500]), replicas: 2 };
        let mut builder = shape.builder();
        if seed % 2 == 0 {
            builder = builder.state_dir(directory.text(&format!("state-{seed}"))).barrier_interval_us(5_000);
        }
        let (builder, breaking) = Breaking::plant(builder, seed, What::Both, 40, 10);
        let out = format!("run{seed}");
        run(builder.build().unwrap(), &payments(&directory, &out));
        assert!(published(&directory, &out) == expected, "seed {seed}, {shape:?}, broken {:?}", breaking.broken());
        broken = (broken.0 + breaking.broken().0, broken.1 + breaking.broken().1);
    }
    assert!(broken.0 > 20 && broken.1 > 20, "broken {broken:?}");
}

/// What a run keeps while readers and replicas break is what the next run needs.
#[test]
fn a_run_goes_on_from_checkpoints_that_were_written_while_things_broke() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "takeover-restarts");
    run(Shape::ONE.engine(), &payments(&directory, "expected"));
    let expected = published(&directory, "expected");
    let mut broken = (0, 0);
    for seed in 20..26 {
        let shape = Shape { threads: 2, partitions: 2, flush_rows: 200, replicas: 2 };
        let state = directory.text(&format!("state-{seed}"));
        let builder = || shape.builder().state_dir(&state).barrier_interval_us(5_000);
        let (breaking_builder, breaking) = Breaking::plant(builder(), seed, What::Both, 20, 20);
        let sql = payments(&directory, &format!("run{seed}"));
        let engine = breaking_builder.build().unwrap();
        engine.execute(&sql).unwrap();
        while engine.stats().streams[0].rows < 10_000 * (seed - 19) && engine.failure().is_none() {
            std::thread::yield_now();
        }
        engine.shutdown().expect("a clean shutdown");
        run(builder().build().unwrap(), &sql);
        assert!(published(&directory, &format!("run{seed}")) == expected, "seed {seed}, broken {:?}", breaking.broken());
        broken = (broken.0 + breaking.broken().0, broken.1 + breaking.broken().1);
    }
    assert!(broken.0 > 15 && broken.1 > 15, "broken {broken:?}");
}

#[derive(Serialize)]
struct P {
    n: i64,
    t: i64,
}

/// Every row adds one to both columns, and a look-up sees one instant; whoever answers knows a prefix of the rows.
#[test]
fn lookups_show_right_numbers_all_the_time() {
    for seed in 0..6 {
        let shape = Shape { threads: 2, partitions: 1, flush_rows: 7, replicas: 2 };
        let (builder, breaking) = Breaking::plant(shape.builder(), seed, What::Both, 20, 15);
        let engine = builder.build().unwrap();
        engine
            .execute(
                "CREATE STREAM p (n BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1 second');
                 CREATE METRIC total AS SELECT COUNT(*) AS c, SUM(n) AS s FROM p;",
            )
            .unwrap();
        let metric = engine.metric("total").unwrap();
        let writer = engine.writer("p").unwrap();
        let done = AtomicBool::new(false);
        let key: [Value; 0] = [];
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Ordering::SeqCst) {
                    if let Some(row) = metric.get(&key).expect("a look-up never fails") {
                        let (count, sum) = (row.number("c"), row.number("s"));
                        assert_eq!(count, sum, "seed {seed}");
                        assert!(count.is_some_and(|count| count <= 3_000.0));
                        seen += 1;
                    }
                }
                seen
            });
            for row in 0..3_000 {
                writer.push(&P { n: 1, t: row * 1_000 }).unwrap();
                if row % 500 == 499 {
                    writer.flush().unwrap();
                }
            }
            writer.flush().unwrap();
            // A standby may have taken over that has yet to apply what it has been sent.
            let at_end = || metric.get(&key).unwrap().is_some_and(|row| row.number("c") == Some(3_000.0));
            while !at_end() {
                std::thread::yield_now();
            }
            done.store(true, Ordering::SeqCst);
            assert!(reader.join().expect("the reader sees right numbers") > 0);
        });
        writer.finish();
        assert!(engine.wait_timeout(DEADLINE).unwrap());
        let stats = engine.stats().streams.remove(0);
        let (readers, replicas) = breaking.broken();
        assert_eq!(stats.readers_replaced, readers as u64);
        assert_eq!(stats.partitions.iter().map(|partition| partition.violations).sum::<u64>(), 0);
        assert!(stats.promotions <= replicas as u64);
        engine.shutdown().unwrap();
    }
}

#[test]
fn the_last_replica_of_a_partition_ends_the_job_with_its_reason() {
    let hook = |place| {
        let at = matches!(place, raympp_engine::plant::Place::Applied { to, .. } if to.0 > 10);
        assert!(!at, "planted");
    };
    let engine = Shape { threads: 2, partitions: 1, flush_rows: 7, replicas: 1 }.builder().plant(hook).build().unwrap();
    engine.execute("CREATE STREAM p (n BIGINT, t TIMESTAMP); CREATE METRIC total AS SELECT COUNT(*) AS c FROM p;").unwrap();
    let writer = engine.writer("p").unwrap();
    (0..50).for_each(|row| writer.push(&P { n: 1, t: row }).unwrap_or_default());
    let error = engine.wait_timeout(DEADLINE).expect_err("nobody can take its place");
    assert!(error.to_string().contains("the last replica of partition 0 has panicked: planted"), "{error}");
}

#[test]
fn a_reader_that_breaks_again_and_again_ends_the_job_with_its_reason() {
    let hook = |place| {
        let at = matches!(place, raympp_engine::plant::Place::Folded { to, .. } if to.0 > 10);
        assert!(!at, "planted");
    };
    let engine = Shape { threads: 2, partitions: 1, flush_rows: 7, replicas: 1 }.builder().plant(hook).build().unwrap();
    engine.execute("CREATE STREAM p (n BIGINT, t TIMESTAMP); CREATE METRIC total AS SELECT COUNT(*) AS c FROM p;").unwrap();
    let writer = engine.writer("p").unwrap();
    (0..50).for_each(|row| writer.push(&P { n: 1, t: row }).unwrap_or_default());
    let error = engine.wait_timeout(DEADLINE).expect_err("it breaks for ever");
    assert!(error.to_string().contains("again and again") && error.to_string().contains("planted"), "{error}");
}
