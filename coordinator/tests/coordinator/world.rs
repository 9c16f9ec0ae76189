//! A job as the coordinator sees it. Splits, partitions, sinks and the store carry out actions when told to, and what they report travels in a
//! queue per sender, so the coordinator may hear of it much later. Every action is checked against what has truly happened.

#[path = "world/checks.rs"]
mod checks;
#[path = "world/settling.rs"]
mod settling;
#[path = "world/stream.rs"]
mod stream;

use raympp_coordinator::{Coordinator, CoordinatorOptions, Fact, Failure, StreamEpoch};
use raympp_types::{Epoch, EventTime, SinkId, StreamId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use stream::{Snapshot, StreamWorld};

pub(crate) const INTERVAL_US: u64 = 1_000;
pub(crate) const IN_FLIGHT_MAX: usize = 3;

/// One thing that happens. Indexes are taken modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// So many microseconds pass.
    Time(u64),
    /// A stream starts with so many splits and partitions.
    Start(u32, usize),
    /// A stream is dropped.
    Drop(usize),
    /// A sink is added to a stream.
    AddSink(usize),
    /// A sink is dropped.
    DropSink(usize),
    /// A split asks to join a stream.
    Join(usize),
    /// The set of a stream's metrics changes.
    Plan(usize),
    /// A split of a stream reads rows up to this much more event time.
    Rows(usize, usize, i64),
    /// A split of a stream marks the next barrier it was told of.
    Mark(usize, usize),
    /// A split of a stream ends.
    End(usize, usize),
    /// A split of a stream has been silent for long enough.
    Silence(usize, usize),
    /// A partition of a stream acknowledges the next epoch, or has failed to write it.
    Ack(usize, usize),
    /// The next epoch that this partition of a stream should ack fails.
    FailPartition(usize, usize),
    /// A sink prepares the next epoch it was asked for, or fails to.
    Prepare(usize),
    /// The next epoch that this sink should prepare fails.
    FailSink(usize),
    /// The store writes the commit record.
    Write(Write),
    /// The coordinator hears the next report of a split of a stream.
    HearSplit(usize, usize),
    /// The coordinator hears the next report of a partition of a stream.
    HearPartition(usize, usize),
    /// The coordinator hears the next report of a sink.
    HearSink(usize),
    /// The coordinator hears the next report of the store.
    HearStore,
    /// The process dies and is started anew; the commit under way, if there is one, gets this far.
    Restart(Write),
}

/// How a write of a commit record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Done,
    FailedInVain,
    FailedAndYetDone,
}

/// A sink.
struct Sink {
    stream: StreamId,
    /// The first epoch that has it.
    since: Epoch,
    asked: BTreeSet<Epoch>,
    waiting: VecDeque<Epoch>,
    heard: BTreeSet<Epoch>,
    next_fails: bool,
    reports: VecDeque<Fact>,
    /// The last epoch that it may show, and the frontier there.
    published: Option<(Epoch, EventTime)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Flying,
    Asked(Arc<[StreamEpoch]>),
    Published,
    GivenUp,
}

/// An epoch since the process started.
struct EpochWorld {
    stage: Stage,
    /// Streams that it has to have.
    expected: BTreeSet<StreamId>,
}

/// What is durable, and the one write under way.
#[derive(Default)]
struct Store {
    committed: Epoch,
    snapshots: BTreeMap<StreamId, Snapshot>,
    writing: Option<(Epoch, Arc<[StreamEpoch]>)>,
    reports: VecDeque<Fact>,
    /// A failed write has been heard of, and not what came of it.
    in_doubt: bool,
}

/// See the module.
pub(crate) struct World {
    coordinator: Coordinator,
    now_us: u64,
    streams: BTreeMap<StreamId, StreamWorld>,
    next_stream: StreamId,
    sinks: BTreeMap<SinkId, Sink>,
    next_sink: SinkId,
    epochs: BTreeMap<Epoch, EpochWorld>,
    store: Store,
    /// The epoch that the process started from.
    restored: Epoch,
    /// What the coordinator was asked for and gets next.
    looks: VecDeque<StreamId>,
}

