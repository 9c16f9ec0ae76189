//! Checkpoints of an engine with a state directory: the persister's thread, and what a run goes on from.
//!
//! The thread runs at low priority and takes orders from cores (each delta that their tasks send), the coordinator (commit, publish) and sinks (what
//! they have prepared). With a place outside of the state directory another thread copies what it has committed there (`checkpoint/upload.rs`), and
//! publication waits for that. Nobody waits for it – unless it falls far behind; then tasks stop reading until it has caught up
//! (`checkpoint/orders.rs`).

mod counters;
mod held;
mod orders;
mod remote;
mod resume;
mod upload;

pub use counters::{CheckpointStats, RemoteStats};
pub(crate) use held::HeldStream;
pub(crate) use orders::Orders;
pub(crate) use remote::Remote;
pub use remote::open_blobs;
pub(crate) use resume::{KeptStore, ResumePoint, ResumedSplit};

use self::counters::{CheckpointCounters, RemoteCounters};
use crate::clock::{Clock, machine_now_us};
use crate::core_loop::{CoreHandle, FactSender};
use crate::error::{Error, Result};
use crossbeam::channel::{RecvError, Sender, TryRecvError, bounded};
use orders::Inbox;
use parking_lot::Mutex;
use raympp_coordinator::{Fact, Failure, StreamEpoch};
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::packed::contents::read_some;
use raympp_state::checkpoint::shown::{self, Shown};
use raympp_state::checkpoint::{CheckpointStore, Columns, Commit, Record, SinkCommit, StoreError, StoreErrorKind, StreamCommit};
use raympp_state::crash_point::{CrashPoint, visit};
use raympp_state::delta::Delta;
use raympp_state::persister::{OpenStream, Outcome, Persister, SplitInfo};
use raympp_types::{Epoch, PartitionId, SinkId, SplitId, StoreUid, StreamId};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use upload::{UploadQueue, UploadThread};

/// While it is not known whether a checkpoint is committed, the state directory is opened anew each time that this has passed, in microseconds.
const SETTLE_US: u64 = 500_000;
/// The longest that the persister's thread sleeps. Who told it things may be gone without a word.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// How nice the persister's thread is: what remains of a core goes to it.
const NICENESS: i32 = 10;

/// What the persister's thread is told.
pub(crate) enum Order {
    /// A stream begins.
    OpenStream(Box<OpenStream>),
    /// What a split is called and how it is known again.
    Split(StreamId, SplitId, SplitInfo),
    /// A barrier will bring this plan.
    AddPlan(StreamId, Arc<SharedPlan>),
    /// The stream is gone.
    DropStream(StreamId),
    /// A sink takes part; of a sink of changes, what it shows.
    AddSink(SinkId, Box<SinkCommit>, Option<Shown>),
    /// A sink is gone.
    DropSink(SinkId),
    /// What a sink has prepared, and what that turns.
    Prepared(SinkId, Epoch, Vec<u8>, Shown),
    /// The next delta of one of the stream's chains.
    Delta(StreamId, Arc<Delta>),
    /// No chain of the stream carries this barrier.
    Seal(StreamId, Epoch),
    /// Write the commit record.
    Commit(Epoch, Arc<[StreamEpoch]>),
    /// Forget what no kept checkpoint needs.
    Forget,
    /// An epoch is committed in the state directory: have it copied, then publish it. Forget what no kept checkpoint needs.
    Publish(Epoch, Arc<[StreamEpoch]>),
    /// What came of copying an epoch.
    Uploaded(Epoch, Box<upload::Outcome>),
    /// The uploader's thread wants to read.
    ReadArchives(upload::Wanted),
    /// Read what a partition held.
    Load(Box<Load>),
    /// End.
    Stop,
}

/// Said as often as it is tried in vain.
const UNOPENED: &str = "the state directory can't be opened anew; it is tried again, and until then no checkpoint is committed";

/// What is to be read of a checkpoint.
pub(crate) struct Load {
    stream: StreamId,
    partition: PartitionId,
    stores: Vec<(StoreUid, Columns)>,
    epoch: Epoch,
    /// Gets them all, then [`Reply::End`].
    reply: Sender<Reply>,
}

/// A record that says what a partition held at a barrier; several of one slice add up.
pub(crate) struct LoadedRecord {
    /// Which of the stores that were asked for.
    pub(crate) store: usize,
    pub(crate) slice: i64,
    pub(crate) record: Record,
}

