//! What changelogs ask of a replica: which keys changed, and what a key had last that is being forgotten.
//!
//! A running total with a time to live never closes, so nothing says its value once more before its key is forgotten. Whoever holds a
//! change of it back must therefore be given the value by then: nothing is let go of unseen, as long as what was let go of is taken
//! after each step of closing.

use super::{Replica, StoreState};
use crate::sessions::LetGo;
use raympp_operators::sharing::SharedMetric;

/// Changes of one store.
#[derive(Default)]
pub(super) struct Tracked {
    /// Ids of keys that the last applied delta changed.
    pub(super) touched: Vec<u32>,
    /// Of running totals that have been forgotten; `None` where windows close and say their last value so.
    let_go: Option<Vec<LetGo>>,
}

impl Tracked {
    pub(super) fn let_go(&mut self) -> Option<&mut Vec<LetGo>> {
        self.let_go.as_mut()
    }
}

impl Replica {
    /// Starts collecting what changes in the store of a metric, for [`Replica::touched`] and [`Replica::take_let_go`].
    pub fn track(&mut self, metric: &SharedMetric) {
        let tracked = self.tracked.entry(metric.store).or_default();
        if !metric.plan.window.has_bounds() {
            tracked.let_go.get_or_insert_default();
        }
    }

    /// Ids of the keys of a tracked store that the last applied delta changed; may repeat.
    pub fn touched(&self, store: usize) -> &[u32] {
        self.tracked.get(&store).map_or(&[], |tracked| &tracked.touched)
    }

    /// Running totals of tracked stores that have been forgotten since the last call, by store.
    pub fn take_let_go(&mut self) -> Vec<(usize, Vec<LetGo>)> {
        let taken = self.tracked.iter_mut().map(|(&store, tracked)| (store, tracked.let_go().map_or_else(Vec::new, std::mem::take)));
        taken.filter(|(_, let_go)| !let_go.is_empty()).collect()
    }

    /// Ids that keys of a store may have.
    pub fn ids(&self, store: usize) -> std::ops::Range<u32> {
        let space = self.plan.stores.get(store).and_then(|store| store.as_ref()).map(|store| store.key_space);
        0..space.map_or(0, |space| self.keys[space].ids() as u32)
    }

    /// Canonical bytes of a key of a store, unless it has been forgotten.
    pub fn key(&self, store: usize, id: u32) -> Option<&[u8]> {
        let space = self.plan.stores.get(store)?.as_ref()?.key_space;
        self.keys[space].get(id)
    }

    /// True if the key has a session with exactly these bounds.
    pub fn has_session(&self, metric: &SharedMetric, key: &[u8], bounds: (i64, i64)) -> bool {
        let Some(Some(StoreState::Sessions(store))) = self.stores.get(metric.store) else { return false };
        let Some(space) = self.plan.stores[metric.store].as_ref().map(|store| store.key_space) else { return false };
        let gap_us = store.shared().gap_us;
        let list = self.keys[space].reader().id(key).and_then(|id| store.shared().of(id));
        list.is_some_and(|list| list.iter().any(|session| (session.first_us, session.last_us + gap_us) == bounds))
    }
}
