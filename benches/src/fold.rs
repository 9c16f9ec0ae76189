//! `fold`: rows per second of the engine beside the floor, and of one engine beside another, as ratios.
//!
//! Both sides get the same batches, about a second's worth each time; making batches is outside the clock. Before a figure counts, both must have
//! produced the same results.

use crate::duel::{Duel, timed};
use crate::floor::Floor;
use crate::job::Job;
use crate::payments::{BATCH_ROWS, Channels, Payments, ROWS_PER_SECOND};
use crate::report::Report;
use arrow::array::RecordBatch;
use raympp_engine::Error;
use std::time::Duration;

/// How long a benchmark runs.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Pairs of measurements.
    pub rounds: usize,
    /// Batches of one measurement.
    pub batches: usize,
    /// Keys at most: what a quick run can afford.
    pub keys_max: usize,
    /// Seconds of event time in the longest window.
    pub long_window_s: usize,
}

impl Effort {
    /// How long something is watched that needs the clock.
    pub fn stretch(&self) -> Duration {
        Duration::from_millis(self.rounds as u64 * 200)
    }
}

const SHORT_WINDOW_S: usize = 60;

pub(crate) fn metric(name: &str, window_s: usize) -> String {
    format!(
        "CREATE METRIC {name} AS
         SELECT channel, window_start, window_end, COUNT(*) AS payments,
                COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate, SUM(amount) AS volume
         FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '{window_s} seconds')
         WHERE amount > 0 GROUP BY channel, window_start, window_end HAVING COUNT(*) >= 10;"
    )
}

/// Two sides that are each given the next batches of their own supply, which are made while no clock runs.
fn duel(
    effort: Effort,
    [for_first, for_second]: &mut [Payments; 2],
    mut first: impl FnMut(&[RecordBatch]) -> Result<(), Error>,
    mut second: impl FnMut(&[RecordBatch]) -> Result<(), Error>,
) -> Result<Duel, Error> {
    let first = || {
        let batches = for_first.take(effort.batches);
        timed(|| first(&batches))
    };
    let second = || {
        let batches = for_second.take(effort.batches);
        timed(|| second(&batches))
    };
    Duel::of(effort.rounds, effort.batches * BATCH_ROWS, first, second)
}

/// Two engines that are each given the same rows, after event time has passed `warm_up_s` seconds.
fn duel_of_jobs(effort: Effort, keys: usize, warm_up_s: usize, first: &Job, second: &Job) -> Result<Duel, Error> {
    let mut payments = [7, 7].map(|seed| Payments::new(keys, Channels::Dictionary, seed));
    for (job, payments) in [first, second].into_iter().zip(&mut payments) {
        let mut left = warm_up_s;
        while left > 0 {
            let seconds = left.min(100);
            job.push(&payments.take_sparse(seconds))?;
            left -= seconds;
        }
    }
    duel(effort, &mut payments, |batches| first.push(batches), |batches| second.push(batches))
}

/// For the rest of the thread's life.
fn pin_to_last_core() {
    core_affinity::get_core_ids().unwrap_or_default().last().map(|&core| core_affinity::set_for_current(core));
}

/// Engine on one pinned thread beside the floor. The engine's thread has the first core; the floor, and the thread that hands the engine its
/// batches, have the last.
pub fn beside_floor(name: &str, keys: usize, form: Channels, target: f64, effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = keys.min(effort.keys_max);
    pin_to_last_core();
    let job = Job::start(&metric("success", SHORT_WINDOW_S), &["success"], 1)?;
    let mut floor = Floor::new(keys, SHORT_WINDOW_S);
    let mut payments = [7, 7].map(|seed| Payments::new(keys, form, seed));
    let mut fold = |batches: &[RecordBatch]| {
        batches.iter().for_each(|batch| floor.push(batch));
        Ok(())
    };
    let [for_engine, for_floor] = &mut payments;
    // Two windows: one that is open and one that is retained.
    job.push(&for_engine.take_sparse(2 * SHORT_WINDOW_S))?;
    fold(&for_floor.take_sparse(2 * SHORT_WINDOW_S))?;
    // A second of event time and more, so that neither meets a key for the first time while it is measured.
    let warm_up = 2 * (keys.max(ROWS_PER_SECOND as usize)) / BATCH_ROWS;
    job.push(&for_engine.take(warm_up))?;
    fold(&for_floor.take(warm_up))?;
    let found = duel(effort, &mut payments, |batches| job.push(batches), fold)?;
    let (ours, floors) = (job.finish()?, floor.finish());
    assert_eq!(ours, floors, "engine and floor produce the same results");
    report.hash(name, &ours);
    report.ratio(name, found.ratio, target, &found.rates("engine", "floor"));
    Ok(())
}

