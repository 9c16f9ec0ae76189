//! What a file sink does to the disk, each operation by its name, so that a test can stop the world between any two of them or let one fail.
//!
//! Invariant: a file sink changes nothing on disk but through this. For real use it is [`std::fs`] and an untaken branch per operation.

use super::super::error::SinkError;
use raympp_state::crash_point::{CrashPoint, attempt};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is done to a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A directory is made.
    MakeDirectory,
    /// A file is made, or emptied if it is there.
    Create,
    /// A file is cut to a length.
    Truncate,
    /// Bytes are written at the end of a file.
    Write,
    /// A file's content is made durable.
    Sync,
    /// The names in a directory are made durable.
    SyncDirectory,
    /// A file gets another name; the path is the new one.
    Rename,
    /// A file is removed.
    Remove,
}

/// Sees every operation; for tests.
pub trait Probe: Send + Sync {
    /// Called before the operation. An error is taken for the operating system's, and the operation is left out.
    ///
    /// # Errors
    /// Whatever is to go wrong.
    fn before(&self, operation: Operation, path: &Path) -> io::Result<()>;

    /// Called when the operation has succeeded.
    fn after(&self, operation: Operation, path: &Path);
}

/// The disk, with somebody watching or not.
#[derive(Clone, Default)]
pub(super) struct Disk {
    probe: Option<Arc<dyn Probe>>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.probe.is_some() { "a watched disk" } else { "the disk" })
    }
}

impl Disk {
    pub(super) fn watched(probe: Arc<dyn Probe>) -> Disk {
        Disk { probe: Some(probe) }
    }

    fn run<T>(&self, operation: Operation, path: &Path, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        attempt(CrashPoint::OutputChange)?;
        let Some(probe) = &self.probe else { return act() };
        probe.before(operation, path)?;
        let done = act()?;
        probe.after(operation, path);
        Ok(done)
    }

    /// Makes a directory and those above it that are missing, durably.
    pub(super) fn make_directory(&self, path: &Path) -> Result<(), SinkError> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|directory| !directory.as_os_str().is_empty() && !directory.exists()).collect();
        let made = self.run(Operation::MakeDirectory, path, || fs::create_dir_all(path));
        made.map_err(|error| trouble("make the directory", path, &error))?;
        missing
            .iter()
            .filter_map(|directory| directory.parent())
            .filter(|above| above.is_dir())
            .try_for_each(|above| self.sync_directory(above))
    }

    /// A new, empty file.
    pub(super) fn create(&self, path: &Path) -> Result<File, SinkError> {
        self.run(Operation::Create, path, || File::create(path)).map_err(|error| trouble("make the file", path, &error))
    }

    /// A file to be written on behind its first `bytes`, without what comes after them.
    pub(super) fn resume(&self, path: &Path, bytes: u64) -> Result<File, SinkError> {
        let open = || {
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok(file)
        };
        self.run(Operation::Truncate, path, open).map_err(|error| trouble("go on with the file", path, &error))
    }

    /// Writes all bytes. One who watches sees two writes, so that there is a moment with half of them.
    pub(super) fn write(&self, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.probe.is_none() {
            return self.run(Operation::Write, path, || file.write_all(bytes));
        }
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.run(Operation::Write, path, || file.write_all(first))?;
        self.run(Operation::Write, path, || file.write_all(second))
    }

    /// Makes a file's content durable.
    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), SinkError> {
        self.run(Operation::Sync, path, || file.sync_all()).map_err(|error| trouble("make the file durable", path, &error))
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_directory(&self, path: &Path) -> Result<(), SinkError> {
        let sync = || File::open(path)?.sync_all();
        self.run(Operation::SyncDirectory, path, sync).map_err(|error| trouble("make the directory durable", path, &error))
    }

    /// Gives a file its published name.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), SinkError> {
        self.run(Operation::Rename, to, || fs::rename(from, to)).map_err(|error| trouble("publish the part", to, &error))
    }

    /// Removes a file.
    pub(super) fn remove(&self, path: &Path) -> Result<(), SinkError> {
        self.run(Operation::Remove, path, || fs::remove_file(path)).map_err(|error| trouble("remove the file", path, &error))
    }

    /// A file that is written into by somebody else's code.
    pub(super) fn writer(&self, path: &Path) -> Result<WatchedFile, SinkError> {
        Ok(WatchedFile { file: self.create(path)?, path: path.to_owned(), disk: self.clone() })
    }
}

/// A new file as a [`Write`].
pub(super) struct WatchedFile {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl WatchedFile {
    /// Makes its content durable.
    pub(super) fn sync(&self) -> Result<(), SinkError> {
        self.disk.sync(&self.file, &self.path)
    }
}

impl Write for WatchedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write(&mut self.file, &self.path, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Length of a file; `None` if there is none.
pub(super) fn length(path: &Path) -> Result<Option<u64>, SinkError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(trouble("look at the file", path, &error)),
    }
}

/// What the operating system said; it may say something else next time.
pub(super) fn trouble(doing: &str, path: &Path, error: &io::Error) -> SinkError {
    SinkError::io(doing, path, error).retryable()
}
