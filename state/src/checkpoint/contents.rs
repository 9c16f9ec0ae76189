//! What a checkpoint holds, for people and for those who check it: sizes from the index alone, entries by reading all of it.
//!
//! Reading proves that every archive is there, whole and well-formed, for its checksum covers its bytes and its place. Nothing here knows a
//! script: stores are shown by their descriptions.

use super::commit::{Commit, StoreCommit, StreamCommit};
use super::error::{StoreError, StoreErrorKind};
use super::ledger::Ledger;
use super::record::{Columns, RecordId};
use super::store::CheckpointStore;
use raympp_types::{Epoch, PartitionId};
use std::collections::{BTreeMap, BTreeSet};

/// What a store of a stream holds, over all partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreContents {
    /// Slices with anything in them; for sessions and running totals 1 if there is anything.
    pub slices: usize,
    /// Records that it is read from.
    pub records: usize,
    /// Bytes of them, before compression.
    pub bytes: u64,
    /// Entries: groups by slice, or pieces of sessions; a group that several records tell of counts as often.
    pub entries: u64,
    /// Rows that they count.
    pub rows: u64,
}

/// The checkpoints of a store, with the index of their records.
pub struct Contents<'a> {
    store: &'a dyn CheckpointStore,
    ledger: Ledger,
    bytes: BTreeMap<RecordId, u64>,
    /// Records that have been read and found whole, with their entries and rows.
    read: BTreeMap<RecordId, (u64, u64)>,
}

impl<'a> Contents<'a> {
    /// Reads the index.
    ///
    /// # Errors
    /// What the store says.
    pub fn open(store: &'a dyn CheckpointStore) -> Result<Contents<'a>, StoreError> {
        let records = store.records()?;
        Ok(Contents { store, ledger: Ledger::of(records.iter().copied()), bytes: records.into_iter().collect(), read: BTreeMap::new() })
    }

    /// Checkpoints that are kept, ascending.
    ///
    /// # Errors
    /// What the store says.
    pub fn epochs(&self) -> Result<Vec<Epoch>, StoreError> {
        self.store.commits()
    }

    /// The commit record of one.
    ///
    /// # Errors
    /// What the store says; [`StoreErrorKind::Missing`] names those there are.
    pub fn commit(&self, epoch: Epoch) -> Result<Commit, StoreError> {
        let known = self.store.commits()?;
        if known.contains(&epoch) {
            return self.store.read_commit(epoch);
        }
        let names: Vec<String> = known.iter().map(|epoch| epoch.0.to_string()).collect();
        let there = if names.is_empty() { "there are no checkpoints".to_owned() } else { format!("there are {}", names.join(", ")) };
        Err(StoreError::new(StoreErrorKind::Missing, format!("checkpoint {}", epoch.0), "it is not there", there))
    }

    /// Bytes of all records of a checkpoint, before compression.
    ///
    /// # Errors
    /// [`StoreErrorKind::Damaged`] if records are missing.
    pub fn bytes(&self, commit: &Commit) -> Result<u64, StoreError> {
        let records = self.records(commit)?;
        Ok(records.iter().flat_map(|(.., ids)| ids).map(|id| self.bytes[id]).sum())
    }

    /// What each store of each stream holds, in the commit record's order. Reads every record once, whatever is asked later.
    ///
    /// # Errors
    /// What the first record that can't be read says.
    pub fn stores(&mut self, commit: &Commit) -> Result<Vec<Vec<StoreContents>>, StoreError> {
        let mut contents: Vec<Vec<StoreContents>> =
            commit.streams.iter().map(|stream| vec![StoreContents::default(); stream.stores.len()]).collect();
        for (stream, store, ids) in self.records(commit)? {
            let columns = Columns { stored: commit.streams[stream].stores[store].accumulators.len(), wanted: Vec::new() };
            let into = &mut contents[stream][store];
            into.slices = ids.iter().map(|id| id.slice).collect::<BTreeSet<i64>>().len();
            for id in &ids {
                let (entries, rows) = self.read(id, &columns)?;
                into.records += 1;
                into.bytes += self.bytes[id];
                into.entries += entries;
                into.rows += rows;
            }
        }
        Ok(contents)
    }

    /// Reads everything that going on from a checkpoint would.
    ///
    /// # Errors
    /// What is damaged or missing, the first of it.
    pub fn verify(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        let commit = self.commit(epoch)?;
        self.stores(&commit).map(|_| ())
    }

    fn read(&mut self, id: &RecordId, columns: &Columns) -> Result<(u64, u64), StoreError> {
        if let Some(&known) = self.read.get(id) {
            return Ok(known);
        }
        let record = self.store.read_columns(id, columns)?;
        let found = (record.len() as u64, record.rows.iter().sum());
        self.read.insert(*id, found);
        Ok(found)
    }

    /// The records of a checkpoint by stream and store, as positions in the commit record.
    fn records(&self, commit: &Commit) -> Result<Vec<(usize, usize, Vec<RecordId>)>, StoreError> {
        let mut of_stores = Vec::new();
        for (position, stream) in commit.streams.iter().enumerate() {
            for (store_position, store) in stream.stores.iter().enumerate() {
                let mut ids = Vec::new();
                for partition in (0..stream.partitions).map(PartitionId) {
                    ids.extend(self.cover(stream, store, partition, commit.epoch)?);
                }
                of_stores.push((position, store_position, ids));
            }
        }
        Ok(of_stores)
    }

    fn cover(&self, stream: &StreamCommit, store: &StoreCommit, partition: PartitionId, epoch: Epoch) -> Result<Vec<RecordId>, StoreError> {
        let mut ids = Vec::new();
        for slice in self.ledger.slices(stream.id, partition, store.uid) {
            let missing = || StoreError::damaged(format!("checkpoint {}", epoch.0), "records of it are not there");
            ids.extend(self.ledger.cover(slice, epoch).ok_or_else(missing)?);
        }
        Ok(ids)
    }
}