impl World {
    pub(crate) fn new() -> World {
        World {
            coordinator: coordinator(Epoch(0)),
            now_us: 0,
            streams: BTreeMap::new(),
            next_stream: StreamId(0),
            sinks: BTreeMap::new(),
            next_sink: SinkId(0),
            epochs: BTreeMap::new(),
            store: Store::default(),
            restored: Epoch(0),
            looks: VecDeque::new(),
        }
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match *step {
            Step::Time(us) => self.pass(us),
            Step::Start(splits, partitions) => self.start(splits, partitions),
            Step::Drop(index) => self.drop_stream(index),
            Step::AddSink(index) => self.add_sink(index),
            Step::DropSink(index) => self.drop_sink(index),
            Step::Join(index) => {
                let fact = self.stream(index).map(StreamWorld::join);
                fact.into_iter().for_each(|fact| self.tell(fact));
            }
            Step::Plan(index) => self.change_plan(index),
            Step::Rows(index, split, us) => self.with_stream(index, |stream| stream.read(split, us)),
            Step::Mark(index, split) => self.with_stream(index, |stream| stream.mark(split)),
            Step::End(index, split) => self.with_stream(index, |stream| stream.end(split)),
            Step::Silence(index, split) => {
                // No two silences of a split begin at the same time, since each lasts a while.
                self.now_us += 1;
                let now_us = self.now_us;
                self.with_stream(index, |stream| stream.fall_silent(split, now_us));
            }
            Step::Ack(index, partition) => self.with_stream(index, |stream| stream.ack(partition)),
            Step::FailPartition(index, partition) => self.with_stream(index, |stream| {
                let partition = partition % stream.partitions.len();
                stream.partitions[partition].next_fails = true;
            }),
            Step::Prepare(index) => self.prepare(index),
            Step::FailSink(index) => self.with_sink(index, |sink| sink.next_fails = true),
            Step::Write(write) => self.write(write),
            Step::Restart(write) => self.restart(write),
            Step::HearSplit(..) | Step::HearPartition(..) | Step::HearSink(_) | Step::HearStore => self.hear(step),
        }
    }

    fn hear(&mut self, step: &Step) {
        let fact = match *step {
            Step::HearSplit(index, split) => self.stream(index).and_then(|stream| {
                let id = nth(stream.splits.keys(), split)?;
                stream.splits.get_mut(&id)?.reports.pop_front()
            }),
            Step::HearPartition(index, partition) => self.stream(index).and_then(|stream| {
                let partition = partition % stream.partitions.len();
                stream.partitions[partition].reports.pop_front()
            }),
            Step::HearSink(index) => {
                let id = nth(self.sinks.keys(), index);
                id.and_then(|id| self.sinks.get_mut(&id)?.reports.pop_front())
            }
            _ => self.store.reports.pop_front(),
        };
        fact.into_iter().for_each(|fact| self.tell(fact));
    }

    fn stream(&mut self, index: usize) -> Option<&mut StreamWorld> {
        let id = nth(self.streams.keys(), index)?;
        self.streams.get_mut(&id)
    }

    fn with_stream(&mut self, index: usize, act: impl FnOnce(&mut StreamWorld)) {
        if let Some(stream) = self.stream(index) {
            act(stream);
        }
    }

    fn with_sink(&mut self, index: usize, act: impl FnOnce(&mut Sink)) {
        if let Some(id) = nth(self.sinks.keys(), index)
            && let Some(sink) = self.sinks.get_mut(&id)
        {
            act(sink);
        }
    }

    fn pass(&mut self, us: u64) {
        self.now_us += us;
        self.tell(Fact::Tick(self.now_us));
    }

    fn start(&mut self, splits: u32, partitions: usize) {
        let id = self.next_stream;
        self.next_stream = id.next();
        let stream = StreamWorld::new(id, splits, partitions);
        let fact = stream.starts();
        self.streams.insert(id, stream);
        self.tell(fact);
    }

    fn drop_stream(&mut self, index: usize) {
        let Some(id) = nth(self.streams.keys(), index) else { return };
        self.streams.remove(&id);
        self.sinks.retain(|_, sink| sink.stream != id);
        self.tell(Fact::StreamDropped(id));
    }

