//! Columns of accumulators' cells.
//!
//! Counts and extremes are arrays of 64 bits. Sums are two's complements of as few words as all of them need, the low word first, since the sums of
//! a record rarely need what their accumulator may need. A heavy cell is its canonical bytes. A column says in which of these shapes it is,
//! and reading refuses a shape that its accumulator does not have.

use raympp_operators::accumulator::wide::wide_is_negative;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, CellKind, SumColumn};
use rkyv::rend::{u32_le, u64_le};
use rkyv::{Archive, Serialize};
use std::ops::Range;

#[derive(Archive, Serialize)]
pub(super) enum ColumnV1 {
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

impl ColumnV1 {
    /// The cells of these entries; an error if they are too many bytes.
    pub(super) fn of(column: Option<&AccumulatorColumn>, entries: Range<usize>) -> Result<ColumnV1, &'static str> {
        let Some(column) = column else { return Ok(ColumnV1::Absent) };
        if entries.clone().all(|i| column.is_identity(i)) {
            return Ok(ColumnV1::Absent);
        }
        Ok(match column {
            AccumulatorColumn::Count(cells) => ColumnV1::Count(cells[entries].to_vec()),
            AccumulatorColumn::Extreme(cells) => ColumnV1::Extreme(cells[entries].to_vec()),
            AccumulatorColumn::Sum(sums) => sum_cells(sums, entries),
            AccumulatorColumn::Heavy(_) => heavy_cells(column, entries)?,
        })
    }

    /// Bytes of the cells.
    pub(super) fn bytes(&self) -> usize {
        match self {
            ColumnV1::Absent => 0,
            ColumnV1::Count(cells) | ColumnV1::Extreme(cells) | ColumnV1::Sum { cells, .. } => 8 * cells.len(),
            ColumnV1::Heavy { ends, bytes } => 4 * ends.len() + bytes.len(),
        }
    }
}

impl ArchivedColumnV1 {
    /// Appends the cells, one per entry, to a record's column, which has `before` so far and stays absent as long as all cells are.
    pub(super) fn append_to(
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
            (ArchivedColumnV1::Heavy { ends, bytes }, CellKind::Heavy, column) => append_heavy(column, accumulator, ends, bytes)?,
            _ => return Err("a column is not of its accumulator's kind"),
        }
        if column.len() == before + entries { Ok(()) } else { Err("a column has not one cell per entry") }
    }
}

/// The numbers of an archive.
fn natives(cells: &[u64_le]) -> impl Iterator<Item = u64> {
    cells.iter().map(|cell| cell.to_native())
}

fn sum_cells(sums: &SumColumn, entries: Range<usize>) -> ColumnV1 {
    if let SumColumn::Narrow(cells) = sums {
        return ColumnV1::Sum { words: 1, cells: cells[entries].iter().map(|&cell| cell as u64).collect() };
    }
    let words = entries.clone().map(|i| words_of(&sums.get(i))).max().unwrap_or(1);
    let cells = entries.flat_map(|i| sums.get(i).into_iter().take(words)).collect();
    // At most 8.
    ColumnV1::Sum { words: words as u8, cells }
}

/// How many words the number needs.
fn words_of(sum: &[u64; 8]) -> usize {
    let negative = wide_is_negative(sum);
    let fill = if negative { u64::MAX } else { 0 };
    let words = sum.iter().rposition(|&word| word != fill).map_or(1, |last| last + 1);
    let sign_shows = (sum[words - 1] >> 63 == 1) == negative;
    words + usize::from(!sign_shows)
}

fn sums_of(words: u8, cells: &[u64], words_max: usize) -> Result<SumColumn, &'static str> {
    let words = usize::from(words);
    if !(1..=words_max).contains(&words) || !cells.len().is_multiple_of(words) {
        return Err("sums have a width that they can't have");
    }
    Ok(match words {
        1 => SumColumn::Narrow(cells.iter().map(|&cell| cell as i64).collect()),
        2..=4 => SumColumn::Wide4(cells.chunks_exact(words).map(extended).collect()),
        _ => SumColumn::Wide8(cells.chunks_exact(words).map(extended).collect()),
    })
}

/// The same number in N words.
fn extended<const N: usize>(cell: &[u64]) -> [u64; N] {
    let negative = cell.last().is_some_and(|word| word >> 63 == 1);
    let fill = if negative { u64::MAX } else { 0 };
    std::array::from_fn(|word| cell.get(word).copied().unwrap_or(fill))
}

fn heavy_cells(column: &AccumulatorColumn, entries: Range<usize>) -> Result<ColumnV1, &'static str> {
    let (mut ends, mut bytes) = (Vec::with_capacity(entries.len()), Vec::new());
    for i in entries {
        column.encode_cell(i, &mut bytes);
        ends.push(u32::try_from(bytes.len()).map_err(|_| "its cells have 4 GiB")?);
    }
    Ok(ColumnV1::Heavy { ends, bytes })
}

fn append_heavy(column: &mut AccumulatorColumn, accumulator: &Accumulator, ends: &[u32_le], bytes: &[u8]) -> Result<(), &'static str> {
    let mut start = 0;
    for end in ends {
        let end = end.to_native() as usize;
        let cell = bytes.get(start..end).ok_or("a cell lies outside its column")?;
        let taken = column.decode_cell(accumulator, cell).map_err(|_| "a cell is not one of its accumulator")?;
        if taken != cell.len() {
            return Err("a cell does not end where the next one begins");
        }
        start = end;
    }
    if start == bytes.len() { Ok(()) } else { Err("bytes follow the last cell") }
}
