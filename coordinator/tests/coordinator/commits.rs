//! Single decisions of commits, sinks, failures and restarts, spelled out.

use crate::examples::{STREAM, acked, acked_at, barrier, commit, coordinator, ended, placed, seal, started, starts};
use crate::world::INTERVAL_US;
use raympp_coordinator::{Action, Coordinator, CoordinatorOptions, Fact, Failure, StreamEpoch};
use raympp_types::{Epoch, EventTime, PlanVersion, SinkId, SplitId, StreamId};

const OTHER: StreamId = StreamId(9);

/// A stream with split 0 alone, told to start its first barrier.
fn started_alone() -> Coordinator {
    let mut coordinator = coordinator();
    coordinator.learn(starts(STREAM, &[0]));
    assert_eq!(coordinator.learn(Fact::Tick(INTERVAL_US)), [barrier(STREAM, 1, &[0])]);
    coordinator
}

fn publish(epoch: u64, frontier: EventTime) -> Action {
    let Action::Commit { epoch, streams } = commit(epoch, frontier) else { unreachable!() };
    Action::Publish { epoch, streams }
}

fn give_up(epoch: u64, why: Failure) -> Action {
    Action::GiveUp { epoch: Epoch(epoch), why }
}

fn failed(epoch: u64, why: Failure) -> Fact {
    Fact::Failed(Epoch(epoch), why)
}

/// Time for an epoch, placed and acked.
fn whole(coordinator: &mut Coordinator, epoch: u64, watermark: i64) -> Vec<Action> {
    let started = coordinator.learn(Fact::Tick(epoch * INTERVAL_US));
    coordinator.learn(placed(epoch, 0, watermark));
    [started, coordinator.learn(acked(epoch))].concat()
}

#[test]
fn an_epoch_spans_all_streams_and_starts_when_the_last_is_placed_in_all() {
    let mut coordinator = started_alone();
    coordinator.learn(starts(OTHER, &[0]));
    coordinator.learn(placed(1, 0, 10));
    assert_eq!(coordinator.learn(acked(1)), [commit(1, EventTime(10))], "a stream that starts meanwhile is not waited for");
    let barriers = coordinator.learn(Fact::Tick(2 * INTERVAL_US));
    assert_eq!(barriers, [barrier(STREAM, 2, &[0]), barrier(OTHER, 2, &[0])]);
    coordinator.learn(placed(2, 0, 20));
    assert_eq!(coordinator.learn(Fact::SplitJoins(STREAM, SplitId(1))), [], "the other stream has not placed it");
    let next = coordinator.learn(Fact::Placed(OTHER, Epoch(2), SplitId(0), EventTime(5)));
    assert_eq!(next, [give_up(2, Failure::Crowded), barrier(STREAM, 3, &[0, 1]), barrier(OTHER, 3, &[0])]);
}

#[test]
fn sinks_prepare_when_the_barrier_is_placed_in_their_stream() {
    let mut coordinator = started_alone();
    coordinator.learn(Fact::SinkAdded(SinkId(0), STREAM));
    coordinator.learn(Fact::SinkAdded(SinkId(1), OTHER));
    assert_eq!(coordinator.learn(placed(1, 0, 10)), [], "it came when the epoch had started");
    assert_eq!(coordinator.learn(acked(1)), [commit(1, EventTime(10))]);
    coordinator.learn(Fact::Tick(2 * INTERVAL_US));
    let prepare = Action::Prepare { sink: SinkId(0), epoch: Epoch(2), frontier: EventTime(20) };
    assert_eq!(coordinator.learn(placed(2, 0, 20)), [prepare]);
    coordinator.learn(Fact::Committed(Epoch(1)));
    assert_eq!(coordinator.learn(acked(2)), []);
    assert_eq!(coordinator.learn(Fact::Prepared(SinkId(0), Epoch(2))), [commit(2, EventTime(20))]);
}

