//! A sink that writes text to a stream, such as the terminal.

use super::encode::{csv_header, encode_csv, encode_jsonl};
use super::error::{SinkError, SinkErrorKind};
use super::table::TableWriter;
use super::{Format, Sink};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_types::Schema;
use std::io::{ErrorKind, Write};

/// Writes rows to `W`. What is appended is written by the next publication, or earlier when it gets much.
pub struct TextSink<W> {
    out: W,
    format: Format,
    schema: SchemaRef,
    table: TableWriter,
    pending: Vec<u8>,
    header_due: bool,
}

/// Most bytes held back.
const PENDING_BYTES_MAX: usize = 64 << 10;

impl<W: Write + Send> TextSink<W> {
    /// A sink in a text format.
    pub fn new(out: W, format: Format, schema: &Schema) -> TextSink<W> {
        TextSink { out, format, schema: arrow_schema(schema), table: TableWriter::default(), pending: Vec::new(), header_due: true }
    }

    /// The stream written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let written = self.out.write_all(&self.pending).and_then(|()| self.out.flush());
        self.pending.clear();
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => SinkError::new(SinkErrorKind::Closed, "nobody reads the output any longer"),
            _ => SinkError::new(SinkErrorKind::Io, format!("can't write the output: {error}")),
        })
    }
}

impl<W: Write + Send> Sink for TextSink<W> {
    fn append(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        match self.format {
            Format::JsonLines => encode_jsonl(batch, &mut self.pending)?,
            Format::Table => self.table.append(batch, &mut self.pending)?,
            Format::Csv | Format::Parquet => encode_csv(batch, &mut self.pending, std::mem::take(&mut self.header_due))?,
        }
        if self.pending.len() >= PENDING_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    fn publish(&mut self) -> Result<(), SinkError> {
        self.flush()
    }

    /// Somebody may be looking.
    fn roll_us(&self) -> u64 {
        100_000
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        match self.format {
            Format::JsonLines => {}
            Format::Table => self.table.append(&RecordBatch::new_empty(self.schema.clone()), &mut self.pending)?,
            Format::Csv | Format::Parquet if std::mem::take(&mut self.header_due) => csv_header(&self.schema, &mut self.pending),
            Format::Csv | Format::Parquet => {}
        }
        self.flush()
    }
}
