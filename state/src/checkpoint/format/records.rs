//! Records: an entry in the index, and parts of about a mebibyte.
//!
//! Parts bound what has to be in memory to write or read a record of any size, and what is lost to one damaged byte. Each is complete in itself: keys,
//! rows and columns of a run of entries. How a record is cut depends on its content alone.

use super::cells::ColumnV1;
use crate::checkpoint::archive::ARCHIVE_BYTES_MAX;
use crate::checkpoint::record::{Columns, Pieces, Record};
use crate::delta::KeyList;
use raympp_operators::accumulator::AccumulatorColumn;
use rkyv::rend::u32_le;
use rkyv::{Archive, Deserialize, Serialize};
use std::ops::Range;

/// Where a part ends, unless a single entry is larger.
const PART_BYTES: usize = 1 << 20;

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
pub(in crate::checkpoint) struct PartV1 {
    key_ends: Vec<u32>,
    key_bytes: Vec<u8>,
    rows: Vec<u64>,
    /// Empty for a sliced store.
    first_us: Vec<i64>,
    last_us: Vec<i64>,
    columns: Vec<ColumnV1>,
}

/// The parts of a record, in order; an error for one that is too large.
pub(in crate::checkpoint) fn parts_of(record: &Record) -> impl Iterator<Item = Result<PartV1, &'static str>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let entries = start..start + Cut::new(record).from(start)?;
        start = entries.end;
        Some(PartV1::of(record, entries))
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
        Cut { record, heavy, fixed_bytes: 12 + pieces + 8 * light.len(), scratch: Vec::new() }
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

impl PartV1 {
    /// These entries of a record; an error if they are too many bytes.
    fn of(record: &Record, entries: Range<usize>) -> Result<PartV1, &'static str> {
        let (key_bytes, ends) = record.keys.run(entries.clone());
        let key_ends = ends.map(|end| u32::try_from(end).map_err(|_| "its keys have 4 GiB")).collect::<Result<_, _>>()?;
        let (first_us, last_us) = match &record.pieces {
            Pieces::Sliced => (Vec::new(), Vec::new()),
            Pieces::Sessions { first_us, last_us } => (first_us[entries.clone()].to_vec(), last_us[entries.clone()].to_vec()),
        };
        let column = |column: &Option<AccumulatorColumn>| ColumnV1::of(column.as_ref(), entries.clone());
        let columns = record.columns.iter().map(column).collect::<Result<_, _>>()?;
        let part =
            PartV1 { key_ends, key_bytes: key_bytes.to_vec(), rows: record.rows[entries.clone()].to_vec(), first_us, last_us, columns };
        if part.bytes() <= ARCHIVE_BYTES_MAX { Ok(part) } else { Err("one entry has a gibibyte") }
    }

    fn bytes(&self) -> usize {
        let entries = 4 * self.key_ends.len() + 8 * (self.rows.len() + self.first_us.len() + self.last_us.len());
        self.key_bytes.len() + entries + self.columns.iter().map(ColumnV1::bytes).sum::<usize>()
    }
}

impl ArchivedPartV1 {
    /// Appends the entries to a record that has the wanted columns.
    pub(in crate::checkpoint) fn append_to(&self, record: &mut Record, columns: &Columns) -> Result<(), &'static str> {
        let (entries, before) = (self.rows.len(), record.rows.len());
        if self.columns.len() != columns.stored {
            return Err("it has not one column per accumulator of the store");
        }
        append_keys(&mut record.keys, &self.key_ends, &self.key_bytes)?;
        record.rows.extend(self.rows.iter().map(|rows| rows.to_native()));
        for ((position, accumulator), into) in columns.wanted.iter().zip(&mut record.columns) {
            let column = self.columns.get(*position).ok_or("a column is wanted that it does not have")?;
            column.append_to(into, before, accumulator, entries)?;
        }
        match &mut record.pieces {
            Pieces::Sliced if self.first_us.is_empty() && self.last_us.is_empty() => {}
            Pieces::Sliced => return Err("it has sessions' times in a record without"),
            Pieces::Sessions { first_us, last_us } => {
                first_us.extend(self.first_us.iter().map(|time| time.to_native()));
                last_us.extend(self.last_us.iter().map(|time| time.to_native()));
            }
        }
        Ok(())
    }
}

fn append_keys(keys: &mut KeyList, ends: &[u32_le], bytes: &[u8]) -> Result<(), &'static str> {
    let end = ends.last().map_or(0, |end| end.to_native() as usize);
    if !ends.is_sorted() || end > bytes.len() {
        return Err("a key lies outside its part");
    }
    if end < bytes.len() {
        return Err("bytes follow the last key");
    }
    keys.append(bytes, ends.iter().map(|end| end.to_native()));
    Ok(())
}
