//! What a stream needs of the next epoch, and what becomes of its splits and plans at a barrier.
//!
//! A stream *needs* an epoch while it has live splits, splits that want to join, a plan that is not in force, or something that is in no
//! epoch which may still be committed: the rest after its last split's end, for instance. While the epoch that has all of it is not committed, it
//! takes part in every other one, though it needs none: if that one is given up, the next stands for both, and so must have the stream.
//!
//! A stream whose splits have all ended is *complete*: no split can join it, since nobody would know of it. Its barriers are carried by no chain;
//! partitions seal it.

use crate::action::Action;
use crate::idle::IdleSplits;
use crate::placing::Placing;
use raympp_types::{Epoch, EventTime, PlanVersion, SplitId, StreamId};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// How urgently an epoch is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Not at all.
    Nothing,
    /// At the next interval.
    InTime,
    /// Somebody waits for it.
    AtOnce,
}

/// A barrier that has been placed in a stream.
pub(crate) struct Placed {
    pub(crate) epoch: Epoch,
    pub(crate) frontier: EventTime,
    pub(crate) plan: PlanVersion,
    pub(crate) actions: Vec<Action>,
    /// The stream has completed behind the barrier, so there is a rest to be taken in.
    pub(crate) leaves_rest: bool,
}

/// One stream.
pub(crate) struct StreamState {
    id: StreamId,
    partitions: u32,
    pub(crate) live: BTreeSet<SplitId>,
    wants_to_join: Vec<SplitId>,
    plan: PlanVersion,
    /// The plan of the last barrier placed.
    in_force: PlanVersion,
    /// It has had a split.
    begun: bool,
    placing: Option<Placing>,
    frontier: EventTime,
    /// The last epoch it took part in.
    last_part: Epoch,
    /// Of a stream without live splits: the first epoch that has all of it; `None` if there is none that may still be committed.
    whole_since: Option<Epoch>,
    pub(crate) idle: IdleSplits,
}

impl StreamState {
    /// A stream that starts anew; `ended`: it has had splits, which have all ended.
    pub(crate) fn new(id: StreamId, live: Vec<SplitId>, ended: bool, partitions: u32, plan: PlanVersion) -> StreamState {
        StreamState {
            id,
            partitions,
            begun: ended || !live.is_empty(),
            live: live.into_iter().collect(),
            wants_to_join: Vec::new(),
            plan,
            in_force: plan,
            placing: None,
            frontier: EventTime::MIN,
            last_part: Epoch(0),
            whole_since: Some(Epoch(0)),
            idle: IdleSplits::default(),
        }
    }

    /// As of a committed epoch.
    pub(crate) fn restored(self, frontier: EventTime) -> StreamState {
        StreamState { frontier, ..self }
    }

    /// All its splits have ended.
    pub(crate) fn is_complete(&self) -> bool {
        self.begun && self.live.is_empty() && self.placing.is_none()
    }

    pub(crate) fn is_placing(&self) -> bool {
        self.placing.is_some()
    }

    pub(crate) fn need(&self) -> Need {
        if !self.wants_to_join.is_empty() || self.plan > self.in_force {
            Need::AtOnce
        } else if !self.live.is_empty() || self.whole_since.is_none() {
            Need::InTime
        } else {
            Need::Nothing
        }
    }

    /// True if the next epoch has to have it; see the module. `committed`: the last committed epoch.
    pub(crate) fn takes_part(&self, committed: Epoch) -> bool {
        self.need() > Need::Nothing || self.whole_since.is_some_and(|since| since > committed)
    }

    /// The number of partitions that will ack the next barrier: none where no partition can ever see it, since there is no split yet.
    pub(crate) fn partitions_of_next(&self) -> u32 {
        if self.begun || !self.wants_to_join.is_empty() { self.partitions } else { 0 }
    }

    /// A split wants to join. `Some`: it can't.
    pub(crate) fn join(&mut self, split: SplitId) -> Option<Action> {
        if self.is_complete() {
            return Some(Action::Refuse { stream: self.id, split });
        }
        self.wants_to_join.push(split);
        None
    }

    pub(crate) fn change_plan(&mut self, plan: PlanVersion) {
        self.plan = self.plan.max(plan);
    }

