//! Canonical export: what two replicas of a partition are compared by.

use super::{Replica, StoreState};
use crate::block::PAGE_KEYS;
use crate::keys::Keys;
use crate::sessions::SessionStore;
use crate::sliced::SlicedStore;
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_operators::window::slice_start;
use raympp_types::EventTime;

impl Replica {
    /// The replica's contents that the rows determine, sorted: two replicas of a partition are equal iff these are. Slices that end at
    /// or before `above` are left out.
    pub fn export(&self, above: EventTime) -> Vec<ExportedGroup> {
        let mut groups = Vec::new();
        for (position, state) in self.stores.iter().enumerate() {
            let Some(store) = self.plan.stores.get(position).and_then(Option::as_ref) else { continue };
            let keys = &self.keys[store.key_space];
            match state {
                Some(StoreState::Sliced(sliced)) => export_sliced(position, sliced, keys, above, &mut groups),
                Some(StoreState::Sessions(sessions)) => export_sessions(position, sessions, keys, above, &mut groups),
                None => {}
            }
        }
        groups.sort();
        groups
    }
}

/// One group of one slice or session, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportedGroup {
    /// Position of the store.
    pub store: usize,
    /// Slice number, or first and last event time of a session.
    pub placement: (i64, i64),
    /// Canonical bytes of the key.
    pub key: Vec<u8>,
    /// Number of rows.
    pub rows: u64,
    /// Canonical bytes of each accumulator.
    pub cells: Vec<Vec<u8>>,
}

fn export_sliced(position: usize, sliced: &SlicedStore, keys: &Keys, above: EventTime, groups: &mut Vec<ExportedGroup>) {
    let store = &sliced.shared().store;
    let over = |slice: i64| {
        let end = store.tiers.first().map(|tier| slice_start(slice + 1, tier.width_us, tier.offset_us));
        end.is_some_and(|end| EventTime(end) <= above)
    };
    for (number, page) in sliced.shared().pages.load().iter().enumerate() {
        for (slice, block) in page.tiers()[0].slices.range(i64::MIN, i64::MAX) {
            if over(slice) {
                continue;
            }
            let ids = block.occupied();
            let columns: Vec<_> = (0..store.accumulators.len()).map(|column| block.gather(column, &ids)).collect();
            for (i, &id) in ids.iter().enumerate() {
                groups.push(ExportedGroup {
                    store: position,
                    placement: (slice, slice),
                    key: keys.key((number * PAGE_KEYS) as u32 + id).to_vec(),
                    rows: block.rows_of(id),
                    cells: columns.iter().map(|column| cell_bytes(column, i)).collect(),
                });
            }
        }
    }
}

fn export_sessions(position: usize, sessions: &SessionStore, keys: &Keys, above: EventTime, groups: &mut Vec<ExportedGroup>) {
    let gap_us = sessions.shared().gap_us;
    for (id, session) in sessions.all() {
        if EventTime(session.last_us + gap_us) > above {
            groups.push(ExportedGroup {
                store: position,
                placement: (session.first_us, session.last_us),
                key: keys.key(id).to_vec(),
                rows: session.rows,
                cells: session.columns.iter().map(|column| cell_bytes(column, 0)).collect(),
            });
        }
    }
}

fn cell_bytes(column: &AccumulatorColumn, cell: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    column.encode_cell(cell, &mut bytes);
    bytes
}
