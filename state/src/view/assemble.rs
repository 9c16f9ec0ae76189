//! Any window of a page, put together from slices, nodes and running blocks. To be called inside a version-checked read.
//!
//! What inverts is the running block of the last closed window, less the slices that have left, plus those that have entered, if that
//! is shorter than adding the slices up. What does not invert is nodes over the sealed part and slices over the open part. A
//! tier's own slices hold sealed rows only, so wider tiers add the base slices that are still open.

use crate::block::Block;
use crate::sliced::{Page, TierPage};
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_operators::sharing::{SharedMetric, Store, Tier};
use raympp_operators::window::{Window, slice_of, slice_start};
use std::sync::Arc;

/// Reads windows of one metric.
pub(super) struct WindowReader<'a> {
    store: &'a Store,
    metric: &'a SharedMetric,
    /// Accumulators the metric uses, and whether each inverts.
    used: Vec<(usize, bool)>,
}

/// One window of some keys of a page.
pub(super) struct WindowGroups {
    /// Rows by key asked for.
    pub rows: Vec<u64>,
    /// By accumulator of the store; `None` where the metric does not use it.
    pub columns: Vec<Option<AccumulatorColumn>>,
}

/// The keys of a [`WindowGroups`] that have rows.
pub(super) struct OccupiedGroups {
    /// Positions among the keys asked for.
    pub positions: Vec<u32>,
    /// Rows of each.
    pub rows: Vec<u64>,
    /// As in [`WindowGroups`].
    pub columns: Vec<Option<AccumulatorColumn>>,
}

impl WindowGroups {
    /// Leaves out the keys without rows.
    pub(super) fn occupied(self) -> OccupiedGroups {
        let positions: Vec<u32> = (0..self.rows.len() as u32).filter(|&i| self.rows[i as usize] > 0).collect();
        let rows = positions.iter().map(|&i| self.rows[i as usize]).collect();
        let columns = self.columns.into_iter().map(|column| column.map(|column| column.gather(&positions))).collect();
        OccupiedGroups { positions, rows, columns }
    }
}

