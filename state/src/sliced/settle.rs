//! Settling: what sealing would do to a slice is done early, once the slice has gone quiet, however long it stays open.
//!
//! With a long watermark bound, or one split far behind another, many slices are open at once, and a look-up that added them up one
//! by one would cost as many merges. So slices that lie more than [`QUIET_SLICES`] below the highest event time are *settled*: merged into
//! wider slices and nodes, and a second running block, `ahead`, moves with the settled edge. An entry that comes for a settled slice all
//! the same is merged into whatever holds that slice. Invariant, for every page and tier, with `edge` the first slice that is not settled:
//! a wider slice holds exactly the settled base slices in it; a node is there iff a slice of its range is, its range ends at or before
//! `edge`, and it holds exactly that range; `ahead` holds what the running block of a window at `edge` holds. Sealing takes all this as it
//! is.
//!
//! Cost: nothing while open slices are few. Otherwise two merges per slice, page and hop more than sealing alone, and per entry out of
//! order by more than the quiet slices one merge per running block and one per level of nodes. An entry in order costs nothing more.

use super::edge::{edge_in, keeps_running, running_from};
use super::page::{TierPage, block_in};
use super::{Page, SlicedStore, hold, take_spare};
use crate::block::{Block, PAGE_KEYS, Picks};
use crate::delta::StoreDelta;
use crate::keys::Keys;
use raympp_operators::sharing::{Shape, Store, Tier};
use raympp_operators::window::{Window, representable, slice_of, slice_start};
use raympp_types::EventTime;
use std::sync::Arc;

/// So many base slices, up to the one with the highest event time, are never settled early: rows that come in about the right
/// order cost what they cost anyway, and a look-up adds so many slices up.
pub(crate) const QUIET_SLICES: i64 = 8;
/// Base slices of a page that one step settles at most.
const STEP_SLICES: i64 = 8;

/// A delta's entries for one page and slice.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    /// Number of the base slice.
    pub slice: i64,
    /// Ids within the page.
    pub ids: &'a [u32],
    /// Which of the delta's values are theirs.
    pub picks: Picks<'a>,
    /// The values.
    pub delta: &'a StoreDelta,
    /// Highest of the ids.
    pub highest: usize,
    /// Keys of the page.
    pub page_keys: usize,
}

impl Entries<'_> {
    /// Adds the row counts; `touched(id)` is called for each key that had none.
    fn add_rows(&self, block: &Block, touched: impl FnMut(u32)) {
        block.add_rows(self.ids, self.picks, &self.delta.rows, touched);
    }

    /// Merges the values of the accumulators that `which` says.
    fn merge_into(&self, block: &Block, which: impl Fn(usize) -> bool) {
        for (column, values) in self.delta.columns.iter().enumerate() {
            if let Some(values) = values
                && which(column)
            {
                block.apply(column, self.ids, self.picks, values);
            }
        }
    }
}

/// True if some window of the store is long enough for its look-ups to gain by settling.
pub(super) fn worth_settling(store: &Store) -> bool {
    let long = |tier: &Tier| tier.shapes.iter().any(|shape| shape.window.size_us() / store.tiers[0].width_us > 2 * QUIET_SLICES);
    store.tiers.iter().any(long)
}

/// Which accumulators a shape's running blocks hold.
pub(super) fn runs(store: &Store, shape: &Shape, accumulator: usize) -> bool {
    let hop = matches!(shape.window, Window::Hop { .. });
    shape.accumulators.contains(&accumulator) && (!hop || store.accumulators[accumulator].invertible())
}

impl SlicedStore {
    /// Settles a few slices of one page; false if all pages are as far as they should be.
    pub(super) fn settle_step(&mut self, seen: EventTime, keys: &mut Keys) -> bool {
        loop {
            let next = self.settling.or_else(|| Some((self.quiet_before(seen)?, 0)));
            let Some((target, from)) = next else { return false };
            let pages = self.shared.pages.load_full();
            if let Some(number) = (from..pages.len()).find(|&number| pages[number].settled() < target) {
                self.settling = Some((target, number));
                self.settle_page(&pages[number], number, target, keys);
                return true;
            }
            self.settled = target;
            self.settling = None;
        }
    }

    /// The boundary up to which open slices are to be settled, if that is news.
    fn quiet_before(&self, seen: EventTime) -> Option<i64> {
        if !self.settles || !representable(seen.0) {
            return None;
        }
        let base = &self.shared.store.tiers[0];
        let quiet = slice_of(seen.0, base.width_us, base.offset_us) + 1 - QUIET_SLICES;
        (quiet > self.sealed.max(self.settled)).then_some(quiet)
    }

