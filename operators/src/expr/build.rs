//! Builds expressions: one function per construct of the language. Each settles types, inserts the casts that widen, and refuses
//! what PostgreSQL would refuse, saying what was expected.
//!
//! Invariant: every [`Expr`] that leaves here has operands of exactly the types its node computes with.

use super::coerce::{self, as_decimal, coerce, comparable, digits_of, narrow_constant, settle, unify};
use super::error::{TypeError, TypeErrorKind};
use super::node::{Arithmetic, Comparison, Function, Node};
use super::pattern::{CompiledRegex, LikeFlags};
use super::{Expr, cast as casts};
use raympp_types::data_type::DECIMAL_PRECISION_MAX;
use raympp_types::{DataType, Value};

type Built = Result<Expr, TypeError>;

/// An operator with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: truncates between integers
    Divide,
    /// `%`: the sign of the dividend
    Modulo,
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// AND
    And,
    /// OR
    Or,
    /// `||`
    Concat,
    /// `~`
    Regex,
    /// `~*`
    RegexInsensitive,
    /// `!~`
    NotRegex,
    /// `!~*`
    NotRegexInsensitive,
}

/// `left op right`
pub fn binary(op: BinaryOp, left: Expr, right: Expr) -> Built {
    match op {
        BinaryOp::Add => arithmetic(Arithmetic::Add, left, right),
        BinaryOp::Subtract => arithmetic(Arithmetic::Subtract, left, right),
        BinaryOp::Multiply => arithmetic(Arithmetic::Multiply, left, right),
        BinaryOp::Divide => arithmetic(Arithmetic::Divide, left, right),
        BinaryOp::Modulo => arithmetic(Arithmetic::Modulo, left, right),
        BinaryOp::Eq => compare(Comparison::Eq, left, right),
        BinaryOp::NotEq => compare(Comparison::NotEq, left, right),
        BinaryOp::Lt => compare(Comparison::Lt, left, right),
        BinaryOp::LtEq => compare(Comparison::LtEq, left, right),
        BinaryOp::Gt => compare(Comparison::Gt, left, right),
        BinaryOp::GtEq => compare(Comparison::GtEq, left, right),
        BinaryOp::And => connect(false, boolean(left, "AND")?, boolean(right, "AND")?),
        BinaryOp::Or => connect(true, boolean(left, "OR")?, boolean(right, "OR")?),
        BinaryOp::Concat => concat(left, right),
        BinaryOp::Regex => regex(left, right, false, false),
        BinaryOp::RegexInsensitive => regex(left, right, true, false),
        BinaryOp::NotRegex => regex(left, right, false, true),
        BinaryOp::NotRegexInsensitive => regex(left, right, true, true),
    }
}

fn boolean(expr: Expr, what: &str) -> Built {
    coerce::argument(expr, DataType::Boolean, what)
}

/// AND, or OR with `decisive`: the literal that settles the result. The other literal is left out.
fn connect(decisive: bool, left: Expr, right: Expr) -> Built {
    for (literal, other) in [(&left, &right), (&right, &left)] {
        if let Some(Value::Boolean(value)) = literal.as_literal() {
            return Ok(if *value == decisive { literal.clone() } else { other.clone() });
        }
    }
    Ok(Expr::new(DataType::Boolean, if decisive { Node::Or(left, right) } else { Node::And(left, right) }))
}

fn compare(op: Comparison, left: Expr, right: Expr) -> Built {
    let left = narrow_constant(left, &right);
    let right = narrow_constant(right, &left);
    let (left, right) = comparable(left, right, op.symbol())?;
    Ok(Expr::new(DataType::Boolean, Node::Compare { op, left, right }))
}

fn no_operator(op: Arithmetic, left: &Expr, right: &Expr) -> TypeError {
    let symbol = op.symbol();
    TypeError::mismatch(format!("there is no {} {symbol} {}; cast an operand", left.data_type(), right.data_type()))
}

/// `left op right` for `+ - * / %`.
pub(super) fn arithmetic(op: Arithmetic, left: Expr, right: Expr) -> Built {
    let (left, right) = settle_operands(op, left, right)?;
    let (l, r) = (left.data_type(), right.data_type());
    if l.is_numeric() && r.is_numeric() {
        return numeric(op, left, right);
    }
    temporal(op, left, right)
}

