//! Writing key codes: of rows of Arrow columns, and of values.
//!
//! [`KeyEncoder`] resolves the columns' types once; what is left per value is one branch on the type, one on NULL and the copy.

use super::{END, ESCAPE, KeycodeError, NULL, VALUE, ordered};
use crate::expr::arrow_types::interval_from_arrow;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use raympp_types::{DataType, Interval, Value};

/// Writes the key codes of rows of a batch of columns.
pub struct KeyEncoder<'a> {
    columns: Vec<Column<'a>>,
}

enum Column<'a> {
    Null,
    Boolean(&'a BooleanArray),
    SmallInt(&'a Int16Array),
    Integer(&'a Int32Array),
    BigInt(&'a Int64Array),
    Real(&'a Float32Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Varchar(&'a StringArray),
    Dictionary(&'a DictionaryArray<Int32Type>, &'a StringArray),
    Bytea(&'a BinaryArray),
    Date(&'a Date32Array),
    Timestamp(&'a TimestampMicrosecondArray),
    Interval(&'a IntervalMonthDayNanoArray),
}

impl<'a> KeyEncoder<'a> {
    /// Resolves the columns.
    ///
    /// # Panics
    /// If a column has an Arrow type that no SQL type is held in. Column types come from plans, never from data.
    pub fn new(columns: &'a [ArrayRef]) -> KeyEncoder<'a> {
        KeyEncoder { columns: columns.iter().map(|column| Column::new(column.as_ref())).collect() }
    }

    /// Appends the key code of one row.
    #[inline]
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        for column in &self.columns {
            column.encode(row, out);
        }
    }

    /// The interval in a row of the first column, if it holds intervals and this one is not NULL.
    #[inline]
    pub(super) fn interval(&self, row: usize) -> Option<Interval> {
        match self.columns.first() {
            Some(Column::Interval(array)) if array.is_valid(row) => Some(interval_from_arrow(array.value(row))),
            _ => None,
        }
    }
}

/// Appends the key code of one row of columns. For many rows, [`KeyEncoder`] is faster.
///
/// # Panics
/// As [`KeyEncoder::new`].
pub fn encode_row(columns: &[ArrayRef], row: usize, out: &mut Vec<u8>) {
    for column in columns {
        Column::new(column.as_ref()).encode(row, out);
    }
}

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array) -> Column<'a> {
        match array.data_type() {
            ArrowType::Null => Column::Null,
            ArrowType::Boolean => Column::Boolean(array.as_boolean()),
            ArrowType::Int16 => Column::SmallInt(array.as_primitive::<Int16Type>()),
            ArrowType::Int32 => Column::Integer(array.as_primitive::<Int32Type>()),
            ArrowType::Int64 => Column::BigInt(array.as_primitive::<Int64Type>()),
            ArrowType::Float32 => Column::Real(array.as_primitive::<Float32Type>()),
            ArrowType::Float64 => Column::Double(array.as_primitive::<Float64Type>()),
            ArrowType::Decimal128(..) => Column::Decimal(array.as_primitive::<Decimal128Type>()),
            ArrowType::Utf8 => Column::Varchar(array.as_string::<i32>()),
            ArrowType::Dictionary(key, value) if **key == ArrowType::Int32 && **value == ArrowType::Utf8 => {
                let dictionary = array.as_dictionary::<Int32Type>();
                Column::Dictionary(dictionary, dictionary.values().as_string::<i32>())
            }
            ArrowType::Binary => Column::Bytea(array.as_binary::<i32>()),
            ArrowType::Date32 => Column::Date(array.as_primitive::<Date32Type>()),
            ArrowType::Timestamp(TimeUnit::Microsecond, _) => Column::Timestamp(array.as_primitive::<TimestampMicrosecondType>()),
            ArrowType::Interval(IntervalUnit::MonthDayNano) => Column::Interval(array.as_primitive::<IntervalMonthDayNanoType>()),
            other => panic!("no SQL type is held in Arrow's {other}"),
        }
    }

    #[inline]
    fn encode(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return out.push(NULL);
        }
        match self {
            Column::Null => {}
            Column::Boolean(array) => put(out, [u8::from(array.value(row))]),
            Column::SmallInt(array) => put_i16(out, array.value(row)),
            Column::Integer(array) => put_i32(out, array.value(row)),
            Column::BigInt(array) => put_i64(out, array.value(row)),
            Column::Real(array) => put(out, ordered::from_f32(array.value(row)).to_be_bytes()),
            Column::Double(array) => put(out, ordered::from_f64(array.value(row)).to_be_bytes()),
            Column::Decimal(array) => put_i128(out, array.value(row)),
            Column::Varchar(array) => put_bytes(out, array.value(row).as_bytes()),
            Column::Dictionary(array, values) => put_bytes(out, values.value(array.keys().value(row) as usize).as_bytes()),
            Column::Bytea(array) => put_bytes(out, array.value(row)),
            Column::Date(array) => put_i32(out, array.value(row)),
            Column::Timestamp(array) => put_i64(out, array.value(row)),
            Column::Interval(array) => put_i128(out, interval_from_arrow(array.value(row)).comparable_us()),
        }
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        let null = |nulls: Option<&NullBuffer>| nulls.is_some_and(|nulls| nulls.is_null(row));
        match self {
            Column::Null => true,
            Column::Boolean(array) => null(array.nulls()),
            Column::SmallInt(array) => null(array.nulls()),
            Column::Integer(array) => null(array.nulls()),
            Column::BigInt(array) => null(array.nulls()),
            Column::Real(array) => null(array.nulls()),
            Column::Double(array) => null(array.nulls()),
            Column::Decimal(array) => null(array.nulls()),
            Column::Varchar(array) => null(array.nulls()),
            Column::Dictionary(array, values) => null(array.nulls()) || values.is_null(array.keys().value(row) as usize),
            Column::Bytea(array) => null(array.nulls()),
            Column::Date(array) => null(array.nulls()),
            Column::Timestamp(array) => null(array.nulls()),
            Column::Interval(array) => null(array.nulls()),
        }
    }
}

#[inline]
fn put<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.push(VALUE);
    out.extend_from_slice(&bytes);
}

fn put_i16(out: &mut Vec<u8>, value: i16) {
    put(out, ((value as u16) ^ (1 << 15)).to_be_bytes());
}

fn put_i32(out: &mut Vec<u8>, value: i32) {
    put(out, ((value as u32) ^ (1 << 31)).to_be_bytes());
}

fn put_i64(out: &mut Vec<u8>, value: i64) {
    put(out, ordered::from_i64(value).to_be_bytes());
}

fn put_i128(out: &mut Vec<u8>, value: i128) {
    put(out, ordered::from_i128(value).to_be_bytes());
}

#[inline]
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    out.push(VALUE);
    // A fold without an early exit, so that it becomes vector instructions.
    if !bytes.iter().fold(false, |escape, &byte| escape | (byte <= ESCAPE)) {
        out.extend_from_slice(bytes);
    } else {
        for &byte in bytes {
            if byte <= ESCAPE {
                out.extend_from_slice(&[ESCAPE, byte + 1]);
            } else {
                out.push(byte);
            }
        }
    }
    out.push(END);
}

/// Appends the key code of values, one per type. A value of another type than its column's is taken as the equal value of that type:
/// integers and decimals of another size, REAL as DOUBLE PRECISION. [`KeycodeError::Mismatch`] if there is none, so that such a look-up finds
/// nothing instead of something else. On an error, `out` is as it was.
pub fn encode_values(values: &[Value], types: &[DataType], out: &mut Vec<u8>) -> Result<(), KeycodeError> {
    if values.len() != types.len() {
        return Err(KeycodeError::Count { values: values.len(), types: types.len() });
    }
    let before = out.len();
    for (value, &data_type) in values.iter().zip(types) {
        if encode_value(value, data_type, out).is_none() {
            out.truncate(before);
            return Err(KeycodeError::Mismatch { value: value.data_type(), column: data_type });
        }
    }
    Ok(())
}

fn encode_value(value: &Value, data_type: DataType, out: &mut Vec<u8>) -> Option<()> {
    match (data_type, value) {
        (_, Value::Null) => out.push(NULL),
        (DataType::Boolean, Value::Boolean(value)) => put(out, [u8::from(*value)]),
        (DataType::SmallInt, value) => put_i16(out, rescaled(value, 0)?.try_into().ok()?),
        (DataType::Integer, value) => put_i32(out, rescaled(value, 0)?.try_into().ok()?),
        (DataType::BigInt, value) => put_i64(out, rescaled(value, 0)?.try_into().ok()?),
        (DataType::Decimal { scale, .. }, value) => put_i128(out, rescaled(value, scale)?),
        (DataType::Real, Value::Real(value)) => put(out, ordered::from_f32(*value).to_be_bytes()),
        (DataType::Double, Value::Double(value)) => put(out, ordered::from_f64(*value).to_be_bytes()),
        (DataType::Double, Value::Real(value)) => put(out, ordered::from_f64(f64::from(*value)).to_be_bytes()),
        (DataType::Varchar, Value::Varchar(text)) => put_bytes(out, text.as_bytes()),
        (DataType::Bytea, Value::Bytea(bytes)) => put_bytes(out, bytes),
        (DataType::Date, Value::Date(days)) => put_i32(out, *days),
        (DataType::Timestamp, Value::Timestamp(us)) | (DataType::TimestampTz, Value::TimestampTz(us)) => put_i64(out, *us),
        (DataType::Interval, Value::Interval(interval)) => put_i128(out, interval.comparable_us()),
        _ => return None,
    }
    Some(())
}

/// The unscaled integer of an exact number at this scale; `None` if it is no exact number or needs more digits.
fn rescaled(value: &Value, scale: u8) -> Option<i128> {
    let (unscaled, from) = match *value {
        Value::SmallInt(value) => (i128::from(value), 0),
        Value::Integer(value) => (i128::from(value), 0),
        Value::BigInt(value) => (i128::from(value), 0),
        Value::Decimal { unscaled, scale, .. } => (unscaled, scale),
        _ => return None,
    };
    if from <= scale {
        return unscaled.checked_mul(10i128.checked_pow(u32::from(scale - from))?);
    }
    let divisor = 10i128.checked_pow(u32::from(from - scale))?;
    (unscaled % divisor == 0).then_some(unscaled / divisor)
}
