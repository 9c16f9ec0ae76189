//! A constant that can be compared and hashed: floats by their bits, so that equal trees mean equal results.

use super::arrow_types::array_of;
use arrow::array::ArrayRef;
use raympp_types::{DataType, Value};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A value, compared by representation, and the array of one row that kernels take.
#[derive(Clone)]
pub(super) struct Literal {
    pub(super) value: Value,
    pub(super) array: ArrayRef,
}

impl Literal {
    pub(super) fn new(value: Value, data_type: DataType) -> Literal {
        let array = array_of(&value, data_type, 1);
        Literal { value, array }
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl PartialEq for Literal {
    fn eq(&self, other: &Literal) -> bool {
        match (&self.value, &other.value) {
            (Value::Real(a), Value::Real(b)) => a.to_bits() == b.to_bits(),
            (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }
}

impl Eq for Literal {}

impl Hash for Literal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(&self.value).hash(state);
        match &self.value {
            Value::Null => {}
            Value::Boolean(v) => v.hash(state),
            Value::SmallInt(v) => v.hash(state),
            Value::Integer(v) | Value::Date(v) => v.hash(state),
            Value::BigInt(v) | Value::Timestamp(v) | Value::TimestampTz(v) => v.hash(state),
            Value::Real(v) => v.to_bits().hash(state),
            Value::Double(v) => v.to_bits().hash(state),
            Value::Decimal { unscaled, precision, scale } => (unscaled, precision, scale).hash(state),
            Value::Varchar(v) => v.hash(state),
            Value::Bytea(v) => v.hash(state),
            Value::Interval(v) => v.hash(state),
        }
    }
}
