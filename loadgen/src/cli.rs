//! The command line.

mod check;
mod scratch;
mod shown;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand};
use raympp_loadgen::chaos::{self, Fault, Planned};
use raympp_loadgen::error::{Error, Result};
use raympp_loadgen::find_max::{RATE_MAX, Slo};
use raympp_loadgen::run::RunPlan;
use raympp_loadgen::schedule::{Burst, Schedule};
use raympp_loadgen::span;
use raympp_loadgen::target::{TargetOptions, usual_spin};
use raympp_loadgen::workload::{Metrics, Settings};
use scratch::Scratch;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Intervals of a report, at least, and how short one may be.
const INTERVALS: u32 = 300;
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// How long a run lasts, and a trial, unless it is said.
const RUN: Duration = Duration::from_secs(60);
const TRIAL: Duration = Duration::from_secs(10);
/// No option is longer: times are counted in nanoseconds.
const LENGTH_MAX: Duration = Duration::from_secs(365 * 86_400);
/// Rows that are sent and not counted, unless it is said or the run is too short.
const WARM_UP: Duration = Duration::from_secs(5);
/// Keys, unless it is said.
const KEYS: u64 = 10_000;
/// How often checkpoints are taken for kills, unless it is said.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// What `--find-max` is about, unless it is said.
const SLO: Slo = Slo { quantile: 0.99, limit: Duration::from_millis(10) };
/// Partitions and threads at most; the engine says so too, later.
const PARTITIONS: RangeInclusive<u64> = 1..=65_536;
/// The flight log, from the project's directory.
const FLIGHTS: &str = "examples/data/flights-2013.csv.gz";

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
    /// Only this metric of the workload (may be repeated) [default: all, of payments success]
    #[arg(long, value_name = "NAME")]
    pub(crate) metric: Vec<String>,
    /// A script with metrics over the workload's stream, to be computed instead of its own
    #[arg(long, value_name = "FILE", conflicts_with = "metric")]
    pub(crate) script: Option<PathBuf>,
    /// Rows per second
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    pub(crate) rate: u64,
    /// How long rows come, for example 10s or 2m [default: 60s, or 10s for each trial of --find-max]
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_length)]
    lasts: Option<Duration>,
    /// Rows of this time are sent but not counted [default: 5s, or half of the run if that is shorter]
    #[arg(long, value_name = "DURATION", value_parser = span::parse)]
    warm_up: Option<Duration>,
    /// More rows for a while, for example '10x @20s for 2s' (may be repeated)
    #[arg(long, value_parser = parse_burst)]
    burst: Vec<Burst>,
    /// Channels, auctions in flight or advertisements; flights have their own [default: 10000]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    keys: Option<u64>,
    /// Zipf exponent of the payments' channels [default: 0, all alike]
    #[arg(long, value_parser = parse_skew)]
    skew: Option<f64>,
    /// How far rows may be behind the clock, for example 200ms; beyond the watermark's bound some are late [default: the bound]
    #[arg(long, value_name = "DURATION", value_parser = span::parse)]
    out_of_orderness: Option<Duration>,
    /// Rows are others with another seed
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Writers that rows are dealt out to [default: one per thread]
    #[arg(long, value_parser = at_least_one())]
    producers: Option<usize>,
    /// Threads that the engine works with [default: the processors but one, on which rows are made and looked for]
    #[arg(long, value_parser = at_least_one())]
    threads: Option<usize>,
    /// How long a thread of the engine looks for work before it sleeps [default: 300us if each has a processor besides the generator's, else not at all]
    #[arg(long, value_name = "DURATION", value_parser = span::parse)]
    spin: Option<Duration>,
    /// Partitions [default: one per thread, and all that --chaos names]
    #[arg(long, value_parser = clap::value_parser!(u32).range(*PARTITIONS.start() as i64..=*PARTITIONS.end() as i64))]
    partitions: Option<u32>,
    /// Replicas of each partition, 1 or 2 [default: 1, or 2 if --chaos lets one panic]
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(1..=2))]
    replicas: Option<usize>,
    /// Take a checkpoint that often, for example 100ms [default: none, or 1s if --chaos kills]
    #[arg(long, value_name = "INTERVAL", value_parser = parse_length)]
    checkpoint: Option<Duration>,
    /// Where checkpoints are kept; must be empty [default: a new directory below the system's temporary one]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// How much time rows are gathered for before they are handed over
    #[arg(long, default_value = "200us", value_parser = parse_length)]
    step: Duration,
    /// The flight log, for --workload flights [default: examples/data/flights-2013.csv.gz]
    #[arg(long, value_name = "FILE")]
    flights: Option<PathBuf>,
    /// Look for the highest rate at which --slo is met, beginning with --rate
    #[arg(long, conflicts_with_all = ["verify", "burst", "state_dir", "out", "chaos"])]
    pub(crate) find_max: bool,
    /// What must be met, for example 'p99.99 < 5ms' or 'max < 1s' [default: p99 < 10ms]
    #[arg(long, value_name = "OBJECTIVE", value_parser = parse_slo, requires = "find_max")]
    slo: Option<Slo>,
    /// No higher rate is tried by --find-max
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u64).range(1..=RATE_MAX), requires = "find_max")]
    max_rate: Option<u64>,
    /// Run the engine in a process of its own; --chaos with kill or stop does
    #[arg(long)]
    child: bool,
    /// What happens to the engine, for example 'kill @20s; stop @30s for 500ms; panic partition 3 @40s'
    #[arg(long, value_name = "FAULTS", value_parser = parse_chaos)]
    chaos: Option<Faults>,
    /// Publish all results, and check every window of them against a ledger
    #[arg(long)]
    pub(crate) verify: bool,
    /// Where the report is written: report.json, report.html and latencies as .hgrm files. What an earlier run left there is replaced
    #[arg(long, value_name = "DIR", default_value = "raympp-load")]
    pub(crate) out: PathBuf,
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
struct Faults {
    written: String,
    planned: Vec<Planned>,
}

