//! The highest rate that is sustained: doubled until a trial fails, then narrowed down.
//!
//! A trial is a run of its own with a new engine, so none inherits what the one before left behind. Latency as a function of the rate is noisy on a shared
//! machine: what is found is a rate that was sustained beside one, at most a tenth higher, that was not.

use crate::error::{Error, Result};
use crate::recorder::{Kind, Recorder};
use crate::span;
use std::fmt;
use std::time::Duration;

/// The search ends when the lowest rate that failed is this much higher than the highest that was sustained.
const CLOSE: f64 = 1.1;
/// No rate is tried beyond this.
const RATE_MAX: u64 = 1_000_000_000;

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

    /// The latency that it speaks of.
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

/// Looks for the highest rate that is sustained, beginning with `first`; all trials in order.
///
/// # Errors
/// What a trial says, and [`Error::Usage`] if not even a row a second is sustained.
pub fn find_max(first: u64, mut trial: impl FnMut(u64) -> Result<Trial>) -> Result<Vec<Trial>> {
    let (mut trials, mut sustained, mut failed) = (Vec::new(), 0_u64, RATE_MAX);
    let mut rate = first.clamp(1, RATE_MAX);
    while failed - sustained > 1 && failed as f64 > sustained as f64 * CLOSE {
        let tried = trial(rate)?;
        trials.push(tried);
        if tried.is_sustained {
            sustained = rate;
        } else {
            failed = rate;
        }
        rate = match (sustained, failed) {
            (RATE_MAX, _) => break,
            (0, failed) => failed / 2,
            (sustained, RATE_MAX) => (2 * sustained).min(RATE_MAX),
            (sustained, failed) => sustained.midpoint(failed),
        };
    }
    if sustained == 0 {
        return Err(Error::Usage("not even one row a second is sustained".to_owned()));
    }
    Ok(trials)
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
        for (first, can) in [(500_000, 3_333_333), (500_000, 77), (1, 1), (8, 7), (100, RATE_MAX)] {
            let taken = |rate: u64| rate.min(2 * can.min(RATE_MAX)) as f64;
            let trial = |rate| Ok(Trial { rate, is_sustained: rate <= can, latency: Duration::ZERO, taken: taken(rate) });
            let trials = find_max(first, trial).expect("it ends");
            assert!(peak(&trials) >= best(&trials).expect("some rate").rate as f64 && peak(&trials) <= 2.0 * can as f64);
            let found = best(&trials).expect("some rate").rate;
            assert!(found <= can && found as f64 * 1.2 + 1.0 >= can as f64, "{found} of {can}");
            assert!(trials.len() < 40);
        }
        let nothing = |rate| Ok(Trial { rate, is_sustained: false, latency: Duration::ZERO, taken: 0.0 });
        assert!(find_max(1_000, nothing).is_err());
    }
}
