//! Rows of closed windows in order: by window, then by key, whatever SELECT shows of either.
//!
//! Windows go by their end, then by their start; keys in the order of GROUP BY, as SQL orders them (NULL last, text bytewise), which is the
//! order of their canonical bytes. A window has one row for a key at most, so the order is total and equal results become equal files. Key and
//! window travel beside the rows, so it does not matter whether SELECT leaves one out.
//!
//! Invariant: what is taken out are all rows of its windows, if the caller names an end that every partition has passed. Cost: a
//! comparison sort of what is taken, and the rows are held until then.

use crate::changelog::plain;
use crate::sink::{SinkError, SinkErrorKind};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use raympp_state::result::ResultDelta;
use std::sync::Arc;

/// Rows of one batch that is taken out.
const BATCH_ROWS: usize = 8_192;

/// Rows that wait for the rest of their windows.
#[derive(Default)]
pub(super) struct SortedWindows {
    pieces: Vec<Piece>,
}

struct Piece {
    delta: Arc<ResultDelta>,
    /// Its rows, with strings as strings.
    rows: RecordBatch,
    /// Numbers of the rows that have not been taken out.
    left: Vec<u32>,
}

impl SortedWindows {
    /// Takes in a piece, made with keys, without its windows that end at or before `skip_us`.
    pub(super) fn add(&mut self, delta: Arc<ResultDelta>, skip_us: i64) -> Result<(), SinkError> {
        debug_assert_eq!(delta.groups.len(), delta.batch.num_rows(), "rows of a sorted sink come with their groups");
        let left: Vec<u32> = (0..).zip(&delta.groups).filter(|(_, group)| group.2 > skip_us).map(|(row, _)| row).collect();
        if !left.is_empty() {
            let rows = plain_rows(&delta.batch).map_err(|error| unsortable(&error))?;
            self.pieces.push(Piece { delta, rows, left });
        }
        Ok(())
    }

    /// Takes out, in order, the rows of all windows that end at or before `end_us`.
    pub(super) fn take(&mut self, end_us: i64) -> Result<Vec<RecordBatch>, SinkError> {
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (number, Piece { delta, left, .. }) in self.pieces.iter_mut().enumerate() {
            left.retain(|&row| {
                let is_over = delta.groups[row as usize].2 <= end_us;
                if is_over {
                    taken.push((number, row as usize));
                }
                !is_over
            });
        }
        let place = |&(piece, row): &(usize, usize)| {
            let (key, start_us, end_us) = &self.pieces[piece].delta.groups[row];
            (end_us, start_us, key)
        };
        taken.sort_unstable_by(|a, b| place(a).cmp(&place(b)).then(a.cmp(b)));
        let batches: Vec<&RecordBatch> = self.pieces.iter().map(|piece| &piece.rows).collect();
        let in_order = taken.chunks(BATCH_ROWS).map(|rows| interleave_record_batch(&batches, rows)).collect::<Result<_, _>>();
        let in_order = in_order.map_err(|error| unsortable(&error))?;
        self.pieces.retain(|piece| !piece.left.is_empty());
        Ok(in_order)
    }
}

/// Batches of different pieces share no dictionaries.
fn plain_rows(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<_> = batch.columns().iter().map(plain).collect();
    let typed = |(field, column): (&Arc<Field>, &arrow::array::ArrayRef)| Field::new(field.name(), column.data_type().clone(), true);
    let fields: Vec<Field> = batch.schema_ref().fields().iter().zip(&columns).map(typed).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn unsortable(error: &ArrowError) -> SinkError {
    SinkError::new(SinkErrorKind::Type, format!("the rows can't be sorted: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, DictionaryArray, Int64Array};
    use arrow::datatypes::Int32Type;
    use raympp_types::{EventTime, MetricId, PartitionId, Term};

    /// Rows (key, start, end, value); the result shows the value and a string made of it.
    fn piece(rows: &[(&str, i64, i64, i64)]) -> Arc<ResultDelta> {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.3)));
        let texts: DictionaryArray<Int32Type> =
            rows.iter().map(|row| Some(format!("v{}", row.3))).collect::<Vec<_>>().iter().map(|v| v.as_deref()).collect();
        let batch = RecordBatch::try_from_iter_with_nullable([("v", values, true), ("s", Arc::new(texts) as ArrayRef, true)]).unwrap();
        let groups = rows.iter().map(|row| (row.0.as_bytes().into(), row.1, row.2)).collect();
        let window_end = EventTime(rows.iter().map(|row| row.2).max().unwrap_or(0));
        let ends_us = rows.iter().map(|row| row.2).collect();
        let (metric, partition, term) = (MetricId(0), PartitionId(0), Term(1));
        Arc::new(ResultDelta { metric, partition, term, window_end, ends_us, groups, batch, overflowed: 0, last: false })
    }

    fn values(batches: &[RecordBatch]) -> Vec<i64> {
        let of = |batch: &RecordBatch| batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec();
        batches.iter().flat_map(of).collect()
    }

    #[test]
    fn rows_come_by_window_then_key_and_only_of_windows_that_are_over() {
        let mut windows = SortedWindows::default();
        windows.add(piece(&[("b", 0, 10, 1), ("a", 0, 10, 2), ("a", 10, 20, 3)]), i64::MIN).unwrap();
        windows.add(piece(&[("c", 5, 10, 4), ("aa", 0, 10, 5), ("b", 20, 30, 6)]), i64::MIN).unwrap();
        windows.add(piece(&[]), i64::MIN).unwrap();
        assert_eq!(values(&windows.take(9).unwrap()), [0; 0]);
        assert_eq!(values(&windows.take(10).unwrap()), [2, 5, 1, 4]);
        windows.add(piece(&[("a", 20, 30, 7), ("b", 10, 20, 8)]), i64::MIN).unwrap();
        assert_eq!(values(&windows.take(25).unwrap()), [3, 8]);
        assert_eq!(values(&windows.take(i64::MAX).unwrap()), [7, 6]);
        assert!(windows.take(i64::MAX).unwrap().is_empty() && windows.pieces.is_empty());
    }

    #[test]
    fn many_rows_come_in_several_batches() {
        let mut windows = SortedWindows::default();
        let rows: Vec<(&str, i64, i64, i64)> = (0..20_000).rev().map(|n| ("", n, n + 1, n)).collect();
        rows.chunks(999).for_each(|rows| windows.add(piece(rows), i64::MIN).unwrap());
        let taken = windows.take(20_000).unwrap();
        assert_eq!((taken.len(), values(&taken)), (3, (0..20_000).collect()));
        let text = arrow::util::display::array_value_to_string(taken[0].column(1), 7).unwrap();
        assert_eq!(text, "v7");
    }
}
