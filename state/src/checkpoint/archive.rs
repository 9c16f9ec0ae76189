//! The envelope of everything that is kept: a header of 16 bytes, then an rkyv archive.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | `RAYM` |
//! | 4–7 | CRC-32 of the place, then of all bytes from 8 on |
//! | 8–9 | format version |
//! | 10 | kind |
//! | 11 | 0 |
//! | 12–15 | length of the archive |
//!
//! Numbers are little-endian. The checksum stands in the same place in every version and is looked at before anything that it covers, so a damaged
//! byte is never taken for a later version. It covers the key under which the archive lies, so one archive can't be taken for
//! another. After it, `bytecheck` proves the archive well-formed before a field is read. Cost: a pass for
//! the checksum and, unless they are aligned, a copy of the bytes.

use super::error::{StoreError, StoreErrorKind};
use super::place::{ArchiveKey, Table};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Error, Strategy};
use rkyv::ser::{Serializer, allocator::ArenaHandle, sharing::Share};
use rkyv::util::AlignedVec;
use rkyv::validation::{Validator, archive::ArchiveValidator, shared::SharedValidator};
use rkyv::{Archive, Deserialize, Serialize, de::Pool};

const MAGIC: [u8; 4] = *b"RAYM";
const HEADER_BYTES: usize = 16;
/// Archives address themselves with 31 bits; whoever makes one keeps well below.
pub(super) const ARCHIVE_BYTES_MAX: usize = 1 << 30;

/// What an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit = 1,
    State = 2,
    Index = 3,
    Part = 4,
    /// What a pack holds.
    Pack = 5,
    /// An entry of the log beside packs.
    Entry = 6,
}

impl Kind {
    /// The format version in which it is written; all up to it are read.
    fn version(self) -> u16 {
        match self {
            Kind::Part => 2,
            Kind::Commit | Kind::State | Kind::Index | Kind::Pack | Kind::Entry => 1,
        }
    }

    /// What a table holds.
    pub(super) fn of(table: Table) -> Kind {
        match table {
            Table::Commits => Kind::Commit,
            Table::States => Kind::State,
            Table::Index => Kind::Index,
            Table::Parts => Kind::Part,
        }
    }
}

/// The format version that an archive says it has, whether or not the rest of it is as it should be.
pub(super) fn version_of(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?))
}

/// Bytes with their header, aligned as rkyv wants them.
pub(super) type Sealed = AlignedVec<16>;

/// The bytes to keep under `place`.
pub(super) fn seal<T>(kind: Kind, place: &[u8], value: &T, what: impl ToString) -> Result<Sealed, StoreError>
where
    T: for<'a> Serialize<Strategy<Serializer<Sealed, ArenaHandle<'a>, Share>, Error>>,
{
    let mut bytes = Sealed::new();
    bytes.extend_from_slice(&[0; HEADER_BYTES]);
    let mut bytes = rkyv::api::high::to_bytes_in::<_, Error>(value, bytes).map_err(|error| too_large(&what, error))?;
    let length = u32::try_from(bytes.len() - HEADER_BYTES).map_err(|error| too_large(&what, error))?;
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&kind.version().to_le_bytes());
    bytes[10] = kind as u8;
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(place, &bytes);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// What [`seal`] was given for the same place.
pub(super) fn open<T>(kind: Kind, place: &[u8], bytes: &[u8], what: impl ToString) -> Result<T, StoreError>
where
    T: Archive,
    T::Archived: for<'a> CheckBytes<Checks<'a>> + Deserialize<T, Strategy<Pool, Error>>,
{
    check_header(kind, place, bytes).map_err(|fault| fault.into_error(&what))?;
    aligned(bytes, |archive| rkyv::from_bytes::<T, Error>(archive)).map_err(|error| malformed(&what, &error))
}

/// As [`open`], but the archive is read where it lies.
pub(super) fn visit<T, R>(
    kind: Kind,
    place: &[u8],
    bytes: &[u8],
    what: impl ToString,
    read: impl FnOnce(&T::Archived) -> Result<R, &'static str>,
) -> Result<R, StoreError>
where
    T: Archive,
    T::Archived: for<'a> CheckBytes<Checks<'a>>,
{
    check_header(kind, place, bytes).map_err(|fault| fault.into_error(&what))?;
    let found =
        aligned(bytes, |archive| rkyv::access::<T::Archived, Error>(archive).map(read)).map_err(|error| malformed(&what, &error))?;
    found.map_err(|fault| StoreError::damaged(what, fault))
}

type Checks<'a> = Strategy<Validator<ArchiveValidator<'a>, SharedValidator>, Error>;

/// Reads the archive, copied unless it lies as rkyv wants it, which what has been allocated for one value does.
fn aligned<R>(bytes: &[u8], read: impl FnOnce(&[u8]) -> R) -> R {
    let archive = &bytes[HEADER_BYTES..];
    if archive.as_ptr().align_offset(Sealed::ALIGNMENT) == 0 {
        return read(archive);
    }
    let mut copy = Sealed::with_capacity(archive.len());
    copy.extend_from_slice(archive);
    read(&copy)
}

fn malformed(what: &impl ToString, error: &Error) -> StoreError {
    StoreError::damaged(what.to_string(), format!("its archive is not well-formed ({error})"))
}

/// Makes sure that these are the bytes that were sealed for this place, without reading what they hold: for those who copy them.
pub(super) fn check(place: &ArchiveKey, bytes: &[u8]) -> Result<(), StoreError> {
    check_header(Kind::of(place.table), &place.key, bytes).map_err(|fault| fault.into_error(place))
}

enum Fault {
    Damaged(&'static str),
    Version { found: u16, known: u16 },
}

impl Fault {
    fn into_error(self, what: &impl ToString) -> StoreError {
        match self {
            Fault::Damaged(happened) => StoreError::damaged(what.to_string(), happened),
            Fault::Version { found, known } => StoreError::new(
                StoreErrorKind::Version,
                what.to_string(),
                format!("it has format version {found}, and this program knows up to {known}"),
                "run the version of raympp that wrote it, or a later one",
            ),
        }
    }
}

fn check_header(kind: Kind, place: &[u8], bytes: &[u8]) -> Result<(), Fault> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(Fault::Damaged("it ends within its header"))?;
    let [m0, m1, m2, m3, c0, c1, c2, c3, v0, v1, found, zero, l0, l1, l2, l3] = *header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(Fault::Damaged("it does not begin as it must"));
    }
    if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(place, bytes) {
        return Err(Fault::Damaged("its checksum does not match"));
    }
    let version = u16::from_le_bytes([v0, v1]);
    if !(1..=kind.version()).contains(&version) {
        return Err(Fault::Version { found: version, known: kind.version() });
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if found != kind as u8 || zero != 0 || length != bytes.len() - HEADER_BYTES {
        return Err(Fault::Damaged("its header does not fit it"));
    }
    Ok(())
}

fn checksum(place: &[u8], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(place);
    hasher.update(&bytes[8..]);
    hasher.finalize()
}

pub(super) fn too_large(what: &impl ToString, error: impl ToString) -> StoreError {
    let advice = "let fewer rows come together in one group, for example by a shorter window";
    StoreError::new(StoreErrorKind::TooLarge, what.to_string(), format!("it does not fit an archive ({})", error.to_string()), advice)
}
