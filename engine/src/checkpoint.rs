//! Checkpoints of an engine with a state directory: the persister's thread, and what a run goes on from.
//!
//! The thread runs at low priority and takes orders from cores (each delta that their tasks send), the coordinator (commit, publish) and sinks (what they have
//! prepared). Nobody waits for it – unless it falls behind by more than [`BACKLOG_MAX`] entries; then tasks stop reading until it has caught up.

mod held;
mod resume;

pub(crate) use held::HeldStream;
pub(crate) use resume::{KeptStore, ResumePoint, ResumedSplit};

use crate::clock::Clock;
use crate::core_loop::{CoreHandle, FactSender};
use crate::error::{Error, Result};
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use raympp_coordinator::{Fact, Failure, StreamEpoch};
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::{CheckpointStore, Columns, Commit, Record, SinkCommit, StoreError};
use raympp_state::delta::Delta;
use raympp_state::persister::{OpenStream, Outcome, Persister};
use raympp_types::{Epoch, PartitionId, SinkId, StoreUid, StreamId};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

/// Entries of deltas that may wait for the persister before tasks stop reading.
const BACKLOG_MAX: i64 = 1 << 23;
/// How nice the persister's thread is: what remains of a core goes to it.
const NICENESS: i32 = 10;

/// What the persister's thread is told.
pub(crate) enum Order {
    /// A stream begins.
    OpenStream(Box<OpenStream>),
    /// A barrier will bring this plan.
    AddPlan(StreamId, Arc<SharedPlan>),
    /// The stream is gone.
    DropStream(StreamId),
    /// A sink takes part.
    AddSink(SinkId, Box<SinkCommit>),
    /// A sink is gone.
    DropSink(SinkId),
    /// What a sink has prepared.
    Prepared(SinkId, Epoch, Vec<u8>),
    /// The next delta of one of the stream's chains.
    Delta(StreamId, Arc<Delta>),
    /// No chain of the stream carries this barrier.
    Seal(StreamId, Epoch),
    /// Write the commit record.
    Commit(Epoch, Arc<[StreamEpoch]>),
    /// Forget what no kept checkpoint needs.
    Forget,
    /// Read what a partition held.
    Load(Box<Load>),
    /// End.
    Stop,
}

/// What is to be read of a checkpoint.
pub(crate) struct Load {
    stream: StreamId,
    partition: PartitionId,
    stores: Vec<(StoreUid, Columns)>,
    epoch: Epoch,
    reply: Sender<std::result::Result<Loaded, StoreError>>,
}

/// What a partition held at a barrier, by store, as asked: slices and their records; several records of one slice add up.
pub(crate) type Loaded = Vec<Vec<(i64, Record)>>;

/// The checkpoints of an engine.
pub(crate) struct Checkpoints {
    orders: Sender<Order>,
    backlog: Arc<AtomicI64>,
    /// What this run goes on from.
    pub(crate) from: Option<Arc<Commit>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The hand through which cores give the persister deltas.
#[derive(Clone)]
pub(crate) struct Handover {
    orders: Sender<Order>,
    backlog: Arc<AtomicI64>,
}

impl Handover {
    /// True if tasks should stop reading.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog.load(Ordering::Acquire) > BACKLOG_MAX
    }

    /// Gives it a delta, each once and in the order of its chain.
    pub(crate) fn delta(&self, stream: StreamId, delta: &Arc<Delta>) {
        self.backlog.fetch_add(entries_of(delta), Ordering::AcqRel);
        // The persister ends after the tasks.
        let _ = self.orders.send(Order::Delta(stream, Arc::clone(delta)));
    }
}

fn entries_of(delta: &Delta) -> i64 {
    delta.parts.iter().flat_map(|(_, part)| &part.entries).map(|entries| entries.ids.len() as i64).sum()
}

impl Checkpoints {
    /// Opens a store behind its newest commit and starts the thread. Facts go to the coordinator; cores are woken when a full backlog has shrunk.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the store can't be read.
    pub(crate) fn start(
        store: Box<dyn CheckpointStore>,
        keep: usize,
        clock: Clock,
        facts: FactSender,
        cores: Vec<Arc<CoreHandle>>,
    ) -> Result<Checkpoints> {
        let newest = store.commits().map_err(checkpoint_error)?.last().copied();
        let from = newest.map(|epoch| store.read_commit(epoch)).transpose().map_err(checkpoint_error)?;
        let persister = Persister::open(store, from.as_ref(), keep).map_err(checkpoint_error)?;
        let (orders, taken) = unbounded();
        let backlog = Arc::new(AtomicI64::new(0));
        let worker = Worker { persister, taken, backlog: Arc::clone(&backlog), clock, facts, cores };
        let thread = std::thread::Builder::new().name("raympp-persister".into()).spawn(move || worker.run());
        let thread = thread.map_err(|error| Error::Refused(format!("no thread for checkpoints: {error}")))?;
        Ok(Checkpoints { orders, backlog, from: from.map(Arc::new), thread: Mutex::new(Some(thread)) })
    }

