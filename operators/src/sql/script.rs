//! Scripts: statement after statement, each bound to what those before it left behind.

use super::catalog::{Catalog, LATE_SUFFIX};
use super::error::{SqlError, SqlErrorKind, SqlResult};
use super::metric::bind_metric;
use super::parse::parse_script;
use super::select::bind_select;
use super::sink::bind_sink;
use super::stream::bind_stream;
use super::syntax::{CreateMetric, CreateSink, CreateStream, Name, ObjectKind, OptionEntry, ParsedStatement};
use crate::plan::{MetricPlan, SelectPlan, SinkPlan, StreamPlan};
use sqlparser::tokenizer::Span;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A statement with everything looked up.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// CREATE STREAM
    CreateStream {
        /// The stream.
        plan: Arc<StreamPlan>,
    },
    /// CREATE METRIC
    CreateMetric {
        /// The metric.
        plan: Arc<MetricPlan>,
        /// Its stream.
        stream: Arc<StreamPlan>,
    },
    /// CREATE SINK
    CreateSink {
        /// The sink.
        plan: Arc<SinkPlan>,
    },
    /// DROP; nothing uses the object.
    Drop {
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        name: String,
    },
    /// SHOW STREAMS, METRICS or SINKS
    Show(ObjectKind),
    /// DESCRIBE
    Describe {
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        name: String,
    },
    /// DESCRIBE of `<stream>_late`
    DescribeLateRows {
        /// The stream.
        stream: Arc<StreamPlan>,
    },
    /// EXPLAIN
    Explain(Explained),
    /// SELECT
    Select(Box<SelectPlan>),
    /// IF EXISTS or IF NOT EXISTS left nothing to do.
    NoOp {
        /// What to tell the user.
        notice: String,
    },
}

/// What EXPLAIN explains.
#[derive(Clone, Debug, PartialEq)]
pub enum Explained {
    /// A metric that exists, or that a CREATE METRIC after EXPLAIN would make.
    Metric {
        /// The metric.
        plan: Arc<MetricPlan>,
        /// Its stream.
        stream: Arc<StreamPlan>,
    },
    /// A SELECT.
    Select(Box<SelectPlan>),
}

/// A script that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundScript {
    /// Its statements in order.
    pub statements: Vec<Statement>,
    /// What exists after the last one.
    pub catalog: Catalog,
    text: String,
    places: Vec<Places>,
}

/// Something in a statement that a mistake can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// The name of what the statement makes, or of what it reads.
    Name,
    /// The definition of this column.
    Column(&'a str),
    /// The value of this option, if it is given.
    Option(&'a str),
}

/// Where the parts of a statement are in the text.
#[derive(Clone, Debug, Default, PartialEq)]
struct Places {
    name: Option<Span>,
    columns: BTreeMap<String, Span>,
    options: BTreeMap<String, Span>,
}

impl Places {
    fn of(statement: &ParsedStatement) -> Places {
        let options = |entries: &[OptionEntry]| entries.iter().map(|entry| (entry.name.value.clone(), entry.value_span)).collect();
        match statement {
            ParsedStatement::CreateStream(stream) => Places {
                name: Some(stream.name.span),
                columns: stream.columns.iter().map(|column| (column.name.value.clone(), column.name.span)).collect(),
                options: options(&stream.options),
            },
            ParsedStatement::CreateSink(sink) => {
                Places { name: Some(sink.name.span), options: options(&sink.options), ..Places::default() }
            }
            ParsedStatement::Select(select) => Places { name: Some(select.relation.name().span), ..Places::default() },
            _ => Places::default(),
        }
    }

    fn span(&self, part: Part<'_>) -> Span {
        let found = match part {
            Part::Name => None,
            Part::Column(name) => self.columns.get(name),
            Part::Option(name) => self.options.get(name),
        };
        found.copied().or(self.name).unwrap_or_else(Span::empty)
    }
}

impl BoundScript {
    /// A mistake that only those can see who know what the script's names stand for, such as a connector, with its place in the text.
    pub fn mistake(&self, statement: usize, part: Part<'_>, kind: SqlErrorKind, message: impl Into<String>) -> SqlError {
        SqlError::new(kind, self.places[statement].span(part), message).locate(&self.text)
    }
}

/// Binds all statements of `text`, starting from `catalog`. Fails at the first mistake. A byte order mark at the start is skipped.
pub fn bind_script(text: &str, catalog: &Catalog) -> Result<BoundScript, SqlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut script = BoundScript { statements: vec![], catalog: catalog.clone(), text: text.to_owned(), places: vec![] };
    let bind_all = move || -> SqlResult<BoundScript> {
        for parsed in parse_script(text)? {
            script.places.push(Places::of(&parsed));
            let statement = bind_statement(parsed, &mut script.catalog)?;
            script.statements.push(statement);
        }
        Ok(script)
    };
    bind_all().map_err(|error| error.locate(text))
}

