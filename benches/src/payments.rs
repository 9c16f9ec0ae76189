//! The payments that benchmarks fold: Arrow batches in memory, the same ones for the engine and for the floor.
//!
//! Channel, status and amount of a million rows are drawn once and come round again; event times go on for ever: one second per
//! [`ROWS_PER_SECOND`] rows, each row up to 50 ms behind the clock. A fixed seed makes every run the same.

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use std::sync::Arc;

/// Rows of a batch.
pub const BATCH_ROWS: usize = 8_192;
/// Batches before channels, statuses and amounts come round again.
const RING: usize = 128;
/// How far a row may be behind the highest event time before it.
pub const DISORDER_US: i64 = 50_000;
/// Event time advances one second in so many rows.
pub const ROWS_PER_SECOND: i64 = 1_000_000;
/// Event time from one row to the next, before disorder.
const STEP_US: i64 = 1_000_000 / ROWS_PER_SECOND;
/// Code of SUCCESS in the dictionary of statuses.
pub const SUCCESS: i32 = 0;
/// Code of FAILED in it.
const FAILED: i32 = 1;
const STATUSES: [&str; 3] = ["SUCCESS", "FAILED", "TIMEOUT"];

/// The stream's definition.
pub const STREAM: &str = "CREATE STREAM payments (channel VARCHAR, status VARCHAR, amount BIGINT, event_time TIMESTAMP,
    WATERMARK FOR event_time AS event_time - INTERVAL '50 milliseconds');";

/// How channels come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// As codes of one dictionary that all batches share.
    Dictionary,
    /// As strings.
    Strings,
}

/// An endless supply of batches.
pub struct Payments {
    schema: SchemaRef,
    /// Channel, status, amount of each batch.
    ring: Vec<[ArrayRef; 3]>,
    /// How much each row of the ring is late.
    behind_us: Vec<Vec<i64>>,
    next_row: i64,
}

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

impl Payments {
    /// Payments over that many channels.
    pub fn new(channels: usize, form: Channels, seed: u64) -> Payments {
        let mut random = Random(seed);
        let names = channel_names(channels);
        let statuses: ArrayRef = Arc::new(StringArray::from_iter_values(STATUSES));
        let (mut ring, mut behind_us) = (Vec::new(), Vec::new());
        for _ in 0..RING {
            let codes: Vec<i32> = (0..BATCH_ROWS).map(|_| random.below(channels as u64) as i32).collect();
            let channel: ArrayRef = match form {
                Channels::Dictionary => dictionary(codes, &names),
                Channels::Strings => {
                    let names = names.as_string::<i32>();
                    Arc::new(StringArray::from_iter_values(codes.iter().map(|&code| names.value(code as usize))))
                }
            };
            // Nine of ten succeed; one amount of a hundred is a refund that WHERE removes.
            let status =
                dictionary((0..BATCH_ROWS).map(|_| [0, 0, 0, 0, 0, 0, 0, 0, 1, 2][random.below(10) as usize]).collect(), &statuses);
            let amount: ArrayRef = Arc::new(Int64Array::from_iter_values((0..BATCH_ROWS).map(|_| random.below(10_000) as i64 - 99)));
            ring.push([channel, status, amount]);
            behind_us.push((0..BATCH_ROWS).map(|_| random.below(DISORDER_US as u64) as i64).collect());
        }
        let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
        let schema = Schema::new(vec![
            field("channel", ring[0][0].data_type().clone()),
            field("status", ring[0][1].data_type().clone()),
            field("amount", DataType::Int64),
            field("event_time", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ]);
        Payments { schema: Arc::new(schema), ring, behind_us, next_row: 0 }
    }

    /// The next batches.
    pub fn take(&mut self, batches: usize) -> Vec<RecordBatch> {
        (0..batches).map(|_| self.next_batch()).collect()
    }

    /// Lets event time advance `seconds` with one batch a second: what a window needs to have been there for its whole length.
    pub fn take_sparse(&mut self, seconds: usize) -> Vec<RecordBatch> {
        let sparse = |_| {
            let batch = self.next_batch();
            self.next_row += ROWS_PER_SECOND - BATCH_ROWS as i64;
            batch
        };
        (0..seconds).map(sparse).collect()
    }

    /// As [`Payments::take_sparse`], each row up to `spread_s` seconds earlier.
    pub fn take_spread(&mut self, seconds: usize, spread_s: usize) -> Vec<RecordBatch> {
        let mut random = Random(self.next_row as u64);
        let mut spread = |batch: RecordBatch| {
            let times = batch.column(3).as_primitive::<TimestampMicrosecondType>();
            let earlier = times.values().iter().map(|at| at - random.below(spread_s as u64 * 1_000_000) as i64);
            let mut columns = batch.columns().to_vec();
            columns[3] = Arc::new(TimestampMicrosecondArray::from_iter_values(earlier));
            RecordBatch::try_new(batch.schema(), columns).expect("columns of the schema")
        };
        self.take_sparse(seconds).into_iter().map(&mut spread).collect()
    }

    fn next_batch(&mut self) -> RecordBatch {
        let at = (self.next_row as usize / BATCH_ROWS) % RING;
        let first = self.next_row;
        let times = self.behind_us[at].iter().enumerate().map(|(i, behind)| (first + i as i64) * STEP_US - behind);
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times));
        self.next_row += BATCH_ROWS as i64;
        let [channel, status, amount] = self.ring[at].clone();
        RecordBatch::try_new(Arc::clone(&self.schema), vec![channel, status, amount, times]).expect("columns of the schema")
    }
}

