//! Replicas that are lost, promoted and copied in a running process. What a core of the engine tells its supervisor is on its way here, so a partition
//! is without a primary for a while, and a primary that is to be copied may be lost before.

use super::actor::{Actor, Lane, Place};
use super::around::Around;
use super::invariants::{self, Outcome};
use super::process::{Happening, Process};
use raympp_coordinator::Fact;
use raympp_state::replica::Replica;
use raympp_types::{PartitionId, ReplicaId, SplitId, StreamId, Term};
use std::sync::Arc;

impl Process {
    /// A replica is gone, with all that it has not handed over.
    pub(super) fn lose_replica(&mut self, around: &mut Around, stream: StreamId, partition: PartitionId, primary: bool) {
        let run = self.run(stream);
        let alive = &mut run.actors[partition.0 as usize];
        let Some(at) = alive.iter().position(|actor| actor.primary == primary) else { return };
        let lost = alive.remove(at);
        let place = lost.place;
        run.lost.insert(place, lost.replica.splits().iter().map(|(&split, progress)| (split, progress.applied)).collect());
        around.tally.replicas_lost += 1;
        around.note(format!("{stream}, {place:?} is lost"));
        around.send(&mut run.noticed, Happening::Lost(stream, place));
    }

    pub(super) fn notice_loss(&mut self, around: &mut Around, stream: StreamId, place: Place) -> Outcome {
        self.learn(around, Fact::ReplicaLost(stream, place.0, place.1))?;
        self.answers_without(around, stream, place)?;
        self.run(stream).lost.remove(&place);
        Ok(())
    }

    pub(super) fn notice_copy(&mut self, around: &mut Around, stream: StreamId, original: Place, copy: Place) -> Outcome {
        self.answers_for_copy(stream, original, copy);
        self.learn(around, Fact::ReplicaInSync(stream, copy.0, copy.1))
    }

    pub(super) fn promote(&mut self, around: &mut Around, stream: StreamId, lane: Lane, (replica, term): (ReplicaId, Term)) -> Outcome {
        let run = self.run(stream);
        let place = (lane.0, replica);
        let Some((actor, handed)) = run.actor_with_handed(place).filter(|(actor, _)| actor.lane == lane) else { return Ok(()) };
        around.tally.promotions += 1;
        around.note(format!("{stream}, {place:?} is promoted under {term}"));
        actor.promote(term, handed);
        invariants::one_primary(&run.actors[place.0.0 as usize])?;
        self.schedule_close(around, stream, place);
        Ok(())
    }

    /// The primary, if it is there, is to be copied as soon as that can be.
    pub(super) fn copy_later(&mut self, around: &mut Around, stream: StreamId, lane: Lane, replica: ReplicaId) {
        let primary = self.run(stream).on_lane(lane).find(|actor| actor.primary);
        let place = primary.map(|primary| {
            primary.copies.push(replica);
            primary.place
        });
        place.into_iter().for_each(|place| self.schedule_close(around, stream, place));
    }

    /// Says how far sinks have everything from a primary, and makes copies that are due.
    pub(super) fn publish_handed(&mut self, around: &mut Around, stream: StreamId, place: Place) {
        let key_groups = around.truths[&stream].key_groups;
        let run = self.run(stream);
        let Some(primary) = run.actor(place) else { return };
        let Some(handed) = primary.handed(key_groups) else { return };
        for copy in primary.take_copies() {
            around.note(format!("{stream}, {:?} is a copy of {place:?}", copy.place));
            around.send(&mut run.noticed, Happening::Copied(stream, place, copy.place));
            let alive = &mut run.actors[place.0.0 as usize];
            // Of a canary.
            alive.retain(|actor| actor.place != copy.place);
            alive.push(copy);
        }
        let published = &mut run.handed[place.0.0 as usize];
        if *published != handed {
            *published = handed;
            self.schedule_close_of(around, stream, place.0);
        }
    }

    /// A replica that has nothing yet, taken for one in sync.
    pub(super) fn place_empty(&mut self, around: &mut Around, stream: StreamId, place: Place) {
        let run = self.streams.get_mut(&stream).expect("a stream of the job");
        let Some(other) = run.actors[place.0.0 as usize].first() else { return };
        let (truth, splits) = (&around.truths[&stream], other.replica.splits().keys().copied().collect::<Vec<SplitId>>());
        let plan = Arc::clone(other.replica.plan());
        let empty = Replica::new(place.0, plan, truth.plan.bound_us, super::start::time_type(truth), &splits);
        let empty = Actor::new(place, other.lane, false, empty);
        run.actors[place.0.0 as usize].push(empty);
        around.send(&mut run.noticed, Happening::Learn(Fact::ReplicaInSync(stream, place.0, place.1)));
    }
}
