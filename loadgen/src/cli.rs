//! The command line.

use clap::{Parser, Subcommand};
use raympp_loadgen::chaos::{self, Fault, Planned};
use raympp_loadgen::error::{Error, Result};
use raympp_loadgen::find_max::Slo;
use raympp_loadgen::run::RunPlan;
use raympp_loadgen::schedule::{Burst, Schedule};
use raympp_loadgen::span;
use raympp_loadgen::target::TargetOptions;
use raympp_loadgen::workload::{Metrics, Settings};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Intervals of a report, at least, and how short one may be.
const INTERVALS: u32 = 300;
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// How long a run lasts, and a trial, unless it is said.
const RUN: Duration = Duration::from_secs(60);
const TRIAL: Duration = Duration::from_secs(10);

/// Loads an engine with rows that come when they are due, and reports how late their effects are.
///
/// Without options: payments through 10,000 channels, 500,000 a second for a minute, success rates over the last minute anew each second.
#[derive(Debug, Parser)]
#[command(name = "raympp-loadgen", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// payments, nexmark, ysb or flights
    #[arg(long, default_value = "payments")]
    pub(crate) workload: String,
    /// Only this metric of the workload (may be repeated) [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Vec<String>,
    /// A script with metrics over the workload's stream, to be computed instead of its own
    #[arg(long, value_name = "FILE", conflicts_with = "metric")]
    pub(crate) script: Option<PathBuf>,
    /// Rows per second
    #[arg(long, default_value_t = 500_000)]
    pub(crate) rate: u64,
    /// How long rows come, for example 10s or 2m [default: 60s, or 10s for each trial of --find-max]
    #[arg(long = "for", value_name = "DURATION", value_parser = span::parse)]
    lasts: Option<Duration>,
    /// Rows of this time are sent but not counted
    #[arg(long, default_value = "5s", value_parser = span::parse)]
    pub(crate) warm_up: Duration,
    /// More rows for a while, for example '10x @20s for 2s' (may be repeated)
    #[arg(long, value_parser = parse_burst)]
    pub(crate) burst: Vec<Burst>,
    /// Channels, auctions in flight or advertisements
    #[arg(long, default_value_t = 10_000)]
    pub(crate) keys: u64,
    /// Zipf exponent of the payments' channels
    #[arg(long, default_value_t = 0.0)]
    pub(crate) skew: f64,
    /// Rows are others with another seed
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Writers that rows are dealt out to [default: one per thread]
    #[arg(long)]
    pub(crate) producers: Option<usize>,
    /// Threads that the engine works with [default: the processors but one, on which rows are made and looked for]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Partitions [default: one per thread]
    #[arg(long)]
    pub(crate) partitions: Option<u32>,
    /// Replicas of each partition, 1 or 2
    #[arg(long, default_value_t = 1)]
    pub(crate) replicas: usize,
    /// Take a checkpoint that often, for example 100ms [default: none]
    #[arg(long, value_name = "INTERVAL", value_parser = span::parse)]
    pub(crate) checkpoint: Option<Duration>,
    /// Where checkpoints are kept; must be empty [default: a new directory below the system's temporary one]
    #[arg(long, value_name = "DIR", requires = "checkpoint")]
    pub(crate) state_dir: Option<PathBuf>,
    /// How much time rows are gathered for before they are handed over
    #[arg(long, default_value = "200us", value_parser = span::parse)]
    pub(crate) step: Duration,
    /// The flight log
    #[arg(long, value_name = "FILE", default_value = "examples/data/flights-2013.csv.gz")]
    pub(crate) flights: PathBuf,
    /// Look for the highest rate at which --slo is met, beginning with --rate
    #[arg(long, conflicts_with_all = ["verify", "burst", "state_dir", "out", "chaos"])]
    pub(crate) find_max: bool,
    /// What must be met, for example 'p99.99 < 5ms' or 'max < 1s'
    #[arg(long, value_name = "OBJECTIVE", default_value = "p99 < 10ms", value_parser = parse_slo)]
    pub(crate) slo: Slo,
    /// Run the engine in a process of its own; --chaos with kill or stop does
    #[arg(long)]
    child: bool,
    /// What happens to the engine, for example 'kill @20s; stop @30s for 500ms; panic partition 3 @40s'
    #[arg(long, value_name = "FAULTS", value_parser = parse_chaos)]
    chaos: Option<Faults>,
    /// Publish all results, and check every window of them against a ledger
    #[arg(long)]
    pub(crate) verify: bool,
    /// Write a report into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print lines instead of drawing on the terminal
    #[arg(long)]
    pub(crate) plain: bool,
}

/// What the program is started for by itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The engine, at the other end of two pipes
    #[command(hide = true)]
    Engine,
}

/// What happens to the engine.
#[derive(Clone, Debug)]
struct Faults(Vec<Planned>);

