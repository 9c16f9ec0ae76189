//! What every store promises, tried on each of them.

use crate::directory::Directory;
use crate::sample::{accumulators, batch, commit, id, keys, record, sessions, state};
use raympp_state::checkpoint::{CheckpointStore, MemoryStore, Record, RocksStore, StoreErrorKind};
use raympp_types::{Epoch, PartitionId, StreamId};

/// A kind of store, and how one comes back after its process was killed.
trait Place {
    type Store: CheckpointStore;

    /// An empty store.
    fn open(&mut self) -> Self::Store;

    /// The store as it is after its process was killed at this instant.
    fn kill(&mut self, store: Self::Store) -> Self::Store;
}

struct InMemory {
    /// How much of what was not committed survives.
    random: u64,
}

impl Place for InMemory {
    type Store = MemoryStore;

    fn open(&mut self) -> MemoryStore {
        MemoryStore::new()
    }

    fn kill(&mut self, mut store: MemoryStore) -> MemoryStore {
        store.crash(self.random);
        store
    }
}

/// A directory, and one more for each kill.
struct OnDisk {
    directory: Directory,
}

impl Place for OnDisk {
    type Store = RocksStore;

    fn open(&mut self) -> RocksStore {
        RocksStore::open(self.directory.path()).unwrap()
    }

    fn kill(&mut self, store: RocksStore) -> RocksStore {
        let copy = self.directory.copy();
        drop(store);
        self.directory = copy;
        self.open()
    }
}

