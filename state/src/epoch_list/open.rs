//! A list that is being filled: a block per page of keys for each (store, slice), pieces for sessions.
//!
//! Keys with rows in it are held until it is turned into records. Cost per entry is that of applying it to a replica; memory is that of the
//! touched pages' blocks.

use super::session_pieces::SessionPieces;
use super::{Breathe, Uncounted};
use crate::block::{Block, PAGE_KEYS, Picks};
use crate::checkpoint::{Pieces, Record};
use crate::delta::{Placement, StoreDelta};
use crate::keys::Keys;
use crate::page_runs::PageRuns;
use raympp_operators::accumulator::{AccumulatorColumn, CellKind};
use raympp_operators::sharing::{Store, StoreKind};
use std::collections::{BTreeMap, HashMap};

/// See the module.
#[derive(Default)]
pub(super) struct OpenList {
    /// By store and slice.
    tables: BTreeMap<(usize, i64), Table>,
    /// By store, with its key space.
    pieces: BTreeMap<usize, (usize, SessionPieces)>,
    pub(super) uncounted: Uncounted,
    runs: PageRuns,
}

/// Cleared blocks of lists that have been turned into records, by store: filled again they cost no page faults, which the cores would notice too. No more
/// than the last list had.
#[derive(Default)]
pub(super) struct Spare {
    blocks: HashMap<usize, Vec<Block>>,
}

impl Spare {
    fn take(&mut self, store: usize, kinds: &[CellKind], keys: usize) -> Block {
        let spare = if keys == PAGE_KEYS { self.blocks.get_mut(&store).and_then(Vec::pop) } else { None };
        spare.unwrap_or_else(|| Block::new(kinds, keys))
    }

    fn give(&mut self, store: usize, block: Block) {
        if block.capacity() == PAGE_KEYS {
            block.clear();
            self.blocks.entry(store).or_default().push(block);
        }
    }
}

/// Groups of one slice.
#[derive(Default)]
struct Table {
    key_space: usize,
    blocks: Vec<Option<Block>>,
}

/// Entries to be merged, wherever they come from.
struct Entries<'a> {
    ids: &'a [u32],
    rows: &'a [u64],
    columns: &'a [Option<AccumulatorColumn>],
}

impl OpenList {
    /// Merges a delta's entries, whose keys have these ids.
    pub(super) fn merge(&mut self, store: &Store, delta: &StoreDelta, ids: &[u32], keys: &mut Keys, spare: &mut Spare) {
        let entries = Entries { ids, rows: &delta.rows, columns: &delta.columns };
        match &delta.placement {
            Placement::Slice(slice) => self.merge_slice(store, (delta.store, *slice), &entries, keys, spare),
            Placement::Sessions { first_us, last_us } => self.merge_pieces(store, delta.store, &entries, (first_us, last_us), keys),
        }
    }

    /// Merges a record.
    pub(super) fn put(&mut self, store: &Store, (position, slice): (usize, i64), record: &Record, keys: &mut Keys, spare: &mut Spare) {
        let ids: Vec<u32> = record.keys.iter().map(|key| keys.hold_key(key)).collect();
        let entries = Entries { ids: &ids, rows: &record.rows, columns: &record.columns };
        match &record.pieces {
            Pieces::Sliced => self.merge_slice(store, (position, slice), &entries, keys, spare),
            Pieces::Sessions { first_us, last_us } => self.merge_pieces(store, position, &entries, (first_us, last_us), keys),
        }
        ids.into_iter().for_each(|id| keys.release(id));
    }

