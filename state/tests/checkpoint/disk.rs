//! What only a store on disk meets: other processes, other people's files, damaged files.

use crate::directory::Directory;
use crate::sample::{accumulators, batch, commit, id, keys, record, state};
use raympp_state::checkpoint::{CheckpointStore, Record, RocksStore, StoreErrorKind};
use raympp_types::{Epoch, PartitionId, StreamId};
use std::fs;
use std::path::Path;
use std::path::PathBuf;

fn open_error(path: &Path) -> (StoreErrorKind, String) {
    match RocksStore::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => (error.kind, error.to_string()),
    }
}

fn records() -> Vec<Record> {
    (1..4).map(|seed| record(seed, &keys(400), &accumulators())).collect()
}

/// Three committed epochs.
fn fill(store: &mut RocksStore) {
    for (epoch, record) in (1..).zip(records()) {
        store.write(&batch(epoch, vec![(id(0, epoch), record)])).unwrap();
        store.commit(&commit(epoch)).unwrap();
    }
}

#[test]
fn a_directory_in_use_is_refused() {
    let directory = Directory::new("in-use");
    let store = RocksStore::open(directory.path()).unwrap();
    let (kind, text) = open_error(directory.path());
    assert_eq!(kind, StoreErrorKind::Locked);
    assert!(text.contains("another process uses it"), "{text}");
    assert!(text.contains(&directory.path().display().to_string()), "{text}");
    drop(store);
    RocksStore::open(directory.path()).unwrap();
}

#[test]
fn a_reader_beside_the_writer_sees_what_was_there_and_writes_nothing() {
    let directory = Directory::new("reader");
    assert_eq!(RocksStore::open_read_only(directory.path()).err().unwrap().kind, StoreErrorKind::Missing);
    assert!(!directory.path().exists());
    let mut store = RocksStore::open(directory.path()).unwrap();
    fill(&mut store);
    let mut reader = RocksStore::open_read_only(directory.path()).unwrap();
    assert_eq!(reader.commits().unwrap(), [Epoch(1), Epoch(2), Epoch(3)]);
    assert!(reader.read(&id(0, 2), &accumulators()).unwrap() == records()[1]);
    assert_eq!(reader.commit(&commit(9)).unwrap_err().kind, StoreErrorKind::ReadOnly);
    assert_eq!(reader.rewind(Epoch(1)).unwrap_err().kind, StoreErrorKind::ReadOnly);
    store.commit(&commit(4)).unwrap();
    drop((store, reader));
    let store = RocksStore::open(directory.path()).unwrap();
    assert_eq!(store.commits().unwrap(), [1, 2, 3, 4].map(Epoch));
}

#[test]
fn somebody_elses_directory_is_refused_and_left_alone() {
    let directory = Directory::new("foreign");
    fs::create_dir_all(directory.path()).unwrap();
    fs::write(directory.path().join("thesis.txt"), "text").unwrap();
    let (kind, text) = open_error(directory.path());
    assert_eq!(kind, StoreErrorKind::Foreign);
    assert!(text.contains("thesis.txt"), "{text}");
    assert_eq!(RocksStore::open_read_only(directory.path()).err().unwrap().kind, StoreErrorKind::Foreign);
    assert_eq!(directory.files(), [directory.path().join("thesis.txt")]);
    let (kind, text) = open_error(&directory.path().join("thesis.txt"));
    assert_eq!(kind, StoreErrorKind::Io);
    assert!(text.contains("thesis.txt"), "{text}");
}

#[test]
fn a_later_layout_is_told_as_such() {
    let directory = Directory::new("layout");
    drop(RocksStore::open(directory.path()).unwrap());
    let line = "Ray-MPP checkpoint store, layout 2";
    fs::write(directory.path().join("RAYMPP"), format!("{line} {:08x}\n", crc32fast::hash(line.as_bytes()))).unwrap();
    assert_eq!(open_error(directory.path()).0, StoreErrorKind::Version);
}

#[test]
fn a_database_that_lost_its_root_is_not_made_anew() {
    let directory = Directory::new("rootless");
    fill(&mut RocksStore::open(directory.path()).unwrap());
    let before = directory.files().len();
    fs::remove_file(directory.path().join("db/CURRENT")).unwrap();
    assert_eq!(open_error(directory.path()).0, StoreErrorKind::Damaged);
    assert!(directory.files().len() + 1 >= before, "nothing was cleared away");
}

