//! Rows of values as batches, folded into one group.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, IntervalMonthDayNanoArray};
use proptest::prelude::*;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, Aggregate, Finished, RowOffsets, RowStamps, fold};
use raympp_operators::expr::Expr;
use raympp_operators::expr::arrow_types::interval_to_arrow;
use raympp_operators::keycode::{decode_columns, encode_values};
use raympp_types::{DataType, Interval, SplitId, Value};

pub(crate) const DECIMAL: DataType = DataType::Decimal { precision: 38, scale: 4 };

/// What accumulators read of a row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) value: Value,
    pub(crate) by: Value,
    /// What the filter says.
    pub(crate) passes: Option<bool>,
    pub(crate) time_us: i64,
}

impl Row {
    pub(crate) fn of(value: impl Into<Value>) -> Row {
        Row { value: value.into(), by: Value::Null, passes: Some(true), time_us: 0 }
    }
}

/// Rows as columns. A row's offset is its index.
pub(crate) struct Batch {
    inputs: [ArrayRef; 2],
    filter: BooleanArray,
    times_us: Vec<i64>,
    offsets: Vec<u64>,
}

pub(crate) fn array(values: &[Value], data_type: DataType) -> ArrayRef {
    // Key codes do not keep an interval's months.
    if data_type == DataType::Interval {
        let arrow = |value: &Value| if let Value::Interval(interval) = value { interval_to_arrow(*interval) } else { None };
        return std::sync::Arc::new(values.iter().map(arrow).collect::<IntervalMonthDayNanoArray>());
    }
    let code = |value: &Value| {
        let mut out = Vec::new();
        encode_values(std::slice::from_ref(value), &[data_type], &mut out).expect("a value of the type");
        out
    };
    let codes: Vec<Vec<u8>> = values.iter().map(code).collect();
    decode_columns(codes.iter().map(Vec::as_slice), &[data_type]).expect("codes").remove(0)
}

impl Batch {
    /// Values are of type `data_type`, `by` is BIGINT.
    pub(crate) fn new(rows: &[Row], data_type: DataType) -> Batch {
        let values: Vec<Value> = rows.iter().map(|row| row.value.clone()).collect();
        let by: Vec<Value> = rows.iter().map(|row| row.by.clone()).collect();
        Batch {
            inputs: [array(&values, data_type), array(&by, DataType::BigInt)],
            filter: rows.iter().map(|row| row.passes).collect(),
            times_us: rows.iter().map(|row| row.time_us).collect(),
            offsets: (0..rows.len() as u64).collect(),
        }
    }

    pub(crate) fn all(&self) -> Vec<u32> {
        (0..self.times_us.len() as u32).collect()
    }

    /// Folds some of the rows into a column of one cell.
    pub(crate) fn fold_into(&self, accumulator: &Accumulator, rows: &[u32], column: &mut AccumulatorColumn) {
        let stamps = RowStamps { event_times_us: &self.times_us, split: SplitId(3), offsets: RowOffsets::Each(&self.offsets) };
        let inputs: Vec<ArrayRef> = match (accumulator, accumulator.inputs()) {
            (_, []) => vec![],
            (Accumulator::DdSketch { .. }, _) => {
                vec![arrow::compute::cast(&self.inputs[0], &arrow::datatypes::DataType::Float64).expect("a number")]
            }
            (_, inputs) => self.inputs[..inputs.len()].to_vec(),
        };
        // Of a filter that is no plain column, the input stands for the whole: BOOL_AND(x) counts rows where x.
        let value_filter = accumulator.filter().filter(|filter| filter.as_column() == Some(0)).map(|_| self.inputs[0].as_boolean().clone());
        let filter = accumulator.filter().map(|_| value_filter.as_ref().unwrap_or(&self.filter));
        fold(accumulator, &inputs, filter, rows, &vec![0; rows.len()], &stamps, column);
    }

    pub(crate) fn fold(&self, accumulator: &Accumulator, rows: &[u32]) -> AccumulatorColumn {
        let mut column = AccumulatorColumn::identity(accumulator, 1);
        self.fold_into(accumulator, rows, &mut column);
        column
    }

    /// The aggregate over all rows as one group.
    pub(crate) fn finish(&self, aggregate: &Aggregate) -> Finished {
        let columns: Vec<AccumulatorColumn> =
            aggregate.lower().accumulators.iter().map(|accumulator| self.fold(accumulator, &self.all())).collect();
        aggregate.finish(&[self.times_us.len() as u64], &columns.iter().collect::<Vec<_>>())
    }
}