    /// One more sink takes what the stream has left.
    pub(crate) fn add_sink(&mut self) {
        if self.is_complete() {
            self.whole_since = None;
        }
    }

    /// Starts the barrier of an epoch.
    pub(crate) fn start(&mut self, epoch: Epoch) -> Option<Action> {
        let placing = Placing::new(epoch, &self.live, std::mem::take(&mut self.wants_to_join), self.plan);
        let (splits, plan) = (Arc::clone(&placing.splits), placing.plan);
        self.last_part = epoch;
        self.placing = Some(placing);
        (!self.live.is_empty()).then_some(Action::Barrier { stream: self.id, epoch, splits, plan })
    }

    pub(crate) fn mark(&mut self, epoch: Epoch, split: SplitId, watermark: EventTime) {
        if let Some(placing) = self.placing.as_mut().filter(|placing| placing.epoch == epoch) {
            placing.mark(split, watermark);
        }
    }

    pub(crate) fn end(&mut self, split: SplitId) {
        let last = self.live.remove(&split) && self.live.is_empty();
        self.idle.not_idle(split);
        if let Some(placing) = &mut self.placing {
            placing.end(split);
        }
        if last {
            self.whole_since = None;
        }
    }

    /// Splits that wait to join a stream that has become complete.
    pub(crate) fn refuse_late(&mut self) -> Vec<Action> {
        let refused = if self.is_complete() { std::mem::take(&mut self.wants_to_join) } else { Vec::new() };
        refused.into_iter().map(|split| Action::Refuse { stream: self.id, split }).collect()
    }

    /// When the last split has placed the barrier: F(n) is known and those that join can be opened. The closures tell whether an
    /// epoch may still be committed, and whether it has all sinks of the stream.
    pub(crate) fn finish_placing(&mut self, in_flight: impl Fn(Epoch) -> bool, has_all_sinks: impl Fn(Epoch) -> bool) -> Option<Placed> {
        let placing = self.placing.take_if(|placing| placing.is_placed())?;
        let (epoch, plan, brings_plan) = (placing.epoch, placing.plan, placing.plan > self.in_force);
        let sealed = self.begun && placing.lowest().is_none();
        let frontier = if sealed { EventTime::MAX } else { placing.lowest().unwrap_or(EventTime::MIN) };
        self.frontier = self.frontier.max(frontier);
        let mut actions = if sealed { self.refuse(&placing) } else { self.open(&placing) };
        if brings_plan {
            self.in_force = plan;
            actions.push(Action::InForce { stream: self.id, plan, carried: placing.lowest().is_some() });
        }
        let in_flight = in_flight(epoch);
        if sealed && in_flight {
            actions.push(Action::Seal { stream: self.id, epoch });
        }
        if sealed || !self.begun {
            let since = self.whole_since.filter(|_| !brings_plan).unwrap_or(epoch);
            self.whole_since = (in_flight && has_all_sinks(epoch)).then_some(since);
        }
        let leaves_rest = !sealed && self.is_complete();
        Some(Placed { epoch, frontier: self.frontier, plan, actions, leaves_rest })
    }

    fn refuse(&self, placing: &Placing) -> Vec<Action> {
        placing.joining.iter().map(|&split| Action::Refuse { stream: self.id, split }).collect()
    }

    fn open(&mut self, placing: &Placing) -> Vec<Action> {
        self.live.extend(&placing.joining);
        self.begun |= !placing.joining.is_empty();
        placing.joining.iter().for_each(|&split| self.idle.not_idle(split));
        let open = |&split: &SplitId| Action::Open {
            stream: self.id,
            split,
            epoch: placing.epoch,
            splits: Arc::clone(&placing.splits),
            plan: placing.plan,
            floor: self.frontier,
        };
        placing.joining.iter().map(open).collect()
    }

    /// An epoch has been given up: what was in it needs another, unless one in flight has it too.
    pub(crate) fn give_up(&mut self, epoch: Epoch, committed: Epoch, in_flight: impl Fn(RangeInclusive<Epoch>) -> bool) {
        let had_it = |since: &Epoch| (*since..=self.last_part).contains(&epoch);
        if let Some(since) = self.whole_since.filter(had_it)
            && since > committed
            && !in_flight(since..=self.last_part)
        {
            self.whole_since = None;
        }
    }
}
