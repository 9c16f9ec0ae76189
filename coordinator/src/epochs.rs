//! The epochs of the job.
//!
//! One number for all streams. One barrier is under way at a time: epoch n + 1 starts when barrier n is placed in every stream that takes part in n.
//! Splits that asked to join in the meantime are opened when barrier n is placed in their stream, with floor F(n), and their chains begin with
//! barrier n. Behind that, epochs are written, prepared and committed; several may be in flight.
//!
//! Invariants:
//! - In each stream, barriers are started in order and placed in order; F(n) never falls; a split is opened once, and only after a barrier whose
//!   list names it. Every split that is live as far as facts go is in the list of the next barrier of its stream.
//! - A barrier that no chain carries, since all splits had ended before it reached them, has F(n) = MAX: partitions seal the stream, a plan it
//!   would have brought is handed to them directly, and splits that would have joined are refused, since without word of them the stream completes.
//! - An epoch has every stream of which something is not in the last commit, and its sinks; so it can stand for older ones in flight or given up. A
//!   stream of which nothing is missing in the last commit takes part in nothing.
//! - Commits are asked for in order, one at a time, each when all its partitions have acked with equal vectors and all its sinks have prepared; the
//!   next only when the outcome of the last is known. What is published has been committed.
//! - An epoch is given up at most once, and never after its commit was asked for unless the store has told that it did not happen.
//! - At most `in_flight_max` epochs are in flight. With so many, no epoch starts for the time that has passed. Joins and plans do not wait for a slow
//!   disk: for them the newest epoch in flight is given up for the one that starts, so that the oldest go on towards their commits.

use crate::action::Action;
use crate::committing::Flight;
use crate::fact::{Fact, Failure};
use crate::idle::{Floor, Rise, Silence};
use crate::replicas::Replicas;
use crate::streams::{Need, Placed, StreamState};
use raympp_types::{Epoch, EventTime, PartitionId, ReplicaId, SinkId, SplitId, StreamId};
use std::collections::BTreeMap;

/// How a coordinator works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoordinatorOptions {
    /// Time from one epoch's start to the next one's, in microseconds.
    pub interval_us: u64,
    /// Epochs that may be started and not yet committed; less than 2 counts as 2.
    pub in_flight_max: usize,
    /// The committed epoch that the job goes on from; 0: none. The next is the one after it.
    pub committed: Epoch,
}

/// A sink and the first epoch that has it.
struct SinkState {
    stream: StreamId,
    since: Epoch,
}

/// The state machine.
pub struct Coordinator {
    interval_us: u64,
    in_flight_max: usize,
    now_us: u64,
    due_us: u64,
    started: Epoch,
    streams: BTreeMap<StreamId, StreamState>,
    sinks: BTreeMap<SinkId, SinkState>,
    flight: Flight,
    replicas: Replicas,
}

impl Coordinator {
    /// Without streams, after a committed epoch.
    pub fn new(options: CoordinatorOptions) -> Coordinator {
        Coordinator {
            interval_us: options.interval_us,
            in_flight_max: options.in_flight_max.max(2),
            now_us: 0,
            due_us: 0,
            started: options.committed,
            streams: BTreeMap::new(),
            sinks: BTreeMap::new(),
            flight: Flight::after(options.committed),
            replicas: Replicas::default(),
        }
    }

    /// When something is due without a fact other than the time, in microseconds of the time it is told.
    pub fn due_us(&self) -> Option<u64> {
        let starts = self.need() > Need::Nothing && !self.is_placing() && self.flight.len() < self.in_flight_max;
        let floors = self.streams.values().filter_map(|stream| stream.idle.due_us());
        floors.chain(starts.then_some(self.due_us)).min()
    }

    /// Epochs that are started and neither committed nor given up.
    pub fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// The last epoch that was started.
    pub fn started(&self) -> Epoch {
        self.started
    }

    /// True if everything there is is committed, and no epoch will come unless something happens.
    pub fn is_settled(&self) -> bool {
        self.need() == Need::Nothing && self.flight.len() == 0
    }

    /// The last committed epoch.
    pub fn committed(&self) -> Epoch {
        self.flight.committed()
    }

    /// Acks whose vector was another one than that of acks before: must stay 0.
    pub fn violations(&self) -> u64 {
        self.flight.violations()
    }

    /// Epochs given up for this reason.
    pub fn given_up(&self, why: Failure) -> u64 {
        self.flight.given_up(why)
    }

    /// Replicas of a partition that are in sync, in order of their ids.
    pub fn in_sync(&self, stream: StreamId, partition: PartitionId) -> Vec<ReplicaId> {
        self.replicas.in_sync(stream, partition)
    }

