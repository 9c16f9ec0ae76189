//! Casts.
use raympp_types::{DataType, Value, text::ParseError};

pub(super) fn can_fail(_from: DataType, _to: DataType) -> bool {
    true
}

pub(super) fn possible(_from: DataType, _to: DataType) -> bool {
    true
}

pub(super) fn parse_value(text: &str, _to: DataType) -> Result<Value, ParseError> {
    Ok(Value::from(text))
}
