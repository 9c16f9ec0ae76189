//! Which barriers a replica has from every split: their frontiers and offsets are the same whatever the order in which chains are heard.

use crate::small::{counts, delta, first_chain, ones, plan_of, replica};
use raympp_state::delta::{Delta, Mark};
use raympp_state::replica::{PassedBarrier, Replica};
use raympp_types::{Epoch, EventTime, Offset, PlanVersion, SplitId};
use std::sync::Arc;

fn barrier(epoch: u64, splits: &[u32]) -> Mark {
    Mark::Barrier { epoch: Epoch(epoch), splits: splits.iter().copied().map(SplitId).collect(), plan: PlanVersion(1) }
}

/// A barrier passed: its frontier in seconds, and (split, offset) of each split.
fn passed(epoch: u64, frontier: EventTime, offsets: &[(u32, u64)]) -> PassedBarrier {
    let vector = offsets.iter().map(|&(split, offset)| (SplitId(split), Offset(offset))).collect();
    PassedBarrier { epoch: Epoch(epoch), frontier, vector }
}

fn seconds(seconds: i64) -> EventTime {
    EventTime(seconds * 1_000_000)
}

fn take(replica: &mut Replica) -> Vec<PassedBarrier> {
    std::iter::from_fn(|| replica.take_passed_barrier()).collect()
}

/// Chains of two splits with barriers 1 and 2, and of a third that joins at barrier 2 under their lowest watermark and ends. The bound is 2 s.
struct Chains {
    replica: Replica,
    first: Vec<Arc<Delta>>,
    second: Vec<Arc<Delta>>,
    third: Vec<Arc<Delta>>,
}

fn chains() -> Chains {
    let script = counts();
    let plan = plan_of(&script);
    let [mut first, mut second, mut third] = [0, 1, 2].map(|split| first_chain(&script, &plan, split));
    let with_barriers = |chain: &mut _, times: [f64; 2]| {
        let one = delta(chain, &ones(&[("a", times[0])]), vec![barrier(1, &[0, 1])]);
        let two = delta(chain, &ones(&[("b", times[1])]), vec![barrier(2, &[0, 1, 2])]);
        vec![one, two]
    };
    let joins = Arc::new(third.flush(vec![barrier(2, &[0, 1, 2]), Mark::Floor(seconds(6))]).expect("marks"));
    Chains {
        replica: replica(&script, &plan, &[0, 1]),
        first: with_barriers(&mut first, [10.0, 20.0]),
        second: with_barriers(&mut second, [5.0, 8.0]),
        third: vec![joins, delta(&mut third, &ones(&[("c", 9.0), ("d", 9.0)]), vec![Mark::End])],
    }
}

#[test]
fn a_barrier_is_passed_with_the_lowest_watermark_and_the_offsets_there() {
    let expected = [passed(1, seconds(3), &[(0, 1), (1, 1)]), passed(2, seconds(6), &[(0, 2), (1, 2), (2, 0)])];
    let mut in_order = chains();
    for delta in [&in_order.first[0], &in_order.second[0], &in_order.first[1], &in_order.second[1], &in_order.third[0]] {
        in_order.replica.apply(delta);
    }
    assert_eq!(take(&mut in_order.replica), expected);
    let mut late = chains();
    // The split that joins behind barrier 1 has even ended before barrier 1 is passed, and is not in its vector.
    for delta in late.first.iter().chain(&late.third) {
        late.replica.apply(delta);
    }
    assert_eq!(take(&mut late.replica), []);
    for delta in &late.second {
        late.replica.apply(delta);
    }
    assert_eq!(take(&mut late.replica), expected);
}

#[test]
fn a_split_that_ended_before_a_barrier_is_in_it_with_its_length() {
    let script = counts();
    let plan = plan_of(&script);
    let mut replica = replica(&script, &plan, &[0, 1]);
    let [mut ended, mut goes_on] = [0, 1].map(|split| first_chain(&script, &plan, split));
    replica.apply(&delta(&mut goes_on, &ones(&[("a", 7.0)]), vec![barrier(1, &[0, 1])]));
    assert_eq!(take(&mut replica), []);
    replica.apply(&delta(&mut ended, &ones(&[("a", 1.0), ("b", 1.0), ("c", 1.0)]), vec![Mark::End]));
    assert_eq!(take(&mut replica), [passed(1, seconds(5), &[(0, 3), (1, 1)])]);
}

#[test]
fn a_barrier_without_a_chain_is_taken_when_all_ends_have_been_seen() {
    let mut at = chains();
    at.replica.seal(Epoch(3));
    for delta in at.first.iter().chain(&at.second).chain(&at.third) {
        at.replica.apply(delta);
    }
    assert_eq!(take(&mut at.replica).len(), 2, "two splits have not ended");
    let script = counts();
    let ends = [0, 1].map(|split| {
        let at = raympp_types::RunningWatermark::default();
        let mut chain = crate::small::chain(&script, &plan_of(&script), split, 1, 2, at);
        Arc::new(chain.flush(vec![Mark::End]).expect("a mark"))
    });
    at.replica.apply(&ends[0]);
    assert_eq!(take(&mut at.replica), []);
    at.replica.apply(&ends[1]);
    let all = [(0, 2), (1, 2), (2, 2)];
    assert_eq!(take(&mut at.replica), [passed(3, EventTime::MAX, &all)]);
    at.replica.seal(Epoch(5));
    at.replica.seal(Epoch(3));
    assert_eq!(take(&mut at.replica), [passed(5, EventTime::MAX, &all)], "each once");
}

#[test]
fn a_replica_that_has_heard_of_no_split_seals_nothing() {
    let script = counts();
    let mut replica = replica(&script, &plan_of(&script), &[]);
    replica.seal(Epoch(1));
    assert_eq!(replica.take_passed_barrier(), None);
}
