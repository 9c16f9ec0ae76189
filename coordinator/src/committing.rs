//! Epochs in flight: started, and neither committed nor given up.
//!
//! An epoch is *whole* when its barrier is placed in all its streams, every partition of them has acked, and all its sinks have prepared. The
//! lowest epoch in flight is committed when it is whole, so commits go in order, and one at a time: the next is asked for when the last one's
//! outcome is known. A write that failed may have happened or not; nothing more is committed until the store has told which.
//!
//! Giving an epoch up is always safe before its commit is asked for: whatever it has is also within the reach of the next one, which takes part in
//! the same streams and stands for both. All acks of one stream and epoch must carry one vector; if not, some replica has taken a barrier at another
//! offset, and the epoch is given up rather than committed wrong.

use crate::action::{Action, StreamEpoch};
use crate::fact::{Failure, Vector};
use raympp_types::{Epoch, EventTime, PartitionId, PlanVersion, SinkId, StreamId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A stream's part in an epoch.
struct Part {
    /// F(n) and the plan, when the barrier is placed.
    placed: Option<(EventTime, PlanVersion)>,
    /// Partitions that have not acked.
    waiting: BTreeSet<PartitionId>,
    /// V(n), as the first ack has it.
    vector: Option<Vector>,
}

/// An epoch in flight.
#[derive(Default)]
struct InFlight {
    parts: BTreeMap<StreamId, Part>,
    /// Sinks that have not prepared.
    sinks: BTreeMap<SinkId, StreamId>,
}

impl InFlight {
    fn is_whole(&self) -> bool {
        self.sinks.is_empty() && self.parts.values().all(|part| part.placed.is_some() && part.waiting.is_empty())
    }

    fn streams(&self) -> Arc<[StreamEpoch]> {
        let placed = |(&stream, part): (&StreamId, &Part)| {
            let (frontier, plan) = part.placed?;
            Some(StreamEpoch { stream, frontier, plan })
        };
        self.parts.iter().filter_map(placed).collect()
    }
}

/// The commit of the lowest epoch in flight.
#[derive(Default)]
enum Writing {
    #[default]
    Nothing,
    /// It has been asked for.
    Asked(Arc<[StreamEpoch]>),
    /// It has failed, and nobody knows what the store holds.
    InDoubt(Arc<[StreamEpoch]>),
}

/// See the module.
pub(crate) struct Flight {
    epochs: BTreeMap<Epoch, InFlight>,
    committed: Epoch,
    writing: Writing,
    violations: u64,
    given_up: BTreeMap<Failure, u64>,
}

impl Flight {
    /// With nothing in flight after a committed epoch.
    pub(crate) fn after(committed: Epoch) -> Flight {
        Flight { epochs: BTreeMap::new(), committed, writing: Writing::Nothing, violations: 0, given_up: BTreeMap::new() }
    }

    pub(crate) fn committed(&self) -> Epoch {
        self.committed
    }

    pub(crate) fn len(&self) -> usize {
        self.epochs.len()
    }

    pub(crate) fn violations(&self) -> u64 {
        self.violations
    }

    pub(crate) fn given_up(&self, why: Failure) -> u64 {
        self.given_up.get(&why).copied().unwrap_or(0)
    }

    /// True if one of these is in flight.
    pub(crate) fn has_any(&self, epochs: RangeInclusive<Epoch>) -> bool {
        self.epochs.range(epochs).next().is_some()
    }

    /// The highest epoch in flight.
    pub(crate) fn newest(&self) -> Option<Epoch> {
        self.epochs.last_key_value().map(|(&epoch, _)| epoch)
    }

    /// An epoch starts with these streams, each with its number of partitions, and these sinks.
    pub(crate) fn start(&mut self, epoch: Epoch, streams: impl Iterator<Item = (StreamId, u32)>, sinks: BTreeMap<SinkId, StreamId>) {
        let part = |partitions| Part { placed: None, waiting: (0..partitions).map(PartitionId).collect(), vector: None };
        let parts = streams.map(|(stream, partitions)| (stream, part(partitions))).collect();
        self.epochs.insert(epoch, InFlight { parts, sinks });
    }

    /// The barrier is placed in a stream: its sinks can prepare.
    pub(crate) fn placed(&mut self, stream: StreamId, epoch: Epoch, frontier: EventTime, plan: PlanVersion) -> Vec<Action> {
        let Some(flying) = self.epochs.get_mut(&epoch) else { return Vec::new() };
        if let Some(part) = flying.parts.get_mut(&stream) {
            part.placed = Some((frontier, plan));
        }
        let of_stream = flying.sinks.iter().filter(|(_, of)| **of == stream);
        of_stream.map(|(&sink, _)| Action::Prepare { sink, epoch, frontier }).collect()
    }

    /// True if the vector is another one than partitions before had.
    pub(crate) fn acked(&mut self, stream: StreamId, epoch: Epoch, partition: PartitionId, vector: &Vector) -> bool {
        let part = self.epochs.get_mut(&epoch).and_then(|flying| flying.parts.get_mut(&stream));
        let Some(part) = part else { return false };
        if part.vector.get_or_insert_with(|| Arc::clone(vector)) != vector {
            self.violations += 1;
            return true;
        }
        part.waiting.remove(&partition);
        false
    }

    pub(crate) fn prepared(&mut self, sink: SinkId, epoch: Epoch) {
        if let Some(flying) = self.epochs.get_mut(&epoch) {
            flying.sinks.remove(&sink);
        }
    }

    pub(crate) fn drop_stream(&mut self, stream: StreamId) {
        for flying in self.epochs.values_mut() {
            flying.parts.remove(&stream);
            flying.sinks.retain(|_, of| *of != stream);
        }
    }

    pub(crate) fn drop_sink(&mut self, sink: SinkId) {
        for flying in self.epochs.values_mut() {
            flying.sinks.remove(&sink);
        }
    }

    /// Asks for the next commit, if it is time.
    pub(crate) fn next_commit(&mut self) -> Option<Action> {
        let (&epoch, first) = self.epochs.first_key_value()?;
        if !matches!(self.writing, Writing::Nothing) || !first.is_whole() {
            return None;
        }
        let streams = first.streams();
        self.writing = Writing::Asked(Arc::clone(&streams));
        Some(Action::Commit { epoch, streams })
    }

    fn is_being_written(&self, epoch: Epoch) -> bool {
        !matches!(self.writing, Writing::Nothing) && self.epochs.first_key_value().is_some_and(|(&first, _)| first == epoch)
    }

    /// The commit that was asked for is durable.
    pub(crate) fn commit(&mut self, epoch: Epoch) -> Option<Action> {
        if !self.is_being_written(epoch) {
            return None;
        }
        let (Writing::Asked(streams) | Writing::InDoubt(streams)) = std::mem::take(&mut self.writing) else { return None };
        self.epochs.remove(&epoch);
        self.committed = epoch;
        Some(Action::Publish { epoch, streams })
    }

    /// The commit that was asked for has failed, with or without effect.
    pub(crate) fn doubt(&mut self, epoch: Epoch) {
        if self.is_being_written(epoch)
            && let Writing::Asked(streams) | Writing::InDoubt(streams) = std::mem::take(&mut self.writing)
        {
            self.writing = Writing::InDoubt(streams);
        }
    }

    /// The store tells what is committed in it.
    pub(crate) fn reopened(&mut self, last: Epoch) -> Option<Action> {
        let (&epoch, _) = self.epochs.first_key_value()?;
        match self.writing {
            Writing::InDoubt(_) if last >= epoch => self.commit(epoch),
            Writing::InDoubt(_) => {
                self.writing = Writing::Nothing;
                self.give_up(epoch, Failure::Commit)
            }
            _ => None,
        }
    }

    /// Gives an epoch up, unless it is being written or is not in flight.
    pub(crate) fn give_up(&mut self, epoch: Epoch, why: Failure) -> Option<Action> {
        if self.is_being_written(epoch) {
            return None;
        }
        self.epochs.remove(&epoch)?;
        *self.given_up.entry(why).or_default() += 1;
        Some(Action::GiveUp { epoch, why })
    }
}
