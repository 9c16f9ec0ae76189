//! Columns of a parquet file as the declared columns: by name, converted only where every value keeps its meaning.
//!
//! Accepted are the same type, a wider integer, float or decimal, an integer as a decimal that has room for all its values or a float that
//! is exact for them, a date as a timestamp, any unit of timestamp, with or without a time zone ([`super::instant`]). A value that leaves its type's
//! range on the way makes a bad row. Strings become shared dictionaries as in text files.

use super::cell::Cells;
use super::column::{BadCells, ColumnDecoder};
use super::instant;
use super::rows::{BadRecord, DecodedRows, assemble};
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Int32Type, Schema as ArrowSchema, SchemaRef};
use raympp_operators::expr::arrow_types::{arrow_schema, arrow_type};
use raympp_types::{DataType, Schema};
use std::sync::Arc;

/// Converts the batches of one parquet file.
pub struct ParquetDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    data_type: DataType,
    /// For VARCHAR.
    strings: Option<ColumnDecoder>,
}

impl ParquetDecoder {
    /// Checks that a file has the declared columns in types that widen to theirs.
    pub fn new(declared: &Schema, file: &ArrowSchema) -> Result<ParquetDecoder, ParquetMismatch> {
        let mut columns = Vec::with_capacity(declared.fields.len());
        for field in &declared.fields {
            let found = file.field_with_name(&field.name).map_err(|_| missing(&field.name, file))?;
            if !widens(found.data_type(), field.data_type) {
                let file_type = found.data_type();
                return Err(ParquetMismatch::Type(format!(
                    "column {} is {file_type} in the file and {} in the stream",
                    field.name, field.data_type
                )));
            }
            let strings = (field.data_type == DataType::Varchar).then(|| ColumnDecoder::new(&field.name, DataType::Varchar));
            columns.push(Column { name: field.name.clone(), data_type: field.data_type, strings });
        }
        Ok(ParquetDecoder { schema: arrow_schema(declared), columns })
    }

    /// Schema of the declared columns, strings as Utf8.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The declared columns of a batch of the file.
    pub fn convert(&mut self, batch: &RecordBatch) -> Result<DecodedRows, String> {
        let mut bad = BadCells::new();
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let raw = batch.column_by_name(&column.name).ok_or_else(|| format!("column {} is missing from a batch", column.name))?;
            columns.push(column.convert(raw, &mut bad)?);
        }
        let numbers: Vec<u32> = (0..batch.num_rows() as u32).collect();
        let bad = bad.into_iter().map(|(row, reason)| (row, BadRecord { number: row, reason, raw: None })).collect();
        Ok(assemble(&self.schema, columns, &numbers, Vec::new(), bad))
    }
}

/// Why a file does not fit the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParquetMismatch {
    /// A declared column is not there.
    Missing(String),
    /// A column has another type.
    Type(String),
}

fn missing(name: &str, file: &ArrowSchema) -> ParquetMismatch {
    let names: Vec<&str> = file.fields().iter().map(|field| field.name().as_str()).collect();
    ParquetMismatch::Missing(format!("the file has no column {name}: it has {}", names.join(", ")))
}

impl Column {
    fn convert(&mut self, raw: &ArrayRef, bad: &mut BadCells) -> Result<ArrayRef, String> {
        if let Some(strings) = &mut self.strings {
            return share_strings(strings, raw, bad);
        }
        let converted = convert(raw, self.data_type).map_err(|error| format!("column {}: {error}", self.name))?;
        for row in instant::out_of_range(raw, &converted) {
            bad.entry(row as u32).or_insert_with(|| format!("column {}: the value is out of range for {}", self.name, self.data_type));
        }
        Ok(converted)
    }
}

fn convert(raw: &ArrayRef, data_type: DataType) -> Result<ArrayRef, String> {
    let target = arrow_type(data_type);
    if *raw.data_type() == target {
        return Ok(raw.clone());
    }
    let times = match &target {
        ArrowType::Timestamp(_, zone) => instant::micros(raw).map(|micros| Arc::new(micros.with_timezone_opt(zone.clone())) as ArrayRef),
        ArrowType::Date32 => instant::days(raw).map(|days| Arc::new(days) as ArrayRef),
        _ => None,
    };
    times.map_or_else(|| cast_text(raw, &target), Ok)
}

