//! INTERVAL as PostgreSQL has it: months, days and microseconds kept apart, since neither a month nor a day has a fixed length.

use serde::{Deserialize, Serialize};

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a day of 24 hours.
pub const DAY_US: i64 = 86_400 * SECOND_US;

/// A span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// Whole months; 12 to a year.
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// Microseconds; may exceed a day.
    pub micros: i64,
}

impl Interval {
    /// The value PostgreSQL compares and groups by: a month as 30 days, a day as 24 hours. In microseconds.
    pub fn comparable_us(&self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY_US) + i128::from(self.micros)
    }

    /// The exact length in microseconds of an interval without months; `None` with months or where it does not fit.
    /// What windows, bounds and gaps are made of.
    pub fn fixed_us(&self) -> Option<i64> {
        (self.months == 0).then(|| i64::from(self.days).checked_mul(DAY_US)?.checked_add(self.micros)).flatten()
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::text::write_interval(f, self)
    }
}
