//! `checkpoint`: what checkpoints cost the rows that flow, what is written for them, and how fast a restart goes on.
//!
//! Engines with and without a state directory get the same rows in turn and must produce the same results. The engine's thread has the first core;
//! the thread that pushes, the persister and RocksDB share what remains, as the scheduler likes.

use crate::duel::{Duel, timed};
use crate::fold::{Effort, metric};
use crate::job::{Job, one_thread};
use crate::latency::{Visible, spread};
use crate::payments::{BATCH_ROWS, Channels, Payments, ROWS_PER_SECOND, STREAM, channel_names, one_each};
use crate::report::Report;
use arrow::array::ArrayRef;
use raympp_engine::{EngineBuilder, Error, Value};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const WINDOW_S: usize = 60;
/// Rows per second whose visibility is measured.
const VISIBLE_RATE: u64 = 500_000;
const KEYS: usize = 1_000_000;
/// What is restored: a gigabyte in the replica's pages, where an entry has its rows, a count and a sum of eight bytes each.
const RESTORED_SLICES: i64 = 42;
const ENTRY_BYTES: usize = 24;

/// A state directory that goes when it is dropped.
struct StateDirectory(PathBuf);

impl StateDirectory {
    fn new(name: &str) -> StateDirectory {
        StateDirectory(std::env::temp_dir().join(format!("raympp-bench-{name}-{}", std::process::id())))
    }

    fn builder(&self, interval: Duration) -> EngineBuilder {
        one_thread().state_dir(&self.0).barrier_interval_us(interval.as_micros() as u64)
    }

    /// A job that is checkpointed when it is asked for, with a row of each channel.
    fn start(&self, names: &ArrayRef) -> Result<Job, Error> {
        let job = Job::start_with(self.builder(Duration::from_secs(3_600)), STREAM, &metric("success", WINDOW_S), &[], 1)?;
        job.push(&one_each(names, 1, 0))?;
        job.checkpoint()?;
        Ok(job)
    }
}

