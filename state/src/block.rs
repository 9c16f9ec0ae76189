//! One slice of one page: a column of cells per accumulator for up to 4,096 keys, readable while it is written.
//!
//! A cell is absent (identity) until something touches its column. Sums start as one 64-bit word; the first that does not fit
//! gives the column its higher words, sign-extended for everyone, and from then on all its cells are wide. Heavy cells (sets,
//! sketches, strings) are in `heavy_cells`. Invariant: only the page's writer changes a block, inside [`crate::version::PageVersion::write`] once
//! readers can see it.
//!
//! A block made for few keys is small (its capacity is what its page had use for) and is replaced by a larger copy when a key beyond
//! its capacity comes.

use crate::heavy_cells::{self, HeavyCell, HeavyCells};
use raympp_operators::accumulator::wide::{wide_add, wide_extend, wide_from_i64, wide_shrink, wide_sub};
use raympp_operators::accumulator::{AccumulatorColumn, CellKind, Heavy, SumColumn};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Keys of a page.
pub const PAGE_KEYS: usize = 4096;
/// Keys of the smallest block.
const CAPACITY_MIN: usize = 64;

/// The page that an id lies on.
pub(crate) fn page_of(id: u32) -> usize {
    id as usize / PAGE_KEYS
}

/// An id within its page.
pub(crate) fn in_page(id: u32) -> u32 {
    id % PAGE_KEYS as u32
}

type Words = Box<[AtomicU64]>;

fn zeroed(len: usize) -> Words {
    (0..len).map(|_| AtomicU64::new(0)).collect()
}

#[inline(always)]
fn add_word(cell: &AtomicU64, value: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(value), Relaxed);
}

/// The cells of one accumulator.
struct Column {
    kind: CellKind,
    /// Counts, extremes, lowest words of sums.
    words: OnceLock<Words>,
    /// The other words of sums, cell by cell, once one did not fit into 64 bits.
    high: OnceLock<Words>,
    heavy: OnceLock<HeavyCells>,
}

impl Column {
    fn new(kind: CellKind) -> Column {
        Column { kind, words: OnceLock::new(), high: OnceLock::new(), heavy: OnceLock::new() }
    }

    /// Words of one sum cell.
    fn width(&self) -> usize {
        match self.kind {
            CellKind::Wide4 => 4,
            CellKind::Wide8 => 8,
            CellKind::Count | CellKind::Extreme | CellKind::Heavy => 1,
        }
    }

    fn words(&self, capacity: usize) -> &[AtomicU64] {
        self.words.get_or_init(|| zeroed(capacity))
    }

    fn heavy(&self, capacity: usize) -> &HeavyCells {
        self.heavy.get_or_init(|| HeavyCells::empty(capacity))
    }

    /// The higher words; made, with every cell sign-extended, if there are none yet.
    fn high(&self, capacity: usize) -> &[AtomicU64] {
        self.high.get_or_init(|| {
            let extend = |low: &AtomicU64| ((low.load(Relaxed) as i64) >> 63) as u64;
            let words = self.words(capacity);
            words.iter().flat_map(|low| (1..self.width()).map(|_| AtomicU64::new(extend(low)))).collect()
        })
    }

    fn is_absent(&self) -> bool {
        self.words.get().is_none() && self.heavy.get().is_none()
    }

    fn load_wide<const N: usize>(&self, id: usize) -> [u64; N] {
        let low = self.words.get().map_or(0, |words| words[id].load(Relaxed));
        let mut cell = wide_from_i64::<N>(low as i64);
        if let Some(high) = self.high.get() {
            for (i, word) in cell[1..].iter_mut().enumerate() {
                *word = high[id * (N - 1) + i].load(Relaxed);
            }
        }
        cell
    }

    fn store_wide<const N: usize>(&self, id: usize, capacity: usize, cell: &[u64; N]) {
        let high = self.high(capacity);
        self.words(capacity)[id].store(cell[0], Relaxed);
        for (i, &word) in cell[1..].iter().enumerate() {
            high[id * (N - 1) + i].store(word, Relaxed);
        }
    }

