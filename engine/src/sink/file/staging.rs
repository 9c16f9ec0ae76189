//! The part in progress: a file that rows are appended to, which can be cut back to any length it was made durable with.
//!
//! Text stages the part itself, so publication is a rename. A parquet file is only readable with its footer, so there an Arrow IPC stream
//! without an end is staged, message by message, and becomes parquet when the part is complete ([`super::convert`]). Either way a prefix that
//! ends where rows were made durable is whole, which is all that recovery needs.

use super::super::encode::{csv_header, encode_csv, encode_jsonl};
use super::super::error::{SinkError, SinkErrorKind};
use super::Format;
use super::disk::{Disk, length, trouble};
use super::state::Part;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_ipc::writer::StreamWriter;
use raympp_state::crash_point::{CrashPoint, visit};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Bytes are handed to the file in blocks of at least this many.
const BLOCK_BYTES: usize = 256 << 10;

/// How rows become bytes.
enum Encoder {
    Csv,
    JsonLines,
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

/// See the module.
pub(super) struct Staging {
    path: PathBuf,
    file: File,
    encoder: Encoder,
    /// As it will be when what is pending has been written.
    part: Part,
    pending: Vec<u8>,
    /// Something has been added since it was made durable.
    changed: bool,
    /// Its name has not been made durable.
    new: bool,
}

impl Staging {
    /// Starts a part; a CSV part with its header.
    pub(super) fn create(disk: &Disk, number: u64, path: &Path, format: Format, schema: &SchemaRef) -> Result<Staging, SinkError> {
        let (encoder, pending) = encoder(format, schema, path)?;
        let part = Part { number, rows: 0, bytes: pending.len() as u64 };
        Ok(Staging { path: path.to_owned(), file: disk.create(path)?, encoder, part, pending, changed: true, new: true })
    }

    /// Goes on with a part as it was once made durable; what was added after that is cut off.
    pub(super) fn resume(disk: &Disk, part: Part, path: &Path, format: Format, schema: &SchemaRef) -> Result<Staging, SinkError> {
        require(part, path)?;
        let (encoder, _) = encoder(format, schema, path)?;
        let file = disk.resume(path, part.bytes)?;
        Ok(Staging { path: path.to_owned(), file, encoder, part, pending: Vec::new(), changed: false, new: false })
    }

    /// Adds rows of the files' schema.
    pub(super) fn write(&mut self, disk: &Disk, batch: &RecordBatch) -> Result<(), SinkError> {
        let before = self.pending.len();
        match &mut self.encoder {
            Encoder::Csv => encode_csv(batch, &mut self.pending, false)?,
            Encoder::JsonLines => encode_jsonl(batch, &mut self.pending)?,
            Encoder::Arrow(writer) => {
                writer.write(batch).map_err(|error| unencodable(&self.path, &error))?;
                self.pending.append(writer.get_mut());
            }
        }
        self.part.rows += batch.num_rows() as u64;
        self.part.bytes += (self.pending.len() - before) as u64;
        self.changed = true;
        if self.pending.len() >= BLOCK_BYTES { self.write_out(disk) } else { Ok(()) }
    }

    /// Makes durable all that has been added.
    pub(super) fn sync(&mut self, disk: &Disk, directory: &Path) -> Result<Part, SinkError> {
        if self.changed {
            self.write_out(disk)?;
            visit(CrashPoint::StagedUnsynced);
            disk.sync(&self.file, &self.path)?;
            visit(CrashPoint::StagedSynced);
            self.changed = false;
        }
        if self.new {
            disk.sync_directory(directory)?;
            self.new = false;
        }
        Ok(self.part)
    }

    fn write_out(&mut self, disk: &Disk) -> Result<(), SinkError> {
        disk.write(&mut self.file, &self.path, &self.pending).map_err(|error| trouble("write", &self.path, &error))?;
        self.pending.clear();
        Ok(())
    }
}

/// Fails if a staged part does not have the bytes that were made durable.
pub(super) fn require(part: Part, path: &Path) -> Result<(), SinkError> {
    let problem = match length(path)? {
        Some(bytes) if bytes >= part.bytes => return Ok(()),
        Some(bytes) => format!("the file has {bytes} bytes and had {} when the job was last checkpointed", part.bytes),
        None => "the file was there when the job was last checkpointed, and is gone".to_owned(),
    };
    Err(SinkError::new(SinkErrorKind::Missing, problem)
        .path(path)
        .hint(format!("it holds {} rows; put it back as it was, or drop the sink and make one with another path", part.rows)))
}

/// An encoder, and what stands before the first row.
fn encoder(format: Format, schema: &SchemaRef, path: &Path) -> Result<(Encoder, Vec<u8>), SinkError> {
    let mut start = Vec::new();
    let encoder = match format {
        Format::JsonLines => Encoder::JsonLines,
        Format::Parquet => {
            let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(|error| unencodable(path, &error))?;
            start.append(writer.get_mut());
            Encoder::Arrow(Box::new(writer))
        }
        Format::Csv | Format::Table => {
            csv_header(schema, &mut start);
            Encoder::Csv
        }
    };
    Ok((encoder, start))
}

fn unencodable(path: &Path, error: &ArrowError) -> SinkError {
    SinkError::new(SinkErrorKind::Type, format!("the rows can't be staged: {error}")).path(path)
}
