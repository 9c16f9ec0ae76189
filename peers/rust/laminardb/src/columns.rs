//! The rows as Arrow batches, and the result rows of one.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Int8Array, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use peer_common::{Query, Results, Rows};

/// How many rows there are in a batch.
const BATCH: usize = 65_536;

/// No row has this channel, except for the ones that only move the watermark.
pub const NO_CHANNEL: i32 = -1;

/// The input as the database takes it.
pub struct Batches {
    /// All rows in order.
    pub rows: Vec<RecordBatch>,
    /// After the rows: closes all their windows.
    pub closing: RecordBatch,
    /// After that: closes the windows of the row in `closing`.
    pub last: RecordBatch,
    /// When the rows' last window ends.
    pub end_us: i64,
}

impl Batches {
    /// Converts all rows.
    pub fn new(rows: &Rows, query: Query) -> Result<Self, ArrowError> {
        let schema = schema();
        let batch = |first: usize| {
            let range = first..rows.len().min(first + BATCH);
            record_batch(
                &schema,
                &rows.channel[range.clone()],
                &rows.status[range.clone()],
                &rows.amount[range.clone()],
                &rows.event_time[range],
            )
        };
        let counted = rows.event_time.iter().zip(&rows.amount).filter(|(_, amount)| **amount > 0);
        let highest = counted.map(|(event_time, _)| *event_time).max().unwrap_or_default();
        let end_us = highest - highest.rem_euclid(query.slide_us) + query.size_us;
        // Twice a window's size, so that the windows of the one and of the other do not close together.
        let marker = |after: i64| record_batch(&schema, &[NO_CHANNEL], &[0], &[1], &[end_us + after * query.size_us]);
        Ok(Self {
            rows: (0..rows.len()).step_by(BATCH).map(batch).collect::<Result<_, _>>()?,
            closing: marker(2)?,
            last: marker(4)?,
            end_us,
        })
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("channel", DataType::Int32, true),
        Field::new("status", DataType::Int8, true),
        Field::new("amount", DataType::Int64, true),
        Field::new("event_time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ]))
}

fn record_batch(schema: &SchemaRef, channel: &[i32], status: &[i8], amount: &[i64], event_time: &[i64]) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(channel.to_vec())),
        Arc::new(Int8Array::from(status.to_vec())),
        Arc::new(Int64Array::from(amount.to_vec())),
        Arc::new(TimestampMicrosecondArray::from(event_time.to_vec())),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// What a batch of results has.
#[derive(Default)]
pub struct Seen {
    /// A result row of the input.
    pub rows: bool,
    /// A result row of the input's last window.
    pub last_window: bool,
    /// A result row of a row that only moves the watermark.
    pub marker: bool,
}

/// Adds a batch of results.
pub fn add(results: &mut Results, batch: &RecordBatch, end_us: i64) -> Seen {
    let channels = batch.column(0).as_primitive::<Int32Type>().values();
    let ends = batch.column(1).as_primitive::<TimestampMicrosecondType>().values();
    let [payments, successes, volumes] = [2, 3, 4].map(|column| batch.column(column).as_primitive::<Int64Type>().values());
    let mut seen = Seen::default();
    for row in 0..batch.num_rows() {
        if channels[row] == NO_CHANNEL {
            seen.marker = true;
        } else {
            seen.rows = true;
            seen.last_window |= ends[row] == end_us;
            results.add(ends[row], channels[row], payments[row], successes[row], volumes[row]);
        }
    }
    seen
}
