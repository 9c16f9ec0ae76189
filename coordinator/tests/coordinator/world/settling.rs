//! The end of a run: everything that is under way arrives, and then certain things must hold.

use super::{INTERVAL_US, Step, World, Write};
use raympp_types::{Epoch, EventTime};
use std::collections::BTreeSet;

impl World {
    /// Lets everything that is under way arrive, without further failures.
    pub(crate) fn settle(&mut self) {
        self.streams.values_mut().flat_map(|stream| &mut stream.partitions).for_each(|partition| partition.next_fails = false);
        self.sinks.values_mut().for_each(|sink| sink.next_fails = false);
        for _ in 0..6 {
            self.pass(INTERVAL_US);
            while self.goes_on() {}
        }
    }

    /// Everybody does what there is to do. True if somebody had something to say.
    fn goes_on(&mut self) -> bool {
        for index in 0..self.streams.len() {
            let stream = self.stream(index).unwrap();
            let (splits, partitions) = (stream.splits.len(), stream.partitions.len());
            (0..splits).for_each(|split| self.take(&Step::Mark(index, split)));
            (0..partitions).for_each(|partition| self.take(&Step::Ack(index, partition)));
        }
        (0..self.sinks.len()).for_each(|sink| self.take(&Step::Prepare(sink)));
        self.take(&Step::Write(Write::Done));
        self.hear_all()
    }

    fn hear_all(&mut self) -> bool {
        let mut any = false;
        while let Some(step) = self.next_report() {
            any = true;
            self.take(&step);
        }
        any
    }

    fn next_report(&self) -> Option<Step> {
        for (index, stream) in self.streams.values().enumerate() {
            if let Some(split) = stream.splits.values().position(|split| !split.reports.is_empty()) {
                return Some(Step::HearSplit(index, split));
            }
            if let Some(partition) = stream.partitions.iter().position(|partition| !partition.reports.is_empty()) {
                return Some(Step::HearPartition(index, partition));
            }
        }
        let sink = self.sinks.values().position(|sink| !sink.reports.is_empty());
        sink.map(Step::HearSink).or((!self.store.reports.is_empty()).then_some(Step::HearStore))
    }

    /// What must hold once everything has arrived.
    pub(crate) fn check_settled(&mut self) {
        assert_eq!(self.coordinator.in_flight(), 0, "epochs in flight");
        assert_eq!(self.store.committed, self.coordinator.committed());
        for stream in self.streams.values() {
            assert_eq!(stream.wants_to_join, BTreeSet::new(), "splits that wait to join {}", stream.id);
            assert_eq!(stream.in_force, stream.plan, "the newest plan of {} is in force", stream.id);
            if !stream.splits.is_empty() {
                let held = &self.store.snapshots[&stream.id];
                assert_eq!(held.plan, stream.plan, "{} as committed", stream.id);
                assert_eq!(held.frontier == EventTime::MAX, stream.is_complete_as_heard(), "{} as committed", stream.id);
            }
        }
        for (id, sink) in &self.sinks {
            let stream = &self.streams[&sink.stream];
            let shows_all = match sink.published {
                Some((_, frontier)) if stream.is_complete_as_heard() => frontier == EventTime::MAX,
                Some((epoch, _)) => Some(&epoch) == sink.asked.last(),
                None => stream.splits.is_empty(),
            };
            assert!(shows_all, "what {id} shows: {:?}", sink.published);
        }
        self.check_rest();
    }

    /// With nothing left to be read, there are no more epochs.
    fn check_rest(&mut self) {
        if self.streams.values().all(|stream| stream.live_as_heard().is_empty()) {
            assert_eq!(self.coordinator.due_us(), None, "something is due");
            let newest = self.newest();
            self.pass(10 * INTERVAL_US);
            assert_eq!(self.newest(), newest, "an epoch for nothing");
        }
    }

    /// Epochs that sinks may show, since the process started.
    pub(crate) fn published(&self) -> Vec<Epoch> {
        let shown = self.epochs.iter().filter(|(_, epoch)| epoch.stage == super::Stage::Published);
        shown.map(|(&epoch, _)| epoch).collect()
    }
}
