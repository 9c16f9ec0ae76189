//! The persister over a store that fails: nothing of a list that could not be written is lost, and nothing counts twice.

use crate::small::{counts, delta, first_chain, ones, plan_of};
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::place::ArchiveKey;
use raympp_state::checkpoint::{
    CheckpointStore, Columns, Commit, MemoryStore, PartitionBatch, PartitionState, Record, RecordId, StoreError, StoreErrorKind, Written,
};
use raympp_state::delta::Mark;
use raympp_state::epoch_list::{EpochLists, Uncounted};
use raympp_state::persister::{OpenPartition, OpenStream, Outcome, Persister, StreamInfo};
use raympp_testkit::script::StreamScript;
use raympp_types::{Epoch, MetricId, PartitionId, SplitId, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const STREAM: StreamId = StreamId(3);

/// A store in memory that fails while its owner says so.
#[derive(Default)]
struct Failing {
    store: MemoryStore,
    faults: Arc<Faults>,
}

/// What fails.
#[derive(Default)]
struct Faults {
    reads: AtomicBool,
    writes: AtomicBool,
    commits: AtomicBool,
    /// Commits are there, and their answers are lost.
    answers: AtomicBool,
    opening: AtomicBool,
}

fn unless(fails: &AtomicBool, what: &str) -> Result<(), StoreError> {
    let error = || StoreError::new(StoreErrorKind::Io, what, "it fails", "wait");
    if fails.load(Ordering::Relaxed) { Err(error()) } else { Ok(()) }
}

impl CheckpointStore for Failing {
    fn write(&mut self, batch: &PartitionBatch) -> Result<Written, StoreError> {
        unless(&self.faults.writes, "writing")?;
        self.store.write(batch)
    }

    fn write_records(&mut self, records: &[(RecordId, Record)]) -> Result<Vec<u64>, StoreError> {
        unless(&self.faults.writes, "writing")?;
        self.store.write_records(records)
    }

    fn commit(&mut self, commit: &Commit) -> Result<u64, StoreError> {
        unless(&self.faults.commits, "committing")?;
        let bytes = self.store.commit(commit)?;
        unless(&self.faults.answers, "answering").map(|()| bytes)
    }

    fn commits(&self) -> Result<Vec<Epoch>, StoreError> {
        self.store.commits()
    }

    fn read_commit(&self, epoch: Epoch) -> Result<Commit, StoreError> {
        self.store.read_commit(epoch)
    }

    fn records(&self) -> Result<Vec<(RecordId, u64)>, StoreError> {
        self.store.records()
    }

    fn read_columns(&self, id: &RecordId, columns: &Columns) -> Result<Record, StoreError> {
        unless(&self.faults.reads, "reading")?;
        self.store.read_columns(id, columns)
    }

    fn partition(&self, stream: StreamId, partition: PartitionId, epoch: Epoch) -> Result<PartitionState, StoreError> {
        self.store.partition(stream, partition, epoch)
    }

    fn archive(&self, key: &ArchiveKey) -> Result<Vec<u8>, StoreError> {
        self.store.archive(key)
    }

    fn put_archives(&mut self, archives: &[(ArchiveKey, Vec<u8>)]) -> Result<(), StoreError> {
        self.store.put_archives(archives)
    }

    fn remove(&mut self, records: &[RecordId], epochs: &[Epoch]) -> Result<(), StoreError> {
        self.store.remove(records, epochs)
    }

    fn rewind(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        self.store.rewind(epoch)
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.store.size()
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        unless(&self.faults.opening, "opening")?;
        self.store.reopen()
    }
}

/// A stream of one partition and one split that begins.
fn open_stream(script: &StreamScript, plan: &Arc<SharedPlan>, partition: PartitionId) -> OpenStream {
    let bound_us = script.stream.bound_us;
    let (name, definition) = ("s".to_owned(), String::new());
    let lists = EpochLists::new(partition, plan, bound_us, &[SplitId(0)]);
    OpenStream {
        info: StreamInfo { id: STREAM, name, definition, bound_us, key_groups: 256, partitions: 1 },
        plan: Arc::clone(plan),
        stores: BTreeMap::new(),
        first_after: BTreeMap::new(),
        splits: BTreeMap::new(),
        partitions: vec![OpenPartition { partition, lists, uncounted: Uncounted::default() }],
        committed: None,
    }
}

#[test]
fn a_list_that_could_not_be_written_comes_with_the_next_one() {
    let (script, partition) = (counts(), PartitionId(0));
    let plan = plan_of(&script);
    let mut chain = first_chain(&script, &plan, 0);
    let store = Failing::default();
    let Faults { reads, writes, .. } = &*Arc::clone(&store.faults);
    let mut persister = Persister::open(Box::new(store), None, 1, || ()).unwrap();
    persister.open_stream(open_stream(&script, &plan, partition));
    let mut failed = Vec::new();
    for epoch in (1..30).map(Epoch) {
        // Once there are many records of the slice, a list is written with older ones as one, which have to be read.
        reads.store(epoch.0 % 5 > 0, Ordering::Relaxed);
        writes.store(epoch.0 % 7 == 0, Ordering::Relaxed);
        let barrier = Mark::Barrier { epoch, splits: Arc::new([SplitId(0)]), plan: plan.version };
        match &persister.take(STREAM, &delta(&mut chain, &ones(&[("a", 1.0)]), vec![barrier]))[..] {
            [Outcome::Acked(..)] => {
                assert!(matches!(persister.commit(epoch, &[STREAM], 0), Outcome::Committed(_)));
                reads.store(false, Ordering::Relaxed);
                persister.forget().unwrap();
                let store = persister.store().read_commit(epoch).unwrap().streams[0].stores[0].uid;
                let columns = Columns::all(&plan.stores[0].as_ref().unwrap().accumulators);
                let held = persister.records_at((STREAM, partition, store), epoch).unwrap();
                let held: Vec<Record> = held.iter().map(|id| persister.store().read_columns(id, &columns).unwrap()).collect();
                assert_eq!(held.iter().flat_map(|record| &record.rows).sum::<u64>(), epoch.0, "rows up to {epoch}");
            }
            [Outcome::Failed(of, error)] if *of == epoch => failed.push(error.what.clone()),
            others => panic!("{others:?}"),
        }
    }
    let count = |what: &str| failed.iter().filter(|failed| *failed == what).count();
    assert!(count("reading") >= 3 && count("writing") >= 3, "{failed:?}");
}

/// As on a full disk, where a database can't be opened either: what is committed is asked until it is known.
#[test]
fn a_commit_in_doubt_is_settled_once_the_store_can_be_opened() {
    for is_there in [false, true] {
        let (script, partition) = (counts(), PartitionId(0));
        let plan = plan_of(&script);
        let mut chain = first_chain(&script, &plan, 0);
        let store = Failing::default();
        let faults = Arc::clone(&store.faults);
        let mut persister = Persister::open(Box::new(store), None, 1, || ()).unwrap();
        persister.open_stream(open_stream(&script, &plan, partition));
        let mut write = |persister: &mut Persister, epoch| {
            let barrier = Mark::Barrier { epoch, splits: Arc::new([SplitId(0)]), plan: plan.version };
            persister.take(STREAM, &delta(&mut chain, &ones(&[("a", 1.0)]), vec![barrier]))
        };
        assert!(matches!(write(&mut persister, Epoch(1))[..], [Outcome::Acked(..)]));
        let fails = if is_there { &faults.answers } else { &faults.commits };
        [fails, &faults.opening].into_iter().for_each(|fault| fault.store(true, Ordering::Relaxed));
        assert!(matches!(persister.commit(Epoch(1), &[STREAM], 0), Outcome::CommitFailed(Epoch(1), _, Err(_))));
        assert!(persister.is_in_doubt() && persister.settle().is_err() && persister.is_in_doubt());
        [fails, &faults.opening].into_iter().for_each(|fault| fault.store(false, Ordering::Relaxed));
        let newest = if is_there { Epoch(1) } else { Epoch(0) };
        assert_eq!((persister.settle().unwrap(), persister.is_in_doubt()), (newest, false));
        assert!(matches!(write(&mut persister, Epoch(2))[..], [Outcome::Acked(..)]));
        assert!(matches!(persister.commit(Epoch(2), &[STREAM], 0), Outcome::Committed(_)));
        // Only one checkpoint is kept: the one that was in doubt is known and goes, if it was there.
        persister.forget().unwrap();
        assert_eq!(persister.store().commits().unwrap(), [Epoch(2)]);
    }
}

#[test]
fn a_metric_that_comes_and_goes_between_two_barriers_leaves_no_trace() {
    let (script, partition) = (counts(), PartitionId(0));
    let first = plan_of(&script);
    let other = crate::small::script(
        "CREATE METRIC other AS SELECT v, window_start, COUNT(*) AS n FROM TUMBLE(s, et, INTERVAL '10 seconds') GROUP BY v, window_start;",
    );
    let second = Arc::new(first.with(MetricId(7), &other.metrics[0].1));
    let third = Arc::new(second.without(MetricId(7)));
    let mut chain = first_chain(&script, &first, 0);
    let mut persister = Persister::open(Box::new(MemoryStore::new()), None, 1, || ()).unwrap();
    persister.open_stream(open_stream(&script, &first, partition));
    persister.add_plan(STREAM, &second);
    persister.add_plan(STREAM, &third);
    let barrier = |epoch| Mark::Barrier { epoch: Epoch(epoch), splits: Arc::new([SplitId(0)]), plan: third.version };
    let mut outcomes = persister.take(STREAM, &delta(&mut chain, &ones(&[("a", 1.0)]), vec![barrier(1)]));
    chain.adopt(&third);
    outcomes.extend(persister.take(STREAM, &delta(&mut chain, &ones(&[("a", 2.0)]), vec![barrier(2)])));
    assert!(matches!(outcomes[..], [Outcome::Acked(_, Epoch(1), ..), Outcome::Acked(_, Epoch(2), ..)]), "{outcomes:?}");
    assert!(matches!(persister.commit(Epoch(2), &[STREAM], 0), Outcome::Committed(_)));
    let commit = persister.store().read_commit(Epoch(2)).unwrap();
    assert_eq!((commit.streams[0].stores.len(), commit.streams[0].metrics.len()), (1, 1));
}

/// A metric counts from the barrier that brings it, also if that one's list can't be written and comes with the next.
#[test]
fn a_metric_begins_at_its_barrier_whenever_that_is_written() {
    let (script, partition) = (counts(), PartitionId(0));
    let first = plan_of(&script);
    let other = crate::small::script(
        "CREATE METRIC other AS SELECT v, window_start, COUNT(*) AS n FROM TUMBLE(s, et, INTERVAL '10 seconds') GROUP BY v, window_start;",
    );
    let second = Arc::new(first.with(MetricId(7), &other.metrics[0].1));
    let mut chain = first_chain(&script, &first, 0);
    let store = Failing::default();
    let faults = Arc::clone(&store.faults);
    let mut persister = Persister::open(Box::new(store), None, 1, || ()).unwrap();
    persister.open_stream(open_stream(&script, &first, partition));
    persister.add_plan(STREAM, &second);
    let barrier = |epoch| Mark::Barrier { epoch: Epoch(epoch), splits: Arc::new([SplitId(0)]), plan: second.version };
    faults.writes.store(true, Ordering::Relaxed);
    let mut outcomes = persister.take(STREAM, &delta(&mut chain, &ones(&[("a", 1.0)]), vec![barrier(1)]));
    let seen = chain.running_watermark().max_event_time;
    chain.adopt(&second);
    faults.writes.store(false, Ordering::Relaxed);
    outcomes.extend(persister.take(STREAM, &delta(&mut chain, &ones(&[("a", 20.0)]), vec![barrier(2)])));
    assert!(matches!(outcomes[..], [Outcome::Failed(Epoch(1), _), Outcome::Acked(_, Epoch(2), ..)]), "{outcomes:?}");
    assert!(matches!(persister.commit(Epoch(2), &[STREAM], 0), Outcome::Committed(_)));
    let commit = persister.store().read_commit(Epoch(2)).unwrap();
    let metric = commit.streams[0].metrics.iter().find(|metric| metric.id == MetricId(7)).unwrap();
    assert!(metric.first_after == Some(seen) && seen < commit.streams[0].max_event_time, "{:?} is not {seen}", metric.first_after);
}
