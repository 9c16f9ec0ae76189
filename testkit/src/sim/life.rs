//! A whole life of a job: processes that start, work and die, until every row is published; then what came out is compared with the reference.

use super::agenda::Agenda;
use super::around::{Around, Event, Tally};
use super::canary::Canary;
use super::changes;
use super::disk::Disk;
use super::invariants::{Breach, Outcome, Witness, hold};
use super::process::Process;
use super::scenario::Scenario;
use super::start;
use super::trace::Trace;
use super::truth::StreamTruth;
use super::verdict;
use crate::random::Random;
use std::collections::BTreeMap;

/// A life that has come to no end after so many steps never will.
const STEPS_MAX: u64 = 400_000;

/// See the module.
pub(super) struct Life {
    pub(super) around: Around,
    process: Option<Process>,
    pub(super) text: String,
}

impl Life {
    pub(super) fn new(seed: u64, canary: Option<Canary>, trace_all: bool) -> Life {
        let mut random = Random::new(seed);
        let scenario = Scenario::of(&mut random);
        let mut agenda = Agenda::new();
        agenda.at(0, Event::Start);
        scenario.crashes_us.iter().for_each(|&at_us| agenda.at(at_us, Event::Crash));
        scenario.changes.iter().for_each(|&(at_us, change)| agenda.at(at_us, Event::Change(change)));
        let truths = scenario.streams.into_iter().map(|stream| (stream.id, StreamTruth::new(stream))).collect();
        let around = Around {
            random,
            agenda,
            trace: Trace::new(trace_all),
            pace: scenario.pace,
            truths,
            disk: Disk::new(),
            media: BTreeMap::new(),
            witness: Witness::default(),
            canary,
            incarnation: 0,
            tally: Tally::default(),
        };
        Life { around, process: None, text: scenario.text }
    }

    /// Lives to the end.
    pub(super) fn run(&mut self) -> Outcome {
        loop {
            let event = self.around.agenda.pop();
            let event = event.ok_or_else(|| stuck("nothing more happens, and the job is not done"))?;
            self.around.trace.step();
            self.around.tally.steps += 1;
            hold("a job comes to its end", self.around.tally.steps < STEPS_MAX, || format!("not within {STEPS_MAX} steps"))?;
            self.happen(event)?;
            if let Some(process) = &self.process
                && self.around.agenda.is_quiet()
                && process.is_done(&self.around)
            {
                return verdict::check(&self.around, process);
            }
        }
    }

    fn happen(&mut self, event: Event) -> Outcome {
        match event {
            Event::Inside(incarnation, happening) => match &mut self.process {
                Some(process) if incarnation == self.around.incarnation => {
                    process.happen(&mut self.around, happening)?;
                    if process.broken {
                        self.crash();
                    }
                    Ok(())
                }
                _ => Ok(()),
            },
            Event::Start => {
                self.around.incarnation += 1;
                self.process = Some(start::process(&mut self.around)?);
                Ok(())
            }
            Event::Crash => {
                self.crash();
                Ok(())
            }
            Event::Change(change) => changes::make(&mut self.around, self.process.as_mut(), change),
        }
    }

    /// The process dies; what was not durable is lost, and another one starts after a while.
    fn crash(&mut self) {
        if self.process.take().is_none() {
            return;
        }
        let around = &mut self.around;
        around.note(format!("process {} dies", around.incarnation));
        around.tally.crashes += 1;
        around.incarnation += 1;
        let random = around.random.bits();
        around.disk.crash(random);
        for medium in around.media.values_mut() {
            medium.crash(around.random.bits());
        }
        let after_us = around.now_us() + around.random.below(10_000);
        around.agenda.at(after_us, Event::Start);
    }
}

fn stuck(message: &str) -> Breach {
    Breach { invariant: "a job comes to its end", message: message.to_owned() }
}
