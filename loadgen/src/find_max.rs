//! The highest rate that is sustained: doubled until one is not, then narrowed down; and beside it the most that is taken, at rates that are doubled on
//! until no more is.
//!
//! A trial is a run of its own with a new engine, so none inherits what the one before left behind. Latency as a function of the rate is noisy on a shared
//! machine, where one stall decides a trial: a rate counts as not sustained if two trials of it have failed. What is found is a rate that was sustained
//! beside one, at most a tenth higher, that was not.

use crate::error::Result;
use crate::recorder::{Kind, Recorder};
use crate::span;
use std::fmt;
use std::time::Duration;

/// The search ends when the lowest rate that failed is this much higher than the highest that was sustained.
const CLOSE: f64 = 1.1;
/// Trials of a rate that is not sustained.
const TRIES: usize = 2;
/// The most that is taken is found when twice the rate does not add this part of it.
const GROWTH: f64 = 0.05;
/// No rate is tried beyond this.
pub const RATE_MAX: u64 = 1_000_000_000;

/// What rows' latencies must be below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slo {
    /// Of rows, from 0 to 1.
    pub quantile: f64,
    /// How late they may be.
    pub limit: Duration,
}

impl Slo {
    /// As it is written: `p99 < 10ms`, `max < 1s`.
    ///
    /// # Errors
    /// In words, if it is written otherwise.
    pub fn parse(text: &str) -> std::result::Result<Slo, String> {
        let wrong = || format!("'{text}' is no objective; write for example 'p99 < 10ms' or 'max < 1s'");
        let (quantile, limit) = text.split_once('<').ok_or_else(wrong)?;
        let quantile = match quantile.trim() {
            "max" => 1.0,
            percentile => {
                let percentile: f64 = percentile.strip_prefix('p').and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
                percentile / 100.0
            }
        };
        if !(0.0..=1.0).contains(&quantile) {
            return Err(wrong());
        }
        Ok(Slo { quantile, limit: span::parse(limit)? })
    }

    /// True if rows were counted, and it is met.
    pub fn is_met(&self, recorder: &Recorder) -> bool {
        !recorder.latencies(Kind::Visible).is_empty() && self.found(recorder) < self.limit
    }

    /// The latency that it speaks of; nothing if no rows were counted.
    pub fn found(&self, recorder: &Recorder) -> Duration {
        Duration::from_nanos(recorder.latencies(Kind::Visible).value_at_quantile(self.quantile))
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quantile {
            1.0 => write!(f, "max < {:?}", self.limit),
            quantile => write!(f, "p{} < {:?}", (quantile * 1e7).round() / 1e5, self.limit),
        }
    }
}

/// What one trial showed.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Rows a second that were asked for.
    pub rate: u64,
    /// The objective was met.
    pub is_sustained: bool,
    /// The latency that the objective speaks of.
    pub latency: Duration,
    /// Rows a second that were taken, whatever was asked for.
    pub taken: f64,
}

/// Looks for the highest rate that is sustained, beginning with `first` and at most `highest`, and for what is taken at most; all trials in order, none of
/// which may be sustained.
///
/// # Errors
/// What a trial says.
pub fn find_max(first: u64, highest: u64, mut trial: impl FnMut(u64) -> Result<Trial>) -> Result<Vec<Trial>> {
    let highest = highest.clamp(1, RATE_MAX);
    let (mut trials, mut sustained, mut failed) = (Vec::new(), None, None);
    let mut next = Some(first.clamp(1, highest));
    while let Some(rate) = next {
        let mut is_sustained = false;
        for _ in 0..TRIES {
            let tried = trial(rate)?;
            trials.push(tried);
            is_sustained = tried.is_sustained;
            if is_sustained {
                break;
            }
        }
        *(if is_sustained { &mut sustained } else { &mut failed }) = Some(rate);
        next = next_rate(sustained, failed, highest);
    }
    find_peak(&mut trials, highest, trial)?;
    Ok(trials)
}

/// Doubles the rate beyond all that were tried until no more rows are taken.
fn find_peak(trials: &mut Vec<Trial>, highest: u64, mut trial: impl FnMut(u64) -> Result<Trial>) -> Result<()> {
    loop {
        let rate = trials.iter().map(|trial| trial.rate).max().unwrap_or(0).saturating_mul(2).min(highest);
        if trials.iter().any(|trial| trial.rate == rate) {
            return Ok(());
        }
        let before = peak(trials);
        trials.push(trial(rate)?);
        if peak(trials) <= before * (1.0 + GROWTH) {
            return Ok(());
        }
    }
}

