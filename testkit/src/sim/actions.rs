//! What the coordinator wants, carried out: messages to readers, partitions, sinks and the persister.

use super::actor::Lane;
use super::around::Around;
use super::canary::Canary;
use super::invariants::Outcome;
use super::orders::Order;
use super::process::{Happening, Process};
use super::sink::Request;
use super::start;
use super::task::{Control, Ordered};
use super::truth::Membership;
use raympp_coordinator::{Action, Fact};
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::CheckpointStore;
use raympp_state::delta::Mark;
use raympp_state::follower::Follower;
use raympp_types::{Epoch, EventTime, MetricId, Offset, PartitionId, PlanVersion, RunningWatermark, SinkId, SplitId, StreamId};
use std::sync::Arc;

impl Process {
    pub(super) fn carry_out(&mut self, around: &mut Around, action: Action) -> Outcome {
        match action {
            Action::Barrier { stream, epoch, splits, plan } => self.tell_barrier(around, stream, (epoch, &splits, plan)),
            Action::Open { stream, split, epoch, splits, plan, floor } => {
                return self.open_joining(around, stream, split, Mark::Barrier { epoch, splits, plan }, floor);
            }
            Action::Refuse { stream, split } => around.truth(stream).split(split).membership = Membership::Refused,
            Action::InForce { stream, plan, carried } => self.come_into_force(around, stream, plan, carried),
            Action::Look(stream) => {
                let shown = self.run(stream).tasks.iter().map(|(&split, task)| (split, task.chain.watermark())).collect();
                around.send(&mut self.looks, Happening::Learn(Fact::Watermarks(stream, shown)));
            }
            Action::Floor { stream, split, since_us, floor } => {
                if let Some(task) = self.run(stream).tasks.get_mut(&split) {
                    around.send(&mut task.down, Happening::Tell(stream, split, task.term, Control::Floor(since_us, floor)));
                }
            }
            Action::Seal { stream, epoch } => {
                self.tell_lanes(around, stream, |lane| Happening::Seal(stream, lane, epoch));
                self.orders.give(around, Order::Seal(stream, epoch));
            }
            Action::Prepare { sink, epoch, frontier } => self.ask_sink(around, sink, Request::Prepare(epoch, frontier)),
            Action::Commit { epoch, streams } => {
                let streams = streams.iter().map(|stream| stream.stream).collect();
                self.orders.give(around, Order::Commit(epoch, streams));
            }
            Action::Promote { stream, partition, replica, term } => {
                self.tell_partition(around, stream, partition, |lane| Happening::Promote(stream, lane, replica, term));
            }
            Action::Repair { stream, partition, replica, .. } => {
                if around.has(Canary::PromoteOutside) {
                    self.place_empty(around, stream, (partition, replica));
                }
                self.tell_partition(around, stream, partition, |lane| Happening::Copy(stream, lane, replica));
            }
            Action::Orphaned { .. } => self.broken = true,
            Action::Publish { epoch, .. } => self.publish(around, epoch),
            Action::GiveUp { epoch, .. } => {
                around.tally.given_up += 1;
                self.ask_sinks(around, Request::GiveUp(epoch));
            }
        }
        Ok(())
    }

    fn tell_barrier(&mut self, around: &mut Around, stream: StreamId, (epoch, splits, plan): (Epoch, &Arc<[SplitId]>, PlanVersion)) {
        let run = self.run(stream);
        let plan = Arc::clone(&run.plans[&plan]);
        bring(around, stream, &plan, epoch);
        let ordered = Ordered { epoch, splits: Arc::clone(splits), plan };
        for task in run.tasks.values_mut().filter(|task| !task.ended) {
            let control = Control::Barrier(ordered.clone());
            around.send(&mut task.down, Happening::Tell(stream, task.split, task.term, control));
        }
        run.ordered = Some(ordered);
    }

