//! Rows gathered column by column, until somebody takes them as a batch.

use super::row::{RowSink, serialize_row};
use crate::decode::instant;
use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, RecordBatch, RecordBatchOptions, StringBuilder,
    TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType as ArrowType, Int32Type, Int64Type, SchemaRef};
use raympp_operators::expr::arrow_types::{arrow_schema, arrow_type, interval_to_arrow};
use raympp_types::text::{parse_date, parse_decimal, parse_interval, parse_timestamp, parse_timestamptz};
use raympp_types::{DataType, Schema, Value};
use serde::Serialize;
use std::sync::Arc;

/// Column builders of a stream's schema.
pub(super) struct Columns {
    schema: Schema,
    builders: Vec<Box<dyn ArrayBuilder>>,
    rows: usize,
    row: RowSink,
}

impl Columns {
    pub(super) fn new(schema: &Schema, arrow: &SchemaRef) -> Columns {
        let builders = arrow.fields().iter().map(|field| arrow::array::make_builder(field.data_type(), 64)).collect();
        Columns { schema: schema.clone(), builders, rows: 0, row: RowSink::new(schema) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends a row, or says why it does not fit; then nothing is appended.
    pub(super) fn push<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), String> {
        serialize_row(row, &mut self.row)?;
        for (field, value) in self.schema.fields.iter().zip(self.row.values_mut()) {
            let taken = std::mem::replace(value, Value::Null);
            *value = fit(taken, field.data_type).map_err(|why| format!("column {}: {why}", field.name))?;
        }
        for ((field, value), builder) in self.schema.fields.iter().zip(self.row.values()).zip(&mut self.builders) {
            append(builder.as_mut(), field.data_type, value);
        }
        self.rows += 1;
        Ok(())
    }

    /// Takes the rows out.
    pub(super) fn take(&mut self, schema: &SchemaRef) -> RecordBatch {
        let columns: Vec<ArrayRef> = self.builders.iter_mut().map(|builder| builder.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).expect("builders make the columns of their schema")
    }
}

/// A value as one of the column's type, if it is one without loss.
fn fit(value: Value, to: DataType) -> Result<Value, String> {
    let found = value.data_type();
    let refuse = || format!("a {found} value does not fit {to}");
    Ok(match (value, to) {
        (Value::Null, _) => Value::Null,
        (Value::BigInt(v), DataType::SmallInt) => Value::SmallInt(v.try_into().map_err(|_| format!("{v} does not fit {to}"))?),
        (Value::BigInt(v), DataType::Integer) => Value::Integer(v.try_into().map_err(|_| format!("{v} does not fit {to}"))?),
        (Value::BigInt(v), DataType::Double) if v.unsigned_abs() <= 1 << 53 => Value::Double(v as f64),
        (Value::BigInt(v), DataType::Real) if v.unsigned_abs() <= 1 << 24 => Value::Real(v as f32),
        (Value::BigInt(v), DataType::Timestamp) => Value::Timestamp(v),
        (Value::BigInt(v), DataType::TimestampTz) => Value::TimestampTz(v),
        (Value::BigInt(v), DataType::Date) => Value::Date(v.try_into().map_err(|_| format!("{v} does not fit {to}"))?),
        (Value::BigInt(v), DataType::Decimal { precision, scale }) => decimal(&v.to_string(), precision, scale)?,
        (Value::Double(v), DataType::Real) if f64::from(v as f32) == v || v.is_nan() => Value::Real(v as f32),
        (Value::Double(v), DataType::Decimal { precision, scale }) => decimal(&v.to_string(), precision, scale)?,
        (Value::Real(v), DataType::Double) => Value::Double(v.into()),
        (Value::Varchar(text), DataType::Decimal { precision, scale }) => decimal(&text, precision, scale)?,
        (Value::Varchar(text), DataType::Timestamp) => Value::Timestamp(parse_timestamp(text.as_bytes()).map_err(|e| e.to_string())?),
        (Value::Varchar(text), DataType::TimestampTz) => Value::TimestampTz(parse_timestamptz(text.as_bytes()).map_err(|e| e.to_string())?),
        (Value::Varchar(text), DataType::Date) => Value::Date(parse_date(text.as_bytes()).map_err(|e| e.to_string())?),
        (Value::Varchar(text), DataType::Interval) => Value::Interval(parse_interval(text.as_bytes()).map_err(|e| e.to_string())?),
        (Value::Varchar(text), DataType::Bytea) => Value::Bytea(text.as_bytes().into()),
        (value, to) if value.data_type() == to => value,
        _ => return Err(refuse()),
    })
}

fn decimal(text: &str, precision: u8, scale: u8) -> Result<Value, String> {
    let unscaled = parse_decimal(text.as_bytes(), precision, scale).map_err(|error| error.to_string())?;
    Ok(Value::Decimal { unscaled, precision, scale })
}

fn append(builder: &mut dyn ArrayBuilder, data_type: DataType, value: &Value) {
    macro_rules! to {
        ($builder:ty, $variant:pat => $value:expr) => {{
            let builder = builder.as_any_mut().downcast_mut::<$builder>().expect("made for the column's type");
            match value {
                $variant => builder.append_value($value),
                _ => builder.append_null(),
            }
        }};
    }
    match data_type {
        DataType::Boolean => to!(BooleanBuilder, Value::Boolean(v) => *v),
        DataType::SmallInt => to!(Int16Builder, Value::SmallInt(v) => *v),
        DataType::Integer => to!(Int32Builder, Value::Integer(v) => *v),
        DataType::BigInt => to!(Int64Builder, Value::BigInt(v) => *v),
        DataType::Real => to!(Float32Builder, Value::Real(v) => *v),
        DataType::Double => to!(Float64Builder, Value::Double(v) => *v),
        DataType::Decimal { .. } => to!(Decimal128Builder, Value::Decimal { unscaled, .. } => *unscaled),
        DataType::Varchar => to!(StringBuilder, Value::Varchar(v) => v),
        DataType::Bytea => to!(BinaryBuilder, Value::Bytea(v) => v),
        DataType::Date => to!(Date32Builder, Value::Date(v) => *v),
        DataType::Timestamp => to!(TimestampMicrosecondBuilder, Value::Timestamp(v) => *v),
        DataType::TimestampTz => to!(TimestampMicrosecondBuilder, Value::TimestampTz(v) => *v),
        DataType::Interval => {
            let builder = builder.as_any_mut().downcast_mut::<IntervalMonthDayNanoBuilder>().expect("made for the column's type");
            match value {
                Value::Interval(interval) => builder.append_option(interval_to_arrow(*interval)),
                _ => builder.append_null(),
            }
        }
        DataType::Null => {}
    }
}

/// A batch with exactly the stream's columns, found by name.
pub(super) fn conform(batch: &RecordBatch, schema: &Schema) -> Result<RecordBatch, String> {
    let mut columns = Vec::with_capacity(schema.fields.len());
    for field in &schema.fields {
        let wanted = arrow_type(field.data_type);
        columns.push(match batch.column_by_name(&field.name) {
            None => new_null_array(&wanted, batch.num_rows()),
            Some(column) if *column.data_type() == wanted => Arc::clone(column),
            Some(column) => match time(column, &wanted) {
                Some(time) => time.map_err(|why| format!("column {}: {why}", field.name))?,
                None => other_form(column, &wanted)
                    .ok_or_else(|| format!("column {}: the batch has {}, the stream {wanted}", field.name, column.data_type()))?,
            },
        });
    }
    let fields: Vec<_> =
        arrow_schema(schema).fields().iter().zip(&columns).map(|(f, c)| f.as_ref().clone().with_data_type(c.data_type().clone())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::new(fields)), columns, &options).map_err(|error| error.to_string())
}

