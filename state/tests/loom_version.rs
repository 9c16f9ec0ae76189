//! Loom model of the page version: in every interleaving, and with every value that the memory model lets a load return, what a reader
//! keeps was in the page at one instant. Run by `./x ci`, which compiles this file alone with `--cfg loom`.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]
#![cfg(loom)]

#[path = "../src/version.rs"]
#[allow(dead_code, unreachable_pub, reason = "the model uses a part of it")]
mod version;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;
use version::PageVersion;

/// A page of two cells, which the writer always leaves equal.
#[derive(Default)]
struct Page {
    version: PageVersion,
    cells: [AtomicU64; 2],
}

impl Page {
    fn write(&self, value: u64) {
        self.version.write(|| self.cells.iter().for_each(|cell| cell.store(value, Relaxed)));
    }

    fn load(&self) -> [u64; 2] {
        [self.cells[0].load(Relaxed), self.cells[1].load(Relaxed)]
    }
}

#[test]
fn loom_reader_keeps_no_mixture() {
    loom::model(|| {
        let page = Arc::new(Page::default());
        let writer = thread::spawn({
            let page = page.clone();
            move || (1..=2).for_each(|value| page.write(value))
        });
        if let Some([first, second]) = page.version.try_read(|| page.load()) {
            assert_eq!(first, second);
        }
        writer.join().unwrap();
        assert_eq!(page.version.read(|| page.load()), [2, 2]);
    });
}

#[test]
fn loom_reader_that_retries_ends_and_sees_no_older_page() {
    loom::model(|| {
        let page = Arc::new(Page::default());
        let writer = thread::spawn({
            let page = page.clone();
            move || page.write(1)
        });
        let [first, second] = page.version.read(|| page.load());
        assert_eq!(first, second);
        let [later, _] = page.version.read(|| page.load());
        assert!(later >= first, "time went back from {first} to {later}");
        writer.join().unwrap();
    });
}

/// The model can fail: without the version, some interleaving shows a mixture.
#[test]
#[should_panic(expected = "assertion")]
fn loom_finds_a_mixture_without_the_version() {
    loom::model(|| {
        let page = Arc::new(Page::default());
        let writer = thread::spawn({
            let page = page.clone();
            move || page.write(1)
        });
        let [first, second] = page.load();
        assert_eq!(first, second);
        writer.join().unwrap();
    });
}
