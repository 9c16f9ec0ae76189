//! A plan of what breaks when. It never breaks the last replica of a partition, and a reader only where it has got further than the last one that broke.

use raympp_engine::EngineBuilder;
use raympp_engine::plant::Place;
use raympp_testkit::random::Random;
use raympp_types::{Offset, PartitionId, ReplicaId, SplitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Readers,
    Replicas,
    Both,
}

struct State {
    random: Random,
    /// One visit in so many breaks.
    once_in: u64,
    most: usize,
    alive: BTreeMap<PartitionId, BTreeSet<ReplicaId>>,
    broken_at: BTreeMap<SplitId, Offset>,
    readers: usize,
    replicas: usize,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Breaking(Arc<Mutex<State>>);

impl Breaking {
    /// Of what is visited one in so many breaks, up to `most` of each kind.
    pub(crate) fn plant(builder: EngineBuilder, seed: u64, what: What, once_in: u64, most: usize) -> (EngineBuilder, Breaking) {
        let state =
            State { random: Random::new(seed), once_in, most, alive: BTreeMap::new(), broken_at: BTreeMap::new(), readers: 0, replicas: 0 };
        let breaking = Breaking(Arc::new(Mutex::new(state)));
        let planted = breaking.clone();
        let hook = move |place: Place| {
            // The lock is let go of before anything breaks.
            let breaks = planted.0.lock().unwrap().breaks(place, what);
            assert!(!breaks, "planted at {place:?}");
        };
        (builder.plant(std::panic::AssertUnwindSafe(hook).0), breaking)
    }

    /// Readers and replicas that have broken.
    pub(crate) fn broken(&self) -> (usize, usize) {
        let state = self.0.lock().unwrap();
        (state.readers, state.replicas)
    }
}

impl State {
    fn breaks(&mut self, place: Place, what: What) -> bool {
        match place {
            Place::Read { split, from: at } | Place::Folded { split, to: at } => {
                let further = self.broken_at.get(&split).is_none_or(|&before| at > before);
                let breaks = what != What::Replicas && further && self.readers < self.most && self.random.once_in(self.once_in);
                if breaks {
                    self.readers += 1;
                    self.broken_at.insert(split, at);
                }
                breaks
            }
            Place::Apply { partition, replica, .. } | Place::Applied { partition, replica, .. } | Place::Step { partition, replica } => {
                let once_in = if matches!(place, Place::Step { .. }) { 50 * self.once_in } else { self.once_in };
                let alive = self.alive.entry(partition).or_default();
                alive.insert(replica);
                let breaks = what != What::Readers && alive.len() > 1 && self.replicas < self.most && self.random.once_in(once_in);
                if breaks {
                    alive.remove(&replica);
                    self.replicas += 1;
                }
                breaks
            }
        }
    }
}
