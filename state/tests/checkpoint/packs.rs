//! Objects of checkpoints in an object store, down to the bit: golden ones of each format version are read for ever, and damage is found and named.
//!
//! A golden object is a file named as the object, with `+` for `/` and the extension `object`. With `UPDATE_EXPECT` in the environment files that are
//! missing are written; one that is there is never written again.

use crate::sample::{accumulators, batch, commit, id, keys, record, sessions, state};
use raympp_state::checkpoint::packed::contents::StoreSource;
use raympp_state::checkpoint::packed::{Blobs, Contents, Head, Identity, JobId, MemoryBlobs, PackedStore, Uploader, import};
use raympp_state::checkpoint::{CheckpointStore, Ledger, MemoryStore, Record, RecordId, StoreError, StoreErrorKind};
use raympp_testkit::random::Random;
use raympp_types::{Epoch, PartitionId, StreamId};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

const EPOCHS: [u64; 2] = [5, 6];
const WRITER: Identity = Identity { job: JobId(0x0123_4567_89AB_CDEF_0011_2233_4455_6677), writer: 7, run: 0xABC };

/// All versions of what packs hold that there have been; the last one is written.
const VERSIONS: [u32; 2] = [1, 2];
const WRITTEN: u32 = 2;

fn golden_directory(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/packs-{version}"))
}

/// Records that begin with barrier 0, so that they are a cover.
fn records() -> Vec<(RecordId, Record)> {
    let accumulators = accumulators();
    vec![
        (id(-3, 5), record(11, &keys(12), &accumulators)),
        (id(0, 5), sessions(12, &keys(3), &accumulators)),
        (id(1, 6), record(13, &keys(2), &accumulators)),
    ]
}

type Objects = BTreeMap<String, Arc<[u8]>>;

fn objects() -> Objects {
    let (blobs, mut store) = (MemoryBlobs::default(), MemoryStore::new());
    let mut uploader = Uploader::open(Arc::new(blobs.clone()), WRITER, None, Epoch(0), 2).unwrap();
    for epoch in EPOCHS {
        let own = records().into_iter().filter(|(id, _)| id.to == Epoch(epoch)).collect();
        store.write(&batch(epoch, own)).unwrap();
        store.commit(&commit(epoch)).unwrap();
        let contents = Contents::of(&store, &Ledger::of(store.records().unwrap()), Epoch(epoch)).unwrap();
        uploader.upload(&contents, &mut StoreSource(&store)).unwrap();
    }
    blobs.objects()
}

fn golden(version: u32) -> Objects {
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().replace('+', "/");
        (name, Arc::from(fs::read(path).unwrap()))
    };
    fs::read_dir(golden_directory(version)).unwrap().map(read).collect()
}

fn put(objects: &Objects) -> MemoryBlobs {
    let blobs = MemoryBlobs::default();
    objects.iter().for_each(|(name, bytes)| blobs.overwrite(name, Some(bytes)));
    blobs
}

/// The first error that reading everything meets, if any.
fn read_all(blobs: &MemoryBlobs) -> Result<(), StoreError> {
    let store = PackedStore::open(Arc::new(blobs.clone()))?;
    assert_eq!(store.commits()?, EPOCHS.map(Epoch), "all are named, damaged or not");
    for epoch in EPOCHS {
        assert_eq!(store.read_commit(Epoch(epoch))?, commit(epoch));
        assert_eq!(store.partition(StreamId(0), PartitionId(1), Epoch(epoch))?, state(epoch));
    }
    assert_eq!(store.records()?.len(), records().len());
    for (id, expected) in records() {
        let read = store.read(&id, &accumulators())?;
        assert!(read == expected, "wrong content");
    }
    Ok(())
}

#[test]
fn objects_of_each_version_are_read() {
    for golden in VERSIONS.map(golden) {
        read_all(&put(&golden)).unwrap();
        let mut store = MemoryStore::new();
        import(Arc::new(put(&golden)), Epoch(6), &mut store).unwrap();
        for (id, record) in records() {
            assert!(store.read(&id, &accumulators()).unwrap() == record, "{id}");
        }
    }
}

#[test]
fn the_last_version_is_what_is_written() {
    let written = objects();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(golden_directory(WRITTEN)).unwrap();
        for (name, bytes) in &written {
            let path = golden_directory(WRITTEN).join(format!("{}.object", name.replace('/', "+")));
            if !path.exists() {
                fs::write(path, bytes).unwrap();
            }
        }
    }
    assert_eq!(written.keys().collect::<Vec<_>>(), golden(WRITTEN).keys().collect::<Vec<_>>());
    for (name, golden) in golden(WRITTEN) {
        assert!(written[&name] == golden, "{name} is written differently");
    }
}

/// True if reading says that this object, or an archive that lies in it, is damaged.
fn is_named(error: &StoreError, name: &str) -> bool {
    let of_archive = ["the record of stream 0", "the state of stream 0", "the commit record of epoch"];
    error.kind == StoreErrorKind::Damaged
        && (error.what == format!("memory:/{name}") || of_archive.iter().any(|text| error.what.starts_with(text)))
}

/// Objects that reading needs. The log's first entry only keeps its slot.
fn needed(golden: &Objects) -> impl Iterator<Item = (&String, &Arc<[u8]>)> {
    golden.iter().filter(|(name, _)| *name != "commits/00000000000000000001")
}

