//! When each row is due: an open loop, in which no row waits for what became of the ones before.
//!
//! Rows are numbered from 0 and due at the rate that holds at their time: the base rate, or during a burst a multiple of it. Both directions are computed
//! in whole numbers, so that a run, its ledger and a replay agree on every row. Times are nanoseconds since the schedule began.

use std::ops::Range;
use std::time::Duration;

const SECOND_NS: u128 = 1_000_000_000;

/// A time in which rows come faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// By how much.
    pub factor: f64,
    /// From when on.
    pub at: Duration,
    /// For how long.
    pub lasts: Duration,
}

/// From this time on rows come at this rate; this is the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    from_ns: u64,
    first_row: u64,
    rate: u64,
}

impl Piece {
    /// When a row is due, in whole nanoseconds, and what is left over, in parts of a nanosecond of which the rate is a whole one.
    #[inline]
    fn due(self, row: u64) -> (u64, u64) {
        let (past, rate) = (u128::from(row - self.first_row) * SECOND_NS, u128::from(self.rate));
        (self.from_ns + (past / rate) as u64, (past % rate) as u64)
    }
}

/// Times of the rows of a piece, one after the other, in whole nanoseconds and what is left over.
#[derive(Clone, Copy, Default)]
struct EvenSteps {
    at_ns: u64,
    rest: u64,
    step_ns: u64,
    step_rest: u64,
    rate: u64,
}

impl EvenSteps {
    fn from(piece: Piece, row: u64) -> EvenSteps {
        let ((at_ns, rest), rate) = (piece.due(row), u128::from(piece.rate));
        EvenSteps { at_ns, rest, step_ns: (SECOND_NS / rate) as u64, step_rest: (SECOND_NS % rate) as u64, rate: piece.rate }
    }

    #[inline]
    fn next(&mut self) -> u64 {
        let at_ns = self.at_ns;
        let rest = self.rest + self.step_rest;
        let carry = rest >= self.rate;
        self.rest = if carry { rest - self.rate } else { rest };
        self.at_ns += self.step_ns + u64::from(carry);
        at_ns
    }
}

/// When rows are due, one after the other.
struct DueTimes<'a> {
    schedule: &'a Schedule,
    rows: Range<u64>,
    /// The first row that `steps` do not reach.
    piece_ends: u64,
    steps: EvenSteps,
}

impl Iterator for DueTimes<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let row = self.rows.next()?;
        if row >= self.piece_ends {
            self.turn(row);
        }
        Some(self.steps.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl DueTimes<'_> {
    /// Goes on with the piece of this row.
    #[cold]
    fn turn(&mut self, row: u64) {
        let next = self.schedule.piece_after(row);
        self.piece_ends = self.schedule.pieces.get(next).map_or(u64::MAX, |piece| piece.first_row);
        self.steps = EvenSteps::from(self.schedule.pieces[next - 1], row);
    }
}

/// When rows are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pieces: Vec<Piece>,
}

impl Schedule {
    /// So many rows a second, and more of them in bursts. Where bursts overlap, their factors multiply.
    pub fn new(rate: u64, bursts: &[Burst]) -> Schedule {
        let ends = |burst: &Burst| [burst.at, burst.at.saturating_add(burst.lasts)];
        let mut turns: Vec<u64> = bursts.iter().flat_map(ends).map(nanos).collect();
        turns.push(0);
        turns.sort_unstable();
        turns.dedup();
        let mut schedule = Schedule { pieces: Vec::with_capacity(turns.len()) };
        for from_ns in turns {
            let first_row = from_ns.checked_sub(1).map_or(0, |before_ns| schedule.rows_due(before_ns));
            schedule.pieces.push(Piece { from_ns, first_row, rate: rate_at(rate, bursts, from_ns) });
        }
        schedule
    }

    /// When a row is due.
    pub fn due_ns(&self, row: u64) -> u64 {
        self.pieces[self.piece_after(row) - 1].due(row).0
    }

    /// Position of the first piece whose rows all come after this one.
    fn piece_after(&self, row: u64) -> usize {
        self.pieces.partition_point(|piece| piece.first_row <= row)
    }

