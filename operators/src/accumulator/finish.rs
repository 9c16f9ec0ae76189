//! Results: the cells of an aggregate's accumulators become a column, one row per group.
//!
//! Everything up to here is exact; what SQL wants as a double is rounded once, here (`rounding`). A result that does not fit its
//! type becomes NULL and is counted, for the metric's `bad` counter.

use super::aggregate::{Aggregate, AggregateFunction as F, Parameter};
use super::column::AccumulatorColumn;
use super::heavy::{DdSketch, Heavy, Hll, Multiset};
use super::lower::{PickOrder, is_extreme_type};
use super::sum_column::SumColumn;
use super::top_k;
use super::wide::min_bits;
use crate::expr::arrow_types::{arrow_type, interval_to_arrow};
use crate::keycode::{self, decode_columns, ordered};
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::IntervalMonthDayNano;
use raympp_types::{DataType, Value};
use std::borrow::Cow;
use std::sync::Arc;

mod moments;
mod total;

use total::Totals;

/// A result column.
#[derive(Clone, Debug)]
pub struct Finished {
    /// One row per group, of the Arrow type of [`Aggregate::data_type`].
    pub array: ArrayRef,
    /// How many results did not fit the type and are NULL for that.
    pub overflowed: u64,
}

impl Finished {
    fn exact(array: ArrayRef) -> Finished {
        Finished { array, overflowed: 0 }
    }

    /// Doubles, of which those that are infinite only by rounding did not fit.
    fn doubles(results: impl Iterator<Item = Option<Rounded>>) -> Finished {
        let mut overflowed = 0;
        let array: Float64Array = results
            .map(|result| {
                let result = result?;
                overflowed += u64::from(result.is_overflow());
                (!result.is_overflow()).then_some(result.value)
            })
            .collect();
        Finished { array: Arc::new(array), overflowed }
    }
}

/// A rounded result, and whether it was a number before.
#[derive(Clone, Copy)]
struct Rounded {
    value: f64,
    finite: bool,
}

impl Rounded {
    fn of(value: f64) -> Rounded {
        Rounded { value, finite: true }
    }

    /// NaN or an infinity that comes from the data.
    fn special(value: f64) -> Rounded {
        Rounded { value, finite: false }
    }

    fn is_overflow(&self) -> bool {
        self.finite && self.value.is_infinite()
    }
}

/// The columns of an aggregate, taken in the order of its lowering.
struct Columns<'a> {
    rest: std::slice::Iter<'a, &'a AccumulatorColumn>,
}

impl<'a> Columns<'a> {
    fn next(&mut self) -> &'a AccumulatorColumn {
        self.rest.next().expect("a column for each accumulator of the aggregate")
    }

    fn words(&mut self) -> &'a [u64] {
        match self.next() {
            AccumulatorColumn::Count(cells) | AccumulatorColumn::Extreme(cells) => cells,
            _ => unreachable!("the accumulator keeps words"),
        }
    }

    fn sums(&mut self) -> &'a SumColumn {
        match self.next() {
            AccumulatorColumn::Sum(sums) => sums,
            _ => unreachable!("the accumulator keeps sums"),
        }
    }

    fn heavy(&mut self) -> &'a [Option<Box<Heavy>>] {
        match self.next() {
            AccumulatorColumn::Heavy(cells) => cells,
            _ => unreachable!("the accumulator keeps heavy cells"),
        }
    }
}

impl Aggregate {
    /// The results of as many groups as there are `rows`, which holds each group's row count. `columns` has one column for each
    /// accumulator of [`Aggregate::lower`], in its order.
    ///
    /// # Panics
    /// If the columns are not those of the accumulators.
    pub fn finish(&self, rows: &[u64], columns: &[&AccumulatorColumn]) -> Finished {
        assert!(columns.iter().all(|column| column.len() == rows.len()), "a cell for each group");
        let mut columns = Columns { rest: columns.iter() };
        let counts = self.counts(rows, &mut columns);
        match self.function {
            F::CountStar | F::Count => Finished::exact(Arc::new(Int64Array::from_iter_values(counts.iter().map(|&count| count as i64)))),
            F::Sum => self.sum(&counts, &mut columns),
            F::Avg => Finished::doubles(self.totals(&mut columns).averages(&counts)),
            F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp => {
                let (totals, squares) = (self.totals(&mut columns), self.totals(&mut columns));
                Finished::doubles(moments::variances(self.function, &counts, &totals, &squares))
            }
            F::BoolAnd | F::BoolOr => Finished::exact(self.boolean(&counts, columns.words())),
            F::Min | F::Max if is_extreme_type(self.data_type()) => {
                Finished::exact(extremes(self.function == F::Min, self.data_type(), &counts, columns.words()))
            }
            F::Min => Finished::exact(self.picked(PickOrder::Min, columns.heavy())),
            F::Max => Finished::exact(self.picked(PickOrder::Max, columns.heavy())),
            F::FirstValue | F::LastValue | F::ArgMin | F::ArgMax => Finished::exact(self.picked(PickOrder::First, columns.heavy())),
            _ => self.finish_sketch(columns.heavy()),
        }
    }

