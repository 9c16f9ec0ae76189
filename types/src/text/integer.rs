//! BOOLEAN, SMALLINT, INTEGER and BIGINT.

use super::ParseError;

const INTEGER: &str = "a whole number";

/// Unique beginnings of true, yes, on, false, no, off in any case, and 1 and 0.
pub fn parse_boolean(text: &[u8]) -> Result<bool, ParseError> {
    let text = text.trim_ascii();
    let begins =
        |word: &[u8], least: usize| text.len() >= least && text.len() <= word.len() && text.eq_ignore_ascii_case(&word[..text.len()]);
    if text == b"1" || begins(b"true", 1) || begins(b"yes", 1) || begins(b"on", 2) {
        Ok(true)
    } else if text == b"0" || begins(b"false", 1) || begins(b"no", 1) || begins(b"off", 2) {
        Ok(false)
    } else {
        Err(ParseError::Malformed("true or false"))
    }
}

/// SMALLINT
pub fn parse_smallint(text: &[u8]) -> Result<i16, ParseError> {
    i16::try_from(parse_bigint(text)?).map_err(|_| ParseError::OutOfRange("-32768 to 32767"))
}

/// INTEGER
pub fn parse_integer(text: &[u8]) -> Result<i32, ParseError> {
    i32::try_from(parse_bigint(text)?).map_err(|_| ParseError::OutOfRange("-2147483648 to 2147483647"))
}

/// BIGINT: digits with an optional sign.
pub fn parse_bigint(text: &[u8]) -> Result<i64, ParseError> {
    let (negative, digits) = match text.trim_ascii() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(ParseError::Malformed(INTEGER));
    }
    if digits.len() > 18 {
        return parse_long(negative, digits);
    }
    // 18 digits can't overflow, so the loop only looks for what is not a digit.
    let (mut value, mut worst) = (0_i64, 0_u8);
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        worst = worst.max(digit);
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    if worst > 9 {
        return Err(ParseError::Malformed(INTEGER));
    }
    Ok(if negative { -value } else { value })
}

/// Counts downwards, since there is one more negative number than positive ones.
#[cold]
fn parse_long(negative: bool, digits: &[u8]) -> Result<i64, ParseError> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseError::Malformed(INTEGER));
    }
    let negated = digits.iter().try_fold(0_i64, |value, byte| value.checked_mul(10)?.checked_sub(i64::from(byte - b'0')));
    let value = if negative { negated } else { negated.and_then(i64::checked_neg) };
    value.ok_or(ParseError::OutOfRange("-9223372036854775808 to 9223372036854775807"))
}
