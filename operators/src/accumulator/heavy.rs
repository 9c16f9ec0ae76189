//! Cells of variable size, on the heap: what does not fit a few words.
//!
//! Each kind keeps the invariant of the module above in its own way; see the files. An encoding starts with a version byte (1) and a
//! byte for the kind, and is a function of the content: equal cells are equal bytes, and any other bytes are refused.

mod dd_sketch;
pub(super) mod float_rest;
mod hll;
mod multiset;
mod pick;

pub use dd_sketch::DdSketch;
pub use float_rest::FloatRest;
pub use hll::Hll;
pub use multiset::Multiset;
pub use pick::Pick;

use super::bytes::{DecodeError, Reader};
use super::lower::Accumulator;
use crate::keycode::{self, KeycodeError};
use raympp_types::{DataType, Value};

const VERSION: u8 = 1;

/// One cell of a heavy accumulator.
#[derive(Clone, Debug, PartialEq)]
pub enum Heavy {
    /// Of `FloatRest`.
    FloatRest(FloatRest),
    /// Of `Pick`.
    Pick(Pick),
    /// Of `Multiset`.
    Multiset(Multiset),
    /// Of `Hll`.
    Hll(Hll),
    /// Of `DdSketch`.
    DdSketch(DdSketch),
}

impl Heavy {
    /// The cell of an accumulator before its first row.
    ///
    /// # Panics
    /// If the accumulator is not heavy.
    pub fn identity(accumulator: &Accumulator) -> Heavy {
        match accumulator {
            Accumulator::FloatRest { .. } => Heavy::FloatRest(FloatRest::default()),
            Accumulator::Pick { .. } => Heavy::Pick(Pick::default()),
            Accumulator::Multiset { .. } => Heavy::Multiset(Multiset::default()),
            Accumulator::Hll { .. } => Heavy::Hll(Hll::default()),
            Accumulator::DdSketch { .. } => Heavy::DdSketch(DdSketch::default()),
            _ => unreachable!("{accumulator} is not heavy"),
        }
    }

    /// The identity of this kind.
    pub fn empty(&self) -> Heavy {
        match self {
            Heavy::FloatRest(_) => Heavy::FloatRest(FloatRest::default()),
            Heavy::Pick(_) => Heavy::Pick(Pick::default()),
            Heavy::Multiset(_) => Heavy::Multiset(Multiset::default()),
            Heavy::Hll(_) => Heavy::Hll(Hll::default()),
            Heavy::DdSketch(_) => Heavy::DdSketch(DdSketch::default()),
        }
    }

    /// Merges another cell of the same accumulator into this one.
    ///
    /// # Panics
    /// If the cells are of different kinds.
    pub fn merge(&mut self, other: &Heavy) {
        match (self, other) {
            (Heavy::FloatRest(cell), Heavy::FloatRest(other)) => cell.merge(other),
            (Heavy::Pick(cell), Heavy::Pick(other)) => cell.merge(other),
            (Heavy::Multiset(cell), Heavy::Multiset(other)) => cell.merge(other),
            (Heavy::Hll(cell), Heavy::Hll(other)) => cell.merge(other),
            (Heavy::DdSketch(cell), Heavy::DdSketch(other)) => cell.merge(other),
            _ => unreachable!("cells of one accumulator are of one kind"),
        }
    }

    /// Undoes the merging of another cell of the same accumulator.
    ///
    /// # Panics
    /// If the cells are of different kinds or the kind is not invertible.
    pub fn retract(&mut self, other: &Heavy) {
        match (self, other) {
            (Heavy::FloatRest(cell), Heavy::FloatRest(other)) => cell.retract(other),
            (Heavy::Multiset(cell), Heavy::Multiset(other)) => cell.retract(other),
            (Heavy::DdSketch(cell), Heavy::DdSketch(other)) => cell.retract(other),
            _ => unreachable!("only cells of one invertible accumulator retract"),
        }
    }

    /// True if merging it changes nothing.
    pub fn is_identity(&self) -> bool {
        match self {
            Heavy::FloatRest(cell) => cell.is_identity(),
            Heavy::Pick(cell) => cell.is_identity(),
            Heavy::Multiset(cell) => cell.is_empty(),
            Heavy::Hll(cell) => cell.is_identity(),
            Heavy::DdSketch(cell) => cell.is_identity(),
        }
    }

    /// Bytes in memory, its own size included.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Heavy>()
            + match self {
                Heavy::FloatRest(cell) => cell.memory_bytes(),
                Heavy::Pick(cell) => cell.memory_bytes(),
                Heavy::Multiset(cell) => cell.memory_bytes(),
                Heavy::Hll(cell) => cell.memory_bytes(),
                Heavy::DdSketch(cell) => cell.memory_bytes(),
            }
    }

    fn tag(&self) -> u8 {
        match self {
            Heavy::FloatRest(_) => 1,
            Heavy::Pick(_) => 2,
            Heavy::Multiset(_) => 3,
            Heavy::Hll(_) => 4,
            Heavy::DdSketch(_) => 5,
        }
    }

    /// Appends the canonical bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[VERSION, self.tag()]);
        match self {
            Heavy::FloatRest(cell) => cell.encode(out),
            Heavy::Pick(cell) => cell.encode(out),
            Heavy::Multiset(cell) => cell.encode(out),
            Heavy::Hll(cell) => cell.encode(out),
            Heavy::DdSketch(cell) => cell.encode(out),
        }
    }

    /// The cell of these bytes, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Heavy, DecodeError> {
        let mut reader = Reader { rest: bytes };
        let version = reader.byte()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let heavy = match reader.byte()? {
            1 => Heavy::FloatRest(FloatRest::decode(&mut reader)?),
            2 => Heavy::Pick(Pick::decode(&mut reader)?),
            3 => Heavy::Multiset(Multiset::decode(&mut reader)?),
            4 => Heavy::Hll(Hll::decode(&mut reader)?),
            5 => Heavy::DdSketch(DdSketch::decode(&mut reader)?),
            _ => return Err(DecodeError::Invalid("an unknown kind of cell")),
        };
        reader.finish()?;
        if heavy.is_identity() { Err(DecodeError::Invalid("an empty cell, which is never written")) } else { Ok(heavy) }
    }

    /// Checks that a decoded cell can be one of this accumulator: kind, and values of the input's type. The finish relies on it.
    pub(super) fn check(&self, accumulator: &Accumulator) -> Result<(), DecodeError> {
        if self.tag() != Heavy::identity(accumulator).tag() {
            return Err(DecodeError::Invalid("a cell of another accumulator"));
        }
        let data_type = accumulator.inputs().first().map_or(DataType::Null, |input| input.data_type());
        match (self, accumulator) {
            (Heavy::Pick(cell), Accumulator::Pick { order, .. }) => check(keycode::decode_exact(&cell.picked(*order), data_type)),
            (Heavy::Multiset(cell), _) => {
                cell.iter().try_for_each(|(code, _)| check(keycode::decode(code, &[data_type]).map(|mut values| values.remove(0))))
            }
            _ => Ok(()),
        }
    }
}

fn check(decoded: Result<Value, KeycodeError>) -> Result<(), DecodeError> {
    match decoded {
        Ok(value) if !value.is_null() => Ok(()),
        _ => Err(DecodeError::Invalid("a value of another type")),
    }
}
