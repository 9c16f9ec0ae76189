//! The listener's side of a sender's dictionaries: wire ids, as one chain uses them, to ids of the listener's own key tables.
//!
//! Invariant: a key that a wire id names is held, so it keeps its id until the sender retires the wire id or the sender is forgotten.

use crate::delta::DictionaryChange;
use crate::keys::{Keys, NO_ID};
use std::collections::HashMap;

/// What one chain's deltas have said, by key space.
#[derive(Clone, Default)]
pub(crate) struct Dictionaries {
    /// By wire id; [`NO_ID`] for one without a key.
    ids: HashMap<usize, Vec<u32>>,
}

impl Dictionaries {
    /// Follows a change that a delta brings. `keys` are the listener's, by key space.
    pub(crate) fn change(&mut self, change: &DictionaryChange, keys: &mut [Keys]) {
        let keys = &mut keys[change.key_space];
        let ids = self.ids.entry(change.key_space).or_default();
        for &wire in &change.retired {
            let id = std::mem::replace(&mut ids[wire as usize], NO_ID);
            keys.release(id);
        }
        for (&wire, key) in change.added.iter().zip(change.keys.iter()) {
            if wire as usize >= ids.len() {
                ids.resize(wire as usize + 1, NO_ID);
            }
            ids[wire as usize] = keys.hold_key(key);
        }
    }

    /// The listener's ids of wire ids.
    pub(crate) fn resolve(&self, key_space: usize, wire: &[u32], ids: &mut Vec<u32>) {
        let known = self.ids.get(&key_space).map_or(&[][..], Vec::as_slice);
        ids.clear();
        ids.extend(wire.iter().map(|&wire| known[wire as usize]));
    }

    /// Lets go of all keys; the sender is gone.
    pub(crate) fn release(self, keys: &mut [Keys]) {
        for (space, ids) in self.ids {
            ids.into_iter().filter(|&id| id != NO_ID).for_each(|id| keys[space].release(id));
        }
    }
}
