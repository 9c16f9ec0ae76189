//! Keys → ids: written by one thread, read by any.
//!
//! An extendible hash table (Fagin, Nievergelt, Pippenger, Strong 1979): a directory, indexed by some bits of a key's hash, of segments of a few hundred
//! keys, each [`Shared`]. So a reader looks at one segment without stopping the writer, and the writer never does more at once than
//! divide a segment, put two together again or copy one that is being read, however many keys there are; only the directory is doubled as a whole: eight bytes an entry, at most
//! sixteen entries for as many keys as a segment holds.
//!
//! Invariant: of each directory that ever was, the entry for a hash holds every key of that hash that was there when the entry was last
//! written. An old directory or segment, which a slow reader still holds, is what was there when it was replaced: then no key has been
//! forgotten that it shows, and [`KeyMap::has`] tells of those forgotten since.

use crate::shared::Shared;
use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A segment of so many keys is divided: as many as a table of 256 slots holds, which keeps one in eight free. One more, and it would be doubled first.
const SEGMENT_KEYS: usize = 224;
/// Two segments that came of one are put together again when they have no more keys than so many.
const MERGED_KEYS: usize = 64;
/// The directory is not doubled while it has so many entries per segment's worth of keys: then hashes are too much alike for dividing to help.
const ENTRIES_PER_SEGMENT: usize = 8;
/// Bits of a hash below these choose a slot within a segment's own table, the highest ones tell slots apart.
const DIRECTORY_SHIFT: u32 = 20;

/// See the module.
pub(crate) struct KeyMap {
    /// Seeded at random, since keys come from outside and are not to be chosen so that they meet in one segment. No order of it is to be seen outside.
    hasher: RandomState,
    directory: ArcSwap<Directory>,
    len: AtomicUsize,
}

struct Directory {
    /// It has `1 << bits` entries.
    bits: u32,
    entries: Box<[ArcSwap<Segment>]>,
}

struct Segment {
    /// All its keys have the same so many lowest bits of their place in the directory; entries that share these share the segment.
    bits: u32,
    keys: Shared<HashTable<Entry>>,
}

#[derive(Clone)]
struct Entry {
    hash: u64,
    key: Arc<[u8]>,
    id: u32,
}

impl Directory {
    /// Without keys, each entry with a segment of its own.
    fn new(bits: u32) -> Directory {
        let entries = (0..1usize << bits).map(|_| ArcSwap::from_pointee(Segment::of(bits, Vec::new())));
        Directory { bits, entries: entries.collect() }
    }

    fn place(&self, hash: u64) -> usize {
        (hash >> DIRECTORY_SHIFT) as usize & (self.entries.len() - 1)
    }

    /// The places that have the same so many lowest bits as one of them.
    fn sharing(&self, place: usize, bits: u32) -> impl Iterator<Item = usize> + use<> {
        (place & ((1 << bits) - 1)..self.entries.len()).step_by(1 << bits)
    }

    fn segment(&self, hash: u64) -> arc_swap::Guard<Arc<Segment>> {
        self.entries[self.place(hash)].load()
    }

    fn doubled(&self) -> Directory {
        let half = || self.entries.iter().map(|entry| ArcSwap::new(entry.load_full()));
        Directory { bits: self.bits + 1, entries: half().chain(half()).collect() }
    }
}

impl Segment {
    fn of(bits: u32, entries: Vec<Entry>) -> Segment {
        let mut keys = HashTable::with_capacity(entries.len());
        for entry in entries {
            keys.insert_unique(entry.hash, entry, |entry| entry.hash);
        }
        Segment { bits, keys: Shared::new(keys) }
    }

    fn len(&self) -> usize {
        self.keys.read(HashTable::len)
    }

    fn entries(&self) -> Vec<Entry> {
        self.keys.read(|keys| keys.iter().cloned().collect())
    }
}

impl Default for KeyMap {
    fn default() -> Self {
        let directory = ArcSwap::from_pointee(Directory::new(0));
        KeyMap { hasher: RandomState::default(), directory, len: AtomicUsize::new(0) }
    }
}

