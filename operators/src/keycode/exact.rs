//! Codes that give the value itself back, for what is picked from rows rather than grouped by.
//!
//! An exact code is the value's key code, and for an INTERVAL also its months and its days (4 bytes each, big-endian, sign bit
//! inverted); the microseconds are what the comparable length then leaves. So exact codes order as key codes do, and intervals that SQL
//! holds equal by months, then days: where any of several equal values would do, the least code is one of the data and a function of the
//! set. Only INTERVAL needs it: of all other types, values of one key code are one value, but for the zeros and NaNs that are made one.

use super::decode::{Reader, decode};
use super::encode::KeyEncoder;
use super::{KeycodeError, VALUE};
use arrow::array::ArrayRef;
use raympp_types::interval::DAY_US;
use raympp_types::{DataType, Interval, Value};

/// Writes exact codes of one column's values.
pub struct ExactEncoder<'a>(KeyEncoder<'a>);

impl<'a> ExactEncoder<'a> {
    /// Resolves the column.
    ///
    /// # Panics
    /// As [`KeyEncoder::new`].
    pub fn new(column: &'a ArrayRef) -> ExactEncoder<'a> {
        ExactEncoder(KeyEncoder::new(std::slice::from_ref(column)))
    }

    /// Appends the exact code of one row's value.
    #[inline]
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        self.0.encode(row, out);
        if let Some(interval) = self.0.interval(row) {
            out.extend_from_slice(&ordered_i32(interval.months));
            out.extend_from_slice(&ordered_i32(interval.days));
        }
    }
}

fn ordered_i32(value: i32) -> [u8; 4] {
    ((value as u32) ^ (1 << 31)).to_be_bytes()
}

/// The value of an exact code.
///
/// # Errors
/// If the bytes are no exact code of a value of the type.
pub fn decode_exact(bytes: &[u8], data_type: DataType) -> Result<Value, KeycodeError> {
    match bytes.split_first() {
        Some((&VALUE, code)) if data_type == DataType::Interval => exact_interval(code).map(Value::Interval),
        _ => decode(bytes, &[data_type]).map(|mut values| values.remove(0)),
    }
}

fn exact_interval(code: &[u8]) -> Result<Interval, KeycodeError> {
    let mut reader = Reader::new(code);
    let comparable_us = reader.i128(DataType::Interval)?;
    let (months, days) = (reader.i32(DataType::Interval)?, reader.i32(DataType::Interval)?);
    reader.finish()?;
    let rest = comparable_us.checked_sub((i128::from(months) * 30 + i128::from(days)) * i128::from(DAY_US));
    let micros = rest.and_then(|rest| i64::try_from(rest).ok()).ok_or(KeycodeError::Invalid(DataType::Interval))?;
    Ok(Interval { months, days, micros })
}
