//! Replacing what has panicked: readers of splits and replicas of partitions. Runs on the coordinator's thread, which decides who takes whose place.
//!
//! *A reader.* All replicas in sync are asked under a new split term how far they are, and so is the persister's queue; the new reader is opened as
//! their answers say ([`Opening`]). Cores answer when they have applied what was sent to them, so a barrier that the lost reader had told of is in
//! every answer; one that it was asked for and nobody has is placed anew.
//!
//! *A replica.* Readers of views look at another one at once. The coordinator promotes a standby in sync if it was the primary, and has the place filled
//! again by a copy of the primary. Without another in sync the job ends, since nobody has what it held.
//!
//! What breaks again at the same place is broken for good: after a few times without progress the job ends with the panic's words.

use super::start::{chain_options, home_of};
use super::{Shared, State};
use crate::core_loop::Control;
use crate::error::{Error, Result};
use crate::ingest::{IngestTask, Input};
use crate::stream::{Ordered, Origin, Stream};
use raympp_coordinator::{Action, Coordinator, Fact};
use raympp_state::chain::Chain;
use raympp_state::crash_point::{CrashPoint, visit};
use raympp_state::delta::{Mark, PlacedMark};
use raympp_state::opening::{Answer, Opened, Opening};
use raympp_types::{Epoch, Offset, PartitionId, ReplicaId, RunningWatermark, SplitId, SplitTerm, StreamId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How often a reader may be lost without having got further.
const LOST_MAX: u32 = 3;

/// What cores report besides facts.
pub(crate) enum Event {
    /// A task has panicked.
    ReaderLost {
        /// Of which stream.
        stream: StreamId,
        /// Of which split.
        split: SplitId,
        /// How many rows it had taken.
        reached: Offset,
        /// What the panic says.
        message: String,
    },
    /// Replicas of a core answer the next reader of a split.
    Answered {
        /// Of which stream.
        stream: StreamId,
        /// Of which split.
        split: SplitId,
        /// Of the next reader.
        term: SplitTerm,
        /// Which core.
        core: usize,
        /// By replica.
        answers: Vec<((PartitionId, ReplicaId), Answer)>,
    },
    /// An actor has panicked.
    ReplicaLost {
        /// Of which stream.
        stream: StreamId,
        /// Of which partition.
        partition: PartitionId,
        /// Which replica.
        replica: ReplicaId,
        /// The place that is empty now.
        slot: usize,
        /// What the panic says.
        message: String,
    },
    /// A replica has been copied.
    Repaired {
        /// Of which stream.
        stream: StreamId,
        /// Of which partition.
        partition: PartitionId,
        /// What was copied.
        original: ReplicaId,
        /// The one that has come.
        replica: ReplicaId,
    },
}

/// Who answers for a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Listener {
    Replica(PartitionId, ReplicaId),
    /// What has been put into its queue.
    Persister,
}

/// A split that has no reader.
struct Unread {
    stream: Arc<Stream>,
    term: SplitTerm,
    opening: Opening<Listener>,
    /// Cores that have not answered.
    cores: BTreeSet<usize>,
    reached: Offset,
    message: String,
}

/// See the module.
#[derive(Default)]
pub(super) struct Supervisor {
    unread: BTreeMap<(StreamId, SplitId), Unread>,
    /// Places of replicas that are lost or have not come yet.
    empty: BTreeMap<(StreamId, PartitionId, ReplicaId), usize>,
    /// What the last replica of a partition that was lost has said.
    messages: BTreeMap<(StreamId, PartitionId), String>,
}

impl Supervisor {
    /// Deals with an event; actions of the coordinator are to be carried out by the caller.
    pub(super) fn take(&mut self, shared: &Arc<Shared>, coordinator: &mut Coordinator, event: Event) -> Vec<Action> {
        match event {
            Event::ReaderLost { stream, split, reached, message } => {
                self.ask(shared, coordinator, (stream, split), (reached, message));
                Vec::new()
            }
            Event::Answered { stream, split, term, core, answers } => {
                if let Some(unread) = self.unread.get_mut(&(stream, split)).filter(|unread| unread.term == term) {
                    unread.cores.remove(&core);
                    for ((partition, replica), answer) in answers {
                        unread.opening.answer(Listener::Replica(partition, replica), answer);
                    }
                }
                self.open_complete(shared);
                Vec::new()
            }
            Event::ReplicaLost { stream, partition, replica, slot, message } => {
                self.empty.insert((stream, partition, replica), slot);
                self.messages.insert((stream, partition), message);
                let actions = coordinator.learn(Fact::ReplicaLost(stream, partition, replica));
                for unread in self.unread.values_mut().filter(|unread| unread.stream.id == stream) {
                    unread.opening.remove(Listener::Replica(partition, replica));
                }
                if let Some(found) = super::stream_by_id(shared, stream)
                    && !coordinator.in_sync(stream, partition).is_empty()
                {
                    found.stop_waiting_for(partition, slot);
                }
                note_in_sync(shared, coordinator, stream, partition);
                self.open_complete(shared);
                actions
            }
            Event::Repaired { stream, partition, original, replica } => {
                self.empty.remove(&(stream, partition, replica));
                for unread in self.unread.values_mut().filter(|unread| unread.stream.id == stream) {
                    unread.opening.copied(Listener::Replica(partition, original), Listener::Replica(partition, replica));
                }
                note_in_sync(shared, coordinator, stream, partition);
                Vec::new()
            }
        }
    }

