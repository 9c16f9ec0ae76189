//! `guarantees`: what each guarantee costs – rows per second and core, and latencies in an open loop – over keys and windows; and how late results are
//! when windows slide every 20 ms.

use crate::duel::{median, timed};
use crate::fold::Effort;
use crate::job::Job;
use crate::payments::{BATCH_ROWS, Channels, Payments, ROWS_PER_SECOND, STREAM};
use crate::report::Report;
use hdrhistogram::Histogram;
use raympp_engine::{Engine, EngineBuilder, Error};
use raympp_loadgen::in_process::{InProcess, Sessions};
use raympp_loadgen::recorder::Kind;
use raympp_loadgen::run::{Found, RunPlan};
use raympp_loadgen::schedule::Schedule;
use raympp_loadgen::target::{Target, TargetOptions};
use raympp_loadgen::workload::{Metrics, Settings, Workload};
use std::path::PathBuf;
use std::time::Duration;

/// Rows per second whose latencies are measured.
const RATE: u64 = 500_000;
const WINDOWS: [(&str, &str); 2] = [
    ("HOP 1 s / 1 min", "HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')"),
    ("TUMBLE 10 s", "TUMBLE(payments, event_time, INTERVAL '10 seconds')"),
];
const GUARANTEES: [Guarantee; 3] = [
    Guarantee { name: "off", checkpoints: None, replicas: 1 },
    Guarantee { name: "checkpoints 1 s", checkpoints: Some(Duration::from_secs(1)), replicas: 1 },
    Guarantee { name: "checkpoints 1 s, standby", checkpoints: Some(Duration::from_secs(1)), replicas: 2 },
];
/// Rows are counted when buffers have found their size, and when as many rows have come as there are keys, so many times over.
const WARM_UP: Duration = Duration::from_secs(2);
const WARM_UP_ROWS_PER_KEY: u64 = 4;
/// Where keys come and go all the time: until as many go as come.
const LONG_WARM_UP: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
struct Guarantee {
    name: &'static str,
    checkpoints: Option<Duration>,
    replicas: usize,
}

/// Where checkpoints are kept while something is measured.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        Scratch(std::env::temp_dir().join(format!("raympp-guarantees-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It lies among temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Guarantee {
    fn builder(self, scratch: &Scratch) -> EngineBuilder {
        let builder = Engine::builder().threads(1).pin_threads(true).replicas(self.replicas);
        match self.checkpoints {
            Some(interval) => builder.state_dir(&scratch.0).barrier_interval_us(interval.as_micros() as u64),
            None => builder,
        }
    }
}

/// A table over both windows and all guarantees.
pub fn table(keys: usize, effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = keys.min(effort.keys_max);
    for (name, window) in WINDOWS {
        for guarantee in GUARANTEES {
            let rows_per_s = throughput(keys, window, guarantee, effort)?;
            let warm_up = WARM_UP.max(Duration::from_micros(WARM_UP_ROWS_PER_KEY * keys as u64 * 1_000_000 / RATE));
            let found = latencies("payments", keys, &success_over(window), guarantee, warm_up, effort)?;
            let [visible, results] = [Kind::Visible, Kind::Result].map(|kind| spread(found.recorder.latencies(kind)));
            let name = format!("{keys} keys, {name}, {}", guarantee.name);
            report.note(&name, &format!("{:.2} million rows/s/core; visible {visible}; results {results}", rows_per_s / 1e6));
        }
    }
    Ok(())
}

/// Rows that are pushed as fast as they are taken, with all keys and slices there.
fn throughput(keys: usize, window: &str, guarantee: Guarantee, effort: Effort) -> Result<f64, Error> {
    let scratch = Scratch::new();
    let job = Job::start_with(guarantee.builder(&scratch), STREAM, &success_over(window), &["success"], 1)?;
    let mut payments = Payments::new(keys, Channels::Dictionary, 7);
    job.push(&payments.take(2 * keys.max(ROWS_PER_SECOND as usize) / BATCH_ROWS))?;
    job.push(&payments.take_sparse(120))?;
    let batches = effort.batches.min(512);
    let mut rates = Vec::new();
    for _ in 0..effort.rounds {
        let rows = payments.take(batches);
        rates.push((batches * BATCH_ROWS) as f64 / timed(|| job.push(&rows))?.as_secs_f64());
    }
    job.finish()?;
    Ok(median(rates))
}

