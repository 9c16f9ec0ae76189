//! Bounded queue between an actor and a consumer of results: actors never wait, consumers may block, poll or await.
//!
//! Many actors push, one consumer takes. A full queue refuses, and the actor keeps what it could not hand over; that is what pushes
//! back on the sources. Closing lifts the bound, so that what is left at shutdown always finds room.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

struct Inner<T> {
    items: VecDeque<T>,
    /// No more items will come.
    finished: bool,
    /// Nobody takes items any more.
    abandoned: bool,
    unbounded: bool,
    waker: Option<Waker>,
}

/// See the module.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    ready: Condvar,
    capacity: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Queue<T> {
        let inner = Inner { items: VecDeque::new(), finished: false, abandoned: false, unbounded: false, waker: None };
        Queue { inner: Mutex::new(inner), ready: Condvar::new(), capacity }
    }

    /// Appends an item, or gives it back if there is no room. Items for an abandoned or finished queue are dropped.
    pub(crate) fn try_push(&self, item: T) -> Result<(), T> {
        let mut inner = self.inner.lock();
        if inner.abandoned || inner.finished {
            return Ok(());
        }
        if !inner.unbounded && inner.items.len() >= self.capacity {
            return Err(item);
        }
        inner.items.push_back(item);
        self.wake(&mut inner);
        Ok(())
    }

    fn wake(&self, inner: &mut Inner<T>) {
        self.ready.notify_one();
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// From now on there is always room.
    pub(crate) fn lift_bound(&self) {
        self.inner.lock().unbounded = true;
    }

    /// No more items will come.
    pub(crate) fn finish(&self) {
        let mut inner = self.inner.lock();
        inner.finished = true;
        self.wake(&mut inner);
    }

    /// Nobody will take items any more.
    pub(crate) fn abandon(&self) {
        let mut inner = self.inner.lock();
        inner.abandoned = true;
        inner.items.clear();
    }

    /// The next item if there is one.
    pub(crate) fn try_pop(&self) -> Option<T> {
        self.inner.lock().items.pop_front()
    }

    /// Waits for the next item; `None` after the last.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(item) = inner.items.pop_front() {
                return Some(item);
            }
            if inner.finished {
                return None;
            }
            self.ready.wait(&mut inner);
        }
    }

    /// Waits for the next item, but not longer than `timeout`. `Ok(None)` after the last, `Err(())` if none came in time.
    pub(crate) fn pop_timeout(&self, timeout: Duration) -> Result<Option<T>, ()> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(item) = inner.items.pop_front() {
                return Ok(Some(item));
            }
            if inner.finished {
                return Ok(None);
            }
            if self.ready.wait_for(&mut inner, timeout).timed_out() {
                return inner.items.pop_front().map(Some).ok_or(());
            }
        }
    }

    /// For [`futures_core::Stream`].
    pub(crate) fn poll_pop(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut inner = self.inner.lock();
        match inner.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if inner.finished => Poll::Ready(None),
            None => {
                inner.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
