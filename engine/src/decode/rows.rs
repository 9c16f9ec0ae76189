//! Columns become a batch; bad rows leave it.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use raympp_types::Offset;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest text kept of a bad row.
const RAW_BYTES_MAX: usize = 1 << 20;

/// A row that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its offset.
    pub offset: Offset,
    /// Why, in words for a person, with line and column.
    pub reason: String,
    /// The record as it stands in the file, invalid UTF-8 replaced, cut after 1 MiB; `None` where there is no text.
    pub raw: Option<String>,
}

/// A run of decoded rows. Row numbers count from the run's first row.
#[derive(Debug)]
pub struct DecodedRows {
    /// Number of rows, bad ones included.
    pub rows: usize,
    /// The good rows.
    pub batch: RecordBatch,
    /// Number of each good row, if some were bad.
    pub row_numbers: Option<Vec<u32>>,
    /// The bad rows; their offsets are row numbers until [`DecodedRows::bad_at`] is told the offset of the first.
    bad: Vec<(u32, String, Option<String>)>,
}

impl DecodedRows {
    /// A run without bad rows.
    pub fn all_good(batch: RecordBatch) -> DecodedRows {
        DecodedRows { rows: batch.num_rows(), batch, row_numbers: None, bad: Vec::new() }
    }

    /// The bad rows of a run that starts at `from`, and the rest.
    pub fn bad_at(&mut self, from: Offset) -> Vec<BadRow> {
        let at = |(number, reason, raw)| BadRow { offset: Offset(from.0 + u64::from(number)), reason, raw };
        std::mem::take(&mut self.bad).into_iter().map(at).collect()
    }
}

/// Where the records of a run lie: what assembly needs to know about each bad one.
#[derive(Debug)]
pub(super) struct BadRecord {
    /// Its number in the run.
    pub(super) number: u32,
    /// Why.
    pub(super) reason: String,
    /// Its text, where there is one.
    pub(super) raw: Option<String>,
}

impl BadRecord {
    pub(super) fn new(number: u32, reason: String, raw: &[u8]) -> BadRecord {
        BadRecord { number, reason, raw: Some(raw_text(raw)) }
    }
}

fn raw_text(raw: &[u8]) -> String {
    match raw.get(..RAW_BYTES_MAX) {
        None => String::from_utf8_lossy(raw).into_owned(),
        Some(start) => format!("{}… ({} bytes)", String::from_utf8_lossy(start), raw.len()),
    }
}

/// Puts the columns of the records that could be cut together, takes out those with bad cells, and merges the bad of both kinds.
///
/// `numbers` holds the number in the run of each row of `columns`; `uncut` the records that are not among them; `bad_cells` the reason
/// per row of `columns`.
pub(super) fn assemble(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    numbers: &[u32],
    uncut: Vec<BadRecord>,
    bad_cells: BTreeMap<u32, BadRecord>,
) -> DecodedRows {
    let batch = batch_of(schema, columns, numbers.len());
    if uncut.is_empty() && bad_cells.is_empty() {
        return DecodedRows::all_good(batch);
    }
    let good: BooleanArray = (0..numbers.len() as u32).map(|row| Some(!bad_cells.contains_key(&row))).collect();
    let kept = numbers.iter().zip(0u32..).filter(|(_, row)| !bad_cells.contains_key(row)).map(|(&number, _)| number).collect();
    let batch = filter_record_batch(&batch, &good).expect("the filter has the batch's length");
    let rows = numbers.len() + uncut.len();
    let mut bad: Vec<_> = uncut.into_iter().chain(bad_cells.into_values()).map(|row| (row.number, row.reason, row.raw)).collect();
    bad.sort_unstable_by_key(|row| row.0);
    DecodedRows { rows, batch, row_numbers: Some(kept), bad }
}

/// A batch of these columns; the schema follows the columns where a string column is a dictionary.
pub(super) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let same = schema.fields().iter().zip(&columns).all(|(field, column)| field.data_type() == column.data_type());
    let schema = if same { schema.clone() } else { schema_of(schema, &columns) };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).expect("columns of one length and of the schema's types")
}

fn schema_of(schema: &Schema, columns: &[ArrayRef]) -> SchemaRef {
    let field = |(field, column): (&Arc<Field>, &ArrayRef)| Field::new(field.name(), column.data_type().clone(), true);
    Arc::new(Schema::new(schema.fields().iter().zip(columns).map(field).collect::<Vec<_>>()))
}
