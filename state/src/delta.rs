//! The delta: the only thing that moves. Partial aggregates of a run of one split's rows, by (store, key, slice), with a stamp.
//!
//! A delta is immutable once sent; every replica applies the same one. Its entries name keys by *wire id*, a number that the
//! sender's dictionary for that split and partition gave to the key; a key's bytes travel once, in the delta that first uses its
//! id. Ids never leave the pair of dictionary and replica. Entries may repeat an id: applying is merging.

use arrow::array::RecordBatch;
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_types::{Epoch, EventTime, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm};
use std::ops::Range;
use std::sync::Arc;

/// What the rows of a split do not determine, placed at an offset of its chain. No delta spans a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Rows before it belong to this epoch or earlier, rows after it to later ones.
    Barrier {
        /// Number of the barrier.
        epoch: Epoch,
        /// All splits that take part in the epoch: whoever has seen the mark waits for each of them.
        splits: Arc<[SplitId]>,
        /// The set of metrics in force after it.
        plan: PlanVersion,
    },
    /// From here on the split's rows are judged by at least this watermark.
    Floor(EventTime),
    /// The split has no more rows.
    End,
}

/// What orders the marks of a chain: offset, last barrier, kind, floor.
pub type MarkPlace = (Offset, Epoch, u8, EventTime);

/// Where a mark stands in its chain. A chain's marks are in this order, and it is the same for every reader of the split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedMark {
    /// Rows before it.
    pub offset: Offset,
    /// The chain's last barrier at that place; of a barrier its own number.
    pub behind: Epoch,
    /// The split's, as of there.
    pub watermark: RunningWatermark,
    /// What stands there.
    pub mark: Mark,
}

impl PlacedMark {
    /// What orders the marks of a chain: floors come behind the barrier that they were placed after, each higher than the last, and the end last.
    pub fn place(&self) -> MarkPlace {
        let (kind, floor) = match self.mark {
            Mark::Barrier { .. } => (0, EventTime::MIN),
            Mark::Floor(floor) => (1, floor),
            Mark::End => (2, EventTime::MIN),
        };
        (self.offset, if kind == 2 { Epoch(u64::MAX) } else { self.behind }, kind, floor)
    }

    /// True if these, in order, end with marks at its offset among which it is.
    pub fn is_in(&self, marks: &[PlacedMark]) -> bool {
        marks.iter().rev().take_while(|other| other.offset == self.offset).any(|other| other.place() == self.place())
    }
}

/// Rows of a split, from its beginning, that do not count, or not everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitCounts {
    /// Late ones.
    pub late: u64,
    /// Bad ones.
    pub bad: u64,
    /// Those bad for at least one metric, each once.
    pub bad_for_metrics: u64,
}

/// "These are all rows of this split in (from, to]", and the marks that stand at `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Whose rows.
    pub split: SplitId,
    /// Which reader of the split sent it.
    pub split_term: SplitTerm,
    /// Rows before the first one in here.
    pub from: Offset,
    /// Rows up to and including the last one in here.
    pub to: Offset,
    /// Highest event time of **all** rows of the split up to `to`, and its floor.
    pub watermark: RunningWatermark,
    /// Of **all** rows of the split up to `to`.
    pub counts: SplitCounts,
    /// In the order they were placed.
    pub marks: Vec<Mark>,
}

impl Stamp {
    /// The plans that its barriers bring, in order.
    pub fn plans(&self) -> impl Iterator<Item = PlanVersion> {
        self.marks.iter().filter_map(|mark| if let Mark::Barrier { plan, .. } = mark { Some(*plan) } else { None })
    }

    /// True if an epoch ends or begins here.
    pub fn has_barrier(&self) -> bool {
        self.plans().next().is_some()
    }
}

/// One stamp for all partitions, and parts for those that have something in it.
#[derive(Debug)]
pub struct Delta {
    /// Which rows.
    pub stamp: Stamp,
    /// By ascending partition; a partition without a part has no rows in it and only advances.
    pub parts: Vec<(PartitionId, DeltaPart)>,
}

impl Delta {
    /// How many entries it has for all partitions.
    pub fn entries(&self) -> usize {
        self.parts.iter().flat_map(|(_, part)| &part.entries).map(|entries| entries.ids.len()).sum()
    }

    /// The part of a partition.
    pub fn part(&self, partition: PartitionId) -> Option<&DeltaPart> {
        self.parts.binary_search_by_key(&partition, |(p, _)| *p).ok().map(|i| &self.parts[i].1)
    }
}

/// What one partition gets.
#[derive(Debug, Default)]
pub struct DeltaPart {
    /// Changes of the sender's dictionaries, to be made before the entries are read.
    pub dictionaries: Vec<DictionaryChange>,
    /// The partial aggregates.
    pub entries: Vec<StoreDelta>,
    /// Late and bad rows of the split; only in the part of the partition that owns the split's counts.
    pub uncounted: Option<Uncounted>,
}

impl DeltaPart {
    /// True if applying it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.dictionaries.is_empty() && self.entries.is_empty() && self.uncounted.is_none()
    }
}

