//! What the coordinator is told and does, against what has truly happened.

use super::{EpochWorld, IN_FLIGHT_MAX, Stage, StreamWorld, World};
use raympp_coordinator::{Action, Fact, Failure, StreamEpoch};
use raympp_types::{Epoch, EventTime, SinkId, StreamId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl World {
    pub(super) fn tell(&mut self, fact: Fact) {
        self.note_heard(&fact);
        for action in self.coordinator.learn(fact) {
            self.carry_out(action);
        }
        assert!(self.in_flight() <= self.coordinator.in_flight(), "epochs in flight");
        assert!(self.coordinator.in_flight() <= IN_FLIGHT_MAX, "too many epochs in flight");
        assert_eq!(self.coordinator.violations(), 0);
        while let Some(stream) = self.looks.pop_front() {
            let splits = self.streams[&stream].splits.iter();
            let shown = splits.map(|(&id, split)| (id, split.watermark)).collect();
            self.tell(Fact::Watermarks(stream, shown));
        }
    }

    /// From now on the coordinator knows.
    fn note_heard(&mut self, fact: &Fact) {
        match fact {
            Fact::SplitIdle(id, split, silence) => {
                self.world_of(*id).idle_heard.insert(*split, silence.since_us);
            }
            Fact::SplitActive(id, split) => {
                self.world_of(*id).idle_heard.remove(split);
            }
            Fact::SplitEnded(id, split) => {
                self.world_of(*id).idle_heard.remove(split);
                self.world_of(*id).ends_heard.insert(*split);
            }
            Fact::Acked { stream, epoch, partition, .. } => {
                self.world_of(*stream).partitions[partition.0 as usize].heard.insert(*epoch);
            }
            Fact::Prepared(sink, epoch) => {
                self.sinks.get_mut(sink).unwrap().heard.insert(*epoch);
            }
            Fact::Failed(_, Failure::Commit) => self.store.in_doubt = true,
            Fact::Reopened(_) => self.store.in_doubt = false,
            _ => {}
        }
    }

    fn world_of(&mut self, id: StreamId) -> &mut StreamWorld {
        self.streams.get_mut(&id).expect("the stream exists")
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Barrier { stream, epoch, splits, plan } => {
                self.note_epoch(epoch);
                self.world_of(stream).start(epoch, splits, plan);
            }
            Action::Open { stream, split, epoch, splits, plan, floor } => {
                self.note_epoch(epoch);
                self.world_of(stream).open(split, epoch, &splits, plan, floor);
            }
            Action::Refuse { stream, split } => self.world_of(stream).refuse(split),
            Action::InForce { stream, plan, carried } => self.world_of(stream).come_into_force(plan, carried),
            Action::Look(stream) => self.looks.push_back(stream),
            Action::Floor { stream, split, since_us, floor } => self.world_of(stream).raise(split, since_us, floor),
            Action::Seal { stream, epoch } => {
                self.note_epoch(epoch);
                assert_ne!(self.epochs[&epoch].stage, Stage::GivenUp, "{epoch} is sealed although nobody needs it any more");
                self.world_of(stream).seal(epoch);
            }
            Action::Prepare { sink, epoch, frontier } => self.ask_sink(sink, epoch, frontier),
            Action::Commit { epoch, streams } => self.ask_commit(epoch, streams),
            Action::Publish { epoch, streams } => self.publish(epoch, &streams),
            Action::GiveUp { epoch, why } => self.give_up(epoch, why),
            Action::Promote { .. } | Action::Repair { .. } | Action::Orphaned { .. } => unreachable!("no replica of this world is lost"),
        }
    }

    /// The first word of an epoch.
    fn note_epoch(&mut self, epoch: Epoch) {
        if self.epochs.contains_key(&epoch) {
            return;
        }
        assert!(epoch > self.restored, "{epoch} was committed before the process started");
        assert!(epoch > self.newest(), "{epoch} after {}", self.newest());
        self.streams.values().for_each(|stream| stream.check_last_placed(epoch));
        let expected = self.streams.values().filter(|stream| stream.has_to_take_part()).map(|stream| stream.id).collect();
        self.epochs.insert(epoch, EpochWorld { stage: Stage::Flying, expected });
    }

    /// An epoch whose streams have never had a split shows only at its end.
    fn note_late(&mut self, epoch: Epoch) {
        let unseen = || EpochWorld { stage: Stage::Flying, expected: BTreeSet::new() };
        self.epochs.entry(epoch).or_insert_with(unseen);
    }

    /// Sinks are asked in order of epochs, when the barrier is behind all splits.
    fn ask_sink(&mut self, id: SinkId, epoch: Epoch, frontier: EventTime) {
        assert_eq!(self.epochs[&epoch].stage, Stage::Flying, "{epoch} is prepared in vain");
        let sink = self.sinks.get_mut(&id).expect("the sink exists");
        assert!(sink.since <= epoch && sink.asked.last().is_none_or(|last| *last < epoch), "{id} is asked for {epoch}");
        let stream = &self.streams[&sink.stream];
        assert!(stream.last_seen(self.restored, epoch) == Some(epoch) && stream.has_passed(epoch), "{id} can't have all of {epoch}");
        assert_eq!(frontier, stream.frontier(epoch), "the frontier of {} at {epoch}", stream.id);
        sink.asked.insert(epoch);
        sink.waiting.push_back(epoch);
    }

    /// Epochs are committed in order, one at a time, each with all that older ones had, when everybody has said so.
    fn ask_commit(&mut self, epoch: Epoch, streams: Arc<[StreamEpoch]>) {
        self.note_late(epoch);
        assert!(!self.store.in_doubt, "{epoch} is committed while nobody knows what is");
        assert_eq!(self.epochs[&epoch].stage, Stage::Flying, "{epoch} is committed twice");
        let settled = |stage: &Stage| matches!(stage, Stage::Published | Stage::GivenUp);
        assert!(self.epochs.range(..epoch).all(|(_, before)| settled(&before.stage)), "{epoch} before older ones");
        for part in streams.iter() {
            self.check_part(epoch, part);
        }
        let has = |stream: StreamId| streams.iter().any(|part| part.stream == stream);
        for stream in self.streams.values() {
            let expected = self.epochs[&epoch].expected.contains(&stream.id);
            let owed = self.is_owed(stream, epoch);
            assert!(has(stream.id) || !(expected || owed), "{epoch} without {}", stream.id);
        }
        for (id, sink) in self.sinks.iter().filter(|(_, sink)| has(sink.stream)) {
            let of_this = sink.since <= epoch && self.streams[&sink.stream].last_seen(self.restored, epoch) == Some(epoch);
            assert!(!of_this || sink.heard.contains(&epoch), "{epoch} without {id}");
        }
        self.epochs.get_mut(&epoch).unwrap().stage = Stage::Asked(Arc::clone(&streams));
        assert!(self.store.writing.replace((epoch, streams)).is_none(), "one commit at a time");
    }

    /// The stream has something in epochs up to this one that the store lacks.
    fn is_owed(&self, stream: &StreamWorld, epoch: Epoch) -> bool {
        let held = self.store.snapshots.get(&stream.id);
        let complete = |plan| held.is_some_and(|held| held.frontier == EventTime::MAX && held.plan == plan);
        let last = stream.last_seen(self.store.committed, epoch);
        last.is_some_and(|last| !complete(stream.snapshot(last).plan))
    }

    fn check_part(&self, epoch: Epoch, part: &StreamEpoch) {
        let stream = &self.streams[&part.stream];
        assert_eq!(part.frontier, stream.frontier(epoch), "the frontier of {} at {epoch}", stream.id);
        let Some(last) = stream.last_seen(self.restored, epoch) else {
            assert!(stream.splits.values().all(|split| split.joined > epoch), "{epoch} has nothing of {}", stream.id);
            return;
        };
        if last == epoch {
            let acked = stream.partitions.iter().all(|partition| partition.heard.contains(&epoch));
            assert!(acked && stream.has_passed(epoch), "{epoch} without all acks of {}", stream.id);
            assert_eq!(part.plan, stream.snapshot(epoch).plan, "the plan of {} at {epoch}", stream.id);
        } else {
            panic!("{epoch} holds nothing new of {}, which {last} has", stream.id);
        }
    }

    /// Nothing is shown that is not durable, and nothing twice.
    fn publish(&mut self, epoch: Epoch, streams: &Arc<[StreamEpoch]>) {
        assert!(self.store.committed >= epoch, "{epoch} is not durable");
        let stage = &mut self.epochs.get_mut(&epoch).unwrap().stage;
        assert_eq!(*stage, Stage::Asked(Arc::clone(streams)), "what is published of {epoch}");
        *stage = Stage::Published;
        assert_eq!(self.coordinator.committed(), self.newest_published());
        for sink in self.sinks.values_mut().filter(|sink| sink.heard.contains(&epoch)) {
            let part = streams.iter().find(|part| part.stream == sink.stream).expect("a sink prepares what is committed");
            sink.published = Some((epoch, part.frontier));
        }
    }

    fn newest_published(&self) -> Epoch {
        let published = self.epochs.iter().rev().find(|(_, epoch)| epoch.stage == Stage::Published);
        published.map_or(self.restored, |(&epoch, _)| epoch)
    }

    /// Only what is not committed and will not be is given up, and no more than is needed.
    fn give_up(&mut self, epoch: Epoch, why: Failure) {
        if why == Failure::Crowded {
            let waits = |stream: &StreamWorld| !stream.wants_to_join.is_empty() || stream.plan > stream.in_force;
            assert!(self.streams.values().any(waits), "{epoch} is given up although nobody waits");
        }
        self.note_late(epoch);
        let stage = &self.epochs[&epoch].stage;
        match why {
            Failure::Commit => assert!(matches!(stage, Stage::Asked(_)) && self.store.committed < epoch, "{epoch} is durable"),
            _ => assert_eq!(*stage, Stage::Flying, "{epoch} may be committed, or is given up twice"),
        }
        self.epochs.get_mut(&epoch).unwrap().stage = Stage::GivenUp;
    }
}
