//! Rows of a stream with a column of each type, in batches whose event times follow each other, and the plans of metrics over it.

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, IntervalMonthDayNanoArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use raympp_operators::expr::arrow_types::interval_to_arrow;
use raympp_operators::plan::MetricPlan;
use raympp_testkit::random::Random;
use raympp_testkit::script::{StreamScript, bind};
use raympp_types::Interval;
use std::sync::Arc;

const STREAM: &str = "CREATE STREAM rows (channel VARCHAR, city VARCHAR, account BIGINT, ok BOOLEAN, small SMALLINT, whole INTEGER,
    amount BIGINT, ratio REAL, price DOUBLE PRECISION, fee DECIMAL(18, 2), note VARCHAR, stamp VARCHAR, event_time TIMESTAMP,
    due DATE, pause INTERVAL, token BYTEA,
    WATERMARK FOR event_time AS event_time - INTERVAL '50 milliseconds');";

/// Rows of a key in a batch, on average.
pub(super) const ROWS_PER_KEY: usize = 8;
/// Event time of a batch, however many rows it has.
pub(super) const SPAN_US: i64 = 8_000_000;
/// How far a row may be behind the highest event time before it.
const DISORDER_US: i64 = 50_000;

/// The stream with one metric over it: its name is `m`, the text is all from SELECT on.
pub(super) fn script(select: &str) -> StreamScript {
    bind(&format!("{STREAM} CREATE METRIC m AS {select};"))
}

/// The metric's plan.
pub(super) fn metric(select: &str) -> Arc<MetricPlan> {
    Arc::clone(&script(select).metrics[0].1)
}

/// Position of a column of the stream.
pub(super) fn position(column: &str) -> usize {
    let stream = script("SELECT COUNT(*) FROM rows").stream;
    stream.schema.fields.iter().position(|field| field.name == column).unwrap_or_else(|| panic!("the stream has no column {column}"))
}

/// Batch `number` of a stream of batches of that many rows.
pub(super) fn batch(rows: usize, number: i64) -> RecordBatch {
    let mut random = Random::new(number as u64);
    let keys = keys_of(rows);
    let names = names(keys);
    let codes: Vec<i32> = (0..rows).map(|_| random.index(keys) as i32).collect();
    let dictionary = DictionaryArray::<Int32Type>::new(codes.into(), Arc::new(StringArray::from_iter_values(&names)));
    let cities = StringArray::from_iter_values((0..rows).map(|_| &names[random.index(keys)]));
    // Spread over all numbers, as hashes and snowflake ids are.
    let accounts: Int64Array =
        (0..rows).map(|_| Some((random.index(keys) as i64).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64))).collect();
    let ok: BooleanArray = (0..rows).map(|_| Some(!random.once_in(4))).collect();
    let small: Int16Array = (0..rows).map(|_| Some(random.between(-1_000, 1_000) as i16)).collect();
    let whole: Int32Array = (0..rows).map(|_| Some(random.between(-1_000_000, 1_000_000) as i32)).collect();
    let amount: Int64Array = (0..rows).map(|_| Some(random.between(1, 1_000_000))).collect();
    let ratio: Float32Array = (0..rows).map(|_| Some(random.between(-1_000, 1_000) as f32 / 1_024.0)).collect();
    let price: Float64Array = (0..rows).map(|_| Some(random.between(1, 1_000_000) as f64 / 100.0)).collect();
    let fee = (0..rows).map(|_| Some(i128::from(random.between(0, 1_000_000)))).collect::<Decimal128Array>();
    let fee = fee.with_precision_and_scale(18, 2).expect("a scale below the precision");
    let note: StringArray = (0..rows).map(|_| (!random.once_in(4)).then(|| format!("note {}", random.below(1_000)))).collect();
    let stamp =
        |random: &mut Random| format!("2024-{:02}-{:02} 12:{:02}:07.25", random.between(1, 12), random.between(1, 28), random.below(60));
    let stamp = StringArray::from_iter_values((0..rows).map(|_| stamp(&mut random)));
    let time = |row: usize| number * SPAN_US + row as i64 * SPAN_US / rows as i64;
    let times: TimestampMicrosecondArray = (0..rows).map(|row| Some(time(row) - random.between(0, DISORDER_US))).collect();
    let due: Date32Array = (0..rows).map(|_| Some(random.between(0, 40_000) as i32)).collect();
    let pause = |random: &mut Random| Interval {
        months: random.between(-30, 30) as i32,
        days: random.between(-40, 40) as i32,
        micros: random.between(-100_000_000_000, 100_000_000_000),
    };
    let pause: IntervalMonthDayNanoArray = (0..rows).map(|_| interval_to_arrow(pause(&mut random))).collect();
    let token = |random: &mut Random| random.bits().to_le_bytes();
    let token: BinaryArray = (0..rows).map(|_| Some([token(&mut random), token(&mut random)].concat())).collect();
    let columns: [(&str, ArrayRef); 16] = [
        ("channel", Arc::new(dictionary)),
        ("city", Arc::new(cities)),
        ("account", Arc::new(accounts)),
        ("ok", Arc::new(ok)),
        ("small", Arc::new(small)),
        ("whole", Arc::new(whole)),
        ("amount", Arc::new(amount)),
        ("ratio", Arc::new(ratio)),
        ("price", Arc::new(price)),
        ("fee", Arc::new(fee)),
        ("note", Arc::new(note)),
        ("stamp", Arc::new(stamp)),
        ("event_time", Arc::new(times)),
        ("due", Arc::new(due)),
        ("pause", Arc::new(pause)),
        ("token", Arc::new(token)),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// How many keys the rows of a batch have at most.
pub(super) fn keys_of(rows: usize) -> usize {
    rows.div_ceil(ROWS_PER_KEY)
}

fn names(keys: usize) -> Vec<String> {
    (0..keys).map(|key| format!("channel {key:05}")).collect()
}
