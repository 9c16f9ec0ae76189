//! INTERVAL: PostgreSQL's forms – quantities with units, `[days] HH:MM:SS`, `years-months`, ISO 8601 durations – and its output style.
//!
//! A fraction of a unit moves to the units below: of a year to whole months, of a month to days of 1/30, of a week or day to
//! microseconds. Quantities are kept as exact fractions of nine digits, so nothing depends on floating point.

use super::ParseError;
use crate::interval::{DAY_US, Interval, SECOND_US};
use std::fmt::{self, Write};

const INTERVAL: &str = "an interval such as '1 day 02:30:00', '2 seconds' or 'P1DT2H'";
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
/// A fraction is a count of billionths.
const BILLION: i128 = 1_000_000_000;

/// INTERVAL
pub fn parse_interval(text: &[u8]) -> Result<Interval, ParseError> {
    let text = text.trim_ascii();
    let mut sum = Sum::default();
    let read = match text {
        [b'P' | b'p', rest @ ..] => read_iso(rest, &mut sum),
        _ => read_postgres(text, &mut sum),
    };
    read.ok_or(ParseError::Malformed(INTERVAL))?;
    sum.finish().ok_or(ParseError::OutOfRange("an INTERVAL"))
}

/// The parts added up so far.
#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    micros: i128,
}

#[derive(Clone, Copy)]
enum Unit {
    Months(i128),
    Days(i128),
    Micros(i128),
}

/// A signed number: whole part and billionths, both with the sign of the number.
#[derive(Clone, Copy)]
struct Quantity {
    whole: i128,
    billionths: i128,
}

fn rounded(numerator: i128, denominator: i128) -> i128 {
    let half = denominator / 2 * numerator.signum();
    (numerator + half) / denominator
}

impl Sum {
    fn add(&mut self, quantity: Quantity, unit: Unit) {
        match unit {
            Unit::Months(1) => {
                self.months += quantity.whole;
                self.add_days(quantity.billionths * 30);
            }
            Unit::Months(months) => self.months += quantity.whole * months + rounded(quantity.billionths * months, BILLION),
            Unit::Days(days) => {
                self.days += quantity.whole * days;
                self.add_days(quantity.billionths * days);
            }
            Unit::Micros(micros) => self.micros += quantity.whole * micros + rounded(quantity.billionths * micros, BILLION),
        }
    }

    /// Billionths of a day: whole days stay days, the rest is time.
    fn add_days(&mut self, billionths: i128) {
        self.days += billionths / BILLION;
        self.micros += rounded(billionths % BILLION * i128::from(DAY_US), BILLION);
    }

    fn finish(&self) -> Option<Interval> {
        let months = i32::try_from(self.months).ok()?;
        let days = i32::try_from(self.days).ok()?;
        // Columns keep nanoseconds, so what does not fit those is out of range here already.
        let micros = i64::try_from(self.micros).ok().filter(|micros| micros.checked_mul(1_000).is_some())?;
        Some(Interval { months, days, micros })
    }
}

fn unit(name: &[u8]) -> Option<Unit> {
    let mut lower = [0; 12];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"us" | b"usec" | b"usecs" | b"microsecond" | b"microseconds" => Unit::Micros(1),
        b"ms" | b"msec" | b"msecs" | b"millisecond" | b"milliseconds" => Unit::Micros(1_000),
        b"s" | b"sec" | b"secs" | b"second" | b"seconds" => Unit::Micros(i128::from(SECOND_US)),
        b"m" | b"min" | b"mins" | b"minute" | b"minutes" => Unit::Micros(i128::from(MINUTE_US)),
        b"h" | b"hr" | b"hrs" | b"hour" | b"hours" => Unit::Micros(i128::from(HOUR_US)),
        b"d" | b"day" | b"days" => Unit::Days(1),
        b"w" | b"week" | b"weeks" => Unit::Days(7),
        b"mon" | b"mons" | b"month" | b"months" => Unit::Months(1),
        b"y" | b"yr" | b"yrs" | b"year" | b"years" => Unit::Months(12),
        b"dec" | b"decs" | b"decade" | b"decades" => Unit::Months(120),
        b"c" | b"cent" | b"century" | b"centuries" => Unit::Months(1_200),
        b"mil" | b"mils" | b"millennium" | b"millennia" => Unit::Months(12_000),
        _ => return None,
    })
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn split_letters(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count())
}

fn split_sign(text: &[u8]) -> (i128, &[u8]) {
    match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    }
}

/// Up to 18 digits.
fn whole(digits: &[u8]) -> Option<i128> {
    (!digits.is_empty() && digits.len() <= 18).then(|| digits.iter().fold(0, |value, byte| value * 10 + i128::from(byte - b'0')))
}

/// Digits after a point as billionths; what is beyond is cut.
fn billionths(digits: &[u8]) -> i128 {
    (0..9).fold(0, |value, at| value * 10 + digits.get(at).map_or(0, |byte| i128::from(byte - b'0')))
}

/// `[sign]digits[.digits]`
fn quantity(text: &[u8]) -> Option<(Quantity, &[u8])> {
    let (sign, text) = split_sign(text);
    let (digits, rest) = split_digits(text);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => split_digits(rest),
        _ => (&[][..], rest),
    };
    let value = if digits.is_empty() && !fraction.is_empty() { 0 } else { whole(digits)? };
    Some((Quantity { whole: sign * value, billionths: sign * billionths(fraction) }, rest))
}

