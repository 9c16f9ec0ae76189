//! Makes the primary of a partition panic on demand, through the engine's hook for tests.
//!
//! Of a partition's replicas the primary is the one with the lowest number among those that have not been lost: replicas are numbered as they are made, and
//! a lost primary is followed by a replica that was there before its replacement is made.

use raympp_engine::plant::Place;
use std::collections::BTreeMap;
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// No partition.
const NONE: i64 = -1;

/// Which partition's primary is to panic, and which replicas have.
#[derive(Clone, Default)]
pub(crate) struct Panics(Arc<Inner>);

struct Inner {
    wanted: AtomicI64,
    /// By partition, the lowest number that a replica has that was not lost.
    primaries: Mutex<BTreeMap<u32, u32>>,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner { wanted: AtomicI64::new(NONE), primaries: Mutex::default() }
    }
}

impl Panics {
    /// The primary of this partition panics with the next delta that it applies.
    pub(crate) fn ask(&self, partition: u32) {
        self.0.wanted.store(partition.into(), Ordering::SeqCst);
    }

    /// What the engine calls where tasks and actors come.
    pub(crate) fn hook(&self) -> impl Fn(Place) + Send + Sync + RefUnwindSafe + 'static {
        let panics = self.clone();
        move |place| {
            if let Place::Apply { partition, replica, .. } = place
                && panics.0.wanted.load(Ordering::Relaxed) == i64::from(partition.0)
                && panics.is_due(partition.0, replica.0)
            {
                // Not a panic, which would be told on standard error as a mistake.
                std::panic::resume_unwind(Box::new("injected"));
            }
        }
    }

    fn is_due(&self, partition: u32, replica: u32) -> bool {
        let mut primaries = self.0.primaries.lock().unwrap_or_else(PoisonError::into_inner);
        let primary = primaries.entry(partition).or_insert(0);
        let is_due = replica == *primary && self.0.wanted.swap(NONE, Ordering::SeqCst) != NONE;
        if is_due {
            *primary += 1;
        }
        is_due
    }
}