fn success_over(window: &str) -> String {
    format!(
        "CREATE METRIC success AS
         SELECT channel, window_start, window_end, COUNT(*) AS payments,
                COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate, SUM(amount) AS volume
         FROM {window} GROUP BY channel, window_start, window_end;"
    )
}

/// Of rows that come when they are due, at half a million a second.
fn latencies(workload: &str, keys: usize, script: &str, guarantee: Guarantee, warm_up: Duration, effort: Effort) -> Result<Found, Error> {
    let failed = |error: raympp_loadgen::error::Error| Error::Refused(error.to_string());
    let (scratch, rate) = (Scratch::new(), if effort.rounds > 1 { RATE } else { RATE / 10 });
    let warm_up = if effort.rounds > 1 { warm_up } else { effort.stretch() };
    let plan = RunPlan {
        schedule: Schedule::new(rate, &[]),
        duration: warm_up + effort.stretch() * 2,
        warm_up,
        step: Duration::from_micros(200),
        interval: Duration::from_secs(1),
        faults: Vec::new(),
    };
    let metrics = Metrics::Others(script.to_owned());
    let settings = Settings { seed: 42, keys: keys as u64, skew: 0.0, rate, metrics, flights: PathBuf::new() };
    let mut workload = Workload::open(workload, &settings).map_err(failed)?;
    let options = TargetOptions {
        threads: 1,
        partitions: None,
        replicas: guarantee.replicas,
        producers: 1,
        checkpoints: guarantee.checkpoints.map(|interval| (scratch.0.clone(), interval)),
        published: None,
    };
    let mut target = Box::new(InProcess::start(&workload.job(&options), &Sessions::default()).map_err(failed)?);
    let found = raympp_loadgen::run::run(&mut workload, target.as_mut(), &plan, &mut |_| true).map_err(failed)?;
    Target::finish(target).map_err(failed)?;
    Ok(found)
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn spread(latencies: &Histogram<u64>) -> String {
    let at = |quantile: f64| millis(latencies.value_at_quantile(quantile));
    format!("p50 {:.3}, p99 {:.2}, p99.99 {:.2} ms", at(0.5), at(0.99), at(0.9999))
}

/// Latencies, and beside them what of them may be the machine's.
fn beside_pauses(latencies: &Histogram<u64>, found: &Found) -> String {
    format!("{}; the generator's own pauses {}", spread(latencies), spread(&found.pauses.weighed()))
}

/// From when a row was due to its visible effect, at ten thousand keys and with checkpoints every 100 ms; and from the row that closes a window to its result
/// where windows slide every 20 ms.
pub fn steady(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let guarantee = Guarantee { name: "checkpoints 100 ms", checkpoints: Some(Duration::from_millis(100)), replicas: 1 };
    let payments = success_over(WINDOWS[0].1);
    let found = latencies("payments", 10_000.min(effort.keys_max), &payments, guarantee, LONG_WARM_UP, effort)?;
    let visible = found.recorder.latencies(Kind::Visible);
    let name = "10,000 keys, 500,000 rows/s, checkpoints 100 ms: visible, p99.99, ms";
    report.cost(name, millis(visible.value_at_quantile(0.9999)), 5.0, &beside_pauses(visible, &found));
    let sliding = |stream: &str, time: &str, key: &str| {
        format!(
            "CREATE METRIC sliding AS SELECT {key}, window_start, window_end, COUNT(*) AS rows
             FROM HOP({stream}, {time}, INTERVAL '20 milliseconds', INTERVAL '1 second') GROUP BY {key}, window_start, window_end;"
        )
    };
    for (workload, script) in
        [("payments", sliding("payments", "event_time", "channel")), ("nexmark", sliding("bid", "date_time", "auction"))]
    {
        let found = latencies(workload, 10_000.min(effort.keys_max), &script, guarantee, LONG_WARM_UP, effort)?;
        let results = found.recorder.latencies(Kind::Result);
        let name = format!("{workload}, 10,000 keys, HOP 20 ms / 1 s: result, p99.99, ms");
        report.cost(&name, millis(results.value_at_quantile(0.9999)), 10.0, &beside_pauses(results, &found));
    }
    Ok(())
}
