//! The log of a store on disk after the machine lost power: torn anywhere behind the newest commit, or damaged before it.

use crate::directory::Directory;
use crate::sample::{batch, commit, id, keys, record};
use raympp_state::checkpoint::{CheckpointStore, RocksStore, StoreErrorKind};
use raympp_testkit::random::Random;
use raympp_types::Epoch;
use std::fs;
use std::path::PathBuf;

/// The log files of a store, by age.
fn logs(directory: &Directory) -> Vec<PathBuf> {
    directory.files().into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "log")).collect()
}

fn write(store: &mut RocksStore, epoch: u64) {
    let records = (0..3).map(|slice| (id(slice, epoch), record(epoch, &keys(50), &[]))).collect();
    store.write(&batch(epoch, records)).unwrap();
}

/// Two committed epochs and three that are only written, in one log; and how long it was at the newest commit.
fn written() -> (Directory, u64) {
    let directory = Directory::new("torn");
    let mut store = RocksStore::open(directory.path()).unwrap();
    for epoch in 1..3 {
        write(&mut store, epoch);
        store.commit(&commit(epoch)).unwrap();
    }
    let committed = fs::metadata(&logs(&directory)[0]).unwrap().len();
    (3..6).for_each(|epoch| write(&mut store, epoch));
    let copy = directory.copy();
    drop(store);
    assert_eq!(logs(&copy).len(), 1);
    (copy, committed)
}

#[test]
fn a_torn_end_leaves_what_was_committed_and_a_prefix_of_the_rest() {
    let (written, committed) = written();
    let length = fs::metadata(&logs(&written)[0]).unwrap().len();
    let mut random = Random::new(5);
    let mut seen = [0; 4];
    for round in 0..60 {
        let torn = written.copy();
        // The first log is whole.
        let keep = if round == 0 { length } else { committed + random.below(length - committed + 1) };
        let log = &logs(&torn)[0];
        fs::OpenOptions::new().write(true).open(log).unwrap().set_len(keep).unwrap();
        if round % 2 == 0 {
            // Some file systems leave zeros where bytes were to come.
            fs::OpenOptions::new().write(true).open(log).unwrap().set_len(length).unwrap();
        }
        let store = RocksStore::open(torn.path()).unwrap();
        assert_eq!(store.commits().unwrap(), [Epoch(1), Epoch(2)]);
        let ids: Vec<_> = store.records().unwrap().into_iter().map(|(id, _)| id).collect();
        let batches = (3..6).filter(|&epoch| ids.contains(&id(0, epoch))).count();
        let mut expected: Vec<_> = (0..3).flat_map(|slice| (1..3 + batches as u64).map(move |epoch| id(slice, epoch))).collect();
        expected.sort();
        assert_eq!(ids, expected, "whole batches, in order; {keep} of {length} bytes");
        for id in ids {
            assert_eq!(store.read(&id, &[]).unwrap(), record(id.to.0, &keys(50), &[]));
        }
        seen[batches] += 1;
    }
    assert!(seen.iter().all(|&times| times > 0), "every prefix came about: {seen:?}");
}

/// Makes the second record of the newest log one that RocksDB would read for ever, and returns where it begins.
fn make_endless(store: &Directory) -> usize {
    let log = &logs(store)[0];
    let mut bytes = fs::read(log).unwrap();
    // The first record says how the database was made; the second one's length lies behind its checksum.
    let second = 7 + usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
    assert_eq!(bytes[second + 6], 1, "a whole record");
    bytes[second + 6] ^= 4;
    fs::write(log, bytes).unwrap();
    second
}

/// A bit that makes RocksDB wait for ever for a record that never comes to an end. The record's checksum tells what it was.
#[test]
fn a_record_of_a_kind_that_is_never_written_is_mended() {
    let (written, _) = written();
    let undamaged = fs::read(&logs(&written)[0]).unwrap();
    let second = make_endless(&written);
    let error = RocksStore::open_read_only(written.path()).map(drop).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Damaged);
    assert!(error.to_string().contains(&format!("byte {second}")), "{error}");
    // Logs of manifests that nobody needs are nobody's business.
    let manifest = written.path().join("db").join("MANIFEST-999999");
    fs::copy(&logs(&written)[0], &manifest).unwrap();
    let copy = written.copy();
    fs::write(&logs(&copy)[0], &undamaged).unwrap();
    assert_eq!(RocksStore::open_read_only(copy.path()).unwrap().read_commit(Epoch(2)).unwrap(), commit(2));
    let store = RocksStore::open(written.path()).unwrap();
    assert_eq!((store.read_commit(Epoch(1)).unwrap(), store.read_commit(Epoch(2)).unwrap()), (commit(1), commit(2)));
    assert_eq!(store.records().unwrap().len(), 15, "nothing is lost");
}

#[test]
fn a_record_of_which_more_is_damaged_than_its_kind_is_damage_like_any_other() {
    let (written, _) = written();
    let second = make_endless(&written);
    let log = &logs(&written)[0];
    let mut bytes = fs::read(log).unwrap();
    bytes[second + 20] ^= 1;
    fs::write(log, bytes).unwrap();
    assert_eq!(RocksStore::open_read_only(written.path()).map(drop).unwrap_err().kind, StoreErrorKind::Damaged);
    let store = RocksStore::open(written.path()).unwrap();
    assert_eq!(store.read_commit(Epoch(2)).unwrap_err().kind, StoreErrorKind::Damaged);
}

/// Files are changed by none but who can have the database's lock.
#[test]
fn a_log_of_a_database_in_use_is_left_alone() {
    let ((used, _), (other, _)) = (written(), written());
    let store = RocksStore::open(used.path()).unwrap();
    make_endless(&other);
    let damaged = used.path().join("db").join("000001.log");
    fs::copy(&logs(&other)[0], &damaged).unwrap();
    let before = fs::read(&damaged).unwrap();
    assert_eq!(RocksStore::open(used.path()).map(drop).unwrap_err().kind, StoreErrorKind::Locked);
    assert_eq!(fs::read(&damaged).unwrap(), before);
    assert_eq!(store.read_commit(Epoch(2)).unwrap(), commit(2));
}

#[test]
fn a_commit_that_the_log_lost_is_named_and_going_back_is_a_decision() {
    let (written, committed) = written();
    let damaged = written.copy();
    let log = &logs(&damaged)[0];
    let mut bytes = fs::read(log).unwrap();
    bytes[committed as usize - 20] ^= 1;
    fs::write(log, bytes).unwrap();
    for _ in 0..2 {
        let store = RocksStore::open(damaged.path()).unwrap();
        assert_eq!(store.commits().unwrap(), [Epoch(1), Epoch(2)]);
        let error = store.read_commit(Epoch(2)).unwrap_err();
        assert_eq!((error.kind, error.what.as_str()), (StoreErrorKind::Damaged, "the commit record of epoch 2"));
        assert_eq!(store.read_commit(Epoch(1)).unwrap(), commit(1));
    }
    RocksStore::open(damaged.path()).unwrap().rewind(Epoch(1)).unwrap();
    let mut store = RocksStore::open(damaged.path()).unwrap();
    assert_eq!(store.commits().unwrap(), [Epoch(1)]);
    write(&mut store, 2);
    store.commit(&commit(2)).unwrap();
    assert_eq!(store.read_commit(Epoch(2)).unwrap(), commit(2));
}