fn bind_statement(parsed: ParsedStatement, catalog: &mut Catalog) -> SqlResult<Statement> {
    match parsed {
        ParsedStatement::CreateStream(statement) => create_stream(statement, catalog),
        ParsedStatement::CreateMetric(statement) => create_metric(statement, catalog),
        ParsedStatement::CreateSink(statement) => create_sink(statement, catalog),
        ParsedStatement::Drop { kind, name, if_exists } => drop_object(kind, &name, if_exists, catalog),
        ParsedStatement::Show(kind) => Ok(Statement::Show(kind)),
        ParsedStatement::Describe(name) => match catalog.kind_of(&name.value) {
            Some(kind) => Ok(Statement::Describe { kind, name: name.value }),
            None => match catalog.late_rows(&name.value) {
                Some(stream) => Ok(Statement::DescribeLateRows { stream: Arc::clone(stream) }),
                None => Err(nothing_of_that_name(&name, catalog)),
            },
        },
        ParsedStatement::ExplainName(name) => explain_name(&name, catalog),
        ParsedStatement::ExplainMetric(statement) => {
            let (plan, stream) = bind_metric(statement, catalog)?;
            Ok(Statement::Explain(Explained::Metric { plan: Arc::new(plan), stream }))
        }
        ParsedStatement::ExplainSelect(select) => Ok(Statement::Explain(Explained::Select(Box::new(bind_select(&select, catalog)?)))),
        ParsedStatement::Select(select) => Ok(Statement::Select(Box::new(bind_select(&select, catalog)?))),
    }
}

fn create_stream(statement: CreateStream, catalog: &mut Catalog) -> SqlResult<Statement> {
    if let Some(notice) = name_taken(&statement.name, ObjectKind::Stream, statement.if_not_exists, catalog)? {
        return Ok(notice);
    }
    let plan = Arc::new(bind_stream(statement)?);
    catalog.streams.insert(plan.name.clone(), Arc::clone(&plan));
    Ok(Statement::CreateStream { plan })
}

fn create_metric(statement: CreateMetric, catalog: &mut Catalog) -> SqlResult<Statement> {
    if let Some(notice) = name_taken(&statement.name, ObjectKind::Metric, statement.if_not_exists, catalog)? {
        return Ok(notice);
    }
    let (plan, stream) = bind_metric(statement, catalog)?;
    let plan = Arc::new(plan);
    catalog.metrics.insert(plan.name.clone(), Arc::clone(&plan));
    Ok(Statement::CreateMetric { plan, stream })
}

fn create_sink(statement: CreateSink, catalog: &mut Catalog) -> SqlResult<Statement> {
    if let Some(notice) = name_taken(&statement.name, ObjectKind::Sink, statement.if_not_exists, catalog)? {
        return Ok(notice);
    }
    let plan = Arc::new(bind_sink(statement, catalog)?);
    catalog.sinks.insert(plan.name.clone(), Arc::clone(&plan));
    Ok(Statement::CreateSink { plan })
}

