//! Partitions' states. Barriers' lists of splits are kept once, however many splits have a mark with the same one.

use crate::checkpoint::batch::{Counts, PartitionState, SplitState};
use crate::delta::Mark;
use raympp_types::{Epoch, EventTime, Offset, PlanVersion, RunningWatermark, SplitId, StoreUid};
use rkyv::{Archive, Deserialize, Serialize};
use std::sync::Arc;

#[derive(Archive, Serialize, Deserialize)]
pub(in crate::checkpoint) struct StateV1 {
    splits: Vec<SplitV1>,
    /// What barriers' marks point into.
    split_lists: Vec<Vec<u32>>,
    counts: CountsV1,
}

#[derive(Archive, Serialize, Deserialize)]
struct SplitV1 {
    split: u32,
    offset: u64,
    max_event_time_us: i64,
    floor_us: i64,
    ended: bool,
    marks: Vec<PlacedMarkV1>,
}

#[derive(Archive, Serialize, Deserialize)]
struct PlacedMarkV1 {
    offset: u64,
    mark: MarkV1,
}

#[derive(Archive, Serialize, Deserialize)]
enum MarkV1 {
    Barrier { epoch: u64, split_list: u32, plan: u64 },
    Floor { floor_us: i64 },
    End,
}

#[derive(Archive, Serialize, Deserialize)]
pub(super) struct CountsV1 {
    late: u64,
    bad: u64,
    bad_by_store: Vec<(u32, u64)>,
}

impl StateV1 {
    pub(in crate::checkpoint) fn of(state: &PartitionState) -> StateV1 {
        let mut lists = SplitLists::default();
        let splits = state.splits.iter().map(|split| SplitV1::of(split, &mut lists)).collect();
        let split_lists = lists.lists.iter().map(|list| list.iter().map(|split| split.0).collect()).collect();
        StateV1 { splits, split_lists, counts: CountsV1::of(&state.counts) }
    }

    pub(in crate::checkpoint) fn into_state(self) -> Result<PartitionState, &'static str> {
        let lists: Vec<Arc<[SplitId]>> = self.split_lists.into_iter().map(|list| list.into_iter().map(SplitId).collect()).collect();
        let splits = self.splits.into_iter().map(|split| split.into_state(&lists)).collect::<Result<_, _>>()?;
        Ok(PartitionState { splits, counts: self.counts.into_counts() })
    }
}

/// Distinct lists of splits, of which there are few.
#[derive(Default)]
struct SplitLists {
    lists: Vec<Arc<[SplitId]>>,
}

impl SplitLists {
    fn number_of(&mut self, list: &Arc<[SplitId]>) -> u32 {
        let known = self.lists.iter().position(|other| Arc::ptr_eq(other, list) || other == list);
        let number = known.unwrap_or_else(|| {
            self.lists.push(Arc::clone(list));
            self.lists.len() - 1
        });
        number as u32
    }
}

impl SplitV1 {
    fn of(state: &SplitState, lists: &mut SplitLists) -> SplitV1 {
        let marks = state.marks.iter().map(|(offset, mark)| PlacedMarkV1 { offset: offset.0, mark: MarkV1::of(mark, lists) }).collect();
        SplitV1 {
            split: state.split.0,
            offset: state.offset.0,
            max_event_time_us: state.watermark.max_event_time.0,
            floor_us: state.watermark.floor.0,
            ended: state.ended,
            marks,
        }
    }

    fn into_state(self, lists: &[Arc<[SplitId]>]) -> Result<SplitState, &'static str> {
        let placed = |placed: PlacedMarkV1| placed.mark.into_mark(lists).map(|mark| (Offset(placed.offset), mark));
        Ok(SplitState {
            split: SplitId(self.split),
            offset: Offset(self.offset),
            watermark: RunningWatermark { max_event_time: EventTime(self.max_event_time_us), floor: EventTime(self.floor_us) },
            ended: self.ended,
            marks: self.marks.into_iter().map(placed).collect::<Result<_, _>>()?,
        })
    }
}

impl MarkV1 {
    fn of(mark: &Mark, lists: &mut SplitLists) -> MarkV1 {
        match mark {
            Mark::Barrier { epoch, splits, plan } => MarkV1::Barrier { epoch: epoch.0, split_list: lists.number_of(splits), plan: plan.0 },
            Mark::Floor(floor) => MarkV1::Floor { floor_us: floor.0 },
            Mark::End => MarkV1::End,
        }
    }

    fn into_mark(self, lists: &[Arc<[SplitId]>]) -> Result<Mark, &'static str> {
        Ok(match self {
            MarkV1::Barrier { epoch, split_list, plan } => {
                let splits = lists.get(split_list as usize).ok_or("a barrier's list of splits is not there")?;
                Mark::Barrier { epoch: Epoch(epoch), splits: Arc::clone(splits), plan: PlanVersion(plan) }
            }
            MarkV1::Floor { floor_us } => Mark::Floor(EventTime(floor_us)),
            MarkV1::End => Mark::End,
        })
    }
}

impl CountsV1 {
    pub(super) fn of(counts: &Counts) -> CountsV1 {
        let bad_by_store = counts.bad_by_store.iter().map(|&(store, bad)| (store.0, bad)).collect();
        CountsV1 { late: counts.late, bad: counts.bad, bad_by_store }
    }

    pub(super) fn into_counts(self) -> Counts {
        let bad_by_store = self.bad_by_store.into_iter().map(|(store, bad)| (StoreUid(store), bad)).collect();
        Counts { late: self.late, bad: self.bad, bad_by_store }
    }
}
