//! An engine with one metric or more, fed by writers, its results taken by a thread that adds them up.

use crate::floor::Totals;
use crate::payments::STREAM;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use raympp_engine::stats::CheckpointStats;
use raympp_engine::{Engine, EngineBuilder, Error, Metric, Writer};
use std::thread::JoinHandle;

/// An engine of one pinned core.
pub fn one_thread() -> EngineBuilder {
    Engine::builder().threads(1).pin_threads(true)
}

/// A running engine.
pub struct Job {
    engine: Engine,
    writers: Vec<Writer>,
    takers: Vec<JoinHandle<Totals>>,
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
        let take = |name: &&str| {
            let results = engine.metric(name)?.subscribe();
            Ok(std::thread::spawn(move || {
                let mut totals = Totals::default();
                results.for_each(|batch| add(&mut totals, &batch));
                totals
            }))
        };
        let takers = names.iter().map(take).collect::<Result<_, Error>>()?;
        let writers = (0..writers).map(|_| engine.writer("payments")).collect::<Result<_, Error>>()?;
        Ok(Job { engine, writers, takers })
    }

    /// Pushes batches, in turn to the writers, and waits until all of them show.
    pub fn push(&self, batches: &[RecordBatch]) -> Result<(), Error> {
        for (i, batch) in batches.iter().enumerate() {
            self.writers[i % self.writers.len()].push_batch(batch)?;
        }
        self.writers.iter().try_for_each(Writer::flush)
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
