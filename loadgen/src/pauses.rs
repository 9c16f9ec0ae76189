//! How long a loop does not get to look at the clock: what the machine, or the loop's own work, adds to whatever is measured in it.

use hdrhistogram::Histogram;
use std::num::NonZero;
use std::time::{Duration, Instant};

/// Longest pause that is told apart from longer ones: a minute, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// Gaps between looks at the clock.
pub struct Pauses {
    gaps: Histogram<u64>,
    before_ns: Option<u64>,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_NS, 3).expect("a minute and three digits are allowed")
}

impl Default for Pauses {
    fn default() -> Self {
        Pauses { gaps: histogram(), before_ns: None }
    }
}

impl Pauses {
    /// The clock shows this.
    pub fn note(&mut self, now_ns: u64) {
        if let Some(before_ns) = self.before_ns.replace(now_ns) {
            self.gaps.saturating_record(now_ns.saturating_sub(before_ns));
        }
    }

    /// In nanoseconds, each weighed by how long it lasts: whoever looks at a random moment meets it so often.
    pub fn weighed(&self) -> Histogram<u64> {
        let mut weighed = histogram();
        for gap in self.gaps.iter_recorded() {
            let nanos = gap.value_iterated_to();
            weighed.saturating_record_n(nanos, nanos.max(1) * gap.count_at_value());
        }
        weighed
    }
}

/// The machine's own jitter, in nanoseconds: pauses of empty loops, one for each processor, as if an engine and a generator kept all of them busy. With one
/// left idle, what else the machine does would go there and not be seen.
pub fn jitter(duration: Duration) -> Histogram<u64> {
    let loops = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..loops).map(|_| scope.spawn(|| empty_loop(duration))).collect();
        started.into_iter().fold(histogram(), |mut all, pauses| {
            all += pauses.join().expect("an empty loop does not panic");
            all
        })
    })
}

/// Pauses of one thread that does nothing else.
fn empty_loop(duration: Duration) -> Histogram<u64> {
    let mut pauses = Pauses::default();
    let started = Instant::now();
    pauses.note(0);
    loop {
        let elapsed = started.elapsed();
        pauses.note(elapsed.as_nanos() as u64);
        if elapsed >= duration {
            return pauses.weighed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_a_loop() {
        let (duration, loops) = (Duration::from_millis(5), std::thread::available_parallelism().map_or(1, NonZero::get));
        let (found, whole) = (jitter(duration).len(), loops as u64 * duration.as_nanos() as u64);
        assert!(found >= whole, "{} of {whole} ns are of no loop", whole - found);
    }

    #[test]
    fn a_pause_weighs_as_long_as_it_lasts() {
        let mut pauses = Pauses::default();
        [100, 110, 120, 130, 1_130, 1_140].into_iter().for_each(|now_ns| pauses.note(now_ns));
        let weighed = pauses.weighed();
        assert_eq!((weighed.len(), weighed.max()), (1_040, 1_000));
        assert_eq!((weighed.value_at_quantile(0.03), weighed.value_at_quantile(0.05)), (10, 1_000));
    }
}
