//! The contract of a store, kept over any ordered map that changes atomically and keeps the order of changes.
//!
//! What a [`Backend`] promises is what [`CheckpointStore`] asks for but for the contents: a batch of changes is applied whole or not at all, a
//! durable one makes all before it durable, and a crash leaves a prefix. So atomic and in order hold by construction; exact holds by the
//! envelope of each archive and by the index, which says how many parts and entries a record has.

use super::archive::{self, Kind};
use super::batch::{PartitionBatch, PartitionState, Written};
use super::commit::Commit;
use super::error::StoreError;
use super::format::{CommitV1, IndexV1, PartV1, PartV2, StateV1, parts_of};
use super::place::{self, ArchiveKey, Table};
use super::record::{Columns, Pieces, Record, RecordId};
use super::store::CheckpointStore;
use crate::crash_point::{CrashPoint, visit};
use crate::delta::KeyList;
use raympp_types::{Epoch, PartitionId, StreamId};

/// Room is made for so many entries of a record at most before they are read, whatever its index says.
const ENTRIES_EXPECTED_MAX: u64 = 1 << 22;
/// And for so many bytes of each one's key.
const KEY_BYTES_EXPECTED: usize = 32;

/// What is done with each key and value of a range.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Ordered maps from bytes to bytes.
pub trait Backend: Send {
    /// Changes on their way.
    type Batch: Default;

    /// Reads the value of a key where it lies, if there is one. `what` is named by errors.
    fn read<R>(
        &self,
        table: Table,
        key: &[u8],
        what: &dyn ToString,
        read: impl FnOnce(&[u8]) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError>;

    /// All keys from `from` on, in order.
    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit) -> Result<(), StoreError>;

    /// No changes yet, with room for an epoch's records.
    fn batch_of_records(&self) -> Self::Batch {
        Self::Batch::default()
    }

    /// Adds the setting of a key.
    fn put(&self, batch: &mut Self::Batch, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Adds the removal of a key, which need not be there.
    fn delete(&self, batch: &mut Self::Batch, table: Table, key: &[u8]) -> Result<(), StoreError>;

    /// Adds the removal of all keys from `from` on, none of which need be readable.
    fn delete_from(&self, batch: &mut Self::Batch, table: Table, from: &[u8]) -> Result<(), StoreError>;

    /// Applies the changes in order, as a whole or not at all; if `durable`, they and all earlier ones are durable when it returns.
    fn apply(&mut self, batch: Self::Batch, durable: bool, what: &dyn ToString) -> Result<(), StoreError>;

    /// What this backend does before the newest commit becomes an older one.
    fn before_rewind(&mut self, _epoch: Epoch) -> Result<(), StoreError> {
        Ok(())
    }

    /// What this backend does once a commit is durable.
    fn after_commit(&mut self, _epoch: Epoch) {}

    /// An epoch that is known to have been committed, by other means than its commit record; the newest such.
    fn newest(&self) -> Option<Epoch> {
        None
    }

    /// Bytes that all of it takes.
    fn size(&self) -> Result<u64, StoreError>;

    /// Closes and opens it.
    fn reopen(&mut self) -> Result<(), StoreError>;
}

/// A store over a backend.
pub struct Tables<B> {
    pub(super) backend: B,
}

impl<B: Backend> CheckpointStore for Tables<B> {
    fn write(&mut self, batch: &PartitionBatch) -> Result<Written, StoreError> {
        let mut changes = self.backend.batch_of_records();
        let record_bytes = self.put_records(&mut changes, &batch.records)?;
        let key = place::of_state(batch.epoch, batch.stream, batch.partition);
        let what = state_text(batch.stream, batch.partition, batch.epoch);
        let state = archive::seal(Kind::State, &key, &StateV1::of(&batch.state), &what)?;
        self.backend.put(&mut changes, Table::States, &key, &state)?;
        self.backend.apply(changes, false, &what)?;
        Ok(Written { bytes: record_bytes.iter().sum::<u64>() + state.len() as u64, record_bytes })
    }

    fn write_records(&mut self, records: &[(RecordId, Record)]) -> Result<Vec<u64>, StoreError> {
        let mut changes = self.backend.batch_of_records();
        let bytes = self.put_records(&mut changes, records)?;
        let what: &dyn ToString = records.first().map_or(&"no records", |(id, _)| id);
        self.backend.apply(changes, false, what)?;
        Ok(bytes)
    }

