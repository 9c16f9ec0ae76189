//! What a run has found, as plain data, and the forms it is shown in: a table, JSON, `.hgrm` files and one page of HTML.

mod hgrm;
mod html;
mod outages;
mod plot;
mod table;

pub use hgrm::hgrm;
pub use html::html;
pub use outages::Outage;
pub use table::{table, verdict_lines};

use crate::ledger::Verdict;
use crate::recorder::{Event, Kind, Recorder};
use crate::run::{CHECKPOINT, Found};
use hdrhistogram::Histogram;
use raympp_engine::Value;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Quantiles that are shown.
pub const QUANTILES: [f64; 7] = [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1.0];

/// What has made a report.
const PROGRAM: &str = concat!("raympp-loadgen ", env!("CARGO_PKG_VERSION"));
/// What is said of a run that was ended early.
const ENDED_EARLY: &str = "ended early: not all rows were sent and seen";

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the workload.
    pub workload: String,
    /// The load generator and its version.
    pub program: &'static str,
    /// When the run began, UTC.
    pub started: String,
    /// What it was run with, as the command line has it.
    pub settings: Vec<(String, String)>,
    /// Processors of the machine.
    pub processors: usize,
    /// How late empty loops on all of this machine's processors see the clock, weighed by time, in microseconds by quantile.
    pub jitter_us: BTreeMap<String, f64>,
    /// The same of the load generator while it ran: pauses of the machine under load, or work of its own. They are part of all latencies.
    pub pauses_us: BTreeMap<String, f64>,
    /// All rows of the plan were sent and seen; else the run was ended early.
    pub is_complete: bool,
    /// Rows that were sent.
    pub rows: u64,
    /// Rows a second, from the first row's time until the last was visible.
    pub rows_per_s: f64,
    /// Most rows that were due and not visible.
    pub backlog_max: u64,
    /// Checkpoints that were committed; marks say when, where several within one look at the engine are one.
    pub checkpoints: u64,
    /// Windows whose results' latencies count.
    pub windows: u64,
    /// Latencies of what was waited for.
    pub latencies: Vec<Latency>,
    /// Seconds from the beginning to where counting begins.
    pub warm_up_s: f64,
    /// By the time at which rows were due, from the end of the warm-up on.
    pub intervals: Vec<Stretch>,
    /// What happened meanwhile.
    pub marks: Vec<Mark>,
    /// Faults, and how long they lasted.
    pub outages: Vec<Outage>,
    /// How results compare with the ledger, if there is one.
    pub verdict: Option<Verdict>,
}

/// Latencies of one kind, in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// `row visible` or `window's result`.
    pub what: &'static str,
    /// How many were counted.
    pub count: u64,
    /// On average.
    pub mean_us: f64,
    /// By quantile, written as a percentage.
    pub quantiles_us: BTreeMap<String, f64>,
    /// Points of the curve of latency by quantile: quantile, latency.
    pub curve: Vec<(f64, f64)>,
}

