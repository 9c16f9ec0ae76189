//! The directory of a store: a file that says what it is, the marker of the newest commit, and the database in a directory of its own.
//!
//! A directory that holds anything else is refused, so that a mistyped path never mixes a database with somebody's files. The file comes first and is
//! durable before the database is begun; a database is only made where there is none, never in place of one that has lost its root.
//! Files of ours are one line of text and its CRC-32.

use super::Access;
use super::failure;
use crate::checkpoint::error::{StoreError, StoreErrorKind};
use crate::crash_point::{CrashPoint, visit};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Says that the directory is ours, and in which layout.
const IDENTITY: &str = "RAYMPP";
const IDENTITY_WORDS: &str = "Ray-MPP checkpoint store, layout";
const LAYOUT: u32 = 1;
const DATABASE: &str = "db";
/// What the root directory of a file system of its own has.
const LOST_AND_FOUND: &str = "lost+found";

/// Where a store lies.
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Makes sure that the directory is ours, if need be and allowed by making it so. True if the database is to be made.
    pub(super) fn check(&self, access: Access) -> Result<bool, StoreError> {
        if self.read_line(IDENTITY)?.is_none() {
            if access == Access::Read {
                let there = StoreError::missing(format!("a checkpoint store in {}", self.path.display()));
                return Err(self.foreign_file()?.map_or(there, |name| self.foreign(&name)));
            }
            self.claim()?;
            visit(CrashPoint::DirectoryClaimed);
        }
        self.check_identity()?;
        let database = self.database();
        if access == Access::Read {
            return Ok(false);
        }
        fs::create_dir_all(&database).map_err(|error| failure::of_io(&error, &database.display()))?;
        Ok(is_unfinished(&names(&database)?))
    }

    /// Makes an empty directory ours.
    fn claim(&self) -> Result<(), StoreError> {
        fs::create_dir_all(&self.path).map_err(|error| failure::of_io(&error, &self.path.display()))?;
        match self.foreign_file()? {
            Some(name) => Err(self.foreign(&name)),
            None => self.write_line(IDENTITY, &format!("{IDENTITY_WORDS} {LAYOUT}"), true),
        }
    }

    fn foreign_file(&self) -> Result<Option<String>, StoreError> {
        if !self.path.exists() {
            return Ok(None);
        }
        let ours = [IDENTITY.to_owned(), LOST_AND_FOUND.to_owned(), temporary(IDENTITY)];
        Ok(names(&self.path)?.into_iter().find(|name| !ours.contains(name)))
    }

    fn foreign(&self, name: &str) -> StoreError {
        let happened = format!("it holds {name:?} and no checkpoint store");
        StoreError::new(StoreErrorKind::Foreign, self.path.display(), happened, "name a new or empty directory")
    }

    fn check_identity(&self) -> Result<(), StoreError> {
        let line = self.read_line(IDENTITY)?.unwrap_or_default();
        let layout = line.strip_prefix(IDENTITY_WORDS).and_then(|rest| rest.trim_start().parse::<u32>().ok());
        let what = self.path.join(IDENTITY);
        match layout {
            Some(LAYOUT) => Ok(()),
            Some(layout) => {
                let happened = format!("it has layout {layout}, and this program knows {LAYOUT}");
                Err(StoreError::new(StoreErrorKind::Version, what.display(), happened, "run the version of raympp that wrote it"))
            }
            None => Err(StoreError::damaged(what.display(), "it does not say that this is a checkpoint store")),
        }
    }

    /// The line of a file of ours; `None` without the file, or if it is empty: some file systems leave that of a file that was being replaced.
    pub(super) fn read_line(&self, name: &str) -> Result<Option<String>, StoreError> {
        let path = self.path.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failure::of_io(&error, &path.display())),
        };
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let text = String::from_utf8(bytes).ok();
        let line = text.as_deref().and_then(|text| text.strip_suffix('\n')?.rsplit_once(' ')).map(|(line, _)| line.to_owned());
        // Written again it must be the same, down to the last byte.
        match line {
            Some(line) if text == Some(with_checksum(&line)) => Ok(Some(line)),
            _ => Err(StoreError::damaged(path.display(), "its checksum does not match")),
        }
    }

    /// Replaces a file of ours as a whole; if `durable`, it is on disk when this returns.
    pub(super) fn write_line(&self, name: &str, line: &str, durable: bool) -> Result<(), StoreError> {
        let path = self.path.join(name);
        self.replace(name, &with_checksum(line), durable).map_err(|error| failure::of_io(&error, &path.display()))
    }

    fn replace(&self, name: &str, text: &str, durable: bool) -> io::Result<()> {
        let draft = self.path.join(temporary(name));
        let mut file = File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        if durable {
            file.sync_all()?;
        }
        visit(CrashPoint::LineDrafted);
        fs::rename(&draft, self.path.join(name))?;
        if durable { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }

    /// Bytes of all files.
    pub(super) fn size(&self) -> Result<u64, StoreError> {
        size_of(&self.path).map_err(|error| failure::of_io(&error, &self.path.display()))
    }
}

fn temporary(name: &str) -> String {
    format!("{name}.new")
}

fn with_checksum(line: &str) -> String {
    format!("{line} {:08x}\n", crc32fast::hash(line.as_bytes()))
}

/// True if RocksDB, when it made this database, did not come to its root, which goes before all files that hold anything.
fn is_unfinished(files: &[String]) -> bool {
    let holds_data = |name: &String| [".log", ".sst", ".blob"].iter().any(|extension| name.ends_with(extension));
    !files.iter().any(|name| name == "CURRENT" || holds_data(name))
}

fn names(path: &Path) -> Result<Vec<String>, StoreError> {
    let list = || -> io::Result<Vec<String>> {
        let mut names =
            fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    list().map_err(|error| failure::of_io(&error, &path.display()))
}

/// Files come and go while it counts.
fn size_of(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes += size_of(&entry.path())?,
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
