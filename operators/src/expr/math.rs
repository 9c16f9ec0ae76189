//! Functions of numbers. Domain errors, overflow and underflow are errors of the row, as in PostgreSQL.

use super::decimal;
use super::error::EvaluationError;
use super::node::Function;
use super::vector::{Sink, Vector, map_each};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use raympp_types::text::power_of_ten;
use raympp_types::{DataType, Value};

const DOUBLE: DataType = DataType::Double;

/// The value of a function of numbers.
pub(super) fn call(function: Function, arguments: &[Vector], result: DataType, sink: &mut Sink<'_>) -> Vector {
    let Some(operand) = arguments.first() else { return Vector::null(result) };
    if let (ArrowType::Decimal128(_, scale), Function::Round | Function::Floor | Function::Ceil | Function::Sign) =
        (operand.array.data_type(), function)
    {
        return of_decimal(function, arguments, *scale as u8, result, sink);
    }
    let second = arguments.get(1);
    match (function, second) {
        (Function::Abs, _) => absolute(operand, result, sink),
        (Function::Sign, _) => map_each::<Float64Type, Float64Type>(operand, DOUBLE, sign),
        (Function::Round, None) => map_each::<Float64Type, Float64Type>(operand, DOUBLE, f64::round),
        (Function::Round, Some(digits)) => {
            sink.pairs::<Float64Type, Int64Type, Float64Type>(operand, digits, DOUBLE, |v, digits| (round(v, digits), false), |_, _| None)
        }
        (Function::Floor, _) => map_each::<Float64Type, Float64Type>(operand, DOUBLE, f64::floor),
        (Function::Ceil, _) => map_each::<Float64Type, Float64Type>(operand, DOUBLE, f64::ceil),
        (Function::SquareRoot, _) => doubles(operand, sink, |v| match v < 0.0 {
            true => Err(EvaluationError::Domain("the square root of a negative number")),
            false => Ok(v.sqrt()),
        }),
        (Function::Ln, _) => doubles(operand, sink, |v| positive(v).map(f64::ln)),
        (Function::Log10, _) => doubles(operand, sink, |v| positive(v).map(f64::log10)),
        (Function::Log, Some(of)) => sink.try_pairs::<Float64Type, Float64Type, Float64Type>(operand, of, DOUBLE, log),
        (Function::Exp, _) => doubles(operand, sink, |v| in_range(v.exp(), v.is_finite(), v.is_finite())),
        (Function::Power, Some(exponent)) => sink.try_pairs::<Float64Type, Float64Type, Float64Type>(operand, exponent, DOUBLE, power),
        (Function::ToTimestamp, _) => sink.try_each::<Float64Type, TimestampMicrosecondType>(operand, result, to_timestamp),
        _ => Vector::null(result),
    }
}

/// −1, 0 or 1; NaN has no sign.
fn sign(value: f64) -> f64 {
    f64::from(i8::from(value > 0.0) - i8::from(value < 0.0))
}

fn doubles(operand: &Vector, sink: &mut Sink<'_>, f: impl Fn(f64) -> Result<f64, EvaluationError>) -> Vector {
    sink.try_each::<Float64Type, Float64Type>(operand, DOUBLE, f)
}

fn of_decimal(function: Function, arguments: &[Vector], scale: u8, result: DataType, sink: &mut Sink<'_>) -> Vector {
    let (operand, power) = (&arguments[0], power_of_ten(scale));
    match (function, arguments.get(1)) {
        (Function::Round, Some(digits)) => decimal::round(operand, scale, digits, result, sink),
        (Function::Round, None) => decimal::whole(operand, result, |v| decimal::drop_digits(v, scale), sink),
        (Function::Floor, _) => decimal::whole(operand, result, |v| v.div_euclid(power), sink),
        (Function::Ceil, _) => decimal::whole(operand, result, |v| -(-v).div_euclid(power), sink),
        _ => map_each::<Decimal128Type, Decimal128Type>(operand, result, i128::signum),
    }
}

