//! Sums of many groups, as narrow as they all allow.
//!
//! A column starts with 64 bits a cell and is widened as a whole when one sum needs more. The width says nothing about what the
//! accumulator may need and is no part of a cell's content: equality and encoding look at numbers only.

use super::bytes::{DecodeError, Reader};
use super::wide::{
    narrow_add, wide_add, wide_extend, wide_from_i64, wide_from_i128, wide_is_negative, wide_negate, wide_shrink, wide_to_i64, wide_to_i128,
};

/// One exact sum per group.
#[derive(Clone, Debug)]
pub enum SumColumn {
    /// All fit 64 bits.
    Narrow(Vec<i64>),
    /// All fit 256 bits.
    Wide4(Vec<[u64; 4]>),
    /// All fit 512 bits.
    Wide8(Vec<[u64; 8]>),
}

impl PartialEq for SumColumn {
    fn eq(&self, other: &SumColumn) -> bool {
        self.len() == other.len() && (0..self.len()).all(|i| self.get(i) == other.get(i))
    }
}

impl Eq for SumColumn {}

impl SumColumn {
    /// `length` zeros.
    pub fn zeros(length: usize) -> SumColumn {
        SumColumn::Narrow(vec![0; length])
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            SumColumn::Narrow(cells) => cells.len(),
            SumColumn::Wide4(cells) => cells.len(),
            SumColumn::Wide8(cells) => cells.len(),
        }
    }

    /// True without cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a zero.
    pub fn push_zero(&mut self) {
        match self {
            SumColumn::Narrow(cells) => cells.push(0),
            SumColumn::Wide4(cells) => cells.push([0; 4]),
            SumColumn::Wide8(cells) => cells.push([0; 8]),
        }
    }

    /// The sum in the widest form.
    pub fn get(&self, i: usize) -> [u64; 8] {
        match self {
            SumColumn::Narrow(cells) => wide_from_i64(cells[i]),
            SumColumn::Wide4(cells) => wide_extend(&cells[i]),
            SumColumn::Wide8(cells) => cells[i],
        }
    }

    /// The sum, if it fits 64 bits.
    pub fn get_i64(&self, i: usize) -> Option<i64> {
        match self {
            SumColumn::Narrow(cells) => Some(cells[i]),
            SumColumn::Wide4(cells) => wide_to_i64(&cells[i]),
            SumColumn::Wide8(cells) => wide_to_i64(&cells[i]),
        }
    }

    /// The sum, if it fits 128 bits.
    pub fn get_i128(&self, i: usize) -> Option<i128> {
        match self {
            SumColumn::Narrow(cells) => Some(i128::from(cells[i])),
            SumColumn::Wide4(cells) => wide_to_i128(&cells[i]),
            SumColumn::Wide8(cells) => wide_to_i128(&cells[i]),
        }
    }

    /// True for a sum of zero.
    pub fn is_zero(&self, i: usize) -> bool {
        match self {
            SumColumn::Narrow(cells) => cells[i] == 0,
            SumColumn::Wide4(cells) => cells[i] == [0; 4],
            SumColumn::Wide8(cells) => cells[i] == [0; 8],
        }
    }

    /// Sets a sum to zero.
    pub fn set_zero(&mut self, i: usize) {
        match self {
            SumColumn::Narrow(cells) => cells[i] = 0,
            SumColumn::Wide4(cells) => cells[i] = [0; 4],
            SumColumn::Wide8(cells) => cells[i] = [0; 8],
        }
    }

    /// Adds an integer to a sum.
    #[inline]
    pub fn add_i64(&mut self, i: usize, value: i64) {
        if let SumColumn::Narrow(cells) = self
            && let Some(sum) = narrow_add(cells[i], value)
        {
            cells[i] = sum;
        } else {
            self.add_wide4(i, &wide_from_i64(value));
        }
    }

    /// Adds an integer to a sum.
    #[inline]
    pub fn add_i128(&mut self, i: usize, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.add_i64(i, value),
            Err(_) => self.add_wide4(i, &wide_from_i128(value)),
        }
    }

    /// Adds an integer to a sum.
    pub fn add_wide4(&mut self, i: usize, value: &[u64; 4]) {
        let added = match self {
            SumColumn::Narrow(_) => false,
            SumColumn::Wide4(cells) => checked_add(&mut cells[i], value),
            SumColumn::Wide8(cells) => {
                wide_add(&mut cells[i], &wide_extend(value));
                true
            }
        };
        if !added {
            self.add_widening(i, &wide_extend(value));
        }
    }

    /// Adds an integer to a sum.
    pub fn add_wide8(&mut self, i: usize, value: &[u64; 8]) {
        match self {
            SumColumn::Wide8(cells) => wide_add(&mut cells[i], value),
            _ => self.add_widening(i, value),
        }
    }

    /// Widens the column until it holds the new sum.
    fn add_widening(&mut self, i: usize, value: &[u64; 8]) {
        let mut sum = self.get(i);
        wide_add(&mut sum, value);
        loop {
            match self {
                SumColumn::Narrow(cells) => match wide_to_i64(&sum) {
                    Some(sum) => return cells[i] = sum,
                    None => *self = SumColumn::Wide4(cells.iter().map(|&cell| wide_from_i64(cell)).collect()),
                },
                SumColumn::Wide4(cells) => match wide_shrink(&sum) {
                    Some(sum) => return cells[i] = sum,
                    None => *self = SumColumn::Wide8(cells.iter().map(wide_extend).collect()),
                },
                SumColumn::Wide8(cells) => return cells[i] = sum,
            }
        }
    }

    /// Adds cell `j` of another column to cell `i`.
    pub fn merge_cell(&mut self, i: usize, other: &SumColumn, j: usize) {
        match other {
            SumColumn::Narrow(cells) => self.add_i64(i, cells[j]),
            SumColumn::Wide4(cells) => self.add_wide4(i, &cells[j]),
            SumColumn::Wide8(cells) => self.add_wide8(i, &cells[j]),
        }
    }

    /// Subtracts cell `j` of another column from cell `i`.
    pub fn retract_cell(&mut self, i: usize, other: &SumColumn, j: usize) {
        if let SumColumn::Narrow(cells) = other
            && let Some(negated) = cells[j].checked_neg()
        {
            return self.add_i64(i, negated);
        }
        let mut negated = other.get(j);
        wide_negate(&mut negated);
        match wide_shrink(&negated) {
            Some(negated) => self.add_wide4(i, &negated),
            None => self.add_wide8(i, &negated),
        }
    }

    /// Appends all cells of another column.
    pub fn append(&mut self, other: &SumColumn) {
        if let (SumColumn::Narrow(cells), SumColumn::Narrow(more)) = (&mut *self, other) {
            return cells.extend_from_slice(more);
        }
        for j in 0..other.len() {
            self.push_zero();
            self.merge_cell(self.len() - 1, other, j);
        }
    }

    /// The cells of these indices, in that order.
    pub fn gather(&self, ids: &[u32]) -> SumColumn {
        match self {
            SumColumn::Narrow(cells) => SumColumn::Narrow(ids.iter().map(|&id| cells[id as usize]).collect()),
            SumColumn::Wide4(cells) => SumColumn::Wide4(ids.iter().map(|&id| cells[id as usize]).collect()),
            SumColumn::Wide8(cells) => SumColumn::Wide8(ids.iter().map(|&id| cells[id as usize]).collect()),
        }
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        match self {
            SumColumn::Narrow(cells) => cells.capacity() * 8,
            SumColumn::Wide4(cells) => cells.capacity() * 32,
            SumColumn::Wide8(cells) => cells.capacity() * 64,
        }
    }

    /// Appends the shortest two's complement of the sum: a byte with its length, 0 for zero, then its bytes, the low ones first.
    pub fn encode_cell(&self, i: usize, out: &mut Vec<u8>) {
        let words = self.get(i);
        let fill = if wide_is_negative(&words) { 0xFF } else { 0 };
        let bytes: [u8; 64] = std::array::from_fn(|byte| words[byte / 8].to_le_bytes()[byte % 8]);
        let mut length = bytes.iter().rposition(|&byte| byte != fill).map_or(0, |last| last + 1);
        let sign_lost = if length == 0 { fill != 0 } else { (bytes[length - 1] ^ fill) & 0x80 != 0 };
        length += usize::from(sign_lost);
        // Lengths are at most 64, since the sign bit of all 64 bytes is the sum's.
        out.push(length as u8);
        out.extend_from_slice(&bytes[..length]);
    }

    /// Appends a cell that `encode_cell` wrote; it may have at most `bytes_max` bytes.
    pub(super) fn decode_cell(&mut self, reader: &mut Reader, bytes_max: usize) -> Result<(), DecodeError> {
        let length = usize::from(reader.byte()?);
        if length > bytes_max {
            return Err(DecodeError::Invalid("a sum beyond its width"));
        }
        let bytes = reader.take(length)?;
        let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xFF } else { 0 };
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(fill);
        let words: [u64; 8] = std::array::from_fn(|word| u64::from_le_bytes(std::array::from_fn(|at| byte(8 * word + at))));
        self.push_zero();
        let cell = self.len() - 1;
        self.add_wide8(cell, &words);
        let mut shortest = Vec::with_capacity(length + 1);
        self.encode_cell(cell, &mut shortest);
        if shortest[1..] == *bytes { Ok(()) } else { Err(DecodeError::Invalid("a sum not in its shortest form")) }
    }
}

/// Adds unless the sum needs more words; false leaves the cell as it was.
#[inline]
fn checked_add(cell: &mut [u64; 4], value: &[u64; 4]) -> bool {
    let mut sum = *cell;
    wide_add(&mut sum, value);
    let fits = wide_is_negative(cell) != wide_is_negative(value) || wide_is_negative(&sum) == wide_is_negative(value);
    if fits {
        *cell = sum;
    }
    fits
}
