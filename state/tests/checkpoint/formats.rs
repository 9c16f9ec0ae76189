//! What is on disk, down to the bit: golden archives of each format version are read for ever, and damage in any place is found.
//!
//! A golden archive is a file named by its table and the key it lies under. With `UPDATE_EXPECT` in the environment files that are missing are
//! written; one that is there is never written again.

use crate::sample::{accumulators, batch, commit, id, keys, record, sessions, state};
use raympp_state::checkpoint::place::Table;
use raympp_state::checkpoint::{CheckpointStore, MemoryStore, Pieces, Record, RecordId, StoreError, StoreErrorKind};
use raympp_state::delta::KeyList;
use raympp_testkit::random::Random;
use raympp_types::{Epoch, PartitionId, StreamId};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const EPOCH: u64 = 5;
/// All format versions there have been; the last one is written.
const VERSIONS: [u32; 2] = [1, 2];
const WRITTEN: u32 = 2;

fn golden_directory(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/checkpoint-{version}"))
}

/// What the golden archives of each version hold.
fn records() -> Vec<(RecordId, Record)> {
    let accumulators = accumulators();
    vec![
        (id(-3, EPOCH), record(11, &keys(12), &accumulators)),
        (id(0, EPOCH), sessions(12, &keys(3), &accumulators)),
        (id(1, EPOCH), record(13, &[], &accumulators)),
    ]
}

fn store() -> MemoryStore {
    let mut store = MemoryStore::new();
    store.write(&batch(EPOCH, records())).unwrap();
    store.commit(&commit(EPOCH)).unwrap();
    store
}

/// An archive, where it lies.
type Archive = (Table, Vec<u8>, Vec<u8>);

fn archives(store: &MemoryStore) -> Vec<Archive> {
    let of = |table| store.archives(table).map(move |(key, value)| (table, key.to_vec(), value.to_vec()));
    Table::ALL.into_iter().flat_map(of).collect()
}

fn file_name(table: Table, key: &[u8]) -> String {
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{digits}.archive", table.name())
}

fn golden(version: u32) -> Vec<Archive> {
    let mut golden = Vec::new();
    for entry in fs::read_dir(golden_directory(version)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (table, digits) = name.strip_suffix(".archive").unwrap().split_once('-').unwrap();
        let table = Table::ALL.into_iter().find(|known| known.name() == table).unwrap();
        let key = (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect();
        golden.push((table, key, fs::read(path).unwrap()));
    }
    golden.sort();
    golden
}

fn put(archives: &[Archive]) -> MemoryStore {
    let mut store = MemoryStore::new();
    archives.iter().for_each(|(table, key, value)| store.overwrite(*table, key, Some(value)));
    store
}

#[test]
fn archives_of_each_version_are_read() {
    VERSIONS.map(golden).iter().for_each(|golden| check_read(golden));
}

fn check_read(golden: &[Archive]) {
    let store = put(golden);
    assert_eq!(store.commits().unwrap(), [Epoch(EPOCH)]);
    assert_eq!(store.read_commit(Epoch(EPOCH)).unwrap(), commit(EPOCH));
    assert_eq!(store.partition(StreamId(0), PartitionId(1), Epoch(EPOCH)).unwrap(), state(EPOCH));
    let ids: Vec<RecordId> = store.records().unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, records().iter().map(|(id, _)| *id).collect::<Vec<_>>());
    for (id, record) in records() {
        assert!(store.read(&id, &accumulators()).unwrap() == record, "{id}");
    }
}

#[test]
fn the_last_version_is_what_is_written() {
    let written = archives(&store());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(golden_directory(WRITTEN)).unwrap();
        for (table, key, value) in &written {
            let path = golden_directory(WRITTEN).join(file_name(*table, key));
            if !path.exists() {
                fs::write(path, value).unwrap();
            }
        }
    }
    let names = |archives: &[Archive]| archives.iter().map(|(table, key, _)| file_name(*table, key)).collect::<Vec<_>>();
    assert_eq!(names(&written), names(&golden(WRITTEN)));
    for (written, golden) in written.iter().zip(golden(WRITTEN)) {
        assert!(*written == golden, "{} is written differently", file_name(written.0, &written.1));
    }
}

#[test]
fn equal_content_is_equal_bytes() {
    assert_eq!(archives(&store()), archives(&store()));
}

/// The first error that reading everything meets, if any.
fn read_all(store: &MemoryStore) -> Result<(), StoreError> {
    store.read_commit(Epoch(EPOCH))?;
    store.partition(StreamId(0), PartitionId(1), Epoch(EPOCH))?;
    store.records()?;
    for (id, expected) in records() {
        let read = store.read(&id, &accumulators())?;
        assert!(read == expected, "wrong content");
    }
    Ok(())
}

/// What a damaged archive is called in messages.
fn name_of(table: Table, key: &[u8]) -> String {
    match table {
        Table::Commits => format!("the commit record of epoch {EPOCH}"),
        Table::States => format!("the state of stream 0, partition 1 at epoch {EPOCH}"),
        Table::Index | Table::Parts => {
            let slice = i64::from_be_bytes(*key[12..].first_chunk().unwrap()) ^ i64::MIN;
            id(slice, EPOCH).to_string()
        }
    }
}

fn check_damage(store: &MemoryStore, table: Table, key: &[u8], what: &str) {
    let error = read_all(store).expect_err(what);
    assert_eq!((error.kind, error.what), (StoreErrorKind::Damaged, name_of(table, key)), "{what}");
}

#[test]
fn every_flipped_byte_is_found_and_named() {
    VERSIONS.map(golden).iter().for_each(|golden| check_flipped_bytes(golden));
}

