//! What surrounds processes and outlives them: time, chance, disks and media, the rows that there are, and who watches.

use super::agenda::{Agenda, Link};
use super::canary::Canary;
use super::disk::{Disk, Fault};
use super::invariants::Witness;
use super::process::Happening;
use super::scenario::{Change, Pace};
use super::sink::Medium;
use super::trace::Trace;
use super::truth::StreamTruth;
use crate::random::Random;
use raympp_types::{SinkId, StreamId};
use std::collections::BTreeMap;

/// One thing that happens.
pub(super) enum Event {
    /// Inside a process; it is lost if that one has died by then.
    Inside(u64, Happening),
    /// The process dies.
    Crash,
    /// A process starts.
    Start,
    /// Somebody does something to the job.
    Change(Change),
}

/// What a life has seen, to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Things that happened.
    pub steps: u64,
    /// Processes that died.
    pub crashes: u64,
    /// Of these, those that another one went on from with a checkpoint.
    pub resumed: u64,
    /// Epochs committed.
    pub commits: u64,
    /// Epochs given up.
    pub given_up: u64,
    /// Rows published.
    pub rows: u64,
    /// Floors placed.
    pub floors: u64,
    /// Splits that joined while rows flowed, and metrics that came and went.
    pub changes: u64,
    /// Readers that were lost.
    pub readers_lost: u64,
    /// Connections between a reader and replicas that were lost.
    pub connections_lost: u64,
    /// Replicas that were lost.
    pub replicas_lost: u64,
    /// Replicas that took a primary's place.
    pub promotions: u64,
}

impl Tally {
    /// Adds another life's.
    pub fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.resumed += other.resumed;
        self.commits += other.commits;
        self.given_up += other.given_up;
        self.rows += other.rows;
        self.floors += other.floors;
        self.changes += other.changes;
        self.readers_lost += other.readers_lost;
        self.connections_lost += other.connections_lost;
        self.replicas_lost += other.replicas_lost;
        self.promotions += other.promotions;
    }
}

/// See the module.
pub(super) struct Around {
    pub(super) random: Random,
    pub(super) agenda: Agenda<Event>,
    pub(super) trace: Trace,
    pub(super) pace: Pace,
    pub(super) truths: BTreeMap<StreamId, StreamTruth>,
    pub(super) disk: Disk,
    pub(super) media: BTreeMap<SinkId, Medium>,
    pub(super) witness: Witness,
    pub(super) canary: Option<Canary>,
    /// Number of the process that runs.
    pub(super) incarnation: u64,
    pub(super) tally: Tally,
}

impl Around {
    pub(super) fn now_us(&self) -> u64 {
        self.agenda.now_us()
    }

    pub(super) fn note(&mut self, line: String) {
        self.trace.note(self.agenda.now_us(), line);
    }

    pub(super) fn truth(&mut self, stream: StreamId) -> &mut StreamTruth {
        self.truths.get_mut(&stream).expect("a stream of the job")
    }

    pub(super) fn has(&self, canary: Canary) -> bool {
        self.canary == Some(canary)
    }

    /// Time up to a longest one; now and then many times as long.
    pub(super) fn delay(&mut self, longest_us: u64) -> u64 {
        let longest_us = if self.random.once_in(30) { longest_us * 10 } else { longest_us };
        self.random.below(longest_us + 1)
    }

    /// Once in so many times, unless that is never.
    pub(super) fn chance(&mut self, once_in: u64) -> bool {
        once_in > 0 && self.random.once_in(once_in)
    }

    /// Something happens in the running process after a while.
    pub(super) fn later(&mut self, delay_us: u64, happening: Happening) {
        let at_us = self.agenda.now_us() + delay_us;
        self.agenda.at(at_us, Event::Inside(self.incarnation, happening));
    }

    /// Something happens to the job before long.
    pub(super) fn soon(&mut self, change: Change) {
        let at_us = self.agenda.now_us() + self.delay(self.pace.hop_us);
        self.agenda.at(at_us, Event::Change(change));
    }

    /// Something travels.
    pub(super) fn send(&mut self, link: &mut Link, happening: Happening) {
        let delay_us = self.delay(self.pace.hop_us);
        let at_us = link.arrival(self.agenda.now_us(), delay_us);
        self.agenda.at(at_us, Event::Inside(self.incarnation, happening));
    }

    /// What goes wrong with the disk's next call.
    pub(super) fn fault(&mut self) -> Option<Fault> {
        let fails = self.chance(self.pace.disk_fails_once_in);
        fails.then(|| self.random.pick(&[Fault::Write, Fault::Unsure, Fault::Read]))
    }
}
