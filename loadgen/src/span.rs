//! Lengths of time as they are written on the command line.

use std::time::Duration;

/// `10s`, `500ms`, `200us`, `2m`, `1h`; a bare number is seconds.
///
/// # Errors
/// In words, if it is written otherwise.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| format!("'{text}' is not a duration; write for example 10s, 500ms or 2m"))?;
    let seconds = match text[digits..].trim() {
        "us" | "µs" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        unit => return Err(format!("'{unit}' is no unit of time; use us, ms, s, m or h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
