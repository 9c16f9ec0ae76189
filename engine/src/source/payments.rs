//! Connector 'payments': payments through channels, of which one degrades now and then. Made for demos and load.
//!
//! Options, all optional: `rows` (endless), `rate` rows a second (as fast as they are asked for), `splits` (1), `seed` (42), `start` of event
//! time ('2024-01-01', or 'now': the time of the first poll), `event_rate` rows per second of event time (the rate, else
//! 1,000,000), `keys` channels (100), `skew` Zipf exponent of the channels (0: uniform), `out_of_orderness` ('0s': event times go back by up to
//! this much), `degrade` (true), `degrade_every` ('60s' of event time: in each such period one channel is degraded for a third to two thirds of it).
//!
//! Columns by name, any subset: payment_id BIGINT; channel VARCHAR (`channel-042`) or BIGINT; merchant VARCHAR or BIGINT; status VARCHAR
//! ('SUCCESS', 'FAILED', 'TIMEOUT'); amount BIGINT in cents, DECIMAL or DOUBLE PRECISION; event_time TIMESTAMP or TIMESTAMPTZ.
//!
//! A row is a function of the options and its number; with `start = 'now'` of the time of the first poll too, which readers of one source
//! share but a restarted process does not.

use super::error::{Mistake, SourceError, SourceErrorKind};
use super::generator::{EventClock, GeneratorSource, RowMaker, Shape};
use super::options::OptionReader;
use super::random::{self, AliasTable};
use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema, SchemaRef};
use raympp_operators::expr::arrow_types::{arrow_schema, arrow_type};
use raympp_operators::plan::StreamPlan;
use raympp_types::DataType;
use std::sync::Arc;

const MERCHANTS: u64 = 1_000;
const STATUSES: [&str; 3] = ["SUCCESS", "FAILED", "TIMEOUT"];
const SUCCESS_RATE: f64 = 0.97;
const SUCCESS_RATE_DEGRADED: f64 = 0.5;
/// Share of the payments without success that fail; the others time out.
const FAILED_SHARE: f64 = 2.0 / 3.0;

/// Sequences of random numbers, one per purpose.
#[derive(Clone, Copy)]
enum Purpose {
    Channel,
    Merchant,
    Status,
    Amount,
    Jitter,
    Degraded,
}

/// What a declared column is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    PaymentId,
    Channel,
    ChannelNumber,
    Merchant,
    MerchantNumber,
    Status,
    Cents,
    DecimalAmount { precision: u8, scale: u8 },
    DoubleAmount,
    EventTime { zoned: bool },
}

impl Filling {
    fn of(name: &str, data_type: DataType) -> Option<Filling> {
        Some(match (name, data_type) {
            ("payment_id", DataType::BigInt) => Filling::PaymentId,
            ("channel", DataType::Varchar) => Filling::Channel,
            ("channel", DataType::BigInt) => Filling::ChannelNumber,
            ("merchant", DataType::Varchar) => Filling::Merchant,
            ("merchant", DataType::BigInt) => Filling::MerchantNumber,
            ("status", DataType::Varchar) => Filling::Status,
            ("amount", DataType::BigInt) => Filling::Cents,
            ("amount", DataType::Decimal { precision, scale }) if scale >= 2 && precision - scale >= 5 => {
                Filling::DecimalAmount { precision, scale }
            }
            ("amount", DataType::Double) => Filling::DoubleAmount,
            ("event_time", time) if time.is_timestamp() => Filling::EventTime { zoned: time == DataType::TimestampTz },
            _ => return None,
        })
    }
}

/// The generator as configured; readers share it.
pub(super) struct Payments {
    shape: Shape,
    fillings: Vec<Filling>,
    schema: SchemaRef,
    keys: u64,
    zipf: Option<AliasTable>,
    out_of_orderness_us: u64,
    /// Length of a period with one degraded channel.
    degrade_every_us: Option<i64>,
    channel_names: ArrayRef,
    merchant_names: ArrayRef,
    status_names: ArrayRef,
}