/// A directory that lives as long as a run.
pub(crate) struct Scratch {
    path: PathBuf,
    is_own: bool,
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_own {
            // What can't be removed is the system's to remove.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

impl Cli {
    pub(crate) fn duration(&self) -> Duration {
        self.lasts.unwrap_or(if self.find_max { TRIAL } else { RUN })
    }

    fn faults(&self) -> &[Planned] {
        self.chaos.as_ref().map_or(&[], |faults| &faults.0)
    }

    /// True if the engine is to run in a process of its own.
    pub(crate) fn needs_process(&self) -> bool {
        self.child || self.faults().iter().any(|planned| planned.fault.needs_process())
    }

    /// Whether the options make sense together.
    ///
    /// # Errors
    /// [`Error::Usage`], saying what is missing.
    pub(crate) fn check(&self) -> Result<()> {
        let has = |is_it: fn(&Fault) -> bool| self.faults().iter().any(|planned| is_it(&planned.fault));
        if has(|fault| *fault == Fault::Kill) && self.checkpoint.is_none() {
            return Err(Error::Usage("an engine that is killed goes on from checkpoints: say --checkpoint 1s, for example".to_owned()));
        }
        if has(|fault| matches!(fault, Fault::Panic(_))) && self.replicas < 2 {
            return Err(Error::Usage("a primary that panics needs a standby: say --replicas 2".to_owned()));
        }
        let is_late = |planned: &&Planned| planned.at >= self.duration() && planned.fault != Fault::Continue;
        if let Some(late) = self.faults().iter().find(is_late) {
            return Err(Error::Usage(format!("'{}' at {:?} would come after the run's end: say a longer --for", late.fault, late.at)));
        }
        Ok(())
    }

    fn threads(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(processors.saturating_sub(1)).max(1)
    }

    /// Of a run at this rate.
    pub(crate) fn workload_settings(&self, rate: u64) -> Result<Settings> {
        let metrics = match &self.script {
            Some(path) => Metrics::Others(std::fs::read_to_string(path).map_err(|error| Error::File { path: path.clone(), error })?),
            None if self.metric.is_empty() => Metrics::All,
            None => Metrics::Named(self.metric.clone()),
        };
        Ok(Settings { seed: self.seed, keys: self.keys, skew: self.skew, rate, metrics, flights: self.flights.clone() })
    }

    /// Where the engine keeps its state.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        let own = || std::env::temp_dir().join(format!("raympp-loadgen-{}", std::process::id()));
        let (path, is_own) = self.state_dir.as_ref().map_or_else(|| (own(), true), |given| (given.clone(), false));
        if !is_own && path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::Usage(format!("{} is not empty, and a run begins with nothing", path.display())));
        }
        Ok(Scratch { path, is_own })
    }

    pub(crate) fn target_options(&self, scratch: &Path) -> TargetOptions {
        TargetOptions {
            threads: self.threads(),
            partitions: self.partitions,
            replicas: self.replicas,
            producers: self.producers.unwrap_or_else(|| self.threads()),
            checkpoints: self.checkpoint.map(|interval| (scratch.join("state"), interval)),
            published: self.verify.then(|| scratch.join("published")),
        }
    }

    /// Of a run at this rate.
    pub(crate) fn run_plan(&self, rate: u64) -> RunPlan {
        RunPlan {
            schedule: Schedule::new(rate, &self.burst),
            duration: self.duration(),
            warm_up: self.warm_up.min(self.duration() / 2),
            step: self.step,
            faults: self.faults().to_vec(),
            interval: (self.duration() / INTERVALS).max(INTERVAL_MIN),
        }
    }

    /// What a report says of the run.
    pub(crate) fn settings_shown(&self) -> Vec<(String, String)> {
        let shown = |name: &str, value: &dyn ToString| (name.to_owned(), value.to_string());
        let interval = self.checkpoint.map_or("none".to_owned(), |interval| format!("{interval:?}"));
        vec![
            shown("rate", &format!("{} rows/s", self.rate)),
            shown("for", &format!("{:?}", self.duration())),
            shown("keys", &self.keys),
            shown("skew", &self.skew),
            shown("threads", &self.threads()),
            shown("producers", &self.producers.unwrap_or_else(|| self.threads())),
            shown("replicas", &self.replicas),
            shown("checkpoints", &interval),
            shown("seed", &self.seed),
            shown("engine", if self.needs_process() { &"in a process of its own" } else { &"in this process" }),
        ]
    }
}

fn parse_slo(text: &str) -> std::result::Result<Slo, String> {
    Slo::parse(text)
}

fn parse_chaos(text: &str) -> std::result::Result<Faults, String> {
    chaos::parse(text).map(Faults)
}

/// `10x @20s for 2s`
fn parse_burst(text: &str) -> std::result::Result<Burst, String> {
    let wrong = || format!("'{text}' is no burst; write for example '10x @20s for 2s'");
    let (factor, rest) = text.split_once('@').ok_or_else(wrong)?;
    let (at, lasts) = rest.split_once("for").ok_or_else(wrong)?;
    let factor = factor.trim().strip_suffix('x').and_then(|factor| factor.parse().ok()).filter(|factor| *factor > 0.0).ok_or_else(wrong)?;
    Ok(Burst { factor, at: span::parse(at.trim())?, lasts: span::parse(lasts.trim())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_and_durations_are_read() {
        let burst = |factor, at_ms, ms| Burst { factor, at: Duration::from_millis(at_ms), lasts: Duration::from_millis(ms) };
        assert_eq!(parse_burst("10x @20s for 2s"), Ok(burst(10.0, 20_000, 2_000)));
        assert_eq!(parse_burst("0.5x@1m for 500ms"), Ok(burst(0.5, 60_000, 500)));
        for wrong in ["10 @20s for 2s", "10x 20s", "-1x @1s for 1s", "x @1s for 1s", "2x @1y for 1s"] {
            assert!(parse_burst(wrong).is_err(), "{wrong}");
        }
        assert_eq!(span::parse("200us"), Ok(Duration::from_micros(200)));
    }
}