/// One payment of each `step`-th of these channels, all at one time.
pub fn one_each(names: &ArrayRef, step: usize, at_us: i64) -> Vec<RecordBatch> {
    let statuses: ArrayRef = Arc::new(StringArray::from_iter_values(STATUSES));
    let codes: Vec<i32> = (0..names.len() as i32).step_by(step).collect();
    at_once(&codes, names, &statuses, at_us)
}

fn at_once(codes: &[i32], names: &ArrayRef, statuses: &ArrayRef, at_us: i64) -> Vec<RecordBatch> {
    codes.chunks(BATCH_ROWS).map(|codes| payments_of(codes, names, statuses, vec![at_us; codes.len()])).collect()
}

/// Payments of these channels at these times; one of ten fails.
fn payments_of(codes: &[i32], names: &ArrayRef, statuses: &ArrayRef, times_us: Vec<i64>) -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("channel", dictionary(codes.to_vec(), names)),
        ("status", dictionary(codes.iter().map(|code| if code % 10 == 0 { FAILED } else { SUCCESS }).collect(), statuses)),
        ("amount", Arc::new(Int64Array::from_iter_values(codes.iter().map(|&code| 1 + i64::from(code) * 7_919 % 10_000)))),
        ("event_time", Arc::new(TimestampMicrosecondArray::from(times_us))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Payments as they come, so many in each step; the last one of a step is of a channel that is looked for, another one each time that some are taken.
pub struct SteadyPayments {
    /// Of the channels, and behind them of those that are looked for.
    names: ArrayRef,
    statuses: ArrayRef,
    channels: i32,
    rows_per_step: usize,
    random: Random,
    takes: i32,
    next_step: i64,
}

impl SteadyPayments {
    /// Time of a step.
    pub const STEP_US: u64 = 200;
    const TAKES_MAX: usize = 100;

    /// Over so many channels.
    pub fn new(channels: usize, rows_per_s: u64) -> SteadyPayments {
        let names = channel_names(channels + SteadyPayments::TAKES_MAX);
        let statuses = Arc::new(StringArray::from_iter_values(STATUSES));
        let rows_per_step = (rows_per_s * SteadyPayments::STEP_US / 1_000_000) as usize;
        SteadyPayments { names, statuses, channels: channels as i32, rows_per_step, random: Random(7), takes: 0, next_step: 0 }
    }

    /// One of each channel in each of so many seconds.
    pub fn warm_up(&mut self, seconds: usize) -> impl Iterator<Item = RecordBatch> {
        let first_us = self.next_step * SteadyPayments::STEP_US as i64;
        self.next_step += (seconds as u64 * 1_000_000 / SteadyPayments::STEP_US) as i64;
        let channels: Vec<i32> = (0..self.channels).collect();
        (0..seconds as i64).flat_map(move |second| at_once(&channels, &self.names, &self.statuses, first_us + second * 1_000_000))
    }

    /// The next steps, and the channel that is looked for in them.
    pub fn take(&mut self, steps: usize) -> (Vec<RecordBatch>, String) {
        let probe = self.channels + self.takes;
        self.takes += 1;
        let batches = (0..steps).map(|_| self.step(probe)).collect();
        (batches, self.names.as_string::<i32>().value(probe as usize).to_owned())
    }

    fn step(&mut self, probe: i32) -> RecordBatch {
        let first_us = self.next_step * SteadyPayments::STEP_US as i64;
        self.next_step += 1;
        let mut codes: Vec<i32> = (1..self.rows_per_step).map(|_| self.random.below(self.channels as u64) as i32).collect();
        codes.push(probe);
        let times_us = (0..codes.len() as i64).map(|row| first_us + row * SteadyPayments::STEP_US as i64 / codes.len() as i64).collect();
        payments_of(&codes, &self.names, &self.statuses, times_us)
    }
}

/// Names of channels.
pub fn channel_names(channels: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..channels).map(|channel| format!("channel-{channel:07}"))))
}

fn dictionary(codes: Vec<i32>, values: &ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(codes), Arc::clone(values)).expect("codes of the dictionary"))
}
