//! What metrics share. Scripts go in; which metric lives where comes out as text.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

use expect_test::{Expect, expect};
use raympp_operators::plan::MetricPlan;
use raympp_operators::sharing::{SharedPlan, StoreKind};
use raympp_operators::sql::{Catalog, Statement, bind_script};
use raympp_types::{MetricId, PlanVersion};
use std::fmt::Write;
use std::sync::Arc;

const STREAM: &str = "CREATE STREAM s (k VARCHAR, n BIGINT, x DOUBLE PRECISION, et TIMESTAMP);\n";

fn metrics(script: &str) -> Vec<(MetricId, Arc<MetricPlan>)> {
    let bound = bind_script(&format!("{STREAM}{script}"), &Catalog::default()).expect("the script makes sense");
    let plans = bound.statements.into_iter().filter_map(|s| if let Statement::CreateMetric { plan, .. } = s { Some(plan) } else { None });
    plans.enumerate().map(|(id, plan)| (MetricId(id as u32), plan)).collect()
}

fn plan_of(script: &str) -> SharedPlan {
    SharedPlan::of(PlanVersion(1), &metrics(script))
}

/// Key spaces, stores with their tiers and accumulators, and where each metric is.
fn text(plan: &SharedPlan) -> String {
    let mut text = String::new();
    for (i, space) in plan.key_spaces.iter().enumerate() {
        let keys: Vec<String> = space.keys.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "key space {i}: ({})", keys.join(", "));
    }
    for (i, store) in plan.stores.iter().enumerate() {
        let Some(store) = store else {
            let _ = writeln!(text, "store {i}: dropped");
            continue;
        };
        let kind = match store.kind {
            StoreKind::Sliced => "slices".to_string(),
            StoreKind::Sessions { gap_us } => format!("sessions {gap_us}"),
            StoreKind::Running => "running".to_string(),
        };
        let filter = store.filter.as_ref().map_or(String::new(), |filter| format!(" where {filter}"));
        let accumulators: Vec<String> = store.accumulators.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "store {i}: keys {}, {kind}{filter}: {}", store.key_space, accumulators.join(", "));
        for tier in &store.tiers {
            let shapes: Vec<String> = tier
                .shapes
                .iter()
                .map(|shape| format!("size {} retention {} of {:?}", shape.window.size_us(), shape.retention_us, shape.accumulators))
                .collect();
            let _ = writeln!(text, "  slices of {} + {}: {}", tier.width_us, tier.offset_us, shapes.join("; "));
        }
    }
    for metric in &plan.metrics {
        let place = (metric.store, metric.tier, metric.shape);
        let _ = writeln!(text, "{}: {place:?} {:?} since {}", metric.plan.name, metric.accumulators, metric.since.0);
    }
    text
}

fn check(script: &str, expected: Expect) {
    let plan = plan_of(script);
    check_invariants(&plan);
    expected.assert_eq(&text(&plan));
}

/// What `state` relies on.
fn check_invariants(plan: &SharedPlan) {
    for (_, store) in plan.live_stores() {
        let Some(base) = store.tiers.first() else { continue };
        for tier in &store.tiers {
            assert_eq!(tier.width_us % base.width_us, 0, "every tier is made of base slices");
            assert_eq!((tier.offset_us - base.offset_us) % base.width_us, 0, "and begins where one does");
            assert!((0..tier.width_us).contains(&tier.offset_us));
            tier.shapes.iter().for_each(|shape| assert_eq!(shape.window.slice_width_us(), Some(tier.width_us)));
        }
    }
    for metric in &plan.metrics {
        let store = plan.stores[metric.store].as_ref().expect("a metric's store is in use");
        assert_eq!(plan.key_spaces[store.key_space].keys, metric.plan.keys.iter().map(|key| key.expr.clone()).collect::<Vec<_>>());
        assert_eq!(store.filter, metric.plan.filter);
        for (aggregate, positions) in metric.plan.aggregates.iter().zip(&metric.accumulators) {
            let lowered = aggregate.lower().accumulators;
            assert_eq!(lowered, positions.iter().map(|&i| store.accumulators[i].clone()).collect::<Vec<_>>());
        }
        if metric.plan.window.is_sliced() {
            let shape = &store.tiers[metric.tier].shapes[metric.shape];
            assert_eq!(shape.window, metric.plan.window);
            assert!(shape.retention_us >= metric.plan.retention_us);
            assert!(metric.accumulators.iter().flatten().all(|i| shape.accumulators.contains(i)));
        }
    }
}

fn metric(name: &str, select: &str, rest: &str) -> String {
    format!("CREATE METRIC {name} AS SELECT k, window_start, {select} FROM {rest} GROUP BY k, window_start;\n")
}

const SECOND: &str = "INTERVAL '1 second'";

