//! Single decisions of barriers, joins and plans, spelled out.

use crate::world::{INTERVAL_US, Step, World};
use raympp_coordinator::{Action, Coordinator, CoordinatorOptions, Fact, Silence, StreamEpoch};
use raympp_types::{Epoch, EventTime, Offset, PartitionId, PlanVersion, SplitId, StreamId};

pub(crate) const STREAM: StreamId = StreamId(4);

pub(crate) fn coordinator() -> Coordinator {
    Coordinator::new(CoordinatorOptions { interval_us: INTERVAL_US, in_flight_max: 2, committed: Epoch(0) })
}

pub(crate) fn starts(stream: StreamId, splits: &[u32]) -> Fact {
    let live = splits.iter().copied().map(SplitId).collect();
    Fact::StreamStarts { stream, live, ended: false, partitions: 1, plan: PlanVersion(1), frontier: EventTime::MIN }
}

/// A stream with splits 0 and 1, one partition, told to start its first barrier.
pub(crate) fn started() -> Coordinator {
    let mut coordinator = coordinator();
    coordinator.learn(starts(STREAM, &[0, 1]));
    assert_eq!(coordinator.learn(Fact::Tick(INTERVAL_US - 1)), []);
    assert_eq!(coordinator.due_us(), Some(INTERVAL_US));
    assert_eq!(coordinator.learn(Fact::Tick(INTERVAL_US)), [barrier(STREAM, 1, &[0, 1])]);
    coordinator
}

pub(crate) fn barrier(stream: StreamId, epoch: u64, splits: &[u32]) -> Action {
    let splits = splits.iter().copied().map(SplitId).collect();
    Action::Barrier { stream, epoch: Epoch(epoch), splits, plan: PlanVersion(1) }
}

pub(crate) fn placed(epoch: u64, split: u32, watermark: i64) -> Fact {
    Fact::Placed(STREAM, Epoch(epoch), SplitId(split), EventTime(watermark))
}

pub(crate) fn ended(split: u32) -> Fact {
    Fact::SplitEnded(STREAM, SplitId(split))
}

pub(crate) fn acked(epoch: u64) -> Fact {
    acked_at(STREAM, epoch, 0, &[7])
}

/// An ack with these offsets of splits 0, 1 and so on.
pub(crate) fn acked_at(stream: StreamId, epoch: u64, partition: u32, offsets: &[u64]) -> Fact {
    let vector = offsets.iter().enumerate().map(|(split, &offset)| (SplitId(split as u32), Offset(offset))).collect();
    Fact::Acked { stream, epoch: Epoch(epoch), partition: PartitionId(partition), vector }
}

pub(crate) fn commit(epoch: u64, frontier: EventTime) -> Action {
    let part = StreamEpoch { stream: STREAM, frontier, plan: PlanVersion(1) };
    Action::Commit { epoch: Epoch(epoch), streams: [part].into() }
}

pub(crate) fn seal(epoch: u64) -> Action {
    Action::Seal { stream: STREAM, epoch: Epoch(epoch) }
}

#[test]
fn an_epoch_is_committed_with_the_lowest_watermark_when_all_have_passed() {
    let mut coordinator = started();
    assert_eq!(coordinator.learn(placed(1, 1, 70)), []);
    assert_eq!(coordinator.learn(placed(1, 0, 50)), []);
    assert_eq!(coordinator.learn(acked(1)), [commit(1, EventTime(50))]);
}

#[test]
fn an_ack_may_come_before_the_last_split_has_reported() {
    let mut coordinator = started();
    coordinator.learn(placed(1, 1, 70));
    assert_eq!(coordinator.learn(acked(1)), []);
    assert_eq!(coordinator.learn(placed(1, 0, 50)), [commit(1, EventTime(50))]);
}

#[test]
fn a_split_that_ends_holds_no_barrier_and_no_frontier() {
    let mut coordinator = started();
    coordinator.learn(ended(0));
    coordinator.learn(placed(1, 1, 70));
    assert_eq!(coordinator.learn(acked(1)), [commit(1, EventTime(70))]);
}

