//! Whole runs, small: every workload, its results checked against the ledger. Nothing is said here about how fast they are.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "runs/program.rs"]
mod program;

use arrow::array::RecordBatch;
use raympp_loadgen::chaos::{self, Fault};
use raympp_loadgen::child::Child;
use raympp_loadgen::error::Error;
use raympp_loadgen::in_process::{InProcess, Job, Sessions};
use raympp_loadgen::ledger::{Ledger, Verdict, verify};
use raympp_loadgen::recorder::Kind;
use raympp_loadgen::run::{BACK, Found, PROMOTION, RunPlan, run};
use raympp_loadgen::schedule::{Burst, Schedule};
use raympp_loadgen::target::{Push, Target, TargetOptions};
use raympp_loadgen::workload::{Metrics, Settings, Workload, names};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A directory that goes away with the value.
struct Directory(PathBuf);

static DIRECTORIES: AtomicUsize = AtomicUsize::new(0);

impl Directory {
    fn new(name: &str) -> Directory {
        let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("loadgen-{name}-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(rate: u64) -> Settings {
    let flights = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/flights-2013.csv.gz"));
    Settings { seed: 5, keys: 200, skew: 0.7, out_of_orderness: None, rate, metrics: Metrics::All, flights }
}

fn options(directory: &Directory) -> TargetOptions {
    TargetOptions {
        threads: 2,
        spin: Duration::ZERO,
        partitions: Some(3),
        replicas: 2,
        producers: 3,
        checkpoints: Some((directory.0.join("state"), Duration::from_millis(20))),
        published: Some(directory.0.join("published")),
    }
}

fn plan(rate: u64, bursts: &[Burst]) -> RunPlan {
    RunPlan {
        schedule: Schedule::new(rate, bursts),
        duration: Duration::from_millis(1_500),
        warm_up: Duration::from_millis(200),
        step: Duration::from_micros(500),
        interval: Duration::from_millis(100),
        faults: Vec::new(),
    }
}

/// A run of a workload on an engine of two threads, with checkpoints, standbys and three producers, and what becomes of `hand_overs(…)` of it in the ledger.
fn run_and_verify(
    name: &str,
    plan: &RunPlan,
    start: impl FnOnce(Job) -> Box<dyn Target>,
    hand_overs: impl Fn(usize) -> usize,
) -> (Found, Verdict) {
    let directory = Directory::new(name);
    run_and_verify_with(name, &settings(20_000), &directory, plan, start, hand_overs)
}

/// As [`run_and_verify`], with rows made by these settings and files in this directory.
fn run_and_verify_with(
    name: &str,
    settings: &Settings,
    directory: &Directory,
    plan: &RunPlan,
    start: impl FnOnce(Job) -> Box<dyn Target>,
    hand_overs: impl Fn(usize) -> usize,
) -> (Found, Verdict) {
    let mut workload = Workload::open(name, settings).unwrap();
    let mut target = start(workload.job(&options(directory)));
    let ledger = Ledger::new(&workload.stream, &workload.metrics, &workload.metrics, 3).unwrap();
    let found = run(&mut workload, target.as_mut(), plan, &mut |_| true).unwrap();
    target.finish().unwrap();
    let published = directory.0.join("published");
    let verdict = verify(ledger, &mut workload, plan, hand_overs(found.hand_overs), &published, &mut |_| true).unwrap();
    (found, verdict)
}

fn in_process(job: Job) -> Box<dyn Target> {
    Box::new(InProcess::start(&job, &Sessions::default()).unwrap())
}

fn child(job: Job) -> Box<dyn Target> {
    Box::new(Child::start(env!("CARGO_BIN_EXE_raympp-loadgen").into(), job).unwrap())
}

#[test]
fn every_window_of_every_workload_is_right() {
    for name in names() {
        let (found, verdict) = run_and_verify(name, &plan(20_000, &[]), in_process, |all| all);
        assert!(verdict.is_right(), "{name}: {verdict:?}");
        assert_eq!((verdict.rows, found.rows), (30_000, 30_000), "{name}");
        // 1.5 s are no more than two windows of the 20 campaigns of ysb; the others have more.
        assert!(verdict.expected >= 40, "{name}: {verdict:?}");
        let counted = found.recorder.latencies(Kind::Visible).len();
        assert_eq!(counted, 26_000, "{name}: each row is seen once, those of the warm-up left out");
    }
}

/// Rows up to 200 ms behind the clock where watermarks allow 50 ms: the engine puts as many aside as the ledger finds late, and all others count.
#[test]
fn rows_behind_the_watermark_are_late_in_the_ledger_as_in_the_engine() {
    let settings = Settings { out_of_orderness: Some(Duration::from_millis(200)), ..settings(20_000) };
    for (name, stream) in [("payments", "payments"), ("nexmark", "bid"), ("ysb", "events")] {
        let directory = Directory::new(&format!("late-{name}"));
        let late = directory.0.join("late");
        let start = |mut job: Job| {
            job.script +=
                &format!("\nCREATE SINK late FROM {stream}_late WITH (connector = 'file', path = '{}', format = 'jsonl');", late.display());
            in_process(job)
        };
        let (found, verdict) = run_and_verify_with(name, &settings, &directory, &plan(20_000, &[]), start, |all| all);
        assert!(verdict.is_right(), "{name}: {verdict:?}");
        assert!(verdict.late > 10_000 && verdict.late < found.rows, "{name}: most rows are too far behind, and not all: {verdict:?}");
        assert_eq!(verdict.late, lines_below(&late), "{name}");
    }
}

/// Lines of all parts in a directory.
fn lines_below(directory: &Path) -> u64 {
    let parts = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    parts.map(|part| std::fs::read_to_string(part).unwrap().lines().count() as u64).sum()
}

#[test]
fn a_burst_changes_nothing_but_when_rows_come() {
    let burst = Burst { factor: 10.0, at: Duration::from_millis(500), lasts: Duration::from_millis(100) };
    let (found, verdict) = run_and_verify("payments", &plan(20_000, &[burst]), in_process, |all| all);
    assert!(verdict.is_right(), "{verdict:?}");
    assert_eq!(found.rows, 30_000 + 9 * 2_000);
}

/// The ledger can fail: without the rows of the last hand-over, there is something that it did not expect.
#[test]
fn rows_that_the_ledger_does_not_have_show() {
    let (_, verdict) = run_and_verify("payments", &plan(20_000, &[]), in_process, |all| all - 1);
    assert!(!verdict.is_right() && verdict.wrong > 0, "{verdict:?}");
    assert!(verdict.examples[0].starts_with("success: "), "{verdict:?}");
}

/// Rows of every kind of column pass through the pipes.
#[test]
fn an_engine_in_a_process_of_its_own_is_right() {
    for name in names() {
        let (found, verdict) = run_and_verify(name, &plan(20_000, &[]), child, |all| all);
        assert!(verdict.is_right() && verdict.rows == 30_000, "{name}: {verdict:?}");
        assert_eq!(found.recorder.latencies(Kind::Visible).len(), 26_000, "{name}");
    }
}

fn times_of(found: &Found, what: &str) -> Vec<u64> {
    found.recorder.events.iter().filter(|event| event.what == what).map(|event| event.at_ns).collect()
}

#[test]
fn kills_and_stops_change_no_result() {
    let faults = chaos::parse("kill @300ms; panic partition 1 @600ms; stop @800ms for 100ms; kill @1060ms; kill @1061ms").unwrap();
    let plan = RunPlan { faults, ..plan(20_000, &[]) };
    let (found, verdict) = run_and_verify("payments", &plan, child, |all| all);
    assert!(verdict.is_right() && verdict.rows == 30_000, "{verdict:?}");
    assert_eq!(found.recorder.latencies(Kind::Visible).len(), 26_000, "rows that are pushed again are not counted again");
    let (undisturbed, _) = run_and_verify("payments", &RunPlan { faults: Vec::new(), ..plan }, in_process, |all| all);
    assert!(found.result_rows <= undisturbed.result_rows, "results that come again are not counted again");
    assert_eq!(times_of(&found, "kill").len(), 3);
    let back = times_of(&found, BACK).len();
    assert!((1..=3).contains(&back), "a kill may come before the engine is back from the one before: {back}");
    let stopped_ns = times_of(&found, "continue")[0] - times_of(&found, "stop")[0];
    assert!(found.recorder.latencies(Kind::Visible).max() > stopped_ns / 2, "rows that were due meanwhile are charged");
}

/// Rows that the engine lost with the process come first; whatever comes before them would make them late.
#[test]
fn no_row_is_taken_after_a_kill_until_the_engine_has_said_where_it_goes_on() {
    let (directory, mut workload) = (Directory::new("order"), Workload::open("payments", &settings(20_000)).unwrap());
    let rows = workload.rows.take(0..10, &Schedule::new(20_000, &[])).unwrap();
    let mut target = child(workload.job(&options(&directory)));
    for _ in 0..5 {
        target.inject(Fault::Kill).unwrap();
        // Nearly always it is an offer that hears first that the engine is back.
        while {
            (0..100).for_each(|_| assert_eq!(target.push(0, &rows).unwrap(), Push::Full));
            target.resumed().unwrap().is_none()
        } {}
        assert_eq!(target.push(0, &rows).unwrap(), Push::Taken);
    }
    target.finish().unwrap();
}

#[test]
fn primaries_that_panic_change_no_result() {
    let faults = chaos::parse("panic partition 0 @300ms; panic partition 2 @400ms; panic partition 0 @500ms").unwrap();
    let plan = RunPlan { faults, ..plan(20_000, &[]) };
    let (found, verdict) = run_and_verify("payments", &plan, in_process, |all| all);
    assert!(verdict.is_right() && verdict.rows == 30_000, "{verdict:?}");
    assert!(!times_of(&found, PROMOTION).is_empty(), "{:?}", found.recorder.events);
}

/// The end of the run tells of any that is lost.
#[test]
fn panics_that_are_asked_for_together_all_happen() {
    let faults = chaos::parse("panic partition 0 @300ms; panic partition 1 @300ms; panic partition 2 @300ms").unwrap();
    let plan = RunPlan { faults, ..plan(20_000, &[]) };
    for start in [in_process, child] {
        let (_, verdict) = run_and_verify("payments", &plan, start, |all| all);
        assert!(verdict.is_right() && verdict.rows == 30_000, "{verdict:?}");
    }
}

#[test]
fn a_panic_that_never_comes_about_is_told() {
    for start in [in_process, child] {
        let (directory, workload) = (Directory::new("untriggered"), Workload::open("payments", &settings(20_000)).unwrap());
        let mut target = start(workload.job(&options(&directory)));
        target.inject(Fault::Panic(2)).unwrap();
        let error = target.finish().unwrap_err();
        assert!(matches!(error, Error::Untriggered(_)), "{error}");
        assert!(error.to_string().starts_with("'panic partition 2' never came about"), "{error}");
    }
}

/// Pushes rows as soon as there is room, and waits until these and `before` of their producer are visible.
fn push(target: &mut dyn Target, rows: &RecordBatch, before: u64) {
    while target.push(0, rows).unwrap() == Push::Full {}
    while target.visible(0).unwrap() < before + rows.num_rows() as u64 {}
}

/// A process that is stopped reads nothing, and only who gives orders can continue it.
#[test]
fn a_stopped_engine_can_be_told_to_panic_when_no_more_rows_fit() {
    let (directory, mut workload) = (Directory::new("stopped"), Workload::open("payments", &settings(20_000)).unwrap());
    let mut target = child(workload.job(&options(&directory)));
    let rows = workload.rows.take(0..1_000, &Schedule::new(20_000, &[])).unwrap();
    target.inject(Fault::Stop).unwrap();
    let mut pushed = 0;
    while target.push(0, &rows).unwrap() == Push::Taken {
        pushed += 1_000;
    }
    target.inject(Fault::Panic(0)).unwrap();
    target.inject(Fault::Panic(1)).unwrap();
    assert_eq!(target.push(0, &rows).unwrap(), Push::Full);
    target.inject(Fault::Continue).unwrap();
    push(target.as_mut(), &rows, pushed);
    target.finish().unwrap();
}

#[test]
fn a_panic_that_a_kill_was_faster_than_is_asked_for_again() {
    let (directory, mut workload) = (Directory::new("asked"), Workload::open("payments", &settings(20_000)).unwrap());
    let mut target = child(workload.job(&options(&directory)));
    target.inject(Fault::Panic(0)).unwrap();
    target.inject(Fault::Kill).unwrap();
    while target.resumed().unwrap().is_none() {}
    let rows = workload.rows.take(0..1_000, &Schedule::new(20_000, &[])).unwrap();
    push(target.as_mut(), &rows, 0);
    target.finish().unwrap();
}

#[test]
fn how_the_engines_process_ended_is_told() {
    let (directory, workload) = (Directory::new("ended"), Workload::open("payments", &settings(20_000)).unwrap());
    let error = Child::start("false".into(), workload.job(&options(&directory))).err().unwrap();
    assert!(error.to_string().starts_with("the engine's process ended with exit code 1"), "{error}");
}

#[test]
fn a_fault_that_the_engine_cant_bear_is_an_error() {
    let directory = Directory::new("unbearable");
    let workload = Workload::open("payments", &settings(20_000)).unwrap();
    let mut target = in_process(workload.job(&options(&directory)));
    for (fault, reason) in [(Fault::Kill, "a process of its own"), (Fault::Panic(3), "there are 3 partitions")] {
        let error = target.inject(fault).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    target.finish().unwrap();
}