/// Cost per row of a long window beside that of a short one.
pub fn long_window(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = 10_000.min(effort.keys_max);
    let jobs = [SHORT_WINDOW_S, effort.long_window_s].map(|seconds| Job::start(&metric("success", seconds), &["success"], 1));
    let [short, long] = jobs;
    let (short, long) = (short?, long?);
    let found = duel_of_jobs(effort, keys, effort.long_window_s, &short, &long)?;
    report.hash("HOP 1 s / 1 min", &short.finish()?);
    report.hash("HOP 1 s / 1 h", &long.finish()?);
    let name = format!("cost per row, HOP 1 s / {} s over 1 s / {SHORT_WINDOW_S} s", effort.long_window_s);
    report.cost(&name, found.ratio, 1.2, &found.rates("short", "long"));
    Ok(())
}

/// Ten window shapes times ten lists of aggregates, all over twelve accumulators.
fn hundred_metrics() -> String {
    let windows = [
        "TUMBLE(payments, event_time, INTERVAL '1 second')",
        "TUMBLE(payments, event_time, INTERVAL '5 seconds')",
        "TUMBLE(payments, event_time, INTERVAL '10 seconds')",
        "TUMBLE(payments, event_time, INTERVAL '1 minute')",
        "HOP(payments, event_time, INTERVAL '1 second', INTERVAL '10 seconds')",
        "HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')",
        "HOP(payments, event_time, INTERVAL '5 seconds', INTERVAL '1 minute')",
        "HOP(payments, event_time, INTERVAL '10 seconds', INTERVAL '5 minutes')",
        "CUMULATE(payments, event_time, INTERVAL '1 second', INTERVAL '30 seconds')",
        "CUMULATE(payments, event_time, INTERVAL '10 seconds', INTERVAL '1 minute')",
    ];
    let lists = [
        "COUNT(*) AS payments, COUNT(*) FILTER (WHERE status = 'SUCCESS') AS successes",
        "COUNT(*) FILTER (WHERE status = 'FAILED') AS failures, SUM(amount) AS volume",
        "COUNT(*) FILTER (WHERE status = 'TIMEOUT') AS timeouts, AVG(amount) AS mean",
        "MIN(amount) AS least, MAX(amount) AS most",
        "SUM(amount) FILTER (WHERE status = 'SUCCESS') AS succeeded, COUNT(*) AS payments",
        "SUM(amount) FILTER (WHERE status = 'FAILED') AS failed, SUM(amount) AS volume",
        "MAX(amount) FILTER (WHERE status = 'FAILED') AS worst, COUNT(*) FILTER (WHERE amount > 5000) AS large",
        "SUM(amount) FILTER (WHERE amount > 5000) AS large_volume, COUNT(*) FILTER (WHERE amount > 5000) AS large",
        "COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS rate",
        "MIN(amount) AS least, MAX(amount) AS most, AVG(amount) AS mean, COUNT(*) AS payments",
    ];
    let mut script = String::new();
    for (w, window) in windows.iter().enumerate() {
        for (l, list) in lists.iter().enumerate() {
            let select = format!("SELECT channel, window_start, window_end, {list} FROM {window}");
            script += &format!("CREATE METRIC m_{w}_{l} AS {select} WHERE amount > 0 GROUP BY channel, window_start, window_end;\n");
        }
    }
    script
}

/// A hundred metrics beside one, results of all taken.
pub fn many_metrics(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = 100;
    let names: Vec<String> = (0..100).map(|i| format!("m_{}_{}", i / 10, i % 10)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let one = Job::start(&metric("success", SHORT_WINDOW_S), &["success"], 1)?;
    let many = Job::start(&hundred_metrics(), &names, 1)?;
    let found = duel_of_jobs(effort, keys, SHORT_WINDOW_S, &one, &many)?;
    report.hash("one metric", &one.finish()?);
    report.hash("100 metrics", &many.finish()?);
    report.cost("cost per row, 100 metrics over one", found.ratio, 8.0, &found.rates("one", "100"));
    Ok(())
}

/// Two threads and two splits beside one and one.
pub fn two_threads(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let keys = 10_000.min(effort.keys_max);
    let one = Job::start(&metric("success", SHORT_WINDOW_S), &["success"], 1)?;
    let two = Job::start(&metric("success", SHORT_WINDOW_S), &["success"], 2)?;
    let found = duel_of_jobs(effort, keys, SHORT_WINDOW_S, &two, &one)?;
    report.hash("two threads", &two.finish()?);
    report.hash("one thread", &one.finish()?);
    let name = "two threads and splits over one, 10,000 keys";
    report.ratio(name, found.ratio, 1.8, &found.rates("two", "one"));
    Ok(())
}
