//! From a staged Arrow IPC stream to a parquet part, and what a published parquet part says of itself.
//!
//! The result is a function of the staged bytes, so a conversion that a crash cut short is simply made again.

use super::super::error::{SinkError, SinkErrorKind};
use super::disk::{Disk, trouble};
use super::state::Part;
use arrow::datatypes::SchemaRef;
use arrow_ipc::reader::StreamReader;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Writes the staged rows of a part as a parquet file, durably.
pub(super) fn to_parquet(disk: &Disk, part: Part, staged: &Path, parquet: &Path, schema: &SchemaRef) -> Result<(), SinkError> {
    let unreadable = |reason: String| {
        SinkError::new(SinkErrorKind::Missing, format!("the staged rows can't be read: {reason}"))
            .path(staged)
            .hint(format!("it holds {} rows; put it back as it was, or drop the sink and make one with another path", part.rows))
    };
    let unwritable =
        |error: ParquetError| SinkError::new(SinkErrorKind::Io, format!("can't write the parquet file: {error}")).path(parquet).retryable();
    let file = File::open(staged).map_err(|error| trouble("read the staged rows", staged, &error))?;
    let stream = BufReader::new(file).take(part.bytes);
    let batches = StreamReader::try_new(stream, None).map_err(|error| unreadable(error.to_string()))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(disk.writer(parquet)?, schema.clone(), Some(properties)).map_err(unwritable)?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch.map_err(|error| unreadable(error.to_string()))?;
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(unwritable)?;
    }
    if rows != part.rows {
        return Err(unreadable(format!("{rows} rows are there")));
    }
    writer.into_inner().map_err(unwritable)?.sync()
}

/// Rows of a parquet file.
pub(super) fn rows_of(path: &Path) -> Result<u64, SinkError> {
    let file = File::open(path).map_err(|error| trouble("read the part", path, &error))?;
    let unreadable = |error: ParquetError| SinkError::new(SinkErrorKind::Missing, format!("the part can't be read: {error}")).path(path);
    let reader = SerializedFileReader::new(file).map_err(unreadable)?;
    Ok(reader.metadata().file_metadata().num_rows() as u64)
}
