//! One thread per core: steps its ingest tasks and partition actors to completion, never waits while there is something to do.
//!
//! Order of a round: control messages, deltas from other cores, actors, then one step of the ready task with the lowest watermark. A
//! core always empties its own inbox, whatever its tasks have to wait for, so bounded queues between cores can't deadlock. With
//! nothing to do it spins for a moment, if it is told to, and parks; whoever sends it something unparks it.
//!
//! A task or actor that panics is dropped and reported ([`Event`]); the loop and the others go on. What is half done of it counts for nothing:
//! another one takes its place.

use crate::actor::{Actor, ReplicaExport};
use crate::clock;
use crate::engine::{Event, Shared};
use crate::error::Error;
use crate::ingest::{IngestTask, Step};
use crate::parking::{Parking, RoomWanted};
use crate::stream::Stream;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use raympp_coordinator::Fact;
use raympp_operators::sharing::SharedPlan;
use raympp_state::crash_point::{CrashPoint, visit};
use raympp_state::delta::Delta;
use raympp_types::{Epoch, EventTime, PartitionId, ReplicaId, SplitId, SplitTerm, StreamId, Term};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Deltas that one core may have waiting from the others.
const INBOX_DELTAS: usize = 64;
/// Deltas taken from the inbox in one round.
const ROUND_DELTAS: usize = 8;
/// A core with nothing to do looks around at least this often.
const PARK_MAX: Duration = Duration::from_millis(50);

/// What a core is told.
pub(crate) enum Control {
    /// Take over an actor.
    Actor(Box<Actor>),
    /// Take over a task.
    Task(Box<IngestTask>),
    /// Tasks of the stream mark this barrier.
    Barrier {
        /// Which stream.
        stream: StreamId,
        /// Its number.
        epoch: Epoch,
        /// Splits of the epoch.
        splits: Arc<[SplitId]>,
        /// In force after it.
        plan: Arc<SharedPlan>,
    },
    /// An idle split's task marks this floor.
    Floor {
        /// Which stream.
        stream: StreamId,
        /// Which split.
        split: SplitId,
        /// Which silence of the split.
        since_us: u64,
        /// The floor.
        floor: EventTime,
    },
    /// Actors of the stream take this barrier by themselves when they have seen the ends of all splits.
    Seal(StreamId, Epoch),
    /// Actors of the stream answer the next reader of a split, when they have applied what has been sent to them.
    Answer {
        /// Which stream.
        stream: StreamId,
        /// Which split.
        split: SplitId,
        /// Of the next reader.
        term: SplitTerm,
    },
    /// A replica takes the place of its partition's primary.
    Promote {
        /// Which stream.
        stream: StreamId,
        /// Which partition.
        partition: PartitionId,
        /// Which replica.
        replica: ReplicaId,
        /// Of the new primary.
        term: Term,
    },
    /// The primary of a partition is to be copied for an empty place.
    Copy {
        /// Which stream.
        stream: StreamId,
        /// Which partition.
        partition: PartitionId,
        /// The copy's id.
        replica: ReplicaId,
        /// Its place.
        slot: usize,
    },
    /// Actors of the stream take over this plan at once.
    Adopt(StreamId, Arc<SharedPlan>),
    /// Forget everything of the stream.
    Drop(StreamId),
    /// Readers stop, writers are emptied; then say so.
    Drain(Sender<usize>),
    /// Close and hand over what can be, then end; tell what the replicas hold if somebody wants to know.
    Stop(Option<Sender<ReplicaExport>>),
}

/// How others reach a core.
pub(crate) struct CoreHandle {
    deltas: Sender<(Arc<Stream>, Arc<Delta>)>,
    control: Sender<Control>,
    parking: Parking,
    /// Some core has deltas for this one's full inbox.
    room_wanted: RoomWanted,
}

impl CoreHandle {
    pub(crate) fn wake(&self) {
        self.parking.wake();
    }

