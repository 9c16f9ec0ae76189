//! `raympp-loadgen`: how fast and how steady Ray-MPP is on this machine.
//!
//! Exit codes: 0 done, 1 failed or not sustained, 2 bad usage, 130 ended early by Ctrl-C, SIGTERM or SIGHUP: unlike an end of `raympp run`, that is a
//! measurement which is not what was asked for; 141 nobody reads its output any longer.
#![allow(clippy::disallowed_methods, reason = "a load generator reads the clock")]

mod cli;
mod files;
mod output;
mod progress;

use clap::Parser;
use cli::{Cli, Command};
use files::Files;
use progress::Progress;
use raympp_loadgen::child::{self, Child};
use raympp_loadgen::error::{Error, Result};
use raympp_loadgen::find_max::{Trial, best, find_max, peak};
use raympp_loadgen::in_process::{InProcess, Job, Sessions};
use raympp_loadgen::ledger::{Ledger, Verdict, verify};
use raympp_loadgen::pauses::jitter;
use raympp_loadgen::report::{Report, date, spread, table, verdict_lines};
use raympp_loadgen::run::{Found, RunPlan, run};
use raympp_loadgen::target::Target;
use raympp_loadgen::workload::{Metrics, Settings, Workload};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// As in the `raympp` program: results are allocated by the engine's cores and freed by whoever takes them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A trial is hopeless once rows are this far behind.
const GIVE_UP: Duration = Duration::from_secs(2);
/// Rows that a search makes before each trial: one thread could not make them as fast as an engine takes them.
const PREPARED: u64 = 1 << 22;
/// For how long the machine's own jitter is looked at.
const JITTER: Duration = Duration::from_secs(2);
/// As a shell has it for a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;
/// The same of a program that a closed pipe ends.
const CLOSED_PIPE: u8 = 141;

