//! Columns of accumulators' cells.
//!
//! Counts, extremes and sums that fit a word are numbers of as few bytes as their range needs. Larger sums are two's complements of as few words as
//! all of them need, the low word first. A heavy cell is its canonical bytes. A column says in which of these shapes it is, and reading refuses a
//! shape that its accumulator does not have.

use super::ints::{IntsV2, from_signed, to_signed};
use raympp_operators::accumulator::wide::wide_is_negative;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, CellKind, SumColumn};
use rkyv::{Archive, Serialize};
use std::ops::Range;

#[derive(Archive, Serialize)]
pub(super) enum ColumnV2 {
    /// All identity.
    Absent,
    Count(IntsV2),
    Extreme(IntsV2),
    /// In the order of unsigned numbers.
    Sum(IntsV2),
    WideSum {
        words: u8,
        cells: Vec<u64>,
    },
    Heavy {
        lengths: IntsV2,
        bytes: Vec<u8>,
    },
}

impl ColumnV2 {
    /// The cells of these entries.
    pub(super) fn of(column: Option<&AccumulatorColumn>, entries: Range<usize>) -> ColumnV2 {
        let Some(column) = column else { return ColumnV2::Absent };
        if entries.clone().all(|i| column.is_identity(i)) {
            return ColumnV2::Absent;
        }
        match column {
            AccumulatorColumn::Count(cells) => ColumnV2::Count(IntsV2::of(cells[entries].iter().copied())),
            AccumulatorColumn::Extreme(cells) => ColumnV2::Extreme(IntsV2::of(cells[entries].iter().copied())),
            AccumulatorColumn::Sum(sums) => sum_cells(sums, entries),
            AccumulatorColumn::Heavy(_) => heavy_cells(column, entries),
        }
    }

    /// Bytes of the cells.
    pub(super) fn bytes(&self) -> usize {
        match self {
            ColumnV2::Absent => 0,
            ColumnV2::Count(cells) | ColumnV2::Extreme(cells) | ColumnV2::Sum(cells) => cells.bytes(),
            ColumnV2::WideSum { cells, .. } => 8 * cells.len(),
            ColumnV2::Heavy { lengths, bytes } => lengths.bytes() + bytes.len(),
        }
    }
}

impl ArchivedColumnV2 {
    /// Appends the cells, one per entry, to a record's column, which has `before` so far and stays absent as long as all cells are.
    pub(super) fn append_to(
        &self,
        into: &mut Option<AccumulatorColumn>,
        before: usize,
        accumulator: &Accumulator,
        entries: usize,
    ) -> Result<(), &'static str> {
        if let ArchivedColumnV2::Absent = self {
            if let Some(column) = into {
                (0..entries).for_each(|_| column.push_identity());
            }
            return Ok(());
        }
        let column = into.get_or_insert_with(|| AccumulatorColumn::identity(accumulator, before));
        match (self, accumulator.cell_kind(), &mut *column) {
            (ArchivedColumnV2::Count(cells), CellKind::Count, AccumulatorColumn::Count(into)) => {
                cells.append_to(entries, into, |cell| cell)?
            }
            (ArchivedColumnV2::Extreme(cells), CellKind::Extreme, AccumulatorColumn::Extreme(into)) => {
                cells.append_to(entries, into, |cell| cell)?;
            }
            (ArchivedColumnV2::Sum(cells), _, AccumulatorColumn::Sum(SumColumn::Narrow(into))) => {
                cells.append_to(entries, into, to_signed)?
            }
            (ArchivedColumnV2::Sum(cells), CellKind::Wide4 | CellKind::Wide8, column) => {
                let mut sums = Vec::with_capacity(entries);
                cells.append_to(entries, &mut sums, to_signed)?;
                column.append(&AccumulatorColumn::Sum(SumColumn::Narrow(sums)));
            }
            (ArchivedColumnV2::WideSum { words, cells }, kind @ (CellKind::Wide4 | CellKind::Wide8), column) => {
                let words_max = if kind == CellKind::Wide4 { 4 } else { 8 };
                let cells: Vec<u64> = cells.iter().map(|cell| cell.to_native()).collect();
                column.append(&AccumulatorColumn::Sum(sums_of(*words, &cells, words_max)?));
            }
            (ArchivedColumnV2::Heavy { lengths, bytes }, CellKind::Heavy, column) => {
                let (mut of_cells, mut end) = (Vec::with_capacity(entries), 0_usize);
                lengths.append_to(entries, &mut of_cells, |length| length as usize)?;
                let ends = of_cells.into_iter().map(|length| {
                    end = end.saturating_add(length);
                    end
                });
                append_heavy(column, accumulator, ends, bytes)?;
            }
            _ => return Err("a column is not of its accumulator's kind"),
        }
        if column.len() == before + entries { Ok(()) } else { Err("a column has not one cell per entry") }
    }
}

fn sum_cells(sums: &SumColumn, entries: Range<usize>) -> ColumnV2 {
    if let SumColumn::Narrow(cells) = sums {
        return ColumnV2::Sum(IntsV2::of(cells[entries].iter().map(|&cell| from_signed(cell))));
    }
    match entries.clone().map(|i| words_of(&sums.get(i))).max().unwrap_or(1) {
        1 => ColumnV2::Sum(IntsV2::of(entries.map(|i| from_signed(sums.get(i)[0] as i64)))),
        words => {
            let cells = entries.flat_map(|i| sums.get(i).into_iter().take(words)).collect();
            // At most 8.
            ColumnV2::WideSum { words: words as u8, cells }
        }
    }
}

/// How many words the number needs.
fn words_of(sum: &[u64; 8]) -> usize {
    let negative = wide_is_negative(sum);
    let fill = if negative { u64::MAX } else { 0 };
    let words = sum.iter().rposition(|&word| word != fill).map_or(1, |last| last + 1);
    let sign_shows = (sum[words - 1] >> 63 == 1) == negative;
    words + usize::from(!sign_shows)
}

/// Sums of so many words each, the low one first, an error if their accumulator has none such.
pub(super) fn sums_of(words: u8, cells: &[u64], words_max: usize) -> Result<SumColumn, &'static str> {
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

fn heavy_cells(column: &AccumulatorColumn, entries: Range<usize>) -> ColumnV2 {
    let (mut lengths, mut bytes) = (Vec::with_capacity(entries.len()), Vec::new());
    for i in entries {
        let before = bytes.len();
        column.encode_cell(i, &mut bytes);
        lengths.push((bytes.len() - before) as u64);
    }
    ColumnV2::Heavy { lengths: IntsV2::of(lengths.into_iter()), bytes }
}

/// Appends cells that lie one behind the other.
pub(super) fn append_heavy(
    column: &mut AccumulatorColumn,
    accumulator: &Accumulator,
    ends: impl Iterator<Item = usize>,
    bytes: &[u8],
) -> Result<(), &'static str> {
    let mut start = 0;
    for end in ends {
        let cell = bytes.get(start..end).ok_or("a cell lies outside its column")?;
        let taken = column.decode_cell(accumulator, cell).map_err(|_| "a cell is not one of its accumulator")?;
        if taken != cell.len() {
            return Err("a cell does not end where the next one begins");
        }
        start = end;
    }
    if start == bytes.len() { Ok(()) } else { Err("bytes follow the last cell") }
}
