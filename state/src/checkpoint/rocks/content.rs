//! How many commits and records a database holds, and which: kept in the database itself, changed with them in one batch.
//!
//! RocksDB takes a list of its tables that is cut short for the torn end of a write: it forgets the tables at that end, and removes them. What the
//! log has on top of them is still there, so it looks whole. Whoever has the log has the newest sum of the keys, too, and when the database is opened
//! the keys that are there must give the same. States of partitions are left out: nobody goes on from them.
//!
//! Cost: a look at the index for each record that is written or removed.

use crate::checkpoint::error::StoreError;
use crate::checkpoint::place::Table;
use raympp_types::KeyHash;

/// Where it lies, in the family that a database always has.
pub(super) const KEY: &[u8] = b"content";

/// Tables that it speaks of.
pub(super) const TABLES: [Table; 2] = [Table::Commits, Table::Index];

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    keys: u64,
    /// Of the hashes of all keys; the order of changes does not matter.
    sum: u64,
}

impl Content {
    pub(super) fn add(&mut self, table: Table, key: &[u8]) {
        self.keys = self.keys.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash(table, key));
    }

    pub(super) fn remove(&mut self, table: Table, key: &[u8]) {
        self.keys = self.keys.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(table, key));
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.keys.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sum.to_le_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Content> {
        let (keys, sum) = bytes.split_first_chunk::<8>()?;
        Some(Content { keys: u64::from_le_bytes(*keys), sum: u64::from_le_bytes(sum.try_into().ok()?) })
    }

    /// Compares what is there with what was noted.
    pub(super) fn check(self, noted: Option<&[u8]>, place: &dyn ToString) -> Result<(), StoreError> {
        let noted = noted.map_or(Some(Content::default()), Content::of_bytes);
        if noted == Some(self) {
            return Ok(());
        }
        let was = noted.map_or("an unknown number of".to_owned(), |noted| noted.keys.to_string());
        let happened =
            format!("it holds {} commits and records, and {was} others were written: files of it are gone or cut short", self.keys);
        Err(StoreError::damaged(place.to_string(), happened))
    }
}

fn hash(table: Table, key: &[u8]) -> u64 {
    KeyHash::of(&[table.name().as_bytes(), b"/", key].concat()).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_was_never_there() {
        let mut content = Content::default();
        content.add(Table::Index, b"a");
        let one = content;
        content.add(Table::Commits, b"a");
        content.add(Table::Index, b"b");
        content.remove(Table::Commits, b"a");
        assert_ne!(content, one);
        content.remove(Table::Index, b"b");
        assert_eq!(content, one);
        assert!(content.check(Some(&one.to_bytes()), &"there").is_ok());
        for noted in [None, Some(&b"short"[..]), Some(&Content::default().to_bytes()[..])] {
            assert!(content.check(noted, &"there").unwrap_err().to_string().contains("there"));
        }
        assert!(Content::default().check(None, &"there").is_ok());
    }
}
