//! The commit record: everything that a restart needs beside the records. Its being there makes an epoch a checkpoint.

use super::batch::Counts;
use raympp_types::{Epoch, EventTime, MetricId, Offset, PlanVersion, RunningWatermark, SplitId, StoreUid, StreamId};

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its number, the same for all streams of an engine.
    pub epoch: Epoch,
    /// When it was committed by the clock, in microseconds since 1970 UTC; only people read it.
    pub wall_us: i64,
    /// Ids from here on have never been given to a stream.
    pub next_stream: StreamId,
    /// Ids from here on have never been given to a metric.
    pub next_metric: MetricId,
    /// Ids from here on have never been given to a store.
    pub next_store: StoreUid,
    /// All streams, by id.
    pub streams: Vec<StreamCommit>,
    /// All sinks, by name.
    pub sinks: Vec<SinkCommit>,
}

/// A stream at the barrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCommit {
    /// As records name it.
    pub id: StreamId,
    /// As the script names it.
    pub name: String,
    /// Its statement in canonical text.
    pub definition: String,
    /// Its bound of out-of-orderness, in microseconds.
    pub bound_us: i64,
    /// Number of key groups.
    pub key_groups: u32,
    /// Number of partitions; partition p has the p-th range of key groups.
    pub partitions: u32,
    /// The set of metrics in force after the barrier.
    pub plan: PlanVersion,
    /// F(n).
    pub frontier: EventTime,
    /// Highest event time of all rows up to the barrier.
    pub max_event_time: EventTime,
    /// All splits, by id.
    pub splits: Vec<SplitCommit>,
    /// All stores, by id.
    pub stores: Vec<StoreCommit>,
    /// All metrics, by id.
    pub metrics: Vec<MetricCommit>,
    /// Over all partitions.
    pub counts: Counts,
}

/// A split at the barrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitCommit {
    /// As partitions' states name it.
    pub id: SplitId,
    /// What the source calls it.
    pub name: String,
    /// Where the barrier stands, or where the split ended.
    pub offset: Offset,
    /// Highest event time of all rows up to there, and the floor.
    pub watermark: RunningWatermark,
    /// No rows come after it.
    pub ended: bool,
    /// How the source knows its input again, in JSON.
    pub fingerprint: String,
}

/// A store of a stream's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCommit {
    /// As records name it.
    pub uid: StoreUid,
    /// What it holds, in canonical text: stores that hold the same say the same.
    pub description: String,
    /// Its accumulators in canonical text, in the order of records' columns.
    pub accumulators: Vec<String>,
}

/// A metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricCommit {
    /// Never used again after a drop.
    pub id: MetricId,
    /// As the script names it.
    pub name: String,
    /// Its statement in canonical text.
    pub definition: String,
    /// Where its groups are kept.
    pub store: StoreUid,
    /// Which of the store's accumulators it reads, in its own order.
    pub accumulators: Vec<u32>,
    /// Only windows that start after it count; `None`: all do.
    pub first_after: Option<EventTime>,
}

/// A sink, which has prepared the windows with end ≤ F(n).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkCommit {
    /// As the script names it.
    pub name: String,
    /// Its statement in canonical text.
    pub definition: String,
    /// The stream that it reads from.
    pub stream: StreamId,
    /// What the sink needs to publish what it has prepared; nobody else reads it.
    pub handle: Vec<u8>,
    /// The handle stands for more than this epoch, since the job was taken back to it from a later one.
    pub ahead: Option<Ahead>,
}

/// What a sink has been given already: rows that come again, since the job was taken back, are not for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// It has the windows that end at or before this.
    pub frontier: EventTime,
    /// It has the late rows of each split up to here, by split.
    pub offsets: Vec<(SplitId, Offset)>,
}
