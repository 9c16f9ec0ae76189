//! One declared column from the text of its cells.
//!
//! A column is decoded in one loop per type: the usual spelling by [`super::number`], anything else by [`raympp_types::text`], so a
//! value means the same in a file as in a query. A cell that can't be decoded leaves a placeholder in the column and its reason in
//! `bad`; the row is taken out later as a whole.

use super::cell::Cells;
use super::dictionary::{Dictionary, Refusal};
use super::number::{self, TimestampParser};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, DictionaryArray, Int32Array, IntervalMonthDayNanoArray,
    PrimitiveArray, StringArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    TimestampMicrosecondType,
};
use raympp_types::text::{self, ParseError};
use raympp_types::{DataType, Interval};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reasons by row number.
pub(super) type BadCells = BTreeMap<u32, String>;

/// Builds one column, batch after batch.
pub(super) struct ColumnDecoder {
    name: String,
    data_type: DataType,
    /// For VARCHAR, until it is given up.
    dictionary: Option<Dictionary>,
    scratch: Vec<u8>,
}

impl ColumnDecoder {
    pub(super) fn new(name: &str, data_type: DataType) -> ColumnDecoder {
        let dictionary = (data_type == DataType::Varchar).then(Dictionary::new);
        ColumnDecoder { name: name.to_owned(), data_type, dictionary, scratch: Vec::new() }
    }

    /// Decodes all cells.
    pub(super) fn decode<C: Cells>(&mut self, cells: &C, bad: &mut BadCells) -> ArrayRef {
        match self.data_type {
            DataType::Null => new_null_array(&ArrowType::Null, cells.rows()),
            DataType::Boolean => self.booleans(cells, bad),
            DataType::SmallInt => self.primitive::<Int16Type, C>(
                cells,
                bad,
                |text| number::integer(text).and_then(|value| i16::try_from(value).ok()),
                text::parse_smallint,
            ),
            DataType::Integer => self.primitive::<Int32Type, C>(
                cells,
                bad,
                |text| number::integer(text).and_then(|value| i32::try_from(value).ok()),
                text::parse_integer,
            ),
            DataType::BigInt => self.primitive::<Int64Type, C>(cells, bad, number::integer, text::parse_bigint),
            DataType::Real => self.primitive::<Float32Type, C>(cells, bad, number::real, text::parse_real),
            DataType::Double => self.primitive::<Float64Type, C>(cells, bad, number::double, text::parse_double),
            DataType::Decimal { precision, scale } => self.decimals(cells, bad, precision, scale),
            DataType::Varchar => self.strings(cells, bad),
            DataType::Bytea => self.byteas(cells, bad),
            DataType::Date => {
                let usual = |text: &[u8]| text.try_into().ok().and_then(number::date);
                self.primitive::<Date32Type, C>(cells, bad, usual, text::parse_date)
            }
            DataType::Timestamp => Arc::new(self.timestamps(cells, bad)),
            DataType::TimestampTz => Arc::new(self.timestamps(cells, bad).with_timezone("UTC")),
            DataType::Interval => self.intervals(cells, bad),
        }
    }

    /// Runs over the cells: `usual` on bytes, `slow` on what it leaves.
    #[inline(always)]
    fn values<T: Clone, C: Cells>(
        &mut self,
        cells: &C,
        bad: &mut BadCells,
        placeholder: T,
        mut usual: impl FnMut(&[u8]) -> Option<T>,
        slow: impl Fn(&[u8]) -> Result<T, ParseError>,
    ) -> (Vec<T>, Option<NullBuffer>) {
        let mut nulls = Nulls::default();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut values = Vec::with_capacity(cells.rows());
        for row in 0..cells.rows() {
            let value = match cells.text(row, &mut scratch) {
                Ok(Some(text)) => match usual(text) {
                    Some(value) => Ok(value),
                    None => slow_value(text, &slow),
                },
                Ok(None) => {
                    nulls.push(row);
                    Ok(placeholder.clone())
                }
                Err(reason) => Err(reason),
            };
            values.push(value.unwrap_or_else(|reason| {
                self.note_bad(row, bad, reason);
                placeholder.clone()
            }));
        }
        self.scratch = scratch;
        (values, nulls.finish(cells.rows()))
    }

