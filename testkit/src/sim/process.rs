//! A process that runs the job: the coordinator, readers of splits, partitions, the persister and sinks, each a state machine with links between
//! them. What the threads and queues of an engine do is done here by an agenda.

use super::actor::{Actor, Handed, Item, Lane, Place, To};
use super::agenda::Link;
use super::around::Around;
use super::canary::Canary;
use super::invariants::{self, Outcome, hold};
use super::orders::{Order, Orders};
use super::readers::Unread;
use super::scenario::Change;
use super::sink::{Input, Request, Sink};
use super::start;
use super::task::{Control, Ordered, Task};
use raympp_coordinator::{Coordinator, Fact, Failure};
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::CheckpointStore;
use raympp_state::delta::{Delta, Mark};
use raympp_state::follower::Follower;
use raympp_state::opening::Answer;
use raympp_state::replica::{Applied, LateRows};
use raympp_types::{Epoch, EventTime, MetricId, Offset, PartitionId, PlanVersion, ReplicaId, SinkId, SplitId, SplitTerm, StreamId, Term};
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
    /// Replicas are asked how far they are with a split that has no reader.
    Question(StreamId, Lane, SplitId, SplitTerm),
    /// They have answered.
    Answered(StreamId, Lane, SplitId, SplitTerm, Vec<(Place, Answer)>),
    /// A delta comes to replicas.
    Apply(StreamId, Lane, Arc<Delta>),
    /// A replica closes a little more.
    Close(StreamId, Place),
    /// Replicas take over a plan.
    Adopt(StreamId, Lane, Arc<SharedPlan>),
    /// Replicas take a barrier that no chain carries.
    Seal(StreamId, Lane, Epoch),
    /// It is noticed that a replica is lost.
    Lost(StreamId, Place),
    /// It is noticed that a replica has been copied: the original and the copy.
    Copied(StreamId, Place, Place),
    /// A replica takes the primary's place.
    Promote(StreamId, Lane, ReplicaId, Term),
    /// The primary is to be copied.
    Copy(StreamId, Lane, ReplicaId),
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
    /// By partition: those that are alive.
    pub(super) actors: Vec<Vec<Actor>>,
    /// How far those had applied each split whose loss has not been noticed.
    pub(super) lost: BTreeMap<Place, BTreeMap<SplitId, Offset>>,
    /// By partition.
    pub(super) handed: Vec<Handed>,
    pub(super) deltas: BTreeMap<(SplitId, Lane), Link>,
    /// Connections of readers on which nothing arrives any more.
    pub(super) broken: BTreeSet<(SplitId, SplitTerm, Lane)>,
    pub(super) controls: BTreeMap<Lane, Link>,
    /// What is noticed of replicas, on its way to the coordinator.
    pub(super) noticed: Link,
}

impl StreamRun {
    pub(super) fn places(&self) -> Vec<Place> {
        self.actors.iter().flatten().map(|actor| actor.place).collect()
    }

    pub(super) fn lanes(&self) -> BTreeSet<Lane> {
        self.actors.iter().flatten().map(|actor| actor.lane).collect()
    }

    pub(super) fn on_lane(&mut self, lane: Lane) -> impl Iterator<Item = &mut Actor> {
        self.actors[lane.0.0 as usize].iter_mut().filter(move |actor| actor.lane == lane)
    }

    /// `None`: it is lost.
    pub(super) fn actor(&mut self, place: Place) -> Option<&mut Actor> {
        self.actor_with_handed(place).map(|(actor, _)| actor)
    }

