//! The slices of one page: slice number → block, written by one thread, read by any.
//!
//! Slices are found through a directory of chunks of 64 consecutive slice numbers. A chunk's slots are swapped in place; only a
//! chunk that appears or disappears makes a new directory. So following event time costs one slot store per slice, and a split that
//! is years ahead of another costs one more chunk, not years of empty slots.

use crate::block::Block;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;

const CHUNK_SLICES: i64 = 64;

struct Chunk {
    number: i64,
    slots: Box<[ArcSwapOption<Block>]>,
}

impl Chunk {
    fn new(number: i64) -> Chunk {
        Chunk { number, slots: (0..CHUNK_SLICES).map(|_| ArcSwapOption::empty()).collect() }
    }

    fn slot(&self, slice: i64) -> &ArcSwapOption<Block> {
        &self.slots[slice.rem_euclid(CHUNK_SLICES) as usize]
    }

    fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.load().is_none())
    }
}

/// Blocks by slice number.
pub struct Slices {
    chunks: ArcSwap<Vec<Arc<Chunk>>>,
}

impl Default for Slices {
    fn default() -> Self {
        Slices { chunks: ArcSwap::from_pointee(Vec::new()) }
    }
}

impl Slices {
    /// The block of a slice, if any row of the page has touched it.
    pub fn get(&self, slice: i64) -> Option<Arc<Block>> {
        let chunks = self.chunks.load();
        let number = slice.div_euclid(CHUNK_SLICES);
        let at = chunks.binary_search_by_key(&number, |chunk| chunk.number).ok()?;
        chunks[at].slot(slice).load_full()
    }

    /// Puts a block in place, or replaces the one there. For the page's writer.
    pub fn set(&self, slice: i64, block: Arc<Block>) {
        let number = slice.div_euclid(CHUNK_SLICES);
        let chunks = self.chunks.load();
        match chunks.binary_search_by_key(&number, |chunk| chunk.number) {
            Ok(at) => chunks[at].slot(slice).store(Some(block)),
            Err(at) => {
                let chunk = Chunk::new(number);
                chunk.slot(slice).store(Some(block));
                let mut longer = Vec::clone(&chunks);
                longer.insert(at, Arc::new(chunk));
                self.chunks.store(Arc::new(longer));
            }
        }
    }

    /// The same contents in memory of their own.
    pub(crate) fn copy(&self) -> Slices {
        let copy = Slices::default();
        self.range(i64::MIN, i64::MAX).into_iter().for_each(|(slice, block)| copy.set(slice, block.copy()));
        copy
    }

    /// Takes a block out. For the page's writer.
    pub fn remove(&self, slice: i64) -> Option<Arc<Block>> {
        let number = slice.div_euclid(CHUNK_SLICES);
        let chunks = self.chunks.load();
        let at = chunks.binary_search_by_key(&number, |chunk| chunk.number).ok()?;
        let block = chunks[at].slot(slice).swap(None);
        if chunks[at].is_empty() {
            let mut shorter = Vec::clone(&chunks);
            shorter.remove(at);
            self.chunks.store(Arc::new(shorter));
        }
        block
    }

    /// The blocks of slices `from..to`, ascending.
    pub fn range(&self, from: i64, to: i64) -> Vec<(i64, Arc<Block>)> {
        let chunks = self.chunks.load();
        let first = chunks.partition_point(|chunk| (chunk.number + 1).saturating_mul(CHUNK_SLICES) <= from);
        let mut found = Vec::new();
        for chunk in chunks[first..].iter().take_while(|chunk| chunk.number.saturating_mul(CHUNK_SLICES) < to) {
            for (i, slot) in chunk.slots.iter().enumerate() {
                let slice = chunk.number * CHUNK_SLICES + i as i64;
                if slice >= from
                    && slice < to
                    && let Some(block) = slot.load_full()
                {
                    found.push((slice, block));
                }
            }
        }
        found
    }

    /// The lowest slice at or above `from` that has a block.
    pub fn first_from(&self, from: i64) -> Option<i64> {
        let chunks = self.chunks.load();
        let first = chunks.partition_point(|chunk| (chunk.number + 1).saturating_mul(CHUNK_SLICES) <= from);
        chunks[first..].iter().find_map(|chunk| {
            let base = chunk.number * CHUNK_SLICES;
            (0..CHUNK_SLICES).map(|i| base + i).find(|&slice| slice >= from && chunk.slot(slice).load().is_some())
        })
    }

    /// True without blocks.
    pub fn is_empty(&self) -> bool {
        self.chunks.load().is_empty()
    }
}
