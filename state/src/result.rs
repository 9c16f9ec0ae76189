//! From closed or live groups to result rows: aggregates are finished, HAVING decides, SELECT computes the columns.
//!
//! Closed windows leave a replica as deltas in window-end time. The pieces of one window may come in any order of keys; the last
//! one is flagged, and a receiver hands on whole windows only.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_operators::expr::Expr;
use raympp_operators::expr::arrow_types::arrow_type;
use raympp_operators::plan::Output;
use raympp_operators::sharing::SharedMetric;
use raympp_types::{DataType, EventTime, MetricId, PartitionId, Term};
use std::sync::Arc;

/// Canonical key, window start and window end in microseconds.
pub type NamedGroup = (Box<[u8]>, i64, i64);

/// A run of results of one metric from one partition, in window-end time.
#[derive(Clone, Debug)]
pub struct ResultDelta {
    /// Whose results.
    pub metric: MetricId,
    /// From which partition.
    pub partition: PartitionId,
    /// The primary that sends it: a receiver drops what it has of a window without its last piece when a higher one comes.
    pub term: Term,
    /// End of the windows in here; for sessions the highest.
    pub window_end: EventTime,
    /// End of each row's window in microseconds, ascending.
    pub ends_us: Vec<i64>,
    /// Canonical key, window start and window end of each row in microseconds, if the caller asked for them.
    pub groups: Vec<NamedGroup>,
    /// Output columns of the metric. May have no rows: then only the frontier moves.
    pub batch: RecordBatch,
    /// Values that did not fit their type, or whose computation failed, and became NULL.
    pub overflowed: u64,
    /// No further rows of windows that end at or before `window_end` will come.
    pub last: bool,
}

/// Groups of one metric, column by column.
pub struct Groups<'a> {
    /// Key columns.
    pub keys: Vec<ArrayRef>,
    /// window_start and window_end in microseconds, by group, if the window has bounds.
    pub bounds_us: Option<(Bound<'a>, Bound<'a>)>,
    /// Rows by group.
    pub rows: &'a [u64],
    /// By accumulator of the store.
    pub columns: &'a [Option<AccumulatorColumn>],
}

/// One bound of the windows of several groups.
pub enum Bound<'a> {
    /// The same for all.
    Same(i64),
    /// One for each.
    Each(&'a [i64]),
}

/// Result rows.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Output columns.
    pub batch: RecordBatch,
    /// For each row, the position of its group; `None`: all groups, in order.
    pub groups: Option<Vec<u32>>,
    /// Values that did not fit their type, or whose computation failed, and became NULL.
    pub overflowed: u64,
}

impl Bound<'_> {
    fn array(&self, groups: usize, data_type: DataType) -> ArrayRef {
        let values = match self {
            Bound::Same(us) => TimestampMicrosecondArray::from(vec![*us; groups]),
            Bound::Each(us) => TimestampMicrosecondArray::from(us.to_vec()),
        };
        match data_type {
            DataType::TimestampTz => Arc::new(values.with_timezone("UTC")),
            _ => Arc::new(values),
        }
    }
}

/// Computes a metric's result rows from its groups. `time_type` is the type of window_start and window_end.
pub fn rows_of(metric: &SharedMetric, time_type: DataType, groups: Groups<'_>) -> Rows {
    let count = groups.rows.len();
    let mut columns = groups.keys;
    if let Some((start, end)) = &groups.bounds_us {
        columns.push(start.array(count, time_type));
        columns.push(end.array(count, time_type));
    }
    let mut overflowed = 0;
    for (aggregate, positions) in metric.plan.aggregates.iter().zip(&metric.accumulators) {
        let inputs: Vec<&AccumulatorColumn> =
            positions.iter().map(|&i| groups.columns[i].as_ref().expect("the shape lists the metric's accumulators")).collect();
        let finished = aggregate.finish(groups.rows, &inputs);
        overflowed += finished.overflowed;
        columns.push(finished.array);
    }
    let kept = metric.plan.having.as_ref().and_then(|having| keep(having, &mut columns, count, &mut overflowed));
    let count = kept.as_ref().map_or(count, Vec::len);
    let output: Vec<ArrayRef> = metric.plan.output.iter().map(|column| compute(&column.expr, &columns, count, &mut overflowed)).collect();
    Rows { batch: batch_of(metric, output, count), groups: kept, overflowed }
}

/// A row that names a key and a window and says nothing else: SELECT's columns that show one of them as it is, NULL in the others.
pub fn row_of_names(metric: &SharedMetric, time_type: DataType, keys: Vec<ArrayRef>, bounds_us: Option<(i64, i64)>) -> RecordBatch {
    let mut columns = keys;
    if let Some((start, end)) = bounds_us {
        columns.extend([start, end].map(|us| Bound::Same(us).array(1, time_type)));
    }
    let column = |output: &Output| match output.expr.as_column().and_then(|column| columns.get(column)) {
        Some(name) => Arc::clone(name),
        None => new_null_array(&arrow_type(output.expr.data_type()), 1),
    };
    batch_of(metric, metric.plan.output.iter().map(column).collect(), 1)
}

/// Applies HAVING to the group columns; `None` if all groups stay.
fn keep(having: &Expr, columns: &mut [ArrayRef], count: usize, failed: &mut u64) -> Option<Vec<u32>> {
    let verdict = compute(having, columns, count, failed);
    let verdict = verdict.as_any().downcast_ref::<BooleanArray>().expect("HAVING is a BOOLEAN");
    let kept: BooleanBuffer = match verdict.nulls() {
        Some(nulls) => verdict.values() & nulls.inner(),
        None => verdict.values().clone(),
    };
    if kept.count_set_bits() == count {
        return None;
    }
    let positions: Vec<u32> = kept.set_indices().map(|i| i as u32).collect();
    let picks = UInt32Array::from(positions.clone());
    for column in columns {
        *column = compute::take(column, &picks, None).expect("positions are in range");
    }
    Some(positions)
}

/// Evaluates over group columns; where it fails the value is NULL and counted.
fn compute(expr: &Expr, columns: &[ArrayRef], count: usize, failed: &mut u64) -> ArrayRef {
    let evaluated = expr.evaluate_columns(columns, count, None);
    match evaluated.errors {
        None => evaluated.values,
        Some(errors) => {
            *failed += errors.failed.count_set_bits() as u64;
            let mask = BooleanArray::new(errors.failed, None);
            compute::nullif(&evaluated.values, &mask).expect("one verdict per row")
        }
    }
}

fn batch_of(metric: &SharedMetric, columns: Vec<ArrayRef>, count: usize) -> RecordBatch {
    let fields: Vec<arrow::datatypes::Field> = metric
        .plan
        .output
        .iter()
        .zip(&columns)
        .map(|(column, array)| arrow::datatypes::Field::new(&column.name, array.data_type().clone(), true))
        .collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::new(fields)), columns, &options)
        .expect("columns have the types they say and one length")
}

/// A batch of the metric's output columns without rows.
pub fn no_rows(metric: &SharedMetric) -> RecordBatch {
    let columns = metric.plan.output.iter().map(|column| new_null_array(&arrow_type(column.expr.data_type()), 0)).collect();
    batch_of(metric, columns, 0)
}
