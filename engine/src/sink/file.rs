//! A directory of parts: `part-000000.csv`, `part-000001.csv`, …, each published whole and never changed.
//!
//! A part in progress is *staged* in a file whose name starts with a dot ([`staging`]). *Prepare* makes its new rows durable and says in the
//! handle how many bytes that makes, and which parts are complete; *commit* publishes complete parts by renaming them, which is atomic, and makes
//! the directory durable. A parquet part is converted from what is staged just before that ([`convert`]). Parts are numbered without gaps.
//!
//! Recovery cuts the part in progress to the length in the handle, publishes the complete parts that are not, and removes all other
//! files that start with a dot. It first looks whether everything is there, and publishes nothing if not. Everything it does can be done again, so
//! it may crash like everything else.
//!
//! Why that is enough: a file is only ever appended to, and cut only behind what the newest committed handle names, so until the next
//! commit that handle's prefix of every part stays as it is; and a part is renamed only when a committed handle calls it complete. After a failed
//! write or sync all that was added since the last successful one is cut off and written again, since the system may have dropped it and say
//! nothing the second time.
//!
//! A new sink refuses a directory that holds parts of the same format, unless told to overwrite, which removes them: mixing the results of
//! two runs is never what one wants. Cost: a write and a sync per epoch that has rows, a rename and a sync of the directory per part.

mod columns;
mod convert;
mod disk;
mod publish;
mod staging;
mod state;

pub use disk::{Operation, Probe};

use super::encode::cells_of;
use super::error::{SinkError, SinkErrorKind, bad_value};
use super::{Cut, Format, Sink, SinkHandle};
use crate::place::{Place, probe};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use disk::Disk;
use publish::Directory;
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_operators::plan::Options;
use raympp_state::crash_point::{CrashPoint, visit};
use raympp_types::{Epoch, Schema};
use staging::Staging;
use state::State;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A part of so many staged bytes is complete.
const PART_BYTES: u64 = 64 << 20;

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

/// Writes parts into a directory. See the module.
pub struct FileSink {
    directory: Directory,
    overwrite: bool,
    schema: SchemaRef,
    /// The part in progress, if its file is open.
    staging: Option<Staging>,
    /// What is durable: as of the last epoch that was prepared, without the parts published since.
    state: State,
    /// As of the epochs that have been prepared and not committed.
    prepared: BTreeMap<Epoch, State>,
    /// As of the last epoch that was committed.
    committed: State,
    part_bytes: u64,
}

impl FileSink {
    /// A sink that has to be recovered. Fails if it could not write; nothing is made or removed.
    pub fn new(options: FileSinkOptions, schema: &Schema) -> Result<FileSink, SinkError> {
        let FileSinkOptions { directory, format, overwrite } = options;
        let Place { path, existing } = Place::of(&directory).map_err(|error| SinkError::io("find the directory", &directory, &error))?;
        if !existing.is_dir() {
            let problem = "a file sink writes into a directory, and this is a file";
            return Err(SinkError::new(SinkErrorKind::NotADirectory, problem).path(&existing));
        }
        probe(&existing).map_err(|error| SinkError::io("write into the directory", &existing, &error))?;
        let path = if directory.exists() { directory } else { path };
        let schema = columns::file_schema(&arrow_schema(schema), format);
        let directory = Directory { path, format, disk: Disk::default() };
        let (state, committed) = (State::default(), State::default());
        Ok(FileSink { directory, overwrite, schema, staging: None, state, prepared: BTreeMap::new(), committed, part_bytes: PART_BYTES })
    }

    /// Somebody watches what it does to the disk; for tests.
    pub fn watched_by(mut self, probe: Arc<dyn Probe>) -> FileSink {
        self.directory.disk = Disk::watched(probe);
        self
    }

    /// A part of so many staged bytes is complete; 64 MiB if nothing is said.
    pub fn part_bytes(mut self, bytes: u64) -> FileSink {
        self.part_bytes = bytes;
        self
    }

    /// What an earlier run left; an error if it is not to be removed.
    fn removable(&self) -> Result<Vec<PathBuf>, SinkError> {
        let (parts, temporary) = self.directory.files()?;
        if !parts.is_empty() && !self.overwrite {
            return Err(SinkError::new(SinkErrorKind::NotEmpty, format!("the directory holds {} parts of an earlier run", parts.len()))
                .path(&self.directory.path)
                .hint("remove them, choose another path, or add overwrite = 'true'"));
        }
        Ok(parts.into_iter().map(|(_, path)| path).chain(temporary).collect())
    }

    fn decode(&self, handle: &SinkHandle) -> Result<State, SinkError> {
        let state = State::decode(handle, self.directory.format, &columns::signature(&self.schema));
        state.map_err(|error| error.path(&self.directory.path))
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.directory.disk.make_directory(&self.directory.path)?;
        self.removable()?.iter().try_for_each(|path| self.directory.remove_leftover(path))
    }

