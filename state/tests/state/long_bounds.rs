//! Many open slices: long watermark bounds and splits that lag. Look-ups stay cheap, and what they find stays right; short bounds pay nothing.

use crate::harness::{Harness, Run};
use crate::random_streams::{Story, run_of, splits_of, streams};
use crate::small::{Row, SECOND_US, batch, close, delta, first_chain, plan_of, replica};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use raympp_state::replica::Replica;
use raympp_testkit::generate::splits::SplitsShape;
use raympp_testkit::generate::{COLUMNS, splits};
use raympp_testkit::random::Random;
use raympp_testkit::reference::SplitRows;
use raympp_testkit::script::{StreamScript, bind};
use raympp_types::SplitId;

const LIGHT: [&str; 7] = ["count(*)", "sum(i)", "avg(amount)", "max(et)", "min(i)", "max(x)", "count(*) FILTER (WHERE flag)"];
const HEAVY: [&str; 8] =
    ["sum(x)", "last_value(i)", "first_value(name)", "max(name)", "count(DISTINCT i)", "approx_median(x)", "top_k(name, 3)", "var_pop(x)"];

/// A script of metrics over long windows that share their rows, so that some are assembled from wider slices.
fn long_windows(random: &mut Random, bound_us: i64, aggregates: &[&str]) -> String {
    let mut sql = format!("CREATE STREAM s ({COLUMNS}, WATERMARK FOR et AS et - INTERVAL '{bound_us} microseconds');\n");
    for number in 0..1 + random.index(3) {
        let slide_s = random.pick(&[1, 1, 2, 5]);
        let size_s = slide_s * random.pick(&[17, 32, 60, 100]);
        let window = match random.index(5) {
            0 => format!("TUMBLE(s, et, INTERVAL '{size_s} seconds')"),
            1 => format!("CUMULATE(s, et, INTERVAL '{slide_s} seconds', INTERVAL '{size_s} seconds')"),
            _ => format!("HOP(s, et, INTERVAL '{slide_s} seconds', INTERVAL '{size_s} seconds', INTERVAL '{} seconds')", random.index(2)),
        };
        let retention = random.pick(&["", "WITH (retention = '0s')"]);
        let (one, other) = (random.pick(aggregates), random.pick(aggregates));
        sql += &format!(
            "CREATE METRIC m{number} {retention} AS SELECT k, window_start, window_end, {one} AS a, {other} AS b FROM {window} \
             GROUP BY k, window_start, window_end;\n"
        );
    }
    sql
}

/// Random streams with bounds of many slices; some splits are behind the others in event time.
fn check(first_seed: u64, aggregates: &[&str]) {
    // Such streams have many windows, which the reference puts together one by one.
    for seed in first_seed..first_seed + streams() / 3 {
        let mut random = Random::new(seed);
        let bound_us = random.pick(&[0, 20, 50, 1_000]) * SECOND_US;
        let sql = long_windows(&mut random, bound_us, aggregates);
        let step_us = random.pick(&[300_000, 1_000_000]);
        let disorder_us = bound_us.min(60 * SECOND_US);
        let rows = SplitsShape { rows: 100, step_us, disorder_us, keys: random.pick(&[1, 3, 100]), ..splits_of(&mut random, bound_us) };
        let behind_us = random.pick(&[0, 15, 90]) * SECOND_US;
        let run = Run { look_once_in: 150, push_rows: random.pick(&[1, 5]), partitions: random.pick(&[1, 2]), ..run_of(&mut random) };
        let _story = Story(format!("seed {seed}\n{sql}{rows:?}\n{run:?}, others {behind_us} µs behind"));
        let script = bind(&sql);
        let mut all = splits(&mut random, SplitsShape { splits: 1, ..rows });
        let lagging = splits(&mut random, SplitsShape { splits: 1, start_us: rows.start_us - behind_us, ..rows });
        all.extend(lagging.into_iter().map(|split| SplitRows { split: SplitId(1), ..split }));
        let mut harness = Harness::new(&script, &all, run);
        harness.run_to_end(&mut random);
        harness.check_results();
    }
}