impl Cli {
    pub(crate) fn duration(&self) -> Duration {
        self.lasts.unwrap_or(if self.find_max { TRIAL } else { RUN })
    }

    fn warm_up(&self) -> Duration {
        self.warm_up.unwrap_or_else(|| WARM_UP.min(self.duration() / 2))
    }

    pub(crate) fn slo(&self) -> Slo {
        self.slo.unwrap_or(SLO)
    }

    /// The highest rate that a search may try.
    pub(crate) fn rate_max(&self) -> u64 {
        self.max_rate.unwrap_or(RATE_MAX)
    }

    fn faults(&self) -> &[Planned] {
        self.chaos.as_ref().map_or(&[], |faults| &faults.planned)
    }

    /// True if the engine is to run in a process of its own.
    pub(crate) fn needs_process(&self) -> bool {
        self.child || self.faults().iter().any(|planned| planned.fault.needs_process())
    }

    fn kills(&self) -> bool {
        self.faults().iter().any(|planned| planned.fault == Fault::Kill)
    }

    /// The highest partition whose primary is to panic.
    fn highest_panic(&self) -> Option<u32> {
        let partition = |planned: &Planned| if let Fault::Panic(partition) = planned.fault { Some(partition) } else { None };
        self.faults().iter().filter_map(partition).max()
    }

    fn threads(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(processors.saturating_sub(1)).max(1)
    }

    fn spin(&self) -> Duration {
        self.spin.unwrap_or_else(|| usual_spin(self.threads()))
    }

    pub(crate) fn producers(&self) -> usize {
        self.producers.unwrap_or_else(|| self.threads())
    }

    fn partitions(&self) -> u32 {
        let one_per_thread = u32::try_from(self.threads()).unwrap_or(u32::MAX);
        self.partitions.unwrap_or_else(|| one_per_thread.max(self.highest_panic().map_or(0, |highest| highest.saturating_add(1))))
    }

    fn replicas(&self) -> usize {
        self.replicas.unwrap_or(if self.highest_panic().is_some() { 2 } else { 1 })
    }

    fn checkpoint(&self) -> Option<Duration> {
        self.checkpoint.or_else(|| self.kills().then_some(CHECKPOINT))
    }

    fn flight_log(&self) -> PathBuf {
        self.flights.clone().unwrap_or_else(|| PathBuf::from(FLIGHTS))
    }

    /// Of a run at this rate.
    pub(crate) fn workload_settings(&self, rate: u64) -> Result<Settings> {
        let metrics = match &self.script {
            Some(path) => Metrics::Others(std::fs::read_to_string(path).map_err(|error| Error::File { path: path.clone(), error })?),
            None if self.metric.is_empty() => Metrics::Usual,
            None => Metrics::Named(self.metric.clone()),
        };
        let (keys, skew) = (self.keys.unwrap_or(KEYS), self.skew.unwrap_or(0.0));
        let (seed, out_of_orderness, flights) = (self.seed, self.out_of_orderness, self.flight_log());
        Ok(Settings { seed, keys, skew, out_of_orderness, rate, metrics, flights })
    }

    /// Where the engine keeps its state.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        let Some(path) = self.state_dir.clone() else { return Scratch::new(&std::env::temp_dir()) };
        if path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return wrong(format!("{} is not empty, and a run begins with nothing", path.display()));
        }
        Ok(Scratch::given(path))
    }

    pub(crate) fn target_options(&self, scratch: &Path) -> TargetOptions {
        TargetOptions {
            threads: self.threads(),
            spin: self.spin(),
            partitions: Some(self.partitions()),
            replicas: self.replicas(),
            producers: self.producers(),
            checkpoints: self.checkpoint().map(|interval| (scratch.join("state"), interval)),
            published: self.verify.then(|| scratch.join("published")),
        }
    }

    /// Of a run at this rate.
    pub(crate) fn run_plan(&self, rate: u64) -> RunPlan {
        RunPlan {
            schedule: Schedule::new(rate, &self.burst),
            duration: self.duration(),
            warm_up: self.warm_up(),
            step: self.step,
            faults: self.faults().to_vec(),
            interval: (self.duration() / INTERVALS).max(INTERVAL_MIN),
        }
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Usage(message.into()))
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=*PARTITIONS.end())
}

