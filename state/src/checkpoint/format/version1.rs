//! Parts of records as version 1 has them: numbers of 8 bytes each, keys whole. They are read for ever, and not written any more.

use super::cells::{append_heavy, sums_of};
use crate::checkpoint::record::{Columns, Pieces, Record};
use crate::delta::KeyList;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, CellKind, SumColumn};
use rkyv::Archive;
use rkyv::rend::{u32_le, u64_le};

/// A run of entries.
#[derive(Archive)]
pub(in crate::checkpoint) struct PartV1 {
    key_ends: Vec<u32>,
    key_bytes: Vec<u8>,
    rows: Vec<u64>,
    /// Empty for a sliced store.
    first_us: Vec<i64>,
    last_us: Vec<i64>,
    columns: Vec<ColumnV1>,
}

/// Cells of an accumulator.
#[derive(Archive)]
#[expect(dead_code, reason = "only its archived form is met")]
enum ColumnV1 {
    /// All identity.
    Absent,
    Count(Vec<u64>),
    Extreme(Vec<u64>),
    Sum {
        words: u8,
        cells: Vec<u64>,
    },
    Heavy {
        ends: Vec<u32>,
        bytes: Vec<u8>,
    },
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
    keys.append(bytes, ends.iter().map(|end| end.to_native() as usize));
    Ok(())
}

impl ArchivedColumnV1 {
    /// Appends the cells, one per entry, to a record's column, which has `before` so far and stays absent as long as all cells are.
    fn append_to(
        &self,
        into: &mut Option<AccumulatorColumn>,
        before: usize,
        accumulator: &Accumulator,
        entries: usize,
    ) -> Result<(), &'static str> {
        if let ArchivedColumnV1::Absent = self {
            if let Some(column) = into {
                (0..entries).for_each(|_| column.push_identity());
            }
            return Ok(());
        }
        let column = into.get_or_insert_with(|| AccumulatorColumn::identity(accumulator, before));
        match (self, accumulator.cell_kind(), &mut *column) {
            (ArchivedColumnV1::Count(cells), CellKind::Count, AccumulatorColumn::Count(into)) => into.extend(natives(cells)),
            (ArchivedColumnV1::Extreme(cells), CellKind::Extreme, AccumulatorColumn::Extreme(into)) => into.extend(natives(cells)),
            (ArchivedColumnV1::Sum { words: 1, cells }, _, AccumulatorColumn::Sum(SumColumn::Narrow(into))) => {
                into.extend(natives(cells).map(|cell| cell as i64));
            }
            (ArchivedColumnV1::Sum { words, cells }, kind @ (CellKind::Wide4 | CellKind::Wide8), column) => {
                let words_max = if kind == CellKind::Wide4 { 4 } else { 8 };
                let cells: Vec<u64> = natives(cells).collect();
                column.append(&AccumulatorColumn::Sum(sums_of(*words, &cells, words_max)?));
            }
            (ArchivedColumnV1::Heavy { ends, bytes }, CellKind::Heavy, column) => {
                append_heavy(column, accumulator, ends.iter().map(|end| end.to_native() as usize), bytes)?;
            }
            _ => return Err("a column is not of its accumulator's kind"),
        }
        if column.len() == before + entries { Ok(()) } else { Err("a column has not one cell per entry") }
    }
}

/// The numbers of an archive.
fn natives(cells: &[u64_le]) -> impl Iterator<Item = u64> {
    cells.iter().map(|cell| cell.to_native())
}
