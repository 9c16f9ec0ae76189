//! The sender's side of key ids: key columns → local ids, and for each local id the partition that owns the key and its wire id there.
//!
//! A local id is dense and belongs to one split's reader and key space. What a row costs depends on how its key arrives: a code of
//! a dictionary that is shared from batch to batch costs one array look-up, and so does an integer among others close by ([`integers`]); a single
//! string or any other integer one hash and one comparison; several columns the same over their canonical bytes. Canonical bytes and the key hash
//! are made once per key.
//!
//! Memory follows the keys in use ([`sweep`]).

mod codes;
mod index;
mod integers;
mod sweep;

use crate::delta::DictionaryChange;
use crate::keys::NO_ID;
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int32Type;
use codes::{CodeCache, KnownCode};
pub(crate) use codes::{CodeSet, Codes};
use index::{KeyIndex, Name};
use integers::{IntegerSpan, Integers, Span};
use raympp_operators::keycode::{KeyEncoder, encode_values};
use raympp_types::{DataType, KeyGroups, KeyHash, PartitionId, Value};
use std::borrow::Cow;
use std::sync::Arc;
use sweep::{Generations, Sweep};

/// Number of no generation.
const NEVER: u16 = 0;

// Routes say partitions in 16 bits.
const _: () = assert!(KeyGroups::GROUPS_MAX - 1 <= u16::MAX as u32);

/// Where the entries of a local id go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Owner of the key.
    pub partition: u32,
    /// The key's wire id there.
    pub wire: u32,
}

#[derive(Default)]
struct WireIds {
    next: u32,
    free: Vec<u32>,
    change: DictionaryChange,
}

/// A route, and when it was last asked for.
#[derive(Clone, Copy)]
struct KeptRoute {
    partition: u16,
    used_in: u16,
    wire: u32,
}

impl KeptRoute {
    const UNKNOWN: KeptRoute = KeptRoute { partition: 0, used_in: NEVER, wire: 0 };

    /// True if a key that was used then can't have been retired by now.
    fn is_kept(self, generation: u16) -> bool {
        self.used_in != NEVER && sweep::is_kept(self.used_in, generation)
    }

    fn route(self) -> Route {
        Route { partition: self.partition.into(), wire: self.wire }
    }
}

/// Keys of one key space, as one split's reader knows them.
pub struct SenderKeys {
    key_space: usize,
    key_groups: KeyGroups,
    index: KeyIndex,
    /// By local id.
    routes: Vec<KeptRoute>,
    wires: Vec<WireIds>,
    sweep: Sweep,
    generations: Generations,
    dictionary_codes: Option<CodeCache>,
    integer_codes: Option<IntegerSpan>,
    scratch: Vec<u8>,
}

impl SenderKeys {
    /// No keys yet.
    pub fn new(key_space: usize, key_groups: KeyGroups) -> SenderKeys {
        SenderKeys {
            key_space,
            key_groups,
            index: KeyIndex::new(),
            routes: Vec::new(),
            wires: (0..key_groups.partitions()).map(|_| WireIds::default()).collect(),
            sweep: Sweep::default(),
            generations: Generations::default(),
            dictionary_codes: None,
            integer_codes: None,
            scratch: Vec::new(),
        }
    }

    /// Local ids are below this.
    pub fn ids(&self) -> usize {
        self.index.ids()
    }

    /// Number of partitions that keys are spread over.
    pub fn partitions(&self) -> u32 {
        self.key_groups.partitions()
    }

    /// Where an entry of a local id goes; notes that a delta names the key.
    #[inline]
    pub fn route(&mut self, id: u32) -> Route {
        let kept = &mut self.routes[id as usize];
        // Keys are used again and again: a look is cheaper than a write that dirties the cache.
        if kept.used_in != self.generations.current {
            kept.used_in = self.generations.current;
        }
        kept.route()
    }