/// One interval.
#[derive(Clone, Debug, Serialize)]
pub struct Stretch {
    /// Where it begins, in seconds from the beginning.
    pub from_s: f64,
    /// Rows that became visible in it, per second.
    pub rows_per_s: f64,
    /// p50, p99 and maximum of the latencies of rows that were due in it, in microseconds, if there were any.
    pub visible_us: Option<[f64; 3]>,
    /// The same of results.
    pub result_us: Option<[f64; 3]>,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Mark {
    /// Seconds from the beginning.
    pub at_s: f64,
    /// What.
    pub what: String,
}

/// What is shown where there is no number.
const NOTHING: &str = "–";

/// Microseconds in the unit that shows them best.
fn time(micros: f64) -> String {
    match micros {
        m if !m.is_finite() => NOTHING.to_owned(),
        m if m < 1_000.0 => format!("{m:.1} µs"),
        m if m < 1_000_000.0 => format!("{:.2} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

/// Seconds in the unit that shows them best.
fn seconds_shown(seconds: f64) -> String {
    time(seconds * 1e6)
}

/// A time as a report shows it: UTC, to the second.
pub fn date(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let text = Value::Timestamp(since.as_secs() as i64 * 1_000_000).to_string();
    text.split('.').next().unwrap_or_default().to_owned()
}

/// Some quantiles of times given in nanoseconds, in a line.
pub fn spread(nanos: &Histogram<u64>) -> String {
    let shown = |quantile: f64| format!("{} {}", quantile_name(quantile), time(micros(nanos.value_at_quantile(quantile))));
    [0.5, 0.99, 0.9999, 1.0].map(shown).join(", ")
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A quantile as it is written: `99.99 %`, and `max` for the last.
pub fn quantile_name(quantile: f64) -> String {
    if quantile >= 1.0 { "max".to_owned() } else { format!("p{}", (quantile * 1e7).round() / 1e5) }
}

fn quantiles(latencies: &Histogram<u64>) -> BTreeMap<String, f64> {
    QUANTILES.iter().map(|&quantile| (quantile_name(quantile), micros(latencies.value_at_quantile(quantile)))).collect()
}

fn three(latencies: &Histogram<u64>) -> Option<[f64; 3]> {
    let three = || [latencies.value_at_quantile(0.5), latencies.value_at_quantile(0.99), latencies.max()].map(micros);
    (!latencies.is_empty()).then(three)
}

impl Latency {
    fn of(what: &'static str, latencies: &Histogram<u64>) -> Latency {
        let curve = latencies.iter_quantiles(5).map(|point| (point.quantile_iterated_to(), micros(point.value_iterated_to())));
        let mean_us = latencies.mean() / 1e3;
        Latency { what, count: latencies.len(), mean_us, quantiles_us: quantiles(latencies), curve: curve.collect() }
    }
}

impl Report {
    /// Of a run of a workload with these settings that began at that date, on a machine whose own jitter is this. Nothing is verified yet.
    pub fn new(workload: &str, settings: Vec<(String, String)>, started: String, jitter: &Histogram<u64>, found: &Found) -> Report {
        let recorder = &found.recorder;
        let named = [("row visible", Kind::Visible), ("window's result", Kind::Result)];
        let counted = named.into_iter().map(|(what, kind)| (what, recorder.latencies(kind))).filter(|(_, latencies)| !latencies.is_empty());
        let mark = |event: &Event| Mark { at_s: seconds(event.at_ns), what: event.what.clone() };
        let marks: Vec<Mark> = recorder.events.iter().map(mark).collect();
        Report {
            workload: workload.to_owned(),
            program: PROGRAM,
            started,
            settings,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            jitter_us: quantiles(jitter),
            pauses_us: quantiles(&found.pauses.weighed()),
            is_complete: found.is_complete,
            rows: found.rows,
            rows_per_s: found.visible as f64 / found.elapsed.as_secs_f64(),
            backlog_max: found.backlog_max,
            checkpoints: found.counts.checkpoints,
            windows: found.windows,
            latencies: counted.map(|(what, latencies)| Latency::of(what, latencies)).collect(),
            warm_up_s: seconds(recorder.from_ns()),
            intervals: stretches(recorder),
            outages: outages::outages(&marks),
            marks,
            verdict: None,
        }
    }

    /// As JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data")
    }
}

fn stretches(recorder: &Recorder) -> Vec<Stretch> {
    let stretch = |(i, interval): (usize, &crate::recorder::Interval)| {
        let (visible, results) = (interval.latencies(Kind::Visible), interval.latencies(Kind::Result));
        Stretch {
            from_s: seconds(recorder.from_ns() + i as u64 * recorder.interval_ns()),
            rows_per_s: interval.seen() as f64 / seconds(recorder.interval_ns()),
            visible_us: three(visible),
            result_us: three(results),
        }
    };
    recorder.intervals().iter().enumerate().map(stretch).collect()
}
