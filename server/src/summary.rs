//! What a job did, in a few lines at its end.

use raympp_engine::stats::Stats;
use std::time::Duration;

/// Prints to standard error, so that standard output is free for results.
pub(crate) fn print(stats: &Stats, elapsed: Duration) {
    for stream in &stats.streams {
        let per_second = stream.rows as f64 / elapsed.as_secs_f64().max(1e-9);
        eprintln!("stream {}: {} rows in {:.2} s ({per_second:.0} rows/s)", stream.name, stream.rows, elapsed.as_secs_f64());
        eprintln!(
            "  late {}   bad {}   windows closed {}   result rows {}",
            stream.late, stream.bad, stream.windows_closed, stream.results
        );
        for split in &stream.splits {
            eprintln!(
                "  split {}: {} rows, {} late, {} rejected, {:.1} rows per delta entry",
                split.name, split.rows, split.late, split.rejected, split.fold_ratio
            );
        }
        for metric in &stream.metrics {
            eprintln!("  metric {}: {} bad rows", metric.name, metric.bad);
        }
        let keys: u64 = stream.partitions.iter().map(|partition| partition.keys).sum();
        let bytes: u64 = stream.partitions.iter().map(|partition| partition.bytes).sum();
        let broken: u64 = stream.partitions.iter().map(|partition| partition.rows_below_frontier + partition.violations).sum();
        eprintln!("  {} partitions, {keys} keys, {:.1} MiB of state", stream.partitions.len(), bytes as f64 / f64::from(1 << 20));
        if broken > 0 {
            eprintln!("  INVARIANT BROKEN {broken} times: results may be wrong; please report this as a bug");
        }
    }
}
