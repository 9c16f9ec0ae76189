//! Scalar expressions: `sqlparser`'s tree to a typed [`Expr`]. What a name means is the [`Scope`]'s business, types are
//! [`crate::expr`]'s; here every form of syntax finds its place or is refused where it stands.

#[path = "scalar/calls.rs"]
pub(crate) mod calls;

use super::data_type::data_type;
use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::interval::interval_literal;
use super::literal::{literal, number};
use super::scope::Scope;
use crate::expr::{self, BinaryOp, Expr, TypeError, TypeErrorKind};
use raympp_types::{DataType, Value};
use sqlparser::ast::{self, BinaryOperator, CastKind, Spanned, UnaryOperator};
use sqlparser::tokenizer::Span;

/// Deepest tree; a chain of operators is as deep as it is long.
const DEPTH_MAX: usize = 600;

/// Types an expression within a scope. A constant that fails is refused where every row needs its value.
pub(crate) fn bind(node: &ast::Expr, scope: &mut dyn Scope) -> SqlResult<Expr> {
    Binder { scope, depth: 0, guards: 0 }.bind(node)
}

/// [`bind`] for what stands behind a guard, such as FILTER: not every row needs its value.
pub(crate) fn bind_guarded(node: &ast::Expr, scope: &mut dyn Scope) -> SqlResult<Expr> {
    Binder { scope, depth: 0, guards: 1 }.bind(node)
}

/// Types a condition: BOOLEAN, or a literal that can be one.
pub(crate) fn bind_condition(node: &ast::Expr, scope: &mut dyn Scope, clause: &str) -> SqlResult<Expr> {
    let bound = bind(node, scope)?;
    let found = bound.data_type();
    expr::implicit_cast(bound, DataType::Boolean)
        .map_err(|_| SqlError::new(SqlErrorKind::Type, node.span(), format!("argument of {clause} must be BOOLEAN, not {found}")))
}

/// A type of its own for what would have none: a bare NULL is text, as in PostgreSQL.
pub(crate) fn settled(expr: Expr, span: Span) -> SqlResult<Expr> {
    if expr.data_type() == DataType::Null { typed(expr::implicit_cast(expr, DataType::Varchar), span) } else { Ok(expr) }
}

/// Gives a type error its place.
pub(crate) fn typed<T>(built: Result<T, TypeError>, span: Span) -> SqlResult<T> {
    built.map_err(|error| {
        let kind = match error.kind {
            TypeErrorKind::UnknownFunction | TypeErrorKind::ArgumentCount => SqlErrorKind::UndefinedFunction,
            TypeErrorKind::TypeMismatch | TypeErrorKind::TooManyDigits => SqlErrorKind::Type,
            _ => SqlErrorKind::Value,
        };
        let lines = error.message.lines().map(str::trim).filter(|line| !line.is_empty());
        SqlError::new(kind, span, lines.collect::<Vec<_>>().join(" "))
    })
}

struct Binder<'s> {
    scope: &'s mut dyn Scope,
    depth: usize,
    /// How many guards stand before the node that is being bound: right sides of AND and OR, branches of CASE, …
    guards: usize,
}

