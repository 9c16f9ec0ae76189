//! Where results go: batches are appended, and what was appended becomes visible to others in one step.
//!
//! Invariant: a reader of a sink's output sees committed rows only. Making rows durable and making them visible are separate steps with an
//! opaque handle between them ([`Sink::prepare`], [`Sink::commit`]), so that publication can hang on a decision made elsewhere, and a crash at
//! any point leaves something that [`Sink::recover`] can go on from. Text is written as [`raympp_types::text`] says; see [`encode`].

pub mod encode;
mod error;
pub mod file;
pub mod table;
mod text;

pub use error::{SinkError, SinkErrorKind};
pub use text::TextSink;

use crate::place::Place;
use arrow::array::RecordBatch;
use file::{FileSink, FileSinkOptions};
use raympp_operators::plan::SinkPlan;
use raympp_types::{Epoch, Schema};
use std::path::{Path, PathBuf};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CSV with a header.
    Csv,
    /// One JSON object per line.
    JsonLines,
    /// Parquet; files only.
    Parquet,
    /// A table with aligned columns; for terminals only.
    Table,
}

impl Format {
    /// The format of that name.
    pub fn named(name: &str) -> Option<Format> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "jsonl" => Some(Format::JsonLines),
            "parquet" => Some(Format::Parquet),
            "table" => Some(Format::Table),
            _ => None,
        }
    }

    /// Extension of files in this format.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::JsonLines => "jsonl",
            Format::Parquet => "parquet",
            Format::Table => "txt",
        }
    }
}

/// What a sink needs to know to go on after a crash: its whole durable state as of an epoch, not only what the epoch added, so the newest
/// committed handle is all that is ever needed. Nobody but the sink looks inside; the sink puts a version in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkHandle(Box<[u8]>);

impl SinkHandle {
    /// A handle of these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> SinkHandle {
        SinkHandle(bytes.into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What an epoch means for the units that a sink publishes, such as files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A unit is complete if it is big enough.
    IfFull,
    /// Rows have waited for as long as they may: whatever has rows is complete.
    Roll,
    /// No row will come any more: whatever has rows is complete, and if there never was one, something says so.
    End,
}

/// Takes results and publishes them by epochs.
///
/// # Contract
/// The caller's side:
/// 1. [`Sink::recover`] comes first, once, with the handle of the newest epoch that was ever committed, or `None` if none was. Then any number
///    of [`Sink::append`], [`Sink::prepare`] and [`Sink::commit`].
/// 2. Epochs that are prepared ascend; so do those that are committed. Some are never committed: an epoch that fails elsewhere is given up, and
///    what it was to bring comes with the next one. Further epochs may be prepared before one is committed.
/// 3. The handle of an epoch is stored durably before the epoch is committed. Once stored it may be the one that `recover` gets, whether or not
///    `commit` was called.
/// 4. If `append` or `prepare` fails with an error that is retryable, the caller appends all rows since the last successful `prepare` again, or
///    gives up the sink. If `commit` does, the caller calls it again, or commits a later epoch.
///
/// The sink's side:
/// 1. Nothing appended is visible to anybody before the commit of an epoch whose `prepare` came after the `append`.
/// 2. When `prepare` returns, all rows appended before are durable. Its handle stands for all of them together with all rows of
///    earlier handles, as far as they are not visible for good.
/// 3. `prepare` alone decides what becomes a published unit; `commit` and `recover` follow the handle. So what is published is a function of the
///    rows, their order and the cuts, however often the sink crashed.
/// 4. `commit(n)` makes visible what the handle of epoch n calls complete. The sink may leave the rest for a later epoch's cut. It may be repeated,
///    and an epoch that this value has not prepared has been dealt with by `recover`: there it does nothing.
/// 5. `recover` with a handle ends as if its epoch had just been committed: what it calls complete is made visible, if it is not, and everything
///    prepared or appended after it is taken away. It may crash and be repeated. What the sink needs and does not find is an error that says what and
///    where; nothing is published then.
/// 6. What is visible is never changed and never made visible again.
/// 7. After a failure of `append` or `prepare` the sink is as after the last successful `prepare`.
pub trait Sink: Send {
    /// Finds out whether [`Sink::recover`] would succeed as things are, and leaves no trace. Returns what it would remove of an earlier run.
    fn check(&self, _from: Option<&SinkHandle>) -> Result<Vec<PathBuf>, SinkError> {
        Ok(Vec::new())
    }

    /// Goes on from the newest committed epoch. Without one takes the sink's place over: makes it, and removes what an earlier run left there, if it
    /// may. Before that, nothing has been written or removed.
    fn recover(&mut self, from: Option<&SinkHandle>) -> Result<(), SinkError>;

    /// Adds rows with the columns the sink was made for; a VARCHAR column may be a dictionary.
    fn append(&mut self, batch: &RecordBatch) -> Result<(), SinkError>;

    /// Makes all rows appended so far durable and not visible.
    fn prepare(&mut self, epoch: Epoch, cut: Cut) -> Result<SinkHandle, SinkError>;

    /// Makes visible, durably where the medium allows, what the epoch's handle calls complete.
    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError>;

    /// The sink is given up for good: what has been committed becomes visible, even if no cut has completed it, and what has not is removed.
    fn end(&mut self) -> Result<(), SinkError>;

    /// How long committed rows may wait for a cut, in microseconds, unless the sink's option `roll` says otherwise.
    fn roll_us(&self) -> u64;
}

/// Makes the sink of a plan for rows of this schema, with its options checked; [`Sink::check`] and [`Sink::recover`] come next. Options: of 'file' see
/// [`FileSinkOptions::read`]; of 'stdout' `format` = table (default), csv or jsonl.
pub fn create(plan: &SinkPlan, schema: &Schema) -> Result<Box<dyn Sink>, SinkError> {
    match plan.connector.as_str() {
        "file" => Ok(Box::new(FileSink::new(FileSinkOptions::read(&plan.options)?, schema)?)),
        "stdout" => {
            let name = plan.options.get("format").map_or("table", String::as_str);
            match Format::named(name).filter(|format| *format != Format::Parquet) {
                Some(format) => Ok(Box::new(TextSink::new(std::io::stdout(), format, schema))),
                None => Err(error::bad_value("format", name, "table, csv or jsonl")),
            }
        }
        other => Err(SinkError::new(SinkErrorKind::Option, format!("there is no sink connector '{other}'")).hint("use 'file' or 'stdout'")),
    }
}

/// True if the sink of a plan is to put each window's rows in order.
pub(crate) fn is_sorted(plan: &SinkPlan) -> bool {
    plan.options.get("sorted").is_some_and(|value| value == "true")
}

/// The directory that the sink of a plan has to itself, if it writes into one, in the one spelling of it.
pub(crate) fn directory(plan: &SinkPlan) -> Option<PathBuf> {
    let path = plan.options.get("path").filter(|_| plan.connector == "file")?;
    Place::of(Path::new(path)).ok().map(|place| place.path)
}
