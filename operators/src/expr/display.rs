//! Expressions as SQL, for EXPLAIN and for the names of columns without one. Parentheses only where the tree needs them.

use super::Expr;
use super::node::{Arithmetic, Function, Label, Node};
use raympp_types::{DataType, Value};
use std::fmt::{self, Display, Formatter, Write};

/// How tightly an operator binds, as PostgreSQL's grammar has it.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARISON: u8 = 5;
const PATTERN: u8 = 6;
const OTHER: u8 = 7;
const SUM: u8 = 8;
const PRODUCT: u8 = 9;
const SIGN: u8 = 10;
const ATOM: u8 = 11;

impl Expr {
    /// Column `index`, which holds the value of `expr` and is shown as that.
    pub(crate) fn holding(index: usize, expr: &Expr) -> Expr {
        Expr::labelled(index, Label::Sql { text: expr.to_string(), level: precedence(&expr.node) }, expr.data_type)
    }

    /// Column `index`, which holds the result of a call that no expression can make, and is shown as that.
    pub(crate) fn holding_call(index: usize, call: String, data_type: DataType) -> Expr {
        Expr::labelled(index, Label::Sql { text: call, level: ATOM }, data_type)
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_node(f, self, &self.node)
    }
}

fn precedence(node: &Node) -> u8 {
    match node {
        Node::Or(..) => OR,
        Node::And(..) => AND,
        Node::Not(_) => NOT,
        Node::IsNull { .. } | Node::IsTruth { .. } | Node::Distinct { .. } => IS,
        Node::Compare { .. } => COMPARISON,
        Node::InList { .. } | Node::Like { .. } => PATTERN,
        Node::Regex { .. } | Node::Call { function: Function::ConcatOperator, .. } => OTHER,
        Node::Arithmetic { op: Arithmetic::Add | Arithmetic::Subtract, .. } => SUM,
        Node::Arithmetic { .. } => PRODUCT,
        Node::Negate(_) => SIGN,
        Node::Column { label: Label::Sql { level, .. }, .. } => *level,
        Node::Literal { value, .. } if is_negative(&value.value) => SIGN,
        _ => ATOM,
    }
}

fn is_negative(value: &Value) -> bool {
    match value {
        Value::SmallInt(v) => *v < 0,
        Value::Integer(v) => *v < 0,
        Value::BigInt(v) => *v < 0,
        Value::Decimal { unscaled, .. } => *unscaled < 0,
        _ => false,
    }
}

/// Writes an operand, in parentheses if it binds less tightly than `least`.
fn operand(f: &mut Formatter<'_>, expr: &Expr, least: u8) -> fmt::Result {
    if precedence(&expr.node) < least { write!(f, "({expr})") } else { write!(f, "{expr}") }
}

fn infix(f: &mut Formatter<'_>, left: &Expr, symbol: &str, right: &Expr, level: u8) -> fmt::Result {
    operand(f, left, level)?;
    write!(f, " {symbol} ")?;
    operand(f, right, level + 1)
}

fn list(f: &mut Formatter<'_>, exprs: &[Expr]) -> fmt::Result {
    for (i, expr) in exprs.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { ", " })?;
        write!(f, "{expr}")?;
    }
    Ok(())
}

