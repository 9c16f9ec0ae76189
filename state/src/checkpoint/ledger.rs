//! Which records make a checkpoint, which to rewrite as one, and which to let go.
//!
//! The ledger is the index of all records, in memory; it does nothing itself. Records of one slice whose intervals overlap contain one
//! another: a list's record (n−1, n] has entries of its own, and a merged one stands for a run of neighbours. An epoch that did not touch the
//! slice has none.
//!
//! *Cover.* The cover of epoch n goes from left to right and takes each time the longest record that begins first and does not end after n. Since
//! intervals nest, no shorter one is needed beside it.
//!
//! *Merging.* Once a cover has more than [`RECORDS_MAX`] records, the newest pair in which the older is not more than twice the newer is merged,
//! with all older ones that are not more than twice the largest of them. So what stays is eight records or sizes that fall by halves from old to new:
//! a cover has O(log size) records. An entry that is rewritten as part of an older record ends in one half as large again; as part of a newer one it takes
//! in everything before it that is not twice its size, which can happen again only when it has grown to half of what stands before it: so an entry is
//! written O(log size) times. Merges reach back to the first record whenever what came since is half of what stands there, so what a
//! merge from there can leave out (sessions that are over) never makes up more than a constant part.
//!
//! *Letting go.* A record is obsolete once one that contains it ends at or before the newest kept epoch, and no kept epoch lies between their ends:
//! then the cover of every kept and every later epoch takes the container. Inputs of a merge stay until then.

use super::record::{RecordId, SliceId};
use raympp_types::{Epoch, PartitionId, StoreUid, StreamId};
use std::collections::BTreeMap;

/// A cover of more records than this is merged where that is worth it.
pub const RECORDS_MAX: usize = 8;

/// A record of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    from: Epoch,
    to: Epoch,
    bytes: u64,
}

impl Entry {
    fn key(&self) -> (Epoch, Epoch) {
        (self.from, self.to)
    }

    fn contains(&self, other: &Entry) -> bool {
        self.key() != other.key() && self.from <= other.from && other.to <= self.to
    }

    /// They overlap, and neither contains the other.
    fn crosses(&self, other: &Entry) -> bool {
        let (first, second) = if self.from <= other.from { (self, other) } else { (other, self) };
        first.from < second.from && second.from < first.to && first.to < second.to
    }
}

/// Neighbours to be rewritten as one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// At least two, by age.
    pub inputs: Vec<RecordId>,
    /// What holds all their entries.
    pub output: RecordId,
    /// No record of the slice comes before it: it holds everything up to its end.
    pub is_first: bool,
}

/// All records, by slice.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Sorted by where they begin, then where they end.
    slices: BTreeMap<SliceId, Vec<Entry>>,
    bytes: u64,
}

impl Ledger {
    /// The ledger of these records with their bytes.
    pub fn of(records: impl IntoIterator<Item = (RecordId, u64)>) -> Ledger {
        let mut ledger = Ledger::default();
        records.into_iter().for_each(|(id, bytes)| ledger.add(&id, bytes));
        ledger
    }

    /// A record was written, maybe again.
    pub fn add(&mut self, id: &RecordId, bytes: u64) {
        let entries = self.slices.entry(id.slice_id()).or_default();
        let entry = Entry { from: id.from, to: id.to, bytes };
        match entries.binary_search_by_key(&entry.key(), Entry::key) {
            Ok(at) => self.bytes -= std::mem::replace(&mut entries[at], entry).bytes,
            Err(at) => entries.insert(at, entry),
        }
        self.bytes += bytes;
    }

