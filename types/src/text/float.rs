//! REAL and DOUBLE PRECISION: the shortest text that reads back as the same number, laid out as PostgreSQL does.
//!
//! The digits are Ryū's, as PostgreSQL's are: of two shortest texts the nearer one, and of two equally near ones the one with the even last
//! digit (653.71612548828125 lies between 653.7161254882812 and …813), where the standard library takes the upper one.

use super::{ParseError, StackText};
use std::fmt::{self, Write};

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
        return write_shortest(out, ryu::Buffer::new().format_finite(value), DIGITS_OF_DOUBLE);
    }
    write_special(out, value.is_nan(), value > 0.0)
}

/// REAL
pub fn write_real(out: &mut impl Write, value: f32) -> fmt::Result {
    if value.is_finite() {
        return write_shortest(out, ryu::Buffer::new().format_finite(value), DIGITS_OF_REAL);
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

/// Plain notation for exponents from -4 up to `digits`, else `d.ddde+XX`. `text` is a number in any notation with the digits to write.
fn write_shortest(out: &mut impl Write, text: &str, digits: i32) -> fmt::Result {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let unsigned = mantissa.trim_start_matches('-');
    out.write_str(&mantissa[..mantissa.len() - unsigned.len()])?;
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut all = StackText::new();
    write!(all, "{whole}{fraction}")?;
    let significant = all.as_str().trim_start_matches('0');
    let leading_zeros = (all.as_str().len() - significant.len()) as i32;
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        return out.write_char('0');
    }
    let exponent = exponent.parse().unwrap_or(0) + whole.len() as i32 - 1 - leading_zeros;
    let (first, rest) = significant.split_at(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn double(value: f64) -> String {
        let mut text = String::new();
        write_double(&mut text, value).expect("writing to a string");
        text
    }

    fn real(value: f32) -> String {
        let mut text = String::new();
        write_real(&mut text, value).expect("writing to a string");
        text
    }

    #[test]
    fn halfway_goes_to_the_even_digit() {
        assert_eq!(double(653.0 + 11_733.0 / 16_384.0), "653.7161254882812");
        assert_eq!(double(-1_388_998_362_527_014.0 - 0.25), "-1.3889983625270142e+15");
        assert_eq!(double(f64::from(97.516_88_f32)), "97.51687622070312");
        assert_eq!(real(8_388_608.5), "8.388608e+06");
    }

    #[test]
    fn text_reads_back_as_the_same_number() {
        for value in
            [0.1, 1.5, 123.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, 1e22, 1e15, 1e14, 100_000.0, 9_007_199_254_740_993.0, -0.0, 1e-4, 1e-5]
        {
            let text = double(value);
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
        assert_eq!([double(1e14), double(1e15), double(1e-4), double(1.5e-5)].join(" "), "100000000000000 1e+15 0.0001 1.5e-05");
    }
}