    pub(crate) fn tell(&self, control: Control) {
        // A core that has ended has nothing left to be told.
        let _ = self.control.send(control);
        self.wake();
    }

    fn try_send(&self, stream: &Arc<Stream>, delta: &Arc<Delta>) -> bool {
        match self.deltas.try_send((Arc::clone(stream), Arc::clone(delta))) {
            Ok(()) => {
                self.wake();
                true
            }
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(_)) => true,
        }
    }

    /// True if senders that sleep may go on.
    fn has_room(&self) -> bool {
        self.deltas.len() <= INBOX_DELTAS / 2
    }

    pub(crate) fn inbox_len(&self) -> usize {
        self.deltas.len()
    }
}

/// The receiving ends of a core's queues.
pub(crate) struct Inboxes {
    deltas: Receiver<(Arc<Stream>, Arc<Delta>)>,
    control: Receiver<Control>,
}

/// Makes both ends of a core.
pub(crate) fn core_queues() -> (CoreHandle, Inboxes) {
    let (deltas, deltas_in) = bounded(INBOX_DELTAS);
    let (control, control_in) = unbounded();
    (
        CoreHandle { deltas, control, parking: Parking::new(), room_wanted: RoomWanted::new() },
        Inboxes { deltas: deltas_in, control: control_in },
    )
}

/// The loop's own state.
pub(crate) struct Core {
    index: usize,
    shared: Arc<Shared>,
    inboxes: Inboxes,
    tasks: Vec<IngestTask>,
    actors: Vec<Actor>,
    draining: Option<Sender<usize>>,
    drained: bool,
    stopping: bool,
    exports: Option<Sender<ReplicaExport>>,
}

