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

/// stub
pub fn parse_interval(text: &str) -> Result<Interval, ParseError> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '-').ok_or(ParseError("unit"))?;
    let n: i64 = text[..at].parse().map_err(|_| ParseError("number"))?;
    let us = match text[at..].trim() { "ms" => 1000, "s" | "second" | "seconds" => 1_000_000, "minute" | "minutes" => 60_000_000, "hour" | "hours" => 3_600_000_000,
      "day" | "days" => return Ok(Interval { months: 0, days: n as i32, micros: 0 }), "month" | "months" => return Ok(Interval { months: n as i32, days: 0, micros: 0 }), _ => return Err(ParseError("unit")) };
    Ok(Interval { months: 0, days: 0, micros: n.checked_mul(us).ok_or(ParseError("big"))? })
}
