//! What can go wrong in a script that is right: inputs are opened and outputs checked before any of its statements takes effect, so a script
//! takes effect as a whole or not at all.
//!
//! First everything is checked, which leaves no trace; then what outputs need is made, and what they replace removed. Between
//! the two only the machine can change its mind. A sink that its own script drops again is never made.

use super::Shared;
use super::check::source_error;
use crate::checkpoint::{ResumePoint, ResumedSplit};
use crate::dead_letter::DeadLetters;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::sink::{self, Sink, SinkError, SinkHandle};
use crate::source::{self, Fingerprint, Source, SplitDescription, SplitReader};
use raympp_operators::plan::{BadRows, Emit, MetricPlan, SinkInput, SinkPlan, StreamPlan};
use raympp_operators::sql::{BoundScript, Catalog, ObjectKind, Part, SqlErrorKind, Statement, describe};
use raympp_types::{DataType, Field, Offset, Schema, SplitId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A connector's splits, opened where they are to be read from.
pub(crate) struct OpenedInput {
    /// The connector.
    pub(crate) source: Arc<dyn Source>,
    /// Those that a checkpoint knows, and those that are new.
    pub(crate) splits: Vec<OpenedSplit>,
}

/// A split to be read.
pub(crate) struct OpenedSplit {
    /// Its id; a checkpoint's splits keep theirs.
    pub(crate) id: SplitId,
    /// Its number in the source.
    pub(crate) index: usize,
    /// What the source calls it.
    pub(crate) name: String,
    /// How the source knows it again.
    pub(crate) fingerprint: Fingerprint,
    /// Where the checkpoint has it.
    pub(crate) resumed: Option<ResumedSplit>,
    /// Reads on; nothing where the checkpoint has its end.
    pub(crate) reader: Option<Box<dyn SplitReader>>,
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
        let handle = handle_of(shared, script, position)?;
        output.recover(handle.as_ref()).map_err(|error| sink_error(script, position, &error))?;
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
                if let Some(input) = open_input(shared, script, position, plan)? {
                    prepared.inputs.insert(position, input);
                }
            }
            Statement::CreateMetric { plan, .. } => {
                let input = match created_stream(script, &plan.stream) {
                    Some((created, stream)) => open_resumed_again(shared, stream, plan, prepared.inputs.get(&created))?,
                    None => open_again(shared, plan)?,
                };
                if let Some(input) = input {
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
                let handle = handle_of(shared, script, position)?;
                refuse_to_remove_inputs(script, plan, output.as_ref(), handle.as_ref())?;
                prepared.outputs.insert(position, output);
            }
            _ => {}
        }
    }
    Ok(prepared)
}

fn open_input(shared: &Shared, script: &BoundScript, position: usize, plan: &StreamPlan) -> Result<Option<OpenedInput>> {
    if let BadRows::DeadLetter(path) = &plan.bad_rows {
        DeadLetters::check(path, &plan.name)?;
    }
    if plan.connector.is_none() {
        return Ok(None);
    }
    let source = source::create(plan).map_err(|error| source_error(script, position, plan, error))?;
    open_splits(Arc::from(source), &plan.name, shared.resume_point(plan)?.as_ref()).map(Some)
}

fn open_splits(source: Arc<dyn Source>, stream: &str, resume: Option<&ResumePoint>) -> Result<OpenedInput> {
    let fail = |error| Error::Source { stream: stream.to_owned(), error: Arc::new(error) };
    let descriptions = source.splits().map_err(fail)?;
    resume.map_or(Ok(()), |resume| resume.check_splits(descriptions.iter().map(|split| split.name.as_str())))?;
    let mut next = resume.map_or(SplitId(0), ResumePoint::next_split);
    let mut splits = Vec::new();
    for (index, SplitDescription { name, fingerprint, .. }) in descriptions.into_iter().enumerate() {
        let resumed = resume.and_then(|resume| resume.splits.get(&name)).cloned();
        let (id, reader) = match &resumed {
            Some(ResumedSplit { id, ended: true, .. }) => (*id, None),
            Some(ResumedSplit { id, offset, fingerprint, .. }) => {
                (*id, Some(source.open_again(index, *offset, fingerprint).map_err(fail)?))
            }
            None => {
                let id = next;
                next = id.next();
                (id, Some(source.open(index, Offset(0)).map_err(fail)?))
            }
        };
        splits.push(OpenedSplit { id, index, name, fingerprint, resumed, reader });
    }
    Ok(OpenedInput { source, splits })
}

