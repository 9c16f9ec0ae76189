//! From a producer, which may wait for room, to a task, which never waits.
//!
//! What is handed over (`T`) is up to the two; here are its number of rows, the bound on it, and how it ends. Invariant: rows that were
//! accepted are taken before the end is reported. The producer sleeps only while there are rows that the task has yet to take, and each
//! taking that leaves half the room or more wakes it: waking for each would cost both a switch per batch. More rows than the bound are
//! accepted when there are none, so no batch is too big.

use crate::sync::{Condvar, Mutex};

struct State<T> {
    content: T,
    rows: usize,
    pushed: u64,
    ended: bool,
    lost: bool,
    closed: bool,
}

/// See the module.
pub(crate) struct HandOver<T> {
    state: Mutex<State<T>>,
    room: Condvar,
    rows_max: usize,
}

/// Why nothing was handed over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoEntry<E> {
    /// There is no room, and the producer would not wait.
    Full,
    /// Nothing is accepted any more.
    Closed,
    /// The producer's own reason.
    Refused(E),
}

/// What the task finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<I> {
    /// Rows.
    Rows(I),
    /// None now.
    Nothing,
    /// None now, and the producer is gone without having ended.
    Lost,
    /// None ever.
    Ended,
}

impl<T> HandOver<T> {
    /// Without rows that wait; for about `rows_max` of them. So many have been accepted before; `lost`: the producer is gone.
    pub(crate) fn new(content: T, rows_max: usize, pushed: u64, lost: bool) -> HandOver<T> {
        let state = State { content, rows: 0, pushed, ended: false, lost, closed: false };
        HandOver { state: Mutex::new(state), room: Condvar::new(), rows_max }
    }

    /// Runs `push` when there is room for `rows` more; waits for it if `wait`, for as long as `may_push`.
    pub(crate) fn push<R, E>(
        &self,
        rows: usize,
        wait: bool,
        may_push: impl Fn(&T) -> bool,
        push: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, NoEntry<E>> {
        let mut state = self.state.lock();
        while !state.closed && may_push(&state.content) && state.rows > 0 && state.rows + rows > self.rows_max {
            if !wait {
                return Err(NoEntry::Full);
            }
            self.room.wait(&mut state);
        }
        if state.closed {
            return Err(NoEntry::Closed);
        }
        let result = push(&mut state.content).map_err(NoEntry::Refused)?;
        state.rows += rows;
        state.pushed += rows as u64;
        Ok(result)
    }

    /// Runs `take`, which answers with some rows and their number if there are any.
    pub(crate) fn take<I>(&self, take: impl FnOnce(&mut T) -> Option<(usize, I)>) -> Taken<I> {
        let mut state = self.state.lock();
        match take(&mut state.content) {
            Some((rows, taken)) => {
                state.rows -= rows;
                if state.rows <= self.rows_max / 2 {
                    self.room.notify_all();
                }
                Taken::Rows(taken)
            }
            None if state.ended => Taken::Ended,
            None if state.lost => Taken::Lost,
            None => Taken::Nothing,
        }
    }

    /// Runs `put_back`, which makes rows that were taken ones to be taken again and answers with their number. There may be more than the bound
    /// then: they were accepted.
    pub(crate) fn put_back(&self, put_back: impl FnOnce(&mut T) -> usize) {
        let mut state = self.state.lock();
        state.rows += put_back(&mut state.content);
    }

    /// Rows that have yet to be taken.
    pub(crate) fn rows(&self) -> usize {
        self.state.lock().rows
    }

    /// Rows ever accepted.
    pub(crate) fn pushed(&self) -> u64 {
        self.state.lock().pushed
    }

    /// True if there are rows to take or the end to report.
    pub(crate) fn has_input(&self) -> bool {
        let state = self.state.lock();
        state.rows > 0 || state.ended
    }

    /// The producer pushes no more, and says so; unless another one has taken its place.
    pub(crate) fn end(&self, is_its: impl FnOnce(&T) -> bool) {
        let mut state = self.state.lock();
        state.ended |= is_its(&state.content);
    }

    /// The producer is gone; unless another one has taken its place.
    pub(crate) fn lose(&self, is_its: impl FnOnce(&T) -> bool) {
        let mut state = self.state.lock();
        state.lost |= is_its(&state.content);
    }

    /// A producer takes the place of the one that was there, if `claim` lets it, which is told whether that one has ended. Who waits for room is told.
    /// Returns the number of rows ever accepted.
    pub(crate) fn claim<E>(&self, claim: impl FnOnce(&mut T, bool) -> Result<(), E>) -> Result<u64, E> {
        let mut state = self.state.lock();
        let ended = state.ended;
        claim(&mut state.content, ended)?;
        state.lost = false;
        self.room.notify_all();
        Ok(state.pushed)
    }

    /// Looks at what is handed over.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.state.lock().content)
    }

    /// Nothing is accepted from now on; a producer that waits for room is told.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.room.notify_all();
    }

    /// True once it is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}
