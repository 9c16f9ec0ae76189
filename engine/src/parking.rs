//! Where a core sleeps and how it is woken.
//!
//! The sleeper says that it is about to park, then looks once more for something to do, then parks; whoever has made something to do looks
//! afterwards whether somebody is parked. A fence stands between the two steps on either side, so at least one of them sees what the other has
//! done (Dekker's argument), whatever queue the work lies in. An `unpark` before the `park` makes that return at once. So no wake-up is
//! lost; the timeout is not needed for it. Waking costs a fence and a load while nobody sleeps.
//!
//! [`RoomWanted`] is the same between a sender, which goes to sleep because a queue is full, and the receiver, which makes room: the sender
//! says that it wants room and then looks whether there is some, the receiver makes room and then looks whether some is wanted.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering, fence};
use crate::sync::thread::{Thread, current, park_timeout};
use std::time::Duration;

/// The place of one sleeper.
pub(crate) struct Parking {
    parked: AtomicBool,
    sleeper: Mutex<Option<Thread>>,
}

impl Parking {
    /// Nobody sleeps here yet.
    pub(crate) fn new() -> Parking {
        Parking { parked: AtomicBool::new(false), sleeper: Mutex::new(None) }
    }

    /// The calling thread is the one that sleeps here, until it calls [`Parking::leave`].
    pub(crate) fn enter(&self) {
        *self.sleeper.lock() = Some(current());
    }

    /// Nobody sleeps here any more.
    pub(crate) fn leave(&self) {
        *self.sleeper.lock() = None;
    }

    /// Sleeps until woken or `timeout` has passed, unless there is something to do. May also return for no reason.
    pub(crate) fn park(&self, timeout: Duration, is_idle: impl FnOnce() -> bool) {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if is_idle() {
            park_timeout(timeout);
        }
        self.parked.store(false, Ordering::Relaxed);
    }

    /// To be called after something to do has been made.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::Relaxed)
            && let Some(sleeper) = &*self.sleeper.lock()
        {
            sleeper.unpark();
        }
    }
}

/// Beside a bounded queue: somebody sleeps until there is room in it.
pub(crate) struct RoomWanted(AtomicBool);

impl RoomWanted {
    /// Nobody does.
    pub(crate) fn new() -> RoomWanted {
        RoomWanted(AtomicBool::new(false))
    }

    /// For a sender about to sleep: asks for room and tells whether there is some already.
    pub(crate) fn ask(&self, has_room: impl FnOnce() -> bool) -> bool {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        has_room()
    }

    /// For the receiver that has made room: true if the senders are to be woken.
    pub(crate) fn take(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}
