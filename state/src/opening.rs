//! Opening a split anew: where the next reader of a split begins, where it has to cut its deltas, and which marks it has to repeat.
//!
//! A reader that is gone leaves replicas that have applied its split up to different offsets. Each is asked under a new split term
//! ([`Replica::answer`](crate::replica::Replica::answer)), which fences the old one: what it had sent and nobody has applied is void. The new
//! chain begins at the lowest offset answered, with the running watermark as of there, and ends a delta at every other one; so each
//! replica finds a delta that begins where it stands, and those before it are duplicates to it. No delta can overlap half, and one that did would be
//! a protocol violation.
//!
//! *Marks.* What the rows do not determine must stay where some replica has seen it. Every replica tells the marks it has kept; the new chain
//! repeats all of them, at their offsets and in their order. One that a replica has seen already changes nothing there. A mark that nobody
//! has seen is in nothing that was ever told, and is placed anew.
//!
//! So the new chain is, for every replica, the continuation of what it has applied, and the splits' contents and marks alone say
//! what that is: results do not depend on which reader was lost when.

use crate::delta::{Mark, MarkPlace, PlacedMark, SplitCounts};
use raympp_types::{Epoch, EventTime, Offset, PlanVersion, RunningWatermark};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What one replica knows of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Rows up to here are in.
    pub applied: Offset,
    /// As of there.
    pub watermark: RunningWatermark,
    /// Of the rows up to there.
    pub counts: SplitCounts,
    /// The last barrier seen in the chain.
    pub barrier: Epoch,
    /// The plan that it has brought.
    pub plan: PlanVersion,
    /// The end has been seen.
    pub ended: bool,
    /// The marks it has kept, in order.
    pub marks: Vec<PlacedMark>,
}

impl Answer {
    /// How far in the chain: marks may share an offset.
    fn place(&self) -> (Offset, bool, Epoch, EventTime) {
        (self.applied, self.ended, self.barrier, self.watermark.floor)
    }
}

/// Where the new chain ends a delta, and what it marks there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Rows before it.
    pub at: Offset,
    /// In order.
    pub marks: Vec<Mark>,
}

/// How a split is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Rows before the first one to be read.
    pub at: Offset,
    /// The split's, as of there.
    pub watermark: RunningWatermark,
    /// The split's, as of there.
    pub counts: SplitCounts,
    /// The plan in force there.
    pub plan: PlanVersion,
    /// The last barrier there.
    pub behind: Epoch,
    /// By ascending offset.
    pub stops: VecDeque<Stop>,
    /// The last barrier that some replica has seen in the chain: a later one that was asked for is to be marked anew.
    pub barrier: Epoch,
    /// Where that one stands, if somebody has kept it; whoever places barriers may not have been told.
    pub placed: Option<PlacedMark>,
    /// Every replica has seen the end: there is nothing to be read.
    pub over: bool,
}

/// Two replicas have the same mark at different places: one of them is wrong, and nobody knows which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Where one has it.
    pub one: Box<PlacedMark>,
    /// Where another has it.
    pub other: Box<PlacedMark>,
}

/// The answers of all replicas of one split, as they come. `Id` names a replica among all of the stream's.
pub struct Opening<Id> {
    waiting: BTreeSet<Id>,
    gone: BTreeSet<Id>,
    answers: BTreeMap<Id, Answer>,
    known: Vec<PlacedMark>,
}

impl<Id: Ord + Copy> Opening<Id> {
    /// Waits for the answers of these.
    pub fn new(replicas: impl IntoIterator<Item = Id>) -> Opening<Id> {
        Opening { waiting: replicas.into_iter().collect(), gone: BTreeSet::new(), answers: BTreeMap::new(), known: Vec::new() }
    }

    /// These marks are known to stand in the chain, whoever has seen them.
    pub fn know(&mut self, marks: impl IntoIterator<Item = PlacedMark>) {
        self.known.extend(marks);
    }

    /// A replica answers, waited for or not.
    pub fn answer(&mut self, replica: Id, answer: Answer) {
        self.waiting.remove(&replica);
        if !self.gone.contains(&replica) {
            self.answers.insert(replica, answer);
        }
    }

    /// A copy of a replica is in sync, which stands where its original has answered; if that one has not, both will.
    pub fn copied(&mut self, original: Id, copy: Id) {
        if let Some(answer) = self.answers.get(&original).cloned()
            && !self.answers.contains_key(&copy)
        {
            self.answer(copy, answer);
        }
    }

    /// A replica is not in sync any more, and nobody waits for its answer. If it has answered, the split is not opened for it, which
    /// may be further back than any source can go by now; the marks that it has told stand in the chain all the same.
    pub fn remove(&mut self, replica: Id) {
        self.waiting.remove(&replica);
        self.gone.insert(replica);
        self.known.extend(self.answers.remove(&replica).into_iter().flat_map(|answer| answer.marks));
    }

