//! The cells of one accumulator for many groups: the shape in which deltas travel and results are finished.
//!
//! Invariant: a heavy cell that has become its identity again is absent, so a cell's encoding depends on its content only.

use super::bytes::{DecodeError, Reader, put_bytes, put_varint};
use super::heavy::Heavy;
use super::lower::{Accumulator, CellKind};
use super::sum_column::SumColumn;

/// One cell per group.
#[derive(Clone, Debug, PartialEq)]
pub enum AccumulatorColumn {
    /// Added modulo 2^64.
    Count(Vec<u64>),
    /// The greatest stays.
    Extreme(Vec<u64>),
    /// Exact sums.
    Sum(SumColumn),
    /// Cells of variable size; absent: the identity.
    Heavy(Vec<Option<Box<Heavy>>>),
}

impl AccumulatorColumn {
    /// `length` cells of an accumulator without a row.
    pub fn identity(accumulator: &Accumulator, length: usize) -> AccumulatorColumn {
        AccumulatorColumn::identity_of(accumulator.cell_kind(), length)
    }

    /// `length` cells of this kind without a row.
    pub fn identity_of(kind: CellKind, length: usize) -> AccumulatorColumn {
        match kind {
            CellKind::Count => AccumulatorColumn::Count(vec![0; length]),
            CellKind::Extreme => AccumulatorColumn::Extreme(vec![0; length]),
            CellKind::Wide4 | CellKind::Wide8 => AccumulatorColumn::Sum(SumColumn::zeros(length)),
            CellKind::Heavy => AccumulatorColumn::Heavy(vec![None; length]),
        }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            AccumulatorColumn::Count(cells) | AccumulatorColumn::Extreme(cells) => cells.len(),
            AccumulatorColumn::Sum(sums) => sums.len(),
            AccumulatorColumn::Heavy(cells) => cells.len(),
        }
    }

    /// True without cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a cell without a row.
    pub fn push_identity(&mut self) {
        match self {
            AccumulatorColumn::Count(cells) | AccumulatorColumn::Extreme(cells) => cells.push(0),
            AccumulatorColumn::Sum(sums) => sums.push_zero(),
            AccumulatorColumn::Heavy(cells) => cells.push(None),
        }
    }

    /// True if merging the cell changes nothing.
    pub fn is_identity(&self, i: usize) -> bool {
        match self {
            AccumulatorColumn::Count(cells) | AccumulatorColumn::Extreme(cells) => cells[i] == 0,
            AccumulatorColumn::Sum(sums) => sums.is_zero(i),
            AccumulatorColumn::Heavy(cells) => cells[i].is_none(),
        }
    }

    /// Makes the cell one without a row.
    pub fn set_identity(&mut self, i: usize) {
        match self {
            AccumulatorColumn::Count(cells) | AccumulatorColumn::Extreme(cells) => cells[i] = 0,
            AccumulatorColumn::Sum(sums) => sums.set_zero(i),
            AccumulatorColumn::Heavy(cells) => cells[i] = None,
        }
    }

    /// Merges cell `j` of another column of the same accumulator into cell `i`.
    ///
    /// # Panics
    /// If the columns belong to different accumulators and that shows.
    #[inline]
    pub fn merge_cell(&mut self, i: usize, other: &AccumulatorColumn, j: usize) {
        match (self, other) {
            (AccumulatorColumn::Count(cells), AccumulatorColumn::Count(others)) => cells[i] = cells[i].wrapping_add(others[j]),
            (AccumulatorColumn::Extreme(cells), AccumulatorColumn::Extreme(others)) => cells[i] = cells[i].max(others[j]),
            (AccumulatorColumn::Sum(sums), AccumulatorColumn::Sum(others)) => sums.merge_cell(i, others, j),
            (AccumulatorColumn::Heavy(cells), AccumulatorColumn::Heavy(others)) => merge_heavy(&mut cells[i], others[j].as_deref()),
            _ => unreachable!("{MIXED}"),
        }
    }

    /// Takes cell `j` of another column of the same accumulator, which was merged into cell `i` before, out again.
    ///
    /// # Panics
    /// If the accumulator is not invertible, or the columns belong to different accumulators and that shows.
    #[inline]
    pub fn retract_cell(&mut self, i: usize, other: &AccumulatorColumn, j: usize) {
        match (self, other) {
            (AccumulatorColumn::Count(cells), AccumulatorColumn::Count(others)) => cells[i] = cells[i].wrapping_sub(others[j]),
            (AccumulatorColumn::Extreme(_), AccumulatorColumn::Extreme(_)) => unreachable!("an extreme does not retract"),
            (AccumulatorColumn::Sum(sums), AccumulatorColumn::Sum(others)) => sums.retract_cell(i, others, j),
            (AccumulatorColumn::Heavy(cells), AccumulatorColumn::Heavy(others)) => retract_heavy(&mut cells[i], others[j].as_deref()),
            _ => unreachable!("{MIXED}"),
        }
    }

    /// Appends all cells of another column of the same accumulator.
    ///
    /// # Panics
    /// If the columns belong to different accumulators and that shows.
    pub fn append(&mut self, other: &AccumulatorColumn) {
        match (self, other) {
            (AccumulatorColumn::Count(cells), AccumulatorColumn::Count(others))
            | (AccumulatorColumn::Extreme(cells), AccumulatorColumn::Extreme(others)) => cells.extend_from_slice(others),
            (AccumulatorColumn::Sum(sums), AccumulatorColumn::Sum(others)) => sums.append(others),
            (AccumulatorColumn::Heavy(cells), AccumulatorColumn::Heavy(others)) => cells.extend_from_slice(others),
            _ => unreachable!("{MIXED}"),
        }
    }

    /// The cells of these indices, in that order; an index may occur repeatedly.
    pub fn gather(&self, ids: &[u32]) -> AccumulatorColumn {
        match self {
            AccumulatorColumn::Count(cells) => AccumulatorColumn::Count(ids.iter().map(|&id| cells[id as usize]).collect()),
            AccumulatorColumn::Extreme(cells) => AccumulatorColumn::Extreme(ids.iter().map(|&id| cells[id as usize]).collect()),
            AccumulatorColumn::Sum(sums) => AccumulatorColumn::Sum(sums.gather(ids)),
            AccumulatorColumn::Heavy(cells) => AccumulatorColumn::Heavy(ids.iter().map(|&id| cells[id as usize].clone()).collect()),
        }
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        match self {
            AccumulatorColumn::Count(cells) | AccumulatorColumn::Extreme(cells) => cells.capacity() * 8,
            AccumulatorColumn::Sum(sums) => sums.memory_bytes(),
            AccumulatorColumn::Heavy(cells) => {
                cells.capacity() * 8 + cells.iter().flatten().map(|heavy| heavy.memory_bytes()).sum::<usize>()
            }
        }
    }

    /// Appends the canonical bytes of a cell, which say where they end: equal content is equal bytes. A count is LEB128; an extreme 8
    /// bytes big-endian; a sum as [`SumColumn::encode_cell`] writes it; a heavy cell its length in LEB128 and [`Heavy::encode`], the
    /// identity just the length 0.
    pub fn encode_cell(&self, i: usize, out: &mut Vec<u8>) {
        match self {
            AccumulatorColumn::Count(cells) => put_varint(out, cells[i]),
            AccumulatorColumn::Extreme(cells) => out.extend_from_slice(&cells[i].to_be_bytes()),
            AccumulatorColumn::Sum(sums) => sums.encode_cell(i, out),
            AccumulatorColumn::Heavy(cells) => {
                let mut bytes = Vec::new();
                if let Some(heavy) = &cells[i] {
                    heavy.encode(&mut bytes);
                }
                put_bytes(out, &bytes);
            }
        }
    }

    /// Appends the cell at the start of `bytes`, which `encode_cell` wrote for the same accumulator. Returns how many bytes it took.
    /// On an error the column must not be used any more.
    ///
    /// # Panics
    /// If the column belongs to another accumulator and that shows.
    pub fn decode_cell(&mut self, accumulator: &Accumulator, bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut reader = Reader { rest: bytes };
        match (self, accumulator.cell_kind()) {
            (AccumulatorColumn::Count(cells), CellKind::Count) => cells.push(reader.varint()?),
            (AccumulatorColumn::Extreme(cells), CellKind::Extreme) => cells.push(u64::from_be_bytes(reader.array()?)),
            (AccumulatorColumn::Sum(sums), CellKind::Wide4) => sums.decode_cell(&mut reader, 32)?,
            (AccumulatorColumn::Sum(sums), CellKind::Wide8) => sums.decode_cell(&mut reader, 64)?,
            (AccumulatorColumn::Heavy(cells), CellKind::Heavy) => cells.push(decode_heavy(accumulator, reader.bytes()?)?),
            _ => unreachable!("{MIXED}"),
        }
        Ok(bytes.len() - reader.rest.len())
    }
}

const MIXED: &str = "columns of one accumulator have one shape";

fn merge_heavy(cell: &mut Option<Box<Heavy>>, other: Option<&Heavy>) {
    let Some(other) = other else { return };
    match cell {
        Some(heavy) => {
            heavy.merge(other);
            drop_identity(cell);
        }
        None => *cell = Some(Box::new(other.clone())),
    }
}

fn retract_heavy(cell: &mut Option<Box<Heavy>>, other: Option<&Heavy>) {
    let Some(other) = other else { return };
    cell.get_or_insert_with(|| Box::new(other.empty())).retract(other);
    drop_identity(cell);
}

/// Keeps the invariant that an identity is absent.
pub(super) fn drop_identity(cell: &mut Option<Box<Heavy>>) {
    if cell.as_ref().is_some_and(|heavy| heavy.is_identity()) {
        *cell = None;
    }
}

fn decode_heavy(accumulator: &Accumulator, bytes: &[u8]) -> Result<Option<Box<Heavy>>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let heavy = Heavy::decode(bytes)?;
    heavy.check(accumulator)?;
    Ok(Some(Box::new(heavy)))
}
