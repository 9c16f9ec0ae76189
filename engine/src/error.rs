//! What can go wrong when the engine is used, with what to do about it.

use crate::source::SourceError;
use raympp_operators::sql::SqlError;
use std::sync::Arc;
use thiserror::Error;

/// An error of the engine's API. Cheap to clone: a failed job tells everyone who asks.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// The SQL text is wrong; nothing of the script took effect.
    #[error("{0}")]
    Sql(#[from] Arc<SqlError>),
    /// A source could not be opened or read.
    #[error("stream {stream}: {error}")]
    Source {
        /// Of which stream.
        stream: String,
        /// What happened.
        error: Arc<SourceError>,
    },
    /// A sink could not write.
    #[error("sink {sink}: {message}")]
    Sink {
        /// Which.
        sink: String,
        /// What happened and what to do.
        message: String,
    },
    /// Checkpoints could not be read or written.
    #[error("checkpoints: {0}")]
    Checkpoint(Arc<raympp_state::checkpoint::StoreError>),
    /// Whoever read a sink's output has gone: the pipe is closed.
    #[error("sink {sink}: nobody reads the output any longer")]
    Closed {
        /// Which sink.
        sink: String,
    },
    /// A bad row where the stream says `bad_rows = 'fail'`.
    #[error("stream {stream}, {split}, row {offset}: {reason} (the stream has bad_rows = 'fail')")]
    BadRow {
        /// Of which stream.
        stream: String,
        /// Name of the split.
        split: String,
        /// Rows before it.
        offset: u64,
        /// Why.
        reason: String,
    },
    /// A part of the engine has panicked, which is a bug, and nothing could take its place.
    #[error("{what} has panicked: {message}; {hint}")]
    Panicked {
        /// Which part.
        what: String,
        /// What the panic says.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A name that stands for nothing, or for something else.
    #[error("{0}")]
    Unknown(String),
    /// What was asked can't be done, and why.
    #[error("{0}")]
    Refused(String),
    /// A row that does not fit the stream's columns.
    #[error("a row for stream {stream} does not fit: {message}")]
    Row {
        /// Of which stream.
        stream: String,
        /// Which column, what was found, what was expected.
        message: String,
    },
    /// A `try_` call would have to wait: the engine is behind by a full queue.
    #[error("the queue of the split is full; try again later, or use the call that waits")]
    Full,
    /// A newer session of a producer pushes its rows.
    #[error("session {session} of producer {producer} is over: session {newest} has taken its place")]
    Fenced {
        /// Which producer.
        producer: String,
        /// The session that is over.
        session: u64,
        /// The newest one.
        newest: u64,
    },
    /// The engine has been shut down.
    #[error("the engine has been shut down")]
    ShutDown,
}

impl Error {
    /// True if the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Full)
    }
}

/// What the engine's calls return.
pub type Result<T> = std::result::Result<T, Error>;

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Error {
        Error::Sql(Arc::new(error))
    }
}
