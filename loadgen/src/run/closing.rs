//! Which row closes a window, and when that row was due.
//!
//! A window closes when the watermark of every producer has reached its end. So for each producer it is kept when the first row was due that
//! brought its watermark to each millisecond. Exact for windows that end on whole milliseconds; others are charged for up to a millisecond more.

const MILLI_US: i64 = 1_000;

/// By producer.
pub(super) struct Closing {
    bound_us: i64,
    producers: Vec<Reached>,
}

struct Reached {
    /// The earliest event time that brings the watermark to another millisecond.
    next_us: i64,
    /// Milliseconds that the watermark has reached, and when the row was due that did it; both ascend.
    at: Vec<(i64, u64)>,
}

impl Closing {
    /// For a stream with this bound of its watermark.
    pub(super) fn new(bound_us: i64, producers: usize) -> Closing {
        let new = || Reached { next_us: i64::MIN, at: Vec::new() };
        Closing { bound_us, producers: (0..producers).map(|_| new()).collect() }
    }

    /// The next rows of a producer have these event times; `due_ns` tells when one of them is due.
    pub(super) fn note(&mut self, producer: usize, times_us: &[i64], due_ns: impl Fn(usize) -> u64) {
        let (bound_us, reached) = (self.bound_us, &mut self.producers[producer]);
        // Most hand-overs of high rates reach no other millisecond, which is seen without a branch for each row.
        if times_us.iter().copied().max().is_none_or(|highest_us| highest_us < reached.next_us) {
            return;
        }
        for (row, &time_us) in times_us.iter().enumerate() {
            if time_us >= reached.next_us {
                let milli = (time_us - bound_us).div_euclid(MILLI_US);
                reached.next_us = (milli + 1) * MILLI_US + bound_us;
                reached.at.push((milli, due_ns(row)));
            }
        }
    }

    /// Up to where the rows of all producers close windows, to the millisecond; `None` while one has none.
    pub(super) fn reached_us(&self) -> Option<i64> {
        self.producers.iter().map(|reached| reached.at.last().map(|(milli, _)| milli * MILLI_US)).min().flatten()
    }

    /// When the row was due that closes the windows that end here; `None` if none has.
    pub(super) fn due_ns(&self, end_us: i64) -> Option<u64> {
        let milli = end_us.div_euclid(MILLI_US);
        let of = |reached: &Reached| reached.at.get(reached.at.partition_point(|(at, _)| *at < milli)).map(|(_, due_ns)| *due_ns);
        self.producers.iter().map(of).try_fold(0, |latest, due_ns| Some(latest.max(due_ns?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_producer_closes_a_window() {
        let mut closing = Closing::new(2_000, 2);
        let rows = [(0, 1_000), (1, 5_000), (0, 500), (0, 4_000), (1, 6_999), (0, 7_000), (0, 6_000)];
        for (due_ns, (producer, time_us)) in rows.into_iter().enumerate() {
            closing.note(producer, &[time_us], |_| due_ns as u64);
        }
        assert_eq!(closing.reached_us(), Some(4_000));
        assert_eq!(Closing::new(2_000, 2).reached_us(), None);
        let due = [-1_000, 0, 1_000, 2_000, 3_000, 4_000, 4_999, 5_000, 9_000].map(|end_us| closing.due_ns(end_us));
        assert_eq!(due, [Some(1), Some(3), Some(3), Some(3), Some(5), Some(5), Some(5), None, None]);
    }

    #[test]
    fn rows_that_come_together_count_one_by_one() {
        let times_us = [1_000, 900, 2_999, 3_000, 2_000, 7_001, 7_999, 8_000, 0];
        let (mut together, mut apart) = (Closing::new(500, 1), Closing::new(500, 1));
        together.note(0, &times_us[..6], |row| row as u64);
        together.note(0, &times_us[6..], |row| row as u64 + 6);
        for (row, time_us) in times_us.into_iter().enumerate() {
            apart.note(0, &[time_us], |_| row as u64);
        }
        let due = |closing: &Closing| (0..10).map(|milli| closing.due_ns(milli * MILLI_US)).collect::<Vec<_>>();
        assert_eq!(due(&together), due(&apart));
        assert_eq!(due(&together)[..8], [0, 2, 2, 5, 5, 5, 5, 6].map(Some));
    }
}
