//! Commit records.

use super::states::CountsV1;
use crate::checkpoint::commit::{Ahead, Commit, MetricCommit, SinkCommit, SplitCommit, StoreCommit, StreamCommit};
use raympp_types::{Epoch, EventTime, MetricId, Offset, PlanVersion, RunningWatermark, SplitId, StoreUid, StreamId};
use rkyv::{Archive, Deserialize, Serialize};

#[derive(Archive, Serialize, Deserialize)]
pub(in crate::checkpoint) struct CommitV1 {
    epoch: u64,
    wall_us: i64,
    next_stream: u32,
    next_metric: u32,
    next_store: u32,
    streams: Vec<StreamV1>,
    sinks: Vec<SinkV1>,
}

#[derive(Archive, Serialize, Deserialize)]
struct StreamV1 {
    id: u32,
    name: String,
    definition: String,
    bound_us: i64,
    key_groups: u32,
    partitions: u32,
    plan: u64,
    frontier_us: i64,
    max_event_time_us: i64,
    splits: Vec<SplitV1>,
    stores: Vec<StoreV1>,
    metrics: Vec<MetricV1>,
    counts: CountsV1,
}

#[derive(Archive, Serialize, Deserialize)]
struct SplitV1 {
    id: u32,
    name: String,
    offset: u64,
    max_event_time_us: i64,
    floor_us: i64,
    ended: bool,
    fingerprint: String,
}

#[derive(Archive, Serialize, Deserialize)]
struct StoreV1 {
    uid: u32,
    description: String,
    accumulators: Vec<String>,
}

#[derive(Archive, Serialize, Deserialize)]
struct MetricV1 {
    id: u32,
    name: String,
    definition: String,
    store: u32,
    accumulators: Vec<u32>,
    first_after_us: Option<i64>,
}

#[derive(Archive, Serialize, Deserialize)]
struct SinkV1 {
    name: String,
    definition: String,
    stream: u32,
    handle: Vec<u8>,
    ahead: Option<AheadV1>,
}

#[derive(Archive, Serialize, Deserialize)]
struct AheadV1 {
    frontier_us: i64,
    offsets: Vec<(u32, u64)>,
}

impl CommitV1 {
    pub(in crate::checkpoint) fn of(commit: &Commit) -> CommitV1 {
        CommitV1 {
            epoch: commit.epoch.0,
            wall_us: commit.wall_us,
            next_stream: commit.next_stream.0,
            next_metric: commit.next_metric.0,
            next_store: commit.next_store.0,
            streams: commit.streams.iter().map(StreamV1::of).collect(),
            sinks: commit.sinks.iter().map(SinkV1::of).collect(),
        }
    }

    pub(in crate::checkpoint) fn into_commit(self) -> Commit {
        Commit {
            epoch: Epoch(self.epoch),
            wall_us: self.wall_us,
            next_stream: StreamId(self.next_stream),
            next_metric: MetricId(self.next_metric),
            next_store: StoreUid(self.next_store),
            streams: self.streams.into_iter().map(StreamV1::into_commit).collect(),
            sinks: self.sinks.into_iter().map(SinkV1::into_commit).collect(),
        }
    }
}

impl StreamV1 {
    fn of(stream: &StreamCommit) -> StreamV1 {
        StreamV1 {
            id: stream.id.0,
            name: stream.name.clone(),
            definition: stream.definition.clone(),
            bound_us: stream.bound_us,
            key_groups: stream.key_groups,
            partitions: stream.partitions,
            plan: stream.plan.0,
            frontier_us: stream.frontier.0,
            max_event_time_us: stream.max_event_time.0,
            splits: stream.splits.iter().map(SplitV1::of).collect(),
            stores: stream.stores.iter().map(StoreV1::of).collect(),
            metrics: stream.metrics.iter().map(MetricV1::of).collect(),
            counts: CountsV1::of(&stream.counts),
        }
    }

    fn into_commit(self) -> StreamCommit {
        StreamCommit {
            id: StreamId(self.id),
            name: self.name,
            definition: self.definition,
            bound_us: self.bound_us,
            key_groups: self.key_groups,
            partitions: self.partitions,
            plan: PlanVersion(self.plan),
            frontier: EventTime(self.frontier_us),
            max_event_time: EventTime(self.max_event_time_us),
            splits: self.splits.into_iter().map(SplitV1::into_commit).collect(),
            stores: self.stores.into_iter().map(StoreV1::into_commit).collect(),
            metrics: self.metrics.into_iter().map(MetricV1::into_commit).collect(),
            counts: self.counts.into_counts(),
        }
    }
}

impl SplitV1 {
    fn of(split: &SplitCommit) -> SplitV1 {
        SplitV1 {
            id: split.id.0,
            name: split.name.clone(),
            offset: split.offset.0,
            max_event_time_us: split.watermark.max_event_time.0,
            floor_us: split.watermark.floor.0,
            ended: split.ended,
            fingerprint: split.fingerprint.clone(),
        }
    }

    fn into_commit(self) -> SplitCommit {
        SplitCommit {
            id: SplitId(self.id),
            name: self.name,
            offset: Offset(self.offset),
            watermark: RunningWatermark { max_event_time: EventTime(self.max_event_time_us), floor: EventTime(self.floor_us) },
            ended: self.ended,
            fingerprint: self.fingerprint,
        }
    }
}

impl StoreV1 {
    fn of(store: &StoreCommit) -> StoreV1 {
        StoreV1 { uid: store.uid.0, description: store.description.clone(), accumulators: store.accumulators.clone() }
    }

    fn into_commit(self) -> StoreCommit {
        StoreCommit { uid: StoreUid(self.uid), description: self.description, accumulators: self.accumulators }
    }
}

impl MetricV1 {
    fn of(metric: &MetricCommit) -> MetricV1 {
        MetricV1 {
            id: metric.id.0,
            name: metric.name.clone(),
            definition: metric.definition.clone(),
            store: metric.store.0,
            accumulators: metric.accumulators.clone(),
            first_after_us: metric.first_after.map(|time| time.0),
        }
    }

    fn into_commit(self) -> MetricCommit {
        MetricCommit {
            id: MetricId(self.id),
            name: self.name,
            definition: self.definition,
            store: StoreUid(self.store),
            accumulators: self.accumulators,
            first_after: self.first_after_us.map(EventTime),
        }
    }
}

impl SinkV1 {
    fn of(sink: &SinkCommit) -> SinkV1 {
        let ahead = sink.ahead.as_ref().map(AheadV1::of);
        let (name, definition) = (sink.name.clone(), sink.definition.clone());
        SinkV1 { name, definition, stream: sink.stream.0, handle: sink.handle.clone(), ahead }
    }

    fn into_commit(self) -> SinkCommit {
        let ahead = self.ahead.map(AheadV1::into_ahead);
        SinkCommit { name: self.name, definition: self.definition, stream: StreamId(self.stream), handle: self.handle, ahead }
    }
}

impl AheadV1 {
    fn of(ahead: &Ahead) -> AheadV1 {
        let offsets = ahead.offsets.iter().map(|&(split, offset)| (split.0, offset.0)).collect();
        AheadV1 { frontier_us: ahead.frontier.0, offsets }
    }

    fn into_ahead(self) -> Ahead {
        let offsets = self.offsets.into_iter().map(|(split, offset)| (SplitId(split), Offset(offset))).collect();
        Ahead { frontier: EventTime(self.frontier_us), offsets }
    }
}
