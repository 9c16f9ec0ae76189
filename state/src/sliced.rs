//! A store of sliced windows: tumble, hop, cumulate, and running totals (one slice for ever).
//!
//! Rows fall into slices of the first tier's width. When the frontier passes the end of a base slice, the slice is *sealed*: it is
//! merged into the wider slices of the other tiers, and every window that ends there closes. For accumulators that invert, a hop
//! keeps a running block per page (add the slice that enters, subtract the one that leaves); for those that do not, sealed slices
//! are kept merged by powers of two, so that a window is at most 2·log₂(size/slide) of them. Cost per row does not grow with
//! size/slide; cost per window is a few operations per key. While many slices are open, those that have gone quiet are *settled*: all but
//! the closing is done early (see `settle`), so that the live window is as few merges as any.
//!
//! Sealing goes boundary by boundary and, within one, page by page, so it can stop after any page and go on later; a page is
//! consistent for its readers at each point, since `sealed` says how far it is. Boundaries at which no page has anything to do are
//! skipped, however long the gap. Invariant: no row reaches a sealed slice (the lateness rule proves it; see `replica`).

mod edge;
mod page;
mod seal;
mod settle;

pub(crate) use edge::{edge_in, keeps_running, running_from};
pub use page::{Page, TierPage};
pub use seal::SealStep;
pub(crate) use seal::{cover, store_horizon_us};
#[cfg(test)]
pub(crate) use settle::QUIET_SLICES;

use crate::block::{Block, PAGE_KEYS, Picks};
use crate::delta::StoreDelta;
use crate::keys::Keys;
use crate::page_runs::PageRuns;
use arc_swap::ArcSwap;
use page::{PageProgress, block_in};
use raympp_operators::accumulator::{AccumulatorColumn, CellKind};
use raympp_operators::sharing::{Store, StoreKind};
use raympp_operators::window::{slice_of, slice_start};
use raympp_types::EventTime;
use settle::Entries;
use std::sync::Arc;

/// No slice.
const NEVER: i64 = i64::MIN;

/// One window's groups of one page, closed.
#[derive(Debug)]
pub struct ClosedGroups {
    /// Position of the tier.
    pub tier: usize,
    /// Position of the shape in the tier.
    pub shape: usize,
    /// Start of the window.
    pub start_us: i64,
    /// End of the window.
    pub end_us: i64,
    /// Which page of the key space.
    pub page: usize,
    /// Ids within the page, ascending.
    pub ids: Vec<u32>,
    /// If they are wanted.
    pub cells: Option<ClosedCells>,
}

/// What a closed window has of each of its groups.
#[derive(Debug)]
pub struct ClosedCells {
    /// Rows of each.
    pub rows: Vec<u64>,
    /// By accumulator of the store; `None` where no metric of the shape uses it.
    pub columns: Vec<Option<AccumulatorColumn>>,
}

/// What readers share of a sliced store.
pub struct SlicedPages {
    /// The plan.
    pub store: Arc<Store>,
    /// Pages by number.
    pub pages: ArcSwap<Vec<Arc<Page>>>,
}

/// The writer's side.
pub struct SlicedStore {
    shared: Arc<SlicedPages>,
    kinds: Vec<CellKind>,
    progress: Vec<PageProgress>,
    /// By tier and id: the highest slice with rows of the key, [`NEVER`] if none is kept.
    last_slice: Vec<Vec<i64>>,
    /// Base slices below this are sealed on all pages.
    sealed: i64,
    /// A boundary that is being sealed, and the next page.
    cursor: Option<(i64, usize)>,
    /// Base slices below this are settled on all pages, or sealed.
    settled: i64,
    /// A boundary up to which pages are being settled, and the next page.
    settling: Option<(i64, usize)>,
    /// Some window is long enough for settling to be worth while.
    settles: bool,
    /// Cleared blocks of dropped slices.
    spare: Vec<Arc<Block>>,
    /// Entries that would have met a sealed slice: must stay 0.
    rows_below_frontier: u64,
    runs: PageRuns,
}

impl SlicedStore {
    /// An empty store. Windows that end at or before `frontier` are over already.
    pub fn new(store: &Arc<Store>, frontier: EventTime) -> SlicedStore {
        let tiers = store.tiers.len().max(1);
        let mut sliced = SlicedStore {
            shared: Arc::new(SlicedPages { store: Arc::clone(store), pages: ArcSwap::from_pointee(Vec::new()) }),
            kinds: store.accumulators.iter().map(|accumulator| accumulator.cell_kind()).collect(),
            progress: Vec::new(),
            last_slice: vec![Vec::new(); tiers],
            sealed: NEVER,
            cursor: None,
            settled: NEVER,
            settling: None,
            settles: settle::worth_settling(store),
            spare: Vec::new(),
            rows_below_frontier: 0,
            runs: PageRuns::default(),
        };
        sliced.sealed = sliced.boundary_of(frontier).unwrap_or(NEVER);
        sliced
    }

    /// The same contents in memory of their own.
    pub(crate) fn copy(&self) -> SlicedStore {
        let store = &self.shared.store;
        let pages: Vec<Arc<Page>> = self.shared.pages.load().iter().map(|page| Arc::new(page.copy(store))).collect();
        SlicedStore {
            shared: Arc::new(SlicedPages { store: Arc::clone(store), pages: ArcSwap::from_pointee(pages) }),
            kinds: self.kinds.clone(),
            progress: self.progress.clone(),
            last_slice: self.last_slice.clone(),
            spare: Vec::new(),
            runs: PageRuns::default(),
            ..*self
        }
    }