    /// Records were removed. Unknown ones change nothing.
    pub fn remove(&mut self, ids: &[RecordId]) {
        for id in ids {
            let Some(entries) = self.slices.get_mut(&id.slice_id()) else { continue };
            if let Ok(at) = entries.binary_search_by_key(&(id.from, id.to), Entry::key) {
                self.bytes -= entries.remove(at).bytes;
            }
            if entries.is_empty() {
                self.slices.remove(&id.slice_id());
            }
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.slices.values().map(Vec::len).sum()
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All slices with records, in order.
    pub fn all_slices(&self) -> impl Iterator<Item = SliceId> {
        self.slices.keys().copied()
    }

    /// Slices of a store in a partition that have records, ascending.
    pub fn slices(&self, stream: StreamId, partition: PartitionId, store: StoreUid) -> impl Iterator<Item = SliceId> {
        let slice = |slice| SliceId { stream, partition, store, slice };
        self.slices.range(slice(i64::MIN)..=slice(i64::MAX)).map(|(slice, _)| *slice)
    }

    /// The records that hold exactly what epochs up to `epoch` brought, by age. `None` if no records do: that epoch is not kept.
    pub fn cover(&self, slice: SliceId, epoch: Epoch) -> Option<Vec<RecordId>> {
        Some(self.cover_entries(slice, epoch)?.iter().map(|entry| slice.record(entry.from, entry.to)).collect())
    }

    fn cover_entries(&self, slice: SliceId, epoch: Epoch) -> Option<Vec<Entry>> {
        let entries = self.slices.get(&slice).map_or(&[][..], Vec::as_slice);
        let (mut cover, mut at): (Vec<Entry>, Epoch) = (Vec::new(), Epoch(0));
        loop {
            let rest = &entries[entries.partition_point(|entry| entry.from < at)..];
            let Some(first) = rest.first().filter(|first| first.from < epoch) else { return Some(cover) };
            let longest = rest.iter().take_while(|entry| entry.from == first.from && entry.to <= epoch).last()?;
            at = longest.to;
            cover.push(*longest);
        }
    }

    /// Records of the cover of `epoch` that are to be rewritten as one, if any are. Call it with epochs that do not fall, for example the
    /// oldest kept one: then the inputs can go at once.
    pub fn next_merge(&self, slice: SliceId, epoch: Epoch) -> Option<Merge> {
        let cover = self.cover_entries(slice, epoch)?;
        if cover.len() <= RECORDS_MAX {
            return None;
        }
        let newer = (1..cover.len()).rev().find(|&newer| cover[newer - 1].bytes <= cover[newer].bytes.saturating_mul(2))?;
        let (mut oldest, mut largest) = (newer, cover[newer].bytes);
        while oldest > 0 && cover[oldest - 1].bytes <= largest.saturating_mul(2) {
            oldest -= 1;
            largest = largest.max(cover[oldest].bytes);
        }
        let output = Entry { from: cover[oldest].from, to: cover[newer].to, bytes: 0 };
        if self.slices[&slice].iter().any(|entry| entry.crosses(&output)) {
            return None;
        }
        let inputs = cover[oldest..=newer].iter().map(|entry| slice.record(entry.from, entry.to)).collect();
        Some(Merge { inputs, output: slice.record(output.from, output.to), is_first: oldest == 0 })
    }

    /// Records that no kept epoch and no later one needs: all of slices that are not `needed`, and those that others stand for. `kept` are the
    /// epochs that are committed and stay, ascending; without any, nothing is obsolete.
    pub fn obsolete(&self, kept: &[Epoch], mut needed: impl FnMut(SliceId) -> bool) -> Vec<RecordId> {
        let Some(&newest) = kept.last() else { return Vec::new() };
        let mut obsolete = Vec::new();
        for (&slice, entries) in &self.slices {
            let all = !needed(slice);
            let gone = |entry: &&Entry| all || entries.iter().any(|other| stands_for(other, entry, kept, newest));
            obsolete.extend(entries.iter().filter(gone).map(|entry| slice.record(entry.from, entry.to)));
        }
        obsolete
    }
}

/// True if wherever `entry` could be taken for a cover, `container` is.
fn stands_for(container: &Entry, entry: &Entry, kept: &[Epoch], newest: Epoch) -> bool {
    if !container.contains(entry) || container.to > newest {
        return false;
    }
    let next_kept = kept.partition_point(|&epoch| epoch < entry.to);
    kept.get(next_kept).is_none_or(|&epoch| epoch >= container.to)
}
