//! Which type operands meet at. Implicit casts only widen; NULL and string literals take the type of their surroundings.
//!
//! Widening order: SMALLINT, INTEGER, BIGINT, DECIMAL, REAL, DOUBLE PRECISION; DATE, TIMESTAMP, TIMESTAMPTZ. Two DECIMALs meet at
//! the larger scale and enough digits for both, at most 38.

use super::Expr;
use super::error::{TypeError, TypeErrorKind};
use super::node::Node;
use raympp_types::data_type::DECIMAL_PRECISION_MAX;
use raympp_types::{DataType, Value, text};

/// Digits of an integer type's largest value.
pub(super) fn integer_digits(data_type: DataType) -> Option<u8> {
    match data_type {
        DataType::SmallInt => Some(5),
        DataType::Integer => Some(10),
        DataType::BigInt => Some(19),
        _ => None,
    }
}

/// Precision and scale of an integer or DECIMAL operand; a literal has just the digits it shows.
pub(super) fn digits_of(expr: &Expr) -> Option<(u8, u8)> {
    match (expr.as_literal(), expr.data_type()) {
        (Some(Value::SmallInt(v)), _) => Some((decimal_digits(i128::from(*v)), 0)),
        (Some(Value::Integer(v)), _) => Some((decimal_digits(i128::from(*v)), 0)),
        (Some(Value::BigInt(v)), _) => Some((decimal_digits(i128::from(*v)), 0)),
        (_, DataType::Decimal { precision, scale }) => Some((precision, scale)),
        (_, data_type) => integer_digits(data_type).map(|digits| (digits, 0)),
    }
}

fn decimal_digits(value: i128) -> u8 {
    value.unsigned_abs().checked_ilog10().map_or(1, |digits| digits as u8 + 1)
}