/// Gives a NULL or string literal beside an operand of type T the type PostgreSQL would: mostly T, beside a time what can be added.
fn settle_operands(op: Arithmetic, left: Expr, right: Expr) -> Result<(Expr, Expr), TypeError> {
    match (left.is_untyped(), right.is_untyped()) {
        (true, true) => Err(TypeError::mismatch(format!("the operands of {} have no type; cast one of them", op.symbol()))),
        (false, true) => {
            let right = settle_operand(op, &left, right)?;
            Ok((left, right))
        }
        (true, false) => {
            let left = settle_operand(op, &right, left)?;
            Ok((left, right))
        }
        (false, false) => Ok((left, right)),
    }
}

fn settle_operand(op: Arithmetic, typed: &Expr, untyped: Expr) -> Built {
    use DataType::*;
    match (typed.data_type(), op) {
        (Decimal { .. }, _) => coerce::unify(vec![typed.clone(), untyped], op.symbol()).map(|(mut both, _)| both.remove(1)),
        (Date | Timestamp | TimestampTz, Arithmetic::Add) => coerce(untyped, Interval),
        (Interval, Arithmetic::Multiply | Arithmetic::Divide) => coerce(untyped, Double),
        (data_type, _) => coerce(untyped, data_type),
    }
}

fn numeric(op: Arithmetic, left: Expr, right: Expr) -> Built {
    let (l, r) = (left.data_type(), right.data_type());
    if l.is_integer() && r.is_integer() {
        let data_type = l.max(r);
        return build(op, coerce(left, data_type)?, coerce(right, data_type)?, data_type);
    }
    if l.is_float() || r.is_float() {
        let data_type = if l == r { l } else { DataType::Double };
        if op == Arithmetic::Modulo {
            return Err(no_operator(op, &left, &right));
        }
        return build(op, coerce(left, data_type)?, coerce(right, data_type)?, data_type);
    }
    exact(op, left, right)
}

/// Arithmetic with at least one DECIMAL and no float.
fn exact(op: Arithmetic, left: Expr, right: Expr) -> Built {
    if op == Arithmetic::Divide {
        return build(op, coerce(left, DataType::Double)?, coerce(right, DataType::Double)?, DataType::Double);
    }
    let (left, right) = (as_decimal(left)?, as_decimal(right)?);
    let ((p1, s1), (p2, s2)) = match (digits_of(&left), digits_of(&right)) {
        (Some(l), Some(r)) => (l, r),
        _ => return Err(no_operator(op, &left, &right)),
    };
    let scale = if op == Arithmetic::Multiply { s1 + s2 } else { s1.max(s2) };
    if scale > DECIMAL_PRECISION_MAX {
        let message = format!("the product would have {scale} digits after the point, 38 are the most; cast an operand to a smaller scale");
        return Err(TypeError::new(TypeErrorKind::TooManyDigits, message));
    }
    let precision = match op {
        Arithmetic::Multiply => p1 + p2,
        Arithmetic::Modulo => (p1 - s1).max(p2 - s2) + scale,
        _ => (p1 - s1).max(p2 - s2) + scale + 1,
    };
    build(op, left, right, DataType::Decimal { precision: precision.clamp(1, DECIMAL_PRECISION_MAX), scale })
}

/// Arithmetic with dates, timestamps and intervals.
fn temporal(op: Arithmetic, left: Expr, right: Expr) -> Built {
    use DataType::*;
    match (left.data_type(), op, right.data_type()) {
        (Date, Arithmetic::Add | Arithmetic::Subtract, r) if r.is_integer() => build(op, left, coerce(right, BigInt)?, Date),
        (l, Arithmetic::Add, Date) if l.is_integer() => build(op, right, coerce(left, BigInt)?, Date),
        (Date, Arithmetic::Subtract, Date) => build(op, left, right, Integer),
        (Date, Arithmetic::Add | Arithmetic::Subtract, Interval) => build(op, coerce(left, Timestamp)?, right, Timestamp),
        (Interval, Arithmetic::Add, Date) => build(op, coerce(right, Timestamp)?, left, Timestamp),
        (l, Arithmetic::Add | Arithmetic::Subtract, Interval) if l.is_timestamp() => build(op, left, right, l),
        (Interval, Arithmetic::Add, r) if r.is_timestamp() => build(op, right, left, r),
        (l, Arithmetic::Subtract, r) if (l.is_timestamp() || l == Date) && (r.is_timestamp() || r == Date) => {
            let (mut both, _) = unify(vec![left, right], op.symbol())?;
            let right = both.pop().expect("unify keeps the number of operands");
            build(op, both.remove(0), right, Interval)
        }
        (Interval, Arithmetic::Add | Arithmetic::Subtract, Interval) => build(op, left, right, Interval),
        (Interval, Arithmetic::Multiply | Arithmetic::Divide, r) if r.is_numeric() => build(op, left, coerce(right, Double)?, Interval),
        (l, Arithmetic::Multiply, Interval) if l.is_numeric() => build(op, right, coerce(left, Double)?, Interval),
        _ => Err(no_operator(op, &left, &right)),
    }
}

