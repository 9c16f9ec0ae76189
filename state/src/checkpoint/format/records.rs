//! Records: an entry in the index, and parts of entries that take about a mebibyte before they are packed.
//!
//! Parts bound what has to be in memory to write or read a record of any size, and what is lost to one damaged byte. Each is complete in itself: keys,
//! rows and columns of a run of entries. How a record is cut depends on its content alone.

use super::cells::ColumnV2;
use super::ints::{IntsV2, from_signed, to_signed};
use super::keys::KeysV2;
use crate::checkpoint::archive::ARCHIVE_BYTES_MAX;
use crate::checkpoint::record::{Columns, Pieces, Record};
use raympp_operators::accumulator::AccumulatorColumn;
use rkyv::{Archive, Deserialize, Serialize};
use std::ops::Range;

/// Where a part ends, unless a single entry is larger. Readers refuse larger ones, so it may grow with a new format version only.
const PART_BYTES: usize = 1 << 20;
/// What an entry takes at least: the end of its key, and its rows.
const ENTRY_BYTES_MIN: usize = 12;

/// What the index says of a record.
#[derive(Archive, Serialize, Deserialize)]
pub(in crate::checkpoint) struct IndexV1 {
    /// Number of its parts.
    pub(in crate::checkpoint) parts: u32,
    /// Number of its entries.
    pub(in crate::checkpoint) entries: u64,
    /// Bytes of its parts.
    pub(in crate::checkpoint) bytes: u64,
    /// Its entries are pieces of sessions.
    pub(in crate::checkpoint) sessions: bool,
}

/// A run of entries.
#[derive(Archive, Serialize)]
pub(in crate::checkpoint) struct PartV2 {
    entries: u32,
    keys: KeysV2,
    rows: IntsV2,
    /// Unless the store is sliced.
    sessions: Option<SessionsV2>,
    columns: Vec<ColumnV2>,
}

/// Where pieces of sessions lie in event time.
#[derive(Archive, Serialize)]
struct SessionsV2 {
    /// In the order of unsigned numbers.
    first_us: IntsV2,
    /// As well.
    last_us: IntsV2,
}

/// The parts of a record, in order; an error for one that is too large.
pub(in crate::checkpoint) fn parts_of(record: &Record) -> impl Iterator<Item = Result<PartV2, &'static str>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let entries = start..start + Cut::new(record).from(start)?;
        start = entries.end;
        Some(PartV2::of(record, entries))
    })
}

/// Finds where a part ends.
struct Cut<'a> {
    record: &'a Record,
    heavy: Vec<&'a AccumulatorColumn>,
    /// What an entry takes beside its key and heavy cells, where sums take a word.
    fixed_bytes: usize,
    scratch: Vec<u8>,
}

impl Cut<'_> {
    fn new(record: &Record) -> Cut<'_> {
        let (heavy, light): (Vec<_>, Vec<_>) =
            record.columns.iter().flatten().partition(|column| matches!(column, AccumulatorColumn::Heavy(_)));
        let pieces = if record.pieces == Pieces::Sliced { 0 } else { 16 };
        Cut { record, heavy, fixed_bytes: ENTRY_BYTES_MIN + pieces + 8 * light.len(), scratch: Vec::new() }
    }

    /// Number of entries of the part that starts here; `None` at the end.
    fn from(mut self, start: usize) -> Option<usize> {
        let (mut bytes, end) = (0, self.record.len());
        let fits = |entry: &usize| {
            bytes += self.bytes_of(*entry);
            *entry == start || bytes <= PART_BYTES
        };
        let entries = (start..end).take_while(fits).count();
        (entries > 0).then_some(entries)
    }

    fn bytes_of(&mut self, entry: usize) -> usize {
        self.scratch.clear();
        for column in &self.heavy {
            column.encode_cell(entry, &mut self.scratch);
        }
        self.fixed_bytes + self.record.keys.get(entry).len() + self.scratch.len()
    }
}

impl PartV2 {
    /// These entries of a record; an error if they are too many bytes.
    fn of(record: &Record, entries: Range<usize>) -> Result<PartV2, &'static str> {
        let times = |times: &[i64]| IntsV2::of(times[entries.clone()].iter().map(|&time| from_signed(time)));
        let sessions = match &record.pieces {
            Pieces::Sliced => None,
            Pieces::Sessions { first_us, last_us } => Some(SessionsV2 { first_us: times(first_us), last_us: times(last_us) }),
        };
        let part = PartV2 {
            // No more than fit a mebibyte.
            entries: entries.len() as u32,
            keys: KeysV2::of(&record.keys, entries.clone()),
            rows: IntsV2::of(record.rows[entries.clone()].iter().copied()),
            sessions,
            columns: record.columns.iter().map(|column| ColumnV2::of(column.as_ref(), entries.clone())).collect(),
        };
        if part.bytes() <= ARCHIVE_BYTES_MAX { Ok(part) } else { Err("one entry has a gibibyte") }
    }

    fn bytes(&self) -> usize {
        let sessions = self.sessions.as_ref().map_or(0, |sessions| sessions.first_us.bytes() + sessions.last_us.bytes());
        self.keys.bytes() + self.rows.bytes() + sessions + self.columns.iter().map(ColumnV2::bytes).sum::<usize>()
    }
}

impl ArchivedPartV2 {
    /// Appends the entries to a record that has the wanted columns.
    pub(in crate::checkpoint) fn append_to(&self, record: &mut Record, columns: &Columns) -> Result<(), &'static str> {
        let (entries, before) = (self.entries.to_native() as usize, record.rows.len());
        if entries > PART_BYTES / ENTRY_BYTES_MIN {
            return Err("it has more entries than a part has");
        }
        if self.columns.len() != columns.stored {
            return Err("it has not one column per accumulator of the store");
        }
        self.keys.append_to(entries, &mut record.keys, PART_BYTES)?;
        self.rows.append_to(entries, &mut record.rows, |rows| rows)?;
        for ((position, accumulator), into) in columns.wanted.iter().zip(&mut record.columns) {
            let column = self.columns.get(*position).ok_or("a column is wanted that it does not have")?;
            column.append_to(into, before, accumulator, entries)?;
        }
        match (&mut record.pieces, self.sessions.as_ref()) {
            (Pieces::Sliced, None) => Ok(()),
            (Pieces::Sliced, Some(_)) => Err("it has sessions' times in a record without"),
            (Pieces::Sessions { .. }, None) => Err("it has no sessions' times"),
            (Pieces::Sessions { first_us, last_us }, Some(sessions)) => {
                sessions.first_us.append_to(entries, first_us, to_signed)?;
                sessions.last_us.append_to(entries, last_us, to_signed)
            }
        }
    }
}
