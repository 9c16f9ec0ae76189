//! An engine with one metric or more, fed by writers, its results taken by a thread that adds them up.

use crate::floor::Totals;
use crate::payments::STREAM;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use raympp_engine::stats::CheckpointStats;
use raympp_engine::{Engine, EngineBuilder, Error, Metric, Writer};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// An engine of one pinned core.
pub fn one_thread() -> EngineBuilder {
    Engine::builder().threads(1).pin_threads(true)
}

/// A running engine.
pub struct Job {
    engine: Engine,
    writers: Vec<Writer>,
    takers: Vec<JoinHandle<Totals>>,
    /// By taker, nanoseconds of a processor's time.
    taking_ns: Vec<Arc<AtomicU64>>,
}

/// A processor's time that this process, or this thread, has had, user and system, on all processors together.
pub fn processor_time(of: ClockId) -> Duration {
    let time = clock_gettime(of);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Job {
    /// Starts an engine of `threads` pinned cores with one writer per core, and takes the results of the metrics named.
    pub fn start(metrics: &str, names: &[&str], threads: usize) -> Result<Job, Error> {
        Job::start_with(Engine::builder().threads(threads).pin_threads(true), STREAM, metrics, names, threads)
    }

    /// As [`Job::start`], of an engine set up in another way, on a stream `payments` of another definition, with so many writers.
    pub fn start_with(builder: EngineBuilder, stream: &str, metrics: &str, names: &[&str], writers: usize) -> Result<Job, Error> {
        let engine = builder.build()?;
        engine.execute(stream)?;
        engine.execute(metrics)?;
        let taking_ns: Vec<Arc<AtomicU64>> = names.iter().map(|_| Arc::default()).collect();
        let take = |(name, taking_ns): (&&str, &Arc<AtomicU64>)| {
            let (results, taking_ns) = (engine.metric(name)?.subscribe(), Arc::clone(taking_ns));
            Ok(std::thread::spawn(move || {
                let mut totals = Totals::default();
                results.for_each(|batch| {
                    add(&mut totals, &batch);
                    taking_ns.store(processor_time(ClockId::ThreadCPUTime).as_nanos() as u64, Ordering::Relaxed);
                });
                totals
            }))
        };
        let takers = names.iter().zip(&taking_ns).map(take).collect::<Result<_, Error>>()?;
        let writers = (0..writers).map(|_| engine.writer("payments")).collect::<Result<_, Error>>()?;
        Ok(Job { engine, writers, takers, taking_ns })
    }

    /// Pushes batches, in turn to the writers, and waits until all of them show.
    pub fn push(&self, batches: &[RecordBatch]) -> Result<(), Error> {
        for (i, batch) in batches.iter().enumerate() {
            self.writers[i % self.writers.len()].push_batch(batch)?;
        }
        self.writers.iter().try_for_each(Writer::flush)
    }

    /// A processor's time that all threads of the engine have had, and any others but this one and those that take results.
    pub fn engine_time(&self) -> Duration {
        let taking_ns = self.taking_ns.iter().map(|nanos| nanos.load(Ordering::Relaxed)).sum();
        let others = processor_time(ClockId::ThreadCPUTime) + Duration::from_nanos(taking_ns);
        processor_time(ClockId::ProcessCPUTime).saturating_sub(others)
    }

    /// A writer.
    pub fn writer(&self, at: usize) -> &Writer {
        &self.writers[at]
    }

    /// A metric by name.
    pub fn metric(&self, name: &str) -> Result<Metric, Error> {
        self.engine.metric(name)
    }

    /// Waits until all that was pushed is in a checkpoint.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.engine.checkpoint().map(drop)
    }

    /// Whether it has a state directory.
    pub fn has_checkpoints(&self) -> bool {
        self.engine.stats().checkpoints.is_some()
    }

    /// What is counted of checkpoints.
    pub fn checkpoints(&self) -> CheckpointStats {
        self.engine.stats().checkpoints.unwrap_or_default()
    }

    /// Stops with the input unfinished.
    pub fn stop(self) -> Result<(), Error> {
        self.engine.shutdown()
    }

    /// Ends the input; what all results of the metrics named add up to.
    pub fn finish(self) -> Result<Totals, Error> {
        self.writers.into_iter().for_each(Writer::finish);
        self.engine.wait()?;
        self.engine.shutdown()?;
        let mut totals = Totals::default();
        for taker in self.takers {
            let of_metric = taker.join().expect("adding up does not panic");
            totals.rows += of_metric.rows;
            totals.payments += of_metric.payments;
            totals.volume += of_metric.volume;
        }
        Ok(totals)
    }
}

fn add(totals: &mut Totals, batch: &RecordBatch) {
    totals.rows += batch.num_rows() as u64;
    if let Some(payments) = batch.column_by_name("payments") {
        totals.payments += arrow::compute::sum(payments.as_primitive::<Int64Type>()).unwrap_or(0);
    }
    if let Some(volume) = batch.column_by_name("volume") {
        totals.volume += arrow::compute::sum(volume.as_primitive::<Decimal128Type>()).unwrap_or(0);
    }
}
