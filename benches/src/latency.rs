//! `fold`'s latencies: a live point look-up while rows flow, and the time from a pushed row to its visible effect.
//!
//! Both run an open loop: a row is due at its own time, whatever happened before, and a delay counts from when the row was due. The
//! machine's own jitter – how late empty loops on all processors see the clock – is printed beside them.

use crate::job::{Job, one_thread};
use crate::payments::{BATCH_ROWS, Channels, Payments, STREAM, SteadyPayments};
use crate::report::Report;
use arrow::array::RecordBatch;
use hdrhistogram::Histogram;
use raympp_engine::{EngineBuilder, Error, Metric, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOOKUP_RATE: u64 = 1_000_000;
const VISIBLE_RATE: u64 = 100_000;
/// Rows of a batch while look-ups are timed: one a millisecond.
const FLOW_ROWS: usize = 1_000;
const STEP_US: u64 = SteadyPayments::STEP_US;
/// Seconds of the window in which rows are looked for while they come.
const VISIBLE_WINDOW_S: usize = 10;

fn success_over(window_s: usize) -> String {
    format!(
        "CREATE METRIC success AS
    SELECT channel, COUNT(*) AS payments, COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate,
           SUM(amount) AS volume
    FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '{window_s} seconds')
    WHERE amount > 0 GROUP BY channel, window_start, window_end;"
    )
}

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

/// How long empty loops, one for each processor, do not get to look at the clock.
pub fn jitter(duration: Duration, report: &mut Report) {
    report.note(
        "the machine's own jitter, weighed by time (an empty loop on each processor)",
        &spread(&raympp_loadgen::pauses::jitter(duration)),
    );
}

/// Point look-ups of the live window by one thread while another pushes a million rows a second.
pub fn lookups(duration: Duration, report: &mut Report) -> Result<(), Error> {
    let channels = 10_000;
    let job = Job::start(&success_over(60), &[], 1)?;
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

/// An engine that gets rows at a steady rate, a batch at a time, whose last row is looked for.
///
/// Batches are due by the clock, whatever has become of those before: while something stalls, every batch that is due meanwhile waits as long as it does.
/// A batch has the rows of one step, due when the step ends; the last one is of the probe's channel.
pub struct Visible {
    /// Whose checkpoints can be asked for.
    pub job: Job,
    metric: Metric,
    payments: SteadyPayments,
    times: Histogram<u64>,
}

impl Visible {
    /// Windows have closed, and slices have gone, before anything is timed.
    pub fn start(builder: EngineBuilder, channels: usize, rows_per_s: u64) -> Result<Visible, Error> {
        let job = Job::start_with(builder, STREAM, &success_over(VISIBLE_WINDOW_S), &[], 1)?;
        let (metric, mut payments) = (job.metric("success")?, SteadyPayments::new(channels, rows_per_s));
        payments.warm_up(2 * VISIBLE_WINDOW_S + 3).try_for_each(|batch| job.writer(0).push_batch(&batch))?;
        job.writer(0).flush()?;
        if job.has_checkpoints() {
            // Nor is anything of this still to be written.
            job.checkpoint()?;
        }
        Ok(Visible { job, metric, payments, times: histogram() })
    }

    /// Times rows for that long, which must be less than a window.
    pub fn watch(&mut self, duration: Duration) -> Result<(), Error> {
        let steps = duration.as_micros() as u64 / STEP_US;
        let (batches, probe) = self.payments.take(steps as usize);
        let key = [Value::from(probe)];
        let started = Instant::now();
        let (mut pushed, mut seen) = (0, 0);
        while seen < steps {
            while pushed < steps && started.elapsed() >= Duration::from_micros((pushed + 1) * STEP_US) {
                self.job.writer(0).push_batch(&batches[pushed as usize])?;
                pushed += 1;
            }
            let found = self.metric.get(&key)?.and_then(|row| row.number("payments")).unwrap_or(0.0) as u64;
            let now = started.elapsed();
            for step in seen..found {
                self.times.saturating_record((now - Duration::from_micros((step + 1) * STEP_US)).as_nanos() as u64);
            }
            seen = found;
        }
        Ok(())
    }

    /// Ends the input; all times.
    pub fn finish(self) -> Result<Histogram<u64>, Error> {
        self.job.finish()?;
        Ok(self.times)
    }
}

/// From when a row was due to when a look-up shows it, at a hundred thousand rows a second.
pub fn visible(duration: Duration, report: &mut Report) -> Result<(), Error> {
    let mut watched = Visible::start(one_thread(), 100, VISIBLE_RATE)?;
    watched.watch(duration)?;
    let times = watched.finish()?;
    let detail = format!("{} probes: {}", times.len(), spread(&times));
    report.cost("event to visible at 100,000 rows/s, p50 in µs", micros(times.value_at_quantile(0.5)), 100.0, &detail);
    report.cost("event to visible at 100,000 rows/s, p99 in µs", micros(times.value_at_quantile(0.99)), 1_000.0, &detail);
    Ok(())
}
