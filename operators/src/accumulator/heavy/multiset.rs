//! Each value with the number of its rows: COUNT, SUM and AVG over DISTINCT, and TOP_K.
//!
//! Values are key codes, so what SQL holds equal is one entry. Counts are modulo 2^64 and an entry of 0 is removed, hence retracting
//! is exact. The hash seed is fixed and never shows: whatever leaves the set is sorted first. Cost: one hash look-up a row, an
//! allocation for each new value.

use super::super::bytes::{DecodeError, Reader, put_bytes, put_varint};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;

/// Value → number of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Multiset {
    counts: HashMap<Box<[u8]>, u64, FixedState>,
    /// Sum of the values' lengths.
    value_bytes: usize,
}

impl Multiset {
    /// Adds rows of one value. Allocates only if the value is new.
    #[inline]
    pub fn add(&mut self, code: &[u8], rows: u64) {
        match self.counts.entry_ref(code) {
            EntryRef::Occupied(mut entry) => {
                let count = entry.get().wrapping_add(rows);
                if count == 0 {
                    entry.remove();
                    self.value_bytes -= code.len();
                } else {
                    *entry.get_mut() = count;
                }
            }
            EntryRef::Vacant(entry) if rows != 0 => {
                entry.insert_with_key(code.into(), rows);
                self.value_bytes += code.len();
            }
            EntryRef::Vacant(_) => {}
        }
    }

    /// Number of different values.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True without values.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Values as key codes and their counts, in no order that may show in a result.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.counts.iter().map(|(code, &count)| (code.as_ref(), count))
    }

    pub(super) fn merge(&mut self, other: &Multiset) {
        for (code, count) in other.iter() {
            self.add(code, count);
        }
    }

    pub(super) fn retract(&mut self, other: &Multiset) {
        for (code, count) in other.iter() {
            self.add(code, count.wrapping_neg());
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.counts.allocation_size() + self.value_bytes
    }

    /// The number of values, then by ascending value: its length and bytes, its count. Numbers are LEB128.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_unstable();
        put_varint(out, entries.len() as u64);
        for (code, count) in entries {
            put_bytes(out, code);
            put_varint(out, count);
        }
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Multiset, DecodeError> {
        let mut multiset = Multiset::default();
        let mut previous = None;
        for _ in 0..reader.varint()? {
            let (code, count) = (reader.bytes()?, reader.varint()?);
            if previous >= Some(code) || count == 0 {
                return Err(DecodeError::Invalid("values that do not ascend or count nothing"));
            }
            multiset.add(code, count);
            previous = Some(code);
        }
        Ok(multiset)
    }
}