#[test]
fn a_database_that_was_being_made_is_made() {
    let directory = Directory::new("unfinished");
    drop(RocksStore::open(directory.path()).unwrap());
    let come_later = |file: &&PathBuf| file.ends_with("db/CURRENT") || file.extension().is_some_and(|extension| extension == "log");
    let removed: Vec<PathBuf> = directory.files().iter().filter(come_later).cloned().collect();
    assert!(removed.len() > 1, "{removed:?}");
    removed.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    assert_eq!(RocksStore::open(directory.path()).unwrap().commits().unwrap(), []);
}

#[test]
fn a_lost_database_is_missed() {
    let directory = Directory::new("lost");
    fill(&mut RocksStore::open(directory.path()).unwrap());
    fs::remove_dir_all(directory.path().join("db")).unwrap();
    let store = RocksStore::open(directory.path()).unwrap();
    assert_eq!(store.commits().unwrap(), [Epoch(3)]);
    assert_eq!(store.read_commit(Epoch(3)).unwrap_err().kind, StoreErrorKind::Damaged);
}

/// Either an error, or what was written: nothing else may be read. True if everything was.
fn is_right_or_refused(path: &Path, what: &str) -> bool {
    let Ok(store) = RocksStore::open(path) else { return false };
    let Ok(commits) = store.commits() else { return false };
    assert_eq!(commits.last(), Some(&Epoch(3)), "{what}: the newest commit is named, whatever became of it");
    let mut whole = commits.len() == 3;
    for (epoch, record) in (1..).zip(records()) {
        let read = store.read_commit(Epoch(epoch));
        whole &= read.as_ref().is_ok_and(|read| *read == commit(epoch));
        assert!(read.is_err() || read == Ok(commit(epoch)), "{what}: commit {epoch}");
        let read = store.read(&id(0, epoch), &accumulators());
        whole &= read.is_ok();
        assert!(read.is_err() || read.is_ok_and(|read| read == record), "{what}: record {epoch}");
        let read = store.partition(StreamId(0), PartitionId(1), Epoch(epoch));
        whole &= read.is_ok();
        assert!(read.is_err() || read.is_ok_and(|read| read == state(epoch)), "{what}: state {epoch}");
    }
    whole
}

/// A store as a kill leaves it, with tables and blob files and something in the log.
fn killed_store() -> Directory {
    let directory = Directory::new("killed");
    let mut store = RocksStore::open(directory.path()).unwrap();
    fill(&mut store);
    store.reopen().unwrap();
    store.commit(&commit(3)).unwrap();
    directory.copy()
}

#[test]
fn a_flipped_bit_anywhere_is_found_or_harmless() {
    let killed = killed_store();
    let (mut found, mut harmless) = (0, 0);
    for file in killed.files() {
        let bytes = fs::read(&file).unwrap();
        for position in (0..12).map(|i| i * bytes.len() / 12).take_while(|&at| at < bytes.len()) {
            let damaged = killed.copy();
            let mut bytes = bytes.clone();
            bytes[position] ^= 0x10;
            let target = damaged.path().join(file.strip_prefix(killed.path()).unwrap());
            fs::write(&target, bytes).unwrap();
            let whole = is_right_or_refused(damaged.path(), &format!("byte {position} of {}", target.display()));
            *(if whole { &mut harmless } else { &mut found }) += 1;
        }
    }
    assert!(found > harmless / 2, "{found} found, {harmless} harmless: most bytes mean something");
}

#[test]
fn a_file_cut_short_or_gone_is_found_or_harmless() {
    let killed = killed_store();
    for file in killed.files() {
        let length = fs::metadata(&file).unwrap().len();
        for keep in [None, Some(0), Some(length / 2), Some(length.saturating_sub(1))] {
            let damaged = killed.copy();
            let target = damaged.path().join(file.strip_prefix(killed.path()).unwrap());
            match keep {
                None => fs::remove_file(&target).unwrap(),
                Some(keep) => fs::OpenOptions::new().write(true).open(&target).unwrap().set_len(keep).unwrap(),
            }
            // Without the marker, or the file that says what the directory is, less is noticed and nothing is wrong.
            if !["NEWEST", "RAYMPP"].contains(&target.file_name().unwrap().to_str().unwrap()) {
                is_right_or_refused(damaged.path(), &format!("{keep:?} of {length} bytes of {}", target.display()));
            }
        }
    }
}
