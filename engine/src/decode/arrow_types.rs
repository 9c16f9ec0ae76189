//! SQL types as Arrow types.

use arrow::datatypes::{DataType as ArrowType, Field, IntervalUnit, Schema as ArrowSchema, SchemaRef, TimeUnit};
use raympp_types::{DataType, Schema};
use std::sync::Arc;

/// The Arrow type that holds a SQL type.
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

/// The Arrow schema of a SQL schema, every column nullable.
pub fn arrow_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields.iter().map(|field| Field::new(&field.name, arrow_type(field.data_type), true));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}