/// What comes of a [`Load`].
enum Reply {
    Record(LoadedRecord),
    Failed(StoreError),
    /// There are no more.
    End,
}

/// Records that are read ahead of whoever merges them.
const LOADED_AHEAD: usize = 2;

/// The checkpoints of an engine.
pub(crate) struct Checkpoints {
    orders: Orders,
    /// What this run goes on from.
    pub(crate) from: Option<Arc<Commit>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    uploader: Mutex<Option<UploadThread>>,
    /// What has been written.
    pub(crate) counters: Arc<CheckpointCounters>,
    /// With a place outside: what has been copied there.
    pub(crate) remote: Option<Arc<RemoteCounters>>,
}

/// What is done when an epoch may be seen, or no checkpoint can be made any more. Called by the persister's thread.
pub(crate) trait Announce: Send + Sync {
    /// Sinks show what they have prepared for the epoch and those it stands for.
    fn published(&self, epoch: Epoch, streams: &[StreamEpoch]);

    /// What is committed in the state directory could not be copied, or the directory can't be opened. It is tried again; who waits for it need not.
    fn delayed(&self, error: Error);

    /// The job can't go on.
    fn failed(&self, error: Error);
}

impl Checkpoints {
    /// Opens a store behind its newest commit and starts the thread. Facts go to the coordinator; cores are woken when a full backlog has shrunk.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the store can't be read.
    pub(crate) fn start(
        store: Box<dyn CheckpointStore>,
        remote: Option<Remote>,
        announce: Arc<dyn Announce>,
        keep: usize,
        clock: Clock,
        facts: FactSender,
        cores: Vec<Arc<CoreHandle>>,
    ) -> Result<Checkpoints> {
        let newest = store.commits().map_err(checkpoint_error)?.last().copied();
        let from = newest.map(|epoch| store.read_commit(epoch)).transpose().map_err(checkpoint_error)?;
        let persister = Persister::open(store, from.as_ref(), keep, breathe).map_err(checkpoint_error)?;
        let (orders, inbox) = orders::orders();
        let no_thread = |error: std::io::Error| Error::Refused(format!("no thread for checkpoints: {error}"));
        let counters = Arc::new(CheckpointCounters::new(from.as_ref()));
        let of_remote = remote.as_ref().map(|remote| Arc::new(RemoteCounters::new(remote, from.as_ref())));
        let uploader = remote.map(|remote| UploadThread::start(remote, orders.clone())).transpose().map_err(no_thread)?;
        let uploads = uploader.as_ref().map(UploadThread::queue).zip(of_remote.clone());
        let worker = Worker { persister, inbox, clock, facts, cores, counters: Arc::clone(&counters), uploads, announce, settle_us: None };
        let thread = std::thread::Builder::new().name("raympp-persister".into()).spawn(move || worker.run());
        let thread = Mutex::new(Some(thread.map_err(no_thread)?));
        Ok(Checkpoints { orders, from: from.map(Arc::new), thread, uploader: Mutex::new(uploader), counters, remote: of_remote })
    }

    /// The last epoch that is committed in what this run goes on from; 0: none.
    pub(crate) fn committed(&self) -> Epoch {
        self.from.as_ref().map_or(Epoch(0), |commit| commit.epoch)
    }

    /// What streams hold.
    pub(crate) fn orders(&self) -> Orders {
        self.orders.clone()
    }

    pub(crate) fn tell(&self, order: Order) {
        // It ends at shutdown only, when nothing is to be written any more.
        let _ = self.orders.tell(order);
    }

    /// What a partition held at the checkpoint that this run goes on from, of these columns of stores by name. It is read while the caller merges it.
    pub(crate) fn load(
        &self,
        stream: StreamId,
        partition: PartitionId,
        stores: Vec<(StoreUid, Columns)>,
    ) -> impl Iterator<Item = Result<LoadedRecord>> {
        let (reply, loaded) = bounded(LOADED_AHEAD);
        self.tell(Order::Load(Box::new(Load { stream, partition, stores, epoch: self.committed(), reply })));
        let mut is_over = false;
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let reply = match loaded.recv() {
                Ok(Reply::Record(record)) => return Some(Ok(record)),
                Ok(Reply::Failed(error)) => Some(Err(checkpoint_error(error))),
                Ok(Reply::End) => None,
                Err(RecvError) => Some(Err(Error::ShutDown)),
            };
            is_over = true;
            reply
        })
    }

    /// What a sink of changes showed at the checkpoint that this run goes on from.
    pub(crate) fn load_shown(&self, stream: &StreamCommit, sink: &str) -> Result<Shown> {
        let Some(store) = stream.stores.iter().find(|store| shown::sink_of(store) == Some(sink)) else { return Ok(Shown::new()) };
        let loaded = self.load(stream.id, PartitionId(0), vec![(store.uid, shown::COLUMNS)]);
        let records: Vec<Record> = loaded.map(|loaded| Ok(loaded?.record)).collect::<Result<_>>()?;
        shown::of_records(&records).map_err(checkpoint_error)
    }

    /// Ends the thread when it has done what it was told.
    pub(crate) fn stop(&self) {
        if let Some(uploader) = self.uploader.lock().take() {
            uploader.stop();
        }
        self.tell(Order::Stop);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the persister's thread has panicked; this is a bug of the engine");
        }
    }
}

