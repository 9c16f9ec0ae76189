//! Taking a job back to an older checkpoint, without sinks publishing anything again.
//!
//! Rows behind the older checkpoint will be read again, and their results come again. What sinks have published by then is published for good,
//! so their newest handles stay, and with them goes how far these reach ([`Ahead`]): a sink takes nothing up to there. A sink of changes shows what it has
//! shown last, so that is written anew, too, as if it had been shown at the older checkpoint.
//!
//! Order: first what sinks show, then the older checkpoint's commit record is written anew with the handles, then everything later is forgotten. A
//! crash between the two leaves the newest checkpoint as it was.

use super::commit::{Ahead, Commit, SinkCommit, StreamCommit};
use super::error::StoreError;
use super::ledger::Ledger;
use super::record::SliceId;
use super::shown;
use super::store::CheckpointStore;
use crate::crash_point::{CrashPoint, visit};
use raympp_types::{Epoch, Offset, PartitionId, SplitId};
use std::collections::BTreeMap;

/// Takes a store back to an older checkpoint. `newest` is the newest commit record that can be read.
///
/// # Errors
/// What the store says; the job is then as it was, or taken back.
pub fn take_back(store: &mut dyn CheckpointStore, epoch: Epoch, newest: &Commit) -> Result<Commit, StoreError> {
    let mut commit = store.read_commit(epoch)?;
    commit.sinks = sinks_of(&commit, newest);
    carry_shown(store, &mut commit, newest)?;
    store.commit(&commit)?;
    visit(CrashPoint::TakenBackInPart);
    store.rewind(epoch)?;
    Ok(commit)
}

/// Gives the older checkpoint the pairs that sinks show at the newest one, in stores that no record has named.
fn carry_shown(store: &mut dyn CheckpointStore, commit: &mut Commit, newest: &Commit) -> Result<(), StoreError> {
    commit.next_store = commit.next_store.max(newest.next_store);
    let ledger = Ledger::of(store.records()?);
    let mut records = Vec::new();
    for stream in &mut commit.streams {
        stream.stores.retain(|store| shown::sink_of(store).is_none());
        let of_newest = newest.streams.iter().filter(|other| other.id == stream.id).flat_map(|other| &other.stores);
        for (sink, before) in of_newest.filter_map(|store| Some((shown::sink_of(store)?, store.uid))) {
            let slice = SliceId { stream: stream.id, partition: PartitionId(0), store: before, slice: 0 };
            let missing = || StoreError::missing(format!("what sink {sink} shows"));
            let pairs = shown::read(store, &ledger.cover(slice, newest.epoch).ok_or_else(missing)?)?;
            let uid = commit.next_store;
            commit.next_store = uid.next();
            stream.stores.push(shown::store_of(sink, uid));
            records.push((SliceId { store: uid, ..slice }.record(Epoch(0), commit.epoch), shown::to_record(&pairs)));
        }
    }
    store.write_records(&records).map(|_| ())
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
