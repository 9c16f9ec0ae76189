//! Folding: rows of one split become partial aggregates by (store, key, slice), and those a delta.
//!
//! A store's rows go one of two ways, decided batch by batch. If keys repeat, each row is added to a *table* of fixed-width cells by
//! local key id – or, where the key is a dictionary or integers close together, by code, so that no row looks its key up – and a flush reads the table out. If they barely
//! repeat, a table would only be a detour: rows become entries of the delta as they are. Either way the replica merges the same totals, so the choice
//! never shows.
//!
//! In a table, counts of a cell share words: three fields of 21 bits, since a flush comes before 2^21 rows. Integer sums take one word
//! each, as long as (rows · greatest magnitude) proves that they fit; everything else is folded by the accumulators' own general code.
//! Cell 0 is a bin: rows that do not count are added there, so that the loops over rows have no branches.

mod increments;
mod inputs;
mod table;

use crate::delta::{DeltaPart, Placement, StoreDelta};
use crate::dictionary::{Route, SenderKeys};
use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;
pub use inputs::ExprCache;
use inputs::Inputs;
use raympp_operators::accumulator::{AccumulatorColumn, RowStamps, fold};
use raympp_operators::sharing::{Shape, SharedPlan, Store, StoreKind};
use raympp_operators::window::{representable, slice_of, slice_start};
use raympp_types::{KeyGroups, PartitionId};
use std::collections::BTreeMap;
use std::sync::Arc;
use table::{Numbering, Table};

/// Rows between two flushes stay below this: counts in a table have 21 bits.
pub const FLUSH_ROWS_MAX: u64 = (1 << 21) - 1;
/// A table of at most this many cells is worth it for any number of rows.
const SMALL_TABLE: usize = 256;

/// Rows of one split to be folded.
pub struct Batch<'a> {
    /// The stream's columns.
    pub columns: &'a [ArrayRef],
    /// Number of rows.
    pub rows: usize,
    /// Event time of each row in microseconds; any value where not active.
    pub event_times_us: &'a [i64],
    /// Lowest and highest event time of the active rows.
    pub range_us: (i64, i64),
    /// Rows that are not late or bad; `None`: all.
    pub active: Option<BooleanBuffer>,
    /// For aggregates that care about the order of rows.
    pub stamps: RowStamps<'a>,
}

/// A row that a store's metrics could not evaluate.
pub struct Failure {
    /// Position of the store.
    pub store: usize,
    /// Position of the row in the batch.
    pub row: usize,
    /// Why; of several rows that failed together only the first one's reason is known.
    pub reason: String,
}

/// Rows of one store on the way into a delta.
struct StoreFold {
    position: usize,
    store: Arc<Store>,
    table: Table,
    /// Entries that bypassed the table, by partition.
    direct: Vec<(PartitionId, StoreDelta)>,
    ids: Vec<u32>,
    bad: u64,
}

/// What each partition gets, by ascending partition.
pub type Parts = Vec<(PartitionId, DeltaPart)>;
/// Rows that could not be evaluated, by store.
pub type BadByStore = Vec<(usize, u64)>;

/// All stores of a plan, for one split's reader.
pub struct StreamFold {
    keys: Vec<SenderKeys>,
    stores: Vec<Option<StoreFold>>,
    cache: ExprCache,
    key_groups: KeyGroups,
    rows: u64,
    rows_of_last_flush: u64,
    /// Highest event time folded.
    seen_us: i64,
}

impl StreamFold {
    /// Nothing folded yet.
    pub fn new(plan: &SharedPlan, key_groups: KeyGroups) -> StreamFold {
        let mut fold = StreamFold {
            keys: Vec::new(),
            stores: Vec::new(),
            cache: ExprCache::default(),
            key_groups,
            rows: 0,
            rows_of_last_flush: 0,
            seen_us: i64::MIN,
        };
        fold.adopt(plan);
        fold
    }

