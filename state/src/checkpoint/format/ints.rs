//! Whole numbers in as few bytes as their range needs.
//!
//! What a checkpoint counts and adds up is small far more often than it is large, and what is written is paid for again by the log, the disk and whoever
//! reads it. Frame of reference (Goldstein, Ramakrishnan, Shaft: Compressing Relations and Indexes, 1998).

use rkyv::{Archive, Serialize};

/// The smallest number, and by how much each is larger, in `width` bytes, the low one first. The number of numbers is known from elsewhere.
#[derive(Archive, Serialize)]
pub(super) struct IntsV2 {
    base: u64,
    /// 0 if all are equal, else 1, 2, 4 or 8.
    width: u8,
    offsets: Vec<u8>,
}

/// Signed numbers in the order of unsigned ones.
pub(super) fn from_signed(number: i64) -> u64 {
    number as u64 ^ 1 << 63
}

/// What [`from_signed`] was given.
pub(super) fn to_signed(number: u64) -> i64 {
    (number ^ 1 << 63) as i64
}

impl IntsV2 {
    pub(super) fn of(numbers: impl ExactSizeIterator<Item = u64> + Clone) -> IntsV2 {
        let (base, max) = numbers.clone().fold((u64::MAX, 0), |(min, max), number| (number.min(min), number.max(max)));
        let offsets = numbers.map(|number| number - base);
        let (width, offsets) = match max.saturating_sub(base) {
            0 => (0, Vec::new()),
            0x1..=0xFF => (1, offsets.map(|offset| offset as u8).collect()),
            0x100..=0xFFFF => (2, bytes_of(offsets, |offset| (offset as u16).to_le_bytes())),
            0x1_0000..=0xFFFF_FFFF => (4, bytes_of(offsets, |offset| (offset as u32).to_le_bytes())),
            _ => (8, bytes_of(offsets, u64::to_le_bytes)),
        };
        IntsV2 { base, width, offsets }
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.offsets.len()
    }
}

fn bytes_of<const N: usize>(offsets: impl ExactSizeIterator<Item = u64>, bytes: impl Fn(u64) -> [u8; N]) -> Vec<u8> {
    let mut all = Vec::with_capacity(N * offsets.len());
    offsets.for_each(|offset| all.extend_from_slice(&bytes(offset)));
    all
}

impl ArchivedIntsV2 {
    /// Appends the numbers, as `number` makes them; an error unless there are so many.
    pub(super) fn append_to<T>(&self, count: usize, into: &mut Vec<T>, number: impl Fn(u64) -> T) -> Result<(), &'static str> {
        let (base, offsets) = (self.base.to_native(), &self.offsets[..]);
        if offsets.len() != usize::from(self.width) * count {
            return Err("a column has not one number per entry");
        }
        // Only what malice has written can wrap.
        let number = |offset: u64| number(base.wrapping_add(offset));
        match self.width {
            0 => into.extend(std::iter::repeat_with(|| number(0)).take(count)),
            1 => into.extend(offsets.iter().map(|&offset| number(u64::from(offset)))),
            2 => into.extend(offsets.as_chunks().0.iter().map(|&offset| number(u64::from(u16::from_le_bytes(offset))))),
            4 => into.extend(offsets.as_chunks().0.iter().map(|&offset| number(u64::from(u32::from_le_bytes(offset))))),
            8 => into.extend(offsets.as_chunks().0.iter().map(|&offset| number(u64::from_le_bytes(offset)))),
            _ => return Err("numbers have a width that they can't have"),
        }
        Ok(())
    }
}
