//! The log: small objects in consecutive slots. The newest says what counts.
//!
//! Each entry names who wrote it, which checkpoints are kept and in which slots their entries lie; an entry that is itself a checkpoint has its
//! commit record and the packs of its cover. One that is not is a take-over, and stays for ever.

use super::blobs::{Blobs, gone, text_of};
use crate::checkpoint::archive::{self, Kind};
use crate::checkpoint::error::StoreError;
use crate::checkpoint::format::EntryV1;
use raympp_types::Epoch;
use std::fmt;
use std::str::FromStr;

/// Where entries lie.
pub(super) const FOLDER: &str = "commits/";

/// Which job: a number drawn once, when a job first has a place in an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId(pub u128);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for JobId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<JobId, Self::Err> {
        u128::from_str_radix(text, 16).map(JobId)
    }
}

/// The place of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u64);

impl Slot {
    /// The slot after it.
    pub fn next(self) -> Slot {
        Slot(self.0 + 1)
    }

    pub(super) fn name(self) -> String {
        format!("{FOLDER}{:020}", self.0)
    }

    pub(super) fn of_name(name: &str) -> Option<Slot> {
        let slot = Slot(name.strip_prefix(FOLDER)?.parse().ok()?);
        (slot.name() == name).then_some(slot)
    }
}

/// A pack, as an entry names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackRef {
    /// Its object's name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Where its small archives begin.
    pub tail: u64,
    /// A bit per archive, in order, from the lowest of the first byte on: set if the checkpoint has it from here.
    pub live: Vec<u8>,
}

impl PackRef {
    /// True if the checkpoint has this archive of the pack from here.
    pub(super) fn has(&self, number: usize) -> bool {
        self.live.get(number / 8).is_some_and(|bits| bits >> (number % 8) & 1 == 1)
    }
}

/// A bit per element, as [`PackRef::live`] has them.
pub(super) fn bits(live: impl ExactSizeIterator<Item = bool>) -> Vec<u8> {
    let mut bits = vec![0; live.len().div_ceil(8)];
    for (number, _) in live.enumerate().filter(|(_, live)| *live) {
        bits[number / 8] |= 1 << (number % 8);
    }
    bits
}

/// A checkpoint in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which.
    pub epoch: Epoch,
    /// The archive of its commit record.
    pub commit: Vec<u8>,
    /// Packs that hold all it needs, by name.
    pub packs: Vec<PackRef>,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of which job.
    pub job: JobId,
    /// Which state directory writes: a number drawn when it first had to do with the job.
    pub writer: u64,
    /// Which run of it: a number drawn by each.
    pub run: u64,
    /// Checkpoints that are kept, by epoch, and their slots.
    pub kept: Vec<(Epoch, Slot)>,
    /// Slots of all entries that take over, ascending.
    pub take_overs: Vec<Slot>,
    /// What this entry commits; `None`: it takes the job over.
    pub checkpoint: Option<Checkpoint>,
}

impl Entry {
    pub(super) fn seal(&self, slot: Slot) -> Result<Vec<u8>, StoreError> {
        let name = slot.name();
        archive::seal(Kind::Entry, name.as_bytes(), &EntryV1::of(self), &name).map(|bytes| bytes.to_vec())
    }

    /// The entry in a slot, if there is one.
    pub(super) fn find(blobs: &dyn Blobs, slot: Slot) -> Result<Option<Entry>, StoreError> {
        let name = slot.name();
        let Some(bytes) = blobs.get(&name, None)? else { return Ok(None) };
        Ok(Some(archive::open::<EntryV1>(Kind::Entry, name.as_bytes(), &bytes, text_of(blobs, &name))?.into_entry()))
    }

    /// The entry in a slot that others name.
    pub(super) fn read(blobs: &dyn Blobs, slot: Slot) -> Result<Entry, StoreError> {
        Entry::find(blobs, slot)?.ok_or_else(|| gone(blobs, &slot.name()))
    }
}

/// The newest entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its slot.
    pub slot: Slot,
    /// What it says.
    pub entry: Entry,
}

impl Head {
    /// The newest entry, if there is a log. A run may add to it and delete old entries meanwhile.
    ///
    /// # Errors
    /// What the object store says, or that the entry is damaged: an older one is not taken in its place.
    pub fn read(blobs: &dyn Blobs) -> Result<Option<Head>, StoreError> {
        let mut gone_before = None;
        while let Some(slot) = slots(blobs)?.pop() {
            match Entry::find(blobs, slot)? {
                Some(entry) => return Ok(Some(Head { slot, entry })),
                // A run deletes an entry when there are later ones.
                None if gone_before < Some(slot) => gone_before = Some(slot),
                None => return Err(gone(blobs, &slot.name())),
            }
        }
        Ok(None)
    }

    /// The entry behind one that was the newest: likely the newest now, and found without a list. Without one, the newest.
    ///
    /// # Errors
    /// As [`Head::read`].
    pub fn read_after(blobs: &dyn Blobs, slot: Option<Slot>) -> Result<Option<Head>, StoreError> {
        if let Some(slot) = slot.map(Slot::next)
            && let Some(entry) = Entry::find(blobs, slot)?
        {
            return Ok(Some(Head { slot, entry }));
        }
        Head::read(blobs)
    }

    /// The newest checkpoint that is kept.
    pub fn newest(&self) -> Option<Epoch> {
        self.entry.kept.last().map(|(epoch, _)| *epoch)
    }
}

/// All slots with entries, ascending.
pub(super) fn slots(blobs: &dyn Blobs) -> Result<Vec<Slot>, StoreError> {
    let mut slots: Vec<Slot> = blobs.list(FOLDER)?.iter().filter_map(|(name, _)| Slot::of_name(name)).collect();
    slots.sort_unstable();
    Ok(slots)
}
