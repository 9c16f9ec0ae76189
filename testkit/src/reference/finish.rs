//! From a window's rows to its result row: one group, one fold.

use super::judge::JudgedSplit;
use super::{KeyWindow, WindowResult};
use crate::rows::row_text;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take_record_batch;
use arrow::datatypes::{Field, Schema};
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, RowOffsets, RowStamps, fold};
use raympp_operators::expr::Expr;
use raympp_operators::keycode::decode_columns;
use raympp_operators::plan::MetricPlan;
use raympp_types::{DataType, SplitId};
use std::sync::Arc;

/// A window's rows of one split.
struct Part {
    split: SplitId,
    rows: RecordBatch,
    times_us: Vec<i64>,
    offsets: Vec<u64>,
}

/// The result row of a window.
pub(super) fn finish(plan: &MetricPlan, time_type: DataType, splits: &[JudgedSplit], window: &KeyWindow) -> WindowResult {
    let parts: Vec<Part> = splits.iter().enumerate().filter_map(|(i, split)| part(i, split, window)).collect();
    let types: Vec<DataType> = plan.keys.iter().map(|key| key.expr.data_type()).collect();
    let mut columns = decode_columns(std::iter::once(&window.key[..]), &types).expect("the key was encoded from values of these types");
    if plan.window.has_bounds() {
        columns.extend([window.start_us, window.end_us].map(|us| time(us, time_type)));
    }
    let mut overflowed = 0;
    for aggregate in &plan.aggregates {
        let cells: Vec<AccumulatorColumn> = aggregate.lower().accumulators.iter().map(|accumulator| folded(accumulator, &parts)).collect();
        let finished = aggregate.finish(&[window.rows.len() as u64], &cells.iter().collect::<Vec<_>>());
        overflowed += finished.overflowed;
        columns.push(finished.array);
    }
    let mut compute = |expr: &Expr| {
        let evaluated = expr.evaluate_columns(&columns, 1, None);
        let failed = evaluated.errors.is_some();
        overflowed += u64::from(failed);
        if failed { new_null_array(evaluated.values.data_type(), 1) } else { evaluated.values }
    };
    if let Some(having) = &plan.having {
        let verdict = compute(having);
        if verdict.is_null(0) || !verdict.as_boolean().value(0) {
            return WindowResult { row: None, overflowed };
        }
    }
    let output: Vec<ArrayRef> = plan.output.iter().map(|column| compute(&column.expr)).collect();
    WindowResult { row: Some(row_text(&batch(plan, output), 0)), overflowed }
}

fn part(position: usize, split: &JudgedSplit, window: &KeyWindow) -> Option<Part> {
    let rows: Vec<u32> = window.rows.iter().filter(|(split, _)| *split == position).map(|(_, row)| *row as u32).collect();
    let of = |values: &[i64]| rows.iter().map(|&row| values[row as usize]).collect();
    (!rows.is_empty()).then(|| Part {
        split: split.split,
        rows: take_record_batch(&split.rows, &UInt32Array::from(rows.clone())).expect("rows of the split"),
        times_us: of(&split.times_us),
        offsets: rows.iter().map(|&row| split.offsets[row as usize]).collect(),
    })
}

/// All rows in one cell.
fn folded(accumulator: &Accumulator, parts: &[Part]) -> AccumulatorColumn {
    let mut cell = AccumulatorColumn::identity(accumulator, 1);
    for part in parts {
        let rows: Vec<u32> = (0..part.rows.num_rows() as u32).collect();
        let filter = accumulator.filter().map(|filter| truth(&filter.evaluate(&part.rows, None).values));
        let needed = filter.as_ref().map(|filter| filter.values());
        let inputs: Vec<ArrayRef> = accumulator.inputs().iter().map(|input| input.evaluate(&part.rows, needed).values).collect();
        let stamps = RowStamps { event_times_us: &part.times_us, split: part.split, offsets: RowOffsets::Each(&part.offsets) };
        fold(accumulator, &inputs, filter.as_ref(), &rows, &vec![0; rows.len()], &stamps, &mut cell);
    }
    cell
}

/// True where the value is true, false where it is false or NULL.
fn truth(values: &ArrayRef) -> BooleanArray {
    let values = values.as_boolean();
    let truth = BooleanBuffer::collect_bool(values.len(), |row| values.is_valid(row) && values.value(row));
    BooleanArray::new(truth, None)
}

fn time(us: i64, data_type: DataType) -> ArrayRef {
    let values = TimestampMicrosecondArray::from(vec![us]);
    if data_type == DataType::TimestampTz { Arc::new(values.with_timezone("UTC")) } else { Arc::new(values) }
}

fn batch(plan: &MetricPlan, columns: Vec<ArrayRef>) -> RecordBatch {
    let field = |(output, column): (&raympp_operators::plan::Output, &ArrayRef)| Field::new(&output.name, column.data_type().clone(), true);
    let schema = Schema::new(plan.output.iter().zip(&columns).map(field).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options).expect("columns of one row")
}
