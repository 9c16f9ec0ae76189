//! A page: 4,096 keys with all their slices, under one version.
//!
//! Slices hold what rows brought; wider nodes hold settled slices merged by powers of two; a running block holds the last closed
//! window of a hop or cumulate, and a second one the window at the settled edge while that is ahead of the sealed one. What a reader needs
//! beyond the cells is how far the page is settled and sealed, and that is here too, so that one version check covers cells and
//! progress alike.

use super::NEVER;
use crate::block::{Block, PAGE_KEYS};
use crate::slices::Slices;
use crate::version::PageVersion;
use arc_swap::ArcSwapOption;
use raympp_operators::sharing::{Store, Tier};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// 4,096 keys of one store.
pub struct Page {
    version: PageVersion,
    /// Base slices below this are sealed on this page.
    sealed: AtomicI64,
    /// Base slices below this are settled on this page: in wider slices, nodes and running blocks. Never below `sealed`.
    settled: AtomicI64,
    tiers: Box<[TierPage]>,
}

/// The slices of one width on one page.
pub struct TierPage {
    /// By slice number of the tier.
    pub slices: Slices,
    /// `nodes[l − 1]`: node `i` is slices `i·2^l .. (i+1)·2^l` merged, once settled; only accumulators that do not invert, without row
    /// counts.
    pub nodes: Box<[Slices]>,
    /// By shape: the last closed window, for hops and cumulates.
    pub running: Box<[ArcSwapOption<Block>]>,
    /// By shape: as `running`, at the settled edge; only while that is ahead of the sealed one.
    pub ahead: Box<[ArcSwapOption<Block>]>,
}

impl Page {
    /// An empty page of a store that is sealed up to one boundary and settled up to another, which is not lower.
    pub(super) fn new(store: &Store, sealed: i64, settled: i64) -> Page {
        let inverts = |i: usize| store.accumulators[i].invertible();
        let tier_page = |tier: &Tier| {
            let needs_nodes = |shape: &raympp_operators::sharing::Shape| !shape.accumulators.iter().all(|&i| inverts(i));
            let slices_max =
                tier.shapes.iter().filter(|shape| needs_nodes(shape)).map(|shape| shape.window.size_us() / tier.width_us).max();
            let levels = slices_max.unwrap_or(1).ilog2() as usize;
            TierPage {
                slices: Slices::default(),
                nodes: (0..levels).map(|_| Slices::default()).collect(),
                running: tier.shapes.iter().map(|_| ArcSwapOption::empty()).collect(),
                ahead: tier.shapes.iter().map(|_| ArcSwapOption::empty()).collect(),
            }
        };
        let mut tiers: Vec<TierPage> = store.tiers.iter().map(tier_page).collect();
        if tiers.is_empty() {
            tiers.push(TierPage { slices: Slices::default(), nodes: Box::default(), running: Box::default(), ahead: Box::default() });
        }
        Page { version: PageVersion::default(), sealed: AtomicI64::new(sealed), settled: AtomicI64::new(settled), tiers: tiers.into() }
    }

    /// The same contents in memory of their own.
    pub(super) fn copy(&self, store: &Store) -> Page {
        let blocks = |blocks: &[ArcSwapOption<Block>]| {
            let copy = |block: &ArcSwapOption<Block>| ArcSwapOption::new(block.load_full().map(|block| block.copy()));
            blocks.iter().map(copy).collect()
        };
        let tier = |tier: &TierPage| TierPage {
            slices: tier.slices.copy(),
            nodes: tier.nodes.iter().map(Slices::copy).collect(),
            running: blocks(&tier.running),
            ahead: blocks(&tier.ahead),
        };
        Page { tiers: self.tiers.iter().map(tier).collect(), ..Page::new(store, self.sealed(), self.settled()) }
    }

    /// Guards everything below.
    pub fn version(&self) -> &PageVersion {
        &self.version
    }

    /// Base slices below this are sealed; `i64::MIN` if none is.
    pub fn sealed(&self) -> i64 {
        self.sealed.load(Relaxed)
    }

    pub(super) fn set_sealed(&self, boundary: i64) {
        self.sealed.store(boundary, Relaxed);
    }

    /// Base slices below this are settled; `i64::MIN` if none is.
    pub fn settled(&self) -> i64 {
        self.settled.load(Relaxed)
    }

    pub(super) fn set_settled(&self, boundary: i64) {
        self.settled.store(boundary, Relaxed);
    }

    /// The running block of a shape at the settled edge.
    pub fn running(&self, tier: usize, shape: usize) -> Option<Arc<Block>> {
        let tier = &self.tiers[tier];
        let running = if self.settled() > self.sealed() { &tier.ahead } else { &tier.running };
        running.get(shape)?.load_full()
    }

    /// By tier of the store.
    pub fn tiers(&self) -> &[TierPage] {
        &self.tiers
    }

    /// Memory of all blocks.
    pub(super) fn bytes(&self) -> usize {
        let blocks = |slices: &Slices| slices.range(i64::MIN, i64::MAX).iter().map(|(_, block)| block.bytes()).sum::<usize>();
        let tier = |tier: &TierPage| {
            let running: usize =
                tier.running.iter().chain(&tier.ahead).filter_map(|block| block.load_full()).map(|block| block.bytes()).sum();
            blocks(&tier.slices) + tier.nodes.iter().map(blocks).sum::<usize>() + running
        };
        self.tiers.iter().map(tier).sum()
    }
}

/// The block of a slice or node, with room for key `highest`; made by `fresh` if there is none.
pub(super) fn block_in(slices: &Slices, number: i64, highest: usize, fresh: impl FnOnce() -> Arc<Block>) -> Arc<Block> {
    let block = match slices.get(number) {
        Some(block) if block.capacity() > highest => return block,
        Some(block) => Arc::new(block.grown((highest + 1).min(PAGE_KEYS))),
        None => {
            let block = fresh();
            if block.capacity() > highest { block } else { Arc::new(block.grown(highest + 1)) }
        }
    };
    slices.set(number, Arc::clone(&block));
    block
}

/// What only the writer knows of a page.
#[derive(Clone)]
pub(super) struct PageProgress {
    /// The lowest base boundary at which the page has something to do.
    pub due: i64,
    /// By tier: the highest sealed slice with rows.
    pub last_sealed: Vec<i64>,
}

impl PageProgress {
    pub(super) fn new(tiers: usize) -> PageProgress {
        PageProgress { due: i64::MAX, last_sealed: vec![NEVER; tiers] }
    }
}
