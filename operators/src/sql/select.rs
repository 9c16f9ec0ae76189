//! SELECT over a metric to a [`SelectPlan`].

#[path = "select/point.rs"]
mod point;

use super::catalog::Catalog;
use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::grouping::{GroupKeys, GroupScope, aliased, aliases, group_keys, output, position, unparenthesised};
use super::nearest::did_you_mean;
use super::scalar::{bind, bind_condition};
use super::scope::{ConstantScope, RowScope, Scope};
use super::syntax::{Name, ObjectKind, Relation, Select, SelectItem};
use crate::accumulator::Aggregate;
use crate::expr::{self, Expr};
use crate::plan::{MetricPlan, OrderKey, Output, SelectGroups, SelectPlan};
use raympp_types::{DataType, Schema, Value};
use sqlparser::ast::{self, OrderBySort, Spanned};
use sqlparser::tokenizer::Span;

pub(crate) fn bind_select(select: &Select, catalog: &Catalog) -> SqlResult<SelectPlan> {
    let metric = metric_of(&select.relation, catalog)?;
    let input = metric.readable_schema();
    let table = select.alias.as_ref().map_or(metric.name.as_str(), |alias| &alias.value);
    let rows = RowScope { table, schema: &input, windowed: false, clause: "WHERE" };
    let filter = select.filter.as_ref().map(|filter| bind_condition(filter, &mut rows.in_clause("WHERE"), "WHERE")).transpose()?;
    let point = filter.as_ref().and(select.filter.as_ref()).and_then(|filter| point::point(filter, metric, &rows));
    let body = bind_body(select, &rows)?;
    check_distinct(select, &body)?;
    Ok(SelectPlan {
        metric: metric.name.clone(),
        filter,
        groups: body.groups,
        projection: body.projection,
        distinct: select.distinct.is_some(),
        order_by: body.order_by,
        limit: select.limit.as_ref().map(|(limit, span)| row_count(limit, *span, "LIMIT")).transpose()?.flatten(),
        offset: select.offset.as_ref().map(|(offset, span)| row_count(offset, *span, "OFFSET")).transpose()?.flatten().unwrap_or(0),
        point: if metric.keys.is_empty() { Some(vec![]) } else { point },
        input,
    })
}

/// Everything above the filter.
struct Body {
    groups: Option<SelectGroups>,
    projection: Vec<Output>,
    order_by: Vec<OrderKey>,
}

fn metric_of<'a>(relation: &Relation, catalog: &'a Catalog) -> SqlResult<&'a MetricPlan> {
    let name = match relation {
        Relation::Name(name) => name,
        Relation::Window(call) => {
            let message = "a window function makes a metric; a SELECT reads one";
            let error = SqlError::new(SqlErrorKind::WrongObject, call.function.span, message);
            return Err(error.hint("write CREATE METRIC name AS SELECT …, then SELECT … FROM name"));
        }
    };
    if let Some(metric) = catalog.metrics.get(&name.value) {
        return Ok(metric);
    }
    let is = match catalog.kind_of(&name.value) {
        Some(ObjectKind::Stream) => "is a stream, and its rows are not kept",
        Some(_) => "is a sink",
        None if catalog.late_rows(&name.value).is_some() => "holds late rows, which only a sink can read",
        None => return Err(no_metric(name, catalog)),
    };
    let error = SqlError::new(SqlErrorKind::WrongObject, name.span, format!("\"{}\" {is}", name.value));
    Err(error.hint("a SELECT reads a metric: CREATE METRIC … AS SELECT … first"))
}

fn no_metric(name: &Name, catalog: &Catalog) -> SqlError {
    let hint = did_you_mean(&name.value, catalog.names(ObjectKind::Metric));
    SqlError::new(SqlErrorKind::UndefinedObject, name.span, format!("metric \"{}\" does not exist", name.value)).hint_if(hint)
}

/// Rows by themselves, until an aggregate turns up.
struct PlainScope<'a> {
    rows: RowScope<'a>,
    met_aggregate: bool,
}

impl Scope for PlainScope<'_> {
    fn column(&mut self, path: &[ast::Ident]) -> SqlResult<Expr> {
        self.rows.column(path)
    }

    fn aggregate(&mut self, name: &str, call: &ast::Function, span: Span) -> SqlResult<Expr> {
        self.met_aggregate = true;
        self.rows.aggregate(name, call, span)
    }
}

/// Rows are grouped by GROUP BY, HAVING, or an aggregate anywhere above WHERE.
fn bind_body(select: &Select, rows: &RowScope) -> SqlResult<Body> {
    if select.group_by.is_some() || select.having.is_some() {
        return bind_groups(select, rows);
    }
    let mut scope = PlainScope { rows: rows.in_clause("SELECT"), met_aggregate: false };
    match bind_rows(select, &mut scope) {
        Err(_) if scope.met_aggregate => bind_groups(select, rows),
        bound => bound,
    }
}

fn bind_rows(select: &Select, scope: &mut PlainScope) -> SqlResult<Body> {
    let mut projection = vec![];
    for item in &select.items {
        match item {
            SelectItem::Expr { expr, alias, .. } => projection.push(output(expr, alias.as_ref(), scope)?),
            SelectItem::Wildcard { qualifier, span } => projection.extend(wildcard(qualifier.as_ref(), *span, &scope.rows)?),
        }
    }
    let order_by = order_keys(select, &projection, scope)?;
    Ok(Body { groups: None, projection, order_by })
}

