//! JSON lines: one object per line, columns by name.
//!
//! A missing field is NULL, as is `null`; of equal keys the last one counts; other keys are checked for syntax and ignored. An empty line is
//! no row. Strings are read like CSV fields of the same type, so numbers may be quoted; numbers go to number columns digit by digit, never through
//! a float (`1.0` and `1e3` are integers); `true` and `false` to BOOLEAN. A VARCHAR column takes anything: what is not a string is
//! kept as the JSON text that stands in the file. Everything else is a bad row, as is a line that is no JSON object or longer than
//! [`RECORD_BYTES_MAX`].

mod scan;
mod unescape;

use super::cell::Cells;
use super::column::{BadCells, ColumnDecoder};
use super::record::{RECORD_BYTES_MAX, RecordDecoder, Step};
use super::rows::{BadRecord, DecodedRows, assemble};
use arrow::datatypes::SchemaRef;
use memchr::memchr;
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_types::{DataType, Schema};
use scan::{Kind, Scanner, Token};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes one file of JSON lines.
pub struct JsonDecoder {
    schema: SchemaRef,
    types: Vec<DataType>,
    columns: Vec<ColumnDecoder>,
    lines: u64,
    /// The rest of an overlong line is being passed over.
    passing_line: bool,
    run: Run,
}

/// The records of the run in progress: per good row one token for each column.
#[derive(Default)]
struct Run {
    tokens: Vec<Token>,
    numbers: Vec<u32>,
    /// Per good row its line and where its text stands.
    places: Vec<(u64, std::ops::Range<usize>)>,
    bad: Vec<BadRecord>,
}

impl JsonDecoder {
    /// A decoder for these columns.
    pub fn new(schema: &Schema) -> JsonDecoder {
        JsonDecoder {
            schema: arrow_schema(schema),
            types: schema.fields.iter().map(|field| field.data_type).collect(),
            columns: schema.fields.iter().map(|field| ColumnDecoder::new(&field.name, field.data_type)).collect(),
            lines: 0,
            passing_line: false,
            run: Run::default(),
        }
    }

    /// Calls `each` with up to `rows_max` lines that hold a record, until it has seen them all; returns bytes used and records.
    fn for_each_line(
        &mut self,
        block: &[u8],
        at_end: bool,
        rows_max: usize,
        mut each: impl FnMut(&mut Self, u32, std::ops::Range<usize>),
    ) -> (usize, usize) {
        let (mut start, mut records) = (0, 0);
        while records < rows_max && start < block.len() {
            let found = memchr(b'\n', &block[start..]).map(|at| start + at);
            let overlong = found.unwrap_or(block.len()) - start >= RECORD_BYTES_MAX;
            let (end, next) = match found {
                Some(newline) => (newline, newline + 1),
                None if at_end || overlong || self.passing_line => (block.len(), block.len()),
                None => break,
            };
            self.lines += u64::from(!self.passing_line);
            if !std::mem::take(&mut self.passing_line) && !is_blank(&block[start..end]) {
                each(self, records as u32, start..end);
                records += 1;
            }
            self.passing_line = found.is_none() && !at_end;
            start = next;
        }
        (start, records)
    }

    /// Cuts one line into tokens.
    fn cut(&mut self, block: &[u8], number: u32, line: std::ops::Range<usize>) {
        let first = self.run.tokens.len();
        self.run.tokens.resize(first + self.columns.len(), Token::NULL);
        let result = if line.len() >= RECORD_BYTES_MAX {
            Err(format!("a record of more than {} MiB", RECORD_BYTES_MAX >> 20))
        } else {
            Scanner::new(block, line.clone()).object(&self.schema, &mut self.run.tokens[first..])
        };
        match result {
            Ok(()) => {
                self.run.numbers.push(number);
                self.run.places.push((self.lines, line));
            }
            Err(reason) => {
                self.run.tokens.truncate(first);
                self.run.bad.push(BadRecord::new(number, format!("line {}: {reason}", self.lines), block[line].trim_ascii_end()));
            }
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

impl RecordDecoder for JsonDecoder {
    fn read_header(&mut self, block: &[u8], at_end: bool) -> Result<Option<Step<()>>, String> {
        if !at_end && block.len() < BYTE_ORDER_MARK.len() {
            return Ok(None);
        }
        let consumed = if block.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Ok(Some(Step { consumed, result: () }))
    }

    fn decode(&mut self, block: &[u8], at_end: bool, rows_max: usize) -> Step<DecodedRows> {
        self.run = Run::default();
        let (consumed, _) = self.for_each_line(block, at_end, rows_max, |decoder, number, line| decoder.cut(block, number, line));
        let run = std::mem::take(&mut self.run);
        let (rows, stride) = (run.numbers.len(), self.columns.len());
        let mut bad_cells = BadCells::new();
        let columns = self.columns.iter_mut().zip(&self.types).enumerate();
        let columns = columns
            .map(|(column, (decoder, &data_type))| {
                decoder.decode(&JsonCells { block, tokens: &run.tokens, column, stride, rows, data_type }, &mut bad_cells)
            })
            .collect();
        let name = |(row, reason): (u32, String)| {
            let (line, place) = &run.places[row as usize];
            let text = block[place.clone()].trim_ascii_end();
            (row, BadRecord::new(run.numbers[row as usize], format!("line {line}, {reason}"), text))
        };
        let bad_cells = bad_cells.into_iter().map(name).collect();
        Step { consumed, result: assemble(&self.schema, columns, &run.numbers, run.bad, bad_cells) }
    }

    fn skip(&mut self, block: &[u8], at_end: bool, rows_max: usize) -> Step<usize> {
        let (consumed, result) = self.for_each_line(block, at_end, rows_max, |_, _, _| {});
        Step { consumed, result }
    }

    fn lines(&self) -> u64 {
        self.lines
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

/// One column of the tokens.
struct JsonCells<'a> {
    block: &'a [u8],
    tokens: &'a [Token],
    column: usize,
    stride: usize,
    rows: usize,
    data_type: DataType,
}

impl JsonCells<'_> {
    /// A number, for a column of another type than VARCHAR.
    fn number<'a>(&self, raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, String> {
        if self.data_type.is_integer() && raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return match unescape::integral(raw, scratch) {
                true => Ok(Some(scratch)),
                false => Err(format!("{} is not a whole number in range", String::from_utf8_lossy(raw))),
            };
        }
        if self.data_type.is_numeric() { Ok(Some(raw)) } else { self.mismatch("a number") }
    }

    fn mismatch<'a>(&self, what: &str) -> Result<Option<&'a [u8]>, String> {
        Err(format!("{what} where a value of type {} is expected", self.data_type))
    }
}

impl Cells for JsonCells<'_> {
    #[inline(always)]
    fn rows(&self) -> usize {
        self.rows
    }

    #[inline(always)]
    fn text<'a>(&'a self, row: usize, scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, String> {
        let token = self.tokens[row * self.stride + self.column];
        let raw = token.text(self.block);
        match token.kind {
            Kind::Null => Ok(None),
            Kind::String => Ok(Some(raw)),
            Kind::EscapedString => unescape::unescape(raw, scratch).map(|()| Some(scratch.as_slice())),
            _ if self.data_type == DataType::Varchar => Ok(Some(raw)),
            Kind::Number => self.number(raw, scratch),
            Kind::Boolean if self.data_type == DataType::Boolean => Ok(Some(raw)),
            Kind::Boolean => self.mismatch("true or false"),
            Kind::Nested => self.mismatch("an object or array"),
        }
    }
}
