//! Cells of one heavy accumulator: sets, sketches, strings – too large for atomics, changed in place all the same.
//!
//! The column is a list of shared pointers, read and written as [`crate::shared`] says. A value that a reader still holds is
//! copied before it is changed.

use crate::shared::SharedCells;
use raympp_operators::accumulator::Heavy;
use std::sync::Arc;

/// A cell; `None` is identity.
pub type HeavyCell = Option<Arc<Heavy>>;

/// One cell per key of a block.
pub type HeavyCells = SharedCells<HeavyCell>;

/// Merges a value into a cell.
pub fn merge(cell: &mut HeavyCell, other: &Heavy) {
    match cell {
        Some(mine) => Arc::make_mut(mine).merge(other),
        None if other.is_identity() => {}
        None => *cell = Some(Arc::new(other.clone())),
    }
    drop_identity(cell);
}

/// Takes a value that was merged out of a cell again.
pub fn retract(cell: &mut HeavyCell, other: &Heavy) {
    // Sums of floats may have cancelled out, so that nothing is there although this was merged.
    Arc::make_mut(cell.get_or_insert_with(|| Arc::new(other.empty()))).retract(other);
    drop_identity(cell);
}

fn drop_identity(cell: &mut HeavyCell) {
    if cell.as_ref().is_some_and(|heavy| heavy.is_identity()) {
        *cell = None;
    }
}
