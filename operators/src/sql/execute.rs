//! Runs a SELECT over rows already read.

use crate::plan::SelectPlan;
use arrow::record_batch::RecordBatch;

/// Why a SELECT has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExecuteError {
    /// A row could not be evaluated.
    #[error("{0}")]
    Evaluation(String),
}

/// stub
pub fn execute_select(_plan: &SelectPlan, _batches: &[RecordBatch]) -> Result<RecordBatch, ExecuteError> {
    Err(ExecuteError::Evaluation(String::new()))
}
