//! Why a store could not do what it was asked: what it was about, what happened, and what to do.

use thiserror::Error;

/// What kind of failure, for those who act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// Reading or writing failed; trying again after [`super::CheckpointStore::reopen`] may help.
    Io,
    /// There is no room; trying again after [`super::CheckpointStore::reopen`] helps once there is.
    NoSpace,
    /// Bytes are not what was written. No retry helps.
    Damaged,
    /// Another process, or another value in this one, has the directory open.
    Locked,
    /// The place can't be written to.
    ReadOnly,
    /// It was written by a program that knows a later format.
    Version,
    /// There is no such thing.
    Missing,
    /// The directory holds something else.
    Foreign,
    /// One entry is beyond what a store takes.
    TooLarge,
}

/// A failure of a store.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}: {happened}; {advice}")]
pub struct StoreError {
    /// For those who act on it.
    pub kind: StoreErrorKind,
    /// Which file, record or epoch.
    pub what: String,
    /// What went wrong.
    pub happened: String,
    /// What somebody can do about it.
    pub advice: String,
}

impl StoreError {
    /// An error of these words.
    pub fn new(kind: StoreErrorKind, what: impl ToString, happened: impl ToString, advice: impl ToString) -> StoreError {
        StoreError { kind, what: what.to_string(), happened: happened.to_string(), advice: advice.to_string() }
    }

    /// Bytes that are not what was written.
    pub fn damaged(what: impl ToString, happened: impl ToString) -> StoreError {
        StoreError::new(
            StoreErrorKind::Damaged,
            what,
            happened,
            "go on from an older checkpoint with --fall-back (fall_back), or restore a copy of the directory",
        )
    }

    /// Something that is not there.
    pub fn missing(what: impl ToString) -> StoreError {
        StoreError::new(StoreErrorKind::Missing, what, "there is none", "restore a checkpoint that is listed")
    }
}
