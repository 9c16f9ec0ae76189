//! CREATE STREAM to a [`StreamPlan`].

use super::data_type::data_type;
use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::interval::fixed_length_us;
use super::nearest::did_you_mean;
use super::options::{CheckedOptions, SOURCE_CONNECTORS, STREAM_OPTIONS, connector_options};
use super::syntax::{CreateStream, Name, WatermarkClause};
use crate::plan::StreamPlan;
use raympp_types::interval::SECOND_US;
use raympp_types::{Field, Schema};
use sqlparser::ast::{self, BinaryOperator, Spanned};

/// How long a lost connection holds the watermark, unless the stream says otherwise.
const DISCONNECT_TIMEOUT_US: i64 = 30 * SECOND_US;

pub(crate) fn bind_stream(statement: CreateStream) -> SqlResult<StreamPlan> {
    let CreateStream { name, columns, watermark, options, .. } = statement;
    let mut fields: Vec<Field> = vec![];
    for column in &columns {
        if fields.iter().any(|field| field.name == column.name.value) {
            let message = format!("column \"{}\" is declared twice", column.name.value);
            return Err(SqlError::new(SqlErrorKind::DuplicateColumn, column.name.span, message));
        }
        fields.push(Field::new(column.name.value.clone(), data_type(&column.data_type, column.type_span)?));
    }
    if fields.is_empty() {
        return Err(SqlError::syntax(name.span, format!("stream \"{}\" has no columns", name.value)));
    }
    let schema = Schema::new(fields);
    let (event_time, bound_us) = match &watermark {
        Some(clause) => watermark_of(clause, &schema).map(|(column, bound_us)| (Some(column), bound_us))?,
        None => (only_time_column(&schema), 0),
    };
    let (connector, known) = connector_options(&options, SOURCE_CONNECTORS, STREAM_OPTIONS)?;
    let of_what = connector.map_or("a stream without connector".to_owned(), |name| format!("connector '{name}'"));
    let mut options = CheckedOptions::check(options, &known, &of_what, name.span)?;
    Ok(StreamPlan {
        name: name.value,
        schema,
        event_time,
        bound_us,
        max_jump_us: options.duration_us("max_jump"),
        idle_timeout_us: options.duration_us("idle_timeout"),
        disconnect_timeout_us: options.duration_us("disconnect_timeout").unwrap_or(DISCONNECT_TIMEOUT_US),
        bad_rows: options.bad_rows(),
        connector: options.text("connector"),
        options: options.rest(),
    })
}

/// The event time of a stream without WATERMARK clause. It is settled here for good, by the columns alone: were it left to the first
/// metric that names a column, which rows are late for one metric would depend on what other metrics there are.
fn only_time_column(schema: &Schema) -> Option<usize> {
    let mut columns = schema.fields.iter().enumerate().filter(|(_, field)| field.data_type.is_timestamp()).map(|(index, _)| index);
    columns.next().filter(|_| columns.next().is_none())
}

/// Column and bound of `WATERMARK FOR c AS c [- interval]`.
fn watermark_of(clause: &WatermarkClause, schema: &Schema) -> SqlResult<(usize, i64)> {
    let column = time_column(&clause.column, schema)?;
    let malformed = || {
        let name = &clause.column.value;
        let message = format!("a watermark is the time column itself, or less a fixed INTERVAL: {name} - INTERVAL '2 seconds'");
        SqlError::new(SqlErrorKind::Value, clause.expression.span(), message)
    };
    let is_column = |node: &ast::Expr| matches!(node, ast::Expr::Identifier(ident) if Name::of(ident).value == clause.column.value);
    let mut expression = &clause.expression;
    while let ast::Expr::Nested(inner) = expression {
        expression = inner;
    }
    match expression {
        node if is_column(node) => Ok((column, 0)),
        ast::Expr::BinaryOp { left, op: BinaryOperator::Minus, right } if is_column(left) => {
            Ok((column, fixed_length_us(right, right.span(), "the bound", 0)?))
        }
        ast::Expr::Identifier(ident) => {
            let found = Name::of(ident);
            if schema.index_of(&found.value).is_some() { Err(malformed()) } else { Err(no_column(&found, schema)) }
        }
        _ => Err(malformed()),
    }
}

/// Position of a column that can be an event time.
pub(crate) fn time_column(name: &Name, schema: &Schema) -> SqlResult<usize> {
    let index = schema.index_of(&name.value).ok_or_else(|| no_column(name, schema))?;
    let found = schema.fields[index].data_type;
    if found.is_timestamp() {
        return Ok(index);
    }
    let message = format!("column \"{}\" is {found}; an event time is TIMESTAMP or TIMESTAMPTZ", name.value);
    Err(SqlError::new(SqlErrorKind::Type, name.span, message))
}

fn no_column(name: &Name, schema: &Schema) -> SqlError {
    let hint = did_you_mean(&name.value, schema.fields.iter().map(|field| field.name.as_str()));
    SqlError::new(SqlErrorKind::UndefinedColumn, name.span, format!("column \"{}\" does not exist", name.value)).hint_if(hint)
}