#[test]
fn a_split_that_joins_waits_for_the_barrier_after_the_one_under_way() {
    let mut coordinator = started();
    assert_eq!(coordinator.learn(Fact::SplitJoins(STREAM, SplitId(2))), []);
    coordinator.learn(placed(1, 0, 50));
    let actions = coordinator.learn(placed(1, 1, 70));
    assert_eq!(actions, [barrier(STREAM, 2, &[0, 1, 2])], "at once, not at the next interval");
    coordinator.learn(placed(2, 0, 80));
    let actions = coordinator.learn(placed(2, 1, 75));
    let (splits, plan) = ((0..3).map(SplitId).collect(), PlanVersion(1));
    let open = Action::Open { stream: STREAM, split: SplitId(2), epoch: Epoch(2), splits, plan, floor: EventTime(75) };
    assert_eq!(actions, [open]);
}

#[test]
fn a_stream_without_splits_has_no_barriers_until_one_joins() {
    let mut coordinator = coordinator();
    coordinator.learn(starts(STREAM, &[]));
    assert_eq!(coordinator.due_us(), None);
    assert_eq!(coordinator.learn(Fact::Tick(10 * INTERVAL_US)), []);
    let splits = [SplitId(0)].into();
    let (plan, floor) = (PlanVersion(1), EventTime::MIN);
    let open = Action::Open { stream: STREAM, split: SplitId(0), epoch: Epoch(1), splits, plan, floor };
    assert_eq!(coordinator.learn(Fact::SplitJoins(STREAM, SplitId(0))), [open]);
}

#[test]
fn an_idle_split_gets_the_watermark_of_the_other() {
    let mut coordinator = started();
    let silence = Silence { since_us: 7, at_us: INTERVAL_US, watermark: EventTime(3) };
    assert_eq!(coordinator.learn(Fact::SplitIdle(STREAM, SplitId(0), silence)), [Action::Look(STREAM)]);
    let shown = vec![(SplitId(0), EventTime(3)), (SplitId(1), EventTime(90))];
    let floor = Action::Floor { stream: STREAM, split: SplitId(0), since_us: 7, floor: EventTime(90) };
    assert_eq!(coordinator.learn(Fact::Watermarks(STREAM, shown)), [floor]);
}

#[test]
fn a_dropped_stream_is_forgotten() {
    let mut coordinator = started();
    let commit = Action::Commit { epoch: Epoch(1), streams: [].into() };
    assert_eq!(coordinator.learn(Fact::StreamDropped(STREAM)), [commit], "nobody is waited for");
    assert_eq!((coordinator.due_us(), coordinator.learn(placed(1, 0, 1))), (None, vec![]));
}

#[test]
fn a_job_settles() {
    let mut world = World::new();
    world.take(&Step::Start(2, 2));
    world.take(&Step::AddSink(0));
    for step in [Step::Rows(0, 0, 10), Step::Time(INTERVAL_US), Step::Join(0), Step::Plan(0), Step::Mark(0, 0), Step::Rows(0, 1, 20)] {
        world.take(&step);
    }
    world.settle();
    world.check_settled();
    assert!(world.published().len() >= 2, "{:?}", world.published());
}

/// Nobody would know of a split that joins after all others have ended.
#[test]
fn a_complete_stream_refuses_splits() {
    let refuse = |split| Action::Refuse { stream: STREAM, split: SplitId(split) };
    let mut coordinator = started();
    coordinator.learn(Fact::SplitJoins(STREAM, SplitId(2)));
    coordinator.learn(ended(0));
    assert_eq!(coordinator.learn(ended(1)), [seal(1), refuse(2)]);
    assert_eq!(coordinator.learn(Fact::SplitJoins(STREAM, SplitId(3))), [refuse(3)]);
}

#[test]
fn a_plan_is_in_force_when_every_split_has_marked_it() {
    let mut coordinator = started();
    (0..2).for_each(|split| drop(coordinator.learn(placed(1, split, 1))));
    coordinator.learn(Fact::PlanChanges(STREAM, PlanVersion(2)));
    let in_force = |carried, plan| Action::InForce { stream: STREAM, plan: PlanVersion(plan), carried };
    assert_eq!(coordinator.learn(placed(2, 0, 80)), []);
    assert_eq!(coordinator.learn(placed(2, 1, 80)), [in_force(true, 2)]);
    (0..2).for_each(|split| drop(coordinator.learn(ended(split))));
    (1..3).for_each(|epoch| drop((coordinator.learn(acked(epoch)), coordinator.learn(Fact::Committed(Epoch(epoch))))));
    let actions = coordinator.learn(Fact::PlanChanges(STREAM, PlanVersion(3)));
    assert_eq!(actions, [in_force(false, 3), seal(4)], "the epoch before had the old plan");
    assert_eq!(coordinator.due_us(), None);
}
