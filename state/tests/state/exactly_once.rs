//! The exactly-once rule: each delta counts once, whatever is sent again, late, in the wrong order or by a task that was replaced.

use crate::small::{batch, chain, close, counts, delta, first_chain, ones, plan_of, replica, table};
use raympp_state::chain::Chain;
use raympp_state::delta::{Delta, Mark};
use raympp_state::replica::{Applied, Replica};
use raympp_testkit::script::StreamScript;
use raympp_types::{Epoch, EventTime, Offset, PlanVersion, SplitId};
use std::sync::Arc;

struct Setting {
    script: StreamScript,
    chain: Chain,
    replica: Replica,
}

fn setting() -> Setting {
    let script = counts();
    let plan = plan_of(&script);
    Setting { chain: first_chain(&script, &plan, 0), replica: replica(&script, &plan, &[0]), script }
}

/// Three deltas of two rows each; the last one ends the split.
fn three(chain: &mut Chain) -> [Arc<Delta>; 3] {
    [
        delta(chain, &ones(&[("a", 1.0), ("b", 2.0)]), Vec::new()),
        delta(chain, &ones(&[("a", 3.0), ("c", 4.0)]), Vec::new()),
        delta(chain, &ones(&[("b", 5.0), ("c", 6.0)]), vec![Mark::End]),
    ]
}

const ALL_THREE: &str = "\
k | window_start               | n | total
--+----------------------------+---+------
a | 1970-01-01 00:00:00.000000 | 2 | 2
b | 1970-01-01 00:00:00.000000 | 2 | 2
c | 1970-01-01 00:00:00.000000 | 2 | 2
";

fn applied(replica: &Replica) -> Offset {
    replica.splits()[&SplitId(0)].applied
}

#[test]
fn a_delta_that_comes_again_is_dropped() {
    let mut at = setting();
    let deltas = three(&mut at.chain);
    for delta in &deltas {
        assert_eq!(at.replica.apply(delta), Applied::Yes);
        assert_eq!(at.replica.apply(delta), Applied::Duplicate);
    }
    assert_eq!(at.replica.apply(&deltas[0]), Applied::Duplicate);
    assert_eq!(table(&close(&mut at.replica), 0), ALL_THREE);
    let counters = at.replica.counters();
    assert_eq!((counters.deltas, counters.duplicates, counters.violations), (3, 4, 0));
}

#[test]
fn a_delta_that_comes_early_is_held_until_the_gap_is_filled() {
    let mut at = setting();
    let [first, second, third] = three(&mut at.chain);
    assert_eq!(at.replica.apply(&third), Applied::Held(Offset(0)));
    assert_eq!(at.replica.apply(&third), Applied::Held(Offset(0)), "sent again while it is held");
    assert_eq!(at.replica.apply(&second), Applied::Held(Offset(0)));
    assert_eq!(applied(&at.replica), Offset(0));
    assert_eq!(at.replica.apply(&first), Applied::Yes);
    assert_eq!(applied(&at.replica), Offset(6));
    assert_eq!(table(&close(&mut at.replica), 0), ALL_THREE);
    assert_eq!(at.replica.counters().deltas, 3);
}

#[test]
fn a_delta_that_overlaps_is_refused_and_counted() {
    let mut at = setting();
    let script = counts();
    let [first, ..] = three(&mut at.chain);
    at.replica.apply(&first);
    let mut other = first_chain(&script, &plan_of(&script), 0);
    let wider = delta(&mut other, &ones(&[("a", 1.0), ("b", 2.0), ("a", 3.0)]), Vec::new());
    assert_eq!(at.replica.apply(&wider), Applied::Violation);
    assert_eq!((applied(&at.replica), at.replica.counters().violations), (Offset(2), 1));
}

#[test]
fn a_task_that_was_replaced_is_refused() {
    let mut at = setting();
    let plan = plan_of(&at.script);
    let [first, second, _] = three(&mut at.chain);
    at.replica.apply(&first);
    let watermark = at.replica.splits()[&SplitId(0)].watermark;
    let mut next = chain(&at.script, &plan, 0, 2, 2, watermark);
    let again = delta(&mut next, &ones(&[("a", 3.0)]), Vec::new());
    assert_eq!(at.replica.apply(&again), Applied::Yes);
    assert_eq!(at.replica.apply(&second), Applied::Fenced);
    assert_eq!(applied(&at.replica), Offset(3));
}

#[test]
fn what_was_held_for_a_replaced_task_is_dropped() {
    let mut at = setting();
    let plan = plan_of(&at.script);
    let [first, _, third] = three(&mut at.chain);
    at.replica.apply(&first);
    assert_eq!(at.replica.apply(&third), Applied::Held(Offset(2)));
    let watermark = at.replica.splits()[&SplitId(0)].watermark;
    let mut next = chain(&at.script, &plan, 0, 2, 2, watermark);
    let second = delta(&mut next, &ones(&[("a", 3.0), ("c", 4.0)]), Vec::new());
    assert_eq!(at.replica.apply(&second), Applied::Yes);
    assert_eq!(applied(&at.replica), Offset(4), "the third one's wire ids meant something else");
    let third = delta(&mut next, &ones(&[("b", 5.0), ("c", 6.0)]), vec![Mark::End]);
    assert_eq!(at.replica.apply(&third), Applied::Yes);
    assert_eq!(table(&close(&mut at.replica), 0), ALL_THREE);
}

