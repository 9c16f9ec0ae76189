//! Bad rows kept for somebody to look at: one JSON line each, with split, offset, reason and what was read.

use crate::error::Error;
use crate::place::{Place, probe};
use arrow::array::RecordBatch;
use raympp_operators::expr::arrow_types::value_at;
use raympp_types::{Offset, SplitId, Value};
use serde_json::{Map, Value as Json, json};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// An open dead-letter file.
pub(crate) struct DeadLetters {
    path: String,
    stream: String,
    split: SplitId,
    file: File,
}

impl DeadLetters {
    /// Opens the file for appending; splits of a stream share it, since a line is written at once.
    pub(crate) fn open(path: &str, stream: &str, split: SplitId) -> Result<DeadLetters, Error> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| unusable(path, stream, &error))?;
        Ok(DeadLetters { path: path.to_owned(), stream: stream.to_owned(), split, file })
    }

    /// Fails if the file could not be opened; it is not made.
    pub(crate) fn check(path: &str, stream: &str) -> Result<(), Error> {
        let checked = match OpenOptions::new().append(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Place::of(Path::new(path)).and_then(|place| match place.path.parent() {
                Some(parent) if parent == place.existing => probe(parent),
                _ => Err(error),
            }),
            opened => opened.map(drop),
        };
        checked.map_err(|error| unusable(path, stream, &error))
    }

    pub(crate) fn write(&mut self, offset: Offset, reason: &str, raw: Option<&str>) -> Result<(), Error> {
        let line = json!({ "stream": self.stream, "split": self.split.0, "offset": offset.0, "reason": reason, "row": raw });
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .map_err(|error| Error::Sink { sink: self.path.clone(), message: format!("the dead-letter file can't be written: {error}") })
    }
}

fn unusable(path: &str, stream: &str, error: &std::io::Error) -> Error {
    Error::Refused(format!("stream {stream}: the dead-letter file {path} can't be opened: {error}; check bad_rows and permissions"))
}

/// A decoded row as a JSON object of texts.
pub(crate) fn row_as_json(batch: &RecordBatch, row: usize) -> String {
    let cell = |value: Value| if value.is_null() { Json::Null } else { Json::String(value.to_string()) };
    let fields: Map<String, Json> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| (field.name().clone(), cell(value_at(column, row))))
        .collect();
    Json::Object(fields).to_string()
}
