//! Where archives lie: four tables, ordered by keys of big-endian numbers.
//!
//! A record has an entry in the index, which is small and read as a whole when a store is opened, and its parts, which are large and read
//! one by one. The records of a partition, of a store in it, of a slice in that, lie beside each other and in order of epochs, so to read a
//! checkpoint of a partition is to read a range. Signed numbers have their sign bit turned, which keeps their order.

use super::record::RecordId;
use raympp_types::{Epoch, PartitionId, StoreUid, StreamId};
use std::fmt;

/// A table of archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Commit records, by epoch.
    Commits,
    /// Partitions at barriers, by epoch, stream and partition.
    States,
    /// What records there are, by id.
    Index,
    /// Records' entries, by id and number of the part.
    Parts,
}

impl Table {
    /// All of them, in order.
    pub const ALL: [Table; 4] = [Table::Commits, Table::States, Table::Index, Table::Parts];

    /// As a store names it for ever.
    pub fn name(self) -> &'static str {
        match self {
            Table::Commits => "commits",
            Table::States => "states",
            Table::Index => "index",
            Table::Parts => "parts",
        }
    }
}

/// Where an archive lies: what its checksum covers beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveKey {
    /// In which table.
    pub table: Table,
    /// Under which key.
    pub key: Vec<u8>,
}

impl ArchiveKey {
    /// An archive of this table.
    pub fn new(table: Table, key: impl Into<Vec<u8>>) -> ArchiveKey {
        ArchiveKey { table, key: key.into() }
    }

    pub(super) fn of_commit(epoch: Epoch) -> ArchiveKey {
        ArchiveKey::new(Table::Commits, of_commit(epoch))
    }

    pub(super) fn of_state(epoch: Epoch, stream: StreamId, partition: PartitionId) -> ArchiveKey {
        ArchiveKey::new(Table::States, of_state(epoch, stream, partition))
    }

    pub(super) fn of_index(id: &RecordId) -> ArchiveKey {
        ArchiveKey::new(Table::Index, of_record(id))
    }

    pub(super) fn of_part(id: &RecordId, part: u32) -> ArchiveKey {
        ArchiveKey::new(Table::Parts, of_part(id, part))
    }

    /// The record that the archive is of, if it is of one.
    pub(super) fn record(&self) -> Option<RecordId> {
        match self.table {
            Table::Commits | Table::States => None,
            Table::Index => record_of(&self.key),
            Table::Parts => record_of(self.key.get(..RECORD_KEY_BYTES).filter(|_| self.key.len() == RECORD_KEY_BYTES + 4)?),
        }
    }

    /// The partition's state that the archive is.
    fn state(&self) -> Option<(Epoch, StreamId, PartitionId)> {
        let (epoch, rest) = self.key.split_first_chunk::<8>().filter(|_| self.table == Table::States)?;
        let (stream, partition) = rest.split_first_chunk::<4>()?;
        let word = |bytes: [u8; 4]| u32::from_be_bytes(bytes);
        Some((Epoch(u64::from_be_bytes(*epoch)), StreamId(word(*stream)), PartitionId(word(partition.try_into().ok()?))))
    }
}

/// As messages name it: by what it holds.
impl fmt::Display for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = epoch_of(&self.key).filter(|_| self.table == Table::Commits && self.key.len() == 8);
        match (commit, self.state(), self.record()) {
            (Some(epoch), ..) => write!(f, "the commit record of {epoch}"),
            (_, Some((epoch, stream, partition)), _) => write!(f, "the state of {stream}, {partition} at {epoch}"),
            (.., Some(record)) => record.fmt(f),
            _ => write!(f, "an archive of {} under a key that is none", self.table.name()),
        }
    }
}

/// Bytes of a record's key in [`Table::Index`].
const RECORD_KEY_BYTES: usize = 36;

pub(super) fn of_commit(epoch: Epoch) -> [u8; 8] {
    epoch.0.to_be_bytes()
}

/// The epoch of a key of [`Table::Commits`] or, its first bytes, of [`Table::States`].
pub(super) fn epoch_of(key: &[u8]) -> Option<Epoch> {
    Some(Epoch(u64::from_be_bytes(*key.first_chunk()?)))
}

pub(super) fn of_state(epoch: Epoch, stream: StreamId, partition: PartitionId) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&epoch.0.to_be_bytes());
    key[8..12].copy_from_slice(&stream.0.to_be_bytes());
    key[12..].copy_from_slice(&partition.0.to_be_bytes());
    key
}

pub(super) fn of_record(id: &RecordId) -> [u8; RECORD_KEY_BYTES] {
    let mut key = [0; RECORD_KEY_BYTES];
    key[..4].copy_from_slice(&id.stream.0.to_be_bytes());
    key[4..8].copy_from_slice(&id.partition.0.to_be_bytes());
    key[8..12].copy_from_slice(&id.store.0.to_be_bytes());
    key[12..20].copy_from_slice(&(id.slice as u64 ^ SIGN).to_be_bytes());
    key[20..28].copy_from_slice(&id.from.0.to_be_bytes());
    key[28..].copy_from_slice(&id.to.0.to_be_bytes());
    key
}

/// The id of a key of [`Table::Index`].
pub(super) fn record_of(key: &[u8]) -> Option<RecordId> {
    let key: &[u8; RECORD_KEY_BYTES] = key.try_into().ok()?;
    let word = |at: usize| u32::from_be_bytes(std::array::from_fn(|byte| key[at + byte]));
    let long = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| key[at + byte]));
    Some(RecordId {
        stream: StreamId(word(0)),
        partition: PartitionId(word(4)),
        store: StoreUid(word(8)),
        slice: (long(12) ^ SIGN) as i64,
        from: Epoch(long(20)),
        to: Epoch(long(28)),
    })
}

const SIGN: u64 = 1 << 63;

pub(super) fn of_part(id: &RecordId, part: u32) -> [u8; RECORD_KEY_BYTES + 4] {
    let mut key = [0; RECORD_KEY_BYTES + 4];
    key[..RECORD_KEY_BYTES].copy_from_slice(&of_record(id));
    key[RECORD_KEY_BYTES..].copy_from_slice(&part.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slice: i64, from: u64) -> RecordId {
        let (stream, partition, store) = (StreamId(1), PartitionId(2), StoreUid(3));
        RecordId { stream, partition, store, slice, from: Epoch(from), to: Epoch(from + 1) }
    }

    #[test]
    fn keys_are_read_back_and_sort_as_ids_do() {
        let ids = [id(i64::MIN, 0), id(-1, 7), id(0, 0), id(0, 300), id(i64::MAX, 2)];
        for id in &ids {
            assert_eq!(record_of(&of_record(id)), Some(*id));
        }
        assert!(ids.is_sorted());
        assert!(ids.map(|id| of_record(&id)).is_sorted());
        assert_eq!(record_of(&of_part(&ids[0], 0)), None, "a part is no entry of the index");
    }
}
