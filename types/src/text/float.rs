//! REAL and DOUBLE PRECISION: the shortest text that reads back as the same number, laid out as PostgreSQL does.

use super::{ParseError, StackText};
use std::fmt::{self, LowerExp, Write};

const NUMBER: &str = "a number";
const DIGITS_OF_DOUBLE: i32 = 15;
const DIGITS_OF_REAL: i32 = 6;

/// DOUBLE PRECISION: decimal notation with an optional exponent, NaN, Infinity, -Infinity, inf. A number that rounds to infinity, or
/// to zero without being zero, is out of range.
pub fn parse_double(text: &[u8]) -> Result<f64, ParseError> {
    let text = str::from_utf8(text.trim_ascii()).map_err(|_| ParseError::Malformed(NUMBER))?;
    let value: f64 = text.parse().map_err(|_| ParseError::Malformed(NUMBER))?;
    let fits = value.is_normal() || !vanished(text, value == 0.0, value.is_infinite());
    if fits { Ok(value) } else { Err(ParseError::OutOfRange("a DOUBLE PRECISION")) }
}

/// REAL, as [`parse_double`].
pub fn parse_real(text: &[u8]) -> Result<f32, ParseError> {
    let text = str::from_utf8(text.trim_ascii()).map_err(|_| ParseError::Malformed(NUMBER))?;
    let value: f32 = text.parse().map_err(|_| ParseError::Malformed(NUMBER))?;
    let fits = value.is_normal() || !vanished(text, value == 0.0, value.is_infinite());
    if fits { Ok(value) } else { Err(ParseError::OutOfRange("a REAL")) }
}

/// Whether digits became zero or infinity: infinity has no digit before a letter, and zero no digit above 0 before its exponent.
#[cold]
fn vanished(text: &str, zero: bool, infinite: bool) -> bool {
    let mantissa = text.bytes().take_while(|byte| !byte.is_ascii_alphabetic());
    (infinite && mantissa.clone().any(|byte| byte.is_ascii_digit())) || (zero && mantissa.clone().any(|byte| matches!(byte, b'1'..=b'9')))
}

/// DOUBLE PRECISION
pub fn write_double(out: &mut impl Write, value: f64) -> fmt::Result {
    if value.is_finite() {
        return write_shortest(out, value, DIGITS_OF_DOUBLE);
    }
    write_special(out, value.is_nan(), value > 0.0)
}

/// REAL
pub fn write_real(out: &mut impl Write, value: f32) -> fmt::Result {
    if value.is_finite() {
        return write_shortest(out, value, DIGITS_OF_REAL);
    }
    write_special(out, value.is_nan(), value > 0.0)
}

fn write_special(out: &mut impl Write, nan: bool, positive: bool) -> fmt::Result {
    out.write_str(match (nan, positive) {
        (true, _) => "NaN",
        (_, true) => "Infinity",
        (_, false) => "-Infinity",
    })
}

/// Plain notation for exponents from -4 up to `digits`, else `d.ddde+XX`.
fn write_shortest(out: &mut impl Write, value: impl LowerExp, digits: i32) -> fmt::Result {
    let mut scientific = StackText::new();
    write!(scientific, "{value:e}")?;
    let text = scientific.as_str();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let unsigned = mantissa.trim_start_matches('-');
    out.write_str(&mantissa[..mantissa.len() - unsigned.len()])?;
    let mantissa = unsigned;
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !(-4..digits).contains(&exponent) {
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{first}{point}{rest}e{sign}{:02}", exponent.unsigned_abs());
    }
    write_plain(out, first, rest, exponent)
}

fn write_plain(out: &mut impl Write, first: &str, rest: &str, exponent: i32) -> fmt::Result {
    if exponent < 0 {
        out.write_str("0.")?;
        (1..-exponent).try_for_each(|_| out.write_char('0'))?;
        out.write_str(first)?;
        return out.write_str(rest);
    }
    let whole = exponent.unsigned_abs() as usize;
    out.write_str(first)?;
    if rest.len() <= whole {
        out.write_str(rest)?;
        return (rest.len()..whole).try_for_each(|_| out.write_char('0'));
    }
    write!(out, "{}.{}", &rest[..whole], &rest[whole..])
}