/// New and retired wire ids of one key space.
#[derive(Debug, Default)]
pub struct DictionaryChange {
    /// Which key space of the plan.
    pub key_space: usize,
    /// Ids whose keys the sender has forgotten; they may come back in `added` with other keys.
    pub retired: Vec<u32>,
    /// Ids of `keys`, in order.
    pub added: Vec<u32>,
    /// Canonical bytes of the added keys.
    pub keys: KeyList,
}

/// Byte strings in one allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyList {
    /// Appends a key.
    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    /// Appends keys each of which begins with `shared` bytes of the one before it, the first one with none, and goes on with the next `rest` bytes
    /// of `following`. They have `bytes` bytes in all. Cost: a few nanoseconds for a short key.
    pub fn append_front_coded(&mut self, shared: &[usize], rest: &[usize], following: &[u8], bytes: usize) {
        /// So many are copied whatever is needed, which costs no call; what is too much is overwritten by what follows.
        const SHORT: usize = 32;
        let start = self.bytes.len();
        let (mut last, mut at, mut taken) = (start, start, 0);
        self.bytes.resize(start + bytes + SHORT, 0);
        for (&shared, &rest) in shared.iter().zip(rest) {
            let own = at + shared;
            if shared <= SHORT && rest <= SHORT && taken + SHORT <= following.len() {
                self.bytes.copy_within(last..last + SHORT, at);
                self.bytes[own..own + SHORT].copy_from_slice(&following[taken..taken + SHORT]);
            } else {
                self.bytes.copy_within(last..last + shared, at);
                self.bytes[own..own + rest].copy_from_slice(&following[taken..taken + rest]);
            }
            (last, at, taken) = (at, own + rest, taken + rest);
            self.ends.push(at);
        }
        self.bytes.truncate(start + bytes);
    }

    /// No keys, with room for so many of so many bytes in all.
    pub fn with_capacity(keys: usize, bytes: usize) -> KeyList {
        KeyList { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(keys) }
    }

    /// Appends keys that lie one behind the other in `bytes`; `ends` says where each ends, ascending up to the end of `bytes`.
    pub fn append(&mut self, bytes: &[u8], ends: impl Iterator<Item = usize>) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.ends.extend(ends.map(|end| before + end));
    }

    /// Some keys that follow each other: their bytes, and where each ends in them.
    pub fn run(&self, keys: Range<usize>) -> (&[u8], impl Iterator<Item = usize>) {
        let end_of = |keys: usize| if keys == 0 { 0 } else { self.ends[keys - 1] };
        let start = end_of(keys.start);
        (&self.bytes[start..end_of(keys.end)], self.ends[keys].iter().map(move |end| end - start))
    }

    /// How many keys from `here` on are, one by one, those of another list from `there` on; it looks at `most` at most.
    pub(crate) fn same_run(&self, here: usize, other: &KeyList, there: usize, most: usize) -> usize {
        let keys = most.min(self.len() - here).min(other.len() - there);
        let ((bytes, ends), (other_bytes, other_ends)) = (self.run(here..here + keys), other.run(there..there + keys));
        let is_same_end = |ends: &(usize, usize)| ends.0 == ends.1;
        let (same, end) = ends.zip(other_ends).take_while(is_same_end).fold((0, 0), |(keys, _), (end, _)| (keys + 1, end));
        if bytes[..end] == other_bytes[..end] {
            return same;
        }
        let same_bytes = bytes.iter().zip(other_bytes).take_while(|(a, b)| a == b).count();
        self.run(here..here + same).1.take_while(|&end| end <= same_bytes).count()
    }

    /// Bytes of all keys.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Key number `i`.
    pub fn get(&self, i: usize) -> &[u8] {
        self.run(i..i + 1).0
    }

    /// The keys in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Where the entries of a [`StoreDelta`] lie in event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All in this slice of the store's finest width (slice 0 for a store without windows).
    Slice(i64),
    /// Each entry is a piece of a session, with its first and last event time in microseconds.
    Sessions {
        /// First event time by entry.
        first_us: Vec<i64>,
        /// Last event time by entry.
        last_us: Vec<i64>,
    },
}

/// Partial aggregates for one store; all vectors have one element per entry.
#[derive(Clone, Debug)]
pub struct StoreDelta {
    /// Which store of the plan.
    pub store: usize,
    /// Which slice, or where each session piece lies.
    pub placement: Placement,
    /// Wire ids of the keys.
    pub ids: Vec<u32>,
    /// Number of rows.
    pub rows: Vec<u64>,
    /// One column per accumulator of the store; `None`: all identity.
    pub columns: Vec<Option<AccumulatorColumn>>,
}

/// Rows of a split that count in no window.
#[derive(Clone, Debug, Default)]
pub struct Uncounted {
    /// Rows late by the split's watermark.
    pub late: u64,
    /// Rows that could not be decoded or jumped too far ahead.
    pub bad: u64,
    /// Rows that could not be evaluated, by store.
    pub bad_by_store: Vec<(usize, u64)>,
    /// The late rows themselves, if somebody reads them, in order of offset.
    pub late_rows: Vec<RecordBatch>,
}
