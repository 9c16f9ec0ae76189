//! CAST between types: which there are, which can fail, and the numeric and temporal ones; text is in [`super::cast_text`].
//!
//! PostgreSQL's rules: floats become integers by rounding half to even, DECIMALs by rounding half away from zero; what does not fit is
//! an error; a float becomes a DECIMAL by its 15 (REAL: 6) leading digits; times are converted in UTC.

use super::arrow_types::arrow_type;
use super::coerce::integer_digits;
use super::error::{Errors, EvaluationError};
use super::vector::{Sink, Vector, map_each};
use super::{cast_text, decimal};
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::nullif;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use raympp_types::interval::DAY_US;
use raympp_types::{DataType, text};

/// Whether there is a cast.
pub(super) fn possible(from: DataType, to: DataType) -> bool {
    use DataType::*;
    match (from, to) {
        (_, Null) => false,
        (Null, _) | (Varchar, _) | (_, Varchar) => true,
        // PostgreSQL has it for INTEGER alone.
        (Boolean, to) => matches!(to, Boolean | Integer),
        (from, Boolean) => from == Integer,
        (Date | Timestamp | TimestampTz, Date | Timestamp | TimestampTz) => true,
        (from, to) => from == to || from.is_numeric() && to.is_numeric(),
    }
}

/// Whether a cast that there is can fail for some value.
pub(super) fn can_fail(from: DataType, to: DataType) -> bool {
    use DataType::*;
    match (from, to) {
        (from, to) if from == to => false,
        (Null, _) | (_, Varchar) | (Boolean, _) | (_, Boolean) if from != Varchar => false,
        (Varchar, _) => true,
        (Date, _) => true,
        (Timestamp | TimestampTz, _) => false,
        (Double, _) => true,
        (_, Double) => false,
        (Real, _) => true,
        (_, Real) => false,
        (Decimal { precision, scale }, Decimal { precision: to_precision, scale: to_scale }) => {
            precision - scale + u8::from(to_scale < scale) > to_precision - to_scale
        }
        (Decimal { precision, scale }, to) => integer_digits(to).is_none_or(|digits| precision - scale >= digits),
        (from, Decimal { precision, scale }) => integer_digits(from).is_none_or(|digits| digits > precision - scale),
        (from, to) => from > to,
    }
}

/// CAST, or TRY_CAST, for which a row that fails is NULL.
pub(super) fn evaluate(operand: &Vector, to: DataType, try_cast: bool, sink: &mut Sink<'_>) -> Vector {
    if !try_cast {
        return convert(operand, to, sink);
    }
    let mut errors = Errors::new(operand.array.len());
    let cast = convert(operand, to, &mut Sink { active: None, errors: &mut errors });
    match errors.finish() {
        Some(errors) => {
            let array = nullif(cast.array.as_ref(), &BooleanArray::new(errors.failed, None)).unwrap_or_else(|_| Vector::null(to).array);
            Vector { array, scalar: cast.scalar }
        }
        None => cast,
    }
}

fn convert(operand: &Vector, to: DataType, sink: &mut Sink<'_>) -> Vector {
    if *operand.array.data_type() == arrow_type(to) {
        return operand.clone();
    }
    match (operand.array.data_type(), to) {
        (_, DataType::Varchar) => cast_text::to_text(operand),
        (ArrowType::Utf8, _) => cast_text::from_text(operand, to, sink),
        (ArrowType::Boolean, _) | (_, DataType::Boolean) => boolean(operand, to),
        (ArrowType::Int16, _) => from_integer::<Int16Type>(operand, to, sink),
        (ArrowType::Int32, _) => from_integer::<Int32Type>(operand, to, sink),
        (ArrowType::Int64, _) => from_integer::<Int64Type>(operand, to, sink),
        (ArrowType::Float32, DataType::Double) => map_each::<Float32Type, Float64Type>(operand, to, f64::from),
        (ArrowType::Float32, DataType::Decimal { precision, scale }) => {
            from_float::<Float32Type, Decimal128Type>(operand, to, |v| text::decimal_from_real(v, precision, scale), sink)
        }
        (ArrowType::Float64, DataType::Decimal { precision, scale }) => {
            from_float::<Float64Type, Decimal128Type>(operand, to, |v| text::decimal_from_double(v, precision, scale), sink)
        }
        (ArrowType::Float64, DataType::Real) => narrow_float(operand, sink),
        (ArrowType::Float32, _) => {
            let wide = map_each::<Float32Type, Float64Type>(operand, DataType::Double, f64::from);
            float_to_integer(&wide, to, sink)
        }
        (ArrowType::Float64, _) => float_to_integer(operand, to, sink),
        (ArrowType::Decimal128(precision, scale), _) => from_decimal(operand, *precision, *scale as u8, to, sink),
        _ => temporal(operand, to, sink),
    }
}

fn boolean(operand: &Vector, to: DataType) -> Vector {
    let cast = arrow::compute::cast(operand.array.as_ref(), &arrow_type(to));
    Vector { array: cast.unwrap_or_else(|_| Vector::null(to).array), scalar: operand.scalar }
}

fn overflow<T>(value: Option<T>, to: DataType) -> Result<T, EvaluationError> {
    value.ok_or(EvaluationError::Overflow(to))
}

