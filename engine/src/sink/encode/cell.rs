//! The text of one cell, whatever its column's type.

use super::number::push_integer;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use raympp_types::{Interval, text};
use std::fmt;

/// A column whose cells are to be written.
pub(crate) enum CellWriter<'a> {
    Null,
    Boolean(&'a BooleanArray),
    SmallInt(&'a Int16Array),
    Integer(&'a Int32Array),
    BigInt(&'a Int64Array),
    Real(&'a Float32Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    String(&'a StringArray),
    SharedString(&'a DictionaryArray<Int32Type>, &'a StringArray),
    Bytea(&'a BinaryArray),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
    TimestampTz(&'a TimestampMicrosecondArray),
    Interval(&'a IntervalMonthDayNanoArray),
}

/// How a column looks in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Ends of the cells are aligned.
    Number,
    /// Starts are.
    Text,
}

/// Lets text be written to bytes.
struct Bytes<'a>(&'a mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl<'a> CellWriter<'a> {
    /// The writer of a column; `None` for a type that SQL does not have.
    pub(crate) fn of(array: &'a dyn Array) -> Option<CellWriter<'a>> {
        Some(match array.data_type() {
            ArrowType::Null => CellWriter::Null,
            ArrowType::Boolean => CellWriter::Boolean(array.as_boolean()),
            ArrowType::Int16 => CellWriter::SmallInt(array.as_primitive::<Int16Type>()),
            ArrowType::Int32 => CellWriter::Integer(array.as_primitive::<Int32Type>()),
            ArrowType::Int64 => CellWriter::BigInt(array.as_primitive::<Int64Type>()),
            ArrowType::Float32 => CellWriter::Real(array.as_primitive::<Float32Type>()),
            ArrowType::Float64 => CellWriter::Double(array.as_primitive::<Float64Type>()),
            ArrowType::Decimal128(_, scale) => CellWriter::Decimal(array.as_primitive::<Decimal128Type>(), u8::try_from(*scale).ok()?),
            ArrowType::Utf8 => CellWriter::String(array.as_string()),
            ArrowType::Dictionary(key, value) if **key == ArrowType::Int32 && **value == ArrowType::Utf8 => {
                let array = array.as_dictionary::<Int32Type>();
                CellWriter::SharedString(array, array.values().as_string())
            }
            ArrowType::Binary => CellWriter::Bytea(array.as_binary()),
            ArrowType::Date32 => CellWriter::Date(array.as_primitive::<Date32Type>()),
            ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
                let array = array.as_primitive::<TimestampMicrosecondType>();
                if zone.is_some() { CellWriter::TimestampTz(array) } else { CellWriter::Timestamp(array) }
            }
            ArrowType::Interval(IntervalUnit::MonthDayNano) => CellWriter::Interval(array.as_primitive::<IntervalMonthDayNanoType>()),
            _ => return None,
        })
    }

    fn array(&self) -> Option<&dyn Array> {
        Some(match self {
            CellWriter::Null => return None,
            CellWriter::Boolean(array) => *array,
            CellWriter::SmallInt(array) => *array,
            CellWriter::Integer(array) => *array,
            CellWriter::BigInt(array) => *array,
            CellWriter::Real(array) => *array,
            CellWriter::Double(array) => *array,
            CellWriter::Decimal(array, _) => *array,
            CellWriter::String(array) => *array,
            CellWriter::SharedString(array, _) => *array,
            CellWriter::Bytea(array) => *array,
            CellWriter::Date(array) => *array,
            CellWriter::Timestamp(array) | CellWriter::TimestampTz(array) => *array,
            CellWriter::Interval(array) => *array,
        })
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            CellWriter::SharedString(array, values) => array.is_null(row) || values.is_null(array.keys().value(row) as usize),
            other => other.array().is_none_or(|array| array.is_null(row)),
        }
    }

    /// The text of a VARCHAR that is not NULL; `None` for other types.
    pub(crate) fn string(&self, row: usize) -> Option<&'a str> {
        match self {
            CellWriter::String(array) => Some(array.value(row)),
            CellWriter::SharedString(array, values) => Some(values.value(array.keys().value(row) as usize)),
            _ => None,
        }
    }

    /// True for a cell that is a number or boolean in JSON.
    pub(crate) fn is_bare(&self, row: usize) -> bool {
        match self {
            CellWriter::Boolean(_) => true,
            CellWriter::Real(array) => array.value(row).is_finite(),
            CellWriter::Double(array) => array.value(row).is_finite(),
            other => other.shape() == Shape::Number,
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        match self {
            CellWriter::SmallInt(_)
            | CellWriter::Integer(_)
            | CellWriter::BigInt(_)
            | CellWriter::Real(_)
            | CellWriter::Double(_)
            | CellWriter::Decimal(..) => Shape::Number,
            _ => Shape::Text,
        }
    }

    /// Appends the text of a cell that is not NULL.
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        let written = match self {
            CellWriter::Null => Ok(()),
            CellWriter::Boolean(array) => {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
                Ok(())
            }
            CellWriter::SmallInt(array) => integer(i64::from(array.value(row)), out),
            CellWriter::Integer(array) => integer(i64::from(array.value(row)), out),
            CellWriter::BigInt(array) => integer(array.value(row), out),
            CellWriter::Real(array) => text::write_real(&mut Bytes(out), array.value(row)),
            CellWriter::Double(array) => text::write_double(&mut Bytes(out), array.value(row)),
            CellWriter::Decimal(array, scale) => text::write_decimal(&mut Bytes(out), array.value(row), *scale),
            CellWriter::String(_) | CellWriter::SharedString(..) => {
                out.extend_from_slice(self.string(row).unwrap_or_default().as_bytes());
                Ok(())
            }
            CellWriter::Bytea(array) => text::write_bytea(&mut Bytes(out), array.value(row)),
            CellWriter::Date(array) => text::write_date(&mut Bytes(out), array.value(row)),
            CellWriter::Timestamp(array) => text::write_timestamp(&mut Bytes(out), array.value(row)),
            CellWriter::TimestampTz(array) => text::write_timestamptz(&mut Bytes(out), array.value(row)),
            CellWriter::Interval(array) => {
                let value = array.value(row);
                let interval = Interval { months: value.months, days: value.days, micros: value.nanoseconds / 1_000 };
                text::write_interval(&mut Bytes(out), &interval)
            }
        };
        debug_assert!(written.is_ok(), "writing to memory does not fail");
    }
}

fn integer(value: i64, out: &mut Vec<u8>) -> fmt::Result {
    push_integer(value, out);
    Ok(())
}

/// Cells of an interval column as text, for formats that have no such type.
pub(crate) fn interval_texts(array: &ArrayRef) -> Option<StringArray> {
    let cells = CellWriter::of(array.as_ref())?;
    let text = |row| {
        let mut out = Vec::new();
        cells.write(row, &mut out);
        String::from_utf8(out).ok()
    };
    Some((0..array.len()).map(|row| if cells.is_null(row) { None } else { text(row) }).collect())
}
