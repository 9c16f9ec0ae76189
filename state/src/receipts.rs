//! The receiver's side of what replicas send: each window once and whole, each late row once, no update of a primary that was replaced.
//!
//! A replica that becomes the primary of its partition does not know what its predecessor has sent, so it sends again whatever a receiver may not
//! have. Invariants, whoever sends what how often: windows are handed on whole, in order of their ends within a partition, and never again;
//! pieces of a window whose last piece did not come before the sender changed are dropped, since the new sender sends the window as a whole; late
//! rows are handed on in order of the split's offsets; what comes under an older term than the receiver has seen is refused.
//!
//! Why that is enough: windows and late rows are functions of the splits' contents, so two senders say the same of each. A frontier per (metric,
//! partition) and a number of late rows per split stand for all that was handed on. Cost: a look-up for each piece, and a comparison per row of a piece only where
//! the piece reaches back below the frontier.

use crate::replica::LateRows;
use crate::result::ResultDelta;
use arrow::array::RecordBatch;
use raympp_types::{EventTime, MetricId, PartitionId, SplitId, Term};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pieces of one metric's closed windows from one partition.
struct Windows {
    term: Term,
    /// Windows that end up to here have been handed on.
    frontier: EventTime,
    /// Of the next window, without its last piece.
    pieces: Vec<Arc<ResultDelta>>,
}

impl Default for Windows {
    fn default() -> Windows {
        Windows { term: Term(0), frontier: EventTime::MIN, pieces: Vec::new() }
    }
}

/// Puts pieces of closed windows together.
#[derive(Default)]
pub struct WindowReceipts {
    of: BTreeMap<(MetricId, PartitionId), Windows>,
    refused: u64,
}

impl WindowReceipts {
    /// Takes a piece; returns the pieces of windows that are whole with it, in order, those without rows left out.
    pub fn take(&mut self, piece: &Arc<ResultDelta>) -> Vec<Arc<ResultDelta>> {
        let windows = self.of.entry((piece.metric, piece.partition)).or_default();
        if piece.term < windows.term {
            self.refused += 1;
            return Vec::new();
        }
        if piece.term > windows.term {
            windows.pieces.clear();
            windows.term = piece.term;
        }
        if let Some(news) = piece.above(windows.frontier) {
            windows.pieces.push(news);
        }
        if !piece.last {
            return Vec::new();
        }
        windows.frontier = windows.frontier.max(piece.window_end);
        std::mem::take(&mut windows.pieces)
    }

    /// Up to where windows of a metric from a partition have been handed on: nobody has to send them again.
    pub fn frontier(&self, metric: MetricId, partition: PartitionId) -> EventTime {
        self.of.get(&(metric, partition)).map_or(EventTime::MIN, |windows| windows.frontier)
    }

