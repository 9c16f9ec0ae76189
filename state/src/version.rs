//! The page version: any thread reads a page's cells without stopping the one thread that writes them (a sequence lock).
//!
//! The writer makes the version odd, writes, and makes it even again. A reader notes an even version, reads, and keeps what it
//! read only if the version is still the same. Invariant: whatever a reader keeps was in the page at one instant. All cells are
//! atomics, so a torn read is a retry and never undefined; the fences order the relaxed accesses to cells between those to the
//! version (Boehm, "Can seqlocks get along with programming language memory models?", 2012). A write costs two stores on x86.
//!
//! A writer that panics inside of a write leaves the page *lost*: nobody keeps what is half written, and nobody waits for the rest.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The version of a page whose writer has panicked inside of [`PageVersion::write`]: it is odd for ever.
const LOST: u64 = u64::MAX;

/// What a read unwinds with whose page will never be whole again. No panic, so nobody is told of one: whoever reads takes another page.
#[derive(Clone, Copy, Debug)]
pub struct PageLost;

/// Version counter of one page; odd while its writer is inside [`PageVersion::write`].
#[derive(Debug, Default)]
pub struct PageVersion(AtomicU64);

impl PageVersion {
    /// Runs `change`, which may write the page's cells with relaxed stores. One thread at a time may call this.
    pub fn write<R>(&self, change: impl FnOnce() -> R) -> R {
        let before = self.0.load(Ordering::Relaxed);
        assert!(before.is_multiple_of(2), "a page has one writer");
        self.0.store(before + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        let mut writing = Writing { version: &self.0, after: LOST };
        let result = change();
        writing.after = before + 2;
        result
    }

    /// Runs `read`, which may read the page's cells with relaxed loads, until no write has come between. Unwinds with [`PageLost`] if the writer
    /// has panicked inside of a write.
    pub fn read<R>(&self, mut read: impl FnMut() -> R) -> R {
        loop {
            if let Some(result) = self.try_read(&mut read) {
                return result;
            }
            if self.0.load(Ordering::Relaxed) == LOST {
                std::panic::resume_unwind(Box::new(PageLost));
            }
            wait_a_moment();
        }
    }

    /// One attempt of [`PageVersion::read`]: `None` if a write was under way or came between.
    pub fn try_read<R>(&self, read: impl FnOnce() -> R) -> Option<R> {
        let before = self.0.load(Ordering::Acquire);
        if !before.is_multiple_of(2) {
            return None;
        }
        let result = read();
        fence(Ordering::Acquire);
        (self.0.load(Ordering::Relaxed) == before).then_some(result)
    }
}

/// A write under way, which ends in either way.
struct Writing<'a> {
    version: &'a AtomicU64,
    after: u64,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.version.store(self.after, Ordering::Release);
    }
}

#[cfg(loom)]
pub(crate) fn wait_a_moment() {
    loom::thread::yield_now();
}

/// A write section lasts microseconds; if the writer has lost its core in the middle, yielding gives it one.
#[cfg(not(loom))]
pub(crate) fn wait_a_moment() {
    std::hint::spin_loop();
    std::thread::yield_now();
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn what_is_half_written_is_never_read() {
        let page = PageVersion::default();
        assert_eq!(page.read(|| 1), 1);
        let write = || page.write(|| -> () { std::panic::resume_unwind(Box::new("broken")) });
        assert!(catch_unwind(AssertUnwindSafe(write)).is_err());
        assert_eq!(page.try_read(|| 1), None);
        let read = catch_unwind(AssertUnwindSafe(|| page.read(|| 1)));
        assert!(read.expect_err("the page is lost").is::<PageLost>());
    }
}
