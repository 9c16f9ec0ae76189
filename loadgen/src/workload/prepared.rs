//! Rows that are made before a run and come again and again: for rates at which one thread could not make them.

use super::{Rows, event_time, failed};
use crate::error::Result;
use crate::run::STEP_ROWS_MAX;
use crate::schedule::Schedule;
use arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampMicrosecondType;
use std::ops::Range;
use std::sync::Arc;

/// Row `n` is row `n % rows` of those that were made, at the time at which row `n` is due, less what that one is behind.
pub(super) struct Prepared {
    rows: u64,
    /// All of them, and behind them the first few once more, so that what is handed over at once is one slice.
    made: RecordBatch,
    behind_us: Vec<i64>,
    time_column: usize,
}

impl Prepared {
    /// The first `rows` rows of others.
    pub(super) fn new(others: &mut dyn Rows, rows: u64, schedule: &Schedule, time_column: usize) -> Result<Prepared> {
        let rows = rows.max(STEP_ROWS_MAX);
        let steps = (0..rows).step_by(STEP_ROWS_MAX as usize);
        let mut made = steps.map(|first| others.take(first..rows.min(first + STEP_ROWS_MAX), schedule)).collect::<Result<Vec<_>>>()?;
        made.push(made[0].clone());
        let made = concat_batches(&made[0].schema(), &made).map_err(|error| failed("a workload", &error))?;
        let times = made.column(time_column).as_primitive::<TimestampMicrosecondType>().values();
        let mut behind_us: Vec<i64> = schedule.due(0..rows).zip(times).map(|(due_ns, time_us)| event_time(due_ns, 0) - time_us).collect();
        behind_us.extend_from_within(..STEP_ROWS_MAX as usize);
        Ok(Prepared { rows, made, behind_us, time_column })
    }

    /// No more rows than are handed over at once.
    fn step(&self, numbers: Range<u64>, schedule: &Schedule) -> Result<RecordBatch> {
        let (first, count) = ((numbers.start % self.rows) as usize, (numbers.end - numbers.start) as usize);
        let batch = self.made.slice(first, count);
        let mut times = Vec::with_capacity(count);
        times.extend(schedule.due(numbers).zip(&self.behind_us[first..]).map(|(due_ns, behind_us)| event_time(due_ns, *behind_us)));
        let mut columns = batch.columns().to_vec();
        columns[self.time_column] = Arc::new(TimestampMicrosecondArray::from(times));
        RecordBatch::try_new(batch.schema(), columns).map_err(|error| failed("a workload", &error))
    }
}

impl Rows for Prepared {
    fn take(&mut self, numbers: Range<u64>, schedule: &Schedule) -> Result<RecordBatch> {
        if numbers.end - numbers.start <= STEP_ROWS_MAX {
            return self.step(numbers, schedule);
        }
        let steps = numbers.clone().step_by(STEP_ROWS_MAX as usize);
        let steps = steps.map(|first| self.step(first..numbers.end.min(first + STEP_ROWS_MAX), schedule)).collect::<Result<Vec<_>>>()?;
        concat_batches(&self.made.schema(), &steps).map_err(|error| failed("a workload", &error))
    }
}
