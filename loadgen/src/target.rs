//! What is measured, behind a trait: an engine in this process, one in a process of its own, or, later, one behind a network.

use crate::error::Result;
use arrow::array::RecordBatch;
use std::path::PathBuf;
use std::time::Duration;

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct TargetOptions {
    /// Threads that do the work.
    pub threads: usize,
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
    /// Threads are bound to cores.
    pub pin_threads: bool,
}

/// What became of rows that were offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// They will count.
    Taken,
    /// There is no room now; nothing was taken.
    Full,
}

/// Rows of closed windows that reached a subscriber.
#[derive(Clone, Debug)]
pub struct Results {
    /// Which metric of the script.
    pub metric: usize,
    /// The rows.
    pub rows: RecordBatch,
}

/// Something that takes rows and shows what has become of them. Nothing here waits.
pub trait Target {
    /// How many producers it has.
    fn producers(&self) -> usize;

    /// Offers the next rows of a producer.
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

    /// Checkpoints committed so far.
    fn checkpoints(&mut self) -> u64;

    /// Ends the input, so that all windows close, and waits until everything has come out.
    ///
    /// # Errors
    /// If something was lost.
    fn finish(self: Box<Self>) -> Result<()>;
}
