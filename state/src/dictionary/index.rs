//! Names of keys → local ids.
//!
//! A key is known by one name, however it arrives: an integer by its value, a text by its bytes, any other row of key columns, NULL too, by its canonical
//! bytes. An integer lies in its slot of the hash table, so that looking it up touches one place in memory; a text's bytes lie behind the id, and half of their
//! hash in the slot, so that growing and what only looks alike touch nothing else. Ids of keys that were removed
//! are given away again, lowest first; the last ones are dropped if they are free ([`KeyIndex::trim`]), and a key may be given a lower id
//! ([`KeyIndex::move_last`]). So ids stay dense whatever comes and goes.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;

/// Memory for ids is given back if there is so many times as much as is needed,
const ROOM: usize = 8;
/// and more than for that many.
const ROOM_MIN: usize = 1024;

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
    Bytes { bytes: Box<[u8]>, canonical: bool },
}

/// See the module.
pub(super) struct KeyIndex {
    integers: Parts<(i64, u32)>,
    /// Half a hash, and the id.
    bytes: Parts<(u32, u32)>,
    hasher: FixedState,
    /// By local id; `None`: free.
    entries: Vec<Option<Entry>>,
    /// All free ids, and some that were dropped when they were free: those are gone as soon as ids grow again.
    free: BinaryHeap<Reverse<u32>>,
    keys: usize,
}

impl KeyIndex {
    pub(super) fn new() -> KeyIndex {
        KeyIndex {
            integers: Parts::new(),
            bytes: Parts::new(),
            hasher: FixedState::with_seed(0x6b65_7973),
            entries: Vec::new(),
            free: BinaryHeap::new(),
            keys: 0,
        }
    }

    /// Local ids are below this.
    pub(super) fn ids(&self) -> usize {
        self.entries.len()
    }

    /// Number of keys.
    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    #[inline]
    pub(super) fn find(&self, name: Name<'_>) -> Option<u32> {
        match name {
            Name::Integer(value) => {
                let hash = self.hasher.hash_one(value);
                self.integers.of(hash).find(hash, |slot| slot.0 == value).map(|slot| slot.1)
            }
            Name::Text(bytes) => self.find_bytes(bytes, false),
            Name::Canonical(bytes) => self.find_bytes(bytes, true),
        }
    }

    #[inline]
    fn find_bytes(&self, wanted: &[u8], is_canonical: bool) -> Option<u32> {
        let half = self.half_hash(wanted);
        let is_same = |id: u32| match &self.entries[id as usize] {
            Some(Entry::Bytes { bytes, canonical }) => **bytes == *wanted && *canonical == is_canonical,
            _ => false,
        };
        let hash = whole_hash(half);
        self.bytes.of(hash).find(hash, |&(other, id)| other == half && is_same(id)).map(|slot| slot.1)
    }

    #[inline]
    fn half_hash(&self, bytes: &[u8]) -> u32 {
        self.hasher.hash_one(bytes) as u32
    }

    /// Gives an id to a name that has none.
    pub(super) fn add(&mut self, name: Name<'_>) -> u32 {
        let id = self.take_free().unwrap_or(self.entries.len() as u32);
        if id as usize == self.entries.len() {
            self.entries.push(None);
        }
        self.keys += 1;
        let entry = match name {
            Name::Integer(value) => {
                let hasher = &self.hasher;
                let hash = hasher.hash_one(value);
                self.integers.of_mut(hash).insert_unique(hash, (value, id), |slot| hasher.hash_one(slot.0));
                Entry::Integer(value)
            }
            Name::Text(bytes) => self.add_bytes(bytes, false, id),
            Name::Canonical(bytes) => self.add_bytes(bytes, true, id),
        };
        self.entries[id as usize] = Some(entry);
        id
    }

    fn add_bytes(&mut self, bytes: &[u8], canonical: bool, id: u32) -> Entry {
        let half = self.half_hash(bytes);
        let hash = whole_hash(half);
        self.bytes.of_mut(hash).insert_unique(hash, (half, id), |slot| whole_hash(slot.0));
        Entry::Bytes { bytes: bytes.into(), canonical }
    }

    /// The lowest free id, which is not free any more.
    fn take_free(&mut self) -> Option<u32> {
        let &Reverse(id) = self.free.peek()?;
        if id as usize >= self.entries.len() {
            // So are all others: ids that were dropped, and are about to be there again.
            self.free = BinaryHeap::new();
            return None;
        }
        self.free.pop();
        Some(id)
    }

    /// Drops free ids at the end, so many at most; returns how many.
    pub(super) fn trim(&mut self, most: usize) -> usize {
        let before = self.entries.len();
        while before - self.entries.len() < most && self.entries.pop_if(|entry| entry.is_none()).is_some() {}
        if self.entries.capacity() > ROOM * self.entries.len().max(ROOM_MIN) {
            self.entries.shrink_to(2 * self.entries.len());
        }
        before - self.entries.len()
    }

