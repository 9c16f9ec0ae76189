//! Rows of closed windows that wait until their window belongs to an epoch.
//!
//! Invariant: each row is taken out once, by the first end that is not before its window's. Rows of a piece come in order of their windows' ends,
//! so what an end takes is a prefix of each piece: a slice, no row is copied.

use super::sorted::SortedWindows;
use crate::sink::SinkError;
use arrow::array::RecordBatch;
use raympp_state::result::ResultDelta;
use std::sync::Arc;

/// See the module.
pub(super) enum Windows {
    /// Taken out in the order they came in: a piece, and how many of its rows have been taken.
    AsTheyCome(Vec<(Arc<ResultDelta>, usize)>),
    /// Taken out by window, then by key.
    Sorted(SortedWindows),
}

impl Windows {
    pub(super) fn new(sorted: bool) -> Windows {
        if sorted { Windows::Sorted(SortedWindows::default()) } else { Windows::AsTheyCome(Vec::new()) }
    }

    pub(super) fn are_sorted(&self) -> bool {
        matches!(self, Windows::Sorted(_))
    }

    /// Takes in a piece without its windows that end at or before `skip_us`.
    pub(super) fn add(&mut self, piece: Arc<ResultDelta>, skip_us: i64) -> Result<(), SinkError> {
        match self {
            Windows::Sorted(windows) => windows.add(piece, skip_us),
            Windows::AsTheyCome(pieces) => {
                let skipped = rows_until(&piece, skip_us);
                if skipped < piece.batch.num_rows() {
                    pieces.push((piece, skipped));
                }
                Ok(())
            }
        }
    }

    /// Takes out the rows of all windows that end at or before `end_us`.
    pub(super) fn take(&mut self, end_us: i64) -> Result<Vec<RecordBatch>, SinkError> {
        match self {
            Windows::Sorted(windows) => windows.take(end_us),
            Windows::AsTheyCome(pieces) => {
                let mut rows = Vec::new();
                for (piece, taken) in pieces.iter_mut() {
                    let until = rows_until(piece, end_us);
                    if until > *taken {
                        rows.push(piece.batch.slice(*taken, until - *taken));
                        *taken = until;
                    }
                }
                pieces.retain(|(piece, taken)| *taken < piece.batch.num_rows());
                Ok(rows)
            }
        }
    }
}

/// Rows of windows that end at or before `end_us`.
fn rows_until(piece: &ResultDelta, end_us: i64) -> usize {
    debug_assert_eq!(piece.ends_us.len(), piece.batch.num_rows(), "each row says where its window ends");
    piece.ends_us.partition_point(|&end| end <= end_us)
}
