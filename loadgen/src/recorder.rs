//! Latencies as they are found: over a whole run to five digits, and by the time at which rows were due.
//!
//! A latency counts from when a row was due, so a stall is charged for every row that was due in it (Tene: How not to measure latency, 2013).

use hdrhistogram::Histogram;

/// Longest latency that is told apart from longer ones: an hour, in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row's effect, seen by a reader.
    Visible,
    /// A closed window's row, at its subscriber, from when the row was due that closed it.
    Result,
}

/// A stretch of time: latencies of rows that were due in it, and rows that became visible in it.
pub struct Interval {
    /// By [`Kind`].
    latencies: [Histogram<u64>; 2],
    seen: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, from the beginning.
    pub at_ns: u64,
    /// What.
    pub what: String,
}

/// All that is found in a run. Its memory is touched before the run begins: a first touch takes long enough to be found in the latencies.
pub struct Recorder {
    /// Rows that were due before are not counted.
    from_ns: u64,
    interval_ns: u64,
    latencies: [Histogram<u64>; 2],
    intervals: Vec<Interval>,
    /// Of the intervals, those in which anything was found, or in a later one.
    used: usize,
    /// In order of time.
    pub events: Vec<Event>,
}

fn histogram(digits: u8) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_max(LONGEST_NS, digits).expect("an hour and five digits are allowed");
    // Writes all of it.
    histogram.reset();
    histogram
}

/// For how long latencies are recent.
const RECENT_NS: u64 = 1_000_000_000;

/// Latencies of rows that became visible in the last second, or in the one before until the next one is over.
pub struct Recent {
    last: Histogram<u64>,
    next: Histogram<u64>,
    ends_ns: u64,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { last: histogram(2), next: histogram(2), ends_ns: RECENT_NS }
    }
}

impl Recent {
    /// So many rows have become visible.
    pub fn record(&mut self, latency_ns: u64, rows: u64) {
        self.next.saturating_record_n(latency_ns, rows);
    }

    /// Those of the last whole second before `now_ns`, in nanoseconds, to two digits.
    pub fn until(&mut self, now_ns: u64) -> &Histogram<u64> {
        if now_ns >= self.ends_ns {
            self.ends_ns = now_ns + RECENT_NS;
            std::mem::swap(&mut self.last, &mut self.next);
            self.next.reset();
        }
        &self.last
    }
}

impl Interval {
    fn new() -> Interval {
        Interval { latencies: [histogram(2), histogram(2)], seen: 0 }
    }

    /// Rows that became visible in it, whenever they were due.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Latencies in nanoseconds, to two digits.
    pub fn latencies(&self, kind: Kind) -> &Histogram<u64> {
        &self.latencies[kind as usize]
    }
}

impl Recorder {
    /// Counts rows that are due at `from_ns` or later; intervals are that long. Rows are expected to come until `until_ns`.
    pub fn new(from_ns: u64, interval_ns: u64, until_ns: u64) -> Recorder {
        let interval_ns = interval_ns.max(1);
        let expected = until_ns.saturating_sub(from_ns).div_ceil(interval_ns) + 1;
        let intervals = (0..expected).map(|_| Interval::new()).collect();
        Recorder { from_ns, interval_ns, latencies: [histogram(5), histogram(5)], intervals, used: 0, events: Vec::new() }
    }

    /// So many rows that were due at a time have come to where they were waited for.
    pub fn record(&mut self, kind: Kind, due_ns: u64, now_ns: u64, rows: u64) {
        if let Some(since_ns) = now_ns.checked_sub(self.from_ns).filter(|_| kind == Kind::Visible) {
            self.interval(since_ns).seen += rows;
        }
        let Some(since_ns) = due_ns.checked_sub(self.from_ns) else { return };
        let latency_ns = now_ns.saturating_sub(due_ns);
        self.latencies[kind as usize].saturating_record_n(latency_ns, rows);
        self.interval(since_ns).latencies[kind as usize].saturating_record_n(latency_ns, rows);
    }

    fn interval(&mut self, since_ns: u64) -> &mut Interval {
        let interval = (since_ns / self.interval_ns) as usize;
        if interval >= self.intervals.len() {
            self.intervals.resize_with(interval + 1, Interval::new);
        }
        self.used = self.used.max(interval + 1);
        &mut self.intervals[interval]
    }

    /// Notes something that happened.
    pub fn note(&mut self, at_ns: u64, what: impl Into<String>) {
        self.events.push(Event { at_ns, what: what.into() });
    }

    /// Latencies in nanoseconds, to five digits.
    pub fn latencies(&self, kind: Kind) -> &Histogram<u64> {
        &self.latencies[kind as usize]
    }

    /// By the time at which rows were due, from where counting begins.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals[..self.used]
    }

    /// How long an interval is.
    pub fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// From when on rows are counted.
    pub fn from_ns(&self) -> u64 {
        self.from_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recent_is_forgotten() {
        let mut recent = Recent::default();
        recent.record(5, 2);
        assert_eq!(recent.until(RECENT_NS - 1).len(), 0);
        assert_eq!(recent.until(RECENT_NS).len(), 2);
        recent.record(7, 1);
        assert_eq!(recent.until(2 * RECENT_NS - 1).len(), 2);
        assert_eq!(recent.until(2 * RECENT_NS).len(), 1);
        assert_eq!(recent.until(3 * RECENT_NS).len(), 0);
    }

    #[test]
    fn a_latency_is_counted_where_its_row_was_due() {
        let mut recorder = Recorder::new(1_000, 100, 1_500);
        recorder.record(Kind::Visible, 999, 5_000, 7);
        recorder.record(Kind::Visible, 1_000, 3_000, 2);
        recorder.record(Kind::Visible, 1_250, 1_350, 1);
        recorder.record(Kind::Result, 1_100, 1_000, 1);
        let visible = recorder.latencies(Kind::Visible);
        assert_eq!((visible.len(), visible.max(), visible.min()), (3, 2_000, 100));
        assert_eq!(recorder.latencies(Kind::Result).max(), 0, "clocks do not run backwards");
        let rows: Vec<u64> = recorder.intervals().iter().map(|interval| interval.latencies(Kind::Visible).len()).collect();
        assert_eq!(rows[..4], [2, 0, 1, 0]);
        let seen = recorder.intervals().iter().enumerate().filter(|(_, interval)| interval.seen() > 0);
        assert_eq!(seen.map(|(i, interval)| (i, interval.seen())).collect::<Vec<_>>(), [(3, 1), (20, 2), (40, 7)]);
    }
}
