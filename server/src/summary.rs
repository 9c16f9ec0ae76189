//! What a job did, in a few lines at its end.

use crate::output::note;
use raympp_engine::stats::{Stats, StreamStats};
use std::time::Duration;

/// So many partitions are listed one by one.
const PARTITIONS_LISTED: usize = 16;

/// Prints to standard error, so that standard output is free for results.
pub(crate) fn print(stats: &Stats, elapsed: Duration) {
    stats.streams.iter().flat_map(|stream| lines(stream, elapsed)).for_each(|line| note(&line));
}

fn lines(stream: &StreamStats, elapsed: Duration) -> Vec<String> {
    let mut lines = vec![
        headline(stream, elapsed),
        format!(
            "  late {}   bad {}   bad for metrics {}   windows closed {}   result rows {}   values made NULL {}",
            stream.late, stream.bad, stream.bad_for_metrics, stream.windows_closed, stream.results, stream.overflowed
        ),
    ];
    lines.extend(stream.splits.iter().map(|split| {
        format!(
            "  split {}: {} rows, {} late, {} bad, {} bad for metrics, {} flushes, {:.1} rows per delta entry",
            split.name, split.rows, split.late, split.bad, split.bad_for_metrics, split.flushes, split.fold_ratio
        )
    }));
    lines.extend(stream.metrics.iter().map(|metric| {
        format!(
            "  metric {}: {} rows, {} bad, {} result rows, {} values made NULL, {} keys, {} slices, {}",
            metric.name,
            metric.rows,
            metric.bad,
            metric.results,
            metric.overflowed,
            metric.keys,
            metric.slices,
            mebibytes(metric.bytes)
        )
    }));
    lines.extend(partitions(stream));
    lines
}

fn headline(stream: &StreamStats, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let per_second = stream.rows as f64 / seconds.max(1e-9);
    format!("stream {}: {} rows in {seconds:.2} s ({per_second:.0} rows/s)", stream.name, stream.rows)
}

fn partitions(stream: &StreamStats) -> Vec<String> {
    let mut lines = Vec::new();
    if stream.partitions.len() <= PARTITIONS_LISTED {
        lines.extend(stream.partitions.iter().enumerate().map(|(number, partition)| {
            format!(
                "  partition {number}: {} rows, {} deltas, {} windows closed, {} keys, {} slices, {}",
                partition.rows,
                partition.deltas,
                partition.windows_closed,
                partition.keys,
                partition.slices,
                mebibytes(partition.bytes)
            )
        }));
    }
    lines.push(format!("  {} partitions, {} keys, {} of state", stream.partitions.len(), stream.keys, mebibytes(stream.bytes)));
    let broken: u64 = stream.partitions.iter().map(|partition| partition.rows_below_frontier + partition.violations).sum();
    if broken > 0 {
        lines.push(format!("  INVARIANT BROKEN {broken} times: results may be wrong; please report this as a bug"));
    }
    lines
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
