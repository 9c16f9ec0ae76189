//! Expressions over groups: SELECT, HAVING and ORDER BY of a grouped query.
//!
//! They are bound to the *group row*: the keys, then the window's bounds if it has any, then the aggregates. A node that equals a key
//! of GROUP BY is that key's column; equality is that of the typed trees, so `(a + b)` and `a+b` are one. Aggregates are collected as
//! they are met, equal ones once, and their arguments are bound to the rows below. Whatever else names a column of the rows has no
//! single value in a group, and is refused.

use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::scalar::calls::CallArguments;
use super::scalar::{bind, bind_condition};
use super::scope::{RowScope, Scope, WINDOW_BOUNDS, split_path};
use super::syntax::{Name, SelectItem};
use crate::accumulator::{Aggregate, AggregateErrorKind, AggregateFunction};
use crate::expr::Expr;
use crate::plan::{Key, Output};
use raympp_types::DataType;
use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::Span;

/// The keys of GROUP BY, and whether it names the window.
#[derive(Debug, Default)]
pub(crate) struct GroupKeys {
    pub(crate) keys: Vec<Key>,
    pub(crate) names_window: bool,
}

/// Binds GROUP BY: columns, positions and aliases of SELECT items, expressions, the window's bounds.
pub(crate) fn group_keys(group_by: &[ast::Expr], items: &[SelectItem], rows: &RowScope) -> SqlResult<GroupKeys> {
    let mut keys = GroupKeys::default();
    for written in group_by {
        let (node, alias) = resolve(written, items, rows)?;
        if is_window_bound(node, rows)? {
            keys.names_window = true;
            continue;
        }
        let expr = super::scalar::settled(bind(node, &mut rows.in_clause("GROUP BY"))?, node.span())?;
        let name = alias.or_else(|| column_name(node)).unwrap_or_else(|| expr.to_string());
        if !keys.keys.iter().any(|key| key.expr == expr) {
            keys.keys.push(Key { name, expr });
        }
    }
    Ok(keys)
}

/// What an item of GROUP BY stands for, and the alias it has in SELECT. A column of the rows comes before an alias.
fn resolve<'a>(written: &'a ast::Expr, items: &'a [SelectItem], rows: &RowScope) -> SqlResult<(&'a ast::Expr, Option<String>)> {
    let written = unparenthesised(written);
    let span = written.span();
    if let ast::Expr::Value(value) = written {
        let ast::Value::Number(digits, _) = &value.value else {
            return Err(SqlError::syntax(span, "non-integer constant in GROUP BY"));
        };
        return position(digits, items, "GROUP BY", span).map(|(expr, alias)| (expr, alias.map(|name| name.value.clone())));
    }
    let ast::Expr::Identifier(ident) = written else { return Ok((written, None)) };
    let name = Name::of(ident);
    if rows.schema.index_of(&name.value).is_some() || rows.window_bound(&name)?.is_some() {
        return Ok((written, None));
    }
    match aliased(&name, items)? {
        Some(expr) => Ok((expr, Some(name.value))),
        None => Err(rows.no_column(&name, &aliases(items))),
    }
}

/// Parentheses mean nothing around a position or an alias.
pub(crate) fn unparenthesised(mut node: &ast::Expr) -> &ast::Expr {
    while let ast::Expr::Nested(inner) = node {
        node = inner;
    }
    node
}

/// The SELECT item of that number, from 1.
pub(crate) fn position<'a>(
    digits: &str,
    items: &'a [SelectItem],
    clause: &str,
    span: Span,
) -> SqlResult<(&'a ast::Expr, Option<&'a Name>)> {
    let Ok(number) = digits.parse::<usize>() else {
        return Err(SqlError::syntax(span, format!("non-integer constant in {clause}")));
    };
    match number.checked_sub(1).and_then(|index| items.get(index)) {
        Some(SelectItem::Expr { expr, alias, .. }) => Ok((expr, alias.as_ref())),
        _ => Err(SqlError::new(SqlErrorKind::UndefinedColumn, span, format!("{clause} position {number} is not in the SELECT list"))),
    }
}

/// The SELECT item of that alias; several are one too many unless they are the same.
pub(crate) fn aliased<'a>(name: &Name, items: &'a [SelectItem]) -> SqlResult<Option<&'a ast::Expr>> {
    let mut found: Option<&ast::Expr> = None;
    for item in items {
        if let SelectItem::Expr { expr, alias: Some(alias), .. } = item {
            if alias.value != name.value {
                continue;
            }
            if found.is_some_and(|other| other != expr) {
                let message = format!("\"{}\" is ambiguous: several SELECT items have that alias", name.value);
                return Err(SqlError::new(SqlErrorKind::AmbiguousColumn, name.span, message));
            }
            found = Some(expr);
        }
    }
    Ok(found)
}

