//! Fields of times: their names, and EXTRACT.
//!
//! Days and weeks are those of the proleptic Gregorian calendar and ISO 8601, in UTC. Years before 1 are negative: 44 BC is -44.

use super::vector::{Vector, map_each};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use raympp_types::DataType;
use raympp_types::interval::{DAY_US, SECOND_US};
use raympp_types::text::calendar::{civil_of, days_of};

pub(super) const MINUTE_US: i64 = 60 * SECOND_US;
pub(super) const HOUR_US: i64 = 60 * MINUTE_US;

/// A field that EXTRACT and DATE_TRUNC know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TimeField {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Epoch,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl TimeField {
    /// Names in messages.
    pub(super) const NAMES: [&'static str; 22] = [
        "microseconds",
        "milliseconds",
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
        "decade",
        "century",
        "millennium",
        "epoch",
        "dow",
        "isodow",
        "doy",
        "isoyear",
        "julian",
        "timezone",
        "timezone_hour",
        "timezone_minute",
    ];

    const ALL: [TimeField; 22] = [
        TimeField::Microseconds,
        TimeField::Milliseconds,
        TimeField::Second,
        TimeField::Minute,
        TimeField::Hour,
        TimeField::Day,
        TimeField::Week,
        TimeField::Month,
        TimeField::Quarter,
        TimeField::Year,
        TimeField::Decade,
        TimeField::Century,
        TimeField::Millennium,
        TimeField::Epoch,
        TimeField::DayOfWeek,
        TimeField::IsoDayOfWeek,
        TimeField::DayOfYear,
        TimeField::IsoYear,
        TimeField::Julian,
        TimeField::Timezone,
        TimeField::TimezoneHour,
        TimeField::TimezoneMinute,
    ];

    /// A field by its name, singular or plural, or an abbreviation PostgreSQL knows; in any case.
    pub(super) fn parse(text: &str) -> Option<TimeField> {
        let lower = text.trim().to_ascii_lowercase();
        let name = match lower.as_str() {
            "us" | "usec" | "usecs" | "microsecond" | "microsecon" => "microseconds",
            "ms" | "msec" | "msecs" | "millisecond" | "millisecon" => "milliseconds",
            "s" | "sec" | "secs" | "seconds" => "second",
            "m" | "min" | "mins" | "minutes" => "minute",
            "h" | "hr" | "hrs" | "hours" => "hour",
            "d" | "days" => "day",
            "w" | "weeks" => "week",
            "mon" | "mons" | "months" => "month",
            "qtr" | "quarters" => "quarter",
            "y" | "yr" | "yrs" | "years" => "year",
            "dec" | "decs" | "decades" => "decade",
            "c" | "cent" | "centuries" => "century",
            "mil" | "mils" | "millennia" => "millennium",
            "jd" | "j" => "julian",
            other => other,
        };
        Self::NAMES.iter().position(|known| *known == name).map(|i| Self::ALL[i])
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether EXTRACT gives this field of the type.
    pub(super) fn extracts_from(self, data_type: DataType) -> bool {
        use TimeField::*;
        match self {
            Timezone | TimezoneHour | TimezoneMinute => data_type == DataType::TimestampTz,
            Week | DayOfWeek | IsoDayOfWeek | DayOfYear | IsoYear | Julian => data_type != DataType::Interval,
            _ => true,
        }
    }

    /// Whether DATE_TRUNC knows this field for the type.
    pub(super) fn truncates(self, data_type: DataType) -> bool {
        (self as usize) <= (TimeField::Millennium as usize) && (self != TimeField::Week || data_type != DataType::Interval)
    }
}

/// EXTRACT(field FROM operand)
pub(super) fn extract(field: TimeField, operand: &Vector) -> Vector {
    match operand.array.data_type() {
        ArrowType::Date32 => extract_with::<Date32Type>(operand, field, |days| (i64::from(days), 0)),
        ArrowType::Timestamp(_, _) => {
            extract_with::<TimestampMicrosecondType>(operand, field, |micros| (micros.div_euclid(DAY_US), micros.rem_euclid(DAY_US)))
        }
        _ => map_each::<IntervalMonthDayNanoType, Float64Type>(operand, DataType::Double, |interval| of_interval(field, interval)),
    }
}

