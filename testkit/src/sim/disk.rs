//! The disk that outlives processes: a checkpoint store in memory whose calls fail when told to.

use raympp_state::checkpoint::place::ArchiveKey;
use raympp_state::checkpoint::{
    CheckpointStore, Columns, Commit, MemoryStore, PartitionBatch, PartitionState, Record, RecordId, StoreError, StoreErrorKind, Written,
};
use raympp_types::{Epoch, PartitionId, StreamId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the next call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A write fails in vain.
    Write,
    /// A write fails, and yet is there.
    Unsure,
    /// Reads fail until the next order.
    Read,
}

struct Inner {
    store: MemoryStore,
    reads_fail: bool,
}

/// Shared by the processes that follow each other.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    pub(super) fn new() -> Disk {
        Disk(Arc::new(Mutex::new(Inner { store: MemoryStore::new(), reads_fail: false })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn plant(&self, fault: Option<Fault>) {
        let mut inner = self.lock();
        inner.reads_fail = fault == Some(Fault::Read);
        match fault {
            Some(Fault::Write) => inner.store.fail_next(StoreErrorKind::NoSpace),
            Some(Fault::Unsure) => inner.store.fail_next_unsure(StoreErrorKind::Io),
            Some(Fault::Read) | None => {}
        }
    }

    pub(super) fn crash(&self, random: u64) {
        let mut inner = self.lock();
        inner.reads_fail = false;
        inner.store.crash(random);
    }
}

impl CheckpointStore for Disk {
    fn write(&mut self, batch: &PartitionBatch) -> Result<Written, StoreError> {
        self.lock().store.write(batch)
    }

    fn write_records(&mut self, records: &[(RecordId, Record)]) -> Result<Vec<u64>, StoreError> {
        self.lock().store.write_records(records)
    }

    fn commit(&mut self, commit: &Commit) -> Result<u64, StoreError> {
        self.lock().store.commit(commit)
    }

    fn commits(&self) -> Result<Vec<Epoch>, StoreError> {
        self.lock().store.commits()
    }

    fn read_commit(&self, epoch: Epoch) -> Result<Commit, StoreError> {
        self.lock().store.read_commit(epoch)
    }

    fn records(&self) -> Result<Vec<(RecordId, u64)>, StoreError> {
        self.lock().store.records()
    }

    fn read_columns(&self, id: &RecordId, columns: &Columns) -> Result<Record, StoreError> {
        let inner = self.lock();
        if inner.reads_fail {
            return Err(StoreError::new(StoreErrorKind::Io, id, "reading failed as the simulator asked", "read it again"));
        }
        inner.store.read_columns(id, columns)
    }

    fn partition(&self, stream: StreamId, partition: PartitionId, epoch: Epoch) -> Result<PartitionState, StoreError> {
        self.lock().store.partition(stream, partition, epoch)
    }

    fn archive(&self, key: &ArchiveKey) -> Result<Vec<u8>, StoreError> {
        self.lock().store.archive(key)
    }

    fn put_archives(&mut self, archives: &[(ArchiveKey, Vec<u8>)]) -> Result<(), StoreError> {
        self.lock().store.put_archives(archives)
    }

    fn remove(&mut self, records: &[RecordId], epochs: &[Epoch]) -> Result<(), StoreError> {
        self.lock().store.remove(records, epochs)
    }

    fn rewind(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        self.lock().store.rewind(epoch)
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.lock().store.size()
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        self.lock().store.reopen()
    }
}
