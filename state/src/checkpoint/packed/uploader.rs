//! Copies checkpoints into an object store, one after the other, and deletes what no kept one needs.
//!
//! # What a failure leaves
//! A pack that could not be put is tried again with the next epoch; packs that have been put stay known and are not put again. When the creation
//! of an entry fails, nobody knows whether it is there: the log is read anew before anything else. An entry of this run that is found then counts.

use super::blobs::{Blobs, text_of};
use super::contents::{ArchiveSource, Contents, Stream, parts_of};
use super::ledger::PackLedger;
use super::log::{self, Checkpoint, Entry, Head, JobId, PackRef, Slot};
use super::pack::{self, PACK_BYTES, PackTail, PackWriter};
use crate::checkpoint::error::{StoreError, StoreErrorKind};
use crate::checkpoint::place::ArchiveKey;
use crate::checkpoint::record::RecordId;
use crate::crash_point::{CrashPoint, visit};
use raympp_types::Epoch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which job.
    pub job: JobId,
    /// Which state directory: a random number that stays with it.
    pub writer: u64,
    /// Which run: a random number of its own.
    pub run: u64,
}

/// What an upload took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uploaded {
    /// Objects put.
    pub objects: u64,
    /// And their bytes.
    pub bytes: u64,
    /// Why something that nobody needs could not be deleted; the next upload tries again.
    pub undeleted: Option<StoreError>,
}

/// A checkpoint that is kept.
#[derive(Clone, Debug)]
struct Kept {
    slot: Slot,
    packs: BTreeMap<String, PackRef>,
}

/// See the module.
pub struct Uploader {
    blobs: Arc<dyn Blobs>,
    identity: Identity,
    /// Checkpoints that stay.
    keep: usize,
    head: Slot,
    kept: BTreeMap<Epoch, Kept>,
    /// Packs that the next checkpoint can name: those of the newest one, and those put since.
    ledger: PackLedger,
    /// All packs that are there, as far as is known.
    packs: BTreeMap<String, PackRef>,
    /// Entries of runs that took over. They stay: the run before each would need its slot.
    take_overs: Vec<Slot>,
    /// Entries to be deleted.
    old: BTreeSet<Slot>,
    /// Of the next pack of this run.
    number: u64,
    /// The log has to be read anew.
    in_doubt: bool,
}

impl Uploader {
    /// Takes a log over that ends with this entry, or begins it: no other run can add to it from now on, and requests of earlier ones that are still
    /// under way come to nothing. Checkpoints later than `last` are taken back. What is left of uploads that were cut off is deleted; `keep`
    /// checkpoints stay (at least one).
    ///
    /// # Errors
    /// [`StoreErrorKind::Foreign`] if the log is of another job, [`StoreErrorKind::Taken`] if somebody has added to it meanwhile, and what the object
    /// store says.
    pub fn open(blobs: Arc<dyn Blobs>, identity: Identity, head: Option<Head>, last: Epoch, keep: usize) -> Result<Uploader, StoreError> {
        let mut uploader = Uploader {
            blobs,
            identity,
            keep: keep.max(1),
            head: Slot(0),
            kept: BTreeMap::new(),
            ledger: PackLedger::default(),
            packs: BTreeMap::new(),
            take_overs: Vec::new(),
            old: BTreeSet::new(),
            number: 0,
            in_doubt: false,
        };
        uploader.check_job(head.as_ref())?;
        uploader.take_over(head, last)?;
        visit(CrashPoint::PlaceTaken);
        uploader.read_log()?;
        uploader.collect()?;
        Ok(uploader)
    }

    /// The newest checkpoint that is there.
    pub fn newest(&self) -> Option<Epoch> {
        self.kept.last_key_value().map(|(&epoch, _)| epoch)
    }

    fn check_job(&self, head: Option<&Head>) -> Result<(), StoreError> {
        match head.filter(|head| head.entry.job != self.identity.job) {
            None => Ok(()),
            Some(head) => Err(StoreError::new(
                StoreErrorKind::Foreign,
                self.blobs.place(),
                format!("it has checkpoints of another job ({}, not {})", head.entry.job, self.identity.job),
                "name another place for this job's checkpoints",
            )),
        }
    }

    fn taken(&self, slot: Slot) -> StoreError {
        StoreError::new(
            StoreErrorKind::Taken,
            text_of(self.blobs.as_ref(), &slot.name()),
            "another run goes on with this job's checkpoints",
            "let only one run of a job go on; to go on here with what the other has done, stop it and start with an empty state directory",
        )
    }

    fn take_over(&mut self, head: Option<Head>, last: Epoch) -> Result<(), StoreError> {
        let (slot, kept, mut take_overs) = head.map_or_else(Default::default, |head| (head.slot, head.entry.kept, head.entry.take_overs));
        let kept = kept.into_iter().filter(|(epoch, _)| *epoch <= last).collect();
        take_overs.push(slot.next());
        let Identity { job, writer, run } = self.identity;
        self.create(slot.next(), &Entry { job, writer, run, kept, take_overs, checkpoint: None })
    }