/// A length of time that there is.
fn parse_length(text: &str) -> std::result::Result<Duration, String> {
    match span::parse(text)? {
        Duration::ZERO => Err(format!("'{text}' is no time at all; it must be longer")),
        length if length > LENGTH_MAX => Err(format!("'{text}' is more than a year")),
        length => Ok(length),
    }
}

fn parse_skew(text: &str) -> std::result::Result<f64, String> {
    let skew = text.parse().ok().filter(|skew: &f64| skew.is_finite() && *skew >= 0.0);
    skew.ok_or_else(|| format!("'{text}' is no exponent; write 0 for channels that are all alike, or for example 0.9"))
}

fn parse_slo(text: &str) -> std::result::Result<Slo, String> {
    Slo::parse(text)
}

fn parse_chaos(text: &str) -> std::result::Result<Faults, String> {
    Ok(Faults { planned: chaos::parse(text)?, written: text.to_owned() })
}

/// `10x @20s for 2s`
fn parse_burst(text: &str) -> std::result::Result<Burst, String> {
    let wrong = || format!("'{text}' is no burst; write for example '10x @20s for 2s'");
    let (factor, rest) = text.split_once('@').ok_or_else(wrong)?;
    let (at, lasts) = rest.split_once("for").ok_or_else(wrong)?;
    let factor = factor
        .trim()
        .strip_suffix('x')
        .and_then(|factor| factor.parse().ok())
        .filter(|factor: &f64| factor.is_finite() && *factor > 0.0)
        .ok_or_else(wrong)?;
    Ok(Burst { factor, at: span::parse(at.trim())?, lasts: parse_length(lasts.trim())? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raympp_loadgen::workload::Workload;

    #[test]
    fn bursts_and_durations_are_read() {
        let burst = |factor, at_ms, ms| Burst { factor, at: Duration::from_millis(at_ms), lasts: Duration::from_millis(ms) };
        assert_eq!(parse_burst("10x @20s for 2s"), Ok(burst(10.0, 20_000, 2_000)));
        assert_eq!(parse_burst("0.5x@1m for 500ms"), Ok(burst(0.5, 60_000, 500)));
        for wrong in [
            "10 @20s for 2s",
            "10x 20s",
            "-1x @1s for 1s",
            "x @1s for 1s",
            "2x @1y for 1s",
            "infx @1s for 1s",
            "NaNx @1s for 1s",
            "2x @1s for 0s",
        ] {
            assert!(parse_burst(wrong).is_err(), "{wrong}");
        }
        assert_eq!(span::parse("200us"), Ok(Duration::from_micros(200)));
    }

    /// Options that are separated by bars, checked.
    pub(super) fn cli(line: &str) -> std::result::Result<Cli, String> {
        let words = line.split('|').map(str::trim).filter(|word| !word.is_empty());
        let cli = Cli::try_parse_from(std::iter::once("raympp-loadgen").chain(words)).map_err(|error| error.to_string())?;
        cli.check().map_err(|error| error.to_string())?;
        Ok(cli)
    }

    #[test]
    fn faults_bring_what_they_need() {
        let shown = |line: &str| {
            let cli = cli(line).expect(line);
            let workload = Workload::open("payments", &cli.workload_settings(1).expect("settings")).expect("payments");
            let options = cli.target_options(Path::new("x"));
            let shown = cli.settings_shown(&workload).into_iter();
            let shown = shown.filter(|(name, _)| ["partitions", "replicas", "checkpoints"].contains(&name.as_str()));
            (
                options.partitions,
                options.replicas,
                options.checkpoints.map(|(_, interval)| interval),
                shown.map(|(_, value)| value).collect::<Vec<_>>(),
            )
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let chaos = "--threads | 2 | --chaos | kill @20s; stop @30s for 500ms; panic partition 3 @40s";
        let implied = ["4 (for --chaos)", "2 (for --chaos)", "1s (for --chaos)"].map(str::to_owned).to_vec();
        assert_eq!(shown(chaos), (Some(4), 2, seconds(1), implied));
        let said = ["7", "2", "3s"].map(str::to_owned).to_vec();
        assert_eq!(shown(&format!("{chaos} | --partitions | 7 | --replicas | 2 | --checkpoint | 3s")), (Some(7), 2, seconds(3), said));
        assert_eq!(shown("--threads | 2"), (Some(2), 1, None, ["2", "1", "none"].map(str::to_owned).to_vec()));
    }
}
