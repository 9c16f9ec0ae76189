//! What is kept is what windows still need: keys, slices and dictionaries are forgotten, gaps in time cost nothing, blocks grow.

use crate::small::{Row, SECOND_US, batch, close, delta, first_chain, plan_of, push, replica, script, table};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use raympp_state::delta::Mark;
use raympp_state::replica::Want;
use raympp_state::result::ResultDelta;
use raympp_testkit::random::Random;
use raympp_types::{EventTime, Offset};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys that a chain adds before it forgets those it no longer uses.
const SWEEP_MIN: usize = 65_536;

/// Rows of numbered keys at one event time each, value 1.
fn numbered(keys: impl Iterator<Item = u64> + Clone, at_us: impl Fn(u64) -> i64) -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("k", Arc::new(StringArray::from_iter_values(keys.clone().map(|key| format!("key {key}"))))),
        ("v", Arc::new(Int64Array::from_iter_values(keys.clone().map(|_| 1)))),
        ("et", Arc::new(TimestampMicrosecondArray::from_iter_values(keys.map(at_us)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("columns of one length")
}

/// Sum of the column `n` of all rows, and their number.
fn total(results: &[ResultDelta]) -> (i64, usize) {
    let n = |result: &ResultDelta| {
        let column = result.batch.column_by_name("n").expect("a column n").as_primitive::<Int64Type>().clone();
        column.values().iter().sum::<i64>()
    };
    (results.iter().map(n).sum(), results.iter().map(|result| result.batch.num_rows()).sum())
}

#[test]
fn ever_new_keys_take_no_more_memory_than_the_windows_that_are_open() {
    let script = script(
        "CREATE METRIC m WITH (retention = '0s') AS SELECT k, window_start, COUNT(*) AS n, MAX(v) AS m \
         FROM HOP(s, et, INTERVAL '1 second', INTERVAL '3 seconds') GROUP BY k, window_start;",
    );
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let (keys_per_second, seconds) = (5_000, 80);
    let mut results = Vec::new();
    let mut most = (0, 0);
    for second in 0..seconds {
        let keys = second * keys_per_second..(second + 1) * keys_per_second;
        let rows = numbered(keys, |key| (key / keys_per_second) as i64 * SECOND_US);
        replica.apply(&delta(&mut chain, &rows, if second + 1 == seconds { vec![Mark::End] } else { Vec::new() }));
        results.extend(close(&mut replica));
        let (keys, slices, _) = replica.size();
        most = (most.0.max(keys), most.1.max(slices));
    }
    assert_eq!(total(&results), (3 * (keys_per_second * seconds) as i64, 3 * (keys_per_second * seconds) as usize));
    // The sender names keys until it sweeps; the replica needs those of the last few slices.
    assert!(most.0 < 2 * SWEEP_MIN + 10 * keys_per_second as usize, "{} keys at once", most.0);
    // Pages are as many as keys are at once, slices per page as many as windows need.
    assert!(most.1 < most.0.div_ceil(4096) * 8, "{} blocks at once", most.1);
    assert_eq!(replica.counters().rows_below_frontier, 0);
}

#[test]
fn a_key_that_comes_back_after_it_was_forgotten_is_itself_again() {
    let script = script("CREATE METRIC m AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k;");
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let mut expected: BTreeMap<u64, i64> = BTreeMap::new();
    for round in 0..6u64 {
        // Half of the keys are new in each round, so that each sweep retires some and their wire ids are given away.
        let keys = round * 40_000..round * 40_000 + 80_000;
        keys.clone().for_each(|key| *expected.entry(key).or_default() += 1);
        replica.apply(&delta(&mut chain, &numbered(keys, |_| 0), Vec::new()));
    }
    let again = (0..80_000).step_by(7);
    again.clone().for_each(|key| *expected.entry(key).or_default() += 1);
    replica.apply(&delta(&mut chain, &numbered(again, |_| 0), Vec::new()));
    let scanned = replica.view().scan(&plan.metrics[0], false);
    let mut found: BTreeMap<u64, i64> = BTreeMap::new();
    for rows in &scanned {
        let keys = arrow::compute::cast(rows.rows.batch.column(0), &arrow::datatypes::DataType::Utf8).expect("strings");
        let counts = rows.rows.batch.column(1).as_primitive::<Int64Type>();
        for (key, &count) in keys.as_string::<i32>().iter().zip(counts.values()) {
            let key = key.and_then(|key| key.strip_prefix("key ")).expect("a numbered key").parse().expect("a number");
            assert_eq!(found.insert(key, count), None, "a key has one group");
        }
    }
    assert_eq!(found, expected);
}

/// Numbers as keys of one type; in the case of a dictionary always the same one.
type KeyColumn<'a> = &'a dyn Fn(&[i64]) -> ArrayRef;

/// Many keys, multiples of a number, come; others come, for which those are forgotten over many flushes while few are used; and they come again.
fn keys_are_forgotten_and_come_again(key_type: &str, apart: i64, keys: KeyColumn<'_>) {
    let script = raympp_testkit::script::bind(&format!(
        "CREATE STREAM s (k {key_type}, v BIGINT, et TIMESTAMP);\n\
         CREATE METRIC m AS SELECT k, window_start, COUNT(*) AS n, SUM(v) AS total FROM TUMBLE(s, et, INTERVAL '1 second') GROUP BY k, window_start;",
    ));
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let (many, few) = (90_000, 10);
    let mut now_us = 0;
    let mut push = |replica: &mut raympp_state::replica::Replica, numbers: &[i64], marks| {
        now_us += SECOND_US / 100;
        let columns: [(&str, ArrayRef); 3] = [
            ("k", keys(numbers)),
            ("v", Arc::new(Int64Array::from(numbers.to_vec()))),
            ("et", Arc::new(TimestampMicrosecondArray::from(vec![now_us; numbers.len()]))),
        ];
        let rows =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("columns of one length");
        replica.apply(&delta(&mut chain, &rows, marks));
        let results = close(replica);
        for result in &results {
            let texts = arrow::compute::cast(result.batch.column(0), &arrow::datatypes::DataType::Utf8).expect("strings");
            let (counts, totals) = (result.batch.column(2).as_primitive::<Int64Type>(), result.batch.column(3));
            let totals = arrow::compute::cast(totals, &arrow::datatypes::DataType::Int64).expect("small sums");
            for (row, text) in texts.as_string::<i32>().iter().enumerate() {
                let key: i64 = text.and_then(|text| text.parse().ok()).expect("a number");
                assert_eq!(totals.as_primitive::<Int64Type>().value(row), key * counts.value(row), "{key_type} {key}");
            }
        }
        total(&results).1
    };
    let numbers = |from: i64, step: i64, count: i64| (0..count).map(|i| (from + i * step) * apart).collect::<Vec<i64>>();
    let (all, others, some) = (numbers(0, 1, many), numbers(many, 1, many), numbers(0, 9_000, few));
    let mut rows = push(&mut replica, &all, Vec::new());
    for _ in 0..400 {
        rows += push(&mut replica, &some, Vec::new());
    }
    rows += push(&mut replica, &others, Vec::new());
    for _ in 0..1_500 {
        rows += push(&mut replica, &some, Vec::new());
    }
    assert!(replica.size().0 < 91_000, "{key_type}: {} keys are still there", replica.size().0);
    // The first of those that come have the numbers that others had before.
    let reversed: Vec<i64> = all.iter().rev().copied().collect();
    rows += push(&mut replica, &reversed, Vec::new());
    rows += push(&mut replica, &all, vec![Mark::End]);
    assert_eq!(rows as i64, 3 * many + 18 * few, "{key_type}");
}

#[test]
fn keys_that_were_forgotten_come_again_as_themselves() {
    keys_are_forgotten_and_come_again("BIGINT", 1, &|numbers| Arc::new(Int64Array::from(numbers.to_vec())));
    keys_are_forgotten_and_come_again("VARCHAR", 1, &|numbers| Arc::new(StringArray::from_iter_values(numbers.iter().map(i64::to_string))));
    let dictionary: ArrayRef = Arc::new(StringArray::from_iter_values((0..180_000).map(|number: i64| number.to_string())));
    keys_are_forgotten_and_come_again("VARCHAR", 1, &|numbers| {
        let codes = arrow::array::Int32Array::from_iter_values(numbers.iter().map(|&number| number as i32));
        Arc::new(arrow::array::DictionaryArray::new(codes, Arc::clone(&dictionary)))
    });
    // Far apart, so that they have no codes.
    keys_are_forgotten_and_come_again("BIGINT", 1 << 30, &|numbers| Arc::new(Int64Array::from(numbers.to_vec())));
}

/// Many keys come once, then ten others again and again, and the rows of each become one entry a flush: a table is not too long for them.
fn a_burst_does_not_keep_rows_from_being_folded(key_type: &str, apart: i64, keys: KeyColumn<'_>) {
    let script = raympp_testkit::script::bind(&format!(
        "CREATE STREAM s (k {key_type}, v BIGINT, et TIMESTAMP);\n\
         CREATE METRIC m WITH (retention = '0s') AS SELECT k, window_start, COUNT(*) AS n FROM TUMBLE(s, et, INTERVAL '1 second') \
         GROUP BY k, window_start;",
    ));
    let plan = plan_of(&script);
    let mut chain = first_chain(&script, &plan, 0);
    let mut now_us = 0;
    let mut entries = |numbers: &mut dyn Iterator<Item = i64>| -> usize {
        let numbers: Vec<i64> = numbers.map(|number| number * apart).collect();
        now_us += SECOND_US / 20;
        let columns: [(&str, ArrayRef); 3] = [
            ("k", keys(&numbers)),
            ("v", Arc::new(Int64Array::from(numbers.clone()))),
            ("et", Arc::new(TimestampMicrosecondArray::from(vec![now_us; numbers.len()]))),
        ];
        let rows =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("columns of one length");
        delta(&mut chain, &rows, Vec::new()).parts.iter().flat_map(|(_, part)| &part.entries).map(|entries| entries.ids.len()).sum()
    };
    assert_eq!(entries(&mut (0..70_000)), 70_000);
    let mut few = || entries(&mut (0..400).map(|row| 70_000 + 3 * (row % 10)));
    for _ in 0..1_000 {
        few();
    }
    assert_eq!([few(), few()], [10, 10], "{key_type}, {apart} apart");
}

#[test]
fn rows_are_folded_again_after_a_burst_of_keys() {
    a_burst_does_not_keep_rows_from_being_folded("BIGINT", 1, &|numbers| Arc::new(Int64Array::from(numbers.to_vec())));
    a_burst_does_not_keep_rows_from_being_folded("BIGINT", 1 << 30, &|numbers| Arc::new(Int64Array::from(numbers.to_vec())));
    let text = |numbers: &[i64]| -> ArrayRef { Arc::new(StringArray::from_iter_values(numbers.iter().map(i64::to_string))) };
    a_burst_does_not_keep_rows_from_being_folded("VARCHAR", 1, &text);
}

/// Event time jumps within a flush: rows behind the gap are folded like those before it.
#[test]
fn a_jump_of_event_time_does_not_keep_rows_from_being_folded() {
    let script = script(
        "CREATE METRIC m AS SELECT k, window_start, COUNT(*) AS n FROM TUMBLE(s, et, INTERVAL '1 second') GROUP BY k, window_start;",
    );
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let keys = || (0..500).map(|row| row % 10);
    for second in [0, 1_000, 1_001] {
        push(&mut chain, &numbered(keys(), |_| second * SECOND_US));
    }
    let delta = delta(&mut chain, &numbered(keys(), |_| 5_000 * SECOND_US), vec![Mark::End]);
    let entries: usize = delta.parts.iter().flat_map(|(_, part)| &part.entries).map(|entries| entries.ids.len()).sum();
    assert_eq!(entries, 4 * 10);
    replica.apply(&delta);
    assert_eq!(total(&close(&mut replica)), (4 * 500, 4 * 10));
}

#[test]
fn a_gap_of_centuries_is_closed_in_a_few_steps() {
    let script = script(
        "CREATE METRIC hop AS SELECT k, window_start, COUNT(*) AS n FROM HOP(s, et, INTERVAL '10 milliseconds', INTERVAL '1 second') \
         GROUP BY k, window_start;\n\
         CREATE METRIC cumulate AS SELECT k, window_start, window_end, MIN(v) AS n \
         FROM CUMULATE(s, et, INTERVAL '1 second', INTERVAL '1 minute') GROUP BY k, window_start, window_end;\n\
         CREATE METRIC session AS SELECT k, window_start, COUNT(*) AS n FROM SESSION(s, et, INTERVAL '1 second') GROUP BY k, window_start;",
    );
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let centuries = [-50_000_000_000.0, 0.0, 50_000_000_000.0];
    let mut steps = 0;
    for (i, at) in centuries.into_iter().enumerate() {
        let marks = if i + 1 == centuries.len() { vec![Mark::End] } else { Vec::new() };
        replica.apply(&delta(&mut chain, &batch(&[(Some("a"), Some(1), at)]), marks));
        while replica.close_step(|_| Want::Nothing, &mut Vec::new()) {
            steps += 1;
        }
    }
    // The three minutes are cut at their 41st, first and 21st second.
    assert_eq!(replica.counters().windows_closed, 3 * 100 + (20 + 60 + 40) + 3);
    assert!(steps < 2_000, "{steps} steps for three rows");
}

#[test]
fn merged_slices_go_with_the_slices() {
    for bound_s in [0, 20] {
        let script = raympp_testkit::script::bind(&format!(
            "CREATE STREAM s (k VARCHAR, v BIGINT, et TIMESTAMP, WATERMARK FOR et AS et - INTERVAL '{bound_s} seconds');\n\
             CREATE METRIC m WITH (retention = '0s') AS SELECT k, window_start, MAX(v) AS most \
             FROM HOP(s, et, INTERVAL '1 second', INTERVAL '32 seconds') GROUP BY k, window_start;"
        ));
        let plan = plan_of(&script);
        let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
        let mut bytes = Vec::new();
        // A pair of slices always lacks its second one.
        for second in (0..1_024).step_by(2) {
            replica.apply(&delta(&mut chain, &batch(&[(Some("a"), Some(1), second as f64)]), Vec::new()));
            close(&mut replica);
            if second % 128 == 0 {
                bytes.push(replica.size().2);
            }
        }
        assert_eq!(bytes[2..], vec![bytes[1]; bytes.len() - 2], "bound {bound_s} s");
    }
}

#[test]
fn sessions_take_bytes_until_retention_lets_go_of_them() {
    let script = script(
        "CREATE METRIC m WITH (retention = '0s') AS SELECT k, window_start, SUM(v) AS total, COUNT(DISTINCT v) AS different \
         FROM SESSION(s, et, INTERVAL '2 seconds') GROUP BY k, window_start;",
    );
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let store = plan.metrics[0].store;
    // Each minute three pieces become one session with three different values, and the minute before is let go of.
    let mut sizes = Vec::new();
    for minute in 0..4 {
        let rows: Vec<Row> = [0.0, 3.0, 1.5].into_iter().map(|at| (Some("a"), Some(at as i64), minute as f64 * 60.0 + at)).collect();
        for row in rows.chunks(1) {
            replica.apply(&delta(&mut chain, &batch(row), Vec::new()));
            close(&mut replica);
        }
        let (_, sessions, bytes) = replica.store_size(store).expect("the metric's store");
        sizes.push((sessions, bytes));
    }
    assert_eq!(sizes[1..], vec![sizes[0]; 3]);
    assert!(sizes[0].0 == 1 && sizes[0].1 > 0, "{sizes:?}");
}

#[test]
fn blocks_and_pages_grow_with_their_keys() {
    let script = script(
        "CREATE METRIC m AS SELECT k, window_start, COUNT(*) AS n, SUM(v) AS total, MIN(v) AS least, FIRST_VALUE(k) AS first, \
         COUNT(DISTINCT k) AS keys, AVG(v) AS mean FROM HOP(s, et, INTERVAL '1 second', INTERVAL '4 seconds') GROUP BY k, window_start;",
    );
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let mut results = Vec::new();
    let mut rows = 0;
    // More keys second by second: within a block's first capacity, beyond it, to the end of a page and over it.
    for (second, keys) in [1, 63, 64, 65, 130, 4_095, 4_096, 4_097, 9_000, 10, 1].into_iter().enumerate() {
        rows += keys;
        replica.apply(&delta(&mut chain, &numbered(0..keys, |_| second as i64 * SECOND_US), Vec::new()));
        results.extend(close(&mut replica));
    }
    replica.apply(&Arc::new(chain.flush(vec![Mark::End]).expect("a mark")));
    results.extend(close(&mut replica));
    assert_eq!(total(&results).0, 4 * rows as i64);
    for result in results.iter().filter(|result| result.batch.num_rows() > 0) {
        let column = |name: &str| result.batch.column_by_name(name).expect("a column");
        let (n, total) = (column("n").as_primitive::<Int64Type>(), column("total"));
        let sums = arrow::compute::cast(total, &arrow::datatypes::DataType::Int64).expect("small numbers");
        assert_eq!(n.values(), sums.as_primitive::<Int64Type>().values());
        let texts = |name: &str| arrow::compute::cast(column(name), &arrow::datatypes::DataType::Utf8).expect("strings");
        assert_eq!(texts("k").as_string::<i32>(), texts("first").as_string::<i32>());
        assert!(column("keys").as_primitive::<Int64Type>().values().iter().all(|&keys| keys == 1));
    }
}

#[test]
fn sums_beyond_64_bits_come_and_go() {
    let script = script(
        "CREATE METRIC m AS SELECT window_end, SUM(v) AS total, COUNT(v) AS n FROM HOP(s, et, INTERVAL '1 second', INTERVAL '3 seconds') \
         GROUP BY window_end;",
    );
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let (most, least) = (Some(i64::MAX), Some(i64::MIN));
    let rows: [Row; 9] = [
        (None, Some(7), 0.0),
        (None, most, 1.0),
        (None, most, 1.5),
        (None, most, 2.0),
        (None, least, 3.0),
        (None, least, 4.0),
        (None, least, 4.5),
        (None, None, 5.0),
        (None, Some(-7), 6.0),
    ];
    let mut results = Vec::new();
    for row in rows {
        replica.apply(&delta(&mut chain, &batch(&[row]), Vec::new()));
        results.extend(close(&mut replica));
    }
    replica.apply(&Arc::new(chain.flush(vec![Mark::End]).expect("a mark")));
    results.extend(close(&mut replica));
    assert_eq!(
        table(&results, 0),
        "\
window_end                 | total                 | n
---------------------------+-----------------------+--
1970-01-01 00:00:01.000000 | 7                     | 1
1970-01-01 00:00:02.000000 | 18446744073709551621  | 3
1970-01-01 00:00:03.000000 | 27670116110564327428  | 4
1970-01-01 00:00:04.000000 | 18446744073709551613  | 4
1970-01-01 00:00:05.000000 | -18446744073709551617 | 4
1970-01-01 00:00:06.000000 | -27670116110564327424 | 3
1970-01-01 00:00:07.000000 | -18446744073709551623 | 3
1970-01-01 00:00:08.000000 | -7                    | 1
1970-01-01 00:00:09.000000 | -7                    | 1
"
    );
}

#[test]
fn every_offset_is_a_row_late_or_bad() {
    let script = script(
        "CREATE METRIC m AS SELECT k, window_start, COUNT(*) AS n FROM TUMBLE(s, et, INTERVAL '1 second') GROUP BY k, window_start;\n\
         CREATE METRIC fails AS SELECT window_start, COUNT(*) AS n, SUM(100 / v) AS x FROM TUMBLE(s, et, INTERVAL '1 second') \
         GROUP BY window_start;",
    );
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let mut random = Random::new(11);
    let offsets = 3_000;
    let mut rejected = 0;
    for at in 0..offsets {
        let time = at as f64 / 50.0 - random.between(0, 4_000) as f64 / 1000.0;
        let rows = batch(&[(Some(random.pick(&["a", "b", "c"])), Some(random.between(0, 3)), time)]);
        rejected += push(&mut chain, &rows).len() as u64;
        if random.once_in(10) || at + 1 == offsets {
            replica.apply(&Arc::new(chain.flush(if at + 1 == offsets { vec![Mark::End] } else { Vec::new() }).expect("rows")));
        }
    }
    let results = close(&mut replica);
    let of = |metric: u32| {
        let mine: Vec<ResultDelta> = results.iter().filter(|result| result.metric.0 == metric).cloned().collect();
        total(&mine).0 as u64
    };
    let counters = replica.counters();
    let bad: u64 = replica.bad_by_store().values().sum();
    assert!(counters.late > 100 && bad > 100, "the rows are awkward enough");
    assert_eq!(of(0) + counters.late + counters.bad, offsets);
    assert_eq!(of(1) + counters.late + counters.bad + bad, offsets);
    assert_eq!((rejected, chain.counts().late, chain.offset()), (bad, counters.late, Offset(offsets)));
    let late: usize = replica.take_late_rows().iter().flat_map(|late| &late.rows).map(|rows| rows.num_rows()).sum();
    assert_eq!(late as u64, counters.late);
    assert_eq!(replica.frontier(), EventTime::MAX);
}

#[test]
fn sessions_that_end_together_are_one_window() {
    let script = script(
        "CREATE METRIC m WITH (retention = '0s') AS SELECT k, window_start, COUNT(*) AS n FROM SESSION(s, et, INTERVAL '1 second') GROUP BY k, window_start;",
    );
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    replica.apply(&delta(&mut chain, &numbered(0..5_000, |key| if key < 4_000 { 0 } else { SECOND_US }), vec![Mark::End]));
    let results = close(&mut replica);
    assert_eq!(total(&results.iter().filter(|result| result.batch.num_rows() > 0).cloned().collect::<Vec<_>>()), (5_000, 5_000));
    let mut done = EventTime::MIN;
    for result in &results {
        assert!(result.window_end > done, "a piece came after the last one");
        done = if result.last { result.window_end } else { done };
    }
    assert_eq!(done, EventTime(2 * SECOND_US));
    assert!(replica.size().1 == 1_000, "closed sessions are kept for their retention only");
}

#[test]
fn totals_whose_time_is_over_together_are_forgotten_step_by_step() {
    let script = script("CREATE METRIC m WITH (ttl = '1 second') AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;");
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    replica.apply(&delta(&mut chain, &numbered(0..20_000, |_| 0), Vec::new()));
    assert_eq!(replica.size().1, 20_000);
    replica.apply(&delta(&mut chain, &numbered(0..1, |_| 100 * SECOND_US), Vec::new()));
    let (mut kept, mut steps) = (replica.size().1, 0);
    while replica.close_step(|_| Want::Nothing, &mut Vec::new()) {
        let now = replica.size().1;
        assert!(kept - now <= 1_024, "{} in one step", kept - now);
        (kept, steps) = (now, steps + 1);
    }
    assert_eq!(replica.size().1, 1, "the key that has come back");
    assert!(steps >= 20_000 / 1_024, "{steps} steps");
}