    /// Brings the directory to what a handle says.
    fn resume(&mut self, handle: &SinkHandle) -> Result<(), SinkError> {
        let mut state = self.decode(handle)?;
        self.directory.check(&state)?;
        self.directory.disk.make_directory(&self.directory.path)?;
        for part in std::mem::take(&mut state.complete) {
            self.directory.publish(part, &self.schema)?;
        }
        if let Some(part) = state.open {
            if self.directory.is_published(part)? {
                // The sink was given up, but that has never become known.
                self.directory.publish(part, &self.schema)?;
                state.open = None;
            } else {
                let path = self.directory.staged(part.number);
                self.staging = Some(Staging::resume(&self.directory.disk, part, &path, self.directory.format, &self.schema)?);
                visit(CrashPoint::StagedCut);
            }
        }
        self.directory.remove_temporary(state.open)?;
        (self.state, self.committed) = (state.clone(), state);
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        if self.staging.is_none() {
            self.staging = Some(self.open_staging()?);
        }
        let Some(staging) = &mut self.staging else { return Ok(()) };
        staging.write(&self.directory.disk, batch)
    }

    /// The part in progress as it is durable, or a new one.
    fn open_staging(&self) -> Result<Staging, SinkError> {
        let Directory { format, disk, .. } = &self.directory;
        match self.state.open {
            Some(part) => Staging::resume(disk, part, &self.directory.staged(part.number), *format, &self.schema),
            None => Staging::create(disk, self.state.next, &self.directory.staged(self.state.next), *format, &self.schema),
        }
    }

    fn prepare_state(&mut self, cut: Cut) -> Result<(State, SinkHandle), SinkError> {
        let mut state = self.state.clone();
        if self.staging.is_none() && cut == Cut::End && state.next == 0 {
            self.staging = Some(self.open_staging()?);
        }
        if let Some(staging) = &mut self.staging {
            let part = staging.sync(&self.directory.disk, &self.directory.path)?;
            (state.open, state.next) = (Some(part), part.number + 1);
        }
        let is_complete = |part: &state::Part| cut != Cut::IfFull || part.bytes >= self.part_bytes;
        if let Some(part) = state.open.take_if(|part| is_complete(part)) {
            state.complete.push(part);
        }
        let handle = state.encode(self.directory.format, &columns::signature(&self.schema))?;
        Ok((state, handle))
    }

    /// Brings the columns of a batch to the types of the files.
    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, SinkError> {
        if batch.schema_ref().fields() == self.schema.fields() {
            return Ok(batch.clone());
        }
        cells_of(batch)?;
        let problem = |reason: String| SinkError::new(SinkErrorKind::Type, reason).path(&self.directory.path);
        if batch.num_columns() != self.schema.fields().len() {
            return Err(problem(format!("rows of {} columns where {} are expected", batch.num_columns(), self.schema.fields().len())));
        }
        let convert = |(column, field): (&ArrayRef, &arrow::datatypes::FieldRef)| {
            columns::file_column(column, field.data_type()).ok_or_else(|| {
                problem(format!("column {} is {} where {} is expected", field.name(), column.data_type(), field.data_type()))
            })
        };
        let columns = batch.columns().iter().zip(self.schema.fields()).map(convert).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns).map_err(|error| problem(error.to_string()))
    }

    /// After a failure the part in progress goes on from what is durable for certain.
    fn guard<T>(&mut self, step: impl FnOnce(&mut FileSink) -> Result<T, SinkError>) -> Result<T, SinkError> {
        step(self).inspect_err(|_| self.staging = None)
    }
}

impl Sink for FileSink {
    fn check(&self, from: Option<&SinkHandle>) -> Result<Vec<PathBuf>, SinkError> {
        match from {
            None => self.removable(),
            Some(handle) => self.directory.check(&self.decode(handle)?).map(|()| Vec::new()),
        }
    }

    fn recover(&mut self, from: Option<&SinkHandle>) -> Result<(), SinkError> {
        match from {
            None => self.begin(),
            Some(handle) => self.resume(handle),
        }
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

    fn prepare(&mut self, epoch: Epoch, cut: Cut) -> Result<SinkHandle, SinkError> {
        let (state, handle) = self.guard(|sink| sink.prepare_state(cut))?;
        if state.open.is_none() {
            self.staging = None;
        }
        self.prepared.insert(epoch, state.clone());
        self.state = state;
        Ok(handle)
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let Some(state) = self.prepared.get(&epoch) else { return Ok(()) };
        let complete_below = state.complete_below();
        while let Some(&part) = self.state.complete.first().filter(|part| part.number < complete_below) {
            self.directory.publish(part, &self.schema)?;
            self.state.complete.remove(0);
            if self.state.complete.first().is_some_and(|part| part.number < complete_below) {
                visit(CrashPoint::PartsInPart);
            }
        }
        if let Some(state) = self.prepared.remove(&epoch) {
            self.committed = State { complete: Vec::new(), ..state };
        }
        self.prepared.retain(|later, _| *later > epoch);
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        self.staging = None;
        self.prepared.clear();
        let mut state = self.committed.clone();
        if let Some(part) = state.open.take() {
            self.directory.publish(part, &self.schema)?;
        }
        self.directory.remove_temporary(None)?;
        (self.state, self.committed) = (state.clone(), state);
        Ok(())
    }

    /// A part should be worth a file.
    fn roll_us(&self) -> u64 {
        60_000_000
    }
}