    /// When each of these rows is due: as [`Schedule::due_ns`], without a division for each row.
    pub fn due(&self, rows: Range<u64>) -> impl Iterator<Item = u64> {
        DueTimes { schedule: self, piece_ends: rows.start, steps: EvenSteps::default(), rows }
    }

    /// How many rows are due up to a time, itself included.
    pub fn rows_due(&self, at_ns: u64) -> u64 {
        let last = self.pieces.partition_point(|piece| piece.from_ns <= at_ns) - 1;
        let piece = self.pieces[last];
        let of_piece = (u128::from(at_ns - piece.from_ns + 1) * u128::from(piece.rate)).div_ceil(SECOND_NS) as u64;
        let rows = piece.first_row + of_piece;
        self.pieces.get(last + 1).map_or(rows, |next| rows.min(next.first_row))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Rows a second at a time: the base rate times the factor of each burst that is on.
fn rate_at(rate: u64, bursts: &[Burst], at_ns: u64) -> u64 {
    let is_on = |burst: &&Burst| (nanos(burst.at)..nanos(burst.at.saturating_add(burst.lasts))).contains(&at_ns);
    match bursts.iter().filter(is_on).map(|burst| burst.factor).reduce(|a, b| a * b) {
        Some(factor) => (rate as f64 * factor) as u64,
        None => rate,
    }
    .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_due_when_they_are_said_to_be() {
        let burst = |factor, at_ms, ms| Burst { factor, at: Duration::from_millis(at_ms), lasts: Duration::from_millis(ms) };
        for (rate, bursts) in [
            (1, vec![]),
            (3, vec![burst(10.0, 2_000, 1_000)]),
            (500_000, vec![burst(10.0, 20, 2), burst(0.5, 1, 3)]),
            (999_983, vec![burst(2.5, 7, 7)]),
            (3_000_000_000, vec![]),
            (1_000, vec![burst(10.0, 0, 10)]),
            (1_000, vec![burst(10.0, 50, 100), burst(3.0, 20, 60), burst(0.1, 60, 5), burst(2.0, 60, 0)]),
        ] {
            let schedule = Schedule::new(rate, &bursts);
            for row in (0..200_000).chain([1_000_003, 77_777_777]) {
                let due_ns = schedule.due_ns(row);
                assert!(schedule.rows_due(due_ns) > row, "row {row} is due at its time, at {rate}");
                assert!(due_ns == 0 || schedule.rows_due(due_ns - 1) <= row, "row {row} is not due before its time, at {rate}");
                assert!(schedule.due_ns(row + 1) >= due_ns);
            }
            for first in [0, 59_999, 77_777_777] {
                let one_by_one: Vec<u64> = (first..first + 1_000).map(|row| schedule.due_ns(row)).collect();
                assert_eq!(schedule.due(first..first + 1_000).collect::<Vec<_>>(), one_by_one);
            }
        }
    }

    #[test]
    fn a_burst_brings_as_many_rows_as_it_says() {
        let at = Duration::from_secs(20);
        let schedule = Schedule::new(1_000, &[Burst { factor: 10.0, at, lasts: Duration::from_secs(2) }]);
        let rows_until = |seconds: u64| schedule.rows_due(seconds * 1_000_000_000 - 1);
        assert_eq!([19, 20, 21, 22, 23].map(rows_until), [19_000, 20_000, 30_000, 40_000, 41_000]);
    }

    #[test]
    fn factors_of_bursts_that_overlap_multiply() {
        let burst = |factor, at_s, seconds| Burst { factor, at: Duration::from_secs(at_s), lasts: Duration::from_secs(seconds) };
        let schedule = Schedule::new(1_000, &[burst(10.0, 2, 2), burst(3.0, 1, 2)]);
        let rows_until = |seconds: u64| schedule.rows_due(seconds * 1_000_000_000 - 1);
        assert_eq!([1, 2, 3, 4, 5].map(rows_until), [1_000, 4_000, 34_000, 44_000, 45_000]);
    }
}
