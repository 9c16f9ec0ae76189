//! Strings that repeat are stored once per reader and handed out as small numbers.
//!
//! The dictionary of a column only grows, by appending, so numbers given earlier stay right, and as long as it does not grow every batch
//! carries the same Arrow array (pointer-equal). It is given up, for the rest of the split, when it meets its 4,097th string or one of
//! more than 64 bytes: then numbers save nothing. Cost per row: for strings up to 16 bytes a multiplication and a probe, no comparison of
//! memory and no hashing loop, because such a string *is* its two overlapping 8-byte ends and its length.

use arrow::array::{ArrayRef, StringArray, StringBuilder};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

const STRINGS_MAX: usize = 4_096;
const STRING_BYTES_MAX: usize = 64;
const SLOTS_MIN: usize = 64;

/// Why a string got no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The dictionary is to be given up.
    Full,
    /// It is not UTF-8.
    NotUtf8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    first: u64,
    last: u64,
    length: u32,
    /// Number of the string plus one; 0: free.
    taken_by: u32,
}

/// The strings of one column.
#[derive(Debug)]
pub(super) struct Dictionary {
    slots: Vec<Slot>,
    strings: Vec<Box<str>>,
    /// The strings as an Arrow array, made when last asked for.
    array: ArrayRef,
}

impl Dictionary {
    pub(super) fn new() -> Dictionary {
        let array = Arc::new(StringArray::from(Vec::<&str>::new()));
        Dictionary { slots: vec![Slot::default(); SLOTS_MIN], strings: Vec::new(), array }
    }

    /// Number of a string.
    #[inline(always)]
    pub(super) fn number(&mut self, text: &[u8]) -> Result<i32, Refusal> {
        let probe = probe_of(text);
        let mut at = self.place(&probe);
        loop {
            let slot = self.slots[at];
            if slot.taken_by == 0 {
                return self.append(text, probe, at);
            }
            let number = slot.taken_by - 1;
            let alike = slot.first == probe.first && slot.last == probe.last && slot.length == probe.length;
            if alike && (text.len() <= 16 || self.strings[number as usize].as_bytes() == text) {
                return Ok(number as i32);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// The strings by number.
    pub(super) fn values(&mut self) -> ArrayRef {
        if self.array.len() != self.strings.len() {
            let mut builder = StringBuilder::new();
            self.strings.iter().for_each(|text| builder.append_value(text));
            self.array = Arc::new(builder.finish());
        }
        self.array.clone()
    }

    #[inline(always)]
    fn place(&self, slot: &Slot) -> usize {
        let mixed = (slot.first ^ slot.last.rotate_left(29) ^ u64::from(slot.length)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 40) as usize & (self.slots.len() - 1)
    }

    #[cold]
    fn append(&mut self, text: &[u8], mut slot: Slot, at: usize) -> Result<i32, Refusal> {
        if text.len() > STRING_BYTES_MAX || self.strings.len() == STRINGS_MAX {
            return Err(Refusal::Full);
        }
        let string = std::str::from_utf8(text).map_err(|_| Refusal::NotUtf8)?;
        self.strings.push(string.into());
        slot.taken_by = self.strings.len() as u32;
        self.slots[at] = slot;
        if self.strings.len() * 4 > self.slots.len() {
            self.grow();
        }
        Ok(self.strings.len() as i32 - 1)
    }

    fn grow(&mut self) {
        let larger = vec![Slot::default(); self.slots.len() * 4];
        for slot in std::mem::replace(&mut self.slots, larger).into_iter().filter(|slot| slot.taken_by != 0) {
            let mut at = self.place(&slot);
            while self.slots[at].taken_by != 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = slot;
        }
    }
}

/// A slot as the string would fill it: its ends for short strings, its hash for longer ones.
#[inline(always)]
fn probe_of(text: &[u8]) -> Slot {
    let length = text.len();
    let (first, last) = match length {
        0 => (0, 0),
        1..=3 => (u64::from(text[0]) | u64::from(text[length / 2]) << 8 | u64::from(text[length - 1]) << 16, 0),
        4..=7 => ends::<4>(text, |four| u64::from(u32::from_le_bytes(four))),
        8..=16 => ends::<8>(text, u64::from_le_bytes),
        _ => (xxh3_64(text), 0),
    };
    Slot { first, last, length: length as u32, taken_by: 0 }
}

#[inline(always)]
fn ends<const N: usize>(text: &[u8], number: impl Fn([u8; N]) -> u64) -> (u64, u64) {
    let end = |chunk: Option<&[u8; N]>| number(*chunk.unwrap_or(&[0; N]));
    (end(text.first_chunk()), end(text.last_chunk()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_share_a_number_and_others_do_not() {
        let mut dictionary = Dictionary::new();
        let strings: Vec<String> = (0..400).flat_map(|i| [format!("{i}"), format!("{}{i}", "x".repeat(i % 60))]).collect();
        let mut numbers = std::collections::HashMap::new();
        for text in strings.iter().chain(&strings) {
            let number = dictionary.number(text.as_bytes()).expect("room");
            assert_eq!(*numbers.entry(text.clone()).or_insert(number), number);
        }
        let values = dictionary.values();
        assert_eq!(values.len(), numbers.len());
        assert!(Arc::ptr_eq(&values, &dictionary.values()));
    }

    #[test]
    fn it_is_given_up_when_strings_do_not_repeat() {
        let mut dictionary = Dictionary::new();
        for i in 0..STRINGS_MAX {
            assert_eq!(dictionary.number(format!("payment {i}").as_bytes()), Ok(i as i32));
        }
        assert_eq!(dictionary.number(b"one more"), Err(Refusal::Full));
        assert_eq!(dictionary.number(b"payment 7"), Ok(7));
        assert_eq!(Dictionary::new().number(&[b'x'; STRING_BYTES_MAX + 1]), Err(Refusal::Full));
        assert_eq!(Dictionary::new().number(&[0xff]), Err(Refusal::NotUtf8));
    }
}
