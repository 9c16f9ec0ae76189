//! Which packs make a checkpoint, which are to be emptied, and which records go into new packs. It does nothing itself.
//!
//! *Emptying.* A pack of which an epoch needs less than half is emptied: what it needs of it is copied into the next pack. Each byte that is copied
//! again so stands beside one in the same pack that nobody will need any more, and a byte becomes useless once: all copying again together is no more than
//! what was new. What the newest checkpoint names is at most twice what it needs, and some.
//!
//! *Few small packs.* Reading a checkpoint takes some calls per pack. Beyond [`SMALL_PACKS_MAX`] packs with less than [`SMALL_BYTES`], the smallest are
//! emptied as well, while they have at most twice what the new pack has so far. A byte is copied for that only into a pack half as large again or more, so
//! O(log size) times; and packs that are too large for it halve in size from one to the next.

use super::log::bits;
use super::pack::PackIndex;
use crate::checkpoint::place::{ArchiveKey, Table, epoch_of};
use crate::checkpoint::record::RecordId;
use raympp_types::Epoch;
use std::collections::{BTreeMap, BTreeSet};

/// Packs with less in them than [`SMALL_BYTES`] that a checkpoint may have.
pub const SMALL_PACKS_MAX: usize = 64;
/// What a pack needs not to count as small.
pub const SMALL_BYTES: u64 = 16 << 20;

/// What an archive is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Record(RecordId),
    Epoch(Epoch),
}

impl Of {
    fn key(key: &ArchiveKey) -> Of {
        key.record().map_or_else(|| Of::Epoch(epoch_of(&key.key).unwrap_or_default()), Of::Record)
    }
}

/// What a pack holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    /// Of all archives.
    bytes: u64,
    /// By record.
    records: BTreeMap<RecordId, u64>,
    /// What its archives are of, in order.
    archives: Vec<Of>,
}

/// Packs that the next checkpoint can be made of, and what they hold.
#[derive(Clone, Debug, Default)]
pub(super) struct PackLedger {
    packs: BTreeMap<String, Held>,
    /// The packs that each record's archives lie in.
    homes: BTreeMap<RecordId, Vec<String>>,
    /// Records with parts in packs and no entry in the index yet.
    begun: BTreeMap<RecordId, Vec<String>>,
}

impl PackLedger {
    /// A pack is there. Packs that a record spans come in the order they were written.
    pub(super) fn add(&mut self, name: &str, index: &PackIndex) {
        let mut held = Held::default();
        for placed in &index.archives {
            held.bytes += u64::from(placed.bytes);
            let of = Of::key(&placed.key);
            held.archives.push(of);
            let Of::Record(record) = of else { continue };
            *held.records.entry(record).or_default() += u64::from(placed.bytes);
            let begun = self.begun.entry(record).or_default();
            if begun.last().is_none_or(|last| last != name) {
                begun.push(name.to_owned());
            }
            if placed.key.table == Table::Index
                && let Some(home) = self.begun.remove(&record)
            {
                self.homes.insert(record, home);
            }
        }
        self.packs.insert(name.to_owned(), held);
    }

    /// Which of the records that a checkpoint needs, with their bytes, go into new packs. Records that were begun and not ended are begun anew.
    pub(super) fn plan(&mut self, needed: &BTreeMap<RecordId, u64>) -> BTreeSet<RecordId> {
        self.begun.clear();
        let live = self.live(needed);
        let mut new_bytes: u64 = needed.iter().filter(|(record, _)| !self.homes.contains_key(record)).map(|(_, bytes)| bytes).sum();
        let is_useless = |pack: &&str| live[pack].saturating_mul(2) < self.packs[*pack].bytes;
        let mut emptied: BTreeSet<&str> = live.keys().copied().filter(is_useless).collect();
        new_bytes += emptied.iter().map(|pack| live[pack]).sum::<u64>();
        let is_small = |(pack, bytes): &(&&str, &u64)| **bytes < SMALL_BYTES && !emptied.contains(**pack);
        let mut small: Vec<(u64, &str)> = live.iter().filter(is_small).map(|(pack, bytes)| (*bytes, *pack)).collect();
        small.sort_unstable();
        let excess = (small.len() + 1).saturating_sub(SMALL_PACKS_MAX);
        for (bytes, pack) in small.into_iter().take(excess) {
            if bytes > new_bytes.saturating_mul(2) {
                break;
            }
            emptied.insert(pack);
            new_bytes += bytes;
        }
        let is_copied =
            |record: &&RecordId| self.homes.get(record).is_none_or(|home| home.iter().any(|pack| emptied.contains(pack.as_str())));
        needed.keys().filter(is_copied).copied().collect()
    }

    /// Bytes by pack that these records have there.
    fn live(&self, needed: &BTreeMap<RecordId, u64>) -> BTreeMap<&str, u64> {
        let mut live = BTreeMap::new();
        for record in needed.keys() {
            for pack in self.homes.get(record).into_iter().flatten() {
                *live.entry(pack.as_str()).or_default() += self.packs[pack].records[record];
            }
        }
        live
    }

    /// The packs that hold these records.
    pub(super) fn cover<'a>(&self, records: impl Iterator<Item = &'a RecordId>) -> BTreeSet<String> {
        records.filter_map(|record| self.homes.get(record)).flatten().cloned().collect()
    }

    /// Which archives of a pack a checkpoint of these records has from it, a bit each.
    pub(super) fn live_in(&self, pack: &str, epoch: Epoch, needed: &BTreeMap<RecordId, u64>) -> Vec<u8> {
        let is_live = |of: &Of| match of {
            Of::Record(record) => {
                needed.contains_key(record) && self.homes.get(record).is_some_and(|home| home.iter().any(|name| name == pack))
            }
            Of::Epoch(of) => *of == epoch,
        };
        self.packs.get(pack).map_or(Vec::new(), |held| bits(held.archives.iter().map(is_live)))
    }

    /// Forgets all packs but these.
    pub(super) fn keep(&mut self, packs: &BTreeSet<String>) {
        self.packs.retain(|pack, _| packs.contains(pack));
        self.homes.retain(|_, home| home.iter().all(|pack| packs.contains(pack)));
        self.begun.clear();
    }

    /// True if it knows of the pack.
    pub(super) fn has(&self, pack: &str) -> bool {
        self.packs.contains_key(pack)
    }
}

#[cfg(test)]
mod tests;
