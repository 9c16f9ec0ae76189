//! What is rewritten as one and what is forgotten.

use super::Persister;
use super::streams::StreamLists;
use crate::checkpoint::record::SliceId;
use crate::checkpoint::{Commit, Record, RecordId, SessionMerge, StoreError, StreamCommit};
use crate::crash_point::{CrashPoint, visit};
use crate::sliced::store_horizon_us;
use raympp_operators::sharing::{SharedPlan, Store, StoreKind};
use raympp_operators::window::slice_start;
use raympp_types::{Epoch, StoreUid, StreamId};
use std::collections::{BTreeMap, BTreeSet};
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
                    let over_us = merge.is_first.then(|| lists.sessions_over_us(merge.output.store, read_us)).flatten();
                    Some(SessionMerge { gap_us, over_us })
                }
                StoreKind::Sliced | StoreKind::Running => None,
            };
            Ok((merge.output, Record::merge(&records.iter().collect::<Vec<_>>(), sessions)))
        })
        .collect()
    }

    /// Forgets what no kept checkpoint needs: the oldest ones beyond those that are kept, unless one is pinned, records that others stand for, slices
    /// that no window after the oldest one's frontier needs.
    ///
    /// # Errors
    /// What the store says; then nothing is forgotten, and the next call tries again.
    pub fn forget(&mut self) -> Result<(), StoreError> {
        let beyond = self.kept.len().saturating_sub(self.keep);
        let (old, newest) = self.kept.split_at(beyond);
        let is_pinned = |kept: &&Kept| self.pinned == Some(kept.epoch);
        let kept: Vec<&Kept> = old.iter().filter(is_pinned).chain(newest).collect();
        let old: Vec<Epoch> = old.iter().filter(|kept| !is_pinned(kept)).map(|kept| kept.epoch).collect();
        let Some(oldest) = kept.first().filter(|_| !old.is_empty()) else { return Ok(()) };
        let needed = |slice: SliceId| self.is_needed(slice, kept.iter().any(|kept| kept.has(slice)), oldest);
        let epochs: Vec<Epoch> = kept.iter().map(|kept| kept.epoch).collect();
        let records = self.ledger.obsolete(&epochs, needed);
        visit(CrashPoint::ForgetDue);
        self.store.remove(&records, &old)?;
        visit(CrashPoint::Forgotten);
        self.ledger.remove(&records);
        self.kept.retain(|kept| !old.contains(&kept.epoch));
        Ok(())
    }
}

impl Persister {
    /// True if somebody who goes on from a kept epoch may read a slice.
    pub(super) fn is_needed_from(&self, epoch: Epoch, slice: SliceId) -> bool {
        let kept = self.kept.iter().find(|kept| kept.epoch == epoch);
        kept.is_none_or(|kept| self.is_needed(slice, kept.has(slice), kept))
    }

    fn is_needed(&self, slice: SliceId, is_held: bool, oldest: &Kept) -> bool {
        self.streams.get(&slice.stream).map_or(is_held, |stream| stream.needs(slice, is_held, oldest.read_us(slice.stream)))
    }
}

/// A checkpoint that is kept.
pub(super) struct Kept {
    pub(super) epoch: Epoch,
    streams: BTreeMap<StreamId, KeptStream>,
}

struct KeptStream {
    /// Up to where windows have closed: the frontier, or the highest event time of a stream that is complete.
    read_us: i64,
    stores: BTreeSet<StoreUid>,
}

impl Kept {
    pub(super) fn of(commit: &Commit) -> Kept {
        let kept = |stream: &StreamCommit| {
            let read_us = stream.frontier.min(stream.max_event_time).0;
            (stream.id, KeptStream { read_us, stores: stream.stores.iter().map(|store| store.uid).collect() })
        };
        Kept { epoch: commit.epoch, streams: commit.streams.iter().map(kept).collect() }
    }

    fn read_us(&self, stream: StreamId) -> i64 {
        self.streams.get(&stream).map_or(i64::MIN, |stream| stream.read_us)
    }

    /// True if the slice's store is part of the checkpoint.
    fn has(&self, slice: SliceId) -> bool {
        self.streams.get(&slice.stream).is_some_and(|stream| stream.stores.contains(&slice.store))
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

    /// True if some window that ends after the frontier, or that retention keeps, may read a slice. A store that no checkpoint holds and no plan
    /// has is needed by nobody.
    fn needs(&self, slice: SliceId, is_held: bool, read_us: i64) -> bool {
        let Some((position, store)) = self.store(slice.store) else { return is_held };
        let planned = self.plans.values().any(|plan| plan.stores.get(position).is_some_and(Option::is_some));
        let over = match store.tiers.first() {
            Some(base) => slice_start(slice.slice + 1, base.width_us, base.offset_us).saturating_add(store_horizon_us(store)) <= read_us,
            None => false,
        };
        (planned || is_held) && !over
    }

    /// Sessions that ended at or before this are read by nobody who goes on from `read_us`.
    fn sessions_over_us(&self, uid: StoreUid, read_us: i64) -> Option<i64> {
        let (position, _) = self.store(uid)?;
        let users = self.plan()?.metrics.iter().filter(|metric| metric.store == position);
        let retention_us = users.map(|metric| metric.plan.retention_us).max()?;
        (read_us > i64::MIN).then(|| read_us.saturating_sub(retention_us))
    }
}