    /// The rows' keys as codes: of the dictionary that they come with, or of a span if they are integers close together. Rows that are not `active` have
    /// any code of the set, and no say in whether there are codes.
    pub(crate) fn codes_of<'a>(&mut self, keys: &'a [ArrayRef], active: Option<&BooleanBuffer>) -> Option<Codes<'a>> {
        let [column] = keys else { return None };
        if !are_valid(column, active) {
            return None;
        }
        if let Some(column) = column.as_dictionary_opt::<Int32Type>() {
            let set = CodeSet::Dictionary(Arc::clone(column.values()));
            return (column.values().null_count() == 0).then(|| Codes { set, of_rows: codes_of_rows(column) });
        }
        let values = Integers::of(column)?;
        let integers = self.integer_codes.get_or_insert_with(|| IntegerSpan::new(values));
        let of_rows = Cow::Owned(integers.codes(values, active, self.index.keys(), self.generations.current)?);
        Some(Codes { set: CodeSet::Integers(integers.span), of_rows })
    }

    /// Where the entries of these rows go, by the rows' local ids.
    pub fn routes(&mut self, ids: &[u32], rows: &[u32]) -> Vec<Route> {
        rows.iter().map(|&row| self.route(ids[row as usize])).collect()
    }

    /// Where the entries of codes go, of which each costs one look-up, where local ids take two; what is new is interned.
    pub(crate) fn routes_of_codes(&mut self, set: &CodeSet, codes: impl Iterator<Item = u32>) -> Vec<Route> {
        match set {
            CodeSet::Dictionary(dictionary) => self.routes_of_values(dictionary, codes),
            CodeSet::Integers(span) => self.routes_of_integers(*span, codes),
        }
    }

    fn routes_of_values(&mut self, dictionary: &ArrayRef, codes: impl Iterator<Item = u32>) -> Vec<Route> {
        let mut cache = self.code_cache(dictionary);
        let (encoder, texts) = (KeyEncoder::new(std::slice::from_ref(dictionary)), dictionary.as_string_opt::<i32>());
        let route = |code: u32| {
            let known = &mut cache.known[code as usize];
            let value = |keys: &mut SenderKeys| keys.intern_value(texts.map(|texts| texts.value(code as usize)), &encoder, code as usize);
            self.renew(known, value);
            known.route.route()
        };
        let routes = codes.map(route).collect();
        self.dictionary_codes = Some(cache);
        routes
    }

    /// The span may have moved since the codes were made.
    fn routes_of_integers(&mut self, of: Span, codes: impl Iterator<Item = u32>) -> Vec<Route> {
        let mut integers = self.integer_codes.take().expect("codes of integers come from it");
        let (span, data_type) = (integers.span, integers.data_type);
        let route = |code: u32| {
            let Some(at) = span.code_of(of, code) else {
                let id = self.intern_integer(of.value(code), data_type);
                return self.route(id);
            };
            let known = &mut integers.known[at];
            self.renew(known, |keys| keys.intern_integer(of.value(code), data_type));
            known.route.route()
        };
        let routes = codes.map(route).collect();
        self.integer_codes = Some(integers);
        routes
    }

    /// Brings what is known of a code, which is used now, up to the generation at hand; `intern` finds the key of one that may have been retired.
    #[inline]
    fn renew(&mut self, known: &mut KnownCode, intern: impl FnOnce(&mut SenderKeys) -> u32) {
        if known.route.used_in != self.generations.current {
            let id = known.id(self.generations.current).unwrap_or_else(|| intern(self));
            self.route(id);
            *known = KnownCode { id, route: self.routes[id as usize] };
        }
    }

    fn code_cache(&mut self, dictionary: &ArrayRef) -> CodeCache {
        match self.dictionary_codes.take() {
            Some(cache) if Arc::ptr_eq(&cache.dictionary, dictionary) => cache,
            _ => CodeCache::new(dictionary),
        }
    }

    /// Writes the local id of each row's key to `ids` (any id for rows that are not `active`).
    pub fn local_ids(&mut self, columns: &[ArrayRef], rows: usize, active: Option<&BooleanBuffer>, ids: &mut Vec<u32>) {
        ids.clear();
        match columns {
            [] => {
                let name = Name::Canonical(&[]);
                let id = self.index.find(name).unwrap_or_else(|| self.add(name, &[]));
                ids.resize(rows, id);
            }
            [column] => self.local_ids_of_column(column, columns, active, ids),
            _ => self.local_ids_of_rows(columns, rows, active, ids),
        }
    }

    fn local_ids_of_column(&mut self, column: &ArrayRef, columns: &[ArrayRef], active: Option<&BooleanBuffer>, ids: &mut Vec<u32>) {
        if let Some(column) = column.as_dictionary_opt::<Int32Type>() {
            self.local_ids_of_codes(column, columns, active, ids);
        } else if let Some(texts) = column.as_string_opt::<i32>() {
            self.local_ids_of_values(columns, active, ids, |row| Name::Text(texts.value(row).as_bytes()));
        } else if let Some(values) = Integers::of(column) {
            self.local_ids_of_values(columns, active, ids, |row| Name::Integer(values.get(row)));
        } else {
            self.local_ids_of_rows(columns, column.len(), active, ids);
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
        let mut all_known = column.null_count() == 0 && column.values().null_count() == 0;
        ids.resize(codes.len(), NO_ID);
        if all_known {
            for (id, &code) in ids.iter_mut().zip(codes) {
                let known = &cache.known[code as usize];
                *id = if known.route.used_in == self.generations.current { known.id } else { NO_ID };
                all_known &= *id != NO_ID;
            }
        }
        if !all_known {
            self.fill_missing(&mut cache, column, columns, active, ids);
        }
        self.dictionary_codes = Some(cache);
    }

    /// The slow path of codes: rows whose code is not known to be used in this generation, and NULLs.
    fn fill_missing(
        &mut self,
        cache: &mut CodeCache,
        column: &DictionaryArray<Int32Type>,
        columns: &[ArrayRef],
        active: Option<&BooleanBuffer>,
        ids: &mut [u32],
    ) {
        let (encoder, dictionary) = (KeyEncoder::new(columns), Arc::clone(&cache.dictionary));
        let texts = dictionary.as_string_opt::<i32>();
        for (row, id) in ids.iter_mut().enumerate() {
            if *id != NO_ID || active.is_some_and(|active| !active.value(row)) {
                continue;
            }
            let (slot, text) = match column.key(row).filter(|&code| cache.dictionary.is_valid(code)) {
                Some(code) => (&mut cache.known[code], texts.map(|texts| texts.value(code))),
                None => (&mut cache.null, None),
            };
            self.renew(slot, |keys| keys.intern_value(text, &encoder, row));
            *id = slot.id;
        }
        ids.iter_mut().filter(|id| **id == NO_ID).for_each(|id| *id = 0);
    }

    /// By the names of a single column's values; a row without one goes by its canonical bytes.
    fn local_ids_of_values<'n>(
        &mut self,
        columns: &[ArrayRef],
        active: Option<&BooleanBuffer>,
        ids: &mut Vec<u32>,
        name: impl Fn(usize) -> Name<'n>,
    ) {
        let (encoder, rows) = (KeyEncoder::new(columns), 0..columns[0].len());
        match columns[0].nulls().filter(|nulls| nulls.null_count() > 0) {
            None => ids.extend(rows.map(|row| self.id_of_row(name(row), &encoder, row, active))),
            Some(nulls) => ids.extend(rows.map(|row| match nulls.is_valid(row) {
                true => self.id_of_row(name(row), &encoder, row, active),
                false if active.is_none_or(|active| active.value(row)) => self.intern_row(&encoder, row),
                false => 0,
            })),
        }
    }

    /// The id of a row's key; any if the row is not active.
    #[inline]
    fn id_of_row(&mut self, name: Name<'_>, encoder: &KeyEncoder<'_>, row: usize, active: Option<&BooleanBuffer>) -> u32 {
        match self.index.find(name) {
            Some(id) => id,
            None if active.is_none_or(|active| active.value(row)) => self.add_encoded(name, |bytes| encoder.encode(row, bytes)),
            None => 0,
        }
    }

    fn local_ids_of_rows(&mut self, columns: &[ArrayRef], rows: usize, active: Option<&BooleanBuffer>, ids: &mut Vec<u32>) {
        let encoder = KeyEncoder::new(columns);
        for row in 0..rows {
            let wanted = active.is_none_or(|active| active.value(row));
            ids.push(if wanted { self.intern_row(&encoder, row) } else { 0 });
        }
    }

    fn intern_integer(&mut self, value: i64, data_type: DataType) -> u32 {
        let name = Name::Integer(value);
        let encode = |bytes: &mut Vec<u8>| encode_values(&[Value::BigInt(value)], &[data_type], bytes).expect("a value of the column");
        self.index.find(name).unwrap_or_else(|| self.add_encoded(name, encode))
    }

    /// Interns a row of a dictionary by the name that a column of such values gives it, which is the text, if it is one.
    fn intern_value(&mut self, text: Option<&str>, encoder: &KeyEncoder<'_>, row: usize) -> u32 {
        match text.map(|text| Name::Text(text.as_bytes())) {
            Some(name) => self.index.find(name).unwrap_or_else(|| self.add_encoded(name, |bytes| encoder.encode(row, bytes))),
            None => self.intern_row(encoder, row),
        }
    }

    /// Interns a row by its canonical bytes.
    fn intern_row(&mut self, encoder: &KeyEncoder<'_>, row: usize) -> u32 {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        encoder.encode(row, &mut bytes);
        let name = Name::Canonical(&bytes);
        let id = self.index.find(name).unwrap_or_else(|| self.add(name, &bytes));
        self.scratch = bytes;
        id
    }

    /// Adds a key that has another name than its canonical bytes, which are made only now.
    fn add_encoded(&mut self, name: Name<'_>, encode: impl FnOnce(&mut Vec<u8>)) -> u32 {
        let mut canonical = std::mem::take(&mut self.scratch);
        canonical.clear();
        encode(&mut canonical);
        let id = self.add(name, &canonical);
        self.scratch = canonical;
        id
    }

    fn add(&mut self, name: Name<'_>, canonical: &[u8]) -> u32 {
        let id = self.index.add(name);
        let (partition, wire) = self.announce(canonical);
        let route = KeptRoute { partition, used_in: self.generations.current, wire };
        match self.routes.get_mut(id as usize) {
            Some(kept) => *kept = route,
            None => self.routes.push(route),
        }
        self.sweep.added += 1;
        id
    }

    fn announce(&mut self, canonical: &[u8]) -> (u16, u32) {
        let partition = self.key_groups.partition(KeyHash::of(canonical));
        let wires = &mut self.wires[partition.0 as usize];
        let wire = wires.free.pop().unwrap_or_else(|| {
            wires.next += 1;
            wires.next - 1
        });
        wires.change.added.push(wire);
        wires.change.keys.push(canonical);
        (partition.0 as u16, wire)
    }

    /// What the partition has to know before it reads the entries since the last call.
    pub fn take_change(&mut self, partition: PartitionId) -> Option<DictionaryChange> {
        let change = &mut self.wires[partition.0 as usize].change;
        let changed = !(change.added.is_empty() && change.retired.is_empty());
        changed.then(|| DictionaryChange { key_space: self.key_space, ..std::mem::take(change) })
    }
}

/// True if no active row is NULL.
fn are_valid(column: &ArrayRef, active: Option<&BooleanBuffer>) -> bool {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    nulls.is_none_or(|nulls| active.is_some_and(|active| (active & nulls.inner()) == *active))
}

/// The codes of a dictionary column; 0 for NULL, which any number may stand for.
fn codes_of_rows(column: &DictionaryArray<Int32Type>) -> Cow<'_, [u32]> {
    if column.null_count() > 0 {
        return column.keys().iter().map(|code| code.map_or(0, |code| code as u32)).collect();
    }
    Cow::Borrowed(&column.keys().values().inner().typed_data::<u32>()[..column.len()])
}

#[cfg(test)]
mod tests;
