//! TOP_K as text: a JSON array of [value, count], by descending count, then ascending value.

use super::heavy::Multiset;
use crate::keycode;
use raympp_types::{DataType, Value};
use serde_json::Value as Json;
use std::fmt::Write;

/// The `limit` most frequent values. Exact; equal counts by SQL's order of the values.
pub(super) fn render(values: &Multiset, limit: u64, data_type: DataType) -> String {
    let mut entries: Vec<(&[u8], u64)> = values.iter().collect();
    let by_rank = |a: &(&[u8], u64), b: &(&[u8], u64)| b.1.cmp(&a.1).then(a.0.cmp(b.0));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit < entries.len() {
        entries.select_nth_unstable_by(limit, by_rank);
        entries.truncate(limit);
    }
    entries.sort_unstable_by(by_rank);
    let mut text = String::from("[");
    for (i, (code, count)) in entries.into_iter().enumerate() {
        let value = keycode::decode(code, &[data_type]).map_or(Value::Null, |mut values| values.remove(0));
        let separator = if i == 0 { "" } else { "," };
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}[{},{count}]", json(&value));
    }
    text.push(']');
    text
}

/// Numbers and booleans as JSON has them, all digits kept; what JSON has no form for as a string of SQL's text.
fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::Real(number) if !number.is_finite() => Json::from(value.to_string()).to_string(),
        Value::Double(number) if !number.is_finite() => Json::from(value.to_string()).to_string(),
        Value::Boolean(_) | Value::SmallInt(_) | Value::Integer(_) | Value::BigInt(_) => value.to_string(),
        Value::Real(_) | Value::Double(_) | Value::Decimal { .. } => value.to_string(),
        Value::Varchar(text) => Json::from(text.as_ref()).to_string(),
        _ => Json::from(value.to_string()).to_string(),
    }
}
