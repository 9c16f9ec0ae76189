//! An engine in this process.

use crate::error::Result;
use crate::target::{Push, Results, Target, TargetOptions};
use crate::workload::Workload;
use arrow::array::RecordBatch;
use raympp_engine::{Engine, Error as EngineError, Level, Subscription, Writer};
use raympp_operators::plan::MetricPlan;
use std::sync::Arc;

/// An engine, its writers, and a subscription per metric that has windows.
pub struct InProcess {
    engine: Engine,
    writers: Vec<Writer>,
    subscriptions: Vec<(usize, Subscription)>,
}

impl InProcess {
    /// Starts an engine on a workload's script.
    ///
    /// # Errors
    /// What the engine says.
    pub fn start(workload: &Workload, options: &TargetOptions) -> Result<InProcess> {
        let mut builder = Engine::builder().threads(options.threads).replicas(options.replicas).pin_threads(options.pin_threads);
        if let Some(partitions) = options.partitions {
            builder = builder.partitions(partitions);
        }
        if let Some((directory, interval)) = &options.checkpoints {
            builder = builder.state_dir(directory).barrier_interval_us(interval.as_micros() as u64);
        }
        let engine = builder.build()?;
        let script = options.published.as_ref().map_or_else(|| workload.script.clone(), |directory| workload.script_with_sinks(directory));
        engine.execute(&script)?;
        let windowed = workload.metrics.iter().enumerate().filter(|(_, metric)| metric.window.has_bounds());
        let subscribe =
            |(position, metric): (usize, &Arc<MetricPlan>)| -> Result<_> { Ok((position, engine.metric(&metric.name)?.subscribe())) };
        let subscriptions = windowed.map(subscribe).collect::<Result<_>>()?;
        let writers = (0..options.producers.max(1)).map(|_| Ok(engine.writer(&workload.stream.name)?)).collect::<Result<_>>()?;
        Ok(InProcess { engine, writers, subscriptions })
    }
}

impl Target for InProcess {
    fn producers(&self) -> usize {
        self.writers.len()
    }

    fn push(&mut self, producer: usize, rows: &RecordBatch) -> Result<Push> {
        match self.writers[producer].try_push_batch(rows) {
            Ok(()) => Ok(Push::Taken),
            Err(EngineError::Full) => Ok(Push::Full),
            Err(error) => Err(error.into()),
        }
    }

    fn visible(&mut self, producer: usize) -> Result<u64> {
        Ok(self.writers[producer].acknowledged(Level::Applied)?.0)
    }

    fn results(&mut self) -> Result<Option<Results>> {
        let next = self.subscriptions.iter_mut().find_map(|(metric, results)| Some((*metric, results.try_next()?)));
        Ok(next.map(|(metric, rows)| Results { metric, rows }))
    }

    fn checkpoints(&mut self) -> u64 {
        self.engine.stats().checkpoints.map_or(0, |checkpoints| checkpoints.commits)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.writers.drain(..).for_each(Writer::finish);
        // Whoever does not take results holds the stream.
        for (_, results) in self.subscriptions.drain(..) {
            results.for_each(drop);
        }
        self.engine.wait()?;
        Ok(self.engine.shutdown()?)
    }
}
