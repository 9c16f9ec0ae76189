//! One replica of one partition, with what it owes to sinks. It does what an actor of the engine does, at instants that the seed chooses.

use arrow::array::RecordBatch;
use raympp_operators::sharing::SharedPlan;
use raympp_state::delta::Delta;
use raympp_state::replica::{Applied, LateRows, PassedBarrier, Replica, Want};
use raympp_state::result::ResultDelta;
use raympp_types::{Epoch, EventTime, MetricId, PartitionId, PlanVersion, SinkId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What travels to a sink.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A piece of closed windows.
    Closed(Arc<ResultDelta>),
    /// Late rows, and the first epoch that they may belong to.
    Late(Epoch, RecordBatch),
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

/// Where an actor is: partition and number of the replica; the primary's is 0.
pub(super) type Place = (PartitionId, usize);

/// See the module.
pub(super) struct Actor {
    pub(super) place: Place,
    pub(super) replica: Replica,
    sealing: VecDeque<(Epoch, EventTime)>,
    complete: bool,
    told: BTreeSet<SinkId>,
    /// A step of closing is on the agenda.
    pub(super) closes: bool,
    /// To be sent.
    pub(super) items: Vec<(To, Item)>,
}

impl Actor {
    pub(super) fn new(place: Place, replica: Replica) -> Actor {
        let (told, items) = (BTreeSet::new(), Vec::new());
        Actor { place, replica, sealing: VecDeque::new(), complete: false, told, closes: false, items }
    }

    pub(super) fn is_primary(&self) -> bool {
        self.place.1 == 0
    }

    /// Applies a delta.
    pub(super) fn apply(&mut self, delta: &Arc<Delta>, plans: &BTreeMap<PlanVersion, Arc<SharedPlan>>) -> Applied {
        for plan in delta.stamp.plans().filter_map(|plan| plans.get(&plan)) {
            self.replica.adopt(Arc::clone(plan));
        }
        let outcome = self.replica.apply(delta);
        let late = self.replica.take_late_rows();
        if self.is_primary() {
            let items = |late: LateRows| late.rows.into_iter().map(move |rows| (To::Late, Item::Late(late.epoch, rows)));
            self.items.extend(late.into_iter().flat_map(items));
        }
        self.take_passed();
        outcome
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
    pub(super) fn close(&mut self, wanted: &BTreeSet<MetricId>, sinks: &BTreeSet<SinkId>) -> bool {
        let mut results = Vec::new();
        let primary = self.is_primary();
        let want = |metric: MetricId| if primary && wanted.contains(&metric) { Want::RowsWithKeys } else { Want::Nothing };
        if self.replica.close_step(want, &mut results) {
            self.items.extend(results.into_iter().map(|result| (To::Metric(result.metric), Item::Closed(Arc::new(result)))));
            return true;
        }
        self.complete |= self.replica.frontier() == EventTime::MAX;
        self.tell_sealed();
        if self.complete && primary {
            let new: Vec<SinkId> = sinks.difference(&self.told).copied().collect();
            self.items.extend(new.iter().map(|&sink| (To::One(sink), Item::Complete)));
            self.told.extend(new);
        }
        false
    }

    /// Says which epochs are sealed; the one that takes in the rest of the stream waits for its end.
    pub(super) fn tell_sealed(&mut self) {
        while let Some((epoch, _)) = self.sealing.pop_front_if(|(_, frontier)| *frontier < EventTime::MAX || self.complete) {
            if self.is_primary() {
                self.items.push((To::All, Item::Sealed(epoch)));
            }
        }
    }
}
