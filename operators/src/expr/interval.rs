//! Arithmetic with dates, timestamps and intervals.
//!
//! Adding an interval adds its months first, keeping the day of the month or taking the month's last, then its days, then its time,
//! as PostgreSQL does. A literal without months, by far the most common, is one number of microseconds and one checked addition a row.

use super::arrow_types::interval_from_arrow;
use super::error::EvaluationError;
use super::node::Arithmetic;
use super::vector::{Operand, Sink, Vector};
use arrow::array::Array;
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use raympp_types::DataType;
use raympp_types::interval::DAY_US;
use raympp_types::text::calendar::{civil_of, days_in_month, days_of};

type Intervals = IntervalMonthDayNanoType;
type Timestamps = TimestampMicrosecondType;

/// `left op right` where one side at least is a time; a time that is added to stands left.
pub(super) fn arithmetic(op: Arithmetic, left: &Vector, right: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector {
    let subtract = op == Arithmetic::Subtract;
    match (left.array.data_type(), right.array.data_type()) {
        (ArrowType::Date32, ArrowType::Int64) => sink.try_pairs::<Date32Type, Int64Type, Date32Type>(left, right, result, |date, days| {
            let days = if subtract { i64::from(date).checked_sub(days) } else { i64::from(date).checked_add(days) };
            overflow(days.and_then(|days| i32::try_from(days).ok()), result)
        }),
        (ArrowType::Date32, ArrowType::Date32) => {
            sink.try_pairs::<Date32Type, Date32Type, Int32Type>(left, right, result, |a, b| overflow(a.checked_sub(b), result))
        }
        (ArrowType::Timestamp(_, _), ArrowType::Timestamp(_, _)) => {
            sink.try_pairs::<Timestamps, Timestamps, Intervals>(left, right, result, |a, b| overflow(a.checked_sub(b).map(span), result))
        }
        (ArrowType::Timestamp(_, _), ArrowType::Interval(_)) => shift(left, right, subtract, result, sink),
        (ArrowType::Interval(_), ArrowType::Interval(_)) => {
            sink.try_pairs::<Intervals, Intervals, Intervals>(left, right, result, |a, b| {
                overflow(if subtract { opposite(b).and_then(|b| sum(a, b)) } else { sum(a, b) }, result)
            })
        }
        (ArrowType::Interval(_), ArrowType::Float64) => {
            sink.try_pairs::<Intervals, Float64Type, Intervals>(left, right, result, |interval, factor| match op {
                Arithmetic::Divide if factor == 0.0 => Err(EvaluationError::DivisionByZero),
                Arithmetic::Divide => overflow(scaled(interval, |value| value / factor), result),
                _ => overflow(scaled(interval, |value| value * factor), result),
            })
        }
        _ => Vector::null(result),
    }
}

fn overflow<T>(value: Option<T>, to: DataType) -> Result<T, EvaluationError> {
    value.ok_or(EvaluationError::Overflow(to))
}

/// Whole days and what is left, both with the sign of the span.
fn span(micros: i64) -> IntervalMonthDayNano {
    IntervalMonthDayNano::new(0, (micros / DAY_US) as i32, micros % DAY_US * 1_000)
}

fn sum(a: IntervalMonthDayNano, b: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let nanoseconds = a.nanoseconds.checked_add(b.nanoseconds)?;
    Some(IntervalMonthDayNano::new(a.months.checked_add(b.months)?, a.days.checked_add(b.days)?, nanoseconds))
}

fn opposite(a: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    Some(IntervalMonthDayNano::new(a.months.checked_neg()?, a.days.checked_neg()?, a.nanoseconds.checked_neg()?))
}

/// `-operand`
pub(super) fn negate(operand: &Vector, sink: &mut Sink<'_>) -> Vector {
    let result = DataType::Interval;
    sink.try_each::<Intervals, Intervals>(operand, result, |interval| overflow(opposite(interval), result))
}

/// `timestamp ± interval`
fn shift(left: &Vector, right: &Vector, subtract: bool, result: DataType, sink: &mut Sink<'_>) -> Vector {
    if let Operand::One(interval) = right.operand::<Intervals>()
        && !right.array.is_null(0)
        && let Some(micros) = interval_from_arrow(interval).fixed_us()
        && let Some(micros) = if subtract { micros.checked_neg() } else { Some(micros) }
    {
        return sink.each::<Timestamps, Timestamps>(
            left,
            result,
            |time| time.overflowing_add(micros),
            |time| time.checked_add(micros).is_none().then_some(EvaluationError::Overflow(result)),
        );
    }
    sink.try_pairs::<Timestamps, Intervals, Timestamps>(left, right, result, |time, interval| {
        let interval = if subtract { opposite(interval) } else { Some(interval) };
        overflow(interval.and_then(|interval| shifted(time, interval)), result)
    })
}

fn shifted(time: i64, interval: IntervalMonthDayNano) -> Option<i64> {
    let interval = interval_from_arrow(interval);
    let (mut days, time_us) = (time.div_euclid(DAY_US), time.rem_euclid(DAY_US));
    if interval.months != 0 {
        let civil = civil_of(days);
        let months = civil.year * 12 + i64::from(civil.month) - 1 + i64::from(interval.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        days = days_of(year, month, civil.day.min(days_in_month(year, month)));
    }
    days += i64::from(interval.days);
    let micros = i128::from(days) * i128::from(DAY_US) + i128::from(time_us) + i128::from(interval.micros);
    i64::try_from(micros).ok()
}

/// `f` is a multiplication or division. Fractions of a month become days, 30 to a month; fractions of a day become time. Fractions are
/// rounded to a millionth first, so that 0.1 of 10 months is one month. `None` if the result does not fit.
fn scaled(interval: IntervalMonthDayNano, f: impl Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    let millionths = |value: f64| (value * 1e6).round_ties_even() / 1e6;
    let whole = |value: f64| (value.abs() < 2_147_483_648.0).then(|| value.trunc());
    let interval = interval_from_arrow(interval);
    let (months, days) = (f(f64::from(interval.months)), f(f64::from(interval.days)));
    let (whole_months, mut whole_days) = (whole(months)?, whole(days)?);
    let days_of_months = millionths((months - whole_months) * 30.0);
    let mut seconds = millionths((days - whole_days + days_of_months - days_of_months.trunc()) * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        whole_days += (seconds / 86_400.0).trunc();
        seconds -= (seconds / 86_400.0).trunc() * 86_400.0;
    }
    let whole_days = whole(whole_days + days_of_months.trunc())?;
    let micros = (f(interval.micros as f64) + seconds * 1e6).round_ties_even();
    let nanos = (micros.abs() < 9e15).then(|| (micros as i64).checked_mul(1_000)).flatten()?;
    Some(IntervalMonthDayNano::new(whole_months as i32, whole_days as i32, nanos))
}