    /// An actor, and how far sinks have everything from its partition.
    pub(super) fn actor_with_handed(&mut self, place: Place) -> Option<(&mut Actor, &Handed)> {
        let partition = place.0.0 as usize;
        let actor = self.actors[partition].iter_mut().find(|actor| actor.place == place)?;
        Some((actor, &self.handed[partition]))
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
    /// Nobody has what a partition held: the process is to die.
    pub(super) broken: bool,
}

impl Process {
    pub(super) fn new(coordinator: Coordinator, orders: Orders) -> Process {
        let (streams, sinks) = (BTreeMap::new(), BTreeMap::new());
        Process { coordinator, streams, sinks, orders, tick_at_us: None, looks: Link::default(), broken: false }
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
            Happening::Question(stream, lane, split, term) => {
                self.answer(around, stream, lane, (split, term));
                Ok(())
            }
            Happening::Answered(stream, lane, split, term, answers) => self.answered(around, stream, lane, (split, term), answers),
            Happening::Apply(stream, lane, delta) => self.apply(around, stream, lane, &delta),
            Happening::Close(stream, place) => self.close(around, stream, place),
            Happening::Adopt(stream, lane, plan) => {
                self.run(stream).on_lane(lane).for_each(|actor| actor.replica.adopt(Arc::clone(&plan)));
                Ok(())
            }
            Happening::Seal(stream, lane, epoch) => {
                self.run(stream).on_lane(lane).for_each(|actor| actor.seal(epoch));
                self.schedule_close_of(around, stream, lane.0);
                Ok(())
            }
            Happening::Lost(stream, place) => self.notice_loss(around, stream, place),
            Happening::Copied(stream, original, copy) => self.notice_copy(around, stream, original, copy),
            Happening::Promote(stream, lane, replica, term) => self.promote(around, stream, lane, (replica, term)),
            Happening::Copy(stream, lane, replica) => {
                self.copy_later(around, stream, lane, replica);
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
        let lanes = run.lanes();
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
            if !delta.stamp.marks.is_empty() && around.chance(around.pace.lost_at_mark_once_in) {
                around.soon(Change::LoseReader(stream, split));
            }
            for &lane in &lanes {
                let connection = (split, task.term, lane);
                if !run.broken.contains(&connection) && around.chance(around.pace.broken_once_in) {
                    around.note(format!("{stream}, {split} is cut off from {lane:?} at {}", delta.stamp.from));
                    around.tally.connections_lost += 1;
                    around.soon(Change::LoseReader(stream, split));
                    run.broken.insert(connection);
                }
                if !run.broken.contains(&connection) {
                    let link = run.deltas.entry((split, lane)).or_default();
                    send_delta(around, link, stream, lane, &delta);
                }
            }
        }
        for fact in std::mem::take(&mut task.facts) {
            around.send(&mut task.up, Happening::Learn(fact));
        }
        Ok(())
    }

    fn apply(&mut self, around: &mut Around, stream: StreamId, lane: Lane, delta: &Arc<Delta>) -> Outcome {
        let stamp = &delta.stamp;
        let on_lane: Vec<Place> = self.run(stream).on_lane(lane).map(|actor| actor.place).collect();
        for &place in &on_lane {
            let run = self.streams.get_mut(&stream).expect("a stream of the job");
            let (plans, handed) = (&run.plans, &run.handed[lane.0.0 as usize]);
            let actor = run.actors[lane.0.0 as usize].iter_mut().find(|actor| actor.place == place).expect("it is on the lane");
            let applied = actor.apply(delta, plans, handed);
            if around.has(Canary::HalfWindow) && actor.primary {
                actor.tell_sealed();
            }
            if around.has(Canary::TrimByAck) && actor.primary {
                around.truth(stream).split(stamp.split).forgotten = actor.replica.splits()[&stamp.split].applied;
            }
            if !matches!(applied, Applied::Yes) {
                around.note(format!("{stream}, {place:?}: {applied:?} {} ({}, {}]", stamp.split, stamp.from, stamp.to));
            }
            invariants::no_overlap(actor)?;
            invariants::no_row_below_frontier(actor)?;
            run.forget_marks(place, stamp.split);
            self.hand_over(around, stream, place);
            self.schedule_close(around, stream, place);
        }
        if around.trace.steps().is_multiple_of(8) {
            invariants::equal_exports(&self.run(stream).actors[lane.0.0 as usize])?;
        }
        Ok(())
    }

