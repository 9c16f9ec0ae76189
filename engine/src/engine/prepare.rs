//! What can go wrong in a script that is right: inputs are opened and outputs checked before any of its statements takes effect, so a script
//! takes effect as a whole or not at all.
//!
//! First everything is checked, which leaves no trace; then what outputs need is made, and what they replace removed. Between
//! the two only the machine can change its mind. A sink that its own script drops again is never made.

use super::Shared;
use super::check::source_error;
use crate::dead_letter::DeadLetters;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::sink::{self, Sink, SinkError};
use crate::source::{self, Source, SplitReader};
use raympp_operators::plan::{BadRows, Emit, MetricPlan, SinkInput, SinkPlan, StreamPlan};
use raympp_operators::sql::{BoundScript, Catalog, ObjectKind, Part, SqlErrorKind, Statement};
use raympp_types::{DataType, Field, Offset, Schema, SplitId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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

/// Opens what a script names.
pub(super) fn prepare(shared: &Shared, script: &BoundScript, before: &Catalog) -> Result<Prepared> {
    let mut prepared = check(shared, script, before)?;
    for plan in created_streams(script) {
        if let BadRows::DeadLetter(path) = &plan.bad_rows {
            DeadLetters::open(path, &plan.name, SplitId(0))?;
        }
    }
    for (&position, output) in &mut prepared.outputs {
        output.begin().map_err(|error| sink_error(script, position, &error))?;
    }
    Ok(prepared)
}

fn created_streams(script: &BoundScript) -> impl Iterator<Item = &Arc<StreamPlan>> {
    script.statements.iter().filter_map(|statement| if let Statement::CreateStream { plan } = statement { Some(plan) } else { None })
}

/// Opens inputs and checks outputs; leaves no trace.
fn check(shared: &Shared, script: &BoundScript, before: &Catalog) -> Result<Prepared> {
    let mut prepared = Prepared::default();
    for (position, statement) in script.statements.iter().enumerate() {
        match statement {
            Statement::CreateStream { plan } => {
                if let Some(input) = open_input(script, position, plan)? {
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
    refuse_used_places(shared, script)?;
    let mut places = BTreeMap::new();
    for (position, statement) in script.statements.iter().enumerate() {
        match statement {
            Statement::CreateStream { plan } => drop(known.streams.insert(plan.name.clone(), Arc::clone(plan))),
            Statement::CreateMetric { plan, .. } => drop(known.metrics.insert(plan.name.clone(), Arc::clone(plan))),
            Statement::CreateSink { plan } if !is_dropped_after(script, position, &plan.name) => {
                claim_place(&mut places, script, position, plan)?;
                let output = sink::create(plan, &schema_of(plan, &known)).map_err(|error| sink_error(script, position, &error))?;
                refuse_to_remove_inputs(script, plan, output.as_ref())?;
                prepared.outputs.insert(position, output);
            }
            _ => {}
        }
    }
    Ok(prepared)
}

fn open_input(script: &BoundScript, position: usize, plan: &StreamPlan) -> Result<Option<OpenedInput>> {
    if let BadRows::DeadLetter(path) = &plan.bad_rows {
        DeadLetters::check(path, &plan.name)?;
    }
    if plan.connector.is_none() {
        return Ok(None);
    }
    let source = source::create(plan).map_err(|error| source_error(script, position, plan, error))?;
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

/// True if the sink that a statement makes is gone at the end of the script.
pub(super) fn is_dropped_after(script: &BoundScript, position: usize, sink: &str) -> bool {
    let drops = |statement: &Statement| matches!(statement, Statement::Drop { kind: ObjectKind::Sink, name } if name == sink);
    script.statements[position..].iter().any(drops)
}

/// Two sinks that write into one directory would take each other's parts for their own. `places` are those of the script's sinks so far.
pub(super) fn claim_place(places: &mut BTreeMap<PathBuf, String>, script: &BoundScript, position: usize, plan: &SinkPlan) -> Result<()> {
    let Some(place) = sink::directory(plan) else { return Ok(()) };
    match places.insert(place.clone(), plan.name.clone()) {
        None => Ok(()),
        Some(other) => {
            let message = in_one_directory(&plan.name, &other, &place);
            Err(script.mistake(position, Part::Option("path"), SqlErrorKind::Option, message).into())
        }
    }
}

/// Refuses sinks in directories of running ones. One that has published everything needs its directory no longer.
fn refuse_used_places(shared: &Shared, script: &BoundScript) -> Result<()> {
    let state = shared.state.lock();
    for statement in &script.statements {
        if let Statement::CreateSink { plan } = statement
            && let Some(place) = sink::directory(plan)
            && let Some((other, _)) = state.sinks.iter().find(|(_, sink)| !sink.is_done() && sink.directory() == Some(place.as_path()))
        {
            let message = in_one_directory(&plan.name, other, &place) + ", or drop the running one first, in a script of its own";
            return Err(Error::Sink { sink: plan.name.clone(), message });
        }
    }
    Ok(())
}

/// A sink that overwrites must not remove what the script, or a stream that is there, reads.
fn refuse_to_remove_inputs(script: &BoundScript, plan: &SinkPlan, output: &dyn Sink) -> Result<()> {
    let fail = |message: String| Err(Error::Sink { sink: plan.name.clone(), message });
    let replaced = output.replaces().map_err(|error| Error::Sink { sink: plan.name.clone(), message: error.to_string() })?;
    for path in replaced {
        let Ok(place) = Place::of(&path) else { continue };
        let mut streams = created_streams(script).chain(script.catalog.streams.values());
        if let Some(stream) = streams.find(|stream| source::reads(stream, &place.path)) {
            return fail(format!("{}: overwriting would remove this file, which is an input of stream {}", path.display(), stream.name));
        }
    }
    Ok(())
}

fn in_one_directory(sink: &str, other: &str, place: &Path) -> String {
    format!("sink {other} writes into {} already, and a directory belongs to one sink; give sink {sink} another path", place.display())
}

fn sink_error(script: &BoundScript, position: usize, error: &SinkError) -> Error {
    let sink = if let Statement::CreateSink { plan } = &script.statements[position] { plan.name.clone() } else { String::new() };
    Error::Sink { sink, message: error.to_string() }
}

/// Columns that a sink is given.
pub(super) fn schema_of(plan: &SinkPlan, known: &Catalog) -> Schema {
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