#[test]
fn equal_accumulators_of_one_window_are_kept_once() {
    check(
        &(metric("a", "SUM(n) AS s, COUNT(*) AS c", &format!("TUMBLE(s, et, {SECOND})"))
            + &metric("b", "AVG(n) AS m", &format!("TUMBLE(s, et, {SECOND})"))),
        expect![[r#"
            key space 0: (k)
            store 0: keys 0, slices: nulls(n), sum(n)
              slices of 1000000 + 0: size 1000000 retention 1000000 of {0, 1}
            a: (0, 0, 0) [[0, 1], []] since 1
            b: (0, 0, 0) [[0, 1]] since 1
        "#]],
    );
}

#[test]
fn a_coarser_window_is_a_tier_of_the_finer_one() {
    check(
        &(metric("minute", "SUM(n) AS s", "TUMBLE(s, et, INTERVAL '1 minute')")
            + &metric("sliding", "SUM(n) AS s", &format!("HOP(s, et, {SECOND}, INTERVAL '10 seconds')"))),
        expect![[r#"
            key space 0: (k)
            store 0: keys 0, slices: nulls(n), sum(n)
              slices of 1000000 + 0: size 10000000 retention 10000000 of {0, 1}
              slices of 60000000 + 0: size 60000000 retention 60000000 of {0, 1}
            minute: (0, 1, 0) [[0, 1]] since 1
            sliding: (0, 0, 0) [[0, 1]] since 1
        "#]],
    );
}

#[test]
fn slides_that_do_not_divide_each_other_get_a_finer_base() {
    check(
        &(metric("two", "MIN(n) AS s", "HOP(s, et, INTERVAL '2 seconds', INTERVAL '6 seconds')")
            + &metric("three", "MIN(n) AS s", "HOP(s, et, INTERVAL '3 seconds', INTERVAL '6 seconds')")
            + &metric("shifted", "COUNT(*) AS s", "TUMBLE(s, et, INTERVAL '2 seconds', INTERVAL '500 milliseconds')")),
        expect![[r#"
            key space 0: (k)
            store 0: keys 0, slices: nulls(n), min(n)
              slices of 500000 + 0: 
              slices of 2000000 + 0: size 6000000 retention 6000000 of {0, 1}
              slices of 2000000 + 500000: size 2000000 retention 2000000 of {}
              slices of 3000000 + 0: size 6000000 retention 6000000 of {0, 1}
            two: (0, 1, 0) [[0, 1]] since 1
            three: (0, 3, 0) [[0, 1]] since 1
            shifted: (0, 2, 0) [[]] since 1
        "#]],
    );
}

#[test]
fn a_base_that_would_be_much_finer_is_not_worth_it() {
    check(
        &(metric("prime", "COUNT(*) AS s", "TUMBLE(s, et, INTERVAL '997 milliseconds')")
            + &metric("second", "COUNT(*) AS s", &format!("TUMBLE(s, et, {SECOND})"))),
        expect![[r#"
            key space 0: (k)
            store 0: keys 0, slices: 
              slices of 997000 + 0: size 997000 retention 997000 of {}
            store 1: keys 0, slices: 
              slices of 1000000 + 0: size 1000000 retention 1000000 of {}
            prime: (0, 0, 0) [[]] since 1
            second: (1, 0, 0) [[]] since 1
        "#]],
    );
}

#[test]
fn other_rows_are_another_store_over_the_same_keys() {
    check(
        &(metric("all", "COUNT(*) AS c", &format!("TUMBLE(s, et, {SECOND})"))
            + &metric("positive", "COUNT(*) AS c", &format!("TUMBLE(s, et, {SECOND}) WHERE n > 0"))
            + &metric("session", "COUNT(*) AS c", &format!("SESSION(s, et, {SECOND})"))
            + &metric("other_gap", "COUNT(*) AS c", "SESSION(s, et, INTERVAL '2 seconds')")
            + "CREATE METRIC running AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;\n"
            + "CREATE METRIC one_group AS SELECT window_start, COUNT(*) AS c FROM TUMBLE(s, et, INTERVAL '1 second') GROUP BY window_start;\n"),
        expect![[r#"
            key space 0: (k)
            key space 1: ()
            store 0: keys 0, sessions 1000000: 
            store 1: keys 0, sessions 2000000: 
            store 2: keys 0, running: 
            store 3: keys 0, slices: 
              slices of 1000000 + 0: size 1000000 retention 1000000 of {}
            store 4: keys 0, slices where n > 0: 
              slices of 1000000 + 0: size 1000000 retention 1000000 of {}
            store 5: keys 1, slices: 
              slices of 1000000 + 0: size 1000000 retention 1000000 of {}
            all: (3, 0, 0) [[]] since 1
            positive: (4, 0, 0) [[]] since 1
            session: (0, 0, 0) [[]] since 1
            other_gap: (1, 0, 0) [[]] since 1
            running: (2, 0, 0) [[]] since 1
            one_group: (5, 0, 0) [[]] since 1
        "#]],
    );
}

#[test]
fn what_can_fail_sets_metrics_apart() {
    check(
        &(metric("safe", "SUM(n) AS s", &format!("TUMBLE(s, et, {SECOND})"))
            + &metric("fails", "SUM(1 / n) AS s", &format!("TUMBLE(s, et, {SECOND})"))
            + &metric("fails_too", "SUM(n) AS s, AVG(1 / n) AS m", &format!("TUMBLE(s, et, {SECOND})"))),
        expect![[r#"
            key space 0: (k)
            store 0: keys 0, slices: nulls(n), sum(n)
              slices of 1000000 + 0: size 1000000 retention 1000000 of {0, 1}
            store 1: keys 0, slices: nulls(1 / n), sum(1 / n), nulls(n), sum(n)
              slices of 1000000 + 0: size 1000000 retention 1000000 of {0, 1, 2, 3}
            safe: (0, 0, 0) [[0, 1]] since 1
            fails: (1, 0, 0) [[0, 1]] since 1
            fails_too: (1, 0, 0) [[2, 3], [0, 1]] since 1
        "#]],
    );
}

#[test]
fn a_metric_added_later_shares_only_what_is_there_already() {
    let script = metric("sum", "SUM(n) AS s, MAX(n) AS m", &format!("HOP(s, et, {SECOND}, INTERVAL '5 seconds')"))
        + &metric("same", "AVG(n) AS m", &format!("HOP(s, et, {SECOND}, INTERVAL '5 seconds')"))
        + &metric("longer", "SUM(n) AS s", &format!("HOP(s, et, {SECOND}, INTERVAL '6 seconds')"))
        + &metric("more", "SUM(x) AS s", &format!("HOP(s, et, {SECOND}, INTERVAL '5 seconds')"));
    let all = metrics(&script);
    let mut plan = SharedPlan::of(PlanVersion(1), &all[..1]);
    let before = plan.stores[0].clone();
    for (id, metric) in &all[1..] {
        plan = plan.with(*id, metric);
        check_invariants(&plan);
    }
    assert_eq!(plan.stores[0], before, "a store never changes once rows flow");
    expect![[r#"
        key space 0: (k)
        store 0: keys 0, slices: nulls(n), sum(n), max(n)
          slices of 1000000 + 0: size 5000000 retention 5000000 of {0, 1, 2}
        store 1: keys 0, slices: nulls(n), sum(n)
          slices of 1000000 + 0: size 6000000 retention 6000000 of {0, 1}
        store 2: keys 0, slices: nulls(x), sum(x), sum of outliers(x)
          slices of 1000000 + 0: size 5000000 retention 5000000 of {0, 1, 2}
        sum: (0, 0, 0) [[0, 1], [0, 2]] since 1
        same: (0, 0, 0) [[0, 1]] since 2
        longer: (1, 0, 0) [[0, 1]] since 3
        more: (2, 0, 0) [[0, 1, 2]] since 4
    "#]]
    .assert_eq(&text(&plan));
    let dropped = plan.without(all[0].0).without(all[2].0);
    check_invariants(&dropped);
    expect![[r#"
        key space 0: (k)
        store 0: keys 0, slices: nulls(n), sum(n), max(n)
          slices of 1000000 + 0: size 5000000 retention 5000000 of {0, 1, 2}
        store 1: dropped
        store 2: keys 0, slices: nulls(x), sum(x), sum of outliers(x)
          slices of 1000000 + 0: size 5000000 retention 5000000 of {0, 1, 2}
        same: (0, 0, 0) [[0, 1]] since 2
        more: (2, 0, 0) [[0, 1, 2]] since 4
    "#]]
    .assert_eq(&text(&dropped));
    let again = dropped.with(MetricId(9), &all[2].1);
    assert_eq!(again.metrics.last().map(|metric| metric.store), Some(3), "a dropped store's position is not used again");
}

#[test]
fn the_plan_is_a_function_of_the_changes() {
    let script = metric("a", "COUNT(*) AS c", "TUMBLE(s, et, INTERVAL '4 seconds')")
        + &metric("b", "MIN(x) AS c", "TUMBLE(s, et, INTERVAL '6 seconds')")
        + &metric("c", "SUM(x) AS c", "CUMULATE(s, et, INTERVAL '2 seconds', INTERVAL '8 seconds')");
    let metrics = metrics(&script);
    let (one, other) = (SharedPlan::of(PlanVersion(1), &metrics), SharedPlan::of(PlanVersion(1), &metrics));
    assert_eq!(one, other);
    assert_eq!(one.without(MetricId(1)).with(MetricId(3), &metrics[1].1), other.without(MetricId(1)).with(MetricId(3), &metrics[1].1));
    assert_eq!(one.metric("b").map(|metric| metric.id), Some(MetricId(1)));
    assert_eq!(one.with(MetricId(3), &metrics[0].1).version, PlanVersion(2));
}
