//! A sink that writes text to a stream, such as the terminal.

use super::encode::{csv_header, encode_csv, encode_jsonl};
use super::error::{SinkError, SinkErrorKind};
use super::table::TableWriter;
use super::{Cut, Format, Sink, SinkHandle};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_types::{Epoch, Schema};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};

/// Writes rows to `W`, when their epoch is committed. A stream can't be asked what of it has arrived, so a crash between the decision to commit an
/// epoch and its last byte loses the rest of the epoch's rows; no row is ever written twice. Each run writes its own header.
pub struct TextSink<W> {
    out: W,
    format: Format,
    schema: SchemaRef,
    table: TableWriter,
    /// Text of rows that have not been committed.
    pending: Vec<u8>,
    /// Prepared epochs, each with the bytes of `pending` that it and those before it have.
    prepared: BTreeMap<Epoch, usize>,
    header_due: bool,
}

impl<W: Write + Send> TextSink<W> {
    /// A sink in a text format.
    pub fn new(out: W, format: Format, schema: &Schema) -> TextSink<W> {
        TextSink {
            out,
            format,
            schema: arrow_schema(schema),
            table: TableWriter::default(),
            pending: Vec::new(),
            prepared: BTreeMap::new(),
            header_due: true,
        }
    }

    /// The stream written to.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Writes the first `bytes` of what is pending.
    fn write(&mut self, bytes: usize) -> Result<(), SinkError> {
        let text: Vec<u8> = self.pending.drain(..bytes).collect();
        let written = self.out.write_all(&text).and_then(|()| self.out.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => SinkError::new(SinkErrorKind::Closed, "nobody reads the output any longer"),
            _ => SinkError::new(SinkErrorKind::Io, format!("can't write the output: {error}")),
        })
    }

    /// The columns' names, if they have not been written.
    fn write_header(&mut self) -> Result<(), SinkError> {
        match self.format {
            Format::JsonLines => {}
            Format::Table => self.table.append(&RecordBatch::new_empty(self.schema.clone()), &mut self.pending)?,
            Format::Csv | Format::Parquet if std::mem::take(&mut self.header_due) => csv_header(&self.schema, &mut self.pending),
            Format::Csv | Format::Parquet => {}
        }
        Ok(())
    }
}

impl<W: Write + Send> Sink for TextSink<W> {
    fn recover(&mut self, _from: Option<&SinkHandle>) -> Result<(), SinkError> {
        Ok(())
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        match self.format {
            Format::JsonLines => encode_jsonl(batch, &mut self.pending),
            Format::Table => self.table.append(batch, &mut self.pending),
            Format::Csv | Format::Parquet => encode_csv(batch, &mut self.pending, std::mem::take(&mut self.header_due)),
        }
    }

    /// What is written can't be taken back, so there is nothing to remember.
    fn prepare(&mut self, epoch: Epoch, cut: Cut) -> Result<SinkHandle, SinkError> {
        if cut == Cut::End {
            self.write_header()?;
        }
        self.prepared.insert(epoch, self.pending.len());
        Ok(SinkHandle::new([HANDLE_VERSION]))
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let Some(bytes) = self.prepared.remove(&epoch) else { return Ok(()) };
        self.prepared.retain(|later, _| *later > epoch);
        self.prepared.values_mut().for_each(|end| *end -= bytes);
        self.write(bytes)
    }

    fn end(&mut self) -> Result<(), SinkError> {
        self.pending.clear();
        self.prepared.clear();
        Ok(())
    }

    /// Somebody may be looking.
    fn roll_us(&self) -> u64 {
        100_000
    }
}

/// First byte of a handle.
const HANDLE_VERSION: u8 = 1;
