//! `fold`'s long bound: a sixth of a long window may still be open, so that look-ups cannot rest on closed windows alone.
//!
//! Rows come in order of their seconds, or are spread over the whole bound. Rates include closing, which can't fall behind by more than
//! a few batches; look-ups are timed while nothing else runs.

use crate::duel::{median, timed};
use crate::fold::Effort;
use crate::job::{Job, one_thread};
use crate::payments::{BATCH_ROWS, Channels, Payments};
use crate::report::Report;
use arrow::array::RecordBatch;
use raympp_engine::{Error, Value};
use std::time::Instant;

const CHANNELS: usize = 1_000;
const ROUNDS_MAX: usize = 5;
const SECONDS_MAX: usize = 512;

fn script(window_s: usize, bound_s: usize) -> (String, String) {
    let stream = format!(
        "CREATE STREAM payments (channel VARCHAR, status VARCHAR, amount BIGINT, event_time TIMESTAMP,
             WATERMARK FOR event_time AS event_time - INTERVAL '{bound_s} seconds');"
    );
    let metric = format!(
        "CREATE METRIC success WITH (retention = '0s') AS
         SELECT channel, window_start, window_end, COUNT(*) AS payments, SUM(amount) AS volume, MAX(amount) AS most
         FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '{window_s} seconds') GROUP BY channel, window_start, window_end;"
    );
    (stream, metric)
}

/// Rates and look-ups of both orders of rows.
pub fn long_bound(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let window_s = effort.long_window_s;
    for (order, spread_s) in [("in order", 0), ("spread over the bound", window_s / 6)] {
        measure(effort, order, spread_s, report)?;
    }
    Ok(())
}

fn measure(effort: Effort, order: &str, spread_s: usize, report: &mut Report) -> Result<(), Error> {
    let (window_s, bound_s) = (effort.long_window_s, effort.long_window_s / 6);
    let (stream, metric) = script(window_s, bound_s);
    let job = Job::start_with(one_thread(), &stream, &metric, &["success"], 1)?;
    let mut payments = Payments::new(CHANNELS, Channels::Dictionary, 7);
    let mut take = |seconds: usize| -> Vec<RecordBatch> { payments.take_spread(seconds, spread_s) };
    let mut left = window_s + bound_s;
    while left > 0 {
        let seconds = left.min(100);
        job.push(&take(seconds))?;
        left -= seconds;
    }
    let seconds = effort.batches.min(SECONDS_MAX);
    let mut rates = Vec::new();
    for _ in 0..effort.rounds.min(ROUNDS_MAX) {
        let batches = take(seconds);
        rates.push((seconds * BATCH_ROWS) as f64 / timed(|| job.push(&batches))?.as_secs_f64());
    }
    let metric = job.metric("success")?;
    let mut times = Vec::new();
    for i in 0..20_000 {
        let key = [Value::from(format!("channel-{:07}", i * 7_919 % CHANNELS))];
        let started = Instant::now();
        let found = metric.get(&key)?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
        assert!(found.is_some(), "every channel has rows in the live window");
    }
    let name = format!("HOP 1 s / {window_s} s, bound {bound_s} s, {order}");
    report.hash(&name, &job.finish()?);
    report.cost(&format!("{name}: look-up, p50 in µs"), median(times), 20.0, &format!("{:.2} million rows/s", median(rates) / 1e6));
    Ok(())
}
