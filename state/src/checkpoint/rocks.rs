//! A store on disk: RocksDB under the four tables, in a directory that says what it is.
//!
//! # How the promises are kept
//! - *Atomic, in order*: every call is one write batch, and all column families share one write-ahead log. After a crash the log is read up to the
//!   first record that is torn, so a prefix of the batches is there.
//! - *Durable*: the log is synced at commits only, and a sync covers all log files before it. A memtable that is flushed in between takes no
//!   harm: with several column families RocksDB syncs the closed logs first, so no table runs ahead of the log.
//! - *Nothing lost unnoticed*: a flipped bit in the log would look like its torn end, and commits behind it would be gone without a word. So a
//!   small file beside the database says which commit was the newest; one that should be there and is not is told as damaged
//!   (`rocks/marker.rs`). One that RocksDB would read for ever is found before, and mended where that is possible (`rocks/log.rs`). Tables that RocksDB forgets are noticed by a sum of all keys (`rocks/content.rs`).
//! - *Exact*: archives carry their own checksums; RocksDB's are on as well and name the file.
//!
//! # After an error
//! A failed write or flush (a full disk above all) leaves RocksDB refusing writes. It is closed and opened anew, which reads the log again and makes
//! durable what was in it: what a caller finds then is what counts.
//!
//! Settings and why: `rocks/settings.rs`.

mod content;
mod directory;
mod failure;
mod link;
mod log;
mod marker;
mod settings;

use super::error::StoreError;
use super::place::Table;
use super::tables::{Backend, Tables, Visit};
use crate::crash_point::{CrashPoint, attempt, visit};
use content::Content;
use directory::Directory;
use failure::Doing;
pub use link::Link;
use raympp_types::Epoch;
use rocksdb::{ColumnFamily, DB, IteratorMode, ReadOptions, WriteBatch, WriteOptions};
use std::path::Path;

/// A store on disk.
pub type RocksStore = Tables<Rocks>;

impl RocksStore {
    /// Opens the store of a directory, or makes one in a new or empty directory. One value has it open at a time, in one process.
    pub fn open(directory: &Path) -> Result<RocksStore, StoreError> {
        Ok(RocksStore { backend: Rocks::open(Directory::new(directory), Access::Write)? })
    }

    /// Opens the store of a directory for reading, beside one that writes to it; what is written from now on is not seen. Calls that write are refused.
    pub fn open_read_only(directory: &Path) -> Result<RocksStore, StoreError> {
        Ok(RocksStore { backend: Rocks::open(Directory::new(directory), Access::Read)? })
    }
}

impl RocksStore {
    /// Whose checkpoints the directory holds, if that has been noted.
    ///
    /// # Errors
    /// If the note can't be read.
    pub fn link(&self) -> Result<Option<Link>, StoreError> {
        link::read(&self.backend.directory)
    }

    /// Notes whose checkpoints the directory holds; durable when the call returns.
    ///
    /// # Errors
    /// If the note can't be written.
    pub fn set_link(&mut self, link: Link) -> Result<(), StoreError> {
        match self.backend.access {
            Access::Write => link::write(&self.backend.directory, link),
            Access::Read => Err(failure::read_only(&self.backend.directory.path().display())),
        }
    }
}

/// What a database is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// An open database and its directory.
pub struct Rocks {
    directory: Directory,
    access: Access,
    /// Or why there is none.
    db: Result<DB, StoreError>,
    /// The newest commit that the marker knows of; epoch 0 once all have been taken back.
    newest: Option<Epoch>,
    content: Content,
    /// Bytes of the last batch of records, which the next one is likely to need.
    record_batch_bytes: usize,
}

/// Changes on their way.
#[derive(Default)]
pub struct Changes {
    batch: WriteBatch,
    of_records: bool,
    /// Keys of [`content::TABLES`] that are set, or else removed.
    keys: Vec<(Table, Vec<u8>, bool)>,
}

impl Rocks {
    fn open(directory: Directory, access: Access) -> Result<Rocks, StoreError> {
        let mut rocks =
            Rocks { directory, access, db: Err(not_yet_open()), newest: None, content: Content::default(), record_batch_bytes: 0 };
        rocks.reopen()?;
        Ok(rocks)
    }

    fn open_database(&mut self) -> Result<DB, StoreError> {
        let make = self.directory.check(self.access)?;
        let (options, families, path) = (settings::options(make)?, settings::families(), self.directory.database());
        log::check(&path, self.access)?;
        let opened = match self.access {
            Access::Write => DB::open_cf_descriptors(&options, &path, families),
            Access::Read => DB::open_cf_descriptors_read_only(&options, &path, families, false),
        };
        if make && opened.is_ok() {
            visit(CrashPoint::DatabaseMade);
        }
        let db = opened.map_err(|error| failure::of(error, Doing::Opening, &path.display()))?;
        // Only who holds the database's lock may trust the file beside it.
        self.newest = marker::read(&self.directory)?;
        self.content = self.check_content(&db)?;
        Ok(db)
    }

    /// What the database holds, if that is what was written.
    fn check_content(&self, db: &DB) -> Result<Content, StoreError> {
        let mut content = Content::default();
        for table in content::TABLES {
            for item in db.iterator_cf_opt(self.family(db, table)?, reading(), IteratorMode::Start) {
                let (key, _) = item.map_err(|error| self.failed(error, Doing::Reading, &table.name()))?;
                content.add(table, &key);
            }
        }
        let place = self.directory.database();
        let noted = db.get_opt(content::KEY, &reading()).map_err(|error| self.failed(error, Doing::Reading, &"the sum of all keys"))?;
        content.check(noted.as_deref(), &place.display()).map(|()| content)
    }

