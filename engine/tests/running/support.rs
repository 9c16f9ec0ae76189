//! Engines with a clock of their own, rows by second, and results as text.

use arrow::array::RecordBatch;
use raympp_engine::sink::encode::encode_csv;
use raympp_engine::stats::SplitStats;
use raympp_engine::{Engine, ManualClock, Subscription, Writer};
use serde::Serialize;
use std::time::Duration;

/// Threads, partitions, replicas: results do not depend on them.
pub(crate) const LAYOUTS: [(usize, u32, usize); 3] = [(1, 1, 1), (2, 3, 2), (3, 2, 1)];

#[derive(Serialize)]
struct Event<'a> {
    k: &'a str,
    t: i64,
}

pub(crate) fn engine(clock: &ManualClock, (threads, partitions, replicas): (usize, u32, usize)) -> Engine {
    let builder = Engine::builder().threads(threads).partitions(partitions).replicas(replicas);
    builder.clock(clock.clone()).build().unwrap()
}

/// Pushes a row with this event time and waits until it counts.
pub(crate) fn push(writer: &Writer, key: &str, second: f64) {
    writer.push(&Event { k: key, t: (second * 1e6) as i64 }).unwrap();
    writer.flush().unwrap();
}

/// Waits for something that threads of the engine are about to do.
pub(crate) fn until(done: impl Fn() -> bool) {
    while !done() {
        std::thread::yield_now();
    }
}

pub(crate) fn split(engine: &Engine, split: usize) -> SplitStats {
    engine.stats().streams[0].splits[split].clone()
}

/// Waits until the watermark of a split is at this second.
pub(crate) fn until_watermark(engine: &Engine, of: usize, second: i64) {
    until(|| split(engine, of).watermark_us == Some(second * 1_000_000));
}

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The next `count` rows of a subscription, sorted, as text.
pub(crate) fn rows(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    while found.len() < count {
        found.extend(lines(&subscription.next().expect("more rows")));
    }
    found.sort();
    found
}

/// All rows until the stream is complete, sorted, as text.
pub(crate) fn all_rows(subscription: &mut Subscription) -> Vec<String> {
    let mut found: Vec<String> = subscription.flat_map(|batch| lines(&batch)).collect();
    found.sort();
    found
}

/// Rows of a batch: values separated by blanks.
pub(crate) fn lines(batch: &RecordBatch) -> Vec<String> {
    let mut out = Vec::new();
    encode_csv(batch, &mut out, false).unwrap();
    String::from_utf8(out).unwrap().lines().map(|line| line.replace(',', " ")).collect()
}