fn extract_with<T: ArrowPrimitiveType>(operand: &Vector, field: TimeField, split: impl Fn(T::Native) -> (i64, i64)) -> Vector {
    let map = |f: &dyn Fn(i64, i64) -> f64| {
        map_each::<T, Float64Type>(operand, DataType::Double, |value| {
            let (days, time_us) = split(value);
            f(days, time_us)
        })
    };
    map(&|days, time_us| of_time(field, days, time_us))
}

/// Fields of a time of day, in microseconds; `None` for fields of the day.
fn of_time_of_day(field: TimeField, micros: i64) -> Option<f64> {
    Some(match field {
        TimeField::Microseconds => (micros % MINUTE_US) as f64,
        TimeField::Milliseconds => (micros % MINUTE_US) as f64 / 1e3,
        TimeField::Second => (micros % MINUTE_US) as f64 / 1e6,
        TimeField::Minute => (micros % HOUR_US / MINUTE_US) as f64,
        TimeField::Hour => (micros / HOUR_US) as f64,
        _ => return None,
    })
}

fn of_time(field: TimeField, days: i64, time_us: i64) -> f64 {
    if let Some(value) = of_time_of_day(field, time_us) {
        return value;
    }
    match field {
        TimeField::Epoch => (i128::from(days) * i128::from(DAY_US) + i128::from(time_us)) as f64 / 1e6,
        TimeField::Julian => days as f64 + 2_440_588.0 + time_us as f64 / DAY_US as f64,
        _ => of_day(field, days) as f64,
    }
}

/// 1 is Monday, 7 Sunday; 1970-01-01 was a Thursday.
pub(super) fn iso_day_of_week(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// There is no year 0: an astronomical year that is not positive is one less in words.
fn without_year_zero(year: i64) -> i64 {
    if year < 1 { year - 1 } else { year }
}

/// Number of the group of `years` years a year is in; the first starts with year 1, the one before it is -1.
fn group_of_years(year: i64, years: i64) -> i64 {
    without_year_zero((year - 1).div_euclid(years) + 1)
}

fn of_day(field: TimeField, days: i64) -> i64 {
    // The week belongs to the year that its Thursday is in.
    let thursday = days - iso_day_of_week(days) + 4;
    let civil = civil_of(days);
    match field {
        TimeField::Day => i64::from(civil.day),
        TimeField::Month => i64::from(civil.month),
        TimeField::Quarter => i64::from(civil.month + 2) / 3,
        TimeField::Year => without_year_zero(civil.year),
        TimeField::Decade => civil.year.div_euclid(10),
        TimeField::Century => group_of_years(civil.year, 100),
        TimeField::Millennium => group_of_years(civil.year, 1_000),
        TimeField::DayOfWeek => iso_day_of_week(days) % 7,
        TimeField::IsoDayOfWeek => iso_day_of_week(days),
        TimeField::DayOfYear => days - days_of(civil.year, 1, 1) + 1,
        TimeField::Week => (thursday - days_of(civil_of(thursday).year, 1, 1)) / 7 + 1,
        TimeField::IsoYear => without_year_zero(civil_of(thursday).year),
        // Timestamps are shown in UTC.
        _ => 0,
    }
}

fn of_interval(field: TimeField, interval: IntervalMonthDayNano) -> f64 {
    let micros = interval.nanoseconds / 1_000;
    if let Some(value) = of_time_of_day(field, micros) {
        return value;
    }
    let (years, months) = (i64::from(interval.months / 12), i64::from(interval.months % 12));
    let whole = match field {
        TimeField::Day => i64::from(interval.days),
        TimeField::Month => months,
        TimeField::Quarter => months / 3 + 1,
        TimeField::Year => years,
        TimeField::Decade => years / 10,
        TimeField::Century => years / 100,
        TimeField::Millennium => years / 1_000,
        _ => {
            // A year of the calendar has 365.25 days on average, a month 30.
            let quarter_days = years * 1_461 + (months * 30 + i64::from(interval.days)) * 4;
            return (i128::from(quarter_days) * i128::from(DAY_US / 4) + i128::from(micros)) as f64 / 1e6;
        }
    };
    whole as f64
}
