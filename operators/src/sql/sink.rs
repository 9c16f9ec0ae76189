//! CREATE SINK to a [`SinkPlan`].

use super::catalog::{Catalog, LATE_SUFFIX};
use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::interval::fixed_length_us;
use super::nearest::did_you_mean;
use super::options::{CheckedOptions, SINK_CONNECTORS, SINK_OPTIONS, connector_options, refuse_unknown};
use super::syntax::{CreateSink, EmitClause, Name, ObjectKind};
use crate::plan::{CHANGELOG_COLUMN, Emit, MetricPlan, SinkInput, SinkPlan};
use sqlparser::ast::Spanned;
use sqlparser::tokenizer::Span;

pub(crate) fn bind_sink(statement: CreateSink, catalog: &Catalog) -> SqlResult<SinkPlan> {
    let CreateSink { name, input, emit, options, .. } = statement;
    let (plan_input, metric) = resolve_input(&input, catalog)?;
    let emit_span = emit.as_ref().map_or(input.span, |(_, span)| *span);
    let emit = bind_emit(emit.map(|(clause, _)| clause))?;
    let (connector, known) = connector_options(&options, SINK_CONNECTORS, SINK_OPTIONS)?;
    let Some(connector) = connector else {
        refuse_unknown(&options, SINK_CONNECTORS, SINK_OPTIONS, "a sink")?;
        let message = "a sink needs the option \"connector\"";
        return Err(SqlError::new(SqlErrorKind::Option, name.span, message).hint("write WITH (connector = 'file', path = '…')"));
    };
    let options = CheckedOptions::check(options, &known, &format!("connector '{connector}' of a sink"), name.span)?;
    match metric {
        Some(metric) => check_metric(metric, emit, emit_span)?,
        None if emit != Emit::OnWindowClose => {
            let message = "late rows are written as they are found; EMIT ON UPDATE is for metrics";
            return Err(SqlError::unsupported(emit_span, message).hint("leave EMIT out"));
        }
        None => {}
    }
    if options.is_true("sorted") && (metric.is_none() || emit != Emit::OnWindowClose) {
        let span = options.span("sorted").unwrap_or(name.span);
        let message = "sorted = true sorts the rows of each closed window, so it needs a metric and EMIT ON WINDOW CLOSE";
        return Err(SqlError::new(SqlErrorKind::Option, span, message));
    }
    let mut options = options.rest();
    options.remove("connector");
    Ok(SinkPlan { name: name.value, input: plan_input, emit, connector: connector.to_owned(), options })
}

/// A metric, or the late rows of a stream.
fn resolve_input<'a>(input: &Name, catalog: &'a Catalog) -> SqlResult<(SinkInput, Option<&'a MetricPlan>)> {
    if let Some(metric) = catalog.metrics.get(&input.value) {
        return Ok((SinkInput::Metric(metric.name.clone()), Some(metric)));
    }
    if let Some(stream) = catalog.late_rows(&input.value) {
        return Ok((SinkInput::LateRows(stream.name.clone()), None));
    }
    Err(match catalog.kind_of(&input.value) {
        Some(kind) => {
            let hint = match kind {
                ObjectKind::Stream => format!("a sink reads a metric, or the stream's late rows as \"{}{LATE_SUFFIX}\"", input.value),
                _ => "a sink reads a metric".to_owned(),
            };
            SqlError::new(SqlErrorKind::WrongObject, input.span, format!("\"{}\" is a {}", input.value, kind.noun())).hint(hint)
        }
        None => {
            let late = catalog.streams.keys().map(|stream| format!("{stream}{LATE_SUFFIX}")).collect::<Vec<_>>();
            let names = catalog.metrics.keys().chain(&late).map(String::as_str);
            let message = format!("metric \"{}\" does not exist", input.value);
            SqlError::new(SqlErrorKind::UndefinedObject, input.span, message).hint_if(did_you_mean(&input.value, names))
        }
    })
}

fn bind_emit(clause: Option<EmitClause>) -> SqlResult<Emit> {
    Ok(match clause {
        None | Some(EmitClause::OnWindowClose) => Emit::OnWindowClose,
        Some(EmitClause::OnUpdate { every: None }) => Emit::OnUpdate { every_us: None },
        Some(EmitClause::OnUpdate { every: Some(every) }) => {
            Emit::OnUpdate { every_us: Some(fixed_length_us(&every, every.span(), "the time between updates", 1)?) }
        }
    })
}

fn check_metric(metric: &MetricPlan, emit: Emit, span: Span) -> SqlResult<()> {
    match emit {
        Emit::OnWindowClose if !metric.window.has_bounds() => {
            let message = format!("metric \"{}\" has no window, so none ever closes", metric.name);
            Err(SqlError::new(SqlErrorKind::Window, span, message).hint("write EMIT ON UPDATE"))
        }
        Emit::OnUpdate { .. } if metric.output.iter().any(|column| column.name == CHANGELOG_COLUMN) => {
            let message =
                format!("EMIT ON UPDATE adds a column \"{CHANGELOG_COLUMN}\", and metric \"{}\" has one of that name", metric.name);
            Err(SqlError::new(SqlErrorKind::DuplicateColumn, span, message).hint("give the metric's column another alias"))
        }
        Emit::OnUpdate { .. } if !metric.missing_identity().is_empty() => {
            let missing = metric.missing_identity().join(", ");
            let message =
                format!("EMIT ON UPDATE needs rows that can be told apart, and metric \"{}\" does not show {missing}", metric.name);
            Err(SqlError::new(SqlErrorKind::Grouping, span, message).hint("add that to its SELECT, as it is"))
        }
        _ => Ok(()),
    }
}