impl<'a> WindowReader<'a> {
    pub(super) fn new(store: &'a Store, metric: &'a SharedMetric) -> WindowReader<'a> {
        let mut used: Vec<(usize, bool)> = metric.accumulators.iter().flatten().map(|&i| (i, store.accumulators[i].invertible())).collect();
        used.sort_unstable();
        used.dedup();
        WindowReader { store, metric, used }
    }

    fn nothing(&self, keys: usize) -> WindowGroups {
        let mut columns: Vec<Option<AccumulatorColumn>> = self.store.accumulators.iter().map(|_| None).collect();
        for &(i, _) in &self.used {
            columns[i] = Some(AccumulatorColumn::identity(&self.store.accumulators[i], keys));
        }
        WindowGroups { rows: vec![0; keys], columns }
    }

    /// The window `[start_us, end_us)` of keys `ids` of the page.
    pub(super) fn read(&self, page: &Page, start_us: i64, end_us: i64, ids: &[u32]) -> WindowGroups {
        let mut groups = self.nothing(ids.len());
        let Some(tier) = self.store.tiers.get(self.metric.tier) else {
            if let Some(block) = page.tiers()[0].slices.get(0) {
                self.add(&mut groups, &block, ids, Part::All, false);
            }
            return groups;
        };
        let tier_page = &page.tiers()[self.metric.tier];
        let (from, to) = (slice_of(start_us, tier.width_us, tier.offset_us), slice_of(end_us, tier.width_us, tier.offset_us));
        let sealed = self.sealed_in(tier, page.sealed());
        self.add_inverting(&mut groups, tier, tier_page, (from, to, sealed), ids);
        self.add_others(&mut groups, tier_page, (from, to, sealed), ids);
        if self.metric.tier > 0 {
            let base = &self.store.tiers[0];
            let from = slice_of(start_us, base.width_us, base.offset_us).max(page.sealed());
            let to = slice_of(end_us, base.width_us, base.offset_us);
            for (_, block) in page.tiers()[0].slices.range(from, to) {
                self.add(&mut groups, &block, ids, Part::All, false);
            }
        }
        groups
    }

    /// Slices of the tier that are sealed, given the page's base boundary.
    fn sealed_in(&self, tier: &Tier, base_boundary: i64) -> i64 {
        if base_boundary == i64::MIN {
            return i64::MIN;
        }
        let base = &self.store.tiers[0];
        slice_of(slice_start(base_boundary, base.width_us, base.offset_us), tier.width_us, tier.offset_us)
    }

    fn add_inverting(&self, groups: &mut WindowGroups, tier: &Tier, page: &TierPage, (from, to, sealed): (i64, i64, i64), ids: &[u32]) {
        let running = page.running.get(self.metric.shape).and_then(|running| running.load_full());
        if let Some(running) = running
            && let Some(first) = self.running_start(tier, sealed)
            && first <= from
            && (from..=to).contains(&sealed)
            && (from - first) + (to - sealed) < sealed - from
        {
            self.add(groups, &running, ids, Part::Inverting, false);
            self.add_slices(groups, page, (first, from), ids, Part::Inverting, true);
            self.add_slices(groups, page, (sealed, to), ids, Part::Inverting, false);
        } else {
            self.add_slices(groups, page, (from, to), ids, Part::Inverting, false);
        }
    }

    /// First slice of the window that a running block holds when `sealed` slices are sealed.
    fn running_start(&self, tier: &Tier, sealed: i64) -> Option<i64> {
        match self.metric.plan.window {
            Window::Hop { size_us, .. } => Some(sealed - size_us / tier.width_us),
            _ => None,
        }
    }

    fn add_others(&self, groups: &mut WindowGroups, page: &TierPage, (from, to, sealed): (i64, i64, i64), ids: &[u32]) {
        if self.used.iter().all(|(_, inverts)| *inverts) {
            return;
        }
        let open = sealed.clamp(from, to);
        for (level, node) in crate::sliced::cover(from, open, page.nodes.len()) {
            let blocks = if level == 0 { &page.slices } else { &page.nodes[level - 1] };
            if let Some(block) = blocks.get(node) {
                self.add(groups, &block, ids, Part::Others, false);
            }
        }
        self.add_slices(groups, page, (open, to), ids, Part::Others, false);
    }

    fn add_slices(&self, groups: &mut WindowGroups, page: &TierPage, (from, to): (i64, i64), ids: &[u32], part: Part, negative: bool) {
        if to - from <= 4 {
            for block in (from..to).filter_map(|slice| page.slices.get(slice)) {
                self.add(groups, &block, ids, part, negative);
            }
        } else {
            for (_, block) in page.slices.range(from, to) {
                self.add(groups, &block, ids, part, negative);
            }
        }
    }

    fn add(&self, groups: &mut WindowGroups, block: &Arc<Block>, ids: &[u32], part: Part, negative: bool) {
        if part != Part::Others {
            for (rows, &id) in groups.rows.iter_mut().zip(ids) {
                let more = block.rows_of(id);
                *rows = if negative { rows.wrapping_sub(more) } else { rows.wrapping_add(more) };
            }
        }
        for &(i, inverts) in self.used.iter().filter(|(_, inverts)| part.takes(*inverts)) {
            let Some(values) = block.gather_if_present(i, ids) else { continue };
            let column = groups.columns[i].as_mut().expect("made for every column in use");
            assert!(inverts || !negative, "only what inverts is subtracted");
            for key in 0..ids.len() {
                if negative { column.retract_cell(key, &values, key) } else { column.merge_cell(key, &values, key) }
            }
        }
    }

    /// All windows that may hold rows of the page, that end after `retained_us`, by ascending end.
    pub(super) fn windows(&self, page: &Page, retained_us: i64) -> Vec<(i64, i64)> {
        let Some(tier) = self.store.tiers.get(self.metric.tier) else { return vec![(0, 0)] };
        let window = self.metric.plan.window;
        let mut ends: Vec<i64> = Vec::new();
        for (layout, tier_page) in [(tier, &page.tiers()[self.metric.tier]), (&self.store.tiers[0], &page.tiers()[0])] {
            for (slice, _) in tier_page.slices.range(i64::MIN, i64::MAX) {
                let start_us = slice_start(slice, layout.width_us, layout.offset_us);
                ends.extend(window.windows_of(start_us).map(|(_, end)| end).filter(|&end| end > retained_us));
            }
        }
        ends.sort_unstable();
        ends.dedup();
        ends.into_iter().map(|end| (window.start_of_window_ending(end), end)).collect()
    }
}

/// Which accumulators an addition is about. Row counts go with what inverts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Inverting,
    Others,
}

impl Part {
    fn takes(self, inverts: bool) -> bool {
        match self {
            Part::All => true,
            Part::Inverting => inverts,
            Part::Others => !inverts,
        }
    }
}
