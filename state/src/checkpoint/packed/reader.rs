//! Checkpoints in an object store, read as any store is.
//!
//! What is there when it is opened is what it shows: entries that the log keeps, and the tails of their packs, are read once; again, if a run that
//! writes meanwhile has deleted some of it. Damage to one of these is told by the calls that need it. A record that lies in several packs is read
//! from the last of them by name.

use super::blobs::{Blobs, gone, text_of};
use super::log::{Checkpoint, Entry, Head, PackRef, Slot};
use super::pack::{PackTail, Placed};
use crate::checkpoint::archive;
use crate::checkpoint::error::{StoreError, StoreErrorKind};
use crate::checkpoint::place::{ArchiveKey, Table, epoch_of};
use crate::checkpoint::tables::{Backend, Tables, Visit};
use raympp_types::Epoch;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Archives less than this apart are read together.
const GAP_BYTES: u64 = 64 << 10;
/// But not more than this at once.
const READ_BYTES: u64 = 8 << 20;
/// How often a place is read at most while a run deletes what has just been listed.
const OPENINGS_MAX: usize = 10;

/// A store that is only read.
pub type PackedStore = Tables<Packed>;

impl PackedStore {
    /// Opens what a place holds.
    ///
    /// # Errors
    /// What the object store says, or that the log's newest entry is damaged. A place without a log is an empty store.
    pub fn open(blobs: Arc<dyn Blobs>) -> Result<PackedStore, StoreError> {
        PackedStore::open_some(blobs, None)
    }

    /// Opens one checkpoint.
    pub(super) fn open_some(blobs: Arc<dyn Blobs>, only: Option<Epoch>) -> Result<PackedStore, StoreError> {
        let mut backend = Packed { blobs, only, checkpoints: BTreeMap::new(), tails: BTreeMap::new(), places: BTreeMap::new() };
        backend.reopen()?;
        Ok(PackedStore { backend })
    }

    /// Where archives lie: packs, and in each, in order, ranges with the archives in them.
    pub(super) fn ranges(&self, keys: Vec<ArchiveKey>) -> Result<Vec<Run>, StoreError> {
        self.backend.ranges(keys)
    }

    /// The archives of a run, each whole and in its place.
    pub(super) fn read_run(&self, run: &Run) -> Result<Vec<(ArchiveKey, Vec<u8>)>, StoreError> {
        self.backend.read_run(run)
    }
}

/// Archives that are read by one call.
pub(super) struct Run {
    pack: String,
    range: Range<u64>,
    archives: Vec<Placed>,
}

/// What has been read of a place.
pub struct Packed {
    blobs: Arc<dyn Blobs>,
    only: Option<Epoch>,
    checkpoints: BTreeMap<Epoch, Result<Checkpoint, StoreError>>,
    /// Ends of packs, by name.
    tails: BTreeMap<String, Result<PackTail, StoreError>>,
    /// Where archives lie.
    places: BTreeMap<ArchiveKey, (String, Placed)>,
}

impl Packed {
    /// Reads these checkpoints and nothing else.
    fn read_kept(&mut self, kept: &[(Epoch, Slot)]) {
        (self.checkpoints, self.tails, self.places) = Default::default();
        for &(epoch, slot) in kept.iter().filter(|(epoch, _)| self.only.is_none_or(|only| only == *epoch)) {
            self.checkpoints.insert(epoch, self.read_checkpoint(epoch, slot));
        }
        self.open_packs();
    }

    fn is_faulty(&self) -> bool {
        self.checkpoints.values().any(Result::is_err) || self.tails.values().any(Result::is_err)
    }

    fn read_checkpoint(&self, epoch: Epoch, slot: Slot) -> Result<Checkpoint, StoreError> {
        let checkpoint = Entry::read(self.blobs.as_ref(), slot)?.checkpoint.filter(|checkpoint| checkpoint.epoch == epoch);
        let what = || text_of(self.blobs.as_ref(), &slot.name());
        checkpoint.ok_or_else(|| StoreError::damaged(what(), format!("it is not the entry of {epoch}, as the newest entry says")))
    }

    fn open_packs(&mut self) {
        let mut packs: BTreeMap<String, PackRef> = BTreeMap::new();
        for pack in self.checkpoints.values().flatten().flat_map(|checkpoint| &checkpoint.packs) {
            let live = &mut packs.entry(pack.name.clone()).or_insert_with(|| pack.clone()).live;
            live.iter_mut().zip(&pack.live).for_each(|(all, own)| *all |= own);
        }
        for (name, pack) in packs {
            let tail = PackTail::read(self.blobs.as_ref(), &pack);
            for (_, placed) in tail.iter().flat_map(|tail| &tail.index.archives).enumerate().filter(|(number, _)| pack.has(*number)) {
                self.places.insert(placed.key.clone(), (name.clone(), placed.clone()));
            }
            self.tails.insert(name, tail);
        }
    }

    /// The archive of a place, or the damage that may have hidden the place.
    fn find(&self, key: &ArchiveKey) -> Result<Option<&(String, Placed)>, StoreError> {
        match self.places.get(key) {
            Some(found) => Ok(Some(found)),
            None => self.tails.values().find_map(|tail| tail.as_ref().err()).map_or(Ok(None), |error| Err(error.clone())),
        }
    }