    /// Carries out what the coordinator has decided of replicas; other actions are given back.
    pub(super) fn carry_out(&mut self, shared: &Arc<Shared>, action: Action) -> Option<Action> {
        match action {
            Action::Promote { stream, partition, replica, term } => {
                if let Some(found) = super::stream_by_id(shared, stream) {
                    found.promotions.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(stream = %found.title(), %partition, %replica, %term, "a standby takes the primary's place");
                }
                let promote = || Control::Promote { stream, partition, replica, term };
                shared.cores.iter().for_each(|core| core.tell(promote()));
                visit(CrashPoint::Promoted);
            }
            Action::Repair { stream, partition, replica, instead_of } => {
                if let Some(slot) = self.empty.remove(&(stream, partition, instead_of)) {
                    self.empty.insert((stream, partition, replica), slot);
                    shared.cores.iter().for_each(|core| core.tell(Control::Copy { stream, partition, replica, slot }));
                }
            }
            Action::Orphaned { stream, partition } => {
                let message = self.messages.remove(&(stream, partition)).unwrap_or_default();
                let name = super::stream_by_id(shared, stream).map_or_else(String::new, |stream| stream.title());
                shared.fail(Error::Panicked {
                    what: format!("stream {name}: the last replica of {partition}"),
                    message,
                    hint: "nobody else has what it held; replicas(2) keeps another one".to_owned(),
                });
            }
            other => return Some(other),
        }
        None
    }

    /// Asks all who listen to a split how far they are.
    fn ask(&mut self, shared: &Arc<Shared>, coordinator: &Coordinator, at: (StreamId, SplitId), (reached, message): (Offset, String)) {
        let Some(stream) = super::stream_by_id(shared, at.0) else {
            shared.takeovers.fetch_sub(1, Ordering::SeqCst);
            return;
        };
        let term = {
            let mut readers = stream.readers.lock();
            let Some(reader) = readers.get_mut(&at.1) else {
                shared.takeovers.fetch_sub(1, Ordering::SeqCst);
                return;
            };
            reader.term = reader.term.next();
            reader.term
        };
        let partitions = (0..stream.key_groups.partitions()).map(PartitionId);
        let replicas = partitions.flat_map(|partition| {
            let in_sync = coordinator.in_sync(at.0, partition).into_iter();
            in_sync.map(move |replica| Listener::Replica(partition, replica))
        });
        let persister = stream.host.persister.is_some().then_some(Listener::Persister);
        let mut opening = Opening::new(replicas.chain(persister));
        if let Some(answer) = stream.followers.lock().get_mut(&at.1).and_then(|follower| follower.answer(term)) {
            opening.answer(Listener::Persister, answer);
        }
        let cores = (0..shared.cores.len()).collect();
        self.unread.insert(at, Unread { stream, term, opening, cores, reached, message });
        shared.cores.iter().for_each(|core| core.tell(Control::Answer { stream: at.0, split: at.1, term }));
    }

