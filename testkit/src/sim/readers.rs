//! Readers of splits that are lost, and replaced in a running process. What the engine's supervisor does with cores and queues is done here with
//! questions and answers on their way, so that what the lost reader has sent may arrive behind the answer, and is void then.

use super::actor::{Actor, Lane, Place};
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
use raympp_types::{Epoch, Offset, PartitionId, SplitId, SplitTerm, StreamId};
use std::collections::BTreeSet;
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
    /// From which nobody has answered.
    lanes: BTreeSet<Lane>,
    /// Facts are told in order, whoever tells them.
    up: Link,
}

impl StreamRun {
    /// Rows that all replicas have applied of a split. One that is lost counts until that is noticed, since the split may be opened for it.
    pub(super) fn lowest_applied(&self, split: SplitId) -> Offset {
        let applied = |actor: &Actor| actor.replica.splits().get(&split).map_or(Offset(0), |progress| progress.applied);
        let lost = self.lost.values().map(|applied| applied.get(&split).copied().unwrap_or_default());
        self.actors.iter().flatten().map(applied).chain(lost).min().unwrap_or_default()
    }

    /// True if all replicas have seen the end of a split.
    fn have_seen_end(&self, split: SplitId) -> bool {
        self.actors.iter().flatten().all(|actor| actor.replica.splits().get(&split).is_some_and(|progress| progress.ended))
    }

    /// A replica forgets marks that stand before all replicas.
    pub(super) fn forget_marks(&mut self, place: Place, split: SplitId) {
        let lowest = self.lowest_applied(split);
        if let Some(actor) = self.actor(place) {
            actor.replica.forget_marks(split, lowest);
        }
    }
}

impl Process {
    /// The reader of a split is gone, with all that it has not sent; all listeners are asked how far they are.
    pub(super) fn lose_reader(&mut self, around: &mut Around, stream: StreamId, split: SplitId) {
        let run = self.run(stream);
        let Some(task) = run.tasks.remove(&split) else { return };
        if task.ended && run.have_seen_end(split) {
            run.tasks.insert(split, task);
            return;
        }
        around.tally.readers_lost += 1;
        around.note(format!("{stream}, {split} loses its reader at {}", task.chain.offset()));
        let (term, lanes) = (task.term.next(), run.lanes());
        let partitions = (0..run.actors.len() as u32).map(PartitionId);
        let coordinator = &self.coordinator;
        let replicas = partitions.flat_map(|partition| {
            let in_sync = coordinator.in_sync(stream, partition).into_iter();
            in_sync.map(move |replica| Listener::Replica((partition, replica)))
        });
        let mut opening = Opening::new(replicas.chain([Listener::Persister]));
        let run = self.streams.get_mut(&stream).expect("a stream of the job");
        let queue = run.followers.get_mut(&split).expect("it came with the task");
        opening.answer(Listener::Persister, queue.answer(term).expect("the term is new"));
        for &lane in &lanes {
            let delay_us = around.delay(around.pace.hop_us);
            around.later(delay_us, Happening::Question(stream, lane, split, term));
        }
        run.unread.insert(split, Unread { term, opening, lanes, up: task.up });
    }

    /// Replicas answer, and from now on take nothing of the reader that was lost.
    pub(super) fn answer(&mut self, around: &mut Around, stream: StreamId, lane: Lane, (split, term): (SplitId, SplitTerm)) {
        let run = self.run(stream);
        let on_lane = run.on_lane(lane);
        let answers: Vec<(Place, Answer)> = on_lane.filter_map(|actor| Some((actor.place, actor.replica.answer(split, term)?))).collect();
        for (place, answer) in &answers {
            around.note(format!("{stream}, {place:?} answers for {split}: {} behind {}", answer.applied, answer.barrier));
        }
        around.send(&mut run.noticed, Happening::Answered(stream, lane, split, term, answers));
    }

    pub(super) fn answered(
        &mut self,
        around: &mut Around,
        stream: StreamId,
        lane: Lane,
        (split, term): (SplitId, SplitTerm),
        answers: Vec<(Place, Answer)>,
    ) -> Outcome {
        let run = self.run(stream);
        let Some(unread) = run.unread.get_mut(&split).filter(|unread| unread.term == term) else { return Ok(()) };
        unread.lanes.remove(&lane);
        answers.into_iter().for_each(|(place, answer)| unread.opening.answer(Listener::Replica(place), answer));
        self.open_complete(around, stream, split)
    }

    /// A copy stands where its original has answered.
    pub(super) fn answers_for_copy(&mut self, stream: StreamId, original: Place, copy: Place) {
        for unread in self.run(stream).unread.values_mut() {
            unread.opening.copied(Listener::Replica(original), Listener::Replica(copy));
        }
    }

    /// Nobody waits for the answers of a replica that is lost.
    pub(super) fn answers_without(&mut self, around: &mut Around, stream: StreamId, place: Place) -> Outcome {
        let unread = &mut self.run(stream).unread;
        unread.values_mut().for_each(|unread| unread.opening.remove(Listener::Replica(place)));
        let splits: Vec<SplitId> = unread.keys().copied().collect();
        splits.into_iter().try_for_each(|split| self.open_complete(around, stream, split))
    }

    /// Opens the split if all have answered.
    fn open_complete(&mut self, around: &mut Around, stream: StreamId, split: SplitId) -> Outcome {
        let run = self.run(stream);
        let Some(unread) = run.unread.get_mut(&split).filter(|unread| unread.lanes.is_empty()) else { return Ok(()) };
        let term = unread.term;
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
