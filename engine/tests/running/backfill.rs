//! A metric that is added to a running stream with backfill counts as if it had been there from the start.

use crate::support::{LAYOUTS, all_rows, engine, push, seconds, until};
use raympp_engine::{Engine, Error, ManualClock};

const STREAM: &str = "CREATE STREAM p (channel VARCHAR, amount DECIMAL(18,2), event_time TIMESTAMP,
                      WATERMARK FOR event_time AS event_time - INTERVAL '1 second')";
const PAYMENTS: &str = "WITH (connector = 'payments', rows = 200000, splits = 3, event_rate = 1000, out_of_orderness = '2s'";

/// A metric over 10 seconds.
fn metric(name: &str, options: &str) -> String {
    format!(
        "CREATE METRIC {name} {options} AS SELECT channel, window_end, COUNT(*) AS n, SUM(amount) AS volume
         FROM HOP(p, event_time, INTERVAL '5 seconds', INTERVAL '10 seconds') GROUP BY channel, window_end"
    )
}

/// Waits for the row that is due at once, from which on the source is paced.
fn until_reading(engine: &Engine) {
    until(|| engine.stats().streams[0].rows > 0);
}

/// Rows of the metric when the first script has it.
fn expected() -> Vec<String> {
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (1, 1, 1));
    engine.execute(&format!("{STREAM} {PAYMENTS}, rate = 100000); {}", metric("m", ""))).unwrap();
    let mut closed = engine.metric("m").unwrap().subscribe();
    until_reading(&engine);
    clock.advance(seconds(10.0));
    let rows = all_rows(&mut closed);
    engine.shutdown().unwrap();
    rows
}

/// The closed windows of metric m that are retained, sorted.
fn closed_rows(engine: &Engine) -> Vec<String> {
    let rows = engine.query("SELECT channel, window_end, n, volume FROM m WHERE closed").unwrap();
    let mut found = crate::support::lines(&rows);
    found.sort();
    found
}

#[test]
fn rows_are_those_of_a_metric_of_the_first_script() {
    let expected = expected();
    assert!(expected.len() > 1_000, "{}", expected.len());
    for layout in LAYOUTS {
        let clock = ManualClock::new(0);
        let engine = engine(&clock, layout);
        engine.execute(&format!("{STREAM} {PAYMENTS}, rate = 100000); {}", metric("first", ""))).unwrap();
        let mut first = engine.metric("first").unwrap().subscribe();
        until_reading(&engine);
        clock.advance(seconds(1.0));
        let seen = first.next();
        assert!(seen.is_some(), "the stream is well under way");
        // Who subscribes now may come after the first windows, since what is due is read at once; a SELECT shows all that are retained.
        engine.execute(&metric("m", "WITH (backfill = true, retention = '1 day')")).unwrap();
        clock.advance(seconds(9.0));
        engine.wait().unwrap();
        assert_eq!(closed_rows(&engine), expected, "{layout:?}");
        let stats = engine.stats();
        let names: Vec<&str> = stats.streams.iter().map(|stream| stream.name.as_str()).collect();
        assert_eq!(names, ["p", "p read again for m"]);
        assert_eq!((stats.streams[0].late, stats.streams[0].rows), (stats.streams[1].late, stats.streams[1].rows));
        engine.shutdown().unwrap();
    }
}

#[test]
fn an_ended_stream_is_read_again() {
    let expected = expected();
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (2, 2, 1));
    engine.execute(&format!("{STREAM} {PAYMENTS}); {}", metric("first", ""))).unwrap();
    engine.wait().unwrap();
    engine.execute(&metric("m", "WITH (backfill = true, retention = '1 day')")).unwrap();
    engine.wait().unwrap();
    assert_eq!(closed_rows(&engine), expected);
    assert!(engine.explain("m").unwrap().contains("metric m"));
    engine.execute("DROP METRIC m").unwrap();
    assert_eq!(engine.stats().streams.len(), 1, "nothing is left of the second reading");
    assert!(matches!(engine.metric("m"), Err(Error::Unknown(_))));
    engine.execute(&metric("m", "")).unwrap();
    engine.shutdown().unwrap();
}

#[test]
fn a_second_reading_is_not_behind_a_paced_stream() {
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (1, 1, 1));
    engine.execute(&format!("{STREAM} {PAYMENTS}, rate = 1000); {}", metric("first", ""))).unwrap();
    let mut first = engine.metric("first").unwrap().subscribe();
    until_reading(&engine);
    clock.advance(seconds(50.0));
    assert!(first.next().is_some());
    engine.execute(&metric("m", "WITH (backfill = true, retention = '1 day')")).unwrap();
    // Rows that were due before are due, though the clock stands still. Who subscribes now may come after their windows.
    until(|| !closed_rows(&engine).is_empty());
    engine.shutdown().unwrap();
}

#[test]
fn rows_of_writers_are_not_kept_for_it() {
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (1, 1, 1));
    engine.execute("CREATE STREAM s (k VARCHAR, t TIMESTAMP)").unwrap();
    let count = |name: &str| format!("CREATE METRIC {name} WITH (backfill = true) AS SELECT k, COUNT(*) AS n FROM s GROUP BY k");
    engine.execute(&count("early")).unwrap();
    let writer = engine.writer("s").unwrap();
    push(&writer, "a", 1.0);
    let script = format!("CREATE STREAM other (a BIGINT); {}", count("m"));
    let error = engine.execute(&script).unwrap_err().to_string();
    assert!(error.contains("metric m: backfill = true") && error.contains("writers have fed stream s"), "{error}");
    assert_eq!(names(&engine, "STREAMS"), ["s"], "nothing of the script takes effect");
    assert_eq!(names(&engine, "METRICS"), ["early"]);
    engine.execute("CREATE METRIC m AS SELECT k, COUNT(*) AS n FROM s GROUP BY k").unwrap();
    writer.finish();
    engine.shutdown().unwrap();
}

fn names(engine: &Engine, kind: &str) -> Vec<String> {
    match engine.execute(&format!("SHOW {kind}")).unwrap().pop() {
        Some(raympp_engine::Answer::Names(names)) => names,
        other => panic!("{other:?}"),
    }
}
