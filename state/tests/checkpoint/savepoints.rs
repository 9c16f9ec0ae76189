//! Savepoints: one checkpoint copied out of a store and into another one.

use crate::directory::Directory;
use crate::sample::{accumulators, batch, commit, id, keys, record, sessions, state};
use raympp_state::checkpoint::packed::memory::Weather;
use raympp_state::checkpoint::packed::{Blobs, MemoryBlobs, PackedStore, export, import};
use raympp_state::checkpoint::{CheckpointStore, MemoryStore, Record, RecordId, RocksStore, StoreErrorKind};
use raympp_types::{Epoch, PartitionId, StreamId};
use std::sync::Arc;

fn records() -> Vec<(RecordId, Record)> {
    let accumulators = accumulators();
    vec![
        (id(0, 1), record(1, &keys(40), &accumulators)),
        (id(-1, 1), record(2, &keys(4), &accumulators)),
        (id(0, 2), sessions(3, &keys(5), &accumulators)),
        (id(7, 3), record(4, &keys(9), &accumulators)),
    ]
}

/// Three committed epochs.
fn fill(store: &mut dyn CheckpointStore) {
    for epoch in 1..4 {
        let own = records().into_iter().filter(|(id, _)| id.to == Epoch(epoch)).collect();
        store.write(&batch(epoch, own)).unwrap();
        store.commit(&commit(epoch)).unwrap();
    }
}

fn check(store: &dyn CheckpointStore, epoch: u64) {
    assert_eq!(store.commits().unwrap(), [Epoch(epoch)]);
    assert_eq!(store.read_commit(Epoch(epoch)).unwrap(), commit(epoch));
    assert_eq!(store.partition(StreamId(0), PartitionId(1), Epoch(epoch)).unwrap(), state(epoch));
    let mut expected: Vec<(RecordId, Record)> = records().into_iter().filter(|(id, _)| id.to <= Epoch(epoch)).collect();
    expected.sort_by_key(|(id, _)| *id);
    assert_eq!(
        store.records().unwrap().into_iter().map(|(id, _)| id).collect::<Vec<_>>(),
        expected.iter().map(|(id, _)| *id).collect::<Vec<_>>()
    );
    for (id, record) in expected {
        assert!(store.read(&id, &accumulators()).unwrap() == record, "{id}");
    }
}

#[test]
fn a_checkpoint_comes_back_from_where_it_was_copied_to() {
    let directory = Directory::new("exported");
    let mut store = RocksStore::open(directory.path()).unwrap();
    fill(&mut store);
    for epoch in [2, 3] {
        let blobs = MemoryBlobs::default();
        let exported = export(&store, Epoch(epoch), Arc::new(blobs.clone())).unwrap();
        assert_eq!(
            exported.bytes,
            blobs
                .objects()
                .iter()
                .filter(|(name, _)| **name != "commits/00000000000000000001")
                .map(|(_, bytes)| bytes.len() as u64)
                .sum::<u64>()
        );
        check(&PackedStore::open(Arc::new(blobs.clone())).unwrap(), epoch);
        let target = Directory::new("imported");
        let mut imported = RocksStore::open(target.path()).unwrap();
        assert_eq!(import(Arc::new(blobs), Epoch(epoch), &mut imported).unwrap(), commit(epoch));
        drop(imported);
        check(&RocksStore::open(target.path()).unwrap(), epoch);
    }
}

#[test]
fn a_place_with_checkpoints_and_a_store_with_some_are_refused() {
    let mut store = MemoryStore::new();
    fill(&mut store);
    let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
    assert_eq!(export(&store, Epoch(4), Arc::clone(&blobs)).unwrap_err().kind, StoreErrorKind::Missing);
    export(&store, Epoch(2), Arc::clone(&blobs)).unwrap();
    assert_eq!(export(&store, Epoch(3), Arc::clone(&blobs)).unwrap_err().kind, StoreErrorKind::Foreign);
    assert_eq!(import(Arc::clone(&blobs), Epoch(2), &mut store).unwrap_err().kind, StoreErrorKind::Foreign);
    assert_eq!(store.commits().unwrap().len(), 3);
    let mut empty = MemoryStore::new();
    assert_eq!(import(blobs, Epoch(3), &mut empty).unwrap_err().kind, StoreErrorKind::Missing);
    assert_eq!(empty.commits().unwrap(), []);
}

#[test]
fn an_export_that_was_cut_off_is_done_again() {
    let mut store = MemoryStore::new();
    fill(&mut store);
    for after in 0.. {
        let blobs = MemoryBlobs::default();
        blobs.set_weather(Weather::CutOff { after, happened: after % 2 == 0 });
        let whole = export(&store, Epoch(3), Arc::new(blobs.clone())).is_ok();
        blobs.set_weather(Weather::Fair);
        if !PackedStore::open(Arc::new(blobs.clone())).unwrap().commits().unwrap().is_empty() {
            check(&PackedStore::open(Arc::new(blobs.clone())).unwrap(), 3);
        } else {
            export(&store, Epoch(3), Arc::new(blobs.clone())).unwrap();
            check(&PackedStore::open(Arc::new(blobs)).unwrap(), 3);
        }
        if whole {
            assert!(after > 2, "something was cut off");
            return;
        }
    }
}

#[test]
fn an_import_that_was_cut_off_is_done_again() {
    let mut store = MemoryStore::new();
    fill(&mut store);
    let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
    export(&store, Epoch(2), Arc::clone(&blobs)).unwrap();
    let mut target = MemoryStore::new();
    // As it would be before the commit record, with something of another checkpoint.
    target.write(&batch(9, vec![(id(5, 9), records()[0].1.clone())])).unwrap();
    import(blobs, Epoch(2), &mut target).unwrap();
    check(&target, 2);
}

#[test]
fn what_is_read_from_a_place_can_be_copied_on() {
    let mut store = MemoryStore::new();
    fill(&mut store);
    let (first, second): (Arc<dyn Blobs>, Arc<dyn Blobs>) = (Arc::new(MemoryBlobs::default()), Arc::new(MemoryBlobs::default()));
    export(&store, Epoch(3), Arc::clone(&first)).unwrap();
    export(&PackedStore::open(first).unwrap(), Epoch(3), Arc::clone(&second)).unwrap();
    check(&PackedStore::open(second).unwrap(), 3);
}

#[test]
fn a_place_is_only_read() {
    let mut store = MemoryStore::new();
    fill(&mut store);
    let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
    export(&store, Epoch(3), Arc::clone(&blobs)).unwrap();
    let mut packed = PackedStore::open(blobs).unwrap();
    assert_eq!(packed.commit(&commit(4)).unwrap_err().kind, StoreErrorKind::ReadOnly);
    assert_eq!(packed.remove(&[], &[Epoch(3)]).unwrap_err().kind, StoreErrorKind::ReadOnly);
    assert!(packed.size().unwrap() > 1000);
    check(&packed, 3);
}
