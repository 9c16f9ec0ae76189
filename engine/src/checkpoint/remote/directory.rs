//! A directory as an object store: a file per object.
//!
//! A file is written under a name of its own, synced, and linked or renamed into place; then the directory is synced. So a file under an object's name
//! is whole, and there when the call returns whatever happens to the machine. Drafts of a run that was cut off are removed when their folder is listed
//! and they are not this process's.

use raympp_state::checkpoint::packed::Blobs;
use raympp_state::checkpoint::{StoreError, StoreErrorKind};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What names of drafts begin with; objects' names don't.
const DRAFT: &str = ".draft-";

/// See the module.
pub(super) struct DirectoryBlobs {
    place: String,
    path: PathBuf,
    drafts: AtomicU64,
    stopped: AtomicBool,
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Replaced,
    Kept,
}

impl DirectoryBlobs {
    /// The objects in a directory, which is made when something is put. `url` is what messages call it.
    pub(super) fn new(url: &str, path: &Path) -> DirectoryBlobs {
        let place = url.trim_end_matches('/').to_owned();
        DirectoryBlobs { place, path: path.to_owned(), drafts: AtomicU64::new(0), stopped: AtomicBool::new(false) }
    }

    /// Writes a file. False if it is there already and is kept.
    fn write(&self, name: &str, bytes: &[u8], existing: Existing) -> io::Result<bool> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(io::Error::other("the job ends"));
        }
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        make_folder(folder)?;
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let draft = folder.join(format!("{DRAFT}{}-{number}", std::process::id()));
        let written = write_draft(&draft, bytes).and_then(|()| match existing {
            Existing::Replaced => fs::rename(&draft, &path).map(|()| true),
            Existing::Kept => link(&draft, &path),
        });
        // It is gone if it was renamed.
        let _ = fs::remove_file(&draft);
        if matches!(written, Ok(true)) {
            File::open(folder)?.sync_all()?;
        }
        written
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path.join(name))?;
        let mut bytes = Vec::new();
        match range {
            None => file.read_to_end(&mut bytes)?,
            Some(range) => {
                file.seek(SeekFrom::Start(range.start))?;
                file.take(range.end.saturating_sub(range.start)).read_to_end(&mut bytes)?
            }
        };
        Ok(bytes)
    }

    /// Adds the files in a folder and those in it.
    fn add_files(&self, folder: &Path, names: &mut Vec<(String, u64)>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Somebody has deleted it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_dir() {
                self.add_files(&path, names)?;
            } else if entry.file_name().to_string_lossy().starts_with(DRAFT) {
                self.clear_draft(&path);
            } else if let Some(name) = path.strip_prefix(&self.path).ok().and_then(Path::to_str) {
                names.push((name.to_owned(), metadata.len()));
            }
        }
        Ok(())
    }

    /// Removes a draft of a process that is not this one. If that one lives after all, its call fails and it tries again.
    fn clear_draft(&self, path: &Path) {
        let own = format!("{DRAFT}{}-", std::process::id());
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&own)) {
            // It is only untidy.
            let _ = fs::remove_file(path);
        }
    }

    fn failed(&self, name: &str, error: &io::Error) -> StoreError {
        let what = self.path.join(name);
        let (kind, advice) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (StoreErrorKind::NoSpace, "make room on that file system"),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                (StoreErrorKind::ReadOnly, "let this user write there, or name another place")
            }
            _ => (StoreErrorKind::Io, "look whether the disk is in order, then try again"),
        };
        StoreError::new(kind, what.display(), error, advice)
    }
}

/// Makes a folder and those above it, durably.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or(Ok(()), make_folder)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    parent.map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file another name, unless that is somebody's.
fn link(draft: &Path, path: &Path) -> io::Result<bool> {
    match fs::hard_link(draft, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

impl Blobs for DirectoryBlobs {
    fn place(&self) -> &str {
        &self.place
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.write(name, &bytes, Existing::Replaced).map(|_| ()).map_err(|error| self.failed(name, &error))
    }

    fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        self.write(name, &bytes, Existing::Kept).map_err(|error| self.failed(name, &error))
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Vec<u8>>, StoreError> {
        match self.read(name, range) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(name, &error)),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let mut names = Vec::new();
        self.add_files(&self.path.join(folder), &mut names).map_err(|error| self.failed(folder, &error))?;
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(name, &error)),
            _ => Ok(()),
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
