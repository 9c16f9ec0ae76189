//! One SQL value: literals, keys of a look-up, cells of a result row.

use crate::{data_type::DataType, interval::Interval};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A value with its type. `Display` writes it as files and terminals show it (see [`crate::text`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// NULL of any type
    Null,
    /// BOOLEAN
    Boolean(bool),
    /// SMALLINT
    SmallInt(i16),
    /// INTEGER
    Integer(i32),
    /// BIGINT
    BigInt(i64),
    /// REAL
    Real(f32),
    /// DOUBLE PRECISION
    Double(f64),
    /// DECIMAL: `unscaled` · 10^−`scale`
    Decimal {
        /// The digits as an integer.
        unscaled: i128,
        /// All digits the type allows, 1 to 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// VARCHAR
    Varchar(Arc<str>),
    /// BYTEA
    Bytea(Arc<[u8]>),
    /// DATE: days since 1970-01-01
    Date(i32),
    /// TIMESTAMP: microseconds since 1970-01-01 00:00:00
    Timestamp(i64),
    /// TIMESTAMPTZ: microseconds since 1970-01-01 00:00:00 UTC
    TimestampTz(i64),
    /// INTERVAL
    Interval(Interval),
}

impl Value {
    /// The value's type; [`DataType::Null`] for NULL.
    pub fn data_type(&self) -> DataType {
        match self {
            Value::Null => DataType::Null,
            Value::Boolean(_) => DataType::Boolean,
            Value::SmallInt(_) => DataType::SmallInt,
            Value::Integer(_) => DataType::Integer,
            Value::BigInt(_) => DataType::BigInt,
            Value::Real(_) => DataType::Real,
            Value::Double(_) => DataType::Double,
            Value::Decimal { precision, scale, .. } => DataType::Decimal { precision: *precision, scale: *scale },
            Value::Varchar(_) => DataType::Varchar,
            Value::Bytea(_) => DataType::Bytea,
            Value::Date(_) => DataType::Date,
            Value::Timestamp(_) => DataType::Timestamp,
            Value::TimestampTz(_) => DataType::TimestampTz,
            Value::Interval(_) => DataType::Interval,
        }
    }

    /// True for NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

macro_rules! from {
    ($($rust:ty => $variant:ident),*) => {
        $(impl From<$rust> for Value {
            fn from(value: $rust) -> Value {
                Value::$variant(value.into())
            }
        })*
    };
}
from!(bool => Boolean, i16 => SmallInt, i32 => Integer, i64 => BigInt, f32 => Real, f64 => Double, &str => Varchar, String => Varchar, Interval => Interval);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::text::write_value(f, self)
    }
}
