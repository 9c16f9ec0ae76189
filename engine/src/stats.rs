//! Counters that anyone may read at any time, as plain data.
//!
//! Those per stream, split and partition are sums of what tasks and actors count; they lag by at most one delta.

pub use crate::checkpoint::{CheckpointStats, RemoteStats};
use crate::engine::Engine;
use crate::stream::Stream;
use raympp_operators::sharing::SharedMetric;
use raympp_types::EventTime;
use serde::Serialize;
use std::sync::atomic::Ordering::Relaxed;

/// Everything an engine counts.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// By stream, in order of name.
    pub streams: Vec<StreamStats>,
    /// Deltas waiting at each core.
    pub queued_deltas: Vec<usize>,
    /// Checkpoints, with a state directory.
    pub checkpoints: Option<CheckpointStats>,
    /// Checkpoints copied to a place outside of the state directory, if there is one.
    pub remote_checkpoints: Option<RemoteStats>,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamStats {
    /// Name; `s read again for m` where metric m was added to stream s with backfill.
    pub name: String,
    /// Rows read, good or bad.
    pub rows: u64,
    /// Rows late by their split's watermark.
    pub late: u64,
    /// Rows that could not be decoded, had no event time or lay too far ahead.
    pub bad: u64,
    /// Rows that could not be evaluated for at least one metric, each once.
    pub bad_for_metrics: u64,
    /// Result values that did not fit their type and became NULL.
    pub overflowed: u64,
    /// Deltas sent.
    pub flushes: u64,
    /// Rows per delta entry: how much folding shrinks what travels.
    pub fold_ratio: f64,
    /// Rows waiting in writers' queues.
    pub queued: u64,
    /// How far the last of the splits that have rows and have not ended is behind the stream's highest event time, in microseconds.
    pub watermark_lag_us: Option<i64>,
    /// Keys interned.
    pub keys: u64,
    /// (Page, slice) blocks and sessions kept.
    pub slices: u64,
    /// Bytes of keys and slices.
    pub bytes: u64,
    /// Windows closed, over all metrics and keys.
    pub windows_closed: u64,
    /// Result rows handed to sinks and subscriptions.
    pub results: u64,
    /// Readers of splits that broke and were replaced.
    pub readers_replaced: u64,
    /// Primaries that broke and were replaced by standbys.
    pub promotions: u64,
    /// True once everything has closed.
    pub complete: bool,
    /// True while a full consumer holds reading back.
    pub held: bool,
    /// By split.
    pub splits: Vec<SplitStats>,
    /// By metric.
    pub metrics: Vec<MetricStats>,
    /// By partition.
    pub partitions: Vec<PartitionStats>,
}

/// One split.
#[derive(Clone, Debug, Serialize)]
pub struct SplitStats {
    /// A path, or which of the generator's or writers.
    pub name: String,
    /// Rows read, good or bad.
    pub rows: u64,
    /// Rows late.
    pub late: u64,
    /// Rows that could not be decoded, had no event time or lay too far ahead.
    pub bad: u64,
    /// Rows of this run that their producer had no more, so that they were skipped; they count as bad.
    pub skipped: u64,
    /// Rows that could not be evaluated for at least one metric, each once.
    pub bad_for_metrics: u64,
    /// Deltas sent.
    pub flushes: u64,
    /// Rows per delta entry: how much folding shrinks what travels.
    pub fold_ratio: f64,
    /// Rows waiting in a writer's queue.
    pub queued: u64,
    /// Watermark, in microseconds since 1970; `None` before the first row.
    pub watermark_us: Option<i64>,
    /// How far the watermark is behind the stream's highest event time, in microseconds.
    pub watermark_lag_us: Option<i64>,
    /// Input read and its size, in bytes as stored (rows for generators); 0 if unknown.
    pub progress: (u64, u64),
    /// True at the end.
    pub ended: bool,
    /// True once its writer is gone without having finished.
    pub lost: bool,
    /// True while the split counts as idle: without rows for `idle_timeout`, or without a connection for `disconnect_timeout`.
    pub idle: bool,
}