    /// Creates an entry. The same one that is there already comes of a call of which only the answer was lost.
    fn create(&mut self, slot: Slot, entry: &Entry) -> Result<(), StoreError> {
        if self.blobs.create(&slot.name(), entry.seal(slot)?)? {
            return Ok(());
        }
        // Whoever added one that is gone again has gone on so far that it is needed no more.
        let there = Entry::find(self.blobs.as_ref(), slot)?.ok_or_else(|| self.taken(slot))?;
        if there == *entry {
            return Ok(());
        }
        if (there.writer, there.run) != (self.identity.writer, self.identity.run) {
            return Err(self.taken(slot));
        }
        let happened = "an earlier attempt to commit has succeeded after all";
        Err(StoreError::new(StoreErrorKind::Io, text_of(self.blobs.as_ref(), &slot.name()), happened, "it is taken into account next"))
    }

    /// Learns from the log what is there, and marks what has to go.
    fn read_log(&mut self) -> Result<(), StoreError> {
        let blobs = Arc::clone(&self.blobs);
        let head = Head::read(blobs.as_ref())?.ok_or_else(|| StoreError::missing(format!("a log in {}", blobs.place())))?;
        self.check_job(Some(&head))?;
        if (head.entry.writer, head.entry.run) != (self.identity.writer, self.identity.run) {
            return Err(self.taken(head.slot));
        }
        (self.head, self.ledger, self.kept) = (head.slot, PackLedger::default(), BTreeMap::new());
        let newest = head.newest();
        for &(epoch, slot) in &head.entry.kept {
            let checkpoint = match Entry::read(blobs.as_ref(), slot) {
                // It can't be restored; nothing is lost when it is let go of.
                Err(error) if error.kind == StoreErrorKind::Damaged && newest != Some(epoch) => continue,
                entry => entry?.checkpoint,
            };
            let packs = checkpoint.into_iter().flat_map(|checkpoint| checkpoint.packs).map(|pack| (pack.name.clone(), pack)).collect();
            self.kept.insert(epoch, Kept { slot, packs });
        }
        if let Some((_, newest)) = self.kept.last_key_value() {
            for pack in newest.packs.values() {
                self.ledger.add(&pack.name, &PackTail::read(blobs.as_ref(), pack)?.index);
            }
        }
        self.take_overs = head.entry.take_overs;
        self.list()?;
        self.in_doubt = false;
        Ok(())
    }

    /// Finds out which objects are there.
    fn list(&mut self) -> Result<(), StoreError> {
        let blobs = self.blobs.as_ref();
        self.packs = blobs
            .list(pack::FOLDER)?
            .into_iter()
            .map(|(name, bytes)| (name.clone(), PackRef { name, bytes, tail: 0, live: Vec::new() }))
            .collect();
        let stay: BTreeSet<Slot> = self.kept.values().map(|kept| kept.slot).chain(self.take_overs.iter().copied()).collect();
        self.old = log::slots(blobs)?.into_iter().filter(|slot| *slot < self.head && !stay.contains(slot)).collect();
        Ok(())
    }

    /// Copies what a checkpoint needs and is not there yet, and commits it here. After an error it is not known whether it is committed;
    /// the next call finds out.
    ///
    /// # Errors
    /// [`StoreErrorKind::Taken`] if another run has gone on; what the source or the object store says.
    pub fn upload(&mut self, contents: &Contents, source: &mut dyn ArchiveSource) -> Result<Uploaded, StoreError> {
        if self.in_doubt {
            self.read_log()?;
        }
        if self.newest().is_some_and(|newest| newest >= contents.epoch) {
            return Ok(Uploaded::default());
        }
        let mut uploaded = Uploaded::default();
        let copied = self.ledger.plan(&contents.records);
        let states = self.put_packs(contents, copied, source, &mut uploaded)?;
        let mut names = self.ledger.cover(contents.records.keys());
        names.extend(states);
        self.commit(contents, names, &mut uploaded)?;
        uploaded.undeleted = self.collect().err();
        Ok(uploaded)
    }

