//! Makes the primary of a partition panic on demand, through the engine's hook for tests.
//!
//! Of a partition's replicas the primary is the one with the lowest number among those that have not been lost: replicas are numbered as they are made, and
//! a lost primary is followed by a replica that was there before its replacement is made. Where no panic is wanted, a delta costs a look at a bit.

use raympp_engine::plant::Place;
use std::collections::BTreeMap;
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which partitions' primaries are to panic, and which replicas have.
#[derive(Clone, Default)]
pub(crate) struct Panics(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Bit p modulo 64 is set if partition p may be wanted.
    bits: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Partitions whose primary is to panic; twice, if it is to panic twice.
    wanted: Vec<u32>,
    /// Those that have, since they were last asked for.
    happened: Vec<u32>,
    /// By partition, the lowest number that a replica has that was not lost.
    primaries: BTreeMap<u32, u32>,
}

fn bit(partition: u32) -> u64 {
    1 << (partition % 64)
}

impl Panics {
    /// The primary of this partition panics with the next delta that it applies.
    pub(crate) fn ask(&self, partition: u32) {
        let mut state = self.state();
        state.wanted.push(partition);
        self.0.bits.fetch_or(bit(partition), Ordering::SeqCst);
    }

    /// Nobody is to panic any more; partitions whose primaries were to and have not, since no delta has come.
    pub(crate) fn withdraw(&self) -> Vec<u32> {
        let mut state = self.state();
        self.0.bits.store(0, Ordering::SeqCst);
        std::mem::take(&mut state.wanted)
    }

    /// Partitions whose primaries have panicked since this was last asked.
    pub(crate) fn take_happened(&self) -> Vec<u32> {
        std::mem::take(&mut self.state().happened)
    }

    /// What the engine calls where tasks and actors come.
    pub(crate) fn hook(&self) -> impl Fn(Place) + Send + Sync + RefUnwindSafe + 'static {
        let panics = self.clone();
        move |place| {
            if let Place::Apply { partition, replica, .. } = place
                && panics.0.bits.load(Ordering::Relaxed) & bit(partition.0) != 0
                && panics.is_due(partition.0, replica.0)
            {
                // Not a panic, which would be told on standard error as a mistake.
                std::panic::resume_unwind(Box::new("injected"));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, partition: u32, replica: u32) -> bool {
        let mut state = self.state();
        let Some(place) = state.wanted.iter().position(|wanted| *wanted == partition) else { return false };
        let primary = state.primaries.entry(partition).or_insert(0);
        if replica != *primary {
            return false;
        }
        *primary += 1;
        state.wanted.swap_remove(place);
        state.happened.push(partition);
        self.0.bits.store(state.wanted.iter().fold(0, |bits, wanted| bits | bit(*wanted)), Ordering::SeqCst);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_panic_that_is_asked_for_happens_once() {
        let panics = Panics::default();
        [3, 67, 0, 3].into_iter().for_each(|partition| panics.ask(partition));
        assert!(!panics.is_due(3, 1), "a standby");
        assert!(!panics.is_due(5, 0), "nobody's");
        assert!(panics.is_due(3, 0) && panics.is_due(0, 0));
        assert!(!panics.is_due(0, 1), "it has panicked");
        assert!(panics.is_due(3, 1), "the next primary, since it was asked for twice");
        assert_eq!((panics.take_happened(), panics.take_happened()), (vec![3, 0, 3], vec![]));
        assert_eq!(panics.0.bits.load(Ordering::Relaxed), bit(67));
        assert_eq!((panics.withdraw(), panics.withdraw()), (vec![67], vec![]));
        assert!(!panics.is_due(67, 0), "it is too late");
    }
}
