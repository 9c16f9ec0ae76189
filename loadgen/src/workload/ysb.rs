//! Events of the Yahoo streaming benchmark (Chintapalli and others: Benchmarking streaming computation engines, 2016), as far as its query reads them.

use super::{Disorder, Rows, Settings, failed, random};
use crate::error::Result;
use crate::schedule::Schedule;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use raympp_operators::plan::StreamPlan;
use std::ops::Range;
use std::sync::Arc;

const AD_TYPES: [&str; 5] = ["banner", "modal", "sponsored-search", "mail", "mobile"];
const EVENT_TYPES: [&str; 3] = ["view", "click", "purchase"];

struct Events {
    seed: u64,
    ads: u64,
    ad_types: ArrayRef,
    event_types: ArrayRef,
    disorder: Disorder,
}

/// Events of `keys` advertisements.
pub(super) fn rows(stream: &StreamPlan, settings: &Settings) -> Result<Box<dyn Rows>> {
    let texts = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from_iter_values(texts)) };
    let (ad_types, event_types) = (texts(&AD_TYPES), texts(&EVENT_TYPES));
    let disorder = Disorder::of(stream, settings);
    Ok(Box::new(Events { seed: settings.seed, ads: settings.keys.max(1), ad_types, event_types, disorder }))
}

impl Events {
    /// Of `values`, one per row, by the random numbers of a column.
    fn one_of(&self, column: u64, values: &ArrayRef, numbers: Range<u64>) -> ArrayRef {
        let codes = Int32Array::from_iter_values(self.drawn(column, values.len() as u64, numbers).map(|code| code as i32));
        Arc::new(DictionaryArray::new(codes, Arc::clone(values)))
    }

    fn drawn(&self, column: u64, bound: u64, numbers: Range<u64>) -> impl Iterator<Item = u64> {
        let seed = random::at(self.seed, column);
        numbers.map(move |number| random::below(random::at(seed, number), bound))
    }
}

impl Rows for Events {
    fn take(&mut self, numbers: Range<u64>, schedule: &Schedule) -> Result<RecordBatch> {
        let times = self.disorder.event_times(numbers.clone(), schedule);
        let columns: [(&str, ArrayRef); 4] = [
            ("ad_id", Arc::new(Int64Array::from_iter_values(self.drawn(1, self.ads, numbers.clone()).map(|ad| ad as i64)))),
            ("ad_type", self.one_of(2, &self.ad_types, numbers.clone())),
            ("event_type", self.one_of(3, &self.event_types, numbers)),
            ("event_time", Arc::new(TimestampMicrosecondArray::from(times))),
        ];
        RecordBatch::try_from_iter(columns).map_err(|error| failed("ysb", &error))
    }
}