    fn combine_wide<const N: usize>(&self, id: usize, capacity: usize, value: &[u64; N], negative: bool) {
        let mut cell = self.load_wide::<N>(id);
        if negative {
            wide_sub(&mut cell, value)
        } else {
            wide_add(&mut cell, value)
        };
        self.store_wide(id, capacity, &cell);
    }

    /// Adds (or subtracts) a sum that fits 64 bits; widens the column if the result does not.
    #[inline(always)]
    fn combine_narrow(&self, words: &[AtomicU64], id: usize, value: i64, negative: bool) {
        if self.high.get().is_none() {
            let old = words[id].load(Relaxed) as i64;
            let new = if negative { old.checked_sub(value) } else { old.checked_add(value) };
            if let Some(new) = new {
                words[id].store(new as u64, Relaxed);
                return;
            }
        }
        self.combine_narrow_into_wide(id, words.len(), value, negative);
    }

    #[cold]
    fn combine_narrow_into_wide(&self, id: usize, capacity: usize, value: i64, negative: bool) {
        match self.kind {
            CellKind::Wide4 => self.combine_wide(id, capacity, &wide_from_i64::<4>(value), negative),
            CellKind::Wide8 => self.combine_wide(id, capacity, &wide_from_i64::<8>(value), negative),
            CellKind::Count | CellKind::Extreme | CellKind::Heavy => unreachable!("only sums are narrow"),
        }
    }

    /// Merges values of a delta: `values[picks[i]]` into cell `ids[i]`.
    fn apply(&self, capacity: usize, ids: &[u32], picks: Picks<'_>, values: &AccumulatorColumn) {
        match values {
            AccumulatorColumn::Count(values) => {
                let words = self.words(capacity);
                picks.each(ids, |id, pick| add_word(&words[id], values[pick]));
            }
            AccumulatorColumn::Extreme(values) => {
                let words = self.words(capacity);
                picks.each(ids, |id, pick| words[id].store(words[id].load(Relaxed).max(values[pick]), Relaxed));
            }
            AccumulatorColumn::Sum(SumColumn::Narrow(values)) => {
                let words = self.words(capacity);
                picks.each(ids, |id, pick| self.combine_narrow(words, id, values[pick], false));
            }
            AccumulatorColumn::Sum(SumColumn::Wide4(values)) if self.kind == CellKind::Wide4 => {
                picks.each(ids, |id, pick| self.combine_wide(id, capacity, &values[pick], false));
            }
            AccumulatorColumn::Sum(SumColumn::Wide4(values)) => {
                picks.each(ids, |id, pick| self.combine_wide::<8>(id, capacity, &wide_extend(&values[pick]), false));
            }
            AccumulatorColumn::Sum(SumColumn::Wide8(values)) if self.kind == CellKind::Wide8 => {
                picks.each(ids, |id, pick| self.combine_wide(id, capacity, &values[pick], false));
            }
            AccumulatorColumn::Sum(SumColumn::Wide8(values)) => picks.each(ids, |id, pick| {
                let value = wide_shrink::<8, 4>(&values[pick]).expect("a sum of this accumulator fits 256 bits");
                self.combine_wide(id, capacity, &value, false);
            }),
            AccumulatorColumn::Heavy(values) => self.heavy(capacity).write(|cells| {
                picks.each(ids, |id, pick| {
                    if let Some(value) = &values[pick] {
                        heavy_cells::merge(&mut cells[id], value);
                    }
                });
            }),
        }
    }

    /// Merges (or takes away) the cells of another block's column, cell by cell.
    fn combine(&self, capacity: usize, other: &Column, len: usize, negative: bool) {
        if other.is_absent() {
            return;
        }
        match self.kind {
            CellKind::Count => {
                let from = other.words(len);
                for (cell, value) in self.words(capacity).iter().zip(&from[..len]) {
                    let value = value.load(Relaxed);
                    add_word(cell, if negative { value.wrapping_neg() } else { value });
                }
            }
            CellKind::Extreme => {
                assert!(!negative, "extremes do not invert");
                for (cell, value) in self.words(capacity).iter().zip(&other.words(len)[..len]) {
                    cell.store(cell.load(Relaxed).max(value.load(Relaxed)), Relaxed);
                }
            }
            CellKind::Wide4 => self.combine_sums::<4>(capacity, other, len, negative),
            CellKind::Wide8 => self.combine_sums::<8>(capacity, other, len, negative),
            CellKind::Heavy => {
                let change = if negative { heavy_cells::retract } else { heavy_cells::merge };
                other.heavy(len).read(|values| {
                    self.heavy(capacity).write(|cells| {
                        for (cell, value) in cells.iter_mut().zip(values) {
                            if let Some(value) = value {
                                change(cell, value);
                            }
                        }
                    });
                });
            }
        }
    }