fn main() -> ExitCode {
    match generate_load(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(CLOSED_PIPE),
        Err(error) => {
            output::note(&format!("raympp-loadgen: {error}"));
            match error {
                Error::Usage(_) => ExitCode::from(2),
                Error::Interrupted => ExitCode::from(INTERRUPTED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn generate_load(cli: &Cli) -> Result<()> {
    if let Some(Command::Engine) = cli.command {
        return child::serve();
    }
    cli.check()?;
    let interrupts = Interrupts::watch()?;
    if cli.find_max { search(cli, &interrupts) } else { measure(cli, &interrupts) }
}

/// Whether the program is to end.
struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    /// From now on Ctrl-C, SIGTERM and SIGHUP end what is going on early; the second one ends the process.
    fn watch() -> Result<Interrupts> {
        let flag = Arc::new(AtomicBool::new(false));
        let interrupts = Interrupts(Arc::clone(&flag));
        let handler = move || {
            if flag.swap(true, Ordering::AcqRel) {
                std::process::exit(INTERRUPTED.into());
            }
        };
        ctrlc::set_handler(handler).map_err(|error| Error::Signals(error.to_string()))?;
        Ok(interrupts)
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn none_yet(&self) -> Result<()> {
        if self.any() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// One run and its report. What could fail late is tried before; what was measured is shown and written before anything else can fail, and written even if nobody
/// looks.
fn measure(cli: &Cli, interrupts: &Interrupts) -> Result<()> {
    let mut workload = Workload::open(&cli.workload, &cli.workload_settings(cli.rate)?)?;
    let ledger = cli.verify.then(|| ledger(cli, &workload)).transpose()?;
    let (scratch, files) = (cli.scratch()?, Files::open(&cli.out)?);
    let (options, plan) = (cli.target_options(scratch.path()), cli.run_plan(cli.rate));
    let (job, jitter) = (workload.job(&options), jitter(JITTER.min(cli.duration())));
    let started = date(SystemTime::now());
    let (found, target) = load(cli, &mut workload, &job, &plan, &mut |_| !interrupts.any())?;
    let mut report = Report::new(&cli.workload, cli.settings_shown(&workload), started, &jitter, &found);
    let shown = output::text(&table(&report));
    files.write(&report, &found)?;
    shown?;
    output::line(&format!("report in {}", cli.out.display()))?;
    interrupts.none_yet()?;
    let untriggered = finish(target)?;
    let verdict = match (ledger, &options.published) {
        (Some(ledger), Some(published)) => {
            let mut progress = Progress::start_later(cli);
            let mut watch = |now: &_| {
                progress.show_verifying(now);
                !interrupts.any()
            };
            Some(verify(ledger, &mut workload, &plan, found.hand_overs, published, &mut watch)?)
        }
        _ => None,
    };
    if let Some(verdict) = &verdict {
        report.verdict = Some(verdict.clone());
        files.write(&report, &found)?;
        output::text(&verdict_lines(verdict))?;
    }
    outcome(verdict.as_ref(), untriggered)
}

/// Of a run that has come to its end.
fn outcome(verdict: Option<&Verdict>, untriggered: Option<Error>) -> Result<()> {
    match (verdict.map_or(Ok(()), Verdict::judge), untriggered) {
        (Err(error), Some(untriggered)) => {
            output::note(&format!("raympp-loadgen: {untriggered}"));
            Err(error)
        }
        (Ok(()), Some(untriggered)) => Err(untriggered),
        (outcome, None) => outcome,
    }
}

/// An empty ledger for the metrics of a run.
fn ledger(cli: &Cli, workload: &Workload) -> Result<Ledger> {
    let known = match &cli.script {
        None => workload.metrics.clone(),
        Some(_) => Workload::open(&cli.workload, &Settings { metrics: Metrics::All, ..cli.workload_settings(cli.rate)? })?.metrics,
    };
    Ledger::new(&workload.stream, &workload.metrics, &known, cli.producers())
}

/// Runs a workload on an engine of its own, which is handed back as it is then. `go_on` is told how many rows are due and not visible, and ends the run
/// early by answering false.
fn load(
    cli: &Cli,
    workload: &mut Workload,
    job: &Job,
    plan: &RunPlan,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<(Found, Box<dyn Target>)> {
    let mut target = start(cli, job)?;
    let mut progress = Progress::start(cli);
    let found = run(workload, target.as_mut(), plan, &mut |now| {
        progress.show_run(now, plan.duration);
        go_on(now.due - now.visible)
    })?;
    drop(progress);
    Ok((found, target))
}

fn start(cli: &Cli, job: &Job) -> Result<Box<dyn Target>> {
    if !cli.needs_process() {
        return Ok(Box::new(InProcess::start(job, &Sessions::default())?));
    }
    let own = PathBuf::from("the program's own file");
    let program = std::env::current_exe().map_err(|error| Error::File { path: own, error })?;
    Ok(Box::new(Child::start(program, job.clone())?))
}

/// Waits until everything has come out. What was to break and has not does not keep the rest from being looked at.
fn finish(target: Box<dyn Target>) -> Result<Option<Error>> {
    match target.finish() {
        Ok(()) => Ok(None),
        Err(error @ Error::Untriggered(_)) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// Looks for the highest rate that is sustained, and says what was found even if it is ended early.
fn search(cli: &Cli, interrupts: &Interrupts) -> Result<()> {
    output::line(&format!("the machine's own jitter: {}", spread(&jitter(JITTER.min(cli.duration())))))?;
    let (slo, mut trials) = (cli.slo(), Vec::new());
    let outcome = find_max(cli.rate, cli.rate_max(), |rate| {
        let tried = trial(cli, rate, interrupts)?;
        trials.push(tried);
        Ok(tried)
    });
    let Some(best) = best(&trials) else { return Err(outcome.err().unwrap_or_else(|| Error::NotSustained(slo.to_string()))) };
    let (rate, peak) = (best.rate, peak(&trials));
    let limit = if rate == cli.rate_max() { ", and no more was to be tried" } else { "" };
    let (workload, share) = (&cli.workload, rate as f64 / peak);
    output::line(&format!("{workload} at {slo}: {rate} rows/s, {share:.2} of the {peak:.0} rows/s that were taken at most{limit}"))?;
    outcome.map(drop)
}

/// A run at a rate. It is given up once more rows are due and not visible than come in a time in which that is hopeless.
fn trial(cli: &Cli, rate: u64, interrupts: &Interrupts) -> Result<Trial> {
    let (mut workload, plan, slo) = (Workload::open(&cli.workload, &cli.workload_settings(rate)?)?, cli.run_plan(rate), cli.slo());
    workload.prepare(PREPARED, &plan.schedule)?;
    let scratch = cli.scratch()?;
    let job = workload.job(&cli.target_options(scratch.path()));
    let backlog_max = (rate as f64 * slo.limit.max(GIVE_UP).as_secs_f64()) as u64;
    let (found, target) = load(cli, &mut workload, &job, &plan, &mut |backlog| backlog <= backlog_max && !interrupts.any())?;
    interrupts.none_yet()?;
    if found.is_complete {
        finish(target)?;
    }
    let latency = slo.found(&found.recorder);
    let is_sustained = found.is_complete && slo.is_met(&found.recorder);
    let verdict = match (is_sustained, found.is_complete, latency < slo.limit) {
        (true, ..) => "",
        (false, false, _) => ", given up, not sustained",
        (false, true, true) => ", no rows to count, not sustained",
        (false, true, false) => ", not sustained",
    };
    let pauses = spread(&found.pauses.weighed());
    output::line(&format!("{rate:>12} rows/s: {latency:.1?}{verdict}; the generator's pauses: {pauses}"))?;
    Ok(Trial { rate, is_sustained, latency, taken: found.visible as f64 / found.elapsed.as_secs_f64() })
}
