//! The running watermark of one split, and with it the only definition of *late*.
//!
//! A row is late iff its event time is strictly below the watermark **before** that row: the highest event time of the split so
//! far, less the stream's bound, or the split's floor if that is higher. Rows of a split are judged one after the other, so the
//! verdict is a function of the split's contents and floors alone, never of batches. Both parts only rise, so the watermark does.

use crate::time::EventTime;
use serde::{Deserialize, Serialize};

/// What decides lateness in one split: the highest event time seen and the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningWatermark {
    /// Highest event time of all rows so far, late ones included (they cannot raise it).
    pub max_event_time: EventTime,
    /// Raised by floor marks only.
    pub floor: EventTime,
}

impl Default for RunningWatermark {
    fn default() -> Self {
        RunningWatermark { max_event_time: EventTime::MIN, floor: EventTime::MIN }
    }
}

impl RunningWatermark {
    /// The watermark under a bound of `bound_us` microseconds of out-of-orderness.
    pub fn watermark(&self, bound_us: i64) -> EventTime {
        self.max_event_time.minus(bound_us).max(self.floor)
    }

    /// Judges the next row of the split and then lets it move the maximum. True iff the row is late.
    pub fn observe(&mut self, event_time: EventTime, bound_us: i64) -> bool {
        let late = event_time < self.watermark(bound_us);
        self.max_event_time = self.max_event_time.max(event_time);
        late
    }

    /// The next rows of the split, known only to lie between `low` and `high` (which one of them has): true, and the maximum moved, if none
    /// of them can be late in whatever order they come. Else nothing changes and the rows have to be judged one by one.
    pub fn observe_run(&mut self, low: EventTime, high: EventTime, bound_us: i64) -> bool {
        let after = RunningWatermark { max_event_time: self.max_event_time.max(high), floor: self.floor };
        let on_time = low >= after.watermark(bound_us);
        if on_time {
            *self = after;
        }
        on_time
    }

    /// Raises the floor; a lower one changes nothing.
    pub fn raise_floor(&mut self, floor: EventTime) {
        self.floor = self.floor.max(floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_at_the_watermark_is_not_late() {
        let mut split = RunningWatermark::default();
        assert!(!split.observe(EventTime(100), 10));
        assert!(!split.observe(EventTime(90), 10));
        assert!(split.observe(EventTime(89), 10));
        assert_eq!(split.watermark(10), EventTime(90));
    }

    #[test]
    fn a_run_is_on_time_only_if_its_lowest_row_could_come_last() {
        let mut split = RunningWatermark { max_event_time: EventTime(100), floor: EventTime(80) };
        assert!(!split.observe_run(EventTime(99), EventTime(110), 10));
        assert_eq!(split.max_event_time, EventTime(100), "nothing has changed");
        assert!(split.observe_run(EventTime(100), EventTime(110), 10));
        assert_eq!(split.watermark(10), EventTime(100));
        assert!(!split.observe_run(EventTime(99), EventTime(99), 10));
        assert!(!split.observe_run(EventTime(79), EventTime(90), 1_000), "the floor judges too");
    }

    #[test]
    fn a_floor_judges_like_a_maximum() {
        let mut split = RunningWatermark::default();
        split.raise_floor(EventTime(50));
        split.raise_floor(EventTime(40));
        assert!(split.observe(EventTime(49), 10));
        assert!(!split.observe(EventTime(50), 10));
        assert_eq!(split.watermark(10), EventTime(50));
    }
}
