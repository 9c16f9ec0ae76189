//! What is rewritten as one and what is forgotten.

use super::Persister;
use super::streams::StreamLists;
use crate::checkpoint::record::SliceId;
use crate::checkpoint::{Commit, Record, RecordId, SessionMerge, StoreError, StreamCommit};
use crate::sliced::store_horizon_us;
use raympp_operators::sharing::{SharedPlan, Store, StoreKind};
use raympp_operators::window::slice_start;
use raympp_types::{Epoch, StoreUid, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Persister {
    /// Records that are to be rewritten as one, of these slices of a stream, merged.
    pub(super) fn merges(&self, stream: StreamId, slices: impl Iterator<Item = SliceId>) -> Result<Vec<(RecordId, Record)>, StoreError> {
        let Some(oldest) = self.kept.first() else { return Ok(Vec::new()) };
        let (lists, read_us) = (&self.streams[&stream], oldest.read_us(stream));
        let due = slices.filter_map(|slice| self.ledger.next_merge(slice, oldest.epoch));
        due.map(|merge| {
            let (_, store) = lists.store(merge.output.store).expect("the list has records of it");
            let records: Vec<Record> =
                merge.inputs.iter().map(|input| self.store.read(input, &store.accumulators)).collect::<Result<_, _>>()?;
            let sessions = match store.kind {
                StoreKind::Sessions { gap_us } => {
                    let over_us = (merge.output.from == Epoch(0)).then(|| lists.sessions_over_us(merge.output.store, read_us)).flatten();
                    Some(SessionMerge { gap_us, over_us })
                }
                StoreKind::Sliced | StoreKind::Running => None,
            };
            Ok((merge.output, Record::merge(&records.iter().collect::<Vec<_>>(), sessions)))
        })
        .collect()
    }

    /// Forgets what no kept checkpoint needs: the oldest ones beyond those that are kept, unless one is pinned, records that others stand for, slices that no window
    /// after the oldest one's frontier needs.
    ///
    /// # Errors
    /// What the store says; then nothing is forgotten, and the next call tries again.
    pub fn forget(&mut self) -> Result<(), StoreError> {
        let beyond = self.kept.len().saturating_sub(self.keep);
        let stays = |(place, kept): &(usize, &Kept)| *place >= beyond || self.pinned == Some(kept.epoch);
        let (kept, old): (Vec<(usize, &Kept)>, Vec<(usize, &Kept)>) = self.kept.iter().enumerate().partition(stays);
        let Some((_, oldest)) = kept.first().filter(|_| !old.is_empty()) else { return Ok(()) };
        let needed = |slice: SliceId| {
            let Some(stream) = self.streams.get(&slice.stream) else { return self.unopened.contains_key(&slice.stream) };
            stream.needs(slice, oldest.read_us(slice.stream))
        };
        let epochs = |kept: &[(usize, &Kept)]| kept.iter().map(|(_, kept)| kept.epoch).collect::<Vec<Epoch>>();
        let records = self.ledger.obsolete(&epochs(&kept), needed);
        let old = epochs(&old);
        self.store.remove(&records, &old)?;
        self.ledger.remove(&records);
        self.kept.retain(|kept| !old.contains(&kept.epoch));
        Ok(())
    }
}

/// A checkpoint that is kept.
pub(super) struct Kept {
    pub(super) epoch: Epoch,
    /// By stream, up to where windows have closed: the frontier, or the highest event time of a stream that is complete.
    read_us: BTreeMap<StreamId, i64>,
}

impl Kept {
    pub(super) fn of(commit: &Commit) -> Kept {
        let read_us = |stream: &StreamCommit| (stream.id, stream.frontier.min(stream.max_event_time).0);
        Kept { epoch: commit.epoch, read_us: commit.streams.iter().map(read_us).collect() }
    }

    fn read_us(&self, stream: StreamId) -> i64 {
        self.read_us.get(&stream).copied().unwrap_or(i64::MIN)
    }
}

impl StreamLists {
    /// The position of a store and what it is.
    pub(super) fn store(&self, uid: StoreUid) -> Option<(usize, &Arc<Store>)> {
        self.stores.iter().enumerate().find(|(_, (other, _))| *other == uid).map(|(position, (_, store))| (position, store))
    }

    /// The newest plan.
    fn plan(&self) -> Option<&Arc<SharedPlan>> {
        self.plans.values().next_back()
    }

    /// True if some window that ends after the frontier, or that retention keeps, may read a slice. A store that the newest checkpoint does not
    /// know and no plan has is needed by nobody.
    fn needs(&self, slice: SliceId, read_us: i64) -> bool {
        let committed = self.committed.iter().flat_map(|committed| &committed.stores).any(|store| store.uid == slice.store);
        let Some((position, store)) = self.store(slice.store) else { return committed };
        let planned = self.plans.values().any(|plan| plan.stores.get(position).is_some_and(Option::is_some));
        let over = match store.tiers.first() {
            Some(base) => slice_start(slice.slice + 1, base.width_us, base.offset_us).saturating_add(store_horizon_us(store)) <= read_us,
            None => false,
        };
        (planned || committed) && !over
    }

    /// Sessions that ended at or before this are read by nobody who goes on from `read_us`.
    fn sessions_over_us(&self, uid: StoreUid, read_us: i64) -> Option<i64> {
        let (position, _) = self.store(uid)?;
        let users = self.plan()?.metrics.iter().filter(|metric| metric.store == position);
        let retention_us = users.map(|metric| metric.plan.retention_us).max()?;
        (read_us > i64::MIN).then(|| read_us.saturating_sub(retention_us))
    }
}
