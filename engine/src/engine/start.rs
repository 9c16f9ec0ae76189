//! Starting streams and splits: where actors and tasks go.
//!
//! Partition p's replica r lives on core (p + r) mod threads, split s is read on core s mod threads. Placement never shows in results.

use super::{Joining, Shared};
use crate::actor::Actor;
use crate::core_loop::Control;
use crate::error::{Error, Result};
use crate::ingest::{IngestTask, Input};
use crate::stream::Stream;
use crate::writer::{Writer, WriterQueue};
use crossbeam::channel::bounded;
use raympp_coordinator::Fact;
use raympp_operators::sharing::SharedPlan;
use raympp_state::chain::{Chain, ChainOptions};
use raympp_state::delta::Mark;
use raympp_state::replica::Replica;
use raympp_types::{Epoch, EventTime, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Starts reading a stream from its connector, or makes it ready for writers.
pub(super) fn start_stream(shared: &Arc<Shared>, stream: &Arc<Stream>) -> Result<()> {
    if stream.started.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    let mut tasks = Vec::new();
    if let Some(input) = stream.input.lock().take() {
        stream.finite.store(!input.source.endless(), Ordering::Release);
        stream.source.get_or_init(|| input.source);
        for (index, (name, reader)) in input.splits.into_iter().enumerate() {
            let split = SplitId(index as u32);
            let counters = stream.add_split(split, name);
            let task = IngestTask::new(
                Arc::clone(stream),
                Input::Reader(reader),
                open_chain(stream, split, RunningWatermark::default()),
                shared.options.flush,
                counters,
            )?;
            tasks.push(task);
        }
    }
    let splits: Vec<SplitId> = tasks.iter().map(|task| task.split).collect();
    place_actors(shared, stream, &splits);
    let shared_plan = stream.shared.load();
    tracing::info!(stream = %stream.title(), splits = splits.len(), metrics = shared_plan.metrics.len(), "stream starts");
    shared.tell_coordinator(Fact::StreamStarts {
        stream: stream.id,
        splits,
        partitions: stream.key_groups.partitions(),
        plan: shared_plan.version,
    });
    for (index, task) in tasks.into_iter().enumerate() {
        shared.cores[index % shared.cores.len()].tell(Control::Task(Box::new(task)));
    }
    Ok(())
}

fn place_actors(shared: &Arc<Shared>, stream: &Arc<Stream>, splits: &[SplitId]) {
    let plan = stream.shared.load_full();
    let bound_us = stream.plan.load().bound_us;
    for partition in 0..stream.key_groups.partitions() {
        for copy in 0..shared.options.replicas {
            let replica = Replica::new(PartitionId(partition), Arc::clone(&plan), bound_us, stream.time_type(), splits);
            // Nothing has been sent to it, so nothing is missing.
            replica.view().publish_as_of(shared.options.clock.now_us());
            let actor = Actor::new(Arc::clone(stream), PartitionId(partition), copy == 0, replica);
            let core = (partition as usize + copy) % shared.cores.len();
            shared.cores[core].tell(Control::Actor(Box::new(actor)));
        }
    }
}

fn open_chain(stream: &Stream, split: SplitId, watermark: RunningWatermark) -> Chain {
    let plan = stream.plan.load();
    let options = ChainOptions {
        event_time: plan.event_time,
        bound_us: plan.bound_us,
        max_jump_us: plan.max_jump_us,
        keep_late_rows: stream.keeps_late_rows.load(Ordering::Acquire),
    };
    Chain::open(split, SplitTerm(1), Offset(0), watermark, options, &stream.shared.load(), stream.key_groups)
}

/// Opens a writer: its split joins the stream at the next barrier, which is due at once and waited for. From then on every partition
/// waits for the split, whatever the others do.
pub(super) fn open_writer(shared: &Arc<Shared>, stream: &Arc<Stream>) -> Result<Writer> {
    start_stream(shared, stream)?;
    let queue = Writer::queue_for(stream);
    let (answer, answered) = bounded(1);
    let (split, core) = {
        let mut state = shared.state.lock();
        let split = SplitId(stream.next_writer.fetch_add(1, Ordering::Relaxed));
        stream.add_split(split, format!("writer {}", split.0));
        let core = split.0 as usize % shared.cores.len();
        state.joining.insert((stream.id, split), Joining { queue: Arc::clone(&queue), core, answer });
        // Queues that only this list knows have been emptied for good.
        state.writers.retain(|(_, queue)| Arc::strong_count(queue) > 1);
        state.writers.push((stream.id, Arc::clone(&queue)));
        (split, core)
    };
    if let Some(error) = shared.failure() {
        return Err(error);
    }
    stream.finite.store(true, Ordering::Release);
    shared.tell_coordinator(Fact::SplitJoins(stream.id, split));
    answered.recv().unwrap_or(Err(Error::ShutDown))?;
    Ok(Writer::new(Arc::clone(stream), split, queue, Arc::clone(&shared.cores[core])))
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
    let mut chain = open_chain(stream, split, RunningWatermark::default());
    chain.adopt(&shared_plan);
    let input = Input::Writer(queue as Arc<WriterQueue>);
    let mut task = IngestTask::new(Arc::clone(stream), input, chain, shared.options.flush, counters)?;
    tracing::debug!(stream = %stream.title(), %split, %floor, %epoch, "split joins");
    task.begin(Mark::Barrier { epoch, splits, plan }, floor);
    shared.cores[core].tell(Control::Task(Box::new(task)));
    // The caller waits for this.
    let _ = answer.send(Ok(()));
    Ok(())
}
