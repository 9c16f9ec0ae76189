//! Readers of splits that are lost, and replaced in a running process. What the engine's supervisor does with cores and queues is done here with
//! questions and answers on their way, so that what the lost reader has sent may arrive behind the answer, and is void then.

use super::actor::{Actor, Place};
use super::agenda::Link;
use super::around::Around;
use super::canary::Canary;
use super::invariants::{self, Breach, Outcome};
use super::process::{Happening, Process, StreamRun};
use super::start::chain_options;
use super::task::{Ordered, Task};
use crate::reader::RowReader;
use raympp_coordinator::Fact;
use raympp_state::chain::Chain;
use raympp_state::delta::{Mark, PlacedMark};
use raympp_state::opening::{Answer, Opened, Opening};
use raympp_types::{Epoch, Offset, SplitId, SplitTerm, StreamId};
use std::sync::Arc;

/// Who answers for a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Listener {
    Replica(Place),
    /// What has been put into its queue.
    Persister,
}

/// A split that has no reader.
pub(super) struct Unread {
    term: SplitTerm,
    opening: Opening<Listener>,
    /// Facts are told in order, whoever tells them.
    up: Link,
}

impl StreamRun {
    /// Rows that all replicas have applied of a split.
    pub(super) fn lowest_applied(&self, split: SplitId) -> Offset {
        let applied = |actor: &Actor| actor.replica.splits().get(&split).map_or(Offset(0), |progress| progress.applied);
        self.actors.iter().flatten().map(applied).min().unwrap_or_default()
    }

    /// A replica forgets marks that stand before all replicas.
    pub(super) fn forget_marks(&mut self, place: Place, split: SplitId) {
        let lowest = self.lowest_applied(split);
        self.actor(place).replica.forget_marks(split, lowest);
    }
}

impl Process {
    /// The reader of a split is gone, with all that it has not sent; all listeners are asked how far they are.
    pub(super) fn lose_reader(&mut self, around: &mut Around, stream: StreamId, split: SplitId) {
        let run = self.run(stream);
        let Some(task) = run.tasks.remove(&split) else { return };
        if task.ended {
            run.tasks.insert(split, task);
            return;
        }
        around.tally.readers_lost += 1;
        around.note(format!("{stream}, {split} loses its reader at {}", task.chain.offset()));
        let (term, places) = (task.term.next(), run.places());
        let mut opening = Opening::new(places.iter().map(|&place| Listener::Replica(place)).chain([Listener::Persister]));
        let queue = run.followers.get_mut(&split).expect("it came with the task");
        opening.answer(Listener::Persister, queue.answer(term).expect("the term is new"));
        run.unread.insert(split, Unread { term, opening, up: task.up });
        for place in places {
            let delay_us = around.delay(around.pace.hop_us);
            around.later(delay_us, Happening::Question(stream, place, split, term));
        }
    }

    /// A replica answers, and from now on takes nothing of the reader that was lost.
    pub(super) fn answer(&mut self, around: &mut Around, stream: StreamId, place: Place, (split, term): (SplitId, SplitTerm)) {
        if let Some(answer) = self.run(stream).actor(place).replica.answer(split, term) {
            around.note(format!("{stream}, {place:?} answers for {split}: {} behind {}", answer.applied, answer.barrier));
            let delay_us = around.delay(around.pace.hop_us);
            around.later(delay_us, Happening::Answered(stream, place, split, term, Box::new(answer)));
        }
    }

    /// Opens the split when all have answered.
    pub(super) fn answered(
        &mut self,
        around: &mut Around,
        stream: StreamId,
        place: Place,
        (split, term): (SplitId, SplitTerm),
        answer: Answer,
    ) -> Outcome {
        let run = self.run(stream);
        let Some(unread) = run.unread.get_mut(&split).filter(|unread| unread.term == term) else { return Ok(()) };
        unread.opening.answer(Listener::Replica(place), answer);
        let Some(opened) = unread.opening.open() else { return Ok(()) };
        let mut opened = opened.map_err(|disagreement| Breach {
            invariant: "a mark has one offset at all replicas",
            message: format!("{stream}, {split}: {:?} and {:?}", disagreement.one, disagreement.other),
        })?;
        let up = run.unread.remove(&split).expect("just seen").up;
        if around.has(Canary::NoCut) {
            opened.stops.retain(|stop| !stop.marks.is_empty());
        }
        if around.has(Canary::BarrierAnew) {
            opened.stops.iter_mut().for_each(|stop| stop.marks.retain(|mark| !matches!(mark, Mark::Barrier { .. })));
            opened.barrier = opened.behind;
        }
        if around.has(Canary::FloorEarly) {
            opened.stops.iter_mut().for_each(|stop| stop.marks.retain(|mark| !matches!(mark, Mark::Floor(_))));
        }
        self.open_again(around, stream, (split, term), &opened, up)
    }

    fn open_again(
        &mut self,
        around: &mut Around,
        stream: StreamId,
        (split, term): (SplitId, SplitTerm),
        opened: &Opened,
        up: Link,
    ) -> Outcome {
        around.note(format!("{stream}, {split} is opened again at {}: {:?}", opened.at, opened.stops));
        let run = self.streams.get_mut(&stream).expect("a stream of the job");
        let truth = &around.truths[&stream];
        // One that nobody has heard of begins with a barrier, and under its plan.
        let first = opened.stops.front().filter(|stop| stop.at == opened.at && opened.behind == Epoch(0));
        let plan_of = |mark: &Mark| if let Mark::Barrier { plan, .. } = mark { Some(*plan) } else { None };
        let plan = first.and_then(|stop| stop.marks.iter().find_map(plan_of)).unwrap_or(opened.plan);
        let plan = Arc::clone(&run.plans[&plan]);
        let chain = Chain::open_again(split, term, opened, chain_options(truth), &plan, truth.key_groups);
        let found = &truth.splits[&split];
        let mut reader = RowReader::new(found.rows.clone());
        reader.seek(opened.at);
        let mut task = Task::new(stream, term, chain, plan, reader, &around.pace);
        (task.marked, task.up, task.ended) = (opened.behind, up, opened.over);
        if let Some(PlacedMark { behind, watermark, .. }) = &opened.placed {
            task.facts.push(Fact::Placed(stream, *behind, split, watermark.watermark(truth.plan.bound_us)));
        }
        if opened.over {
            task.facts.push(Fact::SplitEnded(stream, split));
        } else {
            invariants::nothing_needed_is_forgotten((stream, split), opened.at, found.forgotten)?;
            let is_due = |ordered: &Ordered| ordered.epoch > opened.barrier && ordered.splits.contains(&split);
            task.begin_again(run.ordered.clone().filter(is_due), run.plans.clone());
            around.later(0, Happening::Read(stream, split, term));
        }
        run.tasks.insert(split, task);
        self.forward(around, stream, split)
    }
}
