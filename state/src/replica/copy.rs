//! A second replica of a partition, made from one that is alive: it has applied what that one has, and may hear the same chains from there on.
//!
//! It is the same down to ids and to what has been settled and closed, in memory of its own: coarse slices outlive the fine ones that they were made of,
//! so nothing less would do. What the original has closed, the copy will not close again; so all of that must have reached its receivers, or nobody
//! could send it again: the original must have nothing left to close and to hand over.
//!
//! Cost: a pass over all memory, while the original does nothing else.

use super::{Replica, Sender, StoreState};
use crate::keys::Keys;
use std::sync::Arc;

impl Replica {
    /// See the module.
    pub fn copy(&self) -> Replica {
        let mut copy = Replica::new(self.partition, Arc::clone(&self.plan), self.bound_us, self.time_type, &[]);
        copy.keys = self.keys.iter().map(Keys::copy).collect();
        copy.stores = self.stores.iter().map(|store| store.as_ref().map(StoreState::copy)).collect();
        let sender = |sender: &Sender| Sender { heard: sender.heard, dictionaries: sender.dictionaries.clone() };
        copy.senders = self.senders.iter().map(|(&split, of)| (split, sender(of))).collect();
        copy.splits.clone_from(&self.splits);
        copy.held.clone_from(&self.held);
        copy.first_after.clone_from(&self.first_after);
        copy.joining.clone_from(&self.joining);
        copy.marks.clone_from(&self.marks);
        copy.barriers.clone_from(&self.barriers);
        copy.bad_by_store.clone_from(&self.bad_by_store);
        (copy.term, copy.frontier, copy.seen, copy.counters) = (self.term, self.frontier, self.seen, self.counters);
        copy.closing = self.closing_frontier();
        copy.publish_plan();
        copy.view.publish_progress(copy.frontier, copy.seen);
        copy.view.publish_as_of(self.view.as_of_us());
        copy
    }
}

impl StoreState {
    fn copy(&self) -> StoreState {
        match self {
            StoreState::Sliced(store) => StoreState::Sliced(store.copy()),
            StoreState::Sessions(store) => StoreState::Sessions(store.copy()),
        }
    }
}
