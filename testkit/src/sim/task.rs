//! The reader of one split: rows in, deltas and facts out. It does what an ingest task of the engine does, at instants that the seed chooses.

use super::agenda::Link;
use super::scenario::Pace;
use crate::random::Random;
use crate::reader::RowReader;
use raympp_coordinator::{Fact, Silence, SilenceWatch, Turn};
use raympp_operators::sharing::SharedPlan;
use raympp_state::chain::Chain;
use raympp_state::delta::{Delta, Mark};
use raympp_types::{Epoch, EventTime, PlanVersion, SplitId, SplitTerm, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the coordinator wants of a task.
#[derive(Clone, Debug)]
pub(super) enum Control {
    /// Mark this barrier and go on under the plan.
    Barrier(Ordered),
    /// Mark this floor, if the silence that began then lasts.
    Floor(u64, EventTime),
}

/// A barrier of these splits, and the plan that it brings.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    pub(super) epoch: Epoch,
    pub(super) splits: Arc<[SplitId]>,
    pub(super) plan: Arc<SharedPlan>,
}

/// See the module.
pub(super) struct Task {
    stream: StreamId,
    pub(super) split: SplitId,
    pub(super) term: SplitTerm,
    pub(super) chain: Chain,
    /// What the chain folds for.
    plan: Arc<SharedPlan>,
    reader: RowReader,
    silence: SilenceWatch,
    quiet_until_us: u64,
    /// The silence is that of a lost connection.
    lost: bool,
    asked_floor: Option<(u64, EventTime)>,
    /// The last barrier that it has marked.
    pub(super) marked: Epoch,
    /// A barrier that waits until the chain has passed what its predecessor's listeners have.
    barrier: Option<Ordered>,
    /// What barriers bring that are repeated.
    repeated_plans: BTreeMap<PlanVersion, Arc<SharedPlan>>,
    /// A plan that its barrier has brought and the chain does not follow yet; only a canary has one.
    plan_to_come: Option<Arc<SharedPlan>>,
    pub(super) ended: bool,
    /// To be sent, each with the plan that its rows were folded for.
    pub(super) deltas: Vec<(Delta, Arc<SharedPlan>)>,
    /// To be told.
    pub(super) facts: Vec<Fact>,
    /// The way to the coordinator, and back.
    pub(super) up: Link,
    pub(super) down: Link,
}

impl Task {
    pub(super) fn new(stream: StreamId, term: SplitTerm, chain: Chain, plan: Arc<SharedPlan>, reader: RowReader, pace: &Pace) -> Task {
        Task {
            stream,
            split: chain.split(),
            term,
            chain,
            plan,
            reader,
            silence: SilenceWatch::new(pace.idle),
            quiet_until_us: 0,
            lost: false,
            asked_floor: None,
            marked: Epoch(0),
            barrier: None,
            repeated_plans: BTreeMap::new(),
            plan_to_come: None,
            ended: false,
            deltas: Vec::new(),
            facts: Vec::new(),
            up: Link::default(),
            down: Link::default(),
        }
    }

    /// Begins the chain of a split that joined.
    pub(super) fn begin(&mut self, marks: Vec<Mark>) {
        self.send(marks);
    }

    /// Goes on for a reader that was lost: repeats what is due where it begins. `barrier`: asked for, and seen by nobody.
    pub(super) fn begin_again(&mut self, barrier: Option<Ordered>, plans: BTreeMap<PlanVersion, Arc<SharedPlan>>) {
        (self.barrier, self.repeated_plans) = (barrier, plans);
        // Whatever was known of its predecessor's silence.
        self.facts.push(Fact::SplitActive(self.stream, self.split));
        self.pass_stops();
    }

