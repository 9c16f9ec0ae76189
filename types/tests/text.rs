//! Values as text: what is read, what is refused, what is written, and that writing and reading are inverse.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

use raympp_types::text::*;
use raympp_types::{DataType, Interval, Value};

/// What a value of this type, read and written again, looks like; or why it is refused.
fn rewritten(data_type: DataType, text: &str) -> String {
    match parse_value(text, data_type) {
        Ok(value) => {
            let written = value.to_string();
            assert_eq!(
                parse_value(&written, data_type).map(|value| value.to_string()),
                Ok(written.clone()),
                "{text:?} written as {written:?}"
            );
            written
        }
        Err(ParseError::Malformed(_)) => "malformed".to_owned(),
        Err(ParseError::OutOfRange(_)) => "out of range".to_owned(),
    }
}

fn check(data_type: DataType, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(rewritten(data_type, text), *expected, "{text:?} as {data_type}");
    }
}

#[test]
fn booleans() {
    for text in ["t", "TRUE", "tr", "y", "Yes", "on", "1", " true "] {
        assert_eq!(parse_boolean(text.as_bytes()), Ok(true), "{text}");
    }
    for text in ["f", "False", "n", "no", "of", "OFF", "0"] {
        assert_eq!(parse_boolean(text.as_bytes()), Ok(false), "{text}");
    }
    check(DataType::Boolean, &[("o", "malformed"), ("truee", "malformed"), ("", "malformed"), ("2", "malformed"), ("yesno", "malformed")]);
}

#[test]
fn integers() {
    check(
        DataType::BigInt,
        &[
            ("0", "0"),
            (" -42 ", "-42"),
            ("+7", "7"),
            ("000000000000000000000012", "12"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "out of range"),
            ("-9223372036854775809", "out of range"),
            ("99999999999999999999", "out of range"),
            ("999999999999999999x", "malformed"),
            ("", "malformed"),
            ("-", "malformed"),
            ("+-1", "malformed"),
            ("1.0", "malformed"),
            ("1 2", "malformed"),
            ("٣", "malformed"),
        ],
    );
    check(DataType::Integer, &[("2147483647", "2147483647"), ("2147483648", "out of range"), ("-2147483648", "-2147483648")]);
    check(DataType::SmallInt, &[("-32768", "-32768"), ("32768", "out of range")]);
}