    /// What the database will hold after changes.
    fn content_after(&self, db: &DB, changes: &[(Table, Vec<u8>, bool)]) -> Result<Content, StoreError> {
        let mut content = self.content;
        for (table, key, is_set) in changes {
            let was = db.get_pinned_cf(self.family(db, *table)?, key).map_err(|error| self.failed(error, Doing::Reading, &table.name()))?;
            match (was.is_some(), is_set) {
                (false, true) => content.add(*table, key),
                (true, false) => content.remove(*table, key),
                _ => {}
            }
        }
        Ok(content)
    }

    fn db(&self) -> Result<&DB, StoreError> {
        self.db.as_ref().map_err(StoreError::clone)
    }

    fn family<'a>(&self, db: &'a DB, table: Table) -> Result<&'a ColumnFamily, StoreError> {
        db.cf_handle(table.name())
            .ok_or_else(|| StoreError::damaged(self.directory.database().display(), format!("it has no {}", table.name())))
    }

    fn failed(&self, error: rocksdb::Error, doing: Doing, what: &dyn ToString) -> StoreError {
        failure::of(error, doing, &format!("{} in {}", what.to_string(), self.directory.path().display()))
    }
}

impl Changes {
    fn note(&mut self, table: Table, key: &[u8], is_set: bool) {
        if content::TABLES.contains(&table) {
            self.keys.push((table, key.to_vec(), is_set));
        }
    }
}

fn not_yet_open() -> StoreError {
    StoreError::missing("an open store")
}

impl Backend for Rocks {
    type Batch = Changes;

    fn read<R>(
        &self,
        table: Table,
        key: &[u8],
        what: &dyn ToString,
        read: impl FnOnce(&[u8]) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        let db = self.db()?;
        attempt(CrashPoint::StoreRead).map_err(|error| failure::of_io(&error, what))?;
        let value = db.get_pinned_cf_opt(self.family(db, table)?, key, &reading());
        value.map_err(|error| self.failed(error, Doing::Reading, what))?.map(|value| read(&value)).transpose()
    }

    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit) -> Result<(), StoreError> {
        let db = self.db()?;
        let start = IteratorMode::From(from, rocksdb::Direction::Forward);
        for item in db.iterator_cf_opt(self.family(db, table)?, reading(), start) {
            let (key, value) = item.map_err(|error| self.failed(error, Doing::Reading, &table.name()))?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    /// A batch is one string, which would grow from nothing to the size of an epoch by copying it over and over into fresh memory.
    fn batch_of_records(&self) -> Changes {
        Changes { batch: WriteBatch::with_capacity_bytes(self.record_batch_bytes), of_records: true, keys: Vec::new() }
    }

    fn put(&self, changes: &mut Changes, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        changes.batch.put_cf(self.family(self.db()?, table)?, key, value);
        changes.note(table, key, true);
        Ok(())
    }

    fn delete(&self, changes: &mut Changes, table: Table, key: &[u8]) -> Result<(), StoreError> {
        changes.batch.delete_cf(self.family(self.db()?, table)?, key);
        changes.note(table, key, false);
        Ok(())
    }

    fn delete_from(&self, changes: &mut Changes, table: Table, from: &[u8]) -> Result<(), StoreError> {
        assert!(!content::TABLES.contains(&table), "what is counted is removed key by key");
        // Keys are shorter, so none sorts behind this.
        changes.batch.delete_range_cf(self.family(self.db()?, table)?, from, &[u8::MAX; 64][..]);
        Ok(())
    }

    fn apply(&mut self, mut changes: Changes, durable: bool, what: &dyn ToString) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(durable);
        attempt(CrashPoint::StoreChange).map_err(|error| failure::of_io(&error, what))?;
        let content = self.content_after(self.db()?, &changes.keys)?;
        if content != self.content {
            changes.batch.put(content::KEY, content.to_bytes());
        }
        if changes.of_records {
            self.record_batch_bytes = changes.batch.size_in_bytes();
        }
        self.db()?.write_opt(changes.batch, &options).map_err(|error| self.failed(error, Doing::Writing, what))?;
        self.content = content;
        attempt(CrashPoint::StoreChanged).map_err(|error| failure::of_io(&error, what))
    }

    fn newest(&self) -> Option<Epoch> {
        self.newest.filter(|&newest| newest > Epoch(0))
    }

    /// Before the commits are gone, so that at no instant one is missed that was meant to go.
    fn before_rewind(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        if self.access == Access::Read {
            return Err(failure::read_only(&self.directory.path().display()));
        }
        if self.newest.is_some_and(|newest| newest > epoch) {
            marker::write(&self.directory, epoch, marker::Durable::Yes)?;
            self.newest = Some(epoch);
        }
        Ok(())
    }

    /// The commit is durable whatever becomes of the marker, which only helps to notice its loss: a failure to write it is none of the commit's.
    fn after_commit(&mut self, epoch: Epoch) {
        visit(CrashPoint::CommitUnmarked);
        if marker::write(&self.directory, epoch, marker::Durable::No).is_ok() {
            self.newest = Some(epoch);
        }
    }

    fn size(&self) -> Result<u64, StoreError> {
        self.directory.size()
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        // The lock must be let go of before it is taken again.
        self.db = Err(not_yet_open());
        self.db = self.open_database();
        self.db.as_ref().map(|_| ()).map_err(StoreError::clone)
    }
}

/// Records are read once, front to back: keeping them would only push out what is read often.
fn reading() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options.fill_cache(false);
    options
}
