//! `fold`'s latencies: a live point look-up while rows flow, and the time from a pushed row to its visible effect.
//!
//! Both run an open loop: a row is due at its own time, whatever happened before, and a delay counts from when the row was due. The
//! machine's own jitter – how late an empty loop sees the clock – is printed beside them.

use crate::job::{Job, one_thread};
use crate::payments::{BATCH_ROWS, Channels, Payments, STREAM};
use crate::report::Report;
use arrow::array::RecordBatch;
use hdrhistogram::Histogram;
use raympp_engine::stats::CheckpointStats;
use raympp_engine::{Engine, EngineBuilder, Error, Metric, Value, Writer};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOKUP_RATE: u64 = 1_000_000;
const VISIBLE_RATE: u64 = 100_000;
/// Rows of a batch while look-ups are timed: one a millisecond.
const FLOW_ROWS: usize = 1_000;
/// A row is looked for this often.
const PROBE_EVERY_US: u64 = 200;
const METRIC: &str = "CREATE METRIC success AS
    SELECT channel, COUNT(*) AS payments, COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate, SUM(amount) AS volume
    FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')
    WHERE amount > 0 GROUP BY channel, window_start, window_end;";

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000_000, 3).expect("a minute and three digits are allowed")
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

/// Quantiles in words.
pub fn spread(times: &Histogram<u64>) -> String {
    let at = |q: f64| micros(times.value_at_quantile(q));
    format!("p50 {:.1}, p99 {:.1}, p99.9 {:.1}, p99.99 {:.1}, max {:.1} µs", at(0.5), at(0.99), at(0.999), at(0.9999), micros(times.max()))
}

/// How long an empty loop does not get to look at the clock.
pub fn jitter(duration: Duration, report: &mut Report) {
    let mut gaps = histogram();
    let started = Instant::now();
    let mut before = started;
    while before - started < duration {
        let now = Instant::now();
        gaps.saturating_record((now - before).as_nanos() as u64);
        before = now;
    }
    // A gap is met by whoever falls into it, so it weighs as long as it lasts.
    let mut weighed = histogram();
    for value in gaps.iter_recorded() {
        let nanos = value.value_iterated_to();
        weighed.saturating_record_n(nanos, nanos.max(1) * value.count_at_value());
    }
    report.note("the machine's own jitter, weighed by time (empty loop)", &spread(&weighed));
}

/// Point look-ups of the live window by one thread while another pushes a million rows a second.
pub fn lookups(duration: Duration, report: &mut Report) -> Result<(), Error> {
    let channels = 10_000;
    let job = Job::start(METRIC, &[], 1)?;
    let mut payments = Payments::new(channels, Channels::Dictionary, 7);
    job.push(&payments.take_sparse(60))?;
    let batches: Vec<RecordBatch> = payments.take((duration.as_secs_f64() * LOOKUP_RATE as f64) as usize / BATCH_ROWS + 2);
    let metric = job.metric("success")?;
    let done = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut times, mut channel) = (histogram(), 0);
            while !done.load(Ordering::Relaxed) {
                channel = (channel + 7_919) % channels;
                let key = [Value::from(format!("channel-{channel:07}"))];
                let started = Instant::now();
                let found = metric.get(&key)?;
                times.saturating_record(started.elapsed().as_nanos() as u64);
                assert!(found.is_some(), "every channel has had rows in the last minute");
            }
            Ok::<_, Error>(times)
        });
        let pushed = push_paced(&job, &batches, duration);
        done.store(true, Ordering::Relaxed);
        pushed?;
        reader.join().expect("looking up does not panic")
    })?;
    let name = "live look-up at 1,000,000 rows/s, p99 in µs";
    report.cost(name, micros(times.value_at_quantile(0.99)), 20.0, &format!("{} look-ups: {}", times.len(), spread(&times)));
    drop(job);
    Ok(())
}

