//! DATE_TRUNC.
//!
//! Up to weeks the result is a multiple of a fixed length, found by one division; from months on it is the first day of a month or year
//! of the calendar. Rounds down, also before 1970; the start of a period that begins before the first timestamp is an overflow.

use super::error::EvaluationError;
use super::temporal::{HOUR_US, MINUTE_US, TimeField, iso_day_of_week};
use super::vector::{Sink, Vector, map_each};
use arrow::datatypes::{DataType as ArrowType, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType};
use raympp_types::DataType;
use raympp_types::interval::{DAY_US, SECOND_US};
use raympp_types::text::calendar::{civil_of, days_of};

/// DATE_TRUNC(field, operand)
pub(super) fn truncate(field: TimeField, operand: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector {
    if let ArrowType::Interval(_) = operand.array.data_type() {
        return map_each::<IntervalMonthDayNanoType, IntervalMonthDayNanoType>(operand, result, |interval| {
            truncate_interval(field, interval)
        });
    }
    match field {
        TimeField::Microseconds => operand.clone(),
        TimeField::Milliseconds => multiples::<1_000>(operand, result, sink),
        TimeField::Second => multiples::<SECOND_US>(operand, result, sink),
        TimeField::Minute => multiples::<MINUTE_US>(operand, result, sink),
        TimeField::Hour => multiples::<HOUR_US>(operand, result, sink),
        TimeField::Day => multiples::<DAY_US>(operand, result, sink),
        _ => sink.try_each::<TimestampMicrosecondType, TimestampMicrosecondType>(operand, result, |micros| {
            first_day(field, micros.div_euclid(DAY_US)).checked_mul(DAY_US).ok_or(EvaluationError::Overflow(result))
        }),
    }
}

fn multiples<const LENGTH: i64>(operand: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector {
    sink.each::<TimestampMicrosecondType, TimestampMicrosecondType>(
        operand,
        result,
        |micros| micros.overflowing_sub(micros.rem_euclid(LENGTH)),
        |micros| micros.checked_sub(micros.rem_euclid(LENGTH)).is_none().then_some(EvaluationError::Overflow(result)),
    )
}

/// First day of the period, from and to days since 1970.
fn first_day(field: TimeField, days: i64) -> i64 {
    let civil = civil_of(days);
    let group = |years: i64| days_of((civil.year - 1).div_euclid(years) * years + 1, 1, 1);
    match field {
        TimeField::Week => days - iso_day_of_week(days) + 1,
        TimeField::Month => days_of(civil.year, civil.month, 1),
        TimeField::Quarter => days_of(civil.year, (civil.month - 1) / 3 * 3 + 1, 1),
        TimeField::Decade => days_of(civil.year.div_euclid(10) * 10, 1, 1),
        TimeField::Century => group(100),
        TimeField::Millennium => group(1_000),
        _ => days_of(civil.year, 1, 1),
    }
}

/// Towards zero, field by field.
fn truncate_interval(field: TimeField, interval: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let months = |unit: i32| IntervalMonthDayNano::new(interval.months / unit * unit, 0, 0);
    let time = |unit_us: i64| {
        let unit = unit_us * 1_000;
        IntervalMonthDayNano::new(interval.months, interval.days, interval.nanoseconds / unit * unit)
    };
    match field {
        TimeField::Microseconds => time(1),
        TimeField::Milliseconds => time(1_000),
        TimeField::Second => time(SECOND_US),
        TimeField::Minute => time(MINUTE_US),
        TimeField::Hour => time(HOUR_US),
        TimeField::Day => IntervalMonthDayNano::new(interval.months, interval.days, 0),
        TimeField::Month => months(1),
        TimeField::Quarter => months(3),
        TimeField::Decade => months(120),
        TimeField::Century => months(1_200),
        TimeField::Millennium => months(12_000),
        _ => months(12),
    }
}