fn cast_text(array: &ArrayRef, target: &ArrowType) -> Result<ArrayRef, String> {
    cast(array, target).map_err(|error| error.to_string())
}

/// True if every value of the file's type has one meaning in the declared type (or is rarely out of its range, for timestamps).
fn widens(file: &ArrowType, declared: DataType) -> bool {
    use ArrowType::*;
    let whole_digits = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
    match (file, declared) {
        (Null, _) | (Boolean, DataType::Boolean) => true,
        (Int8 | UInt8 | Int16, DataType::SmallInt | DataType::Integer | DataType::BigInt | DataType::Real | DataType::Double) => true,
        (UInt16 | Int32, DataType::Integer | DataType::BigInt | DataType::Double) | (UInt32, DataType::BigInt | DataType::Double) => true,
        (Int64, DataType::BigInt) => true,
        (Float16 | Float32, DataType::Real | DataType::Double) | (Float64, DataType::Double) => true,
        (Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) | Decimal256(p, s), DataType::Decimal { precision, scale }) => {
            *s <= scale as i8 && whole_digits(*p, *s) <= whole_digits(precision, scale as i8)
        }
        (integer, DataType::Decimal { precision, scale }) => {
            integer_digits(integer).is_some_and(|digits| digits <= whole_digits(precision, scale as i8))
        }
        (Utf8 | LargeUtf8 | Utf8View, DataType::Varchar) => true,
        (Dictionary(_, values), DataType::Varchar) => matches!(**values, Utf8 | LargeUtf8 | Utf8View),
        (Binary | LargeBinary | BinaryView | FixedSizeBinary(_), DataType::Bytea) => true,
        (Date32 | Date64, DataType::Date | DataType::Timestamp | DataType::TimestampTz) => true,
        (Timestamp(..), DataType::Timestamp | DataType::TimestampTz) => true,
        (Interval(_), DataType::Interval) => true,
        _ => false,
    }
}

/// Most digits of an integer type.
fn integer_digits(integer: &ArrowType) -> Option<i16> {
    match integer {
        ArrowType::Int8 | ArrowType::UInt8 => Some(3),
        ArrowType::Int16 | ArrowType::UInt16 => Some(5),
        ArrowType::Int32 | ArrowType::UInt32 => Some(10),
        ArrowType::Int64 => Some(19),
        ArrowType::UInt64 => Some(20),
        _ => None,
    }
}

/// Strings of any layout as a shared dictionary, or plain where they repeat too little.
fn share_strings(decoder: &mut ColumnDecoder, raw: &ArrayRef, bad: &mut BadCells) -> Result<ArrayRef, String> {
    if let ArrowType::Dictionary(..) = raw.data_type() {
        let shared = cast_text(raw, &ArrowType::Dictionary(Box::new(ArrowType::Int32), Box::new(ArrowType::Utf8)))?;
        let shared = shared.as_dictionary::<Int32Type>();
        return Ok(decoder.decode(&StringCells { strings: shared.values().as_string(), numbers: Some(shared.keys()) }, bad));
    }
    let plain = cast_text(raw, &ArrowType::Utf8)?;
    Ok(decoder.decode(&StringCells { strings: plain.as_string(), numbers: None }, bad))
}

/// Strings that are in Arrow already.
struct StringCells<'a> {
    strings: &'a StringArray,
    numbers: Option<&'a Int32Array>,
}

impl Cells for StringCells<'_> {
    fn rows(&self) -> usize {
        self.numbers.map_or(self.strings.len(), Array::len)
    }

    fn text<'a>(&'a self, row: usize, _scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, String> {
        let at = match self.numbers {
            None => row,
            Some(numbers) if numbers.is_null(row) => return Ok(None),
            Some(numbers) => numbers.value(row) as usize,
        };
        Ok((!self.strings.is_null(at)).then(|| self.strings.value(at).as_bytes()))
    }
}
