//! What is kept per group: SQL's aggregates, and the accumulators they are computed from.
//!
//! An [`Aggregate`] is what the script asked for. It is *lowered* to [`Accumulator`]s, pieces so small that different aggregates share
//! them: AVG, SUM and VAR over one column keep one sum, `COUNT(x)` is the group's row count less the NULLs, and columns without NULLs
//! never touch a counter for them. Rows are folded into one cell per (accumulator, group, slice); cells are merged as deltas and slices
//! come together, retracted as slices leave a sliding window, and finished into result columns.
//!
//! # Invariant
//! A cell is a function of the *set* of rows folded into it, down to its encoded bytes: never of the order of rows or merges, nor of
//! how rows were spread over cells that were merged. Merging is commutative and associative, with an identity that is kept as zero or
//! absence. It holds since counts add in a ring (modulo 2^64), sums are exact (no rounding before the finish), extremes and picks are
//! least elements of total orders, and sketches keep maxima or counts per bucket. Accumulators that are *invertible* form a group:
//! retracting a cell undoes merging it.
//!
//! Modules in reading order: [`aggregate`] and [`names`] are SQL's side; [`lower`] takes aggregates apart; [`wide`] and [`fixed_point`]
//! are the arithmetic of exact sums; [`mod@column`] and [`sum_column`] hold cells; [`heavy`] those of variable size; [`mod@fold`] puts rows into
//! cells; [`finish`] and `rounding` make results; [`size`] says what it takes.

pub mod aggregate;
mod bytes;
pub mod column;
pub mod finish;
pub mod fixed_point;
pub mod fold;
pub mod heavy;
pub mod lower;
pub mod names;
mod rounding;
pub mod size;
pub mod sum_column;
mod top_k;
pub mod wide;

pub use aggregate::{Aggregate, AggregateError, AggregateErrorKind, AggregateFunction, Parameter};
pub use bytes::DecodeError;
pub use column::AccumulatorColumn;
pub use finish::Finished;
pub use fold::{RowOffsets, RowStamps, fold};
pub use heavy::Heavy;
pub use lower::{Accumulator, CellKind, Lowered, PickOrder};
pub use size::HeavySize;
pub use sum_column::SumColumn;
