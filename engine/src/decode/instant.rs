//! Arrow's timestamps and dates as ours: microseconds and days since 1970, whatever their unit.
//!
//! What is finer than ours is rounded down, also before 1970, so that rows keep their order and windows their edges. A value that leaves
//! the range of ours becomes NULL where it was none; [`out_of_range`] finds it again, and the caller says what that means.
//! Timestamps are instants in UTC, whatever time zone they name and whether they name one.

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, TimestampMicrosecondArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

const DAY_MS: i64 = 86_400_000;
const DAY_US: i64 = DAY_MS * 1_000;

/// A timestamp or date of any unit as microseconds since 1970; `None` for other types.
pub(crate) fn micros(array: &ArrayRef) -> Option<TimestampMicrosecondArray> {
    Some(match array.data_type() {
        ArrowType::Timestamp(TimeUnit::Second, _) => scaled::<TimestampSecondType>(array, 1_000_000),
        ArrowType::Timestamp(TimeUnit::Millisecond, _) => scaled::<TimestampMillisecondType>(array, 1_000),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(NO_ZONE)
        }
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().unary(|nanos| nanos.div_euclid(1_000))
        }
        ArrowType::Date32 => scaled::<Date32Type>(array, DAY_US),
        ArrowType::Date64 => scaled::<Date64Type>(array, 1_000),
        _ => return None,
    })
}

const NO_ZONE: Option<&str> = None;

fn scaled<T: ArrowPrimitiveType>(array: &ArrayRef, factor: i64) -> TimestampMicrosecondArray
where
    T::Native: Into<i64>,
{
    array.as_primitive::<T>().unary_opt(|value| value.into().checked_mul(factor))
}

/// A date of either unit as days since 1970; `None` for other types.
pub(crate) fn days(array: &ArrayRef) -> Option<Date32Array> {
    match array.data_type() {
        ArrowType::Date32 => Some(array.as_primitive::<Date32Type>().clone()),
        ArrowType::Date64 => Some(array.as_primitive::<Date64Type>().unary_opt(|millis| millis.div_euclid(DAY_MS).try_into().ok())),
        _ => None,
    }
}

/// Rows that are NULL only since they were converted.
pub(crate) fn out_of_range(raw: &dyn Array, converted: &dyn Array) -> Vec<usize> {
    if converted.null_count() <= raw.logical_null_count() {
        return Vec::new();
    }
    let nulls = raw.logical_nulls();
    (0..raw.len()).filter(|&row| converted.is_null(row) && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date64Array, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray};
    use std::sync::Arc;

    /// Each array's values, as they are in microseconds.
    #[test]
    fn every_unit_is_rounded_down_or_out_of_range() {
        let (second_max, milli_max, day_max) = (i64::MAX / 1_000_000, i64::MAX / 1_000, (i64::MAX / DAY_US) as i32);
        let cases: [(ArrayRef, &[Option<i64>]); 7] = [
            (
                Arc::new(TimestampSecondArray::from(vec![Some(-1), None, Some(second_max), Some(second_max + 1), Some(-second_max - 1)])),
                &[Some(-1_000_000), None, Some(second_max * 1_000_000), None, None],
            ),
            (
                Arc::new(TimestampMillisecondArray::from(vec![-1, milli_max, milli_max + 1, i64::MIN])),
                &[Some(-1_000), Some(milli_max * 1_000), None, None],
            ),
            (Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, -1, i64::MAX])), &[Some(i64::MIN), Some(-1), Some(i64::MAX)]),
            (
                Arc::new(TimestampNanosecondArray::from(vec![-1_001, -1_000, -999, -1, 0, 999, 1_000, i64::MIN])),
                &[Some(-2), Some(-1), Some(-1), Some(-1), Some(0), Some(0), Some(1), Some(-9_223_372_036_854_776)],
            ),
            (Arc::new(TimestampNanosecondArray::from(vec![-1]).with_timezone("+02:00")), &[Some(-1)]),
            (
                Arc::new(Date32Array::from(vec![-1, day_max, day_max + 1, i32::MIN])),
                &[Some(-DAY_US), Some(i64::from(day_max) * DAY_US), None, None],
            ),
            (Arc::new(Date64Array::from(vec![-1, DAY_MS, i64::MAX])), &[Some(-1_000), Some(DAY_US), None]),
        ];
        for (array, expected) in cases {
            let converted = micros(&array).expect("a time");
            assert_eq!(converted.iter().collect::<Vec<_>>(), expected, "{}", array.data_type());
            let lost = |&row: &usize| expected[row].is_none() && array.is_valid(row);
            assert_eq!(out_of_range(&array, &converted), (0..array.len()).filter(lost).collect::<Vec<_>>(), "{}", array.data_type());
        }
    }

    #[test]
    fn a_date_is_the_day_that_holds_it() {
        let millis: ArrayRef = Arc::new(Date64Array::from(vec![Some(-DAY_MS - 1), Some(-1), None, Some(DAY_MS), Some(i64::MAX)]));
        let converted = days(&millis).expect("a date");
        assert_eq!(converted.iter().collect::<Vec<_>>(), [Some(-2), Some(-1), None, Some(1), None]);
        assert_eq!(out_of_range(&millis, &converted), [4]);
    }
}
