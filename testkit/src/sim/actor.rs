//! One replica of one partition, with what it owes to sinks. It does what an actor of the engine does, at instants that the seed chooses.
//!
//! The primary says how far sinks have everything from it. A standby closes windows up to there only, and keeps the late rows and barriers beyond,
//! so that it can send them itself should it be promoted.

use super::canary::Canary;
use raympp_operators::sharing::SharedPlan;
use raympp_state::delta::Delta;
use raympp_state::replica::{Applied, LateRows, PassedBarrier, Replica, Want};
use raympp_state::result::ResultDelta;
use raympp_types::{Epoch, EventTime, KeyGroups, MetricId, Offset, PartitionId, PlanVersion, ReplicaId, SinkId, SplitId, Term};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What travels to a sink.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A piece of closed windows.
    Closed(Arc<ResultDelta>),
    /// Late rows of one delta.
    Late(LateRows),
    /// All that belongs to this epoch or to earlier ones has been sent.
    Sealed(Epoch),
    /// Everything has.
    Complete,
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum To {
    Metric(MetricId),
    Late,
    /// Every sink of the stream.
    All,
    One(SinkId),
}

/// Which replica.
pub(super) type Place = (PartitionId, ReplicaId);

/// On which way deltas come to a replica; a copy shares its original's, as it shares its core.
pub(super) type Lane = (PartitionId, usize);

/// How far sinks have everything from a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handed {
    frontier: EventTime,
    sealed: Epoch,
    late: BTreeMap<SplitId, Offset>,
}

impl Default for Handed {
    fn default() -> Handed {
        Handed { frontier: EventTime::MIN, sealed: Epoch(0), late: BTreeMap::new() }
    }
}

/// See the module.
pub(super) struct Actor {
    pub(super) place: Place,
    pub(super) lane: Lane,
    pub(super) replica: Replica,
    pub(super) primary: bool,
    sealing: VecDeque<(Epoch, EventTime)>,
    /// The last epoch of which it has said that it is sealed.
    sealed: Epoch,
    /// Late rows that sinks may not have from the primary.
    late: VecDeque<LateRows>,
    /// Copies that are to be made of it when sinks have all that has closed.
    pub(super) copies: Vec<ReplicaId>,
    /// Everything has closed that may close.
    at_rest: bool,
    complete: bool,
    told: BTreeSet<SinkId>,
    /// A step of closing is on the agenda.
    pub(super) closes: bool,
    /// To be sent.
    pub(super) items: VecDeque<(To, Item)>,
}

impl Actor {
    pub(super) fn new(place: Place, lane: Lane, primary: bool, replica: Replica) -> Actor {
        Actor {
            place,
            lane,
            replica,
            primary,
            sealing: VecDeque::new(),
            sealed: Epoch(0),
            late: VecDeque::new(),
            copies: Vec::new(),
            at_rest: false,
            complete: false,
            told: BTreeSet::new(),
            closes: false,
            items: VecDeque::new(),
        }
    }

    /// Applies a delta.
    pub(super) fn apply(&mut self, delta: &Arc<Delta>, plans: &BTreeMap<PlanVersion, Arc<SharedPlan>>, handed: &Handed) -> Applied {
        self.at_rest = false;
        if !self.replica.is_fenced(&delta.stamp) {
            for plan in delta.stamp.plans().filter_map(|plan| plans.get(&plan)) {
                self.replica.adopt(Arc::clone(plan));
            }
        }
        let outcome = self.replica.apply(delta);
        self.late.extend(self.replica.take_late_rows());
        if self.primary {
            self.send_late();
        } else {
            self.late.retain(|late| handed.late.get(&late.split).is_none_or(|&to| late.to > to));
        }
        self.take_passed();
        outcome
    }

    fn send_late(&mut self) {
        self.items.extend(self.late.drain(..).map(|late| (To::Late, Item::Late(late))));
    }

    pub(super) fn seal(&mut self, epoch: Epoch) {
        self.replica.seal(epoch);
        self.take_passed();
    }

    fn take_passed(&mut self) {
        while let Some(PassedBarrier { epoch, frontier, .. }) = self.replica.take_passed_barrier() {
            self.sealing.push_back((epoch, frontier));
        }
    }

    /// Closes a little more, or says what has been closed. True if there may be more to close.
    pub(super) fn close(&mut self, wanted: &BTreeSet<MetricId>, sinks: &BTreeSet<SinkId>, handed: &Handed, canary: Option<Canary>) -> bool {
        if !self.primary && canary != Some(Canary::StandbyAhead) {
            self.follow(handed);
        }
        let mut results = Vec::new();
        let primary = self.primary;
        let want = |metric: MetricId| if primary && wanted.contains(&metric) { Want::RowsWithKeys } else { Want::Nothing };
        self.at_rest = !self.replica.close_step(want, &mut results);
        if !self.at_rest {
            self.items.extend(results.into_iter().map(|result| (To::Metric(result.metric), Item::Closed(Arc::new(result)))));
            return true;
        }
        self.complete |= self.replica.closing_frontier() == EventTime::MAX;
        if self.primary {
            self.tell_sealed();
        }
        if self.complete && self.primary {
            let new: Vec<SinkId> = sinks.difference(&self.told).copied().collect();
            self.items.extend(new.iter().map(|&sink| (To::One(sink), Item::Complete)));
            self.told.extend(new);
        }
        false
    }

    /// Says which epochs are sealed; the one that takes in the rest of the stream waits for its end.
    pub(super) fn tell_sealed(&mut self) {
        while let Some((epoch, _)) = self.sealing.pop_front_if(|(_, frontier)| *frontier < EventTime::MAX || self.complete) {
            self.sealed = epoch;
            self.items.push_back((To::All, Item::Sealed(epoch)));
        }
    }

    /// How far sinks have everything from it, if they have all that it has closed.
    pub(super) fn handed(&self, key_groups: KeyGroups) -> Option<Handed> {
        if !(self.primary && self.at_rest && self.items.is_empty()) {
            return None;
        }
        let splits = self.replica.splits().iter();
        let counted = splits.filter(|(split, _)| key_groups.counts_in(**split) == self.place.0);
        let late = counted.map(|(&split, progress)| (split, progress.applied)).collect();
        Some(Handed { frontier: self.replica.closing_frontier(), sealed: self.sealed, late })
    }

    /// Closes no further than sinks have everything from the primary, and forgets what they have.
    fn follow(&mut self, handed: &Handed) {
        self.replica.close_up_to(handed.frontier);
        while self.sealing.pop_front_if(|(epoch, _)| *epoch <= handed.sealed).is_some() {}
    }

    /// Takes the place of a primary that is lost: sends what sinks may not have, under a term of its own.
    pub(super) fn promote(&mut self, term: Term, handed: &Handed) {
        self.follow(handed);
        (self.primary, self.at_rest, self.complete) = (true, false, false);
        self.replica.set_term(term);
        self.replica.close_up_to(EventTime::MAX);
        self.send_late();
    }

    /// The copies that are due: sinks have all that has closed, so nobody will have to send it for a copy.
    pub(super) fn take_copies(&mut self) -> Vec<Actor> {
        let places = std::mem::take(&mut self.copies).into_iter().map(|replica| (self.place.0, replica));
        let copy = |place: Place| Actor { sealing: self.sealing.clone(), ..Actor::new(place, self.lane, false, self.replica.copy()) };
        places.map(copy).collect()
    }
}
