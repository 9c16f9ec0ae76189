//! Evaluation over batches.

use super::error::{RowErrors, TypeError};
use super::{Expr, arrow_types};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::BooleanBuffer;
use raympp_types::Value;

/// A column of results, and which rows have none.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// As many rows as the batch; unspecified where a row failed or was not active.
    pub values: ArrayRef,
    /// The active rows that failed.
    pub errors: Option<RowErrors>,
}

impl Expr {
    /// Evaluates over a batch. `active`: the rows whose value is needed; `None`: all. Errors are reported for active rows only.
    pub fn evaluate(&self, batch: &RecordBatch, active: Option<&BooleanBuffer>) -> Evaluated {
        self.evaluate_columns(batch.columns(), batch.num_rows(), active)
    }

    /// [`Expr::evaluate`] over bare columns of `rows` rows.
    pub fn evaluate_columns(&self, columns: &[ArrayRef], rows: usize, _active: Option<&BooleanBuffer>) -> Evaluated {
        let _ = columns;
        Evaluated { values: arrow_types::array_of(&Value::Null, self.data_type(), rows), errors: None }
    }

    /// For a predicate that reads one VARCHAR column and can't fail: for each entry of that column's dictionary 1 if the
    /// predicate is true, else 0, and one byte more at the end for NULL. `None` for other expressions.
    pub fn evaluate_predicate_lut(&self, dictionary: &ArrayRef) -> Option<Vec<u8>> {
        let _ = dictionary.len();
        None
    }

    pub(super) fn fold(self) -> Result<Expr, TypeError> {
        Ok(self)
    }
}