    /// The number of rows that pass the filter and are not NULL.
    fn counts<'a>(&self, rows: &'a [u64], columns: &mut Columns<'a>) -> Cow<'a, [u64]> {
        let passing = if self.reads_filtered_count() { columns.words() } else { rows };
        if !self.reads_null_count() {
            return Cow::Borrowed(passing);
        }
        let nulls = columns.words();
        Cow::Owned(passing.iter().zip(nulls).map(|(&rows, &nulls)| rows.wrapping_sub(nulls)).collect())
    }

    fn totals<'a>(&self, columns: &mut Columns<'a>) -> Totals<'a> {
        let data_type = self.args[0].data_type();
        let sums = columns.sums();
        let rest = data_type.is_float().then(|| columns.heavy());
        let scale = if let DataType::Decimal { scale, .. } = data_type { scale } else { 0 };
        Totals { sums, rest, scale }
    }

    fn sum(&self, counts: &[u64], columns: &mut Columns) -> Finished {
        let totals = self.totals(columns);
        if totals.rest.is_some() {
            return Finished::doubles(totals.sums(counts));
        }
        if let SumColumn::Narrow(sums) = totals.sums
            && !counts.contains(&0)
        {
            let array = Decimal128Array::from_iter_values(sums.iter().map(|&sum| sum.into()));
            return Finished::exact(Arc::new(array.with_data_type(arrow_type(self.data_type()))));
        }
        let sums = counts.iter().enumerate().map(|(i, &count)| (count > 0).then(|| totals.sums.get_i128(i)));
        self.decimals(sums)
    }

    /// Sums of exact numbers; an inner `None` does not fit 128 bits.
    fn decimals(&self, sums: impl Iterator<Item = Option<Option<i128>>>) -> Finished {
        const LIMIT: u128 = 10u128.pow(38);
        let mut overflowed = 0;
        let array: Decimal128Array = sums
            .map(|sum| {
                let fitting = sum?.filter(|sum| sum.unsigned_abs() < LIMIT);
                overflowed += u64::from(fitting.is_none());
                fitting
            })
            .collect();
        Finished { array: Arc::new(array.with_data_type(arrow_type(self.data_type()))), overflowed }
    }

    fn boolean(&self, counts: &[u64], trues: &[u64]) -> ArrayRef {
        let and = self.function == F::BoolAnd;
        let result = |(&count, &trues): (&u64, &u64)| (count > 0).then_some(if and { trues == count } else { trues > 0 });
        Arc::new(counts.iter().zip(trues).map(result).collect::<BooleanArray>())
    }

    fn picked(&self, order: PickOrder, cells: &[Option<Box<Heavy>>]) -> ArrayRef {
        let picked = |cell: &'_ Option<Box<Heavy>>| match cell.as_deref() {
            Some(Heavy::Pick(pick)) => pick.picked(order).into_owned(),
            _ => vec![keycode::NULL],
        };
        let codes: Vec<Vec<u8>> = cells.iter().map(picked).collect();
        if self.data_type() == DataType::Interval {
            return Arc::new(codes.iter().map(|code| exact_interval(code)).collect::<IntervalMonthDayNanoArray>());
        }
        let columns = decode_columns(codes.iter().map(Vec::as_slice), &[self.data_type()]);
        columns.expect("codes of this type, written here or checked when read").remove(0)
    }

    fn finish_sketch(&self, cells: &[Option<Box<Heavy>>]) -> Finished {
        match (self.function, self.parameter) {
            (F::CountDistinct, _) => Finished::exact(integers(cells, |cell| multiset(cell).map_or(0, |values| values.len() as i64))),
            (F::ApproxCountDistinct, _) => Finished::exact(integers(cells, |cell| hll(cell).map_or(0, |hll| hll.estimate() as i64))),
            (F::SumDistinct, _) if self.data_type() != DataType::Double => {
                let sum = |cell: &Option<Box<Heavy>>| multiset(cell).map(|values| self.distinct_total(values).exact());
                self.decimals(cells.iter().map(sum))
            }
            (F::SumDistinct, _) => Finished::doubles(cells.iter().map(|cell| Some(self.distinct_total(multiset(cell)?).sum()))),
            (F::AvgDistinct, _) => Finished::doubles(cells.iter().map(|cell| {
                let values = multiset(cell)?;
                Some(self.distinct_total(values).average(values.len() as u64))
            })),
            (_, Parameter::Quantile(bits)) => {
                let quantile = |cell: &Option<Box<Heavy>>| dd_sketch(cell)?.quantile(f64::from_bits(bits));
                Finished::exact(Arc::new(cells.iter().map(quantile).collect::<Float64Array>()))
            }
            (_, Parameter::Limit(limit)) => {
                let data_type = self.args[0].data_type();
                let top = |cell: &Option<Box<Heavy>>| Some(top_k::render(multiset(cell)?, limit, data_type));
                Finished::exact(Arc::new(cells.iter().map(top).collect::<StringArray>()))
            }
            _ => unreachable!("{self} is finished elsewhere"),
        }
    }

    /// The sum of different values.
    fn distinct_total(&self, values: &Multiset) -> total::Distinct {
        let data_type = self.args[0].data_type();
        let mut total = total::Distinct::new(data_type);
        for (code, _) in values.iter() {
            let value = keycode::decode(code, &[data_type]).map_or(Value::Null, |mut values| values.remove(0));
            total.add(&value);
        }
        total
    }
}

