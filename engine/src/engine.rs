//! The engine in one process: cores, streams, the coordinator's thread, and the SQL that drives them.

mod check;
mod checkpoints;
mod execute;
mod options;
mod prepare;
mod start;
mod supervise;

pub use execute::{Answer, Deferred};
pub use options::{EngineBuilder, EngineOptions};
pub(crate) use prepare::OpenedInput;
pub(crate) use supervise::Event;

use crate::actor::ReplicaExport;
use crate::checkpoint::{Checkpoints, Order};
use crate::clock::{Clock, machine_now_us};
use crate::core_loop::{Control, Core, CoreHandle, FactSender, core_queues};
use crate::error::{Error, Result};
use crate::ingest::IngestTask;
use crate::producer::ProducerIds;
use crate::sink_task::{Request, SinkTask};
use crate::stream::{Ordered, Stream};
use crate::writer::WriterQueue;
use checkpoints::{Announcer, answer_checkpoint_waiters, is_copied, open_checkpoints, publish};
use crossbeam::channel::{Receiver, Sender, bounded, select, unbounded};
use parking_lot::{Condvar, Mutex};
use raympp_coordinator::{Action, Coordinator, CoordinatorOptions, Fact, Failure};
use raympp_operators::sql::{Catalog, ObjectKind};
use raympp_state::crash_point::{CrashPoint, visit};
use raympp_types::{Epoch, MetricId, PlanVersion, SinkId, SplitId, StreamId};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use supervise::Supervisor;

/// Epochs that may be started and not yet committed.
const IN_FLIGHT_MAX: usize = 16;

/// What all threads of an engine share.
pub(crate) struct Shared {
    pub(crate) options: EngineOptions,
    pub(crate) cores: Vec<Arc<CoreHandle>>,
    pub(crate) facts: FactSender,
    events: Sender<Event>,
    /// Splits that have lost their reader and have no other yet.
    pub(crate) takeovers: AtomicUsize,
    /// Ids for producers.
    pub(crate) producers: ProducerIds,
    /// With a state directory.
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) state: Mutex<State>,
    /// Held while statements are carried out and writers opened: one after the other.
    pub(crate) statements: Mutex<()>,
    failure: Mutex<Option<Error>>,
    failed: AtomicBool,
    progress: Condvar,
    progress_lock: Mutex<u64>,
}

/// What exists. Changed by statements only.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) catalog: Catalog,
    pub(crate) streams: BTreeMap<String, Arc<Stream>>,
    /// Streams that read another one's splits again, by the metric they do it for.
    pub(crate) again: BTreeMap<MetricId, Arc<Stream>>,
    pub(crate) metric_ids: BTreeMap<String, MetricId>,
    pub(crate) sinks: BTreeMap<String, (SinkId, SinkTask)>,
    pub(crate) next_stream: StreamId,
    pub(crate) next_metric: MetricId,
    pub(crate) next_sink: SinkId,
    /// Tasks of streams that start, until the coordinator's thread places them.
    pub(crate) starting: BTreeMap<StreamId, Vec<IngestTask>>,
    /// Tasks of splits that wait for the barrier they join at.
    pub(crate) joining: BTreeMap<(StreamId, SplitId), Joining>,
    /// Writers' queues, by stream.
    pub(crate) writers: Vec<(StreamId, Arc<WriterQueue>)>,
    /// Who waits for a checkpoint, with the first epoch that will do, once the coordinator has learnt of it.
    pub(crate) checkpoint_waiters: Vec<(Option<Epoch>, Sender<Result<Epoch>>)>,
    /// Who waits for plans to come into force; letting go of the sender tells them.
    pub(crate) plan_waiters: Vec<(StreamId, PlanVersion, Sender<Infallible>)>,
}

impl State {
    /// Streams of the catalog and those that read again.
    pub(crate) fn all_streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.streams.values().chain(self.again.values())
    }

    /// The id of a metric and the stream that it is computed on.
    pub(crate) fn metric(&self, name: &str) -> Result<(MetricId, Arc<Stream>)> {
        let id = self.metric_ids.get(name).copied();
        let computes = |id: MetricId| self.all_streams().find(|stream| stream.metric(id).is_some());
        let found = id.and_then(|id| Some((id, Arc::clone(computes(id)?))));
        found.ok_or_else(|| Error::Unknown(self.catalog.no_such(ObjectKind::Metric, name)))
    }
}