    /// Primaries that were replaced.
    pub fn promotions(&self) -> u64 {
        self.replicas.promotions()
    }

    /// Takes a fact and answers with what is to be done now, in this order.
    pub fn learn(&mut self, fact: Fact) -> Vec<Action> {
        let mut actions = self.note(fact);
        loop {
            actions.extend(self.finish_placing());
            actions.extend(self.flight.next_commit());
            if !self.may_start() {
                return actions;
            }
            actions.extend(self.start());
        }
    }

    fn note(&mut self, fact: Fact) -> Vec<Action> {
        match fact {
            Fact::Tick(now_us) => self.pass(now_us),
            Fact::Checkpoint => {
                self.due_us = self.now_us;
                Vec::new()
            }
            Fact::StreamStarts { .. } | Fact::StreamDropped(_) | Fact::SinkAdded(..) | Fact::SinkDropped(_) => self.come_or_go(fact),
            Fact::ReplicaInSync(stream, partition, replica) => self.replicas.join(stream, partition, replica),
            Fact::ReplicaLost(stream, partition, replica) => self.replicas.lose(stream, partition, replica),
            Fact::SplitJoins(stream, split) => self.streams.get_mut(&stream).and_then(|stream| stream.join(split)).into_iter().collect(),
            Fact::PlanChanges(stream, plan) => self.tell_stream(stream, |stream| stream.change_plan(plan)),
            Fact::Placed(stream, epoch, split, watermark) => self.tell_stream(stream, |stream| stream.mark(epoch, split, watermark)),
            Fact::SplitEnded(stream, split) => self.end_split(stream, split),
            Fact::SplitIdle(stream, split, silence) => self.turn_idle(stream, split, silence),
            Fact::SplitActive(stream, split) => {
                self.tell_stream(stream, |stream| stream.idle.not_idle(split));
                self.raise_floors(stream)
            }
            Fact::Watermarks(stream, watermarks) => self.follow(stream, &watermarks),
            fact => self.note_outcome(fact),
        }
    }

    /// What becomes of epochs in flight.
    fn note_outcome(&mut self, fact: Fact) -> Vec<Action> {
        let outcome = match fact {
            Fact::Acked { stream, epoch, partition, vector } => {
                let differs = self.flight.acked(stream, epoch, partition, &vector);
                differs.then(|| self.give_up(epoch, Failure::Vectors)).flatten()
            }
            Fact::Prepared(sink, epoch) => {
                self.flight.prepared(sink, epoch);
                None
            }
            Fact::Committed(epoch) => self.flight.commit(epoch),
            Fact::Failed(epoch, Failure::Commit) => {
                self.flight.doubt(epoch);
                None
            }
            Fact::Failed(epoch, why) => self.give_up(epoch, why),
            Fact::Reopened(last) => {
                let outcome = self.flight.reopened(last);
                self.note_given_up(outcome.as_ref());
                outcome
            }
            _ => None,
        };
        outcome.into_iter().collect()
    }

    fn come_or_go(&mut self, fact: Fact) -> Vec<Action> {
        match fact {
            Fact::StreamStarts { stream, live, ended, partitions, plan, frontier } => {
                if self.need() == Need::Nothing {
                    self.due_us = self.now_us + self.interval_us;
                }
                let mut state = StreamState::new(stream, live, ended, partitions, plan).restored(frontier);
                // Sinks may have come before it.
                if self.sinks.values().any(|sink| sink.stream == stream) {
                    state.add_sink();
                }
                self.streams.insert(stream, state);
            }
            Fact::StreamDropped(stream) => {
                self.streams.remove(&stream);
                self.sinks.retain(|_, sink| sink.stream != stream);
                self.flight.drop_stream(stream);
                self.replicas.drop_stream(stream);
            }
            Fact::SinkAdded(sink, stream) => {
                self.sinks.insert(sink, SinkState { stream, since: self.started.next() });
                self.tell_stream(stream, StreamState::add_sink);
            }
            Fact::SinkDropped(sink) => {
                self.sinks.remove(&sink);
                self.flight.drop_sink(sink);
            }
            _ => {}
        }
        Vec::new()
    }

    fn tell_stream(&mut self, id: StreamId, tell: impl FnOnce(&mut StreamState)) -> Vec<Action> {
        if let Some(stream) = self.streams.get_mut(&id) {
            tell(stream);
        }
        Vec::new()
    }

