//! What makes a standby ready to take the primary's place, and what it does then.
//!
//! The primary says how far consumers have got everything from it: windows and changes up to a frontier, epochs, late rows of each split. A
//! standby keeps what lies beyond: it closes windows up to that frontier only, and keeps the late rows and the barriers behind it. Promoted, it sends
//! what it has kept, which may come to consumers a second time, under a higher term; they drop what they have ([`crate::consumer::Intake`]). Queues
//! outlive actors, so what has been put into one has been received.
//!
//! Cost: a standby holds the windows that the primary has closed and not yet handed over, and the primary stores a few numbers when nothing is owed.

use super::{Actor, PassedBarrier};
use crate::stream::Stream;
use raympp_coordinator::Fact;
use raympp_state::opening::Answer;
use raympp_types::{Epoch, EventTime, Offset, ReplicaId, SplitId, SplitTerm, Term};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Actor {
    /// Says how far everything has been handed over. To be called when nothing is owed and nothing is left to close.
    pub(super) fn publish_handed(&self) {
        let counters = self.counters();
        // A running total that was forgotten and has yet to be said is in nobody's memory but this actor's: standbys must not forget it too.
        if !self.changelogs.iter().any(|changelog| changelog.holds_let_go()) {
            counters.handed_us.store(self.replica.closing_frontier().0, Ordering::Release);
        }
        counters.sealed.store(self.sealed.0, Ordering::Release);
        if self.stream.keeps_late_rows.load(Ordering::Relaxed) {
            for (split, counters) in self.stream.splits.lock().iter() {
                if self.counts_of(*split)
                    && let Some(progress) = self.replica.splits().get(split)
                {
                    counters.late_handed.store(progress.applied.0, Ordering::Release);
                }
            }
        }
    }

    /// True if this partition owns the split's counts.
    fn counts_of(&self, split: SplitId) -> bool {
        self.stream.key_groups.counts_in(split) == self.partition
    }

    /// Closes no further than consumers have everything from the primary, and forgets what they have.
    pub(super) fn follow_primary(&mut self) {
        let counters = &self.stream.partitions[self.partition.0 as usize];
        self.replica.close_up_to(EventTime(counters.handed_us.load(Ordering::Acquire)));
        let sealed = Epoch(counters.sealed.load(Ordering::Acquire));
        while self.sealing.pop_front_if(|passed| passed.epoch <= sealed).is_some() {}
    }

    /// Forgets late rows that consumers have.
    pub(super) fn forget_late(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let splits = self.stream.splits.lock();
        let handed = |split: &SplitId| splits.get(split).map_or(u64::MAX, |counters| counters.late_handed.load(Ordering::Acquire));
        let kept = self.stream.keeps_late_rows.load(Ordering::Relaxed);
        self.late.retain(|late| kept && late.to.0 > handed(&late.split));
    }

    /// Says how far a split has been applied.
    pub(super) fn note_applied(&self, split: SplitId) {
        let applied = self.replica.splits().get(&split).map_or(Offset(0), |progress| progress.applied);
        self.stream.note_applied(split, self.partition, (self.slot, self.primary), applied);
    }

    /// Marks that every replica is past are not needed any more.
    pub(super) fn forget_marks(&mut self) {
        let splits: Vec<SplitId> = self.replica.splits().keys().copied().collect();
        for split in splits {
            self.replica.forget_marks(split, self.stream.lowest_applied(split));
        }
    }

    /// The word that a barrier is passed, if it is this actor's to give: with checkpoints the persister acks what it has written.
    pub(super) fn ack(&self, passed: &PassedBarrier) -> Option<Fact> {
        let PassedBarrier { epoch, vector, .. } = passed.clone();
        let speaks = self.primary && self.stream.host.persister.is_none();
        speaks.then(|| Fact::Acked { stream: self.stream.id, epoch, partition: self.partition, vector })
    }

    /// Answers the next reader of a split.
    pub(crate) fn answer(&mut self, split: SplitId, term: SplitTerm) -> Option<Answer> {
        self.replica.answer(split, term)
    }

    /// Takes the place of a primary that is lost: sends what consumers may not have, under a term of its own. Returns what the coordinator
    /// may not have heard.
    pub(crate) fn promote(&mut self, term: Term) -> Vec<Fact> {
        self.follow_primary();
        (self.primary, self.term) = (true, term);
        self.replica.set_term(term);
        self.replica.close_up_to(EventTime::MAX);
        (self.at_rest, self.complete) = (false, false);
        self.stream.set_view(self.partition, self.slot, true, Arc::clone(self.replica.view()));
        let splits: Vec<SplitId> = self.replica.splits().keys().copied().collect();
        splits.into_iter().for_each(|split| self.note_applied(split));
        self.publish_late();
        self.publish_counters();
        self.publish_sizes();
        self.watch_changes(true);
        self.sealing.iter().filter_map(|passed| self.ack(passed)).collect()
    }

    /// A copy is to be made of it when it has handed over all that has closed.
    pub(crate) fn copy_later(&mut self, id: ReplicaId, slot: usize) {
        if self.primary {
            self.copies.push((id, slot));
        }
    }

    /// Copies that are due: each has what this one has and gets what it will get, if it is put on the same core at once.
    pub(crate) fn take_copies(&mut self) -> Vec<Actor> {
        let handed_us = self.counters().handed_us.load(Ordering::Relaxed);
        // What has closed and is not handed over, nobody could send again for the copy.
        if self.copies.is_empty() || !self.at_rest || handed_us != self.replica.closing_frontier().0 {
            return Vec::new();
        }
        let copies = std::mem::take(&mut self.copies);
        copies.into_iter().map(|(id, slot)| self.copy(id, slot)).collect()
    }

    fn copy(&self, id: ReplicaId, slot: usize) -> Actor {
        let stream: Arc<Stream> = Arc::clone(&self.stream);
        let actor = Actor::new(stream, self.partition, id, slot, false, self.replica.copy());
        let splits: Vec<SplitId> = actor.replica.splits().keys().copied().collect();
        splits.into_iter().for_each(|split| actor.note_applied(split));
        Actor { sealing: self.sealing.clone(), rows_by_store: self.rows_by_store.clone(), ..actor }
    }

    /// It is broken and will be dropped: nobody waits for it any more.
    pub(crate) fn abandon(&mut self) {
        self.hold_stream(false);
    }
}
