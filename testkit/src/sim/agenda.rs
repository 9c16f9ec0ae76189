//! Virtual time and what is to happen when. Events of one instant happen in the order in which they were put down.

use std::collections::BTreeMap;

/// See the module.
pub(super) struct Agenda<E> {
    now_us: u64,
    next: u64,
    events: BTreeMap<(u64, u64), E>,
}

impl<E> Agenda<E> {
    pub(super) fn new() -> Agenda<E> {
        Agenda { now_us: 0, next: 0, events: BTreeMap::new() }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    pub(super) fn at(&mut self, time_us: u64, event: E) {
        self.events.insert((time_us.max(self.now_us), self.next), event);
        self.next += 1;
    }

    /// True if nothing is to come.
    pub(super) fn is_quiet(&self) -> bool {
        self.events.is_empty()
    }

    /// The next event; time goes on to it.
    pub(super) fn pop(&mut self) -> Option<E> {
        let ((time_us, _), event) = self.events.pop_first()?;
        self.now_us = time_us;
        Some(event)
    }
}

/// A way from one sender to one receiver, on which nothing overtakes.
#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    last_us: u64,
}

impl Link {
    /// When something that takes so long arrives.
    pub(super) fn arrival(&mut self, now_us: u64, delay_us: u64) -> u64 {
        self.last_us = self.last_us.max(now_us + delay_us);
        self.last_us
    }
}
