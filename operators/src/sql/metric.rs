//! CREATE METRIC to a [`MetricPlan`].

use super::catalog::Catalog;
use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::grouping::{GroupKeys, GroupScope, aliases, group_keys, output};
use super::options::{CheckedOptions, RUNNING_METRIC_OPTIONS, WINDOWED_METRIC_OPTIONS};
use super::scalar::bind_condition;
use super::scope::RowScope;
use super::stream::time_column;
use super::syntax::{CreateMetric, Name, ObjectKind, Relation, Select, SelectItem, WindowCall};
use super::window_call::window;
use crate::plan::{Key, METRIC_FLAGS, MetricPlan, Output, StreamPlan};
use crate::window::Window;
use sqlparser::tokenizer::Span;
use std::sync::Arc;

/// A metric and its stream.
pub(crate) fn bind_metric(statement: CreateMetric, catalog: &Catalog) -> SqlResult<(MetricPlan, Arc<StreamPlan>)> {
    let CreateMetric { name, select, options, text, .. } = statement;
    refuse_clauses(&select)?;
    let stream = stream_of(&select, catalog)?;
    let (window, event_time) = window_of(&select.relation, stream)?;
    let (known, of_what) = match event_time {
        Some(_) => (WINDOWED_METRIC_OPTIONS, "a metric over windows"),
        None => (RUNNING_METRIC_OPTIONS, "a metric without a window"),
    };
    let mut options = CheckedOptions::check(options, known, of_what, name.span)?;
    if let (None, Some(span)) = (stream.event_time, options.span("ttl")) {
        return Err(no_event_time("ttl", None, stream, span));
    }
    let window = if event_time.is_some() { window } else { Window::Global { ttl_us: options.duration_us("ttl") } };
    let plan = bind_query(name.value, &select, stream, window, event_time)?;
    let retention_us = options.duration_us("retention").unwrap_or(window.size_us());
    let backfill = options.boolean("backfill").unwrap_or(false);
    Ok((MetricPlan { retention_us, backfill, definition: text, ..plan }, Arc::clone(stream)))
}

fn bind_query(name: String, select: &Select, stream: &StreamPlan, window: Window, event_time: Option<usize>) -> SqlResult<MetricPlan> {
    let table = select.alias.as_ref().map_or(stream.name.as_str(), |alias| &alias.value);
    let rows = RowScope { table, schema: &stream.schema, windowed: window.has_bounds(), clause: "WHERE" };
    let filter = select.filter.as_ref().map(|filter| bind_condition(filter, &mut rows.in_clause("WHERE"), "WHERE")).transpose()?;
    let GroupKeys { keys, names_window } = group_keys(select.group_by.as_deref().unwrap_or_default(), &select.items, &rows)?;
    if window.has_bounds() && !names_window {
        return Err(no_window_in_group_by(select));
    }
    if let Relation::Window(WindowCall { partition_by: Some(columns), function, .. }) = &select.relation {
        check_partition(columns, function, &keys, &rows)?;
    }
    let bounds = event_time.map(|column| stream.schema.fields[column].data_type);
    let mut scope = GroupScope { rows: &rows, keys: &keys, bounds, aliases: aliases(&select.items), aggregates: vec![], places: vec![] };
    let outputs = outputs(&select.items, &mut scope)?;
    let having = select.having.as_ref().map(|having| bind_condition(having, &mut scope, "HAVING")).transpose()?;
    if let (None, Some((aggregate, place))) = (stream.event_time, scope.by_event_time()) {
        return Err(no_event_time(aggregate.name(), None, stream, place));
    }
    let aggregates = scope.aggregates;
    if select.group_by.is_none() && aggregates.is_empty() {
        let message = "a metric has GROUP BY or an aggregate";
        return Err(SqlError::new(SqlErrorKind::Grouping, select.span, message).hint("rows by themselves are no metric; add GROUP BY"));
    }
    Ok(MetricPlan {
        name,
        stream: stream.name.clone(),
        event_time,
        filter,
        keys,
        window,
        aggregates,
        having,
        output: outputs,
        retention_us: 0,
        backfill: false,
        definition: String::new(),
    })
}

/// The stream that FROM names.
fn stream_of<'a>(select: &Select, catalog: &'a Catalog) -> SqlResult<&'a Arc<StreamPlan>> {
    let name = select.relation.name();
    if let Some(stream) = catalog.streams.get(&name.value) {
        return Ok(stream);
    }
    if catalog.late_rows(&name.value).is_some() {
        return Err(wrong_object(name, "holds late rows", "late rows go to a sink: CREATE SINK … FROM it"));
    }
    match catalog.kind_of(&name.value) {
        Some(ObjectKind::Metric) => Err(wrong_object(name, "is a metric", "a metric reads a stream")),
        Some(_) => Err(wrong_object(name, "is a sink", "a metric reads a stream")),
        None => {
            let nearest = catalog.nearest_name(&name.value, &[ObjectKind::Stream]);
            Err(SqlError::new(SqlErrorKind::UndefinedObject, name.span, format!("stream \"{}\" does not exist", name.value))
                .hint_if(nearest.map(|nearest| format!("did you mean \"{nearest}\"?"))))
        }
    }
}

fn wrong_object(name: &Name, is: &str, hint: &str) -> SqlError {
    SqlError::new(SqlErrorKind::WrongObject, name.span, format!("\"{}\" {is}", name.value)).hint(hint)
}

