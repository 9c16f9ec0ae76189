//! What can go wrong with a source, where, and what to do about it.

use raympp_types::Offset;
use std::fmt;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceErrorKind {
    /// The connector does not exist.
    UnknownConnector,
    /// An option is missing, unknown or has a value that makes no sense.
    Option,
    /// A path does not exist, or a pattern matches nothing.
    Missing,
    /// A path is a directory or something else that is not a file.
    NotAFile,
    /// The operating system refused to open or read.
    Unreadable,
    /// The content is not what the format says: a header that is missing, columns that are not there, a corrupt parquet or gzip file.
    Format,
    /// A column of the file has a type that does not widen to the declared one.
    Type,
    /// Compressed data stops in the middle.
    Truncated,
    /// The split no longer holds what it held when it was first read.
    Replaced,
    /// Asked for an offset beyond the end of the split.
    OffsetBeyondEnd,
}

/// What in CREATE STREAM is wrong, if the statement alone shows it: whatever the machine is like, it can't work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A column's name or type.
    Column(String),
    /// An option that is missing, unknown or has an impossible value.
    Option(String),
}

/// An error of a source, with the place and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// What went wrong.
    pub kind: SourceErrorKind,
    /// The sentence for a person.
    pub message: String,
    /// Name of the split, usually a path.
    pub split: Option<String>,
    /// Offset of the row in question, or the number of rows that were read before the trouble.
    pub offset: Option<Offset>,
    /// Line of the text file, counted from 1.
    pub line: Option<u64>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What in the statement is wrong, if the statement alone shows it.
    pub mistake: Option<Box<Mistake>>,
}

impl SourceError {
    /// An error without a place.
    pub fn new(kind: SourceErrorKind, message: impl Into<String>) -> SourceError {
        SourceError { kind, message: message.into(), split: None, offset: None, line: None, hint: None, mistake: None }
    }

    /// Names the split.
    pub fn split(mut self, name: impl Into<String>) -> SourceError {
        self.split = Some(name.into());
        self
    }

    /// Names the row.
    pub fn offset(mut self, offset: Offset) -> SourceError {
        self.offset = Some(offset);
        self
    }

    /// Names the line.
    pub fn line(mut self, line: u64) -> SourceError {
        self.line = Some(line);
        self
    }

    /// Says that the statement is wrong, and what in it.
    pub fn mistake(mut self, mistake: Mistake) -> SourceError {
        self.mistake = Some(Box::new(mistake));
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> SourceError {
        self.hint = Some(hint.into());
        self
    }

    /// True if the same call may succeed later although nobody changed anything.
    pub fn retryable(&self) -> bool {
        self.kind == SourceErrorKind::Unreadable
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(split) = &self.split {
            write!(f, "{split}: ")?;
        }
        f.write_str(&self.message)?;
        match (self.offset, self.line) {
            (Some(offset), Some(line)) => write!(f, " (at row {offset}, line {line})")?,
            (Some(offset), None) => write!(f, " (at row {offset})")?,
            (None, Some(line)) => write!(f, " (line {line})")?,
            (None, None) => {}
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for SourceError {}
