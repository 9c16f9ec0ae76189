//! Variances: (n·Σx² − (Σx)²) / n² or / (n·(n−1)), an exact rational rounded once. A standard deviation is the square root of that double.
//!
//! Cost: a few operations on integers of up to some hundred bits; where all of them fit 128 bits, those of the processor.

use super::Rounded;
use super::total::{Totals, joined};
use crate::accumulator::aggregate::AggregateFunction as F;
use crate::accumulator::fixed_point::SQUARES_FRACTION_BITS;
use crate::accumulator::heavy::{FloatRest, float_rest};
use crate::accumulator::rounding;
use num_bigint::{BigInt, BigUint};

/// The results of VAR_POP, VAR_SAMP, STDDEV_POP or STDDEV_SAMP.
pub(super) fn variances(function: F, counts: &[u64], totals: &Totals, squares: &Totals) -> impl Iterator<Item = Option<Rounded>> {
    let sample = matches!(function, F::VarSamp | F::StddevSamp);
    let root = matches!(function, F::StddevPop | F::StddevSamp);
    counts.iter().enumerate().map(move |(i, &count)| {
        let divisor = if sample { count.checked_sub(1)? } else { count };
        let variance = (divisor > 0).then(|| variance(i, count, divisor, totals, squares))?;
        Some(if root { Rounded { value: variance.value.sqrt(), ..variance } } else { variance })
    })
}

fn variance(i: usize, count: u64, divisor: u64, totals: &Totals, squares: &Totals) -> Rounded {
    if totals.rest.is_some() {
        return float_variance(i, count, divisor, totals, squares);
    }
    if let Some(variance) = small_variance(i, count, divisor, totals, squares) {
        return variance;
    }
    let (sum, sum_squares) = (rounding::to_big(&totals.sums.get(i)), rounding::to_big(&squares.sums.get(i)));
    let unit = BigUint::from(10u8).pow(2 * u32::from(totals.scale));
    Rounded::of(rational(&sum, &sum_squares, count, divisor, unit, 0))
}

/// Where numerator and denominator are doubles, division rounds correctly.
fn small_variance(i: usize, count: u64, divisor: u64, totals: &Totals, squares: &Totals) -> Option<Rounded> {
    const EXACT_MAX: i128 = 1 << 53;
    let (sum, sum_squares) = (i128::from(totals.sums.get_i64(i)?), squares.sums.get_i128(i)?);
    let numerator = i128::from(count).checked_mul(sum_squares)?.checked_sub(sum * sum)?;
    let unit = 10i128.checked_pow(2 * u32::from(totals.scale))?;
    let denominator = i128::from(count).checked_mul(i128::from(divisor))?.checked_mul(unit)?;
    (numerator <= EXACT_MAX && denominator <= EXACT_MAX).then(|| Rounded::of(numerator as f64 / denominator as f64))
}

/// (n·Σx² − (Σx)²) / (n·divisor·unit) · 2^exponent, rounded.
fn rational(sum: &BigInt, sum_squares: &BigInt, count: u64, divisor: u64, unit: BigUint, exponent: i64) -> f64 {
    let numerator = sum_squares * count - sum * sum;
    rounding::ratio(&numerator, &(unit * count * divisor), exponent)
}

/// As PostgreSQL, a NaN or an infinity among the values makes it NaN.
fn float_variance(i: usize, count: u64, divisor: u64, totals: &Totals, squares: &Totals) -> Rounded {
    let one = BigUint::from(1u8);
    let (rest, rest_squares) = (totals.rest(i), squares.rest(i));
    if rest.is_some_and(FloatRest::is_special) {
        return Rounded::special(f64::NAN);
    }
    let (fixed, fixed_squares) = (totals.sums.get(i), squares.sums.get(i));
    if rest.is_none() && rest_squares.is_none() {
        let (sum, sum_squares) = (rounding::to_big(&fixed), rounding::to_big(&fixed_squares));
        return Rounded::of(rational(&sum, &sum_squares, count, divisor, one, -i64::from(SQUARES_FRACTION_BITS)));
    }
    let nothing = FloatRest::default();
    let sum = joined(&fixed, rest.unwrap_or(&nothing), false);
    let sum_squares = joined(&fixed_squares, rest_squares.unwrap_or(&nothing), true);
    Rounded::of(rational(&sum, &sum_squares, count, divisor, one, -2 * float_rest::FRACTION_BITS))
}