pub(crate) fn checkpoint_error(error: StoreError) -> Error {
    Error::Checkpoint(Arc::new(error))
}

/// From now on cores that share the processor with the thread that calls this go first, and so they do with threads that it starts.
fn lower_priority(thread: &str) {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS) {
        tracing::warn!(%error, thread, "a thread keeps its priority");
    }
}

/// Lets a core that shares the processor go first. A thread of low priority is not interrupted for one that wakes, but at the next tick of the system's
/// clock, up to four milliseconds later.
fn breathe() {
    std::thread::yield_now();
}

/// The persister's thread.
struct Worker {
    persister: Persister,
    inbox: Inbox,
    clock: Clock,
    facts: FactSender,
    cores: Vec<Arc<CoreHandle>>,
    counters: Arc<CheckpointCounters>,
    /// With a place outside.
    uploads: Option<(UploadQueue, Arc<RemoteCounters>)>,
    announce: Arc<dyn Announce>,
    /// While it is not known what is committed: when the store is asked next.
    settle_us: Option<u64>,
}

impl Worker {
    fn run(mut self) {
        lower_priority("persister");
        self.inbox.enter();
        while let Some(order) = self.next_order() {
            match order {
                Order::Stop => return,
                other => self.carry_out(other),
            }
            breathe();
        }
    }

