//! Sealing: what happens on a page when the frontier passes a boundary. See the module above for the idea.

use super::edge::keeps_running;
use super::page::TierPage;
use super::{ClosedCells, ClosedGroups, NEVER, Page, SlicedStore};
use crate::block::{Block, PAGE_KEYS};
use crate::keys::Keys;
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_operators::sharing::{Shape, Store, Tier};
use raympp_operators::window::{Window, slice_of, slice_start};
use raympp_types::EventTime;
use std::sync::Arc;

/// What one step of sealing did.
#[derive(Debug)]
pub enum SealStep {
    /// Nothing is left to seal under this frontier.
    Idle,
    /// One page passed a boundary; these windows closed on it.
    Page(Vec<ClosedGroups>),
    /// All pages have passed the boundary at this event time.
    Passed(i64),
    /// Nothing was left to seal, and open slices of one page were settled.
    Settled,
}

impl SlicedStore {
    /// Does the next step towards a frontier: at most one page. `seen` is the highest event time of the stream: retention counts
    /// back from it once the stream is complete (frontier [`EventTime::MAX`]). What closes has its cells if its tier and shape are among those
    /// `wanted`.
    pub fn seal_step(&mut self, frontier: EventTime, seen: EventTime, wanted: &[(usize, usize)], keys: &mut Keys) -> SealStep {
        let Some(target) = self.boundary_of(frontier) else { return self.settle_or_idle(seen, keys) };
        let (boundary, from) = match self.cursor {
            Some(cursor) => cursor,
            None => match self.progress.iter().map(|page| page.due).min() {
                Some(due) if due <= target && due < i64::MAX => (due, 0),
                _ => {
                    self.nothing_due(target, seen, keys);
                    return if target < i64::MAX { self.settle_or_idle(seen, keys) } else { SealStep::Idle };
                }
            },
        };
        let Some(page) = (from..self.progress.len()).find(|&page| self.progress[page].due <= boundary) else {
            self.sealed = self.sealed.max(boundary);
            self.cursor = None;
            return SealStep::Passed(self.boundary_us(boundary));
        };
        self.cursor = Some((boundary, page + 1));
        SealStep::Page(self.seal_page((page, boundary), seen, target == i64::MAX, wanted, keys))
    }

    fn settle_or_idle(&mut self, seen: EventTime, keys: &mut Keys) -> SealStep {
        if self.settle_step(seen, keys) { SealStep::Settled } else { SealStep::Idle }
    }

    fn nothing_due(&mut self, target: i64, seen: EventTime, keys: &mut Keys) {
        if target < i64::MAX {
            self.sealed = self.sealed.max(target);
            return;
        }
        let pages = self.shared.pages.load_full();
        for (number, page) in pages.iter().enumerate() {
            self.retire(number, page, seen.0, keys);
        }
    }

    fn seal_page(
        &mut self,
        (number, boundary): (usize, i64),
        seen: EventTime,
        complete: bool,
        wanted: &[(usize, usize)],
        keys: &mut Keys,
    ) -> Vec<ClosedGroups> {
        let page = Arc::clone(&self.shared.pages.load()[number]);
        let at_us = self.boundary_us(boundary);
        let settled = page.settled();
        page.version().write(|| {
            if settled < boundary {
                self.merge_up(&page, number, settled, boundary, keys);
                page.set_settled(boundary);
            }
            self.note_sealed(&page, number, boundary);
            self.advance_running(&page, number, at_us);
            if settled > page.sealed() && settled <= boundary {
                Self::drop_ahead(&page);
            }
            page.set_sealed(boundary);
        });
        let closed = self.closed_windows(&page, number, at_us, wanted);
        page.version().write(|| self.drop_finished_running(&page, number, at_us));
        self.retire(number, &page, at_us.min(seen.0), keys);
        self.progress[number].due = self.next_due(&page, number, boundary, complete);
        closed
    }

