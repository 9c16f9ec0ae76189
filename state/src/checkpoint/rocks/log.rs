//! Damage to RocksDB's logs that RocksDB would read for ever, or that can be mended.
//!
//! Its logs, and its manifest, which has the same form, consist of records in blocks of 32 KiB: checksum, length, kind, contents. A kind that says
//! that the file has been used before ("recyclable") is only expected if the first record's does. Where one comes after a whole record without, which takes
//! but a flipped bit, RocksDB's reader neither goes on nor gives up (`db/log_reader.cc`, `ReadPhysicalRecord`, version 10). So whoever opens a database
//! looks for such a record before. We have no files used again, so it is damage.
//!
//! The checksum covers the kind, so it tells which of the few kinds a record was written with if nothing else is damaged: then that one is written back, and
//! nothing is lost. Else the kind becomes one that the reader finds damaged, like any other flipped bit; which commits that costs is told as always
//! ([`super::marker`]). Only who can have the database's lock changes its files; who reads beside a writer is told of the damage.
//!
//! The look goes a little further than that reader, which ends behind the first damage of a log, and is one pass over at most the bytes that a start reads again.

use super::{Access, failure, settings};
use crate::checkpoint::error::{StoreError, StoreErrorKind};
use crc_fast::{CrcAlgorithm, Digest};
use failure::Doing;
use rocksdb::DB;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Where a record says what it is.
const KIND_AT: usize = 6;
/// Kinds that we write: a whole record, or the first, a middle and the last piece of one.
const WHOLE: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
/// Kinds that only files have that have been used before.
const RECYCLABLE: [u8; 6] = [5, 6, 7, 8, 11, 131];
/// Kinds that say something of the file and may stand between the pieces of a record.
const OF_THE_FILE: [u8; 3] = [9, 10, 130];
/// A kind that is never written with contents.
const NO_KIND: u8 = 0;
/// Added to checksums, which are also turned by 15 bits, so that those of contents with checksums in them are not special.
const MASK: u32 = 0xa282_ead8;

/// A record whose kind is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mistaken {
    /// Where the record begins.
    at: u64,
    /// What its kind is to be.
    kind: u8,
    /// RocksDB's reader would not get past it.
    is_endless: bool,
}

/// Looks through the logs of a database that is about to be opened.
pub(super) fn check(database: &Path, access: Access) -> Result<(), StoreError> {
    for path in logs(database)? {
        let found = look(&path);
        match access {
            Access::Read => {
                if let Some(Mistaken { at, .. }) = found.iter().find(|mistaken| mistaken.is_endless) {
                    return Err(StoreError::damaged(path.display(), format!("the record at byte {at} is of a kind that is never written")));
                }
            }
            Access::Write if found.is_empty() => {}
            Access::Write => {
                probe_lock(database)?;
                // Nobody writes to it any more.
                mend(&path, &look(&path)).map_err(|error| failure::of_io(&error, &path.display()))?;
            }
        }
    }
    Ok(())
}

/// The files that RocksDB may read: logs, and the manifest that is in use.
fn logs(database: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error: io::Error| failure::of_io(&error, &database.display());
    let entries = match fs::read_dir(database) {
        // That there is no database is for others to tell.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let current = fs::read_to_string(database.join("CURRENT")).unwrap_or_default();
    let mut logs = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".log") || *name == *current.trim_end() {
            logs.push(path);
        }
    }
    logs.sort();
    Ok(logs)
}

/// An error if another one has the database open. RocksDB takes its lock before it refuses to open what exists, and lets go of it then.
fn probe_lock(database: &Path) -> Result<(), StoreError> {
    let mut options = settings::options(false)?;
    options.set_error_if_exists(true);
    match DB::open(&options, database).map(drop).map_err(|error| failure::of(error, Doing::Opening, &database.display())) {
        Err(error) if error.kind == StoreErrorKind::Locked => Err(error),
        _ => Ok(()),
    }
}

fn mend(path: &Path, mistaken: &[Mistaken]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    for mistaken in mistaken {
        file.seek(SeekFrom::Start(mistaken.at + KIND_AT as u64))?;
        file.write_all(&[mistaken.kind])?;
    }
    file.sync_data()
}

/// The records of a file whose kinds are mistaken; none if it can't be read, which others tell: one that writes to the database may have removed it.
fn look(path: &Path) -> Vec<Mistaken> {
    let (mut look, mut block) = (Look::default(), Vec::with_capacity(BLOCK_BYTES));
    let Ok(file) = File::open(path) else { return Vec::new() };
    loop {
        block.clear();
        match (&file).take(BLOCK_BYTES as u64).read_to_end(&mut block) {
            Ok(bytes) if bytes > 0 && !look.is_used_again => look.at_block(&block),
            _ => return look.found,
        }
    }
}

/// A look through a file, as far as it has come.
#[derive(Default)]
struct Look {
    /// Bytes before the block at hand.
    before: u64,
    /// A whole record has been read.
    has_read: bool,
    /// The first piece of a record has been read and not its last one.
    is_within: bool,
    /// The file begins like one that has been used before.
    is_used_again: bool,
    found: Vec<Mistaken>,
}