    fn combine_sums<const N: usize>(&self, capacity: usize, other: &Column, len: usize, negative: bool) {
        let words = self.words(capacity);
        if other.high.get().is_some() {
            for id in 0..len {
                self.combine_wide(id, capacity, &other.load_wide::<N>(id), negative);
            }
        } else {
            for (id, value) in other.words(len)[..len].iter().enumerate() {
                self.combine_narrow(words, id, value.load(Relaxed) as i64, negative);
            }
        }
    }

    /// The cells of `ids`, in order; identity for those beyond the block.
    fn gather(&self, ids: &[u32], capacity: usize) -> AccumulatorColumn {
        let word = |words: Option<&Words>, id: u32| match words {
            Some(words) if (id as usize) < capacity => words[id as usize].load(Relaxed),
            _ => 0,
        };
        let words = self.words.get();
        match self.kind {
            CellKind::Count => AccumulatorColumn::Count(ids.iter().map(|&id| word(words, id)).collect()),
            CellKind::Extreme => AccumulatorColumn::Extreme(ids.iter().map(|&id| word(words, id)).collect()),
            CellKind::Wide4 | CellKind::Wide8 if self.high.get().is_none() => {
                AccumulatorColumn::Sum(SumColumn::Narrow(ids.iter().map(|&id| word(words, id) as i64).collect()))
            }
            CellKind::Wide4 => AccumulatorColumn::Sum(SumColumn::Wide4(self.gather_wide(ids, capacity))),
            CellKind::Wide8 => AccumulatorColumn::Sum(SumColumn::Wide8(self.gather_wide(ids, capacity))),
            CellKind::Heavy => {
                let pointers = |cells: &[HeavyCell]| ids.iter().map(|&id| cells.get(id as usize).cloned().flatten()).collect();
                let found: Vec<HeavyCell> =
                    self.heavy.get().map_or_else(|| vec![None; ids.len()], |heavy| heavy.read(|cells| pointers(cells)));
                AccumulatorColumn::Heavy(found.into_iter().map(|cell| cell.map(|heavy| Box::new(Heavy::clone(&heavy)))).collect())
            }
        }
    }

    fn gather_wide<const N: usize>(&self, ids: &[u32], capacity: usize) -> Vec<[u64; N]> {
        ids.iter().map(|&id| if (id as usize) < capacity { self.load_wide::<N>(id as usize) } else { [0; N] }).collect()
    }

    fn clear(&self) {
        for words in [self.words.get(), self.high.get()].into_iter().flatten() {
            words.iter().for_each(|word| word.store(0, Relaxed));
        }
        if let Some(heavy) = self.heavy.get() {
            heavy.write(|cells| cells.fill(None));
        }
    }

    fn bytes(&self) -> usize {
        let words = self.words.get().map_or(0, |w| w.len()) + self.high.get().map_or(0, |w| w.len());
        let heavy = self.heavy.get().map_or(0, |heavy| {
            heavy.read(|cells| cells.iter().map(|cell| 8 + cell.as_ref().map_or(0, |heavy| heavy.memory_bytes())).sum())
        });
        words * 8 + heavy
    }
}

/// Which values of a delta go to the ids beside them.
#[derive(Clone, Copy, Debug)]
pub enum Picks<'a> {
    /// The i-th value to the i-th id.
    All,
    /// Value `picks[i]` to the i-th id.
    Some(&'a [u32]),
}

impl Picks<'_> {
    #[inline(always)]
    fn each(self, ids: &[u32], mut f: impl FnMut(usize, usize)) {
        match self {
            Picks::All => ids.iter().enumerate().for_each(|(pick, &id)| f(id as usize, pick)),
            Picks::Some(picks) => ids.iter().zip(picks).for_each(|(&id, &pick)| f(id as usize, pick as usize)),
        }
    }
}

