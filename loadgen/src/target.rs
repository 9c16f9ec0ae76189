//! What is measured, behind a trait: an engine in this process, one in a process of its own, or, later, one behind a network.

use crate::chaos::Fault;
use crate::error::Result;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::path::PathBuf;
use std::time::Duration;

/// How an engine is set up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetOptions {
    /// Threads that do the work.
    pub threads: usize,
    /// How long each of them looks for work before it sleeps.
    pub spin: Duration,
    /// Partitions; one per thread if not said.
    pub partitions: Option<u32>,
    /// Replicas of each partition.
    pub replicas: usize,
    /// Writers, each of which is one split.
    pub producers: usize,
    /// Where checkpoints are kept and how often they are taken; none if not said.
    pub checkpoints: Option<(PathBuf, Duration)>,
    /// Each metric's results are published in a directory of its name below this one; nowhere if not said.
    pub published: Option<PathBuf>,
}

/// How long an engine's threads look for work, if each of so many has a processor besides the generator's: longer than from one hand-over of rows to the next.
/// Else not at all.
pub fn usual_spin(threads: usize) -> Duration {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if threads < processors { Duration::from_micros(300) } else { Duration::ZERO }
}

/// What became of rows that were offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// They will count.
    Taken,
    /// There is no room now; nothing was taken.
    Full,
}

/// Rows of closed windows that reached a subscriber together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// Which metric of the script.
    pub metric: usize,
    /// End of their window, in microseconds since 1970.
    pub end_us: i64,
    /// How many.
    pub rows: u64,
}

impl Results {
    /// Those of a batch, window by window; none of a metric that does not show the end of its windows.
    pub fn of(metric: usize, batch: &RecordBatch) -> impl Iterator<Item = Results> {
        let ends = batch.column_by_name("window_end").map(|ends| ends.as_primitive::<TimestampMicrosecondType>().values().clone());
        let runs = |ends: &[i64]| ends.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect::<Vec<_>>();
        let runs = ends.map_or_else(Vec::new, |ends| runs(&ends));
        runs.into_iter().map(move |(end_us, rows)| Results { metric, end_us, rows })
    }
}

/// What has happened in a target, from the beginning of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Checkpoints committed.
    pub checkpoints: u64,
    /// Standbys that have taken the place of a lost primary.
    pub promotions: u64,
    /// In microseconds since 1970, if it is known: results of all windows that end here or before have been handed over, or would be the next ones.
    pub closed_us: Option<i64>,
}

impl Counts {
    /// What has happened since.
    #[must_use]
    pub fn since(self, before: Counts) -> Counts {
        Counts {
            checkpoints: self.checkpoints - before.checkpoints,
            promotions: self.promotions - before.promotions,
            closed_us: self.closed_us,
        }
    }
}

impl Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            checkpoints: self.checkpoints + other.checkpoints,
            promotions: self.promotions + other.promotions,
            closed_us: other.closed_us,
        }
    }
}

/// Something that takes rows and shows what has become of them. Nothing here waits.
pub trait Target {
    /// How many producers it has.
    fn producers(&self) -> usize;

    /// Offers the next rows of a producer. After a restart there is no room until [`Target::resumed`] has told which rows come first.
    ///
    /// # Errors
    /// If the target is gone or refuses them for good.
    fn push(&mut self, producer: usize, rows: &RecordBatch) -> Result<Push>;

    /// How many rows of a producer, from its first, every reader sees the effect of.
    ///
    /// # Errors
    /// If the target is gone.
    fn visible(&mut self, producer: usize) -> Result<u64>;

    /// The next results that have reached the subscriber, if there are any.
    ///
    /// # Errors
    /// If the target is gone.
    fn results(&mut self) -> Result<Option<Results>>;

    /// What has happened in it so far. What is said of closed windows holds for [`Target::results`] that are asked for afterwards.
    fn counts(&mut self) -> Counts;

    /// Does this to it now.
    ///
    /// # Errors
    /// If it can't bear that fault.
    fn inject(&mut self, fault: Fault) -> Result<()>;

    /// If it has been started again since it was last asked: by producer, the first row that it does not have, which are to be pushed again from there on.
    ///
    /// # Errors
    /// If it does not come back.
    fn resumed(&mut self) -> Result<Option<Vec<u64>>>;

    /// Ends the input, so that all windows close, and waits until everything has come out.
    ///
    /// # Errors
    /// If something was lost.
    fn finish(self: Box<Self>) -> Result<()>;
}