/// Pushes a thousand rows each millisecond; between them the thread lets go of its core, for there are two only.
fn push_paced(job: &Job, batches: &[RecordBatch], duration: Duration) -> Result<(), Error> {
    let started = Instant::now();
    let slices = batches.iter().flat_map(|batch| (0..BATCH_ROWS / FLOW_ROWS).map(move |i| batch.slice(i * FLOW_ROWS, FLOW_ROWS)));
    for (i, rows) in slices.enumerate() {
        let due = Duration::from_micros((i * FLOW_ROWS) as u64 * 1_000_000 / LOOKUP_RATE);
        if due > duration {
            break;
        }
        while started.elapsed() < due {
            std::thread::park_timeout(due.saturating_sub(started.elapsed()));
        }
        job.writer(0).push_batch(&rows)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Payment<'a> {
    channel: &'a str,
    status: &'a str,
    amount: i64,
    event_time: i64,
}

/// An engine that gets rows at a steady rate, some of which are looked for.
///
/// Rows are due by the clock, and so are probes, whatever has become of those before: while something stalls, every probe that is due meanwhile waits as long
/// as it does.
pub struct Visible {
    engine: Engine,
    writer: Writer,
    metric: Metric,
    channels: Vec<String>,
    rows_per_s: u64,
    /// Event time goes on from here.
    event_time_us: u64,
    watches: usize,
    times: Histogram<u64>,
}

impl Visible {
    /// Every channel has had a row before anything is timed.
    pub fn start(builder: EngineBuilder, channels: usize, rows_per_s: u64) -> Result<Visible, Error> {
        let engine = builder.build()?;
        engine.execute(STREAM)?;
        engine.execute(METRIC)?;
        let (writer, metric) = (engine.writer("payments")?, engine.metric("success")?);
        let channels: Vec<String> = (0..channels).map(|channel| format!("channel-{channel:07}")).collect();
        for channel in &channels {
            writer.push(&Payment { channel, status: "SUCCESS", amount: 10, event_time: 0 })?;
        }
        writer.flush()?;
        Ok(Visible { engine, writer, metric, channels, rows_per_s, event_time_us: 0, watches: 0, times: histogram() })
    }

    /// Times probes for that long, which must be less than a window.
    pub fn watch(&mut self, duration: Duration) -> Result<(), Error> {
        self.watches += 1;
        let name = format!("probe-{}", self.watches);
        let key = [Value::from(name.as_str())];
        let (mut due_us, mut probed, mut seen) = (VecDeque::new(), 0, 0);
        let (started, mut pushed) = (Instant::now(), 0_u64);
        loop {
            let now_us = started.elapsed().as_micros() as u64;
            let is_over = now_us >= duration.as_micros() as u64;
            if is_over && due_us.is_empty() {
                self.event_time_us += now_us;
                return Ok(());
            }
            while !is_over && pushed < now_us * self.rows_per_s / 1_000_000 {
                let at_us = pushed * 1_000_000 / self.rows_per_s;
                if at_us >= probed * PROBE_EVERY_US {
                    self.push(&name, probed * PROBE_EVERY_US)?;
                    due_us.push_back(probed * PROBE_EVERY_US);
                    probed += 1;
                }
                // A large step that no number of channels has as a factor: neighbours in time are none in memory.
                let channel = (pushed as usize).wrapping_mul(7_368_787) % self.channels.len();
                self.push(&self.channels[channel], at_us)?;
                pushed += 1;
            }
            let found = self.metric.get(&key)?.and_then(|row| row.number("payments")).unwrap_or(0.0) as usize;
            let now = started.elapsed();
            for due_us in due_us.drain(..found - seen) {
                self.times.saturating_record((now - Duration::from_micros(due_us)).as_nanos() as u64);
            }
            seen = found;
        }
    }

    fn push(&self, channel: &str, at_us: u64) -> Result<(), Error> {
        let event_time = (self.event_time_us + at_us) as i64;
        self.writer.push(&Payment { channel, status: "SUCCESS", amount: 10, event_time })
    }

    /// What is counted of its checkpoints.
    pub fn checkpoints(&self) -> CheckpointStats {
        self.engine.stats().checkpoints.unwrap_or_default()
    }

    /// Ends the input; all times.
    pub fn finish(self) -> Result<Histogram<u64>, Error> {
        self.writer.finish();
        self.engine.shutdown()?;
        Ok(self.times)
    }
}

/// From when a row was due to when a look-up shows it, at a hundred thousand typed rows a second.
pub fn visible(duration: Duration, report: &mut Report) -> Result<(), Error> {
    let mut watched = Visible::start(one_thread(), 100, VISIBLE_RATE)?;
    watched.watch(duration)?;
    let times = watched.finish()?;
    let detail = format!("{} probes: {}", times.len(), spread(&times));
    report.cost("event to visible at 100,000 rows/s, p50 in µs", micros(times.value_at_quantile(0.5)), 100.0, &detail);
    report.cost("event to visible at 100,000 rows/s, p99 in µs", micros(times.value_at_quantile(0.99)), 1_000.0, &detail);
    Ok(())
}
