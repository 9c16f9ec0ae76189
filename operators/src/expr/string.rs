//! Functions of strings. Positions and lengths count characters, not bytes.

use super::error::EvaluationError;
use super::vector::{Shape, Sink, Vector, datum};
use arrow::array::{Array, AsArray, BooleanArray, StringBuilder};
use arrow::compute::kernels::comparison;
use arrow::datatypes::{DataType as ArrowType, Int32Type, Int64Type};
use raympp_types::DataType;
use std::borrow::Cow;
use std::sync::Arc;

const VARCHAR: DataType = DataType::Varchar;

/// `f` of each.
pub(super) fn map(text: &Vector, f: impl Fn(&str) -> String) -> Vector {
    let Some(shape) = Shape::of(&[text]) else { return Vector::null(VARCHAR) };
    shape.strings(|row| Some(f(text.text(row))))
}

/// `left || right`: VARCHAR or BYTEA.
pub(super) fn concat_operator(left: &Vector, right: &Vector) -> Vector {
    let bytea = *left.array.data_type() == ArrowType::Binary;
    let Some(shape) = Shape::of(&[left, right]) else { return Vector::null(if bytea { DataType::Bytea } else { VARCHAR }) };
    if bytea {
        return shape.binaries(|row| Some([left.bytes(row), right.bytes(row)].concat()));
    }
    let mut builder = StringBuilder::with_capacity(shape.rows, shape.rows * 16);
    for row in 0..shape.rows {
        if shape.is_valid(row) {
            push(&mut builder, left.text(row));
            builder.append_value(right.text(row));
        } else {
            builder.append_null();
        }
    }
    shape.vector(Arc::new(builder.finish()))
}

/// Adds to the value a builder is at. Writing to a builder does not fail.
fn push(builder: &mut StringBuilder, text: &str) {
    let _ = std::fmt::Write::write_str(builder, text);
}

/// CONCAT: NULLs are skipped.
pub(super) fn concat(arguments: &[Vector], rows: usize) -> Vector {
    let scalar = arguments.iter().all(|argument| argument.scalar);
    let rows = if scalar { 1 } else { rows };
    let mut builder = StringBuilder::with_capacity(rows, rows * 16);
    for row in 0..rows {
        arguments
            .iter()
            .filter(|argument| argument.array.is_valid(argument.index(row)))
            .for_each(|argument| push(&mut builder, argument.text(row)));
        builder.append_value("");
    }
    Vector { array: Arc::new(builder.finish()), scalar }
}

/// TRIM, LTRIM, RTRIM: spaces, or the characters of a second argument.
pub(super) fn trim(arguments: &[Vector], start: bool, end: bool) -> Vector {
    let operands: Vec<&Vector> = arguments.iter().collect();
    let Some(shape) = Shape::of(&operands) else { return Vector::null(VARCHAR) };
    shape.strings(|row| {
        let mut text = operands[0].text(row);
        let characters = operands.get(1).map_or(" ", |characters| characters.text(row));
        let trimmed = |character: char| characters.contains(character);
        if start {
            text = text.trim_start_matches(trimmed);
        }
        if end {
            text = text.trim_end_matches(trimmed);
        }
        Some(text)
    })
}