    /// Notes the slices that hold the base slice that ends at the boundary, if it has rows, as the last sealed ones.
    fn note_sealed(&mut self, page: &Page, number: usize, boundary: i64) {
        if page.tiers()[0].slices.get(boundary - 1).is_some() {
            let start_us = self.boundary_us(boundary - 1);
            for (tier, last) in self.shared.store.tiers.iter().zip(&mut self.progress[number].last_sealed) {
                *last = slice_of(start_us, tier.width_us, tier.offset_us);
            }
        }
    }

    /// Moves the running blocks of hops and cumulates to the windows that end at `at_us`.
    fn advance_running(&self, page: &Page, number: usize, at_us: i64) {
        let store = &self.shared.store;
        for (t, (tier, tier_page)) in store.tiers.iter().zip(page.tiers()).enumerate() {
            let Some(ended) = boundary_in(tier, at_us) else { continue };
            for (shape, running) in tier.shapes.iter().zip(&tier_page.running) {
                if !keeps_running(&shape.window) || ended > last_window(tier, shape, self.progress[number].last_sealed[t]) {
                    continue;
                }
                let entering = tier_page.slices.get(ended - 1);
                let leaving = match shape.window {
                    Window::Hop { size_us, .. } => tier_page.slices.get(ended - 1 - size_us / tier.width_us),
                    _ => None,
                };
                let mut block = running.load_full();
                if let Some(leaving) = leaving.filter(|_| block.is_some()) {
                    block = self.run_on(shape, block, &leaving, true);
                }
                if let Some(entering) = entering {
                    block = self.run_on(shape, block, &entering, false);
                }
                running.store(block);
            }
        }
    }

    /// The groups of every window that ends at `at_us`.
    fn closed_windows(&self, page: &Page, number: usize, at_us: i64, wanted: &[(usize, usize)]) -> Vec<ClosedGroups> {
        let mut closed = Vec::new();
        for (t, (tier, tier_page)) in self.shared.store.tiers.iter().zip(page.tiers()).enumerate() {
            let Some(ended) = boundary_in(tier, at_us) else { continue };
            for (s, shape) in tier.shapes.iter().enumerate() {
                let block = if keeps_running(&shape.window) { tier_page.running[s].load_full() } else { tier_page.slices.get(ended - 1) };
                if let Some(block) = block
                    && ended <= last_window(tier, shape, self.progress[number].last_sealed[t])
                {
                    let ids = block.occupied();
                    if !ids.is_empty() {
                        let (start_us, page) = (shape.window.start_of_window_ending(at_us), number);
                        let cells = wanted.contains(&(t, s)).then(|| self.cells_of(tier, tier_page, shape, &block, &ids, at_us));
                        closed.push(ClosedGroups { tier: t, shape: s, start_us, end_us: at_us, page, ids, cells });
                    }
                }
            }
        }
        closed
    }

    /// The cells of a window's groups.
    fn cells_of(&self, tier: &Tier, tier_page: &TierPage, shape: &Shape, block: &Block, ids: &[u32], end_us: i64) -> ClosedCells {
        let store = &self.shared.store;
        let from_nodes =
            |i: usize| matches!(shape.window, Window::Hop { .. }) && keeps_running(&shape.window) && !store.accumulators[i].invertible();
        let nodes = shape.accumulators.iter().any(|&i| from_nodes(i)).then(|| {
            let ended = slice_of(end_us, tier.width_us, tier.offset_us);
            let first = ended - shape.window.size_us() / tier.width_us;
            self.merge_nodes(tier_page, first, ended, block.capacity(), |i| shape.accumulators.contains(&i) && from_nodes(i))
        });
        let column = |i: usize| -> Option<AccumulatorColumn> {
            shape.accumulators.contains(&i).then(|| match &nodes {
                Some(nodes) if from_nodes(i) => nodes.gather(i, ids),
                _ => block.gather(i, ids),
            })
        };
        ClosedCells { rows: block.gather_rows(ids), columns: (0..store.accumulators.len()).map(column).collect() }
    }

