//! A pack: archives back to back, then the small ones among them, an index, and a footer.
//!
//! | bytes | what |
//! |---|---|
//! | 0 – tail | parts of records |
//! | tail – index | entries of records' index, partitions' states |
//! | index – end − 32 | the index: an archive under the pack's name |
//! | last 32 | tail (8), index (8), format version (2), 0 (2), CRC-32 of the name and the 20 bytes before (4), `RAYMPACK` |
//!
//! So one reading of the tail tells all that is there and gives everything small. Numbers are little-endian. A record's entry in the index comes after
//! all its parts, which may lie in packs before: where it is, all of the record is.

use super::blobs::{Blobs, gone, text_of};
use super::log::PackRef;
use crate::checkpoint::archive::{self, Kind};
use crate::checkpoint::error::{StoreError, StoreErrorKind};
use crate::checkpoint::format::PackIndexV1;
use crate::checkpoint::place::{ArchiveKey, Table};
use std::ops::Range;

/// Where a pack ends, unless a single archive is larger: what is held in memory, and what is put at once and again if that fails.
pub(super) const PACK_BYTES: usize = 32 << 20;

const VERSION: u16 = 1;
const MAGIC: [u8; 8] = *b"RAYMPACK";
const FOOTER_BYTES: usize = 32;
/// Where packs lie.
pub(super) const FOLDER: &str = "packs/";

/// An archive in a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checkpoint) struct Placed {
    pub(in crate::checkpoint) key: ArchiveKey,
    pub(in crate::checkpoint) offset: u64,
    pub(in crate::checkpoint) bytes: u32,
}

impl Placed {
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.bytes)
    }
}

/// All archives of a pack, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::checkpoint) struct PackIndex {
    pub(in crate::checkpoint) archives: Vec<Placed>,
}

/// A pack being made.
#[derive(Default)]
pub(super) struct PackWriter {
    body: Vec<u8>,
    index: PackIndex,
    small: Vec<(ArchiveKey, Vec<u8>)>,
    small_bytes: usize,
}

impl PackWriter {
    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.body.len() + self.small_bytes
    }

    /// True while nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in an archive.
    pub(super) fn add(&mut self, key: ArchiveKey, bytes: Vec<u8>) {
        if key.table == Table::Parts {
            self.place(key, &bytes);
        } else {
            self.small_bytes += bytes.len();
            self.small.push((key, bytes));
        }
    }

    fn place(&mut self, key: ArchiveKey, bytes: &[u8]) {
        // Archives have less than 2^31 bytes.
        self.index.archives.push(Placed { key, offset: self.body.len() as u64, bytes: bytes.len() as u32 });
        self.body.extend_from_slice(bytes);
    }

    /// The pack under this name, its index and its bytes.
    pub(super) fn finish(mut self, name: &str) -> Result<(PackRef, PackIndex, Vec<u8>), StoreError> {
        let tail = self.body.len() as u64;
        for (key, bytes) in std::mem::take(&mut self.small) {
            self.place(key, &bytes);
        }
        let index = archive::seal(Kind::Pack, name.as_bytes(), &PackIndexV1::of(&self.index), name)?;
        let mut footer = [0; FOOTER_BYTES];
        footer[..8].copy_from_slice(&tail.to_le_bytes());
        footer[8..16].copy_from_slice(&(self.body.len() as u64).to_le_bytes());
        footer[16..18].copy_from_slice(&VERSION.to_le_bytes());
        footer[24..].copy_from_slice(&MAGIC);
        let checksum = checksum(name, &footer);
        footer[20..24].copy_from_slice(&checksum.to_le_bytes());
        self.body.extend_from_slice(&index);
        self.body.extend_from_slice(&footer);
        let pack = PackRef { name: name.to_owned(), bytes: self.body.len() as u64, tail, live: Vec::new() };
        Ok((pack, self.index, self.body))
    }
}

fn checksum(name: &str, footer: &[u8; FOOTER_BYTES]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(name.as_bytes());
    hasher.update(&footer[..20]);
    hasher.finalize()
}

/// The end of a pack: what it holds, and its small archives.
pub(super) struct PackTail {
    pub(super) pack: PackRef,
    pub(super) index: PackIndex,
    /// From the tail's beginning on.
    bytes: Vec<u8>,
}

impl PackTail {
    /// Reads the end of a pack that an entry names.
    pub(super) fn read(blobs: &dyn Blobs, pack: &PackRef) -> Result<PackTail, StoreError> {
        let bytes = blobs.get(&pack.name, Some(pack.tail..pack.bytes))?.ok_or_else(|| gone(blobs, &pack.name))?;
        let index = read_index(blobs, pack, &bytes)?;
        Ok(PackTail { pack: pack.clone(), index, bytes })
    }

    /// A small archive, if it is one.
    pub(super) fn small(&self, placed: &Placed) -> Option<&[u8]> {
        let range = placed.range();
        let start = range.start.checked_sub(self.pack.tail)? as usize;
        self.bytes.get(start..start + placed.bytes as usize)
    }
}

fn read_index(blobs: &dyn Blobs, pack: &PackRef, bytes: &[u8]) -> Result<PackIndex, StoreError> {
    let damaged = |fault: &str| StoreError::damaged(text_of(blobs, &pack.name), fault);
    if bytes.len() as u64 != pack.bytes.saturating_sub(pack.tail) {
        return Err(damaged("it is shorter than when it was put there"));
    }
    let footer: &[u8; FOOTER_BYTES] = bytes.last_chunk().ok_or_else(|| damaged("it ends within its footer"))?;
    let [tail, index] = [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|byte| footer[at + byte])));
    if footer[24..] != MAGIC || checksum(&pack.name, footer) != u32::from_le_bytes(std::array::from_fn(|byte| footer[20 + byte])) {
        return Err(damaged("its footer is not what was put there"));
    }
    let version = u16::from_le_bytes([footer[16], footer[17]]);
    if version != VERSION {
        let happened = format!("it has format version {version}, and this program knows up to {VERSION}");
        let advice = "run the version of raympp that wrote it, or a later one";
        return Err(StoreError::new(StoreErrorKind::Version, text_of(blobs, &pack.name), happened, advice));
    }
    let start = index.checked_sub(pack.tail).filter(|_| tail == pack.tail).ok_or_else(|| damaged("its footer does not fit it"))?;
    let archive = bytes.get(start as usize..bytes.len() - FOOTER_BYTES).ok_or_else(|| damaged("its footer does not fit it"))?;
    let read: PackIndexV1 = archive::open(Kind::Pack, pack.name.as_bytes(), archive, text_of(blobs, &pack.name))?;
    let read = read.into_index().map_err(damaged)?;
    if pack.live.len() != read.archives.len().div_ceil(8) {
        return Err(damaged("it has not as many archives as its checkpoint says"));
    }
    let lies_within = |placed: &Placed| placed.offset.checked_add(u64::from(placed.bytes)).is_some_and(|end| end <= index);
    if read.archives.iter().all(lies_within) { Ok(read) } else { Err(damaged("its index names bytes beyond it")) }
}