fn bind_groups(select: &Select, rows: &RowScope) -> SqlResult<Body> {
    let GroupKeys { keys, .. } = group_keys(select.group_by.as_deref().unwrap_or_default(), &select.items, rows)?;
    let mut scope = GroupScope { rows, keys: &keys, bounds: None, aliases: aliases(&select.items), aggregates: vec![], places: vec![] };
    let mut projection = vec![];
    for item in &select.items {
        match item {
            SelectItem::Expr { expr, alias, .. } => projection.push(output(expr, alias.as_ref(), &mut scope)?),
            SelectItem::Wildcard { span, .. } => {
                let message = "SELECT * cannot be combined with GROUP BY or aggregates";
                return Err(SqlError::new(SqlErrorKind::Grouping, *span, message).hint("name the keys and aggregates"));
            }
        }
    }
    let having = select.having.as_ref().map(|having| bind_condition(having, &mut scope, "HAVING")).transpose()?;
    let order_by = order_keys(select, &projection, &mut scope)?;
    if let Some((aggregate, place)) = scope.by_event_time() {
        let message = format!("{} is not supported over a metric: its rows are in no order of time", aggregate.name());
        return Err(SqlError::unsupported(place, message).hint("use ARG_MIN or ARG_MAX over a column of the metric"));
    }
    let aggregates: Vec<Aggregate> = scope.aggregates;
    Ok(Body { groups: Some(SelectGroups { keys, aggregates, having }), projection, order_by })
}

fn wildcard(qualifier: Option<&Name>, span: Span, rows: &RowScope) -> SqlResult<Vec<Output>> {
    if let Some(name) = qualifier.filter(|name| name.value != rows.table) {
        let message = format!("there is no table \"{}\" in this FROM clause", name.value);
        return Err(SqlError::new(SqlErrorKind::UndefinedObject, span, message));
    }
    Ok(all_columns(rows.schema))
}

fn all_columns(schema: &Schema) -> Vec<Output> {
    let column = |(index, field): (usize, &raympp_types::Field)| {
        let expr = Expr::column(index, &field.name, field.data_type);
        Output { name: field.name.clone(), expr }
    };
    schema.fields.iter().enumerate().map(column).collect()
}

fn order_keys(select: &Select, projection: &[Output], scope: &mut dyn Scope) -> SqlResult<Vec<OrderKey>> {
    select.order_by.iter().map(|key| order_key(key, select, projection, scope)).collect()
}

fn order_key(key: &ast::OrderByExpr, select: &Select, projection: &[Output], scope: &mut dyn Scope) -> SqlResult<OrderKey> {
    let span = key.expr.span();
    let descending = match &key.options.sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(_)) => {
            return Err(SqlError::unsupported(span, "ORDER BY … USING is not supported").hint("write ASC or DESC"));
        }
    };
    let nulls_first = key.options.nulls_first.unwrap_or(descending);
    Ok(OrderKey { expr: order_expr(&key.expr, select, projection, scope)?, descending, nulls_first })
}

/// A position, the name of a result column, or else an expression over the rows below.
fn order_expr(node: &ast::Expr, select: &Select, projection: &[Output], scope: &mut dyn Scope) -> SqlResult<Expr> {
    let span = node.span();
    match unparenthesised(node) {
        ast::Expr::Value(ast::ValueWithSpan { value: ast::Value::Number(digits, _), .. }) => {
            let column = digits.parse::<usize>().ok().and_then(|number| projection.get(number.checked_sub(1)?));
            match column {
                Some(column) => Ok(column.expr.clone()),
                None => position(digits, &[], "ORDER BY", span).map(|_| Expr::literal(Value::Null)),
            }
        }
        ast::Expr::Value(_) => Err(SqlError::syntax(span, "non-integer constant in ORDER BY")),
        ast::Expr::Identifier(ident) => {
            let name = Name::of(ident);
            aliased(&name, &select.items)?;
            match projection.iter().find(|column| column.name == name.value) {
                Some(column) => Ok(column.expr.clone()),
                None => scope.column(std::slice::from_ref(ident)),
            }
        }
        node => bind(node, scope),
    }
}

fn check_distinct(select: &Select, body: &Body) -> SqlResult<()> {
    if select.distinct.is_none() {
        return Ok(());
    }
    for (written, key) in select.order_by.iter().zip(&body.order_by) {
        if !body.projection.iter().any(|column| column.expr == key.expr) {
            let message = "for SELECT DISTINCT, ORDER BY expressions must appear in the SELECT list";
            return Err(SqlError::new(SqlErrorKind::Grouping, written.expr.span(), message));
        }
    }
    Ok(())
}

/// The number after LIMIT or OFFSET; `None` for NULL and ALL.
fn row_count(written: &ast::Expr, span: Span, clause: &str) -> SqlResult<Option<u64>> {
    if matches!(written, ast::Expr::Identifier(ident) if Name::of(ident).value == "all" && clause == "LIMIT") {
        return Ok(None);
    }
    let error = || SqlError::new(SqlErrorKind::Value, span, format!("{clause} takes a whole number that is not negative"));
    let bound = bind(written, &mut ConstantScope)?;
    let count = expr::implicit_cast(bound, DataType::BigInt).map_err(|_| error())?;
    match count.as_literal() {
        Some(Value::Null) => Ok(None),
        Some(Value::BigInt(count)) => u64::try_from(*count).map(Some).map_err(|_| error()),
        _ => Err(error()),
    }
}