#[test]
fn a_replica_that_is_ahead_learns_the_new_tasks_dictionary_from_what_it_has() {
    let mut at = setting();
    let plan = plan_of(&at.script);
    let [first, second, _] = three(&mut at.chain);
    at.replica.apply(&first);
    at.replica.apply(&second);
    // Another replica has nothing, so the new task starts at 0 and cuts at 4.
    let mut next = first_chain(&at.script, &plan, 0);
    let again = delta(&mut next, &ones(&[("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0)]), Vec::new());
    let rest = delta(&mut next, &ones(&[("b", 5.0), ("c", 6.0)]), vec![Mark::End]);
    let (again, rest) = (with_term(&again, 2), with_term(&rest, 2));
    assert_eq!(at.replica.apply(&again), Applied::Duplicate);
    assert_eq!(at.replica.apply(&again), Applied::Duplicate);
    assert_eq!(at.replica.apply(&rest), Applied::Yes);
    assert_eq!(table(&close(&mut at.replica), 0), ALL_THREE);
}

/// The same delta from a task of another term.
fn with_term(delta: &Delta, term: u64) -> Arc<Delta> {
    let mut stamp = delta.stamp.clone();
    stamp.split_term = raympp_types::SplitTerm(term);
    let parts = delta.parts.iter().map(|(partition, part)| (*partition, copy(part))).collect();
    Arc::new(Delta { stamp, parts })
}

fn copy(part: &raympp_state::delta::DeltaPart) -> raympp_state::delta::DeltaPart {
    let dictionaries = part.dictionaries.iter().map(|change| raympp_state::delta::DictionaryChange {
        key_space: change.key_space,
        retired: change.retired.clone(),
        added: change.added.clone(),
        keys: change.keys.clone(),
    });
    raympp_state::delta::DeltaPart {
        dictionaries: dictionaries.collect(),
        entries: part.entries.clone(),
        uncounted: part.uncounted.clone(),
    }
}

#[test]
fn keys_are_forgotten_although_tasks_were_replaced() {
    let script = counts();
    let plan = plan_of(&script);
    let mut replica = replica(&script, &plan, &[0]);
    let mut watermark = raympp_types::RunningWatermark::default();
    for term in 1..=20 {
        let mut chain = chain(&script, &plan, 0, term, (term - 1) * 2, watermark);
        let at = term as f64 * 60.0;
        assert_eq!(replica.apply(&delta(&mut chain, &ones(&[("a", at), ("b", at)]), Vec::new())), Applied::Yes);
        watermark = chain.running_watermark();
        close(&mut replica);
    }
    let mut last = chain(&script, &plan, 0, 21, 40, watermark);
    replica.apply(&delta(&mut last, &ones(&[("c", 7200.0)]), Vec::new()));
    close(&mut replica);
    assert_eq!(replica.size().0, 1, "only the key of the last term is left");
}

fn barrier(epoch: u64) -> Mark {
    Mark::Barrier { epoch: Epoch(epoch), splits: Arc::new([SplitId(0)]), plan: PlanVersion(1) }
}

#[test]
fn marks_that_share_an_offset_are_kept_apart_while_they_are_held() {
    let mut at = setting();
    let first = delta(&mut at.chain, &ones(&[("a", 1.0)]), Vec::new());
    let marks = [barrier(1), barrier(2)].map(|mark| Arc::new(at.chain.flush(vec![mark]).expect("a mark")));
    let floor = Arc::new(at.chain.flush(vec![Mark::Floor(EventTime(30_000_000))]).expect("a mark"));
    let rows = delta(&mut at.chain, &ones(&[("a", 29.0), ("a", 30.0)]), Vec::new());
    for delta in [&marks[0], &marks[1], &floor, &rows] {
        assert_eq!(at.replica.apply(delta), Applied::Held(Offset(0)));
    }
    assert_eq!(at.replica.apply(&first), Applied::Yes);
    let split = &at.replica.splits()[&SplitId(0)];
    assert_eq!((split.applied, split.barrier), (Offset(3), Epoch(2)));
    assert_eq!(split.watermark.floor, EventTime(30_000_000));
    assert_eq!((at.replica.frontier(), at.replica.counters().late), (EventTime(30_000_000), 1));
}

#[test]
fn a_mark_that_comes_again_changes_nothing() {
    let mut at = setting();
    at.replica.apply(&delta(&mut at.chain, &ones(&[("a", 1.0)]), Vec::new()));
    let mark = Arc::new(at.chain.flush(vec![barrier(1)]).expect("a mark"));
    at.replica.apply(&mark);
    let before = (at.replica.splits().clone(), at.replica.export(EventTime::MIN), at.replica.size());
    at.replica.apply(&mark);
    assert_eq!((at.replica.splits().clone(), at.replica.export(EventTime::MIN), at.replica.size()), before);
    let rows = delta(&mut at.chain, &batch(&[(Some("a"), Some(1), 2.0)]), vec![Mark::End]);
    assert_eq!(at.replica.apply(&rows), Applied::Yes);
}

#[test]
fn a_chain_without_news_sends_nothing() {
    let mut at = setting();
    assert!(at.chain.flush(Vec::new()).is_none());
    at.replica.apply(&delta(&mut at.chain, &ones(&[("a", 1.0)]), Vec::new()));
    assert!(at.chain.flush(Vec::new()).is_none());
}