#[test]
fn a_sink_that_is_gone_is_not_waited_for() {
    let mut coordinator = coordinator();
    coordinator.learn(starts(STREAM, &[0]));
    coordinator.learn(Fact::SinkAdded(SinkId(0), STREAM));
    assert_eq!(whole(&mut coordinator, 1, 10), [barrier(STREAM, 1, &[0])]);
    assert_eq!(coordinator.learn(Fact::SinkDropped(SinkId(0))), [commit(1, EventTime(10))]);
}

#[test]
fn commits_go_one_at_a_time_and_in_order() {
    let mut coordinator = started_alone();
    coordinator.learn(placed(1, 0, 10));
    assert_eq!(whole(&mut coordinator, 2, 20), [barrier(STREAM, 2, &[0])], "its acks say nothing of the first");
    assert_eq!(coordinator.learn(acked(1)), [commit(1, EventTime(10))]);
    assert_eq!(coordinator.learn(Fact::Committed(Epoch(1))), [publish(1, EventTime(10)), commit(2, EventTime(20))]);
    assert_eq!(coordinator.learn(Fact::Committed(Epoch(2))), [publish(2, EventTime(20))]);
    assert_eq!((coordinator.committed(), coordinator.in_flight()), (Epoch(2), 0));
}

#[test]
fn time_waits_for_a_slow_disk_and_joins_do_not() {
    let mut coordinator = started_alone();
    coordinator.learn(placed(1, 0, 10));
    coordinator.learn(Fact::Tick(2 * INTERVAL_US));
    coordinator.learn(placed(2, 0, 20));
    assert_eq!((coordinator.learn(Fact::Tick(9 * INTERVAL_US)), coordinator.due_us()), (vec![], None));
    let joins = coordinator.learn(Fact::SplitJoins(STREAM, SplitId(1)));
    assert_eq!(joins, [give_up(2, Failure::Crowded), barrier(STREAM, 3, &[0, 1])]);
    assert_eq!((coordinator.in_flight(), coordinator.given_up(Failure::Crowded)), (2, 1));
    coordinator.learn(acked(1));
    coordinator.learn(Fact::Committed(Epoch(1)));
    assert_eq!(coordinator.due_us(), None, "barrier 3 is under way");
}

#[test]
fn a_failed_epoch_is_superseded_by_the_next() {
    let mut coordinator = started_alone();
    coordinator.learn(placed(1, 0, 10));
    assert_eq!(coordinator.learn(failed(1, Failure::Partition)), [give_up(1, Failure::Partition)]);
    assert_eq!(coordinator.learn(failed(1, Failure::Sink)), [], "once");
    assert_eq!(coordinator.learn(acked(1)), [], "too late");
    assert_eq!(whole(&mut coordinator, 2, 20), [barrier(STREAM, 2, &[0]), commit(2, EventTime(20))]);
    assert_eq!((coordinator.given_up(Failure::Partition), coordinator.given_up(Failure::Sink)), (1, 0));
}

#[test]
fn an_epoch_that_fails_under_way_still_opens_splits() {
    let mut coordinator = coordinator();
    coordinator.learn(starts(STREAM, &[0]));
    coordinator.learn(Fact::SplitJoins(STREAM, SplitId(1)));
    coordinator.learn(failed(1, Failure::Partition));
    let (splits, plan) = ((0..2).map(SplitId).collect(), PlanVersion(1));
    let open = Action::Open { stream: STREAM, split: SplitId(1), epoch: Epoch(1), splits, plan, floor: EventTime(3) };
    assert_eq!(coordinator.learn(placed(1, 0, 3)), [open]);
}

