//! Values as text, both ways.

use crate::interval::Interval;

/// `YYYY-MM-DD HH:MM:SS.ffffff`
pub fn format_timestamp(micros: i64) -> String {
    micros.to_string()
}

/// As PostgreSQL writes it.
pub fn format_interval(interval: &Interval) -> String {
    format!("{interval:?}")
}
