//! Comparisons. Arrow's kernels do those whose order is that of the values; floats, decimals and intervals have rules of their own,
//! and integers, which most WHERE clauses compare, take the loop of those, which is several times as fast.
//!
//! Floats: NaN equals NaN and is greater than everything else, −0.0 equals 0.0. Intervals: a month counts as 30 days, a day as 24 hours.
//! Decimals of different scales are compared exactly: a value too large to be brought to the other's scale is further from zero than
//! any value there.

use super::node::Comparison;
use super::vector::{Operand, Shape, Vector, test_pairs};
use arrow::array::{Array, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use raympp_types::{DataType, text::power_of_ten};
use std::cmp::Ordering;

/// `left op right`: NULL where either is.
pub(super) fn compare(op: Comparison, left: &Vector, right: &Vector) -> Vector {
    let Some(shape) = Shape::of(&[left, right]) else { return Vector::null(DataType::Boolean) };
    let values = match (left.array.data_type(), right.array.data_type()) {
        (ArrowType::Int16, ArrowType::Int16) => ordered::<Int16Type>(op, left, right, |a, b| a < b, |a, b| a == b),
        (ArrowType::Int32, ArrowType::Int32) => ordered::<Int32Type>(op, left, right, |a, b| a < b, |a, b| a == b),
        (ArrowType::Int64, ArrowType::Int64) => ordered::<Int64Type>(op, left, right, |a, b| a < b, |a, b| a == b),
        (ArrowType::Float32, _) => ordered::<Float32Type>(
            op,
            left,
            right,
            |a, b| a < b || (b.is_nan() && !a.is_nan()),
            |a, b| a == b || (a.is_nan() && b.is_nan()),
        ),
        (ArrowType::Float64, _) => ordered::<Float64Type>(
            op,
            left,
            right,
            |a, b| a < b || (b.is_nan() && !a.is_nan()),
            |a, b| a == b || (a.is_nan() && b.is_nan()),
        ),
        (ArrowType::Interval(_), _) => ordered::<IntervalMonthDayNanoType>(
            op,
            left,
            right,
            |a, b| comparable_nanos(a) < comparable_nanos(b),
            |a, b| comparable_nanos(a) == comparable_nanos(b),
        ),
        (ArrowType::Decimal128(_, l), ArrowType::Decimal128(_, r)) if l == r => {
            ordered::<Decimal128Type>(op, left, right, |a, b| a < b, |a, b| a == b)
        }
        (ArrowType::Decimal128(_, l), ArrowType::Decimal128(_, r)) => {
            let (l, r) = (*l as u8, *r as u8);
            let order = move |a, b| compare_scaled(a, l, b, r);
            ordered::<Decimal128Type>(op, left, right, |a, b| order(a, b).is_lt(), |a, b| order(a, b).is_eq())
        }
        _ => return by_kernel(op, left, right),
    };
    shape.booleans(values)
}

fn by_kernel(op: Comparison, left: &Vector, right: &Vector) -> Vector {
    let kernel = match op {
        Comparison::Eq => cmp::eq,
        Comparison::NotEq => cmp::neq,
        Comparison::Lt => cmp::lt,
        Comparison::LtEq => cmp::lt_eq,
        Comparison::Gt => cmp::gt,
        Comparison::GtEq => cmp::gt_eq,
    };
    let rows = left.array.len().max(right.array.len());
    let values = kernel(left, right).unwrap_or_else(|_| BooleanArray::new_null(rows));
    Vector { array: std::sync::Arc::new(values), scalar: left.scalar && right.scalar }
}

/// All six comparisons from `<` and `=` of a total order; the operands are never swapped, since each may have a scale of its own.
fn ordered<T: ArrowPrimitiveType>(
    op: Comparison,
    left: &Vector,
    right: &Vector,
    less: impl Fn(T::Native, T::Native) -> bool,
    equal: impl Fn(T::Native, T::Native) -> bool,
) -> BooleanBuffer {
    let (l, r): (Operand<'_, T::Native>, Operand<'_, T::Native>) = (left.operand::<T>(), right.operand::<T>());
    match op {
        Comparison::Eq => test_pairs(l, r, equal),
        Comparison::NotEq => test_pairs(l, r, |a, b| !equal(a, b)),
        Comparison::Lt => test_pairs(l, r, less),
        Comparison::LtEq => test_pairs(l, r, |a, b| less(a, b) || equal(a, b)),
        Comparison::Gt => test_pairs(l, r, |a, b| !less(a, b) && !equal(a, b)),
        Comparison::GtEq => test_pairs(l, r, |a, b| !less(a, b)),
    }
}

/// What intervals are compared by.
pub(super) fn comparable_nanos(interval: IntervalMonthDayNano) -> i128 {
    const DAY_NS: i128 = 86_400_000_000_000;
    (i128::from(interval.months) * 30 + i128::from(interval.days)) * DAY_NS + i128::from(interval.nanoseconds)
}

/// Compares a·10^−l with b·10^−r.
fn compare_scaled(a: i128, l: u8, b: i128, r: u8) -> Ordering {
    if l < r {
        a.checked_mul(power_of_ten(r - l)).map_or_else(|| a.cmp(&0), |a| a.cmp(&b))
    } else {
        b.checked_mul(power_of_ten(l - r)).map_or_else(|| 0.cmp(&b), |b| a.cmp(&b))
    }
}

/// IS DISTINCT FROM, or with `negated` IS NOT DISTINCT FROM: never NULL.
pub(super) fn distinct(left: &Vector, right: &Vector, negated: bool, rows: usize) -> Vector {
    let equal = super::logic::truth(&compare(Comparison::Eq, left, right).into_booleans(rows));
    let either_valid = &validity(left, rows) | &validity(right, rows);
    let same = &equal | &!&either_valid;
    Vector::boolean(BooleanArray::new(if negated { same } else { !&same }, None))
}

fn validity(operand: &Vector, rows: usize) -> BooleanBuffer {
    match (operand.scalar, operand.array.nulls()) {
        (true, _) if operand.array.is_null(0) => BooleanBuffer::new_unset(rows),
        (false, Some(nulls)) => nulls.inner().clone(),
        _ => BooleanBuffer::new_set(rows),
    }
}
