//! A record: the merged entries of one (stream, partition, store, slice) over an interval of epochs, sorted by key.
//!
//! Records name keys by their canonical bytes, never by ids. Entries of a sliced store have distinct keys; of a session store a key may
//! have several pieces, sorted by first event time. A column without a cell that says anything is absent. So a record is a function of the
//! rows between two barriers: every replica would write the same one.

use crate::delta::{KeyList, Placement};
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn};
use raympp_types::{Epoch, KeyGroups, KeyHash, PartitionId, StoreUid, StreamId};
use std::collections::BTreeMap;
use std::fmt;

/// Which record. They sort by partition, store and slice, then by where they begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// Of which stream.
    pub stream: StreamId,
    /// Of which partition of the stream.
    pub partition: PartitionId,
    /// Of which store of the stream.
    pub store: StoreUid,
    /// Which slice of the store's finest width; 0 for sessions and for a store without windows.
    pub slice: i64,
    /// The entries came after this barrier.
    pub from: Epoch,
    /// And up to this one.
    pub to: Epoch,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordId { stream, partition, store, slice, from, to } = self;
        write!(f, "the record of {stream}, {partition}, {store}, slice {slice}, epochs ({}, {}]", from.0, to.0)
    }
}

/// Which slice of which store: what covers are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceId {
    /// Of which stream.
    pub stream: StreamId,
    /// Of which partition of the stream.
    pub partition: PartitionId,
    /// Of which store of the stream.
    pub store: StoreUid,
    /// As in [`RecordId::slice`].
    pub slice: i64,
}

impl SliceId {
    /// The slice's record of these epochs.
    pub fn record(self, from: Epoch, to: Epoch) -> RecordId {
        let SliceId { stream, partition, store, slice } = self;
        RecordId { stream, partition, store, slice, from, to }
    }
}

impl RecordId {
    /// Of which slice.
    pub fn slice_id(&self) -> SliceId {
        SliceId { stream: self.stream, partition: self.partition, store: self.store, slice: self.slice }
    }
}

/// Where the entries of a record lie in event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// All in the slice that the id says.
    Sliced,
    /// Each is a piece of a session, with its first and last event time in microseconds.
    Sessions {
        /// First event time by entry.
        first_us: Vec<i64>,
        /// Last event time by entry.
        last_us: Vec<i64>,
    },
}

impl Pieces {
    /// As a delta says it.
    pub fn placement(&self, slice: i64) -> Placement {
        match self {
            Pieces::Sliced => Placement::Slice(slice),
            Pieces::Sessions { first_us, last_us } => Placement::Sessions { first_us: first_us.clone(), last_us: last_us.clone() },
        }
    }
}

/// Which columns of a store's records are wanted, in which order.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Columns that the records have.
    pub stored: usize,
    /// Positions of those wanted, each once, with what they accumulate.
    pub wanted: Vec<(usize, Accumulator)>,
}

impl Columns {
    /// All of a store with these accumulators.
    pub fn all(accumulators: &[Accumulator]) -> Columns {
        Columns { stored: accumulators.len(), wanted: accumulators.iter().cloned().enumerate().collect() }
    }
}

/// Merged entries; all vectors have one element per entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Slices or sessions.
    pub pieces: Pieces,
    /// Canonical bytes of the entries' keys, ascending.
    pub keys: KeyList,
    /// Number of rows.
    pub rows: Vec<u64>,
    /// One column per accumulator of the store; `None`: all identity.
    pub columns: Vec<Option<AccumulatorColumn>>,
}

impl Record {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What breaks the rules of a record, if anything does: vectors of different lengths, entries out of order.
    pub fn fault(&self) -> Option<&'static str> {
        let length = self.len();
        let of_length = |column: &AccumulatorColumn| column.len() == length;
        if self.keys.len() != length || !self.columns.iter().flatten().all(of_length) {
            return Some("its vectors have different lengths");
        }
        match &self.pieces {
            Pieces::Sliced => (!self.keys.iter().is_sorted_by(|a, b| a < b)).then_some("its keys do not ascend"),
            Pieces::Sessions { first_us, last_us } => self.fault_of_sessions(first_us, last_us),
        }
    }

    fn fault_of_sessions(&self, first_us: &[i64], last_us: &[i64]) -> Option<&'static str> {
        if first_us.len() != self.len() || last_us.len() != self.len() {
            return Some("its vectors have different lengths");
        }
        if !first_us.iter().zip(last_us).all(|(first, last)| first <= last) {
            return Some("a session ends before it begins");
        }
        let ascends = self.keys.iter().zip(first_us).is_sorted_by(|a, b| a < b);
        (!ascends).then_some("its sessions do not ascend by key and time")
    }

    /// Its entries by the partition that owns their keys, where partitions are laid out like this.
    pub fn by_partition(&self, key_groups: KeyGroups) -> BTreeMap<PartitionId, Record> {
        let mut entries: BTreeMap<PartitionId, Vec<u32>> = BTreeMap::new();
        for (entry, key) in self.keys.iter().enumerate() {
            entries.entry(key_groups.partition(KeyHash::of(key))).or_default().push(entry as u32);
        }
        entries.into_iter().map(|(partition, entries)| (partition, self.gather(&entries))).collect()
    }

    /// The record of these entries, which ascend.
    fn gather(&self, entries: &[u32]) -> Record {
        let times = |times: &[i64]| entries.iter().map(|&entry| times[entry as usize]).collect();
        let pieces = match &self.pieces {
            Pieces::Sliced => Pieces::Sliced,
            Pieces::Sessions { first_us, last_us } => Pieces::Sessions { first_us: times(first_us), last_us: times(last_us) },
        };
        let mut keys = KeyList::default();
        entries.iter().for_each(|&entry| keys.push(self.keys.get(entry as usize)));
        let rows = entries.iter().map(|&entry| self.rows[entry as usize]).collect();
        let columns = self.columns.iter().map(|column| column.as_ref().map(|column| column.gather(entries))).collect();
        let mut record = Record { pieces, keys, rows, columns };
        record.drop_identities();
        record
    }

    /// Makes columns without a cell that says anything absent, so that equal content is equal records.
    pub fn drop_identities(&mut self) {
        for slot in &mut self.columns {
            if slot.as_ref().is_some_and(|column| (0..column.len()).all(|i| column.is_identity(i))) {
                *slot = None;
            }
        }
    }
}
