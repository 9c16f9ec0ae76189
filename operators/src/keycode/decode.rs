//! Reading key codes back into values. Every input is either decoded or refused; none panics.

use super::{END, ESCAPE, KeycodeError, NULL, VALUE, ordered};
use raympp_types::interval::DAY_US;
use raympp_types::{DataType, Interval, Value};
use std::borrow::Cow;

/// The values of a key code of these types.
pub fn decode(bytes: &[u8], types: &[DataType]) -> Result<Vec<Value>, KeycodeError> {
    let mut reader = Reader::new(bytes);
    let values = types.iter().map(|&data_type| reader.value(data_type)).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(values)
}

/// Walks over a key code. Each method reads what follows a marker.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// Fails if bytes are left.
    pub(super) fn finish(&self) -> Result<(), KeycodeError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(KeycodeError::Trailing(self.bytes.len())) }
    }

    /// Reads a marker: true before a value, false for NULL.
    #[inline]
    pub(super) fn present(&mut self, data_type: DataType) -> Result<bool, KeycodeError> {
        match self.take::<1>(data_type)? {
            [NULL] => Ok(false),
            [VALUE] if data_type != DataType::Null => Ok(true),
            _ => Err(KeycodeError::Invalid(data_type)),
        }
    }

    #[inline]
    fn take<const N: usize>(&mut self, data_type: DataType) -> Result<[u8; N], KeycodeError> {
        let (head, tail) = self.bytes.split_first_chunk::<N>().ok_or(KeycodeError::Truncated(data_type))?;
        self.bytes = tail;
        Ok(*head)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, KeycodeError> {
        match self.take::<1>(DataType::Boolean)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(KeycodeError::Invalid(DataType::Boolean)),
        }
    }

    pub(super) fn i16(&mut self) -> Result<i16, KeycodeError> {
        Ok((u16::from_be_bytes(self.take(DataType::SmallInt)?) ^ (1 << 15)) as i16)
    }

    pub(super) fn i32(&mut self, data_type: DataType) -> Result<i32, KeycodeError> {
        Ok((u32::from_be_bytes(self.take(data_type)?) ^ (1 << 31)) as i32)
    }

    pub(super) fn i64(&mut self, data_type: DataType) -> Result<i64, KeycodeError> {
        Ok(ordered::to_i64(u64::from_be_bytes(self.take(data_type)?)))
    }

    pub(super) fn i128(&mut self, data_type: DataType) -> Result<i128, KeycodeError> {
        Ok(ordered::to_i128(u128::from_be_bytes(self.take(data_type)?)))
    }

    pub(super) fn f32(&mut self) -> Result<f32, KeycodeError> {
        Ok(ordered::to_f32(u32::from_be_bytes(self.take(DataType::Real)?)))
    }

    pub(super) fn f64(&mut self) -> Result<f64, KeycodeError> {
        Ok(ordered::to_f64(u64::from_be_bytes(self.take(DataType::Double)?)))
    }

    pub(super) fn interval(&mut self) -> Result<Interval, KeycodeError> {
        canonical_interval(self.i128(DataType::Interval)?).ok_or(KeycodeError::Invalid(DataType::Interval))
    }

    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, KeycodeError> {
        let invalid = KeycodeError::Invalid(DataType::Varchar);
        match self.binary(DataType::Varchar)? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| invalid),
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| invalid),
        }
    }

    /// Bytes up to the terminator; copied only if some are escaped.
    pub(super) fn binary(&mut self, data_type: DataType) -> Result<Cow<'a, [u8]>, KeycodeError> {
        let truncated = || KeycodeError::Truncated(data_type);
        let plain = self.bytes.iter().position(|&byte| byte <= ESCAPE).ok_or_else(truncated)?;
        let (head, tail) = self.bytes.split_at(plain);
        if tail[0] == END {
            self.bytes = &tail[1..];
            return Ok(Cow::Borrowed(head));
        }
        let mut bytes = head.to_vec();
        let mut rest = tail.iter();
        loop {
            match *rest.next().ok_or_else(truncated)? {
                END => break,
                ESCAPE => match *rest.next().ok_or_else(truncated)? {
                    escaped @ 1..=2 => bytes.push(escaped - 1),
                    _ => return Err(KeycodeError::Invalid(data_type)),
                },
                byte => bytes.push(byte),
            }
        }
        self.bytes = rest.as_slice();
        Ok(Cow::Owned(bytes))
    }

    fn value(&mut self, data_type: DataType) -> Result<Value, KeycodeError> {
        if !self.present(data_type)? {
            return Ok(Value::Null);
        }
        Ok(match data_type {
            DataType::Null => Value::Null,
            DataType::Boolean => Value::Boolean(self.boolean()?),
            DataType::SmallInt => Value::SmallInt(self.i16()?),
            DataType::Integer => Value::Integer(self.i32(data_type)?),
            DataType::BigInt => Value::BigInt(self.i64(data_type)?),
            DataType::Real => Value::Real(self.f32()?),
            DataType::Double => Value::Double(self.f64()?),
            DataType::Decimal { precision, scale } => Value::Decimal { unscaled: self.i128(data_type)?, precision, scale },
            DataType::Varchar => Value::Varchar(self.text()?.into()),
            DataType::Bytea => Value::Bytea(self.binary(data_type)?.into()),
            DataType::Date => Value::Date(self.i32(data_type)?),
            DataType::Timestamp => Value::Timestamp(self.i64(data_type)?),
            DataType::TimestampTz => Value::TimestampTz(self.i64(data_type)?),
            DataType::Interval => Value::Interval(self.interval()?),
        })
    }
}

/// The interval that stands for all of this comparable length: days and a rest below one day, of the same sign. Only where the days
/// exceed 32 bits are months and then microseconds used for what is left. `None` beyond what an interval can hold.
fn canonical_interval(comparable_us: i128) -> Option<Interval> {
    let day = i128::from(DAY_US);
    let clamp = |value: i128| value.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32;
    let all_days = comparable_us / day;
    let months = if i32::try_from(all_days).is_ok() { 0 } else { clamp(all_days / 30) };
    let days = clamp(all_days - i128::from(months) * 30);
    let rest = comparable_us - (i128::from(months) * 30 + i128::from(days)) * day;
    Some(Interval { months, days, micros: i64::try_from(rest).ok()? })
}
