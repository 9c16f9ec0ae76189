//! What is wrong with a script that can be said from the script alone, beyond what binding it finds: columns that a generator does not have,
//! a SELECT that would never be answered, two sinks in one directory. And what does not fit the machine it is checked on.
//!
//! The first kind are errors with their place in the text, for whoever carries the script out as for whoever only checks it. The second kind
//! are warnings: an input that is missing here and now may be there where and when the script runs.

use super::Engine;
use super::prepare::{claim_place, is_dropped_after, schema_of};
use crate::dead_letter::DeadLetters;
use crate::error::{Error, Result};
use crate::place::Place;
use crate::sink;
use crate::source::{self, Mistake, SourceError};
use raympp_operators::plan::{BadRows, SelectPlan, StreamPlan};
use raympp_operators::sql::{BoundScript, Catalog, Part, SqlErrorKind, Statement, bind_script};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

impl Engine {
    /// Reports the first error of a script that [`Engine::execute_deferred`] would find whatever machine it runs on, without running anything.
    /// Returns warnings, one sentence each: inputs that are not there or can't be read and outputs that could not be written, as things are now.
    ///
    /// # Errors
    /// [`Error::Sql`] with line and column.
    pub fn check(sql: &str) -> Result<Vec<String>> {
        let script = bind_script(sql, &Catalog::default())?;
        check_statements(&script)?;
        refuse_letters_that_are_read(&script)?;
        refuse_endless_selects(&script)?;
        let mut places = BTreeMap::new();
        for (position, statement) in script.statements.iter().enumerate() {
            if let Statement::CreateSink { plan } = statement
                && !is_dropped_after(&script, position, &plan.name)
            {
                claim_place(&mut places, &script, position, plan)?;
            }
        }
        let mut warnings = Vec::new();
        for position in 0..script.statements.len() {
            match trouble(&script, position) {
                // Only the files show it, and yet it is the text that is wrong, such as a format that no name of a file tells.
                Some(error @ Error::Sql(_)) => return Err(error),
                Some(error) => {
                    let place = script.mistake(position, Part::Name, SqlErrorKind::Option, "");
                    warnings.push(format!("warning at line {}, column {}: {error}", place.line, place.column));
                }
                None => {}
            }
        }
        Ok(warnings)
    }
}

/// What would stop a statement on this machine.
fn trouble(script: &BoundScript, position: usize) -> Option<Error> {
    match &script.statements[position] {
        Statement::CreateStream { plan } => {
            let letters = match &plan.bad_rows {
                BadRows::DeadLetter(path) => DeadLetters::check(path, &plan.name).err(),
                _ => None,
            };
            let input = plan.connector.as_ref().and_then(|_| source::create(plan).err());
            letters.or_else(|| input.map(|error| source_error(script, position, plan, error)))
        }
        Statement::CreateSink { plan } if !is_dropped_after(script, position, &plan.name) => {
            let checked = sink::create(plan, &schema_of(plan, &script.catalog)).and_then(|sink| sink.check(None));
            checked.err().map(|error| Error::Sink { sink: plan.name.clone(), message: error.to_string() })
        }
        _ => None,
    }
}

/// Finds mistakes in the statements that connectors know about.
pub(super) fn check_statements(script: &BoundScript) -> Result<()> {
    for (position, statement) in script.statements.iter().enumerate() {
        if let Statement::CreateStream { plan } = statement
            && plan.connector.is_some()
        {
            source::check(plan).map_err(|error| source_error(script, position, plan, error))?;
        }
    }
    Ok(())
}

/// Bad rows written into a file that is read would be read again, as bad rows.
pub(super) fn refuse_letters_that_are_read(script: &BoundScript) -> Result<()> {
    let created = script.statements.iter().enumerate().filter_map(|(position, statement)| match statement {
        Statement::CreateStream { plan } => Some((position, plan)),
        _ => None,
    });
    for (position, plan) in created {
        for other in script.catalog.streams.values().chain([plan]) {
            if writes_what_is_read(plan, other) {
                let message = letters_are_read(plan, other);
                return Err(script.mistake(position, Part::Option("bad_rows"), SqlErrorKind::Option, message).into());
            }
            if writes_what_is_read(other, plan) {
                let message = letters_are_read(other, plan);
                return Err(script.mistake(position, Part::Option("path"), SqlErrorKind::Option, message).into());
            }
        }
    }
    Ok(())
}

fn writes_what_is_read(writer: &StreamPlan, reader: &StreamPlan) -> bool {
    let BadRows::DeadLetter(path) = &writer.bad_rows else { return false };
    Place::of(Path::new(path)).is_ok_and(|place| source::reads(reader, &place.path))
}

fn letters_are_read(writer: &StreamPlan, reader: &StreamPlan) -> String {
    let path = if let BadRows::DeadLetter(path) = &writer.bad_rows { path } else { "" };
    format!("the bad rows of stream {} go to {path}, which is an input of stream {}; write them elsewhere", writer.name, reader.name)
}

/// The error of a stream's source: with its place in the text, if the text is wrong.
pub(super) fn source_error(script: &BoundScript, position: usize, plan: &StreamPlan, error: SourceError) -> Error {
    let (part, kind) = match error.mistake.as_deref() {
        None => return Error::Source { stream: plan.name.clone(), error: Arc::new(error) },
        Some(Mistake::Column(name)) => (Part::Column(name), SqlErrorKind::UndefinedColumn),
        Some(Mistake::Option(name)) => (Part::Option(name), SqlErrorKind::Option),
    };
    script.mistake(position, part, kind, error.to_string()).into()
}

/// A SELECT that waits for the end of an input that has none is never answered.
pub(super) fn refuse_endless_selects(script: &BoundScript) -> Result<()> {
    for (position, statement) in script.statements.iter().enumerate() {
        if let Statement::Select(select) = statement {
            refuse_endless(script, position, select)?;
        }
    }
    Ok(())
}

fn refuse_endless(script: &BoundScript, position: usize, select: &SelectPlan) -> Result<()> {
    // A metric that the script drops again has been read before that, or binding would have failed; its stream has to be found all the same.
    let Some(stream) = stream_read(script, position, select) else { return Ok(()) };
    let endless = match &stream.connector {
        None => true,
        Some(_) => source::check(stream).map_err(|error| Error::Source { stream: stream.name.clone(), error: Arc::new(error) })?,
    };
    if !endless {
        return Ok(());
    }
    let message = format!(
        "SELECT from {} would be answered when stream {} ends, but that never ends; give its source an end, or use a sink",
        select.metric, stream.name
    );
    Err(script.mistake(position, Part::Name, SqlErrorKind::Unsupported, message).into())
}

/// The stream whose metric a SELECT reads, as the script has it there or in the end.
fn stream_read<'a>(script: &'a BoundScript, position: usize, select: &SelectPlan) -> Option<&'a Arc<StreamPlan>> {
    let made = script.statements[..position].iter().rev().find_map(|statement| match statement {
        Statement::CreateMetric { plan, stream } if plan.name == select.metric => Some(stream),
        _ => None,
    });
    made.or_else(|| script.catalog.streams.get(&script.catalog.metrics.get(&select.metric)?.stream))
}