/// The rate to be tried next, if the highest that was sustained and the lowest that failed are not close to each other.
fn next_rate(sustained: Option<u64>, failed: Option<u64>, highest: u64) -> Option<u64> {
    match (sustained, failed) {
        (None, None) => Some(highest),
        (None, Some(failed)) => Some(failed / 2).filter(|rate| *rate > 0),
        (Some(sustained), None) => (sustained < highest).then(|| (2 * sustained).min(highest)),
        (Some(sustained), Some(failed)) => {
            let is_close = failed - sustained <= 1 || failed as f64 <= sustained as f64 * CLOSE;
            (!is_close).then(|| sustained.midpoint(failed))
        }
    }
}

/// The best of them.
pub fn best(trials: &[Trial]) -> Option<&Trial> {
    trials.iter().filter(|trial| trial.is_sustained).max_by_key(|trial| trial.rate)
}

/// Rows a second that were taken at most, however late.
pub fn peak(trials: &[Trial]) -> f64 {
    trials.iter().map(|trial| trial.taken).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read() {
        for (text, quantile, limit_ms) in [("p99 < 10ms", 0.99, 10), ("p99.99<5ms", 0.9999, 5), ("max < 20ms", 1.0, 20)] {
            let slo = Slo::parse(text).expect("it is one");
            assert_eq!((format!("{:.6}", slo.quantile), slo.limit), (format!("{quantile:.6}"), Duration::from_millis(limit_ms)));
        }
        assert_eq!(Slo::parse("p99.99 < 5ms").expect("it is one").to_string(), "p99.99 < 5ms");
        for wrong in ["p99 10ms", "99 < 10ms", "p101 < 10ms", "p99 < 10y", "< 1ms"] {
            assert!(Slo::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_found_is_close_to_what_can_be_sustained() {
        for (first, can) in
            [(500_000, 3_333_333), (500_000, 77), (1, 1), (8, 7), (100, RATE_MAX), (100, RATE_MAX - 1), (RATE_MAX, 1_000_000)]
        {
            let most = (5 * can).min(RATE_MAX);
            let taken = |rate: u64| rate.min(most) as f64;
            let trial = |rate| Ok(Trial { rate, is_sustained: rate <= can, latency: Duration::ZERO, taken: taken(rate) });
            let trials = find_max(first, RATE_MAX, trial).expect("it ends");
            assert_eq!(peak(&trials), most as f64, "{can}");
            let found = best(&trials).expect("some rate").rate;
            assert!(found <= can && found as f64 * 1.2 + 1.0 >= can as f64, "{found} of {can}");
            assert!(trials.len() < 60);
        }
    }

    /// As on a machine that stands still now and then.
    #[test]
    fn a_rate_that_fails_once_is_tried_again() {
        let mut tried = 0;
        let trial = |rate| {
            tried += 1;
            Ok(Trial { rate, is_sustained: rate <= 1_000 && tried % 2 == 0, latency: Duration::ZERO, taken: 0.0 })
        };
        let trials = find_max(1_000, RATE_MAX, trial).expect("it ends");
        assert_eq!(best(&trials).map(|best| best.rate), Some(1_000));
    }

    #[test]
    fn a_search_ends_whatever_happens() {
        let rates = |first, highest, can| {
            let trial = |rate| Ok(Trial { rate, is_sustained: rate <= can, latency: Duration::ZERO, taken: 0.0 });
            find_max(first, highest, trial).expect("it ends").iter().map(|trial| trial.rate).collect::<Vec<_>>()
        };
        assert_eq!(rates(5, 100, 0), [5, 5, 2, 2, 1, 1, 10], "nothing is sustained");
        assert_eq!(rates(1_000, 3_500, u64::MAX), [1_000, 2_000, 3_500], "everything is");
        assert_eq!(rates(9_000, 100, u64::MAX), [100]);
        assert!(rates(1_000, RATE_MAX, RATE_MAX - 1).len() < 60, "the highest rate of all is not");
    }

    #[test]
    fn an_objective_without_rows_is_not_met() {
        let slo = Slo::parse("max < 1ms").expect("it is one");
        let mut recorder = Recorder::new(1_000, 100, 2_000);
        recorder.record(Kind::Visible, 999, 1_000, 1);
        assert!(!slo.is_met(&recorder), "a row of the warm-up is not counted");
        recorder.record(Kind::Visible, 1_000, 2_000, 1);
        assert!(slo.is_met(&recorder));
        recorder.record(Kind::Visible, 1_000, 1_002_000, 1);
        assert!(!slo.is_met(&recorder));
    }
}