#[test]
fn nothing_is_committed_while_nobody_knows_what_is() {
    for (last, done) in [(1, true), (0, false)] {
        let mut coordinator = started_alone();
        coordinator.learn(placed(1, 0, 10));
        coordinator.learn(acked(1));
        assert_eq!(coordinator.learn(failed(1, Failure::Commit)), []);
        assert_eq!(whole(&mut coordinator, 2, 20), [barrier(STREAM, 2, &[0])]);
        assert_eq!(coordinator.learn(failed(1, Failure::Partition)), [], "it may be committed");
        let first = if done { publish(1, EventTime(10)) } else { give_up(1, Failure::Commit) };
        assert_eq!(coordinator.learn(Fact::Reopened(Epoch(last))), [first, commit(2, EventTime(20))]);
    }
}

#[test]
fn partitions_that_disagree_fail_the_epoch() {
    let mut coordinator = coordinator();
    let (live, plan, frontier) = (vec![SplitId(0)], PlanVersion(1), EventTime::MIN);
    coordinator.learn(Fact::StreamStarts { stream: STREAM, live, ended: false, partitions: 3, plan, frontier });
    coordinator.learn(Fact::Tick(INTERVAL_US));
    coordinator.learn(placed(1, 0, 10));
    assert_eq!(coordinator.learn(acked_at(STREAM, 1, 0, &[7])), []);
    assert_eq!(coordinator.learn(acked_at(STREAM, 1, 1, &[8])), [give_up(1, Failure::Vectors)]);
    assert_eq!(coordinator.learn(acked_at(STREAM, 1, 2, &[7])), []);
    assert_eq!((coordinator.violations(), coordinator.given_up(Failure::Vectors)), (1, 1));
}

#[test]
fn the_rest_of_a_finished_stream_gets_one_epoch_at_once() {
    let mut coordinator = started_alone();
    coordinator.learn(placed(1, 0, 10));
    assert_eq!(coordinator.learn(ended(0)), [seal(2)]);
    assert_eq!(coordinator.due_us(), None, "that one has all of it");
    coordinator.learn(acked(1));
    coordinator.learn(Fact::Committed(Epoch(1)));
    assert_eq!(coordinator.learn(acked(2)), [commit(2, EventTime::MAX)]);
    coordinator.learn(Fact::Committed(Epoch(2)));
    assert_eq!((coordinator.learn(Fact::Tick(90 * INTERVAL_US)), coordinator.due_us()), (vec![], None));
}

#[test]
fn a_stream_that_finishes_behind_a_barrier_has_a_rest_too() {
    let mut coordinator = started();
    coordinator.learn(placed(1, 0, 10));
    coordinator.learn(ended(0));
    assert_eq!(coordinator.learn(ended(1)), [seal(2)]);
}

#[test]
fn a_barrier_that_all_splits_ended_before_is_sealed() {
    let mut coordinator = started();
    assert_eq!(coordinator.learn(ended(0)), []);
    assert_eq!(coordinator.learn(ended(1)), [seal(1)]);
    assert_eq!(coordinator.due_us(), None);
    assert_eq!(coordinator.learn(acked(1)), [commit(1, EventTime::MAX)]);
}

#[test]
fn the_rest_of_a_finished_stream_is_taken_again_if_its_epoch_fails() {
    let mut coordinator = started_alone();
    coordinator.learn(ended(0));
    assert_eq!(coordinator.learn(failed(1, Failure::Partition)), [give_up(1, Failure::Partition)]);
    assert_eq!(coordinator.due_us(), Some(2 * INTERVAL_US), "no sooner than any other");
    assert_eq!(coordinator.learn(Fact::Tick(2 * INTERVAL_US)), [seal(2)]);
    assert_eq!(coordinator.learn(acked(2)), [commit(2, EventTime::MAX)]);
}