    /// Goes on under another plan. Everything folded before must have been flushed.
    pub fn adopt(&mut self, plan: &SharedPlan) {
        assert_eq!(self.rows, 0, "a plan changes at a barrier, which no delta spans");
        for space in self.keys.len()..plan.key_spaces.len() {
            self.keys.push(SenderKeys::new(space, self.key_groups));
        }
        self.stores.resize_with(plan.stores.len(), || None);
        for (position, store) in plan.stores.iter().enumerate() {
            match (store, &self.stores[position]) {
                (Some(store), None) => self.stores[position] = Some(StoreFold::new(position, store)),
                (None, Some(_)) => self.stores[position] = None,
                _ => {}
            }
        }
        for (space, keys) in self.keys.iter_mut().enumerate() {
            let of_space = plan.stores.iter().flatten().filter(|store| store.key_space == space);
            keys.set_span(of_space.map(|store| span_us(store)).max().unwrap_or(0));
        }
        let spaces: Vec<&[_]> = plan.key_spaces.iter().map(|space| &space.keys[..]).collect();
        self.cache.set_keys(&spaces);
    }

    /// Rows folded since the last flush.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Folds rows into every store. Returns the rows that could not be evaluated.
    pub fn fold(&mut self, batch: &Batch<'_>) -> Vec<Failure> {
        assert!(self.rows + batch.rows as u64 <= FLUSH_ROWS_MAX, "the caller flushes in time");
        self.rows += batch.rows as u64;
        self.seen_us = self.seen_us.max(batch.range_us.1);
        let expected = self.rows.max(self.rows_of_last_flush) as usize;
        self.cache.clear();
        let mut failures = Vec::new();
        for store in self.stores.iter_mut().flatten() {
            let keys = &mut self.keys[store.store.key_space];
            failures.extend(store.fold(batch, &mut self.cache, keys, expected));
        }
        failures
    }

    /// Everything folded since the last flush, by ascending partition, and the rows that could not be evaluated, by store. Without rows
    /// there is nothing: a delta that holds only marks may be applied again.
    pub fn flush(&mut self) -> (Parts, BadByStore) {
        if self.rows == 0 {
            return (Vec::new(), Vec::new());
        }
        let mut parts: BTreeMap<PartitionId, DeltaPart> = BTreeMap::new();
        let mut bad = Vec::new();
        for store in self.stores.iter_mut().flatten() {
            for (partition, entries) in store.flush(&mut self.keys[store.store.key_space]) {
                parts.entry(partition).or_default().entries.push(entries);
            }
            if store.bad > 0 {
                bad.push((store.position, std::mem::take(&mut store.bad)));
            }
        }
        for keys in &mut self.keys {
            for partition in (0..self.key_groups.partitions()).map(PartitionId) {
                if let Some(change) = keys.take_change(partition) {
                    parts.entry(partition).or_default().dictionaries.push(change);
                }
            }
            keys.sweep(self.seen_us);
        }
        self.rows_of_last_flush = std::mem::take(&mut self.rows);
        (parts.into_iter().collect(), bad)
    }
}

/// How far back in event time a window of the store can be that still holds a key; `i64::MAX` if groups live for ever.
fn span_us(store: &Store) -> i64 {
    let of_shape = |shape: &Shape| shape.window.size_us().saturating_add(shape.retention_us);
    match store.kind {
        StoreKind::Running => i64::MAX,
        StoreKind::Sessions { gap_us } => gap_us.saturating_mul(2),
        StoreKind::Sliced => store.tiers.iter().flat_map(|tier| &tier.shapes).map(of_shape).max().unwrap_or(0),
    }
}

impl StoreFold {
    fn new(position: usize, store: &Arc<Store>) -> StoreFold {
        StoreFold {
            position,
            store: Arc::clone(store),
            table: Table::new(&store.accumulators),
            direct: Vec::new(),
            ids: Vec::new(),
            bad: 0,
        }
    }