fn absolute(operand: &Vector, result: DataType, sink: &mut Sink<'_>) -> Vector {
    fn integer<T: ArrowPrimitiveType>(
        operand: &Vector,
        result: DataType,
        sink: &mut Sink<'_>,
        f: fn(T::Native) -> (T::Native, bool),
    ) -> Vector {
        sink.each::<T, T>(operand, result, f, |v| f(v).1.then_some(EvaluationError::Overflow(result)))
    }
    match operand.array.data_type() {
        ArrowType::Int16 => integer::<Int16Type>(operand, result, sink, i16::overflowing_abs),
        ArrowType::Int32 => integer::<Int32Type>(operand, result, sink, i32::overflowing_abs),
        ArrowType::Int64 => integer::<Int64Type>(operand, result, sink, i64::overflowing_abs),
        ArrowType::Float32 => map_each::<Float32Type, Float32Type>(operand, result, f32::abs),
        ArrowType::Float64 => map_each::<Float64Type, Float64Type>(operand, result, f64::abs),
        _ => map_each::<Decimal128Type, Decimal128Type>(operand, result, i128::wrapping_abs),
    }
}

/// Half away from zero at `digits` after the point. A number too large to have such digits stays as it is.
fn round(value: f64, digits: i64) -> f64 {
    let digits = digits.clamp(-400, 400) as i32;
    let power = 10_f64.powi(digits.abs());
    let rounded = if digits < 0 { (value / power).round() * power } else { (value * power).round() / power };
    match rounded.is_finite() {
        true => rounded,
        false if digits < 0 && value.is_finite() => 0.0,
        false => value,
    }
}

fn positive(value: f64) -> Result<f64, EvaluationError> {
    match value {
        0.0 => Err(EvaluationError::Domain("the logarithm of zero")),
        _ if value < 0.0 => Err(EvaluationError::Domain("the logarithm of a negative number")),
        _ => Ok(value),
    }
}

/// LOG(base, of). A quotient of logarithms can miss a whole number by a bit, so the nearest one is the result if that power of the base
/// is `of`.
fn log(base: f64, of: f64) -> Result<f64, EvaluationError> {
    let (base, of) = (positive(base)?, positive(of)?);
    let quotient = match base {
        1.0 => return Err(EvaluationError::DivisionByZero),
        2.0 => of.log2(),
        10.0 => of.log10(),
        _ => of.ln() / base.ln(),
    };
    let whole = quotient.round();
    Ok(if base.powf(whole) == of { whole } else { quotient })
}

/// A result that became infinite or zero where its operands were not.
fn in_range(value: f64, may_overflow: bool, may_underflow: bool) -> Result<f64, EvaluationError> {
    match value {
        _ if value.is_infinite() && may_overflow => Err(EvaluationError::Overflow(DOUBLE)),
        0.0 if may_underflow => Err(EvaluationError::Underflow(DOUBLE)),
        _ => Ok(value),
    }
}

/// POWER: 1 to any power and anything to the power 0 are 1, NaN included.
fn power(base: f64, exponent: f64) -> Result<f64, EvaluationError> {
    if base == 0.0 && exponent < 0.0 {
        return Err(EvaluationError::Domain("zero to a negative power"));
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(EvaluationError::Domain("a negative number to a power that is not whole"));
    }
    let finite = base.is_finite() && exponent.is_finite();
    in_range(base.powf(exponent), finite, finite && base != 0.0)
}

/// Seconds since 1970 as microseconds, rounded half to even.
fn to_timestamp(seconds: f64) -> Result<i64, EvaluationError> {
    let micros = (seconds * 1e6).round_ties_even();
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros) {
        return Ok(micros as i64);
    }
    Err(EvaluationError::OutOfRange { value: Value::from(seconds).to_string(), to: DataType::TimestampTz })
}
