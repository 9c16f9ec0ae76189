//! The store in memory: crashes lose what they may lose and nothing else, and failures are what was asked for.

use crate::sample::{batch, commit, id, keys, record};
use raympp_state::checkpoint::{CheckpointStore, MemoryStore, StoreErrorKind};
use raympp_types::Epoch;

/// A commit, then three epochs that are only written.
fn store() -> MemoryStore {
    let mut store = MemoryStore::new();
    for epoch in 1..=4 {
        store.write(&batch(epoch, vec![(id(0, epoch), record(epoch, &keys(3), &[]))])).unwrap();
        if epoch == 1 {
            store.commit(&commit(1)).unwrap();
        }
    }
    store
}

fn epochs(store: &MemoryStore) -> Vec<u64> {
    store.records().unwrap().iter().map(|(id, _)| id.to.0).collect()
}

#[test]
fn a_crash_leaves_a_prefix_and_every_prefix_can_be_left() {
    let left: Vec<Vec<u64>> = (0..4)
        .map(|random| {
            let mut store = store();
            store.crash(random);
            assert_eq!(store.commits().unwrap(), [Epoch(1)]);
            epochs(&store)
        })
        .collect();
    assert_eq!(left, [vec![1], vec![1, 2], vec![1, 2, 3], vec![1, 2, 3, 4]]);
}

#[test]
fn what_a_crash_left_is_durable() {
    let mut store = store();
    store.crash(2);
    assert_eq!(epochs(&store), [1, 2, 3]);
    store.write(&batch(4, vec![(id(0, 4), record(4, &keys(3), &[]))])).unwrap();
    store.crash(0);
    assert_eq!(epochs(&store), [1, 2, 3], "a store that is opened makes durable what it finds");
}

#[test]
fn a_refused_write_changes_nothing_and_only_one_is_refused() {
    let mut store = store();
    store.fail_next(StoreErrorKind::NoSpace);
    assert_eq!(store.commit(&commit(4)).unwrap_err().kind, StoreErrorKind::NoSpace);
    store.reopen().unwrap();
    assert_eq!(store.commits().unwrap(), [Epoch(1)]);
    store.commit(&commit(4)).unwrap();
    assert_eq!(store.commits().unwrap(), [Epoch(1), Epoch(4)]);
}

#[test]
fn a_commit_of_which_only_the_answer_was_lost_shows_when_the_store_is_opened_anew() {
    let mut reopened = store();
    reopened.fail_next_unsure(StoreErrorKind::Io);
    assert_eq!(reopened.commit(&commit(4)).unwrap_err().kind, StoreErrorKind::Io);
    assert_eq!(reopened.commits().unwrap(), [Epoch(1)]);
    reopened.reopen().unwrap();
    assert_eq!(reopened.commits().unwrap(), [Epoch(1), Epoch(4)]);

    let commits = |random| {
        let mut crashed = store();
        crashed.fail_next_unsure(StoreErrorKind::Io);
        crashed.commit(&commit(4)).unwrap_err();
        crashed.crash(random);
        crashed.commits().unwrap().len()
    };
    assert_eq!((0..5).map(commits).collect::<Vec<_>>(), [1, 1, 1, 1, 2], "three batches and the commit, or fewer");
}

#[test]
fn damage_is_found() {
    let mut store = store();
    assert!(store.damage(&id(0, 1), 17, 1));
    assert!(!store.damage(&id(5, 1), 0, 1));
    let error = store.read(&id(0, 1), &[]).unwrap_err();
    assert_eq!((error.kind, error.what), (StoreErrorKind::Damaged, id(0, 1).to_string()));
    assert!(store.read(&id(0, 2), &[]).is_ok());
    assert!(store.damage_commit(Epoch(1), 3, 0x80));
    assert_eq!(store.read_commit(Epoch(1)).unwrap_err().kind, StoreErrorKind::Damaged);
    assert_eq!(store.commits().unwrap(), [Epoch(1)], "its name is not damaged");
}
