//! DECIMAL arithmetic: exact on 128-bit digits, never more than 38 of them.
//!
//! A result type with less than 38 digits was made wide enough for every pair of operands, so its loops check nothing; one with 38 is
//! checked. `+`, `-` and `%` bring both sides to the larger scale, `*` adds the scales. Rounding is half away from zero.

use super::error::EvaluationError;
use super::node::Arithmetic;
use super::vector::{Sink, Vector, map_each};
use arrow::datatypes::Decimal128Type;
use raympp_types::data_type::DECIMAL_PRECISION_MAX;
use raympp_types::{DataType, text::power_of_ten};

type Decimals = Decimal128Type;

/// `left op right`, each with its scale.
pub(super) fn arithmetic(op: Arithmetic, left: (&Vector, u8), right: (&Vector, u8), result: DataType, sink: &mut Sink<'_>) -> Vector {
    let ((left, l), (right, r)) = (left, right);
    let (a_factor, b_factor) = (power_of_ten(r.saturating_sub(l)), power_of_ten(l.saturating_sub(r)));
    let narrow = matches!(result, DataType::Decimal { precision, .. } if precision < DECIMAL_PRECISION_MAX);
    let fits = |value: Option<i128>| fitting(value, result);
    match op {
        Arithmetic::Add if narrow && l == r => map_pairs(left, right, result, i128::wrapping_add, sink),
        Arithmetic::Subtract if narrow && l == r => map_pairs(left, right, result, i128::wrapping_sub, sink),
        Arithmetic::Multiply if narrow => map_pairs(left, right, result, i128::wrapping_mul, sink),
        Arithmetic::Add => sink.try_pairs::<Decimals, Decimals, Decimals>(left, right, result, |a, b| {
            fits(scaled(a, a_factor).zip(scaled(b, b_factor)).and_then(|(a, b)| a.checked_add(b)))
        }),
        Arithmetic::Subtract => sink.try_pairs::<Decimals, Decimals, Decimals>(left, right, result, |a, b| {
            fits(scaled(a, a_factor).zip(scaled(b, b_factor)).and_then(|(a, b)| a.checked_sub(b)))
        }),
        Arithmetic::Multiply => sink.try_pairs::<Decimals, Decimals, Decimals>(left, right, result, |a, b| fits(a.checked_mul(b))),
        // `/` between DECIMALs is done in DOUBLE PRECISION.
        Arithmetic::Modulo | Arithmetic::Divide => sink.try_pairs::<Decimals, Decimals, Decimals>(left, right, result, |a, b| {
            if b == 0 {
                return Err(EvaluationError::DivisionByZero);
            }
            fits(remainder(a, a_factor, b, b_factor))
        }),
    }
}

fn map_pairs(left: &Vector, right: &Vector, result: DataType, f: impl Fn(i128, i128) -> i128, sink: &mut Sink<'_>) -> Vector {
    sink.pairs::<Decimals, Decimals, Decimals>(left, right, result, |a, b| (f(a, b), false), |_, _| None)
}

fn scaled(value: i128, factor: i128) -> Option<i128> {
    if factor == 1 { Some(value) } else { value.checked_mul(factor) }
}

/// a·a_factor % b·b_factor, of which one factor is 1. Where b·b_factor does not fit it is larger than a, which is the remainder.
fn remainder(a: i128, a_factor: i128, b: i128, b_factor: i128) -> Option<i128> {
    if a_factor == 1 {
        return scaled(b, b_factor).map_or(Some(a), |b| a.checked_rem(b));
    }
    match scaled(a, a_factor) {
        Some(a) => a.checked_rem(b),
        // One digit at a time, so that nothing grows beyond ten times the divisor.
        None => {
            let digits = a_factor.ilog10();
            (0..digits).try_fold(a.checked_rem(b)?, |rest, _| rest.checked_mul(10)?.checked_rem(b))
        }
    }
}

fn fitting(value: Option<i128>, result: DataType) -> Result<i128, EvaluationError> {
    let DataType::Decimal { precision, .. } = result else { return Err(EvaluationError::Overflow(result)) };
    value.filter(|value| value.unsigned_abs() < power_of_ten(precision).unsigned_abs()).ok_or(EvaluationError::Overflow(result))
}

