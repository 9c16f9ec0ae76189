//! Rows as text: CSV, JSON lines, and the cells of tables.
//!
//! CSV: NULL is an empty field, the empty string is `""`; a string is quoted if it holds a comma, a quote or a line break. JSON: every
//! column is a field of its object, NULL is `null`; integers, decimals and finite floats are numbers with all their digits, NaN and
//! infinities are strings, like everything else. What is written reads back as the same values, through the decoders of this crate. Cost:
//! one match per cell, no allocation.

mod cell;
mod number;

pub(super) use cell::{CellWriter, Shape, interval_texts};

use super::error::{SinkError, SinkErrorKind};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use memchr::{memchr, memchr3};

/// Appends the rows of a batch as CSV, after the names of its columns if `header`.
pub fn encode_csv(batch: &RecordBatch, out: &mut Vec<u8>, header: bool) -> Result<(), SinkError> {
    if header {
        csv_header(batch.schema_ref(), out);
    }
    let columns = cells_of(batch)?;
    for row in 0..batch.num_rows() {
        for (position, column) in columns.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            csv_cell(column, row, out);
        }
        out.push(b'\n');
    }
    Ok(())
}

/// Appends the header of a CSV file.
pub fn csv_header(schema: &Schema, out: &mut Vec<u8>) {
    for (position, field) in schema.fields().iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        csv_string(field.name().as_bytes(), out);
    }
    out.push(b'\n');
}

fn csv_cell(column: &CellWriter<'_>, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        return;
    }
    match column.string(row) {
        Some(text) => csv_string(text.as_bytes(), out),
        None => column.write(row, out),
    }
}

fn csv_string(text: &[u8], out: &mut Vec<u8>) {
    let plain = !text.is_empty() && memchr3(b',', b'"', b'\n', text).is_none() && memchr(b'\r', text).is_none();
    if plain {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    let mut rest = text;
    while let Some(quote) = memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=quote]);
        out.push(b'"');
        rest = &rest[quote + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends the rows of a batch as JSON objects, one per line.
pub fn encode_jsonl(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), SinkError> {
    let columns = cells_of(batch)?;
    let keys: Vec<Vec<u8>> =
        batch.schema_ref().fields().iter().enumerate().map(|(position, field)| json_key(position, field.name())).collect();
    for row in 0..batch.num_rows() {
        out.push(b'{');
        for (key, column) in keys.iter().zip(&columns) {
            out.extend_from_slice(key);
            json_cell(column, row, out);
        }
        out.extend_from_slice(b"}\n");
    }
    Ok(())
}

/// `,"name":`
fn json_key(position: usize, name: &str) -> Vec<u8> {
    let mut key = if position > 0 { vec![b','] } else { Vec::new() };
    json_string(name.as_bytes(), &mut key);
    key.push(b':');
    key
}

fn json_cell(column: &CellWriter<'_>, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
    } else if let Some(text) = column.string(row) {
        json_string(text.as_bytes(), out);
    } else if column.is_bare(row) {
        column.write(row, out);
    } else {
        out.push(b'"');
        let start = out.len();
        column.write(row, out);
        escape_backslashes(start, out);
        out.push(b'"');
    }
}

/// Doubles the backslashes behind `start`, which BYTEA has one of.
fn escape_backslashes(start: usize, out: &mut Vec<u8>) {
    if memchr(b'\\', &out[start..]).is_some() {
        let text = out.split_off(start);
        text.iter().for_each(|&byte| out.extend_from_slice(if byte == b'\\' { b"\\\\" } else { std::slice::from_ref(&byte) }));
    }
}

fn json_string(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut plain_from = 0;
    for (at, &byte) in text.iter().enumerate().filter(|(_, byte)| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        out.extend_from_slice(&text[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    out.extend_from_slice(&text[plain_from..]);
    out.push(b'"');
}

/// Writers of a batch's columns.
pub(super) fn cells_of(batch: &RecordBatch) -> Result<Vec<CellWriter<'_>>, SinkError> {
    let fields = batch.schema_ref().fields().iter();
    fields
        .zip(batch.columns())
        .map(|(field, column)| {
            CellWriter::of(column.as_ref()).ok_or_else(|| {
                SinkError::new(SinkErrorKind::Type, format!("column {} of type {} can't be written", field.name(), field.data_type()))
            })
        })
        .collect()
}