/// A timestamp of any unit as one in microseconds, or the first value that has none; `None` for other types.
fn time(column: &ArrayRef, wanted: &ArrowType) -> Option<Result<ArrayRef, String>> {
    let (ArrowType::Timestamp(unit, _), ArrowType::Timestamp(_, zone)) = (column.data_type(), wanted) else { return None };
    let micros = instant::micros(column)?.with_timezone_opt(zone.clone());
    Some(match instant::out_of_range(column, &micros).first() {
        None => Ok(Arc::new(micros)),
        Some(&row) => {
            let value = arrow::compute::cast(&column.slice(row, 1), &ArrowType::Int64).ok()?;
            let value = value.as_primitive::<Int64Type>().value(0);
            let unit = format!("{unit:?}").to_lowercase();
            Err(format!("row {row}: {value} {unit}s since 1970 are more than microseconds can count"))
        }
    })
}

/// Forms of the same values: narrower integers are widened, dictionaries of 32-bit codes stay, other encodings of strings are cast.
fn other_form(column: &ArrayRef, wanted: &ArrowType) -> Option<ArrayRef> {
    match (column.data_type(), wanted) {
        (ArrowType::Dictionary(_, values), ArrowType::Utf8)
            if **values == ArrowType::Utf8 && column.as_dictionary_opt::<Int32Type>().is_some() =>
        {
            Some(Arc::clone(column))
        }
        (ArrowType::Dictionary(_, values), ArrowType::Utf8) if !is_text(values) => None,
        (ArrowType::Dictionary(..) | ArrowType::LargeUtf8 | ArrowType::Utf8View, ArrowType::Utf8)
        | (ArrowType::LargeBinary | ArrowType::BinaryView, ArrowType::Binary)
        | (ArrowType::Int8, ArrowType::Int16 | ArrowType::Int32 | ArrowType::Int64)
        | (ArrowType::Int16, ArrowType::Int32 | ArrowType::Int64)
        | (ArrowType::Int32, ArrowType::Int64) => arrow::compute::cast(column, wanted).ok(),
        _ => None,
    }
}

fn is_text(arrow: &ArrowType) -> bool {
    matches!(arrow, ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View)
}
