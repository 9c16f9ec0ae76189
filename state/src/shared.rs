//! A value that one thread changes in place and any thread reads: for what is too large for atomics.
//!
//! The value is under a read-write lock that the writer never waits for. Readers hold the lock only while they look. Where the writer finds one at
//! it, it copies the value, changes the copy and publishes that; a reader that finds the writer at it tries again. So a change costs one uncontended
//! lock. [`SharedCells`] are such a list of shared pointers, a cell per key: a change of any number of them takes the lock once, a copy copies
//! pointers, and thousands of empty cells cost nothing to make or to drop.

use crate::version::wait_a_moment;
use arc_swap::ArcSwap;
use std::sync::{Arc, PoisonError, RwLock, TryLockError};

/// See the module.
pub struct Shared<V>(ArcSwap<RwLock<V>>);

/// One cell per key of a block or page.
pub type SharedCells<T> = Shared<Box<[T]>>;

impl<T: Clone + Default> SharedCells<T> {
    /// All empty.
    pub fn empty(capacity: usize) -> SharedCells<T> {
        Shared::new(vec![T::default(); capacity].into())
    }
}

impl<V: Clone> Shared<V> {
    /// To be changed by whoever calls [`Shared::write`].
    pub fn new(value: V) -> Shared<V> {
        Shared(ArcSwap::from_pointee(RwLock::new(value)))
    }

    /// Changes the value. One thread at a time may call this.
    pub fn write<R>(&self, change: impl FnOnce(&mut V) -> R) -> R {
        let current = self.0.load();
        match current.try_write() {
            Ok(mut value) => return change(&mut value),
            Err(TryLockError::Poisoned(value)) => return change(&mut value.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        // Shared with the readers that are at it; there is no other writer to wait for.
        let mut copy = current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let result = change(&mut copy);
        self.0.store(Arc::new(RwLock::new(copy)));
        result
    }

    /// Looks at the value.
    pub fn read<R>(&self, look: impl FnOnce(&V) -> R) -> R {
        let current = self.0.load();
        loop {
            match current.try_read() {
                Ok(value) => return look(&value),
                Err(TryLockError::Poisoned(value)) => return look(&value.into_inner()),
                Err(TryLockError::WouldBlock) => wait_a_moment(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_does_not_wait_for_a_reader() {
        let cells: SharedCells<Option<Arc<u64>>> = SharedCells::empty(2);
        let reader = cells.0.load_full();
        let held = reader.read().expect("not poisoned");
        cells.write(|cells| cells.swap(0, 1));
        assert!(!Arc::ptr_eq(&cells.0.load_full(), &reader), "a copy took its place");
        drop(held);
        let after = cells.0.load_full();
        cells.write(|cells| cells.swap(0, 1));
        assert!(Arc::ptr_eq(&cells.0.load_full(), &after), "nobody looks, so it changes in place");
    }

    /// A reader that is at it goes on seeing what was there; whoever comes later sees every change, made in place or on a copy.
    #[test]
    fn a_reader_sees_one_instant_and_no_change_is_lost() {
        let cells: SharedCells<u64> = SharedCells::empty(2);
        let change = || cells.write(|cells| cells.iter_mut().for_each(|cell| *cell += 1));
        for changes in [0, 2, 4] {
            cells.read(|seen| {
                std::thread::scope(|scope| scope.spawn(change).join().expect("the writer does not wait"));
                assert_eq!(**seen, [changes; 2]);
            });
            assert_eq!(cells.read(|cells| cells.to_vec()), [changes + 1; 2], "changed on a copy");
            change();
            assert_eq!(cells.read(|cells| cells.to_vec()), [changes + 2; 2], "changed in place");
        }
    }
}