/// `name(x[, by][, parameter])`, over column 0 (and 1), with the filter in column 2 if asked for.
pub(crate) fn aggregate(name: &str, distinct: bool, data_type: DataType, filtered: bool) -> Aggregate {
    let filter = filtered.then(|| Expr::column(2, "passes", DataType::Boolean));
    let mut args = vec![Expr::column(0, "x", data_type)];
    match name {
        "arg_min" | "arg_max" => args.push(Expr::column(1, "by", DataType::BigInt)),
        "approx_percentile" => args.push(Expr::literal(Value::Double(0.9))),
        "top_k" => args.push(Expr::literal(Value::Integer(3))),
        _ => {}
    }
    Aggregate::new(name, distinct, args, filter).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The only result as a value.
pub(crate) fn value(finished: &Finished) -> Value {
    assert_eq!(finished.array.len(), 1);
    raympp_operators::expr::arrow_types::value_at(finished.array.as_ref(), 0)
}

pub(crate) const NUMBERS: [DataType; 6] =
    [DataType::SmallInt, DataType::Integer, DataType::BigInt, DataType::Real, DataType::Double, DECIMAL];

/// All types an aggregate may read.
pub(crate) fn types() -> Vec<DataType> {
    let others = [
        DataType::Boolean,
        DataType::Varchar,
        DataType::Bytea,
        DataType::Date,
        DataType::Timestamp,
        DataType::TimestampTz,
        DataType::Interval,
    ];
    NUMBERS.into_iter().chain(others).collect()
}

/// Values of a type: few of them often, so that they repeat; extremes; anything. NULL now and then.
pub(crate) fn any_value(data_type: DataType) -> BoxedStrategy<Value> {
    let few = -2i16..3;
    let value: BoxedStrategy<Value> = match data_type {
        DataType::SmallInt => prop_oneof![few, any::<i16>(), Just(i16::MIN), Just(i16::MAX)].prop_map(Value::from).boxed(),
        DataType::Integer => prop_oneof![few.prop_map(i32::from), any::<i32>(), Just(i32::MIN)].prop_map(Value::from).boxed(),
        DataType::BigInt => {
            prop_oneof![few.prop_map(i64::from), any::<i64>(), Just(i64::MIN), Just(i64::MAX)].prop_map(Value::from).boxed()
        }
        DataType::Real => {
            prop_oneof![few.prop_map(f32::from), any::<f32>(), any::<u32>().prop_map(f32::from_bits)].prop_map(Value::from).boxed()
        }
        DataType::Double => {
            let amounts = (-100_000i32..100_000).prop_map(|cents| f64::from(cents) / 100.0);
            prop_oneof![few.prop_map(f64::from), amounts, any::<u64>().prop_map(f64::from_bits), -1e6..1e6].prop_map(Value::from).boxed()
        }
        DataType::Decimal { precision, scale } => {
            const LIMIT: i128 = 10i128.pow(38) - 1;
            let unscaled =
                prop_oneof![few.prop_map(i128::from), any::<i64>().prop_map(i128::from), -LIMIT..=LIMIT, Just(LIMIT), Just(-LIMIT)];
            unscaled.prop_map(move |unscaled| Value::Decimal { unscaled, precision, scale }).boxed()
        }
        DataType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        DataType::Varchar => {
            prop::sample::select(vec!["", "a", "b", "a\0", "ab", "\"é\\", "longer than any other"]).prop_map(Value::from).boxed()
        }
        DataType::Bytea => prop::collection::vec(0u8..3, 0..4).prop_map(|bytes| Value::Bytea(bytes.into())).boxed(),
        DataType::Date => prop_oneof![few.prop_map(i32::from), any::<i32>()].prop_map(Value::Date).boxed(),
        DataType::Timestamp => prop_oneof![few.prop_map(i64::from), any::<i64>()].prop_map(Value::Timestamp).boxed(),
        DataType::TimestampTz => prop_oneof![few.prop_map(i64::from), any::<i64>()].prop_map(Value::TimestampTz).boxed(),
        _ => (-1i32..2, -31i32..31, -2i64..2).prop_map(|(months, days, micros)| Value::Interval(Interval { months, days, micros })).boxed(),
    };
    prop_oneof![6 => value, 1 => Just(Value::Null)].boxed()
}

pub(crate) fn any_rows(data_type: DataType) -> impl Strategy<Value = Vec<Row>> {
    let by = prop_oneof![5 => (0i64..3).prop_map(Value::from), 1 => Just(Value::Null)];
    let passes = prop_oneof![6 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)];
    let row = (any_value(data_type), by, passes, 0i64..4).prop_map(|(value, by, passes, time_us)| Row { value, by, passes, time_us });
    prop::collection::vec(row, 0..24)
}
