//! Single decisions, spelled out.

use crate::world::{INTERVAL_US, STREAM, Step, World};
use raympp_coordinator::{Action, Coordinator, Fact, Silence};
use raympp_types::{Epoch, EventTime, PartitionId, PlanVersion, SplitId};

/// A stream with splits 0 and 1, one partition, told to start its first barrier.
fn started() -> Coordinator {
    let mut coordinator = Coordinator::new(INTERVAL_US);
    let splits = vec![SplitId(0), SplitId(1)];
    coordinator.learn(Fact::StreamStarts { stream: STREAM, splits, partitions: 1, plan: PlanVersion(1) });
    assert_eq!(coordinator.learn(Fact::Tick(INTERVAL_US - 1)), []);
    assert_eq!(coordinator.due_us(), Some(INTERVAL_US));
    let splits = [SplitId(0), SplitId(1)].into();
    let barrier = Action::Barrier { stream: STREAM, epoch: Epoch(1), splits, plan: PlanVersion(1) };
    assert_eq!(coordinator.learn(Fact::Tick(INTERVAL_US)), [barrier]);
    coordinator
}

fn placed(split: u32, watermark: i64) -> Fact {
    Fact::Placed(STREAM, Epoch(1), SplitId(split), EventTime(watermark))
}

#[test]
fn an_epoch_is_committed_with_the_lowest_watermark_when_all_have_passed() {
    let mut coordinator = started();
    assert_eq!(coordinator.learn(placed(1, 70)), []);
    assert_eq!(coordinator.learn(placed(0, 50)), []);
    let commit = Action::Commit { stream: STREAM, epoch: Epoch(1), frontier: EventTime(50) };
    assert_eq!(coordinator.learn(Fact::Acked(STREAM, Epoch(1), PartitionId(0))), [commit]);
}

#[test]
fn an_ack_may_come_before_the_last_split_has_reported() {
    let mut coordinator = started();
    coordinator.learn(placed(1, 70));
    assert_eq!(coordinator.learn(Fact::Acked(STREAM, Epoch(1), PartitionId(0))), []);
    let commit = Action::Commit { stream: STREAM, epoch: Epoch(1), frontier: EventTime(50) };
    assert_eq!(coordinator.learn(placed(0, 50)), [commit]);
}

#[test]
fn a_split_that_ends_holds_no_barrier_and_no_frontier() {
    let mut coordinator = started();
    coordinator.learn(Fact::SplitEnded(STREAM, SplitId(0)));
    coordinator.learn(placed(1, 70));
    let commit = Action::Commit { stream: STREAM, epoch: Epoch(1), frontier: EventTime(70) };
    assert_eq!(coordinator.learn(Fact::Acked(STREAM, Epoch(1), PartitionId(0))), [commit]);
}

#[test]
fn a_split_that_joins_waits_for_the_barrier_after_the_one_under_way() {
    let mut coordinator = started();
    assert_eq!(coordinator.learn(Fact::SplitJoins(STREAM, SplitId(2))), []);
    coordinator.learn(placed(0, 50));
    let actions = coordinator.learn(placed(1, 70));
    let splits: std::sync::Arc<[SplitId]> = [SplitId(0), SplitId(1), SplitId(2)].into();
    let barrier = Action::Barrier { stream: STREAM, epoch: Epoch(2), splits: splits.clone(), plan: PlanVersion(1) };
    assert_eq!(actions, [barrier], "at once, not at the next interval");
    coordinator.learn(Fact::Placed(STREAM, Epoch(2), SplitId(0), EventTime(80)));
    let actions = coordinator.learn(Fact::Placed(STREAM, Epoch(2), SplitId(1), EventTime(75)));
    let open = Action::Open { stream: STREAM, split: SplitId(2), epoch: Epoch(2), splits, plan: PlanVersion(1), floor: EventTime(75) };
    assert_eq!(actions, [open]);
}

#[test]
fn a_stream_without_splits_has_no_barriers_until_one_joins() {
    let mut coordinator = Coordinator::new(INTERVAL_US);
    coordinator.learn(Fact::StreamStarts { stream: STREAM, splits: vec![], partitions: 1, plan: PlanVersion(1) });
    assert_eq!(coordinator.due_us(), None);
    assert_eq!(coordinator.learn(Fact::Tick(10 * INTERVAL_US)), []);
    let splits = [SplitId(0)].into();
    let (plan, floor) = (PlanVersion(1), EventTime::MIN);
    let open = Action::Open { stream: STREAM, split: SplitId(0), epoch: Epoch(1), splits, plan, floor };
    assert_eq!(coordinator.learn(Fact::SplitJoins(STREAM, SplitId(0))), [open]);
}

#[test]
fn a_barrier_that_all_splits_ended_before_is_void() {
    let mut coordinator = started();
    coordinator.learn(Fact::SplitEnded(STREAM, SplitId(0)));
    assert_eq!(coordinator.learn(Fact::SplitEnded(STREAM, SplitId(1))), []);
    assert_eq!(coordinator.due_us(), None, "there is nobody to wait for");
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
    coordinator.learn(Fact::StreamDropped(STREAM));
    assert_eq!((coordinator.due_us(), coordinator.learn(placed(0, 1))), (None, vec![]));
}

#[test]
fn a_stream_settles() {
    let mut world = World::new(2, 2);
    for step in [Step::Rows(0, 10), Step::Time(INTERVAL_US), Step::Join, Step::Plan, Step::Mark(0), Step::Rows(1, 20)] {
        world.take(&step);
    }
    world.settle();
    world.check_settled();
    assert!(world.commits.len() >= 2, "{:?}", world.commits);
}

/// Nobody would know of a split that joins after all others have ended.
#[test]
fn a_complete_stream_refuses_splits() {
    let mut coordinator = started();
    coordinator.learn(Fact::SplitJoins(STREAM, SplitId(2)));
    coordinator.learn(Fact::SplitEnded(STREAM, SplitId(0)));
    coordinator.learn(Fact::SplitEnded(STREAM, SplitId(1)));
    let refuse = |split| Action::Refuse { stream: STREAM, split: SplitId(split) };
    assert_eq!(coordinator.learn(Fact::SplitJoins(STREAM, SplitId(3))).last(), Some(&refuse(3)));
}

#[test]
fn a_plan_is_in_force_when_every_split_has_marked_it() {
    let mut coordinator = started();
    (0..2).for_each(|split| drop(coordinator.learn(placed(split, 1))));
    coordinator.learn(Fact::PlanChanges(STREAM, PlanVersion(2)));
    let in_force = |carried, plan| Action::InForce { stream: STREAM, plan: PlanVersion(plan), carried };
    assert_eq!(coordinator.learn(Fact::Placed(STREAM, Epoch(2), SplitId(0), EventTime(80))), []);
    assert_eq!(coordinator.learn(Fact::Placed(STREAM, Epoch(2), SplitId(1), EventTime(80))), [in_force(true, 2)]);
    (0..2).for_each(|split| drop(coordinator.learn(Fact::SplitEnded(STREAM, SplitId(split)))));
    assert_eq!(coordinator.learn(Fact::PlanChanges(STREAM, PlanVersion(3))), [in_force(false, 3)]);
    assert_eq!(coordinator.due_us(), None);
}
