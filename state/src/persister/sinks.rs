//! What the persister knows of one sink: what it has prepared, and of a sink of changes what it shows.
//!
//! What is shown is kept as a store of the sink's stream ([`crate::checkpoint::shown`]), which each run begins anew with all that was shown: so no record
//! has to be regrouped when partitions change, and a job that was taken back needs no rule of its own.

use super::Persister;
use crate::checkpoint::record::SliceId;
use crate::checkpoint::shown::{self, Shown};
use crate::checkpoint::{Commit, Record, RecordId, SinkCommit, StoreCommit, StoreError, StreamCommit};
use raympp_types::{Epoch, PartitionId, SinkId, StoreUid};
use std::collections::BTreeMap;

/// See the module.
pub(super) struct PreparedSink {
    pub(super) commit: SinkCommit,
    /// By epoch, until that is committed.
    handles: BTreeMap<Epoch, Vec<u8>>,
    changes: Option<ShownChanges>,
}

/// What a sink of changes shows, as a store.
struct ShownChanges {
    uid: StoreUid,
    /// Pairs turned by what was prepared for each epoch, until it is committed.
    turned: BTreeMap<Epoch, Shown>,
    /// Where its records end.
    written: Epoch,
}

impl PreparedSink {
    fn prepared(&mut self, epoch: Epoch, handle: Vec<u8>, turned: Shown) {
        self.handles.insert(epoch, handle);
        if let Some(changes) = &mut self.changes {
            shown::turn(changes.turned.entry(epoch).or_default(), turned);
        }
    }

    /// The sink in the commit record of an epoch; `ahead` is left to the caller.
    pub(super) fn commit_at(&self, epoch: Epoch) -> SinkCommit {
        let newest = self.handles.range(..=epoch).next_back().map(|(_, handle)| handle.clone());
        SinkCommit { handle: newest.unwrap_or_else(|| self.commit.handle.clone()), ..self.commit.clone() }
    }

    /// The store of what it shows.
    fn store(&self) -> Option<StoreCommit> {
        self.changes.as_ref().map(|changes| shown::store_of(&self.commit.name, changes.uid))
    }

    /// What was turned up to an epoch and is in no committed record.
    fn record_at(&self, epoch: Epoch) -> Option<(RecordId, Record)> {
        let changes = self.changes.as_ref()?;
        let mut turned = Shown::new();
        changes.turned.range(..=epoch).for_each(|(_, pairs)| shown::turn(&mut turned, pairs.iter().cloned()));
        let slice = SliceId { stream: self.commit.stream, partition: PartitionId(0), store: changes.uid, slice: 0 };
        (!turned.is_empty()).then(|| (slice.record(changes.written, epoch), shown::to_record(&turned)))
    }

    fn note_committed(&mut self, epoch: Epoch) {
        let newer = self.handles.split_off(&epoch.next());
        if let Some((_, handle)) = std::mem::replace(&mut self.handles, newer).pop_last() {
            self.commit.handle = handle;
        }
        if let Some(changes) = &mut self.changes {
            changes.turned = changes.turned.split_off(&epoch.next());
            changes.written = epoch;
        }
    }
}

impl Persister {
    /// A sink takes part. `commit` has what it has prepared so far, if anything; `shown`, of a sink of changes, the pairs that it shows.
    pub fn add_sink(&mut self, sink: SinkId, commit: SinkCommit, shown: Option<Shown>) {
        let written = self.kept.last().map_or(Epoch(0), |kept| kept.epoch);
        let changes = shown.map(|shown| {
            let uid = self.next_store;
            self.next_store = uid.next();
            ShownChanges { uid, turned: BTreeMap::from([(Epoch(0), shown)]), written }
        });
        self.sinks.insert(sink, PreparedSink { commit, handles: BTreeMap::new(), changes });
    }

    /// A sink is gone.
    pub fn drop_sink(&mut self, sink: SinkId) {
        self.sinks.remove(&sink);
    }

    /// What a sink has prepared for an epoch, and the pairs which that has turned.
    pub fn prepared(&mut self, sink: SinkId, epoch: Epoch, handle: Vec<u8>, turned: Shown) {
        if let Some(sink) = self.sinks.get_mut(&sink) {
            sink.prepared(epoch, handle, turned);
        }
    }

    /// Gives the streams of a commit record the stores of what sinks show.
    pub(super) fn add_shown_stores(&self, streams: &mut [StreamCommit]) {
        for stream in streams.iter_mut().filter(|stream| self.streams.contains_key(&stream.id)) {
            stream.stores.retain(|store| shown::sink_of(store).is_none());
            stream.stores.extend(self.sinks.values().filter(|sink| sink.commit.stream == stream.id).filter_map(PreparedSink::store));
            stream.stores.sort_by_key(|store| store.uid);
        }
    }

    /// Writes what sinks show at a commit that is about to be made. Should that fail, the next one's records begin where these do and reach further.
    pub(super) fn write_shown(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let mut records = Vec::new();
        let is_there = |sink: &&PreparedSink| commit.streams.iter().any(|stream| stream.id == sink.commit.stream);
        for (id, record) in self.sinks.values().filter(is_there).filter_map(|sink| sink.record_at(commit.epoch)) {
            records.extend(self.merge_shown(id.slice_id())?);
            records.push((id, record));
        }
        if !records.is_empty() {
            let bytes = self.store.write_records(&records)?;
            self.note_records(&records, &bytes);
        }
        Ok(())
    }

    /// Older records that are due to be rewritten as one.
    fn merge_shown(&self, slice: SliceId) -> Result<Option<(RecordId, Record)>, StoreError> {
        let merge = self.kept.first().and_then(|oldest| self.ledger.next_merge(slice, oldest.epoch));
        let Some(merge) = merge else { return Ok(None) };
        let shown = shown::read(self.store.as_ref(), &merge.inputs)?;
        Ok(Some((merge.output, shown::to_record(&shown))))
    }

    pub(super) fn note_sinks_committed(&mut self, commit: &Commit) {
        let is_there = |sink: &PreparedSink| commit.streams.iter().any(|stream| stream.id == sink.commit.stream);
        self.sinks.values_mut().filter(|sink| is_there(sink)).for_each(|sink| sink.note_committed(commit.epoch));
    }
}
