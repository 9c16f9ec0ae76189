//! Values from bytes: the usual spellings, fast.
//!
//! Each function accepts a subset of what [`raympp_types::text`] accepts, with the same result, and answers `None` for everything else,
//! which then goes the slow way. So they need not know about signs of all sorts, spaces, infinities or rounding. Cost: a few nanoseconds.

/// `-?[0-9]{1,18}`
#[inline(always)]
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let value = digits_value(digits)?;
    Some(if negative { -(value as i64) } else { value as i64 })
}

/// Value of up to 19 digits.
#[inline(always)]
fn digits_value(digits: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// `-?[0-9]*.?[0-9]*` with 1 to 18 digits in all: the digits as a number, and how many stand after the point.
#[inline(always)]
fn point_number(text: &[u8]) -> Option<(bool, u64, usize)> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut value = 0u64;
    let mut point = None;
    for (i, &byte) in rest.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if byte == b'.' && point.is_none() {
            point = Some(i);
        } else {
            return None;
        }
    }
    let digits = rest.len() - usize::from(point.is_some());
    let fraction = point.map_or(0, |at| rest.len() - at - 1);
    (1..=18).contains(&digits).then_some((negative, value, fraction))
}

/// A decimal with at most `scale` digits after the point, scaled to it; `None` also if that is not below `limit`.
#[inline(always)]
pub(super) fn decimal(text: &[u8], limit: i128, scale: u8) -> Option<i128> {
    let (negative, value, fraction) = point_number(text)?;
    let shift = usize::from(scale).checked_sub(fraction)?;
    let value = if shift <= 19 { i128::from(value) * i128::from(POWERS_OF_TEN[shift]) } else { return None };
    (value < limit).then_some(if negative { -value } else { value })
}

const POWERS_OF_TEN: [u64; 20] = {
    let mut powers = [1u64; 20];
    let mut i = 1;
    while i < 20 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// A double whose digits and power of ten are both exact in binary64, so that one division rounds correctly (Clinger 1990).
#[inline(always)]
pub(super) fn double(text: &[u8]) -> Option<f64> {
    let (negative, value, fraction) = point_number(text)?;
    if value > 1 << 53 {
        return None;
    }
    let value = value as f64 / POWERS_OF_TEN[fraction] as f64;
    Some(if negative { -value } else { value })
}

/// The same for binary32.
#[inline(always)]
pub(super) fn real(text: &[u8]) -> Option<f32> {
    let (negative, value, fraction) = point_number(text)?;
    if value > 1 << 24 || fraction > 10 {
        return None;
    }
    let value = value as f32 / POWERS_OF_TEN[fraction] as f32;
    Some(if negative { -value } else { value })
}

/// `true`, `false` and their first letters.
#[inline(always)]
pub(super) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"t" => Some(true),
        b"false" | b"f" => Some(false),
        _ => None,
    }
}

/// `YYYY-MM-DD`, years 0001 to 9999, in days since 1970-01-01.
#[inline(always)]
pub(super) fn date(text: &[u8; 10]) -> Option<i32> {
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = i32::try_from(digits_value(&text[..4])?).ok()?;
    let month = digits_value(&text[5..7])? as u32;
    let day = digits_value(&text[8..])? as u32;
    let valid = year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    valid.then(|| days_from_civil(year, month, day))
}

fn days_in_month(year: i32, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar with a year from 1 to 9999. Years are counted from March, so that the
/// leap day is the last of its year.
fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let century = year_from_march / 100;
    let months_from_march = (month as i32 + 9) % 12;
    let day_of_year = (153 * months_from_march + 2) / 5 + day as i32 - 1;
    year_from_march * 365 + year_from_march / 4 - century + century / 4 + day_of_year - 719_468
}

/// Timestamps of which neighbours often share the date: the last one is remembered.
#[derive(Default)]
pub(super) struct TimestampParser {
    date: [u8; 10],
    days: i64,
}

impl TimestampParser {
    /// `YYYY-MM-DD[ T]HH:MM:SS[.f{1,6}]Z?` in microseconds since 1970-01-01 00:00:00.
    #[inline(always)]
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<i64> {
        let (date_text, rest) = text.split_first_chunk::<10>()?;
        let (time, fraction) = rest.split_first_chunk::<9>()?;
        if *date_text != self.date {
            self.days = i64::from(date(date_text)?);
            self.date = *date_text;
        }
        let seconds = time_of_day(time)?;
        let micros = if fraction.is_empty() { 0 } else { fraction_us(fraction)? };
        Some((self.days * 86_400 + seconds) * 1_000_000 + micros)
    }
}

/// `[ T]HH:MM:SS` in seconds.
#[inline(always)]
fn time_of_day(time: &[u8; 9]) -> Option<i64> {
    let two = |at: usize| {
        let (tens, ones) = (time[at].wrapping_sub(b'0'), time[at + 1].wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then_some(i64::from(tens) * 10 + i64::from(ones))
    };
    let (hours, minutes, seconds) = (two(1)?, two(4)?, two(7)?);
    let separators = matches!(time[0], b' ' | b'T') && time[3] == b':' && time[6] == b':';
    (separators && hours < 24 && minutes < 60 && seconds < 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// `(.f{1,6})?Z?` in microseconds.
fn fraction_us(text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"Z").unwrap_or(text);
    match text {
        [] => Some(0),
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => Some((digits_value(digits)? * POWERS_OF_TEN[6 - digits.len()]) as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_a_walk_through_the_calendar() {
        let mut days = -719_162; // 0001-01-01
        for year in 1..=9999 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days_from_civil(year, month, day), days, "{year}-{month}-{day}");
                    days += 1;
                }
            }
        }
        assert_eq!(days_from_civil(1970, 1, 1), 0);
    }

    #[test]
    fn doubles_and_reals_agree_with_the_standard_library() {
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let digits = (state >> 8) % 10u64.pow((state >> 60) as u32 + 1);
            let text = format!("{}{}.{:0width$}", if state & 1 == 0 { "-" } else { "" }, digits / 1000, digits % 1000, width = 3);
            if let Some(value) = double(text.as_bytes()) {
                assert_eq!(value.to_bits(), text.parse::<f64>().expect("a number").to_bits(), "{text}");
            }
            if let Some(value) = real(text.as_bytes()) {
                assert_eq!(value.to_bits(), text.parse::<f32>().expect("a number").to_bits(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_usual_is_left_to_the_slow_way() {
        for text in ["", "-", "+1", "1234567890123456789", "1e3", " 1", "0x1", "1_0"] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
        for text in ["", "-", ".", "1.2.3", "nan", "1e5", "1.005"] {
            assert_eq!(decimal(text.as_bytes(), 1_000_000, 2), None, "{text:?}");
        }
        assert_eq!(decimal(b"-12.5", 10_000, 2), Some(-1250));
        assert_eq!(decimal(b"999", 1_000, 2), None);
        assert_eq!(decimal(b".5", 1_000, 2), Some(50));
        for text in ["2013-02-29 00:00:00", "2013-01-01 24:00:00", "0000-01-01 00:00:00", "2013-01-01 00:00:00.1234567", "2013-01-01"] {
            assert_eq!(TimestampParser::default().parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(TimestampParser::default().parse(b"1969-12-31T23:59:59.5Z"), Some(-500_000));
    }
}
