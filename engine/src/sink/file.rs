//! A directory of parts: `part-000000.csv`, `part-000001.csv`, …, each written whole and never changed.
//!
//! A part is written to `.part-000000.csv.tmp`. *Prepare* ends it and makes it durable under that name; *commit* renames it, which is
//! atomic, and makes the directory durable. Both can be repeated: a commit that finds the part in place is done. So a sink may crash at any
//! point and go on with [`FileSink::recover`]: parts that were decided on are published, other temporary files removed. Parts
//! are numbered without gaps in the order of their preparation.
//!
//! A new sink refuses a directory that holds parts of the same format, unless told to overwrite, which removes them: mixing the results of
//! two runs is never what one wants. Temporary files that an earlier run left are removed. That a sink can be made is found out first
//! ([`FileSink::check`]), and leaves no trace; only [`Sink::begin`] makes and removes anything.

mod part;

use super::encode::cells_of;
use super::error::{SinkError, SinkErrorKind, bad_value};
use super::{Format, Sink};
use crate::place::{Place, probe};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use part::PartWriter;
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_operators::plan::Options;
use raympp_types::Schema;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where and how a file sink writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSinkOptions {
    /// Directory; made if it is not there.
    pub directory: PathBuf,
    /// CSV, JSON lines or parquet.
    pub format: Format,
    /// Parts of an earlier run are removed.
    pub overwrite: bool,
}

impl FileSinkOptions {
    /// Reads `path` (required), `format` = csv (default), jsonl or parquet, `overwrite` (false). The options `sorted` and `roll` are for whoever
    /// feeds the sink; the first is checked here too.
    pub fn read(options: &Options) -> Result<FileSinkOptions, SinkError> {
        let path = options.get("path").ok_or_else(|| SinkError::new(SinkErrorKind::Option, "connector 'file' needs the option path"))?;
        let name = options.get("format").map_or("csv", String::as_str);
        let format = Format::named(name).filter(|format| *format != Format::Table);
        let flag = |name: &str| match options.get(name).map(String::as_str) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(bad_value(name, other, "true or false")),
        };
        flag("sorted")?;
        Ok(FileSinkOptions {
            directory: PathBuf::from(path),
            format: format.ok_or_else(|| bad_value("format", name, "csv, jsonl or parquet"))?,
            overwrite: flag("overwrite")?,
        })
    }
}

/// A part that is durable and not yet visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartHandle {
    /// Its number.
    pub number: u64,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// Writes parts into a directory.
pub struct FileSink {
    options: FileSinkOptions,
    schema: SchemaRef,
    /// The part in progress.
    part: Option<PartWriter>,
    next: u64,
    failed: Option<SinkError>,
}

impl FileSink {
    /// A sink for a new run, checked and begun.
    pub fn create(options: FileSinkOptions, schema: &Schema) -> Result<FileSink, SinkError> {
        let mut sink = FileSink::check(options, schema)?;
        sink.begin()?;
        Ok(sink)
    }

    /// A sink for a new run that has to be begun. Fails if it could not write; nothing is made or removed.
    pub fn check(options: FileSinkOptions, schema: &Schema) -> Result<FileSink, SinkError> {
        let sink = FileSink::at(options, schema, 0)?;
        sink.removable()?;
        Ok(sink)
    }

    /// A sink that goes on after a crash: publishes the parts that were decided on, removes other unpublished ones and continues behind
    /// `next`, the number of parts decided on so far.
    pub fn recover(options: FileSinkOptions, schema: &Schema, decided: &[PartHandle], next: u64) -> Result<FileSink, SinkError> {
        let sink = FileSink::at(options, schema, next)?;
        sink.make_directory()?;
        decided.iter().try_for_each(|handle| sink.commit(handle))?;
        let (_, temporary) = sink.files()?;
        sink.remove(temporary.iter())?;
        Ok(sink)
    }

    fn at(mut options: FileSinkOptions, schema: &Schema, next: u64) -> Result<FileSink, SinkError> {
        let directory = &options.directory;
        let Place { path, existing } = Place::of(directory).map_err(|error| SinkError::io("find the directory", directory, &error))?;
        if !existing.is_dir() {
            let problem = "a file sink writes into a directory, and this is a file";
            return Err(SinkError::new(SinkErrorKind::NotADirectory, problem).path(&existing));
        }
        probe(&existing).map_err(|error| SinkError::io("write into the directory", &existing, &error))?;
        if !directory.exists() {
            options.directory = path;
        }
        let schema = part::file_schema(&arrow_schema(schema), options.format);
        Ok(FileSink { options, schema, part: None, next, failed: None })
    }

    fn make_directory(&self) -> Result<(), SinkError> {
        let directory = &self.options.directory;
        fs::create_dir_all(directory).map_err(|error| SinkError::io("make the directory", directory, &error))
    }

    /// What an earlier run left; an error if it is not to be removed.
    fn removable(&self) -> Result<Vec<PathBuf>, SinkError> {
        let (parts, temporary) = self.files()?;
        if let Some(part) = parts.first()
            && !self.options.overwrite
        {
            return Err(SinkError::new(SinkErrorKind::NotEmpty, format!("the directory holds {} parts of an earlier run", parts.len()))
                .path(part.parent().unwrap_or(part))
                .hint("remove them, choose another path, or add overwrite = 'true'"));
        }
        Ok([parts, temporary].concat())
    }