    /// The next order, if there will be one. Until it comes, asks what is committed, if that is not known.
    fn next_order(&mut self) -> Option<Order> {
        loop {
            match self.inbox.take() {
                Ok(order) => return Some(order),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            if !self.persister.is_in_doubt() {
                self.inbox.sleep(SLEEP_MAX);
                continue;
            }
            let now_us = machine_now_us();
            match self.settle_us.get_or_insert(now_us.saturating_add(SETTLE_US)).saturating_sub(now_us) {
                0 => self.settle(),
                wait_us => self.inbox.sleep(Duration::from_micros(wait_us)),
            }
        }
    }

    /// Asks the store, which could not be opened before, what is committed in it.
    fn settle(&mut self) {
        self.settle_us = None;
        match self.persister.settle() {
            // The coordinator's thread ends only at shutdown.
            Ok(newest) => drop(self.facts.send(Fact::Reopened(newest))),
            Err(error) => self.tell_unopened(error),
        }
    }

    /// Who waits for a checkpoint need not: it may be long.
    fn tell_unopened(&self, error: StoreError) {
        tracing::error!(%error, "{UNOPENED}");
        self.announce.delayed(checkpoint_error(error));
    }

    fn carry_out(&mut self, order: Order) {
        let persister = &mut self.persister;
        match order {
            Order::OpenStream(open) => persister.open_stream(*open),
            Order::Split(stream, split, info) => persister.note_split(stream, split, info),
            Order::AddPlan(stream, plan) => persister.add_plan(stream, &plan),
            Order::DropStream(stream) => persister.drop_stream(stream),
            Order::AddSink(sink, commit, shown) => persister.add_sink(sink, *commit, shown),
            Order::DropSink(sink) => persister.drop_sink(sink),
            Order::Prepared(sink, epoch, handle, turned) => persister.prepared(sink, epoch, handle, turned),
            Order::Delta(stream, delta) => {
                let outcomes = persister.take(stream, &delta);
                if self.inbox.note_merged(&delta) {
                    self.cores.iter().for_each(|core| core.wake());
                }
                self.tell(outcomes);
            }
            Order::Seal(stream, epoch) => {
                let outcomes = persister.seal(stream, epoch);
                self.tell(outcomes);
            }
            Order::Commit(epoch, streams) => {
                let streams: Vec<StreamId> = streams.iter().map(|stream| stream.stream).collect();
                let outcome = persister.commit(epoch, &streams, self.clock.now_us() as i64);
                self.tell(vec![outcome]);
            }
            Order::Forget => self.forget(),
            Order::Publish(epoch, streams) => self.publish(epoch, &streams),
            Order::Uploaded(epoch, outcome) => self.uploaded(epoch, *outcome),
            Order::ReadArchives(wanted) => {
                let read = read_some(persister.store(), &wanted.keys);
                // Whoever asked may have gone.
                let _ = wanted.reply.send(read);
            }
            Order::Load(load) => {
                let end = load_partition(persister, &load).map_or_else(Reply::Failed, |()| Reply::End);
                // Whoever asked may have gone.
                let _ = load.reply.send(end);
            }
            Order::Stop => {}
        }
    }

    /// Has an epoch that is committed in the state directory copied; then it is published.
    fn publish(&mut self, epoch: Epoch, streams: &[StreamEpoch]) {
        if let Some((queue, counters)) = &mut self.uploads {
            queue.add(epoch, streams);
            counters.note_committed(epoch, self.clock.now_us());
        }
        self.start_upload();
        self.forget();
    }

    fn forget(&mut self) {
        if let Err(error) = self.persister.forget() {
            tracing::warn!(%error, "old checkpoints are kept longer");
        }
    }

    /// Has the newest epoch copied, if the uploader's thread is free.
    fn start_upload(&mut self) {
        let Some((queue, _)) = &mut self.uploads else { return };
        let Some(epoch) = queue.next() else { return };
        match self.persister.pin(epoch) {
            Ok(contents) => queue.start(contents),
            Err(error) => self.announce.failed(checkpoint_error(error)),
        }
    }

    fn uploaded(&mut self, epoch: Epoch, outcome: upload::Outcome) {
        let Some((queue, counters)) = &mut self.uploads else { return };
        self.persister.unpin();
        match outcome {
            Ok(uploaded) => {
                counters.note_uploaded(epoch, &uploaded);
                if let Some(error) = uploaded.undeleted {
                    tracing::warn!(%error, "something that no checkpoint needs stays there for now");
                }
                if let Some(copied) = queue.finish() {
                    visit(CrashPoint::UploadUnpublished);
                    self.announce.published(copied.epoch, &copied.streams());
                }
            }
            Err(error) if error.kind == StoreErrorKind::Taken => {
                self.announce.failed(checkpoint_error(error));
                return;
            }
            Err(error) => {
                counters.note_failed(&error);
                tracing::error!(%epoch, %error, "the checkpoint could not be copied; the newest one is tried next");
                queue.put_back();
                self.announce.delayed(checkpoint_error(error));
            }
        }
        self.start_upload();
    }

    fn tell(&self, outcomes: Vec<Outcome>) {
        if !outcomes.is_empty() {
            self.counters.note_bytes(self.persister.written_bytes());
        }
        for outcome in outcomes {
            let facts = match outcome {
                Outcome::Acked(stream, epoch, partition, vector) => {
                    visit(CrashPoint::AckUntold);
                    vec![Fact::Acked { stream, epoch, partition, vector }]
                }
                Outcome::Committed(epoch) => {
                    visit(CrashPoint::CommitUntold);
                    vec![Fact::Committed(epoch)]
                }
                Outcome::Failed(epoch, error) => {
                    tracing::error!(%epoch, %error, "a partition's part of the checkpoint could not be written; the next one will hold it");
                    vec![Fact::Failed(epoch, Failure::Partition)]
                }
                Outcome::CommitFailed(epoch, error, newest) => {
                    tracing::error!(%epoch, %error, "the checkpoint could not be committed");
                    let mut facts = vec![Fact::Failed(epoch, Failure::Commit)];
                    match newest {
                        Ok(newest) => facts.push(Fact::Reopened(newest)),
                        Err(error) => self.tell_unopened(error),
                    }
                    facts
                }
            };
            for fact in facts {
                // The coordinator's thread ends only at shutdown.
                let _ = self.facts.send(fact);
            }
        }
    }
}

fn load_partition(persister: &Persister, load: &Load) -> std::result::Result<(), StoreError> {
    for (store, (uid, columns)) in load.stores.iter().enumerate() {
        for id in persister.records_at((load.stream, load.partition, *uid), load.epoch)? {
            let record = persister.store().read_columns(&id, columns)?;
            if load.reply.send(Reply::Record(LoadedRecord { store, slice: id.slice, record })).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
