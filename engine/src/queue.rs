//! Bounded queue between an actor and a consumer of results: actors never wait, consumers may block, poll or await.
//!
//! Many actors push, one consumer takes. A full queue refuses, and the actor keeps what it could not hand over; that is what pushes
//! back on the sources. An actor's core that goes to sleep over it asks for room and is woken when the queue is half empty again. Closing
//! lifts the bound, so that what is left at shutdown always finds room.

use crate::sync::{Condvar, Mutex, MutexGuard};
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
    /// The taker has something else to look at.
    poked: bool,
    /// Somebody sleeps until there is room.
    room_wanted: bool,
    waker: Option<Waker>,
}

/// Why a taker has stopped waiting.
pub(crate) enum Woken<T> {
    /// There was an item.
    Item(T),
    /// Something else is to be looked at.
    Poked,
    /// No further item will come.
    Finished,
    /// The time is over.
    TimedOut,
}

/// See the module.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    ready: Condvar,
    capacity: usize,
    /// Wakes those who have asked for room.
    room: Box<dyn Fn() + Send + Sync>,
}

impl<T> Queue<T> {
    /// A queue that calls `room` when there is room for those who have asked for it.
    pub(crate) fn new(capacity: usize, room: Box<dyn Fn() + Send + Sync>) -> Queue<T> {
        let inner = Inner {
            items: VecDeque::new(),
            finished: false,
            abandoned: false,
            unbounded: false,
            poked: false,
            room_wanted: false,
            waker: None,
        };
        Queue { inner: Mutex::new(inner), ready: Condvar::new(), capacity, room }
    }

    /// For a pusher about to sleep: true if there is room; if not, `room` is called when there is.
    pub(crate) fn ask_room(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.room_wanted = !self.has_room(&inner);
        !inner.room_wanted
    }

    fn has_room(&self, inner: &Inner<T>) -> bool {
        inner.unbounded || inner.abandoned || inner.finished || inner.items.len() <= self.capacity / 2
    }

    /// To be called with the lock in hand after the queue has got shorter or its bound has been lifted.
    fn make_room(&self, mut inner: MutexGuard<'_, Inner<T>>) {
        let wanted = self.has_room(&inner) && std::mem::take(&mut inner.room_wanted);
        drop(inner);
        if wanted {
            (self.room)();
        }
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
        let mut inner = self.inner.lock();
        inner.unbounded = true;
        self.make_room(inner);
    }

    /// No more items will come.
    pub(crate) fn finish(&self) {
        let mut inner = self.inner.lock();
        inner.finished = true;
        self.wake(&mut inner);
        self.make_room(inner);
    }

    /// Nobody will take items any more.
    pub(crate) fn abandon(&self) {
        let mut inner = self.inner.lock();
        inner.abandoned = true;
        let items = std::mem::take(&mut inner.items);
        self.make_room(inner);
        drop(items);
    }

    /// The next item if there is one.
    pub(crate) fn try_pop(&self) -> Option<T> {
        self.pop_from(self.inner.lock())
    }

    fn pop_from(&self, mut inner: MutexGuard<'_, Inner<T>>) -> Option<T> {
        let item = inner.items.pop_front();
        self.make_room(inner);
        item
    }

    /// Items that wait now.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().items.len()
    }

    /// Waits for the next item; `None` after the last.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut inner = self.inner.lock();
        loop {
            if !inner.items.is_empty() {
                return self.pop_from(inner);
            }
            if inner.finished {
                return None;
            }
            self.ready.wait(&mut inner);
        }
    }

    /// Wakes a taker that waits by [`Queue::wait`], or the next one: it has something else to look at.
    pub(crate) fn poke(&self) {
        self.inner.lock().poked = true;
        self.ready.notify_one();
    }

    /// Waits for a poke, the next item if the taker `takes` any, or the end, but not longer than `timeout`. Without taking items the end is seen
    /// while there are still some.
    pub(crate) fn wait(&self, takes: bool, timeout: Duration) -> Woken<T> {
        let mut inner = self.inner.lock();
        let mut timed_out = false;
        loop {
            if std::mem::take(&mut inner.poked) {
                return Woken::Poked;
            }
            if takes && !inner.items.is_empty() {
                return self.pop_from(inner).map_or(Woken::TimedOut, Woken::Item);
            }
            if inner.finished {
                return Woken::Finished;
            }
            if timed_out {
                return Woken::TimedOut;
            }
            timed_out = self.ready.wait_for(&mut inner, timeout).timed_out();
        }
    }

    /// Waits for the next item, but not longer than `timeout`. `Ok(None)` after the last, `Err(())` if none came in time.
    pub(crate) fn pop_timeout(&self, timeout: Duration) -> Result<Option<T>, ()> {
        let mut inner = self.inner.lock();
        loop {
            if !inner.items.is_empty() {
                return Ok(self.pop_from(inner));
            }
            if inner.finished {
                return Ok(None);
            }
            if self.ready.wait_for(&mut inner, timeout).timed_out() {
                return self.pop_from(inner).map(Some).ok_or(());
            }
        }
    }

    /// For [`futures_core::Stream`].
    pub(crate) fn poll_pop(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut inner = self.inner.lock();
        if inner.items.is_empty() && !inner.finished {
            inner.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(self.pop_from(inner))
    }
}