    /// Slices `from..to`, all sealed, as the fewest nodes, merged.
    fn merge_nodes(&self, tier: &TierPage, from: i64, to: i64, capacity: usize, which: impl Fn(usize) -> bool + Copy) -> Block {
        let mut merged = Block::new(&self.kinds, capacity);
        for (level, node) in cover(from, to, tier.nodes.len()) {
            let blocks = if level == 0 { &tier.slices } else { &tier.nodes[level - 1] };
            if let Some(block) = blocks.get(node) {
                if merged.capacity() < block.capacity() {
                    merged = merged.grown(block.capacity());
                }
                merged.combine(&block, which, false);
            }
        }
        merged
    }

    /// Lets go of running blocks whose next window would be empty, or starts anew.
    fn drop_finished_running(&self, page: &Page, number: usize, at_us: i64) {
        for (t, (tier, tier_page)) in self.shared.store.tiers.iter().zip(page.tiers()).enumerate() {
            let Some(ended) = boundary_in(tier, at_us) else { continue };
            for (shape, running) in tier.shapes.iter().zip(&tier_page.running) {
                let starts_anew = matches!(shape.window, Window::Cumulate { size_us, .. }
                    if shape.window.start_of_window_ending(at_us) + size_us == at_us);
                if starts_anew || ended >= last_window(tier, shape, self.progress[number].last_sealed[t]) {
                    running.store(None);
                }
            }
        }
    }

    /// Drops slices that no window ending after `frontier_us − retention` needs, and the keys that nothing else holds.
    fn retire(&mut self, number: usize, page: &Page, frontier_us: i64, keys: &mut Keys) {
        let store = Arc::clone(&self.shared.store);
        for (t, (tier, tier_page)) in store.tiers.iter().zip(page.tiers()).enumerate() {
            let before = tier_page.slices.first_from(i64::MIN);
            while let Some(slice) = tier_page.slices.first_from(i64::MIN)
                && slice_start(slice + 1, tier.width_us, tier.offset_us).saturating_add(horizon_us(tier)) <= frontier_us
            {
                let block = page.version().write(|| tier_page.slices.remove(slice).expect("just found"));
                self.release_keys_of(t, number, slice, &block, keys);
                self.recycle(block);
            }
            let first = tier_page.slices.first_from(i64::MIN);
            if first != before {
                page.version().write(|| drop_nodes_below(tier_page, first.unwrap_or(i64::MAX)));
            }
        }
    }

    fn release_keys_of(&mut self, tier: usize, page: usize, slice: i64, block: &Block, keys: &mut Keys) {
        for id in block.occupied() {
            let id = (page * PAGE_KEYS) as u32 + id;
            let last = &mut self.last_slice[tier][id as usize];
            if *last == slice {
                *last = NEVER;
                keys.release(id);
            }
        }
    }

    /// Keeps a dropped slice's memory for the next one, unless a reader still looks at it.
    fn recycle(&mut self, mut block: Arc<Block>) {
        if self.spare.len() <= 2 * self.progress.len() && block.capacity() == PAGE_KEYS && Arc::get_mut(&mut block).is_some() {
            block.clear();
            self.spare.push(block);
        }
    }

    /// The next base boundary at which the page has something to do: a slice to seal, a window to close, a slice to drop.
    fn next_due(&self, page: &Page, number: usize, boundary: i64, complete: bool) -> i64 {
        let next_slice = page.tiers()[0].slices.first_from(boundary).map_or(i64::MAX, |slice| slice + 1);
        let at_us = self.boundary_us(boundary);
        let mut due = next_slice;
        for (t, (tier, tier_page)) in self.shared.store.tiers.iter().zip(page.tiers()).enumerate() {
            let next = slice_of(at_us, tier.width_us, tier.offset_us) + 1;
            let last_sealed = self.progress[number].last_sealed[t];
            if tier.shapes.iter().any(|shape| next <= last_window(tier, shape, last_sealed)) {
                due = due.min(self.base_boundary(slice_start(next, tier.width_us, tier.offset_us)));
            }
            if !complete && let Some(slice) = tier_page.slices.first_from(i64::MIN) {
                let over_us = slice_start(slice + 1, tier.width_us, tier.offset_us).saturating_add(horizon_us(tier));
                due = due.min(self.base_boundary(over_us)).max(boundary + 1);
            }
        }
        due
    }

