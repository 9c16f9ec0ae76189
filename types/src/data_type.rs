//! The SQL types.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Most digits of a DECIMAL.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// A SQL type. Timestamps are in microseconds; `TimestampTz` is an instant shown in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DataType {
    /// The type of a bare NULL, until context gives it another.
    Null,
    /// BOOLEAN
    Boolean,
    /// SMALLINT, 16 bits
    SmallInt,
    /// INTEGER, 32 bits
    Integer,
    /// BIGINT, 64 bits
    BigInt,
    /// REAL, IEEE 754 binary32
    Real,
    /// DOUBLE PRECISION, IEEE 754 binary64
    Double,
    /// DECIMAL(precision, scale): up to 38 digits, `scale` of them after the point
    Decimal {
        /// All digits, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// VARCHAR and TEXT, UTF-8, compared bytewise
    Varchar,
    /// BYTEA
    Bytea,
    /// DATE, days since 1970-01-01
    Date,
    /// TIMESTAMP, microseconds since 1970-01-01 00:00:00
    Timestamp,
    /// TIMESTAMPTZ, microseconds since 1970-01-01 00:00:00 UTC
    TimestampTz,
    /// INTERVAL: months, days, microseconds
    Interval,
}

impl DataType {
    /// SMALLINT, INTEGER or BIGINT.
    pub fn is_integer(&self) -> bool {
        matches!(self, Self::SmallInt | Self::Integer | Self::BigInt)
    }

    /// REAL or DOUBLE PRECISION.
    pub fn is_float(&self) -> bool {
        matches!(self, Self::Real | Self::Double)
    }

    /// An integer, a decimal or a float.
    pub fn is_numeric(&self) -> bool {
        self.is_integer() || self.is_float() || matches!(self, Self::Decimal { .. })
    }

    /// TIMESTAMP or TIMESTAMPTZ.
    pub fn is_timestamp(&self) -> bool {
        matches!(self, Self::Timestamp | Self::TimestampTz)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Integer => f.write_str("INTEGER"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Real => f.write_str("REAL"),
            Self::Double => f.write_str("DOUBLE PRECISION"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Varchar => f.write_str("VARCHAR"),
            Self::Bytea => f.write_str("BYTEA"),
            Self::Date => f.write_str("DATE"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::TimestampTz => f.write_str("TIMESTAMPTZ"),
            Self::Interval => f.write_str("INTERVAL"),
        }
    }
}