/// The DECIMAL that holds all values of both, if 38 digits suffice; else the one of 38 digits with the larger scale.
fn decimal_union((p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> (DataType, bool) {
    let scale = s1.max(s2);
    let digits = (p1 - s1).max(p2 - s2) + scale;
    let precision = digits.clamp(1, DECIMAL_PRECISION_MAX);
    (DataType::Decimal { precision, scale }, digits <= DECIMAL_PRECISION_MAX)
}

/// The type two types meet at, if there is one.
pub(super) fn wider(a: DataType, b: DataType) -> Option<DataType> {
    use DataType::*;
    if a == b {
        return Some(a);
    }
    match (a, b) {
        (Null, other) | (other, Null) => Some(other),
        (Decimal { precision: p1, scale: s1 }, Decimal { precision: p2, scale: s2 }) => Some(decimal_union((p1, s1), (p2, s2)).0),
        (Decimal { precision, scale }, other) | (other, Decimal { precision, scale }) if other.is_integer() => {
            Some(decimal_union((precision, scale), (integer_digits(other)?, 0)).0)
        }
        (x, y) if x.is_integer() && y.is_integer() => Some(x.max(y)),
        (x, y) if x.is_numeric() && y.is_numeric() => Some(Double),
        (Date, Timestamp) | (Timestamp, Date) => Some(Timestamp),
        (Date | Timestamp, TimestampTz) | (TimestampTz, Date | Timestamp) => Some(TimestampTz),
        _ => None,
    }
}

/// Whether a value of `from` may be taken as `to` without a cast being written.
pub(super) fn widens(from: DataType, to: DataType) -> bool {
    use DataType::*;
    match (from, to) {
        _ if from == to => true,
        (Null, _) => true,
        (SmallInt, Integer | BigInt) | (Integer, BigInt) | (Real, Double) => true,
        (Decimal { precision: p1, scale: s1 }, Decimal { precision: p2, scale: s2 }) => s2 >= s1 && p2 - s2 >= p1 - s1,
        (from, Decimal { precision, scale }) if from.is_integer() => integer_digits(from).is_some_and(|d| d <= precision - scale),
        (from, Real | Double) => from.is_integer() || matches!(from, Decimal { .. }),
        (Date, Timestamp | TimestampTz) | (Timestamp, TimestampTz) => true,
        _ => false,
    }
}

/// `expr` as `target`: a literal whose type is open is read as one, everything else is cast. The caller knows the cast is allowed.
pub(super) fn coerce(expr: Expr, target: DataType) -> Result<Expr, TypeError> {
    if expr.is_untyped() {
        return read_literal(&expr, target);
    }
    if expr.data_type() == target {
        return Ok(expr);
    }
    Ok(Expr::new(target, Node::Cast { operand: expr, try_cast: false }))
}

/// A string literal or NULL as a value of `target`.
fn read_literal(expr: &Expr, target: DataType) -> Result<Expr, TypeError> {
    match expr.as_literal() {
        Some(Value::Varchar(string)) => {
            let value = text::parse_value(string, target).map_err(|error| invalid_literal(string, target, &error))?;
            Ok(Expr::typed_literal(target, value))
        }
        _ => Ok(Expr::typed_literal(target, Value::Null)),
    }
}

fn invalid_literal(string: &str, target: DataType, error: &text::ParseError) -> TypeError {
    let string = super::error::shortened(string);
    TypeError::new(TypeErrorKind::InvalidLiteral, format!("'{string}' is not {target}: {error}"))
}

/// A string literal among DECIMALs: all its digits count, so it keeps the scale it is written with.
fn read_decimal_literal(expr: &Expr) -> Result<Expr, TypeError> {
    let Some(Value::Varchar(string)) = expr.as_literal() else { return Ok(expr.clone()) };
    let (unscaled, precision, scale) = text::parse_decimal_exact(string.as_bytes())
        .map_err(|error| invalid_literal(string, DataType::Decimal { precision: 38, scale: 0 }, &error))?;
    Ok(Expr::typed_literal(DataType::Decimal { precision, scale }, Value::Decimal { unscaled, precision, scale }))
}

/// The type of all of these together: of CASE branches, COALESCE, IN, GREATEST. VARCHAR if nothing has a type.
fn meeting_type(exprs: &[Expr], what: &str) -> Result<DataType, TypeError> {
    let mut met = DataType::Null;
    for expr in exprs.iter().filter(|expr| !expr.is_untyped()) {
        met = meet(met, expr).ok_or_else(|| {
            TypeError::mismatch(format!("{what} needs values of one type, found {met} and {}; cast one of them", expr.data_type()))
        })?;
    }
    Ok(if met == DataType::Null { DataType::Varchar } else { met })
}

/// [`wider`], where an integer literal counts by its digits.
fn meet(met: DataType, expr: &Expr) -> Option<DataType> {
    match (met, digits_of(expr)) {
        (DataType::Decimal { precision, scale }, Some(digits)) => Some(decimal_union((precision, scale), digits).0),
        _ => wider(met, expr.data_type()),
    }
}

/// Brings all to one type.
pub(super) fn unify(exprs: Vec<Expr>, what: &str) -> Result<(Vec<Expr>, DataType), TypeError> {
    let mut exprs = exprs;
    // DECIMALs first, since an integer literal's digits count only once a DECIMAL is known.
    let is_decimal = |expr: &Expr| matches!(expr.data_type(), DataType::Decimal { .. });
    if exprs.iter().any(is_decimal) && exprs.iter().all(|e| e.is_untyped() || is_decimal(e) || e.data_type().is_integer()) {
        exprs = exprs.iter().map(|e| if e.is_untyped() { read_decimal_literal(e) } else { Ok(e.clone()) }).collect::<Result<_, _>>()?;
        let mut ordered: Vec<Expr> = exprs.clone();
        ordered.sort_by_key(|expr| !is_decimal(expr));
        let target = meeting_type(&ordered, what)?;
        return Ok((exprs.into_iter().map(|e| coerce(e, target)).collect::<Result<_, _>>()?, target));
    }
    let target = meeting_type(&exprs, what)?;
    Ok((exprs.into_iter().map(|e| coerce(e, target)).collect::<Result<_, _>>()?, target))
}

/// Brings two operands of a comparison to one type. Exact numbers that meet at no DECIMAL of 38 digits keep their own scales: the
/// comparison is exact all the same.
pub(super) fn comparable(left: Expr, right: Expr, what: &str) -> Result<(Expr, Expr), TypeError> {
    let (left, right) = match (decimal_or_integer(&left), decimal_or_integer(&right)) {
        (Some(_), None) if right.is_untyped() && !left.data_type().is_integer() => (left, read_decimal_literal(&right)?),
        (None, Some(_)) if left.is_untyped() && !right.data_type().is_integer() => (read_decimal_literal(&left)?, right),
        _ => (left, right),
    };
    if let (Some(l), Some(r)) = (digits_of(&left), digits_of(&right))
        && !(left.data_type().is_integer() && right.data_type().is_integer())
    {
        let (target, fits) = decimal_union(l, r);
        if fits {
            return Ok((coerce(left, target)?, coerce(right, target)?));
        }
        return Ok((as_decimal(left)?, as_decimal(right)?));
    }
    let (mut both, _) = unify(vec![left, right], what)?;
    let right = both.pop().expect("unify keeps the number of operands");
    let left = both.pop().expect("unify keeps the number of operands");
    Ok((left, right))
}

/// A constant beside an integer of a narrower type that can hold it, as one of that type: the comparison is the same and spares a cast of every row.
pub(super) fn narrow_constant(constant: Expr, beside: &Expr) -> Expr {
    let (from, to) = (constant.data_type(), beside.data_type());
    if !from.is_integer() || !to.is_integer() || to >= from {
        return constant;
    }
    let value = match constant.as_literal() {
        Some(Value::Integer(value)) => i64::from(*value),
        Some(Value::BigInt(value)) => *value,
        _ => return constant,
    };
    let narrow = match to {
        DataType::SmallInt => i16::try_from(value).ok().map(Value::SmallInt),
        _ => i32::try_from(value).ok().map(Value::Integer),
    };
    narrow.map_or(constant, |narrow| Expr::typed_literal(to, narrow))
}

fn decimal_or_integer(expr: &Expr) -> Option<(u8, u8)> {
    if expr.is_untyped() { None } else { digits_of(expr) }
}

/// An integer as a DECIMAL of the same digits; a DECIMAL as it is.
pub(super) fn as_decimal(expr: Expr) -> Result<Expr, TypeError> {
    match digits_of(&expr) {
        Some((precision, scale)) if expr.data_type().is_integer() => coerce(expr, DataType::Decimal { precision, scale }),
        _ => Ok(expr),
    }
}

/// `expr` as a type that a function asks for: a literal of open type is read as one, others may widen.
pub(super) fn argument(expr: Expr, target: DataType, function: &str) -> Result<Expr, TypeError> {
    if expr.is_untyped() || widens(expr.data_type(), target) {
        return coerce(expr, target);
    }
    Err(TypeError::mismatch(format!("{function} takes {target} here, found {}", expr.data_type())))
}

/// A literal whose type nothing decided is VARCHAR.
pub(super) fn settle(expr: Expr) -> Expr {
    match &*expr.node {
        Node::Literal { value, untyped: true } => Expr::typed_literal(DataType::Varchar, value.value.clone()),
        _ => expr,
    }
}
