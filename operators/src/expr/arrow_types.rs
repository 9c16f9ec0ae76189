//! Which Arrow type holds which SQL type, and values in and out of arrays.
//!
//! One physical type per SQL type, except that VARCHAR may also arrive as `Dictionary(Int32, Utf8)`. INTERVAL is kept in
//! nanoseconds by Arrow, so its part below a day is limited to about 292 years.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, NullArray, PrimitiveArray, StringArray, make_array,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Field as ArrowField, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Schema as ArrowSchema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use raympp_types::{DataType, Field, Interval, Schema, Value};
use std::sync::Arc;

/// Nanoseconds in a microsecond.
const NANOS: i64 = 1_000;

/// The Arrow type of a SQL type.
pub fn arrow_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Null => ArrowType::Null,
        DataType::Boolean => ArrowType::Boolean,
        DataType::SmallInt => ArrowType::Int16,
        DataType::Integer => ArrowType::Int32,
        DataType::BigInt => ArrowType::Int64,
        DataType::Real => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::Decimal { precision, scale } => ArrowType::Decimal128(precision, scale as i8),
        DataType::Varchar => ArrowType::Utf8,
        DataType::Bytea => ArrowType::Binary,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        DataType::TimestampTz => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Interval => ArrowType::Interval(IntervalUnit::MonthDayNano),
    }
}

/// The SQL type of an Arrow type that expressions can read; a dictionary has its values' type.
pub fn data_type_of(arrow: &ArrowType) -> Option<DataType> {
    Some(match arrow {
        ArrowType::Null => DataType::Null,
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int16 => DataType::SmallInt,
        ArrowType::Int32 => DataType::Integer,
        ArrowType::Int64 => DataType::BigInt,
        ArrowType::Float32 => DataType::Real,
        ArrowType::Float64 => DataType::Double,
        ArrowType::Decimal128(precision, scale) => {
            DataType::Decimal { precision: *precision, scale: u8::try_from(*scale).ok().filter(|scale| scale <= precision)? }
        }
        ArrowType::Utf8 => DataType::Varchar,
        ArrowType::Binary => DataType::Bytea,
        ArrowType::Date32 => DataType::Date,
        ArrowType::Timestamp(TimeUnit::Microsecond, None) => DataType::Timestamp,
        ArrowType::Timestamp(TimeUnit::Microsecond, Some(_)) => DataType::TimestampTz,
        ArrowType::Interval(IntervalUnit::MonthDayNano) => DataType::Interval,
        ArrowType::Dictionary(_, values) => data_type_of(values)?,
        _ => return None,
    })
}

/// The Arrow schema of a SQL schema; every column may hold NULL.
pub fn arrow_schema(schema: &Schema) -> SchemaRef {
    let field = |field: &Field| ArrowField::new(&field.name, arrow_type(field.data_type), true);
    Arc::new(ArrowSchema::new(schema.fields.iter().map(field).collect::<Vec<_>>()))
}

/// An INTERVAL as Arrow keeps it; `None` where the nanoseconds do not fit.
pub fn interval_to_arrow(interval: Interval) -> Option<IntervalMonthDayNano> {
    Some(IntervalMonthDayNano::new(interval.months, interval.days, interval.micros.checked_mul(NANOS)?))
}

/// An INTERVAL from Arrow; what is below a microsecond is cut.
pub fn interval_from_arrow(interval: IntervalMonthDayNano) -> Interval {
    Interval { months: interval.months, days: interval.days, micros: interval.nanoseconds / NANOS }
}

/// The value in row `row`, also of a dictionary. NULL for an Arrow type that no SQL type has.
pub fn value_at(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        ArrowType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        ArrowType::Int16 => Value::SmallInt(array.as_primitive::<Int16Type>().value(row)),
        ArrowType::Int32 => Value::Integer(array.as_primitive::<Int32Type>().value(row)),
        ArrowType::Int64 => Value::BigInt(array.as_primitive::<Int64Type>().value(row)),
        ArrowType::Float32 => Value::Real(array.as_primitive::<Float32Type>().value(row)),
        ArrowType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        ArrowType::Decimal128(precision, scale) => Value::Decimal {
            unscaled: array.as_primitive::<Decimal128Type>().value(row),
            precision: *precision,
            scale: u8::try_from(*scale).unwrap_or(0),
        },
        ArrowType::Utf8 => Value::Varchar(array.as_string::<i32>().value(row).into()),
        ArrowType::Binary => Value::Bytea(array.as_binary::<i32>().value(row).into()),
        ArrowType::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            if zone.is_some() { Value::TimestampTz(micros) } else { Value::Timestamp(micros) }
        }
        ArrowType::Interval(IntervalUnit::MonthDayNano) => {
            Value::Interval(interval_from_arrow(array.as_primitive::<IntervalMonthDayNanoType>().value(row)))
        }
        ArrowType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let code = match array.as_dictionary_opt::<Int32Type>() {
                Some(int32) => int32.keys().value(row) as usize,
                None => dictionary.normalized_keys()[row],
            };
            value_at(dictionary.values().as_ref(), code)
        }
        _ => Value::Null,
    }
}

