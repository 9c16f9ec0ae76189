//! `guarantees`: what each guarantee costs – rows per second and core, and latencies in an open loop – over keys and windows; and how late results are
//! when windows slide every 20 ms.

use crate::fold::Effort;
use crate::job::Job;
use crate::payments::{BATCH_ROWS, Channels, Payments, ROWS_PER_SECOND, STREAM};
use crate::report::{Better, Report};
use hdrhistogram::Histogram;
use raympp_engine::{Engine, EngineBuilder, Error};
use raympp_loadgen::in_process::{InProcess, Sessions};
use raympp_loadgen::pauses::jitter;
use raympp_loadgen::recorder::Kind;
use raympp_loadgen::run::{Found, RunPlan};
use raympp_loadgen::schedule::Schedule;
use raympp_loadgen::target::{Target, TargetOptions, usual_spin};
use raympp_loadgen::workload::{Metrics, Settings, Workload};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Rows per second whose latencies are measured.
const RATE: u64 = 500_000;
/// For how long rows are pushed as fast as they are taken: several checkpoints.
const THROUGHPUT: Duration = Duration::from_secs(5);
const HOP: Window = Window {
    name: "HOP 1 s / 1 min",
    sql: "HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')",
    size: Duration::from_secs(60),
    slide: Duration::from_secs(1),
};
const TUMBLE: Window = Window {
    name: "TUMBLE 10 s",
    sql: "TUMBLE(payments, event_time, INTERVAL '10 seconds')",
    size: Duration::from_secs(10),
    slide: Duration::from_secs(10),
};
const GUARANTEES: [Guarantee; 3] = [
    Guarantee { name: "off", checkpoints: None, replicas: 1 },
    Guarantee { name: "checkpoints 1 s", checkpoints: Some(Duration::from_secs(1)), replicas: 1 },
    Guarantee { name: "checkpoints 1 s, standby", checkpoints: Some(Duration::from_secs(1)), replicas: 2 },
];
/// Latencies count when the oldest slices have been dropped as new ones come, and so long after.
const WARM_UP: Duration = Duration::from_secs(2);
/// Where keys come and go all the time: until as many go as come.
const WARM_UP_MIN: Duration = Duration::from_secs(10);
/// How long latencies of the table count, and for how many slides at least.
const COUNTED: Duration = Duration::from_secs(20);
const COUNTED_SLIDES: u32 = 3;
/// How long they count where they have targets.
const STEADY: Duration = Duration::from_secs(60);
/// For how long the machine's jitter is looked at before each of these.
const JITTER: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
struct Window {
    name: &'static str,
    sql: &'static str,
    size: Duration,
    slide: Duration,
}

impl Window {
    fn warm_up(self) -> Duration {
        (self.size + WARM_UP).max(WARM_UP_MIN)
    }

    fn counted(self) -> Duration {
        COUNTED.max(self.slide * COUNTED_SLIDES)
    }
}

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
    for window in [HOP, TUMBLE] {
        for guarantee in GUARANTEES {
            let rate = throughput(keys, window, guarantee, effort)?;
            let times = (window.warm_up(), window.counted());
            let found = latencies("payments", keys, &success_over(window), guarantee, times, effort)?;
            let name = format!("{keys} keys, {}, {}", window.name, guarantee.name);
            report.figure(&format!("{name}: million rows/s/core"), rate.per_core() / 1e6, Better::Higher, &rate.to_string());
            let kinds = [("visible", Kind::Visible, String::new()), ("result", Kind::Result, format!("{} windows", found.windows))];
            for (what, kind, detail) in kinds {
                let latencies = found.recorder.latencies(kind);
                for (quantile_name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.99", 0.9999)] {
                    let found = millis(latencies.value_at_quantile(quantile));
                    report.figure(&format!("{name}: {what}, {quantile_name}, ms"), found, Better::Lower, &detail);
                }
            }
        }
    }
    Ok(())
}

/// What an engine of one core takes.
struct Rate {
    rows: u64,
    took: Duration,
    /// A processor's time that all of the engine's threads had meanwhile.
    engine: Duration,
    commits: u64,
}

impl Rate {
    /// Rows a second of all cores together.
    fn per_s(&self) -> f64 {
        self.rows as f64 / self.took.as_secs_f64()
    }

    /// Cores that were busy with it, its own one at least.
    fn cores(&self) -> f64 {
        (self.engine.as_secs_f64() / self.took.as_secs_f64()).max(1.0)
    }

    fn per_core(&self) -> f64 {
        self.per_s() / self.cores()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} on {:.2} cores, {} commits", self.per_s() / 1e6, self.cores(), self.commits)
    }
}

