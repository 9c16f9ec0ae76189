//! Checkpoints in the state directory, and what of them has been copied to a place outside, counted.

use super::remote::Remote;
use parking_lot::Mutex;
use raympp_coordinator::Failure;
use raympp_state::checkpoint::packed::Uploaded;
use raympp_state::checkpoint::{Commit, StoreError};
use raympp_types::Epoch;
use serde::Serialize;
use std::collections::BTreeMap;

/// Checkpoints in the state directory, as this run makes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckpointStats {
    /// The newest epoch that is committed; 0: none.
    pub committed: u64,
    /// Epochs committed.
    pub commits: u64,
    /// Epochs that a later one stood for, since a change needed a barrier while as many were under way as may be.
    pub superseded: u64,
    /// Epochs that could not be written or prepared; a later one stands for each.
    pub failures: u64,
    /// From the barrier to the commit, of the newest epoch that is committed, in microseconds.
    pub duration_us: u64,
    /// The same of the slowest one.
    pub duration_max_us: u64,
    /// Epochs under way.
    pub in_flight: u64,
    /// How long the oldest of them has been, in microseconds.
    pub lag_us: u64,
    /// Bytes written: records of touched entries, those rewritten as one, and commit records, before compression.
    pub bytes: u64,
}

/// See [`CheckpointStats`].
pub(crate) struct CheckpointCounters(Mutex<Checkpointed>);

#[derive(Default)]
struct Checkpointed {
    stats: CheckpointStats,
    /// When the epochs under way were started.
    started_us: BTreeMap<Epoch, u64>,
}

impl CheckpointCounters {
    /// For a run that goes on from a commit, if it does.
    pub(super) fn new(from: Option<&Commit>) -> CheckpointCounters {
        let stats = CheckpointStats { committed: from.map_or(0, |commit| commit.epoch.0), ..CheckpointStats::default() };
        CheckpointCounters(Mutex::new(Checkpointed { stats, ..Checkpointed::default() }))
    }

    /// A stream's barrier of this epoch is to be marked.
    pub(crate) fn note_started(&self, epoch: Epoch, now_us: u64) {
        self.0.lock().started_us.entry(epoch).or_insert(now_us);
    }

    /// The epoch is committed, and with it all before.
    pub(crate) fn note_committed(&self, epoch: Epoch, now_us: u64) {
        let mut counted = self.0.lock();
        let started_us = counted.started_us.remove(&epoch).unwrap_or(now_us);
        counted.started_us = counted.started_us.split_off(&epoch);
        let stats = &mut counted.stats;
        stats.committed = epoch.0;
        stats.commits += 1;
        stats.duration_us = now_us.saturating_sub(started_us);
        stats.duration_max_us = stats.duration_max_us.max(stats.duration_us);
    }

    /// The epoch is given up.
    pub(crate) fn note_given_up(&self, epoch: Epoch, why: Failure) {
        let mut counted = self.0.lock();
        counted.started_us.remove(&epoch);
        match why {
            Failure::Crowded => counted.stats.superseded += 1,
            Failure::Partition | Failure::Sink | Failure::Commit | Failure::Vectors => counted.stats.failures += 1,
        }
    }

    /// So much has been written in all.
    pub(super) fn note_bytes(&self, bytes: u64) {
        self.0.lock().stats.bytes = bytes;
    }

    pub(crate) fn stats(&self, now_us: u64) -> CheckpointStats {
        let counted = self.0.lock();
        let oldest = counted.started_us.values().min();
        CheckpointStats {
            in_flight: counted.started_us.len() as u64,
            lag_us: oldest.map_or(0, |started| now_us.saturating_sub(*started)),
            ..counted.stats.clone()
        }
    }
}

/// Checkpoints copied to a place outside of the state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RemoteStats {
    /// Its URL.
    pub place: String,
    /// The newest epoch that is committed in the state directory.
    pub committed: u64,
    /// The newest epoch that is durable in the place.
    pub uploaded: u64,
    /// How long the oldest epoch that is only in the state directory has waited, in microseconds.
    pub lag_us: u64,
    /// Checkpoints copied by this run; each stands for the epochs between it and the one before.
    pub uploads: u64,
    /// Objects put for them.
    pub objects: u64,
    /// And their bytes.
    pub bytes: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Why the last one did, until one succeeds.
    pub failure: Option<String>,
}

/// See the module.
pub(crate) struct RemoteCounters(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    stats: RemoteStats,
    /// When the first epoch after the last one that was copied was committed.
    waits_since_us: Option<u64>,
    /// As of when the epoch that is being copied was the newest.
    newer_since_us: Option<u64>,
}

impl RemoteCounters {
    /// For a run that goes on from what is in the place, too.
    pub(super) fn new(remote: &Remote, from: Option<&Commit>) -> RemoteCounters {
        let epoch = from.map_or(0, |commit| commit.epoch.0);
        let stats = RemoteStats { place: remote.blobs.place().to_owned(), committed: epoch, uploaded: epoch, ..RemoteStats::default() };
        RemoteCounters(Mutex::new(Counted { stats, ..Counted::default() }))
    }

    pub(super) fn note_committed(&self, epoch: Epoch, now_us: u64) {
        let mut counted = self.0.lock();
        counted.stats.committed = epoch.0;
        if counted.waits_since_us.is_some() {
            counted.newer_since_us.get_or_insert(now_us);
        }
        counted.waits_since_us.get_or_insert(now_us);
    }

    pub(super) fn note_uploaded(&self, epoch: Epoch, uploaded: &Uploaded) {
        let mut counted = self.0.lock();
        let newer = counted.newer_since_us.take();
        counted.waits_since_us = newer.filter(|_| counted.stats.committed > epoch.0);
        let stats = &mut counted.stats;
        stats.uploaded = epoch.0;
        stats.uploads += 1;
        stats.objects += uploaded.objects;
        stats.bytes += uploaded.bytes;
        stats.failure = None;
    }

    pub(super) fn note_failed(&self, error: &StoreError) {
        let stats = &mut self.0.lock().stats;
        stats.failures += 1;
        stats.failure = Some(error.to_string());
    }

    /// True if the epoch, or one that stands for it, is in the place.
    pub(crate) fn has(&self, epoch: Epoch) -> bool {
        self.0.lock().stats.uploaded >= epoch.0
    }

    pub(crate) fn stats(&self, now_us: u64) -> RemoteStats {
        let counted = self.0.lock();
        let lag_us = counted.waits_since_us.map_or(0, |since| now_us.saturating_sub(since));
        RemoteStats { lag_us, ..counted.stats.clone() }
    }
}