    pub(super) fn schedule_close(&mut self, around: &mut Around, stream: StreamId, place: Place) {
        if let Some(actor) = self.run(stream).actor(place)
            && !std::mem::replace(&mut actor.closes, true)
        {
            let delay_us = around.delay(around.pace.close_us);
            around.later(delay_us, Happening::Close(stream, place));
        }
    }

    /// Of all replicas of a partition.
    pub(super) fn schedule_close_of(&mut self, around: &mut Around, stream: StreamId, partition: PartitionId) {
        let places: Vec<Place> = self.run(stream).actors[partition.0 as usize].iter().map(|actor| actor.place).collect();
        places.into_iter().for_each(|place| self.schedule_close(around, stream, place));
    }

    fn close(&mut self, around: &mut Around, stream: StreamId, place: Place) -> Outcome {
        let of_stream = |sink: &&Sink| sink.stream == stream;
        let metric = |sink: &Sink| if let Input::Metric(metric) = sink.input { Some(metric) } else { None };
        let wanted: BTreeSet<MetricId> = self.sinks.values().filter(of_stream).filter_map(metric).collect();
        let sinks: BTreeSet<SinkId> = self.sinks.values().filter(of_stream).map(|sink| sink.id).collect();
        let Some((actor, handed)) = self.run(stream).actor_with_handed(place) else { return Ok(()) };
        actor.closes = false;
        // What is owed goes first.
        let more = !actor.items.is_empty() || actor.close(&wanted, &sinks, handed, around.canary);
        invariants::no_row_below_frontier(actor)?;
        let owes = self.hand_over(around, stream, place);
        if more || owes {
            let alive = &self.run(stream).actors[place.0.0 as usize];
            if alive.len() > 1
                && alive.iter().any(|actor| actor.primary && actor.place == place)
                && around.chance(around.pace.lost_owing_once_in)
            {
                around.soon(Change::LoseReplica(stream, place.0, true));
            }
            self.schedule_close(around, stream, place);
        }
        self.publish_handed(around, stream, place);
        Ok(())
    }

    /// Sends what an actor owes to sinks, as long as they have room. True if something is left.
    fn hand_over(&mut self, around: &mut Around, stream: StreamId, place: Place) -> bool {
        let run = self.streams.get_mut(&stream).expect("a stream of the job");
        let Some(actor) = run.actor(place) else { return false };
        while !actor.items.is_empty() && !around.chance(around.pace.full_once_in) {
            let Some((to, item)) = actor.items.pop_front() else { break };
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
        !actor.items.is_empty()
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

/// Sends a delta to the replicas on a lane; it may come twice, the second time whenever it likes.
fn send_delta(around: &mut Around, link: &mut Link, stream: StreamId, lane: Lane, delta: &Arc<Delta>) {
    around.send(link, Happening::Apply(stream, lane, Arc::clone(delta)));
    if delta.stamp.to > delta.stamp.from && around.chance(around.pace.duplicate_once_in) {
        let mut again = *link;
        around.send(&mut again, Happening::Apply(stream, lane, Arc::clone(delta)));
    }
}

/// Late rows go from the task to their sink directly.
fn send_late_outside(around: &mut Around, sinks: &mut BTreeMap<SinkId, Sink>, stream: StreamId, (epoch, delta): (Epoch, &Delta)) {
    const DIRECT: PartitionId = PartitionId(u32::MAX);
    let Some(sink) = sinks.get_mut(&start::late_sink_of(stream)) else { return };
    let uncounted = delta.parts.iter().filter_map(|(_, part)| part.uncounted.as_ref());
    let rows: Vec<_> = uncounted.flat_map(|uncounted| uncounted.late_rows.clone()).collect();
    let late = LateRows { split: delta.stamp.split, to: delta.stamp.to, last: delta.stamp.counts.late, epoch, rows };
    around.send(sink.from.entry(DIRECT).or_default(), Happening::Take(sink.id, DIRECT, Item::Late(late)));
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
