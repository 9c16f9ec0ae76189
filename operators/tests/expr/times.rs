//! Dates, timestamps, intervals.

use crate::support::*;
use raympp_operators::expr::BinaryOp::*;
use raympp_operators::expr::{Expr, call};
use raympp_types::{DataType, Value};

#[test]
fn arithmetic() {
    check_operators(&[
        (date("2013-01-31"), Add, integer("1"), "2013-02-01"),
        (integer("1"), Add, date("2013-01-31"), "2013-02-01"),
        (date("2013-01-01"), Subtract, bigint("9223372036854775807"), "!the result does not fit DATE"),
        (date("2013-03-01"), Subtract, date("2013-02-01"), "28"),
        (date("2013-01-01"), Add, interval("1 mon"), "2013-02-01 00:00:00.000000"),
        (timestamp("2013-01-31 10:00:00"), Add, interval("1 mon"), "2013-02-28 10:00:00.000000"),
        (timestamp("2012-02-29 10:00:00"), Subtract, interval("1 year"), "2011-02-28 10:00:00.000000"),
        (timestamp("2013-01-31 00:00:00"), Add, interval("1 mon 1 day -1 hour"), "2013-02-28 23:00:00.000000"),
        (timestamp("2013-01-01 00:00:00"), Subtract, interval("2 seconds"), "2012-12-31 23:59:58.000000"),
        (interval("1 day"), Add, timestamp("2013-01-01 00:00:00"), "2013-01-02 00:00:00.000000"),
        (timestamp("294247-01-10 00:00:00"), Add, interval("1 day"), "!the result does not fit TIMESTAMP"),
        (timestamp("294247-01-10 00:00:00"), Add, interval("1 mon"), "!the result does not fit TIMESTAMP"),
        (timestamp("2013-01-03 01:00:00"), Subtract, timestamp("2013-01-01 02:00:00"), "1 day 23:00:00"),
        (timestamp("2013-01-01 02:00:00"), Subtract, date("2013-01-03"), "-1 days -22:00:00"),
        (timestamp("290000-01-01 00:00:00"), Subtract, timestamp("100000-01-01 00:00:00 BC"), "!the result does not fit INTERVAL"),
        (interval("1 mon"), Add, interval("2 days 03:00:00"), "1 mon 2 days 03:00:00"),
        (interval("1 mon"), Subtract, interval("1 day"), "1 mon -1 days"),
        (interval("1 mon"), Multiply, integer("2"), "2 mons"),
        (interval("1 mon 1 day"), Multiply, double("0.5"), "15 days 12:00:00"),
        (double("1.5"), Multiply, interval("1 hour"), "01:30:00"),
        (interval("1 day"), Divide, integer("4"), "06:00:00"),
        (interval("1 day"), Divide, integer("0"), "!division by zero"),
        (interval("1 day"), Multiply, double("1e30"), "!the result does not fit INTERVAL"),
        (timestamp("NULL"), Add, interval("1 day"), "NULL"),
        (timestamp("2013-01-01 00:00:00"), Add, interval("NULL"), "NULL"),
    ]);
}

fn field(name: &str, operand: Operand) -> String {
    eval(&[operand], |mut e| call("extract", vec![Expr::literal(Value::from(name)), e.remove(0)]))
}

#[test]
fn extract() {
    let time = || timestamp("2013-07-09 13:14:15.678901");
    for (name, expected) in [
        ("year", "2013"),
        ("MONTH", "7"),
        ("day", "9"),
        ("hour", "13"),
        ("minute", "14"),
        ("second", "15.678901"),
        ("milliseconds", "15678.901"),
        ("microseconds", "15678901"),
        ("dow", "2"),
        ("isodow", "2"),
        ("doy", "190"),
        ("week", "28"),
        ("isoyear", "2013"),
        ("quarter", "3"),
        ("decade", "201"),
        ("century", "21"),
        ("millennium", "3"),
        ("epoch", "1373375655.678901"),
    ] {
        assert_eq!(field(name, time()), expected, "{name}");
    }
    for (name, operand, expected) in [
        ("dow", date("2023-01-01"), "0"),
        ("isodow", date("2023-01-01"), "7"),
        ("week", date("2023-01-01"), "52"),
        ("isoyear", date("2023-01-01"), "2022"),
        ("week", date("2020-12-31"), "53"),
        ("year", date("0044-03-15 BC"), "-44"),
        ("century", date("0001-01-01 BC"), "-1"),
        ("century", date("2000-12-31"), "20"),
        ("decade", date("0001-01-01 BC"), "0"),
        ("epoch", date("1970-01-02"), "86400"),
        ("julian", date("2000-01-01"), "2451545"),
        ("hour", date("2013-01-01"), "0"),
        ("second", timestamp("1969-12-31 23:59:59.5"), "59.5"),
        ("epoch", interval("1 year 1 mon 1 day 00:00:01"), "34236001"),
        ("hour", interval("100:30:00"), "100"),
        ("month", interval("14 mons"), "2"),
        ("timezone", operand(DataType::TimestampTz, "2013-01-01 00:00:00"), "0"),
        ("year", timestamp("NULL"), "NULL"),
    ] {
        assert_eq!(field(name, operand.clone()), expected, "{name} of {operand:?}");
    }
}