impl Payments {
    /// A stream of payments.
    pub(super) fn source(stream: &StreamPlan) -> Result<GeneratorSource<Payments>, SourceError> {
        let mut options = OptionReader::new("payments", stream);
        let shape = Shape::read(&mut options, 1_000_000)?;
        let keys = options.whole("keys", 1..=10_000_000)?.unwrap_or(100);
        let skew = options.number("skew", 0.0..=100.0)?.unwrap_or(0.0);
        let out_of_orderness_us = options.span_us("out_of_orderness", 0, 0)? as u64;
        let degrade = options.boolean("degrade", true)?;
        let degrade_every_us = options.span_us("degrade_every", 60_000_000, 3)?;
        options.finish()?;
        let fillings = fillings(stream)?;
        let width = keys.saturating_sub(1).to_string().len().max(3);
        let names = |prefix: &str, count: u64, width: usize| -> ArrayRef {
            Arc::new(StringArray::from_iter_values((0..count).map(|number| format!("{prefix}-{number:0width$}"))))
        };
        let payments = Payments {
            schema: schema_of(stream, &fillings),
            keys,
            zipf: (skew > 0.0).then(|| AliasTable::zipf(keys as usize, skew)),
            out_of_orderness_us,
            degrade_every_us: degrade.then_some(degrade_every_us),
            channel_names: names("channel", if fillings.contains(&Filling::Channel) { keys } else { 0 }, width),
            merchant_names: names("merchant", MERCHANTS, 4),
            status_names: Arc::new(StringArray::from_iter_values(STATUSES)),
            fillings,
            shape,
        };
        Ok(GeneratorSource::new("payments", stream, payments))
    }
}

fn fillings(stream: &StreamPlan) -> Result<Vec<Filling>, SourceError> {
    let filling = |field: &raympp_types::Field| {
        Filling::of(&field.name, field.data_type).ok_or_else(|| {
            SourceError::new(SourceErrorKind::Type, format!("connector 'payments' has no column {} {}", field.name, field.data_type))
                .hint(
                    "it has payment_id BIGINT, channel VARCHAR or BIGINT, merchant VARCHAR or BIGINT, status VARCHAR, \
                     amount DECIMAL(18,2), BIGINT or DOUBLE PRECISION, event_time TIMESTAMP or TIMESTAMPTZ",
                )
                .mistake(Mistake::Column(field.name.clone()))
        })
    };
    stream.schema.fields.iter().map(filling).collect()
}

fn schema_of(stream: &StreamPlan, fillings: &[Filling]) -> SchemaRef {
    let plain = arrow_schema(&stream.schema);
    let field = |(field, filling): (&Arc<Field>, &Filling)| match filling {
        Filling::Channel | Filling::Merchant | Filling::Status => {
            Field::new(field.name(), ArrowType::Dictionary(Box::new(ArrowType::Int32), Box::new(ArrowType::Utf8)), true)
        }
        _ => field.as_ref().clone(),
    };
    Arc::new(ArrowSchema::new(plain.fields().iter().zip(fillings).map(field).collect::<Vec<_>>()))
}

/// The rows of a batch, as far as columns depend on each other.
struct Rows {
    first: u64,
    stride: u64,
    times: Vec<i64>,
    channels: Vec<i32>,
}

impl Rows {
    fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        let (first, stride) = (self.first, self.stride);
        (0..self.times.len() as u64).map(move |i| first.wrapping_add(i.wrapping_mul(stride)))
    }
}

impl RowMaker for Payments {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn make(&self, split: u64, offset: u64, rows: usize) -> RecordBatch {
        let first = self.shape.global(split, offset);
        let mut rows = Rows { first, stride: self.shape.splits, times: vec![0; rows], channels: Vec::new() };
        self.fill_times(&mut rows);
        rows.channels = self.channels(&rows);
        let columns = self.fillings.iter().map(|&filling| self.column(filling, &rows)).collect();
        RecordBatch::try_new(self.schema.clone(), columns).expect("columns of one length and of the schema's types")
    }
}

impl Payments {
    fn seed(&self, purpose: Purpose) -> u64 {
        random::at(self.shape.seed, purpose as u64)
    }

    fn fill_times(&self, rows: &mut Rows) {
        let mut clock = EventClock::new(self.shape.start_us(), rows.first, rows.stride, self.shape.event_rate);
        rows.times.iter_mut().for_each(|time| *time = clock.next());
        if self.out_of_orderness_us > 0 {
            let seed = self.seed(Purpose::Jitter);
            let numbers = rows.numbers();
            for (time, number) in rows.times.iter_mut().zip(numbers) {
                let back = random::below(random::at(seed, number), self.out_of_orderness_us + 1);
                *time = time.saturating_sub(back as i64);
            }
        }
    }

    fn channels(&self, rows: &Rows) -> Vec<i32> {
        let seed = self.seed(Purpose::Channel);
        match &self.zipf {
            None => rows.numbers().map(|number| random::below(random::at(seed, number), self.keys) as i32).collect(),
            Some(zipf) => rows.numbers().map(|number| zipf.draw(random::at(seed, number)) as i32).collect(),
        }
    }

