//! One aggregate call as SQL has it: function, arguments, DISTINCT, FILTER; checked and typed.

use super::names;
use crate::expr::{Expr, edit_distance, implicit_cast};
use raympp_types::data_type::DECIMAL_PRECISION_MAX;
use raympp_types::{DataType, Value};
use std::fmt;

/// Most values that TOP_K returns.
pub const TOP_K_MAX: u64 = 10_000;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// COUNT(*)
    CountStar,
    /// COUNT(x)
    Count,
    /// SUM(x)
    Sum,
    /// AVG(x)
    Avg,
    /// MIN(x)
    Min,
    /// MAX(x)
    Max,
    /// STDDEV_POP(x)
    StddevPop,
    /// STDDEV_SAMP(x)
    StddevSamp,
    /// VAR_POP(x)
    VarPop,
    /// VAR_SAMP(x)
    VarSamp,
    /// BOOL_AND(x)
    BoolAnd,
    /// BOOL_OR(x)
    BoolOr,
    /// FIRST_VALUE(x): x of the lowest (event time, split, offset)
    FirstValue,
    /// LAST_VALUE(x): x of the highest (event time, split, offset)
    LastValue,
    /// ARG_MIN(x, by)
    ArgMin,
    /// ARG_MAX(x, by)
    ArgMax,
    /// COUNT(DISTINCT x)
    CountDistinct,
    /// SUM(DISTINCT x)
    SumDistinct,
    /// AVG(DISTINCT x)
    AvgDistinct,
    /// APPROX_COUNT_DISTINCT(x)
    ApproxCountDistinct,
    /// APPROX_PERCENTILE(x, q)
    ApproxPercentile,
    /// APPROX_MEDIAN(x)
    ApproxMedian,
    /// TOP_K(x, k)
    TopK,
}

/// The constant argument of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parameter {
    /// It has none.
    None,
    /// Bits of the quantile, a double from 0 to 1.
    Quantile(u64),
    /// How many values.
    Limit(u64),
}

/// One aggregate call. Equal calls are equal values, so a metric keeps each once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    /// What is computed.
    pub function: AggregateFunction,
    /// Over the stream's columns; without the parameter.
    pub args: Vec<Expr>,
    /// FILTER, BOOLEAN.
    pub filter: Option<Expr>,
    /// q of APPROX_PERCENTILE, k of TOP_K.
    pub parameter: Parameter,
    data_type: DataType,
}

/// What is wrong with an aggregate call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateErrorKind {
    /// No aggregate of that name.
    UnknownName,
    /// Too few or too many arguments.
    ArgumentCount,
    /// An argument or the filter has a type that the aggregate does not take.
    TypeMismatch,
    /// q or k is no literal or out of range.
    InvalidParameter,
    /// DISTINCT where it has no meaning here.
    DistinctUnsupported,
}

/// Why an aggregate call has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AggregateError {
    /// Which sort of mistake.
    pub kind: AggregateErrorKind,
    /// What was found and what was expected.
    pub message: String,
}

impl AggregateError {
    fn new(kind: AggregateErrorKind, message: String) -> AggregateError {
        AggregateError { kind, message }
    }

    fn mismatch(message: String) -> AggregateError {
        AggregateError::new(AggregateErrorKind::TypeMismatch, message)
    }
}

impl Aggregate {
    /// Checks and types a call of the aggregate of this lower-case name. COUNT without arguments is COUNT(*).
    pub fn new(name: &str, distinct: bool, mut args: Vec<Expr>, filter: Option<Expr>) -> Result<Aggregate, AggregateError> {
        let entry = names::find(name).ok_or_else(|| unknown(name))?;
        if !(entry.least..=entry.most).contains(&args.len()) {
            return Err(wrong_count(name, entry, args.len()));
        }
        let function = variant(entry.function, name, distinct, args.len())?;
        let parameter = take_parameter(function, &mut args)?;
        for argument in &mut args {
            check_argument(function, name, argument)?;
        }
        let filter = checked_filter(filter)?;
        let data_type = result_type(function, args.first().map_or(DataType::Null, Expr::data_type));
        Ok(Aggregate { function, args, filter, parameter, data_type })
    }

    /// True for the lower-case name of an aggregate.
    pub fn is_aggregate_name(name: &str) -> bool {
        names::find(name).is_some()
    }