    /// Notes the reason of a bad cell, unless an earlier column has named one.
    #[cold]
    fn note_bad(&self, row: usize, bad: &mut BadCells, reason: String) {
        bad.entry(row as u32).or_insert_with(|| format!("column {} {}: {reason}", self.name, self.data_type));
    }

    fn primitive<T: ArrowPrimitiveType, C: Cells>(
        &mut self,
        cells: &C,
        bad: &mut BadCells,
        usual: impl FnMut(&[u8]) -> Option<T::Native>,
        slow: impl Fn(&[u8]) -> Result<T::Native, ParseError>,
    ) -> ArrayRef {
        let (values, nulls) = self.values(cells, bad, T::Native::default(), usual, slow);
        Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
    }

    fn timestamps<C: Cells>(&mut self, cells: &C, bad: &mut BadCells) -> PrimitiveArray<TimestampMicrosecondType> {
        let mut parser = TimestampParser::default();
        let zoned = self.data_type == DataType::TimestampTz;
        let slow = if zoned { text::parse_timestamptz } else { text::parse_timestamp };
        let (values, nulls) = self.values(cells, bad, 0i64, |text| parser.parse(text), slow);
        PrimitiveArray::new(ScalarBuffer::from(values), nulls)
    }

    fn booleans<C: Cells>(&mut self, cells: &C, bad: &mut BadCells) -> ArrayRef {
        let (values, nulls) = self.values(cells, bad, false, number::boolean, text::parse_boolean);
        Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
    }

    fn decimals<C: Cells>(&mut self, cells: &C, bad: &mut BadCells, precision: u8, scale: u8) -> ArrayRef {
        let limit = 10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
        let slow = |text: &[u8]| text::parse_decimal(text, precision, scale);
        let (values, nulls) = self.values(cells, bad, 0i128, |text| number::decimal(text, limit, scale), slow);
        let array = Decimal128Array::new(ScalarBuffer::from(values), nulls);
        Arc::new(array.with_data_type(ArrowType::Decimal128(precision, scale as i8)))
    }

    fn intervals<C: Cells>(&mut self, cells: &C, bad: &mut BadCells) -> ArrayRef {
        let zero = IntervalMonthDayNano::new(0, 0, 0);
        let (values, nulls) = self.values(cells, bad, zero, |_| None, interval);
        Arc::new(IntervalMonthDayNanoArray::new(ScalarBuffer::from(values), nulls))
    }

    fn byteas<C: Cells>(&mut self, cells: &C, bad: &mut BadCells) -> ArrayRef {
        let (values, nulls) = self.values(cells, bad, Vec::new(), |_| None, bytea);
        let offsets = OffsetBuffer::from_lengths(values.iter().map(Vec::len));
        Arc::new(BinaryArray::new(offsets, Buffer::from(values.concat()), nulls))
    }

    fn strings<C: Cells>(&mut self, cells: &C, bad: &mut BadCells) -> ArrayRef {
        if let Some(mut dictionary) = self.dictionary.take()
            && let Some(column) = self.shared_strings(&mut dictionary, cells, bad)
        {
            self.dictionary = Some(dictionary);
            return column;
        }
        self.plain_strings(cells, bad, false).or_else(|| self.plain_strings(cells, bad, true)).expect("each string has been checked")
    }

