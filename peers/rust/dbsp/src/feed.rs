//! Pushes the rows, moves the watermark, and takes the results.

use dbsp::utils::{Tup2, Tup3};
use dbsp::{DBSPHandle, IndexedZSetReader};
use peer_common::{Error, LATENESS_US, Query, Results, Rows};

use crate::circuit::{Handles, Key, Output, Slide, Totals, Value};

/// How many rows a transaction has at most.
const BATCH: usize = 1_000_000;

/// The circuit with what its client has to keep.
pub struct Feed {
    circuit: DBSPHandle,
    handles: Handles,
    query: Query,
    pending: Vec<Tup2<Key, Tup2<Value, i64>>>,
    watermark: Slide,
    /// The hopping window's rows by channel, as the circuit's changes made them.
    window: Vec<Totals>,
    results: Results,
}

impl Feed {
    /// Nothing pushed yet.
    #[must_use]
    pub fn new(circuit: DBSPHandle, handles: Handles, query: Query) -> Self {
        let pending = Vec::with_capacity(BATCH);
        Self { circuit, handles, query, pending, watermark: 0, window: Vec::new(), results: Results::default() }
    }

    /// Pushes all rows, and moves the watermark past the last window.
    pub fn all(&mut self, rows: &Rows) -> Result<(), Error> {
        let slide = |time: i64| Slide::try_from(time / self.query.slide_us);
        let mut highest = rows.event_time.first().copied().unwrap_or_default();
        self.watermark = slide(highest - LATENESS_US)?;
        let mut passes = i64::MIN;
        for row in 0..rows.len() {
            let event_time = rows.event_time[row];
            let key = Tup2(Slide::try_from(event_time / self.query.slide_us)?, rows.channel[row]);
            self.pending.push(Tup2(key, Tup2(Tup2(rows.status[row], rows.amount[row]), 1)));
            highest = highest.max(event_time);
            if highest >= passes {
                let reached = Slide::try_from((highest - LATENESS_US) / self.query.slide_us)?;
                self.move_to(reached)?;
                passes = i64::from(reached + 1) * self.query.slide_us + LATENESS_US;
            } else if self.pending.len() == BATCH {
                self.transaction()?;
            }
        }
        let last = Slide::try_from(highest / self.query.slide_us)?;
        self.move_to(last + self.query.slides() as Slide)
    }

    /// What came out.
    #[must_use]
    pub fn finish(self) -> (Results, DBSPHandle) {
        (self.results, self.circuit)
    }

    /// Moves the watermark slide by slide, so that every window is the newest complete one for one transaction.
    fn move_to(&mut self, watermark: Slide) -> Result<(), Error> {
        while self.watermark < watermark {
            self.watermark += 1;
            self.transaction()?;
            let end_us = i64::from(self.watermark) * self.query.slide_us;
            for (channel, Tup3(payments, successes, volume)) in self.window.iter().enumerate() {
                if *payments > 0 {
                    self.results.add(end_us, channel as i32, *payments, *successes, *volume);
                }
            }
        }
        Ok(())
    }

    fn transaction(&mut self) -> Result<(), Error> {
        let mut batch = std::mem::replace(&mut self.pending, Vec::with_capacity(BATCH));
        self.handles.rows.append(&mut batch);
        self.handles.watermark.set_for_all(self.watermark);
        self.circuit.transaction()?;
        match &self.handles.output {
            Output::Tumbling(output) => {
                for changes in output.take_from_all() {
                    for (slide, Tup2(channel, Tup3(payments, successes, volume)), weight) in changes.iter() {
                        if weight > 0 {
                            self.results.add(i64::from(slide + 1) * self.query.slide_us, channel, payments, successes, volume);
                        }
                    }
                }
            }
            Output::Hopping(output) => {
                for changes in output.take_from_all() {
                    for (channel, totals, weight) in changes.iter() {
                        apply(&mut self.window, channel as usize, totals, weight);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A channel's new totals may come before the old ones go.
fn apply(window: &mut Vec<Totals>, channel: usize, totals: Totals, weight: i64) {
    if window.len() <= channel {
        window.resize(channel + 1, Tup3(0, 0, 0));
    }
    if weight > 0 {
        window[channel] = totals;
    } else if window[channel] == totals {
        window[channel] = Tup3(0, 0, 0);
    }
}