    fn column(&self, filling: Filling, rows: &Rows) -> ArrayRef {
        match filling {
            Filling::PaymentId => Arc::new(Int64Array::from_iter_values(rows.numbers().map(|number| number as i64))),
            Filling::Channel => shared(rows.channels.clone(), &self.channel_names),
            Filling::ChannelNumber => Arc::new(Int64Array::from_iter_values(rows.channels.iter().map(|&channel| i64::from(channel)))),
            Filling::Merchant => shared(self.merchants(rows).map(|merchant| merchant as i32).collect(), &self.merchant_names),
            Filling::MerchantNumber => Arc::new(Int64Array::from_iter_values(self.merchants(rows))),
            Filling::Status => shared(self.statuses(rows), &self.status_names),
            Filling::Cents => Arc::new(Int64Array::from_iter_values(self.cents(rows))),
            Filling::DoubleAmount => Arc::new(Float64Array::from_iter_values(self.cents(rows).map(|cents| cents as f64 / 100.0))),
            Filling::DecimalAmount { precision, scale } => {
                let factor = 10i128.pow(u32::from(scale) - 2);
                let array = Decimal128Array::from_iter_values(self.cents(rows).map(|cents| i128::from(cents) * factor));
                Arc::new(array.with_data_type(arrow_type(DataType::Decimal { precision, scale })))
            }
            Filling::EventTime { zoned } => {
                let array = TimestampMicrosecondArray::from(rows.times.clone());
                Arc::new(if zoned { array.with_timezone("UTC") } else { array })
            }
        }
    }

    fn merchants(&self, rows: &Rows) -> impl Iterator<Item = i64> + use<> {
        let seed = self.seed(Purpose::Merchant);
        rows.numbers().map(move |number| random::below(random::at(seed, number), MERCHANTS) as i64)
    }

    /// One cent to about ten thousand, small amounts more often.
    fn cents(&self, rows: &Rows) -> impl Iterator<Item = i64> + use<> {
        let seed = self.seed(Purpose::Amount);
        rows.numbers().map(move |number| {
            let random = random::at(seed, number);
            1 + (((random & 0xFFFF) * ((random >> 16) & 0xFFFF)) >> 12) as i64
        })
    }

    fn statuses(&self, rows: &Rows) -> Vec<i32> {
        let seed = self.seed(Purpose::Status);
        let mut trouble = Trouble { payments: self, from_us: i64::MAX, to_us: i64::MIN, bad_from_us: 0, bad_to_us: 0, channel: -1 };
        let columns = rows.numbers().zip(&rows.times).zip(&rows.channels);
        columns
            .map(|((number, &time), &channel)| {
                let thresholds = if trouble.hits(time, channel) { THRESHOLDS_DEGRADED } else { THRESHOLDS };
                let drawn = (random::at(seed, number) >> 32) as u32;
                i32::from(drawn >= thresholds.0) + i32::from(drawn >= thresholds.1)
            })
            .collect()
    }
}

/// Below the first a payment succeeds, below the second it fails, else it times out.
const THRESHOLDS: (u32, u32) = thresholds(SUCCESS_RATE);
const THRESHOLDS_DEGRADED: (u32, u32) = thresholds(SUCCESS_RATE_DEGRADED);

const fn thresholds(success_rate: f64) -> (u32, u32) {
    let scale = u32::MAX as f64;
    ((success_rate * scale) as u32, ((success_rate + (1.0 - success_rate) * FAILED_SHARE) * scale) as u32)
}

/// Which channel is degraded when: kept for the period that was asked about last.
struct Trouble<'a> {
    payments: &'a Payments,
    from_us: i64,
    to_us: i64,
    bad_from_us: i64,
    bad_to_us: i64,
    channel: i32,
}

impl Trouble<'_> {
    #[inline(always)]
    fn hits(&mut self, time: i64, channel: i32) -> bool {
        if time < self.from_us || time >= self.to_us {
            self.look_up(time);
        }
        channel == self.channel && time >= self.bad_from_us && time < self.bad_to_us
    }

    #[cold]
    fn look_up(&mut self, time: i64) {
        let Some(every) = self.payments.degrade_every_us else {
            (self.from_us, self.to_us) = (i64::MIN, i64::MAX);
            return;
        };
        let period = time.div_euclid(every);
        let seed = self.payments.seed(Purpose::Degraded);
        let mut sequence = random::Sequence::new(seed, period as u64);
        self.from_us = period.saturating_mul(every);
        self.to_us = self.from_us.saturating_add(every);
        let length = every / 3 + sequence.below(every as u64 / 3 + 1) as i64;
        self.bad_from_us = self.from_us + sequence.below((every - length) as u64 + 1) as i64;
        self.bad_to_us = self.bad_from_us + length;
        // Among the first hundred, which a skewed stream uses most.
        self.channel = sequence.below(self.payments.keys.min(100)) as i32;
    }
}

fn shared(numbers: Vec<i32>, names: &ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::new(Int32Array::from(numbers), names.clone()))
}
