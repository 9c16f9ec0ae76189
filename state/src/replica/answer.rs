//! What a replica tells the next reader of a split, and which marks it keeps for that. See [`crate::opening`].

use super::{Replica, SplitProgress};
use crate::delta::{Mark, PlacedMark};
use crate::opening::Answer;
use raympp_types::{Epoch, Offset, RunningWatermark, SplitId, SplitTerm};

impl Replica {
    /// Answers the reader of a split under a new term, and from now on refuses what comes under lower ones. `None` if a reader with this term or a
    /// higher one has been seen.
    pub fn answer(&mut self, split: SplitId, term: SplitTerm) -> Option<Answer> {
        if !self.splits.contains_key(&split) {
            self.add_split(split, self.frontier);
        }
        let progress = self.splits.get_mut(&split).expect("just made sure");
        if term <= progress.term {
            return None;
        }
        progress.term = term;
        let answer = progress.answer(self.marks.get(&split).cloned().unwrap_or_default());
        self.forget_sender(split);
        Some(answer)
    }

    /// Nobody will open the split below this offset any more: marks before it are not needed, except for the last barrier, whose placing may have to
    /// be told again.
    pub fn forget_marks(&mut self, split: SplitId, below: Offset) {
        if let (Some(marks), Some(progress)) = (self.marks.get_mut(&split), self.splits.get(&split)) {
            marks.retain(|placed| placed.offset >= below || placed.behind >= progress.barrier);
        }
    }
}

impl SplitProgress {
    /// What a listener that stands here answers, with the marks it has kept.
    pub(crate) fn answer(&self, marks: Vec<PlacedMark>) -> Answer {
        // A listener that has only heard of the split keeps it from passing by a floor of its own.
        let heard = self.applied > Offset(0) || self.barrier > Epoch(0) || !marks.is_empty();
        Answer {
            applied: self.applied,
            watermark: if heard { self.watermark } else { RunningWatermark::default() },
            counts: self.counts,
            barrier: self.barrier,
            plan: self.plan,
            ended: self.ended,
            marks,
        }
    }

    /// Notes a mark.
    pub(crate) fn pass_mark(&mut self, mark: &Mark) {
        match mark {
            Mark::Barrier { epoch, plan, .. } if *epoch > self.barrier => (self.barrier, self.plan) = (*epoch, *plan),
            Mark::Barrier { .. } => {}
            Mark::Floor(floor) => self.watermark.raise_floor(*floor),
            Mark::End => self.ended = true,
        }
    }

    /// The next mark of the chain, as it stands there; `None` if it has been seen: a new reader repeats marks.
    pub(crate) fn place(&self, mark: &Mark) -> Option<PlacedMark> {
        let (behind, seen) = match mark {
            Mark::Barrier { epoch, .. } => (*epoch, *epoch <= self.barrier),
            Mark::Floor(_) => (self.barrier, false),
            Mark::End => (self.barrier, self.ended),
        };
        (!seen).then(|| PlacedMark { offset: self.applied, behind, watermark: self.watermark, mark: mark.clone() })
    }
}