    /// Gives the key with the last id the lowest free one; returns both ids. `None` if no lower one is free.
    pub(super) fn move_last(&mut self) -> Option<(u32, u32)> {
        let from = self.entries.len().checked_sub(1)?;
        self.entries[from].as_ref()?;
        let to = self.take_free()?;
        let entry = self.entries.pop().flatten()?;
        let from = from as u32;
        match &entry {
            Entry::Integer(value) => {
                let hash = self.hasher.hash_one(value);
                if let Some(slot) = self.integers.of_mut(hash).find_mut(hash, |slot| slot.1 == from) {
                    slot.1 = to;
                }
            }
            Entry::Bytes { bytes, .. } => {
                let hash = whole_hash(self.half_hash(bytes));
                if let Some(slot) = self.bytes.of_mut(hash).find_mut(hash, |slot| slot.1 == from) {
                    slot.1 = to;
                }
            }
        }
        self.entries[to as usize] = Some(entry);
        Some((from, to))
    }

    /// Forgets a key; false if the id is free.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        let Some(entry) = self.entries[id as usize].take() else { return false };
        match entry {
            Entry::Integer(value) => {
                let hash = self.hasher.hash_one(value);
                if let Ok(found) = self.integers.of_mut(hash).find_entry(hash, |slot| slot.1 == id) {
                    found.remove();
                }
            }
            Entry::Bytes { bytes, .. } => {
                let hash = whole_hash(self.half_hash(&bytes));
                if let Ok(found) = self.bytes.of_mut(hash).find_entry(hash, |slot| slot.1 == id) {
                    found.remove();
                }
            }
        }
        self.free.push(Reverse(id));
        self.keys -= 1;
        true
    }
}

/// A hash table in parts that grow, and are tidied up after keys have gone, each by itself. One that did so as a whole stopped its core for 24 ms at 115,000
/// keys.
struct Parts<T>(Box<[HashTable<T>]>);

/// Parts of a table.
const PARTS: usize = 256;

impl<T> Parts<T> {
    fn new() -> Parts<T> {
        Parts((0..PARTS).map(|_| HashTable::new()).collect())
    }

    /// The part that a hash belongs to. A part looks at the lowest and highest bits of hashes, so it is chosen by others.
    #[inline]
    fn part(hash: u64) -> usize {
        (hash >> 48) as usize % PARTS
    }

    #[inline]
    fn of(&self, hash: u64) -> &HashTable<T> {
        &self.0[Parts::<T>::part(hash)]
    }

    #[inline]
    fn of_mut(&mut self, hash: u64) -> &mut HashTable<T> {
        &mut self.0[Parts::<T>::part(hash)]
    }
}

/// A table takes a slot's place from a hash's lowest bits and what tells slots apart from its highest ones; both have to come from the half that is kept.
#[inline]
fn whole_hash(half: u32) -> u64 {
    u64::from(half) << 32 | u64::from(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use raympp_testkit::random::Random;
    use std::collections::{BTreeMap, BTreeSet};

    /// A name that owns its bytes.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Owned {
        Integer(i64),
        Text(Vec<u8>),
        Canonical(Vec<u8>),
    }

    impl Owned {
        fn any(random: &mut Random) -> Owned {
            let number = random.index(200);
            let bytes = number.to_string().into_bytes();
            match random.index(3) {
                0 => Owned::Integer(number as i64),
                1 => Owned::Text(bytes),
                _ => Owned::Canonical(bytes),
            }
        }

        fn name(&self) -> Name<'_> {
            match self {
                Owned::Integer(value) => Name::Integer(*value),
                Owned::Text(bytes) => Name::Text(bytes),
                Owned::Canonical(bytes) => Name::Canonical(bytes),
            }
        }
    }

    #[test]
    fn every_name_has_an_id_of_its_own_whatever_comes_and_goes_and_moves() {
        for seed in 0..10 {
            let mut random = Random::new(seed);
            let (mut index, mut ids) = (KeyIndex::new(), BTreeMap::new());
            for round in 0..30 {
                for _ in 0..random.index(300) {
                    let owned = Owned::any(&mut random);
                    let expected = ids.get(&owned).copied();
                    assert_eq!(index.find(owned.name()), expected, "seed {seed}, round {round}");
                    if expected.is_none() {
                        let used: BTreeSet<u32> = ids.values().copied().collect();
                        let lowest = (0..).find(|id| !used.contains(id)).expect("some id is free");
                        assert_eq!(index.add(owned.name()), lowest, "seed {seed}, round {round}");
                        ids.insert(owned, lowest);
                    }
                }
                let stays = 1 + random.index(4) as u64;
                ids.retain(|_, id| !random.once_in(stays) || !index.remove(*id));
                let most = random.index(300);
                index.trim(most);
                for _ in 0..random.index(20) {
                    if let Some((from, to)) = index.move_last() {
                        let moved = ids.values_mut().find(|id| **id == from).expect("a key that is there");
                        *moved = to;
                    }
                }
                index.trim(usize::MAX);
                assert_eq!((index.keys(), index.ids()), (ids.len(), ids.values().max().map_or(0, |id| *id as usize + 1)));
                assert!(ids.iter().all(|(owned, id)| index.find(owned.name()) == Some(*id)), "seed {seed}, round {round}");
            }
        }
    }

    #[test]
    fn parts_of_a_table_grow_alike() {
        const KEYS: usize = 100_000;
        let mut index = KeyIndex::new();
        for number in 0..KEYS {
            index.add(Name::Integer(number as i64));
            index.add(Name::Text(number.to_string().as_bytes()));
        }
        let sizes = index.integers.0.iter().map(HashTable::len).chain(index.bytes.0.iter().map(HashTable::len));
        assert!(sizes.clone().all(|keys| (KEYS / PARTS / 2..KEYS / PARTS * 2).contains(&keys)), "{:?}", sizes.collect::<Vec<_>>());
    }
}