/// One metric. What is said of slices is the same for metrics that share them: those with equal keys and WHERE, as EXPLAIN shows.
#[derive(Clone, Debug, Serialize)]
pub struct MetricStats {
    /// Name.
    pub name: String,
    /// Rows merged into the slices it reads: not late, not bad, and WHERE kept them.
    pub rows: u64,
    /// Rows that could not be evaluated for it.
    pub bad: u64,
    /// Result rows handed to sinks and subscriptions.
    pub results: u64,
    /// Values of them that did not fit their type and became NULL.
    pub overflowed: u64,
    /// Keys interned for it and for metrics with the same keys.
    pub keys: u64,
    /// (Page, slice) blocks it reads, or sessions.
    pub slices: u64,
    /// Bytes of the slices or sessions, without keys.
    pub bytes: u64,
}

/// One partition's primary.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionStats {
    /// Replicas that have all that was sent to them and can take the primary's place, itself included.
    pub replicas_in_sync: usize,
    /// Rows merged, once for all metrics that share slices.
    pub rows: u64,
    /// Late rows of the splits whose counts it owns.
    pub late: u64,
    /// Bad rows of the splits whose counts it owns.
    pub bad: u64,
    /// Deltas applied.
    pub deltas: u64,
    /// Deltas waiting at its core, for this partition and others.
    pub queued_deltas: usize,
    /// How far its frontier is behind the stream's highest event time, in microseconds; `None` before every split has rows.
    pub watermark_lag_us: Option<i64>,
    /// Windows that end up to here, in microseconds since 1970, have been closed and handed over; `None` before the first rows.
    pub closed_us: Option<i64>,
    /// Windows closed, over its metrics and keys.
    pub windows_closed: u64,
    /// Result values that did not fit their type.
    pub overflowed: u64,
    /// Rows that met a closed window: 0, or the engine is wrong.
    pub rows_below_frontier: u64,
    /// Deltas that overlapped: 0, or the engine is wrong.
    pub violations: u64,
    /// Keys interned.
    pub keys: u64,
    /// (Page, slice) blocks and sessions kept.
    pub slices: u64,
    /// Bytes of keys and slices.
    pub bytes: u64,
}

impl Engine {
    /// A snapshot of all counters.
    pub fn stats(&self) -> Stats {
        let state = self.shared.state.lock();
        let streams = state.all_streams().map(|stream| stream_stats(stream)).collect();
        let (kept, now_us) = (self.shared.checkpoints.as_ref(), self.shared.options.clock.now_us());
        let checkpoints = kept.map(|kept| kept.counters.stats(now_us));
        let remote_checkpoints = kept.and_then(|kept| kept.remote.as_ref()).map(|remote| remote.stats(now_us));
        let queued_deltas = self.shared.cores.iter().map(|core| core.inbox_len()).collect();
        Stats { streams, queued_deltas, checkpoints, remote_checkpoints }
    }
}

fn stream_stats(stream: &Stream) -> StreamStats {
    let seen = stream.views().iter().map(|view| view.seen()).max().unwrap_or(EventTime::MIN);
    let splits: Vec<SplitStats> = stream.splits.lock().values().map(|split| split_stats(split, seen)).collect();
    let partitions: Vec<PartitionStats> = (0..stream.partitions.len()).map(|partition| partition_stats(stream, partition, seen)).collect();
    let metrics = stream.shared.load().metrics.iter().map(|metric| metric_stats(stream, metric)).collect();
    let rows = splits.iter().map(|split| split.rows).sum();
    let entries: u64 = stream.splits.lock().values().map(|split| split.entries.load(Relaxed)).sum();
    let of_splits = |count: fn(&SplitStats) -> u64| splits.iter().map(count).sum::<u64>();
    let of_partitions = |count: fn(&PartitionStats) -> u64| partitions.iter().map(count).sum::<u64>();
    StreamStats {
        name: stream.title(),
        rows,
        late: of_partitions(|partition| partition.late),
        bad: of_partitions(|partition| partition.bad),
        bad_for_metrics: of_splits(|split| split.bad_for_metrics),
        overflowed: of_partitions(|partition| partition.overflowed),
        flushes: of_splits(|split| split.flushes),
        fold_ratio: ratio(rows, entries),
        queued: of_splits(|split| split.queued),
        watermark_lag_us: splits.iter().filter(|split| !split.ended).filter_map(|split| split.watermark_lag_us).max(),
        keys: of_partitions(|partition| partition.keys),
        slices: of_partitions(|partition| partition.slices),
        bytes: of_partitions(|partition| partition.bytes),
        windows_closed: of_partitions(|partition| partition.windows_closed),
        results: stream.results.load(Relaxed),
        readers_replaced: stream.tasks_replaced.load(Relaxed),
        promotions: stream.promotions.load(Relaxed),
        complete: stream.is_complete(),
        held: stream.is_held(),
        splits,
        metrics,
        partitions,
    }
}

