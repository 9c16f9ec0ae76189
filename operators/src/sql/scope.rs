//! What names mean inside one clause.

use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::nearest::did_you_mean;
use super::syntax::Name;
use crate::expr::Expr;
use raympp_types::Schema;
use sqlparser::ast;
use sqlparser::tokenizer::Span;

/// The bounds of a window, columns that a window function adds to its rows.
pub(crate) const WINDOW_BOUNDS: [&str; 2] = ["window_start", "window_end"];

/// Where an expression is bound.
pub(crate) trait Scope {
    /// A column by its name, qualified or not.
    fn column(&mut self, path: &[ast::Ident]) -> SqlResult<Expr>;

    /// A call of an aggregate, by lower-case name.
    fn aggregate(&mut self, name: &str, call: &ast::Function, span: Span) -> SqlResult<Expr>;

    /// A node that stands for something as a whole, such as a key of GROUP BY; asked before its parts are looked at.
    fn whole(&mut self, _node: &ast::Expr) -> SqlResult<Option<Expr>> {
        Ok(None)
    }
}

/// The rows of a stream or a metric: plain columns, no aggregates.
pub(crate) struct RowScope<'a> {
    /// The alias of the table, or else its name.
    pub(crate) table: &'a str,
    pub(crate) schema: &'a Schema,
    /// The rows come from a window function, so they have bounds, if not ones that a row by itself knows.
    pub(crate) windowed: bool,
    /// Clause for messages: `WHERE`, `GROUP BY`, …
    pub(crate) clause: &'static str,
}

/// A column's name with the table before it, if there is one, split off.
pub(crate) fn split_path(path: &[ast::Ident]) -> SqlResult<(Option<Name>, Name)> {
    match path {
        [column] => Ok((None, Name::of(column))),
        [table, column] => Ok((Some(Name::of(table)), Name::of(column))),
        [first, ..] => Err(SqlError::unsupported(first.span, "a column's name has at most two parts: table.column")),
        [] => Err(SqlError::syntax(Span::empty(), "expected a column")),
    }
}

impl RowScope<'_> {
    /// The same rows in another clause.
    pub(crate) fn in_clause(&self, clause: &'static str) -> RowScope<'_> {
        RowScope { clause, ..*self }
    }

    /// Checks the qualifier and returns the column's own name.
    pub(crate) fn unqualified(&self, path: &[ast::Ident]) -> SqlResult<Name> {
        let (table, column) = split_path(path)?;
        match table {
            Some(table) if table.value != self.table => {
                let message = format!("there is no table \"{}\" in this FROM clause", table.value);
                Err(SqlError::new(SqlErrorKind::UndefinedObject, table.span, message).hint(format!("its name here is \"{}\"", self.table)))
            }
            _ => Ok(column),
        }
    }

    /// Which bound of the window the name means, if it means one.
    pub(crate) fn window_bound(&self, name: &Name) -> SqlResult<Option<usize>> {
        let bound = WINDOW_BOUNDS.iter().position(|bound| self.windowed && name.value == *bound);
        if bound.is_some() && self.schema.index_of(&name.value).is_some() {
            let message = format!("column reference \"{}\" is ambiguous", name.value);
            let hint = format!("the stream has a column of that name beside the window's; rename it in \"{}\"", self.table);
            return Err(SqlError::new(SqlErrorKind::AmbiguousColumn, name.span, message).hint(hint));
        }
        Ok(bound)
    }

    pub(crate) fn index_of(&self, name: &Name) -> SqlResult<usize> {
        self.schema.index_of(&name.value).ok_or_else(|| self.no_column(name, &[]))
    }

    /// The error for a name that nothing has; `others` are names that would do as well.
    pub(crate) fn no_column(&self, name: &Name, others: &[&str]) -> SqlError {
        let bounds: &[&str] = if self.windowed { &WINDOW_BOUNDS } else { &[] };
        let columns = self.schema.fields.iter().map(|field| field.name.as_str());
        let hint = did_you_mean(&name.value, columns.chain(bounds.iter().copied()).chain(others.iter().copied()));
        let no_window = WINDOW_BOUNDS.contains(&name.value.as_str()).then(|| "only window functions in FROM have it".to_owned());
        let message = format!("column \"{}\" does not exist", name.value);
        SqlError::new(SqlErrorKind::UndefinedColumn, name.span, message).hint_if(hint.or(no_window))
    }
}

impl Scope for RowScope<'_> {
    fn column(&mut self, path: &[ast::Ident]) -> SqlResult<Expr> {
        let name = self.unqualified(path)?;
        if self.window_bound(&name)?.is_some() {
            let message = format!("{} cannot be used in {}", name.value, self.clause);
            let hint = "a row lies in several windows: use it in SELECT, HAVING, or by itself in GROUP BY";
            return Err(SqlError::new(SqlErrorKind::Window, name.span, message).hint(hint));
        }
        let index = self.index_of(&name)?;
        Ok(Expr::column(index, &name.value, self.schema.fields[index].data_type))
    }

    fn aggregate(&mut self, _: &str, _: &ast::Function, span: Span) -> SqlResult<Expr> {
        let hint = (self.clause == "WHERE").then(|| "conditions on groups go into HAVING".to_owned());
        let message = format!("aggregate functions are not allowed in {}", self.clause);
        Err(SqlError::new(SqlErrorKind::Grouping, span, message).hint_if(hint))
    }
}

/// No columns at all: limits, intervals, bounds.
pub(crate) struct ConstantScope;

impl Scope for ConstantScope {
    fn column(&mut self, path: &[ast::Ident]) -> SqlResult<Expr> {
        let (_, name) = split_path(path)?;
        let message = format!("a constant is expected here, found column \"{}\"", name.value);
        Err(SqlError::new(SqlErrorKind::Value, name.span, message))
    }

    fn aggregate(&mut self, _: &str, _: &ast::Function, span: Span) -> SqlResult<Expr> {
        Err(SqlError::new(SqlErrorKind::Grouping, span, "aggregate functions are not allowed here"))
    }
}