/// A writer's split that wants to join.
pub(crate) struct Joining {
    pub(crate) queue: Arc<WriterQueue>,
    pub(crate) core: usize,
    /// Told whether it could.
    pub(crate) answer: Sender<Result<()>>,
}

impl Shared {
    pub(crate) fn tell_coordinator(&self, fact: Fact) {
        // The coordinator's thread ends only at shutdown, when nobody needs barriers any more.
        let _ = self.facts.send(fact);
    }

    /// Reports what the coordinator's thread is to deal with besides facts.
    pub(crate) fn report(&self, event: Event) {
        // As above.
        let _ = self.events.send(event);
    }

    /// Lets every thread look at the time again when a manual clock moves.
    fn follow_clock(self: &Arc<Self>) {
        if let Clock::Manual(clock) = &self.options.clock {
            let shared = Arc::downgrade(self);
            clock.listen(move |now_us| {
                shared.upgrade().is_some_and(|shared| {
                    shared.cores.iter().for_each(|core| core.wake());
                    shared.tell_coordinator(Fact::Tick(now_us));
                    true
                })
            });
        }
    }

    /// Notes that the job has failed; the first reason stays, and is logged. Nobody waits any longer for what will not come.
    pub(crate) fn fail(&self, error: Error) {
        let error = {
            let mut failure = self.failure.lock();
            if failure.is_none() {
                // A target of its own, for programs that tell their users themselves what the engine's calls return.
                tracing::error!(target: "raympp_engine::failure", %error, "the job fails");
            }
            failure.get_or_insert(error).clone()
        };
        self.failed.store(true, Ordering::Release);
        let mut state = self.state.lock();
        state.plan_waiters.clear();
        std::mem::take(&mut state.checkpoint_waiters).into_iter().for_each(|(_, waiter)| drop(waiter.send(Err(error.clone()))));
        // Whoever still waits has gone if it can't be told.
        std::mem::take(&mut state.joining).into_values().for_each(|joining| drop(joining.answer.send(Err(error.clone()))));
        state.writers.iter().for_each(|(_, writer)| writer.close(error.clone()));
        state.all_streams().for_each(|stream| stream.let_go());
        drop(state);
        self.note_progress();
    }

    pub(crate) fn failure(&self) -> Option<Error> {
        self.failed.load(Ordering::Acquire).then(|| self.failure.lock().clone()).flatten()
    }

    /// Wakes whoever waits for streams or sinks to complete.
    pub(crate) fn note_progress(&self) {
        *self.progress_lock.lock() += 1;
        self.progress.notify_all();
    }

    /// Waits until `done` says so, the job fails, or `timeout` has passed. `done` is asked after each note of progress.
    fn wait_until(&self, timeout: Option<Duration>, done: impl Fn() -> bool) -> Result<bool> {
        // Notes of progress may come more often than the time is long.
        let end_us = timeout.map(|timeout| machine_now_us().saturating_add(timeout.as_micros() as u64));
        let mut count = self.progress_lock.lock();
        loop {
            if let Some(error) = self.failure() {
                return Err(error);
            }
            if done() {
                return Ok(true);
            }
            match end_us.map(|end_us| end_us.saturating_sub(machine_now_us())) {
                Some(0) => return Ok(false),
                Some(left_us) => drop(self.progress.wait_for(&mut count, Duration::from_micros(left_us))),
                None => self.progress.wait(&mut count),
            }
        }
    }

    /// True once every stream that ends has closed everything and its sinks have published.
    fn is_done(&self) -> bool {
        let state = self.state.lock();
        let unused = |stream: &Stream| !stream.finite.load(Ordering::Acquire) && stream.plan.connector.is_none();
        let is_over = |stream: &Stream| stream.is_complete() && (self.checkpoints.is_none() || stream.settled.load(Ordering::Acquire));
        state.all_streams().all(|stream| is_over(stream) || unused(stream))
            && state.sinks.values().all(|(_, sink)| sink.is_done() || !sink.stream().is_complete())
    }

    pub(crate) fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.state.lock().streams.get(name).cloned()
    }
}

/// What an engine does at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// It takes a checkpoint, if it takes any.
    Checkpoint,
    /// Nothing: it may be stopped because something is wrong with it.
    Nothing,
}

/// A running engine. See the crate's documentation for an example.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    coordinator: Option<JoinHandle<()>>,
}

