//! One small stream, its rows, and questions about it.

use arrow::array::RecordBatch;
use raympp_engine::stats::StreamStats;
use raympp_engine::{Engine, Metric, Value, Writer};
use raympp_operators::expr::arrow_types::value_at;
use raympp_tests::job::Shape;
use serde::Serialize;

pub(crate) const SECOND: i64 = 1_000_000;

/// Rows may be a second out of order.
pub(crate) const STREAM: &str = "CREATE STREAM p (k VARCHAR, n BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1 second');";

/// `total` is a running count, `windows` counts by key and second.
pub(crate) const METRICS: &str = "
CREATE METRIC total AS SELECT COUNT(*) AS c, SUM(n) AS s FROM p;
CREATE METRIC windows AS SELECT k, EXTRACT(EPOCH FROM window_start) AS a, COUNT(*) AS c
FROM TUMBLE(p, t, INTERVAL '1 second') GROUP BY k, window_start, window_end;";

/// A row of the stream; event time in seconds.
#[derive(Serialize)]
pub(crate) struct P {
    k: &'static str,
    n: Option<i64>,
    t: Option<i64>,
}

pub(crate) fn p(k: &'static str, n: i64, seconds: f64) -> P {
    P { k, n: Some(n), t: Some((seconds * SECOND as f64) as i64) }
}

pub(crate) fn without_time(k: &'static str) -> P {
    P { k, n: None, t: None }
}

pub(crate) fn engine_of(sql: &str) -> Engine {
    let engine = Shape { threads: 2, partitions: 3, flush_rows: 1000, replicas: 1 }.engine();
    engine.execute(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    engine
}

/// The stream with both metrics.
pub(crate) fn engine() -> Engine {
    engine_of(&format!("{STREAM}{METRICS}"))
}

pub(crate) fn push(writer: &Writer, rows: &[P]) {
    rows.iter().for_each(|row| writer.push(row).expect("a row of the stream"));
    writer.flush().expect("rows are taken");
}

/// The count in a metric's live window of a key.
pub(crate) fn count(metric: &Metric, key: &[&str]) -> Option<i64> {
    let key: Vec<Value> = key.iter().map(|key| Value::from(*key)).collect();
    metric.get(&key).expect("a key of the metric")?.number("c").map(|count| count as i64)
}

pub(crate) fn total(engine: &Engine) -> i64 {
    count(&engine.metric("total").expect("the metric"), &[]).unwrap_or(0)
}

pub(crate) fn stats(engine: &Engine) -> StreamStats {
    let stats = engine.stats().streams.remove(0);
    let broken: u64 = stats.partitions.iter().map(|partition| partition.rows_below_frontier + partition.violations).sum();
    assert_eq!(broken, 0, "invariants are broken");
    stats
}

/// Rows as texts of their values, sorted.
pub(crate) fn lines<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let cell = |column: &arrow::array::ArrayRef, row: usize| value_at(column.as_ref(), row).to_string();
        lines.extend((0..batch.num_rows()).map(|row| batch.columns().iter().map(|c| cell(c, row)).collect::<Vec<_>>().join(" ")));
    }
    lines.sort_unstable();
    lines
}

pub(crate) fn query(engine: &Engine, sql: &str) -> Vec<String> {
    lines([&engine.query(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))])
}
