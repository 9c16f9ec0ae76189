//! The sender's side of key ids: key columns → local ids, and for each local id the partition that owns the key and its wire id there.
//!
//! A local id is dense and belongs to one split's reader and key space. What a row costs depends on how its key arrives: a code of
//! a dictionary that is shared from batch to batch costs one array look-up; a single string or integer one hash and one comparison of
//! raw bytes; several columns the same over their canonical bytes. Canonical bytes and the key hash are made once per key.
//!
//! Memory follows the keys in use: when many keys have been added since the last sweep, those not used since are retired. Replicas
//! hold a key as long as a wire id may name it, so the retirement travels with the next delta.

use crate::delta::DictionaryChange;
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, GenericByteArray, PrimitiveArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType as ArrowType, Int16Type, Int32Type, Int64Type, Utf8Type};
use hashbrown::HashTable;
use raympp_operators::keycode::KeyEncoder;
use raympp_types::{KeyGroups, KeyHash, PartitionId};
use std::hash::BuildHasher;
use std::sync::Arc;

/// Keys added before a sweep is worth it, at least.
const SWEEP_MIN: usize = 65_536;
/// In a kept route's partition: a delta has named the key since the last sweep. Partitions are far fewer.
const USED: u32 = 1 << 31;
/// No local id.
const NO_ID: u32 = u32::MAX;

/// Where the entries of a local id go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Owner of the key.
    pub partition: u32,
    /// The key's wire id there.
    pub wire: u32,
}

struct Entry {
    /// What rows are compared with: the raw value, or canonical bytes if `raw` is that.
    raw: Box<[u8]>,
    /// `raw` is canonical bytes: a raw value of another path never equals it.
    canonical: bool,
    hash: u64,
}

#[derive(Default)]
struct WireIds {
    next: u32,
    free: Vec<u32>,
    change: DictionaryChange,
}

/// Codes of one dictionary → local ids, and where their entries go.
struct CodeCache {
    dictionary: ArrayRef,
    ids: Vec<u32>,
    /// With [`USED`]; without it the route is not known, or not marked as used since the last sweep.
    routes: Vec<Route>,
    null: u32,
}

/// Keys of one key space, as one split's reader knows them.
pub struct SenderKeys {
    key_space: usize,
    key_groups: KeyGroups,
    index: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
    entries: Vec<Option<Entry>>,
    /// By local id; the partition may carry [`USED`].
    routes: Vec<Route>,
    free: Vec<u32>,
    wires: Vec<WireIds>,
    /// Since the last sweep, and what that left.
    added: usize,
    kept: usize,
    codes: Option<CodeCache>,
    scratch: Vec<u8>,
}

impl SenderKeys {
    /// No keys yet.
    pub fn new(key_space: usize, key_groups: KeyGroups) -> SenderKeys {
        SenderKeys {
            key_space,
            key_groups,
            index: HashTable::new(),
            hasher: foldhash::fast::FixedState::with_seed(0x6b65_7973),
            entries: Vec::new(),
            routes: Vec::new(),
            free: Vec::new(),
            wires: (0..key_groups.partitions()).map(|_| WireIds::default()).collect(),
            added: 0,
            kept: 0,
            codes: None,
            scratch: Vec::new(),
        }
    }

    /// Local ids are below this.
    pub fn ids(&self) -> usize {
        self.entries.len()
    }

    /// Number of partitions that keys are spread over.
    pub fn partitions(&self) -> u32 {
        self.key_groups.partitions()
    }

    /// Where an entry of a local id goes; notes that a delta names the key.
    #[inline]
    pub fn route(&mut self, id: u32) -> Route {
        let key = &mut self.routes[id as usize];
        // Keys are used again and again: a look is cheaper than a write that dirties the cache.
        if key.partition & USED == 0 {
            key.partition |= USED;
        }
        Route { partition: key.partition & !USED, wire: key.wire }
    }

    /// Turns codes of a dictionary without NULLs into local ids; values that are new are interned.
    pub fn ids_of_codes(&mut self, dictionary: &ArrayRef, codes: &mut [u32]) {
        let mut cache = self.code_cache(dictionary);
        let encoder = KeyEncoder::new(std::slice::from_ref(dictionary));
        for code in codes {
            let id = &mut cache.ids[*code as usize];
            if *id == NO_ID {
                *id = self.intern_row(&encoder, *code as usize);
            }
            *code = *id;
        }
        self.codes = Some(cache);
    }

    /// Where the entries of these rows go, by the rows' local ids.
    pub fn routes(&mut self, ids: &[u32], rows: &[u32]) -> Vec<Route> {
        rows.iter().map(|&row| self.route(ids[row as usize])).collect()
    }

