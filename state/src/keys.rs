//! Interning: a key's canonical bytes ↔ a dense id, per replica and key space.
//!
//! A key has an id as long as something *holds* it: a tier of a store with rows of it, a session, or a sender's dictionary that
//! may name it. When the last holder lets go, the key is forgotten and its id is given to the next new key, lowest first, so that
//! pages stay dense. Readers look ids up in [`crate::key_map`] and ask afterwards whether the key still has the id that they have read by, since that may by
//! then belong to another ([`KeyReader::read`], [`KeyReader::has`]); [`KeyReader::forgotten`] spares those who read whole pages most of these questions.

use arc_swap::ArcSwap;
use arrow::array::ArrayRef;
use raympp_operators::keycode;
use raympp_types::DataType;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::block::{PAGE_KEYS, page_of};
use crate::delta::KeyList;
use crate::epoch_list::Breathe;
use crate::key_map::KeyMap;
use crate::key_order::KeyOrder;

/// No key's id, of whatever kind.
pub(crate) const NO_ID: u32 = u32::MAX;

/// What readers share.
#[derive(Default)]
pub struct KeyReader {
    ids: KeyMap,
    /// By page; a page without a counter has lost no key.
    forgotten: ArcSwap<Counters>,
}

type Counters = Vec<Arc<AtomicU64>>;

impl KeyReader {
    /// The id of a key.
    pub fn id(&self, key: &[u8]) -> Option<u32> {
        self.ids.get(key)
    }

    /// What `read` finds under a key's id, which is the key's own all the while; `None` without the key. It is read again only if this very key was forgotten
    /// meanwhile: whatever becomes of others, the first reading counts.
    pub fn read<R>(&self, key: &[u8], mut read: impl FnMut(u32) -> R) -> Option<R> {
        loop {
            let (key, id) = self.ids.entry(key)?;
            let found = read(id);
            if self.has(&key, id) {
                return Some(found);
            }
        }
    }

    /// True if the key, which [`KeyReader::all`] has told of with this id, has had it all the time since.
    pub fn has(&self, key: &Arc<[u8]>, id: u32) -> bool {
        self.ids.has(key, id)
    }

    /// Number of keys of a page of ids forgotten so far: its ids are their keys' own as long as this stays.
    pub fn forgotten(&self, page: usize) -> u64 {
        self.forgotten.load().get(page).map_or(0, |count| count.load(Ordering::Acquire))
    }

    /// [`KeyReader::forgotten`] of each page; those beyond have lost none.
    pub fn forgotten_by_page(&self) -> Vec<u64> {
        self.forgotten.load().iter().map(|count| count.load(Ordering::Acquire)).collect()
    }