    /// Opens the splits whose listeners have all answered.
    fn open_complete(&mut self, shared: &Arc<Shared>) {
        let complete = |unread: &Unread| unread.cores.is_empty() && unread.opening.is_complete();
        let done: Vec<(StreamId, SplitId)> = self.unread.iter().filter(|(_, unread)| complete(unread)).map(|(&at, _)| at).collect();
        for at in done {
            if let Some(unread) = self.unread.remove(&at)
                && let Err(error) = open(shared, at.1, unread)
            {
                shared.fail(error);
            }
            shared.takeovers.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn note_in_sync(shared: &Shared, coordinator: &Coordinator, stream: StreamId, partition: PartitionId) {
    if let Some(found) = super::stream_by_id(shared, stream) {
        let in_sync = coordinator.in_sync(stream, partition).len();
        found.partitions[partition.0 as usize].in_sync.store(in_sync, Ordering::Relaxed);
    }
}

/// Opens a split as its listeners have answered.
fn open(shared: &Arc<Shared>, split: SplitId, unread: Unread) -> Result<()> {
    let Unread { stream, term, mut opening, reached, message, .. } = unread;
    opening.know(joined_with(&stream, split));
    let opened = match opening.open() {
        // Without replicas the job has failed, or the stream is gone.
        None => return Ok(()),
        Some(opened) => opened.map_err(|disagreement| {
            let (one, other) = (disagreement.one.offset, disagreement.other.offset);
            Error::Refused(format!(
                "stream {}, {split}: replicas have one mark at {one} and at {other}; this is a bug of the engine",
                stream.title()
            ))
        })?,
    };
    tracing::warn!(stream = %stream.title(), %split, %term, at = %opened.at, "a split has a new reader");
    stream.tasks_replaced.fetch_add(1, Ordering::Relaxed);
    if let Some(PlacedMark { behind, watermark, .. }) = &opened.placed {
        shared.tell_coordinator(Fact::Placed(stream.id, *behind, split, watermark.watermark(stream.plan.bound_us)));
    }
    if opened.over {
        shared.tell_coordinator(Fact::SplitEnded(stream.id, split));
        return Ok(());
    }
    count_loss(&stream, split, reached, message)?;
    let input = open_input(&stream, split, &opened)?;
    start_reader(shared, &stream, (split, term), &opened, input)
}

/// The marks that a writer's split joined with: at its beginning, whoever has heard of them.
fn joined_with(stream: &Stream, split: SplitId) -> Vec<PlacedMark> {
    let readers = stream.readers.lock();
    let Some(Origin::Writer(_, marks)) = readers.get(&split).map(|reader| &reader.origin) else { return Vec::new() };
    let behind = marks.iter().find_map(|mark| if let Mark::Barrier { epoch, .. } = mark { Some(*epoch) } else { None });
    let behind = behind.unwrap_or_default();
    let place = |mark: &Mark| PlacedMark { offset: Offset(0), behind, watermark: RunningWatermark::default(), mark: mark.clone() };
    marks.iter().map(place).collect()
}

/// Gives up on a reader that breaks again and again without getting further.
fn count_loss(stream: &Stream, split: SplitId, reached: Offset, message: String) -> Result<()> {
    let mut readers = stream.readers.lock();
    let reader = readers.get_mut(&split).expect("it has had a reader");
    reader.lost_at = match reader.lost_at {
        (at, times) if at >= reached => (at, times + 1),
        _ => (reached, 1),
    };
    if reader.lost_at.1 <= LOST_MAX {
        return Ok(());
    }
    let what = format!("stream {}: the reader of {split}, again and again behind row {reached},", stream.title());
    Err(Error::Panicked { what, message, hint: "a row there may be the reason".to_owned() })
}

/// The rows of a split from an offset on.
fn open_input(stream: &Stream, split: SplitId, opened: &Opened) -> Result<Input> {
    let readers = stream.readers.lock();
    let reader = readers.get(&split).expect("it has had a reader");
    match &reader.origin {
        Origin::Writer(queue, _) => {
            queue.go_back(opened.at);
            Ok(Input::Writer(Arc::clone(queue)))
        }
        Origin::Connector(index, fingerprint) => {
            let source = stream.source.get().expect("a connector's split");
            let opened = source.open_again(*index, opened.at, fingerprint);
            opened.map(Input::Reader).map_err(|error| Error::Source { stream: stream.name(), error: Arc::new(error) })
        }
    }
}

fn start_reader(
    shared: &Arc<Shared>,
    stream: &Arc<Stream>,
    (split, term): (SplitId, SplitTerm),
    opened: &Opened,
    input: Input,
) -> Result<()> {
    // One that nobody has heard of begins with a barrier, and under its plan.
    let first = opened.stops.front().filter(|stop| stop.at == opened.at && opened.behind == Epoch(0));
    let brought =
        first.and_then(|stop| stop.marks.iter().find_map(|mark| if let Mark::Barrier { plan, .. } = mark { Some(*plan) } else { None }));
    let plan = stream.plan_of(brought.unwrap_or(opened.plan));
    let chain = Chain::open_again(split, term, opened, chain_options(stream), &plan, stream.key_groups);
    let counters = stream.splits.lock().get(&split).cloned().expect("noted when the split was made");
    counters.rows.store(opened.at.0, Ordering::Relaxed);
    let mut task = IngestTask::new(Arc::clone(stream), input, chain, shared.options.flush, counters)?;
    let is_due = |ordered: &Ordered| ordered.epoch > opened.barrier && ordered.splits.contains(&split);
    task.late_rows_from = shared.late_rows_from(stream.id, split);
    task.begin_again(stream.ordered.lock().clone().filter(is_due));
    shared.cores[home_of(shared, split)].tell(Control::Task(Box::new(task)));
    Ok(())
}

/// Notes that a stream's replicas have been placed, each in sync from the beginning.
pub(super) fn note_replicas(shared: &Shared, stream: &Stream) {
    for partition in (0..stream.key_groups.partitions()).map(PartitionId) {
        for replica in (0..shared.options.replicas as u32).map(ReplicaId) {
            shared.tell_coordinator(Fact::ReplicaInSync(stream.id, partition, replica));
        }
        stream.partitions[partition.0 as usize].in_sync.store(shared.options.replicas, Ordering::Relaxed);
    }
}

/// Notes a committed epoch: the persister's queue answers for nothing before it.
pub(super) fn note_committed(state: &State, epoch: Epoch) {
    state.all_streams().for_each(|stream| stream.note_committed(epoch));
}