#[test]
fn numbers_under_long_bounds_agree_with_the_reference() {
    check(6_000_000, &LIGHT);
}

#[test]
fn heavy_aggregates_under_long_bounds_agree_with_the_reference() {
    check(7_000_000, &HEAVY);
}

/// Windows of 600 and of 60 slices, and one that is one wide slice; some metrics invert, some do not, some do both.
const METRICS: [(&str, &str, u32); 7] = [
    ("HOP(s, et, INTERVAL '1 second', INTERVAL '10 minutes')", "SUM(v) AS total", 600),
    ("HOP(s, et, INTERVAL '1 second', INTERVAL '10 minutes')", "MAX(v) AS most", 600),
    ("HOP(s, et, INTERVAL '1 second', INTERVAL '10 minutes')", "SUM(v) AS total, MAX(v) AS most, MIN(v) AS least", 600),
    ("CUMULATE(s, et, INTERVAL '1 second', INTERVAL '10 minutes')", "SUM(v) AS total", 600),
    ("CUMULATE(s, et, INTERVAL '1 second', INTERVAL '10 minutes')", "MAX(v) AS most", 600),
    ("TUMBLE(s, et, INTERVAL '10 minutes')", "MAX(v) AS most", 1),
    ("HOP(s, et, INTERVAL '30 seconds', INTERVAL '30 minutes')", "SUM(v) AS total, MAX(v) AS most", 60),
];

fn script_of(bound_s: i64, metrics: &[(&str, &str, u32)]) -> StreamScript {
    let stream = format!("CREATE STREAM s (k VARCHAR, v BIGINT, et TIMESTAMP, WATERMARK FOR et AS et - INTERVAL '{bound_s} seconds');\n");
    let metric = |(i, (window, aggregates, _)): (usize, &(&str, &str, u32))| {
        format!(
            "CREATE METRIC m{i} AS SELECT k, window_start, window_end, COUNT(*) AS n, {aggregates} FROM {window} GROUP BY k, window_start, window_end;\n"
        )
    };
    bind(&(stream + &metrics.iter().enumerate().map(metric).collect::<String>()))
}

const KEY: &[u8] = b"\x01a\0";

/// A row's event time in seconds and its value.
type Value = (i64, i64);

/// Checks what look-ups of the key cost and what they find, given the key's rows.
fn check_lookups(replica: &Replica, rows: &[Value], story: &str) {
    let view = replica.view();
    let seen_s = rows.iter().map(|row| row.0).max().expect("rows");
    for (metric, (window, aggregates, slices)) in replica.plan().metrics.iter().zip(METRICS) {
        let end_us = metric.plan.window.live_end(seen_s * SECOND_US);
        let start_us = metric.plan.window.start_of_window_ending(end_us);
        let values: Vec<i64> = rows.iter().filter(|row| (start_us..end_us).contains(&(row.0 * SECOND_US))).map(|row| row.1).collect();
        let most = values.iter().copied().max().expect("the live window holds the row with the highest event time");
        let least = values.iter().copied().min().expect("as above");
        let expected = [("n", values.len() as i64), ("total", values.iter().sum()), ("most", most), ("least", least)];
        let row = view.live(metric, KEY).expect("the key has rows");
        for (name, expected) in expected {
            if let Some(column) = row.column_by_name(name) {
                let found = arrow::compute::cast(column, &arrow::datatypes::DataType::Int64).expect("a small number");
                assert_eq!(found.as_primitive::<Int64Type>().value(0), expected, "{story}: {name} of {aggregates} of {window}");
            }
        }
        let merges = view.live_merges(metric, KEY).expect("the key has rows");
        let most = 2.0 * f64::from(slices).log2() + 18.0;
        assert!(merges as f64 <= most, "{story}: {merges} merges for {aggregates} of {window}");
    }
}

