//! An engine in this process.

use crate::chaos::Fault;
use crate::error::{Error, Result};
use crate::panics::Panics;
use crate::target::{Counts, Push, Results, Target, TargetOptions};
use arrow::array::RecordBatch;
use raympp_engine::{Engine, Error as EngineError, Level, ProducerId, Subscription, Writer};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What an engine is started on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The stream that rows are pushed into.
    pub stream: String,
    /// Statements that make it and what reads it.
    pub script: String,
    /// By position in the workload, names of the metrics whose results are waited for.
    pub windowed: Vec<(usize, String)>,
    /// How it is set up.
    pub options: TargetOptions,
}

/// Who the producers of an earlier run were, if there was one, and which session of theirs begins.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sessions {
    /// By producer.
    pub producers: Vec<String>,
    /// Sessions before this one.
    pub earlier: u64,
}

/// An engine, its writers, and a subscription per metric that has windows.
pub struct InProcess {
    engine: Engine,
    writers: Vec<Writer>,
    subscriptions: Vec<(usize, Subscription)>,
    /// Received, and not asked for.
    results: VecDeque<Results>,
    panics: Panics,
}

impl InProcess {
    /// Starts an engine, on the state of an earlier run if its options name a directory that has any.
    ///
    /// # Errors
    /// What the engine says.
    pub fn start(job: &Job, sessions: &Sessions) -> Result<InProcess> {
        let (options, panics) = (&job.options, Panics::default());
        let mut builder = Engine::builder()
            .threads(options.threads)
            .spin_us(options.spin.as_micros() as u64)
            .replicas(options.replicas)
            .plant(panics.hook());
        if let Some(partitions) = options.partitions {
            builder = builder.partitions(partitions);
        }
        if let Some((directory, interval)) = &options.checkpoints {
            builder = builder.state_dir(directory).barrier_interval_us(interval.as_micros() as u64);
        }
        let engine = builder.build()?;
        engine.execute(&job.script)?;
        let subscribe = |(position, metric): &(usize, String)| Ok((*position, engine.metric(metric)?.subscribe()));
        let subscriptions = job.windowed.iter().map(subscribe).collect::<Result<_>>()?;
        let writer = |producer: usize| writer(&engine, &job.stream, sessions.producers.get(producer), sessions.earlier + 1);
        let writers = (0..options.producers.max(1)).map(writer).collect::<Result<Vec<_>>>()?;
        finish_others(&engine, &job.stream, &writers, sessions.earlier + 1)?;
        Ok(InProcess { engine, writers, subscriptions, results: VecDeque::new(), panics })
    }

    /// By producer: who it is, and the first row that the engine does not have.
    pub fn producers(&self) -> Vec<(String, u64)> {
        self.writers.iter().map(|writer| (writer.producer().to_string(), writer.resumes_at().0)).collect()
    }

    /// What tells the partitions whose primaries have panicked since it was last called.
    pub(crate) fn panicked(&self) -> Box<dyn Fn() -> Vec<u32>> {
        let panics = self.panics.clone();
        Box::new(move || panics.take_happened())
    }
}

/// Fails if primaries were to panic that have not.
pub(crate) fn nothing_waits(wanted: &[u32]) -> Result<()> {
    let name = |partition: &u32| Fault::Panic(*partition).to_string();
    if wanted.is_empty() { Ok(()) } else { Err(Error::Untriggered(wanted.iter().map(name).collect::<Vec<_>>().join(", "))) }
}

/// A run that was killed before it could tell who its producers are has left some that nobody is: they have no rows, and never will.
fn finish_others(engine: &Engine, stream: &str, own: &[Writer], session: u64) -> Result<()> {
    let stats = engine.stats();
    for split in stats.streams.iter().flat_map(|stream| &stream.splits).filter(|split| !split.ended) {
        let id = split.name.trim_start_matches("producer ");
        if own.iter().all(|writer| writer.producer().to_string() != id) {
            let id = id.parse().map_err(|_| Error::Usage(format!("'{}' is no producer", split.name)))?;
            engine.resume_writer(stream, id, session)?.finish();
        }
    }
    Ok(())
}

/// A producer's next session, or its first.
fn writer(engine: &Engine, stream: &str, known: Option<&String>, session: u64) -> Result<Writer> {
    let Some(known) = known else { return Ok(engine.writer(stream)?) };
    let id: ProducerId = known.parse().map_err(|_| Error::Usage(format!("{known} is no producer")))?;
    match engine.resume_writer(stream, id, session) {
        // The run that issued the id never committed anything.
        Err(EngineError::Refused(message)) if message.contains("is not known") => Ok(engine.writer(stream)?),
        outcome => Ok(outcome?),
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
        if self.results.is_empty() {
            let next = self.subscriptions.iter_mut().find_map(|(metric, rows)| Some((*metric, rows.try_next()?)));
            self.results.extend(next.iter().flat_map(|(metric, rows)| Results::of(*metric, rows)));
        }
        Ok(self.results.pop_front())
    }

    fn counts(&mut self) -> Counts {
        let stats = self.engine.stats();
        Counts {
            checkpoints: stats.checkpoints.map_or(0, |checkpoints| checkpoints.commits),
            promotions: stats.streams.iter().map(|stream| stream.promotions).sum(),
            closed_us: stats.streams.iter().flat_map(|stream| &stream.partitions).map(|partition| partition.closed_us).min().flatten(),
        }
    }

    fn inject(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Panic(partition) => {
                let partitions = self.engine.stats().streams.iter().map(|stream| stream.partitions.len()).max().unwrap_or(0);
                if partition as usize >= partitions {
                    return Err(Error::Usage(format!(
                        "'{fault}': there are {partitions} partitions, from 0 on; --partitions says how many"
                    )));
                }
                self.panics.ask(partition);
                Ok(())
            }
            Fault::Kill | Fault::Stop | Fault::Continue => Err(Error::Usage(format!("'{fault}' needs an engine in a process of its own"))),
        }
    }

    fn resumed(&mut self) -> Result<Option<Vec<u64>>> {
        Ok(None)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        // The end is a delta too, but no row of the run.
        let never = self.panics.withdraw();
        self.writers.drain(..).for_each(Writer::finish);
        // Whoever does not take results holds the stream.
        for (_, results) in self.subscriptions.drain(..) {
            results.for_each(drop);
        }
        self.engine.wait()?;
        self.engine.shutdown()?;
        nothing_waits(&never)
    }
}
