//! What has been copied to a place outside of the state directory, counted.

use super::remote::Remote;
use parking_lot::Mutex;
use raympp_state::checkpoint::packed::Uploaded;
use raympp_state::checkpoint::{Commit, StoreError};
use raympp_types::Epoch;
use serde::Serialize;

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