#[test]
fn a_live_window_is_a_few_merges_however_many_slices_are_open() {
    for bound_s in [0, 3, 7, 8, 9, 12, 40, 599, 600, 601, 3_000] {
        let script = script_of(bound_s, &METRICS);
        let plan = plan_of(&script);
        assert!(plan.metrics.iter().all(|metric| metric.store == plan.metrics[0].store), "wider slices are made of finer ones");
        let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
        let (mut random, mut values) = (Random::new(bound_s as u64), Vec::new());
        for second in 0..2_500 {
            let late = second - random.between(0, bound_s.min(second));
            // Now and then nothing comes for a while, so that there are slices without rows.
            if (second / 50) % 7 == 3 {
                continue;
            }
            // Late rows bring the highest values.
            values.extend([(second, 2 * second), (late, 2 * second + 1)]);
            let rows = [0, 1].map(|i| values[values.len() - 2 + i]).map(|(at, value)| (Some("a"), Some(value), at as f64));
            replica.apply(&delta(&mut chain, &batch(&rows), Vec::new()));
            close(&mut replica);
            if second % 10 == 9 {
                check_lookups(&replica, &values, &format!("bound {bound_s} s, second {second}"));
            }
        }
    }
}

#[test]
fn a_split_that_lags_or_has_not_begun_costs_look_ups_nothing() {
    let script = script_of(2, &METRICS);
    let plan = plan_of(&script);
    let mut replica = replica(&script, &plan, &[0, 1]);
    let (mut ahead, mut behind) = (first_chain(&script, &plan, 0), first_chain(&script, &plan, 1));
    let mut values = Vec::new();
    for second in 0..4_000_i64 {
        let mut apply = |chain, at: i64| {
            let row: Row = (Some("a"), Some(second), at as f64);
            replica.apply(&delta(chain, &batch(&[row]), Vec::new()));
            close(&mut replica);
            values.push((at, second));
        };
        apply(&mut ahead, second.min(2_500));
        if second >= 1_500 {
            // Catches up twice as fast as the other goes on, overtakes it and is followed in its turn.
            apply(&mut behind, 2 * (second - 1_500));
        }
        if second % 10 == 9 {
            check_lookups(&replica, &values, &format!("second {second}"));
        }
    }
    assert_eq!(replica.counters().rows_below_frontier, 0);
}

#[test]
fn a_short_bound_builds_nothing_early() {
    // One key, sums only: every block of memory is 64 cells of a row count and a sum.
    let size = |bound_s: i64| {
        let script = script_of(bound_s, &METRICS[..1]);
        let plan = plan_of(&script);
        let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
        for second in 0..100 {
            replica.apply(&delta(&mut chain, &batch(&[(Some("a"), Some(1), f64::from(second))]), Vec::new()));
            close(&mut replica);
        }
        let (_, slices, bytes) = replica.size();
        assert_eq!(slices, 100);
        bytes
    };
    let block = 64 * 8 * 2;
    assert_eq!([3, 5, 6].map(|bound_s| size(bound_s) - size(0)), [0, 0, 0]);
    assert_eq!(size(50) - size(0), block, "a second running block, at the settled edge");
}

#[test]
fn what_was_built_early_goes_when_closing_catches_up() {
    let size = |seconds_behind: i32| {
        let script = script_of(0, &METRICS[..1]);
        let plan = plan_of(&script);
        let mut replica = replica(&script, &plan, &[0, 1]);
        let mut chains = [first_chain(&script, &plan, 0), first_chain(&script, &plan, 1)];
        let mut most = 0;
        for second in 0..100 + seconds_behind {
            for (chain, at) in chains.iter_mut().zip([second.min(99), second - seconds_behind]) {
                replica.apply(&delta(chain, &batch(&[(Some("a"), Some(1), f64::from(at.max(0)))]), Vec::new()));
                close(&mut replica);
            }
            most = most.max(replica.size().2);
        }
        (replica.size().2, most)
    };
    let together = size(0);
    assert_eq!(together.0, together.1);
    assert_eq!(size(30).0, together.0);
    assert!(size(30).1 > together.1);
}
