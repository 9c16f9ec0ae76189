//! Which barriers have come from every split, where they stand, and the frontier there.
//!
//! F(n) is the lowest watermark that the splits had at barrier n, or F(n−1) if that is higher: splits that join do so under it. An ended
//! split is past every later barrier. So F(n) is a function of the splits' contents and of where the barriers stand, the same at every replica.
//! So is V(n), the offsets there: of a split that had ended before barrier n it is the split's length, and one that joins behind barrier n is
//! not in it, though a replica may know of it before barrier n has come from every split.
//!
//! A barrier that no chain carries, because every split had ended, is *sealed*: the replica takes it when it has seen all ends.

use super::SplitProgress;
use raympp_types::{Epoch, EventTime, Offset, SplitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A barrier that every split has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedBarrier {
    /// Its number.
    pub epoch: Epoch,
    /// F(n); [`EventTime::MAX`] if every split had ended.
    pub frontier: EventTime,
    /// V(n), in order of splits.
    pub vector: Arc<[(SplitId, Offset)]>,
}

/// A barrier that some splits have passed.
#[derive(Clone)]
struct Passing {
    lowest: EventTime,
    offsets: BTreeMap<SplitId, Offset>,
}

impl Passing {
    /// V(n), when no split holds the barrier back.
    fn vector(mut self, epoch: Epoch, splits: &BTreeMap<SplitId, SplitProgress>) -> Arc<[(SplitId, Offset)]> {
        let ended_before = |split: &SplitProgress| split.ended && split.barrier < epoch;
        let ended = splits.iter().filter(|(_, split)| ended_before(split));
        self.offsets.extend(ended.map(|(&id, split)| (id, split.applied)));
        self.offsets.into_iter().collect()
    }
}

/// Barriers on their way through the splits.
#[derive(Clone, Default)]
pub(crate) struct Barriers {
    /// Those that not every split has passed.
    passing: BTreeMap<Epoch, Passing>,
    /// Those that no chain carries.
    sealing: BTreeSet<Epoch>,
    /// The last one that every split has passed.
    passed: Epoch,
    frontier: Option<EventTime>,
}

impl Barriers {
    /// As of a barrier that every split has passed.
    pub(crate) fn after(epoch: Epoch, frontier: EventTime) -> Barriers {
        Barriers { passed: epoch, frontier: Some(frontier), ..Barriers::default() }
    }

    /// The last barrier that every split has passed.
    pub(crate) fn passed(&self) -> Epoch {
        self.passed
    }

    /// A split has passed a barrier at this offset with this watermark.
    pub(crate) fn pass(&mut self, epoch: Epoch, split: SplitId, offset: Offset, watermark: EventTime) {
        if epoch > self.passed {
            let new = || Passing { lowest: watermark, offsets: BTreeMap::new() };
            let passing = self.passing.entry(epoch).or_insert_with(new);
            passing.lowest = watermark.min(passing.lowest);
            passing.offsets.insert(split, offset);
        }
    }

    /// The first barrier on its way whose frontier will take in a window that has closed: splits that have not passed it are past the
    /// window's end, or it would not have closed.
    pub(crate) fn epoch_of_window(&self, end: EventTime) -> Option<Epoch> {
        self.passing.iter().find(|(_, passing)| end <= passing.lowest).map(|(&epoch, _)| epoch)
    }

    /// No chain carries this barrier.
    pub(crate) fn seal(&mut self, epoch: Epoch) {
        if epoch > self.passed {
            self.sealing.insert(epoch);
        }
    }

    /// The next barrier that every split has passed, in order.
    pub(crate) fn take_passed(&mut self, splits: &BTreeMap<SplitId, SplitProgress>) -> Option<PassedBarrier> {
        if self.passing.is_empty() {
            return self.take_sealed(splits);
        }
        let first = self.passing.first_entry()?;
        let epoch = *first.key();
        if !splits.values().all(|split| split.ended || split.barrier >= epoch) {
            return None;
        }
        let passing = first.remove();
        let frontier = self.frontier.map_or(passing.lowest, |before| before.max(passing.lowest));
        (self.passed, self.frontier) = (epoch, Some(frontier));
        Some(PassedBarrier { epoch, frontier, vector: passing.vector(epoch, splits) })
    }

    /// Before the first split is heard of, none has ended.
    fn take_sealed(&mut self, splits: &BTreeMap<SplitId, SplitProgress>) -> Option<PassedBarrier> {
        if splits.is_empty() || !splits.values().all(|split| split.ended) {
            return None;
        }
        let epoch = self.sealing.pop_first()?;
        (self.passed, self.frontier) = (epoch, Some(EventTime::MAX));
        let vector = splits.iter().map(|(&id, split)| (id, split.applied)).collect();
        Some(PassedBarrier { epoch, frontier: EventTime::MAX, vector })
    }
}