impl Binder<'_> {
    fn bind(&mut self, node: &ast::Expr) -> SqlResult<Expr> {
        if self.depth == DEPTH_MAX {
            let message = format!("the expression is more than {DEPTH_MAX} operators deep");
            return Err(SqlError::new(SqlErrorKind::TooComplex, leftmost(node).span(), message));
        }
        self.depth += 1;
        let bound = match self.scope.whole(node)? {
            Some(whole) => Ok(whole),
            None => self.parts(node),
        };
        self.depth -= 1;
        match bound {
            Ok(bound) if self.guards == 0 => bound.failing_constant().map_or(Ok(bound), |error| typed(Err(error), node.span())),
            bound => bound,
        }
    }

    /// Binds what not every row needs.
    fn guarded(&mut self, node: &ast::Expr) -> SqlResult<Expr> {
        self.guards += 1;
        let bound = self.bind(node);
        self.guards -= 1;
        bound
    }

    /// Binds operands of which only the first is always needed.
    fn first_needed<'n>(&mut self, nodes: impl IntoIterator<Item = &'n ast::Expr>) -> SqlResult<Vec<Expr>> {
        let bind = |(index, node): (usize, &'n ast::Expr)| if index == 0 { self.bind(node) } else { self.guarded(node) };
        nodes.into_iter().enumerate().map(bind).collect()
    }

    fn parts(&mut self, node: &ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as Node;
        match node {
            Node::Identifier(ident) => self.scope.column(std::slice::from_ref(ident)),
            Node::CompoundIdentifier(path) => self.scope.column(path),
            Node::Value(value) => literal(&value.value, value.span),
            Node::Nested(inner) => self.bind(inner),
            Node::Interval(interval) => Ok(Expr::literal(Value::Interval(interval_literal(interval)?))),
            Node::TypedString(string) => self.typed_string(string),
            Node::BinaryOp { left, op, right } => self.binary(left, op, right, node),
            Node::UnaryOp { op, expr } => self.unary(*op, expr),
            Node::Cast { kind, expr, data_type, format: None } => self.cast(kind, expr, data_type),
            Node::Case { operand, conditions, else_result, .. } => self.case(operand.as_deref(), conditions, else_result.as_deref(), node),
            Node::InList { expr, list, negated } => self.in_list(expr, list, *negated, node),
            Node::Between { expr, negated, low, high } => {
                refuse_chain(node, expr)?;
                let (e, low, high) = (self.bind(expr)?, self.bind(low)?, self.guarded(high)?);
                typed(expr::between(e, low, high, *negated), expr.span())
            }
            Node::Like { negated, any: false, expr, pattern, escape_char } => {
                refuse_chain(node, expr)?;
                self.like(expr, pattern, escape_char.as_deref(), false, *negated)
            }
            Node::ILike { negated, any: false, expr, pattern, escape_char } => {
                refuse_chain(node, expr)?;
                self.like(expr, pattern, escape_char.as_deref(), true, *negated)
            }
            Node::AtTimeZone { timestamp, time_zone } => self.at_time_zone(timestamp, time_zone),
            _ => match self.test(node) {
                Some(bound) => bound,
                None => self.call(node),
            },
        }
    }

    /// IS …
    fn test(&mut self, node: &ast::Expr) -> Option<SqlResult<Expr>> {
        use ast::Expr as Node;
        type Test = fn(Expr, bool) -> Result<Expr, TypeError>;
        let (operand, test, negated): (_, Test, _) = match node {
            Node::IsNull(e) => (e, expr::is_null, false),
            Node::IsNotNull(e) => (e, expr::is_null, true),
            Node::IsTrue(e) => (e, expr::is_true, false),
            Node::IsNotTrue(e) => (e, expr::is_true, true),
            Node::IsFalse(e) => (e, expr::is_false, false),
            Node::IsNotFalse(e) => (e, expr::is_false, true),
            Node::IsUnknown(e) => (e, expr::is_unknown, false),
            Node::IsNotUnknown(e) => (e, expr::is_unknown, true),
            Node::IsDistinctFrom(left, right) => return Some(self.distinct(left, right, false)),
            Node::IsNotDistinctFrom(left, right) => return Some(self.distinct(left, right, true)),
            _ => return None,
        };
        Some(self.bind(operand).and_then(|bound| typed(test(bound, negated), operand.span())))
    }

    fn distinct(&mut self, left: &ast::Expr, right: &ast::Expr, negated: bool) -> SqlResult<Expr> {
        let (l, r) = (self.bind(left)?, self.bind(right)?);
        typed(expr::is_distinct_from(l, r, negated), left.span())
    }

    fn binary(&mut self, left: &ast::Expr, op: &BinaryOperator, right: &ast::Expr, node: &ast::Expr) -> SqlResult<Expr> {
        refuse_chain(node, left)?;
        let l = self.bind(left)?;
        let r = if matches!(op, BinaryOperator::And | BinaryOperator::Or) { self.guarded(right) } else { self.bind(right) }?;
        let span = node.span();
        if *op == BinaryOperator::PGExp {
            return typed(expr::call("power", vec![l, r]), span);
        }
        if let Some((insensitive, negated)) = like_operator(op) {
            return typed(expr::like(l, r, None, insensitive, negated), span);
        }
        match operator(op) {
            Some(op) => typed(expr::binary(op, l, r), span),
            None => Err(SqlError::new(SqlErrorKind::UndefinedFunction, span, format!("operator {op} is not supported"))),
        }
    }

    fn unary(&mut self, op: UnaryOperator, operand: &ast::Expr) -> SqlResult<Expr> {
        let span = operand.span();
        if let (UnaryOperator::Minus, ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Number(digits, false), .. })) = (op, operand)
        {
            return Ok(Expr::literal(number(digits, true, span)?));
        }
        let bound = self.bind(operand)?;
        match op {
            UnaryOperator::Not => typed(expr::not(bound), span),
            UnaryOperator::Minus => typed(expr::negate(bound), span),
            UnaryOperator::Plus if bound.data_type().is_numeric() => Ok(bound),
            UnaryOperator::Plus => Err(SqlError::new(SqlErrorKind::Type, span, format!("+ takes a number, found {}", bound.data_type()))),
            UnaryOperator::PGAbs => typed(expr::call("abs", vec![bound]), span),
            UnaryOperator::PGSquareRoot => typed(expr::call("sqrt", vec![bound]), span),
            _ => Err(SqlError::new(SqlErrorKind::UndefinedFunction, span, format!("operator {op} is not supported"))),
        }
    }

    fn typed_string(&mut self, string: &ast::TypedString) -> SqlResult<Expr> {
        let span = string.value.span;
        let target = data_type(&string.data_type, span)?;
        typed(expr::cast(literal(&string.value.value, span)?, target, false), span)
    }

    fn cast(&mut self, kind: &CastKind, operand: &ast::Expr, target: &ast::DataType) -> SqlResult<Expr> {
        let span = operand.span();
        let try_cast = match kind {
            CastKind::Cast | CastKind::DoubleColon => false,
            CastKind::TryCast => true,
            CastKind::SafeCast => return Err(SqlError::unsupported(span, "SAFE_CAST is not supported").hint("write TRY_CAST")),
        };
        let bound = self.bind(operand)?;
        typed(expr::cast(bound, data_type(target, span)?, try_cast), span)
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
        node: &ast::Expr,
    ) -> SqlResult<Expr> {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let tests = self.first_needed(conditions.iter().map(|when| &when.condition))?;
        let results = conditions.iter().map(|when| self.guarded(&when.result)).collect::<SqlResult<Vec<_>>>()?;
        let whens = tests.into_iter().zip(results).collect();
        let otherwise = otherwise.map(|otherwise| self.guarded(otherwise)).transpose()?;
        typed(expr::case(operand, whens, otherwise), node.span())
    }

    fn in_list(&mut self, operand: &ast::Expr, list: &[ast::Expr], negated: bool, node: &ast::Expr) -> SqlResult<Expr> {
        refuse_chain(node, operand)?;
        let bound = self.bind(operand)?;
        let list = self.first_needed(list)?;
        typed(expr::in_list(bound, list, negated), node.span())
    }

    fn like(
        &mut self,
        e: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        insensitive: bool,
        negated: bool,
    ) -> SqlResult<Expr> {
        let (bound, bound_pattern) = (self.bind(e)?, self.bind(pattern)?);
        let escape = escape.map(escape_character).transpose()?;
        typed(expr::like(bound, bound_pattern, escape, insensitive, negated), pattern.span())
    }

    /// Only UTC: there is no data base of time zones here.
    fn at_time_zone(&mut self, timestamp: &ast::Expr, zone: &ast::Expr) -> SqlResult<Expr> {
        let bound = self.bind(timestamp)?;
        let name = self.bind(zone)?;
        let is_utc = matches!(name.as_literal(), Some(Value::Varchar(name)) if ["utc", "gmt", "z", "etc/utc"].contains(&name.to_lowercase().as_str()));
        if !is_utc {
            return Err(SqlError::unsupported(zone.span(), "AT TIME ZONE takes 'UTC' only"));
        }
        let target = match bound.data_type() {
            DataType::TimestampTz => DataType::Timestamp,
            _ => DataType::TimestampTz,
        };
        typed(expr::cast(bound, target, false), timestamp.span())
    }
}

