//! `+ - * / %` and unary minus over numbers; times are in [`super::interval`], DECIMAL in [`super::decimal`].
//!
//! Integers are checked: the loop computes wrapped results and notices that some row overflowed; only then rows are looked at one by
//! one. Floats follow PostgreSQL: a finite pair with an infinite result overflows, a product or quotient that becomes zero underflows,
//! and dividing by zero is an error.

use super::error::EvaluationError;
use super::node::Arithmetic;
use super::vector::{Sink, Vector, map_each};
use super::{decimal, interval};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use raympp_types::DataType;

/// Whether an operation can fail for some operands of these types.
pub(super) fn can_fail(op: Arithmetic, left: DataType, _right: DataType, result: DataType) -> bool {
    match (left, result) {
        (DataType::Decimal { .. }, DataType::Decimal { precision, .. }) => op == Arithmetic::Modulo || precision >= 38,
        _ => true,
    }
}

/// `left op right`
pub(super) fn evaluate(op: Arithmetic, left: &Vector, right: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector {
    match (left.array.data_type(), right.array.data_type()) {
        (ArrowType::Int16, ArrowType::Int16) => integers::<Int16Type>(op, left, right, result, sink),
        (ArrowType::Int32, ArrowType::Int32) => integers::<Int32Type>(op, left, right, result, sink),
        (ArrowType::Int64, ArrowType::Int64) => integers::<Int64Type>(op, left, right, result, sink),
        (ArrowType::Float32, ArrowType::Float32) => floats::<Float32Type>(op, left, right, result, sink),
        (ArrowType::Float64, ArrowType::Float64) => floats::<Float64Type>(op, left, right, result, sink),
        (ArrowType::Decimal128(_, l), ArrowType::Decimal128(_, r)) => {
            decimal::arithmetic(op, (left, *l as u8), (right, *r as u8), result, sink)
        }
        _ => interval::arithmetic(op, left, right, result, sink),
    }
}

/// What integer loops need of a type.
trait Integer: Copy + Default + PartialEq {
    const MINUS_ONE: Self;
    fn overflowing(self, op: Arithmetic, other: Self) -> (Self, bool);
    fn is_min(self) -> bool;
}

macro_rules! integer {
    ($($type:ty),*) => {
        $(impl Integer for $type {
            const MINUS_ONE: Self = -1;

            #[inline(always)]
            fn overflowing(self, op: Arithmetic, other: Self) -> (Self, bool) {
                match op {
                    Arithmetic::Add => self.overflowing_add(other),
                    Arithmetic::Subtract => self.overflowing_sub(other),
                    Arithmetic::Multiply => self.overflowing_mul(other),
                    Arithmetic::Divide => (self.checked_div(other).unwrap_or(0), other == 0 || (self == <$type>::MIN && other == -1)),
                    // The remainder by -1 is 0, also where the quotient does not fit.
                    Arithmetic::Modulo => (if other == 0 { 0 } else { self.wrapping_rem(other) }, other == 0),
                }
            }

            fn is_min(self) -> bool {
                self == <$type>::MIN
            }
        })*
    };
}
integer!(i16, i32, i64);

fn integers<T: ArrowPrimitiveType>(op: Arithmetic, left: &Vector, right: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector
where
    T::Native: Integer,
{
    let reason = |a: T::Native, b: T::Native| match op {
        Arithmetic::Divide | Arithmetic::Modulo if b == T::Native::default() => Some(EvaluationError::DivisionByZero),
        _ => a.overflowing(op, b).1.then_some(EvaluationError::Overflow(result)),
    };
    // One loop for each operator, so that none asks which it is.
    match op {
        Arithmetic::Add => sink.pairs::<T, T, T>(left, right, result, |a, b| a.overflowing(Arithmetic::Add, b), reason),
        Arithmetic::Subtract => sink.pairs::<T, T, T>(left, right, result, |a, b| a.overflowing(Arithmetic::Subtract, b), reason),
        Arithmetic::Multiply => sink.pairs::<T, T, T>(left, right, result, |a, b| a.overflowing(Arithmetic::Multiply, b), reason),
        Arithmetic::Divide => sink.pairs::<T, T, T>(left, right, result, |a, b| a.overflowing(Arithmetic::Divide, b), reason),
        Arithmetic::Modulo => sink.pairs::<T, T, T>(left, right, result, |a, b| a.overflowing(Arithmetic::Modulo, b), reason),
    }
}

/// What float loops need of a type.
trait Float:
    Copy + PartialEq + std::ops::Add<Output = Self> + std::ops::Sub<Output = Self> + std::ops::Mul<Output = Self> + std::ops::Div<Output = Self>
{
    const ZERO: Self;
    fn finite(self) -> bool;
    fn infinite(self) -> bool;
    fn nan(self) -> bool;
}

macro_rules! float {
    ($($type:ty),*) => {
        $(impl Float for $type {
            const ZERO: Self = 0.0;

            fn finite(self) -> bool {
                self.is_finite()
            }

            fn infinite(self) -> bool {
                self.is_infinite()
            }

            fn nan(self) -> bool {
                self.is_nan()
            }
        })*
    };
}
float!(f32, f64);

fn floats<T: ArrowPrimitiveType>(op: Arithmetic, left: &Vector, right: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector
where
    T::Native: Float,
{
    let zero = T::Native::ZERO;
    let overflow = |a: T::Native, b: T::Native, value: T::Native| {
        (value.infinite() && a.finite() && b.finite()).then_some(EvaluationError::Overflow(result))
    };
    match op {
        Arithmetic::Add => sink.pairs::<T, T, T>(left, right, result, |a, b| (a + b, !(a + b).finite()), |a, b| overflow(a, b, a + b)),
        Arithmetic::Subtract => sink.pairs::<T, T, T>(left, right, result, |a, b| (a - b, !(a - b).finite()), |a, b| overflow(a, b, a - b)),
        Arithmetic::Multiply => sink.pairs::<T, T, T>(
            left,
            right,
            result,
            |a, b| (a * b, !(a * b).finite() || a * b == zero),
            |a, b| match a * b == zero && a != zero && b != zero {
                true => Some(EvaluationError::Underflow(result)),
                false => overflow(a, b, a * b),
            },
        ),
        // `%` is not defined between floats.
        Arithmetic::Divide | Arithmetic::Modulo => sink.pairs::<T, T, T>(
            left,
            right,
            result,
            |a, b| (a / b, !(a / b).finite() || (a / b == zero && a != zero) || b == zero),
            |a, b| match (b == zero && !a.nan(), a / b == zero && a != zero && !b.infinite()) {
                (true, _) => Some(EvaluationError::DivisionByZero),
                (_, true) => Some(EvaluationError::Underflow(result)),
                _ => overflow(a, b, a / b),
            },
        ),
    }
}

/// `-operand`
pub(super) fn negate(operand: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector {
    fn integer<T: ArrowPrimitiveType>(operand: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector
    where
        T::Native: Integer,
    {
        let overflow = |a: T::Native| a.is_min().then_some(EvaluationError::Overflow(result));
        sink.each::<T, T>(operand, result, |a| (a.overflowing(Arithmetic::Multiply, T::Native::MINUS_ONE).0, a.is_min()), overflow)
    }
    match operand.array.data_type() {
        ArrowType::Int16 => integer::<Int16Type>(operand, result, sink),
        ArrowType::Int32 => integer::<Int32Type>(operand, result, sink),
        ArrowType::Int64 => integer::<Int64Type>(operand, result, sink),
        ArrowType::Float32 => map_each::<Float32Type, Float32Type>(operand, result, |a| -a),
        ArrowType::Float64 => map_each::<Float64Type, Float64Type>(operand, result, |a| -a),
        ArrowType::Decimal128(_, _) => map_each::<Decimal128Type, Decimal128Type>(operand, result, i128::wrapping_neg),
        _ => interval::negate(operand, sink),
    }
}
