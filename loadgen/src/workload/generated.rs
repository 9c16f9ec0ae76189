//! Payments and bids: rows of the engine's own generators, timed anew.

use super::degradations::Degradations;
use super::{Disorder, Rows, Settings, failed};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use arrow::array::{RecordBatch, TimestampMicrosecondArray};
use raympp_engine::source::{self, Source, SourcePoll, SplitReader};
use raympp_operators::plan::StreamPlan;
use raympp_types::Offset;
use std::ops::Range;
use std::sync::Arc;

/// Rows of a connector, whose event times are those at which rows are due.
struct Generated {
    workload: &'static str,
    source: Box<dyn Source>,
    /// Where the reader is, and the reader.
    reader: Option<(u64, Box<dyn SplitReader>)>,
    time_column: usize,
    disorder: Disorder,
    degradations: Option<Degradations>,
}

/// Payments through `keys` channels, of which one is degraded now and then: by the time at which they are due, where the generator goes by their number.
pub(super) fn payments(stream: &StreamPlan, settings: &Settings) -> Result<Box<dyn Rows>> {
    let options = [("keys", settings.keys.to_string()), ("skew", settings.skew.to_string()), ("degrade", false.to_string())];
    let degradations = Degradations::of(stream, settings).ok_or_else(|| failed("payments", &"its stream lacks a column"))?;
    generated("payments", stream, settings, &options, Some(degradations))
}

/// Bids on `keys` auctions at a time.
pub(super) fn bids(stream: &StreamPlan, settings: &Settings) -> Result<Box<dyn Rows>> {
    generated("nexmark", stream, settings, &[("table", "bid".to_owned()), ("keys", settings.keys.to_string())], None)
}

fn generated(
    connector: &'static str,
    stream: &StreamPlan,
    settings: &Settings,
    options: &[(&str, String)],
    degradations: Option<Degradations>,
) -> Result<Box<dyn Rows>> {
    let all = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let shape = [("seed".to_owned(), settings.seed.to_string()), ("event_rate".to_owned(), settings.rate.to_string())];
    let plan = StreamPlan { connector: Some(connector.to_owned()), options: all.chain(shape).collect(), ..stream.clone() };
    let time_column = stream.event_time.ok_or_else(|| failed(connector, &"its stream has no event time"))?;
    let source = source::create(&plan).map_err(|error| failed(connector, &error))?;
    let disorder = Disorder::of(stream, settings);
    Ok(Box::new(Generated { workload: connector, source, reader: None, time_column, disorder, degradations }))
}

impl Generated {
    fn poll(&mut self, at: u64, rows: usize) -> Result<RecordBatch> {
        let failed = |error: &dyn ToString| failed(self.workload, error);
        let mut reader = match self.reader.take() {
            Some((next, reader)) if next == at => reader,
            _ => self.source.open(0, Offset(at)).map_err(|error| failed(&error))?,
        };
        let batch = match reader.poll(0, rows).map_err(|error| failed(&error))? {
            SourcePoll::Rows(rows) => rows.batch,
            SourcePoll::Pending { .. } | SourcePoll::End => return Err(failed(&"its rows have an end")),
        };
        self.reader = Some((at + batch.num_rows() as u64, reader));
        Ok(batch)
    }
}

impl Rows for Generated {
    fn take(&mut self, numbers: Range<u64>, schedule: &Schedule) -> Result<RecordBatch> {
        let (mut batches, mut at) = (Vec::new(), numbers.start);
        while at < numbers.end {
            let batch = self.poll(at, (numbers.end - at) as usize)?;
            at += batch.num_rows() as u64;
            batches.push(batch);
        }
        let failed = |error: &dyn ToString| -> Error { failed(self.workload, error) };
        let batch = match &batches[..] {
            [batch] => batch.clone(),
            [] => return Err(failed(&"no rows are asked for")),
            several => arrow::compute::concat_batches(&several[0].schema(), several).map_err(|error| failed(&error))?,
        };
        let mut columns = batch.columns().to_vec();
        let times = self.disorder.event_times(numbers.clone(), schedule);
        if let Some(degradations) = &self.degradations {
            degradations.degrade(numbers, &times, &mut columns).map_err(|error| failed(&error))?;
        }
        columns[self.time_column] = Arc::new(TimestampMicrosecondArray::from(times));
        RecordBatch::try_new(batch.schema(), columns).map_err(|error| failed(&error))
    }
}
