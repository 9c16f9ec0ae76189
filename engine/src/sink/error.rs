//! What can go wrong with a sink.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SinkErrorKind {
    /// An option is missing, unknown or has a value that makes no sense.
    Option,
    /// The directory holds results of an earlier run.
    NotEmpty,
    /// The path is not a directory.
    NotADirectory,
    /// A file that a checkpoint counts on is missing, too short or unreadable.
    Missing,
    /// A file is in the way that the sink has not written.
    InTheWay,
    /// A checkpoint's record of the sink can't be read.
    Handle,
    /// The sink is not what it was at the checkpoint.
    Changed,
    /// The operating system refused.
    Io,
    /// Whoever read the output has gone.
    Closed,
    /// Rows have columns that the sink was not made for, or of a type that the format can't hold.
    Type,
}

/// An error of a sink, with the place and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkError {
    /// What went wrong.
    pub kind: SinkErrorKind,
    /// The sentence for a person.
    pub message: String,
    /// The file or directory in question.
    pub path: Option<PathBuf>,
    /// What to do about it.
    pub hint: Option<String>,
    /// True if the same call may succeed later; false if the sink has to be made anew.
    pub retryable: bool,
}

impl SinkError {
    /// An error without a place.
    pub fn new(kind: SinkErrorKind, message: impl Into<String>) -> SinkError {
        SinkError { kind, message: message.into(), path: None, hint: None, retryable: false }
    }

    /// Names the file.
    pub fn path(mut self, path: &Path) -> SinkError {
        self.path = Some(path.to_owned());
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> SinkError {
        self.hint = Some(hint.into());
        self
    }

    /// Says that a retry may help.
    pub fn retryable(mut self) -> SinkError {
        self.retryable = true;
        self
    }

    /// What the operating system said.
    pub(super) fn io(doing: &str, path: &Path, error: &io::Error) -> SinkError {
        SinkError::new(SinkErrorKind::Io, format!("can't {doing}: {error}")).path(path)
    }
}

/// The error for a value that makes no sense.
pub(super) fn bad_value(name: &str, value: &str, expected: &str) -> SinkError {
    SinkError::new(SinkErrorKind::Option, format!("option {name} = '{value}': expected {expected}"))
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for SinkError {}
