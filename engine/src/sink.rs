//! Where results go: batches are appended, and what was appended becomes visible to others in one step.
//!
//! Invariant: a reader of a sink's output sees whole parts or nothing of them. Writing a part and publishing it are separate steps
//! with a durable state between them ([`file::FileSink::prepare`], [`file::FileSink::commit`]), so that publication can hang on a
//! decision made elsewhere. Text is written as [`raympp_types::text`] says; see [`encode`].

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
use raympp_types::Schema;
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

/// Takes results.
pub trait Sink: Send {
    /// Takes its place over: makes it, and removes what an earlier run left there, if it may. Before that, nothing has been written or
    /// removed; to be called once, before the first row.
    fn begin(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// What [`Sink::begin`] would remove.
    fn replaces(&self) -> Result<Vec<PathBuf>, SinkError> {
        Ok(Vec::new())
    }

    /// Adds rows with the columns the sink was made for; a VARCHAR column may be a dictionary.
    fn append(&mut self, batch: &RecordBatch) -> Result<(), SinkError>;

    /// Makes all rows appended so far visible, durably where the medium allows.
    fn publish(&mut self) -> Result<(), SinkError>;

    /// How long rows may wait for their publication, in microseconds, unless the sink's option `roll` says otherwise.
    fn roll_us(&self) -> u64;

    /// Publishes, and makes sure that even without a single row there is something that says so.
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// Makes the sink of a plan for rows of this schema, checked and not begun ([`Sink::begin`]). Options: of 'file' see [`FileSinkOptions::read`]; of 'stdout' `format` = table
/// (default), csv or jsonl.
pub fn create(plan: &SinkPlan, schema: &Schema) -> Result<Box<dyn Sink>, SinkError> {
    match plan.connector.as_str() {
        "file" => Ok(Box::new(FileSink::check(FileSinkOptions::read(&plan.options)?, schema)?)),
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
