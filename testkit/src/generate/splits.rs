//! Random rows for the stream of [`mod@super::script`].

use super::COLUMNS;
use crate::random::Random;
use crate::reference::SplitRows;
use crate::script;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use std::sync::Arc;

/// How rows look.
#[derive(Clone, Copy, Debug)]
pub struct SplitsShape {
    /// Number of splits.
    pub splits: usize,
    /// Most rows of a split.
    pub rows: usize,
    /// Most rows of a batch.
    pub batch_rows: usize,
    /// Different values of `k`, and of `n`.
    pub keys: u64,
    /// The first rows' event time.
    pub start_us: i64,
    /// From one row to the next, on average.
    pub step_us: i64,
    /// Rows are up to this much out of order; beyond the stream's bound they are late.
    pub disorder_us: i64,
    /// One value in this many is NULL; 0: none is.
    pub null_once_in: u64,
    /// One event time in this many is NULL; 0: none is.
    pub null_time_once_in: u64,
    /// One row in this many jumps ahead by years and takes the following ones with it; 0: none does.
    pub leap_once_in: u64,
    /// One offset in this many holds no decodable row; 0: all do.
    pub undecodable_once_in: u64,
    /// How VARCHAR columns are encoded.
    pub text: TextEncoding,
}

/// How VARCHAR columns are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextEncoding {
    /// As strings.
    Plain,
    /// As codes of one dictionary, the same for all batches of a split.
    SharedDictionary,
    /// As codes of a dictionary of the batch.
    OwnDictionary,
}

const LEAP_US: i64 = 3 * 365 * 86_400 * 1_000_000;

/// Splits 0, 1, … of random rows, all ended.
pub fn splits(random: &mut Random, shape: SplitsShape) -> Vec<SplitRows> {
    (0..shape.splits as u32).map(|split| one_split(random, shape, split)).collect()
}

fn one_split(random: &mut Random, shape: SplitsShape, split: u32) -> SplitRows {
    let mut rows = SplitRows::new(split, Vec::new());
    let mut time_us = shape.start_us;
    let mut left = random.index(shape.rows + 1);
    let dictionaries = Dictionaries::new(shape.keys);
    while left > 0 {
        let count = (1 + random.index(shape.batch_rows)).min(left);
        left -= count;
        rows.batches.push(batch(random, shape, count, &mut time_us, &dictionaries));
    }
    if shape.undecodable_once_in > 0 {
        let total = rows.len();
        rows.undecodable = (0..total).filter(|_| random.once_in(shape.undecodable_once_in)).collect();
    }
    rows
}

/// Entries that batches share.
struct Dictionaries {
    keys: ArrayRef,
    names: ArrayRef,
}

impl Dictionaries {
    fn new(keys: u64) -> Dictionaries {
        Dictionaries {
            keys: Arc::new((0..keys).map(|key| Some(key_text(key))).collect::<StringArray>()),
            names: Arc::new(StringArray::from(NAMES.to_vec())),
        }
    }
}

