//! The epochs of streams.
//!
//! One barrier per stream is under way at a time: it is *placed* when every split that was live at its start has marked it (or ended).
//! The frontier F(n) at the barrier is the lowest watermark that splits had there; splits that asked to join in the meantime are
//! opened then, with floor F(n), and their chains begin with barrier n. An epoch is committed when it is placed and all partitions have acked
//! it; later epochs may be placed before. Invariants: barriers of a stream are started in order and placed in order; floors never fall;
//! a split is opened once, and only after a barrier whose list names it.
//!
//! A barrier needs a chain to stand in. One that no chain carried, because its splits had ended before it reached them, tells partitions
//! nothing and is void: nobody is waited for, a plan it would have brought is handed to partitions directly, and splits that would have
//! joined are refused, since without word of them the stream completes.

use crate::action::Action;
use crate::fact::Fact;
use crate::idle::{Floor, IdleSplits, Rise, Silence};
use raympp_types::{Epoch, EventTime, PartitionId, PlanVersion, SplitId, StreamId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A barrier on its way through the splits.
struct Placing {
    epoch: Epoch,
    splits: Arc<[SplitId]>,
    waiting: BTreeSet<SplitId>,
    joining: Vec<SplitId>,
    lowest: EventTime,
    plan: PlanVersion,
    /// Some split has marked it.
    carried: bool,
}

/// A placed barrier that partitions have yet to ack.
struct Placed {
    frontier: EventTime,
    waiting: BTreeSet<PartitionId>,
}

struct StreamEpochs {
    partitions: u32,
    live: BTreeSet<SplitId>,
    wants_to_join: Vec<SplitId>,
    plan: PlanVersion,
    /// The plan of the last barrier placed.
    in_force: PlanVersion,
    /// It has had a split.
    begun: bool,
    started: Epoch,
    placing: Option<Placing>,
    placed: BTreeMap<Epoch, Placed>,
    /// Acks that came before the last split's word that it placed the barrier.
    early_acks: BTreeSet<(Epoch, PartitionId)>,
    frontier: EventTime,
    due_us: u64,
    idle: IdleSplits,
}

/// The state machine.
pub struct Coordinator {
    interval_us: u64,
    now_us: u64,
    streams: BTreeMap<StreamId, StreamEpochs>,
}

impl Coordinator {
    /// Starts an epoch per stream every `interval_us` microseconds of the time it is told.
    pub fn new(interval_us: u64) -> Coordinator {
        Coordinator { interval_us, now_us: 0, streams: BTreeMap::new() }
    }

    /// When something is due without a fact other than the time, in microseconds of the time it is told.
    pub fn due_us(&self) -> Option<u64> {
        let barrier = |stream: &StreamEpochs| stream.can_start().then_some(stream.due_us);
        self.streams.values().flat_map(|stream| [barrier(stream), stream.idle.due_us()]).flatten().min()
    }

    /// Takes a fact and answers with what is to be done now.
    pub fn learn(&mut self, fact: Fact) -> Vec<Action> {
        match fact {
            Fact::Tick(now_us) => {
                self.now_us = self.now_us.max(now_us);
                let streams: Vec<StreamId> = self.streams.keys().copied().collect();
                return streams.into_iter().flat_map(|stream| [self.start_if_due(stream), self.raise_floors(stream)]).flatten().collect();
            }
            Fact::StreamStarts { stream, splits, partitions, plan } => {
                self.streams.insert(stream, StreamEpochs::new(splits, partitions, plan, self.now_us + self.interval_us));
            }
            Fact::StreamDropped(stream) => {
                self.streams.remove(&stream);
            }
            Fact::SplitJoins(stream, split) => return self.change(stream, |epochs| epochs.wants_to_join.push(split)),
            Fact::PlanChanges(stream, plan) => return self.change(stream, |epochs| epochs.plan = plan),
            Fact::Placed(stream, epoch, split, watermark) => return self.placed(stream, Some(epoch), split, watermark),
            Fact::SplitEnded(stream, split) => return self.ended(stream, split),
            Fact::Acked(stream, epoch, partition) => return self.acked(stream, epoch, partition),
            Fact::SplitIdle(stream, split, silence) => return self.turned_idle(stream, split, silence),
            Fact::SplitActive(stream, split) => {
                self.streams.get_mut(&stream).into_iter().for_each(|epochs| epochs.idle.not_idle(split));
                return self.raise_floors(stream);
            }
            Fact::Watermarks(stream, watermarks) => return self.follow(stream, &watermarks),
        }
        Vec::new()
    }

    /// A change that wants a barrier at once.
    fn change(&mut self, stream: StreamId, change: impl FnOnce(&mut StreamEpochs)) -> Vec<Action> {
        let now_us = self.now_us;
        if let Some(epochs) = self.streams.get_mut(&stream) {
            change(epochs);
            epochs.due_us = now_us;
        }
        self.start_if_due(stream)
    }

    fn start_if_due(&mut self, id: StreamId) -> Vec<Action> {
        let (now_us, interval_us) = (self.now_us, self.interval_us);
        let Some(stream) = self.streams.get_mut(&id) else { return Vec::new() };
        if !stream.can_start() || stream.due_us > now_us {
            return Vec::new();
        }
        stream.due_us = now_us + interval_us;
        stream.started = stream.started.next();
        let joining = std::mem::take(&mut stream.wants_to_join);
        let splits: Arc<[SplitId]> = stream.live.iter().copied().chain(joining.iter().copied()).collect();
        let (epoch, plan) = (stream.started, stream.plan);
        let waiting = stream.live.clone();
        stream.placing =
            Some(Placing { epoch, splits: Arc::clone(&splits), waiting, joining, lowest: EventTime::MAX, plan, carried: false });
        let mut actions = Vec::new();
        if !stream.live.is_empty() {
            actions.push(Action::Barrier { stream: id, epoch, splits, plan });
        }
        actions.extend(self.finish_placing(id));
        actions
    }

    fn placed(&mut self, id: StreamId, epoch: Option<Epoch>, split: SplitId, watermark: EventTime) -> Vec<Action> {
        let Some(placing) = self.streams.get_mut(&id).and_then(|stream| stream.placing.as_mut()) else { return Vec::new() };
        if epoch.is_none_or(|epoch| epoch == placing.epoch) && placing.waiting.remove(&split) {
            placing.lowest = placing.lowest.min(watermark);
            placing.carried |= epoch.is_some();
        }
        self.finish_placing(id)
    }

    fn ended(&mut self, id: StreamId, split: SplitId) -> Vec<Action> {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.live.remove(&split);
            stream.idle.not_idle(split);
        }
        self.placed(id, None, split, EventTime::MAX)
    }

    /// When the last split has placed the barrier: F(n) is known and those that join can be opened.
    fn finish_placing(&mut self, id: StreamId) -> Vec<Action> {
        let Some(stream) = self.streams.get_mut(&id) else { return Vec::new() };
        let Some(placing) = stream.placing.take_if(|placing| placing.waiting.is_empty()) else { return Vec::new() };
        if placing.lowest < EventTime::MAX {
            stream.frontier = stream.frontier.max(placing.lowest);
        }
        let floor = stream.frontier;
        let open = |&split: &SplitId| Action::Open {
            stream: id,
            split,
            epoch: placing.epoch,
            splits: Arc::clone(&placing.splits),
            plan: placing.plan,
            floor,
        };
        let refused = stream.begun && !placing.carried;
        let answer = |split: &SplitId| if refused { Action::Refuse { stream: id, split: *split } } else { open(split) };
        let mut actions: Vec<Action> = placing.joining.iter().map(answer).collect();
        if !refused {
            stream.live.extend(&placing.joining);
            stream.begun |= !placing.joining.is_empty();
            placing.joining.iter().for_each(|&split| stream.idle.not_idle(split));
        }
        if placing.plan > stream.in_force {
            stream.in_force = placing.plan;
            actions.push(Action::InForce { stream: id, plan: placing.plan, carried: placing.carried });
        }
        if !placing.carried && (refused || placing.joining.is_empty()) {
            actions.extend(self.start_if_due(id));
            return actions;
        }
        let mut waiting: BTreeSet<PartitionId> = (0..stream.partitions).map(PartitionId).collect();
        waiting.retain(|&partition| !stream.early_acks.remove(&(placing.epoch, partition)));
        stream.placed.insert(placing.epoch, Placed { frontier: floor, waiting });
        actions.extend(self.commit_complete(id));
        actions.extend(self.start_if_due(id));
        actions
    }

    fn turned_idle(&mut self, id: StreamId, split: SplitId, silence: Silence) -> Vec<Action> {
        self.now_us = self.now_us.max(silence.at_us);
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.live.contains(&split)
        {
            stream.idle.turn_idle(split, silence);
        }
        self.raise_floors(id)
    }

    fn raise_floors(&mut self, id: StreamId) -> Vec<Action> {
        let now_us = self.now_us;
        let Some(stream) = self.streams.get_mut(&id) else { return Vec::new() };
        match stream.idle.rise(now_us, &stream.live) {
            Rise::Nothing => Vec::new(),
            Rise::Look => vec![Action::Look(id)],
            Rise::Floors(floors) => place(id, floors),
        }
    }

    fn follow(&mut self, id: StreamId, watermarks: &[(SplitId, EventTime)]) -> Vec<Action> {
        let now_us = self.now_us;
        let Some(stream) = self.streams.get_mut(&id) else { return Vec::new() };
        place(id, stream.idle.follow(now_us, &stream.live, watermarks))
    }

    fn acked(&mut self, id: StreamId, epoch: Epoch, partition: PartitionId) -> Vec<Action> {
        let Some(stream) = self.streams.get_mut(&id) else { return Vec::new() };
        for (&placed, state) in stream.placed.range_mut(..=epoch) {
            debug_assert!(placed <= epoch);
            state.waiting.remove(&partition);
        }
        if stream.placing.as_ref().is_some_and(|placing| placing.epoch <= epoch) {
            stream.early_acks.insert((epoch, partition));
        }
        self.commit_complete(id)
    }

    /// Commits epochs in order.
    fn commit_complete(&mut self, id: StreamId) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(stream) = self.streams.get_mut(&id) else { return actions };
        while let Some(first) = stream.placed.first_entry()
            && first.get().waiting.is_empty()
        {
            let (epoch, placed) = first.remove_entry();
            actions.push(Action::Commit { stream: id, epoch, frontier: placed.frontier });
        }
        actions
    }
}

fn place(stream: StreamId, floors: Vec<Floor>) -> Vec<Action> {
    floors.into_iter().map(|Floor { split, since_us, floor }| Action::Floor { stream, split, since_us, floor }).collect()
}

impl StreamEpochs {
    fn new(splits: Vec<SplitId>, partitions: u32, plan: PlanVersion, due_us: u64) -> StreamEpochs {
        StreamEpochs {
            partitions,
            begun: !splits.is_empty(),
            in_force: plan,
            live: splits.into_iter().collect(),
            wants_to_join: Vec::new(),
            plan,
            started: Epoch(0),
            placing: None,
            placed: BTreeMap::new(),
            early_acks: BTreeSet::new(),
            frontier: EventTime::MIN,
            due_us,
            idle: IdleSplits::default(),
        }
    }

    /// True if a barrier may be started: none is under way, and there are chains for it or a plan to bring.
    fn can_start(&self) -> bool {
        self.placing.is_none() && !(self.live.is_empty() && self.wants_to_join.is_empty() && self.plan == self.in_force)
    }
}