    /// All keys and ids, in no order.
    pub fn all(&self) -> Vec<(Arc<[u8]>, u32)> {
        self.ids.all()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The writer's side.
pub struct Keys {
    reader: Arc<KeyReader>,
    types: Vec<DataType>,
    /// By id; the bytes are shared with the reader's side.
    keys: Vec<Option<Arc<[u8]>>>,
    holders: Vec<u32>,
    free: BinaryHeap<Reverse<u32>>,
    /// Decoded key columns by page, until a key of the page changes.
    columns: Vec<Option<Arc<Vec<ArrayRef>>>>,
    /// The reader's.
    forgotten: Counters,
    order: KeyOrder,
    key_bytes: usize,
}

impl Keys {
    /// No keys yet; `types` are those of the key columns.
    pub fn new(types: Vec<DataType>) -> Keys {
        Keys {
            reader: Arc::default(),
            types,
            keys: Vec::new(),
            holders: Vec::new(),
            free: BinaryHeap::new(),
            columns: Vec::new(),
            forgotten: Vec::new(),
            order: KeyOrder::default(),
            key_bytes: 0,
        }
    }

    /// The same keys with the same ids and holders, and readers of their own.
    pub(crate) fn copy(&self) -> Keys {
        let reader = KeyReader::default();
        reader.ids.expect(self.reader.len());
        self.reader.all().into_iter().for_each(|(key, id)| reader.ids.insert(key, id));
        Keys {
            reader: Arc::new(reader),
            types: self.types.clone(),
            keys: self.keys.clone(),
            holders: self.holders.clone(),
            free: self.free.clone(),
            columns: self.columns.clone(),
            forgotten: Vec::new(),
            order: self.order.clone(),
            key_bytes: self.key_bytes,
        }
    }

    /// What readers share.
    pub fn reader(&self) -> &Arc<KeyReader> {
        &self.reader
    }

    /// Number of ids ever in use at once; ids are below it.
    pub fn ids(&self) -> usize {
        self.keys.len()
    }

    /// Makes room for so many keys in all.
    pub(crate) fn expect(&mut self, keys: usize) {
        let more = keys.saturating_sub(self.reader.len());
        if more > 0 {
            self.keys.reserve(more);
            self.holders.reserve(more);
            self.reader.ids.expect(keys);
        }
    }

    /// The id of a key, given now if it had none, with one holder more.
    pub fn hold_key(&mut self, key: &[u8]) -> u32 {
        match self.reader.id(key) {
            Some(id) => {
                self.hold(id);
                id
            }
            None => self.add(key),
        }
    }

    /// Gives an id to a key that has none, and a holder.
    pub(crate) fn add(&mut self, key: &[u8]) -> u32 {
        let id = self.free.pop().map_or(self.keys.len() as u32, |Reverse(id)| id);
        if id as usize == self.keys.len() {
            self.keys.push(None);
            self.holders.push(0);
        }
        let shared: Arc<[u8]> = key.into();
        self.keys[id as usize] = Some(Arc::clone(&shared));
        self.key_bytes += key.len();
        self.holders[id as usize] = 1;
        self.forget_columns(id);
        self.reader.ids.insert(shared, id);
        id
    }

    /// One holder more of a key that has an id.
    pub fn hold(&mut self, id: u32) {
        self.holders[id as usize] += 1;
    }

    /// One holder less; the last one forgets the key.
    pub fn release(&mut self, id: u32) {
        let holders = &mut self.holders[id as usize];
        *holders -= 1;
        if *holders == 0 {
            let key = self.keys[id as usize].take().expect("a held key has bytes");
            self.key_bytes -= key.len();
            self.order.remove(id);
            self.reader.ids.remove(&key);
            self.count_forgotten(page_of(id));
            self.free.push(Reverse(id));
            self.forget_columns(id);
        }
    }

    /// Behind the key's removal and before its id is given away: who has read what the next key wrote finds the count changed.
    fn count_forgotten(&mut self, page: usize) {
        if page >= self.forgotten.len() {
            self.forgotten.resize_with(page + 1, Arc::default);
            self.reader.forgotten.store(Arc::new(self.forgotten.clone()));
        }
        self.forgotten[page].fetch_add(1, Ordering::Release);
    }

    /// Canonical bytes of a key that has an id.
    pub fn key(&self, id: u32) -> &[u8] {
        self.keys[id as usize].as_deref().expect("the id belongs to a key")
    }

    /// Canonical bytes of the key that an id belongs to, if it belongs to one.
    pub fn get(&self, id: u32) -> Option<&[u8]> {
        self.keys.get(id as usize)?.as_deref()
    }

    /// The positions of ids, which are distinct, in order of their keys, and the keys in this order.
    pub(crate) fn sorted(&mut self, ids: &[u32], breathe: Breathe) -> (Vec<u32>, KeyList) {
        self.order.sorted(ids, &self.keys, self.reader.len(), breathe)
    }

    fn forget_columns(&mut self, id: u32) {
        let page = page_of(id);
        if page >= self.columns.len() {
            self.columns.resize(page + 1, None);
        }
        self.columns[page] = None;
    }

    /// The key columns of a page, one row per id of the page (any value where the id is free).
    pub fn columns_of_page(&mut self, page: usize) -> Result<Arc<Vec<ArrayRef>>, keycode::KeycodeError> {
        if let Some(columns) = &self.columns[page] {
            return Ok(Arc::clone(columns));
        }
        let from = page * PAGE_KEYS;
        let to = (from + PAGE_KEYS).min(self.keys.len());
        let filler = self.keys[from..to].iter().flatten().next().map_or(&[][..], |key| key);
        let keys = self.keys[from..to].iter().map(|key| key.as_deref().unwrap_or(filler));
        let columns = Arc::new(keycode::decode_columns(keys, &self.types)?);
        self.columns[page] = Some(Arc::clone(&columns));
        Ok(columns)
    }

    /// Memory held, in bytes, roughly.
    pub fn bytes(&self) -> usize {
        self.key_bytes + 96 * self.reader.len() + 20 * self.keys.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn key(number: usize) -> Vec<u8> {
        format!("key {number}").into_bytes()
    }

    #[test]
    fn a_key_is_read_once_while_others_are_forgotten_and_again_if_it_was_itself() {
        let mut keys = Keys::new(Vec::new());
        (0..100).for_each(|number| {
            keys.hold_key(&key(number));
        });
        let (reader, tries) = (Arc::clone(keys.reader()), Cell::new(0));
        let mut release = 1..50;
        let found = reader.read(&key(0), |id| {
            tries.set(tries.get() + 1);
            release.next().into_iter().for_each(|id| keys.release(id));
            id
        });
        assert_eq!((found, tries.get(), keys.reader().len()), (Some(0), 1, 99), "another key's end is none of its business");
        let found = reader.read(&key(0), |id| {
            tries.set(tries.get() + 1);
            if tries.get() == 2 {
                // Its id becomes another key's, and it comes again as another one.
                keys.release(id);
                assert_eq!((keys.hold_key(&key(1_000)), keys.hold_key(&key(0))), (0, 1));
            }
            id
        });
        assert_eq!((found, tries.get()), (Some(1), 3));
        let found = reader.read(&key(0), |id| {
            tries.set(tries.get() + 1);
            keys.release(id);
        });
        assert_eq!((found, tries.get()), (None, 4), "forgotten for good");
        assert_eq!(reader.read(&key(0), |_| tries.set(tries.get() + 1)), None);
        assert_eq!(tries.get(), 4, "there is nothing to read");
    }
}
