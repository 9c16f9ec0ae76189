//! What the coordinator wants done.

use raympp_types::{Epoch, EventTime, PlanVersion, SplitId, StreamId};
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
    /// An epoch is complete everywhere.
    Commit {
        /// Of which stream.
        stream: StreamId,
        /// Its number.
        epoch: Epoch,
        /// F(n).
        frontier: EventTime,
    },
}