    fn commit(&mut self, commit: &Commit) -> Result<u64, StoreError> {
        let key = place::of_commit(commit.epoch);
        let what = commit_text(commit.epoch);
        let bytes = archive::seal(Kind::Commit, &key, &CommitV1::of(commit), &what)?;
        let mut changes = B::Batch::default();
        self.backend.put(&mut changes, Table::Commits, &key, &bytes)?;
        self.backend.apply(changes, true, &what)?;
        self.backend.after_commit(commit.epoch);
        Ok(bytes.len() as u64)
    }

    fn commits(&self) -> Result<Vec<Epoch>, StoreError> {
        let mut epochs = Vec::new();
        self.backend.scan(Table::Commits, &[], &mut |key, _| {
            epochs.push(place::epoch_of(key).ok_or_else(|| unknown_key(Table::Commits))?);
            Ok(())
        })?;
        // One that should be there and is not shows, so that going back to an older one is a decision.
        epochs.extend(self.backend.newest().filter(|newest| epochs.last().is_none_or(|last| last < newest)));
        Ok(epochs)
    }

    fn read_commit(&self, epoch: Epoch) -> Result<Commit, StoreError> {
        let (key, what) = (place::of_commit(epoch), commit_text(epoch));
        let lost = || match self.backend.newest() {
            Some(newest) if newest == epoch => StoreError::damaged(&what, "it was written and is not there any more"),
            _ => StoreError::missing(&what),
        };
        let open = |bytes: &[u8]| archive::open::<CommitV1>(Kind::Commit, &key, bytes, &what);
        Ok(self.backend.read(Table::Commits, &key, &what, open)?.ok_or_else(lost)?.into_commit())
    }

    fn records(&self) -> Result<Vec<(RecordId, u64)>, StoreError> {
        let mut records = Vec::new();
        self.backend.scan(Table::Index, &[], &mut |key, value| {
            let id = place::record_of(key).ok_or_else(|| unknown_key(Table::Index))?;
            let index: IndexV1 = archive::open(Kind::Index, key, value, id)?;
            records.push((id, index.bytes));
            Ok(())
        })?;
        Ok(records)
    }

    fn read_columns(&self, id: &RecordId, columns: &Columns) -> Result<Record, StoreError> {
        let index = self.index_of(id)?.ok_or_else(|| StoreError::missing(id))?;
        let pieces = if index.sessions { Pieces::Sessions { first_us: Vec::new(), last_us: Vec::new() } } else { Pieces::Sliced };
        let room = index.entries.min(ENTRIES_EXPECTED_MAX) as usize;
        let (keys, rows) = (KeyList::with_capacity(room, KEY_BYTES_EXPECTED * room), Vec::with_capacity(room));
        let mut record = Record { pieces, keys, rows, columns: vec![None; columns.wanted.len()] };
        let damaged = |fault| StoreError::damaged(id, fault);
        for part in 0..index.parts {
            let key = place::of_part(id, part);
            let read = |bytes: &[u8]| match archive::version_of(bytes) {
                Some(1) => archive::visit::<PartV1, _>(Kind::Part, &key, bytes, id, |part| part.append_to(&mut record, columns)),
                _ => archive::visit::<PartV2, _>(Kind::Part, &key, bytes, id, |part| part.append_to(&mut record, columns)),
            };
            self.backend.read(Table::Parts, &key, id, read)?.ok_or_else(|| damaged("a part of it is not there"))?;
        }
        if record.len() as u64 != index.entries {
            return Err(damaged("it has not as many entries as the index says"));
        }
        record.fault().map_or(Ok(record), |fault| Err(damaged(fault)))
    }

    fn partition(&self, stream: StreamId, partition: PartitionId, epoch: Epoch) -> Result<PartitionState, StoreError> {
        let (key, what) = (place::of_state(epoch, stream, partition), state_text(stream, partition, epoch));
        let open = |bytes: &[u8]| archive::open::<StateV1>(Kind::State, &key, bytes, &what);
        let state = self.backend.read(Table::States, &key, &what, open)?.ok_or_else(|| StoreError::missing(&what))?;
        state.into_state().map_err(|fault| StoreError::damaged(what, fault))
    }

    fn archive(&self, key: &ArchiveKey) -> Result<Vec<u8>, StoreError> {
        let checked = |bytes: &[u8]| archive::check(key, bytes).map(|()| bytes.to_vec());
        self.backend.read(key.table, &key.key, key, checked)?.ok_or_else(|| StoreError::missing(key))
    }