/// Rows that are pushed as fast as they are taken, with all keys and slices there.
fn throughput(keys: usize, window: Window, guarantee: Guarantee, effort: Effort) -> Result<Rate, Error> {
    let scratch = Scratch::new();
    let job = Job::start_with(guarantee.builder(&scratch), STREAM, &success_over(window), &["success"], 1)?;
    let mut payments = Payments::new(keys, Channels::Dictionary, 7);
    job.push(&payments.take(2 * keys.max(ROWS_PER_SECOND as usize) / BATCH_ROWS))?;
    job.push(&payments.take_sparse(120))?;
    let lasts = if effort.rounds > 1 { THROUGHPUT } else { effort.stretch() };
    let (started, engine_before, commits_before) = (Instant::now(), job.engine_time(), job.checkpoints().commits);
    let mut rows = 0;
    while started.elapsed() < lasts {
        job.writer(0).push_batch(&payments.take(1)[0])?;
        rows += BATCH_ROWS as u64;
    }
    job.writer(0).flush()?;
    let (took, engine) = (started.elapsed(), job.engine_time() - engine_before);
    let commits = job.checkpoints().commits - commits_before;
    job.finish()?;
    Ok(Rate { rows, took, engine, commits })
}

fn success_over(window: Window) -> String {
    format!(
        "CREATE METRIC success AS
         SELECT channel, window_start, window_end, COUNT(*) AS payments,
                COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate, SUM(amount) AS volume
         FROM {} GROUP BY channel, window_start, window_end;",
        window.sql
    )
}

/// Of rows that come when they are due, at half a million a second, first so long without being counted and then so long.
fn latencies(
    workload: &str,
    keys: usize,
    script: &str,
    guarantee: Guarantee,
    (warm_up, counted): (Duration, Duration),
    effort: Effort,
) -> Result<Found, Error> {
    let failed = |error: raympp_loadgen::error::Error| Error::Refused(error.to_string());
    let (scratch, rate) = (Scratch::new(), if effort.rounds > 1 { RATE } else { RATE / 10 });
    let (warm_up, counted) = if effort.rounds > 1 { (warm_up, counted) } else { (effort.stretch(), effort.stretch() * 2) };
    let plan = RunPlan {
        schedule: Schedule::new(rate, &[]),
        duration: warm_up + counted,
        warm_up,
        step: Duration::from_micros(200),
        interval: Duration::from_secs(1),
        faults: Vec::new(),
    };
    let metrics = Metrics::Others(script.to_owned());
    let settings = Settings { seed: 42, keys: keys as u64, skew: 0.0, out_of_orderness: None, rate, metrics, flights: PathBuf::new() };
    let mut workload = Workload::open(workload, &settings).map_err(failed)?;
    let options = TargetOptions {
        threads: 1,
        spin: usual_spin(1),
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

/// Latencies, and beside them what of them may be the machine's: its jitter just before, and the generator's pauses meanwhile.
fn beside_machine(latencies: &Histogram<u64>, jitter: &Histogram<u64>, found: &Found) -> String {
    format!("{}; jitter {}; the generator's own pauses {}", spread(latencies), spread(jitter), spread(&found.pauses.weighed()))
}

/// From when a row was due to its visible effect, at ten thousand keys and with checkpoints every 100 ms; and from the row that closes a window to its result
/// where windows slide every 20 ms.
pub fn steady(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let guarantee = Guarantee { name: "checkpoints 100 ms", checkpoints: Some(Duration::from_millis(100)), replicas: 1 };
    let payments = success_over(HOP);
    let times = (HOP.warm_up(), STEADY);
    let look = if effort.rounds > 1 { JITTER } else { effort.stretch() };
    let before = jitter(look);
    let found = latencies("payments", 10_000.min(effort.keys_max), &payments, guarantee, times, effort)?;
    let visible = found.recorder.latencies(Kind::Visible);
    let name = "10,000 keys, 500,000 rows/s, checkpoints 100 ms: visible, p99.99, ms";
    report.cost(name, millis(visible.value_at_quantile(0.9999)), 5.0, &beside_machine(visible, &before, &found));
    let sliding = |stream: &str, time: &str, key: &str| {
        format!(
            "CREATE METRIC sliding AS SELECT {key}, window_start, window_end, COUNT(*) AS rows
             FROM HOP({stream}, {time}, INTERVAL '20 milliseconds', INTERVAL '1 second') GROUP BY {key}, window_start, window_end;"
        )
    };
    for (workload, script) in
        [("payments", sliding("payments", "event_time", "channel")), ("nexmark", sliding("bid", "date_time", "auction"))]
    {
        let before = jitter(look);
        let found = latencies(workload, 10_000.min(effort.keys_max), &script, guarantee, (WARM_UP_MIN, STEADY), effort)?;
        let results = found.recorder.latencies(Kind::Result);
        let name = format!("{workload}, 10,000 keys, HOP 20 ms / 1 s: result, p99.99, ms");
        report.cost(&name, millis(results.value_at_quantile(0.9999)), 10.0, &beside_machine(results, &before, &found));
    }
    Ok(())
}