    /// True if nobody is waited for.
    pub fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How to open the split; `None` as long as an answer is missing, and without replicas.
    ///
    /// # Errors
    /// [`Disagreement`], which is a broken promise of some replica.
    pub fn open(&self) -> Option<Result<Opened, Disagreement>> {
        let lowest = self.answers.values().min_by_key(|answer| answer.place()).filter(|_| self.is_complete())?;
        let is_barrier = |placed: &&PlacedMark| matches!(placed.mark, Mark::Barrier { .. });
        let known = self.known.iter().filter(is_barrier).map(|placed| placed.behind);
        let barrier = self.answers.values().map(|answer| answer.barrier).chain(known).max().unwrap_or_default();
        let is_last = |placed: &&PlacedMark| placed.behind == barrier && is_barrier(placed);
        let placed = self.told().find(is_last);
        Some(self.stops(lowest).map(|stops| Opened {
            at: lowest.applied,
            watermark: lowest.watermark,
            counts: lowest.counts,
            plan: lowest.plan,
            behind: lowest.barrier,
            stops,
            barrier,
            placed: placed.cloned(),
            over: lowest.ended,
        }))
    }

    fn stops(&self, lowest: &Answer) -> Result<VecDeque<Stop>, Disagreement> {
        let mut stops: BTreeMap<Offset, Vec<Mark>> = BTreeMap::new();
        for at in self.answers.values().map(|answer| answer.applied).filter(|&at| at > lowest.applied) {
            stops.entry(at).or_default();
        }
        for placed in self.marks()?.into_values() {
            let news = placed.offset > lowest.applied || placed.offset == lowest.applied && !lowest.ended && is_behind(&placed, lowest);
            if news {
                stops.entry(placed.offset).or_default().push(placed.mark);
            }
        }
        Ok(stops.into_iter().map(|(at, marks)| Stop { at, marks }).collect())
    }

    /// All marks that anybody has told of.
    fn told(&self) -> impl Iterator<Item = &PlacedMark> {
        self.answers.values().flat_map(|answer| &answer.marks).chain(&self.known)
    }

    /// All marks by their places.
    fn marks(&self) -> Result<BTreeMap<MarkPlace, PlacedMark>, Disagreement> {
        let mut marks = BTreeMap::new();
        let mut barriers: BTreeMap<Epoch, PlacedMark> = BTreeMap::new();
        for placed in self.told() {
            let number = if let Mark::End = placed.mark { Epoch(u64::MAX) } else { placed.behind };
            if !matches!(placed.mark, Mark::Floor(_)) {
                let first = barriers.entry(number).or_insert_with(|| placed.clone());
                if (first.offset, &first.mark) != (placed.offset, &placed.mark) {
                    return Err(Disagreement { one: Box::new(first.clone()), other: Box::new(placed.clone()) });
                }
            }
            marks.insert(placed.place(), placed.clone());
        }
        Ok(marks)
    }
}