    /// The last epoch that is committed in what this run goes on from; 0: none.
    pub(crate) fn committed(&self) -> Epoch {
        self.from.as_ref().map_or(Epoch(0), |commit| commit.epoch)
    }

    /// What streams hold.
    pub(crate) fn handover(&self) -> Handover {
        Handover { orders: self.orders.clone(), backlog: Arc::clone(&self.backlog) }
    }

    pub(crate) fn tell(&self, order: Order) {
        // It ends at shutdown only, when nothing is to be written any more.
        let _ = self.orders.send(order);
    }

    /// What a partition held at the checkpoint that this run goes on from, of these columns of stores by name.
    pub(crate) fn load(&self, stream: StreamId, partition: PartitionId, stores: Vec<(StoreUid, Columns)>) -> Result<Loaded> {
        let (reply, answer) = bounded(1);
        self.tell(Order::Load(Box::new(Load { stream, partition, stores, epoch: self.committed(), reply })));
        answer.recv().map_err(|_| Error::ShutDown)?.map_err(checkpoint_error)
    }

    /// Ends the thread when it has done what it was told.
    pub(crate) fn stop(&self) {
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

/// The persister's thread.
struct Worker {
    persister: Persister,
    taken: Receiver<Order>,
    backlog: Arc<AtomicI64>,
    clock: Clock,
    facts: FactSender,
    cores: Vec<Arc<CoreHandle>>,
}

impl Worker {
    fn run(mut self) {
        let own = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(own), NICENESS) {
            tracing::warn!(%error, "the persister's thread keeps its priority");
        }
        while let Ok(order) = self.taken.recv() {
            match order {
                Order::Stop => return,
                other => self.carry_out(other),
            }
        }
    }

    fn carry_out(&mut self, order: Order) {
        let persister = &mut self.persister;
        match order {
            Order::OpenStream(open) => persister.open_stream(*open),
            Order::AddPlan(stream, plan) => persister.add_plan(stream, &plan),
            Order::DropStream(stream) => persister.drop_stream(stream),
            Order::AddSink(sink, commit) => persister.add_sink(sink, *commit),
            Order::DropSink(sink) => persister.drop_sink(sink),
            Order::Prepared(sink, epoch, handle) => persister.prepared(sink, epoch, handle),
            Order::Delta(stream, delta) => {
                let outcomes = persister.take(stream, &delta);
                self.shrink_backlog(entries_of(&delta));
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
            Order::Forget => {
                if let Err(error) = persister.forget() {
                    tracing::warn!(%error, "old checkpoints are kept longer");
                }
            }
            Order::Load(load) => {
                let loaded = load_partition(persister, &load);
                // Whoever asked may have gone.
                let _ = load.reply.send(loaded);
            }
            Order::Stop => {}
        }
    }

    fn shrink_backlog(&self, entries: i64) {
        let before = self.backlog.fetch_sub(entries, Ordering::AcqRel);
        if before > BACKLOG_MAX && before - entries <= BACKLOG_MAX {
            self.cores.iter().for_each(|core| core.wake());
        }
    }

    fn tell(&self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            let facts = match outcome {
                Outcome::Acked(stream, epoch, partition, vector) => vec![Fact::Acked { stream, epoch, partition, vector }],
                Outcome::Committed(epoch) => vec![Fact::Committed(epoch)],
                Outcome::Failed(epoch, error) => {
                    tracing::error!(%epoch, %error, "a partition's part of the checkpoint could not be written; the next one will hold it");
                    vec![Fact::Failed(epoch, Failure::Partition)]
                }
                Outcome::CommitFailed(epoch, error, newest) => {
                    tracing::error!(%epoch, %error, "the checkpoint could not be committed");
                    let mut facts = vec![Fact::Failed(epoch, Failure::Commit)];
                    match newest {
                        Ok(newest) => facts.push(Fact::Reopened(newest)),
                        Err(error) => tracing::error!(%error, "the state directory can't be opened anew; no checkpoint will be committed"),
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

fn load_partition(persister: &Persister, load: &Load) -> std::result::Result<Loaded, StoreError> {
    let of_store =
        |(store, columns): &(StoreUid, Columns)| persister.records_at((load.stream, load.partition, *store), load.epoch, columns);
    load.stores.iter().map(of_store).collect()
}