    fn fold(&mut self, batch: &Batch<'_>, cache: &mut ExprCache, keys: &mut SenderKeys, expected_rows: usize) -> Vec<Failure> {
        let mut inputs = Inputs::evaluate(&self.store, batch, cache);
        if self.store.kind != StoreKind::Running && !(representable(batch.range_us.0) && representable(batch.range_us.1)) {
            inputs.reject(batch.rows, |row| !representable(batch.event_times_us[row]));
        }
        let failures = std::mem::take(&mut inputs.failed);
        self.bad += failures.len() as u64;
        if inputs.nothing_active() {
            return self.failures(failures);
        }
        match self.store.kind {
            StoreKind::Sessions { gap_us } => {
                keys.local_ids(&inputs.keys, batch.rows, inputs.active.as_ref(), &mut self.ids);
                self.fold_sessions(batch, &inputs, keys, gap_us);
            }
            StoreKind::Running => self.fold_slices(batch, &inputs, keys, expected_rows, |_| 0, |_| i64::MIN),
            StoreKind::Sliced => {
                let (width, offset) = (self.store.tiers[0].width_us, self.store.tiers[0].offset_us);
                let (slice, start) = (|us| slice_of(us, width, offset), |slice| slice_start(slice, width, offset));
                self.fold_slices(batch, &inputs, keys, expected_rows, slice, start);
            }
        }
        self.failures(failures)
    }

    fn failures(&self, failed: Vec<(usize, String)>) -> Vec<Failure> {
        failed.into_iter().map(|(row, reason)| Failure { store: self.position, row, reason }).collect()
    }

    fn fold_slices(
        &mut self,
        batch: &Batch<'_>,
        inputs: &Inputs,
        keys: &mut SenderKeys,
        expected_rows: usize,
        slice: impl Fn(i64) -> i64,
        start: impl Fn(i64) -> i64,
    ) {
        let (first, last) = inputs.slice_range(batch, &slice);
        self.table.see(batch.rows);
        let slots = self.table.slots_with(first, last);
        let worth_it = |numbers: usize| slots.is_some_and(|slots| slots * numbers.next_power_of_two() <= SMALL_TABLE.max(expected_rows));
        let starts_us = || (first + 1..=last).map(start).collect::<Vec<i64>>();
        // Once keys without codes have come, a table keeps what all have: turning it over costs as much as it has cells.
        let by_code = if self.table.is_by_ids() { None } else { keys.codes_of(&inputs.keys, inputs.active.as_ref()) };
        if let Some(codes) = by_code.as_ref().filter(|codes| worth_it(codes.set.len())) {
            self.reserve(keys, &Numbering::Codes(codes.set.clone()), first, last);
            self.table.place(&codes.of_rows, inputs.active.as_ref(), first, &starts_us(), batch.event_times_us);
            self.table.add(&self.store.accumulators, inputs, batch);
            return;
        }
        let by_code = by_code.filter(|_| !worth_it(keys.ids()));
        if by_code.is_none() {
            keys.local_ids(&inputs.keys, batch.rows, inputs.active.as_ref(), &mut self.ids);
            if worth_it(keys.ids()) {
                self.reserve(keys, &Numbering::Ids(keys.ids()), first, last);
                self.table.place(&self.ids, inputs.active.as_ref(), first, &starts_us(), batch.event_times_us);
                self.table.add(&self.store.accumulators, inputs, batch);
                return;
            }
        }
        for (slice, rows) in rows_by_slice(batch, inputs, (first, last), slice) {
            let routes = match &by_code {
                Some(codes) => keys.routes_of_codes(&codes.set, rows.iter().map(|&row| codes.of_rows[row as usize])),
                None => keys.routes(&self.ids, &rows),
            };
            self.add_direct(batch, inputs, slice, rows_by_partition(&rows, &routes, keys.partitions()));
        }
    }

    /// Makes room in the table, if need be by taking out what it holds.
    fn reserve(&mut self, keys: &mut SenderKeys, numbering: &Numbering, first: i64, last: i64) {
        if !self.table.reserve(numbering, first, last) {
            let flushed = self.table.take(self.position, keys);
            self.direct.extend(flushed);
            assert!(self.table.reserve(numbering, first, last), "an empty table takes any range it was asked about");
        }
    }

