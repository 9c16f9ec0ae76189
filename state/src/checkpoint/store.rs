//! The contract of a checkpoint store.

use super::batch::{PartitionBatch, PartitionState, Written};
use super::commit::Commit;
use super::error::StoreError;
use super::place::ArchiveKey;
use super::record::{Columns, Record, RecordId};
use raympp_operators::accumulator::Accumulator;
use raympp_types::{Epoch, PartitionId, StreamId};

/// Keeps records, partitions' states and commits.
///
/// # Contract
/// - *Atomic.* What one call writes or removes is there as a whole or not at all, also after a crash in the middle of it.
/// - *In order.* After a crash, everything up to the newest commit is there, and of the later calls a prefix.
/// - *Exact.* What is read equals what was written, or the call fails with [`super::StoreErrorKind::Damaged`] and says what is damaged.
/// - *After an error of a call that writes*, nothing is known to have been written, nor that it has not: call [`CheckpointStore::reopen`], look
///   at [`CheckpointStore::commits`], and write again what is not covered; writing the same again is allowed.
/// - *Numbers are used again.* What was written beyond the newest commit may lie there after a crash. Who goes on from a commit first calls
///   [`CheckpointStore::rewind`], for epochs of the same numbers will mean other rows.
pub trait CheckpointStore: Send {
    /// Writes a partition's list; readable at once, durable with the next commit.
    ///
    /// # Panics
    /// If a record breaks the rules that [`Record::fault`] tells.
    fn write(&mut self, batch: &PartitionBatch) -> Result<Written, StoreError>;

    /// Writes records that belong to no partition's list; otherwise as [`CheckpointStore::write`]. Returns the bytes of each.
    fn write_records(&mut self, records: &[(RecordId, Record)]) -> Result<Vec<u64>, StoreError>;

    /// Makes everything written so far, and this, durable. Returns the bytes of the commit record.
    fn commit(&mut self, commit: &Commit) -> Result<u64, StoreError>;

    /// Epochs with a commit record, ascending. One whose record is known to have been lost is named too, and reading it fails: going back to an
    /// older one is not for the store to decide.
    fn commits(&self) -> Result<Vec<Epoch>, StoreError>;

    /// The commit record of an epoch.
    fn read_commit(&self, epoch: Epoch) -> Result<Commit, StoreError>;

    /// All records and their bytes before compression, by id: what a [`super::ledger::Ledger`] is built from.
    fn records(&self) -> Result<Vec<(RecordId, u64)>, StoreError>;

    /// A record with these of its store's columns.
    fn read_columns(&self, id: &RecordId, columns: &Columns) -> Result<Record, StoreError>;

    /// A record of a store with these accumulators.
    fn read(&self, id: &RecordId, accumulators: &[Accumulator]) -> Result<Record, StoreError> {
        self.read_columns(id, &Columns::all(accumulators))
    }

    /// A partition at a barrier.
    fn partition(&self, stream: StreamId, partition: PartitionId, epoch: Epoch) -> Result<PartitionState, StoreError>;

    /// An archive as it lies here, for copying; whole and in its place, or the call fails.
    fn archive(&self, key: &ArchiveKey) -> Result<Vec<u8>, StoreError>;

    /// Puts copies of archives of another store where they lay there. Durable with the next commit, which is not to be put this way.
    fn put_archives(&mut self, archives: &[(ArchiveKey, Vec<u8>)]) -> Result<(), StoreError>;

    /// Forgets records, and epochs with their commit records and partitions' states, if there are any. The newest commit stays: only
    /// [`CheckpointStore::rewind`] takes it back. Durable with the next commit.
    fn remove(&mut self, records: &[RecordId], epochs: &[Epoch]) -> Result<(), StoreError>;

    /// Forgets everything that was written for later epochs: commits, partitions' states, and records that end later. Durable at once.
    fn rewind(&mut self, epoch: Epoch) -> Result<(), StoreError>;

    /// Bytes that the store takes.
    fn size(&self) -> Result<u64, StoreError>;

    /// Closes what is open and opens it anew: the way on after an error. What is there afterwards is durable.
    fn reopen(&mut self) -> Result<(), StoreError>;
}
