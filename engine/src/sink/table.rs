//! Rows as a table with aligned columns, for people.

use super::encode::{CellWriter, Shape, cells_of};
use super::error::SinkError;
use arrow::array::RecordBatch;

/// Writes a table bit by bit: the header before the first rows, columns as wide as the widest cell so far.
#[derive(Debug, Default)]
pub struct TableWriter {
    widths: Vec<usize>,
    header_written: bool,
}

impl TableWriter {
    /// Appends rows, and the header if there has been none.
    pub fn append(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), SinkError> {
        let columns = cells_of(batch)?;
        let cells: Vec<Vec<String>> = columns.iter().map(|column| (0..batch.num_rows()).map(|row| cell(column, row)).collect()).collect();
        let names: Vec<&str> = batch.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
        self.widths.resize(names.len(), 0);
        for ((width, name), cells) in self.widths.iter_mut().zip(&names).zip(&cells) {
            let widest = cells.iter().map(|text| length(text)).max().unwrap_or(0);
            *width = (*width).max(length(name)).max(widest);
        }
        if !std::mem::replace(&mut self.header_written, true) {
            self.line(out, names.iter().map(|name| (*name, Shape::Text)));
            let rules: Vec<String> = self.widths.iter().map(|&width| "-".repeat(width)).collect();
            self.line(out, rules.iter().map(|rule| (rule.as_str(), Shape::Text)));
        }
        for row in 0..batch.num_rows() {
            self.line(out, columns.iter().zip(&cells).map(|(column, cells)| (cells[row].as_str(), column.shape())));
        }
        Ok(())
    }

    fn line<'a>(&self, out: &mut Vec<u8>, cells: impl Iterator<Item = (&'a str, Shape)>) {
        let start = out.len();
        for (position, ((text, shape), &width)) in cells.zip(&self.widths).enumerate() {
            let padding = " ".repeat(width - length(text));
            let between = if position > 0 { "  " } else { "" };
            let (before, after) = if shape == Shape::Number { (padding.as_str(), "") } else { ("", padding.as_str()) };
            [between, before, text, after].iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        }
        while out.len() > start && out.last() == Some(&b' ') {
            out.pop();
        }
        out.push(b'\n');
    }
}

/// Whole batches of one schema as one table.
pub fn format_table(batches: &[RecordBatch]) -> Result<String, SinkError> {
    let mut table = TableWriter::default();
    // The first pass finds how wide the columns are, the second writes.
    batches.iter().try_for_each(|batch| table.append(batch, &mut Vec::new()))?;
    table.header_written = false;
    let mut out = Vec::new();
    batches.iter().try_for_each(|batch| table.append(batch, &mut out))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Characters a text takes on the screen, nearly.
fn length(text: &str) -> usize {
    text.chars().count()
}

/// A cell on one line: control characters are shown as escapes.
fn cell(column: &CellWriter<'_>, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    let mut bytes = Vec::new();
    column.write(row, &mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
    } else {
        text.into_owned()
    }
}
