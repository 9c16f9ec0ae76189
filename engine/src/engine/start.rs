//! Starting streams and splits: where actors and tasks go.
//!
//! Partition p's replica r lives on core (p + r) mod threads, split s is read on core s mod threads. Placement never shows in results.

use super::prepare::OpenedSplit;
use super::supervise::note_replicas;
use super::{Joining, Shared};
use crate::actor::Actor;
use crate::checkpoint::{HeldStream, Order, ResumedSplit};
use crate::core_loop::Control;
use crate::error::{Error, Result};
use crate::ingest::{IngestTask, Input};
use crate::producer::{ProducerId, ProducerState};
use crate::source::Fingerprint;
use crate::stream::{Origin, Reader, Stream, split_info};
use crate::writer::{Writer, WriterQueue};
use crossbeam::channel::bounded;
use raympp_coordinator::Fact;
use raympp_operators::sharing::SharedPlan;
use raympp_state::chain::{Chain, ChainOptions};
use raympp_state::checkpoint::SplitState;
use raympp_state::delta::Mark;
use raympp_state::epoch_list::{EpochLists, Uncounted};
use raympp_state::follower::Follower;
use raympp_state::persister::{OpenPartition, OpenStream, SplitInfo, StreamInfo};
use raympp_state::replica::{Counters, Replica, RestorePoint};
use raympp_types::{Epoch, EventTime, Offset, PartitionId, PlanVersion, ReplicaId, RunningWatermark, SplitId, SplitTerm, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Starts reading a stream from its connector, or makes it ready for writers; from a checkpoint if the stream has one.
pub(super) fn start_stream(shared: &Arc<Shared>, stream: &Arc<Stream>) -> Result<()> {
    if stream.started.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    let splits = match stream.input.lock().take() {
        Some(input) => {
            stream.finite.store(!input.source.endless(), Ordering::Release);
            stream.source.get_or_init(|| input.source);
            input.splits
        }
        None => Vec::new(),
    };
    for undefined in stream.resume.iter().flat_map(|resume| shared.undefined(resume)) {
        let advice = "what the checkpoint has of it is let go of; define it in the script that creates its stream to go on with it";
        tracing::warn!(stream = %stream.title(), "{undefined} is not defined: {advice}");
    }
    let plan = stream.shared.load_full();
    let start = Start::of(stream, &splits);
    place_actors(shared, stream, &plan, &start)?;
    let producers = resumed_producers(stream);
    let read = splits.iter().filter(|split| split.reader.is_some()).map(|split| split.id);
    let live: Vec<SplitId> = read.chain(producers.iter().filter(|(.., split)| !split.ended).map(|(.., split)| split.id)).collect();
    let ended = live.is_empty() && !start.splits.is_empty();
    stream.settled.store(ended, Ordering::Release);
    if !producers.is_empty() {
        stream.finite.store(true, Ordering::Release);
        stream.next_writer.store(stream.resume.as_ref().map_or(0, |resume| resume.next_split().0), Ordering::Relaxed);
    }
    tracing::info!(stream = %stream.title(), splits = live.len(), metrics = plan.metrics.len(), epoch = start.epoch.0, "stream starts");
    let mut tasks = splits.into_iter().map(|split| task_of(shared, stream, split, &start)).collect::<Result<Vec<_>>>()?;
    for producer in producers {
        tasks.push(task_of_producer(shared, stream, producer)?);
    }
    shared.state.lock().starting.insert(stream.id, tasks.into_iter().flatten().collect());
    let (partitions, frontier) = (stream.key_groups.partitions(), start.frontier);
    shared.tell_coordinator(Fact::StreamStarts { stream: stream.id, live, ended, partitions, plan: plan.version, frontier });
    Ok(())
}

/// Sends the tasks of a stream that starts to their cores. The coordinator's thread does it, right before the coordinator learns of the stream: so
/// every barrier comes to a core behind the tasks that are to mark it, and every fact of a task to the coordinator behind the stream's start.
pub(super) fn place_tasks(shared: &Shared, stream: StreamId) {
    let mut state = shared.state.lock();
    for task in state.starting.remove(&stream).into_iter().flatten() {
        shared.cores[home_of(shared, task.split)].tell(Control::Task(Box::new(task)));
    }
}

/// The core that a split is read on.
pub(super) fn home_of(shared: &Shared, split: SplitId) -> usize {
    split.0 as usize % shared.cores.len()
}

/// The task of a split, unless it has been read to its end.
fn task_of(shared: &Arc<Shared>, stream: &Arc<Stream>, split: OpenedSplit, start: &Start) -> Result<Option<IngestTask>> {
    let counters = stream.add_split(split.id, split.name);
    let origin = Origin::Connector(split.index, split.fingerprint.clone());
    stream.readers.lock().insert(split.id, Reader::first(origin));
    let begins = start.splits.iter().find(|begins| begins.split == split.id).expect("the start has every split");
    let (offset, watermark) = (begins.offset, begins.watermark);
    counters.rows.store(offset.0, Ordering::Relaxed);
    let Some(reader) = split.reader else {
        counters.ended.store(true, Ordering::Relaxed);
        return Ok(None);
    };
    let chain = open_chain(stream, split.id, offset, watermark);
    let mut task = IngestTask::new(Arc::clone(stream), Input::Reader(reader), chain, shared.options.flush, counters)?;
    task.late_rows_from = shared.late_rows_from(stream.id, split.id);
    Ok(Some(task))
}

/// Producers that the checkpoint has, with their splits. They are not connected.
fn resumed_producers(stream: &Stream) -> Vec<(ProducerId, ProducerState, ResumedSplit)> {
    let of_split = |(name, split): (&String, &ResumedSplit)| match split.fingerprint {
        Fingerprint::Producer(state) => Some((ProducerId::of_split(name)?, state, split.clone())),
        _ => None,
    };
    stream.resume.iter().flat_map(|resume| &resume.splits).filter_map(of_split).collect()
}

/// The task of a producer's split, which waits for its next session, unless it has finished.
fn task_of_producer(
    shared: &Arc<Shared>,
    stream: &Arc<Stream>,
    (producer, state, split): (ProducerId, ProducerState, ResumedSplit),
) -> Result<Option<IngestTask>> {
    let counters = stream.add_split(split.id, producer.split_name());
    counters.begin_at(split.offset);
    stream.producers.lock().insert(producer, split.id);
    if split.ended {
        counters.ended.store(true, Ordering::Relaxed);
        return Ok(None);
    }
    let queue = Arc::new(WriterQueue::new(&stream.plan.schema, split.offset, state.session, false));
    stream.readers.lock().insert(split.id, Reader::first(Origin::Writer(Arc::clone(&queue), Vec::new())));
    shared.state.lock().writers.push((stream.id, Arc::clone(&queue)));
    let chain = open_chain(stream, split.id, split.offset, split.watermark);
    let mut task = IngestTask::new(Arc::clone(stream), Input::Writer(queue), chain, shared.options.flush, counters)?;
    task.late_rows_from = shared.late_rows_from(stream.id, split.id);
    Ok(Some(task))
}

/// What the partitions of a stream begin with.
struct Start {
    epoch: Epoch,
    frontier: EventTime,
    splits: Vec<SplitState>,
    infos: BTreeMap<SplitId, SplitInfo>,
}

impl Start {
    fn of(stream: &Stream, splits: &[OpenedSplit]) -> Start {
        let unread = |split: &OpenedSplit| {
            let watermark = RunningWatermark::default();
            SplitState { split: split.id, offset: Offset(0), watermark, ended: false, marks: Vec::new() }
        };
        let info = |split: &OpenedSplit| (split.id, split_info(split.name.clone(), &split.fingerprint));
        let mut infos: BTreeMap<SplitId, SplitInfo> = splits.iter().map(info).collect();
        match &stream.resume {
            None => Start { epoch: Epoch(0), frontier: EventTime::MIN, splits: splits.iter().map(unread).collect(), infos },
            Some(resume) => {
                // What has been read to its end may be gone by now.
                for split in &resume.stream.splits {
                    let known = || SplitInfo { name: split.name.clone(), fingerprint: split.fingerprint.clone() };
                    infos.entry(split.id).or_insert_with(known);
                }
                let joining = splits.iter().filter(|split| split.resumed.is_none()).map(|split| split.id);
                Start { epoch: resume.epoch, frontier: resume.frontier(), splits: resume.states(joining), infos }
            }
        }
    }
}

fn place_actors(shared: &Arc<Shared>, stream: &Arc<Stream>, plan: &Arc<SharedPlan>, start: &Start) -> Result<()> {
    note_replicas(shared, stream);
    let bound_us = stream.plan.bound_us;
    let ids: Vec<SplitId> = start.splits.iter().map(|split| split.split).collect();
    let resume = stream.resume.as_ref().zip(shared.checkpoints.as_ref());
    let stores = resume.map(|(resume, _)| resume.stores(plan, stream.key_groups)).transpose()?.unwrap_or_default();
    let first_after = resume.map(|(resume, _)| resume.first_after(plan)).unwrap_or_default();
    let mut held = resume.map(|(resume, checkpoints)| HeldStream::open(checkpoints, resume, &stores, stream.key_groups)).transpose()?;
    let mut opened = Vec::new();
    for partition in (0..stream.key_groups.partitions()).map(PartitionId) {
        let new = || Replica::new(partition, Arc::clone(plan), bound_us, stream.time_type(), &ids);
        let mut replicas: Vec<Replica> = (0..shared.options.replicas).map(|_| new()).collect();
        let mut lists = EpochLists::new(partition, plan, bound_us, &ids);
        let mut uncounted = Uncounted::default();
        if let Some(held) = &mut held {
            lists = EpochLists::resume(partition, plan, bound_us, (start.epoch, start.frontier), &start.splits);
            held.partition(partition, |record| {
                record.put_back_into(&mut lists, start.epoch);
                if let Some((last, others)) = replicas.split_last_mut() {
                    others.iter_mut().for_each(|replica| record.clone().load_into(replica));
                    record.load_into(last);
                }
            })?;
            uncounted = held.uncounted(partition);
            for replica in &mut replicas {
                replica.resume(RestorePoint {
                    epoch: start.epoch,
                    splits: start.splits.clone(),
                    frontier: start.frontier,
                    first_after: first_after.clone(),
                    counters: Counters { late: uncounted.late, bad: uncounted.bad, ..Counters::default() },
                    bad_by_store: uncounted.bad_by_store.clone(),
                });
            }
        }
        for (copy, replica) in replicas.into_iter().enumerate() {
            // Nothing has been sent to it, so nothing is missing.
            replica.view().publish_as_of(shared.options.clock.now_us());
            let actor = Actor::new(Arc::clone(stream), partition, ReplicaId(copy as u32), copy, copy == 0, replica);
            let core = (partition.0 as usize + copy) % shared.cores.len();
            shared.cores[core].tell(Control::Actor(Box::new(actor)));
        }
        opened.push(OpenPartition { partition, lists, uncounted });
    }
    if let Some(checkpoints) = &shared.checkpoints {
        let follow =
            |split: &SplitState| (split.split, Follower::at(split.offset, split.watermark, start.epoch, plan.version, split.ended));
        stream.followers.lock().extend(start.splits.iter().map(follow));
        let info = StreamInfo {
            id: stream.id,
            name: stream.title(),
            definition: stream.plan.meaning(),
            bound_us,
            key_groups: stream.key_groups.groups(),
            partitions: stream.key_groups.partitions(),
        };
        checkpoints.tell(Order::OpenStream(Box::new(OpenStream {
            info,
            plan: Arc::clone(plan),
            stores: stores.iter().filter(|store| store.is_same).map(|store| (store.position, store.uid)).collect(),
            first_after: first_after.into_iter().collect(),
            splits: start.infos.clone(),
            partitions: opened,
            committed: stream.resume.as_ref().map(|resume| resume.stream.clone()),
        })));
    }
    Ok(())
}

pub(super) fn chain_options(stream: &Stream) -> ChainOptions {
    let plan = &stream.plan;
    ChainOptions {
        event_time: plan.event_time,
        bound_us: plan.bound_us,
        max_jump_us: plan.max_jump_us,
        keep_late_rows: stream.keeps_late_rows.load(Ordering::Acquire),
    }
}

fn open_chain(stream: &Stream, split: SplitId, at: Offset, watermark: RunningWatermark) -> Chain {
    Chain::open(split, SplitTerm(1), at, watermark, chain_options(stream), &stream.shared.load(), stream.key_groups)
}

/// Opens a writer: its split joins the stream at the next barrier, which is due at once and waited for. From then on every partition
/// waits for the split, whatever the others do.
pub(super) fn open_writer(shared: &Arc<Shared>, stream: &Arc<Stream>) -> Result<Writer> {
    start_stream(shared, stream)?;
    let queue = Arc::new(WriterQueue::new(&stream.plan.schema, Offset(0), 1, true));
    let (answer, answered) = bounded(1);
    let (split, producer, core) = {
        let mut state = shared.state.lock();
        let split = SplitId(stream.next_writer.fetch_add(1, Ordering::Relaxed));
        let producer = shared.producers.issue(split);
        stream.add_split(split, producer.split_name());
        stream.producers.lock().insert(producer, split);
        let core = split.0 as usize % shared.cores.len();
        state.joining.insert((stream.id, split), Joining { queue: Arc::clone(&queue), core, answer });
        // Queues that only this list knows have been emptied for good.
        state.writers.retain(|(_, queue)| Arc::strong_count(queue) > 1);
        state.writers.push((stream.id, Arc::clone(&queue)));
        (split, producer, core)
    };
    if let Some(error) = shared.failure() {
        return Err(error);
    }
    stream.finite.store(true, Ordering::Release);
    shared.tell_coordinator(Fact::SplitJoins(stream.id, split));
    answered.recv().unwrap_or(Err(Error::ShutDown))?;
    Ok(Writer::new(Arc::clone(stream), (split, producer, 1), Offset(0), queue, Arc::clone(&shared.cores[core])))
}

/// Opens the next session of a producer that is known.
pub(super) fn resume_writer(shared: &Arc<Shared>, stream: &Arc<Stream>, producer: ProducerId, session: u64) -> Result<Writer> {
    let refused = |why: &str| Err(Error::Refused(format!("stream {}: producer {producer} {why}; open a new writer", stream.name())));
    let Some(split) = stream.producers.lock().get(&producer).copied() else {
        return refused("is not known: no checkpoint that was restored has it, or it finished more than a day ago");
    };
    let queue = match stream.readers.lock().get(&split).map(|reader| &reader.origin) {
        Some(Origin::Writer(queue, _)) => Arc::clone(queue),
        _ => return refused("has finished"),
    };
    let resumes_at = Offset(queue.claim(producer, session)?);
    stream.note_producer(split, ProducerState { session, finished_us: None });
    let core = Arc::clone(&shared.cores[home_of(shared, split)]);
    core.wake();
    Ok(Writer::new(Arc::clone(stream), (split, producer, session), resumes_at, queue, core))
}

/// Starts the task of a split that joined at a barrier.
pub(super) fn open_joining(
    shared: &Arc<Shared>,
    stream: &Arc<Stream>,
    split: SplitId,
    (epoch, splits, plan): (Epoch, Arc<[SplitId]>, PlanVersion),
    floor: EventTime,
) -> Result<()> {
    let Some(Joining { queue, core, answer }) = shared.state.lock().joining.remove(&(stream.id, split)) else { return Ok(()) };
    let counters = stream.splits.lock().get(&split).cloned().expect("noted when the writer was opened");
    let shared_plan: Arc<SharedPlan> = stream.plan_of(plan);
    let mut chain = open_chain(stream, split, Offset(0), RunningWatermark::default());
    chain.adopt(&shared_plan);
    let barrier = Mark::Barrier { epoch, splits, plan };
    let floors = (floor > EventTime::MIN).then_some(Mark::Floor(floor));
    if stream.host.persister.is_some() {
        let follower = Follower::at(Offset(0), RunningWatermark::default(), Epoch(0), plan, false);
        stream.followers.lock().insert(split, follower);
        stream.note_producer(split, ProducerState { session: 1, finished_us: None });
    }
    let joined_with = std::iter::once(barrier.clone()).chain(floors).collect();
    stream.readers.lock().insert(split, Reader::first(Origin::Writer(Arc::clone(&queue), joined_with)));
    let input = Input::Writer(queue as Arc<WriterQueue>);
    let mut task = IngestTask::new(Arc::clone(stream), input, chain, shared.options.flush, counters)?;
    tracing::debug!(stream = %stream.title(), %split, %floor, %epoch, "split joins");
    task.begin(barrier, floor);
    shared.cores[core].tell(Control::Task(Box::new(task)));
    // The caller waits for this.
    let _ = answer.send(Ok(()));
    Ok(())
}