pub(crate) fn aliases(items: &[SelectItem]) -> Vec<&str> {
    let alias = |item| if let &SelectItem::Expr { alias: Some(ref alias), .. } = item { Some(alias.value.as_str()) } else { None };
    items.iter().filter_map(alias).collect()
}

/// A column by itself, under its own name.
fn column_name(node: &ast::Expr) -> Option<String> {
    match node {
        ast::Expr::Nested(inner) => column_name(inner),
        ast::Expr::Identifier(ident) => Some(Name::of(ident).value),
        ast::Expr::CompoundIdentifier(path) => path.last().map(|ident| Name::of(ident).value),
        _ => None,
    }
}

fn path_of(node: &ast::Expr) -> Option<&[ast::Ident]> {
    match node {
        ast::Expr::Identifier(ident) => Some(std::slice::from_ref(ident)),
        ast::Expr::CompoundIdentifier(path) => Some(path),
        ast::Expr::Nested(inner) => path_of(inner),
        _ => None,
    }
}

fn is_window_bound(node: &ast::Expr, rows: &RowScope) -> SqlResult<bool> {
    match path_of(node) {
        Some(path) if WINDOW_BOUNDS.contains(&split_path(path)?.1.value.as_str()) => {
            Ok(rows.window_bound(&rows.unqualified(path)?)?.is_some())
        }
        _ => Ok(false),
    }
}

/// The scope of SELECT, HAVING and ORDER BY over groups.
pub(crate) struct GroupScope<'a> {
    pub(crate) rows: &'a RowScope<'a>,
    pub(crate) keys: &'a [Key],
    /// The type of window_start and window_end, if groups have them.
    pub(crate) bounds: Option<DataType>,
    /// Aliases of SELECT, which HAVING and other SELECT items cannot name.
    pub(crate) aliases: Vec<&'a str>,
    /// All aggregates met so far.
    pub(crate) aggregates: Vec<Aggregate>,
}

impl GroupScope<'_> {
    fn first_aggregate(&self) -> usize {
        self.keys.len() + if self.bounds.is_some() { WINDOW_BOUNDS.len() } else { 0 }
    }

    fn key_column(&self, expr: &Expr) -> Option<Expr> {
        let index = self.keys.iter().position(|key| key.expr == *expr)?;
        let key = &self.keys[index];
        let unnamed = expr.as_column().is_none() && key.name == expr.to_string();
        Some(if unnamed { Expr::holding(index, expr) } else { Expr::column(index, &key.name, expr.data_type()) })
    }

    /// Could a node of this form be a key? Spares binding every subtree twice where all keys are plain columns.
    fn may_be_key(&self, node: &ast::Expr) -> bool {
        let is_column = |node: &ast::Expr| matches!(node, ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_));
        let is_constant = matches!(node, ast::Expr::Value(_) | ast::Expr::Interval(_) | ast::Expr::TypedString(_));
        !is_column(node) && !is_constant && self.keys.iter().any(|key| key.expr.as_column().is_none())
    }
}

impl Scope for GroupScope<'_> {
    fn whole(&mut self, node: &ast::Expr) -> SqlResult<Option<Expr>> {
        if !self.may_be_key(node) {
            return Ok(None);
        }
        let bound = bind(node, &mut self.rows.in_clause("GROUP BY"));
        Ok(bound.ok().and_then(|bound| self.key_column(&bound)))
    }

    fn column(&mut self, path: &[ast::Ident]) -> SqlResult<Expr> {
        let name = self.rows.unqualified(path)?;
        if let (Some(bound), Some(time)) = (self.rows.window_bound(&name)?, self.bounds) {
            return Ok(Expr::column(self.keys.len() + bound, &name.value, time));
        }
        let column = self.rows.in_clause("SELECT").column(path).map_err(|error| match self.aliases.contains(&name.value.as_str()) {
            true => error.hint("an alias of SELECT has no meaning here; write the expression"),
            false => error,
        })?;
        self.key_column(&column).ok_or_else(|| {
            let message = format!("column \"{}\" must appear in the GROUP BY clause or be used in an aggregate function", name.value);
            SqlError::new(SqlErrorKind::Grouping, name.span, message)
        })
    }

    fn aggregate(&mut self, name: &str, call: &ast::Function, span: Span) -> SqlResult<Expr> {
        let aggregate = bind_aggregate(name, call, span, self.rows)?;
        let (data_type, call) = (aggregate.data_type(), aggregate.to_string());
        let index = match self.aggregates.iter().position(|known| *known == aggregate) {
            Some(index) => index,
            None => {
                self.aggregates.push(aggregate);
                self.aggregates.len() - 1
            }
        };
        Ok(Expr::holding_call(self.first_aggregate() + index, call, data_type))
    }
}

