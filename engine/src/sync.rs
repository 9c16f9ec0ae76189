//! Locks, atomics and parking as the engine's hand-written protocols use them, from one place, so that models of the protocols can be
//! compiled against another implementation, which tries every interleaving.

pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
pub(crate) use std::sync::atomic;

/// Threads that park.
pub(crate) mod thread {
    pub(crate) use std::thread::{Thread, current, park_timeout};
}
