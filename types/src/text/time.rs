//! DATE, TIMESTAMP and TIMESTAMPTZ: ISO 8601 with a space or T.
//!
//! `YYYY-MM-DD HH:MM:SS` at its fixed places is read without a loop; every other form goes the general way. A TIMESTAMP may end in a
//! zone only if that zone is UTC: PostgreSQL ignores the zone of a TIMESTAMP, which would move an event silently.

use super::calendar::{civil_of, days_in_month, days_of};
use super::{ParseError, StackText};
use crate::interval::{DAY_US, SECOND_US};
use std::fmt::{self, Write};

const DATE: &str = "YYYY-MM-DD";
const TIMESTAMP: &str = "YYYY-MM-DD HH:MM:SS[.ffffff] without an offset from UTC";
const TIMESTAMPTZ: &str = "YYYY-MM-DD HH:MM:SS[.ffffff][Z or +HH:MM]";
const RANGE: &str = "a day and time of the calendar between 290309 BC and 294247";
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;

/// DATE: days since 1970-01-01. A time after it is read and dropped.
pub fn parse_date(text: &[u8]) -> Result<i32, ParseError> {
    let parts = Parts::scan(text.trim_ascii(), DATE)?;
    i32::try_from(parts.days).map_err(|_| ParseError::OutOfRange("a DATE"))
}

/// TIMESTAMP: microseconds since 1970-01-01 00:00:00.
pub fn parse_timestamp(text: &[u8]) -> Result<i64, ParseError> {
    let parts = Parts::scan(text.trim_ascii(), TIMESTAMP)?;
    if parts.offset_us != 0 {
        return Err(ParseError::Malformed(TIMESTAMP));
    }
    parts.micros()
}

/// TIMESTAMPTZ: microseconds since 1970-01-01 00:00:00 UTC. Without an offset the text is in UTC.
pub fn parse_timestamptz(text: &[u8]) -> Result<i64, ParseError> {
    Parts::scan(text.trim_ascii(), TIMESTAMPTZ)?.micros()
}

/// A time taken apart.
struct Parts {
    days: i64,
    time_us: i64,
    offset_us: i64,
}

impl Parts {
    fn micros(&self) -> Result<i64, ParseError> {
        let micros = i128::from(self.days) * i128::from(DAY_US) + i128::from(self.time_us - self.offset_us);
        i64::try_from(micros).map_err(|_| ParseError::OutOfRange(RANGE))
    }

    fn scan(text: &[u8], expected: &'static str) -> Result<Parts, ParseError> {
        let (year, month, day, time_us, rest) = match scan_fixed(text) {
            Some(fixed) => fixed,
            None => scan_free(text).ok_or(ParseError::Malformed(expected))?,
        };
        let (fraction_us, rest) = scan_fraction(rest).ok_or(ParseError::Malformed(expected))?;
        let (offset_us, rest) = scan_offset(rest).ok_or(ParseError::Malformed(expected))?;
        let before_christ = match rest {
            [] => false,
            _ if rest.trim_ascii().eq_ignore_ascii_case(b"BC") => true,
            _ => return Err(ParseError::Malformed(expected)),
        };
        let exists = year >= 1 && (1..=12).contains(&month) && day >= 1 && time_us + fraction_us <= DAY_US;
        let year = if before_christ { 1 - year } else { year };
        if !exists || day > days_in_month(year, month) {
            return Err(ParseError::OutOfRange(RANGE));
        }
        Ok(Parts { days: days_of(year, month, day), time_us: time_us + fraction_us, offset_us })
    }
}

/// Year, month, day, microseconds of the day, and what follows.
type Scanned<'a> = (i64, u32, u32, i64, &'a [u8]);

/// `YYYY-MM-DD HH:MM:SS` followed by anything but a digit. Times that do not exist are left to the general way, which refuses them.
#[inline]
fn scan_fixed(text: &[u8]) -> Option<Scanned<'_>> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let separators = head[4] == b'-' && head[7] == b'-' && matches!(head[10], b' ' | b'T') && head[13] == b':' && head[16] == b':';
    let mut worst = 0;
    let mut pair = |at: usize| {
        let (tens, ones) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
        worst = tens.max(ones).max(worst);
        u32::from(tens) * 10 + u32::from(ones)
    };
    let year = i64::from(pair(0)) * 100 + i64::from(pair(2));
    let (month, day, hour, minute, second) = (pair(5), pair(8), pair(11), pair(14), pair(17));
    if !separators || worst > 9 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    Some((year, month, day, seconds * SECOND_US, rest))
}

