//! The clock of a run: elapsed time, and the processor's time that the process took meanwhile.

use std::time::Instant;

/// The kernel counts processor time in hundredths of a second for all programs.
const TICKS_PER_S: f64 = 100.0;

/// Started before the first row enters.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    cpu_seconds: f64,
}

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Elapsed time.
    pub seconds: f64,
    /// Time on all processors together.
    pub cpu_seconds: f64,
}

impl Clock {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self { cpu_seconds: cpu_seconds(), started: Instant::now() }
    }

    /// The one that was started earlier.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        if other.started < self.started { other } else { self }
    }

    /// What it took until now.
    #[must_use]
    pub fn stop(&self) -> Took {
        self.stop_at(Instant::now())
    }

    /// As [`Clock::stop`], for what was done at `ended`, just before.
    #[must_use]
    pub fn stop_at(&self, ended: Instant) -> Took {
        Took { seconds: (ended - self.started).as_secs_f64(), cpu_seconds: cpu_seconds() - self.cpu_seconds }
    }
}

/// Processor time of this process until now, user and system; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| ticks(&stat)).unwrap_or(0.0) / TICKS_PER_S
}

/// The fields utime and stime (proc(5)), 14th and 15th; only the second one, in brackets, can have blanks.
fn ticks(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_two_fields_behind_the_name() {
        assert_eq!(ticks("7 (a b) c) R 1 2 3 4 5 6 7 8 9 10 30 12 13 14"), Some(42.0));
        assert_eq!(ticks(""), None);
    }
}
