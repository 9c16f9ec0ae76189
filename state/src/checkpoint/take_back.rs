//! Taking a job back to an older checkpoint, without sinks publishing anything again.
//!
//! Rows behind the older checkpoint will be read again, and their results come again. What sinks have published by then is published for good,
//! so their newest handles stay, and with them goes how far these reach ([`Ahead`]): a sink takes nothing up to there.
//!
//! Order: first the older checkpoint's commit record is written anew with the handles, then everything later is forgotten. A crash between the two
//! leaves the newest checkpoint as it was.

use super::commit::{Ahead, Commit, SinkCommit, StreamCommit};
use super::error::StoreError;
use super::store::CheckpointStore;
use crate::crash_point::{CrashPoint, visit};
use raympp_types::{Epoch, Offset, SplitId};
use std::collections::BTreeMap;

/// Takes a store back to an older checkpoint. `newest` is the newest commit record that can be read.
///
/// # Errors
/// What the store says; the job is then as it was, or taken back.
pub fn take_back(store: &mut dyn CheckpointStore, epoch: Epoch, newest: &Commit) -> Result<Commit, StoreError> {
    let mut commit = store.read_commit(epoch)?;
    commit.sinks = sinks_of(&commit, newest);
    store.commit(&commit)?;
    visit(CrashPoint::TakenBackInPart);
    store.rewind(epoch)?;
    Ok(commit)
}

/// The sinks of both, each with its newest handle and how far that reaches.
fn sinks_of(commit: &Commit, newest: &Commit) -> Vec<SinkCommit> {
    let mut sinks: BTreeMap<&str, SinkCommit> = commit.sinks.iter().map(|sink| (&*sink.name, sink.clone())).collect();
    for sink in &newest.sinks {
        let stream = newest.streams.iter().find(|stream| stream.id == sink.stream);
        let ahead = stream.map(|stream| reached(stream, sink.ahead.as_ref()));
        sinks.insert(&sink.name, SinkCommit { ahead, ..sink.clone() });
    }
    sinks.into_values().collect()
}

/// How far a sink has come whose stream is here, and which may have been further before.
fn reached(stream: &StreamCommit, before: Option<&Ahead>) -> Ahead {
    let mut offsets: BTreeMap<SplitId, Offset> = stream.splits.iter().map(|split| (split.id, split.offset)).collect();
    let mut frontier = stream.frontier;
    if let Some(before) = before {
        frontier = frontier.max(before.frontier);
        for &(split, offset) in &before.offsets {
            let reached = offsets.entry(split).or_default();
            *reached = (*reached).max(offset);
        }
    }
    Ahead { frontier, offsets: offsets.into_iter().collect() }
}