/// One to `most` digits.
fn number(text: &[u8], most: usize) -> Option<(i64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > most {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    Some((digits.iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0')), rest))
}

/// A number after a separator.
fn separated(text: &[u8], separator: u8, most: usize) -> Option<(i64, &[u8])> {
    let (first, rest) = text.split_first()?;
    if *first == separator { number(rest, most) } else { None }
}

/// Years of 1 to 7 digits, months and days of 1 or 2; the time, its seconds, or all of it may be missing.
fn scan_free(text: &[u8]) -> Option<Scanned<'_>> {
    let (year, rest) = number(text, 7)?;
    let (month, rest) = separated(rest, b'-', 2)?;
    let (day, rest) = separated(rest, b'-', 2)?;
    let (month, day) = (month as u32, day as u32);
    let time = match rest {
        [b'T' | b't', time @ ..] => time,
        [b' ', time @ ..] if time.trim_ascii_start().first().is_some_and(u8::is_ascii_digit) => time.trim_ascii_start(),
        _ => return Some((year, month, day, 0, rest)),
    };
    let (hour, rest) = number(time, 2)?;
    let (minute, rest) = separated(rest, b':', 2)?;
    let (second, rest) = separated(rest, b':', 2).unwrap_or((0, rest));
    // 24:00:00 is the end of the day, and second 60 the start of the next minute.
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    Some((year, month, day, hour * HOUR_US + minute * MINUTE_US + second * SECOND_US, rest))
}

/// `.` and 1 to 9 digits, rounded to microseconds, half up.
#[inline]
fn scan_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', digits @ ..] = text else { return Some((0, text)) };
    let (mut nanos, mut length) = (0_i64, 0);
    while let Some(digit) = digits.get(length).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit <= 9) {
        nanos = nanos * 10 + i64::from(digit);
        length += 1;
        if length > 9 {
            return None;
        }
    }
    const SCALE: [i64; 10] = [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    if length == 0 {
        return None;
    }
    Some(((nanos * SCALE[length] + 500) / 1_000, &digits[length..]))
}

/// `Z`, `UTC`, `±HH`, `±HHMM`, `±HH:MM[:SS]`, or nothing; a space may stand before it.
#[inline]
fn scan_offset(text: &[u8]) -> Option<(i64, &[u8])> {
    if text.is_empty() {
        return Some((0, text));
    }
    let zone = text.trim_ascii_start();
    let (sign, zone) = match zone {
        [b'Z' | b'z', rest @ ..] => return Some((0, rest)),
        [a, b, c, rest @ ..] if [*a, *b, *c].eq_ignore_ascii_case(b"UTC") => return Some((0, rest)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return Some((0, text)),
    };
    let (hour, minute, second, rest) = match number(zone, 4)? {
        (packed, rest) if zone.len() - rest.len() == 4 => (packed / 100, packed % 100, 0, rest),
        (_, rest) if zone.len() - rest.len() == 3 => return separated(rest, b':', 2).and(None),
        (hour, rest) => {
            let (minute, rest) = separated(rest, b':', 2).unwrap_or((0, rest));
            let (second, rest) = separated(rest, b':', 2).unwrap_or((0, rest));
            (hour, minute, second, rest)
        }
    };
    if hour > 15 || minute > 59 || second > 59 {
        return None;
    }
    Some((sign * (hour * HOUR_US + minute * MINUTE_US + second * SECOND_US), rest))
}

/// Puts `value` at the end, at least `width` digits.
fn push_padded(text: &mut StackText, value: u64, width: usize) -> fmt::Result {
    let mut digits = [b'0'; 20];
    let (mut rest, mut at) = (value, digits.len());
    while rest > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let shown = &digits[at..];
    let end = text.length + shown.len();
    text.bytes.get_mut(text.length..end).ok_or(fmt::Error)?.copy_from_slice(shown);
    text.length = end;
    Ok(())
}

/// Writes the day; returns whether it is before year 1, which is said at the very end.
fn push_date(text: &mut StackText, days: i64) -> Result<bool, fmt::Error> {
    let civil = civil_of(days);
    let before_christ = civil.year < 1;
    let year = if before_christ { 1 - civil.year } else { civil.year };
    push_padded(text, year.unsigned_abs(), 4)?;
    text.write_char('-')?;
    push_padded(text, u64::from(civil.month), 2)?;
    text.write_char('-')?;
    push_padded(text, u64::from(civil.day), 2)?;
    Ok(before_christ)
}

fn push_time(text: &mut StackText, micros: i64) -> fmt::Result {
    let (seconds, micros) = ((micros / SECOND_US).unsigned_abs(), (micros % SECOND_US).unsigned_abs());
    for (separator, value) in [(' ', seconds / 3_600), (':', seconds / 60 % 60), (':', seconds % 60)] {
        text.write_char(separator)?;
        push_padded(text, value, 2)?;
    }
    text.write_char('.')?;
    push_padded(text, micros, 6)
}

/// DATE
pub fn write_date(out: &mut impl Write, days: i32) -> fmt::Result {
    let mut text = StackText::new();
    let before_christ = push_date(&mut text, i64::from(days))?;
    text.write_str(if before_christ { " BC" } else { "" })?;
    out.write_str(text.as_str())
}

/// TIMESTAMP: always six digits after the second.
pub fn write_timestamp(out: &mut impl Write, micros: i64) -> fmt::Result {
    write_zoned(out, micros, "")
}

/// TIMESTAMPTZ: as TIMESTAMP, in UTC, with `+00`.
pub fn write_timestamptz(out: &mut impl Write, micros: i64) -> fmt::Result {
    write_zoned(out, micros, "+00")
}

fn write_zoned(out: &mut impl Write, micros: i64, zone: &str) -> fmt::Result {
    let mut text = StackText::new();
    let before_christ = push_date(&mut text, micros.div_euclid(DAY_US))?;
    push_time(&mut text, micros.rem_euclid(DAY_US))?;
    text.write_str(zone)?;
    text.write_str(if before_christ { " BC" } else { "" })?;
    out.write_str(text.as_str())
}