    fn put_archives(&mut self, archives: &[(ArchiveKey, Vec<u8>)]) -> Result<(), StoreError> {
        let mut changes = B::Batch::default();
        for (key, bytes) in archives {
            archive::check(key, bytes)?;
            self.backend.put(&mut changes, key.table, &key.key, bytes)?;
        }
        let what: &dyn ToString = archives.first().map_or(&"no archives", |(key, _)| key);
        self.backend.apply(changes, false, what)
    }

    fn remove(&mut self, records: &[RecordId], epochs: &[Epoch]) -> Result<(), StoreError> {
        let mut changes = B::Batch::default();
        self.delete_records(&mut changes, records)?;
        for &epoch in epochs {
            self.backend.delete(&mut changes, Table::Commits, &place::of_commit(epoch))?;
            self.delete_states(&mut changes, epoch)?;
        }
        self.backend.apply(changes, false, &"what no kept checkpoint needs")
    }

    fn rewind(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        let mut changes = B::Batch::default();
        for later in self.commits()?.into_iter().filter(|&commit| commit > epoch) {
            self.backend.delete(&mut changes, Table::Commits, &place::of_commit(later))?;
        }
        let later: Vec<RecordId> = self.records()?.into_iter().map(|(id, _)| id).filter(|id| id.to > epoch).collect();
        self.delete_records(&mut changes, &later)?;
        self.backend.delete_from(&mut changes, Table::States, &place::of_commit(epoch.next()))?;
        self.backend.before_rewind(epoch)?;
        visit(CrashPoint::RewindDue);
        self.backend.apply(changes, true, &format!("what was written after {epoch}"))
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.backend.size()
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        self.backend.reopen()
    }
}

impl<B: Backend> Tables<B> {
    fn put_records(&self, changes: &mut B::Batch, records: &[(RecordId, Record)]) -> Result<Vec<u64>, StoreError> {
        records.iter().map(|(id, record)| self.put_record(changes, id, record)).collect()
    }

    fn put_record(&self, changes: &mut B::Batch, id: &RecordId, record: &Record) -> Result<u64, StoreError> {
        assert_eq!(record.fault(), None, "{id} is as records are");
        let (mut parts, mut bytes) = (0, 0);
        for part in parts_of(record) {
            let part = part.map_err(|fault| archive::too_large(id, fault))?;
            let key = place::of_part(id, parts);
            let sealed = archive::seal(Kind::Part, &key, &part, id)?;
            self.backend.put(changes, Table::Parts, &key, &sealed)?;
            parts += 1;
            bytes += sealed.len() as u64;
        }
        let index = IndexV1 { parts, entries: record.len() as u64, bytes, sessions: record.pieces != Pieces::Sliced };
        let key = place::of_record(id);
        let sealed = archive::seal(Kind::Index, &key, &index, id)?;
        self.backend.put(changes, Table::Index, &key, &sealed)?;
        Ok(bytes)
    }

    fn index_of(&self, id: &RecordId) -> Result<Option<IndexV1>, StoreError> {
        let key = place::of_record(id);
        self.backend.read(Table::Index, &key, id, |bytes| archive::open(Kind::Index, &key, bytes, id))
    }

    fn delete_records(&self, changes: &mut B::Batch, ids: &[RecordId]) -> Result<(), StoreError> {
        for id in ids {
            let parts = self.index_of(id)?.map_or(0, |index| index.parts);
            for part in 0..parts {
                self.backend.delete(changes, Table::Parts, &place::of_part(id, part))?;
            }
            self.backend.delete(changes, Table::Index, &place::of_record(id))?;
        }
        Ok(())
    }

    /// Removes all partitions' states of an epoch.
    fn delete_states(&self, changes: &mut B::Batch, epoch: Epoch) -> Result<(), StoreError> {
        let mut keys = Vec::new();
        self.backend.scan(Table::States, &place::of_commit(epoch), &mut |key, _| {
            keys.push(key.to_vec());
            Ok(())
        })?;
        let is_of_epoch = |key: &&Vec<u8>| place::epoch_of(key) == Some(epoch);
        keys.iter().take_while(is_of_epoch).try_for_each(|key| self.backend.delete(changes, Table::States, key))
    }
}

fn commit_text(epoch: Epoch) -> String {
    ArchiveKey::of_commit(epoch).to_string()
}

fn state_text(stream: StreamId, partition: PartitionId, epoch: Epoch) -> String {
    ArchiveKey::of_state(epoch, stream, partition).to_string()
}

fn unknown_key(table: Table) -> StoreError {
    StoreError::damaged(format!("the table of {}", table.name()), "it holds a key that is none")
}