#[test]
fn every_flipped_byte_is_found_and_named() {
    VERSIONS.map(golden).iter().for_each(check_flipped_bytes);
}

fn check_flipped_bytes(golden: &Objects) {
    let blobs = put(golden);
    for (name, value) in needed(golden) {
        for at in 0..value.len() {
            for bits in [1, 0x80, 0xFF] {
                let mut bytes = value.to_vec();
                bytes[at] ^= bits;
                blobs.overwrite(name, Some(&bytes));
                let error = read_all(&blobs).expect_err(&format!("byte {at} ^ {bits} of {name}"));
                assert!(is_named(&error, name), "byte {at} ^ {bits} of {name}: {error}");
            }
        }
        blobs.overwrite(name, Some(value));
    }
    read_all(&blobs).unwrap();
}

#[test]
fn every_shorter_length_is_found_and_named() {
    VERSIONS.map(golden).iter().for_each(check_lengths);
}

fn check_lengths(golden: &Objects) {
    let blobs = put(golden);
    for (name, value) in needed(golden) {
        for length in 0..value.len() {
            blobs.overwrite(name, Some(&value[..length]));
            let error = read_all(&blobs).expect_err(&format!("{length} bytes of {name}"));
            assert!(is_named(&error, name), "{length} bytes of {name}: {error}");
            let copied = EPOCHS.map(|epoch| import(Arc::new(blobs.clone()), Epoch(epoch), &mut MemoryStore::new()).map(|_| ()));
            assert!(copied.iter().any(Result::is_err), "{length} bytes of {name} were copied");
        }
        blobs.overwrite(name, Some(value));
    }
}

#[test]
fn an_object_that_is_gone_or_in_the_place_of_another_is_found() {
    let golden = golden(WRITTEN);
    for (name, value) in needed(&golden) {
        let blobs = put(&golden);
        let newest = name.ends_with("3") && name.starts_with("commits/");
        blobs.overwrite(name, None);
        if newest {
            // Nobody can tell that there was one: then the one before is the newest.
            assert_eq!(PackedStore::open(Arc::new(blobs.clone())).unwrap().commits().unwrap(), [Epoch(5)]);
        } else {
            assert!(is_named(&read_all(&blobs).unwrap_err(), name), "{name} is gone");
        }
        for (other, bytes) in golden.iter().filter(|(other, _)| *other != name) {
            blobs.overwrite(name, Some(bytes));
            let error = read_all(&blobs).expect_err(&format!("{other} in place of {name}"));
            assert!(is_named(&error, name), "{other} in place of {name}: {error}");
        }
        blobs.overwrite(name, Some(value));
    }
}

#[test]
fn a_later_version_is_told_as_such() {
    let golden = golden(WRITTEN);
    for (name, value) in needed(&golden) {
        let mut bytes = value.to_vec();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(name.as_bytes());
        if name.starts_with("packs/") {
            let footer = bytes.len() - 32;
            bytes[footer + 16] = 2;
            hasher.update(&bytes[footer..footer + 20]);
            let checksum = hasher.finalize().to_le_bytes();
            bytes[footer + 20..footer + 24].copy_from_slice(&checksum);
        } else {
            bytes[8] = 2;
            hasher.update(&bytes[8..]);
            let checksum = hasher.finalize().to_le_bytes();
            bytes[4..8].copy_from_slice(&checksum);
        }
        let blobs = put(&golden);
        blobs.overwrite(name, Some(&bytes));
        let error = read_all(&blobs).unwrap_err();
        assert_eq!((error.kind, error.what), (StoreErrorKind::Version, format!("memory:/{name}")));
    }
}

/// Without the checksums' help wrong contents can't be told from right ones, but nothing may panic.
#[test]
fn bytes_that_only_malice_could_make_are_read_without_panic() {
    let golden = golden(WRITTEN);
    let mut random = Random::new(3);
    for (name, value) in needed(&golden) {
        for _ in 0..3000 {
            let mut bytes = value.to_vec();
            let footer = bytes.len() - 32;
            let is_pack = name.starts_with("packs/");
            // In a pack the index is what is read first; its archive is sealed anew below.
            let start = if is_pack { u64::from_le_bytes(*bytes[footer + 8..].first_chunk().unwrap()) as usize } else { 0 };
            let end = if is_pack { footer } else { bytes.len() };
            for _ in 0..1 + random.index(3) {
                let at = start + 12 + random.index(end - start - 12);
                bytes[at] = random.pick(&[0, 1, 0x7F, 0x80, 0xFF, random.clone().bits() as u8]);
            }
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(name.as_bytes());
            hasher.update(&bytes[start + 8..end]);
            bytes[start + 4..start + 8].copy_from_slice(&hasher.finalize().to_le_bytes());
            let blobs: Arc<dyn Blobs> = {
                let blobs = put(&golden);
                blobs.overwrite(name, Some(&bytes));
                Arc::new(blobs)
            };
            if let Ok(store) = PackedStore::open(Arc::clone(&blobs)) {
                let _ = (store.commits(), store.records(), store.read_commit(Epoch(5)), store.size());
                records().iter().for_each(|(id, _)| drop(store.read(id, &accumulators())));
            }
            let _ = import(Arc::clone(&blobs), Epoch(6), &mut MemoryStore::new());
            if let Ok(head) = Head::read(blobs.as_ref()) {
                let _ = Uploader::open(blobs, WRITER, head, Epoch(6), 2);
            }
        }
    }
}
