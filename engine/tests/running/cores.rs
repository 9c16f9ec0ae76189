//! Streams that share a core share its time.

use crate::support::{engine, push};
use raympp_engine::ManualClock;

#[test]
fn a_stream_without_end_starves_no_other() {
    let clock = ManualClock::new(0);
    let engine = engine(&clock, (1, 1, 1));
    engine
        .execute(
            "CREATE STREAM endless (channel VARCHAR, event_time TIMESTAMP, WATERMARK FOR event_time AS event_time)
             WITH (connector = 'payments', start = '1971-01-01');
             CREATE METRIC busy AS SELECT channel, COUNT(*) AS n FROM TUMBLE(endless, event_time, INTERVAL '1 second')
             GROUP BY channel, window_end;
             CREATE STREAM s (k VARCHAR, t TIMESTAMP);
             CREATE METRIC m AS SELECT k, COUNT(*) AS n FROM s GROUP BY k",
        )
        .unwrap();
    let writer = engine.writer("s").unwrap();
    for _ in 0..3 {
        // Far ahead of the other stream's event time: by watermark alone its turn would never come.
        push(&writer, "a", 2e9);
    }
    assert_eq!(engine.metric("m").unwrap().get(&["a".into()]).unwrap().and_then(|row| row.number("n")), Some(3.0));
    writer.finish();
    engine.shutdown().unwrap();
}
