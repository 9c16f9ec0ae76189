//! RocksDB's and the operating system's errors, as what happened and what to do.
//!
//! RocksDB tells its own kind of error in a code and the operating system's only in the text, so texts are looked at; an unknown one is an I/O
//! error with its text.

use crate::checkpoint::error::{StoreError, StoreErrorKind};
use rocksdb::ErrorKind;
use std::io;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Opening,
    Reading,
    Writing,
}

/// An error of RocksDB.
pub(super) fn of(error: rocksdb::Error, doing: Doing, what: &dyn ToString) -> StoreError {
    of_kind(kind_of(&error, doing), what, error.as_ref())
}

fn kind_of(error: &rocksdb::Error, doing: Doing) -> StoreErrorKind {
    let text: &str = error.as_ref();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match error.kind() {
        _ if says(&["No space left", "Disk quota exceeded"]) => StoreErrorKind::NoSpace,
        _ if doing == Doing::Opening && says(&["lock hold by current process", "While lock file"]) => StoreErrorKind::Locked,
        _ if says(&["Permission denied", "Read-only file system", "read only mode"]) => StoreErrorKind::ReadOnly,
        ErrorKind::Corruption => StoreErrorKind::Damaged,
        // A file that the database names is gone, or it does not name what every one of ours has.
        ErrorKind::IOError if says(&["No such file"]) => StoreErrorKind::Damaged,
        ErrorKind::InvalidArgument | ErrorKind::NotFound if doing == Doing::Opening => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Io,
    }
}

/// An error of the operating system.
pub(super) fn of_io(error: &io::Error, what: &dyn ToString) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::NoSpace,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
        _ => StoreErrorKind::Io,
    };
    of_kind(kind, what, &error.to_string())
}

/// A store that was opened for reading was to write.
pub(super) fn read_only(what: &dyn ToString) -> StoreError {
    of_kind(StoreErrorKind::ReadOnly, what, "it was opened for reading only")
}

fn of_kind(kind: StoreErrorKind, what: &dyn ToString, happened: &str) -> StoreError {
    let what = what.to_string();
    match kind {
        StoreErrorKind::Damaged => StoreError::damaged(what, happened),
        StoreErrorKind::Locked => {
            StoreError::new(kind, what, "another process uses it", "stop that one, or name another directory; two can't share one")
        }
        StoreErrorKind::NoSpace => StoreError::new(kind, what, happened, "make room on that file system"),
        StoreErrorKind::ReadOnly => StoreError::new(kind, what, happened, "let this user write there, or name another directory"),
        _ => StoreError::new(kind, what, happened, "look whether the disk is in order, then try again"),
    }
}