impl Drop for StateDirectory {
    fn drop(&mut self) {
        // It lies among temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A job with its own supply of the same rows.
struct Side {
    job: Job,
    payments: Payments,
}

impl Side {
    fn start(builder: EngineBuilder, keys: usize) -> Result<Side, Error> {
        let job = Job::start_with(builder, STREAM, &metric("success", WINDOW_S), &["success"], 1)?;
        let mut payments = Payments::new(keys, Channels::Dictionary, 7);
        // All keys are known first; then slices that the rows of a whole window touch everywhere take the place of those before.
        job.push(&payments.take(2 * keys.max(ROWS_PER_SECOND as usize) / BATCH_ROWS))?;
        job.push(&payments.take_sparse(2 * WINDOW_S))?;
        Ok(Side { job, payments })
    }

    /// Pushes so many batches, made as they go, and waits until all of them show.
    fn feed(&mut self, batches: usize) -> Result<(), Error> {
        (0..batches).try_for_each(|_| self.job.writer(0).push_batch(&self.payments.take(1)[0]))?;
        self.job.writer(0).flush()
    }

    /// How many batches go through in this time.
    fn calibrate(&mut self, duration: Duration) -> Result<usize, Error> {
        let (started, mut batches) = (Instant::now(), 0);
        while started.elapsed() < duration {
            self.feed(16)?;
            batches += 16;
        }
        Ok(batches)
    }
}

/// Rows per second with checkpoints beside rows per second without.
pub fn throughput(keys: usize, interval: Duration, target: f64, effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = keys.min(effort.keys_max);
    let directory = StateDirectory::new("throughput");
    let (mut with, mut without) = (Side::start(directory.builder(interval), keys)?, Side::start(one_thread(), keys)?);
    let batches = without.calibrate(effort.stretch())?;
    with.feed(batches)?;
    with.job.checkpoint()?;
    let before = with.job.checkpoints();
    let first = || {
        let took = timed(|| with.feed(batches))?;
        // What is still to be written is not to disturb the other one.
        with.job.checkpoint()?;
        Ok(took)
    };
    let found = Duel::of(effort.rounds.div_ceil(3), batches * BATCH_ROWS, first, || timed(|| without.feed(batches)))?;
    let after = with.job.checkpoints();
    let detail = format!(
        "{}; {} commits in {:.1} s, slowest {:.0} ms, {:.0} MB/s",
        found.rates("with", "without"),
        after.commits - before.commits,
        found.first_s,
        after.duration_max_us as f64 / 1e3,
        (after.bytes - before.bytes) as f64 / 1e6 / found.first_s
    );
    let (with, without) = (with.job.finish()?, without.job.finish()?);
    assert_eq!(with, without, "checkpoints don't change results");
    let name = format!("{keys} keys, checkpoints every {} ms over none", interval.as_millis());
    report.ratio(&name, found.ratio, target, &detail);
    Ok(())
}

/// From when a row was due to when a look-up shows it, with checkpoints every 100 ms beside without.
pub fn visible(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = KEYS.min(effort.keys_max);
    let directory = StateDirectory::new("visible");
    let mut with = Visible::start(directory.builder(Duration::from_millis(100)), keys, VISIBLE_RATE)?;
    let mut without = Visible::start(one_thread(), keys, VISIBLE_RATE)?;
    for _ in 0..effort.rounds.div_ceil(3) {
        without.watch(effort.stretch())?;
        with.watch(effort.stretch())?;
    }
    let (checkpoints, (with, without)) = (with.job.checkpoints(), (with.finish()?, without.finish()?));
    let at = |times: &hdrhistogram::Histogram<u64>, q: f64| times.value_at_quantile(q) as f64 / 1e6;
    report.note("event to visible without checkpoints", &spread(&without));
    let detail = format!(
        "{}; {} commits, slowest {:.0} ms, {} MB",
        spread(&with),
        checkpoints.commits,
        checkpoints.duration_max_us as f64 / 1e3,
        checkpoints.bytes / 1_000_000
    );
    report.note("event to visible with checkpoints", &detail);
    let name = "event to visible at 500,000 rows/s, p99.99 with 100 ms checkpoints";
    report.cost(&format!("{name} over without"), at(&with, 0.9999) / at(&without, 0.9999), 3.0, "");
    report.cost(&format!("{name}, ms"), at(&with, 0.9999), 10.0, "");
    report.cost("longest stall with checkpoints, ms", at(&with, 1.0), 20.0, &format!("without: {:.1} ms", at(&without, 1.0)));
    Ok(())
}

/// Bytes written for an epoch that touches one key of a hundred, beside one that touches all. Ten epochs go by in a second of event time.
pub fn touched(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = KEYS.min(effort.keys_max);
    let names = channel_names(keys);
    let bytes_per_key = |step: usize| {
        let directory = StateDirectory::new("touched");
        let job = directory.start(&names)?;
        let before = job.checkpoints().bytes;
        for epoch in 1..=2 * effort.rounds as i64 {
            job.push(&one_each(&names, step, epoch * 100_000))?;
            job.checkpoint()?;
        }
        let bytes = job.checkpoints().bytes - before;
        job.stop()?;
        Ok::<_, Error>(bytes as f64 / (2 * effort.rounds * keys / step) as f64)
    };
    let (all, few) = (bytes_per_key(1)?, bytes_per_key(100)?);
    let detail = format!("{few:.1} over {all:.1} bytes, of {keys} keys");
    report.cost("bytes per key touched, 1 % of keys touched over all", few / all, 1.5, &detail);
    Ok(())
}

/// From the start of a run to its first row, of a job that has a gigabyte of state.
pub fn restore(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = KEYS.min(effort.keys_max);
    let names = channel_names(keys);
    let directory = StateDirectory::new("restore");
    let job = directory.start(&names)?;
    // With the row of each channel that the job starts with.
    let seconds = RESTORED_SLICES - 1;
    for second in 1..=seconds {
        job.push(&one_each(&names, 1, second * 1_000_000))?;
        job.checkpoint()?;
    }
    let written = job.checkpoints().bytes;
    job.stop()?;
    let started = Instant::now();
    let job = Job::start_with(directory.builder(Duration::from_secs(3_600)), STREAM, &metric("success", WINDOW_S), &[], 1)?;
    let open = started.elapsed();
    job.push(&one_each(&names, keys, seconds * 1_000_000))?;
    let first = started.elapsed();
    let newest = job.metric("success")?.get(&[Value::from(format!("channel-{:07}", keys - 1))])?;
    let payments = newest.and_then(|row| row.number("payments"));
    assert_eq!(payments, Some(seconds as f64 + 1.0), "what was checkpointed is there");
    let bytes = RESTORED_SLICES as usize * keys * ENTRY_BYTES;
    // Beside what was restored, so that none of it is memory that was used before.
    let untouched = Instant::now();
    drop(std::hint::black_box(vec![1_u8; bytes]));
    let touching = untouched.elapsed();
    job.stop()?;
    let detail = format!(
        "{} MB of state, {} MB on disk, in {RESTORED_SLICES} slices of {keys} keys; open after {:.2} s; filling as much new memory takes {:.2} s",
        bytes / 1_000_000,
        written / 1_000_000,
        open.as_secs_f64(),
        touching.as_secs_f64()
    );
    report.cost("start of recovery to first row, s", first.as_secs_f64(), 2.0, &detail);
    Ok(())
}