    /// Where the entries of these rows go, by the rows' codes of a dictionary without NULLs: one look-up a row, where local ids take two.
    pub fn routes_of_codes(&mut self, dictionary: &ArrayRef, codes: &[u32], rows: &[u32]) -> Vec<Route> {
        let mut cache = self.code_cache(dictionary);
        let encoder = KeyEncoder::new(std::slice::from_ref(dictionary));
        let route = |&row: &u32| {
            let code = codes[row as usize] as usize;
            if cache.routes[code].partition & USED == 0 {
                let id = &mut cache.ids[code];
                if *id == NO_ID {
                    *id = self.intern_row(&encoder, code);
                }
                let Route { partition, wire } = self.route(*id);
                cache.routes[code] = Route { partition: partition | USED, wire };
            }
            let Route { partition, wire } = cache.routes[code];
            Route { partition: partition & !USED, wire }
        };
        let routes = rows.iter().map(route).collect();
        self.codes = Some(cache);
        routes
    }

    fn code_cache(&mut self, dictionary: &ArrayRef) -> CodeCache {
        match self.codes.take() {
            Some(cache) if Arc::ptr_eq(&cache.dictionary, dictionary) => cache,
            _ => CodeCache {
                dictionary: Arc::clone(dictionary),
                ids: vec![NO_ID; dictionary.len()],
                routes: vec![Route { partition: 0, wire: 0 }; dictionary.len()],
                null: NO_ID,
            },
        }
    }

    /// Writes the local id of each row's key to `ids` (any id for rows that are not `active`).
    pub fn local_ids(&mut self, columns: &[ArrayRef], rows: usize, active: Option<&BooleanBuffer>, ids: &mut Vec<u32>) {
        ids.clear();
        match columns {
            [] => {
                let id = self.intern(&[], |out| out.clear());
                ids.resize(rows, id);
            }
            [column] => self.local_ids_of_column(column, columns, active, ids),
            _ => self.local_ids_of_rows(columns, rows, active, ids),
        }
    }

    fn local_ids_of_column(&mut self, column: &ArrayRef, columns: &[ArrayRef], active: Option<&BooleanBuffer>, ids: &mut Vec<u32>) {
        match column.data_type() {
            ArrowType::Dictionary(..) if column.as_dictionary_opt::<Int32Type>().is_some() => {
                self.local_ids_of_codes(column.as_dictionary::<Int32Type>(), columns, active, ids);
            }
            ArrowType::Utf8 if column.null_count() == 0 => self.local_ids_of_bytes(column.as_string::<i32>(), columns, active, ids),
            ArrowType::Int64 if column.null_count() == 0 => {
                self.local_ids_of_integers(column.as_primitive::<Int64Type>(), columns, active, ids)
            }
            ArrowType::Int32 if column.null_count() == 0 => {
                self.local_ids_of_integers(column.as_primitive::<Int32Type>(), columns, active, ids)
            }
            ArrowType::Int16 if column.null_count() == 0 => {
                self.local_ids_of_integers(column.as_primitive::<Int16Type>(), columns, active, ids)
            }
            _ => self.local_ids_of_rows(columns, column.len(), active, ids),
        }
    }

    fn local_ids_of_codes(
        &mut self,
        column: &DictionaryArray<Int32Type>,
        columns: &[ArrayRef],
        active: Option<&BooleanBuffer>,
        ids: &mut Vec<u32>,
    ) {
        let mut cache = self.code_cache(column.values());
        let codes = column.keys().values();
        if column.null_count() == 0 && column.values().null_count() == 0 {
            let known = &cache.ids;
            // NO_ID has every bit, so the highest bit of all ids together tells whether one is missing; and the loop keeps it in a register.
            let mut all = 0;
            ids.resize(codes.len(), 0);
            for (id, &code) in ids.iter_mut().zip(codes) {
                *id = known[code as usize];
                all |= *id;
            }
            let missing = all > NO_ID >> 1;
            if missing {
                self.fill_missing(&mut cache, column, columns, active, ids);
            }
        } else {
            ids.resize(column.len(), NO_ID);
            self.fill_missing(&mut cache, column, columns, active, ids);
        }
        self.codes = Some(cache);
    }

    /// The slow path of codes: rows whose code has no id yet, and NULLs.
    fn fill_missing(
        &mut self,
        cache: &mut CodeCache,
        column: &DictionaryArray<Int32Type>,
        columns: &[ArrayRef],
        active: Option<&BooleanBuffer>,
        ids: &mut [u32],
    ) {
        let encoder = KeyEncoder::new(columns);
        for (row, id) in ids.iter_mut().enumerate() {
            if *id != NO_ID || active.is_some_and(|active| !active.value(row)) {
                continue;
            }
            let slot = match column.key(row).filter(|&code| cache.dictionary.is_valid(code)) {
                Some(code) => &mut cache.ids[code],
                None => &mut cache.null,
            };
            if *slot == NO_ID {
                *slot = self.intern_row(&encoder, row);
            }
            *id = *slot;
        }
        ids.iter_mut().filter(|id| **id == NO_ID).for_each(|id| *id = 0);
    }

    fn local_ids_of_bytes(
        &mut self,
        column: &GenericByteArray<Utf8Type>,
        columns: &[ArrayRef],
        active: Option<&BooleanBuffer>,
        ids: &mut Vec<u32>,
    ) {
        let encoder = KeyEncoder::new(columns);
        for row in 0..column.len() {
            let raw = column.value(row).as_bytes();
            let known = self.find(raw, false);
            ids.push(match known {
                Some(id) => id,
                None if active.is_none_or(|active| active.value(row)) => self.intern(raw, |out| encode(&encoder, row, out)),
                None => 0,
            });
        }
    }

