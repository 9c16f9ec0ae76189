//! The persister: turns what partitions accept into checkpoints. Orders in, outcomes out; what it does to a disk goes through its
//! [`CheckpointStore`].
//!
//! It hears every delta of the stream's chains, once, from the chains themselves: no replica stands between, so none that is lost leaves a gap. It
//! keeps every partition's epoch lists, writes a list as one batch when its barrier has come from every split, and writes the commit record when it
//! is told that all of an epoch is there. It reads deltas and its own store, never live memory.
//!
//! Invariants: records of a slice lie side by side, each beginning where the one before ended, so a checkpoint is a cover of (0, n]. A list that
//! could not be written is put back into the next one's: should the store hold it all the same, it is a record that no cover takes, since
//! the next one begins where it began and reaches further. A record is forgotten when no kept checkpoint needs it.

mod retain;
mod sinks;
mod streams;

use crate::checkpoint::ledger::Ledger;
use crate::checkpoint::packed::Contents;
use crate::checkpoint::{
    Ahead, CheckpointStore, Commit, PartitionBatch, PartitionState, Record, RecordId, SinkCommit, StoreError, StreamCommit,
};
use crate::crash_point::{CrashPoint, visit};
use crate::delta::Delta;
use crate::epoch_list::{Breathe, EpochList, EpochLists, Uncounted};
use raympp_operators::sharing::SharedPlan;
use raympp_types::{Epoch, EventTime, MetricId, Offset, PartitionId, SinkId, SplitId, StoreUid, StreamId};
use retain::Kept;
use sinks::PreparedSink;
use std::collections::BTreeMap;
use std::sync::Arc;
use streams::{PartitionLists, StreamLists};

/// What became of an order.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A partition's list is written; V(n) as the partition has it.
    Acked(StreamId, Epoch, PartitionId, Arc<[(SplitId, Offset)]>),
    /// A partition's list could not be written; the next one will hold it.
    Failed(Epoch, StoreError),
    /// The commit record is durable.
    Committed(Epoch),
    /// The commit record could not be written. What the store holds, opened anew: the newest epoch committed; or why that is not known yet, and
    /// [`Persister::settle`] is to be called until it is.
    CommitFailed(Epoch, StoreError, Result<Epoch, StoreError>),
}

/// What a stream is called and how it is laid out.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// Its id, which records name.
    pub id: StreamId,
    /// Its name.
    pub name: String,
    /// What its rows are, in canonical text.
    pub definition: String,
    /// Bound of out-of-orderness, in microseconds.
    pub bound_us: i64,
    /// Number of key groups.
    pub key_groups: u32,
    /// Number of partitions.
    pub partitions: u32,
}

/// A split's name, and how its source knows its input again, in JSON.
#[derive(Clone, Debug, Default)]
pub struct SplitInfo {
    /// Its name.
    pub name: String,
    /// How to know it again.
    pub fingerprint: String,
}

/// A partition as it begins.
pub struct OpenPartition {
    /// Which.
    pub partition: PartitionId,
    /// Its lists.
    pub lists: EpochLists,
    /// What it had counted in the checkpoint that it goes on from.
    pub uncounted: Uncounted,
}

/// A stream as it begins.
pub struct OpenStream {
    /// What it is.
    pub info: StreamInfo,
    /// Its first plan.
    pub plan: Arc<SharedPlan>,
    /// Names of stores, by position in the plan, that a checkpoint has given already.
    pub stores: BTreeMap<usize, StoreUid>,
    /// Metrics that count only windows that start after this time.
    pub first_after: BTreeMap<MetricId, EventTime>,
    /// Its splits.
    pub splits: BTreeMap<SplitId, SplitInfo>,
    /// Its partitions.
    pub partitions: Vec<OpenPartition>,
    /// As the checkpoint has it that it goes on from.
    pub committed: Option<StreamCommit>,
}

/// See the module.
pub struct Persister {
    store: Box<dyn CheckpointStore>,
    ledger: Ledger,
    /// Newest checkpoints that stay restorable.
    keep: usize,
    next_store: StoreUid,
    next_metric: MetricId,
    next_stream: StreamId,
    streams: BTreeMap<StreamId, StreamLists>,
    sinks: BTreeMap<SinkId, PreparedSink>,
    /// Checkpoints kept, ascending.
    kept: Vec<Kept>,
    /// One of them that stays for now, however old.
    pinned: Option<Epoch>,
    /// Streams of the newest checkpoint that this run has not opened yet.
    unopened: BTreeMap<StreamId, StreamCommit>,
    written_bytes: u64,
    /// The commit record whose write has failed, until the store can be asked whether it is there.
    in_doubt: Option<Commit>,
    breathe: Breathe,
}

