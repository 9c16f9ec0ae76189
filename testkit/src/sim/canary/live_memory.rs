//! A list made from live memory: rows that a partition has applied behind a barrier, while it waits for that barrier from other splits, are in
//! the list of the epoch before it.
//!
//! It is planted between actor and persister: of what follows a barrier in its split, the first delta's rows are handed over in front of the
//! barrier, and the offsets where they belong.

use raympp_state::delta::{Delta, DeltaPart, DictionaryChange, Stamp};
use raympp_state::replica::Accepted;
use raympp_types::{PartitionId, PlanVersion, SplitId, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Barriers that have not been handed over.
#[derive(Default)]
pub(in crate::sim) struct LiveMemory {
    held: BTreeMap<(StreamId, PartitionId, SplitId), Accepted>,
    /// Newest plans that have been handed over. Rows under a newer one can't stand before its barrier.
    plans: BTreeMap<(StreamId, PartitionId), PlanVersion>,
}

impl LiveMemory {
    /// What the persister gets instead.
    pub(in crate::sim) fn instead(&mut self, stream: StreamId, partition: PartitionId, accepted: Vec<Accepted>) -> Vec<Accepted> {
        let mut handed = Vec::new();
        for next in accepted {
            let place = (stream, partition, next.delta.stamp.split);
            let plan = self.plans.entry((stream, partition)).or_insert(PlanVersion(u64::MAX));
            let newest = next.delta.stamp.plans().max();
            let brings_plan = newest.is_some_and(|newest| newest != *plan);
            *plan = newest.unwrap_or(*plan);
            if let Some(held) = self.held.remove(&place) {
                let stamp = &held.delta.stamp;
                let before = Stamp { marks: Vec::new(), ..stamp.clone() };
                let at = Stamp { from: stamp.to, ..stamp.clone() };
                handed.push(rows_at(before.clone(), &held, partition));
                handed.push(rows_at(Stamp { from: stamp.to, ..before }, &next, partition));
                handed.push(nothing_at(at));
                handed.push(nothing_at(next.delta.stamp.clone()));
            } else if next.merged && newest.is_some() && !brings_plan {
                self.held.insert(place, next);
            } else {
                handed.push(next);
            }
        }
        handed
    }
}

fn nothing_at(stamp: Stamp) -> Accepted {
    Accepted { delta: Arc::new(Delta { stamp, parts: Vec::new() }), merged: true }
}

/// The rows of a delta under another stamp.
fn rows_at(stamp: Stamp, of: &Accepted, partition: PartitionId) -> Accepted {
    let parts = of.delta.part(partition).map(|part| (partition, copy(part))).into_iter().collect();
    Accepted { delta: Arc::new(Delta { stamp, parts }), merged: of.merged }
}

fn copy(part: &DeltaPart) -> DeltaPart {
    let dictionary = |change: &DictionaryChange| DictionaryChange {
        key_space: change.key_space,
        retired: change.retired.clone(),
        added: change.added.clone(),
        keys: change.keys.clone(),
    };
    DeltaPart {
        dictionaries: part.dictionaries.iter().map(dictionary).collect(),
        entries: part.entries.clone(),
        uncounted: part.uncounted.clone(),
    }
}