    /// Puts new packs; the name of the one that has the states.
    fn put_packs(
        &mut self,
        contents: &Contents,
        copied: BTreeSet<RecordId>,
        source: &mut dyn ArchiveSource,
        uploaded: &mut Uploaded,
    ) -> Result<Option<String>, StoreError> {
        let mut pack = PackWriter::default();
        let entries = index_entries(&copied, source)?;
        let mut keys = VecDeque::new();
        for (id, entry) in &entries {
            keys.extend(parts_of(id, entry)?);
        }
        let mut parts = Stream::new(source, keys);
        for (id, entry) in entries {
            for _ in 0..parts_of(&id, &entry)?.count() {
                let Some((key, bytes)) = parts.next()? else { return Err(StoreError::damaged(id, "a part of it is not there")) };
                if !pack.is_empty() && pack.len() + bytes.len() > PACK_BYTES {
                    self.put_pack(contents.epoch, std::mem::take(&mut pack), uploaded)?;
                }
                pack.add(key, bytes);
            }
            pack.add(ArchiveKey::of_index(&id), entry);
        }
        contents.states.iter().for_each(|(key, bytes)| pack.add(key.clone(), bytes.clone()));
        if pack.is_empty() {
            return Ok(None);
        }
        self.put_pack(contents.epoch, pack, uploaded).map(Some)
    }

    fn put_pack(&mut self, epoch: Epoch, pack: PackWriter, uploaded: &mut Uploaded) -> Result<String, StoreError> {
        let name = format!("{}{:020}-{:016x}-{:06}", pack::FOLDER, epoch.0, self.identity.run, self.number);
        self.number += 1;
        let (pack, index, bytes) = pack.finish(&name)?;
        uploaded.objects += 1;
        uploaded.bytes += bytes.len() as u64;
        // Known before it is there: should only the answer be lost, it is deleted one day.
        self.packs.insert(name.clone(), pack);
        self.blobs.put(&name, bytes)?;
        visit(CrashPoint::PackPut);
        self.ledger.add(&name, &index);
        Ok(name)
    }

    fn commit(&mut self, contents: &Contents, names: BTreeSet<String>, uploaded: &mut Uploaded) -> Result<(), StoreError> {
        let slot = self.head.next();
        let named = |name: &String| {
            let live = self.ledger.live_in(name, contents.epoch, &contents.records);
            Some((name.clone(), PackRef { live, ..self.pack_ref(name)? }))
        };
        let packs: BTreeMap<String, PackRef> = names.iter().filter_map(named).collect();
        debug_assert_eq!(packs.len(), names.len(), "all packs are known");
        let older = self.keep - 1;
        let skipped = self.kept.len().saturating_sub(older);
        let mut kept: Vec<(Epoch, Slot)> = self.kept.iter().skip(skipped).map(|(&epoch, kept)| (epoch, kept.slot)).collect();
        kept.push((contents.epoch, slot));
        let checkpoint = Checkpoint { epoch: contents.epoch, commit: contents.commit.clone(), packs: packs.values().cloned().collect() };
        let Identity { job, writer, run } = self.identity;
        let entry = Entry { job, writer, run, kept, take_overs: self.take_overs.clone(), checkpoint: Some(checkpoint) };
        self.in_doubt = true;
        self.create(slot, &entry)?;
        visit(CrashPoint::EntryCreated);
        self.in_doubt = false;
        uploaded.objects += 1;
        uploaded.bytes += entry.seal(slot)?.len() as u64;
        self.head = slot;
        for _ in 0..skipped {
            self.old.extend(self.kept.pop_first().map(|(_, kept)| kept.slot));
        }
        self.ledger.keep(&names);
        self.kept.insert(contents.epoch, Kept { slot, packs });
        Ok(())
    }

    /// A pack with its tail: put by this run, or named by a checkpoint that is kept.
    fn pack_ref(&self, name: &str) -> Option<PackRef> {
        let of_kept = self.kept.values().rev().find_map(|kept| kept.packs.get(name));
        of_kept.or_else(|| self.packs.get(name)).cloned()
    }

    /// Deletes what no kept checkpoint and no upload that goes on needs: entries first, then packs.
    fn collect(&mut self) -> Result<(), StoreError> {
        while let Some(&slot) = self.old.first() {
            self.blobs.delete(&slot.name())?;
            visit(CrashPoint::CollectedInPart);
            self.old.remove(&slot);
        }
        let is_needed = |name: &String| self.ledger.has(name) || self.kept.values().any(|kept| kept.packs.contains_key(name));
        let useless: Vec<String> = self.packs.keys().filter(|name| !is_needed(name)).cloned().collect();
        for name in useless {
            self.blobs.delete(&name)?;
            visit(CrashPoint::CollectedInPart);
            self.packs.remove(&name);
        }
        Ok(())
    }
}

/// The records and their entries in the index.
fn index_entries(ids: &BTreeSet<RecordId>, source: &mut dyn ArchiveSource) -> Result<Vec<(RecordId, Vec<u8>)>, StoreError> {
    let mut stream = Stream::new(source, ids.iter().map(ArchiveKey::of_index));
    let mut entries = Vec::with_capacity(ids.len());
    for id in ids {
        let (_, entry) = stream.next()?.ok_or_else(|| StoreError::missing(id))?;
        entries.push((*id, entry));
    }
    Ok(entries)
}
