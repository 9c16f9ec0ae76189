//! Cells of one heavy accumulator: sets, sketches, strings – too large for atomics, changed in place all the same.
//!
//! The column is a list of shared pointers under a read-write lock that the writer never waits for. Readers hold the lock only while
//! they clone pointers. Where the writer finds one at it, it copies the list (pointers, not values), changes the copy and publishes
//! that; a reader that finds the writer at it tries again. A value that a reader still holds is copied before it is changed. So a
//! change costs one uncontended lock for all cells of a delta, and a thousand empty cells cost nothing to drop.

use crate::version::wait_a_moment;
use arc_swap::ArcSwap;
use raympp_operators::accumulator::Heavy;
use std::sync::{Arc, PoisonError, RwLock, TryLockError};

/// A cell; `None` is identity.
pub type HeavyCell = Option<Arc<Heavy>>;

/// One cell per key of a block.
pub struct HeavyCells(ArcSwap<RwLock<Box<[HeavyCell]>>>);

impl HeavyCells {
    /// All identity.
    pub fn new(capacity: usize) -> HeavyCells {
        HeavyCells(ArcSwap::from_pointee(RwLock::new(vec![None; capacity].into())))
    }

    /// Changes cells. One thread at a time may call this.
    pub fn write(&self, change: impl FnOnce(&mut [HeavyCell])) {
        let current = self.0.load();
        match current.try_write() {
            Ok(mut cells) => return change(&mut cells),
            Err(TryLockError::Poisoned(cells)) => return change(&mut cells.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        // Shared with the readers that are at it; there is no other writer to wait for.
        let mut copy = current.read().unwrap_or_else(PoisonError::into_inner).clone();
        change(&mut copy);
        self.0.store(Arc::new(RwLock::new(copy)));
    }

    /// Looks at cells.
    pub fn read<R>(&self, look: impl FnOnce(&[HeavyCell]) -> R) -> R {
        let current = self.0.load();
        loop {
            match current.try_read() {
                Ok(cells) => return look(&cells),
                Err(TryLockError::Poisoned(cells)) => return look(&cells.into_inner()),
                Err(TryLockError::WouldBlock) => wait_a_moment(),
            }
        }
    }
}

/// Merges a value into a cell.
pub fn merge(cell: &mut HeavyCell, other: &Heavy) {
    match cell {
        Some(mine) => Arc::make_mut(mine).merge(other),
        None if other.is_identity() => {}
        None => *cell = Some(Arc::new(other.clone())),
    }
    drop_identity(cell);
}

/// Takes a value that was merged out of a cell again.
pub fn retract(cell: &mut HeavyCell, other: &Heavy) {
    // Sums of floats may have cancelled out, so that nothing is there although this was merged.
    Arc::make_mut(cell.get_or_insert_with(|| Arc::new(other.empty()))).retract(other);
    drop_identity(cell);
}

fn drop_identity(cell: &mut HeavyCell) {
    if cell.as_ref().is_some_and(|heavy| heavy.is_identity()) {
        *cell = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_does_not_wait_for_a_reader() {
        let cells = HeavyCells::new(2);
        let reader = cells.0.load_full();
        let held = reader.read().expect("not poisoned");
        cells.write(|cells| cells.swap(0, 1));
        assert!(!Arc::ptr_eq(&cells.0.load_full(), &reader), "a copy took its place");
        drop(held);
        let after = cells.0.load_full();
        cells.write(|cells| cells.swap(0, 1));
        assert!(Arc::ptr_eq(&cells.0.load_full(), &after), "nobody looks, so it changes in place");
    }
}
