//! Reading many key codes into Arrow columns, one pass over the bytes and no values in between.

use super::KeycodeError;
use super::decode::Reader;
use crate::expr::arrow_types::{arrow_type, interval_to_arrow};
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, IntervalMonthDayNanoBuilder, NullBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use raympp_types::DataType;
use std::sync::Arc;

/// The columns of key codes of these types, one row per code. VARCHAR becomes Utf8, so one call may return at most 2 GiB of text.
pub fn decode_columns<'a>(keys: impl Iterator<Item = &'a [u8]>, types: &[DataType]) -> Result<Vec<ArrayRef>, KeycodeError> {
    let rows = keys.size_hint().0;
    let mut columns: Vec<Column> = types.iter().map(|&data_type| Column::new(data_type, rows)).collect();
    for key in keys {
        let mut reader = Reader::new(key);
        for column in &mut columns {
            column.append(&mut reader)?;
        }
        reader.finish()?;
    }
    Ok(columns.into_iter().map(|column| column.builder.finish()).collect())
}

struct Column {
    data_type: DataType,
    builder: Builder,
}

enum Builder {
    Null(NullBuilder),
    Boolean(BooleanBuilder),
    SmallInt(Int16Builder),
    Integer(Int32Builder),
    BigInt(Int64Builder),
    Real(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Varchar(StringBuilder),
    Bytea(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
}

/// Guess of a text's length, to size buffers.
const TEXT_BYTES: usize = 12;

impl Column {
    fn new(data_type: DataType, rows: usize) -> Column {
        let builder = match data_type {
            DataType::Null => Builder::Null(NullBuilder::new()),
            DataType::Boolean => Builder::Boolean(BooleanBuilder::with_capacity(rows)),
            DataType::SmallInt => Builder::SmallInt(Int16Builder::with_capacity(rows)),
            DataType::Integer => Builder::Integer(Int32Builder::with_capacity(rows)),
            DataType::BigInt => Builder::BigInt(Int64Builder::with_capacity(rows)),
            DataType::Real => Builder::Real(Float32Builder::with_capacity(rows)),
            DataType::Double => Builder::Double(Float64Builder::with_capacity(rows)),
            DataType::Decimal { .. } => Builder::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(arrow_type(data_type))),
            DataType::Varchar => Builder::Varchar(StringBuilder::with_capacity(rows, rows * TEXT_BYTES)),
            DataType::Bytea => Builder::Bytea(BinaryBuilder::with_capacity(rows, rows * TEXT_BYTES)),
            DataType::Date => Builder::Date(Date32Builder::with_capacity(rows)),
            DataType::Timestamp | DataType::TimestampTz => {
                Builder::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(arrow_type(data_type)))
            }
            DataType::Interval => Builder::Interval(IntervalMonthDayNanoBuilder::with_capacity(rows)),
        };
        Column { data_type, builder }
    }

    #[inline]
    fn append(&mut self, reader: &mut Reader) -> Result<(), KeycodeError> {
        let data_type = self.data_type;
        if !reader.present(data_type)? {
            self.builder.append_null();
            return Ok(());
        }
        match &mut self.builder {
            Builder::Null(builder) => builder.append_null(),
            Builder::Boolean(builder) => builder.append_value(reader.boolean()?),
            Builder::SmallInt(builder) => builder.append_value(reader.i16()?),
            Builder::Integer(builder) => builder.append_value(reader.i32(data_type)?),
            Builder::BigInt(builder) => builder.append_value(reader.i64(data_type)?),
            Builder::Real(builder) => builder.append_value(reader.f32()?),
            Builder::Double(builder) => builder.append_value(reader.f64()?),
            Builder::Decimal(builder) => builder.append_value(reader.i128(data_type)?),
            Builder::Varchar(builder) => builder.append_value(reader.text()?),
            Builder::Bytea(builder) => builder.append_value(reader.binary(data_type)?),
            Builder::Date(builder) => builder.append_value(reader.i32(data_type)?),
            Builder::Timestamp(builder) => builder.append_value(reader.i64(data_type)?),
            Builder::Interval(builder) => {
                builder.append_value(interval_to_arrow(reader.interval()?).ok_or(KeycodeError::Invalid(data_type))?)
            }
        }
        Ok(())
    }
}

macro_rules! each_builder {
    ($self:expr, $builder:ident => $call:expr) => {
        match $self {
            Builder::Null($builder) => $call,
            Builder::Boolean($builder) => $call,
            Builder::SmallInt($builder) => $call,
            Builder::Integer($builder) => $call,
            Builder::BigInt($builder) => $call,
            Builder::Real($builder) => $call,
            Builder::Double($builder) => $call,
            Builder::Decimal($builder) => $call,
            Builder::Varchar($builder) => $call,
            Builder::Bytea($builder) => $call,
            Builder::Date($builder) => $call,
            Builder::Timestamp($builder) => $call,
            Builder::Interval($builder) => $call,
        }
    };
}

impl Builder {
    fn append_null(&mut self) {
        each_builder!(self, builder => builder.append_null());
    }

    fn finish(mut self) -> ArrayRef {
        each_builder!(&mut self, builder => Arc::new(builder.finish()))
    }
}