    /// Rows of one slice as entries of their own.
    fn add_direct(&mut self, batch: &Batch<'_>, inputs: &Inputs, slice: i64, shares: Vec<Share>) {
        for Share { partition, rows, wires } in shares {
            let columns = inputs.columns_of_rows(&self.store.accumulators, &rows, batch);
            let placement = Placement::Slice(slice);
            let entries = StoreDelta { store: self.position, placement, ids: wires, rows: vec![1; rows.len()], columns };
            self.direct.push((partition, entries));
        }
    }

    /// Runs of rows of one key without a gap become pieces of sessions.
    fn fold_sessions(&mut self, batch: &Batch<'_>, inputs: &Inputs, keys: &mut SenderKeys, gap_us: i64) {
        let mut rows = inputs.active_rows(batch.rows);
        rows.sort_by_key(|&row| (self.ids[row as usize], batch.event_times_us[row as usize], row));
        let routes = keys.routes(&self.ids, &rows);
        for Share { partition, rows, .. } in rows_by_partition(&rows, &routes, keys.partitions()) {
            let mut pieces = Pieces::default();
            for &row in &rows {
                pieces.push(self.ids[row as usize], batch.event_times_us[row as usize], gap_us);
            }
            let columns = self.store.accumulators.iter().enumerate().map(|(i, accumulator)| {
                let mut column = AccumulatorColumn::identity(accumulator, pieces.ids.len());
                fold(accumulator, inputs.of(i), inputs.filter(i), &rows, &pieces.of_row, &batch.stamps, &mut column);
                Some(column)
            });
            let columns = columns.collect();
            let ids = pieces.ids.iter().map(|&id| keys.route(id).wire).collect();
            let placement = Placement::Sessions { first_us: pieces.first_us, last_us: pieces.last_us };
            self.direct.push((partition, StoreDelta { store: self.position, placement, ids, rows: pieces.rows, columns }));
        }
    }

    fn flush(&mut self, keys: &mut SenderKeys) -> Vec<(PartitionId, StoreDelta)> {
        let mut entries = std::mem::take(&mut self.direct);
        entries.extend(self.table.take(self.position, keys));
        entries
    }
}

/// Pieces of sessions, from rows sorted by key and time.
#[derive(Default)]
struct Pieces {
    ids: Vec<u32>,
    first_us: Vec<i64>,
    last_us: Vec<i64>,
    rows: Vec<u64>,
    of_row: Vec<u32>,
}

impl Pieces {
    fn push(&mut self, id: u32, event_time_us: i64, gap_us: i64) {
        let joins = self.ids.last() == Some(&id) && event_time_us - self.last_us.last().expect("as many as ids") < gap_us;
        if !joins {
            self.ids.push(id);
            self.first_us.push(event_time_us);
            self.last_us.push(event_time_us);
            self.rows.push(0);
        }
        let piece = self.ids.len() - 1;
        self.last_us[piece] = event_time_us;
        self.rows[piece] += 1;
        self.of_row.push(piece as u32);
    }
}

fn rows_by_slice(batch: &Batch<'_>, inputs: &Inputs, (first, last): (i64, i64), slice: impl Fn(i64) -> i64) -> Vec<(i64, Vec<u32>)> {
    let rows = inputs.active_rows(batch.rows);
    if first == last {
        return vec![(first, rows)];
    }
    let mut by_slice: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for row in rows {
        by_slice.entry(slice(batch.event_times_us[row as usize])).or_default().push(row);
    }
    by_slice.into_iter().collect()
}

/// Rows of one partition, with the wire id of each.
struct Share {
    partition: PartitionId,
    rows: Vec<u32>,
    wires: Vec<u32>,
}

/// Splits rows by the partition that owns their key, keeping their order.
fn rows_by_partition(rows: &[u32], routes: &[Route], partitions: u32) -> Vec<Share> {
    let room = || Vec::with_capacity(rows.len() / partitions as usize);
    let share = |partition| Share { partition: PartitionId(partition), rows: room(), wires: room() };
    let mut shares: Vec<Share> = (0..partitions).map(share).collect();
    for (&row, route) in rows.iter().zip(routes) {
        let share = &mut shares[route.partition as usize];
        share.rows.push(row);
        share.wires.push(route.wire);
    }
    shares.retain(|share| !share.rows.is_empty());
    shares
}