impl Look {
    fn at_block(&mut self, block: &[u8]) {
        let mut at = 0;
        while let Some(header) = block.get(at..at + HEADER_BYTES) {
            let (kind, length) = (header[KIND_AT], usize::from(u16::from_le_bytes([header[4], header[5]])));
            let end = at + HEADER_BYTES + length;
            let checksum = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
            let written = block.get(at + HEADER_BYTES..end).and_then(|contents| kind_of(kind, contents, checksum));
            let is_endless = RECYCLABLE.contains(&kind) && self.has_read;
            if written != Some(kind) && (written.is_some() || is_endless) {
                self.found.push(Mistaken { at: self.before + at as u64, kind: written.unwrap_or(NO_KIND), is_endless });
            }
            let Some(written) = written else {
                // The reader passes over the rest of the block, or reads the file as one used before.
                self.is_within = false;
                self.is_used_again = RECYCLABLE.contains(&kind) && !is_endless;
                break;
            };
            self.read(written);
            at = end;
        }
        self.before += block.len() as u64;
    }

    fn read(&mut self, kind: u8) {
        self.has_read |= kind == WHOLE || (kind == LAST && self.is_within);
        self.is_within = kind == FIRST || (self.is_within && (kind == MIDDLE || OF_THE_FILE.contains(&kind)));
    }
}

/// The kind that a record was written with; `None` if more than its kind is damaged.
fn kind_of(kind: u8, contents: &[u8], checksum: u32) -> Option<u8> {
    [kind, WHOLE, FIRST, MIDDLE, LAST].into_iter().find(|&kind| masked(kind, contents) == checksum)
}

fn masked(kind: u8, contents: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&[kind]);
    digest.update(contents);
    (digest.finalize() as u32).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a kind, whole.
    fn record(kind: u8, contents: &[u8]) -> Vec<u8> {
        [&masked(kind, contents).to_le_bytes()[..], &(contents.len() as u16).to_le_bytes(), &[kind], contents].concat()
    }

    fn found(bytes: &[u8]) -> Vec<Mistaken> {
        let mut look = Look::default();
        for block in bytes.chunks(BLOCK_BYTES) {
            if !look.is_used_again {
                look.at_block(block);
            }
        }
        look.found
    }

    #[test]
    fn a_kind_that_alone_is_damaged_is_known_from_the_checksum() {
        let records = [record(WHOLE, b"first"), record(WHOLE, b"second"), record(FIRST, &[7; 300]), record(LAST, &[8; 20])];
        let whole = records.concat();
        assert_eq!(found(&whole), []);
        let mut at = 0;
        for (number, written) in records.iter().enumerate() {
            for kind in 0..=u8::MAX {
                let mut bytes = whole.clone();
                bytes[at + KIND_AT] = kind;
                let mistaken = Mistaken { at: at as u64, kind: written[KIND_AT], is_endless: number > 0 && RECYCLABLE.contains(&kind) };
                let expected = if kind == written[KIND_AT] { vec![] } else { vec![mistaken] };
                assert_eq!(found(&bytes), expected, "kind {kind} of record {number}");
            }
            at += written.len();
        }
    }

    #[test]
    fn a_record_that_would_be_read_for_ever_is_found_though_nobody_knows_what_it_was() {
        // A record that fills its block, and its last piece; then others.
        let first = record(FIRST, &[7; BLOCK_BYTES - HEADER_BYTES]);
        let (last, other) = (record(LAST, b"last"), record(WHOLE, b"other"));
        let whole = [&first[..], &last, &other, &other].concat();
        let damaged = |at: usize, kind: u8| {
            let mut bytes = whole.clone();
            bytes[at + KIND_AT] = kind;
            bytes[at + HEADER_BYTES] ^= 1;
            bytes
        };
        let (second, third) = (first.len(), first.len() + last.len());
        for kind in RECYCLABLE {
            assert_eq!(found(&damaged(third, kind)), [Mistaken { at: third as u64, kind: NO_KIND, is_endless: true }], "kind {kind}");
            assert_eq!(found(&damaged(second, kind)), [], "no record has been whole, so the file is read as one used before");
        }
        for kind in (0..=u8::MAX).filter(|kind| !RECYCLABLE.contains(kind)) {
            assert_eq!(found(&damaged(third, kind)), [], "kind {kind} is damage that the reader finds");
        }
        let mut behind_damage = damaged(third, WHOLE);
        behind_damage[third + other.len() + KIND_AT] = 5;
        assert_eq!(found(&behind_damage), [], "the reader does not come there");
        behind_damage.resize(2 * BLOCK_BYTES, 0);
        behind_damage.extend([0; 7].iter().chain(&[1; 100]));
        behind_damage.resize(3 * BLOCK_BYTES, 0);
        let mut mistaken = record(WHOLE, b"next block");
        mistaken[KIND_AT] = 8;
        behind_damage.extend(mistaken);
        assert_eq!(found(&behind_damage), [Mistaken { at: 3 * BLOCK_BYTES as u64, kind: WHOLE, is_endless: true }], "it goes on there");
    }
}