    /// The column as numbers of the dictionary's strings; `None` if they repeat too little.
    fn shared_strings<C: Cells>(&mut self, dictionary: &mut Dictionary, cells: &C, bad: &mut BadCells) -> Option<ArrayRef> {
        let mut nulls = Nulls::default();
        let mut refused = Vec::new();
        let mut numbers = Vec::with_capacity(cells.rows());
        let mut scratch = std::mem::take(&mut self.scratch);
        for row in 0..cells.rows() {
            let number = match cells.text(row, &mut scratch) {
                Ok(Some(text)) => match dictionary.number(text) {
                    Ok(number) => Some(number),
                    Err(Refusal::Full) => return None,
                    Err(Refusal::NotUtf8) => refuse(&mut refused, row, NOT_UTF8.to_owned()),
                },
                Ok(None) => None,
                Err(reason) => refuse(&mut refused, row, reason),
            };
            if number.is_none() {
                nulls.push(row);
            }
            numbers.push(number.unwrap_or_default());
        }
        self.scratch = scratch;
        refused.into_iter().for_each(|(row, reason)| self.note_bad(row, bad, reason));
        let keys = Int32Array::new(ScalarBuffer::from(numbers), nulls.finish(cells.rows()));
        Some(Arc::new(DictionaryArray::new(keys, dictionary.values())))
    }

    /// The column as text. Without `check_each` the column is checked as a whole, and `None` if it is not UTF-8.
    fn plain_strings<C: Cells>(&mut self, cells: &C, bad: &mut BadCells, check_each: bool) -> Option<ArrayRef> {
        let mut nulls = Nulls::default();
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(cells.rows() + 1);
        ends.push(0);
        let mut scratch = std::mem::take(&mut self.scratch);
        for row in 0..cells.rows() {
            match cells.text(row, &mut scratch) {
                Ok(Some(text)) if check_each && std::str::from_utf8(text).is_err() => {
                    self.note_bad(row, bad, NOT_UTF8.to_owned());
                }
                Ok(Some(text)) => bytes.extend_from_slice(text),
                Ok(None) => nulls.push(row),
                Err(reason) => self.note_bad(row, bad, reason),
            }
            ends.push(bytes.len() as i32);
        }
        self.scratch = scratch;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let array = StringArray::try_new(offsets, Buffer::from(bytes), nulls.finish(cells.rows())).ok()?;
        Some(Arc::new(array) as ArrayRef)
    }
}

/// Most bytes of a bad cell that its reason quotes.
const SHOWN_BYTES_MAX: usize = 100;

const NOT_UTF8: &str = "the text is not UTF-8";

#[cold]
fn refuse(refused: &mut Vec<(usize, String)>, row: usize, reason: String) -> Option<i32> {
    refused.push((row, reason));
    None
}

/// What the usual way left.
#[cold]
fn slow_value<T>(text: &[u8], slow: &impl Fn(&[u8]) -> Result<T, ParseError>) -> Result<T, String> {
    slow(text).map_err(|error| {
        let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN_BYTES_MAX)]);
        format!("'{shown}{}': {error}", if text.len() > SHOWN_BYTES_MAX { "…" } else { "" })
    })
}

fn bytea(text: &[u8]) -> Result<Vec<u8>, ParseError> {
    let mut bytes = Vec::new();
    text::parse_bytea(text, &mut bytes)?;
    Ok(bytes)
}

fn interval(text: &[u8]) -> Result<IntervalMonthDayNano, ParseError> {
    let Interval { months, days, micros } = text::parse_interval(text)?;
    let nanos = micros.checked_mul(1_000).ok_or(ParseError::OutOfRange("at most 292 years of seconds"))?;
    Ok(IntervalMonthDayNano::new(months, days, nanos))
}

/// Which rows are NULL. Most columns have none, so rows are noted one by one.
#[derive(Default)]
struct Nulls {
    rows: Vec<u32>,
}

impl Nulls {
    #[inline(always)]
    fn push(&mut self, row: usize) {
        self.rows.push(row as u32);
    }

    fn finish(self, rows: usize) -> Option<NullBuffer> {
        if self.rows.is_empty() {
            return None;
        }
        let mut valid = BooleanBufferBuilder::new(rows);
        valid.append_n(rows, true);
        self.rows.iter().for_each(|&row| valid.set_bit(row as usize, false));
        Some(NullBuffer::new(valid.finish()))
    }
}