    fn add_sink(&mut self, index: usize) {
        let Some(stream) = nth(self.streams.keys(), index) else { return };
        let id = self.next_sink;
        self.next_sink = id.next();
        self.register_sink(id, stream);
    }

    fn register_sink(&mut self, id: SinkId, stream: StreamId) {
        let sink = Sink {
            stream,
            since: self.newest().next(),
            asked: BTreeSet::new(),
            waiting: VecDeque::new(),
            heard: BTreeSet::new(),
            next_fails: false,
            reports: VecDeque::new(),
            published: None,
        };
        self.sinks.insert(id, sink);
        self.tell(Fact::SinkAdded(id, stream));
    }

    fn drop_sink(&mut self, index: usize) {
        let Some(id) = nth(self.sinks.keys(), index) else { return };
        self.sinks.remove(&id);
        self.tell(Fact::SinkDropped(id));
    }

    fn change_plan(&mut self, index: usize) {
        let fact = self.stream(index).map(|stream| {
            stream.plan = stream.plan.next();
            Fact::PlanChanges(stream.id, stream.plan)
        });
        fact.into_iter().for_each(|fact| self.tell(fact));
    }

    fn prepare(&mut self, index: usize) {
        let Some(id) = nth(self.sinks.keys(), index) else { return };
        self.with_sink(index, |sink| {
            let Some(epoch) = sink.waiting.pop_front() else { return };
            let fails = std::mem::take(&mut sink.next_fails);
            sink.reports.push_back(if fails { Fact::Failed(epoch, Failure::Sink) } else { Fact::Prepared(id, epoch) });
        });
    }

    fn write(&mut self, write: Write) {
        let Some((epoch, streams)) = self.store.writing.take() else { return };
        if write != Write::FailedInVain {
            self.store.committed = epoch;
            for part in streams.iter().filter(|part| self.streams.contains_key(&part.stream)) {
                self.store.snapshots.insert(part.stream, self.streams[&part.stream].snapshot(epoch));
            }
        }
        if write == Write::Done {
            self.store.reports.push_back(Fact::Committed(epoch));
        } else {
            self.store.reports.push_back(Fact::Failed(epoch, Failure::Commit));
            self.store.reports.push_back(Fact::Reopened(self.store.committed));
        }
    }

    /// All that is not durable is gone; sinks and streams are what the script says.
    fn restart(&mut self, write: Write) {
        self.write(write);
        self.store.reports.clear();
        self.store.in_doubt = false;
        let committed = self.store.committed;
        self.restored = committed;
        self.epochs.clear();
        self.looks.clear();
        self.coordinator = coordinator(committed);
        self.tell(Fact::Tick(self.now_us));
        for (id, stream) in std::mem::take(&mut self.streams) {
            let stream = stream.restored(committed, self.store.snapshots.get(&id));
            let (fact, plan) = (stream.starts(), stream.plan);
            let changes = plan > stream.in_force;
            self.streams.insert(id, stream);
            self.tell(fact);
            if changes {
                self.tell(Fact::PlanChanges(id, plan));
            }
        }
        for (id, sink) in std::mem::take(&mut self.sinks) {
            self.register_sink(id, sink.stream);
        }
    }

    /// The last epoch started, as far as the world knows.
    fn newest(&self) -> Epoch {
        self.epochs.last_key_value().map_or(self.restored, |(&epoch, _)| epoch)
    }

    /// Epochs that are started and neither committed nor given up, as far as the world knows.
    fn in_flight(&self) -> usize {
        self.epochs.values().filter(|epoch| matches!(epoch.stage, Stage::Flying | Stage::Asked(_))).count()
    }
}

fn coordinator(committed: Epoch) -> Coordinator {
    Coordinator::new(CoordinatorOptions { interval_us: INTERVAL_US, in_flight_max: IN_FLIGHT_MAX, committed })
}

/// The element at `index`, counted round and round.
fn nth<'a, T: Copy + 'a>(elements: impl Iterator<Item = &'a T> + Clone, index: usize) -> Option<T> {
    let count = elements.clone().count();
    if count == 0 { None } else { elements.copied().nth(index % count) }
}
