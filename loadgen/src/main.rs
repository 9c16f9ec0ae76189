//! `raympp-loadgen`: how fast and how steady Ray-MPP is on this machine. Exit codes: 0 done, 1 failed or not sustained, 2 bad usage.
#![allow(clippy::disallowed_methods, reason = "a load generator reads the clock")]

mod cli;
mod progress;

use clap::Parser;
use cli::{Cli, Command};
use raympp_loadgen::child::{self, Child};
use raympp_loadgen::error::{Error, Result};
use raympp_loadgen::find_max::{RATE_MAX, Trial, best, find_max, peak};
use raympp_loadgen::in_process::{InProcess, Job, Sessions};
use raympp_loadgen::ledger::{Ledger, Verdict, verify};
use raympp_loadgen::pauses::jitter;
use raympp_loadgen::recorder::Kind;
use raympp_loadgen::report::{Report, date, hgrm, html, table};
use raympp_loadgen::run::{Found, run};
use raympp_loadgen::target::Target;
use raympp_loadgen::workload::{Metrics, Settings, Workload};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// As in the `raympp` program: results are allocated by the engine's cores and freed by whoever takes them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A trial is hopeless once rows are this far behind.
const GIVE_UP: Duration = Duration::from_secs(2);
/// For how long the machine's own jitter is looked at.
const JITTER: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match generate_load(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ Error::Usage(_)) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("raympp-loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate_load(cli: &Cli) -> Result<()> {
    if let Some(Command::Engine) = cli.command {
        return child::serve();
    }
    cli.check()?;
    if cli.find_max {
        return search(cli);
    }
    let jitter = jitter(JITTER.min(cli.duration()));
    let started = date(std::time::SystemTime::now());
    let (found, verdict) = run_once(cli, cli.rate, None)?;
    let report = Report { verdict, ..Report::new(&cli.workload, cli.settings_shown(), started, &jitter, &found) };
    print!("{}", table(&report));
    if let Some(directory) = &cli.out {
        write_files(directory, &report, &found)?;
    }
    match &report.verdict {
        Some(verdict) if !verdict.is_right() => Err(Error::Wrong),
        _ => Ok(()),
    }
}

/// A run on an engine of its own. It is given up once more rows are due and not visible than come in the time given, if one is.
fn run_once(cli: &Cli, rate: u64, give_up: Option<Duration>) -> Result<(Found, Option<Verdict>)> {
    let mut workload = Workload::open(&cli.workload, &cli.workload_settings(rate)?)?;
    let known = match &cli.script {
        None => workload.metrics.clone(),
        Some(_) => Workload::open(&cli.workload, &Settings { metrics: Metrics::All, ..cli.workload_settings(rate)? })?.metrics,
    };
    let scratch = cli.scratch()?;
    let (options, plan) = (cli.target_options(scratch.path()), cli.run_plan(rate));
    let new = || Ledger::new(&workload.stream, &workload.metrics, &known, options.producers);
    let ledger = options.published.as_ref().map(|_| new()).transpose()?;
    let mut target = start(cli, workload.job(&options))?;
    let mut progress = progress::Progress::start(cli);
    let backlog_max = give_up.map_or(u64::MAX, |behind| (rate as f64 * behind.as_secs_f64()) as u64 + 1);
    let found = run(&mut workload, target.as_mut(), &plan, &mut |now| {
        progress.show(now);
        now.due - now.visible < backlog_max
    })?;
    progress.finish();
    target.finish()?;
    let verdict = match (ledger, &options.published) {
        (Some(ledger), Some(published)) => Some(verify(ledger, &mut workload, &plan, found.hand_overs, published, &mut |_| true)?),
        _ => None,
    };
    Ok((found, verdict))
}

fn start(cli: &Cli, job: Job) -> Result<Box<dyn Target>> {
    if !cli.needs_process() {
        return Ok(Box::new(InProcess::start(&job, &Sessions::default())?));
    }
    let own = PathBuf::from("the program's own file");
    let program = std::env::current_exe().map_err(|error| Error::File { path: own, error })?;
    Ok(Box::new(Child::start(program, job)?))
}

/// Looks for the highest rate that is sustained.
fn search(cli: &Cli) -> Result<()> {
    let slo = cli.slo;
    let trials = find_max(cli.rate, RATE_MAX, |rate| {
        let (found, _) = run_once(cli, rate, Some(slo.limit.max(GIVE_UP)))?;
        let latency = slo.found(&found.recorder);
        let is_sustained = found.is_complete && slo.is_met(&found.recorder);
        println!("{rate:>12} rows/s: {latency:.1?}{}", if is_sustained { "" } else { ", not sustained" });
        Ok(Trial { rate, is_sustained, latency, taken: found.rows as f64 / found.elapsed.as_secs_f64() })
    })?;
    let Some(best) = best(&trials) else { return Err(Error::NotSustained(slo.to_string())) };
    let (rate, peak) = (best.rate, peak(&trials));
    println!("{} at {slo}: {rate} rows/s, {:.2} of the {peak:.0} rows/s that were taken at most", cli.workload, rate as f64 / peak);
    Ok(())
}

fn write_files(directory: &Path, report: &Report, found: &Found) -> Result<()> {
    let failed = |path: &Path, error| Error::File { path: path.to_owned(), error };
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, error))
    };
    write("report.json", &report.json())?;
    write("report.html", &html(report))?;
    for (name, kind) in [("visible.hgrm", Kind::Visible), ("results.hgrm", Kind::Result)] {
        let latencies = found.recorder.latencies(kind);
        if !latencies.is_empty() {
            write(name, &hgrm(latencies))?;
        }
    }
    println!("report in {}", directory.display());
    Ok(())
}
