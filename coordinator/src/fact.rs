//! What the coordinator is told.

use crate::idle::Silence;
use raympp_types::{Epoch, EventTime, PartitionId, PlanVersion, SplitId, StreamId};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Wall-clock time, in microseconds.
    Tick(u64),
    /// A stream starts with these splits, read from their beginning.
    StreamStarts {
        /// Which.
        stream: StreamId,
        /// Splits that exist from the start.
        splits: Vec<SplitId>,
        /// Number of partitions that will ack.
        partitions: u32,
        /// The first plan.
        plan: PlanVersion,
    },
    /// A stream is gone.
    StreamDropped(StreamId),
    /// A split wants to join a stream.
    SplitJoins(StreamId, SplitId),
    /// The stream's set of metrics has changed; the change takes effect at the next barrier, which is due at once.
    PlanChanges(StreamId, PlanVersion),
    /// A split's reader has marked the barrier; its watermark there.
    Placed(StreamId, Epoch, SplitId, EventTime),
    /// A split has ended.
    SplitEnded(StreamId, SplitId),
    /// A split counts as idle from now on.
    SplitIdle(StreamId, SplitId, Silence),
    /// A split that counted as idle does so no longer: it has offered rows, or its connection is lost.
    SplitActive(StreamId, SplitId),
    /// The answer to [`Action::Look`](crate::Action::Look): the watermarks that splits have shown so far.
    Watermarks(StreamId, Vec<(SplitId, EventTime)>),
    /// A partition has seen the barrier from every split.
    Acked(StreamId, Epoch, PartitionId),
}