fn build(op: Arithmetic, left: Expr, right: Expr, data_type: DataType) -> Built {
    Ok(Expr::new(data_type, Node::Arithmetic { op, left, right }))
}

/// `left || right`: VARCHAR with anything that can be text, or two BYTEA. NULL if either is.
fn concat(left: Expr, right: Expr) -> Built {
    let (l, r) = (left.data_type(), right.data_type());
    let is_bytea = |e: &Expr| e.data_type() == DataType::Bytea;
    let data_type = match (is_bytea(&left), is_bytea(&right)) {
        (true, true) => DataType::Bytea,
        (true, false) if right.is_untyped() => DataType::Bytea,
        (false, true) if left.is_untyped() => DataType::Bytea,
        _ => DataType::Varchar,
    };
    if data_type == DataType::Varchar
        && !matches!(l, DataType::Varchar)
        && !matches!(r, DataType::Varchar)
        && !left.is_null_literal()
        && !right.is_null_literal()
    {
        return Err(TypeError::mismatch(format!("|| takes VARCHAR on one side at least, found {l} and {r}")));
    }
    Ok(Expr::new(
        data_type,
        Node::Call { function: Function::ConcatOperator, arguments: vec![coerce(left, data_type)?, coerce(right, data_type)?] },
    ))
}

fn regex(operand: Expr, pattern: Expr, insensitive: bool, negated: bool) -> Built {
    let operand = coerce::argument(operand, DataType::Varchar, "~")?;
    let pattern = coerce::argument(pattern, DataType::Varchar, "~")?;
    let compiled = match pattern.as_literal() {
        Some(Value::Varchar(text)) => Some(
            CompiledRegex::new(text, insensitive)
                .map_err(|error| TypeError::new(TypeErrorKind::InvalidPattern, format!("'{text}' is not a regular expression: {error}")))?,
        ),
        _ => None,
    };
    Ok(Expr::new(DataType::Boolean, Node::Regex { operand, pattern, compiled, insensitive, negated }))
}

/// `NOT e`
pub fn not(e: Expr) -> Built {
    Ok(Expr::new(DataType::Boolean, Node::Not(boolean(e, "NOT")?)))
}

/// `-e`
pub fn negate(e: Expr) -> Built {
    let data_type = e.data_type();
    if data_type.is_numeric() || data_type == DataType::Interval {
        return Ok(Expr::new(data_type, Node::Negate(e)));
    }
    Err(TypeError::mismatch(format!("- takes a number or an INTERVAL, found {data_type}")))
}

/// `e IS [NOT] NULL`
pub fn is_null(e: Expr, negated: bool) -> Built {
    Ok(Expr::new(DataType::Boolean, Node::IsNull { operand: settle(e), negated }))
}

/// `e IS [NOT] TRUE`
pub fn is_true(e: Expr, negated: bool) -> Built {
    Ok(Expr::new(DataType::Boolean, Node::IsTruth { operand: boolean(e, "IS TRUE")?, truth: true, negated }))
}

/// `e IS [NOT] FALSE`
pub fn is_false(e: Expr, negated: bool) -> Built {
    Ok(Expr::new(DataType::Boolean, Node::IsTruth { operand: boolean(e, "IS FALSE")?, truth: false, negated }))
}

/// `e IS [NOT] UNKNOWN`
pub fn is_unknown(e: Expr, negated: bool) -> Built {
    is_null(boolean(e, "IS UNKNOWN")?, negated)
}

/// `left IS [NOT] DISTINCT FROM right`
pub fn is_distinct_from(left: Expr, right: Expr, negated: bool) -> Built {
    let (left, right) = comparable(left, right, "IS DISTINCT FROM")?;
    Ok(Expr::new(DataType::Boolean, Node::Distinct { left, right, negated }))
}

/// `e [NOT] BETWEEN low AND high`, which is `e >= low AND e <= high`.
pub fn between(e: Expr, low: Expr, high: Expr, negated: bool) -> Built {
    let lower = compare(Comparison::GtEq, e.clone(), low)?;
    let upper = compare(Comparison::LtEq, e, high)?;
    let both = binary(BinaryOp::And, lower, upper)?;
    if negated { not(both) } else { Ok(both) }
}