/// If the epoch that has the rest is given up, the next one stands for it, and must have it too.
#[test]
fn a_finished_stream_goes_along_until_it_is_committed() {
    let mut coordinator = started_alone();
    coordinator.learn(ended(0));
    coordinator.learn(starts(OTHER, &[0]));
    let next = coordinator.learn(Fact::Tick(2 * INTERVAL_US));
    assert_eq!(next, [barrier(OTHER, 2, &[0]), seal(2)]);
    coordinator.learn(acked(1));
    coordinator.learn(Fact::Committed(Epoch(1)));
    coordinator.learn(Fact::Placed(OTHER, Epoch(2), SplitId(0), EventTime(5)));
    assert_eq!(coordinator.learn(Fact::Tick(3 * INTERVAL_US)), [barrier(OTHER, 3, &[0])]);
}

/// Nothing is lost with an epoch if an older one in flight has all of the stream.
#[test]
fn a_finished_stream_is_taken_again_only_if_something_is_missing() {
    let mut coordinator = started_alone();
    coordinator.learn(ended(0));
    coordinator.learn(starts(OTHER, &[0]));
    coordinator.learn(Fact::Tick(2 * INTERVAL_US));
    coordinator.learn(Fact::Placed(OTHER, Epoch(2), SplitId(0), EventTime(5)));
    assert_eq!(coordinator.learn(failed(2, Failure::Partition)), [give_up(2, Failure::Partition)]);
    coordinator.learn(acked(1));
    coordinator.learn(Fact::Committed(Epoch(1)));
    assert_eq!(coordinator.learn(Fact::Tick(3 * INTERVAL_US)), [barrier(OTHER, 3, &[0])]);
}

/// The epoch with the rest had started when the plan changed, so it tells the old one.
#[test]
fn a_plan_of_a_finished_stream_is_taken_again_if_its_epoch_fails() {
    let mut coordinator = started_alone();
    coordinator.learn(ended(0));
    let in_force = Action::InForce { stream: STREAM, plan: PlanVersion(2), carried: false };
    assert_eq!(coordinator.learn(Fact::PlanChanges(STREAM, PlanVersion(2))), [in_force, seal(2)]);
    assert_eq!(coordinator.learn(failed(2, Failure::Partition)), [give_up(2, Failure::Partition)]);
    assert_eq!(coordinator.learn(Fact::Tick(2 * INTERVAL_US)), [seal(3)]);
}

#[test]
fn a_sink_of_a_finished_stream_gets_an_epoch() {
    let mut coordinator = started_alone();
    coordinator.learn(ended(0));
    assert_eq!(coordinator.learn(Fact::SinkAdded(SinkId(3), STREAM)), []);
    let prepare = Action::Prepare { sink: SinkId(3), epoch: Epoch(2), frontier: EventTime::MAX };
    assert_eq!(coordinator.learn(Fact::Tick(2 * INTERVAL_US)), [seal(2), prepare]);
}

#[test]
fn a_job_goes_on_from_its_committed_epoch() {
    let options = CoordinatorOptions { interval_us: INTERVAL_US, in_flight_max: 2, committed: Epoch(41) };
    let mut coordinator = Coordinator::new(options);
    let (plan, frontier) = (PlanVersion(3), EventTime(500));
    let restored = |stream, live, ended, frontier| Fact::StreamStarts { stream, live, ended, partitions: 1, plan, frontier };
    coordinator.learn(restored(STREAM, vec![SplitId(0)], false, frontier));
    coordinator.learn(restored(OTHER, vec![], true, EventTime::MAX));
    assert_eq!(coordinator.learn(Fact::SplitJoins(OTHER, SplitId(1))), [Action::Refuse { stream: OTHER, split: SplitId(1) }]);
    let splits = [SplitId(0)].into();
    let started = coordinator.learn(Fact::Tick(INTERVAL_US));
    assert_eq!(started, [Action::Barrier { stream: STREAM, epoch: Epoch(42), splits, plan }], "nothing of the finished one");
    coordinator.learn(placed(42, 0, 450));
    let streams = [StreamEpoch { stream: STREAM, frontier, plan }].into();
    assert_eq!(coordinator.learn(acked(42)), [Action::Commit { epoch: Epoch(42), streams }], "a frontier never falls");
}