impl Engine {
    /// Sets options before the engine starts.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    fn start(options: EngineOptions) -> Result<Engine> {
        let (facts, facts_in) = unbounded();
        let (events, events_in) = unbounded();
        let (handles, inboxes): (Vec<_>, Vec<_>) = (0..options.threads).map(|_| core_queues()).unzip();
        let cores: Vec<Arc<CoreHandle>> = handles.into_iter().map(Arc::new).collect();
        let announcer = Arc::new(Announcer::default());
        let checkpoints = open_checkpoints(&options, &facts, &cores, &announcer)?;
        let from = checkpoints.as_ref().and_then(|checkpoints| checkpoints.from.clone());
        let state = State {
            next_stream: from.as_ref().map_or(StreamId(0), |commit| commit.next_stream),
            next_metric: from.as_ref().map_or(MetricId(0), |commit| commit.next_metric),
            ..State::default()
        };
        let shared = Arc::new(Shared {
            options,
            cores,
            facts,
            events,
            takeovers: AtomicUsize::new(0),
            producers: ProducerIds::default(),
            checkpoints,
            state: Mutex::new(state),
            statements: Mutex::default(),
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            progress: Condvar::new(),
            progress_lock: Mutex::default(),
        });
        *announcer.0.lock() = Arc::downgrade(&shared);
        shared.follow_clock();
        let core_ids = if shared.options.pin_threads { core_affinity::get_core_ids().unwrap_or_default() } else { Vec::new() };
        let threads = inboxes.into_iter().enumerate().map(|(index, inboxes)| {
            let core = Core::new(index, Arc::clone(&shared), inboxes);
            let pin = core_ids.get(index).copied();
            let run = move || {
                if let Some(id) = pin {
                    core_affinity::set_for_current(id);
                }
                core.run();
            };
            std::thread::Builder::new().name(format!("raympp-core-{index}")).spawn(run).expect("the system grants a thread")
        });
        let threads = threads.collect();
        let driver = Arc::clone(&shared);
        let coordinator = std::thread::Builder::new()
            .name("raympp-coordinator".into())
            .spawn(move || drive_coordinator(&driver, &facts_in, &events_in))
            .expect("the system grants a thread");
        Ok(Engine { shared, threads, coordinator: Some(coordinator) })
    }

    /// Waits until every stream that is being read has ended and closed everything, and every sink has published. A stream fed by
    /// writers counts once a writer has been opened; one that never ends is waited for until the job fails.
    ///
    /// # Errors
    /// What made the job fail, if it did.
    pub fn wait(&self) -> Result<()> {
        self.shared.wait_until(None, || self.shared.is_done()).map(|_| ())
    }

    /// As [`Engine::wait`], but not longer than `timeout`. True if everything is done.
    ///
    /// # Errors
    /// What made the job fail, if it did.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.shared.wait_until(Some(timeout), || self.shared.is_done())
    }

    /// What made the job fail, if it has failed.
    pub fn failure(&self) -> Option<Error> {
        self.shared.failure()
    }

    /// Stops cleanly: what writers were given is folded and applied, what can be closed is closed and handed to sinks and subscriptions. With a
    /// state directory a last checkpoint is taken; without one sinks publish what they have. No window is closed before its time.
    ///
    /// # Errors
    /// What made the job fail, if it did.
    pub fn shutdown(mut self) -> Result<()> {
        self.stop(Last::Checkpoint, None)
    }

    /// As [`Engine::shutdown`], and tells what every replica held at the end: for tests that compare them.
    ///
    /// # Errors
    /// As [`Engine::shutdown`].
    pub fn shutdown_with_exports(mut self) -> Result<Vec<ReplicaExport>> {
        let (exports, exported) = unbounded();
        self.stop(Last::Checkpoint, Some(exports))?;
        Ok(exported.try_iter().collect())
    }

    fn stop(&mut self, last: Last, exports: Option<Sender<ReplicaExport>>) -> Result<()> {
        if self.threads.is_empty() {
            return Ok(());
        }
        let (streams, writers) = {
            let mut state = self.shared.state.lock();
            (state.all_streams().cloned().collect::<Vec<_>>(), std::mem::take(&mut state.writers))
        };
        writers.iter().for_each(|(_, writer)| writer.close(Error::ShutDown));
        for stream in &streams {
            stream.consumers.all().iter().for_each(|consumer| consumer.queue.lift_bound());
        }
        self.drain_cores();
        if last == Last::Checkpoint && self.shared.checkpoints.is_some() && self.shared.failure().is_none() {
            // What went wrong with it is in the log; the next run goes on from the one before.
            let _ = self.checkpoint();
        }
        self.shared.cores.iter().for_each(|core| core.tell(Control::Stop(exports.clone())));
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.fail(Error::Refused("a core's thread has panicked; this is a bug of the engine".into()));
            }
        }
        let sinks = std::mem::take(&mut self.shared.state.lock().sinks);
        if self.shared.failure().is_none() {
            sinks.values().for_each(|(_, sink)| sink.stop_here());
        }
        streams.iter().for_each(|stream| stream.let_go());
        for (_, sink) in sinks.into_values() {
            sink.join();
        }
        self.shared.tell_coordinator(Fact::Tick(u64::MAX));
        if let Some(coordinator) = self.coordinator.take() {
            let _ = coordinator.join();
        }
        self.shared.checkpoints.iter().for_each(Checkpoints::stop);
        self.shared.failure().map_or(Ok(()), Err)
    }

    /// Waits until every core has emptied its writers.
    fn drain_cores(&self) {
        let (report, reports) = bounded(self.shared.cores.len());
        self.shared.cores.iter().for_each(|core| core.tell(Control::Drain(report.clone())));
        drop(report);
        for _ in 0..self.shared.cores.len() {
            if reports.recv().is_err() {
                return;
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A failure was logged when it happened.
        let _ = self.stop(Last::Nothing, None);
    }
}

/// The coordinator's thread: facts and time in, actions carried out.
fn drive_coordinator(shared: &Arc<Shared>, facts: &Receiver<Fact>, events: &Receiver<Event>) {
    let interval_us = shared.options.barrier_interval_us;
    let committed = shared.checkpoints.as_ref().map_or(Epoch(0), Checkpoints::committed);
    let mut coordinator = Coordinator::new(CoordinatorOptions { interval_us, in_flight_max: IN_FLIGHT_MAX, committed });
    let clock = &shared.options.clock;
    let mut supervisor = Supervisor::default();
    let mut next = (Some(Fact::Tick(clock.now_us())), None);
    loop {
        // Whoever reports an event has told its facts before.
        let known: Vec<Fact> = next.0.into_iter().chain(next.1.iter().flat_map(|_| facts.try_iter())).collect();
        let now = clock.now_us();
        let mut actions = coordinator.learn(Fact::Tick(now));
        for fact in known {
            if fact == Fact::Tick(u64::MAX) {
                return;
            }
            if let Fact::StreamStarts { stream, .. } = &fact {
                start::place_tasks(shared, *stream);
                if committed > Epoch(0) {
                    visit(CrashPoint::Restored);
                }
            }
            if fact == Fact::Checkpoint {
                let next = coordinator.started().next();
                shared.state.lock().checkpoint_waiters.iter_mut().for_each(|(first, _)| *first = first.or(Some(next)));
            }
            actions.extend(coordinator.learn(fact));
            carry_out_all(shared, &mut supervisor, std::mem::take(&mut actions));
        }
        actions.extend(next.1.map(|event| supervisor.take(shared, &mut coordinator, event)).unwrap_or_default());
        carry_out_all(shared, &mut supervisor, actions);
        if coordinator.is_settled() && is_copied(shared, coordinator.committed()) {
            answer_checkpoint_waiters(shared, Epoch(u64::MAX), &Ok(coordinator.committed()));
        }
        let wait_us = coordinator.due_us().map_or(interval_us, |due| due.saturating_sub(now));
        next = select! {
            recv(facts) -> fact => match fact {
                Ok(fact) => (Some(fact), None),
                Err(_) => return,
            },
            recv(events) -> event => (None, event.ok()),
            default(Duration::from_micros(wait_us)) => (Some(Fact::Tick(clock.now_us())), None),
        };
    }
}

fn carry_out_all(shared: &Arc<Shared>, supervisor: &mut Supervisor, actions: Vec<Action>) {
    for action in actions {
        if let Some(action) = supervisor.carry_out(shared, action) {
            carry_out(shared, action);
        }
    }
}

fn carry_out(shared: &Arc<Shared>, action: Action) {
    match action {
        Action::Barrier { stream, epoch, splits, plan } => {
            let Some(found) = stream_by_id(shared, stream) else { return };
            tracing::trace!(stream = %found.title(), %epoch, %plan, "barrier");
            note_started(shared, epoch);
            let plan = found.plan_of(plan);
            *found.ordered.lock() = Some(Ordered { epoch, splits: Arc::clone(&splits), plan: Arc::clone(&plan) });
            for core in &shared.cores {
                core.tell(Control::Barrier { stream, epoch, splits: Arc::clone(&splits), plan: Arc::clone(&plan) });
            }
        }
        Action::Open { stream, split, epoch, splits, plan, floor } => {
            let Some(found) = stream_by_id(shared, stream) else { return };
            if let Err(error) = start::open_joining(shared, &found, split, (epoch, splits, plan), floor) {
                shared.fail(error);
            }
        }
        Action::Look(stream) => {
            if let Some(found) = stream_by_id(shared, stream) {
                shared.tell_coordinator(Fact::Watermarks(stream, found.watermarks()));
            }
        }
        Action::Floor { stream, split, since_us, floor } => {
            tracing::debug!(%stream, %split, %floor, "the split is idle");
            shared.cores.iter().for_each(|core| core.tell(Control::Floor { stream, split, since_us, floor }));
        }
        Action::Refuse { stream, split } => {
            let Some(found) = stream_by_id(shared, stream) else { return };
            let refused =
                Error::Refused(format!("stream {} is complete: all its writers have finished, so its windows are closed", found.name()));
            if let Some(joining) = shared.state.lock().joining.remove(&(stream, split)) {
                found.splits.lock().remove(&split);
                // The caller waits for this.
                let _ = joining.answer.send(Err(refused));
            }
        }
        Action::InForce { stream, plan, carried } => {
            let Some(found) = stream_by_id(shared, stream) else { return };
            if !carried {
                let plan = found.plan_of(plan);
                shared.cores.iter().for_each(|core| core.tell(Control::Adopt(stream, Arc::clone(&plan))));
            }
            shared.state.lock().plan_waiters.retain(|(id, version, _)| *id != stream || *version > plan);
        }
        Action::Seal { stream, epoch } => {
            tracing::trace!(%stream, %epoch, "seal");
            note_started(shared, epoch);
            shared.cores.iter().for_each(|core| core.tell(Control::Seal(stream, epoch)));
            shared.checkpoints.iter().for_each(|checkpoints| checkpoints.tell(Order::Seal(stream, epoch)));
        }
        Action::Commit { epoch, streams } => {
            tracing::trace!(%epoch, streams = streams.len(), "epoch complete");
            match &shared.checkpoints {
                Some(checkpoints) => checkpoints.tell(Order::Commit(epoch, streams)),
                // Nothing outlives the process, so there is nothing to write.
                None => shared.tell_coordinator(Fact::Committed(epoch)),
            }
        }
        Action::Publish { epoch, streams } => {
            let Some(checkpoints) = &shared.checkpoints else { return };
            tracing::debug!(%epoch, "committed");
            checkpoints.counters.note_committed(epoch, shared.options.clock.now_us());
            visit(CrashPoint::CommitUnpublished);
            supervise::note_committed(&shared.state.lock(), epoch);
            if checkpoints.remote.is_some() {
                checkpoints.tell(Order::Publish(epoch, streams));
            } else {
                checkpoints.tell(Order::Forget);
                publish(shared, epoch, &streams);
            }
        }
        Action::GiveUp { epoch, why } => {
            shared.checkpoints.iter().for_each(|checkpoints| checkpoints.counters.note_given_up(epoch, why));
            match why {
                Failure::Crowded => tracing::debug!(%epoch, "epoch superseded"),
                why => {
                    tracing::error!(%epoch, ?why, "epoch given up");
                    let failed = Error::Refused(format!(
                        "checkpoint {epoch} could not be taken, the log says why; the next one will have what it has"
                    ));
                    answer_checkpoint_waiters(shared, epoch, &Err(failed));
                }
            }
            ask_sinks(shared, Request::GiveUp(epoch));
        }
        Action::Prepare { sink, epoch, frontier } => {
            visit(CrashPoint::PrepareAsked);
            let state = shared.state.lock();
            let asked = state.sinks.values().find(|(id, _)| *id == sink);
            asked.into_iter().for_each(|(_, sink)| sink.ask(Request::Prepare(epoch, frontier)));
        }
        // The supervisor's.
        Action::Promote { .. } | Action::Repair { .. } | Action::Orphaned { .. } => {}
    }
}

fn note_started(shared: &Shared, epoch: Epoch) {
    shared.checkpoints.iter().for_each(|checkpoints| checkpoints.counters.note_started(epoch, shared.options.clock.now_us()));
}

fn ask_sinks(shared: &Shared, request: Request) {
    shared.state.lock().sinks.values().for_each(|(_, sink)| sink.ask(request));
}

fn stream_by_id(shared: &Shared, id: StreamId) -> Option<Arc<Stream>> {
    shared.state.lock().all_streams().find(|stream| stream.id == id).cloned()
}
