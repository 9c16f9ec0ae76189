//! Taking aggregates apart into accumulators, the shareable pieces that state keeps.
//!
//! Lowering is canonical: what two aggregates can share, they lower to equal accumulators. The number of non-NULL inputs of a group is
//! never kept as such; it is the group's row count (or the count of rows passing the filter) less a count of NULLs, which stays
//! untouched where there are none. MIN and MAX of fixed-size types rely on it to tell an absent value from the lowest one.

use super::aggregate::{Aggregate, AggregateFunction};
use crate::expr::{Expr, implicit_cast};
use raympp_types::DataType;
use std::fmt;

/// One piece of state per group and slice. Rows that the filter does not hold true for count nowhere; nor do NULL inputs, except in
/// `NullCount`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Accumulator {
    /// Rows passing the filter. Lowering never makes one without a filter: that is the row count each group carries anyway.
    Count {
        /// FILTER.
        filter: Option<Expr>,
    },
    /// Rows passing the filter whose input is NULL.
    NullCount {
        /// What may be NULL.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// Rows passing the filter whose input is true.
    CountTrue {
        /// BOOLEAN.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// Exact sum: of integers and unscaled decimals as it is, of floats in units of 2^−128 ([`super::fixed_point`]), without those that
    /// do not fit; they are in [`Accumulator::FloatRest`].
    Sum {
        /// A number.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// Exact sum of squares: of integers and unscaled decimals as it is, of floats in units of 2^−256, without those that do not fit.
    SumSquares {
        /// A number.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// The floats missing in `Sum`, or their squares missing in `SumSquares`: NaN, infinities, the very large and the very small.
    FloatRest {
        /// A float.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
        /// Squares are summed.
        squares: bool,
    },
    /// Greatest value of a type of at most 64 bits, as [`super::wide::max_bits_i64`] and its kin code it; 0 if there is none.
    Max {
        /// BOOLEAN, an integer, a float, DATE or a timestamp.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// Least value, as the greatest of inverted bits; 0 if there is none.
    Min {
        /// As in `Max`.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// The value of one row: the one that comes first in an order of the rows.
    Pick {
        /// Which order.
        order: PickOrder,
        /// The value; for ARG_MIN and ARG_MAX then what orders.
        inputs: Vec<Expr>,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// Each value with the number of its rows.
    Multiset {
        /// The value.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// HyperLogLog of the values.
    Hll {
        /// The value.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
    /// DDSketch of the values.
    DdSketch {
        /// DOUBLE PRECISION.
        input: Expr,
        /// FILTER.
        filter: Option<Expr>,
    },
}

/// By what a `Pick` chooses its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PickOrder {
    /// Lowest (event time, split, offset).
    First,
    /// Highest (event time, split, offset).
    Last,
    /// Least second input, then lowest (event time, split, offset).
    ArgMin,
    /// Greatest second input, then lowest (event time, split, offset).
    ArgMax,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
}

/// How state stores a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellKind {
    /// One `u64`, added modulo 2^64; identity 0.
    Count,
    /// One `u64`, the greatest stays; identity 0.
    Extreme,
    /// A sum that fits a two's complement of 4 words; usually 64 bits do, except for floats.
    Wide4,
    /// A sum that fits a two's complement of 8 words.
    Wide8,
    /// A [`super::Heavy`], absent for the identity.
    Heavy,
}

/// The accumulators of an aggregate, in the order in which [`Aggregate::finish`] takes their columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    /// May be empty: COUNT(*) needs the group's row count only.
    pub accumulators: Vec<Accumulator>,
}

impl Accumulator {
    /// How state stores its cells.
    pub fn cell_kind(&self) -> CellKind {
        match self {
            Self::Count { .. } | Self::NullCount { .. } | Self::CountTrue { .. } => CellKind::Count,
            Self::Max { .. } | Self::Min { .. } => CellKind::Extreme,
            Self::Sum { .. } => CellKind::Wide4,
            Self::SumSquares { input, .. } if input.data_type().is_integer() => CellKind::Wide4,
            Self::SumSquares { .. } => CellKind::Wide8,
            Self::FloatRest { .. } | Self::Pick { .. } | Self::Multiset { .. } | Self::Hll { .. } | Self::DdSketch { .. } => {
                CellKind::Heavy
            }
        }
    }

    /// True if retracting undoes merging.
    pub fn invertible(&self) -> bool {
        !matches!(self, Self::Max { .. } | Self::Min { .. } | Self::Pick { .. } | Self::Hll { .. })
    }

    /// The expressions it reads beside the filter, in the order in which [`super::fold()`] takes their columns.
    pub fn inputs(&self) -> &[Expr] {
        match self {
            Self::Count { .. } => &[],
            Self::Pick { inputs, .. } => inputs,
            Self::NullCount { input, .. }
            | Self::CountTrue { input, .. }
            | Self::Sum { input, .. }
            | Self::SumSquares { input, .. }
            | Self::FloatRest { input, .. }
            | Self::Max { input, .. }
            | Self::Min { input, .. }
            | Self::Multiset { input, .. }
            | Self::Hll { input, .. }
            | Self::DdSketch { input, .. } => std::slice::from_ref(input),
        }
    }

    /// Which rows count; `None`: all.
    pub fn filter(&self) -> Option<&Expr> {
        match self {
            Self::Count { filter }
            | Self::NullCount { filter, .. }
            | Self::CountTrue { filter, .. }
            | Self::Sum { filter, .. }
            | Self::SumSquares { filter, .. }
            | Self::FloatRest { filter, .. }
            | Self::Max { filter, .. }
            | Self::Min { filter, .. }
            | Self::Pick { filter, .. }
            | Self::Multiset { filter, .. }
            | Self::Hll { filter, .. }
            | Self::DdSketch { filter, .. } => filter.as_ref(),
        }
    }

    /// Bytes that a usual cell takes in memory, without what a heavy one points to.
    pub fn bytes_per_cell(&self) -> usize {
        let float = self.inputs().first().is_some_and(|input| input.data_type().is_float());
        match self.cell_kind() {
            CellKind::Wide4 if float => 32,
            CellKind::Wide8 if float => 64,
            _ => 8,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Count { .. } => "rows",
            Self::NullCount { .. } => "nulls",
            Self::CountTrue { .. } => "trues",
            Self::Sum { .. } => "sum",
            Self::SumSquares { .. } => "sum of squares",
            Self::FloatRest { squares: false, .. } => "sum of outliers",
            Self::FloatRest { squares: true, .. } => "sum of squares of outliers",
            Self::Max { .. } => "max",
            Self::Min { .. } => "min",
            Self::Pick { order, .. } => match order {
                PickOrder::First => "first",
                PickOrder::Last => "last",
                PickOrder::ArgMin => "arg min",
                PickOrder::ArgMax => "arg max",
                PickOrder::Min => "min",
                PickOrder::Max => "max",
            },
            Self::Multiset { .. } => "multiset",
            Self::Hll { .. } => "hyperloglog",
            Self::DdSketch { .. } => "ddsketch",
        }
    }
}

impl Accumulator {
    /// As shown, and with the types of what it reads: accumulators with equal texts keep the same of the same rows.
    pub fn description(&self) -> String {
        let types: Vec<String> = self.inputs().iter().map(|input| input.data_type().to_string()).collect();
        if types.is_empty() { self.to_string() } else { format!("{self} of {}", types.join(", ")) }
    }
}

impl fmt::Display for Accumulator {
    /// As EXPLAIN shows it: `sum(amount) where status = 'SUCCESS'`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (i, input) in self.inputs().iter().enumerate() {
            write!(f, "{}{input}", if i == 0 { "(" } else { ", " })?;
        }
        if !self.inputs().is_empty() {
            f.write_str(")")?;
        }
        self.filter().map_or(Ok(()), |filter| write!(f, " where {filter}"))
    }
}

/// True for types whose MIN and MAX are kept in 64 bits.
pub(super) fn is_extreme_type(data_type: DataType) -> bool {
    use DataType::{BigInt, Boolean, Date, Double, Integer, Real, SmallInt, Timestamp, TimestampTz};
    matches!(data_type, Boolean | SmallInt | Integer | BigInt | Real | Double | Date | Timestamp | TimestampTz)
}

impl Aggregate {
    /// The accumulators it is finished from.
    pub fn lower(&self) -> Lowered {
        let mut accumulators = Vec::new();
        if self.reads_filtered_count() {
            accumulators.push(Accumulator::Count { filter: self.filter.clone() });
        }
        if self.reads_null_count() {
            accumulators.push(Accumulator::NullCount { input: self.args[0].clone(), filter: self.filter.clone() });
        }
        self.lower_values(&mut accumulators);
        Lowered { accumulators }
    }

    /// True if the number of non-NULL inputs matters.
    fn reads_count(&self) -> bool {
        use AggregateFunction as F;
        match self.function {
            F::CountStar | F::Count | F::Sum | F::Avg | F::BoolAnd | F::BoolOr => true,
            F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp => true,
            F::Min | F::Max => is_extreme_type(self.args[0].data_type()),
            _ => false,
        }
    }

    /// True if the first accumulator is a count of rows passing the filter.
    pub(super) fn reads_filtered_count(&self) -> bool {
        self.reads_count() && self.filter.is_some()
    }

    /// True if the next accumulator is a count of NULLs.
    pub(super) fn reads_null_count(&self) -> bool {
        let may_be_null = |input: &Expr| input.as_literal().is_none_or(|value| value.is_null());
        self.reads_count() && self.args.first().is_some_and(may_be_null)
    }

    fn lower_values(&self, out: &mut Vec<Accumulator>) {
        use AggregateFunction as F;
        let filter = || self.filter.clone();
        let Some(first) = self.args.first() else { return };
        let input = || first.clone();
        let pick = |order| Accumulator::Pick { order, inputs: self.args.clone(), filter: filter() };
        match self.function {
            F::CountStar | F::Count => {}
            F::Sum | F::Avg => self.lower_sum(false, out),
            F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp => {
                self.lower_sum(false, out);
                self.lower_sum(true, out);
            }
            F::Min if is_extreme_type(first.data_type()) => out.push(Accumulator::Min { input: input(), filter: filter() }),
            F::Max if is_extreme_type(first.data_type()) => out.push(Accumulator::Max { input: input(), filter: filter() }),
            F::Min => out.push(pick(PickOrder::Min)),
            F::Max => out.push(pick(PickOrder::Max)),
            F::BoolAnd | F::BoolOr => out.push(count_true(input(), filter())),
            F::FirstValue => out.push(pick(PickOrder::First)),
            F::LastValue => out.push(pick(PickOrder::Last)),
            F::ArgMin => out.push(pick(PickOrder::ArgMin)),
            F::ArgMax => out.push(pick(PickOrder::ArgMax)),
            F::CountDistinct | F::SumDistinct | F::AvgDistinct | F::TopK => {
                out.push(Accumulator::Multiset { input: input(), filter: filter() });
            }
            F::ApproxCountDistinct => out.push(Accumulator::Hll { input: input(), filter: filter() }),
            F::ApproxPercentile | F::ApproxMedian => {
                // Every number has a double; the sketch's bound leaves room for its rounding.
                let input = implicit_cast(input(), DataType::Double).unwrap_or_else(|_| input());
                out.push(Accumulator::DdSketch { input, filter: filter() });
            }
        }
    }

    fn lower_sum(&self, squares: bool, out: &mut Vec<Accumulator>) {
        let (input, filter) = (self.args[0].clone(), self.filter.clone());
        let float = input.data_type().is_float();
        out.push(match squares {
            false => Accumulator::Sum { input: input.clone(), filter: filter.clone() },
            true => Accumulator::SumSquares { input: input.clone(), filter: filter.clone() },
        });
        if float {
            out.push(Accumulator::FloatRest { input, filter, squares });
        }
    }
}

/// Without a filter the input is one. With one it can't be joined to it by AND, which evaluates its right side where the left is NULL.
fn count_true(input: Expr, filter: Option<Expr>) -> Accumulator {
    match filter {
        None => Accumulator::Count { filter: Some(input) },
        Some(filter) => Accumulator::CountTrue { input, filter: Some(filter) },
    }
}