    fn merge_slice(&mut self, store: &Store, place: (usize, i64), entries: &Entries<'_>, keys: &mut Keys, spare: &mut Spare) {
        let kinds: Vec<CellKind> = store.accumulators.iter().map(|accumulator| accumulator.cell_kind()).collect();
        let pages = keys.ids().div_ceil(PAGE_KEYS);
        let table = self.tables.entry(place).or_default();
        table.key_space = store.key_space;
        if table.blocks.len() < pages {
            table.blocks.resize_with(pages, || None);
        }
        let in_use = keys.ids();
        self.runs.split(entries.ids, pages);
        for (page, ids, picks) in self.runs.iter() {
            let highest = ids.iter().copied().max().unwrap_or(0) as usize;
            let fresh = |keys| spare.take(place.0, &kinds, keys);
            let block = block_for(&mut table.blocks[page], highest, (in_use - page * PAGE_KEYS).min(PAGE_KEYS), fresh);
            let first = (page * PAGE_KEYS) as u32;
            block.add_rows(ids, Picks::Some(picks), entries.rows, |id| keys.hold(first + id));
            for (column, values) in entries.columns.iter().enumerate() {
                if let Some(values) = values {
                    block.apply(column, ids, Picks::Some(picks), values);
                }
            }
        }
    }

    fn merge_pieces(&mut self, store: &Store, position: usize, entries: &Entries<'_>, (first, last): (&[i64], &[i64]), keys: &mut Keys) {
        let StoreKind::Sessions { gap_us } = store.kind else { unreachable!("entries are placed as the plan says") };
        let new = || (store.key_space, SessionPieces::new(&store.accumulators, gap_us));
        let (_, pieces) = self.pieces.entry(position).or_insert_with(new);
        for (i, &id) in entries.ids.iter().enumerate() {
            pieces.push(id, (first[i], last[i]), entries.rows[i], entries.columns, i);
            keys.hold(id);
        }
        pieces.join_if_many(|id| keys.release(id));
    }

    /// Its contents by store and slice, sorted by key.
    pub(super) fn records(self, keys: &mut [Keys], spare: &mut Spare, breathe: Breathe) -> Vec<((usize, i64), Record)> {
        let mut records = Vec::new();
        spare.blocks.clear();
        for (place, Table { key_space, blocks }) in self.tables {
            let keys = &mut keys[key_space];
            records.push((place, record_of(&blocks, keys, breathe)));
            for (first, _, ids) in occupied(&blocks) {
                ids.into_iter().for_each(|id| keys.release(first + id));
                breathe();
            }
            blocks.into_iter().flatten().for_each(|block| spare.give(place.0, block));
        }
        for (store, (key_space, mut pieces)) in self.pieces {
            let keys = &mut keys[key_space];
            pieces.join(|id| keys.release(id));
            records.push(((store, 0), pieces.record(keys)));
            pieces.ids().iter().for_each(|&id| keys.release(id));
        }
        records
    }
}

fn block_for(block: &mut Option<Block>, highest: usize, keys: usize, fresh: impl FnOnce(usize) -> Block) -> &Block {
    match block {
        Some(small) if small.capacity() <= highest => *block = Some(small.grown(keys)),
        Some(_) => {}
        None => *block = Some(fresh(keys)),
    }
    block.as_ref().expect("just made sure")
}

fn occupied(table: &[Option<Block>]) -> impl Iterator<Item = (u32, &Block, Vec<u32>)> {
    let pages = table.iter().enumerate().filter_map(|(page, block)| Some(((page * PAGE_KEYS) as u32, block.as_ref()?)));
    pages.map(|(first, block)| (first, block, block.occupied()))
}

fn record_of(table: &[Option<Block>], keys: &mut Keys, breathe: Breathe) -> Record {
    let mut ids: Vec<u32> = Vec::new();
    let mut rows: Vec<u64> = Vec::new();
    let mut columns: Vec<Option<AccumulatorColumn>> = Vec::new();
    let width = table.iter().flatten().next().map_or(0, Block::columns);
    columns.resize(width, None);
    for (first, block, found) in occupied(table) {
        for (i, column) in columns.iter_mut().enumerate() {
            let cells = block.gather(i, &found);
            match column {
                Some(column) => column.append(&cells),
                None => *column = Some(cells),
            }
        }
        rows.extend(block.gather_rows(&found));
        ids.extend(found.into_iter().map(|id| first + id));
        breathe();
    }
    let (order, names) = keys.sorted(&ids, breathe);
    breathe();
    let rows = order.iter().map(|&i| rows[i as usize]).collect();
    let columns = columns.into_iter().map(|column| column.map(|column| column.gather(&order))).collect();
    let mut record = Record { pieces: Pieces::Sliced, keys: names, rows, columns };
    record.drop_identities();
    record
}
