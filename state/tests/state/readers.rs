//! Readers in other threads: whatever they see was there at one instant.

use crate::small::{close, delta, first_chain, plan_of, replica, script};
use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Decimal128Type, Int64Type};
use raympp_state::delta::Mark;
use raympp_testkit::random::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const KEYS: u64 = 40;

/// Rows of keys near `round`, so that keys come and go; each row's value is its key's number + 1.
fn rows(random: &mut Random, round: u64) -> RecordBatch {
    let keys: Vec<u64> = (0..200).map(|_| round / 4 + random.below(KEYS)).collect();
    let at_us = |_: &u64| round as i64 * 50_000;
    let columns: [(&str, ArrayRef); 3] = [
        ("k", Arc::new(StringArray::from_iter_values(keys.iter().map(u64::to_string)))),
        ("v", Arc::new(Int64Array::from_iter_values(keys.iter().map(|&key| key as i64 + 1)))),
        ("et", Arc::new(TimestampMicrosecondArray::from_iter_values(keys.iter().map(at_us)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("columns of one length")
}

/// Every row of a result is consistent in itself: its sum, its extremes and its count belong to its key.
fn check(batch: &RecordBatch) {
    let keys = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).expect("strings");
    let counts = batch.column(1).as_primitive::<Int64Type>();
    let sums: &Decimal128Array = batch.column(2).as_primitive::<Decimal128Type>();
    let (least, greatest) = (batch.column(3).as_primitive::<Int64Type>(), batch.column(4).as_primitive::<Int64Type>());
    for row in 0..batch.num_rows() {
        let value = keys.as_string::<i32>().value(row).parse::<i64>().expect("a number") + 1;
        let (n, total) = (counts.value(row), sums.value(row));
        assert!(n > 0 && total == i128::from(n) * i128::from(value), "{n} rows of {value} make {total}");
        assert_eq!((least.value(row), greatest.value(row)), (value, value));
    }
}

#[test]
fn a_reader_never_sees_half_a_delta_or_another_keys_cells() {
    read_while_written("HOP(s, et, INTERVAL '100 milliseconds', INTERVAL '1 second')");
}

#[test]
fn a_reader_never_sees_half_a_session_or_another_keys_sessions() {
    read_while_written("SESSION(s, et, INTERVAL '100 milliseconds')");
}

fn read_while_written(windows: &str) {
    let script = script(&format!(
        "CREATE METRIC m WITH (retention = '0s') AS SELECT k, COUNT(*) AS n, SUM(v) AS total, MIN(v) AS least, MAX(v) AS greatest \
         FROM {windows} GROUP BY k, window_start;"
    ));
    let plan = plan_of(&script);
    let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
    let (view, metric) = (Arc::clone(replica.view()), Arc::clone(&plan.metrics[0]));
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut random, mut reads) = (Random::new(3), 0);
            while !done.load(Ordering::Relaxed) || reads == 0 {
                view.scan(&metric, random.once_in(2)).iter().for_each(|scanned| check(&scanned.rows.batch));
                for _ in 0..20 {
                    let key = format!("\u{1}{}\0", random.below(KEYS + 100));
                    if let Some(batch) = view.live(&metric, key.as_bytes()) {
                        check(&batch);
                        reads += 1;
                    }
                }
            }
            reads
        });
        let mut random = Random::new(5);
        for round in 0..400 {
            let marks = if round == 399 { vec![Mark::End] } else { Vec::new() };
            replica.apply(&delta(&mut chain, &rows(&mut random, round), marks));
            close(&mut replica);
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader found nothing wrong")
    });
    assert!(reads > 0, "the reader has read something");
}