#[test]
fn floats() {
    check(
        DataType::Double,
        &[
            ("0", "0"),
            ("-0.0", "-0"),
            ("0.1", "0.1"),
            ("1e-4", "0.0001"),
            ("1e-5", "1e-05"),
            ("123456789012345", "123456789012345"),
            ("1234567890123456", "1.234567890123456e+15"),
            ("1e15", "1e+15"),
            ("-1.5e300", "-1.5e+300"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("1e309", "out of range"),
            ("1e-400", "out of range"),
            ("0e-400", "0"),
            ("nan", "NaN"),
            ("inf", "Infinity"),
            ("-Infinity", "-Infinity"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1,5", "malformed"),
            ("", "malformed"),
            ("0x10", "malformed"),
        ],
    );
    check(
        DataType::Real,
        &[
            ("0.1", "0.1"),
            ("123456", "123456"),
            ("1234567", "1.234567e+06"),
            ("16777217", "1.6777216e+07"),
            ("1e39", "out of range"),
            ("1e-46", "out of range"),
        ],
    );
}

#[test]
fn decimals() {
    let money = DataType::Decimal { precision: 5, scale: 2 };
    check(
        money,
        &[
            ("1", "1.00"),
            ("-1.005", "-1.01"),
            ("1.0049999", "1.00"),
            ("999.994", "999.99"),
            ("999.995", "out of range"),
            ("1e2", "100.00"),
            ("1.5E+1", "15.00"),
            ("12345e-4", "1.23"),
            ("1e-1000000000000", "0.00"),
            ("0e1000000000000", "0.00"),
            ("1e1000000000000", "out of range"),
            (".5", "0.50"),
            ("5.", "5.00"),
            ("0.005", "0.01"),
            ("0.0049", "0.00"),
            ("-0.001", "0.00"),
            ("00000000000000000000000000000000000000000000000001", "1.00"),
            ("NaN", "malformed"),
            (".", "malformed"),
            ("1e", "malformed"),
            ("1e+", "malformed"),
            ("1 000", "malformed"),
            ("--1", "malformed"),
        ],
    );
    let widest = "99999999999999999999999999999999999999";
    check(DataType::Decimal { precision: 38, scale: 0 }, &[(widest, widest), ("100000000000000000000000000000000000000", "out of range")]);
    check(DataType::Decimal { precision: 38, scale: 38 }, &[("0.1", "0.10000000000000000000000000000000000000"), ("1", "out of range")]);
    for (text, expected) in [("1.50", Ok((150, 3, 2))), ("0.001", Ok((1, 3, 3))), ("12e3", Ok((12_000, 5, 0))), ("-0", Ok((0, 1, 0)))] {
        assert_eq!(parse_decimal_exact(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn decimals_become_the_nearest_double_and_back() {
    assert_eq!(decimal_to_double(1, 1), 0.1);
    assert_eq!(decimal_to_double(123_456_789_012_345_678_901_234_567_890, 10), 12_345_678_901_234_567_890.123_456_789);
    assert_eq!(decimal_to_double(-9_007_199_254_740_993, 0), -9_007_199_254_740_992.0);
    assert_eq!(decimal_from_double(0.1, 20, 18), Some(100_000_000_000_000_000));
    assert_eq!(decimal_from_double(1e15 / 7.0, 38, 3), Some(142_857_142_857_143_000));
    assert_eq!(decimal_from_double(f64::NAN, 38, 3), None);
    assert_eq!(decimal_from_real(0.1, 20, 18), Some(100_000_000_000_000_000));
}

#[test]
fn timestamps() {
    check(
        DataType::Timestamp,
        &[
            ("2013-01-01 00:00:00", "2013-01-01 00:00:00.000000"),
            ("2013-01-01T23:59:59.999999", "2013-01-01 23:59:59.999999"),
            ("2013-01-01t23:59:59", "2013-01-01 23:59:59.000000"),
            ("2013-01-01 00:00:00.5", "2013-01-01 00:00:00.500000"),
            ("2013-01-01 00:00:00.123456789", "2013-01-01 00:00:00.123457"),
            ("2013-01-01 23:59:59.9999995", "2013-01-02 00:00:00.000000"),
            ("2013-01-01 00:00:00.1234567890", "malformed"),
            ("2013-01-01 00:00:00.", "malformed"),
            ("2013-01-01", "2013-01-01 00:00:00.000000"),
            ("2013-1-2 3:04", "2013-01-02 03:04:00.000000"),
            ("2013-01-01 24:00:00", "2013-01-02 00:00:00.000000"),
            ("2013-01-01 24:00:01", "out of range"),
            ("2013-01-01 23:59:60", "2013-01-02 00:00:00.000000"),
            ("2013-01-01 23:60:00", "malformed"),
            ("2013-01-01 25:00:00", "malformed"),
            ("2013-01-01 00:00:00Z", "2013-01-01 00:00:00.000000"),
            ("2013-01-01 00:00:00+00:00", "2013-01-01 00:00:00.000000"),
            ("2013-01-01 00:00:00+02", "malformed"),
            ("2012-02-29 00:00:00", "2012-02-29 00:00:00.000000"),
            ("2013-02-29 00:00:00", "out of range"),
            ("1900-02-29 00:00:00", "out of range"),
            ("2013-13-01 00:00:00", "out of range"),
            ("2013-00-01 00:00:00", "out of range"),
            ("2013-01-00 00:00:00", "out of range"),
            ("0000-01-01 00:00:00", "out of range"),
            ("1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"),
            ("0044-03-15 BC", "0044-03-15 00:00:00.000000 BC"),
            ("0001-02-29 10:00:00 bc", "0001-02-29 10:00:00.000000 BC"),
            ("290000-01-01", "290000-01-01 00:00:00.000000"),
            ("294247-01-10 04:00:54.775807", "294247-01-10 04:00:54.775807"),
            ("294247-01-10 04:00:54.775808", "out of range"),
            ("290309-12-21 19:59:05.224192 BC", "290309-12-21 19:59:05.224192 BC"),
            ("290309-12-21 19:59:05.224191 BC", "out of range"),
            ("99999999-01-01", "malformed"),
            ("2013-01-01 00:00:0x", "malformed"),
            ("2013-01-01 00:00:00 tomorrow", "malformed"),
            ("2013-01-01  10:00:00", "2013-01-01 10:00:00.000000"),
            ("2013-01-01 ", "2013-01-01 00:00:00.000000"),
            ("2013/01/01", "malformed"),
            ("", "malformed"),
            ("now", "malformed"),
        ],
    );
    assert_eq!(format_timestamp(i64::MIN), "290309-12-21 19:59:05.224192 BC");
    assert_eq!(format_timestamp(-1), "1969-12-31 23:59:59.999999");
}

#[test]
fn timestamps_with_a_zone() {
    check(
        DataType::TimestampTz,
        &[
            ("2013-01-01 00:00:00", "2013-01-01 00:00:00.000000+00"),
            ("2013-01-01T00:00:00Z", "2013-01-01 00:00:00.000000+00"),
            ("2013-01-01 00:00:00+02", "2012-12-31 22:00:00.000000+00"),
            ("2013-01-01 00:00:00.25-05:30", "2013-01-01 05:30:00.250000+00"),
            ("2013-01-01 00:00:00 +0130", "2012-12-31 22:30:00.000000+00"),
            ("2013-01-01 00:00:00 UTC", "2013-01-01 00:00:00.000000+00"),
            ("0044-03-15 00:00:00+00 BC", "0044-03-15 00:00:00.000000+00 BC"),
            ("2013-01-01 00:00:00+1", "2012-12-31 23:00:00.000000+00"),
            ("2013-01-01 00:00:00+16", "malformed"),
            ("2013-01-01 00:00:00+", "malformed"),
            ("2013-01-01 00:00:00+123", "malformed"),
        ],
    );
}

#[test]
fn dates() {
    check(
        DataType::Date,
        &[
            ("2013-01-01", "2013-01-01"),
            ("2013-01-01 23:00:00", "2013-01-01"),
            ("0044-03-15 BC", "0044-03-15 BC"),
            ("5881580-07-11", "5881580-07-11"),
            ("5881580-07-12", "out of range"),
            ("2013-04-31", "out of range"),
            ("13-1", "malformed"),
        ],
    );
    assert_eq!(Value::Date(i32::MIN).to_string(), "5877642-06-23 BC");
}

#[test]
fn intervals() {
    check(
        DataType::Interval,
        &[
            ("2 seconds", "00:00:02"),
            ("1 hour 30 minutes", "01:30:00"),
            ("01:30:00", "01:30:00"),
            ("-00:00:01.5", "-00:00:01.5"),
            ("1 mon", "1 mon"),
            ("1 year 2 mons -3 days +04:05:06.789", "1 year 2 mons -3 days +04:05:06.789"),
            ("14 months", "1 year 2 mons"),
            ("-14 months 1 day", "-1 years -2 mons +1 day"),
            ("1-2", "1 year 2 mons"),
            ("1 12:59:10", "1 day 12:59:10"),
            ("1day2h3m4s", "1 day 02:03:04"),
            ("1.5 days", "1 day 12:00:00"),
            ("1.5 months", "1 mon 15 days"),
            ("1.5 years", "1 year 6 mons"),
            ("0.5 weeks", "3 days 12:00:00"),
            ("1.000001 s", "00:00:01.000001"),
            ("100 ms", "00:00:00.1"),
            ("5 us", "00:00:00.000005"),
            ("10", "00:00:10"),
            ("@ 1 minute ago", "-00:01:00"),
            ("1 century", "100 years"),
            ("100:00:00", "100:00:00"),
            ("P1D", "1 day"),
            ("P1Y2M3W4DT5H6M7.5S", "1 year 2 mons 25 days 05:06:07.5"),
            ("PT-1.5H", "-01:30:00"),
            ("0 days", "00:00:00"),
            ("-1 day 02:00", "-1 days +02:00:00"),
            ("3000000000 days", "out of range"),
            ("9999999999 hours", "out of range"),
            ("1 fortnight", "malformed"),
            ("day", "malformed"),
            ("1 day 2", "1 day 00:00:02"),
            ("1 2 3", "malformed"),
            ("P", "malformed"),
            ("P1DT", "malformed"),
            ("P1H", "malformed"),
            ("01:60:00", "malformed"),
            ("", "malformed"),
            ("@", "malformed"),
        ],
    );
    assert_eq!(format_interval(&Interval::default()), "00:00:00");
    assert_eq!(Interval { months: 0, days: -1, micros: 0 }.to_string(), "-1 days");
}

#[test]
fn bytes() {
    check(
        DataType::Bytea,
        &[
            ("\\x", "\\x"),
            ("\\x00fF", "\\x00ff"),
            ("\\x0", "malformed"),
            ("\\x0g", "malformed"),
            ("abc", "\\x616263"),
            ("a\\\\b\\001", "\\x615c6201"),
            ("\\400", "malformed"),
            ("\\", "malformed"),
        ],
    );
}

#[test]
fn every_timestamp_reads_back() {
    // A walk over the whole range with a stride that is prime, so that all fields take all values.
    let mut micros = i64::MIN;
    while let Some(next) = micros.checked_add(999_999_999_999_989) {
        let mut text = format_timestamp(micros);
        assert_eq!(parse_timestamp(text.as_bytes()), Ok(micros), "{text}");
        text.clear();
        write_timestamptz(&mut text, micros).unwrap();
        assert_eq!(parse_timestamptz(text.as_bytes()), Ok(micros), "{text}");
        micros = next;
    }
}

#[test]
fn null_is_written_as_such() {
    assert_eq!(Value::Null.to_string(), "NULL");
    assert_eq!(Value::from("a'b").to_string(), "a'b");
    assert_eq!(Value::from(true).to_string(), "true");
}