impl Persister {
    /// Goes on in a store behind a commit, if it has one; what lies beyond is forgotten. `keep` checkpoints stay restorable (at least one). It calls `breathe`
    /// while it turns what has been accepted into records.
    ///
    /// # Errors
    /// What the store says.
    pub fn open(
        mut store: Box<dyn CheckpointStore>,
        from: Option<&Commit>,
        keep: usize,
        breathe: Breathe,
    ) -> Result<Persister, StoreError> {
        store.rewind(from.map_or(Epoch(0), |commit| commit.epoch))?;
        let ledger = Ledger::of(store.records()?);
        let kept = store.commits()?.into_iter().map(|epoch| Ok(Kept::of(&store.read_commit(epoch)?))).collect::<Result<_, StoreError>>()?;
        let unopened = from.iter().flat_map(|commit| &commit.streams).map(|stream| (stream.id, stream.clone())).collect();
        Ok(Persister {
            store,
            ledger,
            keep: keep.max(1),
            next_store: from.map_or(StoreUid(0), |commit| commit.next_store),
            next_metric: from.map_or(MetricId(0), |commit| commit.next_metric),
            next_stream: from.map_or(StreamId(0), |commit| commit.next_stream),
            streams: BTreeMap::new(),
            sinks: BTreeMap::new(),
            kept,
            pinned: None,
            unopened,
            written_bytes: 0,
            in_doubt: None,
            breathe,
        })
    }

    /// A stream begins, or goes on from the checkpoint.
    pub fn open_stream(&mut self, open: OpenStream) {
        let OpenStream { info, plan, stores, first_after, splits, partitions, committed } = open;
        self.next_stream = self.next_stream.max(info.id.next());
        self.unopened.remove(&info.id);
        let id = info.id;
        let mut stream = StreamLists::new(info, plan.version, first_after);
        stream.splits = splits;
        stream.committed = committed;
        for OpenPartition { partition, lists, uncounted } in partitions {
            let written = lists.written();
            stream.partitions.insert(partition, PartitionLists { lists, uncounted, written });
        }
        self.streams.insert(id, stream);
        self.take_plan(id, &plan, &stores);
    }

