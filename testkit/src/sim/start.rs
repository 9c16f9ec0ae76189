//! How a process starts: anew, or from the newest commit that the disk holds. It does what an engine does with a state directory.

use super::actor::{Actor, Handed};
use super::agenda::Link;
use super::around::Around;
use super::canary::Canary;
use super::invariants::{self, Breach, Outcome};
use super::orders::{Order, Orders};
use super::process::{Happening, Process, StreamRun};
use super::sink::{Input, Sink};
use super::task::Task;
use super::truth::{Counts, Membership, MetricTruth, StreamTruth};
use crate::reader::RowReader;
use raympp_coordinator::{Coordinator, CoordinatorOptions, Fact};
use raympp_operators::sharing::{SharedMetric, SharedPlan, Store};
use raympp_state::chain::{Chain, ChainOptions};
use raympp_state::checkpoint::{CheckpointStore, Commit, Record, SinkCommit, SplitState, StoreError, StreamCommit};
use raympp_state::delta::KeyList;
use raympp_state::epoch_list::{EpochLists, Uncounted};
use raympp_state::follower::Follower;
use raympp_state::persister::{OpenPartition, OpenStream, Persister, SplitInfo, StreamInfo};
use raympp_state::replica::{Counters, Replica, RestorePoint};
use raympp_types::{
    DataType, Epoch, EventTime, MetricId, Offset, PartitionId, PlanVersion, ReplicaId, RunningWatermark, SinkId, SplitId, SplitTerm,
    StoreUid, StreamId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Sinks of late rows have ids from here on; a sink of a metric has the metric's.
const LATE_SINKS: u32 = 1_000_000;

pub(super) fn sink_of(metric: MetricId) -> SinkId {
    SinkId(metric.0)
}

pub(super) fn late_sink_of(stream: StreamId) -> SinkId {
    SinkId(LATE_SINKS + stream.0)
}

fn unreadable(error: StoreError) -> Breach {
    Breach { invariant: "the last committed epoch is restorable", message: error.to_string() }
}

/// Starts a process on what the disk holds.
pub(super) fn process(around: &mut Around) -> Outcome<Process> {
    around.disk.plant(None);
    let newest = around.disk.commits().map_err(unreadable)?.last().copied();
    let commit = newest.map(|epoch| around.disk.read_commit(epoch)).transpose().map_err(unreadable)?;
    let committed = newest.unwrap_or_default();
    around.note(format!("process {} starts from {committed}", around.incarnation));
    around.tally.resumed += u64::from(committed > Epoch(0));
    let streams = commit.iter().flat_map(|commit| &commit.streams);
    let vector = streams.flat_map(|stream| stream.splits.iter().map(|split| ((stream.id, split.id), split.offset))).collect();
    around.witness.go_back(committed, &vector);
    let streams: Vec<StreamId> = around.truths.keys().copied().collect();
    for &id in &streams {
        let of_stream = commit.as_ref().and_then(|commit| commit.streams.iter().find(|stream| stream.id == id));
        around.truth(id).go_back(of_stream, committed);
    }
    let persister = Persister::open(Box::new(around.disk.clone()), commit.as_ref(), around.pace.keep, || ()).map_err(unreadable)?;
    let options = CoordinatorOptions { interval_us: around.pace.interval_us, in_flight_max: around.pace.in_flight_max, committed };
    let mut process = Process::new(Coordinator::new(options), Orders::new(persister));
    let now_us = around.now_us();
    process.learn(around, Fact::Tick(now_us))?;
    for id in streams {
        start_stream(around, &mut process, id, commit.as_ref())?;
    }
    Ok(process)
}

fn start_stream(around: &mut Around, process: &mut Process, id: StreamId, commit: Option<&Commit>) -> Outcome {
    let from = commit.and_then(|commit| commit.streams.iter().find(|stream| stream.id == id));
    let epoch = commit.map_or(Epoch(0), |commit| commit.epoch);
    settle_members(around, id, from, epoch);
    let new = from.map_or_else(Vec::new, |from| begin_with(around, id, from, epoch));
    let begin = Begin::of(&around.truths[&id], from, epoch, &new);
    let run = open_partitions(around, &mut process.orders.persister, &begin, from).map_err(unreadable)?;
    let places = run.places();
    process.streams.insert(id, run);
    for (partition, replica) in places {
        process.learn(around, Fact::ReplicaInSync(id, partition, replica))?;
    }
    let taken = from.map(|stream| (epoch, stream.frontier));
    let running: Vec<MetricId> = begin.plan.metrics.iter().map(|metric| metric.id).collect();
    for (sink, input) in sinks_of(&around.truths[&id], &running) {
        let handle =
            commit.and_then(|commit| commit.sinks.iter().find(|found| found.name == name_of(sink))).map(|sink| sink.handle.clone());
        add_sink(around, process, id, (sink, input), handle.as_deref(), taken)?;
    }
    for (&split, state) in begin.splits.iter().filter(|(_, state)| !state.ended) {
        let opened = open_task(around, id, split, state, &begin.plan)?;
        around.later(0, Happening::Read(id, split, opened.term));
        process.run(id).tasks.insert(split, opened);
    }
    for (&split, state) in begin.splits.iter().filter(|(_, state)| state.ended) {
        let mut over = open_task(around, id, split, state, &begin.plan)?;
        over.ended = true;
        process.run(id).tasks.insert(split, over);
    }
    let live: Vec<SplitId> = begin.splits.values().filter(|state| !state.ended).map(|state| state.split).collect();
    let ended = live.is_empty() && !begin.splits.is_empty();
    let partitions = around.truths[&id].key_groups.partitions();
    process
        .learn(around, Fact::StreamStarts { stream: id, live, ended, partitions, plan: begin.plan.version, frontier: begin.frontier })?;
    process.run(id).places().into_iter().for_each(|place| process.schedule_close(around, id, place));
    ask_for_the_rest(around, process, id)
}

/// Splits that had asked to join and are in no commit: those of a stream that starts anew, and some of those of one that goes on, are there from
/// its start, as files are that have come meanwhile.
fn settle_members(around: &mut Around, id: StreamId, from: Option<&StreamCommit>, epoch: Epoch) {
    let known = |split: SplitId| from.is_some_and(|from| from.splits.iter().any(|known| known.id == split));
    let asked: Vec<SplitId> =
        around.truths[&id].splits.iter().filter(|(_, split)| split.membership == Membership::Asked).map(|(&id, _)| id).collect();
    for split in asked.into_iter().filter(|&split| !known(split)) {
        let membership = match from {
            None => Membership::Since(Epoch(0)),
            Some(from) if from.frontier == EventTime::MAX => Membership::Refused,
            Some(_) if around.random.once_in(2) => Membership::Asked,
            Some(from) => {
                around.truth(id).raise(split, Offset(0), from.frontier);
                Membership::Since(epoch.next())
            }
        };
        around.truth(id).split(split).membership = membership;
    }
}

/// Metrics that the script has and the commit does not: some begin with the process, and count from the commit's barrier; the others are added later.
fn begin_with(around: &mut Around, id: StreamId, from: &StreamCommit, epoch: Epoch) -> Vec<MetricId> {
    let known = |id: MetricId| from.metrics.iter().any(|known| known.id == id);
    let missing: Vec<MetricId> = around.truths[&id].metrics.iter().filter(|m| m.wanted && !known(m.id)).map(|m| m.id).collect();
    let new: Vec<MetricId> = missing.into_iter().filter(|_| around.random.once_in(2)).collect();
    new.iter().for_each(|&metric| around.truth(id).metric(metric).counts = Counts::Behind(epoch));
    new
}

/// What the job's script has and the process does not.
fn ask_for_the_rest(around: &mut Around, process: &mut Process, id: StreamId) -> Outcome {
    let truth = &around.truths[&id];
    let running: Vec<MetricId> = process.run(id).newest.metrics.iter().map(|metric| metric.id).collect();
    let missing: Vec<MetricId> = truth.metrics.iter().filter(|m| m.wanted && !running.contains(&m.id)).map(|m| m.id).collect();
    let dropped: Vec<MetricId> = running.iter().copied().filter(|id| truth.metrics.iter().any(|m| m.id == *id && m.dropped)).collect();
    let asked: Vec<SplitId> = truth.splits.iter().filter(|(_, split)| split.membership == Membership::Asked).map(|(&id, _)| id).collect();
    for metric in missing {
        super::changes::add_metric(around, process, id, metric)?;
    }
    for metric in dropped {
        super::changes::drop_metric(around, process, id, metric)?;
    }
    asked.into_iter().try_for_each(|split| process.learn(around, Fact::SplitJoins(id, split)))
}

/// The sinks that a stream has for these metrics, and the one of its late rows.
fn sinks_of(truth: &StreamTruth, metrics: &[MetricId]) -> Vec<(SinkId, Input)> {
    let has_sink = |metric: &&MetricTruth| metric.wanted && metrics.contains(&metric.id) && metric.plan.window.has_bounds();
    let of_metrics = truth.metrics.iter().filter(has_sink).map(|metric| (sink_of(metric.id), Input::Metric(metric.id)));
    of_metrics.chain([(late_sink_of(truth.id), Input::Late)]).collect()
}

fn name_of(sink: SinkId) -> String {
    format!("sink {}", sink.0)
}

/// Adds a sink that goes on from a handle.
pub(super) fn add_sink(
    around: &mut Around,
    process: &mut Process,
    stream: StreamId,
    (id, input): (SinkId, Input),
    handle: Option<&[u8]>,
    taken: Option<(Epoch, EventTime)>,
) -> Outcome {
    let handle = handle.unwrap_or_default();
    let rows = around.media.entry(id).or_default().recover(handle);
    let rows =
        rows.map_err(|message| Breach { invariant: "sinks publish what is committed", message: format!("sink {}: {message}", id.0) })?;
    around.tally.rows += rows.len() as u64;
    around.witness.published_once(id, rows, taken.map_or(EventTime::MIN, |(_, frontier)| frontier))?;
    let partitions = around.truths[&stream].key_groups.partitions() as usize;
    process.sinks.insert(id, Sink::new(id, stream, input, partitions, taken));
    let commit = SinkCommit { name: name_of(id), stream, definition: String::new(), handle: handle.to_vec(), ahead: None };
    process.orders.give(around, Order::AddSink(id, Box::new(commit)));
    process.learn(around, Fact::SinkAdded(id, stream))
}

/// What a stream begins with.
struct Begin {
    id: StreamId,
    epoch: Epoch,
    frontier: EventTime,
    plan: Arc<SharedPlan>,
    stores: BTreeMap<usize, StoreUid>,
    first_after: HashMap<MetricId, EventTime>,
    splits: BTreeMap<SplitId, SplitState>,
    uncounted: Uncounted,
}

impl Begin {
    fn of(truth: &StreamTruth, from: Option<&StreamCommit>, epoch: Epoch, new: &[MetricId]) -> Begin {
        let floor = from.map_or(EventTime::MIN, |from| from.frontier);
        let watermark = RunningWatermark { max_event_time: EventTime::MIN, floor };
        let unread = |split| SplitState { split, offset: Offset(0), watermark, ended: false, marks: Vec::new() };
        let mut splits: BTreeMap<SplitId, SplitState> = truth.members().map(|(id, _)| (id, unread(id))).collect();
        for split in from.iter().flat_map(|from| &from.splits) {
            let state = SplitState { offset: split.offset, watermark: split.watermark, ended: split.ended, ..unread(split.id) };
            splits.insert(split.id, state);
        }
        let (plan, stores) = match from {
            None => {
                let wanted = truth.metrics.iter().filter(|metric| metric.wanted);
                let metrics: Vec<_> = wanted.map(|metric| (metric.id, Arc::clone(&metric.plan))).collect();
                (SharedPlan::of(PlanVersion(1), &metrics), BTreeMap::new())
            }
            Some(from) => {
                let (mut plan, stores) = plan_of(truth, from);
                for metric in truth.metrics.iter().filter(|metric| new.contains(&metric.id)) {
                    plan = plan.with(metric.id, &metric.plan);
                }
                (plan, stores)
            }
        };
        let of_new = from.iter().flat_map(|from| new.iter().map(|&id| (id, from.max_event_time)));
        let first_after = from.iter().flat_map(|from| &from.metrics).filter_map(|metric| Some((metric.id, metric.first_after?)));
        Begin {
            id: truth.id,
            epoch: from.map_or(Epoch(0), |_| epoch),
            frontier: floor,
            plan: Arc::new(plan),
            first_after: first_after.chain(of_new).collect(),
            splits,
            uncounted: from.map(|from| uncounted(from, &stores)).unwrap_or_default(),
            stores,
        }
    }
}

/// The plan of a commit without holes, and what its stores are called.
fn plan_of(truth: &StreamTruth, from: &StreamCommit) -> (SharedPlan, BTreeMap<usize, StoreUid>) {
    let plan = &truth.plans[&from.plan];
    let live: Vec<usize> = plan.live_stores().map(|(position, _)| position).collect();
    let position = |store: usize| live.iter().position(|&old| old == store).expect("a store of a metric is in use");
    let moved = |metric: &Arc<SharedMetric>| Arc::new(SharedMetric { store: position(metric.store), ..SharedMetric::clone(metric) });
    let uid = |metric: &Arc<SharedMetric>| {
        let committed = from.metrics.iter().find(|committed| committed.id == metric.id);
        (position(metric.store), committed.expect("the commit has the plan's metrics").store)
    };
    let stores = live.iter().map(|&old| plan.stores[old].clone()).collect();
    let names = plan.metrics.iter().map(uid).collect();
    (SharedPlan { stores, metrics: plan.metrics.iter().map(moved).collect(), ..SharedPlan::clone(plan) }, names)
}

fn open_partitions(
    around: &mut Around,
    persister: &mut Persister,
    begin: &Begin,
    from: Option<&StreamCommit>,
) -> Result<StreamRun, StoreError> {
    let (mut actors, mut opened) = (Vec::new(), Vec::new());
    let swaps_keys = around.has(Canary::IdsPersisted);
    let truth = around.truth(begin.id);
    truth.plans.insert(begin.plan.version, Arc::clone(&begin.plan));
    for partition in (0..truth.key_groups.partitions()).map(PartitionId) {
        let held = from.map(|from| Held::load(persister, from.id, partition, begin, swaps_keys)).transpose()?;
        let actor = |lane: usize| {
            let place = (partition, ReplicaId(lane as u32));
            Actor::new(place, (partition, lane), lane == 0, replica(truth, partition, begin, held.as_ref()))
        };
        actors.push((0..truth.replicas).map(actor).collect::<Vec<Actor>>());
        let (bound_us, states) = (truth.plan.bound_us, begin.states());
        let lists = match held {
            None => EpochLists::new(partition, &begin.plan, bound_us, &begin.split_ids()),
            Some(_) => EpochLists::resume(partition, &begin.plan, bound_us, (begin.epoch, begin.frontier), &states),
        };
        opened.push(OpenPartition { partition, lists, uncounted: held.map(|held| held.uncounted).unwrap_or_default() });
    }
    let info = |id: SplitId| (id, SplitInfo { name: id.to_string(), fingerprint: String::new() });
    persister.open_stream(OpenStream {
        info: StreamInfo {
            id: begin.id,
            name: begin.id.to_string(),
            definition: truth.plan.meaning(),
            bound_us: truth.plan.bound_us,
            key_groups: truth.key_groups.groups(),
            partitions: truth.key_groups.partitions(),
        },
        plan: Arc::clone(&begin.plan),
        stores: begin.stores.clone(),
        first_after: begin.first_after.iter().map(|(&id, &time)| (id, time)).collect(),
        splits: truth.splits.keys().copied().map(info).collect(),
        partitions: opened,
        committed: from.cloned(),
    });
    Ok(StreamRun {
        plans: BTreeMap::from([(begin.plan.version, Arc::clone(&begin.plan))]),
        newest: Arc::clone(&begin.plan),
        tasks: BTreeMap::new(),
        unread: BTreeMap::new(),
        followers: begin.splits.values().map(|split| (split.split, begin.follower(split))).collect(),
        ordered: None,
        handed: vec![Handed::default(); actors.len()],
        actors,
        lost: BTreeMap::new(),
        deltas: BTreeMap::new(),
        broken: BTreeSet::new(),
        controls: BTreeMap::new(),
        noticed: Link::default(),
    })
}

impl Begin {
    fn follower(&self, split: &SplitState) -> Follower {
        Follower::at(split.offset, split.watermark, self.epoch, self.plan.version, split.ended)
    }

    fn states(&self) -> Vec<SplitState> {
        self.splits.values().cloned().collect()
    }

    fn split_ids(&self) -> Vec<SplitId> {
        self.splits.keys().copied().collect()
    }
}

fn replica(truth: &StreamTruth, partition: PartitionId, begin: &Begin, held: Option<&Held>) -> Replica {
    let mut replica = Replica::new(partition, Arc::clone(&begin.plan), truth.plan.bound_us, time_type(truth), &begin.split_ids());
    if let Some(held) = held {
        held.records.iter().for_each(|(store, slice, record)| replica.load(*store, *slice, record.clone()));
        replica.resume(RestorePoint {
            epoch: begin.epoch,
            splits: begin.states(),
            frontier: begin.frontier,
            first_after: begin.first_after.clone(),
            counters: Counters { late: held.uncounted.late, bad: held.uncounted.bad, ..Counters::default() },
            bad_by_store: held.uncounted.bad_by_store.clone(),
        });
    }
    replica
}

pub(super) fn time_type(truth: &StreamTruth) -> DataType {
    truth.plan.event_time.map_or(DataType::Timestamp, |column| truth.plan.schema.fields[column].data_type)
}

/// What a checkpoint has of a partition.
struct Held {
    records: Vec<(usize, i64, Record)>,
    uncounted: Uncounted,
}

impl Held {
    fn load(persister: &Persister, stream: StreamId, partition: PartitionId, begin: &Begin, swaps_keys: bool) -> Result<Held, StoreError> {
        let mut records = Vec::new();
        for (&position, &uid) in &begin.stores {
            let store: &Store = begin.plan.stores[position].as_ref().expect("without holes");
            for id in persister.records_at((stream, partition, uid), begin.epoch)? {
                records.push((position, id.slice, persister.store().read(&id, &store.accumulators)?));
            }
        }
        if swaps_keys {
            records.iter_mut().for_each(|(_, _, record)| swap_keys(record));
        }
        // What counts in no window is known for the stream as a whole.
        let uncounted = if partition == PartitionId(0) { begin.uncounted.clone() } else { Uncounted::default() };
        Ok(Held { records, uncounted })
    }
}

fn uncounted(from: &StreamCommit, stores: &BTreeMap<usize, StoreUid>) -> Uncounted {
    let position_of = |uid: StoreUid| stores.iter().find(|(_, other)| **other == uid).map(|(&position, _)| position);
    let bad_by_store = from.counts.bad_by_store.iter().filter_map(|&(uid, bad)| Some((position_of(uid)?, bad))).collect();
    Uncounted { late: from.counts.late, bad: from.counts.bad, bad_by_store }
}

/// Ids are given in order of arrival, so after a restart they mean other keys.
fn swap_keys(record: &mut Record) {
    let mut swapped = KeyList::default();
    let keys: Vec<&[u8]> = record.keys.iter().collect();
    keys.iter().rev().for_each(|key| swapped.push(key));
    record.keys = swapped;
}

fn open_task(around: &mut Around, id: StreamId, split: SplitId, state: &SplitState, plan: &Arc<SharedPlan>) -> Outcome<Task> {
    let truth = &around.truths[&id];
    let found = &truth.splits[&split];
    if !state.ended {
        invariants::nothing_needed_is_forgotten((id, split), state.offset, found.forgotten)?;
    }
    let mut reader = RowReader::new(found.rows.clone());
    reader.seek(state.offset);
    let term = SplitTerm(around.incarnation);
    let chain = Chain::open(split, term, state.offset, state.watermark, chain_options(truth), plan, truth.key_groups);
    Ok(Task::new(id, term, chain, Arc::clone(plan), reader, &around.pace))
}

/// The task of a split that joins a running stream at a barrier.
pub(super) fn joining_task(around: &mut Around, id: StreamId, split: SplitId, plan: &Arc<SharedPlan>, epoch: Epoch) -> Task {
    let term = SplitTerm(around.incarnation);
    around.truth(id).split(split).membership = Membership::Since(epoch);
    let truth = &around.truths[&id];
    let chain = Chain::open(split, term, Offset(0), RunningWatermark::default(), chain_options(truth), plan, truth.key_groups);
    Task::new(id, term, chain, Arc::clone(plan), RowReader::new(truth.splits[&split].rows.clone()), &around.pace)
}

pub(super) fn chain_options(truth: &StreamTruth) -> ChainOptions {
    let stream = &truth.plan;
    ChainOptions { event_time: stream.event_time, bound_us: stream.bound_us, max_jump_us: stream.max_jump_us, keep_late_rows: true }
}