/// `[sign]HH:MM[:SS[.f]]`; `None` if the text is no time.
fn time(text: &[u8]) -> Option<(i128, &[u8])> {
    let (sign, text) = split_sign(text);
    let (hours, rest) = split_digits(text);
    let [b':', rest @ ..] = rest else { return None };
    let (minutes, rest) = split_digits(rest);
    let (seconds, rest) = match rest {
        [b':', rest @ ..] => quantity(rest)?,
        _ => (Quantity { whole: 0, billionths: 0 }, rest),
    };
    let (hours, minutes) = (whole(hours)?, whole(minutes)?);
    if minutes > 59 || !(0..=59).contains(&seconds.whole) {
        return None;
    }
    let mut sum = Sum::default();
    sum.add(seconds, Unit::Micros(i128::from(SECOND_US)));
    Some((sign * (sum.micros + minutes * i128::from(MINUTE_US) + hours * i128::from(HOUR_US)), rest))
}

/// `[sign]years-months` as months; `None` if the text is no such thing.
fn years_months(text: &[u8]) -> Option<(i128, &[u8])> {
    let (sign, text) = split_sign(text);
    let (years, rest) = split_digits(text);
    let [b'-', rest @ ..] = rest else { return None };
    let (months, rest) = split_digits(rest);
    let (years, months) = (whole(years)?, whole(months)?);
    (months < 12).then_some((sign * (years * 12 + months), rest))
}

fn read_postgres(text: &[u8], sum: &mut Sum) -> Option<()> {
    let mut text = text.strip_prefix(b"@").unwrap_or(text).trim_ascii_start();
    if text.is_empty() {
        return None;
    }
    while !text.is_empty() {
        if text.eq_ignore_ascii_case(b"ago") {
            *sum = Sum { months: -sum.months, days: -sum.days, micros: -sum.micros };
            return Some(());
        }
        text = read_part(text, sum)?.trim_ascii_start();
    }
    Some(())
}

/// One time, `years-months`, or quantity. A bare number is days if a time follows, and seconds at the very end.
fn read_part<'a>(text: &'a [u8], sum: &mut Sum) -> Option<&'a [u8]> {
    if let Some((micros, rest)) = time(text) {
        sum.micros += micros;
        return Some(rest);
    }
    if let Some((months, rest)) = years_months(text) {
        sum.months += months;
        return Some(rest);
    }
    let (value, rest) = quantity(text)?;
    let (name, after) = split_letters(rest.trim_ascii_start());
    let (unit, rest) = match name {
        [] if after.is_empty() => (Unit::Micros(i128::from(SECOND_US)), after),
        [] => (Unit::Days(1), time(after).map(|_| after)?),
        _ if name.eq_ignore_ascii_case(b"ago") => (Unit::Micros(i128::from(SECOND_US)), rest),
        _ => (unit(name)?, after),
    };
    sum.add(value, unit);
    Some(rest)
}

/// `[nY][nM][nW][nD][T[nH][nM][nS]]` after the P.
fn read_iso(mut text: &[u8], sum: &mut Sum) -> Option<()> {
    let mut in_time = false;
    if text.is_empty() {
        return None;
    }
    while !text.is_empty() {
        if let ([b'T' | b't', rest @ ..], false) = (text, in_time) {
            (text, in_time) = (rest, true);
            if text.is_empty() {
                return None;
            }
            continue;
        }
        let (value, rest) = quantity(text)?;
        let (letter, rest) = rest.split_first()?;
        let unit = match (letter.to_ascii_uppercase(), in_time) {
            (b'Y', false) => Unit::Months(12),
            (b'M', false) => Unit::Months(1),
            (b'W', false) => Unit::Days(7),
            (b'D', false) => Unit::Days(1),
            (b'H', true) => Unit::Micros(i128::from(HOUR_US)),
            (b'M', true) => Unit::Micros(i128::from(MINUTE_US)),
            (b'S', true) => Unit::Micros(i128::from(SECOND_US)),
            _ => return None,
        };
        sum.add(value, unit);
        text = rest;
    }
    Some(())
}

/// `1 year 2 mons -3 days +04:05:06.789`: a plus shows that the sign changes back.
pub fn write_interval(out: &mut impl Write, interval: &Interval) -> fmt::Result {
    let (mut first, mut after_negative) = (true, false);
    for (value, name) in [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if first { "" } else { " " };
        let plus = if after_negative && value > 0 { "+" } else { "" };
        write!(out, "{space}{plus}{value} {name}{}", if value == 1 { "" } else { "s" })?;
        (first, after_negative) = (false, value < 0);
    }
    if !first && interval.micros == 0 {
        return Ok(());
    }
    let sign = if interval.micros < 0 {
        "-"
    } else if after_negative {
        "+"
    } else {
        ""
    };
    write_time(out, if first { "" } else { " " }, sign, interval.micros.unsigned_abs())
}

fn write_time(out: &mut impl Write, space: &str, sign: &str, micros: u64) -> fmt::Result {
    let (seconds, mut fraction) = (micros / 1_000_000, micros % 1_000_000);
    write!(out, "{space}{sign}{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)?;
    if fraction == 0 {
        return Ok(());
    }
    let mut width = 6;
    while fraction % 10 == 0 {
        (fraction, width) = (fraction / 10, width - 1);
    }
    write!(out, ".{fraction:0width$}")
}
