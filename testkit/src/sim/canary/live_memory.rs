//! A list made from live memory: rows that partitions have applied behind a barrier, while they wait for that barrier from other splits, are in
//! the list of the epoch before it.
//!
//! It is planted between reader and persister: of what follows a barrier in its split, the first delta's rows are handed over in front of the
//! barrier, and the offsets where they belong.

use raympp_state::delta::{Delta, DeltaPart, DictionaryChange, Stamp};
use raympp_types::{PlanVersion, SplitId, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Barriers that have not been handed over.
#[derive(Default)]
pub(in crate::sim) struct LiveMemory {
    held: BTreeMap<(StreamId, SplitId), Arc<Delta>>,
    /// Newest plans that have been handed over. Rows under a newer one can't stand before its barrier.
    plans: BTreeMap<(StreamId, SplitId), PlanVersion>,
}

impl LiveMemory {
    /// What the persister gets instead of the next delta of a chain.
    pub(in crate::sim) fn instead(&mut self, stream: StreamId, next: Arc<Delta>) -> Vec<Arc<Delta>> {
        let place = (stream, next.stamp.split);
        let plan = self.plans.entry(place).or_insert(PlanVersion(u64::MAX));
        let newest = next.stamp.plans().max();
        let brings_plan = newest.is_some_and(|newest| newest != *plan);
        *plan = newest.unwrap_or(*plan);
        if let Some(held) = self.held.remove(&place) {
            let stamp = &held.stamp;
            let before = Stamp { marks: Vec::new(), ..stamp.clone() };
            let at = Stamp { from: stamp.to, ..stamp.clone() };
            let rows_behind = rows_at(Stamp { from: stamp.to, ..before.clone() }, &next);
            return vec![rows_at(before, &held), rows_behind, nothing_at(at), nothing_at(next.stamp.clone())];
        }
        if newest.is_some() && !brings_plan {
            self.held.insert(place, next);
            return Vec::new();
        }
        vec![next]
    }
}

fn nothing_at(stamp: Stamp) -> Arc<Delta> {
    Arc::new(Delta { stamp, parts: Vec::new() })
}

/// The rows of a delta under another stamp.
fn rows_at(stamp: Stamp, of: &Delta) -> Arc<Delta> {
    Arc::new(Delta { stamp, parts: of.parts.iter().map(|(partition, part)| (*partition, copy(part))).collect() })
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
