//! Any window of a page, put together from slices, nodes and running blocks. To be called inside a version-checked read.
//!
//! `pieces` says which. A tier's own slices hold settled rows only, so wider tiers add the base slices that are not. Of several windows one
//! after another, each is, as to what inverts, the one before, less the slices that have left, plus those that have entered.

use super::pieces::{Layout, Part, Piece, Source};
use crate::block::Block;
use crate::sliced::{Page, TierPage, edge_in, keeps_running, running_from};
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_operators::sharing::{SharedMetric, Store, Tier};
use raympp_operators::window::{Window, slice_of, slice_start};
use std::sync::Arc;

/// Groups at most that are put together in one run of windows.
const RUN_GROUPS: usize = 1 << 18;

/// Reads windows of one metric.
pub(super) struct WindowReader<'a> {
    store: &'a Store,
    metric: &'a SharedMetric,
    /// Accumulators the metric uses, and whether each inverts.
    used: Vec<(usize, bool)>,
}

/// One window of some keys of a page.
#[derive(Clone)]
pub(super) struct WindowGroups {
    /// Blocks that were merged: what it cost.
    pub merges: usize,
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
        WindowGroups { merges: 0, rows: vec![0; keys], columns }
    }

    /// The window `[start_us, end_us)` of keys `ids` of the page.
    pub(super) fn read(&self, page: &Page, start_us: i64, end_us: i64, ids: &[u32]) -> WindowGroups {
        self.read_run(page, &[(start_us, end_us)], ids).pop().expect("as many as were asked for")
    }

    /// Windows by ascending end: at one instant if no write comes between, else each at an instant of its own, for a long read may never be
    /// undisturbed.
    pub(super) fn read_all(&self, page: &Page, windows: &[(i64, i64)], ids: &[u32]) -> Vec<WindowGroups> {
        page.version().try_read(|| self.read_run(page, windows, ids)).unwrap_or_else(|| {
            windows.iter().map(|&(start_us, end_us)| page.version().read(|| self.read(page, start_us, end_us, ids))).collect()
        })
    }

    /// How many windows of so many keys are best read as one run: so many that the first one's merges, of which there may be one per
    /// slice, are as few per window as any window's.
    pub(super) fn run_length(&self, keys: usize) -> usize {
        let Some(tier) = self.store.tiers.get(self.metric.tier) else { return 1 };
        let slices = (self.metric.plan.window.size_us() / tier.width_us).max(1) as usize;
        (slices / (2 * slices.ilog2().max(1) as usize)).min(RUN_GROUPS / keys.max(1)).max(1)
    }

    /// Windows by ascending end, of keys `ids` of the page.
    pub(super) fn read_run(&self, page: &Page, windows: &[(i64, i64)], ids: &[u32]) -> Vec<WindowGroups> {
        let Some(tier) = self.store.tiers.get(self.metric.tier) else {
            return windows.iter().map(|_| self.total(page, ids)).collect();
        };
        let tier_page = &page.tiers()[self.metric.tier];
        let running = page.running(self.metric.tier, self.metric.shape);
        let layout = self.layout(tier, tier_page, page.settled(), running.is_some());
        let mut found: Vec<WindowGroups> = Vec::with_capacity(windows.len());
        let mut before: Option<(i64, i64)> = None;
        for (position, &(start_us, end_us)) in windows.iter().enumerate() {
            let (from, to) = (slice_of(start_us, tier.width_us, tier.offset_us), slice_of(end_us, tier.width_us, tier.offset_us));
            let pieces = layout.pieces(from, to);
            let groups = match before.filter(|&before| is_near(before, (from, to), &pieces)) {
                Some(before) => {
                    let mut groups = self.moved(&found[position - 1], tier_page, before, (from, to), ids);
                    self.add_pieces(&mut groups, tier_page, running.as_ref(), &pieces, Part::Others, ids);
                    groups
                }
                None => {
                    let mut groups = self.nothing(ids.len());
                    self.add_pieces(&mut groups, tier_page, running.as_ref(), &pieces, Part::All, ids);
                    groups
                }
            };
            found.push(groups);
            before = Some((from, to));
        }
        if self.metric.tier > 0 {
            found.iter_mut().zip(windows).for_each(|(groups, &window)| self.add_unsettled(groups, page, window, ids));
        }
        found
    }

    /// A store without windows has one slice.
    fn total(&self, page: &Page, ids: &[u32]) -> WindowGroups {
        let mut groups = self.nothing(ids.len());
        if let Some(block) = page.tiers()[0].slices.get(0) {
            self.add(&mut groups, &block, ids, Part::All, false);
        }
        groups
    }

    fn layout(&self, tier: &Tier, tier_page: &TierPage, settled: i64, has_running: bool) -> Layout {
        let window = &self.metric.plan.window;
        let edge = edge_in(self.store, tier, settled);
        Layout {
            edge,
            running_from: (has_running && keeps_running(window) && settled > i64::MIN).then(|| running_from(tier, window, edge)),
            running_is_whole: matches!(window, Window::Cumulate { .. }),
            levels: tier_page.nodes.len(),
            others: self.used.iter().any(|(_, inverts)| !inverts),
        }
    }

    /// What inverts of a window, from the one before; the rest is as if nothing had been added.
    fn moved(&self, before: &WindowGroups, page: &TierPage, old: (i64, i64), new: (i64, i64), ids: &[u32]) -> WindowGroups {
        let mut groups = WindowGroups { merges: 0, ..before.clone() };
        for &(i, _) in self.used.iter().filter(|(_, inverts)| !inverts) {
            groups.columns[i] = Some(AccumulatorColumn::identity(&self.store.accumulators[i], ids.len()));
        }
        self.add_slices(&mut groups, page, (old.0, new.0), ids, Part::Inverting, true);
        self.add_slices(&mut groups, page, (old.1, new.1), ids, Part::Inverting, false);
        groups
    }

    /// Adds the pieces as far as they are about accumulators of `part`.
    fn add_pieces(
        &self,
        groups: &mut WindowGroups,
        page: &TierPage,
        running: Option<&Arc<Block>>,
        pieces: &[Piece],
        part: Part,
        ids: &[u32],
    ) {
        for piece in pieces {
            let Some(part) = piece.part.and(part) else { continue };
            match piece.source {
                Source::Running => self.add(groups, running.expect("pieces name it only if it is there"), ids, part, piece.negative),
                Source::Node(level, node) => {
                    let blocks = if level == 0 { &page.slices } else { &page.nodes[level - 1] };
                    if let Some(block) = blocks.get(node) {
                        self.add(groups, &block, ids, part, piece.negative);
                    }
                }
                Source::Slices(from, to) => self.add_slices(groups, page, (from, to), ids, part, piece.negative),
            }
        }
    }

    /// Adds the base slices that the wider ones do not hold.
    fn add_unsettled(&self, groups: &mut WindowGroups, page: &Page, (start_us, end_us): (i64, i64), ids: &[u32]) {
        let base = &self.store.tiers[0];
        let from = slice_of(start_us, base.width_us, base.offset_us).max(page.settled());
        let to = slice_of(end_us, base.width_us, base.offset_us);
        for (_, block) in page.tiers()[0].slices.range(from, to) {
            self.add(groups, &block, ids, Part::All, false);
        }
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

    fn add(&self, groups: &mut WindowGroups, block: &Block, ids: &[u32], part: Part, negative: bool) {
        groups.merges += 1;
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

/// True if a window is fewer merges away from the one before than it is pieces, as to what inverts.
fn is_near(before: (i64, i64), window: (i64, i64), pieces: &[Piece]) -> bool {
    let whole: i64 = pieces.iter().filter(|piece| piece.part.takes(true)).map(Piece::merges).sum();
    before.0 <= window.0 && before.1 <= window.1 && (window.0 - before.0) + (window.1 - before.1) < whole
}
