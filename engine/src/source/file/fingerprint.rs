//! How a file is known again when reading goes on at an offset of an earlier run.
//!
//! An offset counts rows, so it means the same row only in the same bytes. Comparing all bytes would cost a pass over the file;
//! the size, the first 4 KiB, and either the inode or the time of the last change are a cheap substitute that notices what happens in practice:
//! a file written anew, truncated, or rotated away. A copy on another machine passes if it kept its time. A followed file
//! may have grown, but must be the same inode.
//!
//! While a file is followed, the same question comes up each time it has changed: are these more rows behind the ones that have been read,
//! or other rows? Then the first 4 KiB and the last bytes that have been read must still be where they were ([`Trail`]).

use super::super::error::{SourceError, SourceErrorKind};
use super::paths;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

const HEAD_BYTES: u64 = 4_096;
/// Bytes before the place read to that are remembered.
const TAIL_BYTES: usize = 256;

/// What a file looked like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFingerprint {
    /// Device and inode.
    pub inode: (u64, u64),
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last change in nanoseconds since 1970.
    pub modified_ns: i128,
    /// XXH3 of the first 4 KiB, or of the whole file if it is shorter.
    pub head_hash: u64,
    /// It was being followed: it may have grown.
    #[serde(default)]
    pub followed: bool,
}

impl FileFingerprint {
    /// Looks at a file, which is followed or not.
    pub(super) fn take(path: &Path, followed: bool) -> Result<FileFingerprint, SourceError> {
        Ok(FileFingerprint { followed, ..Self::take_head(path, HEAD_BYTES)? })
    }

    /// Looks at a file and the first `head_bytes` of it.
    fn take_head(path: &Path, head_bytes: u64) -> Result<FileFingerprint, SourceError> {
        let file = paths::open(path)?;
        let metadata = file.metadata().map_err(|error| paths::io_error(path, &error))?;
        let mut head = Vec::new();
        file.take(head_bytes).read_to_end(&mut head).map_err(|error| paths::io_error(path, &error))?;
        Ok(FileFingerprint {
            inode: (metadata.dev(), metadata.ino()),
            size_bytes: metadata.size(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            head_hash: xxh3_64(&head),
            followed: false,
        })
    }

    /// Fails if the file at `path` is not the one this was taken of; it may have grown if it was followed then or is `followed` now.
    pub(super) fn check(&self, path: &Path, followed: bool) -> Result<(), SourceError> {
        let grows = followed || self.followed;
        let now = Self::take_head(path, self.size_bytes.min(HEAD_BYTES))?;
        let same_file = now.inode == self.inode;
        let problem = if now.size_bytes < self.size_bytes {
            format!("the file has shrunk from {} to {} bytes", self.size_bytes, now.size_bytes)
        } else if now.size_bytes > self.size_bytes && !grows {
            format!("the file has grown from {} to {} bytes", self.size_bytes, now.size_bytes)
        } else if now.head_hash != self.head_hash {
            "the file starts with other bytes".to_owned()
        } else if !same_file && (grows || now.modified_ns != self.modified_ns) {
            "there is another file at this path".to_owned()
        } else {
            return Ok(());
        };
        Err(SourceError::new(SourceErrorKind::Replaced, format!("{problem} since it was first read"))
            .split(path.display().to_string())
            .hint("put the original back, or start anew without the stored state"))
    }
}

/// What has been read of a followed file, as far as it is remembered: 4 KiB of its head and some bytes before the place read to.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    read_bytes: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Trail {
    /// Notes the next bytes that have been read.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        self.read_bytes += bytes.len() as u64;
        let room = HEAD_BYTES as usize - self.head.len();
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
    }

    /// True if the file still holds, where they were, the bytes that are remembered. Costs two small reads.
    pub(super) fn leads_to(&self, file: &File) -> io::Result<bool> {
        let holds = |expected: &[u8], at: u64| {
            let mut found = vec![0; expected.len()];
            match file.read_exact_at(&mut found, at) {
                Ok(()) => Ok(found == expected),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                Err(error) => Err(error),
            }
        };
        Ok(holds(&self.head, 0)? && holds(&self.tail, self.read_bytes - self.tail.len() as u64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_remembers_the_head_and_the_last_bytes() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * 7 % 251) as u8).collect();
        for step in [1, 100, 5_000, 10_000] {
            let mut trail = Trail::default();
            bytes.chunks(step).for_each(|chunk| trail.note(chunk));
            assert_eq!((trail.read_bytes, &trail.head[..], &trail.tail[..]), (10_000, &bytes[..4_096], &bytes[9_744..]), "{step}");
        }
    }
}
