//! Values as text, both ways: the one home for what CAST, the decoders of files and everything that prints agree on.
//!
//! Reading takes bytes, allocates nothing and accepts what PostgreSQL accepts (spaces around a value included); writing goes to any
//! [`fmt::Write`]. Reading what was written gives the same value, for every value of every type. Errors are static and small, since a
//! file may be full of them; the caller knows the text.

pub mod calendar;
mod bytea;
mod decimal;
mod float;
mod integer;
mod interval;
mod time;

pub use bytea::{parse_bytea, write_bytea};
pub use decimal::{
    decimal_from_double, decimal_from_real, decimal_to_double, parse_decimal, parse_decimal_exact, power_of_ten, write_decimal,
};
pub use float::{parse_double, parse_real, write_double, write_real};
pub use integer::{parse_bigint, parse_boolean, parse_integer, parse_smallint};
pub use interval::{parse_interval, write_interval};
pub use time::{parse_date, parse_timestamp, parse_timestamptz, write_date, write_timestamp, write_timestamptz};

use crate::{DataType, Interval, Value};
use std::fmt::{self, Write};

/// Why text is not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is not written as a value of the type is.
    #[error("expected {0}")]
    Malformed(&'static str),
    /// It is well written and too large, or a day that no calendar has.
    #[error("it is out of range, expected {0}")]
    OutOfRange(&'static str),
}

/// `YYYY-MM-DD HH:MM:SS.ffffff`
pub fn format_timestamp(micros: i64) -> String {
    let mut text = String::with_capacity(26);
    // Writing to a String does not fail.
    let _ = write_timestamp(&mut text, micros);
    text
}

/// As PostgreSQL writes it.
pub fn format_interval(interval: &Interval) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write_interval(&mut text, interval);
    text
}

/// Reads a value of a type. Text of type NULL is VARCHAR.
pub fn parse_value(text: &str, data_type: DataType) -> Result<Value, ParseError> {
    let bytes = text.as_bytes();
    Ok(match data_type {
        DataType::Null | DataType::Varchar => Value::Varchar(text.into()),
        DataType::Boolean => Value::Boolean(parse_boolean(bytes)?),
        DataType::SmallInt => Value::SmallInt(parse_smallint(bytes)?),
        DataType::Integer => Value::Integer(parse_integer(bytes)?),
        DataType::BigInt => Value::BigInt(parse_bigint(bytes)?),
        DataType::Real => Value::Real(parse_real(bytes)?),
        DataType::Double => Value::Double(parse_double(bytes)?),
        DataType::Decimal { precision, scale } => Value::Decimal { unscaled: parse_decimal(bytes, precision, scale)?, precision, scale },
        DataType::Bytea => {
            let mut out = Vec::with_capacity(bytes.len() / 2);
            parse_bytea(bytes, &mut out)?;
            Value::Bytea(out.into())
        }
        DataType::Date => Value::Date(parse_date(bytes)?),
        DataType::Timestamp => Value::Timestamp(parse_timestamp(bytes)?),
        DataType::TimestampTz => Value::TimestampTz(parse_timestamptz(bytes)?),
        DataType::Interval => Value::Interval(parse_interval(bytes)?),
    })
}

/// Writes a value as a cast to VARCHAR gives it; NULL as `NULL`.
pub fn write_value(out: &mut impl Write, value: &Value) -> fmt::Result {
    match value {
        Value::Null => out.write_str("NULL"),
        Value::Boolean(v) => out.write_str(if *v { "true" } else { "false" }),
        Value::SmallInt(v) => write!(out, "{v}"),
        Value::Integer(v) => write!(out, "{v}"),
        Value::BigInt(v) => write!(out, "{v}"),
        Value::Real(v) => write_real(out, *v),
        Value::Double(v) => write_double(out, *v),
        Value::Decimal { unscaled, scale, .. } => write_decimal(out, *unscaled, *scale),
        Value::Varchar(v) => out.write_str(v),
        Value::Bytea(v) => write_bytea(out, v),
        Value::Date(v) => write_date(out, *v),
        Value::Timestamp(v) => write_timestamp(out, *v),
        Value::TimestampTz(v) => write_timestamptz(out, *v),
        Value::Interval(v) => write_interval(out, v),
    }
}

/// Text being put together on the stack, up to 64 bytes of ASCII; what does not fit is an error.
struct StackText {
    bytes: [u8; 64],
    length: usize,
}

impl StackText {
    fn new() -> StackText {
        StackText { bytes: [0; 64], length: 0 }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl Write for StackText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
