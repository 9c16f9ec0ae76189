//! CAST to and from VARCHAR; the forms are those of [`raympp_types::text`].

use super::arrow_types::{interval_from_arrow, interval_to_arrow};
use super::error::{EvaluationError, shortened};
use super::vector::{Shape, Sink, Vector};
use arrow::array::{Array, ArrowPrimitiveType, AsArray, BooleanBufferBuilder, StringBuilder};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, TimestampMicrosecondType,
};
use raympp_types::DataType;
use raympp_types::text::{self, ParseError};
use std::fmt::{self, Write};
use std::sync::Arc;

/// The value of each row as text.
pub(super) fn to_text(operand: &Vector) -> Vector {
    let array = operand.array.as_ref();
    match array.data_type() {
        ArrowType::Int16 => primitive::<Int16Type>(operand, |out, v| write!(out, "{v}")),
        ArrowType::Int32 => primitive::<Int32Type>(operand, |out, v| write!(out, "{v}")),
        ArrowType::Int64 => primitive::<Int64Type>(operand, |out, v| write!(out, "{v}")),
        ArrowType::Float32 => primitive::<Float32Type>(operand, text::write_real),
        ArrowType::Float64 => primitive::<Float64Type>(operand, text::write_double),
        ArrowType::Decimal128(_, scale) => {
            let scale = *scale as u8;
            primitive::<Decimal128Type>(operand, |out, v| text::write_decimal(out, v, scale))
        }
        ArrowType::Date32 => primitive::<Date32Type>(operand, text::write_date),
        ArrowType::Timestamp(_, None) => primitive::<TimestampMicrosecondType>(operand, text::write_timestamp),
        ArrowType::Timestamp(_, Some(_)) => primitive::<TimestampMicrosecondType>(operand, text::write_timestamptz),
        ArrowType::Interval(_) => {
            primitive::<IntervalMonthDayNanoType>(operand, |out, v| text::write_interval(out, &interval_from_arrow(v)))
        }
        ArrowType::Boolean => {
            let values = array.as_boolean();
            written(operand, |out, row| out.write_str(if values.value(row) { "true" } else { "false" }))
        }
        ArrowType::Binary => written(operand, |out, row| text::write_bytea(out, operand.bytes(row))),
        _ => Vector::null(DataType::Varchar),
    }
}

fn primitive<T: ArrowPrimitiveType>(operand: &Vector, write: impl Fn(&mut StringBuilder, T::Native) -> fmt::Result) -> Vector {
    let values = operand.array.as_primitive::<T>();
    written(operand, |out, row| write(out, values.value(row)))
}

fn written(operand: &Vector, write: impl Fn(&mut StringBuilder, usize) -> fmt::Result) -> Vector {
    let rows = operand.array.len();
    let mut builder = StringBuilder::with_capacity(rows, rows * 16);
    for row in 0..rows {
        // Writing to a builder does not fail.
        if operand.array.is_valid(row) && write(&mut builder, row).is_ok() {
            builder.append_value("");
        } else {
            builder.append_null();
        }
    }
    Vector { array: Arc::new(builder.finish()), scalar: operand.scalar }
}

/// The value that each text shows.
pub(super) fn from_text(operand: &Vector, to: DataType, sink: &mut Sink<'_>) -> Vector {
    match to {
        DataType::Boolean => booleans(operand, sink),
        DataType::SmallInt => read::<Int16Type>(operand, to, text::parse_smallint, sink),
        DataType::Integer => read::<Int32Type>(operand, to, text::parse_integer, sink),
        DataType::BigInt => read::<Int64Type>(operand, to, text::parse_bigint, sink),
        DataType::Real => read::<Float32Type>(operand, to, text::parse_real, sink),
        DataType::Double => read::<Float64Type>(operand, to, text::parse_double, sink),
        DataType::Decimal { precision, scale } => {
            read::<Decimal128Type>(operand, to, |bytes| text::parse_decimal(bytes, precision, scale), sink)
        }
        DataType::Date => read::<Date32Type>(operand, to, text::parse_date, sink),
        DataType::Timestamp => read::<TimestampMicrosecondType>(operand, to, text::parse_timestamp, sink),
        DataType::TimestampTz => read::<TimestampMicrosecondType>(operand, to, text::parse_timestamptz, sink),
        DataType::Interval => read::<IntervalMonthDayNanoType>(operand, to, parse_interval, sink),
        DataType::Bytea => bytes(operand, sink),
        DataType::Varchar | DataType::Null => operand.clone(),
    }
}

fn parse_interval(bytes: &[u8]) -> Result<IntervalMonthDayNano, ParseError> {
    interval_to_arrow(text::parse_interval(bytes)?).ok_or(ParseError::OutOfRange("an INTERVAL"))
}

fn failure(operand: &Vector, row: usize, to: DataType, reason: ParseError) -> EvaluationError {
    EvaluationError::InvalidCast { text: shortened(operand.text(row)), to, reason: reason.to_string() }
}

fn read<T: ArrowPrimitiveType>(
    operand: &Vector,
    to: DataType,
    parse: impl Fn(&[u8]) -> Result<T::Native, ParseError>,
    sink: &mut Sink<'_>,
) -> Vector
where
    T::Native: Default,
{
    let Some(shape) = Shape::of(&[operand]) else { return Vector::null(to) };
    let values = (0..shape.rows).map(|row| {
        if !shape.is_valid(row) || !sink.is_active(row) {
            return T::Native::default();
        }
        parse(operand.text(row).as_bytes()).unwrap_or_else(|reason| {
            sink.fail(row, || failure(operand, row, to, reason));
            T::Native::default()
        })
    });
    let values = values.collect();
    shape.primitive::<T>(values, to)
}

fn booleans(operand: &Vector, sink: &mut Sink<'_>) -> Vector {
    let Some(shape) = Shape::of(&[operand]) else { return Vector::null(DataType::Boolean) };
    let mut bits = BooleanBufferBuilder::new(shape.rows);
    for row in 0..shape.rows {
        let value = shape.is_valid(row)
            && text::parse_boolean(operand.text(row).as_bytes()).unwrap_or_else(|reason| {
                sink.fail(row, || failure(operand, row, DataType::Boolean, reason));
                false
            });
        bits.append(value);
    }
    shape.booleans(bits.finish())
}

fn bytes(operand: &Vector, sink: &mut Sink<'_>) -> Vector {
    let Some(shape) = Shape::of(&[operand]) else { return Vector::null(DataType::Bytea) };
    shape.binaries(|row| {
        let mut out = Vec::new();
        match text::parse_bytea(operand.text(row).as_bytes(), &mut out) {
            Ok(()) => Some(out),
            Err(reason) => {
                sink.fail(row, || failure(operand, row, DataType::Bytea, reason));
                None
            }
        }
    })
}