/// `ESCAPE ''` turns escaping off.
fn escape_character(escape: &ast::Expr) -> SqlResult<char> {
    let error = || SqlError::new(SqlErrorKind::Value, escape.span(), "ESCAPE takes one character");
    let ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::SingleQuotedString(text), .. }) = escape else { return Err(error()) };
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (None, _) => Ok('\0'),
        (Some(character), None) => Ok(character),
        _ => Err(error()),
    }
}

/// Operators that do not chain, as in `a < b < c`: which group a node is of, if of one.
fn unchained(node: &ast::Expr) -> Option<&'static str> {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    use ast::Expr as Node;
    match node {
        Node::BinaryOp { op: Eq | NotEq | Lt | LtEq | Gt | GtEq, .. } => Some("comparisons"),
        Node::Between { .. } | Node::InList { .. } | Node::Like { .. } | Node::ILike { .. } => Some("BETWEEN, IN and LIKE"),
        _ => None,
    }
}

/// `a < b < c` means nothing, as in PostgreSQL.
fn refuse_chain(node: &ast::Expr, left: &ast::Expr) -> SqlResult<()> {
    match unchained(node) {
        Some(operators) if unchained(left) == Some(operators) => {
            Err(SqlError::syntax(node.span(), format!("{operators} do not chain")).hint("put one of them in parentheses"))
        }
        _ => Ok(()),
    }
}