/// Byte position of character `count`, the end if there are fewer.
fn position(text: &str, count: usize) -> usize {
    if text.is_ascii() {
        return count.min(text.len());
    }
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

fn slice(text: &str, from: usize, to: usize) -> &str {
    let start = position(text, from);
    let end = start + position(&text[start..], to.saturating_sub(from));
    &text[start..end]
}

/// SUBSTRING(text FROM start FOR length): characters `start` to `start + length − 1`, counted from 1, as far as there are any.
pub(super) fn substring(arguments: &[Vector], sink: &mut Sink<'_>) -> Vector {
    let operands: Vec<&Vector> = arguments.iter().collect();
    let Some(shape) = Shape::of(&operands) else { return Vector::null(VARCHAR) };
    let (text, start) = (operands[0], operands[1].operand::<Int64Type>());
    let length = operands.get(2).map(|length| length.operand::<Int64Type>());
    shape.strings(|row| {
        let start = start.get(row);
        let end = match length.map(|length| length.get(row)) {
            Some(length) if length < 0 => {
                sink.fail(row, || EvaluationError::Domain("the length of SUBSTRING is negative"));
                return None;
            }
            Some(length) => start.saturating_add(length),
            None => i64::MAX,
        };
        let from = usize::try_from(start.saturating_sub(1)).unwrap_or(0);
        let to = usize::try_from(end.saturating_sub(1)).unwrap_or(0);
        Some(slice(text.text(row), from, to))
    })
}

/// How many characters LEFT and RIGHT keep: `count`, or all but `-count`.
fn kept(text: &str, count: i64) -> usize {
    if count >= 0 {
        return usize::try_from(count).unwrap_or(usize::MAX);
    }
    let dropped = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    text.chars().count().saturating_sub(dropped)
}

/// LEFT
pub(super) fn left(text: &Vector, count: &Vector) -> Vector {
    let Some(shape) = Shape::of(&[text, count]) else { return Vector::null(VARCHAR) };
    let count = count.operand::<Int64Type>();
    shape.strings(|row| {
        let text = text.text(row);
        Some(&text[..position(text, kept(text, count.get(row)))])
    })
}

/// RIGHT
pub(super) fn right(text: &Vector, count: &Vector) -> Vector {
    let Some(shape) = Shape::of(&[text, count]) else { return Vector::null(VARCHAR) };
    let count = count.operand::<Int64Type>();
    shape.strings(|row| {
        let text = text.text(row);
        let dropped = text.chars().count().saturating_sub(kept(text, count.get(row)));
        Some(&text[position(text, dropped)..])
    })
}

/// LENGTH: characters of VARCHAR, bytes of BYTEA.
pub(super) fn length(operand: &Vector) -> Vector {
    let Some(shape) = Shape::of(&[operand]) else { return Vector::null(DataType::Integer) };
    let values = match operand.array.data_type() {
        ArrowType::Binary => operand.array.as_binary::<i32>().offsets().lengths().map(|length| length as i32).collect(),
        _ if operand.array.as_string::<i32>().is_ascii() => {
            operand.array.as_string::<i32>().offsets().lengths().map(|length| length as i32).collect()
        }
        _ => (0..shape.rows).map(|row| operand.text(row).chars().count() as i32).collect(),
    };
    shape.primitive::<Int32Type>(values, DataType::Integer)
}

/// REPLACE: an empty text to be replaced is found nowhere.
pub(super) fn replace(text: &Vector, from: &Vector, to: &Vector) -> Vector {
    let Some(shape) = Shape::of(&[text, from, to]) else { return Vector::null(VARCHAR) };
    shape.strings(|row| {
        let (text, from) = (text.text(row), from.text(row));
        let found = !from.is_empty() && text.contains(from);
        Some(if found { Cow::Owned(text.replace(from, to.text(row))) } else { Cow::Borrowed(text) })
    })
}

/// SPLIT_PART: field n counted from 1, or from the end if negative; an empty string where there is none.
pub(super) fn split_part(text: &Vector, delimiter: &Vector, field: &Vector, sink: &mut Sink<'_>) -> Vector {
    let Some(shape) = Shape::of(&[text, delimiter, field]) else { return Vector::null(VARCHAR) };
    let field = field.operand::<Int64Type>();
    shape.strings(|row| {
        let (text, delimiter, field) = (text.text(row), delimiter.text(row), field.get(row));
        let skip = usize::try_from(field.unsigned_abs().saturating_sub(1)).unwrap_or(usize::MAX);
        match field {
            0 => {
                sink.fail(row, || EvaluationError::Domain("the field of SPLIT_PART is 0, fields count from 1"));
                None
            }
            _ if delimiter.is_empty() => Some(if skip == 0 { text } else { "" }),
            1.. => Some(text.split(delimiter).nth(skip).unwrap_or("")),
            _ => Some(from_end(text, delimiter, skip)),
        }
    })
}

/// The delimiters are those found from the start, also where they could overlap.
fn from_end<'a>(text: &'a str, delimiter: &str, skip: usize) -> &'a str {
    let fields = text.split(delimiter).count();
    fields.checked_sub(skip.saturating_add(1)).and_then(|index| text.split(delimiter).nth(index)).unwrap_or("")
}

/// STARTS_WITH
pub(super) fn starts_with(text: &Vector, prefix: &Vector) -> Vector {
    if Shape::of(&[text, prefix]).is_none() {
        return Vector::null(DataType::Boolean);
    }
    let rows = text.array.len().max(prefix.array.len());
    let found = if text.scalar && !prefix.scalar {
        comparison::starts_with(&text.clone().into_array(rows), &prefix.array)
    } else {
        comparison::starts_with(datum(text).as_ref(), datum(prefix).as_ref())
    };
    let scalar = text.scalar && prefix.scalar;
    Vector { array: Arc::new(found.unwrap_or_else(|_| BooleanArray::new_null(rows))), scalar }
}