fn repeated<T: ArrowPrimitiveType>(value: T::Native, rows: usize, arrow: &ArrowType) -> ArrayRef {
    let values = ScalarBuffer::from(vec![value; rows]);
    Arc::new(PrimitiveArray::<T>::new(values, None).with_data_type(arrow.clone()))
}

/// `rows` times the same value; NULLs if the value is NULL, or an INTERVAL that Arrow can't hold.
pub fn array_of(value: &Value, data_type: DataType, rows: usize) -> ArrayRef {
    let arrow = arrow_type(data_type);
    match value {
        Value::Null => null_array(data_type, rows),
        Value::Boolean(v) => {
            let values = if *v { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
            Arc::new(BooleanArray::new(values, None))
        }
        Value::SmallInt(v) => repeated::<Int16Type>(*v, rows, &ArrowType::Int16),
        Value::Integer(v) => repeated::<Int32Type>(*v, rows, &ArrowType::Int32),
        Value::BigInt(v) => repeated::<Int64Type>(*v, rows, &ArrowType::Int64),
        Value::Real(v) => repeated::<Float32Type>(*v, rows, &ArrowType::Float32),
        Value::Double(v) => repeated::<Float64Type>(*v, rows, &ArrowType::Float64),
        Value::Decimal { unscaled, precision, scale } => {
            repeated::<Decimal128Type>(*unscaled, rows, &ArrowType::Decimal128(*precision, *scale as i8))
        }
        Value::Varchar(v) => Arc::new(StringArray::new_repeated(v.as_ref(), rows)),
        Value::Bytea(v) => Arc::new(BinaryArray::new_repeated(v.as_ref(), rows)),
        Value::Date(v) => repeated::<Date32Type>(*v, rows, &ArrowType::Date32),
        Value::Timestamp(v) => repeated::<TimestampMicrosecondType>(*v, rows, &arrow),
        Value::TimestampTz(v) => repeated::<TimestampMicrosecondType>(*v, rows, &arrow),
        Value::Interval(v) => match interval_to_arrow(*v) {
            Some(v) => repeated::<IntervalMonthDayNanoType>(v, rows, &arrow),
            None => null_array(data_type, rows),
        },
    }
}

fn null_array(data_type: DataType, rows: usize) -> ArrayRef {
    match data_type {
        DataType::Null => Arc::new(NullArray::new(rows)),
        _ => new_null_array(&arrow_type(data_type), rows),
    }
}

/// The array with its dictionary unpacked and its type the one `data_type` has; `None` if the types do not belong together.
pub(super) fn normalised(array: &ArrayRef, data_type: DataType) -> Option<ArrayRef> {
    let expected = arrow_type(data_type);
    if *array.data_type() == expected {
        return Some(array.clone());
    }
    match (array.data_type(), &expected) {
        (ArrowType::Dictionary(_, values), _) if **values == expected => {
            let dictionary = array.as_any_dictionary();
            arrow::compute::take(dictionary.values().as_ref(), dictionary.keys(), None).ok()
        }
        // The same instants under another name of the zone, the same digits under another precision.
        (ArrowType::Timestamp(TimeUnit::Microsecond, _), ArrowType::Timestamp(_, _))
        | (ArrowType::Decimal128(_, _), ArrowType::Decimal128(_, _)) => {
            if let (ArrowType::Decimal128(_, from), ArrowType::Decimal128(_, to)) = (array.data_type(), &expected)
                && from != to
            {
                return None;
            }
            let data = array.to_data().into_builder().data_type(expected).build().ok()?;
            Some(make_array(data))
        }
        (ArrowType::Null, _) => Some(new_null_array(&expected, array.len())),
        _ => None,
    }
}