fn multiset(cell: &Option<Box<Heavy>>) -> Option<&Multiset> {
    if let Some(Heavy::Multiset(values)) = cell.as_deref() { Some(values) } else { None }
}

fn hll(cell: &Option<Box<Heavy>>) -> Option<&Hll> {
    if let Some(Heavy::Hll(sketch)) = cell.as_deref() { Some(sketch) } else { None }
}

fn dd_sketch(cell: &Option<Box<Heavy>>) -> Option<&DdSketch> {
    if let Some(Heavy::DdSketch(sketch)) = cell.as_deref() { Some(sketch) } else { None }
}

fn exact_interval(code: &[u8]) -> Option<IntervalMonthDayNano> {
    match keycode::decode_exact(code, DataType::Interval) {
        Ok(Value::Interval(interval)) => interval_to_arrow(interval),
        _ => None,
    }
}

fn integers(cells: &[Option<Box<Heavy>>], value: impl Fn(&Option<Box<Heavy>>) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(cells.iter().map(value)))
}

/// MIN or MAX from their bits. Integers come back in their own size, since they were of that size.
fn extremes(least: bool, data_type: DataType, counts: &[u64], cells: &[u64]) -> ArrayRef {
    let bits = counts.iter().zip(cells).map(|(&count, &bits)| (count > 0).then_some(if least { min_bits(bits) } else { bits }));
    let integers = bits.clone().map(|bits| bits.map(ordered::to_i64));
    match data_type {
        DataType::Boolean => Arc::new(bits.map(|bits| bits.map(|bits| bits & 1 == 1)).collect::<BooleanArray>()),
        DataType::SmallInt => Arc::new(integers.map(|value| value.map(|value| value as i16)).collect::<Int16Array>()),
        DataType::Integer => Arc::new(integers.map(|value| value.map(|value| value as i32)).collect::<Int32Array>()),
        DataType::BigInt => Arc::new(integers.collect::<Int64Array>()),
        DataType::Date => Arc::new(integers.map(|value| value.map(|value| value as i32)).collect::<Date32Array>()),
        DataType::Real => Arc::new(bits.map(|bits| bits.map(|bits| ordered::to_f64(bits) as f32)).collect::<Float32Array>()),
        DataType::Double => Arc::new(bits.map(|bits| bits.map(ordered::to_f64)).collect::<Float64Array>()),
        _ => Arc::new(integers.collect::<TimestampMicrosecondArray>().with_data_type(arrow_type(data_type))),
    }
}