fn check_flipped_bytes(golden: &[Archive]) {
    let mut store = put(golden);
    for (table, key, value) in golden {
        for at in 0..value.len() {
            for bits in [1, 0x80, 0xFF] {
                let mut bytes = value.clone();
                bytes[at] ^= bits;
                store.overwrite(*table, key, Some(&bytes));
                check_damage(&store, *table, key, &format!("byte {at} ^ {bits} of {}", file_name(*table, key)));
            }
        }
        store.overwrite(*table, key, Some(value));
    }
    read_all(&store).unwrap();
}

#[test]
fn every_other_length_is_found_and_named() {
    VERSIONS.map(golden).iter().for_each(|golden| check_lengths(golden));
}

fn check_lengths(golden: &[Archive]) {
    let mut store = put(golden);
    for (table, key, value) in golden {
        let longer = [&value[..], &[0]].concat();
        for bytes in (0..value.len()).map(|length| &value[..length]).chain([&longer[..]]) {
            store.overwrite(*table, key, Some(bytes));
            check_damage(&store, *table, key, &format!("{} bytes of {}", bytes.len(), file_name(*table, key)));
        }
        store.overwrite(*table, key, Some(value));
    }
}

#[test]
fn an_archive_in_the_place_of_another_is_found() {
    let golden = golden(WRITTEN);
    for (table, key, value) in &golden {
        for other in golden.iter().filter(|other| other.2 != *value) {
            let mut store = put(&golden);
            store.overwrite(*table, key, Some(&other.2));
            check_damage(&store, *table, key, "another archive");
        }
    }
}

#[test]
fn a_part_that_is_gone_is_found() {
    let golden = golden(WRITTEN);
    for (table, key, _) in golden.iter().filter(|archive| archive.0 == Table::Parts) {
        let mut store = put(&golden);
        store.overwrite(*table, key, None);
        check_damage(&store, *table, key, "a missing part");
    }
}

/// Sets the checksum of an archive right again, as only malice would.
fn sealed(key: &[u8], mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&bytes[8..]);
    bytes[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
    bytes
}

#[test]
fn a_later_version_is_told_as_such() {
    for (table, key, value) in golden(WRITTEN) {
        let mut later = value.clone();
        later[8] += 1;
        let mut store = put(&golden(WRITTEN));
        store.overwrite(table, &key, Some(&sealed(&key, later)));
        let error = read_all(&store).unwrap_err();
        assert_eq!((error.kind, error.what), (StoreErrorKind::Version, name_of(table, &key)));
    }
}

/// Without the checksum's help wrong contents can't be told from right ones, but nothing may panic, and what is read is a record.
#[test]
fn bytes_that_only_malice_could_make_are_read_without_panic() {
    VERSIONS.map(golden).iter().for_each(|golden| read_malice(golden));
}

fn read_malice(golden: &[Archive]) {
    let mut random = Random::new(1);
    for (table, key, value) in golden {
        for _ in 0..2000 {
            let mut bytes = value.clone();
            for _ in 0..1 + random.index(3) {
                let at = 12 + random.index(bytes.len() - 12);
                bytes[at] = random.pick(&[0, 1, 0x7F, 0x80, 0xFF, random.clone().bits() as u8]);
            }
            let mut store = put(golden);
            store.overwrite(*table, key, Some(&sealed(key, bytes)));
            let _ = (store.read_commit(Epoch(EPOCH)), store.partition(StreamId(0), PartitionId(1), Epoch(EPOCH)), store.records());
            for (id, _) in records() {
                if let Ok(record) = store.read(&id, &accumulators()) {
                    assert_eq!(record.fault(), None);
                }
            }
        }
    }
}

/// A record of these keys, in a store without accumulators.
fn plain(keys: &[Vec<u8>], rows: Vec<u64>) -> Record {
    let mut list = KeyList::default();
    keys.iter().for_each(|key| list.push(key));
    Record { pieces: Pieces::Sliced, keys: list, rows, columns: Vec::new() }
}

fn check_comes_back(record: Record) {
    let mut store = MemoryStore::new();
    store.write_records(&[(id(1, EPOCH), record.clone())]).unwrap();
    assert!(store.read(&id(1, EPOCH), &[]).unwrap() == record, "{:?}", record.rows);
}

#[test]
fn numbers_of_every_width_come_back() {
    let keys: Vec<Vec<u8>> = (0..3).map(|key| vec![key]).collect();
    for range in [0, 1, 0xFF, 0x100, 0xFFFF, 0x1_0000, 0xFFFF_FFFF, 0x1_0000_0000, u64::MAX - 1, u64::MAX] {
        for smallest in [0, 1, 1_000_000, u64::MAX].into_iter().filter(|smallest| smallest.checked_add(range).is_some()) {
            check_comes_back(plain(&keys, vec![smallest + range, smallest, smallest + range / 2]));
        }
    }
}

#[test]
fn keys_come_back_whatever_they_share() {
    let mut random = Random::new(2);
    for _ in 0..200 {
        // Few different bytes, so that some keys begin with all of another; now and then the empty one and long ones.
        let length = |random: &mut Random| if random.once_in(20) { 300 + random.index(300) } else { random.index(8) };
        let key = |random: &mut Random| (0..length(random)).map(|_| random.pick(&[0, 1, 0xFF])).collect();
        let keys: BTreeSet<Vec<u8>> = (0..random.index(60)).map(|_| key(&mut random)).collect();
        let keys: Vec<Vec<u8>> = keys.into_iter().collect();
        let rows = (1..=keys.len() as u64).collect();
        check_comes_back(plain(&keys, rows));
    }
    // One key that is larger than a part, and the next that shares all of it.
    check_comes_back(plain(&[vec![7; 3 << 20], vec![7; (3 << 20) + 1]], vec![1, 2]));
}
