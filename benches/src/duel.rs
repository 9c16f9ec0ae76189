//! Two sides measured in turn.
//!
//! A round's ratio compares neighbours in time, and the median of the rounds' ratios is the figure, because machines change their speed within minutes.

use raympp_engine::Error;
use std::time::{Duration, Instant};

/// Rows per second of both sides, and the median of `first / second` in time per row.
pub struct Duel {
    first_rows_per_s: f64,
    second_rows_per_s: f64,
    /// Median over the rounds of (time of the second / time of the first): above 1, the first is faster.
    pub ratio: f64,
    /// Seconds of all rounds of the first.
    pub first_s: f64,
}

impl Duel {
    /// Times both sides in turn; each call takes in so many rows and says how long that took.
    pub fn of(
        rounds: usize,
        rows: usize,
        mut first: impl FnMut() -> Result<Duration, Error>,
        mut second: impl FnMut() -> Result<Duration, Error>,
    ) -> Result<Duel, Error> {
        let (mut times, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
        for _ in 0..rounds {
            let (a, b) = (first()?.as_secs_f64(), second()?.as_secs_f64());
            times[0].push(a);
            times[1].push(b);
            ratios.push(b / a);
        }
        let first_s = times[0].iter().sum();
        let [a, b] = times.map(|times| rows as f64 / median(times));
        Ok(Duel { first_rows_per_s: a, second_rows_per_s: b, ratio: median(ratios), first_s })
    }

    /// Both rates in words.
    pub fn rates(&self, first: &str, second: &str) -> String {
        format!("{first} {:.1}, {second} {:.1} million rows/s", self.first_rows_per_s / 1e6, self.second_rows_per_s / 1e6)
    }
}

/// How long something takes.
pub fn timed(run: impl FnOnce() -> Result<(), Error>) -> Result<Duration, Error> {
    let started = Instant::now();
    run()?;
    Ok(started.elapsed())
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