/// The first operand of a chain; finding it takes no recursion.
fn leftmost(mut node: &ast::Expr) -> &ast::Expr {
    while let ast::Expr::BinaryOp { left: inner, .. } | ast::Expr::Cast { expr: inner, .. } | ast::Expr::Nested(inner) = node {
        node = inner;
    }
    node
}

fn operator(op: &BinaryOperator) -> Option<BinaryOp> {
    Some(match op {
        BinaryOperator::Plus => BinaryOp::Add,
        BinaryOperator::Minus => BinaryOp::Subtract,
        BinaryOperator::Multiply => BinaryOp::Multiply,
        BinaryOperator::Divide => BinaryOp::Divide,
        BinaryOperator::Modulo => BinaryOp::Modulo,
        BinaryOperator::Eq => BinaryOp::Eq,
        BinaryOperator::NotEq => BinaryOp::NotEq,
        BinaryOperator::Lt => BinaryOp::Lt,
        BinaryOperator::LtEq => BinaryOp::LtEq,
        BinaryOperator::Gt => BinaryOp::Gt,
        BinaryOperator::GtEq => BinaryOp::GtEq,
        BinaryOperator::And => BinaryOp::And,
        BinaryOperator::Or => BinaryOp::Or,
        BinaryOperator::StringConcat => BinaryOp::Concat,
        BinaryOperator::PGRegexMatch => BinaryOp::Regex,
        BinaryOperator::PGRegexIMatch => BinaryOp::RegexInsensitive,
        BinaryOperator::PGRegexNotMatch => BinaryOp::NotRegex,
        BinaryOperator::PGRegexNotIMatch => BinaryOp::NotRegexInsensitive,
        _ => return None,
    })
}

/// `~~` and its kin: LIKE as an operator. (insensitive, negated)
fn like_operator(op: &BinaryOperator) -> Option<(bool, bool)> {
    match op {
        BinaryOperator::PGLikeMatch => Some((false, false)),
        BinaryOperator::PGILikeMatch => Some((true, false)),
        BinaryOperator::PGNotLikeMatch => Some((false, true)),
        BinaryOperator::PGNotILikeMatch => Some((true, true)),
        _ => None,
    }
}