    fn read_archive(&self, pack: &str, placed: &Placed) -> Result<Vec<u8>, StoreError> {
        let tail = self.tails.get(pack).and_then(|tail| tail.as_ref().ok());
        if let Some(small) = tail.and_then(|tail| tail.small(placed)) {
            return Ok(small.to_vec());
        }
        let bytes = self.blobs.get(pack, Some(placed.range()))?.ok_or_else(|| gone(self.blobs.as_ref(), pack))?;
        self.check_length(pack, &bytes, &placed.range())?;
        Ok(bytes)
    }

    fn check_length(&self, pack: &str, bytes: &[u8], range: &Range<u64>) -> Result<(), StoreError> {
        let is_whole = bytes.len() as u64 == range.end - range.start;
        let shorter = || StoreError::damaged(text_of(self.blobs.as_ref(), pack), "it is shorter than when it was put there");
        if is_whole { Ok(()) } else { Err(shorter()) }
    }

    fn ranges(&self, keys: Vec<ArchiveKey>) -> Result<Vec<Run>, StoreError> {
        let mut places = Vec::with_capacity(keys.len());
        for key in keys {
            places.push(self.find(&key)?.ok_or_else(|| StoreError::damaged(&key, format!("it is not in {}", self.blobs.place())))?);
        }
        places.sort_by_key(|(pack, placed)| (pack, placed.offset));
        let mut runs: Vec<Run> = Vec::new();
        for (pack, placed) in places {
            let range = placed.range();
            match runs.last_mut() {
                Some(run) if run.pack == *pack && range.start <= run.range.end + GAP_BYTES && range.end - run.range.start <= READ_BYTES => {
                    run.range.end = run.range.end.max(range.end);
                    run.archives.push(placed.clone());
                }
                _ => runs.push(Run { pack: pack.clone(), range, archives: vec![placed.clone()] }),
            }
        }
        Ok(runs)
    }

    fn read_run(&self, run: &Run) -> Result<Vec<(ArchiveKey, Vec<u8>)>, StoreError> {
        let Run { pack, range, archives } = run;
        let bytes = self.blobs.get(pack, Some(range.clone()))?.ok_or_else(|| gone(self.blobs.as_ref(), pack))?;
        self.check_length(pack, &bytes, range)?;
        let archive = |placed: &Placed| {
            let start = (placed.offset - range.start) as usize;
            let archive = bytes[start..start + placed.bytes as usize].to_vec();
            archive::check(&placed.key, &archive)?;
            Ok((placed.key.clone(), archive))
        };
        archives.iter().map(archive).collect()
    }

    fn refuse(&self) -> StoreError {
        let advice = "restore a checkpoint into a state directory to go on from it";
        StoreError::new(StoreErrorKind::ReadOnly, self.blobs.place(), "checkpoints there are only read", advice)
    }
}

impl Backend for Packed {
    type Batch = ();

    fn read<R>(
        &self,
        table: Table,
        key: &[u8],
        _: &dyn ToString,
        read: impl FnOnce(&[u8]) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        if table == Table::Commits {
            let Some(checkpoint) = epoch_of(key).and_then(|epoch| self.checkpoints.get(&epoch)) else { return Ok(None) };
            return read(&checkpoint.as_ref().map_err(StoreError::clone)?.commit).map(Some);
        }
        let Some((pack, placed)) = self.find(&ArchiveKey::new(table, key))? else { return Ok(None) };
        read(&self.read_archive(pack, placed)?).map(Some)
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit) -> Result<(), StoreError> {
        if table == Table::Commits {
            // Damaged ones are there too; reading them tells.
            let epochs = self.checkpoints.keys().map(|epoch| ArchiveKey::of_commit(*epoch).key);
            return epochs.filter(|key| key.as_slice() >= from).try_for_each(|key| visit(&key, &[]));
        }
        if let Some(error) = self.tails.values().find_map(|tail| tail.as_ref().err()) {
            return Err(error.clone());
        }
        for (key, (pack, placed)) in self.places.range(ArchiveKey::new(table, from)..).take_while(|(key, _)| key.table == table) {
            visit(&key.key, &self.read_archive(pack, placed)?)?;
        }
        Ok(())
    }

    fn put(&self, (): &mut (), _: Table, _: &[u8], _: &[u8]) -> Result<(), StoreError> {
        Err(self.refuse())
    }

    fn delete(&self, (): &mut (), _: Table, _: &[u8]) -> Result<(), StoreError> {
        Err(self.refuse())
    }

    fn delete_from(&self, (): &mut (), _: Table, _: &[u8]) -> Result<(), StoreError> {
        Err(self.refuse())
    }

    fn apply(&mut self, (): (), _: bool, _: &dyn ToString) -> Result<(), StoreError> {
        Err(self.refuse())
    }

    fn size(&self) -> Result<u64, StoreError> {
        Ok(self.blobs.list("")?.iter().map(|(_, bytes)| bytes).sum())
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        let Some(mut head) = Head::read(self.blobs.as_ref())? else {
            self.read_kept(&[]);
            return Ok(());
        };
        self.read_kept(&head.entry.kept);
        for _ in 1..OPENINGS_MAX {
            if !self.is_faulty() {
                break;
            }
            let Some(newest) = Head::read(self.blobs.as_ref())?.filter(|newest| newest.slot > head.slot) else { break };
            head = newest;
            self.read_kept(&head.entry.kept);
        }
        Ok(())
    }
}
