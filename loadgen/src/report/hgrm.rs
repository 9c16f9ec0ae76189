//! A histogram in HdrHistogram's own text form, which its plotters read.

use hdrhistogram::Histogram;
use std::fmt::Write;

/// Steps between a quantile and the next one that is half as far from 1.
const STEPS_PER_HALVING: u32 = 5;

/// Latencies given in nanoseconds, shown in milliseconds.
pub fn hgrm(latencies: &Histogram<u64>) -> String {
    let millis = |nanos: f64| nanos / 1e6;
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut total = 0;
    for point in latencies.iter_quantiles(STEPS_PER_HALVING) {
        total += point.count_since_last_iteration();
        let (value, quantile) = (millis(point.value_iterated_to() as f64), point.quantile_iterated_to());
        let _ = match quantile {
            q if q < 1.0 => writeln!(text, "{value:>12.5} {q:>14.12} {total:>10} {:>14.2}", 1.0 / (1.0 - q)),
            q => writeln!(text, "{value:>12.5} {q:>14.12} {total:>10}"),
        };
    }
    let (mean, deviation) = (millis(latencies.mean()), millis(latencies.stdev()));
    let _ = writeln!(text, "#[Mean    = {mean:>12.5}, StdDeviation   = {deviation:>12.5}]");
    let _ = writeln!(text, "#[Max     = {:>12.5}, Total count    = {:>12}]", millis(latencies.max() as f64), latencies.len());
    let _ = writeln!(text, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", latencies.buckets(), 1_u64 << 18);
    text
}
