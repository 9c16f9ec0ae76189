//! CSV with a header: columns by name, cells by position.
//!
//! See [`split`] for what is a record. A field that is empty and unquoted is NULL, `""` is the empty string. A byte order mark is passed
//! over. Columns of the file that are not declared are cut but not looked at; a record is bad if any declared column is.

mod split;

use super::cell::Cells;
use super::column::{BadCells, ColumnDecoder};
use super::record::{RECORD_BYTES_MAX, RecordDecoder, Step};
use super::rows::{BadRecord, DecodedRows, assemble};
use arrow::datatypes::SchemaRef;
use memchr::memchr_iter;
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_types::Schema;
use split::{CsvIndex, CsvSplitter, Outcome, fields_of_record};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes one CSV file.
pub struct CsvDecoder {
    schema: SchemaRef,
    columns: Vec<ColumnDecoder>,
    /// Per declared column: its position in the file.
    positions: Vec<usize>,
    splitter: CsvSplitter,
    index: CsvIndex,
}

impl CsvDecoder {
    /// A decoder of a file with at least these columns.
    pub fn new(schema: &Schema) -> CsvDecoder {
        let columns = schema.fields.iter().map(|field| ColumnDecoder::new(&field.name, field.data_type)).collect();
        CsvDecoder {
            schema: arrow_schema(schema),
            columns,
            positions: Vec::new(),
            splitter: CsvSplitter::new(0, 0),
            index: CsvIndex::default(),
        }
    }

    /// Finds the declared columns among the names of the header.
    fn bind(&mut self, names: &[String]) -> Result<(), String> {
        let mut positions = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let mut found = names.iter().enumerate().filter(|(_, name)| *name == field.name());
            match (found.next(), found.next()) {
                (Some((position, _)), None) => positions.push(position),
                (Some(_), Some(_)) => return Err(format!("the header names column {} twice", field.name())),
                (None, _) => return Err(missing_column(field.name(), names)),
            }
        }
        self.positions = positions;
        Ok(())
    }
}

fn missing_column(name: &str, names: &[String]) -> String {
    let folded = names.iter().find(|other| other.to_lowercase() == name.to_lowercase());
    let hint = folded.map_or(String::new(), |other| format!("; to read {other:?}, declare the column with that spelling in double quotes"));
    format!("the header has no column {name}: it has {}{hint}", names.join(", "))
}

impl RecordDecoder for CsvDecoder {
    fn read_header(&mut self, block: &[u8], at_end: bool) -> Result<Option<Step<()>>, String> {
        if !at_end && block.len() < BYTE_ORDER_MARK.len() {
            return Ok(None);
        }
        let start = if block.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        if at_end && block.len() == start {
            return Err("the file is empty: a CSV file starts with a header".to_owned());
        }
        let mut ends = Vec::new();
        match fields_of_record(block, start, at_end, &mut ends) {
            Outcome::Complete { next, well_formed: true, .. } => {
                let names = header_names(block, start, &ends)?;
                self.bind(&names)?;
                let lines = memchr_iter(b'\n', &block[..next]).count() as u64;
                self.splitter = CsvSplitter::new(names.len(), lines);
                Ok(Some(Step { consumed: next, result: () }))
            }
            Outcome::Complete { well_formed: false, .. } => Err("the header has a quote where none may be".to_owned()),
            Outcome::Open if at_end => Err("the header has a quote that is never closed".to_owned()),
            Outcome::Open if block.len() > RECORD_BYTES_MAX => Err("the header is longer than a record may be".to_owned()),
            Outcome::Open => Ok(None),
        }
    }

    fn decode(&mut self, block: &[u8], at_end: bool, rows_max: usize) -> Step<DecodedRows> {
        let (consumed, _) = self.splitter.split(block, at_end, rows_max, &mut self.index);
        let mut bad_cells = BadCells::new();
        let index = &self.index;
        let cells = self.columns.iter_mut().zip(&self.positions);
        let columns = cells.map(|(column, &field)| column.decode(&CsvCells { block, index, field }, &mut bad_cells)).collect();
        let lines = LineCounter::new(&self.index, block, consumed, self.splitter.lines);
        let bad_cells = lines.name(bad_cells);
        let uncut = std::mem::take(&mut self.index.bad);
        Step { consumed, result: assemble(&self.schema, columns, &self.index.numbers, uncut, bad_cells) }
    }

    fn skip(&mut self, block: &[u8], at_end: bool, rows_max: usize) -> Step<usize> {
        let (consumed, records) = self.splitter.split(block, at_end, rows_max, &mut self.index);
        Step { consumed, result: records }
    }

    fn lines(&self) -> u64 {
        self.splitter.lines
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

/// Finds the line of a bad row: counted backwards from the end of the run, since that is where the splitter stands.
struct LineCounter<'a> {
    index: &'a CsvIndex,
    block: &'a [u8],
    consumed: usize,
    lines: u64,
}

impl<'a> LineCounter<'a> {
    fn new(index: &'a CsvIndex, block: &'a [u8], consumed: usize, lines: u64) -> LineCounter<'a> {
        LineCounter { index, block, consumed, lines }
    }

    /// Turns rows and reasons into bad records with line and text.
    fn name(&self, bad: BadCells) -> std::collections::BTreeMap<u32, BadRecord> {
        let mut at = self.consumed;
        let mut line = self.lines + u64::from(at == 0 || self.block[at - 1] == b'\n');
        let mut named = std::collections::BTreeMap::new();
        for (row, reason) in bad.into_iter().rev() {
            let start = self.index.start(row as usize);
            line -= memchr_iter(b'\n', &self.block[start..at]).count() as u64;
            at = start;
            let record = self.index.record(self.block, row as usize);
            let number = self.index.numbers[row as usize];
            named.insert(row, BadRecord::new(number, format!("line {line}, {reason}"), record));
        }
        named
    }
}

/// Names in a header record.
fn header_names(block: &[u8], start: usize, ends: &[u32]) -> Result<Vec<String>, String> {
    let mut names = Vec::with_capacity(ends.len());
    let mut at = start;
    let mut scratch = Vec::new();
    for &end in ends {
        let name = unquote(&block[at..end as usize], &mut scratch).unwrap_or_default();
        names.push(std::str::from_utf8(name).map_err(|_| "the header is not UTF-8".to_owned())?.to_owned());
        at = end as usize + 1;
    }
    Ok(names)
}

/// A field of all rows of an index.
struct CsvCells<'a> {
    block: &'a [u8],
    index: &'a CsvIndex,
    field: usize,
}

impl Cells for CsvCells<'_> {
    #[inline(always)]
    fn rows(&self) -> usize {
        self.index.rows()
    }

    #[inline(always)]
    fn text<'a>(&'a self, row: usize, scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, String> {
        Ok(unquote(self.index.field(self.block, row, self.field), scratch))
    }
}

/// The text of a raw field whose quoting is well formed.
#[inline(always)]
fn unquote<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    match raw.first() {
        None => None,
        Some(b'"') => Some(unquote_quoted(raw, scratch)),
        Some(_) => Some(raw),
    }
}

fn unquote_quoted<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let mut rest = &raw[1..raw.len() - 1];
    if memchr::memchr(b'"', rest).is_none() {
        return rest;
    }
    scratch.clear();
    while let Some(quote) = memchr::memchr(b'"', rest) {
        scratch.extend_from_slice(&rest[..=quote]);
        rest = &rest[quote + 2..];
    }
    scratch.extend_from_slice(rest);
    scratch
}
