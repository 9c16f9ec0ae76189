//! Names of keys → local ids.
//!
//! A key is known by one name: an integer by its value, a text by its bytes, any other row of key columns by its canonical bytes. An integer lies in
//! its slot of the hash table, so that looking it up touches one place in memory; a text's bytes lie behind the id. Ids are dense, and those of keys
//! that were removed are given away again.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// What a key is known by.
#[derive(Clone, Copy)]
pub(super) enum Name<'a> {
    /// The value of a single integer column.
    Integer(i64),
    /// The bytes of a single text column.
    Text(&'a [u8]),
    /// Canonical bytes. They never equal a text, whatever it is.
    Canonical(&'a [u8]),
}

enum Entry {
    Integer(i64),
    Bytes { bytes: Box<[u8]>, canonical: bool, hash: u64 },
}

/// See the module.
pub(super) struct KeyIndex {
    integers: HashTable<(i64, u32)>,
    bytes: HashTable<u32>,
    hasher: FixedState,
    /// By local id; `None`: free.
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

impl KeyIndex {
    pub(super) fn new() -> KeyIndex {
        KeyIndex {
            integers: HashTable::new(),
            bytes: HashTable::new(),
            hasher: FixedState::with_seed(0x6b65_7973),
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Local ids are below this.
    pub(super) fn ids(&self) -> usize {
        self.entries.len()
    }

    /// Number of keys.
    pub(super) fn keys(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    #[inline]
    pub(super) fn find(&self, name: Name<'_>) -> Option<u32> {
        match name {
            Name::Integer(value) => self.integers.find(self.hasher.hash_one(value), |slot| slot.0 == value).map(|slot| slot.1),
            Name::Text(bytes) => self.find_bytes(bytes, false),
            Name::Canonical(bytes) => self.find_bytes(bytes, true),
        }
    }

    #[inline]
    fn find_bytes(&self, wanted: &[u8], is_canonical: bool) -> Option<u32> {
        let same = |&id: &u32| match &self.entries[id as usize] {
            Some(Entry::Bytes { bytes, canonical, .. }) => **bytes == *wanted && *canonical == is_canonical,
            _ => false,
        };
        self.bytes.find(self.hasher.hash_one(wanted), same).copied()
    }

    /// Gives an id to a name that has none.
    pub(super) fn add(&mut self, name: Name<'_>) -> u32 {
        let id = self.free.pop().unwrap_or(self.entries.len() as u32);
        if id as usize == self.entries.len() {
            self.entries.push(None);
        }
        let entry = match name {
            Name::Integer(value) => {
                let hasher = &self.hasher;
                self.integers.insert_unique(hasher.hash_one(value), (value, id), |slot| hasher.hash_one(slot.0));
                Entry::Integer(value)
            }
            Name::Text(bytes) => self.add_bytes(bytes, false, id),
            Name::Canonical(bytes) => self.add_bytes(bytes, true, id),
        };
        self.entries[id as usize] = Some(entry);
        id
    }

    fn add_bytes(&mut self, bytes: &[u8], canonical: bool, id: u32) -> Entry {
        let hash = self.hasher.hash_one(bytes);
        let entries = &self.entries;
        let hash_of = |&other: &u32| match &entries[other as usize] {
            Some(Entry::Bytes { hash, .. }) => *hash,
            _ => unreachable!("ids in this table are of bytes"),
        };
        self.bytes.insert_unique(hash, id, hash_of);
        Entry::Bytes { bytes: bytes.into(), canonical, hash }
    }

    /// Forgets a key; false if the id is free.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        let Some(entry) = self.entries[id as usize].take() else { return false };
        match entry {
            Entry::Integer(value) => {
                if let Ok(found) = self.integers.find_entry(self.hasher.hash_one(value), |slot| slot.1 == id) {
                    found.remove();
                }
            }
            Entry::Bytes { hash, .. } => {
                if let Ok(found) = self.bytes.find_entry(hash, |&other| other == id) {
                    found.remove();
                }
            }
        }
        self.free.push(id);
        true
    }
}
