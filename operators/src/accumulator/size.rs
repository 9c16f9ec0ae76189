//! How much memory accumulators take, for people who look at EXPLAIN.
//!
//! A cell of a fixed size is what [`Accumulator::bytes_per_cell`] says. A heavy one is a pointer there, and what it points to depends on
//! the rows: an upper bound of it, in bytes, is stated here beside what it grows with.

use super::heavy::Heavy;
use super::lower::{Accumulator, PickOrder};
use crate::expr::Expr;
use raympp_types::DataType;
use std::fmt;

/// What a heavy cell points to, at most: `cell + each · things`, and no more than `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeavySize {
    /// Bytes of every cell that is in use.
    pub cell: usize,
    /// Bytes more for each of what `of` names.
    pub each: usize,
    /// What it grows with; empty if with nothing.
    pub of: &'static str,
    /// Bytes that it never exceeds.
    pub most: Option<usize>,
    /// Which cells are in use; empty: those that a row has reached.
    pub used: &'static str,
}

impl fmt::Display for HeavySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a pointer to at most {} bytes", self.cell)?;
        if self.each > 0 {
            write!(f, " + {} per {}", self.each, self.of)?;
        } else if !self.of.is_empty() {
            write!(f, " + {}", self.of)?;
        }
        if let Some(most) = self.most {
            write!(f, ", never more than {most}")?;
        }
        if self.used.is_empty() { Ok(()) } else { write!(f, " where {}", self.used) }
    }
}

/// A shared pointer's two counts, and the cell itself.
const CELL: usize = 16 + size_of::<Heavy>();
/// Event time, split and offset of a row.
const STAMP: usize = 20;
/// A map of bytes to counts: 25 bytes a place, at most 16/7 places to an entry.
const SET_ENTRY: usize = 58;

impl Accumulator {
    /// What its cells point to, if they are heavy.
    pub fn heavy_size(&self) -> Option<HeavySize> {
        let size = HeavySize { cell: CELL, each: 0, of: "", most: None, used: "" };
        Some(match self {
            Self::FloatRest { squares, .. } => {
                let most = CELL + if *squares { 528 } else { 264 };
                HeavySize { cell: most, used: "there are NaN, infinities or numbers out of the sum's range", ..size }
            }
            Self::Pick { order, inputs, .. } => picked(*order, inputs, size),
            Self::Multiset { input, .. } => {
                let each = SET_ENTRY + code_bytes(input.data_type());
                let of = if is_text(input.data_type()) { "distinct value, whose bytes come on top" } else { "distinct value" };
                HeavySize { cell: CELL + 64, each, of, ..size }
            }
            Self::Hll { .. } => HeavySize { each: 8, of: "distinct value", most: Some(CELL + (1 << 14)), ..size },
            Self::DdSketch { .. } => HeavySize { each: 32, of: "bucket (64 to each power of two that values span)", ..size },
            _ => return None,
        })
    }
}

fn picked(order: PickOrder, inputs: &[Expr], size: HeavySize) -> HeavySize {
    let key_inputs = match order {
        PickOrder::First | PickOrder::Last => &[],
        PickOrder::ArgMin | PickOrder::ArgMax => &inputs[1..],
        PickOrder::Min | PickOrder::Max => &inputs[..0],
    };
    let stamp = if matches!(order, PickOrder::Min | PickOrder::Max) { 0 } else { STAMP };
    let codes: usize = inputs[..1].iter().chain(key_inputs).map(|input| code_bytes(input.data_type())).sum();
    let texts = inputs.iter().any(|input| is_text(input.data_type()));
    // The least that a buffer of bytes holds is 8.
    HeavySize { cell: size.cell + stamp + codes + 8, of: if texts { "twice its texts" } else { "" }, ..size }
}

fn is_text(data_type: DataType) -> bool {
    matches!(data_type, DataType::Varchar | DataType::Bytea)
}

/// Bytes of a value's exact code, without those of a text.
fn code_bytes(data_type: DataType) -> usize {
    match data_type {
        DataType::Null => 1,
        DataType::Boolean | DataType::Varchar | DataType::Bytea => 2,
        DataType::SmallInt => 3,
        DataType::Integer | DataType::Date | DataType::Real => 5,
        DataType::BigInt | DataType::Double | DataType::Timestamp | DataType::TimestampTz => 9,
        DataType::Decimal { .. } => 17,
        DataType::Interval => 25,
    }
}