    /// Pieces that came from a primary that was replaced.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

impl ResultDelta {
    /// Its rows of windows that end after a frontier; `None` if it has none.
    pub fn above(self: &Arc<Self>, frontier: EventTime) -> Option<Arc<ResultDelta>> {
        let known = self.ends_us.partition_point(|&end| end <= frontier.0);
        match self.batch.num_rows() - known {
            0 => None,
            _ if known == 0 => Some(Arc::clone(self)),
            rows => Some(Arc::new(ResultDelta {
                ends_us: self.ends_us[known..].to_vec(),
                groups: self.groups.get(known..).unwrap_or_default().to_vec(),
                batch: self.batch.slice(known, rows),
                ..ResultDelta::clone(self)
            })),
        }
    }
}

/// Late rows of splits, by how many there have been before.
#[derive(Default)]
pub struct LateReceipts {
    taken: BTreeMap<SplitId, u64>,
}

impl LateReceipts {
    /// Takes late rows; returns those that have not been handed on yet, in order. A reader that was lost and the next one may have ended their deltas at
    /// different rows, so what comes again may bring news as well.
    pub fn take(&mut self, late: LateRows) -> Vec<RecordBatch> {
        let taken = self.taken.entry(late.split).or_default();
        let rows: usize = late.rows.iter().map(RecordBatch::num_rows).sum();
        let mut known = taken.saturating_sub(late.last - rows as u64) as usize;
        *taken = late.last.max(*taken);
        let mut news = late.rows;
        news.retain_mut(|batch| {
            let skipped = known.min(batch.num_rows());
            known -= skipped;
            *batch = batch.slice(skipped, batch.num_rows() - skipped);
            batch.num_rows() > 0
        });
        news
    }
}

/// Updates of partitions: rows that later ones make obsolete.
#[derive(Default)]
pub struct UpdateReceipts {
    newest: BTreeMap<PartitionId, (Term, u64)>,
}

impl UpdateReceipts {
    /// True if this update is newer than all that were taken from the partition; from now on it is the newest. Its number counts up within a term.
    pub fn take(&mut self, partition: PartitionId, term: Term, number: u64) -> bool {
        let newest = self.newest.get(&partition);
        let news = newest.is_none_or(|newest| (term, number) > *newest);
        if news {
            self.newest.insert(partition, (term, number));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use raympp_types::{Epoch, Offset};

    /// Rows by the ends of their windows; the row's value is the end too.
    fn piece(term: u64, ends_us: &[i64], window_end: i64, last: bool) -> Arc<ResultDelta> {
        let column = Arc::new(Int64Array::from(ends_us.to_vec()));
        Arc::new(ResultDelta {
            metric: MetricId(0),
            partition: PartitionId(0),
            term: Term(term),
            window_end: EventTime(window_end),
            ends_us: ends_us.to_vec(),
            groups: ends_us.iter().map(|&end| (Box::from(&b"k"[..]), end - 1, end)).collect(),
            batch: RecordBatch::try_from_iter_with_nullable([("v", column as arrow::array::ArrayRef, true)]).unwrap(),
            overflowed: 0,
            last,
        })
    }

    fn take(receipts: &mut WindowReceipts, piece: &Arc<ResultDelta>) -> Vec<i64> {
        let whole = receipts.take(piece);
        whole
            .iter()
            .for_each(|piece| assert_eq!((piece.ends_us.len(), piece.groups.len()), (piece.batch.num_rows(), piece.batch.num_rows())));
        whole.iter().flat_map(|piece| piece.ends_us.clone()).collect()
    }

    #[test]
    fn windows_are_handed_on_whole_and_once() {
        let mut receipts = WindowReceipts::default();
        assert_eq!(take(&mut receipts, &piece(1, &[10, 10], 10, false)), [0i64; 0]);
        assert_eq!(take(&mut receipts, &piece(1, &[10, 20], 20, false)), [0i64; 0]);
        assert_eq!(take(&mut receipts, &piece(1, &[], 20, true)), [10, 10, 10, 20]);
        assert_eq!(receipts.frontier(MetricId(0), PartitionId(0)), EventTime(20));
        assert_eq!(take(&mut receipts, &piece(1, &[30], 30, true)), [30]);
        assert_eq!(receipts.refused(), 0);
    }

    #[test]
    fn a_new_sender_repeats_what_was_not_whole() {
        let mut receipts = WindowReceipts::default();
        take(&mut receipts, &piece(1, &[10], 10, true));
        assert_eq!(take(&mut receipts, &piece(1, &[20, 20], 20, false)), [0i64; 0], "half a window");
        assert_eq!(take(&mut receipts, &piece(2, &[5, 10, 20], 20, false)), [0i64; 0]);
        assert_eq!(take(&mut receipts, &piece(1, &[20], 20, true)), [0i64; 0], "of a primary that was replaced");
        assert_eq!(take(&mut receipts, &piece(2, &[20, 20], 20, true)), [20, 20, 20]);
        assert_eq!(take(&mut receipts, &piece(3, &[10, 20], 20, true)), [0i64; 0]);
        assert_eq!(take(&mut receipts, &piece(3, &[20, 30], 30, true)), [30]);
        assert_eq!(receipts.refused(), 1);
    }

    /// Late rows of a split in batches; each row's value is its number.
    fn late(split: u32, batches: &[&[i64]]) -> LateRows {
        let batch = |values: &&[i64]| {
            let column = Arc::new(Int64Array::from(values.to_vec()));
            RecordBatch::try_from_iter([("v", column as arrow::array::ArrayRef)]).unwrap()
        };
        let last = batches.last().and_then(|batch| batch.last()).map_or(0, |&number| number as u64);
        let rows = batches.iter().map(batch).collect();
        LateRows { split: SplitId(split), to: Offset(2 * last), last, epoch: Epoch(1), rows }
    }

    #[test]
    fn late_rows_are_handed_on_once() {
        let mut receipts = LateReceipts::default();
        let mut take = |split: u32, batches: &[&[i64]]| -> Vec<Vec<i64>> {
            let values = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
            receipts.take(late(split, batches)).iter().map(values).collect()
        };
        assert_eq!(take(0, &[&[1, 2], &[3]]), [vec![1, 2], vec![3]]);
        assert_eq!(take(1, &[&[7]]), [[7]], "nobody wanted those before");
        assert_eq!(take(0, &[&[2], &[3]]), [[0i64; 0]; 0]);
        assert_eq!(take(0, &[&[1], &[2, 3, 4], &[5]]), [[4], [5]], "one delta of another reader");
        assert_eq!(take(0, &[&[9]]), [[9]]);
        assert_eq!(take(1, &[&[7]]), [[0i64; 0]; 0]);
    }

    #[test]
    fn updates_of_a_primary_that_was_replaced_are_refused() {
        let mut receipts = UpdateReceipts::default();
        let taken =
            [(1, 0), (1, 1), (1, 1), (2, 0), (1, 2), (2, 1)].map(|(term, number)| receipts.take(PartitionId(0), Term(term), number));
        assert_eq!(taken, [true, true, false, true, false, true]);
        assert!(receipts.take(PartitionId(1), Term(1), 0), "another partition");
    }
}
