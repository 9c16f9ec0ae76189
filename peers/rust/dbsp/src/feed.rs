//! Pushes the rows, moves the watermark, and takes the results.

use dbsp::utils::{Tup2, Tup3};
use dbsp::{DBSPHandle, IndexedZSetReader};
use peer_common::{Error, Query, Results};

use crate::circuit::{Handles, Output, Totals};
use crate::steps::Step;

/// The circuit with what its client has to keep.
pub struct Feed {
    circuit: DBSPHandle,
    handles: Handles,
    query: Query,
    /// The hopping window's rows by channel, as the circuit's changes made them.
    window: Vec<Totals>,
    results: Results,
}

impl Feed {
    /// Nothing pushed yet.
    #[must_use]
    pub fn new(circuit: DBSPHandle, handles: Handles, query: Query) -> Self {
        Self { circuit, handles, query, window: Vec::new(), results: Results::default() }
    }

    /// Pushes all rows, and moves the watermark past the last window.
    pub fn all(&mut self, steps: Vec<Step>) -> Result<(), Error> {
        steps.into_iter().try_for_each(|step| self.step(step))
    }

    /// What came out.
    #[must_use]
    pub fn finish(self) -> (Results, DBSPHandle) {
        (self.results, self.circuit)
    }

    /// One transaction, and the results of the window that it completes.
    fn step(&mut self, mut step: Step) -> Result<(), Error> {
        self.handles.rows.append(&mut step.rows);
        self.handles.watermark.set_for_all(step.watermark);
        self.circuit.transaction()?;
        self.take_changes();
        if step.moves {
            let end_us = i64::from(step.watermark) * self.query.slide_us;
            for (channel, Tup3(payments, successes, volume)) in self.window.iter().enumerate() {
                if *payments > 0 {
                    self.results.add(end_us, channel as i32, *payments, *successes, *volume);
                }
            }
        }
        Ok(())
    }

    fn take_changes(&mut self) {
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
