//! Idle splits: they hold nothing open, their later rows are judged by the floor, and nothing else counts as idle.

use crate::support::{LAYOUTS, all_rows, engine, push, rows, seconds, split, until, until_watermark};
use raympp_engine::{Engine, ManualClock, Subscription};
use std::collections::BTreeMap;

const WINDOW_US: i64 = 10_000_000;

/// A stream of keys with these options, and how many rows each key has in 10 seconds.
fn counting(engine: &Engine, options: &str) -> Subscription {
    let script = format!(
        "CREATE STREAM s (k VARCHAR, t TIMESTAMP, WATERMARK FOR t AS t) {options};
         CREATE METRIC m AS SELECT k, EXTRACT(EPOCH FROM window_end)::BIGINT AS ends, COUNT(*) AS n
         FROM TUMBLE(s, t, INTERVAL '10 seconds') GROUP BY k, window_end"
    );
    engine.execute(&script).unwrap();
    engine.metric("m").unwrap().subscribe()
}

#[test]
fn an_idle_split_lets_the_others_close_windows() {
    for layout in LAYOUTS {
        let clock = ManualClock::new(1_000_000);
        let engine = engine(&clock, layout);
        let mut closed = counting(&engine, "WITH (idle_timeout = '1s')");
        let (silent, busy) = (engine.writer("s").unwrap(), engine.writer("s").unwrap());
        push(&silent, "a", 5.0);
        push(&busy, "b", 5.0);
        clock.advance(seconds(0.9));
        push(&busy, "b", 25.0);
        clock.advance(seconds(0.1));
        assert_eq!(rows(&mut closed, 2), ["a 10 1", "b 10 1"], "{layout:?}");
        until(|| split(&engine, 0).idle);
        assert!(!split(&engine, 1).idle, "it had a row a tenth of a second ago");

        push(&silent, "a", 24.9);
        push(&silent, "a", 25.0);
        assert!(!split(&engine, 0).idle);
        assert_eq!(split(&engine, 0).late, 1, "judged by the floor");
        silent.finish();
        busy.finish();
        assert_eq!(all_rows(&mut closed), ["a 30 1", "b 30 1"], "{layout:?}");
        engine.shutdown().unwrap();
    }
}

#[test]
fn floors_follow_the_active_splits() {
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (2, 2, 1));
    let mut closed = counting(&engine, "WITH (idle_timeout = '1s')");
    let (silent, busy) = (engine.writer("s").unwrap(), engine.writer("s").unwrap());
    push(&silent, "a", 1.0);
    for second in 1..10 {
        clock.advance(seconds(0.5));
        push(&busy, "b", f64::from(second) * 10.0);
        if second > 2 {
            clock.advance(seconds(0.05));
            until_watermark(&engine, 0, i64::from(second) * 10);
        }
    }
    let expected = ["a 10 1", "b 20 1", "b 30 1", "b 40 1", "b 50 1", "b 60 1", "b 70 1", "b 80 1", "b 90 1"];
    assert_eq!(rows(&mut closed, 9), expected);
    engine.shutdown().unwrap();
}

#[test]
fn with_no_split_active_the_clock_closes_the_last_windows() {
    for layout in LAYOUTS {
        let clock = ManualClock::new(77);
        let engine = engine(&clock, layout);
        let mut closed = counting(&engine, "WITH (idle_timeout = '1s')");
        let (first, second) = (engine.writer("s").unwrap(), engine.writer("s").unwrap());
        push(&first, "a", 3.0);
        push(&second, "b", 12.0);
        clock.advance(seconds(1.0));
        until_watermark(&engine, 0, 13);
        until_watermark(&engine, 1, 13);
        assert_eq!(rows(&mut closed, 1), ["a 10 1"], "{layout:?}");
        clock.advance(seconds(6.0));
        until_watermark(&engine, 0, 19);
        push(&first, "a", 18.9);
        push(&first, "a", 19.0);
        assert_eq!(split(&engine, 0).late, 1);
        clock.advance(seconds(1.0));
        assert_eq!(rows(&mut closed, 2), ["a 20 1", "b 20 1"], "{layout:?}");
        drop((first, second));
        engine.shutdown().unwrap();
    }
}

#[test]
fn without_a_timeout_silence_holds_windows_open() {
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (2, 2, 1));
    let mut closed = counting(&engine, "");
    let (silent, busy) = (engine.writer("s").unwrap(), engine.writer("s").unwrap());
    push(&silent, "a", 5.0);
    push(&busy, "b", 25.0);
    clock.advance(seconds(86_400.0));
    push(&busy, "b", 26.0);
    push(&silent, "a", 6.0);
    silent.finish();
    busy.finish();
    assert_eq!(all_rows(&mut closed), ["a 10 2", "b 30 2"]);
    assert_eq!(engine.stats().streams[0].late, 0);
    engine.shutdown().unwrap();
}

#[test]
fn back_pressure_is_not_idleness() {
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (1, 1, 1));
    let mut closed = counting(&engine, "WITH (idle_timeout = '1s')");
    let writer = engine.writer("s").unwrap();
    let held = || engine.stats().streams[0].held;
    let mut windows = 0;
    while !held() {
        writer.push(&BTreeMap::from([("t", windows * WINDOW_US)])).unwrap();
        windows += 1;
        until(|| held() || split(&engine, 0).rows == windows as u64);
    }
    writer.push(&BTreeMap::from([("t", windows * WINDOW_US)])).unwrap();
    clock.advance(seconds(86_400.0));
    assert_eq!(rows(&mut closed, windows as usize).len(), windows as usize);
    assert_eq!(engine.stats().streams[0].late, 0, "the row waited for the consumer, not for the split");
    writer.finish();
    assert_eq!(all_rows(&mut closed), [format!(" {} 1", (windows + 1) * 10)]);
    engine.shutdown().unwrap();
}

#[test]
fn a_lost_writer_holds_windows_for_the_disconnect_timeout() {
    for layout in LAYOUTS {
        let clock = ManualClock::new(0);
        let engine = engine(&clock, layout);
        let mut closed = counting(&engine, "WITH (disconnect_timeout = '5s')");
        let (lost, other) = (engine.writer("s").unwrap(), engine.writer("s").unwrap());
        push(&lost, "a", 5.0);
        push(&other, "b", 25.0);
        drop(lost);
        until(|| split(&engine, 0).lost);
        clock.advance(seconds(4.9));
        push(&other, "b", 26.0);
        assert!(!split(&engine, 0).idle, "{layout:?}");
        clock.advance(seconds(0.1));
        assert_eq!(rows(&mut closed, 1), ["a 10 1"], "{layout:?}");
        other.finish();
        clock.advance(seconds(10.0));
        assert_eq!(rows(&mut closed, 1), ["b 30 2"], "with none left the clock goes on");
        assert!(!engine.stats().streams[0].complete, "a lost writer has not ended");
        engine.shutdown().unwrap();
    }
}

#[test]
fn a_writer_that_joins_idle_splits_starts_at_their_floor() {
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (2, 2, 2));
    let mut closed = counting(&engine, "WITH (idle_timeout = '1s')");
    let first = engine.writer("s").unwrap();
    push(&first, "a", 5.0);
    clock.advance(seconds(8.0));
    until_watermark(&engine, 0, 13);
    let second = engine.writer("s").unwrap();
    push(&second, "b", 12.9);
    push(&second, "b", 13.0);
    assert_eq!(split(&engine, 1).late, 1);
    first.finish();
    second.finish();
    assert_eq!(all_rows(&mut closed), ["a 10 1", "b 20 1"]);
    engine.shutdown().unwrap();
}