    /// What a split of a stream is called and how it is known again, from now on.
    pub fn note_split(&mut self, stream: StreamId, split: SplitId, info: SplitInfo) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.splits.insert(split, info);
        }
    }

    /// A plan that a barrier of the stream will bring.
    pub fn add_plan(&mut self, stream: StreamId, plan: &Arc<SharedPlan>) {
        self.take_plan(stream, plan, &BTreeMap::new());
    }

    fn take_plan(&mut self, stream: StreamId, plan: &Arc<SharedPlan>, known: &BTreeMap<usize, StoreUid>) {
        let next_store = &mut self.next_store;
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.add_plan(plan, |position| {
                let new = || {
                    let uid = *next_store;
                    *next_store = uid.next();
                    uid
                };
                known.get(&position).copied().unwrap_or_else(new)
            });
        }
        let highest = plan.metrics.iter().map(|metric| metric.id.next()).max();
        self.next_metric = self.next_metric.max(highest.unwrap_or_default());
    }

    /// A stream is gone; kept checkpoints keep what they have of it.
    pub fn drop_stream(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        self.unopened.remove(&stream);
    }

    /// The next delta of one of a stream's chains; each comes once, whatever becomes of replicas.
    pub fn take(&mut self, stream: StreamId, delta: &Delta) -> Vec<Outcome> {
        let Some(StreamLists { plans, partitions, .. }) = self.streams.get_mut(&stream) else { return Vec::new() };
        for PartitionLists { lists, .. } in partitions.values_mut() {
            let new = delta.stamp.plans().filter(|plan| *plan > lists.plan_version()).last();
            new.and_then(|plan| plans.get(&plan)).into_iter().for_each(|plan| lists.adopt(plan));
            lists.take(delta);
        }
        // Only a mark completes a list.
        let partitions: Vec<PartitionId> = partitions.keys().copied().filter(|_| !delta.stamp.marks.is_empty()).collect();
        partitions.into_iter().flat_map(|partition| self.write_complete(stream, partition)).collect()
    }

    /// No chain of the stream carries this barrier.
    pub fn seal(&mut self, stream: StreamId, epoch: Epoch) -> Vec<Outcome> {
        let Some(lists) = self.streams.get_mut(&stream) else { return Vec::new() };
        lists.partitions.values_mut().for_each(|partition| partition.lists.seal(epoch));
        let partitions: Vec<PartitionId> = lists.partitions.keys().copied().collect();
        partitions.into_iter().flat_map(|partition| self.write_complete(stream, partition)).collect()
    }

    fn write_complete(&mut self, stream: StreamId, partition: PartitionId) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let breathe = self.breathe;
        while let Some(list) = self.lists_of(stream, partition).and_then(|lists| lists.lists.take_complete(breathe)) {
            outcomes.push(self.write(stream, partition, list));
        }
        outcomes
    }

    fn lists_of(&mut self, stream: StreamId, partition: PartitionId) -> Option<&mut PartitionLists> {
        self.streams.get_mut(&stream)?.partitions.get_mut(&partition)
    }

    /// Writes a list as one batch, with older records of its slices that are due to be rewritten.
    fn write(&mut self, id: StreamId, partition: PartitionId, mut list: EpochList) -> Outcome {
        let epoch = list.epoch;
        self.streams.get_mut(&id).into_iter().for_each(|stream| stream.note_plan(&list));
        match self.try_write(id, partition, &mut list) {
            Ok(()) => {
                let vector = list.splits.iter().map(|split| (split.split, split.offset)).collect();
                Outcome::Acked(id, epoch, partition, vector)
            }
            Err(error) => {
                self.lists_of(id, partition).into_iter().for_each(|lists| lists.lists.put_back(epoch, &list.records, &list.uncounted));
                Outcome::Failed(epoch, error)
            }
        }
    }

    fn try_write(&mut self, id: StreamId, partition: PartitionId, list: &mut EpochList) -> Result<(), StoreError> {
        let stream = self.streams.get(&id).expect("it has lists");
        let lists = &stream.partitions[&partition];
        let mut uncounted = lists.uncounted.clone();
        uncounted.add(&list.uncounted);
        let counts = stream.counts(&uncounted);
        // Before the list gives its records away: reading may fail.
        let merges = self.merges(id, stream.slices_of(partition, list))?;
        let mut batch = PartitionBatch {
            stream: id,
            partition,
            epoch: list.epoch,
            state: PartitionState { splits: list.splits.clone(), counts: counts.clone() },
            records: stream.records_of(partition, lists.written, list),
        };
        let own = batch.records.len();
        batch.records.extend(merges);
        visit(CrashPoint::ListUnwritten);
        match self.store.write(&batch) {
            Ok(written) => {
                self.note_records(&batch.records, &written.record_bytes);
            }
            Err(error) => {
                // Should that fail as well, the next call tells.
                let _ = self.store.reopen();
                batch.records.truncate(own);
                list.records = self.streams[&id].records_back(batch.records);
                return Err(error);
            }
        }
        let stream = self.streams.get_mut(&id).expect("it has lists");
        stream.note_written(list, &counts);
        let lists = stream.partitions.get_mut(&partition).expect("it has lists");
        (lists.uncounted, lists.written) = (uncounted, list.epoch);
        visit(CrashPoint::ListWritten);
        Ok(())
    }

    /// These records were written, with so many bytes each.
    fn note_records(&mut self, records: &[(RecordId, Record)], bytes: &[u64]) {
        records.iter().zip(bytes).for_each(|((id, _), &bytes)| self.ledger.add(id, bytes));
        self.written_bytes += bytes.iter().sum::<u64>();
    }

    /// Writes the commit record of an epoch that all its streams and sinks have written. Streams that did not take part are as they were.
    pub fn commit(&mut self, epoch: Epoch, streams: &[StreamId], wall_us: i64) -> Outcome {
        let commit = self.commit_record(epoch, streams, wall_us);
        visit(CrashPoint::CommitUnwritten);
        match self.write_shown(&commit).and_then(|()| self.store.commit(&commit)) {
            Ok(bytes) => {
                self.written_bytes += bytes;
                self.note_committed(commit);
                Outcome::Committed(epoch)
            }
            Err(error) => {
                self.in_doubt = Some(commit);
                Outcome::CommitFailed(epoch, error, self.settle())
            }
        }
    }

    /// True if it is not known whether a commit record is there. [`Persister::settle`] finds out; nothing is to be committed before.
    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt.is_some()
    }

    /// Opens the store anew and looks what is committed in it: the newest epoch.
    ///
    /// # Errors
    /// What the store says, above all while its disk is full; then nothing is known, and the next call may tell.
    pub fn settle(&mut self) -> Result<Epoch, StoreError> {
        self.store.reopen()?;
        let newest = self.store.commits()?.last().copied().unwrap_or_default();
        if let Some(commit) = self.in_doubt.take()
            && commit.epoch == newest
        {
            self.note_committed(commit);
        }
        Ok(newest)
    }

    fn commit_record(&self, epoch: Epoch, streams: &[StreamId], wall_us: i64) -> Commit {
        let of_stream = |(id, stream): (&StreamId, &StreamLists)| {
            let now = streams.contains(id).then(|| stream.commit(epoch)).flatten();
            now.or_else(|| stream.committed.clone())
        };
        let mut all: Vec<StreamCommit> = self.streams.iter().filter_map(of_stream).chain(self.unopened.values().cloned()).collect();
        all.sort_by_key(|stream| stream.id);
        self.add_shown_stores(&mut all);
        let of_sink = |sink: &PreparedSink| {
            let commit = sink.commit_at(epoch);
            let ahead = commit.ahead.filter(|ahead| is_ahead(commit.stream, ahead, &all));
            SinkCommit { ahead, ..commit }
        };
        let mut sinks: Vec<SinkCommit> = self.sinks.values().map(of_sink).collect();
        sinks.sort_by(|one, other| one.name.cmp(&other.name));
        let (next_stream, next_metric, next_store) = (self.next_stream, self.next_metric, self.next_store);
        Commit { epoch, wall_us, next_stream, next_metric, next_store, streams: all, sinks }
    }

    fn note_committed(&mut self, commit: Commit) {
        let epoch = commit.epoch;
        self.kept.push(Kept::of(&commit));
        self.note_sinks_committed(&commit);
        for stream in commit.streams {
            if let Some(lists) = self.streams.get_mut(&stream.id) {
                lists.note_committed(epoch, stream);
            }
        }
    }

    /// The records that say what a partition's store held at a kept epoch; several of one slice add up.
    ///
    /// # Errors
    /// That the epoch is not kept.
    pub fn records_at(
        &self,
        (stream, partition, store): (StreamId, PartitionId, StoreUid),
        epoch: Epoch,
    ) -> Result<Vec<RecordId>, StoreError> {
        let mut records = Vec::new();
        for slice in self.ledger.slices(stream, partition, store) {
            records.extend(self.ledger.cover(slice, epoch).ok_or_else(|| StoreError::missing(format!("checkpoint {}", epoch.0)))?);
        }
        Ok(records)
    }

    /// All of a kept epoch, for copying it elsewhere. What it has stays until it is let go of.
    ///
    /// # Errors
    /// What the store says, or that the epoch is not kept.
    pub fn pin(&mut self, epoch: Epoch) -> Result<Contents, StoreError> {
        let mut contents = Contents::of(self.store.as_ref(), &self.ledger, epoch)?;
        // Older checkpoints may hold slices that nobody needs from this one on: they may go at any time.
        contents.records.retain(|id, _| self.is_needed_from(epoch, id.slice_id()));
        self.pinned = Some(epoch);
        Ok(contents)
    }

    /// Nothing is being copied.
    pub fn unpin(&mut self) {
        self.pinned = None;
    }

    /// Bytes of all records and commit records written since it was opened, rewritten records included.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// The store, for those who read it.
    pub fn store(&self) -> &dyn CheckpointStore {
        self.store.as_ref()
    }
}

/// True if a sink has something that its stream does not have again.
fn is_ahead(stream: StreamId, ahead: &Ahead, streams: &[StreamCommit]) -> bool {
    let Some(stream) = streams.iter().find(|other| other.id == stream) else { return false };
    let offset_of = |split: SplitId| stream.splits.iter().find(|at| at.id == split).map_or(Offset(0), |at| at.offset);
    stream.frontier < ahead.frontier || ahead.offsets.iter().any(|&(split, offset)| offset_of(split) < offset)
}
