//! Keys as they come: close together, far apart, at the ends of their type, NULL, as values and as codes of dictionaries that change, batch by batch, and among
//! rows that do not count. Each row is counted at its key, whatever way it went.

use crate::small::{SECOND_US, close, delta, first_chain, plan_of, push, replica};
use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;
use raympp_state::delta::Mark;
use raympp_testkit::random::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keys of a batch of one kind; those of a kind that repeat do so often.
fn keys(random: &mut Random, rows: usize) -> Vec<Option<i64>> {
    let (kind, few) = (random.index(7), 1 + random.index(60));
    (0..rows)
        .map(|_| {
            let number = random.index(few) as i64;
            match kind {
                0 => Some(number),
                1 => Some(100 + 3 * number),
                2 => Some(i64::MAX - number),
                3 => Some(i64::MIN + number),
                4 => Some((number - 30) << 40),
                5 => (number % 3 > 0).then_some(number),
                _ => Some(random.index(100_000) as i64),
            }
        })
        .collect()
}

/// Keys of rows that do not count: of any kind.
fn foreign_key(random: &mut Random) -> Option<i64> {
    random.pick(&[None, Some(i64::MIN), Some(i64::MAX), Some(1 << 50), Some(5)])
}

fn numbers(_: &mut Random, keys: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(keys.to_vec()))
}

/// As values, or as codes of a dictionary of the batch's own, which may have NULL among its values.
fn texts(random: &mut Random, keys: &[Option<i64>]) -> ArrayRef {
    let text = |key: &Option<i64>| key.map(|key| key.to_string());
    if random.once_in(2) {
        return Arc::new(keys.iter().map(text).collect::<StringArray>());
    }
    let mut values: Vec<Option<i64>> = keys.to_vec();
    values.sort_unstable();
    values.dedup();
    let is_null_a_value = random.once_in(2);
    values.retain(|value| value.is_some() || is_null_a_value);
    let codes: Int32Array = keys.iter().map(|key| values.binary_search(key).ok().map(|code| code as i32)).collect();
    Arc::new(DictionaryArray::new(codes, Arc::new(values.iter().map(text).collect::<StringArray>())))
}

fn every_row_is_counted_at_its_key(key_type: &str, column: impl Fn(&mut Random, &[Option<i64>]) -> ArrayRef) {
    let script = raympp_testkit::script::bind(&format!(
        "CREATE STREAM s (k {key_type}, v BIGINT, et TIMESTAMP, WATERMARK FOR et AS et - INTERVAL '2 seconds');\n\
         CREATE METRIC m AS SELECT k, window_start, COUNT(*) AS n, SUM(v) AS total FROM TUMBLE(s, et, INTERVAL '1 hour') \
         WHERE v > 0 GROUP BY k, window_start;",
    ));
    let plan = plan_of(&script);
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let (mut chain, mut replica) = (first_chain(&script, &plan, 0), replica(&script, &plan, &[0]));
        let mut expected: BTreeMap<Option<i64>, (i64, i64)> = BTreeMap::new();
        for batch in 0..12 {
            let rows = 1 + random.index(400);
            let (mut keys, mut values, mut times_us) = (keys(&mut random, rows), vec![1i64; rows], vec![5 * SECOND_US; rows]);
            let has_others = random.once_in(2);
            for row in 0..rows {
                values[row] += random.index(1_000) as i64;
                let others = if has_others { random.index(12) } else { 2 };
                match others {
                    0 => values[row] = 0,
                    1 if batch > 0 || row > 0 => times_us[row] = -10 * SECOND_US,
                    _ => {
                        let (rows, total) = expected.entry(keys[row]).or_default();
                        (*rows, *total) = (*rows + 1, *total + values[row]);
                        continue;
                    }
                }
                keys[row] = foreign_key(&mut random);
            }
            // The first row of all decides which are late.
            if batch == 0 {
                let warm: [(&str, ArrayRef); 3] = [
                    ("k", column(&mut random, &[None])),
                    ("v", Arc::new(Int64Array::from(vec![0]))),
                    ("et", Arc::new(TimestampMicrosecondArray::from(vec![5 * SECOND_US]))),
                ];
                push(
                    &mut chain,
                    &RecordBatch::try_from_iter_with_nullable(warm.map(|(name, column)| (name, column, true))).expect("one row"),
                );
            }
            let columns: [(&str, ArrayRef); 3] = [
                ("k", column(&mut random, &keys)),
                ("v", Arc::new(Int64Array::from(values))),
                ("et", Arc::new(TimestampMicrosecondArray::from(times_us))),
            ];
            let rows = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("one length");
            if random.once_in(3) {
                replica.apply(&delta(&mut chain, &rows, Vec::new()));
            } else {
                push(&mut chain, &rows);
            }
        }
        replica.apply(&Arc::new(chain.flush(vec![Mark::End]).expect("a mark")));
        let mut found: BTreeMap<Option<i64>, (i64, i64)> = BTreeMap::new();
        for result in close(&mut replica).iter().filter(|result| result.batch.num_rows() > 0) {
            let column = |at: usize| arrow::compute::cast(result.batch.column(at), &arrow::datatypes::DataType::Int64).expect("numbers");
            let (keys, counts, totals) = (column(0), column(2), column(3));
            let [keys, counts, totals] = [&keys, &counts, &totals].map(|column| column.as_primitive::<Int64Type>());
            for row in 0..keys.len() {
                let key = keys.is_valid(row).then(|| keys.value(row));
                assert_eq!(found.insert(key, (counts.value(row), totals.value(row))), None, "a key has one group; {key_type}, seed {seed}");
            }
        }
        assert_eq!(found, expected, "{key_type}, seed {seed}");
    }
}

#[test]
fn integers_are_counted_at_their_keys() {
    every_row_is_counted_at_its_key("BIGINT", numbers);
}

#[test]
fn texts_are_counted_at_their_keys() {
    every_row_is_counted_at_its_key("VARCHAR", texts);
}