    /// The first base boundary at or after an event time.
    fn base_boundary(&self, time_us: i64) -> i64 {
        let base = &self.shared.store.tiers[0];
        slice_of(time_us - 1, base.width_us, base.offset_us) + 1
    }
}

/// The tier's slice number that starts at `at_us`, if one does.
fn boundary_in(tier: &Tier, at_us: i64) -> Option<i64> {
    let slice = slice_of(at_us, tier.width_us, tier.offset_us);
    (slice_start(slice, tier.width_us, tier.offset_us) == at_us).then_some(slice)
}

/// Number of the last boundary of the tier at which a window holds slice `slice`; [`NEVER`] for no slice.
fn last_window(tier: &Tier, shape: &Shape, slice: i64) -> i64 {
    if slice == NEVER {
        return NEVER;
    }
    match shape.window {
        Window::Cumulate { size_us, .. } => {
            let end_us = slice_start(slice + 1, tier.width_us, tier.offset_us);
            slice_of(shape.window.start_of_window_ending(end_us) + size_us, tier.width_us, tier.offset_us)
        }
        window => slice + window.size_us() / tier.width_us,
    }
}

/// How long after its end a base slice is still needed by any tier of a store.
pub(crate) fn store_horizon_us(store: &Store) -> i64 {
    let base_us = store.tiers.first().map_or(0, |base| base.width_us);
    store.tiers.iter().map(|tier| horizon_us(tier) + tier.width_us - base_us).max().unwrap_or(0)
}

/// How long after its end a slice is still needed: by the last window that holds it, then by retention, and to be subtracted.
fn horizon_us(tier: &Tier) -> i64 {
    let of = |shape: &Shape| shape.window.size_us() - tier.width_us + shape.retention_us.max(tier.width_us);
    tier.shapes.iter().map(of).max().unwrap_or(0)
}

/// The fewest nodes `(level, number)` that cover slices `from..to` exactly, with levels up to `levels`.
pub(crate) fn cover(from: i64, to: i64, levels: usize) -> Vec<(usize, i64)> {
    let mut nodes = Vec::new();
    let mut at = from;
    while at < to {
        let fits = |level: &usize| at.rem_euclid(1 << level) == 0 && at + (1 << level) <= to;
        let level = (0..=levels).rev().find(fits).expect("level 0 fits always");
        nodes.push((level, at >> level));
        at += 1 << level;
    }
    nodes
}

/// Drops the nodes that end at or before slice `first`.
fn drop_nodes_below(tier: &TierPage, first: i64) {
    for (below, nodes) in tier.nodes.iter().enumerate() {
        while let Some(node) = nodes.first_from(i64::MIN)
            && (node + 1) << (below + 1) <= first
        {
            nodes.remove(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cover;

    #[test]
    fn a_cover_is_exact_and_short() {
        for (from, to, levels) in [(0, 60, 5), (-7, 53, 5), (13, 73, 5), (1, 2, 0), (-4, 4, 2), (5, 3605, 11)] {
            let nodes = cover(from, to, levels);
            let mut at = from;
            for &(level, node) in &nodes {
                assert_eq!(node << level, at);
                at += 1 << level;
            }
            assert_eq!(at, to);
            let bound = 2 * (to - from).ilog2() as usize + 1;
            assert!(nodes.len() <= bound.max(1), "{} nodes for {from}..{to}", nodes.len());
        }
    }
}
