//! One change at a time.

use crate::support::{Definition, Input, builder, refusal, results, rows, stream, wait_for_rows};
use raympp_engine::{Engine, EngineBuilder};
use raympp_testkit::random::Random;
use raympp_tests::directory::Directory;
use std::time::Duration;

const COUNTS: &str = "SELECT k, window_start, COUNT(*) AS c FROM TUMBLE(p, t, INTERVAL '1 second') GROUP BY k, window_start";

/// Carries a script out on a directory's state, with the file followed.
fn follow(builder: EngineBuilder, input: &Input, metrics: &str) -> Engine {
    let engine = builder.build().unwrap();
    let sql = stream(100, Some((&input.path, true))) + metrics;
    engine.execute(&sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    engine
}

/// Reads what is left of the file to its end.
fn finish(builder: EngineBuilder, input: &Input, metrics: &str) -> Engine {
    let engine = builder.build().unwrap();
    let sql = stream(100, Some((&input.path, false))) + metrics;
    engine.execute(&sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
    engine
}

#[test]
fn what_means_something_else_is_refused_until_it_starts_anew() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "refused-changes");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(1), 400));
    input.append(&all[..200]);
    let before = Definition::new("counts", COUNTS);
    let engine = follow(builder(&directory), &input, &before.create(&directory, "out"));
    wait_for_rows(&engine, 200);
    engine.shutdown().unwrap();
    let changed = [
        ("'2 seconds'", COUNTS.replace("1 second", "2 seconds")),
        ("n > 3", COUNTS.replace(" GROUP BY", " WHERE n > 3 GROUP BY")),
        ("SUM(n)", COUNTS.replace("COUNT(*) AS c", "COUNT(*) AS c, SUM(n) AS s")),
        ("1 / n", COUNTS.replace("COUNT(*) AS c", "COUNT(1 / n) AS c")),
        ("(n", COUNTS.replace("SELECT k", "SELECT n").replace("BY k", "BY n")),
    ];
    let engine = builder(&directory).build().unwrap();
    for (_, select) in &changed {
        let sql = stream(100, Some((&input.path, true))) + &Definition::new("counts", select).create(&directory, "out");
        let message = refusal(&engine, &sql);
        assert!(message.contains("metric counts") && message.contains("--reset counts"), "{message}");
    }
    drop(engine);
    let unknown = builder(&directory).reset_metric("nosuch").build().err().unwrap().to_string();
    assert!(unknown.contains("nosuch") && unknown.contains("it has counts"), "{unknown}");
    input.append(&all[200..]);
    let new = Definition::new("counts", &changed[2].1);
    let engine =
        finish(builder(&directory).reset_metric("counts"), &input, &new.create(&directory, "anew").replace("counts_out", "anew_out"));
    let first = results(&engine, &directory, "anew", &new).remove(0);
    let highest = all[..200].iter().map(|row| row.t).max().unwrap();
    assert!(
        first.contains(&format!("00:00:{:02}.000000", highest / 1_000_000 + 1)),
        "{first}: the first window that starts behind the barrier"
    );
}

#[test]
fn another_projection_or_having_goes_on_with_the_same_state() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "projection");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(2), 300));
    input.append(&all[..150]);
    let totals = "CREATE METRIC totals AS SELECT k, COUNT(*) AS c, SUM(n) AS s FROM p GROUP BY k;";
    let engine = follow(builder(&directory), &input, totals);
    wait_for_rows(&engine, 150);
    engine.shutdown().unwrap();
    input.append(&all[150..]);
    let projected = Definition::new("totals", "SELECT COUNT(*) * 2 AS twice, k FROM p GROUP BY k HAVING k = 'k1'");
    let engine = finish(builder(&directory), &input, &projected.create(&directory, ""));
    let alone = finish(Engine::builder(), &input, &projected.create(&directory, ""));
    assert_eq!(results(&engine, &directory, "", &projected), results(&alone, &directory, "", &projected));
}

