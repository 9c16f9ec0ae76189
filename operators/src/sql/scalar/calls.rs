//! Calls: by name, and in the SQL standard's own syntax (EXTRACT, SUBSTRING, TRIM, …).

use super::{Binder, typed};
use crate::accumulator::Aggregate;
use crate::accumulator::names::aggregate_names;
use crate::expr::{self, Expr};
use crate::sql::error::{SqlError, SqlErrorKind, SqlResult};
use crate::sql::nearest::did_you_mean;
use crate::sql::syntax::Name;
use raympp_types::Value;
use sqlparser::ast::{self, CeilFloorKind, DateTimeField, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, TrimWhereField};
use sqlparser::tokenizer::Span;

/// Names that read a clock, a session or a source of randomness.
const IMPURE: [&str; 14] = [
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "random",
    "gen_random_uuid",
    "current_user",
    "session_user",
    "user",
];

impl Binder<'_> {
    pub(super) fn call(&mut self, node: &ast::Expr) -> SqlResult<Expr> {
        use ast::Expr as Node;
        let span = node.span();
        match node {
            Node::Function(function) => self.function(function),
            Node::Extract { field, expr, .. } => {
                let field = match field {
                    DateTimeField::Custom(name) => name.value.to_lowercase(),
                    field => field.to_string().to_lowercase(),
                };
                self.named("extract", Some(Expr::literal(Value::from(field))), &[expr], span)
            }
            Node::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => self.named("ceil", None, &[expr], span),
            Node::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.named("floor", None, &[expr], span)
            }
            Node::Substring { expr, substring_from, substring_for, .. } => {
                self.substring(expr, substring_from.as_deref(), substring_for.as_deref(), span)
            }
            Node::Trim { expr, trim_where, trim_what, trim_characters } => {
                let characters = trim_characters.as_deref().unwrap_or_default();
                self.trim(expr, trim_where.as_ref(), trim_what.as_deref(), characters, span)
            }
            _ => Err(refused(node, span)),
        }
    }

    fn named(&mut self, name: &str, first: Option<Expr>, rest: &[&ast::Expr], span: Span) -> SqlResult<Expr> {
        let mut arguments: Vec<Expr> = first.into_iter().collect();
        for argument in rest {
            arguments.push(self.bind(argument)?);
        }
        typed(expr::call(name, arguments), span)
    }

    fn substring(&mut self, e: &ast::Expr, from: Option<&ast::Expr>, length: Option<&ast::Expr>, span: Span) -> SqlResult<Expr> {
        let mut arguments = vec![self.bind(e)?];
        match from {
            Some(from) => arguments.push(self.bind(from)?),
            None => arguments.push(Expr::literal(Value::Integer(1))),
        }
        if let Some(length) = length {
            arguments.push(self.bind(length)?);
        }
        typed(expr::call("substring", arguments), span)
    }

    fn trim(
        &mut self,
        e: &ast::Expr,
        side: Option<&TrimWhereField>,
        what: Option<&ast::Expr>,
        characters: &[ast::Expr],
        span: Span,
    ) -> SqlResult<Expr> {
        let name = match side {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            Some(TrimWhereField::Both) | None => "btrim",
        };
        let arguments: Vec<&ast::Expr> = std::iter::once(e).chain(what).chain(characters).collect();
        self.named(name, None, &arguments, span)
    }

    fn function(&mut self, function: &ast::Function) -> SqlResult<Expr> {
        let name = function_name(function)?;
        let span = function.name.span();
        if function.over.is_some() {
            return Err(SqlError::unsupported(span, "window functions with OVER are not supported").hint("group by a window in FROM"));
        }
        if IMPURE.contains(&name.value.as_str()) {
            let message = format!("{} is not supported", name.value);
            return Err(
                SqlError::unsupported(span, message).hint("results depend on the rows alone, never on when or where they are computed")
            );
        }
        if Aggregate::is_aggregate_name(&name.value) {
            return self.scope.aggregate(&name.value, function, span);
        }
        self.scalar_function(&name, function, span)
    }

    fn scalar_function(&mut self, name: &Name, function: &ast::Function, span: Span) -> SqlResult<Expr> {
        if !expr::function_names().any(|known| known == name.value) {
            let message = format!("function {} does not exist", name.value);
            let names = expr::function_names().chain(aggregate_names());
            return Err(SqlError::new(SqlErrorKind::UndefinedFunction, span, message).hint_if(did_you_mean(&name.value, names)));
        }
        let call = CallArguments::of(function, span)?;
        if call.distinct || call.star || function.filter.is_some() {
            let what = if call.distinct {
                "DISTINCT"
            } else if call.star {
                "*"
            } else {
                "FILTER"
            };
            let message = format!("{what} belongs to aggregates, and {} is none", name.value);
            return Err(SqlError::new(SqlErrorKind::Grouping, span, message));
        }
        let arguments = match name.value.as_str() {
            "coalesce" => self.first_needed(call.arguments)?,
            _ => call.arguments.into_iter().map(|argument| self.bind(argument)).collect::<SqlResult<Vec<_>>>()?,
        };
        typed(expr::call(&name.value, arguments), span)
    }
}

