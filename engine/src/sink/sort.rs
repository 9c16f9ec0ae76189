//! Puts the rows of a part in order: by window, then by all other columns from left to right.
//!
//! The order is total on rows with different contents, so equal sets of rows become equal files. NULL comes last, as in PostgreSQL.

use super::error::{SinkError, SinkErrorKind};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

/// One sorted batch of all rows. All batches have this schema.
pub(super) fn sorted(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, SinkError> {
    sort(schema, batches).map_err(|error| SinkError::new(SinkErrorKind::Type, format!("the rows can't be sorted: {error}")))
}

fn sort(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let rows = concat_batches(schema, batches)?;
    let order = column_order(schema);
    let options = SortOptions { descending: false, nulls_first: false };
    let fields = order.iter().map(|&column| SortField::new_with_options(schema.field(column).data_type().clone(), options));
    let converter = RowConverter::new(fields.collect())?;
    let columns: Vec<_> = order.iter().map(|&column| rows.column(column).clone()).collect();
    let keys = converter.convert_columns(&columns)?;
    let mut positions: Vec<u32> = (0..rows.num_rows() as u32).collect();
    positions.sort_unstable_by(|&a, &b| keys.row(a as usize).cmp(&keys.row(b as usize)).then(a.cmp(&b)));
    take_record_batch(&rows, &UInt32Array::from(positions))
}

/// window_end, window_start, then the columns as they come.
fn column_order(schema: &SchemaRef) -> Vec<usize> {
    let mut order: Vec<usize> = (0..schema.fields().len()).collect();
    order.sort_by_key(|&column| match schema.field(column).name().as_str() {
        "window_end" => 0,
        "window_start" => 1,
        _ => 2,
    });
    order
}
