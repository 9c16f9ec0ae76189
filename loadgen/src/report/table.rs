//! A report as lines for a terminal.

use super::{ENDED_EARLY, QUANTILES, Report, quantile_name, time};
use crate::ledger::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A line of settings is no longer.
const WIDTH: usize = 132;

/// A report as a table.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}, {} UTC, {} processors", report.program, report.started, report.processors);
    let settings = report.settings.iter().map(|(name, value)| format!("{name} {value}"));
    text += &wrapped(std::iter::once(format!("workload {}", report.workload)).chain(settings));
    if !report.is_complete {
        let _ = writeln!(text, "{ENDED_EARLY}");
    }
    let _ = writeln!(
        text,
        "{} rows, {:.0} rows/s; {} due and not visible at most; {} checkpoints; {} windows counted",
        report.rows, report.rows_per_s, report.backlog_max, report.checkpoints, report.windows
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
    for outage in &report.outages {
        let _ = writeln!(text, "{outage}");
    }
    text + &report.verdict.as_ref().map_or_else(String::new, verdict_lines)
}

/// What the ledger says.
pub fn verdict_lines(verdict: &Verdict) -> String {
    let Verdict { rows, late, expected, right, missing, wrong, surplus, .. } = verdict;
    let mut text = format!(
        "ledger: {rows} rows, {late} late; {expected} results expected: {right} right, {missing} missing, {wrong} wrong, {surplus} surplus\n"
    );
    for example in &verdict.examples {
        let _ = writeln!(text, "  {example}");
    }
    text
}

/// Items in lines of bearable length.
fn wrapped(items: impl Iterator<Item = String>) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for item in items {
        let length = item.chars().count() + 2;
        if width > 0 && width + length > WIDTH {
            text += ",\n  ";
            width = 2;
        } else if width > 0 {
            text += ", ";
        }
        text += &item;
        width += length;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_fill_lines() {
        let text = wrapped((0..60).map(|number| format!("item {number}")));
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        assert_eq!((items.len(), items[0], items[59]), (60, "item 0", "item 59"));
    }
}