    fn settle_page(&mut self, page: &Page, number: usize, target: i64, keys: &mut Keys) {
        let from = page.settled();
        let to = self.step_end(page, from, target);
        page.version().write(|| {
            self.merge_up(page, number, from, to, keys);
            self.advance_ahead(page, from, to);
            page.set_settled(to);
        });
    }

    /// How far a page is settled in one step: a few slices, and all there are no rows in.
    fn step_end(&self, page: &Page, from: i64, target: i64) -> i64 {
        let store = &self.shared.store;
        let base = &store.tiers[0];
        // What a running block may hold, or may take in.
        let first_in = |(tier, tier_page): (&Tier, &TierPage)| {
            let window = tier.shapes.iter().map(|shape| shape.window.size_us() / tier.width_us).max().unwrap_or(0);
            let slice = tier_page.slices.first_from(edge_in(store, tier, from).saturating_sub(window))?;
            Some(slice_of(slice_start(slice, tier.width_us, tier.offset_us), base.width_us, base.offset_us))
        };
        match store.tiers.iter().zip(page.tiers()).filter_map(first_in).min() {
            Some(first) if first < target => target.min(from.max(first) + STEP_SLICES),
            _ => target,
        }
    }

    /// Merges base slices `from..to`, which were not settled, into wider slices, and what they complete into nodes.
    pub(super) fn merge_up(&mut self, page: &Page, number: usize, from: i64, to: i64, keys: &mut Keys) {
        let store = Arc::clone(&self.shared.store);
        if store.tiers.len() > 1 {
            for (slice, block) in page.tiers()[0].slices.range(from, to) {
                self.widen(page, number, slice, &block, keys);
            }
        }
        for (tier, tier_page) in store.tiers.iter().zip(page.tiers()) {
            self.build_nodes(tier_page, edge_in(&store, tier, from), edge_in(&store, tier, to));
        }
    }

    /// Merges a base slice into the wider slices.
    fn widen(&mut self, page: &Page, number: usize, slice: i64, block: &Block, keys: &mut Keys) {
        let store = Arc::clone(&self.shared.store);
        let start_us = self.boundary_us(slice);
        let first_id = (number * PAGE_KEYS) as u32;
        let occupied = block.occupied();
        for (t, tier) in store.tiers.iter().enumerate().skip(1) {
            let slice = slice_of(start_us, tier.width_us, tier.offset_us);
            let capacity = block.capacity();
            let fresh = || take_spare(&mut self.spare, &self.kinds, capacity);
            block_in(&page.tiers()[t].slices, slice, capacity - 1, fresh).combine(block, |_| true, false);
            for &id in &occupied {
                hold(&mut self.last_slice[t][(first_id + id) as usize], slice, keys, first_id + id);
            }
        }
    }

    /// Merges pairs of slices, pairs of pairs and so on whose last slice is one of `from..to`.
    fn build_nodes(&self, tier: &TierPage, from: i64, to: i64) {
        let store = &self.shared.store;
        for level in 1..=tier.nodes.len() {
            let (first, end) = (from >> level, to >> level);
            if first == end {
                break;
            }
            let children = if level == 1 { &tier.slices } else { &tier.nodes[level - 2] }.range(2 * first, 2 * end);
            for pair in children.chunk_by(|one, other| one.0 >> 1 == other.0 >> 1) {
                let capacity = pair.iter().map(|(_, child)| child.capacity()).max().expect("a chunk is not empty");
                let merged = Block::new(&self.kinds, capacity);
                pair.iter().for_each(|(_, child)| merged.combine(child, |i| !store.accumulators[i].invertible(), false));
                tier.nodes[level - 1].set(pair[0].0 >> 1, Arc::new(merged));
            }
        }
    }

    /// Moves the running blocks at the settled edge; while nothing was settled but what is sealed, they were those at the sealed edge.
    fn advance_ahead(&self, page: &Page, from: i64, to: i64) {
        let store = &self.shared.store;
        let starts = from == page.sealed();
        for (tier, tier_page) in store.tiers.iter().zip(page.tiers()) {
            let edges = (edge_in(store, tier, from), edge_in(store, tier, to));
            for ((shape, running), ahead) in tier.shapes.iter().zip(&tier_page.running).zip(&tier_page.ahead) {
                if keeps_running(&shape.window) {
                    let block = match starts {
                        true => running.load_full().map(|block| Arc::new(block.grown(block.capacity()))),
                        false => ahead.load_full(),
                    };
                    ahead.store(self.moved(tier, tier_page, shape, block, edges));
                }
            }
        }
    }