/// The arguments of a call, stripped of the forms that nothing here takes.
pub(crate) struct CallArguments<'a> {
    pub(crate) distinct: bool,
    pub(crate) star: bool,
    pub(crate) arguments: Vec<&'a ast::Expr>,
}

impl<'a> CallArguments<'a> {
    pub(crate) fn of(function: &'a ast::Function, span: Span) -> SqlResult<CallArguments<'a>> {
        let refuse = |what: &str| Err(SqlError::unsupported(span, format!("{what} in a call is not supported")));
        if !function.within_group.is_empty() {
            return refuse("WITHIN GROUP");
        }
        if function.null_treatment.is_some() {
            return refuse("IGNORE NULLS or RESPECT NULLS");
        }
        let list = match (&function.parameters, &function.args) {
            (FunctionArguments::None, FunctionArguments::List(list)) => list,
            (_, FunctionArguments::Subquery(_)) => return Err(subquery(span)),
            _ => return Err(SqlError::syntax(span, "expected arguments in parentheses")),
        };
        if !list.clauses.is_empty() {
            return refuse("ORDER BY or another clause");
        }
        let mut call = CallArguments { distinct: false, star: false, arguments: vec![] };
        call.distinct = matches!(list.duplicate_treatment, Some(ast::DuplicateTreatment::Distinct));
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => call.arguments.push(argument),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if list.args.len() == 1 => call.star = true,
                _ => return refuse("a named argument or a qualified *"),
            }
        }
        Ok(call)
    }
}

fn function_name(function: &ast::Function) -> SqlResult<Name> {
    match function.name.0.as_slice() {
        [ast::ObjectNamePart::Identifier(ident)] => Ok(Name::of(ident)),
        _ => Err(SqlError::unsupported(function.name.span(), "a function's name has one part")),
    }
}

fn subquery(span: Span) -> SqlError {
    SqlError::unsupported(span, "subqueries are not supported").hint("create a metric and SELECT from it")
}

/// Syntax that PostgreSQL or its relatives have and this dialect has not.
fn refused(node: &ast::Expr, span: Span) -> SqlError {
    use ast::Expr as Node;
    let what = match node {
        Node::Subquery(_) | Node::Exists { .. } | Node::InSubquery { .. } => return subquery(span),
        Node::Position { .. } => "POSITION",
        Node::Overlay { .. } => "OVERLAY",
        Node::SimilarTo { .. } => return SqlError::unsupported(span, "SIMILAR TO is not supported").hint("use LIKE or ~"),
        Node::AnyOp { .. } | Node::AllOp { .. } => return SqlError::unsupported(span, "ANY and ALL are not supported").hint("use IN"),
        Node::Like { .. } | Node::ILike { .. } => "LIKE ANY",
        Node::Tuple(_) => "a row of several values",
        Node::Array(_) | Node::CompoundFieldAccess { .. } | Node::JsonAccess { .. } => "a value made of others (array, JSON, row)",
        Node::Collate { .. } => return SqlError::unsupported(span, "COLLATE is not supported").hint("text compares bytewise"),
        Node::Cast { .. } | Node::Convert { .. } => {
            return SqlError::unsupported(span, "this form of a cast is not supported").hint("write CAST(x AS type)");
        }
        Node::Wildcard(_) | Node::QualifiedWildcard(..) => "* in an expression",
        Node::Ceil { .. } | Node::Floor { .. } => "CEIL or FLOOR with a unit",
        _ => "this form of expression",
    };
    SqlError::unsupported(span, format!("{what} is not supported"))
}
