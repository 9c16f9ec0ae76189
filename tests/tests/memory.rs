//! Memory is held by what windows hold, not by how long the stream is: 50 million rows, each with a key of its own, in small windows.
//!
//! In a process of its own, since the resident size is the process's. On other systems than Linux only the counters are checked.
#![allow(missing_docs, reason = "tests")]

use arrow::array::{Int64Array, RecordBatch, TimestampMicrosecondArray};
use raympp_engine::{Engine, Writer};
use raympp_tests::job::{DEADLINE, drain};
use std::sync::Arc;

const ROWS: i64 = 50_000_000;
const BATCH_ROWS: i64 = 50_000;
/// Rows in a second of event time; a window is a second long.
const EVENT_RATE: i64 = 50_000;

const SCRIPT: &str = "
CREATE STREAM s (k BIGINT, n BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1 second');
CREATE METRIC m AS SELECT k, window_end, COUNT(*) AS c, SUM(n) AS s FROM TUMBLE(s, t, INTERVAL '1 second')
GROUP BY k, window_start, window_end HAVING COUNT(*) > 1;";

/// Bytes of memory that the process has in use; 0 where that can't be told.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

/// Rows `first..first + BATCH_ROWS`: each has a key of its own.
fn batch(first: i64) -> RecordBatch {
    let numbers = || first..first + BATCH_ROWS;
    let times = numbers().map(|number| number * (1_000_000 / EVENT_RATE));
    RecordBatch::try_from_iter([
        ("k", Arc::new(Int64Array::from_iter_values(numbers())) as _),
        ("n", Arc::new(Int64Array::from_iter_values(numbers())) as _),
        ("t", Arc::new(TimestampMicrosecondArray::from_iter_values(times)) as _),
    ])
    .expect("columns of one length")
}

fn push(writer: &Writer, rows: std::ops::Range<i64>) {
    for first in rows.step_by(BATCH_ROWS as usize) {
        writer.push_batch(&batch(first)).expect("the stream's columns");
    }
    writer.flush().expect("rows are taken");
}

#[test]
fn memory_does_not_grow_with_the_stream() {
    let engine = Engine::builder().threads(1).partitions(2).build().expect("options");
    engine.execute(SCRIPT).expect("a right script");
    let subscription = engine.metric("m").expect("the metric").subscribe();
    let reader = std::thread::spawn(|| drain(subscription));
    let writer = engine.writer("s").expect("a stream for writers");
    let tenth = ROWS / 10;
    push(&writer, 0..tenth);
    let warm = resident_bytes();
    let mut highest = 0;
    for part in 1..10 {
        push(&writer, part * tenth..(part + 1) * tenth);
        highest = highest.max(resident_bytes());
        let stats = engine.stats().streams.remove(0);
        let keys: u64 = stats.partitions.iter().map(|partition| partition.keys).sum();
        let open = stats.rows - stats.windows_closed;
        println!("{} rows: {} MiB, {keys} keys, {open} windows to close", stats.rows, resident_bytes() >> 20);
        assert!(keys <= 10 * EVENT_RATE as u64, "{keys} keys are kept");
        assert!(open <= 30 * EVENT_RATE as u64, "closing is behind by {open} windows");
    }
    println!("resident: {} MiB after a tenth, {} MiB at most afterwards", warm >> 20, highest >> 20);
    // How far closing is behind varies; if anything grew with the rows, it would be nine times as much.
    assert!(highest <= warm + warm / 2 + (32 << 20), "from {warm} to {highest} bytes");
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("the job does not fail"));
    let stats = engine.stats().streams.remove(0);
    assert_eq!((stats.rows, stats.late, stats.windows_closed), (ROWS as u64, 0, ROWS as u64));
    assert_eq!(stats.partitions.iter().map(|partition| partition.rows_below_frontier + partition.violations).sum::<u64>(), 0);
    assert_eq!(reader.join().expect("the subscription is read").iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}