const NAMES: [&str; 7] = ["a", "b", "c", "", "déjà vu", "a\u{0}b", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"];

fn key_text(key: u64) -> String {
    if key == 0 { String::new() } else { format!("k{key}") }
}

fn batch(random: &mut Random, shape: SplitsShape, rows: usize, time_us: &mut i64, dictionaries: &Dictionaries) -> RecordBatch {
    let nulls = shape.null_once_in;
    let text = |codes: Vec<Option<usize>>, shared: &ArrayRef| encode(codes, shared, shape.text);
    let times: Vec<Option<i64>> = (0..rows).map(|_| time(random, shape, time_us)).collect();
    let columns: Vec<ArrayRef> = vec![
        text(some(random, nulls, rows, |r| r.index(shape.keys as usize)), &dictionaries.keys),
        Arc::new(some(random, nulls, rows, |r| key_number(r.below(shape.keys))).into_iter().collect::<Int64Array>()),
        Arc::new(some(random, nulls, rows, |r| r.once_in(2)).into_iter().collect::<BooleanArray>()),
        Arc::new(some(random, nulls, rows, |r| r.between(-3, 3) as i16).into_iter().collect::<Int16Array>()),
        Arc::new(some(random, nulls, rows, |r| r.between(-5, 20) as i32).into_iter().collect::<Int32Array>()),
        Arc::new(
            some(random, nulls, rows, amount).into_iter().collect::<Decimal128Array>().with_precision_and_scale(18, 2).expect("valid"),
        ),
        Arc::new(some(random, nulls, rows, extreme_integer).into_iter().collect::<Int64Array>()),
        Arc::new(some(random, nulls, rows, |r| awkward_float(r) as f32).into_iter().collect::<Float32Array>()),
        Arc::new(some(random, nulls, rows, awkward_float).into_iter().collect::<Float64Array>()),
        text(some(random, nulls, rows, |r| r.index(NAMES.len())), &dictionaries.names),
        Arc::new(some(random, nulls, rows, |r| r.between(-2, 2) as i32).into_iter().collect::<Date32Array>()),
        Arc::new(TimestampMicrosecondArray::from(times)),
    ];
    batch_of(columns)
}

/// A batch of the stream's columns; VARCHAR columns may be dictionaries.
pub fn batch_of(columns: Vec<ArrayRef>) -> RecordBatch {
    let stream = script::bind(&format!("CREATE STREAM s ({COLUMNS})")).stream;
    let fields = stream.schema.fields.iter().zip(&columns);
    let schema = Schema::new(fields.map(|(field, column)| Field::new(&field.name, column.data_type().clone(), true)).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns).expect("the stream's columns")
}

fn some<T>(random: &mut Random, null_once_in: u64, rows: usize, value: impl Fn(&mut Random) -> T) -> Vec<Option<T>> {
    (0..rows).map(|_| (null_once_in == 0 || !random.once_in(null_once_in)).then(|| value(random))).collect()
}

fn time(random: &mut Random, shape: SplitsShape, now_us: &mut i64) -> Option<i64> {
    if shape.null_time_once_in > 0 && random.once_in(shape.null_time_once_in) {
        return None;
    }
    if shape.leap_once_in > 0 && random.once_in(shape.leap_once_in) {
        *now_us += LEAP_US;
    }
    *now_us += random.between(0, 2 * shape.step_us);
    let behind = if random.once_in(3) { random.between(0, shape.disorder_us) } else { 0 };
    Some(*now_us - behind)
}

fn key_number(key: u64) -> i64 {
    // Some keys are negative, one is the lowest number.
    match key {
        1 => i64::MIN,
        key if key % 3 == 2 => -(key as i64),
        key => key as i64,
    }
}

fn amount(random: &mut Random) -> i128 {
    if random.once_in(20) {
        i128::from(random.between(-999_999_999_999_999_999, 999_999_999_999_999_999))
    } else {
        random.between(-500, 1500).into()
    }
}

fn extreme_integer(random: &mut Random) -> i64 {
    match random.index(6) {
        0 => i64::MAX,
        1 => i64::MIN,
        2 => random.between(i64::MIN, i64::MAX),
        _ => random.between(-1000, 1000),
    }
}

fn awkward_float(random: &mut Random) -> f64 {
    match random.index(24) {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => -0.0,
        3 => 1e300,
        4 => -1e300,
        5 => 5e-324,
        6 => 0.1,
        _ => random.between(-8, 8) as f64 / 4.0,
    }
}

fn encode(codes: Vec<Option<usize>>, entries: &ArrayRef, encoding: TextEncoding) -> ArrayRef {
    let keys = codes.iter().map(|code| code.map(|code| code as i32)).collect();
    let shared = DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(entries)).expect("codes of the dictionary");
    match encoding {
        TextEncoding::SharedDictionary => Arc::new(shared),
        TextEncoding::Plain => arrow::compute::cast(&shared, entries.data_type()).expect("a dictionary holds its values"),
        TextEncoding::OwnDictionary => {
            let texts = arrow::compute::cast(&shared, entries.data_type()).expect("a dictionary holds its values");
            arrow::compute::cast(&texts, shared.data_type()).expect("strings make a dictionary")
        }
    }
}
