//! Sums and averages: exact totals rounded once.

use super::Rounded;
use crate::accumulator::fixed_point::{SUM_FRACTION_BITS, float_to_wide};
use crate::accumulator::heavy::{FloatRest, Heavy, float_rest};
use crate::accumulator::rounding;
use crate::accumulator::sum_column::SumColumn;
use crate::accumulator::wide::{wide_shrink, wide_to_i128};
use num_bigint::{BigInt, BigUint};
use raympp_types::{DataType, Value};

/// The sums (or sums of squares) of one column of values.
pub(super) struct Totals<'a> {
    pub(super) sums: &'a SumColumn,
    /// Of floats: what the sums have no place for.
    pub(super) rest: Option<&'a [Option<Box<Heavy>>]>,
    /// Of decimals: digits after the point of a value.
    pub(super) scale: u8,
}

impl Totals<'_> {
    pub(super) fn rest(&self, i: usize) -> Option<&FloatRest> {
        match self.rest?[i].as_deref() {
            Some(Heavy::FloatRest(rest)) => Some(rest),
            _ => None,
        }
    }

    /// SUM of floats.
    pub(super) fn sums(&self, counts: &[u64]) -> impl Iterator<Item = Option<Rounded>> {
        counts.iter().enumerate().map(|(i, &count)| (count > 0).then(|| self.average(i, 1)))
    }

    /// AVG.
    pub(super) fn averages(&self, counts: &[u64]) -> impl Iterator<Item = Option<Rounded>> {
        counts.iter().enumerate().map(|(i, &count)| (count > 0).then(|| self.average(i, count)))
    }

    fn average(&self, i: usize, count: u64) -> Rounded {
        if let Some(rest) = self.rest(i) {
            return float_average(&self.sums.get(i), rest, count);
        }
        if self.rest.is_some() {
            return Rounded::of(self.quotient(i, count, -i64::from(SUM_FRACTION_BITS)));
        }
        let divisor = 10u64.checked_pow(u32::from(self.scale)).and_then(|unit| unit.checked_mul(count));
        match (self.sums.get_i64(i), divisor) {
            (Some(sum), Some(divisor)) => Rounded::of(rounding::quotient_i64(sum, divisor)),
            (None, Some(divisor)) => Rounded::of(self.quotient(i, divisor, 0)),
            (_, None) => {
                let divisor = BigUint::from(10u8).pow(u32::from(self.scale)) * count;
                Rounded::of(rounding::ratio(&rounding::to_big(&self.sums.get(i)), &divisor, 0))
            }
        }
    }

    fn quotient(&self, i: usize, divisor: u64, exponent: i64) -> f64 {
        match self.sums {
            SumColumn::Narrow(cells) => rounding::quotient(&[cells[i] as u64], divisor, exponent),
            SumColumn::Wide4(cells) => rounding::quotient(&cells[i], divisor, exponent),
            SumColumn::Wide8(cells) => rounding::quotient(&cells[i], divisor, exponent),
        }
    }
}

/// The whole sum of floats in units of 2^−1074, or of their squares in units of 2^−2148: twice the digits of either part.
pub(super) fn joined(fixed: &[u64; 8], rest: &FloatRest, squares: bool) -> BigInt {
    let fraction_bits = if squares {
        2 * (float_rest::FRACTION_BITS - i64::from(SUM_FRACTION_BITS))
    } else {
        float_rest::FRACTION_BITS - i64::from(SUM_FRACTION_BITS)
    };
    (rounding::to_big(fixed) << fraction_bits) + &rest.sum
}

fn float_average(fixed: &[u64; 8], rest: &FloatRest, count: u64) -> Rounded {
    match rest.special() {
        Some(special) => Rounded::special(special),
        None => Rounded::of(rounding::ratio(&joined(fixed, rest, false), &BigUint::from(count), -float_rest::FRACTION_BITS)),
    }
}

/// A sum built value by value, for DISTINCT.
pub(super) struct Distinct {
    data_type: DataType,
    sums: SumColumn,
    rest: FloatRest,
}

impl Distinct {
    pub(super) fn new(data_type: DataType) -> Distinct {
        Distinct { data_type, sums: SumColumn::zeros(1), rest: FloatRest::default() }
    }

    /// Adds a number; nothing else occurs.
    pub(super) fn add(&mut self, value: &Value) {
        match *value {
            Value::SmallInt(value) => self.sums.add_i64(0, i64::from(value)),
            Value::Integer(value) => self.sums.add_i64(0, i64::from(value)),
            Value::BigInt(value) => self.sums.add_i64(0, value),
            Value::Decimal { unscaled, .. } => self.sums.add_i128(0, unscaled),
            Value::Real(value) => self.add_float(f64::from(value)),
            Value::Double(value) => self.add_float(value),
            _ => {}
        }
    }

    fn add_float(&mut self, value: f64) {
        match float_to_wide(value) {
            Some(wide) => self.sums.add_wide4(0, &wide),
            None => self.rest.add(value, false),
        }
    }

    /// The sum of integers or unscaled decimals, if it fits 128 bits.
    pub(super) fn exact(&self) -> Option<i128> {
        wide_shrink::<8, 2>(&self.sums.get(0)).and_then(|words| wide_to_i128(&words))
    }

    /// The sum of floats.
    pub(super) fn sum(&self) -> Rounded {
        self.average(1)
    }

    pub(super) fn average(&self, count: u64) -> Rounded {
        if self.data_type.is_float() {
            return float_average(&self.sums.get(0), &self.rest, count);
        }
        let scale = if let DataType::Decimal { scale, .. } = self.data_type { scale } else { 0 };
        Totals { sums: &self.sums, rest: None, scale }.average(0, count)
    }
}