fn from_integer<T: ArrowPrimitiveType>(operand: &Vector, to: DataType, sink: &mut Sink<'_>) -> Vector
where
    T::Native: Into<i64>,
{
    let wide = |v: T::Native| -> i64 { v.into() };
    match to {
        DataType::SmallInt => sink.try_each::<T, Int16Type>(operand, to, |v| overflow(i16::try_from(wide(v)).ok(), to)),
        DataType::Integer => sink.try_each::<T, Int32Type>(operand, to, |v| overflow(i32::try_from(wide(v)).ok(), to)),
        DataType::BigInt => map_each::<T, Int64Type>(operand, to, wide),
        DataType::Real => map_each::<T, Float32Type>(operand, to, |v| wide(v) as f32),
        DataType::Double => map_each::<T, Float64Type>(operand, to, |v| wide(v) as f64),
        DataType::Decimal { precision, scale } => {
            let (factor, limit) = (text::power_of_ten(scale), text::power_of_ten(precision));
            sink.try_each::<T, Decimal128Type>(operand, to, |v| {
                overflow(i128::from(wide(v)).checked_mul(factor).filter(|v| (-limit + 1..limit).contains(v)), to)
            })
        }
        _ => Vector::null(to),
    }
}

fn out_of_range(value: impl Into<raympp_types::Value>, to: DataType) -> EvaluationError {
    EvaluationError::OutOfRange { value: value.into().to_string(), to }
}

fn from_float<T: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    operand: &Vector,
    to: DataType,
    f: impl Fn(T::Native) -> Option<O::Native>,
    sink: &mut Sink<'_>,
) -> Vector
where
    O::Native: Default,
    T::Native: Into<raympp_types::Value>,
{
    sink.try_each::<T, O>(operand, to, |v| f(v).ok_or_else(|| out_of_range(v, to)))
}

/// Rounds half to even. The bounds are exact doubles, the upper one outside of the type.
fn float_to_integer(operand: &Vector, to: DataType, sink: &mut Sink<'_>) -> Vector {
    let within = |value: f64, bound: f64| Some(value.round_ties_even()).filter(|v| *v >= -bound && *v < bound);
    match to {
        DataType::SmallInt => from_float::<Float64Type, Int16Type>(operand, to, |v| within(v, 32_768.0).map(|v| v as i16), sink),
        DataType::Integer => from_float::<Float64Type, Int32Type>(operand, to, |v| within(v, 2_147_483_648.0).map(|v| v as i32), sink),
        DataType::BigInt => {
            from_float::<Float64Type, Int64Type>(operand, to, |v| within(v, 9_223_372_036_854_775_808.0).map(|v| v as i64), sink)
        }
        _ => Vector::null(to),
    }
}

fn narrow_float(operand: &Vector, sink: &mut Sink<'_>) -> Vector {
    let to = DataType::Real;
    sink.try_each::<Float64Type, Float32Type>(operand, to, |v| match v as f32 {
        narrow if narrow.is_infinite() && v.is_finite() => Err(EvaluationError::Overflow(to)),
        0.0 if v != 0.0 => Err(EvaluationError::Underflow(to)),
        narrow => Ok(narrow),
    })
}

fn from_decimal(operand: &Vector, precision: u8, scale: u8, to: DataType, sink: &mut Sink<'_>) -> Vector {
    let whole = |v: i128| decimal::drop_digits(v, scale);
    match to {
        DataType::SmallInt => sink.try_each::<Decimal128Type, Int16Type>(operand, to, |v| overflow(i16::try_from(whole(v)).ok(), to)),
        DataType::Integer => sink.try_each::<Decimal128Type, Int32Type>(operand, to, |v| overflow(i32::try_from(whole(v)).ok(), to)),
        DataType::BigInt => sink.try_each::<Decimal128Type, Int64Type>(operand, to, |v| overflow(i64::try_from(whole(v)).ok(), to)),
        DataType::Real => map_each::<Decimal128Type, Float32Type>(operand, to, |v| text::decimal_to_double(v, scale) as f32),
        DataType::Double => map_each::<Decimal128Type, Float64Type>(operand, to, |v| text::decimal_to_double(v, scale)),
        _ if can_fail(DataType::Decimal { precision, scale }, to) => decimal::convert(operand, scale, to, sink),
        _ => decimal::widen(operand, scale, to),
    }
}

fn temporal(operand: &Vector, to: DataType, sink: &mut Sink<'_>) -> Vector {
    match (operand.array.data_type(), to) {
        (ArrowType::Date32, DataType::Timestamp | DataType::TimestampTz) => {
            sink.try_each::<Date32Type, TimestampMicrosecondType>(operand, to, |days| overflow(i64::from(days).checked_mul(DAY_US), to))
        }
        // 2^63 microseconds are fewer than 2^31 days.
        (ArrowType::Timestamp(_, _), DataType::Date) => {
            map_each::<TimestampMicrosecondType, Date32Type>(operand, to, |micros| micros.div_euclid(DAY_US) as i32)
        }
        (ArrowType::Timestamp(_, _), DataType::Timestamp | DataType::TimestampTz) => {
            let zone = (to == DataType::TimestampTz).then_some("UTC");
            let array = operand.array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(zone);
            Vector { array: std::sync::Arc::new(array), scalar: operand.scalar }
        }
        _ => Vector::null(to),
    }
}