/// `Some(notice)` if the object exists and need not be made; an error if the name means something else.
fn name_taken(name: &Name, kind: ObjectKind, if_not_exists: bool, catalog: &Catalog) -> SqlResult<Option<Statement>> {
    let duplicate = |message: String| Err(SqlError::new(SqlErrorKind::DuplicateObject, name.span, message));
    match catalog.kind_of(&name.value) {
        Some(found) if found == kind && if_not_exists => {
            return Ok(Some(Statement::NoOp { notice: format!("{} \"{}\" already exists, skipped", kind.noun(), name.value) }));
        }
        Some(found) => return duplicate(format!("{} \"{}\" already exists", found.noun(), name.value)),
        None => {}
    }
    if let Some(stream) = catalog.late_rows(&name.value) {
        return duplicate(format!("\"{}\" is the name of the late rows of stream \"{}\"", name.value, stream.name));
    }
    let late = format!("{}{LATE_SUFFIX}", name.value);
    match catalog.kind_of(&late) {
        Some(found) if kind == ObjectKind::Stream => {
            duplicate(format!("the late rows of stream \"{}\" would be \"{late}\", which is a {}", name.value, found.noun()))
        }
        _ => Ok(None),
    }
}

fn drop_object(kind: ObjectKind, name: &Name, if_exists: bool, catalog: &mut Catalog) -> SqlResult<Statement> {
    match catalog.kind_of(&name.value) {
        Some(found) if found != kind => {
            let message = format!("\"{}\" is a {}, not a {}", name.value, found.noun(), kind.noun());
            let hint = format!("write DROP {}", found.noun().to_uppercase());
            return Err(SqlError::new(SqlErrorKind::WrongObject, name.span, message).hint(hint));
        }
        None if if_exists => {
            return Ok(Statement::NoOp { notice: format!("{} \"{}\" does not exist, skipped", kind.noun(), name.value) });
        }
        None => {
            let hint = catalog.nearest_name(&name.value, &[kind]).map(|nearest| format!("did you mean \"{nearest}\"?"));
            let message = format!("{} \"{}\" does not exist", kind.noun(), name.value);
            return Err(SqlError::new(SqlErrorKind::UndefinedObject, name.span, message).hint_if(hint));
        }
        Some(_) => {}
    }
    let users = catalog.users(kind, &name.value);
    if !users.is_empty() {
        let message = format!("{} \"{}\" is used by {}", kind.noun(), name.value, users.join(", "));
        return Err(SqlError::new(SqlErrorKind::InUse, name.span, message).hint("drop those first"));
    }
    catalog.remove(kind, &name.value);
    Ok(Statement::Drop { kind, name: name.value.clone() })
}

fn explain_name(name: &Name, catalog: &Catalog) -> SqlResult<Statement> {
    if let Some(plan) = catalog.metrics.get(&name.value)
        && let Some(stream) = catalog.streams.get(&plan.stream)
    {
        return Ok(Statement::Explain(Explained::Metric { plan: Arc::clone(plan), stream: Arc::clone(stream) }));
    }
    match catalog.kind_of(&name.value) {
        Some(kind) => {
            let message = format!("\"{}\" is a {}; EXPLAIN explains a metric or a SELECT", name.value, kind.noun());
            Err(SqlError::new(SqlErrorKind::WrongObject, name.span, message).hint(format!("write DESCRIBE {}", name.value)))
        }
        None => Err(nothing_of_that_name(name, catalog)),
    }
}

fn nothing_of_that_name(name: &Name, catalog: &Catalog) -> SqlError {
    let kinds = [ObjectKind::Stream, ObjectKind::Metric, ObjectKind::Sink];
    let hint = catalog.nearest_name(&name.value, &kinds).map(|nearest| format!("did you mean \"{nearest}\"?"));
    let message = format!("there is no stream, metric or sink \"{}\"", name.value);
    SqlError::new(SqlErrorKind::UndefinedObject, name.span, message).hint_if(hint)
}
