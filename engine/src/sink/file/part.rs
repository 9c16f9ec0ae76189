//! One part being written.

use super::super::encode::{csv_header, encode_csv, encode_jsonl, interval_texts};
use super::super::error::{SinkError, SinkErrorKind};
use super::{Format, PartHandle};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Text is handed to the file in blocks of at least this many bytes.
const BLOCK_BYTES: usize = 256 << 10;

/// Schema of the files of a format. Parquet has no type for INTERVAL as SQL means it; there it is text.
pub(super) fn file_schema(schema: &SchemaRef, format: Format) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        ArrowType::Interval(_) if format == Format::Parquet => Field::new(field.name(), ArrowType::Utf8, true),
        _ => field.as_ref().clone(),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// A column as files hold it, as far as a cast can't see to it: intervals as text.
pub(super) fn file_column(column: &ArrayRef, target: &ArrowType) -> Option<ArrayRef> {
    match (column.data_type(), target) {
        (ArrowType::Interval(_), ArrowType::Utf8) => interval_texts(column).map(|texts| Arc::new(texts) as ArrayRef),
        _ => cast(column, target).ok(),
    }
}

/// A part under its temporary name.
pub(super) struct PartWriter {
    number: u64,
    path: PathBuf,
    rows: u64,
    output: Output,
}

enum Output {
    Text { file: File, format: Format, pending: Vec<u8>, bytes: u64 },
    Parquet(Box<ArrowWriter<File>>),
}

impl PartWriter {
    /// Starts a part; a CSV part with its header.
    pub(super) fn create(number: u64, path: &Path, format: Format, schema: &SchemaRef) -> Result<PartWriter, SinkError> {
        let file = File::create(path).map_err(|error| SinkError::io("make the file", path, &error))?;
        let output = match format {
            Format::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
                let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
                Output::Parquet(Box::new(writer.map_err(|error| parquet_error(path, &error))?))
            }
            Format::Csv | Format::JsonLines | Format::Table => {
                let mut pending = Vec::new();
                if format == Format::Csv {
                    csv_header(schema, &mut pending);
                }
                Output::Text { file, format, pending, bytes: 0 }
            }
        };
        Ok(PartWriter { number, path: path.to_owned(), rows: 0, output })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds rows of the files' schema.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.rows += batch.num_rows() as u64;
        match &mut self.output {
            Output::Parquet(writer) => writer.write(batch).map_err(|error| parquet_error(&self.path, &error)),
            Output::Text { file, format, pending, bytes } => {
                match format {
                    Format::JsonLines => encode_jsonl(batch, pending)?,
                    _ => encode_csv(batch, pending, false)?,
                }
                if pending.len() >= BLOCK_BYTES { write_out(file, pending, bytes, &self.path) } else { Ok(()) }
            }
        }
    }

    /// Ends the part; from here on it survives a crash.
    pub(super) fn finish(self) -> Result<PartHandle, SinkError> {
        let PartWriter { number, path, rows, output } = self;
        let (file, bytes) = match output {
            Output::Parquet(writer) => {
                let file = writer.into_inner().map_err(|error| parquet_error(&path, &error))?;
                let bytes = file.metadata().map_err(|error| SinkError::io("look at the file", &path, &error))?.len();
                (file, bytes)
            }
            Output::Text { mut file, mut pending, mut bytes, .. } => {
                write_out(&mut file, &mut pending, &mut bytes, &path)?;
                (file, bytes)
            }
        };
        file.sync_all().map_err(|error| SinkError::io("make the file durable", &path, &error))?;
        Ok(PartHandle { number, rows, bytes })
    }
}

fn write_out(file: &mut File, pending: &mut Vec<u8>, bytes: &mut u64, path: &Path) -> Result<(), SinkError> {
    file.write_all(pending).map_err(|error| SinkError::io("write", path, &error))?;
    *bytes += pending.len() as u64;
    pending.clear();
    Ok(())
}

fn parquet_error(path: &Path, error: &parquet::errors::ParquetError) -> SinkError {
    SinkError::new(SinkErrorKind::Io, format!("can't write the parquet file: {error}")).path(path)
}
