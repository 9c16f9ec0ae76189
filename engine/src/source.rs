//! Where rows come from: a connector instance offers *splits*, a split is read from any offset, reading yields Arrow batches.
//!
//! Invariants every connector keeps:
//! - The rows of a split and their offsets are a function of the split's contents alone. Batches may be cut anywhere (by `rows_max`,
//!   by blocks of a file), the rows do not change. A reader opened at offset k yields exactly what a reader opened at 0 yields from k on.
//! - Every row has an offset, good or bad, so that good rows plus bad rows equal `to - from`.
//! - Splits come in a stable order: files by path, generators by index.
//! - Nothing here reads a clock or sleeps; time is an argument, and a source that has nothing now says when to ask again.
//!
//! A VARCHAR column may arrive as `Dictionary(Int32, Utf8)` instead of `Utf8`, and may change from one to the other between batches of
//! one reader. As long as a reader has met no new value it hands out the same dictionary (pointer-equal `values()`).

mod error;
mod file;
mod generator;
mod nexmark;
mod options;
mod payments;
mod random;

pub use error::{Mistake, SourceError, SourceErrorKind};
pub use file::FileFingerprint;

use crate::decode::BadRow;
use crate::producer::ProducerState;
use arrow::array::RecordBatch;
use raympp_operators::plan::StreamPlan;
use raympp_types::Offset;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One connector instance of a stream.
pub trait Source: Send + Sync {
    /// All splits, in their stable order. The set is fixed when the source is created.
    fn splits(&self) -> Result<Vec<SplitDescription>, SourceError>;

    /// Starts reading a split such that the next row is the one at offset `at`. Reaching it costs O(1) in generators, a skip in files.
    /// An offset beyond the split's end is an error of kind [`SourceErrorKind::OffsetBeyondEnd`], raised by the first poll at the latest.
    fn open(&self, split: usize, at: Offset) -> Result<Box<dyn SplitReader>, SourceError>;

    /// Like [`Source::open`], after checking that the split still holds what it held when `fingerprint` was taken. What a checkpoint
    /// stores beside an offset is the split's fingerprint.
    fn open_again(&self, split: usize, at: Offset, fingerprint: &Fingerprint) -> Result<Box<dyn SplitReader>, SourceError>;

    /// True if the splits never end by themselves.
    fn endless(&self) -> bool;
}

/// Reads one split, forwards.
pub trait SplitReader: Send {
    /// The next rows, at most `rows_max` (taken as 1 if 0). `now_us` is the wall clock in microseconds since 1970; only paced generators and
    /// followed files look at it. After [`SourcePoll::End`] or an error that is not retryable, every further call answers the same.
    fn poll(&mut self, now_us: u64, rows_max: usize) -> Result<SourcePoll, SourceError>;

    /// How far this is: `(done, total)` in bytes of input as stored (rows for generators); `None` if there is no end.
    fn progress(&self) -> Option<(u64, u64)>;
}

/// What a split is called, how big it is, and how to know it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitDescription {
    /// A path, or `3 of 8`.
    pub name: String,
    /// Size as stored, where known.
    pub size_bytes: Option<u64>,
    /// To be kept with every stored offset of the split.
    pub fingerprint: Fingerprint,
}

/// What a split looked like, to notice that an offset no longer means the same row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fingerprint {
    /// A file.
    File(FileFingerprint),
    /// A generator: everything that its rows depend on, as text.
    Generator(String),
    /// A producer.
    Producer(ProducerState),
}

/// Answer to [`SplitReader::poll`].
#[derive(Debug)]
pub enum SourcePoll {
    /// Rows.
    Rows(SourceRows),
    /// None now; ask again at `retry_at_us` of wall time.
    Pending {
        /// When rows may be there; `None`: unknown.
        retry_at_us: Option<u64>,
    },
    /// The split has ended.
    End,
}

/// A run of rows.
#[derive(Debug)]
pub struct SourceRows {
    /// Offset of the first row.
    pub from: Offset,
    /// Offset after the last row; `to - from` rows, the bad ones included.
    pub to: Offset,
    /// The good rows: all declared columns in order.
    pub batch: RecordBatch,
    /// If some rows were bad: offset less `from` of each good row.
    pub row_offsets: Option<Vec<u32>>,
    /// The bad rows by ascending offset.
    pub bad: Vec<BadRow>,
}

/// Finds what can't work in the definition of a stream with a connector, whatever the machine is like, and tells whether its rows never end.
/// Files are not looked at.
pub(crate) fn check(stream: &StreamPlan) -> Result<bool, SourceError> {
    match stream.connector.as_deref() {
        Some("file") => file::FileOptions::read(stream).map(|options| options.follow),
        _ => create(stream).map(|source| source.endless()),
    }
}

/// True if a file at this place, in its one spelling, is an input of the stream, or would be one if it were there.
pub(crate) fn reads(stream: &StreamPlan, place: &Path) -> bool {
    let path = stream.options.get("path").filter(|_| stream.connector.as_deref() == Some("file"));
    path.is_some_and(|path| file::names(path, place))
}

/// Makes the source of a stream, by connector name and options. Fails on unknown options and on inputs that are not there.
pub fn create(stream: &StreamPlan) -> Result<Box<dyn Source>, SourceError> {
    match stream.connector.as_deref() {
        Some("file") => Ok(Box::new(file::FileSource::create(stream)?)),
        Some("payments") => Ok(Box::new(payments::Payments::source(stream)?)),
        Some("nexmark") => Ok(Box::new(nexmark::Nexmark::source(stream)?)),
        Some(other) => Err(SourceError::new(SourceErrorKind::UnknownConnector, format!("there is no connector '{other}'"))
            .hint("use 'file', 'payments' or 'nexmark'")),
        None => Err(SourceError::new(SourceErrorKind::UnknownConnector, format!("stream {} has no connector", stream.name))
            .hint("feed it through a writer, or add WITH (connector = …)")),
    }
}
