//! Functions by name: how many arguments of which types each takes, and what it gives.

use super::Expr;
use super::build::{self, arithmetic};
use super::coerce::{argument, as_decimal, coerce, settle};
use super::error::{TypeError, TypeErrorKind};
use super::node::{Arithmetic, Function, Node};
use super::temporal::TimeField;
use raympp_types::{DataType, Value};

type Built = Result<Expr, TypeError>;
type Builder = fn(Function, &str, Vec<Expr>) -> Built;

/// A function: its name, the least and the most arguments, what it computes, how it is typed.
struct Entry(&'static str, usize, usize, Function, Builder);

const MANY: usize = usize::MAX;

/// Every function, by name. Names that build a node of their own carry a function that is not used.
static FUNCTIONS: &[Entry] = &[
    Entry("abs", 1, 1, Function::Abs, same_number),
    Entry("btrim", 1, 2, Function::TrimBoth, text),
    Entry("ceil", 1, 1, Function::Ceil, whole_number),
    Entry("ceiling", 1, 1, Function::Ceil, whole_number),
    Entry("char_length", 1, 1, Function::Length, text_length),
    Entry("character_length", 1, 1, Function::Length, text_length),
    Entry("coalesce", 1, MANY, Function::Concat, |_, _, arguments| build::coalesce(arguments)),
    Entry("concat", 1, MANY, Function::Concat, concat),
    Entry("date_part", 2, 2, Function::Extract(TimeField::Second), extract),
    Entry("date_trunc", 2, 2, Function::DateTrunc(TimeField::Second), date_trunc),
    Entry("exp", 1, 1, Function::Exp, double),
    Entry("extract", 2, 2, Function::Extract(TimeField::Second), extract),
    Entry("floor", 1, 1, Function::Floor, whole_number),
    Entry("greatest", 1, MANY, Function::Concat, |_, _, arguments| build::greatest(arguments)),
    Entry("hash", 1, MANY, Function::Hash, hash),
    Entry("least", 1, MANY, Function::Concat, |_, _, arguments| build::least(arguments)),
    Entry("left", 2, 2, Function::Left, text_and_count),
    Entry("length", 1, 1, Function::Length, text_length),
    Entry("ln", 1, 1, Function::Ln, double),
    Entry("log", 1, 2, Function::Log10, log),
    Entry("log10", 1, 1, Function::Log10, double),
    Entry("lower", 1, 1, Function::Lower, text),
    Entry("ltrim", 1, 2, Function::TrimStart, text),
    Entry("md5", 1, 1, Function::Md5, md5),
    Entry("mod", 2, 2, Function::Abs, modulo),
    Entry("nullif", 2, 2, Function::Abs, nullif),
    Entry("pow", 2, 2, Function::Power, double),
    Entry("power", 2, 2, Function::Power, double),
    Entry("replace", 3, 3, Function::Replace, text),
    Entry("right", 2, 2, Function::Right, text_and_count),
    Entry("round", 1, 2, Function::Round, round),
    Entry("rtrim", 1, 2, Function::TrimEnd, text),
    Entry("sign", 1, 1, Function::Sign, sign),
    Entry("split_part", 3, 3, Function::SplitPart, split_part),
    Entry("sqrt", 1, 1, Function::SquareRoot, double),
    Entry("starts_with", 2, 2, Function::StartsWith, starts_with),
    Entry("substr", 2, 3, Function::Substring, text_and_count),
    Entry("substring", 2, 3, Function::Substring, text_and_count),
    Entry("to_timestamp", 1, 1, Function::ToTimestamp, to_timestamp),
    Entry("trim", 1, 2, Function::TrimBoth, text),
    Entry("upper", 1, 1, Function::Upper, text),
];

/// A call of the function of this lower-case name.
pub fn call(name: &str, args: Vec<Expr>) -> Built {
    let Some(Entry(_, least, most, function, builder)) = FUNCTIONS.iter().find(|entry| entry.0 == name) else {
        return Err(unknown(name));
    };
    if args.len() < *least || args.len() > *most {
        let expected = match (*least, *most) {
            (least, most) if least == most => format!("{least}"),
            (least, MANY) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        let message = format!("{name} takes {expected} argument{}, found {}", if expected == "1" { "" } else { "s" }, args.len());
        return Err(TypeError::new(TypeErrorKind::ArgumentCount, message));
    }
    builder(*function, name, args)
}

/// All names [`call()`] knows.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|entry| entry.0)
}

fn unknown(name: &str) -> TypeError {
    let nearest =
        function_names().map(|known| (edit_distance(name, known), known)).min().filter(|&(distance, _)| distance <= 2 + name.len() / 4);
    let hint = nearest.map_or(String::new(), |(_, known)| format!("; did you mean {known}?"));
    TypeError::new(TypeErrorKind::UnknownFunction, format!("there is no function {name}{hint}"))
}

/// Levenshtein distance: insertions, deletions and replacements that turn `a` into `b`.
pub(crate) fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn node(function: Function, data_type: DataType, arguments: Vec<Expr>) -> Built {
    Ok(Expr::new(data_type, Node::Call { function, arguments }))
}

fn convert(arguments: Vec<Expr>, data_type: DataType, name: &str) -> Result<Vec<Expr>, TypeError> {
    arguments.into_iter().map(|expr| argument(expr, data_type, name)).collect()
}

/// VARCHAR, … → VARCHAR
fn text(function: Function, name: &str, arguments: Vec<Expr>) -> Built {
    node(function, DataType::Varchar, convert(arguments, DataType::Varchar, name)?)
}

/// VARCHAR, integer, … → VARCHAR
fn text_and_count(function: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let counts = arguments.split_off(1);
    let mut arguments = convert(arguments, DataType::Varchar, name)?;
    arguments.extend(convert(counts, DataType::BigInt, name)?);
    node(function, DataType::Varchar, arguments)
}

fn split_part(function: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let field = arguments.split_off(2);
    let mut arguments = convert(arguments, DataType::Varchar, name)?;
    arguments.extend(convert(field, DataType::BigInt, name)?);
    node(function, DataType::Varchar, arguments)
}

fn text_or_bytes(arguments: Vec<Expr>, name: &str) -> Result<Vec<Expr>, TypeError> {
    let bytea = arguments.iter().any(|expr| expr.data_type() == DataType::Bytea);
    convert(arguments, if bytea { DataType::Bytea } else { DataType::Varchar }, name)
}

fn text_length(function: Function, name: &str, arguments: Vec<Expr>) -> Built {
    node(function, DataType::Integer, text_or_bytes(arguments, name)?)
}

fn md5(function: Function, name: &str, arguments: Vec<Expr>) -> Built {
    node(function, DataType::Varchar, text_or_bytes(arguments, name)?)
}

fn starts_with(function: Function, name: &str, arguments: Vec<Expr>) -> Built {
    node(function, DataType::Boolean, convert(arguments, DataType::Varchar, name)?)
}

/// Anything → VARCHAR, each as `concat` of PostgreSQL writes it: BOOLEAN as t and f.
fn concat(function: Function, _: &str, arguments: Vec<Expr>) -> Built {
    let arguments = arguments.into_iter().map(|expr| match expr.data_type() {
        DataType::Boolean => {
            let [t, f] = ["t", "f"].map(|letter| Expr::typed_literal(DataType::Varchar, Value::from(letter)));
            let is_false = build::not(expr.clone())?;
            build::case(None, vec![(expr, t), (is_false, f)], None)
        }
        _ => coerce(expr, DataType::Varchar),
    });
    node(function, DataType::Varchar, arguments.collect::<Result<_, _>>()?)
}

fn hash(function: Function, _: &str, arguments: Vec<Expr>) -> Built {
    node(function, DataType::BigInt, arguments.into_iter().map(settle).collect())
}

fn number(expr: Expr, name: &str) -> Built {
    if expr.is_untyped() {
        return coerce(expr, DataType::Double);
    }
    if expr.data_type().is_numeric() {
        return Ok(expr);
    }
    Err(TypeError::mismatch(format!("{name} takes a number, found {}", expr.data_type())))
}

/// A number → DOUBLE PRECISION
fn double(function: Function, name: &str, arguments: Vec<Expr>) -> Built {
    let arguments = arguments.into_iter().map(|expr| coerce(number(expr, name)?, DataType::Double));
    node(function, DataType::Double, arguments.collect::<Result<_, _>>()?)
}

fn log(function: Function, name: &str, arguments: Vec<Expr>) -> Built {
    let function = if arguments.len() == 2 { Function::Log } else { function };
    double(function, name, arguments)
}

/// ABS: a number → its own type
fn same_number(function: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let operand = number(arguments.remove(0), name)?;
    node(function, operand.data_type(), vec![operand])
}

/// SIGN: DECIMAL → DECIMAL(1,0), else DOUBLE PRECISION
fn sign(function: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let operand = number(arguments.remove(0), name)?;
    match operand.data_type() {
        DataType::Decimal { .. } => node(function, DataType::Decimal { precision: 1, scale: 0 }, vec![operand]),
        _ => node(function, DataType::Double, vec![coerce(operand, DataType::Double)?]),
    }
}

/// FLOOR and CEIL: DECIMAL(p,s) → DECIMAL(p−s+1,0), else DOUBLE PRECISION
fn whole_number(function: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let operand = number(arguments.remove(0), name)?;
    match operand.data_type() {
        DataType::Decimal { precision, scale } => node(function, rounded(precision, scale, 0), vec![operand]),
        _ => node(function, DataType::Double, vec![coerce(operand, DataType::Double)?]),
    }
}

/// DECIMAL(precision, scale) rounded to `digits` after the point: one digit more before it where rounding can carry.
fn rounded(precision: u8, scale: u8, digits: u8) -> DataType {
    let carry = u8::from(digits < scale);
    DataType::Decimal { precision: (precision - scale + digits + carry).clamp(1, 38), scale: digits }
}

/// ROUND(x) and ROUND(x, digits): an integer with digits is taken as a DECIMAL. A literal number of digits becomes the scale.
fn round(function: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let digits = if arguments.len() == 2 { Some(argument(arguments.remove(1), DataType::BigInt, name)?) } else { None };
    let mut operand = number(arguments.remove(0), name)?;
    if digits.is_some() && operand.data_type().is_integer() {
        operand = as_decimal(operand)?;
    }
    let data_type = match (operand.data_type(), digits.as_ref().map(Expr::as_literal)) {
        (DataType::Decimal { precision, scale }, None) => rounded(precision, scale, 0),
        (DataType::Decimal { precision, scale }, Some(Some(Value::BigInt(digits)))) => {
            rounded(precision, scale, (*digits).clamp(0, 38) as u8)
        }
        (DataType::Decimal { precision, scale }, Some(_)) => DataType::Decimal { precision: (precision + 1).min(38), scale },
        _ => DataType::Double,
    };
    if data_type == DataType::Double {
        operand = coerce(operand, DataType::Double)?;
    }
    node(function, data_type, std::iter::once(operand).chain(digits).collect())
}

fn modulo(_: Function, _: &str, mut arguments: Vec<Expr>) -> Built {
    let right = arguments.remove(1);
    arithmetic(Arithmetic::Modulo, arguments.remove(0), right)
}

fn nullif(_: Function, _: &str, mut arguments: Vec<Expr>) -> Built {
    let right = arguments.remove(1);
    build::nullif(arguments.remove(0), right)
}

fn time_field(expr: &Expr, name: &str) -> Result<TimeField, TypeError> {
    let Some(Value::Varchar(text)) = expr.as_literal() else {
        return Err(TypeError::new(TypeErrorKind::InvalidField, format!("{name} takes a literal field such as 'hour' first")));
    };
    TimeField::parse(text).ok_or_else(|| {
        TypeError::new(TypeErrorKind::InvalidField, format!("{name} knows no field '{text}'; expected {}", TimeField::NAMES.join(", ")))
    })
}

/// A time; a literal of open type is a TIMESTAMP.
fn time(expr: Expr, name: &str) -> Built {
    match expr.data_type() {
        _ if expr.is_untyped() => coerce(expr, DataType::Timestamp),
        DataType::Date | DataType::Timestamp | DataType::TimestampTz | DataType::Interval => Ok(expr),
        other => Err(TypeError::mismatch(format!("{name} takes a date, timestamp or interval, found {other}"))),
    }
}

fn extract(_: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let operand = time(arguments.remove(1), name)?;
    let field = time_field(&arguments[0], name)?;
    if !field.extracts_from(operand.data_type()) {
        let message = format!("{} has no field '{}'", operand.data_type(), field.name());
        return Err(TypeError::new(TypeErrorKind::InvalidField, message));
    }
    node(Function::Extract(field), DataType::Double, vec![operand])
}

fn date_trunc(_: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let operand = time(arguments.remove(1), name)?;
    let operand = if operand.data_type() == DataType::Date { coerce(operand, DataType::Timestamp)? } else { operand };
    let field = time_field(&arguments[0], name)?;
    if !field.truncates(operand.data_type()) {
        let message = format!("{} can't be truncated to '{}'", operand.data_type(), field.name());
        return Err(TypeError::new(TypeErrorKind::InvalidField, message));
    }
    node(Function::DateTrunc(field), operand.data_type(), vec![operand])
}

/// Seconds since 1970 → TIMESTAMPTZ
fn to_timestamp(function: Function, name: &str, mut arguments: Vec<Expr>) -> Built {
    let operand = coerce(number(arguments.remove(0), name)?, DataType::Double)?;
    node(function, DataType::TimestampTz, vec![operand])
}

pub(super) fn is_not_negative(value: &Value) -> bool {
    matches!(value, Value::BigInt(0..) | Value::Null)
}

pub(super) fn is_not_zero(value: &Value) -> bool {
    !matches!(value, Value::BigInt(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(edit_distance("lower", "lower"), 0);
        assert_eq!(edit_distance("lowr", "lower"), 1);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
    }

    #[test]
    fn names_are_sorted_and_unique() {
        let names: Vec<_> = function_names().collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }
}
