//! Epochs on disk: what a persister does from a barrier to the commit, the store's part of it, and how a restart reads what was written. A commit waits
//! for the disk, so figures of two machines have little to do with each other.

use super::checkpoints::{entries, list};
use super::feed::{Feed, PARTITION, STREAM, barrier};
use super::folding::{WINDOWS, sums_over};
use super::hashes::{of_record, of_texts};
use super::scratch::Scratch;
use super::{Case, reading, using_up};
use raympp_operators::accumulator::Accumulator;
use raympp_state::checkpoint::{CheckpointStore, Commit, Counts, PartitionBatch, PartitionState, RecordId, RocksStore, SliceId};
use raympp_state::epoch_list::EpochList;
use raympp_state::persister::{Outcome, Persister};
use raympp_types::{Epoch, MetricId, StoreUid, StreamId};
use std::cell::RefCell;
use std::rc::Rc;

pub(super) fn cases() -> Vec<Case> {
    let of_window = |(name, window): (&str, &str)| {
        let select = sums_over(window);
        [
            persist(format!("persist an epoch/{name}"), select.clone()),
            write(format!("write and commit an epoch/{name}"), select.clone()),
            read(format!("read an epoch/{name}"), select),
        ]
    };
    let windows = WINDOWS.into_iter().filter(|(name, _)| matches!(*name, "TUMBLE" | "HOP of 64" | "SESSION"));
    windows.flat_map(of_window).collect()
}

fn accumulators(feed: &Feed) -> Vec<Accumulator> {
    feed.plan().stores[0].as_ref().expect("the metric's store").accumulators.clone()
}

/// Of all records with these ids.
fn of_records(store: &dyn CheckpointStore, ids: impl IntoIterator<Item = RecordId>, accumulators: &[Accumulator]) -> u64 {
    let of_one = |id: RecordId| format!("{} {}", id.slice, of_record(&store.read(&id, accumulators).expect("what was written")));
    of_texts(ids.into_iter().map(of_one))
}

/// Takes the delta that ends an epoch, writes what the epoch has touched, and commits.
fn persist(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let ([first, second], accumulators, count) = (feed.deltas(vec![barrier()]), accumulators(&feed), entries(&list(&feed)));
        let fresh = move || {
            let scratch = Scratch::new();
            let store = RocksStore::open(scratch.path()).expect("a store in a new directory");
            let mut persister = Persister::open(Box::new(store), None, 1, || ()).expect("a store that is empty");
            persister.open_stream(feed.open_stream());
            assert!(persister.take(STREAM, &first).is_empty(), "no epoch has ended");
            (persister, scratch)
        };
        let persist = move |(mut persister, scratch): (Persister, Scratch)| {
            let acked = persister.take(STREAM, &second);
            let committed = persister.commit(Epoch(1), &[STREAM], 0);
            assert!(matches!((&acked[..], &committed), ([Outcome::Acked(..)], Outcome::Committed(_))), "the disk takes it");
            (persister, scratch)
        };
        using_up(count, fresh, persist, move |(persister, _scratch)| {
            let records = persister.store().records().expect("what was written");
            of_records(persister.store(), records.into_iter().map(|(id, _)| id), &accumulators)
        })
    })
}

/// A store, and the directory that goes after it.
struct OnDisk {
    store: RocksStore,
    /// The newest epoch and its records.
    newest: (Epoch, Vec<RecordId>),
    _scratch: Scratch,
}

impl OnDisk {
    fn new() -> OnDisk {
        let scratch = Scratch::new();
        let store = RocksStore::open(scratch.path()).expect("a store in a new directory");
        OnDisk { store, newest: (Epoch(0), Vec::new()), _scratch: scratch }
    }

    /// What an epoch's list comes to as the next epoch.
    fn batch(&self, list: &EpochList) -> PartitionBatch {
        let (before, epoch) = (self.newest.0, self.newest.0.next());
        let id = |store: usize, slice: i64| SliceId { stream: STREAM, partition: PARTITION, store: StoreUid(store as u32), slice };
        let records = list.records.iter().map(|((store, slice), record)| (id(*store, *slice).record(before, epoch), record.clone()));
        let state = PartitionState { splits: list.splits.clone(), counts: Counts::default() };
        PartitionBatch { stream: STREAM, partition: PARTITION, epoch, state, records: records.collect() }
    }

    fn write(&mut self, batch: &PartitionBatch) {
        self.store.write(batch).expect("room on the disk");
        let commit = Commit {
            epoch: batch.epoch,
            wall_us: 0,
            next_stream: StreamId(1),
            next_metric: MetricId(1),
            next_store: StoreUid(1),
            streams: Vec::new(),
            sinks: Vec::new(),
        };
        self.store.commit(&commit).expect("room on the disk");
    }

    /// An epoch is the newest one, and the one before is forgotten.
    fn note(&mut self, batch: &PartitionBatch) {
        let newest = (batch.epoch, batch.records.iter().map(|(id, _)| *id).collect());
        let (epoch, records) = std::mem::replace(&mut self.newest, newest);
        if epoch > Epoch(0) {
            self.store.remove(&records, &[epoch]).expect("room on the disk");
        }
    }
}

/// The store's part, in a store that has the epoch before.
fn write(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let (list, accumulators) = (list(&feed), accumulators(&feed));
        let (count, disk) = (entries(&list), Rc::new(RefCell::new(OnDisk::new())));
        let (of_fresh, of_work) = (Rc::clone(&disk), Rc::clone(&disk));
        let written: RefCell<Option<Rc<PartitionBatch>>> = RefCell::new(None);
        let fresh = move || {
            let mut disk = of_fresh.borrow_mut();
            if let Some(batch) = written.take() {
                disk.note(&batch);
            }
            let batch = Rc::new(disk.batch(&list));
            written.replace(Some(Rc::clone(&batch)));
            batch
        };
        let write = move |batch: Rc<PartitionBatch>| {
            of_work.borrow_mut().write(&batch);
            batch
        };
        using_up(count, fresh, write, move |batch| of_records(&disk.borrow().store, batch.records.iter().map(|(id, _)| *id), &accumulators))
    })
}

/// Reads all records of an epoch in a store that has been opened anew, as after a restart.
fn read(name: String, select: String) -> Case {
    Case::new(name, move |rows| {
        let feed = Feed::new(&select, rows);
        let (list, accumulators, mut disk) = (list(&feed), accumulators(&feed), OnDisk::new());
        let batch = disk.batch(&list);
        disk.write(&batch);
        disk.store.reopen().expect("what was committed");
        let ids: Vec<RecordId> = batch.records.iter().map(|(id, _)| *id).collect();
        let read = move || {
            // The directory stays as long as the store.
            let OnDisk { store, .. } = &disk;
            ids.iter().map(|id| store.read(id, &accumulators).expect("what was written")).collect::<Vec<_>>()
        };
        reading(entries(&list), read, |records| of_texts(records.iter().map(|record| of_record(record).to_le_bytes())))
    })
}