    fn moved(
        &self,
        tier: &Tier,
        tier_page: &TierPage,
        shape: &Shape,
        mut block: Option<Arc<Block>>,
        (from, to): (i64, i64),
    ) -> Option<Arc<Block>> {
        if from == to {
            return block;
        }
        let first = running_from(tier, &shape.window, to);
        if first >= from {
            block = None;
        }
        if block.is_some() {
            for (_, leaving) in tier_page.slices.range(running_from(tier, &shape.window, from), first) {
                block = self.run_on(shape, block, &leaving, true);
            }
        }
        for (_, entering) in tier_page.slices.range(first.max(from), to) {
            block = self.run_on(shape, block, &entering, false);
        }
        block.filter(|_| tier_page.slices.first_from(first).is_some_and(|slice| slice < to))
    }

    /// A running block with a slice more, or less.
    pub(super) fn run_on(&self, shape: &Shape, block: Option<Arc<Block>>, slice: &Block, leaves: bool) -> Option<Arc<Block>> {
        let mine = match block {
            Some(block) if block.capacity() >= slice.capacity() => block,
            Some(block) => Arc::new(block.grown(slice.capacity())),
            None => Arc::new(Block::new(&self.kinds, slice.capacity())),
        };
        mine.combine(slice, |i| runs(&self.shared.store, shape, i), leaves);
        Some(mine)
    }

    /// Lets go of the running blocks at the settled edge, which sealing has reached.
    pub(super) fn drop_ahead(page: &Page) {
        page.tiers().iter().flat_map(|tier| &tier.ahead).for_each(|ahead| ahead.store(None));
    }

    /// Merges entries for a slice that is settled and not sealed into what holds that slice besides itself.
    pub(super) fn merge_late(&mut self, page: &Page, number: usize, entries: Entries<'_>, keys: &mut Keys) {
        let store = Arc::clone(&self.shared.store);
        let start_us = self.boundary_us(entries.slice);
        for (t, (tier, tier_page)) in store.tiers.iter().zip(page.tiers()).enumerate() {
            let slice = slice_of(start_us, tier.width_us, tier.offset_us);
            let edge = edge_in(&store, tier, page.settled());
            if t > 0 {
                let fresh = || take_spare(&mut self.spare, &self.kinds, entries.page_keys);
                let wide = block_in(&tier_page.slices, slice, entries.highest, fresh);
                let (last_slice, first_id) = (&mut self.last_slice[t], (number * PAGE_KEYS) as u32);
                entries.add_rows(&wide, |id| hold(&mut last_slice[(first_id + id) as usize], slice, keys, first_id + id));
                entries.merge_into(&wide, |_| true);
            }
            self.merge_into_nodes(tier_page, (slice, edge), entries);
            self.merge_into_ahead(tier, tier_page, (slice, edge), entries);
        }
    }

    fn fresh(&self, entries: Entries<'_>) -> Arc<Block> {
        Arc::new(Block::new(&self.kinds, entries.page_keys))
    }

    fn merge_into_nodes(&self, tier_page: &TierPage, (slice, edge): (i64, i64), entries: Entries<'_>) {
        for (below, nodes) in tier_page.nodes.iter().enumerate() {
            let level = below + 1;
            let node = slice >> level;
            if (node + 1) << level > edge {
                break;
            }
            let block = block_in(nodes, node, entries.highest, || self.fresh(entries));
            entries.merge_into(&block, |i| !self.shared.store.accumulators[i].invertible());
        }
    }

    fn merge_into_ahead(&self, tier: &Tier, tier_page: &TierPage, (slice, edge): (i64, i64), entries: Entries<'_>) {
        for (shape, ahead) in tier.shapes.iter().zip(&tier_page.ahead) {
            if !keeps_running(&shape.window) || slice >= edge || slice < running_from(tier, &shape.window, edge) {
                continue;
            }
            let block = match ahead.load_full() {
                Some(block) if block.capacity() > entries.highest => block,
                Some(block) => Arc::new(block.grown(entries.highest + 1)),
                None => self.fresh(entries),
            };
            entries.add_rows(&block, |_| ());
            entries.merge_into(&block, |i| runs(&self.shared.store, shape, i));
            ahead.store(Some(block));
        }
    }
}