    fn local_ids_of_integers<T: ArrowPrimitiveType<Native: Into<i64>>>(
        &mut self,
        column: &PrimitiveArray<T>,
        columns: &[ArrayRef],
        active: Option<&BooleanBuffer>,
        ids: &mut Vec<u32>,
    ) {
        let encoder = KeyEncoder::new(columns);
        for (row, &value) in column.values().iter().enumerate() {
            let raw = value.into().to_le_bytes();
            ids.push(match self.find(&raw, false) {
                Some(id) => id,
                None if active.is_none_or(|active| active.value(row)) => self.intern(&raw, |out| encode(&encoder, row, out)),
                None => 0,
            });
        }
    }

    fn local_ids_of_rows(&mut self, columns: &[ArrayRef], rows: usize, active: Option<&BooleanBuffer>, ids: &mut Vec<u32>) {
        let encoder = KeyEncoder::new(columns);
        for row in 0..rows {
            let wanted = active.is_none_or(|active| active.value(row));
            ids.push(if wanted { self.intern_row(&encoder, row) } else { 0 });
        }
    }

    /// Interns a row by its canonical bytes.
    fn intern_row(&mut self, encoder: &KeyEncoder<'_>, row: usize) -> u32 {
        let mut raw = std::mem::take(&mut self.scratch);
        raw.clear();
        encoder.encode(row, &mut raw);
        let id = self.find(&raw, true).unwrap_or_else(|| self.add(&raw, true, &raw));
        self.scratch = raw;
        id
    }

    #[inline]
    fn find(&self, raw: &[u8], canonical: bool) -> Option<u32> {
        let same = |&id: &u32| self.entries[id as usize].as_ref().is_some_and(|entry| *entry.raw == *raw && entry.canonical == canonical);
        self.index.find(self.hasher.hash_one(raw), same).copied()
    }

    fn intern(&mut self, raw: &[u8], canonical: impl FnOnce(&mut Vec<u8>)) -> u32 {
        if let Some(id) = self.find(raw, false) {
            return id;
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        canonical(&mut bytes);
        let id = self.add(raw, false, &bytes);
        self.scratch = bytes;
        id
    }

    fn add(&mut self, raw: &[u8], is_canonical: bool, canonical: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(raw);
        let id = self.free.pop().unwrap_or(self.entries.len() as u32);
        if id as usize == self.entries.len() {
            self.entries.push(None);
            self.routes.push(Route { partition: 0, wire: 0 });
        }
        self.entries[id as usize] = Some(Entry { raw: raw.into(), canonical: is_canonical, hash });
        let Route { partition, wire } = self.announce(canonical);
        self.routes[id as usize] = Route { partition: partition | USED, wire };
        let entries = &self.entries;
        self.index.insert_unique(hash, id, |&id| entries[id as usize].as_ref().map_or(0, |entry| entry.hash));
        self.added += 1;
        id
    }

    fn announce(&mut self, canonical: &[u8]) -> Route {
        let partition = self.key_groups.partition(KeyHash::of(canonical));
        let wires = &mut self.wires[partition.0 as usize];
        let wire = wires.free.pop().unwrap_or_else(|| {
            wires.next += 1;
            wires.next - 1
        });
        wires.change.added.push(wire);
        wires.change.keys.push(canonical);
        Route { partition: partition.0, wire }
    }

    /// What the partition has to know before it reads the entries since the last call.
    pub fn take_change(&mut self, partition: PartitionId) -> Option<DictionaryChange> {
        let change = &mut self.wires[partition.0 as usize].change;
        let changed = !(change.added.is_empty() && change.retired.is_empty());
        changed.then(|| DictionaryChange { key_space: self.key_space, ..std::mem::take(change) })
    }

    /// Retires keys not used since the last sweep, if many came since. To be called when no local id is kept anywhere.
    pub fn sweep(&mut self) {
        // Measured against what the last sweep kept, not what there is now: so of keys that never come again fewer stay each time.
        if self.added < SWEEP_MIN.max(self.kept / 2) {
            return;
        }
        self.added = 0;
        self.codes = None;
        for id in 0..self.entries.len() as u32 {
            if self.routes[id as usize].partition & USED == 0 {
                self.retire(id);
            }
            self.routes[id as usize].partition &= !USED;
        }
        self.kept = self.entries.len() - self.free.len();
    }

    fn retire(&mut self, id: u32) {
        let Some(entry) = self.entries[id as usize].take() else { return };
        if let Ok(found) = self.index.find_entry(entry.hash, |&other| other == id) {
            found.remove();
        }
        let Route { partition, wire } = self.routes[id as usize];
        let wires = &mut self.wires[partition as usize];
        wires.change.retired.push(wire);
        wires.free.push(wire);
        self.free.push(id);
    }
}

fn encode(encoder: &KeyEncoder<'_>, row: usize, out: &mut Vec<u8>) {
    out.clear();
    encoder.encode(row, out);
}