    /// What readers share.
    pub fn shared(&self) -> &Arc<SlicedPages> {
        &self.shared
    }

    /// Entries that met a sealed slice; anything but 0 is a broken promise.
    pub fn rows_below_frontier(&self) -> u64 {
        self.rows_below_frontier
    }

    /// The number of base slices that a frontier seals; `None` if it seals none ever.
    fn boundary_of(&self, frontier: EventTime) -> Option<i64> {
        let base = self.shared.store.tiers.first()?;
        match frontier {
            EventTime::MIN => None,
            EventTime::MAX => Some(i64::MAX),
            EventTime(t) => Some(slice_of(t.saturating_sub(base.offset_us).saturating_add(base.offset_us), base.width_us, base.offset_us)),
        }
    }

    /// Event time of base boundary `boundary`: the end of slice `boundary − 1`.
    fn boundary_us(&self, boundary: i64) -> i64 {
        let base = &self.shared.store.tiers[0];
        slice_start(boundary, base.width_us, base.offset_us)
    }

    /// Merges a delta's entries. `ids` are the replica's ids of the entries' keys.
    pub fn apply(&mut self, delta: &StoreDelta, slice: i64, ids: &[u32], keys: &mut Keys) {
        if self.sealed != NEVER && slice < self.sealed {
            self.rows_below_frontier += delta.rows.iter().sum::<u64>();
            return;
        }
        self.make_pages(keys.ids());
        if self.progress.len() == 1 {
            self.apply_to_page(0, slice, ids, Picks::All, delta, keys);
            return;
        }
        let mut runs = std::mem::take(&mut self.runs);
        runs.split(ids, self.progress.len());
        for (page, ids, picks) in runs.iter() {
            self.apply_to_page(page, slice, ids, Picks::Some(picks), delta, keys);
        }
        self.runs = runs;
    }

    fn apply_to_page(&mut self, number: usize, slice: i64, ids: &[u32], picks: Picks<'_>, delta: &StoreDelta, keys: &mut Keys) {
        let page = Arc::clone(&self.shared.pages.load()[number]);
        let highest = ids.iter().copied().max().expect("an entry") as usize;
        let in_page = (keys.ids() - number * PAGE_KEYS).min(PAGE_KEYS);
        let first_id = number * PAGE_KEYS;
        page.version().write(|| {
            let last_slice = &mut self.last_slice[0];
            let fresh = || take_spare(&mut self.spare, &self.kinds, in_page);
            let block = block_in(&page.tiers()[0].slices, slice, highest, fresh);
            block.add_rows(ids, picks, &delta.rows, |id| hold(&mut last_slice[first_id + id as usize], slice, keys, first_id as u32 + id));
            for (column, values) in delta.columns.iter().enumerate() {
                if let Some(values) = values {
                    block.apply(column, ids, picks, values);
                }
            }
            if slice < page.settled() {
                self.merge_late(&page, number, Entries { slice, ids, picks, delta, highest, page_keys: in_page }, keys);
            }
        });
        if self.shared.store.kind == StoreKind::Sliced {
            self.progress[number].due = self.progress[number].due.min(slice + 1);
        }
    }

    /// Makes pages for all ids of the key space.
    fn make_pages(&mut self, ids: usize) {
        let pages = ids.div_ceil(PAGE_KEYS);
        for last in &mut self.last_slice {
            if last.len() < ids {
                last.resize(ids.next_power_of_two().min(pages * PAGE_KEYS), NEVER);
            }
        }
        if pages > self.progress.len() {
            let mut longer = Vec::clone(&self.shared.pages.load());
            while longer.len() < pages {
                longer.push(Arc::new(Page::new(&self.shared.store, self.sealed, self.settled.max(self.sealed))));
                self.progress.push(PageProgress::new(self.last_slice.len()));
            }
            self.shared.pages.store(Arc::new(longer));
        }
    }

    /// Lets go of every key it holds; the store is being dropped.
    pub fn release_keys(&mut self, keys: &mut Keys) {
        for last in &self.last_slice {
            for (id, _) in last.iter().enumerate().filter(|(_, slice)| **slice != NEVER) {
                keys.release(id as u32);
            }
        }
        self.last_slice.iter_mut().for_each(Vec::clear);
    }

    /// Number of (page, slice) blocks of the base tier and bytes of all blocks.
    pub fn size(&self) -> (usize, usize) {
        let pages = self.shared.pages.load();
        let blocks = |tier: &TierPage| tier.slices.range(i64::MIN, i64::MAX).len();
        let slices = pages.iter().map(|page| blocks(&page.tiers()[0])).sum();
        (slices, pages.iter().map(|page| page.bytes()).sum())
    }
}

/// Notes that a tier has rows of a key in `slice`; the first such slice holds the key.
fn hold(last: &mut i64, slice: i64, keys: &mut Keys, id: u32) {
    if *last == NEVER {
        keys.hold(id);
    }
    *last = (*last).max(slice);
}

fn take_spare(spare: &mut Vec<Arc<Block>>, kinds: &[CellKind], keys: usize) -> Arc<Block> {
    match spare.pop() {
        Some(block) if block.capacity() >= keys => block,
        _ => Arc::new(Block::new(kinds, keys)),
    }
}
