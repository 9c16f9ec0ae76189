//! Plans come into force at a replica, and metrics that were added while rows flowed find out which window is their first.

use super::{Replica, StoreState};
use crate::keys::Keys;
use crate::sessions::SessionStore;
use crate::sliced::SlicedStore;
use crate::view::StoreView;
use raympp_operators::sharing::{SharedPlan, Store, StoreKind};
use raympp_types::{EventTime, MetricId, PlanVersion, SplitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Metrics that were added while rows flowed: until every split has passed the barrier that brought them, their first window is
/// unknown. A split has passed it once it shows a barrier with that plan or a later one: a split that joined behind it may be the first.
#[derive(Clone)]
pub(super) struct Joining {
    pub(super) plan: PlanVersion,
    pub(super) waiting: BTreeSet<SplitId>,
    pub(super) passed: BTreeSet<SplitId>,
    /// Highest event time before the barrier, in the splits that have passed it or had ended before it.
    pub(super) seen: EventTime,
    pub(super) metrics: Vec<MetricId>,
}

impl Replica {
    /// Takes over a plan that a barrier brings, before the delta with the barrier's mark is applied. Older plans change nothing.
    pub fn adopt(&mut self, plan: Arc<SharedPlan>) {
        if plan.version <= self.plan.version {
            return;
        }
        let mut new: BTreeMap<PlanVersion, Vec<MetricId>> = BTreeMap::new();
        for metric in plan.metrics.iter().filter(|metric| metric.since > self.plan.version) {
            self.first_after.insert(metric.id, EventTime::MAX);
            new.entry(metric.since).or_default().push(metric.id);
        }
        let waiting: BTreeSet<SplitId> = self.splits.iter().filter(|(_, split)| !split.ended).map(|(&id, _)| id).collect();
        let ended = self.splits.values().filter(|split| split.ended).map(|split| split.watermark.max_event_time);
        let seen = ended.max().unwrap_or(EventTime::MIN);
        for (plan, metrics) in new {
            self.joining.push(Joining { plan, waiting: waiting.clone(), passed: BTreeSet::new(), seen, metrics });
        }
        self.set_plan(plan);
        self.finish_joining();
    }

    pub(super) fn set_plan(&mut self, plan: Arc<SharedPlan>) {
        for space in &plan.key_spaces[self.keys.len()..] {
            self.keys.push(Keys::new(space.types()));
        }
        for (i, store) in plan.stores.iter().enumerate() {
            if i == self.stores.len() {
                self.stores.push(store.as_ref().map(|store| self.new_store(store, &plan, i)));
            } else if store.is_none()
                && let Some(mut dropped) = self.stores[i].take()
            {
                let space = self.plan.stores[i].as_ref().expect("it was in use").key_space;
                match &mut dropped {
                    StoreState::Sliced(store) => store.release_keys(&mut self.keys[space]),
                    StoreState::Sessions(store) => store.release_keys(&mut self.keys[space]),
                }
                self.unfinished.remove(&i);
            }
        }
        self.plan = plan;
        self.publish_plan();
    }

    pub(super) fn new_store(&self, store: &Arc<Store>, plan: &SharedPlan, position: usize) -> StoreState {
        match store.kind {
            StoreKind::Sliced | StoreKind::Running => StoreState::Sliced(SlicedStore::new(store, self.frontier)),
            StoreKind::Sessions { gap_us } => {
                let users = plan.metrics.iter().filter(|metric| metric.store == position);
                let retention_us = users.map(|metric| metric.plan.retention_us).max().unwrap_or(0);
                StoreState::Sessions(SessionStore::new(store, gap_us, retention_us))
            }
        }
    }

    pub(super) fn publish_plan(&self) {
        let stores = self.stores.iter().map(|store| match store {
            Some(StoreState::Sliced(store)) => Some(StoreView::Sliced(Arc::clone(store.shared()))),
            Some(StoreState::Sessions(store)) => Some(StoreView::Sessions(Arc::clone(store.shared()))),
            None => None,
        });
        let keys = self.keys.iter().map(|keys| Arc::clone(keys.reader())).collect();
        self.view.publish_plan(Arc::clone(&self.plan), stores.collect(), keys, self.first_after.clone());
    }

    /// Notes for metrics that join that a split has shown a barrier with this plan, whose epoch has these splits.
    pub(super) fn pass_joining(&mut self, split: SplitId, listed: &[SplitId], plan: PlanVersion) {
        let seen = self.splits[&split].watermark.max_event_time;
        for joining in &mut self.joining {
            if plan < joining.plan {
                // These were there before the metrics' barrier, and the replica may only now hear of them.
                let ended = |split: &SplitId| self.splits[split].ended;
                joining.waiting.extend(listed.iter().filter(|split| !ended(split) && !joining.passed.contains(split)));
            } else if joining.waiting.remove(&split) {
                joining.seen = joining.seen.max(seen);
                joining.passed.insert(split);
            }
        }
    }

    pub(super) fn finish_joining(&mut self) {
        let (done, waiting): (Vec<Joining>, Vec<Joining>) =
            std::mem::take(&mut self.joining).into_iter().partition(|joining| joining.waiting.is_empty());
        self.joining = waiting;
        if !done.is_empty() {
            for joining in done {
                joining.metrics.iter().for_each(|&metric| {
                    self.first_after.insert(metric, joining.seen);
                });
            }
            self.publish_plan();
        }
    }

    /// Version of the plan in force.
    pub fn plan_version(&self) -> PlanVersion {
        self.plan.version
    }
}
