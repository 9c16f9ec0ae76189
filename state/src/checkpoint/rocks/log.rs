//! Damage to RocksDB's logs that RocksDB would read for ever.
//!
//! Its logs, and its manifest, which has the same form, consist of records in blocks of 32 KiB: checksum, length, kind, contents. A kind that says
//! that the file has been used before ("recyclable") is only expected if the first record's does. Where another record has one, which takes but a flipped bit,
//! RocksDB's reader neither goes on nor gives up (`db/log_reader.cc`, `ReadPhysicalRecord`, version 10). So whoever opens a database looks for such
//! a record before, exactly as that reader would come across it. We have no files used again, so it is damage. If the database is opened for writing, its kind
//! becomes one that the reader finds damaged, like any other flipped bit; which commits that costs is told as always ([`super::marker`]).

use super::{Access, failure};
use crate::checkpoint::error::StoreError;
use crc_fast::{CrcAlgorithm, checksum};
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Where a record says what it is.
const KIND_AT: usize = 6;
/// Kinds that only files have that have been used before.
const RECYCLABLE: [u8; 6] = [5, 6, 7, 8, 11, 131];
/// A kind that is never written with contents.
const NO_KIND: u8 = 0;
/// Added to checksums, which are also turned by 15 bits, so that those of contents with checksums in them are not special.
const MASK: u32 = 0xa282_ead8;

/// Looks through the logs of a database that is about to be opened.
pub(super) fn check(database: &Path, access: Access) -> Result<(), StoreError> {
    let failed = |path: &Path, error: std::io::Error| failure::of_io(&error, &path.display());
    let entries = match fs::read_dir(database) {
        // That there is no database is for others to tell.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| failed(database, error))?,
    };
    for entry in entries {
        let path = entry.map_err(|error| failed(database, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(".log") && !name.starts_with("MANIFEST-") {
            continue;
        }
        // One that writes to the database may have removed it by now.
        let Ok(mut bytes) = fs::read(&path) else { continue };
        while let Some(at) = endless(&bytes) {
            match access {
                Access::Read => {
                    return Err(StoreError::damaged(path.display(), format!("the record at byte {at} is of a kind that is never written")));
                }
                Access::Write => mark_damaged(&path, at).map_err(|error| failed(&path, error))?,
            }
            bytes[at + KIND_AT] = NO_KIND;
        }
    }
    Ok(())
}

fn mark_damaged(path: &Path, at: usize) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::Start((at + KIND_AT) as u64))?;
    file.write_all(&[NO_KIND])?;
    file.sync_data()
}

/// Where the record begins that RocksDB's reader would not get past.
fn endless(bytes: &[u8]) -> Option<usize> {
    let mut is_first = true;
    for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        let mut at = 0;
        while let Some(header) = block.get(at..at + HEADER_BYTES) {
            let (kind, length) = (header[KIND_AT], usize::from(u16::from_le_bytes([header[4], header[5]])));
            if RECYCLABLE.contains(&kind) {
                return (!is_first).then_some(number * BLOCK_BYTES + at);
            }
            let end = at + HEADER_BYTES + length;
            let Some(covered) = block.get(at + KIND_AT..end) else { break };
            if (kind, length) == (NO_KIND, 0) || masked(covered) != u32::from_le_bytes([header[0], header[1], header[2], header[3]]) {
                // The reader passes over the rest of the block.
                break;
            }
            (at, is_first) = (end, false);
        }
    }
    None
}

fn masked(bytes: &[u8]) -> u32 {
    let checksum = checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32;
    checksum.rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a kind, whole.
    fn record(kind: u8, contents: &[u8]) -> Vec<u8> {
        let covered = [&[kind], contents].concat();
        [&masked(&covered).to_le_bytes()[..], &(contents.len() as u16).to_le_bytes(), &covered].concat()
    }

    #[test]
    fn a_record_that_would_be_read_for_ever_is_found() {
        let whole = [record(1, b"first"), record(1, b"second"), record(2, &[7; 300])].concat();
        assert_eq!(endless(&whole), None);
        let second = record(1, b"first").len();
        let with_kind = |at: usize, kind: u8| {
            let mut bytes = whole.clone();
            bytes[at + KIND_AT] = kind;
            bytes
        };
        for kind in 0..=u8::MAX {
            assert_eq!(endless(&with_kind(second, kind)), RECYCLABLE.contains(&kind).then_some(second), "kind {kind}");
            assert_eq!(endless(&with_kind(0, kind)), None, "a file that begins so is read as one used before");
        }
        let mut behind_damage = with_kind(second, 5);
        behind_damage[KIND_AT + 3] ^= 1;
        assert_eq!(endless(&behind_damage), None, "the reader does not come there");
        behind_damage.resize(BLOCK_BYTES, 0);
        behind_damage.extend(record(4, b"next block"));
        behind_damage.extend(record(8, b"found"));
        assert_eq!(endless(&behind_damage), Some(BLOCK_BYTES + record(4, b"next block").len()), "it goes on with the next block");
    }
}
