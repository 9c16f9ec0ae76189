//! Where result rows go.

use arrow::array::RecordBatch;
use raympp_operators::plan::SinkPlan;
use raympp_types::Schema;

/// Takes rows.
pub trait RowSink: Send {
    /// Takes rows that are not visible to readers yet.
    ///
    /// # Errors
    /// What could not be written, where and why.
    fn append(&mut self, batch: &RecordBatch) -> Result<(), SinkError>;

    /// Makes everything appended so far visible to readers, at once.
    ///
    /// # Errors
    /// What could not be written, where and why.
    fn publish(&mut self) -> Result<(), SinkError>;
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(String);

/// Opens the sink of a plan.
///
/// # Errors
/// Why it can't be written to.
pub fn open(plan: &SinkPlan, _schema: &Schema) -> Result<Box<dyn RowSink>, SinkError> {
    struct Stdout;
    impl RowSink for Stdout {
        fn append(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
            println!("{batch:?}");
            Ok(())
        }
        fn publish(&mut self) -> Result<(), SinkError> {
            Ok(())
        }
    }
    let _ = plan;
    Ok(Box::new(Stdout))
}