/// The window and its time column; both are placeholders without a window function.
fn window_of(relation: &Relation, stream: &StreamPlan) -> SqlResult<(Window, Option<usize>)> {
    let Relation::Window(call) = relation else { return Ok((Window::Global { ttl_us: None }, None)) };
    let window = window(call)?;
    let column = time_column(&call.time, &stream.schema)?;
    match stream.event_time {
        Some(settled) if settled != column => {
            let own = &stream.schema.fields[settled].name;
            let message = format!("column \"{}\" is not the event time of stream \"{}\"", call.time.value, stream.name);
            Err(SqlError::new(SqlErrorKind::Window, call.time.span, message)
                .hint(format!("its watermark is on \"{own}\", and a stream has one event time")))
        }
        Some(_) => Ok((window, Some(column))),
        None => Err(no_event_time(&call.function.value.to_uppercase(), Some(&call.time.value), stream, call.time.span)),
    }
}

/// `what` needs an event time, and the stream has none: no time column, or several and no WATERMARK clause that chooses one.
fn no_event_time(what: &str, column: Option<&str>, stream: &StreamPlan, span: Span) -> SqlError {
    let times = stream.schema.fields.iter().filter(|field| field.data_type.is_timestamp());
    let names: Vec<&str> = times.map(|field| field.name.as_str()).collect();
    let (why, hint) = match (names.first(), column) {
        (Some(first), column) => {
            let name = column.unwrap_or(first);
            ("has several time columns and no WATERMARK clause", format!("write WATERMARK FOR {name} AS {name} in CREATE STREAM"))
        }
        (None, _) => ("has no column of type TIMESTAMP or TIMESTAMPTZ", "give it one".to_owned()),
    };
    let message = format!("{what} goes by event time, and stream \"{}\" {why}", stream.name);
    SqlError::new(SqlErrorKind::Window, span, message).hint(hint)
}

/// PARTITION BY of SESSION, as Flink writes it, can only say what GROUP BY says: sessions are made per key.
fn check_partition(columns: &[Name], function: &Name, keys: &[Key], rows: &RowScope) -> SqlResult<()> {
    if function.value != "session" {
        let message = format!("PARTITION BY is for SESSION, not for {}", function.value.to_uppercase());
        return Err(SqlError::unsupported(function.span, message).hint("leave it out: windows are made per GROUP BY key"));
    }
    let mut positions = vec![];
    for column in columns {
        let position = rows.index_of(column)?;
        if !keys.iter().any(|key| key.expr.as_column() == Some(position)) {
            let message = format!("PARTITION BY names \"{}\", which is no key of GROUP BY", column.value);
            return Err(SqlError::new(SqlErrorKind::Grouping, column.span, message).hint("sessions are made per GROUP BY key"));
        }
        positions.push(position);
    }
    match keys.iter().find(|key| key.expr.as_column().is_none_or(|column| !positions.contains(&column))) {
        Some(key) => {
            let message = format!("PARTITION BY leaves out {}, a key of GROUP BY", key.name);
            let span = columns.first().map_or(function.span, |column| column.span);
            Err(SqlError::new(SqlErrorKind::Grouping, span, message).hint("sessions are made per GROUP BY key: name them all, or none"))
        }
        None => Ok(()),
    }
}

fn refuse_clauses(select: &Select) -> SqlResult<()> {
    if let Some(span) = select.distinct {
        return Err(SqlError::unsupported(span, "DISTINCT is not supported in a metric").hint("GROUP BY the columns"));
    }
    let hint = "order and limit belong to a SELECT over the metric";
    if let Some(span) = select.order_span {
        return Err(SqlError::unsupported(span, "ORDER BY is not supported in a metric").hint(hint));
    }
    match select.limit.as_ref().or(select.offset.as_ref()) {
        Some((_, span)) => Err(SqlError::unsupported(*span, "LIMIT and OFFSET are not supported in a metric").hint(hint)),
        None => Ok(()),
    }
}

fn no_window_in_group_by(select: &Select) -> SqlError {
    let (name, span): (&str, Span) = match &select.relation {
        Relation::Window(call) => (&call.function.value, call.function.span),
        Relation::Name(name) => (&name.value, name.span),
    };
    let hint = match select.group_by.as_ref().and_then(|keys| keys.last()) {
        Some(last) => format!("write GROUP BY …, {last}, window_start, window_end"),
        None => "write GROUP BY window_start, window_end".to_owned(),
    };
    let message = format!("{} makes windows, but GROUP BY names neither window_start nor window_end", name.to_uppercase());
    SqlError::new(SqlErrorKind::Grouping, span, message).hint(hint)
}

fn outputs(items: &[SelectItem], scope: &mut GroupScope) -> SqlResult<Vec<Output>> {
    let mut outputs: Vec<Output> = vec![];
    for item in items {
        let (expr, alias, span) = match item {
            SelectItem::Expr { expr, alias, span } => (expr, alias.as_ref(), *span),
            SelectItem::Wildcard { span, .. } => {
                let message = "SELECT * is not supported in a metric";
                return Err(SqlError::new(SqlErrorKind::Grouping, *span, message).hint("name the keys and aggregates"));
            }
        };
        let column = output(expr, alias, scope)?;
        let span = alias.map_or(span, |alias| alias.span);
        if METRIC_FLAGS.contains(&column.name.as_str()) {
            let message = format!("a metric cannot have a column \"{}\": reading it adds one of that name", column.name);
            return Err(SqlError::new(SqlErrorKind::DuplicateColumn, span, message).hint("give it another alias"));
        }
        if outputs.iter().any(|other| other.name == column.name) {
            let message = format!("column \"{}\" is there twice", column.name);
            return Err(SqlError::new(SqlErrorKind::DuplicateColumn, span, message).hint("give one of them an alias with AS"));
        }
        outputs.push(column);
    }
    Ok(outputs)
}