    fn come_into_force(&mut self, around: &mut Around, stream: StreamId, plan: PlanVersion, carried: bool) {
        if !carried {
            // There are no splits yet, or all have ended and wherever it stands, their rows lie before it.
            let plan = Arc::clone(&self.run(stream).plans[&plan]);
            bring(around, stream, &plan, Epoch(u64::MAX));
            self.tell_lanes(around, stream, |lane| Happening::Adopt(stream, lane, Arc::clone(&plan)));
        }
    }

    fn publish(&mut self, around: &mut Around, epoch: Epoch) {
        around.tally.commits += 1;
        self.orders.give(around, Order::Forget);
        self.ask_sinks(around, Request::Commit(epoch));
        self.streams.values_mut().flat_map(|run| run.followers.values_mut()).for_each(|follower| follower.forget_before(epoch));
        self.trim(around, epoch);
    }

    /// Sources forget what is committed, as far as all replicas have it: one of them may have to go on from there.
    fn trim(&self, around: &mut Around, epoch: Epoch) {
        let Ok(commit) = around.disk.read_commit(epoch) else { return };
        for stream in &commit.streams {
            let Some(run) = self.streams.get(&stream.id) else { continue };
            for split in &stream.splits {
                let forgotten = &mut around.truth(stream.id).split(split.id).forgotten;
                *forgotten = split.offset.min(run.lowest_applied(split.id)).max(*forgotten);
            }
        }
    }

    fn tell_lanes(&mut self, around: &mut Around, stream: StreamId, happening: impl Fn(Lane) -> Happening) {
        let run = self.run(stream);
        for lane in run.lanes() {
            around.send(run.controls.entry(lane).or_default(), happening(lane));
        }
    }

    fn tell_partition(&mut self, around: &mut Around, stream: StreamId, partition: PartitionId, happening: impl Fn(Lane) -> Happening) {
        let run = self.run(stream);
        for lane in run.lanes().into_iter().filter(|lane| lane.0 == partition) {
            around.send(run.controls.entry(lane).or_default(), happening(lane));
        }
    }

    fn ask_sinks(&mut self, around: &mut Around, request: Request) {
        let sinks: Vec<SinkId> = self.sinks.keys().copied().collect();
        sinks.into_iter().for_each(|sink| self.ask_sink(around, sink, request));
    }

    fn ask_sink(&mut self, around: &mut Around, sink: SinkId, request: Request) {
        if let Some(sink) = self.sinks.get_mut(&sink) {
            around.send(&mut sink.down, Happening::Ask(sink.id, request));
        }
    }

    /// Begins the chain of a split that joins.
    fn open_joining(&mut self, around: &mut Around, stream: StreamId, split: SplitId, barrier: Mark, floor: EventTime) -> Outcome {
        let Mark::Barrier { epoch, plan, .. } = &barrier else { unreachable!("splits join at barriers") };
        let plan = Arc::clone(&self.run(stream).plans[plan]);
        bring(around, stream, &plan, *epoch);
        around.tally.changes += 1;
        let mut task = start::joining_task(around, stream, split, &plan, *epoch);
        let mut marks = if around.has(Canary::JoinWithoutBarrier) { Vec::new() } else { vec![barrier] };
        if floor > EventTime::MIN && !around.has(Canary::OwnPaceJoin) {
            marks.push(Mark::Floor(floor));
        }
        task.begin(marks);
        around.later(0, Happening::Read(stream, split, task.term));
        let run = self.run(stream);
        let follower = Follower::at(Offset(0), RunningWatermark::default(), Epoch(0), plan.version, false);
        run.followers.insert(split, follower);
        run.tasks.insert(split, task);
        self.forward(around, stream, split)?;
        Ok(())
    }
}

/// Metrics that a barrier brings count from there.
fn bring(around: &mut Around, stream: StreamId, plan: &SharedPlan, epoch: Epoch) {
    let metrics: Vec<MetricId> = plan.metrics.iter().map(|metric| metric.id).collect();
    around.truth(stream).bring(&metrics, epoch);
}
