//! What can go wrong in a script that is right: inputs and outputs are opened before any of its statements takes effect, so a script takes
//! effect as a whole or not at all.

use super::Shared;
use crate::dead_letter::DeadLetters;
use crate::error::{Error, Result};
use crate::sink::{self, Sink};
use crate::source::{self, Source, SplitReader};
use raympp_operators::plan::{BadRows, Emit, MetricPlan, SinkInput, SinkPlan, StreamPlan};
use raympp_operators::sql::{BoundScript, Catalog, Statement};
use raympp_types::{DataType, Field, Offset, Schema, SplitId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A connector's splits, opened at their beginning.
pub(crate) struct OpenedInput {
    /// The connector.
    pub(crate) source: Arc<dyn Source>,
    /// Name and reader of each.
    pub(crate) splits: Vec<(String, Box<dyn SplitReader>)>,
}

/// What the statements of a script, by position, have to be given.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) inputs: BTreeMap<usize, OpenedInput>,
    pub(super) outputs: BTreeMap<usize, Box<dyn Sink>>,
}

/// Opens what a script names; inputs first, since opening an output may remove an older one.
pub(super) fn prepare(shared: &Shared, script: &BoundScript, before: &Catalog) -> Result<Prepared> {
    let mut prepared = Prepared::default();
    for (position, statement) in script.statements.iter().enumerate() {
        match statement {
            Statement::CreateStream { plan } => {
                if let Some(input) = open_input(plan)? {
                    prepared.inputs.insert(position, input);
                }
            }
            Statement::CreateMetric { plan, .. } => {
                if let Some(input) = open_again(shared, script, plan)? {
                    prepared.inputs.insert(position, input);
                }
            }
            _ => {}
        }
    }
    let mut known = before.clone();
    for (position, statement) in script.statements.iter().enumerate() {
        match statement {
            Statement::CreateStream { plan } => drop(known.streams.insert(plan.name.clone(), Arc::clone(plan))),
            Statement::CreateMetric { plan, .. } => drop(known.metrics.insert(plan.name.clone(), Arc::clone(plan))),
            Statement::CreateSink { plan } => drop(prepared.outputs.insert(position, open_output(plan, &known)?)),
            _ => {}
        }
    }
    Ok(prepared)
}

fn open_input(plan: &StreamPlan) -> Result<Option<OpenedInput>> {
    if let BadRows::DeadLetter(path) = &plan.bad_rows {
        DeadLetters::open(path, &plan.name, SplitId(0))?;
    }
    if plan.connector.is_none() {
        return Ok(None);
    }
    let source = source::create(plan).map_err(|error| Error::Source { stream: plan.name.clone(), error: Arc::new(error) })?;
    open_splits(Arc::from(source), &plan.name).map(Some)
}

fn open_splits(source: Arc<dyn Source>, stream: &str) -> Result<OpenedInput> {
    let fail = |error| Error::Source { stream: stream.to_owned(), error: Arc::new(error) };
    let mut splits = Vec::new();
    for (index, description) in source.splits().map_err(fail)?.into_iter().enumerate() {
        splits.push((description.name, source.open(index, Offset(0)).map_err(fail)?));
    }
    Ok(OpenedInput { source, splits })
}

/// What a metric that is to count all rows of a running stream reads; refused where nobody has the rows any more.
fn open_again(shared: &Shared, script: &BoundScript, plan: &MetricPlan) -> Result<Option<OpenedInput>> {
    let creates = |statement: &Statement| matches!(statement, Statement::CreateStream { plan: stream } if stream.name == plan.stream);
    if !plan.backfill || script.statements.iter().any(creates) {
        return Ok(None);
    }
    let Some(stream) = shared.stream(&plan.stream).filter(|stream| stream.started.load(Ordering::Acquire)) else { return Ok(None) };
    match stream.source.get() {
        Some(source) => open_splits(Arc::clone(source), &plan.stream).map(Some),
        None => Err(Error::Refused(format!(
            "metric {}: backfill = true asks for rows that are gone: writers have fed stream {} before, and their rows are not kept; create \
             the metric before the first writer is opened, or leave backfill out to count from now on",
            plan.name, plan.stream
        ))),
    }
}

fn open_output(plan: &SinkPlan, known: &Catalog) -> Result<Box<dyn Sink>> {
    sink::create(plan, &schema_of(plan, known)).map_err(|error| Error::Sink { sink: plan.name.clone(), message: error.to_string() })
}

/// Columns that a sink is given.
fn schema_of(plan: &SinkPlan, known: &Catalog) -> Schema {
    match &plan.input {
        SinkInput::Metric(metric) => {
            let mut schema = known.metrics[metric].output_schema();
            if matches!(plan.emit, Emit::OnUpdate { .. }) {
                schema.fields.insert(0, Field::new("op", DataType::Varchar));
            }
            schema
        }
        SinkInput::LateRows(stream) => known.streams[stream].schema.clone(),
    }
}