    /// Type of the result.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }
}

fn unknown(name: &str) -> AggregateError {
    let nearest = names::aggregate_names().map(|known| (edit_distance(name, known), known)).min();
    let nearest = nearest.filter(|&(distance, _)| distance <= 2 + name.len() / 4);
    let hint = nearest.map_or(String::new(), |(_, known)| format!("; did you mean {known}?"));
    AggregateError::new(AggregateErrorKind::UnknownName, format!("there is no aggregate {name}{hint}"))
}

fn wrong_count(name: &str, entry: &names::Entry, found: usize) -> AggregateError {
    let expected = match (entry.least, entry.most) {
        (1, 1) => "1 argument".to_string(),
        (least, most) if least == most => format!("{least} arguments"),
        _ => "* or 1 argument".to_string(),
    };
    AggregateError::new(AggregateErrorKind::ArgumentCount, format!("{name} takes {expected}, found {found}"))
}

/// The function that name, DISTINCT and number of arguments ask for together.
fn variant(function: AggregateFunction, name: &str, distinct: bool, args: usize) -> Result<AggregateFunction, AggregateError> {
    use AggregateFunction::{
        ApproxCountDistinct, Avg, AvgDistinct, BoolAnd, BoolOr, Count, CountDistinct, CountStar, Max, Min, Sum, SumDistinct,
    };
    let unsupported = |message: String| AggregateError::new(AggregateErrorKind::DistinctUnsupported, message);
    match (function, distinct) {
        (Count, true) if args == 0 => Err(unsupported("DISTINCT needs an argument: count(DISTINCT x)".to_string())),
        (Count, false) if args == 0 => Ok(CountStar),
        (Count, true) => Ok(CountDistinct),
        (Sum, true) => Ok(SumDistinct),
        (Avg, true) => Ok(AvgDistinct),
        // A value more or less of the same changes nothing in these.
        (Min | Max | BoolAnd | BoolOr | ApproxCountDistinct, true) | (_, false) => Ok(function),
        (_, true) => Err(unsupported(format!("{name} does not take DISTINCT"))),
    }
}

fn take_parameter(function: AggregateFunction, args: &mut Vec<Expr>) -> Result<Parameter, AggregateError> {
    let invalid = |message: &str| AggregateError::new(AggregateErrorKind::InvalidParameter, message.to_string());
    match function {
        AggregateFunction::ApproxMedian => Ok(Parameter::Quantile(0.5f64.to_bits())),
        AggregateFunction::ApproxPercentile => {
            let quantile = args.pop().as_ref().and_then(Expr::as_literal).and_then(quantile);
            let quantile = quantile.ok_or_else(|| invalid("the second argument of approx_percentile must be a number from 0 to 1"))?;
            Ok(Parameter::Quantile(quantile.to_bits()))
        }
        AggregateFunction::TopK => {
            let limit = args.pop().as_ref().and_then(Expr::as_literal).and_then(limit);
            let limit = limit.ok_or_else(|| invalid("the second argument of top_k must be an integer from 1 to 10000"))?;
            Ok(Parameter::Limit(limit))
        }
        _ => Ok(Parameter::None),
    }
}

fn quantile(value: &Value) -> Option<f64> {
    let quantile = match *value {
        Value::SmallInt(value) => f64::from(value),
        Value::Integer(value) => f64::from(value),
        Value::BigInt(value) => value as f64,
        Value::Real(value) => f64::from(value),
        Value::Double(value) => value,
        Value::Decimal { unscaled, scale, .. } => super::rounding::decimal_to_f64(unscaled, scale),
        _ => return None,
    };
    // Adding zero turns −0.0 into 0.0, so that equal calls are equal.
    (0.0..=1.0).contains(&quantile).then_some(quantile + 0.0)
}

fn limit(value: &Value) -> Option<u64> {
    let limit = match *value {
        Value::SmallInt(value) => i64::from(value),
        Value::Integer(value) => i64::from(value),
        Value::BigInt(value) => value,
        _ => return None,
    };
    u64::try_from(limit).ok().filter(|limit| (1..=TOP_K_MAX).contains(limit))
}