fn bind_aggregate(name: &str, call: &ast::Function, span: Span, rows: &RowScope) -> SqlResult<Aggregate> {
    let written = CallArguments::of(call, span)?;
    let refuse = |message: String| Err(SqlError::new(SqlErrorKind::UndefinedFunction, span, message));
    if written.star && (name != "count" || written.distinct) {
        return refuse(format!("{name}({}*) does not exist: only COUNT(*) takes *", if written.distinct { "DISTINCT " } else { "" }));
    }
    if !written.star && written.arguments.is_empty() {
        return refuse(if name == "count" {
            "COUNT needs an argument: COUNT(*) counts rows".into()
        } else {
            format!("{name} needs an argument")
        });
    }
    let mut scope = AggregateScope { rows: rows.in_clause("an aggregate's argument"), what: "an aggregate's argument" };
    let arguments = written.arguments.iter().map(|argument| bind(argument, &mut scope)).collect::<SqlResult<Vec<_>>>()?;
    let mut scope = AggregateScope { rows: rows.in_clause("FILTER"), what: "FILTER" };
    let filter = call.filter.as_deref().map(|filter| bind_condition(filter, &mut scope, "FILTER")).transpose()?;
    Aggregate::new(name, written.distinct, arguments, filter).map_err(|error| {
        let kind = match error.kind {
            AggregateErrorKind::UnknownName | AggregateErrorKind::ArgumentCount => SqlErrorKind::UndefinedFunction,
            AggregateErrorKind::TypeMismatch => SqlErrorKind::Type,
            AggregateErrorKind::InvalidParameter => SqlErrorKind::Value,
            AggregateErrorKind::DistinctUnsupported => SqlErrorKind::Unsupported,
        };
        SqlError::new(kind, span, error.message)
    })
}

/// True for aggregates that order rows by event time.
pub(crate) fn needs_event_time(function: AggregateFunction) -> bool {
    matches!(function, AggregateFunction::FirstValue | AggregateFunction::LastValue)
}

/// What an aggregate is made of: columns of the rows, no further aggregate.
struct AggregateScope<'a> {
    rows: RowScope<'a>,
    what: &'static str,
}

impl Scope for AggregateScope<'_> {
    fn column(&mut self, path: &[ast::Ident]) -> SqlResult<Expr> {
        self.rows.column(path)
    }

    fn aggregate(&mut self, _: &str, _: &ast::Function, span: Span) -> SqlResult<Expr> {
        let message = match self.what {
            "FILTER" => "aggregate functions are not allowed in FILTER",
            _ => "aggregate function calls cannot be nested",
        };
        Err(SqlError::new(SqlErrorKind::Grouping, span, message))
    }
}

/// Binds one SELECT item under its alias or the name PostgreSQL would give it.
pub(crate) fn output(expr: &ast::Expr, alias: Option<&Name>, scope: &mut dyn Scope) -> SqlResult<Output> {
    let bound = super::scalar::settled(bind(expr, scope)?, expr.span())?;
    let name = alias.map_or_else(|| implied_name(expr), |alias| alias.value.clone());
    Ok(Output { name, expr: bound })
}

/// The name of a column without alias: the column's, the function's, the construct's, else `?column?`.
fn implied_name(node: &ast::Expr) -> String {
    use ast::Expr as Node;
    match node {
        Node::Nested(inner) | Node::Cast { expr: inner, .. } => implied_name(inner),
        Node::Function(function) => match function.name.0.last() {
            Some(ast::ObjectNamePart::Identifier(ident)) => Name::of(ident).value,
            _ => "?column?".to_owned(),
        },
        Node::Case { .. } => "case".to_owned(),
        Node::Extract { .. } => "extract".to_owned(),
        Node::Ceil { .. } => "ceil".to_owned(),
        Node::Floor { .. } => "floor".to_owned(),
        Node::Substring { .. } => "substring".to_owned(),
        Node::Trim { .. } => "btrim".to_owned(),
        Node::AtTimeZone { .. } => "timezone".to_owned(),
        Node::Interval(_) => "interval".to_owned(),
        _ => column_name(node).unwrap_or_else(|| "?column?".to_owned()),
    }
}
