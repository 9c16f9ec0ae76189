//! Counters that anyone may read at any time, as plain data.
//!
//! Those per stream, split and partition are sums of what tasks and actors count; they lag by at most one delta.

use crate::engine::Engine;
use crate::stream::Stream;
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
    /// Rows that could not be decoded or lay too far ahead.
    pub bad: u64,
    /// Windows closed, over all metrics and keys.
    pub windows_closed: u64,
    /// Result rows handed to sinks and subscriptions.
    pub results: u64,
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
    /// Rows rejected: bad for the stream or for some metric.
    pub rejected: u64,
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

/// One metric.
#[derive(Clone, Debug, Serialize)]
pub struct MetricStats {
    /// Name.
    pub name: String,
    /// Rows that could not be evaluated for it.
    pub bad: u64,
}

/// One partition's primary.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionStats {
    /// Deltas applied.
    pub deltas: u64,
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
        Stats { streams, queued_deltas: self.shared.cores.iter().map(|core| core.inbox_len()).collect() }
    }
}

fn stream_stats(stream: &Stream) -> StreamStats {
    let seen = stream.views().iter().map(|view| view.seen()).max().unwrap_or(EventTime::MIN);
    let splits: Vec<SplitStats> = stream.splits.lock().values().map(|split| split_stats(split, seen)).collect();
    let partitions: Vec<PartitionStats> = stream.partitions.iter().map(partition_stats).collect();
    let bad_of = |store: usize| -> u64 { stream.partitions.iter().map(|p| p.bad_by_store.lock().get(&store).copied().unwrap_or(0)).sum() };
    let metrics = stream.shared.load().metrics.iter().map(|m| MetricStats { name: m.plan.name.clone(), bad: bad_of(m.store) }).collect();
    StreamStats {
        name: stream.title(),
        rows: splits.iter().map(|split| split.rows).sum(),
        late: stream.partitions.iter().map(|partition| partition.late.load(Relaxed)).sum(),
        bad: stream.partitions.iter().map(|partition| partition.bad.load(Relaxed)).sum(),
        windows_closed: partitions.iter().map(|partition| partition.windows_closed).sum(),
        results: stream.results.load(Relaxed),
        complete: stream.is_complete(),
        held: stream.is_held(),
        splits,
        metrics,
        partitions,
    }
}

fn split_stats(split: &crate::stream::SplitCounters, seen: EventTime) -> SplitStats {
    let (rows, entries) = (split.rows.load(Relaxed), split.entries.load(Relaxed));
    let watermark = Some(split.watermark_us.load(Relaxed)).filter(|&us| us != i64::MIN);
    SplitStats {
        name: split.name.clone(),
        rows,
        late: split.late.load(Relaxed),
        rejected: split.bad.load(Relaxed),
        flushes: split.flushes.load(Relaxed),
        fold_ratio: rows as f64 / entries.max(1) as f64,
        queued: split.queued.load(Relaxed),
        watermark_us: watermark,
        watermark_lag_us: watermark.map(|us| seen.0.saturating_sub(us).max(0)),
        progress: (split.bytes_done.load(Relaxed), split.bytes_total.load(Relaxed)),
        ended: split.ended.load(Relaxed),
        lost: split.lost.load(Relaxed),
        idle: split.idle.load(Relaxed),
    }
}

fn partition_stats(partition: &crate::stream::PartitionCounters) -> PartitionStats {
    PartitionStats {
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
