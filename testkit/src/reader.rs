//! Reads a split run by run from any offset, as a source would.

use crate::reference::SplitRows;
use arrow::array::RecordBatch;
use raympp_state::chain::Rows;
use raympp_types::Offset;

/// A split and how far it has been read.
#[derive(Clone, Debug)]
pub struct RowReader {
    rows: SplitRows,
    next: Offset,
    /// Next batch, and the next row of it.
    at: (usize, usize),
}

/// Rows that lie side by side; they end with their batch at the latest.
#[derive(Clone, Debug)]
pub struct RowRun {
    from: Offset,
    to: Offset,
    batch: RecordBatch,
    /// Of each decodable row, less `from`.
    row_offsets: Vec<u32>,
}

impl RowRun {
    /// As a chain takes them.
    pub fn rows(&self) -> Rows<'_> {
        let undecodable = self.to.0 - self.from.0 - self.row_offsets.len() as u64;
        let row_offsets = (undecodable > 0).then_some(&self.row_offsets[..]);
        Rows { from: self.from, to: self.to, batch: &self.batch, row_offsets, undecodable }
    }
}

impl RowReader {
    /// At the beginning of a split.
    pub fn new(rows: SplitRows) -> RowReader {
        RowReader { rows, next: Offset(0), at: (0, 0) }
    }

    /// True if nothing is left.
    pub fn is_done(&self) -> bool {
        self.next.0 == self.rows.len()
    }

    /// The next `most` rows, or fewer; `None` of a split that never had any.
    pub fn read(&mut self, most: u64) -> Option<RowRun> {
        let from = self.next;
        while self.rows.batches.get(self.at.0).is_some_and(|batch| batch.num_rows() == self.at.1) {
            self.at = (self.at.0 + 1, 0);
        }
        let left = self.rows.batches.get(self.at.0).map_or(0, |batch| batch.num_rows() - self.at.1);
        let (mut to, mut row_offsets) = (from.0, Vec::new());
        while to < self.rows.len() && to - from.0 < most {
            if !self.rows.undecodable.contains(&to) {
                if row_offsets.len() == left {
                    break;
                }
                row_offsets.push((to - from.0) as u32);
            }
            to += 1;
        }
        let batch = match self.rows.batches.get(self.at.0) {
            Some(batch) => batch.slice(self.at.1, row_offsets.len()),
            None => self.rows.batches.last()?.slice(0, 0),
        };
        self.at.1 += row_offsets.len();
        self.next = Offset(to);
        Some(RowRun { from, to: self.next, batch, row_offsets })
    }

    /// Goes to an offset.
    pub fn seek(&mut self, offset: Offset) {
        let skipped = self.rows.undecodable.range(..offset.0).count();
        let mut rows = offset.0 as usize - skipped;
        (self.next, self.at) = (offset, (0, 0));
        while let Some(batch) = self.rows.batches.get(self.at.0).filter(|batch| batch.num_rows() <= rows && rows > 0) {
            rows -= batch.num_rows();
            self.at.0 += 1;
        }
        self.at.1 = rows;
    }
}
