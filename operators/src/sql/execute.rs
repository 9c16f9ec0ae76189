//! Runs a SELECT over the rows of its metric, already read. Pure: rows in, rows out.
//!
//! The answer is a function of the *set* of input rows wherever SQL leaves an order open: groups come out in the order of their keys,
//! ties of ARG_MIN and ARG_MAX are broken by the rows' contents, and only rows that ORDER BY holds equal keep the order of the input.
//! A row that cannot be evaluated fails the SELECT, as in PostgreSQL; what LIMIT cuts off is not evaluated for the result.
//!
//! Cost: one pass per step; grouping hashes, ordering sorts the rows' key codes ([`crate::keycode`]).

#[path = "execute/groups.rs"]
mod groups;
#[path = "execute/order.rs"]
mod order;

use crate::expr::arrow_types::{arrow_schema, arrow_type};
use crate::expr::{EvaluationError, Expr};
use crate::plan::{Output, SelectPlan};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, filter_record_batch, take};
use arrow::error::ArrowError;
use raympp_types::{Field, Schema};

/// Why a SELECT has no answer. None of it is cured by trying again.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// A row could not be evaluated.
    #[error("{expression}: {reason}")]
    Evaluation {
        /// What was evaluated.
        expression: String,
        /// Why it failed.
        reason: EvaluationError,
    },
    /// The batches are not rows of the metric.
    #[error("{found} columns where the metric has {expected}")]
    Columns {
        /// Columns of a batch.
        found: usize,
        /// Columns of the plan's input.
        expected: usize,
    },
    /// More rows than one answer can have.
    #[error("{0} rows are more than one answer can have")]
    TooManyRows(usize),
    /// A batch has columns of other types than the plan's input.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Evaluates a SELECT over batches of [`SelectPlan::input`]'s columns; VARCHAR columns may be dictionary-encoded.
pub fn execute_select(plan: &SelectPlan, batches: &[RecordBatch]) -> Result<RecordBatch, ExecuteError> {
    let mut rows = gather(plan, batches)?;
    if let Some(groups) = &plan.groups {
        rows = groups::group(groups, &rows)?;
        rows = filtered(rows, groups.having.as_ref())?;
    }
    if !plan.order_by.is_empty() {
        rows = order::sort(&plan.order_by, &rows)?;
    }
    if !plan.distinct {
        return project(plan, &slice(&rows, plan));
    }
    let projected = project(plan, &rows)?;
    Ok(slice(&order::without_repetition(&projected)?, plan))
}

/// The input rows that pass WHERE, in one batch.
fn gather(plan: &SelectPlan, batches: &[RecordBatch]) -> Result<RecordBatch, ExecuteError> {
    let schema = arrow_schema(&plan.input);
    let mut kept = vec![RecordBatch::new_empty(schema.clone())];
    for batch in batches {
        let (found, expected) = (batch.num_columns(), plan.input.fields.len());
        if found != expected {
            return Err(ExecuteError::Columns { found, expected });
        }
        let columns = batch.columns().iter().zip(&plan.input.fields).map(|(column, field)| uniform(column, field));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)?;
        kept.push(filtered(batch, plan.filter.as_ref())?);
    }
    let rows = kept.iter().map(RecordBatch::num_rows).sum();
    if u32::try_from(rows).is_err() {
        return Err(ExecuteError::TooManyRows(rows));
    }
    Ok(arrow::compute::concat_batches(&schema, &kept)?)
}

/// Dictionaries of different batches share no codes, so they are taken apart.
fn uniform(column: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    let target = arrow_type(field.data_type);
    if *column.data_type() == target { Ok(column.clone()) } else { cast(column, &target) }
}

/// The rows for which the condition is true.
fn filtered(rows: RecordBatch, condition: Option<&Expr>) -> Result<RecordBatch, ExecuteError> {
    let Some(condition) = condition else { return Ok(rows) };
    let passes = truth(&evaluate(condition, &rows, None)?);
    Ok(filter_record_batch(&rows, &BooleanArray::new(passes, None))?)
}

/// True where a condition is true, false where it is false or NULL.
fn truth(condition: &ArrayRef) -> BooleanBuffer {
    let condition = condition.as_boolean();
    match condition.nulls() {
        Some(nulls) => condition.values() & nulls.inner(),
        None => condition.values().clone(),
    }
}

/// One column of one physical type for each SQL type.
fn evaluate(expr: &Expr, rows: &RecordBatch, active: Option<&BooleanBuffer>) -> Result<ArrayRef, ExecuteError> {
    let evaluated = expr.evaluate(rows, active);
    if let Some(errors) = evaluated.errors {
        return Err(ExecuteError::Evaluation { expression: expr.to_string(), reason: errors.reason });
    }
    let values = evaluated.values;
    let target = arrow_type(expr.data_type());
    if *values.data_type() == target { Ok(values) } else { Ok(cast(&values, &target)?) }
}

fn project(plan: &SelectPlan, rows: &RecordBatch) -> Result<RecordBatch, ExecuteError> {
    let columns = plan.projection.iter().map(|Output { expr, .. }| evaluate(expr, rows, None));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    batch(&plan.output_schema(), columns, rows.num_rows())
}

fn batch(schema: &Schema, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ExecuteError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(arrow_schema(schema), columns, &options)?)
}

/// OFFSET and LIMIT.
fn slice(rows: &RecordBatch, plan: &SelectPlan) -> RecordBatch {
    let first = usize::try_from(plan.offset).unwrap_or(usize::MAX).min(rows.num_rows());
    let limit = plan.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    rows.slice(first, limit.min(rows.num_rows() - first))
}

/// The rows of these numbers, in this order.
fn taken(rows: &RecordBatch, numbers: Vec<u32>) -> Result<RecordBatch, ExecuteError> {
    let count = numbers.len();
    let numbers = UInt32Array::from(numbers);
    let columns = rows.columns().iter().map(|column| take(column, &numbers, None)).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(rows.schema(), columns, &options)?)
}
