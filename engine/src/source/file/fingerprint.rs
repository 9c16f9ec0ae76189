//! How a file is known again when reading goes on at an offset of an earlier run.
//!
//! An offset counts rows, so it means the same row only in the same bytes. Comparing all bytes would cost a pass over the file;
//! the size, the first 4 KiB, and either the inode or the time of the last change are a cheap substitute that notices what happens in practice:
//! a file written anew, truncated, or rotated away. A copy on another machine passes if it kept its time. A followed file
//! may have grown, but must be the same inode.

use super::super::error::{SourceError, SourceErrorKind};
use super::paths;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

const HEAD_BYTES: u64 = 4_096;

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
}

impl FileFingerprint {
    /// Looks at a file.
    pub(super) fn take(path: &Path) -> Result<FileFingerprint, SourceError> {
        Self::take_head(path, HEAD_BYTES)
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
        })
    }

    /// Fails if the file at `path` is not the one this was taken of.
    pub(super) fn check(&self, path: &Path, grows: bool) -> Result<(), SourceError> {
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
