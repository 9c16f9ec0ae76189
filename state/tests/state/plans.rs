//! Plans and splits that change at barriers, by hand.

use crate::small::{chain, close, delta, first_chain, ones, plan_of, push, replica, script, table};
use raympp_operators::sharing::SharedPlan;
use raympp_state::delta::Mark;
use raympp_state::replica::Replica;
use raympp_testkit::script::StreamScript;
use raympp_types::{Epoch, EventTime, MetricId, PlanVersion, RunningWatermark, SplitId};
use std::sync::Arc;

fn two_metrics() -> StreamScript {
    script(
        "CREATE METRIC first AS SELECT k, window_start, COUNT(*) AS n FROM TUMBLE(s, et, INTERVAL '10 seconds') GROUP BY k, window_start;\n\
         CREATE METRIC later AS SELECT k, window_start, MAX(v) AS m, COUNT(*) AS n FROM TUMBLE(s, et, INTERVAL '5 seconds') \
         GROUP BY k, window_start;",
    )
}

fn barrier(epoch: u64, splits: &[u32], plan: &SharedPlan) -> Mark {
    Mark::Barrier { epoch: Epoch(epoch), splits: splits.iter().map(|&split| SplitId(split)).collect(), plan: plan.version }
}

/// A stream of two splits with the first metric, and the plan that adds the second one.
fn start() -> (StreamScript, Arc<SharedPlan>, Arc<SharedPlan>, Replica) {
    let script = two_metrics();
    let before = Arc::new(SharedPlan::of(PlanVersion(1), &script.metrics[..1]));
    let after = Arc::new(before.with(MetricId(1), &script.metrics[1].1));
    let replica = replica(&script, &before, &[0, 1]);
    (script, before, after, replica)
}

#[test]
fn a_metric_that_is_added_begins_with_the_first_window_after_everything_seen() {
    let (script, before, after, mut replica) = start();
    let (mut a, mut b) = (first_chain(&script, &before, 0), first_chain(&script, &before, 1));
    push(&mut a, &ones(&[("x", 1.0), ("x", 12.0)]));
    push(&mut b, &ones(&[("x", 13.0)]));
    // Each chain places the barrier where it is; rows behind it count, but only in windows that begin after 13 s.
    let marked = [&mut a, &mut b].map(|chain| {
        let delta = Arc::new(chain.flush(vec![barrier(1, &[0, 1], &after)]).expect("a mark"));
        chain.adopt(&after);
        delta
    });
    replica.adopt(Arc::clone(&after));
    replica.apply(&marked[0]);
    replica.apply(&delta(&mut a, &ones(&[("x", 14.0), ("x", 15.0), ("x", 21.0), ("x", 29.0)]), vec![Mark::End]));
    let later = Arc::clone(&after.metrics[1]);
    assert!(replica.view().live(&later, b"\x01x\x00").is_none(), "which window is the first is not known yet");
    replica.apply(&marked[1]);
    assert!(replica.view().live(&later, b"\x01x\x00").is_some());
    replica.apply(&delta(&mut b, &ones(&[("x", 16.0), ("x", 17.0)]), vec![Mark::End]));
    let results = close(&mut replica);
    assert_eq!(
        table(&results, 0),
        "\
k | window_start               | n
--+----------------------------+--
x | 1970-01-01 00:00:00.000000 | 1
x | 1970-01-01 00:00:10.000000 | 6
x | 1970-01-01 00:00:20.000000 | 2
"
    );
    assert_eq!(
        table(&results, 1),
        "\
k | window_start               | m | n
--+----------------------------+---+--
x | 1970-01-01 00:00:15.000000 | 1 | 3
x | 1970-01-01 00:00:20.000000 | 1 | 1
x | 1970-01-01 00:00:25.000000 | 1 | 1
"
    );
}

#[test]
fn a_metric_that_is_dropped_is_gone_and_lets_go_of_its_keys() {
    let script = script(
        "CREATE METRIC by_key AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;\n\
         CREATE METRIC all_keys AS SELECT window_start, COUNT(*) AS n FROM TUMBLE(s, et, INTERVAL '10 seconds') GROUP BY window_start;",
    );
    let before = plan_of(&script);
    let after = Arc::new(before.without(MetricId(0)));
    let (mut chain, mut replica) = (first_chain(&script, &before, 0), replica(&script, &before, &[0]));
    replica.apply(&delta(&mut chain, &ones(&[("x", 1.0), ("y", 2.0)]), Vec::new()));
    assert_eq!(replica.size().0, 3);
    let dropped = Arc::clone(&before.metrics[0]);
    assert!(replica.view().live(&dropped, b"\x01x\x00").is_some());
    replica.adopt(Arc::clone(&after));
    let marked = delta(&mut chain, &ones(&[("x", 3.0)]), vec![barrier(1, &[0], &after)]);
    chain.adopt(&after);
    replica.apply(&marked);
    assert!(replica.view().live(&dropped, b"\x01x\x00").is_none() && replica.view().scan(&dropped, false).is_empty());
    replica.apply(&delta(&mut chain, &ones(&[("z", 4.0)]), vec![Mark::End]));
    assert_eq!(
        table(&close(&mut replica), 1),
        "\
window_start               | n
---------------------------+--
1970-01-01 00:00:00.000000 | 4
"
    );
    assert_eq!(replica.size().0, 1, "the one group of the metric that is left");
}

#[test]
fn a_split_that_joins_is_waited_for_from_the_barrier_on_and_judged_by_its_floor() {
    let (script, before, _, _) = start();
    let mut replica = replica(&script, &before, &[0]);
    let mut a = first_chain(&script, &before, 0);
    replica.apply(&delta(&mut a, &ones(&[("x", 1.0), ("x", 23.0)]), vec![barrier(1, &[0, 1], &before)]));
    assert_eq!(replica.frontier(), EventTime(21_000_000));
    replica.apply(&delta(&mut a, &ones(&[("x", 60.0)]), vec![Mark::End]));
    assert_eq!(replica.frontier(), EventTime(21_000_000), "the other split may still bring rows from here on");
    let mut b = chain(&script, &before, 1, 1, 0, RunningWatermark::default());
    let floor = Mark::Floor(EventTime(21_000_000));
    replica.apply(&Arc::new(b.flush(vec![barrier(1, &[0, 1], &before), floor]).expect("marks")));
    replica.apply(&delta(&mut b, &ones(&[("y", 20.0), ("y", 21.0), ("y", 22.0)]), vec![Mark::End]));
    assert_eq!((replica.frontier(), replica.counters().late), (EventTime::MAX, 1));
    assert_eq!(
        table(&close(&mut replica), 0),
        "\
k | window_start               | n
--+----------------------------+--
x | 1970-01-01 00:00:00.000000 | 1
x | 1970-01-01 00:00:20.000000 | 1
x | 1970-01-01 00:01:00.000000 | 1
y | 1970-01-01 00:00:20.000000 | 2
"
    );
}