    /// Ends a delta where some listener goes on, and repeats the marks that stand there.
    fn pass_stops(&mut self) {
        while let Some(stop) = self.chain.take_stop() {
            self.send(Vec::new());
            for mark in stop.marks {
                self.send(vec![mark.clone()]);
                match mark {
                    Mark::Barrier { epoch, plan, .. } => {
                        let plan = Arc::clone(&self.repeated_plans[&plan]);
                        self.pass_barrier(epoch, &plan, false);
                    }
                    Mark::Floor(_) => {}
                    Mark::End => self.end(),
                }
            }
        }
        if !self.chain.is_repeating()
            && !self.ended
            && let Some(barrier) = self.barrier.take()
        {
            self.mark_barrier(&barrier, false);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.facts.push(Fact::SplitEnded(self.stream, self.split));
    }

    /// Asks the split for rows.
    pub(super) fn read(&mut self, now_us: u64, pace: &Pace, random: &mut Random) {
        if now_us < self.quiet_until_us {
            self.read_nothing(now_us);
            return;
        }
        let turn = self.silence.rows();
        self.report(turn, now_us);
        let room = pace.flush_rows.saturating_sub(self.chain.pending_rows()).clamp(1, self.chain.room().max(1));
        if let Some(run) = self.reader.read((1 + random.below(pace.read_rows)).min(room)) {
            self.chain.push(&run.rows());
        }
        self.pass_stops();
        if self.ended {
            // Its predecessor had said so.
        } else if self.reader.is_done() {
            self.send(vec![Mark::End]);
            self.end();
        } else if self.chain.pending_rows() >= pace.flush_rows || random.once_in(3) {
            self.send(Vec::new());
        }
        if pace.silence_once_in > 0 && random.once_in(pace.silence_once_in) {
            self.quiet_until_us = now_us + random.below(pace.silence_us);
            self.lost = random.once_in(4);
        }
    }

    fn read_nothing(&mut self, now_us: u64) {
        let turn = self.silence.no_rows(now_us, self.lost);
        self.report(turn, now_us);
        let repeating = self.chain.is_repeating();
        let floor = self.asked_floor.take().filter(|&(since_us, _)| !repeating && self.silence.since_us() == Some(since_us));
        self.send(floor.map(|(_, floor)| Mark::Floor(floor)).into_iter().collect());
    }

    fn report(&mut self, turn: Option<Turn>, at_us: u64) {
        let (stream, split) = (self.stream, self.split);
        self.facts.extend(turn.map(|turn| match turn {
            Turn::Idle { since_us } => Fact::SplitIdle(stream, split, Silence { since_us, at_us, watermark: self.chain.watermark() }),
            Turn::Active => Fact::SplitActive(stream, split),
        }));
    }

    /// `late`: it goes on under the plan one barrier late.
    pub(super) fn obey(&mut self, control: &Control, late: bool) {
        match control {
            _ if self.ended => {}
            Control::Floor(since_us, floor) => self.asked_floor = Some((*since_us, *floor)),
            Control::Barrier(barrier) if self.chain.is_repeating() => self.barrier = Some(barrier.clone()),
            Control::Barrier(barrier) => self.mark_barrier(barrier, late),
        }
    }

    fn mark_barrier(&mut self, Ordered { epoch, splits, plan }: &Ordered, late: bool) {
        self.send(vec![Mark::Barrier { epoch: *epoch, splits: Arc::clone(splits), plan: plan.version }]);
        self.pass_barrier(*epoch, plan, late);
    }

    fn pass_barrier(&mut self, epoch: Epoch, plan: &Arc<SharedPlan>, late: bool) {
        self.marked = epoch;
        let plan = if late { self.plan_to_come.replace(Arc::clone(plan)) } else { Some(Arc::clone(plan)) };
        plan.into_iter().for_each(|plan| self.adopt(&plan));
        self.facts.push(Fact::Placed(self.stream, epoch, self.split, self.chain.watermark()));
    }

    /// Goes on under another plan, right behind a flush.
    fn adopt(&mut self, plan: &Arc<SharedPlan>) {
        self.chain.adopt(plan);
        self.plan = Arc::clone(plan);
    }

    fn send(&mut self, marks: Vec<Mark>) {
        self.deltas.extend(self.chain.flush(marks).map(|delta| (delta, Arc::clone(&self.plan))));
    }
}
