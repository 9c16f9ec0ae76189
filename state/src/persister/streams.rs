//! What the persister knows of one stream: its partitions' lists, its plans, and the barriers that are not committed.

use super::{SplitInfo, StreamInfo};
use crate::checkpoint::record::SliceId;
use crate::checkpoint::{Counts, MetricCommit, Record, RecordId, SplitCommit, SplitState, StoreCommit, StreamCommit};
use crate::epoch_list::{EpochList, EpochLists, Uncounted};
use raympp_operators::sharing::{SharedMetric, SharedPlan, Store};
use raympp_types::{Epoch, EventTime, MetricId, PartitionId, PlanVersion, SplitId, StoreUid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One partition.
pub(super) struct PartitionLists {
    pub(super) lists: EpochLists,
    /// Rows that count in no window, of all epochs written.
    pub(super) uncounted: Uncounted,
    /// The last epoch written.
    pub(super) written: Epoch,
}

/// A stream at a barrier.
pub(super) struct StreamAt {
    splits: Vec<SplitState>,
    frontier: EventTime,
    plan: PlanVersion,
    counts: Counts,
}

/// See the module.
pub(super) struct StreamLists {
    pub(super) info: StreamInfo,
    pub(super) splits: BTreeMap<SplitId, SplitInfo>,
    pub(super) partitions: BTreeMap<PartitionId, PartitionLists>,
    pub(super) plans: BTreeMap<PlanVersion, Arc<SharedPlan>>,
    /// By position, all stores there have been.
    pub(super) stores: Vec<(StoreUid, Arc<Store>)>,
    /// Of metrics that were added while rows flowed.
    first_after: BTreeMap<MetricId, EventTime>,
    /// The newest plan that a barrier has brought, or the first one.
    in_force: PlanVersion,
    whole: BTreeMap<Epoch, StreamAt>,
    /// As the newest checkpoint has it.
    pub(super) committed: Option<StreamCommit>,
}

impl StreamLists {
    pub(super) fn new(info: StreamInfo, plan: PlanVersion, first_after: BTreeMap<MetricId, EventTime>) -> StreamLists {
        StreamLists {
            info,
            splits: BTreeMap::new(),
            partitions: BTreeMap::new(),
            plans: BTreeMap::new(),
            stores: Vec::new(),
            first_after,
            in_force: plan,
            whole: BTreeMap::new(),
            committed: None,
        }
    }

    /// Takes in a plan; `uid` gives a name to each store that is new.
    pub(super) fn add_plan(&mut self, plan: &Arc<SharedPlan>, mut uid: impl FnMut(usize) -> StoreUid) {
        for (position, store) in plan.stores.iter().enumerate().skip(self.stores.len()) {
            let store = store.as_ref().expect("a plan that brings a store has use for it");
            self.stores.push((uid(position), Arc::clone(store)));
        }
        self.plans.insert(plan.version, Arc::clone(plan));
    }

    /// The slices that a list touches.
    pub(super) fn slices_of(&self, partition: PartitionId, list: &EpochList) -> impl Iterator<Item = SliceId> {
        let stream = self.info.id;
        list.records.keys().map(move |&(position, slice)| SliceId { stream, partition, store: self.stores[position].0, slice })
    }

    /// The records of a list, taken out of it.
    pub(super) fn records_of(&self, partition: PartitionId, after: Epoch, list: &mut EpochList) -> Vec<(RecordId, Record)> {
        let name = |((position, slice), record): ((usize, i64), Record)| {
            let (stream, store) = (self.info.id, self.stores[position].0);
            (RecordId { stream, partition, store, slice, from: after, to: list.epoch }, record)
        };
        std::mem::take(&mut list.records).into_iter().map(name).collect()
    }

    /// The records of a list that could not be written, as it had them.
    pub(super) fn records_back(&self, records: Vec<(RecordId, Record)>) -> BTreeMap<(usize, i64), Record> {
        let position = |uid: StoreUid| self.stores.iter().position(|(other, _)| *other == uid);
        records.into_iter().filter_map(|(id, record)| Some(((position(id.store)?, id.slice), record))).collect()
    }

    /// Notes that a partition has written its list.
    pub(super) fn note_written(&mut self, list: &EpochList, counts: &Counts) {
        let new = || StreamAt { splits: list.splits.clone(), frontier: list.frontier, plan: list.plan, counts: Counts::default() };
        let total = &mut self.whole.entry(list.epoch).or_insert_with(new).counts;
        total.late += counts.late;
        total.bad += counts.bad;
        for &(uid, bad) in &counts.bad_by_store {
            match total.bad_by_store.binary_search_by_key(&uid, |(uid, _)| *uid) {
                Ok(at) => total.bad_by_store[at].1 += bad,
                Err(at) => total.bad_by_store.insert(at, (uid, bad)),
            }
        }
    }

    /// Notes the plan that a list's barrier brings, whether or not the list can be written: its new metrics count windows that start after the
    /// highest event time there.
    pub(super) fn note_plan(&mut self, list: &EpochList) {
        if list.plan <= self.in_force {
            return;
        }
        let seen = list.splits.iter().map(|split| split.watermark.max_event_time).max().unwrap_or(EventTime::MIN);
        if let Some(plan) = self.plans.get(&list.plan) {
            let new = plan.metrics.iter().filter(|metric| metric.since > self.in_force);
            self.first_after.extend(new.map(|metric| (metric.id, seen)));
        }
        self.in_force = list.plan;
    }

    /// What was counted, with stores by their names.
    pub(super) fn counts(&self, uncounted: &Uncounted) -> Counts {
        let mut bad_by_store: Vec<(StoreUid, u64)> =
            uncounted.bad_by_store.iter().map(|(&position, &bad)| (self.stores[position].0, bad)).collect();
        bad_by_store.sort_unstable();
        Counts { late: uncounted.late, bad: uncounted.bad, bad_by_store }
    }

    /// The stream in the commit record of an epoch that all its partitions have written.
    pub(super) fn commit(&self, epoch: Epoch) -> Option<StreamCommit> {
        let at = self.whole.get(&epoch)?;
        let plan = self.plans.get(&at.plan)?;
        let StreamInfo { id, name, definition, bound_us, key_groups, partitions } = self.info.clone();
        let stores = plan.live_stores().map(|(position, store)| StoreCommit {
            uid: self.stores[position].0,
            description: store.description(&plan.key_spaces[store.key_space]),
            accumulators: store.accumulators.iter().map(|accumulator| accumulator.description()).collect(),
        });
        let mut stores: Vec<StoreCommit> = stores.collect();
        stores.sort_by_key(|store| store.uid);
        Some(StreamCommit {
            id,
            name,
            definition,
            bound_us,
            key_groups,
            partitions,
            plan: at.plan,
            frontier: at.frontier,
            max_event_time: at.splits.iter().map(|split| split.watermark.max_event_time).max().unwrap_or(EventTime::MIN),
            splits: at.splits.iter().map(|split| self.commit_split(split)).collect(),
            stores,
            metrics: plan.metrics.iter().map(|metric| self.commit_metric(metric)).collect(),
            counts: at.counts.clone(),
        })
    }

    fn commit_split(&self, at: &SplitState) -> SplitCommit {
        let SplitInfo { name, fingerprint } = self.splits.get(&at.split).cloned().unwrap_or_default();
        SplitCommit { id: at.split, name, offset: at.offset, watermark: at.watermark, ended: at.ended, fingerprint }
    }

    fn commit_metric(&self, metric: &SharedMetric) -> MetricCommit {
        MetricCommit {
            id: metric.id,
            name: metric.plan.name.clone(),
            definition: metric.plan.meaning(),
            store: self.stores[metric.store].0,
            accumulators: metric.accumulators.iter().flatten().map(|&position| position as u32).collect(),
            first_after: self.first_after.get(&metric.id).copied(),
        }
    }

    /// Notes that an epoch is committed.
    pub(super) fn note_committed(&mut self, epoch: Epoch, commit: StreamCommit) {
        self.whole = self.whole.split_off(&epoch.next());
        self.plans = self.plans.split_off(&commit.plan);
        self.committed = Some(commit);
    }
}