fn metric_stats(stream: &Stream, metric: &SharedMetric) -> MetricStats {
    let mut stats =
        MetricStats { name: metric.plan.name.clone(), rows: 0, bad: 0, results: 0, overflowed: 0, keys: 0, slices: 0, bytes: 0 };
    for partition in &stream.partitions {
        let store = partition.by_store.lock().get(&metric.store).copied().unwrap_or_default();
        let own = partition.by_metric.lock().get(&metric.id).copied().unwrap_or_default();
        stats.rows += store.rows;
        stats.bad += store.bad;
        stats.results += own.results;
        stats.overflowed += own.overflowed;
        stats.keys += store.keys;
        stats.slices += store.slices;
        stats.bytes += store.bytes;
    }
    stats
}

fn ratio(rows: u64, entries: u64) -> f64 {
    rows as f64 / entries.max(1) as f64
}

/// How far a time is behind the highest one seen; `None` while it is unknown.
fn lag_us(seen: EventTime, us: Option<i64>) -> Option<i64> {
    us.map(|us| seen.0.saturating_sub(us).max(0))
}

fn split_stats(split: &crate::stream::SplitCounters, seen: EventTime) -> SplitStats {
    let (rows, entries) = (split.rows.load(Relaxed), split.entries.load(Relaxed));
    let watermark = Some(split.watermark_us.load(Relaxed)).filter(|&us| us != i64::MIN);
    SplitStats {
        name: split.name.clone(),
        rows,
        late: split.late.load(Relaxed),
        bad: split.bad.load(Relaxed),
        skipped: split.skipped.load(Relaxed),
        bad_for_metrics: split.bad_for_metrics.load(Relaxed),
        flushes: split.flushes.load(Relaxed),
        fold_ratio: ratio(rows, entries),
        queued: split.queued.load(Relaxed),
        watermark_us: watermark,
        watermark_lag_us: lag_us(seen, watermark),
        progress: (split.bytes_done.load(Relaxed), split.bytes_total.load(Relaxed)),
        ended: split.ended.load(Relaxed),
        lost: split.lost.load(Relaxed),
        idle: split.idle.load(Relaxed),
    }
}

fn partition_stats(stream: &Stream, number: usize, seen: EventTime) -> PartitionStats {
    let partition = &stream.partitions[number];
    let known = |us: i64| Some(us).filter(|&us| us != i64::MIN);
    let frontier = stream.views().iter().find(|view| view.partition().0 as usize == number).and_then(|view| known(view.frontier().0));
    let cores = &stream.host.cores;
    PartitionStats {
        replicas_in_sync: partition.in_sync.load(Relaxed),
        rows: partition.rows.load(Relaxed),
        late: partition.late.load(Relaxed),
        bad: partition.bad.load(Relaxed),
        queued_deltas: cores.get(number % cores.len().max(1)).map_or(0, |core| core.inbox_len()),
        watermark_lag_us: lag_us(seen, frontier),
        closed_us: known(partition.closed_us.load(Relaxed)),
        deltas: partition.deltas.load(Relaxed),
        windows_closed: partition.windows_closed.load(Relaxed),
        overflowed: partition.overflowed.load(Relaxed),
        rows_below_frontier: partition.rows_below_frontier.load(Relaxed),
        violations: partition.violations.load(Relaxed),
        keys: partition.keys.load(Relaxed),
        slices: partition.slices.load(Relaxed),
        bytes: partition.bytes.load(Relaxed),
    }
}