fn check_argument(function: AggregateFunction, name: &str, argument: &mut Expr) -> Result<(), AggregateError> {
    use AggregateFunction as F;
    let found = argument.data_type();
    match function {
        F::BoolAnd | F::BoolOr => {
            *argument = implicit_cast(argument.clone(), DataType::Boolean)
                .map_err(|_| AggregateError::mismatch(format!("{name} takes BOOLEAN, found {found}")))?;
            Ok(())
        }
        F::Count | F::CountDistinct | F::CountStar => Ok(()),
        F::Min | F::Max | F::FirstValue | F::LastValue | F::ArgMin | F::ArgMax | F::ApproxCountDistinct | F::TopK => {
            if found != DataType::Null {
                return Ok(());
            }
            Err(AggregateError::mismatch(format!("{name} of a bare NULL has no type; write NULL::BIGINT, or the type that is meant")))
        }
        _ if found.is_numeric() => Ok(()),
        _ => Err(AggregateError::mismatch(format!("{name} takes a number, found {found}"))),
    }
}

/// FILTER (WHERE true) is no filter.
fn checked_filter(filter: Option<Expr>) -> Result<Option<Expr>, AggregateError> {
    let Some(filter) = filter else { return Ok(None) };
    let found = filter.data_type();
    let filter = implicit_cast(filter, DataType::Boolean)
        .map_err(|_| AggregateError::mismatch(format!("FILTER takes a BOOLEAN condition, found {found}")))?;
    Ok((filter.as_literal() != Some(&Value::Boolean(true))).then_some(filter))
}

fn result_type(function: AggregateFunction, argument: DataType) -> DataType {
    use AggregateFunction as F;
    match function {
        F::CountStar | F::Count | F::CountDistinct | F::ApproxCountDistinct => DataType::BigInt,
        F::Sum | F::SumDistinct => match argument {
            DataType::Decimal { scale, .. } => DataType::Decimal { precision: DECIMAL_PRECISION_MAX, scale },
            DataType::Real | DataType::Double => DataType::Double,
            _ => DataType::Decimal { precision: DECIMAL_PRECISION_MAX, scale: 0 },
        },
        F::Avg | F::AvgDistinct | F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp | F::ApproxPercentile | F::ApproxMedian => {
            DataType::Double
        }
        F::BoolAnd | F::BoolOr => DataType::Boolean,
        F::Min | F::Max | F::FirstValue | F::LastValue | F::ArgMin | F::ArgMax => argument,
        F::TopK => DataType::Varchar,
    }
}

impl AggregateFunction {
    /// Name in SQL.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CountStar | Self::Count | Self::CountDistinct => "COUNT",
            Self::Sum | Self::SumDistinct => "SUM",
            Self::Avg | Self::AvgDistinct => "AVG",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::StddevPop => "STDDEV_POP",
            Self::StddevSamp => "STDDEV_SAMP",
            Self::VarPop => "VAR_POP",
            Self::VarSamp => "VAR_SAMP",
            Self::BoolAnd => "BOOL_AND",
            Self::BoolOr => "BOOL_OR",
            Self::FirstValue => "FIRST_VALUE",
            Self::LastValue => "LAST_VALUE",
            Self::ArgMin => "ARG_MIN",
            Self::ArgMax => "ARG_MAX",
            Self::ApproxCountDistinct => "APPROX_COUNT_DISTINCT",
            Self::ApproxPercentile => "APPROX_PERCENTILE",
            Self::ApproxMedian => "APPROX_MEDIAN",
            Self::TopK => "TOP_K",
        }
    }

    /// True for the forms with DISTINCT.
    pub fn is_distinct(&self) -> bool {
        matches!(self, Self::CountDistinct | Self::SumDistinct | Self::AvgDistinct)
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}", self.function.name(), if self.function.is_distinct() { "DISTINCT " } else { "" })?;
        if self.function == AggregateFunction::CountStar {
            f.write_str("*")?;
        }
        for (i, argument) in self.args.iter().enumerate() {
            write!(f, "{}{argument}", if i == 0 { "" } else { ", " })?;
        }
        match self.parameter {
            Parameter::Quantile(bits) if self.function == AggregateFunction::ApproxPercentile => write!(f, ", {}", f64::from_bits(bits))?,
            Parameter::Limit(limit) => write!(f, ", {limit}")?,
            _ => {}
        }
        f.write_str(")")?;
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " FILTER (WHERE {filter})"))
    }
}