impl Core {
    pub(crate) fn new(index: usize, shared: Arc<Shared>, inboxes: Inboxes) -> Core {
        Core {
            index,
            shared,
            inboxes,
            tasks: Vec::new(),
            actors: Vec::new(),
            draining: None,
            drained: false,
            stopping: false,
            exports: None,
        }
    }

    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        let handle = Arc::clone(&self.shared.cores[self.index]);
        handle.parking.enter();
        loop {
            let now = self.shared.options.clock.now_us();
            let mut busy = self.take_control();
            busy |= self.take_deltas(now);
            busy |= self.step_actors(now);
            let (worked, due_us) = self.step_tasks(now);
            busy |= worked;
            self.report_drained(busy);
            if self.stopping && !busy && self.actors.iter().all(Actor::is_settled) {
                break;
            }
            if !busy {
                self.park(now, due_us);
            }
        }
        handle.parking.leave();
        if let Some(exports) = &self.exports {
            // Whoever asked may have gone.
            self.actors.iter().for_each(|actor| drop(exports.send(actor.export())));
        }
    }

    fn park(&self, now: u64, due_us: Option<u64>) {
        let due_us = self.actors.iter().filter_map(Actor::due_us).chain(due_us).min();
        let timeout = due_us.map_or(PARK_MAX, |due| Duration::from_micros(due.saturating_sub(now)).min(PARK_MAX));
        let nothing_came = || self.inboxes.deltas.is_empty() && self.inboxes.control.is_empty();
        let is_idle = || {
            let can_go_on = |task: &IngestTask| task.has_input() || task.blocked_by().is_some_and(|core| self.has_room(core));
            nothing_came() && !self.tasks.iter().any(can_go_on) && !self.actors.iter().any(Actor::can_hand_over)
        };
        let spin = self.shared.options.spin.min(timeout);
        if !clock::spin(spin, || !is_idle()) {
            self.shared.cores[self.index].parking.park(timeout - spin, is_idle);
        }
    }

    /// Whether another core has room for deltas; if not, it will wake this one when it has.
    fn has_room(&self, core: usize) -> bool {
        let other = &self.shared.cores[core];
        other.room_wanted.ask(|| other.has_room())
    }

    fn take_control(&mut self) -> bool {
        let mut any = false;
        while let Ok(control) = self.inboxes.control.try_recv() {
            any = true;
            match control {
                Control::Actor(actor) => self.actors.push(*actor),
                Control::Task(task) => {
                    self.tasks.push(*task);
                    let last = self.tasks.len() - 1;
                    self.send_deltas(last);
                }
                Control::Barrier { stream, epoch, splits, plan } => self.mark_barrier(stream, epoch, &splits, &plan),
                Control::Floor { stream, split, since_us, floor } => {
                    let tasks = self.tasks.iter_mut().filter(|task| (task.stream.id, task.split) == (stream, split));
                    tasks.for_each(|task| task.ask_floor(since_us, floor));
                }
                Control::Seal(stream, epoch) => self.with_actors(stream, |actor| actor.take_seal(epoch)),
                Control::Adopt(stream, plan) => self.with_actors(stream, |actor| {
                    actor.adopt(&plan);
                    Vec::new()
                }),
                Control::Answer { stream, split, term } => self.answer(stream, split, term),
                Control::Promote { stream, partition, replica, term } => self.with_actors(stream, |actor| {
                    if (actor.partition, actor.id) == (partition, replica) { actor.promote(term) } else { Vec::new() }
                }),
                Control::Copy { stream, partition, replica, slot } => self.with_actors(stream, |actor| {
                    if actor.partition == partition {
                        actor.copy_later(replica, slot);
                    }
                    Vec::new()
                }),
                Control::Drop(stream) => {
                    self.tasks.retain(|task| task.stream.id != stream);
                    self.actors.retain(|actor| actor.stream.id != stream);
                }
                Control::Drain(report) => self.draining = Some(report),
                Control::Stop(exports) => (self.stopping, self.exports) = (true, exports),
            }
        }
        any
    }

    fn mark_barrier(&mut self, stream: StreamId, epoch: Epoch, splits: &Arc<[SplitId]>, plan: &Arc<SharedPlan>) {
        for i in 0..self.tasks.len() {
            if self.tasks[i].stream.id == stream {
                self.tasks[i].mark_barrier(epoch, Arc::clone(splits), plan);
                self.send_deltas(i);
                visit(CrashPoint::ChainMarked);
            }
        }
    }

    fn take_deltas(&mut self, now: u64) -> bool {
        let mut any = false;
        for _ in 0..ROUND_DELTAS {
            let Ok((stream, delta)) = self.inboxes.deltas.try_recv() else { break };
            any = true;
            self.apply(&stream, &delta, now);
        }
        let own = &self.shared.cores[self.index];
        if any && own.has_room() && own.room_wanted.take() {
            self.shared.cores.iter().for_each(|core| core.wake());
        }
        any
    }

    fn apply(&mut self, stream: &Arc<Stream>, delta: &Arc<Delta>, now: u64) {
        let visit_at_barrier = |wanted: bool, point| {
            if wanted && delta.stamp.has_barrier() {
                visit(point)
            }
        };
        self.with_actors(stream.id, |actor| {
            visit_at_barrier(!actor.primary, CrashPoint::StandbyBehind);
            let facts = actor.apply(delta, now);
            visit_at_barrier(actor.primary, CrashPoint::PrimaryAtBarrier);
            facts
        });
    }

    /// Lets the actors of a stream do something. One that panics is gone.
    fn with_actors(&mut self, stream: StreamId, act: impl Fn(&mut Actor) -> Vec<Fact>) {
        let mut at = 0;
        while at < self.actors.len() {
            let actor = &mut self.actors[at];
            if actor.stream.id == stream {
                match catch_unwind(AssertUnwindSafe(|| act(actor))) {
                    Ok(facts) => facts.into_iter().for_each(|fact| self.shared.tell_coordinator(fact)),
                    Err(panic) => {
                        self.lose_actor(at, &*panic);
                        continue;
                    }
                }
            }
            at += 1;
        }
    }

    /// Drops an actor that has panicked and says so. Readers look at another replica from now on.
    fn lose_actor(&mut self, at: usize, panic: &(dyn std::any::Any + Send)) {
        let mut actor = self.actors.remove(at);
        let (stream, partition, replica, slot) = (Arc::clone(&actor.stream), actor.partition, actor.id, actor.slot);
        stream.lose_view(partition, slot);
        // What is broken may break again while it is dropped.
        if catch_unwind(AssertUnwindSafe(|| actor.abandon())).is_err() || catch_unwind(AssertUnwindSafe(|| drop(actor))).is_err() {
            tracing::warn!(%partition, "a broken replica could not be dropped as a whole");
        }
        let message = message_of(panic);
        tracing::error!(stream = %stream.title(), %partition, %replica, message, "a replica has panicked; this is a bug of the engine");
        self.shared.report(Event::ReplicaLost { stream: stream.id, partition, replica, slot, message });
    }

    /// Answers for the replicas here. All that readers of the split have told to be sent is applied before.
    fn answer(&mut self, stream: StreamId, split: SplitId, term: SplitTerm) {
        let now = self.shared.options.clock.now_us();
        while let Ok((stream, delta)) = self.inboxes.deltas.try_recv() {
            self.apply(&stream, &delta, now);
        }
        self.shared.cores.iter().for_each(|core| core.wake());
        let actors = self.actors.iter_mut().filter(|actor| actor.stream.id == stream);
        let answers = actors.filter_map(|actor| Some(((actor.partition, actor.id), actor.answer(split, term)?)));
        let answers = answers.collect();
        self.shared.report(Event::Answered { stream, split, term, core: self.index, answers });
    }

    fn step_actors(&mut self, now: u64) -> bool {
        let mut busy = false;
        let mut at = 0;
        while at < self.actors.len() {
            let actor = &mut self.actors[at];
            let was_complete = actor.stream.is_complete();
            match catch_unwind(AssertUnwindSafe(|| step_actor(actor, now))) {
                Ok((worked, copies)) => {
                    busy |= worked;
                    let stream = &self.actors[at].stream;
                    if !was_complete && stream.is_complete() {
                        tracing::info!(stream = %stream.title(), "stream complete");
                        self.shared.note_progress();
                    }
                    self.take_copies(at, copies);
                    at += 1;
                }
                Err(panic) => {
                    self.lose_actor(at, &*panic);
                    busy = true;
                }
            }
        }
        busy
    }

    /// Copies of an actor are put beside it at once, so they get all that it gets from now on: they are in sync.
    fn take_copies(&mut self, of: usize, copies: Vec<Actor>) {
        let original = self.actors[of].id;
        for copy in copies {
            let (stream, partition, replica) = (copy.stream.id, copy.partition, copy.id);
            self.shared.tell_coordinator(Fact::ReplicaInSync(stream, partition, replica));
            self.shared.report(Event::Repaired { stream, partition, original, replica });
            self.actors.push(copy);
        }
    }

    /// Steps, of each stream, the ready task with the lowest watermark that has something to do. Returns whether one had, else when one
    /// will. Streams do not wait for each other, however far apart their event times are.
    fn step_tasks(&mut self, now: u64) -> (bool, Option<u64>) {
        let mut worked = self.empty_outboxes();
        let mut order: Vec<usize> = (0..self.tasks.len()).filter(|&i| !self.tasks[i].pass_over()).collect();
        order.sort_by_key(|&i| (self.tasks[i].watermark(), self.tasks[i].split));
        let mut due_us: Option<u64> = None;
        let mut stepped: Vec<StreamId> = Vec::new();
        for i in order {
            if stepped.contains(&self.tasks[i].stream.id) {
                continue;
            }
            let (task, stopping) = (&mut self.tasks[i], self.draining.is_some());
            let stepped_task = catch_unwind(AssertUnwindSafe(|| task.step(now, stopping)));
            let step = match stepped_task {
                Ok(step) => step,
                Err(panic) => {
                    self.lose_task(i, &*panic);
                    return (true, None);
                }
            };
            match step {
                Ok(Step::Worked) => {
                    self.send_deltas(i);
                    stepped.push(self.tasks[i].stream.id);
                    worked = true;
                }
                Ok(Step::Idle(at)) => {
                    self.send_facts(i);
                    due_us = due_us.into_iter().chain(at).min();
                }
                Ok(Step::Ended) => {}
                Err(error) => {
                    self.fail(i, error);
                    return (true, None);
                }
            }
        }
        self.tasks.retain(|task| !task.is_over());
        (worked, due_us)
    }

    fn fail(&mut self, task: usize, error: Error) {
        self.tasks.remove(task);
        self.shared.fail(error);
    }

    /// Drops a task that has panicked and says so. What it has not sent is nobody's.
    fn lose_task(&mut self, task: usize, panic: &(dyn std::any::Any + Send)) {
        let task = self.tasks.remove(task);
        let (stream, split, reached) = (Arc::clone(&task.stream), task.split, task.offset());
        self.shared.takeovers.fetch_add(1, Ordering::SeqCst);
        if catch_unwind(AssertUnwindSafe(|| drop(task))).is_err() {
            tracing::warn!(%split, "a broken task could not be dropped as a whole");
        }
        let message = message_of(panic);
        tracing::error!(stream = %stream.title(), %split, message, "the reader of a split has panicked; this is a bug of the engine");
        self.shared.report(Event::ReaderLost { stream: stream.id, split, reached, message });
    }

    /// Facts are told when what they speak of is on its way to every core, where nothing can stop it.
    fn send_facts(&mut self, task: usize) {
        if !self.tasks[task].outbox.is_empty() {
            return;
        }
        for fact in std::mem::take(&mut self.tasks[task].facts) {
            self.shared.tell_coordinator(fact);
        }
    }

    /// Sends what a task has made: to actors here at once, to other cores by their queues.
    fn send_deltas(&mut self, task: usize) {
        let now = self.shared.options.clock.now_us();
        for delta in std::mem::take(&mut self.tasks[task].deltas) {
            let stream = Arc::clone(&self.tasks[task].stream);
            stream.persist(&delta);
            for core in 0..self.shared.cores.len() {
                if core != self.index {
                    self.tasks[task].outbox.push_back((core, Arc::clone(&delta)));
                }
            }
            self.apply(&stream, &delta, now);
            if delta.stamp.has_barrier() {
                visit(CrashPoint::OneCoreTold);
            }
        }
        self.empty_outboxes();
    }

    fn empty_outboxes(&mut self) -> bool {
        let mut any = false;
        for task in &mut self.tasks {
            while let Some((core, delta)) = task.outbox.front() {
                if !self.shared.cores[*core].try_send(&task.stream, delta) {
                    break;
                }
                task.outbox.pop_front();
                any = true;
            }
        }
        (0..self.tasks.len()).for_each(|task| self.send_facts(task));
        any
    }

    fn report_drained(&mut self, busy: bool) {
        if let Some(report) = &self.draining
            && !self.drained
            && !busy
            && !self.tasks.iter().any(IngestTask::owes_rows)
            && self.shared.takeovers.load(Ordering::SeqCst) == 0
            && self.inboxes.control.is_empty()
        {
            self.drained = true;
            let _ = report.send(self.index);
        }
    }
}

/// A round of an actor: whether it has gone forward, and copies of it that are due.
fn step_actor(actor: &mut Actor, now: u64) -> (bool, Vec<Actor>) {
    let mut busy = false;
    for _ in 0..actor.steps_wanted() {
        if !actor.step(now) {
            break;
        }
        busy = true;
    }
    (busy, actor.take_copies())
}

/// What a panic says.
fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

/// A fact for the coordinator.
pub(crate) type FactSender = Sender<Fact>;
