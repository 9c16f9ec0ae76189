//! Reads a parquet file: only the declared columns, row group by row group.
//!
//! An offset is reached by leaving out the row groups before it and passing over rows within the first one that is read.

use super::super::error::{SourceError, SourceErrorKind};
use super::super::{SourcePoll, SourceRows, SplitReader};
use super::paths;
use crate::decode::parquet::{ParquetDecoder, ParquetMismatch};
use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;
use raympp_types::{Offset, Schema};
use std::fs::File;
use std::path::Path;

/// Most rows decoded at a time, and most bytes, as far as the file tells: Arrow's strings end at 2 GiB a batch.
const ROWS_PER_READ: u64 = 8_192;
const BYTES_PER_READ: u64 = 64 << 20;

/// Reader of one parquet file.
pub(super) struct ParquetReader {
    name: String,
    reader: ParquetRecordBatchReader,
    decoder: ParquetDecoder,
    /// Decoded rows that have not been handed out.
    left: Option<RecordBatch>,
    next: Offset,
    rows: u64,
    size_bytes: u64,
    failed: Option<SourceError>,
}

impl ParquetReader {
    /// Opens a file such that the row at offset `at` comes first.
    pub(super) fn open(path: &Path, schema: &Schema, at: Offset) -> Result<ParquetReader, SourceError> {
        let name = path.display().to_string();
        let file = paths::open(path)?;
        let size_bytes = file.metadata().map_err(|error| paths::io_error(path, &error))?.len();
        let broken = |error: &dyn std::fmt::Display| format_error(&name, error);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| broken(&error))?;
        let decoder = ParquetDecoder::new(schema, builder.schema()).map_err(|mismatch| mismatch_error(&name, mismatch))?;
        let rows = rows_of(builder.metadata());
        if at.0 > rows {
            return Err(
                SourceError::new(SourceErrorKind::OffsetBeyondEnd, format!("asked for row {at}, but the file has {rows} rows")).split(name)
            );
        }
        let reader = positioned(builder, schema, at).build().map_err(|error| broken(&error))?;
        Ok(ParquetReader { name, reader, decoder, left: None, next: at, rows, size_bytes, failed: None })
    }

    fn advance(&mut self, rows_max: usize) -> Result<SourcePoll, SourceError> {
        let batch = match self.left.take().map_or_else(|| self.read(), |left| Ok(Some(left)))? {
            Some(batch) => batch,
            None => return self.end(),
        };
        let rows = batch.num_rows().min(rows_max);
        if rows < batch.num_rows() {
            self.left = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        let from = self.next;
        let decoded = self.decoder.convert(&batch.slice(0, rows));
        let mut decoded = decoded.map_err(|problem| format_error(&self.name, &problem).offset(from))?;
        self.next.0 += rows as u64;
        let bad = decoded.bad_at(from);
        Ok(SourcePoll::Rows(SourceRows { from, to: self.next, batch: decoded.batch, row_offsets: decoded.row_numbers, bad }))
    }

    /// The next rows of the file; `None` at its end.
    fn read(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        loop {
            match self.reader.next() {
                None => return Ok(None),
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => return Ok(Some(batch)),
                Some(Err(error)) => return Err(format_error(&self.name, &error).offset(self.next)),
            }
        }
    }

    fn end(&self) -> Result<SourcePoll, SourceError> {
        if self.next.0 == self.rows {
            return Ok(SourcePoll::End);
        }
        let problem = format!("the file ends after {} of {} rows", self.next, self.rows);
        Err(SourceError::new(SourceErrorKind::Format, problem).split(self.name.clone()))
    }
}

fn rows_of(metadata: &ParquetMetaData) -> u64 {
    metadata.row_groups().iter().map(|group| group.num_rows().max(0) as u64).sum()
}

/// Rows to decode at a time.
fn rows_per_read(metadata: &ParquetMetaData) -> usize {
    let row_bytes = metadata.row_groups().iter().map(|group| group.total_byte_size().max(0) as u64 / group.num_rows().max(1) as u64);
    (BYTES_PER_READ / row_bytes.max().unwrap_or(0).max(1)).clamp(1, ROWS_PER_READ) as usize
}

/// Restricts a reader to the declared columns and to the rows from `at` on.
fn positioned(builder: ParquetRecordBatchReaderBuilder<File>, schema: &Schema, at: Offset) -> ParquetRecordBatchReaderBuilder<File> {
    let declared = |&column: &usize| schema.index_of(builder.schema().field(column).name()).is_some();
    let roots: Vec<usize> = (0..builder.schema().fields().len()).filter(declared).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let mut before = at.0;
    let mut groups = Vec::new();
    for (number, group) in builder.metadata().row_groups().iter().enumerate() {
        let rows = group.num_rows().max(0) as u64;
        if groups.is_empty() && rows <= before {
            before -= rows;
        } else {
            groups.push(number);
        }
    }
    let rows = rows_per_read(builder.metadata());
    builder.with_projection(mask).with_batch_size(rows).with_row_groups(groups).with_offset(before as usize)
}

fn format_error(name: &str, error: &dyn std::fmt::Display) -> SourceError {
    SourceError::new(SourceErrorKind::Format, format!("not a readable parquet file: {error}")).split(name)
}

fn mismatch_error(name: &str, mismatch: ParquetMismatch) -> SourceError {
    let (kind, message) = match mismatch {
        ParquetMismatch::Missing(message) => (SourceErrorKind::Format, message),
        ParquetMismatch::Type(message) => (SourceErrorKind::Type, message),
    };
    SourceError::new(kind, message).split(name).hint("declare the column as the file has it, or wider")
}

impl SplitReader for ParquetReader {
    fn poll(&mut self, _now_us: u64, rows_max: usize) -> Result<SourcePoll, SourceError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let polled = self.advance(rows_max.max(1));
        if let Err(error) = &polled {
            self.failed = Some(error.clone());
        }
        polled
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let done = u128::from(self.size_bytes) * u128::from(self.next.0) / u128::from(self.rows.max(1));
        Some((if self.rows == 0 { self.size_bytes } else { done as u64 }, self.size_bytes))
    }
}
