//! A second replica of a partition, made from one that is alive: it has applied what that one has, and may hear the same chains from there on.
//!
//! What is copied is what the rows say: groups of base slices, sessions, progress of the splits, marks, barriers on their way, what each wire id
//! stands for. What follows from it is derived anew, like in a restart. The copy closes silently what the original has closed; so the original must have
//! nothing left to close, and all that it has closed must have reached its receivers, or nobody could send it again.
//!
//! Cost: a pass over all groups, while the original does nothing else.

use super::{Replica, Sender, StoreState, Want};
use crate::block::PAGE_KEYS;
use crate::delta::{Placement, StoreDelta};
use crate::keys::Keys;
use crate::sessions::SessionStore;
use crate::sliced::SlicedStore;
use std::sync::Arc;

impl Replica {
    /// See the module.
    pub fn copy(&self) -> Replica {
        let mut copy = Replica::new(self.partition, Arc::clone(&self.plan), self.bound_us, self.time_type, &[]);
        for position in 0..self.stores.len() {
            copy.copy_store(self, position);
        }
        copy.splits.clone_from(&self.splits);
        copy.held.clone_from(&self.held);
        copy.first_after.clone_from(&self.first_after);
        copy.joining.clone_from(&self.joining);
        copy.marks.clone_from(&self.marks);
        copy.barriers.clone_from(&self.barriers);
        (copy.term, copy.frontier, copy.seen) = (self.term, self.frontier, self.seen);
        copy.closing = self.closing_frontier();
        for (&split, sender) in &self.senders {
            let dictionaries = sender.dictionaries.copy(&self.keys, &mut copy.keys);
            copy.senders.insert(split, Sender { heard: sender.heard, dictionaries });
        }
        while copy.close_step(|_| Want::Nothing, &mut Vec::new()) {}
        copy.counters = self.counters;
        copy.bad_by_store.clone_from(&self.bad_by_store);
        copy.publish_plan();
        copy.view.publish_progress(copy.frontier, copy.seen);
        copy.view.publish_as_of(self.view.as_of_us());
        copy
    }

    fn copy_store(&mut self, from: &Replica, position: usize) {
        let Some(store) = &from.plan.stores[position] else { return };
        let (theirs, keys) = (&from.keys[store.key_space], &mut self.keys[store.key_space]);
        match (self.stores[position].as_mut(), from.stores[position].as_ref()) {
            (Some(StoreState::Sliced(to)), Some(StoreState::Sliced(from))) => copy_slices(position, (to, keys), (from, theirs)),
            (Some(StoreState::Sessions(to)), Some(StoreState::Sessions(from))) => copy_sessions(position, (to, keys), (from, theirs)),
            _ => {}
        }
    }
}

fn copy_slices(position: usize, (to, keys): (&mut SlicedStore, &mut Keys), (from, theirs): (&SlicedStore, &Keys)) {
    let columns = from.shared().store.accumulators.len();
    for (number, page) in from.shared().pages.load().iter().enumerate() {
        for (slice, block) in page.tiers()[0].slices.range(i64::MIN, i64::MAX) {
            let found = block.occupied();
            let entries = StoreDelta {
                store: position,
                placement: Placement::Slice(slice),
                ids: Vec::new(),
                rows: block.gather_rows(&found),
                columns: (0..columns).map(|column| Some(block.gather(column, &found))).collect(),
            };
            let ids: Vec<u32> = found.iter().map(|id| keys.hold_key(theirs.key((number * PAGE_KEYS) as u32 + id))).collect();
            to.apply(&entries, slice, &ids, keys);
            ids.into_iter().for_each(|id| keys.release(id));
        }
    }
}

fn copy_sessions(position: usize, (to, keys): (&mut SessionStore, &mut Keys), (from, theirs): (&SessionStore, &Keys)) {
    for (id, session) in from.all() {
        let entry = StoreDelta {
            store: position,
            placement: Placement::Sessions { first_us: Vec::new(), last_us: Vec::new() },
            ids: Vec::new(),
            rows: vec![session.rows],
            columns: session.columns.iter().cloned().map(Some).collect(),
        };
        let id = keys.hold_key(theirs.key(id));
        to.apply(&entry, &[session.first_us], &[session.last_us], &[id], keys);
        keys.release(id);
    }
}