/// One slice of one page.
pub struct Block {
    rows: Words,
    columns: Box<[Column]>,
}

impl Block {
    /// An empty block for the first `keys` keys of a page (rounded up to a power of two).
    pub fn new(kinds: &[CellKind], keys: usize) -> Block {
        assert!(keys <= PAGE_KEYS, "a page has {PAGE_KEYS} keys");
        let capacity = keys.next_power_of_two().max(CAPACITY_MIN);
        Block { rows: zeroed(capacity), columns: kinds.iter().map(|&kind| Column::new(kind)).collect() }
    }

    /// How many accumulators it has cells of.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// How many keys it has cells for.
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// The same cells in memory of their own.
    pub(crate) fn copy(&self) -> Arc<Block> {
        Arc::new(self.grown(self.capacity()))
    }

    /// A copy with cells for more keys.
    pub fn grown(&self, keys: usize) -> Block {
        let kinds: Vec<CellKind> = self.columns.iter().map(|column| column.kind).collect();
        let larger = Block::new(&kinds, keys.max(self.capacity()));
        larger.combine(self, |_| true, false);
        larger
    }

    /// Rows counted in a cell.
    pub fn rows_of(&self, id: u32) -> u64 {
        self.rows.get(id as usize).map_or(0, |cell| cell.load(Relaxed))
    }

    /// Adds row counts; `touched(id)` is called for each cell that had none before.
    pub fn add_rows(&self, ids: &[u32], picks: Picks<'_>, rows: &[u64], mut touched: impl FnMut(u32)) {
        picks.each(ids, |id, pick| {
            let before = self.rows[id].load(Relaxed);
            if before == 0 {
                touched(id as u32);
            }
            self.rows[id].store(before + rows[pick], Relaxed);
        });
    }

    /// Merges a delta's values of one accumulator.
    pub fn apply(&self, column: usize, ids: &[u32], picks: Picks<'_>, values: &AccumulatorColumn) {
        self.columns[column].apply(self.capacity(), ids, picks, values);
    }

    /// Merges another block of the same store into this one (`negative`: takes it away again), for the columns that `which` says.
    /// This block must have at least the other's capacity and columns.
    pub fn combine(&self, other: &Block, which: impl Fn(usize) -> bool, negative: bool) {
        let len = other.capacity();
        assert!(self.capacity() >= len, "a block is grown before a larger one is merged into it");
        for (cell, value) in self.rows.iter().zip(&other.rows) {
            let value = value.load(Relaxed);
            add_word(cell, if negative { value.wrapping_neg() } else { value });
        }
        for (i, column) in other.columns.iter().enumerate().filter(|(i, _)| which(*i)) {
            self.columns[i].combine(self.capacity(), column, len, negative);
        }
    }

    /// Ids that have rows, ascending.
    pub fn occupied(&self) -> Vec<u32> {
        (0..self.rows.len() as u32).filter(|&id| self.rows[id as usize].load(Relaxed) != 0).collect()
    }

    /// Row counts of `ids`.
    pub fn gather_rows(&self, ids: &[u32]) -> Vec<u64> {
        ids.iter().map(|&id| self.rows_of(id)).collect()
    }

    /// Cells of one accumulator for `ids`.
    pub fn gather(&self, column: usize, ids: &[u32]) -> AccumulatorColumn {
        self.columns[column].gather(ids, self.capacity())
    }

    /// As [`Block::gather`]; `None` if no cell of the accumulator was ever touched.
    pub fn gather_if_present(&self, column: usize, ids: &[u32]) -> Option<AccumulatorColumn> {
        (!self.columns[column].is_absent()).then(|| self.gather(column, ids))
    }

    /// Makes every cell identity again, keeping the memory.
    pub fn clear(&self) {
        self.rows.iter().for_each(|cell| cell.store(0, Relaxed));
        self.columns.iter().for_each(Column::clear);
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.len() * 8 + self.columns.iter().map(Column::bytes).sum::<usize>()
    }
}
