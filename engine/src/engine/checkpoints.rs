//! An engine's checkpoints: opening them, asking for one, and what happens once one may be seen.

use super::{Engine, EngineOptions, Shared, ask_sinks, stream_by_id};
use crate::checkpoint::{Announce, Checkpoints, Order, Remote, checkpoint_error};
use crate::core_loop::{CoreHandle, FactSender};
use crate::error::{Error, Result};
use crate::saved_checkpoints;
use crate::sink_task::Request;
use crossbeam::channel::bounded;
use parking_lot::Mutex;
use raympp_coordinator::{Fact, StreamEpoch};
use raympp_state::checkpoint::{Commit, RocksStore};
use raympp_types::{Epoch, EventTime};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

impl Engine {
    /// Takes a checkpoint now and waits until it is committed; everything that was read before the call is in it. Returns its epoch.
    ///
    /// # Errors
    /// [`Error::Refused`] without a state directory, or if the checkpoint could not be written (the log says why; the job goes on), what made the
    /// job fail if it did.
    pub fn checkpoint(&self) -> Result<Epoch> {
        if self.shared.checkpoints.is_none() {
            return Err(Error::Refused("a checkpoint needs a state directory: set state_dir".into()));
        }
        let (waiter, outcome) = bounded(1);
        self.shared.state.lock().checkpoint_waiters.push((None, waiter));
        if let Some(error) = self.shared.failure() {
            return Err(error);
        }
        self.shared.tell_coordinator(Fact::Checkpoint);
        outcome.recv().unwrap_or(Err(Error::ShutDown))
    }

    /// Lets go of what the state directory has of streams that no script has created by now, and says which sinks of it are gone. Who carries out
    /// all scripts of a job at its start calls this after the last; without it such streams wait for a script that creates them.
    pub fn forget_absent(&self) {
        let Some(checkpoints) = &self.shared.checkpoints else { return };
        let Some(from) = &checkpoints.from else { return };
        let state = self.shared.state.lock();
        for stream in from.streams.iter().filter(|stream| state.all_streams().all(|other| other.id != stream.id)) {
            tracing::warn!(stream = stream.name, "the script does not have it: its state is let go of; older checkpoints keep it");
            checkpoints.tell(Order::DropStream(stream.id));
        }
        for sink in from.sinks.iter().filter(|sink| !state.sinks.contains_key(&sink.name)) {
            tracing::warn!(
                sink = sink.name,
                "the script does not have it: rows that are committed and not published yet stay hidden in its place"
            );
        }
    }
}

/// The checkpoints of an engine that keeps some.
pub(super) fn open_checkpoints(
    options: &EngineOptions,
    facts: &FactSender,
    cores: &[Arc<CoreHandle>],
    announcer: &Arc<Announcer>,
) -> Result<Option<Checkpoints>> {
    let Some(directory) = &options.state_dir else { return Ok(None) };
    let mut store = RocksStore::open(directory).map_err(checkpoint_error)?;
    if options.fall_back {
        saved_checkpoints::fall_back(&mut store, options.loss)?;
    }
    let keep = options.keep_checkpoints;
    let remote = options.checkpoint_url.as_deref().map(|url| Remote::open(url, &mut store, keep, options.fall_back)).transpose()?;
    let announcer = Arc::clone(announcer) as Arc<dyn Announce>;
    let checkpoints = Checkpoints::start(Box::new(store), remote, announcer, keep, options.clock.clone(), facts.clone(), cores.to_vec())?;
    match refuse_unknown_resets(options, checkpoints.from.as_deref()) {
        Ok(()) => Ok(Some(checkpoints)),
        Err(error) => {
            checkpoints.stop();
            Err(error)
        }
    }
}

/// The engine, for the persister's thread, which begins before it.
#[derive(Default)]
pub(super) struct Announcer(pub(super) Mutex<Weak<Shared>>);

impl Announce for Announcer {
    fn published(&self, epoch: Epoch, streams: &[StreamEpoch]) {
        let Some(shared) = self.0.lock().upgrade() else { return };
        publish(&shared, epoch, streams);
        // It looks whether anything is left to be copied.
        shared.tell_coordinator(Fact::Tick(shared.options.clock.now_us()));
    }

    fn delayed(&self, error: Error) {
        if let Some(shared) = self.0.lock().upgrade() {
            answer_checkpoint_waiters(&shared, Epoch(u64::MAX), &Err(error));
        }
    }

    fn failed(&self, error: Error) {
        if let Some(shared) = self.0.lock().upgrade() {
            shared.fail(error);
        }
    }
}

/// A metric that is not there can't be started anew: the name is a mistake.
fn refuse_unknown_resets(options: &EngineOptions, from: Option<&Commit>) -> Result<()> {
    let known: BTreeSet<&str> =
        from.iter().flat_map(|from| &from.streams).flat_map(|stream| &stream.metrics).map(|metric| &*metric.name).collect();
    match options.reset_metrics.iter().find(|metric| !known.contains(metric.as_str())) {
        None => Ok(()),
        Some(metric) => Err(Error::Refused(format!(
            "metric {metric} can't be started anew: the state directory has no such metric, it has {}",
            if known.is_empty() { "none".to_owned() } else { Vec::from_iter(known).join(", ") }
        ))),
    }
}

/// Answers those who wait for this checkpoint or an earlier one.
pub(super) fn answer_checkpoint_waiters(shared: &Shared, epoch: Epoch, outcome: &Result<Epoch>) {
    let will_do = |first: Option<Epoch>| first.is_some_and(|first| first <= epoch);
    let answered = shared.state.lock().checkpoint_waiters.extract_if(.., |(first, _)| will_do(*first)).collect::<Vec<_>>();
    // Whoever waited may have gone.
    answered.into_iter().for_each(|(_, waiter)| drop(waiter.send(outcome.clone())));
}

/// True unless what is committed in the state directory has still to be copied elsewhere.
pub(super) fn is_copied(shared: &Shared, committed: Epoch) -> bool {
    shared.checkpoints.as_ref().and_then(|checkpoints| checkpoints.remote.as_ref()).is_none_or(|remote| remote.has(committed))
}

/// Sinks show what they have prepared for an epoch and those it stands for.
pub(super) fn publish(shared: &Shared, epoch: Epoch, streams: &[StreamEpoch]) {
    ask_sinks(shared, Request::Commit(epoch));
    shared.state.lock().all_streams().for_each(|stream| stream.note_published(epoch));
    answer_checkpoint_waiters(shared, epoch, &Ok(epoch));
    for over in streams.iter().filter(|stream| stream.frontier == EventTime::MAX) {
        stream_by_id(shared, over.stream).iter().for_each(|stream| stream.settled.store(true, Ordering::Release));
    }
    shared.note_progress();
}
