//! A store in memory, for tests and the simulator: the same archives and the same promises as on disk, with crashes and failures at will.
//!
//! What was not followed by a commit may be lost: a crash keeps everything up to the newest commit and, by a seeded choice, any prefix of the
//! later batches, each whole. That is exactly what a log that is synced at commits leaves.

use super::error::{StoreError, StoreErrorKind};
use super::place::{self, Table};
use super::record::RecordId;
use super::tables::{Backend, Tables, Visit};
use raympp_types::Epoch;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// A store without a disk.
pub type MemoryStore = Tables<Memory>;

type Maps = BTreeMap<Table, BTreeMap<Vec<u8>, Arc<[u8]>>>;

/// Setting a key, or its removal.
struct Change(Table, Vec<u8>, Option<Arc<[u8]>>);

/// How the next call that writes fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Refused(StoreErrorKind),
    Unsure(StoreErrorKind),
}

/// Maps, and what a crash may take from them.
#[derive(Default)]
pub struct Memory {
    now: Maps,
    durable: Maps,
    /// Batches since the newest commit.
    uncommitted: VecDeque<Vec<Change>>,
    /// A batch of which the caller was told that it failed, and which is there all the same when the store is opened anew.
    unsure: Option<Vec<Change>>,
    failure: Option<Failure>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore { backend: Memory::default() }
    }

    /// The next call that writes fails and writes nothing.
    pub fn fail_next(&mut self, kind: StoreErrorKind) {
        self.backend.failure = Some(Failure::Refused(kind));
    }

    /// The next call that writes fails, but what it wrote is there after [`super::CheckpointStore::reopen`] and may be there after a crash: as when
    /// only the answer of a sync is lost.
    pub fn fail_next_unsure(&mut self, kind: StoreErrorKind) {
        self.backend.failure = Some(Failure::Unsure(kind));
    }

    /// The machine stops and starts again. `random` chooses how much of what no commit has made durable survives.
    pub fn crash(&mut self, random: u64) {
        let memory = &mut self.backend;
        memory.uncommitted.extend(memory.unsure.take());
        let survivors = random % (memory.uncommitted.len() as u64 + 1);
        for changes in memory.uncommitted.drain(..).take(survivors as usize) {
            change(&mut memory.durable, &changes);
        }
        memory.now = memory.durable.clone();
        memory.failure = None;
    }

    /// Turns bits of a byte of the first part of a record, counted from its start and round again from its end. False if there is no such record.
    pub fn damage(&mut self, id: &RecordId, at: usize, bits: u8) -> bool {
        self.backend.damage(Table::Parts, &place::of_part(id, 0), at, bits)
    }

    /// The same to a commit record.
    pub fn damage_commit(&mut self, epoch: Epoch, at: usize, bits: u8) -> bool {
        self.backend.damage(Table::Commits, &place::of_commit(epoch), at, bits)
    }

    /// All archives, as they lie in a table.
    pub fn archives(&self, table: Table) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.backend.now.get(&table).into_iter().flatten().map(|(key, value)| (&key[..], &value[..]))
    }

    /// Puts bytes where an archive lies, or takes it away.
    pub fn overwrite(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let changes = [Change(table, key.to_vec(), value.map(Arc::from))];
        change(&mut self.backend.now, &changes);
        change(&mut self.backend.durable, &changes);
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl Memory {
    fn damage(&mut self, table: Table, key: &[u8], at: usize, bits: u8) -> bool {
        let Some(value) = self.now.get(&table).and_then(|map| map.get(key)) else { return false };
        let mut bytes = value.to_vec();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        let changes = [Change(table, key.to_vec(), Some(bytes.into()))];
        change(&mut self.now, &changes);
        change(&mut self.durable, &changes);
        true
    }
}

fn change(maps: &mut Maps, changes: &[Change]) {
    for Change(table, key, value) in changes {
        let map = maps.entry(*table).or_default();
        match value {
            Some(value) => map.insert(key.clone(), Arc::clone(value)),
            None => map.remove(key),
        };
    }
}

/// A batch of changes to a [`Memory`].
#[derive(Default)]
pub struct MemoryBatch(Vec<Change>);

impl Backend for Memory {
    type Batch = MemoryBatch;

    fn read<R>(
        &self,
        table: Table,
        key: &[u8],
        _: &dyn ToString,
        read: impl FnOnce(&[u8]) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        self.now.get(&table).and_then(|map| map.get(key)).map(|value| read(value)).transpose()
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit) -> Result<(), StoreError> {
        let Some(map) = self.now.get(&table) else { return Ok(()) };
        let range = (Bound::Included(from), Bound::Unbounded);
        map.range::<[u8], _>(range).try_for_each(|(key, value)| visit(key, value))
    }

    fn put(&self, batch: &mut MemoryBatch, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        batch.0.push(Change(table, key.to_vec(), Some(Arc::from(value))));
        Ok(())
    }

    fn delete(&self, batch: &mut MemoryBatch, table: Table, key: &[u8]) -> Result<(), StoreError> {
        batch.0.push(Change(table, key.to_vec(), None));
        Ok(())
    }

    fn delete_from(&self, batch: &mut MemoryBatch, table: Table, from: &[u8]) -> Result<(), StoreError> {
        let keys = self.now.get(&table).into_iter().flat_map(|map| map.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)));
        batch.0.extend(keys.map(|(key, _)| Change(table, key.to_vec(), None)));
        Ok(())
    }

    fn apply(&mut self, batch: MemoryBatch, durable: bool, what: &dyn ToString) -> Result<(), StoreError> {
        let told = |kind| StoreError::new(kind, what.to_string(), "writing failed as a test asked", "write it again");
        match self.failure.take() {
            None => {}
            Some(Failure::Refused(kind)) => return Err(told(kind)),
            Some(Failure::Unsure(kind)) => {
                self.unsure = Some(batch.0);
                return Err(told(kind));
            }
        }
        change(&mut self.now, &batch.0);
        self.uncommitted.push_back(batch.0);
        if durable {
            self.uncommitted.drain(..).for_each(|changes| change(&mut self.durable, &changes));
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, StoreError> {
        let bytes = |map: &BTreeMap<Vec<u8>, Arc<[u8]>>| map.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        Ok(self.now.values().map(bytes).sum::<usize>() as u64)
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        if let Some(changes) = self.unsure.take() {
            change(&mut self.now, &changes);
            self.uncommitted.push_back(changes);
        }
        self.uncommitted.drain(..).for_each(|changes| change(&mut self.durable, &changes));
        Ok(())
    }
}
