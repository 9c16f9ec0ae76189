//! What the coordinator wants done.

use crate::fact::Failure;
use raympp_types::{Epoch, EventTime, PartitionId, PlanVersion, ReplicaId, SinkId, SplitId, StreamId, Term};
use std::sync::Arc;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Every live split marks this barrier and goes on under the plan.
    Barrier {
        /// Of which stream.
        stream: StreamId,
        /// Its number.
        epoch: Epoch,
        /// Splits of the epoch: the live ones and those that join.
        splits: Arc<[SplitId]>,
        /// In force from here on.
        plan: PlanVersion,
    },
    /// A split that joined is read, its chain beginning with this barrier and floor.
    Open {
        /// Of which stream.
        stream: StreamId,
        /// Which split.
        split: SplitId,
        /// The barrier it joined at.
        epoch: Epoch,
        /// Splits of that epoch.
        splits: Arc<[SplitId]>,
        /// The plan that barrier carries.
        plan: PlanVersion,
        /// The frontier there.
        floor: EventTime,
    },
    /// All splits have ended, so the stream is complete and this one can't join it any more.
    Refuse {
        /// Of which stream.
        stream: StreamId,
        /// Which split.
        split: SplitId,
    },
    /// Every live split has marked a barrier with this plan, the first one that has it.
    InForce {
        /// Of which stream.
        stream: StreamId,
        /// The plan.
        plan: PlanVersion,
        /// False: no chain carries it, so partitions take it over at once.
        carried: bool,
    },
    /// Tell the watermarks of the stream's splits.
    Look(StreamId),
    /// An idle split's watermark rises to this floor, unless its silence has been broken meanwhile.
    Floor {
        /// Of which stream.
        stream: StreamId,
        /// Which split.
        split: SplitId,
        /// Which silence: when it began.
        since_us: u64,
        /// The floor.
        floor: EventTime,
    },
    /// No chain carries this barrier, since all splits have ended: the stream's partitions take it by themselves when they have seen all
    /// ends, and ack it. F(n) is [`EventTime::MAX`]. It may come several times, with rising epochs.
    Seal {
        /// Of which stream.
        stream: StreamId,
        /// Its number.
        epoch: Epoch,
    },
    /// The sink makes durable, but not visible, what it gets up to this barrier: windows with end ≤ F(n), late rows and changes of epochs
    /// ≤ n, together with what it had prepared for epochs that were given up. In order of epochs; it need not wait for the last one's commit.
    Prepare {
        /// Which sink.
        sink: SinkId,
        /// Which epoch.
        epoch: Epoch,
        /// F(n) of the sink's stream.
        frontier: EventTime,
    },
    /// All partitions have acked and all sinks have prepared: write the commit record. One at a time, in order.
    Commit {
        /// Which epoch.
        epoch: Epoch,
        /// The streams that took part, in order. Others are as their last commit has them, or are in none.
        streams: Arc<[StreamEpoch]>,
    },
    /// An epoch is committed: sinks may show what they have prepared, and F(n) may be told.
    Publish {
        /// Which epoch.
        epoch: Epoch,
        /// As in its [`Action::Commit`].
        streams: Arc<[StreamEpoch]>,
    },
    /// The partition's primary is lost, and this replica, which is in sync, takes its place under a term that voids what that one may still say.
    Promote {
        /// Of which stream.
        stream: StreamId,
        /// Of which partition.
        partition: PartitionId,
        /// Which replica.
        replica: ReplicaId,
        /// What its results are sent under.
        term: Term,
    },
    /// A replica is lost: another is to be made from those in sync, and to be told of when it is in sync itself.
    Repair {
        /// Of which stream.
        stream: StreamId,
        /// Of which partition.
        partition: PartitionId,
        /// The new one.
        replica: ReplicaId,
        /// Whose place it takes: one that is lost, or that was to be made of a primary that is.
        instead_of: ReplicaId,
    },
    /// No replica is in sync: the partition can go on from a checkpoint only. The first replica that is in sync again is promoted.
    Orphaned {
        /// Of which stream.
        stream: StreamId,
        /// Of which partition.
        partition: PartitionId,
    },
    /// An epoch will never be committed. The next one stands for both: partitions merge what they have of it into the next one's, sinks
    /// carry what they had prepared. Every stream and sink of it takes part in the next one, if it is still there and has anything in it that
    /// the last commit lacks.
    GiveUp {
        /// Which epoch.
        epoch: Epoch,
        /// Why.
        why: Failure,
    },
}

/// A stream at the barrier of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEpoch {
    /// Which.
    pub stream: StreamId,
    /// F(n): windows that end at or before it are in. [`EventTime::MAX`]: the stream is complete.
    pub frontier: EventTime,
    /// The plan that the barrier carries.
    pub plan: PlanVersion,
}