/// True if a mark at the offset where a replica stands may be news to it.
fn is_behind(placed: &PlacedMark, answer: &Answer) -> bool {
    match placed.mark {
        Mark::Barrier { epoch, .. } => epoch > answer.barrier,
        Mark::Floor(floor) => floor > answer.watermark.floor,
        Mark::End => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raympp_types::SplitId;
    use std::sync::Arc;

    fn placed(offset: u64, behind: u64, mark: Mark) -> PlacedMark {
        let watermark = RunningWatermark { max_event_time: EventTime(offset as i64), ..RunningWatermark::default() };
        PlacedMark { offset: Offset(offset), behind: Epoch(behind), watermark, mark }
    }

    fn barrier(offset: u64, epoch: u64) -> PlacedMark {
        let mark = Mark::Barrier { epoch: Epoch(epoch), splits: Arc::new([SplitId(0)]), plan: PlanVersion(1) };
        placed(offset, epoch, mark)
    }

    fn floor(offset: u64, behind: u64, floor: i64) -> PlacedMark {
        placed(offset, behind, Mark::Floor(EventTime(floor)))
    }

    fn end(offset: u64) -> PlacedMark {
        placed(offset, 0, Mark::End)
    }

    /// A replica at an offset that has the first so many of these marks.
    fn at(applied: u64, marks: &[PlacedMark]) -> Answer {
        let mut answer = Answer {
            applied: Offset(applied),
            watermark: RunningWatermark { max_event_time: EventTime(applied as i64), ..RunningWatermark::default() },
            counts: SplitCounts { late: applied, ..SplitCounts::default() },
            barrier: Epoch(0),
            plan: PlanVersion(1),
            ended: false,
            marks: marks.to_vec(),
        };
        for placed in marks {
            match placed.mark {
                Mark::Barrier { epoch, .. } => answer.barrier = epoch,
                Mark::Floor(floor) => answer.watermark.raise_floor(floor),
                Mark::End => answer.ended = true,
            }
        }
        answer
    }

    fn open(answers: &[Answer]) -> Result<Opened, Disagreement> {
        let mut opening = Opening::new(0..answers.len());
        for (replica, answer) in answers.iter().enumerate() {
            assert!(opening.open().is_none(), "an answer is missing");
            opening.answer(replica, answer.clone());
        }
        opening.open().expect("all have answered")
    }

    fn stops(opened: &Opened) -> Vec<(u64, Vec<Mark>)> {
        opened.stops.iter().map(|stop| (stop.at.0, stop.marks.clone())).collect()
    }

    #[test]
    fn it_opens_at_the_lowest_and_cuts_at_each_answer() {
        let opened = open(&[at(70, &[]), at(50, &[]), at(70, &[]), at(60, &[])]).unwrap();
        assert_eq!((opened.at, opened.watermark.max_event_time, opened.counts.late), (Offset(50), EventTime(50), 50));
        assert_eq!(stops(&opened), [(60, vec![]), (70, vec![])]);
    }

    #[test]
    fn marks_are_repeated_where_anybody_has_seen_them() {
        let marks = [barrier(40, 1), barrier(60, 2), floor(60, 2, 55), barrier(65, 3)];
        let opened = open(&[at(70, &marks), at(50, &marks[..1])]).unwrap();
        assert_eq!((opened.behind, opened.barrier), (Epoch(1), Epoch(3)));
        let at_60 = vec![marks[1].mark.clone(), marks[2].mark.clone()];
        assert_eq!(stops(&opened), [(60, at_60), (65, vec![marks[3].mark.clone()]), (70, vec![])]);
    }

    /// Replicas at one offset may have seen some of the marks there; the chain begins as the one sees it that has seen the fewest.
    #[test]
    fn marks_at_the_offset_of_the_opening_keep_their_order() {
        let marks = [barrier(50, 1), floor(50, 1, 44), barrier(50, 2), floor(50, 2, 48)];
        let opened = open(&[at(50, &marks), at(50, &marks[..1]), at(50, &marks[..3])]).unwrap();
        assert_eq!((opened.at, opened.behind, opened.watermark.floor), (Offset(50), Epoch(1), EventTime::MIN));
        assert_eq!(stops(&opened), [(50, marks[1..].iter().map(|placed| placed.mark.clone()).collect())]);
    }

    /// Some replicas keep older marks than others: what nobody needs any more may have been forgotten.
    #[test]
    fn marks_that_one_has_forgotten_are_known_from_another() {
        let marks = [barrier(50, 1), floor(50, 1, 44), barrier(50, 2), floor(50, 2, 48)];
        let mut ahead = at(50, &marks);
        ahead.marks.drain(..2);
        let opened = open(&[ahead, at(50, &marks[..2])]).unwrap();
        assert_eq!(stops(&opened), [(50, vec![marks[2].mark.clone(), marks[3].mark.clone()])]);
    }

    #[test]
    fn an_end_is_repeated_until_all_have_seen_it() {
        let marks = [barrier(50, 1), end(90)];
        let opened = open(&[at(90, &marks), at(70, &marks[..1])]).unwrap();
        assert_eq!((stops(&opened), opened.over), (vec![(90, vec![Mark::End])], false));
        let opened = open(&[at(90, &marks), at(90, &marks[..1])]).unwrap();
        assert_eq!((stops(&opened), opened.over), (vec![(90, vec![Mark::End])], false));
        let opened = open(&[at(90, &marks), at(90, &marks)]).unwrap();
        assert_eq!((stops(&opened), opened.over), (vec![], true));
    }

    #[test]
    fn a_mark_at_two_places_is_refused() {
        let (one, other) = (barrier(50, 1), barrier(60, 1));
        assert_eq!(
            open(&[at(70, std::slice::from_ref(&one)), at(70, std::slice::from_ref(&other))]),
            Err(Disagreement { one: Box::new(one), other: Box::new(other) })
        );
    }

    #[test]
    fn who_is_removed_counts_no_more() {
        let mut opening = Opening::new([1, 2, 3]);
        opening.remove(1);
        opening.answer(1, at(5, &[]));
        let marks = [barrier(33, 1), floor(60, 1, 44), barrier(60, 2)];
        opening.answer(2, at(60, &marks));
        opening.remove(2);
        assert!(opening.open().is_none(), "one has not answered");
        opening.remove(3);
        opening.answer(4, at(35, &marks[..1]));
        let opened = opening.open().expect("complete").unwrap();
        let told = marks[1..].iter().map(|placed| placed.mark.clone()).collect();
        assert_eq!((opened.at, stops(&opened)), (Offset(35), vec![(60, told)]));
        assert_eq!((opened.behind, opened.barrier, opened.placed), (Epoch(1), Epoch(2), Some(marks[2].clone())));
        let mut nobody = Opening::new([1]);
        nobody.remove(1);
        assert!(nobody.is_complete() && nobody.open().is_none(), "there is no replica");
    }

    #[test]
    fn a_copy_stands_where_its_original_has_answered() {
        let mut opening = Opening::new([1, 2]);
        opening.copied(1, 3);
        opening.answer(1, at(30, &[]));
        opening.answer(2, at(50, &[]));
        opening.copied(1, 4);
        opening.remove(1);
        let opened = opening.open().expect("complete").unwrap();
        assert_eq!((opened.at, stops(&opened)), (Offset(30), vec![(50, vec![])]), "4 answers for itself, and 3 will never");
        opening.remove(4);
        opening.copied(2, 4);
        assert_eq!(opening.open().expect("complete").unwrap().at, Offset(50), "who is gone stays so");
    }
}
