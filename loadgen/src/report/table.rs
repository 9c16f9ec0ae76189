//! A report as lines for a terminal.

use super::{CHECKPOINT, QUANTILES, Report, quantile_name, time};
use crate::ledger::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A report as a table.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    let settings: Vec<String> = report.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let _ = writeln!(text, "workload {} on {} processors: {}", report.workload, report.processors, settings.join(", "));
    let _ = writeln!(
        text,
        "{} rows, {:.0} rows/s; {} due and not visible at most; {} checkpoints",
        report.rows,
        report.rows_per_s,
        report.backlog_max,
        report.marks.iter().filter(|mark| mark.what == CHECKPOINT).count()
    );
    let header: String = QUANTILES.iter().map(|&quantile| format!("{:>12}", quantile_name(quantile))).collect();
    let _ = writeln!(text, "{:<24}{:>12}{header}", "latency", "count");
    let row = |quantiles: &BTreeMap<String, f64>| -> String {
        QUANTILES.iter().map(|&quantile| format!("{:>12}", time(quantiles[&quantile_name(quantile)]))).collect()
    };
    for latency in &report.latencies {
        let _ = writeln!(text, "{:<24}{:>12}{}", latency.what, latency.count, row(&latency.quantiles_us));
    }
    let _ = writeln!(text, "{:<24}{:>12}{}", "the generator's pauses", "", row(&report.pauses_us));
    let _ = writeln!(text, "{:<24}{:>12}{}", "the machine's own jitter", "", row(&report.jitter_us));
    if let Some(verdict) = &report.verdict {
        let Verdict { rows, late, expected, right, missing, wrong, surplus, .. } = verdict;
        let _ = writeln!(
            text,
            "ledger: {rows} rows, {late} late; {expected} results expected: {right} right, {missing} missing, {wrong} wrong, {surplus} surplus"
        );
        for example in &verdict.examples {
            let _ = writeln!(text, "  {example}");
        }
    }
    text
}
