//! What the coordinator is told.

use crate::idle::Silence;
use raympp_types::{Epoch, EventTime, Offset, PartitionId, PlanVersion, ReplicaId, SinkId, SplitId, StreamId};
use std::sync::Arc;

/// V(n): the offsets of a stream's splits at barrier n, in order of splits. A split that had ended is in it with its length.
pub type Vector = Arc<[(SplitId, Offset)]>;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Wall-clock time, in microseconds.
    Tick(u64),
    /// Somebody wants a checkpoint: the next epoch is due at once, if any stream needs one.
    Checkpoint,
    /// A stream starts: anew, or as the committed epoch has it. It takes part in the next epoch that starts.
    StreamStarts {
        /// Which.
        stream: StreamId,
        /// Splits that are read.
        live: Vec<SplitId>,
        /// It has had splits and all of them have ended, as the committed epoch says. Of no meaning with live splits.
        ended: bool,
        /// Number of partitions that will ack.
        partitions: u32,
        /// The first plan, or the one that the committed epoch has; a newer one comes as [`Fact::PlanChanges`].
        plan: PlanVersion,
        /// The frontier at the committed epoch's barrier; [`EventTime::MIN`] if the stream is in no committed epoch.
        frontier: EventTime,
    },
    /// A stream is gone, and its sinks with it.
    StreamDropped(StreamId),
    /// A replica of a partition has all that its chains have brought. The first of a partition is its primary under the first term.
    ReplicaInSync(StreamId, PartitionId, ReplicaId),
    /// A replica of a partition is gone, or so far behind that nobody waits for it any longer.
    ReplicaLost(StreamId, PartitionId, ReplicaId),
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
    /// A partition has barrier n from every split, and what the epoch says is written. It says nothing of earlier epochs: each is acked
    /// on its own.
    Acked {
        /// Of which stream.
        stream: StreamId,
        /// Which epoch.
        epoch: Epoch,
        /// Which partition.
        partition: PartitionId,
        /// V(n), as this partition has it.
        vector: Vector,
    },
    /// A sink takes results from a stream; it takes part in the next epoch that starts.
    SinkAdded(SinkId, StreamId),
    /// A sink is gone: nobody waits for it any more.
    SinkDropped(SinkId),
    /// What the sink has got of the epoch is durable and not visible. The answer to [`Action::Prepare`](crate::Action::Prepare).
    Prepared(SinkId, Epoch),
    /// The commit record is durable. The answer to [`Action::Commit`](crate::Action::Commit).
    Committed(Epoch),
    /// The epoch could not be brought to its end.
    Failed(Epoch, Failure),
    /// After a commit that failed: the store has been opened anew, and this is the last epoch committed in it.
    Reopened(Epoch),
}

/// Why an epoch is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// A partition could not write it.
    Partition,
    /// A sink could not prepare it.
    Sink,
    /// The commit record could not be written, or nobody knows whether it was.
    Commit,
    /// Partitions of a stream had different offsets at its barrier. Found by the coordinator itself.
    Vectors,
    /// A change needed a barrier at once while as many epochs were in flight as may be; the next one stands for this one too. Found by
    /// the coordinator itself.
    Crowded,
}
