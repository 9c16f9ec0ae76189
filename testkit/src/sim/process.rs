//! A process that runs the job: the coordinator, readers of splits, partitions, the persister and sinks, each a state machine with links between
//! them. What the threads and queues of an engine do is done here by an agenda.

use super::actor::{Actor, Item, Place, To};
use super::agenda::Link;
use super::around::Around;
use super::canary::Canary;
use super::invariants::{self, Outcome, hold};
use super::orders::{Order, Orders};
use super::readers::Unread;
use super::sink::{Input, Request, Sink};
use super::start;
use super::task::{Control, Ordered, Task};
use raympp_coordinator::{Coordinator, Fact, Failure};
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::CheckpointStore;
use raympp_state::delta::{Delta, Mark};
use raympp_state::follower::Follower;
use raympp_state::opening::Answer;
use raympp_state::replica::Applied;
use raympp_types::{Epoch, EventTime, MetricId, PartitionId, PlanVersion, SinkId, SplitId, SplitTerm, StreamId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One thing that happens in a process.
#[derive(Debug)]
pub(super) enum Happening {
    /// The coordinator looks at the time.
    Tick,
    /// The coordinator learns something.
    Learn(Fact),
    /// A split is asked for rows.
    Read(StreamId, SplitId, SplitTerm),
    /// A task is told something.
    Tell(StreamId, SplitId, SplitTerm, Control),
    /// A replica is asked how far it is with a split that has no reader.
    Question(StreamId, Place, SplitId, SplitTerm),
    /// It has answered.
    Answered(StreamId, Place, SplitId, SplitTerm, Box<Answer>),
    /// A delta comes to a replica.
    Apply(StreamId, Place, Arc<Delta>),
    /// A replica closes a little more.
    Close(StreamId, Place),
    /// A replica takes over a plan.
    Adopt(StreamId, Place, Arc<SharedPlan>),
    /// A replica takes a barrier that no chain carries.
    Seal(StreamId, Place, Epoch),
    /// Something comes to a sink.
    Take(SinkId, PartitionId, Item),
    /// A sink is asked for something.
    Ask(SinkId, Request),
    /// The persister carries out its next order.
    Persist,
}

/// A stream of a running process.
pub(super) struct StreamRun {
    pub(super) plans: BTreeMap<PlanVersion, Arc<SharedPlan>>,
    /// The plan that the next barrier brings, or that is in force.
    pub(super) newest: Arc<SharedPlan>,
    pub(super) tasks: BTreeMap<SplitId, Task>,
    /// Splits that have lost theirs.
    pub(super) unread: BTreeMap<SplitId, Unread>,
    /// How far the persister's queue has heard of each split.
    pub(super) followers: BTreeMap<SplitId, Follower>,
    /// The last barrier that tasks were told of.
    pub(super) ordered: Option<Ordered>,
    /// By partition, then by replica.
    pub(super) actors: Vec<Vec<Actor>>,
    pub(super) deltas: BTreeMap<(SplitId, Place), Link>,
    pub(super) controls: BTreeMap<Place, Link>,
}

impl StreamRun {
    pub(super) fn places(&self) -> Vec<Place> {
        self.actors.iter().flatten().map(|actor| actor.place).collect()
    }

    pub(super) fn actor(&mut self, place: Place) -> &mut Actor {
        &mut self.actors[place.0.0 as usize][place.1]
    }
}

/// See the module.
pub(super) struct Process {
    pub(super) coordinator: Coordinator,
    pub(super) streams: BTreeMap<StreamId, StreamRun>,
    pub(super) sinks: BTreeMap<SinkId, Sink>,
    pub(super) orders: Orders,
    tick_at_us: Option<u64>,
    pub(super) looks: Link,
}

impl Process {
    pub(super) fn new(coordinator: Coordinator, orders: Orders) -> Process {
        let (streams, sinks) = (BTreeMap::new(), BTreeMap::new());
        Process { coordinator, streams, sinks, orders, tick_at_us: None, looks: Link::default() }
    }

    pub(super) fn happen(&mut self, around: &mut Around, happening: Happening) -> Outcome {
        match happening {
            Happening::Tick => {
                self.tick_at_us = None;
                let now_us = around.now_us();
                self.learn(around, Fact::Tick(now_us))
            }
            Happening::Learn(fact) => self.learn(around, fact),
            Happening::Read(stream, split, term) => self.read(around, stream, split, term),
            Happening::Tell(stream, split, term, control) => self.control(around, stream, (split, term), &control),
            Happening::Question(stream, place, split, term) => {
                self.answer(around, stream, place, (split, term));
                Ok(())
            }
            Happening::Answered(stream, place, split, term, answer) => self.answered(around, stream, place, (split, term), *answer),
            Happening::Apply(stream, place, delta) => self.apply(around, stream, place, &delta),
            Happening::Close(stream, place) => self.close(around, stream, place),
            Happening::Adopt(stream, place, plan) => {
                self.run(stream).actor(place).replica.adopt(plan);
                Ok(())
            }
            Happening::Seal(stream, place, epoch) => {
                self.run(stream).actor(place).seal(epoch);
                self.schedule_close(around, stream, place);
                Ok(())
            }
            Happening::Take(sink, partition, item) => self.take(around, sink, partition, item),
            Happening::Ask(sink, request) => self.ask(around, sink, request),
            Happening::Persist => self.persist(around),
        }
    }

    pub(super) fn run(&mut self, stream: StreamId) -> &mut StreamRun {
        self.streams.get_mut(&stream).expect("a stream of the job")
    }

    /// Tells the coordinator, and carries out what it wants.
    pub(super) fn learn(&mut self, around: &mut Around, fact: Fact) -> Outcome {
        let now_us = around.now_us();
        let mut actions = self.coordinator.learn(Fact::Tick(now_us));
        if !matches!(fact, Fact::Tick(_)) {
            around.note(format!("learns {fact:?}"));
            actions.extend(self.coordinator.learn(fact));
        }
        for action in actions {
            around.note(format!("wants {action:?}"));
            self.carry_out(around, action)?;
        }
        let violations = self.coordinator.violations();
        hold("all acks of an epoch carry one vector", violations == 0, || format!("the coordinator counts {violations}"))?;
        if let Some(due_us) = self.coordinator.due_us()
            && self.tick_at_us.is_none_or(|at_us| due_us < at_us)
        {
            let delay_us = due_us.saturating_sub(now_us).max(1);
            self.tick_at_us = Some(now_us + delay_us);
            around.later(delay_us, Happening::Tick);
        }
        Ok(())
    }

    fn read(&mut self, around: &mut Around, stream: StreamId, split: SplitId, term: SplitTerm) -> Outcome {
        let pace = around.pace;
        let now_us = around.now_us();
        let Some(task) = self.run(stream).tasks.get_mut(&split).filter(|task| task.term == term && !task.ended) else { return Ok(()) };
        task.read(now_us, &pace, &mut around.random);
        if !task.ended {
            let delay_us = around.delay(pace.read_us);
            around.later(delay_us, Happening::Read(stream, split, term));
        }
        self.forward(around, stream, split)
    }

    fn control(&mut self, around: &mut Around, stream: StreamId, (split, term): (SplitId, SplitTerm), control: &Control) -> Outcome {
        if let Some(task) = self.run(stream).tasks.get_mut(&split).filter(|task| task.term == term) {
            around.note(format!("{stream}, {split} at {}: {}", task.chain.offset(), control_text(control)));
            task.obey(control, around.has(Canary::PlanWithoutBarrier));
        }
        self.forward(around, stream, split)
    }

    /// Sends what a task has made.
    pub(super) fn forward(&mut self, around: &mut Around, stream: StreamId, split: SplitId) -> Outcome {
        let run = self.streams.get_mut(&stream).expect("a stream of the job");
        let places = run.places();
        let Some(task) = run.tasks.get_mut(&split) else { return Ok(()) };
        for (delta, plan) in std::mem::take(&mut task.deltas) {
            if around.has(Canary::LateOutside) {
                send_late_outside(around, &mut self.sinks, stream, (task.marked.next(), &delta));
            }
            note_marks(around, stream, &delta);
            around.witness.one_offset_of_each_mark(stream, &delta)?;
            around.witness.replayed_maximum(stream, &delta)?;
            invariants::all_rows_accounted_for(&delta, &plan)?;
            let delta = Arc::new(delta);
            run.followers.get_mut(&split).expect("it came with the task").hear(&delta.stamp);
            self.orders.give(around, Order::Take(stream, Arc::clone(&delta)));
            for &place in &places {
                let link = run.deltas.entry((split, place)).or_default();
                around.send(link, Happening::Apply(stream, place, Arc::clone(&delta)));
                if delta.stamp.to > delta.stamp.from && around.chance(around.pace.duplicate_once_in) {
                    // It comes once more, at any time behind the first.
                    let mut again = *link;
                    around.send(&mut again, Happening::Apply(stream, place, Arc::clone(&delta)));
                }
            }
        }
        for fact in std::mem::take(&mut task.facts) {
            around.send(&mut task.up, Happening::Learn(fact));
        }
        Ok(())
    }

    fn apply(&mut self, around: &mut Around, stream: StreamId, place: Place, delta: &Arc<Delta>) -> Outcome {
        let run = self.streams.get_mut(&stream).expect("a stream of the job");
        let actor = &mut run.actors[place.0.0 as usize][place.1];
        let applied = actor.apply(delta, &run.plans);
        let stamp = &delta.stamp;
        if around.has(Canary::HalfWindow) {
            actor.tell_sealed();
        }
        if around.has(Canary::TrimByAck) && actor.is_primary() {
            around.truth(stream).split(stamp.split).forgotten = actor.replica.splits()[&stamp.split].applied;
        }
        if !matches!(applied, Applied::Yes) {
            around.note(format!("{stream}, {place:?}: {applied:?} {} ({}, {}]", stamp.split, stamp.from, stamp.to));
        }
        invariants::no_overlap(actor)?;
        invariants::no_row_below_frontier(actor)?;
        run.forget_marks(place, stamp.split);
        if around.trace.steps().is_multiple_of(8) {
            invariants::equal_exports(&run.actors[place.0.0 as usize])?;
        }
        self.hand_over(around, stream, place);
        self.schedule_close(around, stream, place);
        Ok(())
    }

    pub(super) fn schedule_close(&mut self, around: &mut Around, stream: StreamId, place: Place) {
        let actor = self.run(stream).actor(place);
        if !std::mem::replace(&mut actor.closes, true) {
            let delay_us = around.delay(around.pace.close_us);
            around.later(delay_us, Happening::Close(stream, place));
        }
    }

    fn close(&mut self, around: &mut Around, stream: StreamId, place: Place) -> Outcome {
        let of_stream = |sink: &&Sink| sink.stream == stream;
        let metric = |sink: &Sink| if let Input::Metric(metric) = sink.input { Some(metric) } else { None };
        let wanted: BTreeSet<MetricId> = self.sinks.values().filter(of_stream).filter_map(metric).collect();
        let sinks: BTreeSet<SinkId> = self.sinks.values().filter(of_stream).map(|sink| sink.id).collect();
        let actor = self.run(stream).actor(place);
        actor.closes = false;
        let more = actor.close(&wanted, &sinks);
        invariants::no_row_below_frontier(actor)?;
        self.hand_over(around, stream, place);
        if more {
            self.schedule_close(around, stream, place);
        }
        Ok(())
    }

    /// Sends what an actor owes to sinks.
    fn hand_over(&mut self, around: &mut Around, stream: StreamId, place: Place) {
        for (to, item) in std::mem::take(&mut self.run(stream).actor(place).items) {
            if to == To::Late && around.has(Canary::LateOutside) {
                continue;
            }
            let is_for = |sink: &Sink| match to {
                To::All => true,
                To::Late => sink.input == Input::Late,
                To::Metric(metric) => sink.input == Input::Metric(metric),
                To::One(id) => sink.id == id,
            };
            for sink in self.sinks.values_mut().filter(|sink| sink.stream == stream && is_for(sink)) {
                around.send(sink.from.entry(place.0).or_default(), Happening::Take(sink.id, place.0, item.clone()));
            }
        }
    }

    fn take(&mut self, around: &mut Around, sink: SinkId, partition: PartitionId, item: Item) -> Outcome {
        if let Some(sink) = self.sinks.get_mut(&sink) {
            sink.take(partition, item);
        }
        self.prepare(around, sink)
    }

    fn ask(&mut self, around: &mut Around, id: SinkId, request: Request) -> Outcome {
        let Some(sink) = self.sinks.get_mut(&id) else { return Ok(()) };
        match request {
            Request::Prepare(epoch, frontier) => sink.ask(epoch, frontier),
            Request::GiveUp(epoch) => sink.give_up(epoch),
            Request::Commit(_) if around.chance(around.pace.sink_fails_once_in) => {
                // What is decided is tried again until it succeeds.
                around.send(&mut sink.down, Happening::Ask(id, request));
            }
            Request::Commit(epoch) => {
                let medium = around.media.entry(id).or_default();
                if let Some((rows, frontier)) = sink.commit(epoch, medium) {
                    around.tally.rows += rows.len() as u64;
                    around.witness.published_once(id, rows, frontier)?;
                }
            }
        }
        self.prepare(around, id)
    }

    /// Prepares what can be prepared.
    fn prepare(&mut self, around: &mut Around, id: SinkId) -> Outcome {
        let Some(sink) = self.sinks.get_mut(&id) else { return Ok(()) };
        while let Some((epoch, frontier)) = sink.next_whole() {
            let fails = around.chance(around.pace.sink_fails_once_in);
            let beyond = around.has(Canary::BeyondFrontier);
            let medium = around.media.entry(id).or_default();
            let handle = sink.prepare(epoch, if beyond { EventTime::MAX } else { frontier }, fails, medium);
            around.note(format!("sink {} prepares {epoch} up to {frontier}{}", id.0, if fails { " and fails" } else { "" }));
            let fact = if handle.is_some() { Fact::Prepared(id, epoch) } else { Fact::Failed(epoch, Failure::Sink) };
            if let Some(handle) = handle {
                self.orders.give(around, Order::Prepared(id, epoch, handle));
            }
            around.send(&mut sink.up, Happening::Learn(fact));
        }
        Ok(())
    }

    fn persist(&mut self, around: &mut Around) -> Outcome {
        self.orders.carry_out_next(around)
    }

    /// True if every stream is complete and committed, and sinks have been told.
    pub(super) fn is_done(&self, around: &Around) -> bool {
        let committed = self.coordinator.committed();
        let complete = || {
            let commit = around.disk.read_commit(committed).ok();
            let over = |stream: &StreamId| {
                let found = commit.iter().flat_map(|commit| &commit.streams).find(|found| found.id == *stream);
                found.is_some_and(|found| found.frontier == EventTime::MAX)
            };
            self.streams.keys().all(over)
        };
        committed > Epoch(0) && self.coordinator.in_flight() == 0 && self.coordinator.due_us().is_none() && complete()
    }
}

/// Late rows go from the task to their sink directly.
fn send_late_outside(around: &mut Around, sinks: &mut BTreeMap<SinkId, Sink>, stream: StreamId, (epoch, delta): (Epoch, &Delta)) {
    const DIRECT: PartitionId = PartitionId(u32::MAX);
    let Some(sink) = sinks.get_mut(&start::late_sink_of(stream)) else { return };
    let rows = delta.parts.iter().filter_map(|(_, part)| part.uncounted.as_ref()).flat_map(|uncounted| &uncounted.late_rows);
    for rows in rows {
        let item = Item::Late(epoch, rows.clone());
        around.send(sink.from.entry(DIRECT).or_default(), Happening::Take(sink.id, DIRECT, item));
    }
}

/// Notes where floors and barriers stand.
fn note_marks(around: &mut Around, stream: StreamId, delta: &Delta) {
    let stamp = &delta.stamp;
    for mark in &stamp.marks {
        match mark {
            Mark::Barrier { epoch, .. } => around.truth(stream).place(*epoch, stamp.split, stamp.to),
            Mark::Floor(floor) => {
                around.tally.floors += 1;
                around.truth(stream).raise(stamp.split, stamp.to, *floor);
                around.note(format!("{stream}, {} at {}: floor {floor}", stamp.split, stamp.to));
            }
            Mark::End => around.note(format!("{stream}, {} at {}: end", stamp.split, stamp.to)),
        }
    }
}

fn control_text(control: &Control) -> String {
    match control {
        Control::Barrier(Ordered { epoch, splits, plan }) => format!("barrier {} of {splits:?}, {}", epoch.0, plan.version),
        Control::Floor(since_us, floor) => format!("floor {floor} for the silence since {since_us}"),
    }
}
