//! The rows as Arrow batches, and the result rows of one.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Int8Array, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use peer_common::{LATENESS_US, Query, Results, Rows};

/// No row has this channel, except for the ones that only move the watermark.
pub const NO_CHANNEL: i32 = -1;

/// The input as the database takes it.
pub struct Batches {
    /// All rows in order, as many times over as there are passes.
    pub rows: Vec<RecordBatch>,
    /// After the rows: one by one, they close the windows that are still open, of which each ends at the time that is beside it. A subscription holds no more than 16 MiB, which
    /// would not do for all at once.
    pub closing: Vec<(i64, RecordBatch)>,
    /// When the rows' last window ends.
    pub end_us: i64,
}

impl Batches {
    /// Converts all rows.
    pub fn new(rows: &Rows, query: Query, passes: usize, rows_of_batch: usize) -> Result<Self, ArrowError> {
        let schema = schema();
        let mut batches = Vec::new();
        for shift_us in rows.shifts_us(passes) {
            for first in (0..rows.len()).step_by(rows_of_batch) {
                let range = first..rows.len().min(first + rows_of_batch);
                let event_time = rows.event_time[range.clone()].iter().map(|time_us| time_us + shift_us).collect();
                batches.push(record_batch(
                    &schema,
                    &rows.channel[range.clone()],
                    &rows.status[range.clone()],
                    &rows.amount[range],
                    event_time,
                )?);
            }
        }
        let counted = rows.event_time.iter().zip(&rows.amount).filter(|(_, amount)| **amount > 0);
        let highest =
            counted.map(|(event_time, _)| *event_time).max().unwrap_or_default() + rows.shifts_us(passes).last().unwrap_or_default();
        let end_us = highest - highest.rem_euclid(query.slide_us) + query.size_us;
        // Each is in the next window, so that each window has a row that says that it is closed.
        let marker = |closed_us: i64| -> Result<_, ArrowError> {
            Ok((closed_us, record_batch(&schema, &[NO_CHANNEL], &[0], &[1], vec![closed_us + LATENESS_US])?))
        };
        let closing = closing_ends(highest, end_us, query).map(marker).collect::<Result<_, _>>()?;
        Ok(Self { rows: batches, closing, end_us })
    }
}

/// When the windows end that may still be open after the row with the highest time, from the last one that is closed to the one after the last with a row.
fn closing_ends(highest_us: i64, end_us: i64, query: Query) -> impl Iterator<Item = i64> {
    let watermark_us = highest_us - LATENESS_US;
    let closed_us = watermark_us - watermark_us.rem_euclid(query.slide_us);
    (closed_us..=end_us + query.slide_us).step_by(query.slide_us as usize)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("channel", DataType::Int32, true),
        Field::new("status", DataType::Int8, true),
        Field::new("amount", DataType::Int64, true),
        Field::new("event_time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ]))
}

fn record_batch(
    schema: &SchemaRef,
    channel: &[i32],
    status: &[i8],
    amount: &[i64],
    event_time: Vec<i64>,
) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(channel.to_vec())),
        Arc::new(Int8Array::from(status.to_vec())),
        Arc::new(Int64Array::from(amount.to_vec())),
        Arc::new(TimestampMicrosecondArray::from(event_time)),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Adds a batch of results, but those of rows that only move the watermark. When the latest window in it ends, and whether it has results of the input.
pub fn add(results: &mut Results, batch: &RecordBatch) -> (i64, bool) {
    let channels = batch.column(0).as_primitive::<Int32Type>().values();
    let ends = batch.column(1).as_primitive::<TimestampMicrosecondType>().values();
    let [payments, successes, volumes] = [2, 3, 4].map(|column| batch.column(column).as_primitive::<Int64Type>().values());
    let rows_before = results.rows;
    for row in (0..batch.num_rows()).filter(|row| channels[*row] != NO_CHANNEL) {
        results.add(ends[row], channels[row], payments[row], successes[row], volumes[row]);
    }
    (ends.iter().copied().max().unwrap_or(i64::MIN), results.rows > rows_before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_that_may_be_open_is_closed_in_turn() {
        let query = Query { slide_us: 1_000_000, size_us: 3_000_000 };
        let ends = |highest_us, end_us| closing_ends(highest_us, end_us, query).map(|end_us| end_us / 1_000_000).collect::<Vec<_>>();
        assert_eq!(ends(7_500_000, 10_000_000), [7, 8, 9, 10, 11]);
        assert_eq!(ends(7_010_000, 10_000_000), [6, 7, 8, 9, 10, 11]);
    }
}
