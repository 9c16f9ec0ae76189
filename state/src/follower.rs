//! A listener of one chain that keeps nothing of what it hears but how far it is: for those who take every delta in order and answer, like a
//! replica, when the split gets a new reader.
//!
//! The persister is one: what has been put into its queue will be in its lists, so the queue's entrance answers for it, at once.

use crate::delta::{Mark, PlacedMark, Stamp};
use crate::opening::Answer;
use crate::replica::SplitProgress;
use raympp_types::{Epoch, Offset, PlanVersion, RunningWatermark, SplitTerm};

/// See the module.
#[derive(Clone, Debug)]
pub struct Follower {
    progress: SplitProgress,
    marks: Vec<PlacedMark>,
}

impl Follower {
    /// At an offset, behind a barrier, where the chain begins under a plan.
    pub fn at(applied: Offset, watermark: RunningWatermark, barrier: Epoch, plan: PlanVersion, ended: bool) -> Follower {
        let progress = SplitProgress { applied, watermark, barrier, plan, ended, ..SplitProgress::unread() };
        Follower { progress, marks: Vec::new() }
    }

    /// Hears a delta. True if it is to be taken; else it was sent by a reader that has been replaced.
    pub fn hear(&mut self, stamp: &Stamp) -> bool {
        if stamp.split_term < self.progress.term {
            return false;
        }
        self.progress.term = stamp.split_term;
        if stamp.from == self.progress.applied {
            self.progress.pass_rows(stamp);
            for mark in &stamp.marks {
                if let Some(placed) = self.progress.place(mark).filter(|placed| !placed.is_in(&self.marks)) {
                    self.marks.push(placed);
                }
                self.progress.pass_mark(mark);
            }
        }
        true
    }

    /// Answers the reader of the split under a new term, and from now on refuses what comes under lower ones; see
    /// [`Replica::answer`](crate::replica::Replica::answer).
    pub fn answer(&mut self, term: SplitTerm) -> Option<Answer> {
        if term <= self.progress.term {
            return None;
        }
        self.progress.term = term;
        Some(self.progress.answer(self.marks.clone()))
    }

    /// Rows up to here have been heard of.
    pub fn applied(&self) -> Offset {
        self.progress.applied
    }

    /// Where a barrier stands that has been heard of and not forgotten; at the end of a split that ended before it.
    pub fn offset_at(&self, epoch: Epoch) -> Option<Offset> {
        let is_it = |placed: &&PlacedMark| matches!(&placed.mark, Mark::Barrier { epoch: of, .. } if *of == epoch);
        let placed = self.marks.iter().find(is_it).map(|placed| placed.offset);
        placed.or_else(|| (self.progress.ended && self.progress.barrier < epoch).then_some(self.progress.applied))
    }

    /// Nobody will open the split before this barrier any more.
    pub fn forget_before(&mut self, barrier: Epoch) {
        self.marks.retain(|placed| placed.behind >= barrier);
    }
}
