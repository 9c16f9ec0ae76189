//! The flights that left New York in 2013, in the order in which they left, a year after the other.
//!
//! Their event times are the scheduled departures, which have nothing to do with when rows are due: a year goes by in less than a second at high rates.
//! Some rows are late, as they are in the log.

use super::{Rows, Settings, failed};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use raympp_engine::source::{self, SourcePoll};
use raympp_operators::plan::StreamPlan;
use raympp_types::Offset;
use std::ops::Range;
use std::sync::Arc;

/// 365 days.
const YEAR_US: i64 = 365 * 86_400 * 1_000_000;

struct Flights {
    year: RecordBatch,
    time_column: usize,
}

/// The log, read as a whole.
pub(super) fn rows(stream: &StreamPlan, settings: &Settings) -> Result<Box<dyn Rows>> {
    if settings.out_of_orderness.is_some() {
        return Err(Error::Usage(
            "flights come in the order in which they left, so nothing says how far they are behind a clock".to_owned(),
        ));
    }
    let path = settings.flights.to_string_lossy().into_owned();
    let options = [("path".to_owned(), path), ("format".to_owned(), "csv".to_owned())].into_iter().collect();
    let plan = StreamPlan { connector: Some("file".to_owned()), options, ..stream.clone() };
    let source = source::create(&plan).map_err(|error| unreadable(&error))?;
    let mut reader = source.open(0, Offset(0)).map_err(|error| unreadable(&error))?;
    let mut batches = Vec::new();
    while let SourcePoll::Rows(rows) = reader.poll(0, 1 << 16).map_err(|error| unreadable(&error))? {
        batches.push(rows.batch);
    }
    let first = batches.first().ok_or_else(|| unreadable(&"it has no rows"))?;
    let year = arrow::compute::concat_batches(&first.schema(), &batches).map_err(|error| unreadable(&error))?;
    let time_column = stream.event_time.ok_or_else(|| unreadable(&"its stream has no event time"))?;
    Ok(Box::new(Flights { year, time_column }))
}

fn unreadable(error: &dyn ToString) -> Error {
    failed("flights", error)
}

impl Flights {
    /// Some rows of one of the years.
    fn of_year(&self, year: u64, rows: Range<usize>) -> Result<RecordBatch> {
        let batch = self.year.slice(rows.start, rows.len());
        let shift_us = year as i64 * YEAR_US;
        let times = batch.column(self.time_column).as_primitive::<TimestampMicrosecondType>();
        let mut columns = batch.columns().to_vec();
        columns[self.time_column] =
            Arc::new(TimestampMicrosecondArray::from_iter_values(times.values().iter().map(|time| time + shift_us)));
        RecordBatch::try_new(batch.schema(), columns).map_err(|error| unreadable(&error))
    }
}

impl Rows for Flights {
    fn take(&mut self, numbers: Range<u64>, _: &Schedule) -> Result<RecordBatch> {
        let (length, mut at, mut batches) = (self.year.num_rows() as u64, numbers.start, Vec::new());
        while at < numbers.end {
            let (year, row) = (at / length, at % length);
            let rows = (numbers.end - at).min(length - row);
            batches.push(self.of_year(year, row as usize..(row + rows) as usize)?);
            at += rows;
        }
        match batches.len() {
            1 => Ok(batches.remove(0)),
            _ => arrow::compute::concat_batches(&self.year.schema(), &batches).map_err(|error| unreadable(&error)),
        }
    }
}