#[test]
fn truncation() {
    let truncated =
        |name: &str, operand: Operand| eval(&[operand], |mut e| call("date_trunc", vec![Expr::literal(Value::from(name)), e.remove(0)]));
    for (name, time, expected) in [
        ("microseconds", "2013-07-09 13:14:15.678901", "2013-07-09 13:14:15.678901"),
        ("milliseconds", "2013-07-09 13:14:15.678901", "2013-07-09 13:14:15.678000"),
        ("second", "2013-07-09 13:14:15.678901", "2013-07-09 13:14:15.000000"),
        ("minute", "2013-07-09 13:14:15.678901", "2013-07-09 13:14:00.000000"),
        ("hour", "2013-07-09 13:14:15.678901", "2013-07-09 13:00:00.000000"),
        ("day", "2013-07-09 13:14:15.678901", "2013-07-09 00:00:00.000000"),
        ("week", "2013-07-09 13:14:15.678901", "2013-07-08 00:00:00.000000"),
        ("month", "2013-07-09 13:14:15.678901", "2013-07-01 00:00:00.000000"),
        ("quarter", "2013-09-09 13:14:15.678901", "2013-07-01 00:00:00.000000"),
        ("year", "2013-07-09 13:14:15.678901", "2013-01-01 00:00:00.000000"),
        ("decade", "2013-07-09 13:14:15.678901", "2010-01-01 00:00:00.000000"),
        ("century", "2000-07-09 13:14:15.678901", "1901-01-01 00:00:00.000000"),
        ("millennium", "2013-07-09 13:14:15.678901", "2001-01-01 00:00:00.000000"),
        ("hour", "1969-12-31 23:59:59.999999", "1969-12-31 23:00:00.000000"),
        ("day", "0044-03-15 12:00:00 BC", "0044-03-15 00:00:00.000000 BC"),
        ("decade", "0001-03-15 00:00:00 BC", "0001-01-01 00:00:00.000000 BC"),
        ("year", "NULL", "NULL"),
    ] {
        assert_eq!(truncated(name, timestamp(time)), expected, "{name} of {time}");
    }
    let first = Operand { data_type: DataType::Timestamp, value: Value::Timestamp(i64::MIN) };
    assert_eq!(truncated("day", first.clone()), "!the result does not fit TIMESTAMP");
    assert_eq!(truncated("year", first), "!the result does not fit TIMESTAMP");
    assert_eq!(truncated("month", date("2013-07-09")), "2013-07-01 00:00:00.000000");
    assert_eq!(truncated("hour", interval("2 days 13:14:15")), "2 days 13:00:00");
    assert_eq!(truncated("year", interval("-14 mons 3 days")), "-1 years");
}

#[test]
fn to_timestamp_counts_seconds() {
    check_calls(&[
        ("to_timestamp", &[double("1373375655.678901")], "2013-07-09 13:14:15.678901+00"),
        ("to_timestamp", &[bigint("-1")], "1969-12-31 23:59:59.000000+00"),
        ("to_timestamp", &[double("1e18")], "!1e+18 does not fit TIMESTAMPTZ"),
        ("to_timestamp", &[double("NaN")], "!NaN does not fit TIMESTAMPTZ"),
        ("to_timestamp", &[double("NULL")], "NULL"),
    ]);
}