impl KeyMap {
    /// The id of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<u32> {
        self.look(key, |entry| entry.id)
    }

    /// The entry of a key: its own bytes and id.
    pub(crate) fn entry(&self, key: &[u8]) -> Option<(Arc<[u8]>, u32)> {
        self.look(key, |entry| (Arc::clone(&entry.key), entry.id))
    }

    fn look<R>(&self, key: &[u8], look: impl Fn(&Entry) -> R) -> Option<R> {
        let hash = self.hasher.hash_one(key);
        let segment = self.directory.load().segment(hash);
        segment.keys.read(|keys| keys.find(hash, |entry| *entry.key == *key).map(look))
    }

    /// True if this very entry is still there: whoever has the key's bytes from the map keeps them from being those of a later one.
    pub(crate) fn has(&self, key: &Arc<[u8]>, id: u32) -> bool {
        let hash = self.hasher.hash_one(&**key);
        let segment = self.directory.load().segment(hash);
        segment.keys.read(|keys| keys.find(hash, |entry| entry.id == id && Arc::ptr_eq(&entry.key, key)).is_some())
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// All keys and ids, each once, in an order that is another one each time the program runs; those that come or go meanwhile are there or not.
    pub(crate) fn all(&self) -> Vec<(Arc<[u8]>, u32)> {
        let directory = self.directory.load();
        let mut all = Vec::with_capacity(self.len());
        // A segment says what is in all places that share it, but for those that have been looked at: it may be divided or put together meanwhile.
        let mut is_seen = vec![false; directory.entries.len()];
        for place in 0..is_seen.len() {
            if is_seen[place] {
                continue;
            }
            let segment = directory.entries[place].load();
            let is_new = |entry: &&Entry| !is_seen[directory.place(entry.hash)];
            segment.keys.read(|keys| all.extend(keys.iter().filter(is_new).map(|entry| (Arc::clone(&entry.key), entry.id))));
            directory.sharing(place, segment.bits).for_each(|place| is_seen[place] = true);
        }
        all
    }

    /// Makes room for so many keys, if there are no keys yet. For the writer.
    pub(crate) fn expect(&self, keys: usize) {
        let segments = (2 * keys / SEGMENT_KEYS).next_power_of_two();
        if self.len() == 0 && segments > self.directory.load().entries.len() {
            self.directory.store(Arc::new(Directory::new(segments.ilog2())));
        }
    }

    /// Adds a key that is not there. For the writer.
    pub(crate) fn insert(&self, key: Arc<[u8]>, id: u32) {
        let hash = self.hasher.hash_one(&*key);
        let mut entry = Some(Entry { hash, key, id });
        while entry.is_some() {
            let directory = self.directory.load();
            let segment = directory.segment(hash);
            let may_divide = segment.bits < directory.bits || self.may_double(&directory);
            segment.keys.write(|keys| {
                if (keys.len() < SEGMENT_KEYS || !may_divide)
                    && let Some(entry) = entry.take()
                {
                    keys.insert_unique(hash, entry, |entry| entry.hash);
                }
            });
            if entry.is_some() {
                self.divide(&directory, &segment, hash);
            }
        }
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    fn may_double(&self, directory: &Directory) -> bool {
        directory.entries.len() <= self.len() * ENTRIES_PER_SEGMENT / SEGMENT_KEYS
    }

    /// Puts two segments in place of one, by the next bit of its keys' places.
    fn divide(&self, directory: &Directory, segment: &Segment, hash: u64) {
        if segment.bits == directory.bits {
            self.directory.store(Arc::new(directory.doubled()));
        }
        let directory = self.directory.load();
        let (bit, all) = (1 << segment.bits, segment.entries());
        let (upper, lower): (Vec<Entry>, Vec<Entry>) = all.into_iter().partition(|entry| directory.place(entry.hash) & bit != 0);
        let [lower, upper] = [lower, upper].map(|entries| Arc::new(Segment::of(segment.bits + 1, entries)));
        for place in directory.sharing(directory.place(hash), segment.bits) {
            directory.entries[place].store(Arc::clone(if place & bit != 0 { &upper } else { &lower }));
        }
    }

    /// Puts one segment in place of two that have few keys left, as long as there are such.
    fn merge(&self, hash: u64) {
        let directory = self.directory.load();
        loop {
            let segment = directory.segment(hash);
            let Some(bits) = segment.bits.checked_sub(1) else { return };
            let place = directory.place(hash);
            let other = directory.entries[place ^ (1 << bits)].load();
            if other.bits != segment.bits || segment.len() + other.len() > MERGED_KEYS {
                return;
            }
            let both = segment.entries().into_iter().chain(other.entries()).collect();
            let merged = Arc::new(Segment::of(bits, both));
            directory.sharing(place, bits).for_each(|place| directory.entries[place].store(Arc::clone(&merged)));
        }
    }

    /// Removes a key. For the writer.
    pub(crate) fn remove(&self, key: &[u8]) {
        let hash = self.hasher.hash_one(key);
        let segment = self.directory.load().segment(hash);
        let (removed, left) = segment.keys.write(|keys| {
            let found = keys.find_entry(hash, |entry| *entry.key == *key);
            let removed = found.map(|found| found.remove()).is_ok();
            if keys.capacity() > SEGMENT_KEYS / 4 && keys.len() < keys.capacity() / 8 {
                keys.shrink_to(keys.len() * 2, |entry| entry.hash);
            }
            (removed, keys.len())
        });
        self.len.fetch_sub(usize::from(removed), Ordering::Relaxed);
        if removed && left <= MERGED_KEYS / 2 {
            self.merge(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raympp_testkit::random::Random;
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    fn key(number: usize) -> Vec<u8> {
        format!("key {number}").into_bytes()
    }

    fn contents(map: &KeyMap) -> BTreeMap<Vec<u8>, u32> {
        let all = map.all();
        let contents: BTreeMap<Vec<u8>, u32> = all.iter().map(|(key, id)| (key.to_vec(), *id)).collect();
        assert_eq!((contents.len(), map.len()), (all.len(), all.len()), "each key comes once");
        contents
    }

    #[test]
    fn it_is_a_map_whatever_comes_and_goes() {
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let (map, mut expected) = (KeyMap::default(), BTreeMap::new());
            if random.once_in(2) {
                map.expect(random.index(10_000));
            }
            for round in 0..6 {
                let (most, stays) = (if round % 2 == 0 { 20_000 } else { 300 }, 1 + random.index(4));
                for number in 0..random.index(most) {
                    let (key, id) = (key(number), random.index(1 << 30) as u32);
                    expected.entry(key.clone()).or_insert_with(|| {
                        map.insert(key.into(), id);
                        id
                    });
                }
                assert_eq!(contents(&map), expected, "seed {seed}, round {round}");
                expected.retain(|key, _| {
                    let is_kept = !random.once_in(stays as u64);
                    if !is_kept {
                        map.remove(key);
                    }
                    is_kept
                });
                assert_eq!(contents(&map), expected, "seed {seed}, round {round}");
                let looked_up = (0..20_000).map(key).filter_map(|key| Some((map.get(&key)?, key)));
                assert_eq!(looked_up.map(|(id, key)| (key, id)).collect::<BTreeMap<_, _>>(), expected, "seed {seed}, round {round}");
            }
        }
    }

    #[test]
    fn a_key_that_comes_again_is_another_one() {
        let map = KeyMap::default();
        map.insert(key(1).into(), 7);
        let (first, id) = map.all().remove(0);
        assert!(map.has(&first, id) && !map.has(&first, 8) && !map.has(&key(1).into(), 7));
        map.remove(&first);
        assert!(!map.has(&first, id));
        map.insert(key(1).into(), 7);
        assert!(!map.has(&first, id) && map.get(&first) == Some(7));
    }

    #[test]
    fn segments_stay_small_and_the_directory_follows_the_keys() {
        let map = KeyMap::default();
        (0..100_000).for_each(|number| map.insert(key(number).into(), number as u32));
        let directory = map.directory.load();
        let lens = directory.entries.iter().map(|segment| segment.load().keys.read(HashTable::len));
        let rooms = directory.entries.iter().map(|segment| segment.load().keys.read(HashTable::capacity));
        assert_eq!(rooms.max(), Some(SEGMENT_KEYS), "no table is doubled beyond what a segment holds");
        assert!(lens.clone().max() <= Some(SEGMENT_KEYS) && directory.entries.len() <= 100_000 * ENTRIES_PER_SEGMENT / SEGMENT_KEYS * 2);
        (0..100_000).for_each(|number| map.remove(&key(number)));
        assert_eq!(lens.max(), Some(0));
        let first = directory.entries[0].load_full();
        assert!(first.bits == 0 && directory.entries.iter().all(|entry| Arc::ptr_eq(&entry.load(), &first)), "one segment is left");
        assert!(first.keys.read(HashTable::capacity) <= MERGED_KEYS);
        (0..1_000).for_each(|number| map.insert(key(number).into(), number as u32));
        assert_eq!(contents(&map).len(), 1_000);
    }

    /// Keys that stay are found by every look and come once in every scan, while others come and go around them.
    #[test]
    fn readers_find_what_is_there_all_the_time() {
        const STAYING: usize = 500;
        let (map, done) = (KeyMap::default(), AtomicBool::new(false));
        (0..STAYING).for_each(|number| map.insert(key(number).into(), number as u32));
        std::thread::scope(|scope| {
            let look = || {
                let mut looks = 0;
                while looks < 3 || !done.load(Ordering::Relaxed) {
                    for number in 0..STAYING {
                        assert_eq!(map.get(&key(number)), Some(number as u32));
                    }
                    let mut seen = vec![0; STAYING];
                    map.all().iter().filter(|(_, id)| (*id as usize) < STAYING).for_each(|(_, id)| seen[*id as usize] += 1);
                    assert!(seen.iter().all(|times| *times == 1));
                    looks += 1;
                }
            };
            let readers = [scope.spawn(look), scope.spawn(look)];
            for round in 0..20 {
                let coming = STAYING + round * 1_000..STAYING + round * 1_000 + 5_000;
                coming.clone().for_each(|number| map.insert(key(number).into(), number as u32));
                coming.for_each(|number| map.remove(&key(number)));
            }
            done.store(true, Ordering::Relaxed);
            readers.into_iter().for_each(|reader| reader.join().expect("a reader that finds everything"));
        });
    }
}
