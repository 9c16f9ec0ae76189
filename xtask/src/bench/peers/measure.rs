//! What a peer is asked for, and how fast it was: first one pass, which all peers must agree on, then runs of as many passes as take some seconds, so that what happens now and then, a
//! checkpoint for one, happens often enough in each. The first run of a call is a warm-up, which is not counted.

use super::super::median;
use super::Case;
use super::calls::{Asked, Line, call};
use super::programs::Peer;
use crate::report::Outcome;
use std::path::Path;

/// A run is to take as long, if that is not more than a peer's most passes.
const RUN_SECONDS: f64 = 3.0;

/// A peer's runs.
pub(super) struct Measured<'a> {
    pub(super) peer: &'a Peer,
    /// Of the timed runs.
    pub(super) timed: Vec<Line>,
    /// Of all runs.
    pub(super) lines: Vec<Line>,
}

/// Calls the peer; the error says why there are no figures.
pub(super) fn measure<'a>(peer: &'a Peer, case: &Case, input: &Path, rows: usize) -> Outcome<Measured<'a>> {
    let rows = if case.query == "hop" { (rows / peer.hop_part).max(1) } else { rows };
    let mut lines = Vec::new();
    let mut passes = 1;
    if peer.passes_max > 1 {
        // The first of them may be slower than those that are timed.
        lines = call(peer, case, input, &Asked { rows, passes, runs: 2 })?;
        passes = lines.last().map_or(1, |line| passes_for(line.seconds)).min(peer.passes_max);
    }
    let called = call(peer, case, input, &Asked { rows, passes, runs: 1 + peer.runs })?;
    let timed = called[1..].to_vec();
    lines.extend(called);
    Ok(Measured::new(peer, timed, lines))
}

/// So many that a run takes some seconds: a power of two, so that several systems are asked for the same.
fn passes_for(seconds_of_one: f64) -> usize {
    ((RUN_SECONDS / seconds_of_one).ceil() as usize).next_power_of_two()
}

impl<'a> Measured<'a> {
    pub(super) fn new(peer: &'a Peer, timed: Vec<Line>, lines: Vec<Line>) -> Measured<'a> {
        Measured { peer, timed, lines }
    }

    /// Millions of rows per second and core: the median, the least and the most of the timed runs.
    pub(super) fn rates(&self) -> (f64, f64, f64) {
        let rates: Vec<f64> = self.timed.iter().map(|line| self.rate(line)).collect();
        (median(&rates), rates.iter().copied().fold(f64::INFINITY, f64::min), rates.iter().copied().fold(0.0, f64::max))
    }

    fn rate(&self, line: &Line) -> f64 {
        // No less than one, since one thread has to wait for another at times.
        let cores = if self.peer.per_busy_core { busy_cores(line).max(1.0) } else { self.peer.threads as f64 };
        (line.rows * line.passes) as f64 / line.seconds / cores / 1e6
    }

    /// Processor time by elapsed time, of the median.
    pub(super) fn busy_cores(&self) -> f64 {
        median(&self.timed.iter().map(busy_cores).collect::<Vec<_>>())
    }

    /// Of the median.
    pub(super) fn seconds(&self) -> f64 {
        median(&self.timed.iter().map(|line| line.seconds).collect::<Vec<_>>())
    }

    /// The fewest checkpoints of a timed run.
    pub(super) fn checkpoints(&self) -> Option<u64> {
        self.timed.iter().filter_map(|line| line.checkpoints).min()
    }
}

fn busy_cores(line: &Line) -> f64 {
    line.cpu_seconds / line.seconds
}

#[cfg(test)]
mod tests {
    use super::super::calls::tests::line;
    use super::super::programs::tests::peer;
    use super::*;

    #[test]
    fn a_run_takes_some_seconds() {
        assert_eq!([0.1, 0.15, 0.8, 1.5, 2.9, 3.1, 100.0].map(passes_for), [32, 32, 4, 2, 2, 1, 1]);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!([&[1.0][..], &[9.0, 1.0], &[5.0, 9.0, 1.0]].map(median), [1.0, 5.0, 5.0]);
    }

    #[test]
    fn a_rate_is_per_core() {
        let timed = || [1.0, 4.0, 2.0].map(|seconds| line(seconds, "a")).to_vec();
        let all_cores = peer("P", 2);
        let measured = Measured::new(&all_cores, timed(), vec![]);
        assert_eq!((measured.rates(), measured.seconds(), measured.busy_cores()), ((2.5, 1.25, 5.0), 2.0, 1.5));
        let busy_ones = Peer { per_busy_core: true, ..peer("P", 2) };
        assert_eq!(Measured::new(&busy_ones, vec![line(2.0, "a")], vec![]).rates().0, 10.0 / 2.0 / 1.5);
    }
}