/// `e [NOT] IN (list)`
pub fn in_list(e: Expr, list: Vec<Expr>, negated: bool) -> Built {
    let mut all = Vec::with_capacity(list.len() + 1);
    all.push(e);
    all.extend(list);
    let (mut all, _) = unify(all, "IN")?;
    let operand = all.remove(0);
    Ok(Expr::new(DataType::Boolean, Node::InList { operand, list: all, negated }))
}

/// `e [NOT] LIKE pattern [ESCAPE escape]`, `insensitive` for ILIKE. Backslash escapes unless another character is given;
/// `'\0'` stands for ESCAPE '', which turns escaping off.
pub fn like(e: Expr, pattern: Expr, escape: Option<char>, insensitive: bool, negated: bool) -> Built {
    let operand = coerce::argument(e, DataType::Varchar, "LIKE")?;
    let pattern = coerce::argument(pattern, DataType::Varchar, "LIKE")?;
    let escape = Some(escape.unwrap_or('\\')).filter(|&character| character != '\0');
    let flags = LikeFlags { escape, insensitive, negated };
    if let Some(Value::Varchar(text)) = pattern.as_literal() {
        super::pattern::check_like(text, flags)
            .map_err(|reason| TypeError::new(TypeErrorKind::InvalidPattern, format!("'{text}' is not a LIKE pattern: {reason}")))?;
    }
    Ok(Expr::new(DataType::Boolean, Node::Like { operand, pattern, flags }))
}

/// `CASE [operand] WHEN … THEN … [ELSE otherwise] END`
pub fn case(operand: Option<Expr>, whens: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Built {
    if whens.is_empty() {
        return Err(TypeError::new(TypeErrorKind::ArgumentCount, "CASE needs at least one WHEN"));
    }
    let (mut conditions, mut values) = (Vec::with_capacity(whens.len()), Vec::with_capacity(whens.len() + 1));
    for (when, then) in whens {
        conditions.push(match &operand {
            Some(operand) => compare(Comparison::Eq, operand.clone(), when)?,
            None => boolean(when, "WHEN")?,
        });
        values.push(then);
    }
    values.push(otherwise.unwrap_or_else(|| Expr::literal(Value::Null)));
    let (mut values, data_type) = unify(values, "CASE")?;
    let otherwise = values.pop().expect("unify keeps the number of operands");
    Ok(Expr::new(data_type, Node::Case { whens: conditions.into_iter().zip(values).collect(), otherwise }))
}

/// `COALESCE(…)`: the first that is not NULL.
pub fn coalesce(arguments: Vec<Expr>) -> Built {
    let (arguments, data_type) = unify(arguments, "COALESCE")?;
    Ok(Expr::new(data_type, Node::Coalesce(arguments)))
}

/// `NULLIF(left, right)`: NULL where they are equal, else `left`.
pub fn nullif(left: Expr, right: Expr) -> Built {
    let (left, right) = comparable(left, right, "NULLIF")?;
    Ok(Expr::new(left.data_type(), Node::NullIf(left, right)))
}

/// `GREATEST(…)`: NULLs are skipped.
pub fn greatest(arguments: Vec<Expr>) -> Built {
    let (arguments, data_type) = unify(arguments, "GREATEST")?;
    Ok(Expr::new(data_type, Node::Extreme { greatest: true, arguments }))
}

/// `LEAST(…)`: NULLs are skipped.
pub fn least(arguments: Vec<Expr>) -> Built {
    let (arguments, data_type) = unify(arguments, "LEAST")?;
    Ok(Expr::new(data_type, Node::Extreme { greatest: false, arguments }))
}

/// `CAST(e AS data_type)`; with `try_cast` what can't be cast is NULL.
pub fn cast(e: Expr, data_type: DataType, try_cast: bool) -> Built {
    if !casts::possible(e.data_type(), data_type) {
        return Err(TypeError::mismatch(format!("{} can't be cast to {data_type}", e.data_type())));
    }
    if try_cast {
        return Ok(Expr::new(data_type, Node::Cast { operand: settle(e), try_cast }));
    }
    coerce(e, data_type)
}

/// `e` where `data_type` is expected: only what widens, and literals whose type is open.
pub fn implicit_cast(e: Expr, data_type: DataType) -> Built {
    if e.is_untyped() || coerce::widens(e.data_type(), data_type) {
        return coerce(e, data_type);
    }
    Err(TypeError::mismatch(format!("expected {data_type}, found {}; write a CAST", e.data_type())))
}