    fn end_split(&mut self, id: StreamId, split: SplitId) -> Vec<Action> {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.end(split);
            if stream.is_complete() {
                // Its last windows need not wait for the interval.
                self.due_us = self.now_us;
            }
        }
        Vec::new()
    }

    /// What the streams need of the next epoch.
    fn need(&self) -> Need {
        self.streams.values().map(StreamState::need).max().unwrap_or(Need::Nothing)
    }

    fn is_placing(&self) -> bool {
        self.streams.values().any(StreamState::is_placing)
    }

    fn may_start(&self) -> bool {
        let is_time = || self.due_us <= self.now_us && self.flight.len() < self.in_flight_max;
        match self.need() {
            Need::Nothing => false,
            Need::InTime => !self.is_placing() && is_time(),
            Need::AtOnce => !self.is_placing(),
        }
    }

    fn start(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.flight.len() >= self.in_flight_max {
            let newest = self.flight.newest();
            actions.extend(newest.and_then(|newest| self.give_up(newest, Failure::Crowded)));
        }
        let epoch = self.started.next();
        (self.started, self.due_us) = (epoch, self.now_us + self.interval_us);
        let committed = self.flight.committed();
        let parts: BTreeMap<StreamId, u32> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.takes_part(committed))
            .map(|(&id, stream)| (id, stream.partitions_of_next()))
            .collect();
        let has_rows = |stream: StreamId| parts.get(&stream).is_some_and(|&partitions| partitions > 0);
        let sinks = self.sinks.iter().filter(|(_, sink)| has_rows(sink.stream)).map(|(&id, sink)| (id, sink.stream));
        self.flight.start(epoch, parts.clone().into_iter(), sinks.collect());
        actions.extend(parts.keys().filter_map(|stream| self.streams.get_mut(stream)?.start(epoch)));
        actions
    }

    /// Streams in which the barrier has been placed.
    fn finish_placing(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (&id, stream) in &mut self.streams {
            let in_flight = |epoch| self.flight.has_any(epoch..=epoch);
            let has_all_sinks = |epoch| self.sinks.values().all(|sink| sink.stream != id || sink.since <= epoch);
            if let Some(Placed { epoch, frontier, plan, actions: of_stream, leaves_rest }) = stream.finish_placing(in_flight, has_all_sinks)
            {
                actions.extend(of_stream);
                actions.extend(self.flight.placed(id, epoch, frontier, plan));
                if leaves_rest {
                    self.due_us = self.now_us;
                }
            }
            actions.extend(stream.refuse_late());
        }
        actions
    }

    fn give_up(&mut self, epoch: Epoch, why: Failure) -> Option<Action> {
        let given_up = self.flight.give_up(epoch, why);
        self.note_given_up(given_up.as_ref());
        given_up
    }

    fn note_given_up(&mut self, action: Option<&Action>) {
        if let Some(&Action::GiveUp { epoch, .. }) = action {
            let committed = self.flight.committed();
            self.streams.values_mut().for_each(|stream| stream.give_up(epoch, committed, |epochs| self.flight.has_any(epochs)));
        }
    }

    fn pass(&mut self, now_us: u64) -> Vec<Action> {
        self.now_us = self.now_us.max(now_us);
        let streams: Vec<StreamId> = self.streams.keys().copied().collect();
        streams.into_iter().flat_map(|stream| self.raise_floors(stream)).collect()
    }

    fn turn_idle(&mut self, id: StreamId, split: SplitId, silence: Silence) -> Vec<Action> {
        self.now_us = self.now_us.max(silence.at_us);
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.live.contains(&split)
        {
            stream.idle.turn_idle(split, silence);
        }
        self.raise_floors(id)
    }

    fn raise_floors(&mut self, id: StreamId) -> Vec<Action> {
        let now_us = self.now_us;
        let Some(stream) = self.streams.get_mut(&id) else { return Vec::new() };
        match stream.idle.rise(now_us, &stream.live) {
            Rise::Nothing => Vec::new(),
            Rise::Look => vec![Action::Look(id)],
            Rise::Floors(floors) => place(id, floors),
        }
    }

    fn follow(&mut self, id: StreamId, watermarks: &[(SplitId, EventTime)]) -> Vec<Action> {
        let now_us = self.now_us;
        let Some(stream) = self.streams.get_mut(&id) else { return Vec::new() };
        place(id, stream.idle.follow(now_us, &stream.live, watermarks))
    }
}

fn place(stream: StreamId, floors: Vec<Floor>) -> Vec<Action> {
    floors.into_iter().map(|Floor { split, since_us, floor }| Action::Floor { stream, split, since_us, floor }).collect()
}