/// `value` without its last `digits` digits, rounded half away from zero.
pub(super) fn drop_digits(value: i128, digits: u8) -> i128 {
    if digits == 0 {
        return value;
    }
    let power = power_of_ten(digits);
    let (quotient, rest) = (value / power, (value % power).abs());
    if rest >= power - rest { quotient + value.signum() } else { quotient }
}

/// Digits of scale `from` as digits of scale `to`; `None` where 128 bits do not suffice.
pub(super) fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from { scaled(value, power_of_ten(to - from)) } else { Some(drop_digits(value, from - to)) }
}

/// DECIMAL to another precision and scale.
pub(super) fn convert(operand: &Vector, from: u8, to: DataType, sink: &mut Sink<'_>) -> Vector {
    let DataType::Decimal { scale, .. } = to else { return Vector::null(to) };
    sink.try_each::<Decimals, Decimals>(operand, to, |value| fitting(rescale(value, from, scale), to))
}

/// As [`convert`] where every value fits.
pub(super) fn widen(operand: &Vector, from: u8, to: DataType) -> Vector {
    let DataType::Decimal { scale, .. } = to else { return Vector::null(to) };
    let factor = power_of_ten(scale.saturating_sub(from));
    if scale < from {
        return map_each::<Decimals, Decimals>(operand, to, |value| drop_digits(value, from - scale));
    }
    map_each::<Decimals, Decimals>(operand, to, |value| value.wrapping_mul(factor))
}

/// `value` of scale `scale` rounded to `digits` after the point (before it, if negative), as digits of scale `to`.
fn rounded(value: i128, scale: u8, digits: i64, to: u8) -> Option<i128> {
    let dropped = i64::from(scale).saturating_sub(digits);
    match u8::try_from(dropped.max(0)) {
        Ok(0) => rescale(value, scale, to),
        Ok(dropped @ 1..=38) => {
            let kept = drop_digits(value, dropped);
            // The digits kept have scale `scale - dropped`, which may be negative.
            let up = i16::from(to) - (i16::from(scale) - i16::from(dropped));
            u8::try_from(up).ok().filter(|&up| up <= 38 || kept == 0).and_then(|up| kept.checked_mul(power_of_ten(up)))
        }
        _ => Some(0),
    }
}

/// ROUND(DECIMAL, digits)
pub(super) fn round(operand: &Vector, scale: u8, digits: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector {
    let DataType::Decimal { scale: to, .. } = result else { return Vector::null(result) };
    sink.try_pairs::<Decimals, arrow::datatypes::Int64Type, Decimals>(operand, digits, result, |value, digits| {
        fitting(rounded(value, scale, digits, to), result)
    })
}

/// ROUND, FLOOR and CEIL to a whole number: `f` gives the digits before the point.
pub(super) fn whole(operand: &Vector, result: DataType, f: impl Fn(i128) -> i128, sink: &mut Sink<'_>) -> Vector {
    sink.try_each::<Decimals, Decimals>(operand, result, |value| fitting(Some(f(value)), result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_digits_rounds_half_away_from_zero() {
        for (value, digits, expected) in [(149, 2, 1), (150, 2, 2), (-150, 2, -2), (-149, 2, -1), (5, 1, 1), (4, 1, 0)] {
            assert_eq!(drop_digits(value, digits), expected, "{value} without {digits}");
        }
        assert_eq!(drop_digits(power_of_ten(38) - 1, 38), 1);
        assert_eq!(drop_digits(power_of_ten(38) / 2 - 1, 38), 0);
    }

    #[test]
    fn remainders_of_far_scales_are_exact() {
        let (a, b) = (power_of_ten(38) - 1, 7);
        let by_parts = (0..38).fold(a % b, |rest, _| rest * 10 % b);
        assert_eq!(remainder(a, power_of_ten(38), b, 1), Some(by_parts));
        assert_eq!(remainder(5, 1, power_of_ten(30), power_of_ten(20)), Some(5));
    }
}
