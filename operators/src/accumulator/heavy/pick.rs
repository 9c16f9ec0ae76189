//! The value of the row that comes first in an order of the rows: FIRST_VALUE, LAST_VALUE, ARG_MIN, ARG_MAX, and MIN and MAX of values
//! that do not fit a word.
//!
//! All six are "the least key wins". A key is order-preserving bytes; where the greatest row is asked for, the bytes that decide are
//! inverted, which reverses their order because none is a prefix of another. A row's stamp is part of the key wherever ties are
//! possible, so two rows have one key only if they are the same row or, for MIN and MAX, the same value.
//!
//! | order | key | value |
//! |---|---|---|
//! | first | stamp | exact code of the value |
//! | last | inverted stamp | same |
//! | arg min | key code of what orders, stamp | same |
//! | arg max | inverted key code of what orders, stamp | same |
//! | min | exact code of the value | empty |
//! | max | inverted exact code of the value | empty |
//!
//! An exact code ([`crate::keycode::decode_exact`]) is the key code with what tells equal values apart, so what is picked is a value of
//! the data. A stamp is the event time (8 bytes big-endian, sign bit inverted), the split (4) and the offset (8).

use super::super::bytes::{DecodeError, Reader, put_bytes};
use super::super::lower::PickOrder;
use std::borrow::Cow;

/// The first row so far; empty without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pick {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Pick {
    /// True if a row with this key replaces the one held.
    #[inline]
    pub fn is_beaten_by(&self, key: &[u8]) -> bool {
        self.key.is_empty() || key < self.key.as_slice()
    }

    /// Holds this row from now on. Allocates only if the old one was shorter.
    pub fn replace(&mut self, key: &[u8], value: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.value.clear();
        self.value.extend_from_slice(value);
    }

    /// Exact code of the value picked.
    pub fn picked(&self, order: PickOrder) -> Cow<'_, [u8]> {
        match order {
            PickOrder::Min => Cow::Borrowed(&self.key),
            PickOrder::Max => Cow::Owned(self.key.iter().map(|byte| !byte).collect()),
            _ => Cow::Borrowed(&self.value),
        }
    }

    /// Turns the parts of a row's key, plainly written one after the other, into its key. `ordering` is the length of the first part
    /// of two.
    #[inline]
    pub(in super::super) fn invert_key(order: PickOrder, key: &mut [u8], ordering: usize) {
        let inverted = match order {
            PickOrder::First | PickOrder::ArgMin | PickOrder::Min => 0,
            PickOrder::ArgMax => ordering,
            PickOrder::Last | PickOrder::Max => key.len(),
        };
        key[..inverted].iter_mut().for_each(|byte| *byte = !*byte);
    }

    pub(super) fn merge(&mut self, other: &Pick) {
        if !other.is_identity() && self.is_beaten_by(&other.key) {
            self.replace(&other.key, &other.value);
        }
    }

    pub(super) fn is_identity(&self) -> bool {
        self.key.is_empty()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.key.capacity() + self.value.capacity()
    }

    /// Length in LEB128 and bytes of the key, then of the value.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        put_bytes(out, &self.value);
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Pick, DecodeError> {
        Ok(Pick { key: reader.bytes()?.to_vec(), value: reader.bytes()?.to_vec() })
    }
}
