//! DECIMAL: digits as a 128-bit integer and a scale.
//!
//! Reading rounds half away from zero to the scale, so how many digits a file shows does not matter, only whether the result fits.
//! Up to 18 digits are read in 64-bit arithmetic, the rest in checked 128-bit.

use super::{ParseError, StackText};
use std::fmt::{self, Write};

const NUMBER: &str = "a number";
const FITTING: &str = "a DECIMAL of fewer digits";
/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22];

const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// 10^`exponent`, for 0 to 38; larger exponents give 10^38.
pub const fn power_of_ten(exponent: u8) -> i128 {
    POWERS[if exponent > 38 { 38 } else { exponent as usize }]
}

/// A number taken apart: the value is ±0.d₁d₂… · 10^point over the digits of `whole` and `fraction`.
struct Digits<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Digits<'a> {
    fn scan(text: &'a [u8]) -> Result<Digits<'a>, ParseError> {
        let (negative, text) = match text.trim_ascii() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            text => (false, text),
        };
        let (whole, text) = text.split_at(count_digits(text));
        let (fraction, text) = match text {
            [b'.', rest @ ..] => rest.split_at(count_digits(rest)),
            rest => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(ParseError::Malformed(NUMBER));
        }
        Ok(Digits { negative, whole, fraction, exponent: scan_exponent(text)? })
    }

    fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.whole.iter().chain(self.fraction).map(|byte| byte - b'0')
    }

    /// The digits up to `scale` after the point, rounded half away from zero; `None` where 128 bits do not suffice.
    fn unscaled(&self, scale: u8) -> Option<u128> {
        let keep = self.whole.len() as i64 + self.exponent + i64::from(scale);
        let Ok(kept) = usize::try_from(keep) else { return Some(0) };
        let length = self.whole.len() + self.fraction.len();
        let mut value: u128 = if kept <= 18 {
            u128::from(self.iter().take(kept).fold(0_u64, |value, digit| value * 10 + u64::from(digit)))
        } else {
            self.iter().take(kept).try_fold(0_u128, |value, digit| value.checked_mul(10)?.checked_add(u128::from(digit)))?
        };
        if kept > length && value != 0 {
            let missing = u8::try_from(kept - length).ok().filter(|&missing| missing <= 38)?;
            value = value.checked_mul(power_of_ten(missing).unsigned_abs())?;
        }
        if kept < length && self.iter().nth(kept).is_some_and(|digit| digit >= 5) {
            value = value.checked_add(1)?;
        }
        Some(value)
    }
}

fn count_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// `e±digits` or nothing. Exponents stop at a million, which is far outside every DECIMAL.
fn scan_exponent(text: &[u8]) -> Result<i64, ParseError> {
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'e' | b'E', b'-', digits @ ..] => (true, digits),
        [b'e' | b'E', b'+', digits @ ..] | [b'e' | b'E', digits @ ..] => (false, digits),
        _ => return Err(ParseError::Malformed(NUMBER)),
    };
    if digits.is_empty() || count_digits(digits) != digits.len() {
        return Err(ParseError::Malformed(NUMBER));
    }
    let exponent = digits.iter().fold(0_i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(1_000_000));
    Ok(if negative { -exponent } else { exponent })
}

/// The unscaled value of DECIMAL(precision, scale).
pub fn parse_decimal(text: &[u8], precision: u8, scale: u8) -> Result<i128, ParseError> {
    let digits = Digits::scan(text)?;
    let value = digits.unscaled(scale).and_then(|value| i128::try_from(value).ok());
    let value = value.filter(|&value| value < power_of_ten(precision)).ok_or(ParseError::OutOfRange(FITTING))?;
    Ok(if digits.negative { -value } else { value })
}

/// A number with all its digits: (unscaled, precision, scale). Trailing zeros after the point count, as PostgreSQL keeps them.
pub fn parse_decimal_exact(text: &[u8]) -> Result<(i128, u8, u8), ParseError> {
    let digits = Digits::scan(text)?;
    let scale = (digits.fraction.len() as i64 - digits.exponent).max(0);
    let scale = u8::try_from(scale).ok().filter(|&scale| scale <= 38).ok_or(ParseError::OutOfRange("at most 38 digits"))?;
    let unscaled = parse_decimal(text, 38, scale).map_err(|_| ParseError::OutOfRange("at most 38 digits"))?;
    let shown = unscaled.unsigned_abs().checked_ilog10().map_or(1, |digits| digits as u8 + 1);
    Ok((unscaled, shown.max(scale), scale))
}

/// DECIMAL: a minus sign, digits, and `scale` digits after the point.
pub fn write_decimal(out: &mut impl Write, unscaled: i128, scale: u8) -> fmt::Result {
    if scale == 0 {
        return write!(out, "{unscaled}");
    }
    let mut digits = StackText::new();
    match u64::try_from(unscaled.unsigned_abs()) {
        Ok(short) => write!(digits, "{short}")?,
        Err(_) => write!(digits, "{}", unscaled.unsigned_abs())?,
    }
    let (digits, scale) = (digits.as_str(), usize::from(scale));
    out.write_str(if unscaled < 0 { "-" } else { "" })?;
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        return write!(out, "{whole}.{fraction}");
    }
    out.write_str("0.")?;
    (digits.len()..scale).try_for_each(|_| out.write_char('0'))?;
    out.write_str(digits)
}

/// The nearest double. Where digits and power of ten are both exact doubles their quotient is it; else the text is read.
pub fn decimal_to_double(unscaled: i128, scale: u8) -> f64 {
    if unscaled.unsigned_abs() <= 1 << 53
        && let Some(power) = EXACT_POWERS.get(usize::from(scale))
    {
        return unscaled as f64 / power;
    }
    let mut text = StackText::new();
    match write!(text, "{unscaled}e-{scale}") {
        Ok(()) => text.as_str().parse().unwrap_or(f64::NAN),
        Err(_) => f64::NAN,
    }
}

/// A double as DECIMAL(precision, scale): its 15 leading digits count, as in PostgreSQL. `None` if it is not finite or does not fit.
pub fn decimal_from_double(value: f64, precision: u8, scale: u8) -> Option<i128> {
    let mut text = StackText::new();
    write!(text, "{value:.14e}").ok()?;
    parse_decimal(text.as_bytes(), precision, scale).ok()
}

/// A REAL as DECIMAL(precision, scale): its 6 leading digits count, as in PostgreSQL.
pub fn decimal_from_real(value: f32, precision: u8, scale: u8) -> Option<i128> {
    let mut text = StackText::new();
    write!(text, "{value:.5e}").ok()?;
    parse_decimal(text.as_bytes(), precision, scale).ok()
}
