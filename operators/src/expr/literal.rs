//! A constant that can be compared and hashed: floats by their bits, so that equal trees mean equal results.

use raympp_types::Value;
use std::hash::{Hash, Hasher};

/// A value, compared by representation.
#[derive(Clone, Debug)]
pub(super) struct Literal(pub(super) Value);

impl PartialEq for Literal {
    fn eq(&self, other: &Literal) -> bool {
        match (&self.0, &other.0) {
            (Value::Real(a), Value::Real(b)) => a.to_bits() == b.to_bits(),
            (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }
}

impl Eq for Literal {}

impl Hash for Literal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(&self.0).hash(state);
        match &self.0 {
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
