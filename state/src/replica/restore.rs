//! A new replica that goes on from a checkpoint: records are merged like deltas, then the splits are as they were at the barrier.
//!
//! What the records do not say is derived: ids, running values, merged slices and what has closed. Windows that end up to the frontier at the
//! barrier close once more, and nobody is told: their results were published.

use super::barriers::Barriers;
use super::{Counters, Replica, SplitProgress, StoreState, Want};
use crate::checkpoint::{Pieces, Record, SplitState};
use crate::delta::{KeyList, Placement, StoreDelta};
use crate::keys::Keys;
use raympp_types::{Epoch, EventTime, MetricId};
use std::collections::{BTreeMap, HashMap};

/// So many keys are compared in one go at most: they fit the core's first cache.
const SAME_RUN_MAX: usize = 512;

/// The barrier that a replica goes on from.
#[derive(Clone, Debug)]
pub struct RestorePoint {
    /// Its number.
    pub epoch: Epoch,
    /// The splits there.
    pub splits: Vec<SplitState>,
    /// F(n).
    pub frontier: EventTime,
    /// Metrics that count only windows that start after this time.
    pub first_after: HashMap<MetricId, EventTime>,
    /// Late and bad rows of the splits whose counts the partition owns.
    pub counters: Counters,
    /// Rows that could not be evaluated, by store.
    pub bad_by_store: BTreeMap<usize, u64>,
}

/// The keys of the record that was loaded last. Records of one store have mostly the same keys in the same order, so that most of the next one's are
/// found by going through both side by side.
#[derive(Default)]
pub(super) struct LastLoaded {
    keys: KeyList,
    ids: Vec<u32>,
    /// Ids that are held until all is loaded: all that were ever in `ids`.
    held: Vec<u32>,
}

impl LastLoaded {
    /// Ids of keys that don't descend; they are held.
    fn ids_of(&mut self, names: &KeyList, keys: &mut Keys) -> Vec<u32> {
        // Then none needs to be looked for.
        let is_first = keys.reader().is_empty();
        keys.expect(names.len());
        let mut ids: Vec<u32> = Vec::with_capacity(names.len());
        // As long as all are the same, more and more are compared in one go.
        let (mut known, mut most) = (0, 1);
        while ids.len() < names.len() {
            let at = ids.len();
            let same = self.keys.same_run(known, names, at, most);
            if same > 0 {
                ids.extend_from_slice(&self.ids[known..known + same]);
                known += same;
                most = if same == most { (2 * most).min(SAME_RUN_MAX) } else { 1 };
                continue;
            }
            let name = names.get(at);
            if known < self.keys.len() && self.keys.get(known) < name {
                known += 1;
            } else if at > 0 && names.get(at - 1) == name {
                ids.push(ids[at - 1]);
            } else {
                let id = if is_first { keys.add(name) } else { keys.hold_key(name) };
                self.held.push(id);
                ids.push(id);
            }
        }
        ids
    }

    /// Keeps a record's keys for the next one, unless it is much smaller than the one that is kept.
    fn keep(&mut self, names: KeyList, ids: Vec<u32>) {
        if ids.len() >= self.ids.len() / 2 {
            (self.keys, self.ids) = (names, ids);
        }
    }
}

impl Replica {
    /// Merges a record of a store into a replica that has read nothing; then comes [`Replica::resume`].
    pub fn load(&mut self, store: usize, slice: i64, record: Record) {
        let Some(Some(state)) = self.stores.get_mut(store) else { return };
        let space = self.plan.stores[store].as_ref().expect("a store with state is in the plan").key_space;
        let (keys, last) = (&mut self.keys[space], self.last_loaded.entry(space).or_default());
        let Record { pieces, keys: names, rows, columns } = record;
        let ids = last.ids_of(&names, keys);
        let entries = |placement| StoreDelta { store, placement, ids: Vec::new(), rows, columns };
        match (state, &pieces) {
            (StoreState::Sliced(sliced), Pieces::Sliced) => sliced.apply(&entries(Placement::Slice(slice)), slice, &ids, keys),
            (StoreState::Sessions(sessions), Pieces::Sessions { first_us, last_us }) => {
                let placement = Placement::Sessions { first_us: Vec::new(), last_us: Vec::new() };
                sessions.apply(&entries(placement), first_us, last_us, &ids, keys);
            }
            _ => unreachable!("records of a store are placed as its plan says"),
        }
        last.keep(names, ids);
    }

    /// Goes on from a barrier, all of whose records have been loaded.
    pub fn resume(&mut self, point: RestorePoint) {
        for (space, last) in std::mem::take(&mut self.last_loaded) {
            last.held.into_iter().for_each(|id| self.keys[space].release(id));
        }
        self.seen = point.splits.iter().map(|split| split.watermark.max_event_time).max().unwrap_or(EventTime::MIN);
        let plan = self.plan.version;
        let progress = |split: &SplitState| SplitProgress { barrier: point.epoch, plan, ..SplitProgress::at(split) };
        self.splits = point.splits.iter().map(|split| (split.split, progress(split))).collect();
        self.frontier = point.frontier;
        self.first_after.extend(point.first_after);
        self.barriers = Barriers::after(point.epoch, point.frontier);
        while self.close_step(|_| Want::Nothing, &mut Vec::new()) {}
        self.counters = point.counters;
        self.bad_by_store = point.bad_by_store;
        self.publish_plan();
        self.view.publish_progress(self.frontier, self.seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raympp_types::DataType;

    fn list(names: &[String]) -> KeyList {
        let mut keys = KeyList::default();
        names.iter().for_each(|name| keys.push(name.as_bytes()));
        keys
    }

    /// Records that have the keys of the one before, some of them, others beside them, none, and keys several times, as sessions do.
    #[test]
    fn each_key_has_the_same_id_in_all_records() {
        let every = |step: usize| (0..5_000).step_by(step).map(|i| format!("key-{i:05}")).collect::<Vec<_>>();
        let mut others = every(3);
        others.extend((0..2_000).map(|i| format!("key-{i:05}-longer")));
        others.sort();
        let repeated: Vec<String> = every(2).into_iter().enumerate().flat_map(|(i, key)| vec![key; 1 + i % 3]).collect();
        let unlike = vec!["key-000".to_owned(), "kez".to_owned()];
        let records = [every(2), every(2), every(1), others, every(7), repeated.clone(), Vec::new(), unlike, repeated, every(1)];
        let mut keys = Keys::new(vec![DataType::Varchar]);
        let mut last = LastLoaded::default();
        for names in &records {
            let names = list(names);
            let ids = last.ids_of(&names, &mut keys);
            let found: Vec<u32> = names.iter().map(|name| keys.reader().id(name).expect("held")).collect();
            assert_eq!(ids, found);
            last.keep(names, ids);
        }
        let mut distinct: Vec<&String> = records.iter().flatten().collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(keys.reader().len(), distinct.len());
    }
}