fn write_node(f: &mut Formatter<'_>, expr: &Expr, node: &Node) -> fmt::Result {
    let word = |negated: bool| if negated { "NOT " } else { "" };
    match node {
        Node::Column { label: Label::Name(name), .. } => identifier(f, name),
        Node::Column { label: Label::Sql { text, .. }, .. } => f.write_str(text),
        Node::Literal { value, .. } => literal(f, &value.value),
        Node::Arithmetic { op, left, right } => infix(f, left, op.symbol(), right, precedence(node)),
        Node::Compare { op, left, right } => {
            operand(f, left, COMPARISON + 1)?;
            write!(f, " {} ", op.symbol())?;
            operand(f, right, COMPARISON + 1)
        }
        Node::And(left, right) => infix(f, left, "AND", right, AND),
        Node::Or(left, right) => infix(f, left, "OR", right, OR),
        Node::Not(inner) => {
            f.write_str("NOT ")?;
            operand(f, inner, NOT)
        }
        Node::Negate(inner) => {
            f.write_str("-")?;
            operand(f, inner, SIGN + 1)
        }
        Node::IsNull { operand: inner, negated } => {
            operand(f, inner, IS + 1)?;
            write!(f, " IS {}NULL", word(*negated))
        }
        Node::IsTruth { operand: inner, truth, negated } => {
            operand(f, inner, IS + 1)?;
            write!(f, " IS {}{}", word(*negated), if *truth { "TRUE" } else { "FALSE" })
        }
        Node::Distinct { left, right, negated } => {
            operand(f, left, IS + 1)?;
            write!(f, " IS {}DISTINCT FROM ", word(*negated))?;
            operand(f, right, IS + 1)
        }
        Node::InList { operand: inner, list: items, negated } => {
            operand(f, inner, PATTERN + 1)?;
            write!(f, " {}IN (", word(*negated))?;
            list(f, items)?;
            f.write_str(")")
        }
        Node::Like { .. } | Node::Regex { .. } => write_pattern(f, node),
        Node::Case { whens, otherwise } => {
            f.write_str("CASE")?;
            for (condition, value) in whens {
                write!(f, " WHEN {condition} THEN {value}")?;
            }
            if !otherwise.is_null_literal() {
                write!(f, " ELSE {otherwise}")?;
            }
            f.write_str(" END")
        }
        Node::Coalesce(arguments) => write_call(f, "coalesce", arguments),
        Node::NullIf(left, right) => write!(f, "nullif({left}, {right})"),
        Node::Extreme { greatest, arguments } => write_call(f, if *greatest { "greatest" } else { "least" }, arguments),
        Node::Cast { operand: inner, try_cast } => {
            write!(f, "{}({inner} AS {})", if *try_cast { "TRY_CAST" } else { "CAST" }, expr.data_type())
        }
        Node::Call { function, arguments } => write_function(f, *function, arguments),
    }
}

fn write_call(f: &mut Formatter<'_>, name: &str, arguments: &[Expr]) -> fmt::Result {
    write!(f, "{name}(")?;
    list(f, arguments)?;
    f.write_str(")")
}

fn write_function(f: &mut Formatter<'_>, function: Function, arguments: &[Expr]) -> fmt::Result {
    match (function, arguments) {
        (Function::ConcatOperator, [left, right]) => infix(f, left, "||", right, OTHER),
        (Function::Extract(field), [argument]) => write!(f, "extract({} FROM {argument})", field.name()),
        (Function::DateTrunc(field), [argument]) => write!(f, "date_trunc('{}', {argument})", field.name()),
        _ => write_call(f, function.name(), arguments),
    }
}

fn write_pattern(f: &mut Formatter<'_>, node: &Node) -> fmt::Result {
    match node {
        Node::Like { operand: inner, pattern, flags } => {
            operand(f, inner, PATTERN + 1)?;
            write!(f, " {}{} ", if flags.negated { "NOT " } else { "" }, if flags.insensitive { "ILIKE" } else { "LIKE" })?;
            operand(f, pattern, PATTERN + 1)?;
            match flags.escape {
                Some('\\') => Ok(()),
                Some(escape) => write!(f, " ESCAPE '{escape}'"),
                None => f.write_str(" ESCAPE ''"),
            }
        }
        Node::Regex { operand: inner, pattern, insensitive, negated, .. } => {
            let symbol = format!("{}~{}", if *negated { "!" } else { "" }, if *insensitive { "*" } else { "" });
            infix(f, inner, &symbol, pattern, OTHER)
        }
        _ => Ok(()),
    }
}

/// A name, in quotes unless it is plain lower case.
fn identifier(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { f.write_str(name) } else { write!(f, "\"{}\"", name.replace('"', "\"\"")) }
}

fn literal(f: &mut Formatter<'_>, value: &Value) -> fmt::Result {
    let quoted = |f: &mut Formatter<'_>, text: &str| -> fmt::Result {
        f.write_char('\'')?;
        f.write_str(&text.replace('\'', "''"))?;
        f.write_char('\'')
    };
    match value {
        Value::Varchar(text) => quoted(f, text),
        Value::Bytea(_) | Value::Date(_) | Value::Timestamp(_) | Value::TimestampTz(_) | Value::Interval(_) => {
            write!(f, "{} ", value.data_type())?;
            quoted(f, &value.to_string())
        }
        Value::Boolean(v) => f.write_str(if *v { "TRUE" } else { "FALSE" }),
        Value::Double(v) if !v.is_finite() => write!(f, "DOUBLE PRECISION '{value}'"),
        Value::Real(v) if !v.is_finite() => write!(f, "REAL '{value}'"),
        _ => write!(f, "{value}"),
    }
}
