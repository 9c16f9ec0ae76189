//! Checkpoints: what is kept on disk, and how.
//!
//! The persister hands over, epoch by epoch, what each partition's rows between two barriers did: *records*, the merged entries of one
//! (store, slice) over an interval of epochs, sorted by key. A checkpoint n is, per (store, slice), a *cover*: records whose intervals
//! lie side by side from 0 to n. It counts once a commit record names it.
//!
//! # Invariant
//! Whatever crashes at whatever instant, a store holds all that was written before its newest commit, and of what was written later a
//! prefix in order of writing, each batch whole or not at all. What it hands out is what was put in, down to the bit, or an error that
//! names what is damaged: every archive carries a checksum over its contents and its place.
//!
//! Modules in reading order: [`record`] and [`merge`], [`batch`] and [`commit`] are what goes in, and [`shown`] for sinks of changes; [`error`] and
//! [`store`] are the contract; [`ledger`] knows which records make a checkpoint, which to rewrite as one and which to let go; [`contents`] tells what
//! is in one and [`mod@take_back`] goes back to an older one; `archive` and `format` are bytes; `place` is the order of archives; `tables` keeps the
//! contract over any ordered map, of which there are two that are written to: [`memory`] and `rocks`; [`packed`] is a third way to keep archives, for
//! object stores, which is copied to and read from.

pub mod record;
pub mod merge;
pub mod batch;
pub mod commit;
pub mod shown;
pub mod error;
pub mod store;
pub mod ledger;
pub mod contents;
pub mod take_back;
mod archive;
mod format;
pub mod place;
mod tables;
pub mod memory;
#[cfg(not(loom))]
pub mod rocks;
pub mod packed;

pub use batch::{Counts, PartitionBatch, PartitionState, SplitState, Written};
pub use commit::{Ahead, Commit, MetricCommit, SinkCommit, SplitCommit, StoreCommit, StreamCommit};
pub use contents::{Contents, StoreContents};
pub use error::{StoreError, StoreErrorKind};
pub use ledger::{Ledger, Merge};
pub use memory::MemoryStore;
pub use merge::SessionMerge;
pub use record::{Columns, Pieces, Record, RecordId, SliceId};
#[cfg(not(loom))]
pub use rocks::{Link, RocksStore};
pub use store::CheckpointStore;
pub use take_back::take_back;
