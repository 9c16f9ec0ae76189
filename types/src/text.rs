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

/// Why text is not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub &'static str);

/// A decimal number with all its digits: (unscaled, precision, scale).
pub fn parse_decimal_exact(text: &[u8]) -> Result<(i128, u8, u8), ParseError> {
    let _ = text;
    Err(ParseError("not yet"))
}
