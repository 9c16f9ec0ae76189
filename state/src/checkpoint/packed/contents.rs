//! What a checkpoint is made of, and where its archives come from.

use crate::checkpoint::archive::{self, Kind};
use crate::checkpoint::error::StoreError;
use crate::checkpoint::format::IndexV1;
use crate::checkpoint::ledger::Ledger;
use crate::checkpoint::place::ArchiveKey;
use crate::checkpoint::record::{RecordId, SliceId};
use crate::checkpoint::store::CheckpointStore;
use crate::checkpoint::{Commit, StoreErrorKind};
use raympp_types::{Epoch, PartitionId, StoreUid, StreamId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Archives that are read together: about as many bytes as are worth a call.
const READ_BYTES: usize = 4 << 20;
/// And not more archives than this.
const READ_ARCHIVES: usize = 512;

/// All archives of a checkpoint, without those of its records.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Which.
    pub epoch: Epoch,
    /// The archive of its commit record.
    pub commit: Vec<u8>,
    /// The archives of its partitions' states.
    pub states: Vec<(ArchiveKey, Vec<u8>)>,
    /// The records of its cover, and their bytes.
    pub records: BTreeMap<RecordId, u64>,
}

impl Contents {
    /// A checkpoint of a store. `ledger` knows the store's records.
    ///
    /// # Errors
    /// What the store says, or that it does not have the checkpoint.
    pub fn of(store: &dyn CheckpointStore, ledger: &Ledger, epoch: Epoch) -> Result<Contents, StoreError> {
        let commit = store.read_commit(epoch)?;
        let stores: BTreeSet<(StreamId, StoreUid)> =
            commit.streams.iter().flat_map(|stream| stream.stores.iter().map(|store| (stream.id, store.uid))).collect();
        let mut records = BTreeMap::new();
        for slice in ledger.all_slices().filter(|slice| stores.contains(&(slice.stream, slice.store))) {
            records.extend(cover(ledger, slice, epoch)?);
        }
        Ok(Contents { epoch, commit: store.archive(&ArchiveKey::of_commit(epoch))?, states: states(store, &commit)?, records })
    }

    /// Bytes of its records.
    pub fn record_bytes(&self) -> u64 {
        self.records.values().sum()
    }
}

fn cover(ledger: &Ledger, slice: SliceId, epoch: Epoch) -> Result<impl Iterator<Item = (RecordId, u64)>, StoreError> {
    ledger.cover_sizes(slice, epoch).ok_or_else(|| StoreError::missing(format!("checkpoint {}", epoch.0)))
}

/// States of partitions at the barrier; a stream that had ended before has none there.
fn states(store: &dyn CheckpointStore, commit: &Commit) -> Result<Vec<(ArchiveKey, Vec<u8>)>, StoreError> {
    let mut states = Vec::new();
    for stream in &commit.streams {
        for partition in (0..stream.partitions).map(PartitionId) {
            let key = ArchiveKey::of_state(commit.epoch, stream.id, partition);
            match store.archive(&key) {
                Ok(bytes) => states.push((key, bytes)),
                Err(error) if error.kind == StoreErrorKind::Missing => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(states)
}

/// Where archives come from.
pub trait ArchiveSource {
    /// The archives of the first of these keys, at least one, as many as are worth a call.
    fn read(&mut self, keys: &[ArchiveKey]) -> Result<Vec<Vec<u8>>, StoreError>;
}

/// A store as a source.
pub struct StoreSource<'a>(pub &'a dyn CheckpointStore);

impl ArchiveSource for StoreSource<'_> {
    fn read(&mut self, keys: &[ArchiveKey]) -> Result<Vec<Vec<u8>>, StoreError> {
        read_some(self.0, keys)
    }
}

/// The archives of the first of these keys, at least one and about four mebibytes.
///
/// # Errors
/// What the store says.
pub fn read_some(store: &dyn CheckpointStore, keys: &[ArchiveKey]) -> Result<Vec<Vec<u8>>, StoreError> {
    let (mut archives, mut bytes) = (Vec::new(), 0);
    for key in keys.iter().take(READ_ARCHIVES) {
        let archive = store.archive(key)?;
        bytes += archive.len();
        archives.push(archive);
        if bytes >= READ_BYTES {
            break;
        }
    }
    Ok(archives)
}

/// Archives in the order they are asked for, read ahead by one call.
pub(super) struct Stream<'a> {
    source: &'a mut dyn ArchiveSource,
    keys: VecDeque<ArchiveKey>,
    read: VecDeque<Vec<u8>>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(source: &'a mut dyn ArchiveSource, keys: impl IntoIterator<Item = ArchiveKey>) -> Stream<'a> {
        Stream { source, keys: keys.into_iter().collect(), read: VecDeque::new() }
    }

    /// The next archive and its key.
    pub(super) fn next(&mut self) -> Result<Option<(ArchiveKey, Vec<u8>)>, StoreError> {
        if self.read.is_empty() && !self.keys.is_empty() {
            let window: Vec<ArchiveKey> = self.keys.iter().take(READ_ARCHIVES).cloned().collect();
            self.read = self.source.read(&window)?.into();
        }
        let Some(bytes) = self.read.pop_front() else { return Ok(None) };
        Ok(self.keys.pop_front().map(|key| (key, bytes)))
    }
}

/// The keys of a record's parts, by the archive of its entry in the index.
pub(super) fn parts_of(id: &RecordId, index: &[u8]) -> Result<impl Iterator<Item = ArchiveKey> + use<>, StoreError> {
    let key = ArchiveKey::of_index(id);
    let index: IndexV1 = archive::open(Kind::Index, &key.key, index, id)?;
    let id = *id;
    Ok((0..index.parts).map(move |part| ArchiveKey::of_part(&id, part)))
}