/// Runs a test on each kind of store.
macro_rules! battery {
    ($($name:ident)*) => {
        mod memory_keeps {
            $(#[test] fn $name() { super::$name(&mut super::InMemory { random: 0 }) })*
        }
        mod disk_keeps {
            $(#[test] fn $name() { super::$name(&mut super::OnDisk { directory: super::Directory::new(stringify!($name)) }) })*
        }
    };
}

battery! {
    what_is_written
    what_was_committed_before_a_kill
    what_was_not_removed
    what_came_before_a_rewind
    records_of_many_parts
    records_with_little_in_them
    what_was_written_twice
    what_is_reopened
}

/// Two committed epochs and one that is only written.
fn fill<S: CheckpointStore>(store: &mut S) -> Vec<Record> {
    let accumulators = accumulators();
    let records = [record(1, &keys(20), &accumulators), sessions(2, &keys(5), &accumulators), record(3, &keys(9), &accumulators)];
    for (epoch, record) in (1..).zip(&records) {
        let written = store.write(&batch(epoch, vec![(id(0, epoch), record.clone())])).unwrap();
        assert_eq!(written.record_bytes.len(), 1);
        assert!(written.bytes > written.record_bytes[0], "the state counts too");
        if epoch < 3 {
            assert!(store.commit(&commit(epoch)).unwrap() > 0);
        }
    }
    records.to_vec()
}

fn check_epoch<S: CheckpointStore>(store: &S, epoch: u64, record: &Record) {
    assert_eq!(store.read_commit(Epoch(epoch)).unwrap(), commit(epoch));
    assert_eq!(&store.read(&id(0, epoch), &accumulators()).unwrap(), record);
    assert_eq!(partition(store, epoch).unwrap(), state(epoch));
}

fn partition<S: CheckpointStore>(store: &S, epoch: u64) -> Result<raympp_state::checkpoint::PartitionState, StoreErrorKind> {
    store.partition(StreamId(0), PartitionId(1), Epoch(epoch)).map_err(|error| error.kind)
}

fn listed<S: CheckpointStore>(store: &S) -> Vec<raympp_state::checkpoint::RecordId> {
    store.records().unwrap().into_iter().map(|(id, _)| id).collect()
}

fn what_is_written<P: Place>(place: &mut P) {
    let mut store = place.open();
    assert_eq!((store.commits().unwrap(), listed(&store)), (vec![], vec![]));
    let records = fill(&mut store);
    assert_eq!(store.commits().unwrap(), [Epoch(1), Epoch(2)]);
    check_epoch(&store, 1, &records[0]);
    check_epoch(&store, 2, &records[1]);
    assert_eq!(store.read(&id(0, 3), &accumulators()).unwrap(), records[2], "readable before its commit");
    assert_eq!(listed(&store), [id(0, 1), id(0, 2), id(0, 3)]);
    assert!(store.size().unwrap() > 0);
    assert_eq!(store.read_commit(Epoch(3)).unwrap_err().kind, StoreErrorKind::Missing);
    assert_eq!(store.read(&id(1, 1), &accumulators()).unwrap_err().kind, StoreErrorKind::Missing);
    assert_eq!(store.partition(StreamId(0), PartitionId(0), Epoch(1)).unwrap_err().kind, StoreErrorKind::Missing);
}

fn what_was_committed_before_a_kill<P: Place>(place: &mut P) {
    let mut store = place.open();
    let records = fill(&mut store);
    let store = place.kill(store);
    assert_eq!(store.commits().unwrap(), [Epoch(1), Epoch(2)]);
    check_epoch(&store, 1, &records[0]);
    check_epoch(&store, 2, &records[1]);
    let last = listed(&store).contains(&id(0, 3));
    assert_eq!(last, partition(&store, 3).is_ok(), "a batch is there as a whole or not at all");
}

fn what_was_not_removed<P: Place>(place: &mut P) {
    let mut store = place.open();
    let records = fill(&mut store);
    store.remove(&[id(0, 1), id(7, 7)], &[Epoch(1), Epoch(9)]).unwrap();
    store.remove(&[id(0, 3)], &[]).unwrap();
    store.write(&batch(4, vec![(id(0, 4), records[0].clone())])).unwrap();
    store.commit(&commit(4)).unwrap();
    let store = place.kill(store);
    assert_eq!(store.commits().unwrap(), [Epoch(2), Epoch(4)]);
    assert_eq!(listed(&store), [id(0, 2), id(0, 4)]);
    check_epoch(&store, 2, &records[1]);
    check_epoch(&store, 4, &records[0]);
    assert_eq!(partition(&store, 1), Err(StoreErrorKind::Missing));
    assert_eq!(store.read(&id(0, 1), &accumulators()).unwrap_err().kind, StoreErrorKind::Missing);
    assert!(partition(&store, 3).is_ok(), "an epoch that was not named");
}

fn what_came_before_a_rewind<P: Place>(place: &mut P) {
    let mut store = place.open();
    let records = fill(&mut store);
    store.rewind(Epoch(1)).unwrap();
    let mut store = place.kill(store);
    assert_eq!(store.commits().unwrap(), [Epoch(1)]);
    assert_eq!(listed(&store), [id(0, 1)]);
    check_epoch(&store, 1, &records[0]);
    assert_eq!((partition(&store, 2), partition(&store, 3)), (Err(StoreErrorKind::Missing), Err(StoreErrorKind::Missing)));
    // The same numbers mean other rows now.
    store.write(&batch(2, vec![(id(0, 2), records[2].clone())])).unwrap();
    store.commit(&commit(2)).unwrap();
    let mut store = place.kill(store);
    check_epoch(&store, 2, &records[2]);
    // To where nothing had been committed: that is no loss.
    store.rewind(Epoch(0)).unwrap();
    assert_eq!((store.commits().unwrap(), listed(&store)), (vec![], vec![]));
    let mut store = place.kill(store);
    assert_eq!((store.commits().unwrap(), listed(&store)), (vec![], vec![]));
    store.write(&batch(1, vec![(id(0, 1), records[0].clone())])).unwrap();
    store.commit(&commit(1)).unwrap();
    check_epoch(&place.kill(store), 1, &records[0]);
}

fn records_of_many_parts<P: Place>(place: &mut P) {
    let mut store = place.open();
    let accumulators = accumulators().into_iter().skip(3).take(3).collect::<Vec<_>>();
    let record = record(1, &keys(200_000), &accumulators);
    let written = store.write(&batch(1, vec![(id(0, 1), record.clone())])).unwrap();
    assert!(written.record_bytes[0] > 3 << 20, "more than a part or two");
    store.commit(&commit(1)).unwrap();
    let mut store = place.kill(store);
    assert_eq!(store.records().unwrap(), [(id(0, 1), written.record_bytes[0])]);
    assert!(store.read(&id(0, 1), &accumulators).unwrap() == record);
    store.remove(&[id(0, 1)], &[]).unwrap();
    assert_eq!(listed(&store), []);
}

fn records_with_little_in_them<P: Place>(place: &mut P) {
    let mut store = place.open();
    let (no_keys, no_accumulators) = (record(1, &[], &accumulators()), record(1, &keys(3), &[]));
    let no_sessions = sessions(1, &[], &accumulators());
    let records = vec![(id(0, 1), no_keys.clone()), (id(1, 1), no_accumulators.clone()), (id(2, 1), no_sessions.clone())];
    store.write(&batch(1, records)).unwrap();
    store.commit(&commit(1)).unwrap();
    let store = place.kill(store);
    assert_eq!(store.read(&id(0, 1), &accumulators()).unwrap(), no_keys);
    assert_eq!(store.read(&id(1, 1), &[]).unwrap(), no_accumulators);
    assert_eq!(store.read(&id(2, 1), &accumulators()).unwrap(), no_sessions);
    let other = store.read(&id(1, 1), &accumulators()).unwrap_err();
    assert_eq!(other.kind, StoreErrorKind::Damaged, "read as a record of another store");
}

fn what_was_written_twice<P: Place>(place: &mut P) {
    let mut store = place.open();
    let records = fill(&mut store);
    let once = listed(&store);
    fill(&mut store);
    assert_eq!(listed(&store), once);
    check_epoch(&place.kill(store), 2, &records[1]);
}

fn what_is_reopened<P: Place>(place: &mut P) {
    let mut store = place.open();
    let records = fill(&mut store);
    store.reopen().unwrap();
    assert_eq!(store.read(&id(0, 3), &accumulators()).unwrap(), records[2]);
    let store = place.kill(store);
    assert_eq!(store.read(&id(0, 3), &accumulators()).unwrap(), records[2], "reopening makes durable what is there");
}
