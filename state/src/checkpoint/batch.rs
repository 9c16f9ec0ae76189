//! What one partition writes for one epoch, as one atomic batch.

use super::record::{Record, RecordId};
use crate::delta::Mark;
use raympp_types::{Epoch, Offset, PartitionId, RunningWatermark, SplitId, StoreUid, StreamId};

/// How far a partition was with one split when barrier n had come from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitState {
    /// Which split.
    pub split: SplitId,
    /// V(n): where the barrier stands, or where the split ended.
    pub offset: Offset,
    /// Highest event time of all rows up to there, and the floor.
    pub watermark: RunningWatermark,
    /// No rows come after it.
    pub ended: bool,
    /// Marks behind barrier n−1 up to and including barrier n, in the order they were placed.
    pub marks: Vec<(Offset, Mark)>,
}

/// What a partition, or all partitions of a stream, counted from the first row up to a barrier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Late rows of the splits whose counts the partition owns.
    pub late: u64,
    /// Undecodable rows of these splits and rows too far ahead.
    pub bad: u64,
    /// Rows that could not be evaluated, by store, ascending.
    pub bad_by_store: Vec<(StoreUid, u64)>,
}

/// A partition at barrier n, without its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionState {
    /// All splits of the epoch, by id.
    pub splits: Vec<SplitState>,
    /// What it had counted there.
    pub counts: Counts,
}

/// List n of a partition, merged.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionBatch {
    /// Of which stream.
    pub stream: StreamId,
    /// Of which partition.
    pub partition: PartitionId,
    /// n.
    pub epoch: Epoch,
    /// The partition at barrier n.
    pub state: PartitionState,
    /// Records that end at n, and older ones that were rewritten as one.
    pub records: Vec<(RecordId, Record)>,
}

/// What writing a batch took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of all archives, before compression.
    pub bytes: u64,
    /// Bytes by record, in the batch's order, as [`super::CheckpointStore::records`] tells them later.
    pub record_bytes: Vec<u64>,
}