    /// Ends the part in progress and makes it durable, not yet visible; `None` if it has no rows.
    pub fn prepare(&mut self) -> Result<Option<PartHandle>, SinkError> {
        self.guard(|sink| sink.part.take().map(PartWriter::finish).transpose())
    }

    /// Makes a prepared part visible, durably. May be repeated.
    pub fn commit(&self, handle: &PartHandle) -> Result<(), SinkError> {
        let (temporary, published) = (self.temporary_path(handle.number), self.published_path(handle.number));
        match fs::rename(&temporary, &published) {
            Ok(()) => {}
            Err(_) if !temporary.exists() && published.exists() => {}
            Err(error) => return Err(SinkError::io("publish the part", &published, &error).retryable()),
        }
        let directory = &self.options.directory;
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| SinkError::io("make the directory durable", directory, &error).retryable())?;
        tracing::info!(part = %published.display(), "published");
        Ok(())
    }

    /// Rows in the part in progress.
    pub fn rows(&self) -> u64 {
        self.part.as_ref().map_or(0, PartWriter::rows)
    }

    /// Number of the next part to be started.
    pub fn next_part(&self) -> u64 {
        self.next
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.start_part()?,
        };
        part.write(batch)?;
        self.part = Some(part);
        Ok(())
    }

    fn start_part(&mut self) -> Result<PartWriter, SinkError> {
        let part = PartWriter::create(self.next, &self.temporary_path(self.next), self.options.format, &self.schema)?;
        self.next += 1;
        Ok(part)
    }

    /// Brings the columns of a batch to the types of the files.
    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, SinkError> {
        if batch.schema_ref().fields() == self.schema.fields() {
            return Ok(batch.clone());
        }
        cells_of(batch)?;
        let problem = |reason: String| SinkError::new(SinkErrorKind::Type, reason).path(&self.options.directory);
        if batch.num_columns() != self.schema.fields().len() {
            return Err(problem(format!("rows of {} columns where {} are expected", batch.num_columns(), self.schema.fields().len())));
        }
        let convert = |(column, field): (&ArrayRef, &arrow::datatypes::FieldRef)| {
            part::file_column(column, field.data_type()).ok_or_else(|| {
                problem(format!("column {} is {} where {} is expected", field.name(), column.data_type(), field.data_type()))
            })
        };
        let columns = batch.columns().iter().zip(self.schema.fields()).map(convert).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| problem(error.to_string()))
    }

    /// After a failure a part may be damaged, so the sink fails for good.
    fn guard<T>(&mut self, step: impl FnOnce(&mut FileSink) -> Result<T, SinkError>) -> Result<T, SinkError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let result = step(self);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    fn published_path(&self, number: u64) -> PathBuf {
        self.options.directory.join(format!("part-{number:06}.{}", self.options.format.extension()))
    }

    fn temporary_path(&self, number: u64) -> PathBuf {
        self.options.directory.join(format!(".part-{number:06}.{}.tmp", self.options.format.extension()))
    }

    /// Published and temporary parts of this format in the directory.
    fn files(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), SinkError> {
        let directory = &self.options.directory;
        let failed = |error: std::io::Error| SinkError::io("list the directory", directory, &error);
        let extension = self.options.format.extension();
        let (mut parts, mut temporary) = (Vec::new(), Vec::new());
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((parts, temporary)),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if is_part(name, "part-", &format!(".{extension}")) {
                parts.push(path);
            } else if is_part(name, ".part-", &format!(".{extension}.tmp")) {
                temporary.push(path);
            }
        }
        parts.sort();
        Ok((parts, temporary))
    }

    fn remove<'a>(&self, files: impl Iterator<Item = &'a PathBuf>) -> Result<(), SinkError> {
        let remove = |path: &Path| fs::remove_file(path).map_err(|error| SinkError::io("remove the file", path, &error));
        files.map(PathBuf::as_path).try_for_each(remove)
    }
}

fn is_part(name: &str, prefix: &str, suffix: &str) -> bool {
    let number = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
    number.is_some_and(|number| number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Sink for FileSink {
    fn begin(&mut self) -> Result<(), SinkError> {
        self.guard(|sink| {
            sink.make_directory()?;
            sink.remove(sink.removable()?.iter())
        })
    }

    fn replaces(&self) -> Result<Vec<PathBuf>, SinkError> {
        self.removable()
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.guard(|sink| {
            let batch = sink.conform(batch)?;
            sink.write(&batch)
        })
    }

    /// Ends the part in progress, if it has rows, and publishes it.
    fn publish(&mut self) -> Result<(), SinkError> {
        match self.prepare()? {
            Some(handle) => self.commit(&handle),
            None => Ok(()),
        }
    }

    /// A part should be worth a file.
    fn roll_us(&self) -> u64 {
        60_000_000
    }

    /// Publishes; a sink that has never had a row publishes one empty part, so that readers find the columns.
    fn finish(&mut self) -> Result<(), SinkError> {
        self.publish()?;
        if self.next > 0 {
            return Ok(());
        }
        let handle = self.guard(|sink| sink.start_part()?.finish())?;
        self.commit(&handle)
    }
}