/// The stream of that name that the script creates, and where.
fn created_stream<'a>(script: &'a BoundScript, name: &str) -> Option<(usize, &'a Arc<StreamPlan>)> {
    script.statements.iter().enumerate().find_map(|(position, statement)| match statement {
        Statement::CreateStream { plan } if plan.name == name => Some((position, plan)),
        _ => None,
    })
}

/// What a metric of a stream that the same script creates reads by itself: nothing, unless the stream goes on from a checkpoint that lacks the metric
/// and the metric is to count all rows, or went on reading them there.
fn open_resumed_again(
    shared: &Shared,
    stream: &StreamPlan,
    plan: &Arc<MetricPlan>,
    input: Option<&OpenedInput>,
) -> Result<Option<OpenedInput>> {
    let Some(resume) = shared.resume_point(stream)? else { return Ok(None) };
    if resume.kept(plan)?.is_some() {
        return Ok(None);
    }
    let again = shared.resume_point_again(stream, &plan.name)?;
    let goes_on = again.as_ref().map_or(Ok(None), |again| again.kept(plan))?.is_some();
    if !goes_on && !plan.backfill {
        return Ok(None);
    }
    match input {
        Some(input) => open_splits(Arc::clone(&input.source), &plan.stream, again.as_ref().filter(|_| goes_on)).map(Some),
        None => Err(rows_are_gone(plan)),
    }
}

/// What a metric that is to count all rows of a running stream reads; refused where nobody has the rows any more.
fn open_again(shared: &Shared, plan: &MetricPlan) -> Result<Option<OpenedInput>> {
    if !plan.backfill {
        return Ok(None);
    }
    let Some(stream) = shared.stream(&plan.stream).filter(|stream| stream.started.load(Ordering::Acquire)) else { return Ok(None) };
    match stream.source.get() {
        Some(source) => open_splits(Arc::clone(source), &plan.stream, None).map(Some),
        None => Err(rows_are_gone(plan)),
    }
}

fn rows_are_gone(plan: &MetricPlan) -> Error {
    Error::Refused(format!(
        "metric {}: backfill = true asks for rows that are gone: writers have fed stream {} before, and their rows are not kept; create \
         the metric before the first writer is opened, or leave backfill out to count from now on",
        plan.name, plan.stream
    ))
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
            && let Some((other, _)) = state.sinks.iter().find(|(_, (_, sink))| !sink.is_done() && sink.directory() == Some(place.as_path()))
        {
            let message = in_one_directory(&plan.name, other, &place) + ", or drop the running one first, in a script of its own";
            return Err(Error::Sink { sink: plan.name.clone(), message });
        }
    }
    Ok(())
}

/// A sink that overwrites must not remove what the script, or a stream that is there, reads.
fn refuse_to_remove_inputs(script: &BoundScript, plan: &SinkPlan, output: &dyn Sink, from: Option<&SinkHandle>) -> Result<()> {
    let fail = |message: String| Err(Error::Sink { sink: plan.name.clone(), message });
    let replaced = output.check(from).map_err(|error| Error::Sink { sink: plan.name.clone(), message: error.to_string() })?;
    for path in replaced {
        let Ok(place) = Place::of(&path) else { continue };
        let mut streams = created_streams(script).chain(script.catalog.streams.values());
        if let Some(stream) = streams.find(|stream| source::reads(stream, &place.path)) {
            return fail(format!("{}: overwriting would remove this file, which is an input of stream {}", path.display(), stream.name));
        }
    }
    Ok(())
}

/// Where a sink of the script goes on, if the state directory has it.
fn handle_of(shared: &Shared, script: &BoundScript, position: usize) -> Result<Option<SinkHandle>> {
    let Statement::CreateSink { plan } = &script.statements[position] else { return Ok(None) };
    let Some(commit) = shared.sink_commit(&plan.name) else { return Ok(None) };
    if commit.definition != describe::sink(plan) {
        let message = format!(
            "the state directory has another sink of this name:\n{}use that definition again, or give the new sink another name",
            commit.definition
        );
        return Err(Error::Sink { sink: plan.name.clone(), message });
    }
    Ok((!commit.handle.is_empty()).then(|| SinkHandle::new(commit.handle.clone())))
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
