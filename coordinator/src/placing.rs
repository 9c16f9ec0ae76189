//! One barrier on its way through the splits of one stream.
//!
//! It is *placed* when every split that was live at its start has marked it or ended. F(n) is the lowest watermark that splits had there. A
//! barrier that no split has marked, because all had ended before it reached them, is carried by no chain.

use raympp_types::{Epoch, EventTime, PlanVersion, SplitId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// See the module.
pub(crate) struct Placing {
    pub(crate) epoch: Epoch,
    /// Splits of the epoch: the live ones, then those that join.
    pub(crate) splits: Arc<[SplitId]>,
    pub(crate) joining: Vec<SplitId>,
    pub(crate) plan: PlanVersion,
    waiting: BTreeSet<SplitId>,
    lowest: Option<EventTime>,
}

impl Placing {
    pub(crate) fn new(epoch: Epoch, live: &BTreeSet<SplitId>, joining: Vec<SplitId>, plan: PlanVersion) -> Placing {
        let splits = live.iter().chain(&joining).copied().collect();
        Placing { epoch, splits, joining, plan, waiting: live.clone(), lowest: None }
    }

    /// A split has marked the barrier.
    pub(crate) fn mark(&mut self, split: SplitId, watermark: EventTime) {
        if self.waiting.remove(&split) {
            self.lowest = Some(self.lowest.map_or(watermark, |lowest| lowest.min(watermark)));
        }
    }

    /// A split has ended: it is past this barrier.
    pub(crate) fn end(&mut self, split: SplitId) {
        self.waiting.remove(&split);
    }

    pub(crate) fn is_placed(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The lowest watermark of the splits that have marked it; `None`: no chain carries it.
    pub(crate) fn lowest(&self) -> Option<EventTime> {
        self.lowest
    }
}
