//! When a task flushes. Where it does never shows in results, but in how fresh look-ups are and in how much work there is.
//!
//! A flush costs a core something for every key in it, however few rows the key had, and the same again for each standby and the persister. A task flushes
//! when its input runs dry, so an idle engine answers at once; at a size; and when a row has waited long enough. Behind a big flush it *lingers* first:
//! although the input is dry it waits for rows of the same keys, in proportion to what the flush cost. At tens of millions of rows a second it would else
//! flush every few thousand rows, as soon as it has overtaken their producer.

/// Entries of a flush for which the next one lingers a microsecond: ten million entries a second at most, however many rows come, while lingering is not
/// cut short.
const ENTRIES_PER_US: u64 = 10;
/// It lingers for so long at least, or not at all: a thread that goes to sleep for less wakes later than it wanted.
const LINGER_MIN_US: u64 = 100;
/// How long it lingers at most.
pub(crate) const LINGER_MAX_US: u64 = 1_000;

/// How big and how late a flush may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushOptions {
    /// Rows of one flush at most.
    pub(crate) rows_max: u64,
    /// How long a row may wait for a flush while more rows come.
    pub(crate) delay_us: u64,
    /// How long a row may wait for a flush when no more rows come.
    pub(crate) linger_us: u64,
    /// Rows taken from the input in one step.
    pub(crate) step_rows: usize,
}

/// Tells a task when to flush.
pub(crate) struct FlushTimer {
    pub(crate) options: FlushOptions,
    /// Time of the oldest row not yet flushed.
    waiting_since_us: Option<u64>,
    /// Entries of the last flush.
    entries: u64,
}

impl FlushTimer {
    /// Nothing has been flushed and no row waits.
    pub(crate) fn new(options: FlushOptions) -> FlushTimer {
        FlushTimer { options, waiting_since_us: None, entries: 0 }
    }

    /// Rows wait for a flush.
    pub(crate) fn note_rows(&mut self, now_us: u64) {
        self.waiting_since_us.get_or_insert(now_us);
    }

    /// All rows are flushed, in a delta of so many entries.
    pub(crate) fn note_flush(&mut self, entries: u64) {
        (self.waiting_since_us, self.entries) = (None, entries);
    }

    /// True if it is time to flush although more rows come.
    pub(crate) fn is_due(&self, pending_rows: u64, now_us: u64) -> bool {
        let has_waited = |since_us: u64| now_us.saturating_sub(since_us) >= self.options.delay_us;
        pending_rows >= self.options.rows_max || self.waiting_since_us.is_some_and(has_waited)
    }

    /// Until when rows wait that could be flushed, now that no more come.
    pub(crate) fn lingers_until_us(&self, now_us: u64) -> Option<u64> {
        let linger_us = (self.entries / ENTRIES_PER_US).min(self.options.linger_us);
        let until_us = self.waiting_since_us?.saturating_add(linger_us);
        (linger_us >= LINGER_MIN_US && now_us < until_us).then_some(until_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: FlushOptions = FlushOptions { rows_max: 1_000, delay_us: 5_000, linger_us: 1_000, step_rows: 100 };

    #[test]
    fn rows_that_more_rows_follow_are_flushed_at_a_size_or_when_the_oldest_has_waited() {
        let mut timer = FlushTimer::new(OPTIONS);
        assert!(!timer.is_due(0, u64::MAX), "nothing waits");
        timer.note_rows(100);
        timer.note_rows(4_000);
        assert!(!timer.is_due(999, 5_099));
        assert!(timer.is_due(999, 5_100));
        assert!(timer.is_due(1_000, 100));
        timer.note_flush(1);
        assert!(!timer.is_due(0, u64::MAX));
    }

    #[test]
    fn rows_that_no_more_follow_wait_only_behind_a_big_flush_and_the_longer_the_bigger_it_was() {
        let mut timer = FlushTimer::new(OPTIONS);
        for (entries, linger_us) in [(0, 0), (999, 0), (1_000, 100), (7_000, 700), (10_000, 1_000), (1_000_000, 1_000)] {
            timer.note_flush(entries);
            assert_eq!(timer.lingers_until_us(0), None, "nothing waits");
            timer.note_rows(50);
            timer.note_rows(90);
            let until_us = 50 + linger_us;
            assert_eq!(timer.lingers_until_us(50), (linger_us > 0).then_some(until_us), "{entries}");
            assert_eq!(timer.lingers_until_us(until_us), None, "{entries}");
        }
    }

    #[test]
    fn rows_do_not_linger_longer_than_they_may() {
        for (linger_us, until_us) in [(0, None), (99, None), (300, Some(300))] {
            let mut timer = FlushTimer::new(FlushOptions { linger_us, ..OPTIONS });
            timer.note_flush(1 << 20);
            timer.note_rows(0);
            assert_eq!(timer.lingers_until_us(0), until_us, "{linger_us}");
        }
    }
}