#[test]
fn a_backfilled_metric_counts_all_rows_and_goes_on_with_them() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "backfilled");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(3), 600));
    let counts = Definition::new("counts", COUNTS);
    let sums = Definition::new("sums", &COUNTS.replace("COUNT(*)", "SUM(n)"));
    let total = Definition::new("total", "SELECT COUNT(*) AS c, SUM(n) AS s FROM p");
    let backfilled =
        |one: &Definition| one.create(&directory, "out").replace(&one.select, &format!("{} WITH (backfill = true)", one.select));
    let scripts = [counts.create(&directory, "out"), counts.create(&directory, "out") + &backfilled(&sums) + &backfilled(&total)];
    let mut read = 0;
    for (stage, script) in [&scripts[0], &scripts[1], &scripts[1]].into_iter().enumerate() {
        input.append(&all[stage * 150..][..150]);
        read += 150;
        let engine = follow(builder(&directory).partitions(1 + stage as u32), &input, script);
        wait_for_rows(&engine, read);
        engine.shutdown().unwrap();
    }
    input.append(&all[450..]);
    let engine = finish(builder(&directory), &input, &scripts[1]);
    let alone = Engine::builder().build().unwrap();
    let everything = [&counts, &sums, &total].map(|one| one.create(&directory, "alone")).concat();
    alone.execute(&(stream(100, Some((&input.path, false))) + &everything)).unwrap();
    alone.wait().unwrap();
    for one in [&counts, &sums, &total] {
        assert_eq!(results(&engine, &directory, "out", one), results(&alone, &directory, "alone", one), "{}", one.name);
    }
}

#[test]
fn columns_may_come_and_go_but_not_change() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "columns");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(4), 200));
    input.append(&all[..100]);
    let total = "CREATE METRIC total AS SELECT COUNT(*) AS c FROM p;";
    let only = |columns: &str, follow: bool| {
        format!(
            "CREATE STREAM p ({columns}, WATERMARK FOR t AS t - INTERVAL '100 milliseconds')
             WITH (connector = 'file', path = '{}', format = 'csv', follow = {follow}); {total}",
            input.path
        )
    };
    let engine = builder(&directory).build().unwrap();
    engine.execute(&only("t TIMESTAMP, k VARCHAR", true)).unwrap();
    wait_for_rows(&engine, 100);
    engine.shutdown().unwrap();
    let engine = builder(&directory).build().unwrap();
    let retyped = refusal(&engine, &only("k BIGINT, t TIMESTAMP", true));
    assert!(retyped.contains("column k as VARCHAR, the script as BIGINT"), "{retyped}");
    let retimed =
        refusal(&engine, &only("k VARCHAR, t TIMESTAMP", true).replace("t TIMESTAMP", "u TIMESTAMP").replace("FOR t AS t", "FOR u AS u"));
    assert!(retimed.contains("event time"), "{retimed}");
    input.append(&all[100..]);
    engine.execute(&only("n BIGINT, t TIMESTAMP", false)).unwrap();
    assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
    let late = engine.stats().streams[0].late;
    let counted = results(&engine, &directory, "", &Definition::new("total", ""));
    assert_eq!(counted, [format!("c=BigInt({}) closed=Boolean(false) live=Boolean(true)", 200 - late)], "and {late} late rows");
}

#[test]
fn a_stream_that_is_complete_stays_so_beside_one_that_goes_on() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "complete");
    let (input, all) = (Input::new(&directory), rows(&mut Random::new(5), 300));
    let small = directory.write("small.csv", "k,n,t\na,1,1970-01-01 00:00:01\nb,2,1970-01-01 00:00:02\n");
    let script = |follow: bool| {
        let second = stream(100, Some((&small, false))).replace("STREAM p", "STREAM q");
        format!(
            "{}{second} CREATE METRIC total AS SELECT COUNT(*) AS c FROM p; CREATE METRIC of_q AS SELECT k, SUM(n) AS s FROM q GROUP BY k;",
            stream(100, Some((&input.path, follow)))
        )
    };
    for (stage, rows) in all.chunks(100).enumerate() {
        input.append(rows);
        let engine = builder(&directory).keep_checkpoints(2).build().unwrap();
        engine.execute(&script(stage < 2)).unwrap();
        if stage == 2 {
            assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
        } else {
            while engine.stats().streams[0].rows < 100 * (stage as u64 + 1) {
                engine.wait_timeout(Duration::from_millis(1)).unwrap();
            }
            for _ in 0..4 {
                engine.checkpoint().unwrap();
            }
        }
        let of_q = results(&engine, &directory, "", &Definition::new("of_q", ""));
        let expected = [("a", 1), ("b", 2)].map(|(k, s)| format!("k=\"{k}\" s=decimal(38,0):{s} closed=Boolean(false) live=Boolean(true)"));
        assert_eq!(of_q, expected);
        engine.shutdown().unwrap();
    }
}
