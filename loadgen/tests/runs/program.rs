//! The program itself: its files, its exit codes, and what it does when it is interrupted.

use super::Directory;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// In a directory of its own, which temporary files go to as well.
fn loadgen(directory: &Directory) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raympp-loadgen"));
    let temporary = directory.0.join("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    command.current_dir(&directory.0).env("TMPDIR", temporary).arg("--plain");
    command
}

fn is_empty(directory: &Path) -> bool {
    directory.read_dir().unwrap().next().is_none()
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_report_is_written_where_nobody_said_where() {
    let directory = Directory::new("files");
    let files = directory.0.join("raympp-load");
    std::fs::create_dir_all(&files).unwrap();
    // Of an earlier run, and this one is too short for results.
    std::fs::write(files.join("results.hgrm"), "old").unwrap();
    std::fs::write(files.join("report.json"), "old").unwrap();
    let (code, out, err) = output(loadgen(&directory).args(["--rate", "2000", "--for", "300ms", "--warm-up", "200ms"]));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("row visible") && out.ends_with("report in raympp-load\n"), "{out}");
    let mut names: Vec<_> = files.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["report.html", "report.json", "visible.hgrm"]);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(files.join("report.json")).unwrap()).unwrap();
    assert_eq!((&json["rows"], &json["is_complete"]), (&600.into(), &true.into()));
    assert!(json["program"].as_str().unwrap().starts_with("raympp-loadgen ") && json["started"].as_str().unwrap().len() == 19, "{json}");
    let settings = json["settings"].to_string();
    for setting in ["warm-up", "metrics", "step", "partitions", "bursts", "chaos", "verify"] {
        assert!(settings.contains(&format!("[\"{setting}\",")), "{setting}: {settings}");
    }
    assert!(is_empty(&directory.0.join("temporary")));
}

/// As a shell has it for a program that a closed pipe ends.
#[test]
fn a_report_is_written_although_nobody_reads_the_output() {
    let directory = Directory::new("unread");
    let (mut process, mut progress) = started(&directory, &["--rate", "2000", "--for", "1s", "--warm-up", "0s"]);
    drop(process.stdout.take());
    let mut err = String::new();
    progress.read_to_string(&mut err).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(141), "{err}");
    assert!(err.lines().all(|line| line.contains("rows visible")), "{err}");
    assert!(directory.0.join("raympp-load/report.html").exists() && is_empty(&directory.0.join("temporary")));
}

/// Nothing on standard output: not even jitter was measured.
#[test]
fn what_would_fail_after_the_run_fails_before() {
    let directory = Directory::new("early");
    std::fs::write(directory.0.join("file"), "").unwrap();
    let script = |name: &str, select: &str| {
        let text = format!(
            "CREATE METRIC {name} AS SELECT {select} FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute') GROUP BY channel, window_start, window_end;"
        );
        std::fs::write(directory.0.join(name), text).unwrap();
    };
    script("success", "channel, window_start, window_end, COUNT(*) AS payments, AVG(amount) AS mean, SUM(amount) AS volume");
    script("other", "channel, COUNT(*) AS payments");
    let endless = "CREATE METRIC endless AS SELECT channel, COUNT(*) AS payments FROM payments GROUP BY channel;";
    std::fs::write(directory.0.join("endless"), endless).unwrap();
    for (arguments, code, reason) in [
        (&["--out", "file/below"][..], 1, "the report can't be written: file/below: "),
        (&["--verify", "--script", "success"], 2, "can't check metric success: it is defined otherwise"),
        (&["--verify", "--script", "other"], 2, "can't check metric other: there is no rule for it"),
        (&["--verify", "--script", "endless"], 2, "can't check metric endless: "),
        (&["--workload", "flights"], 2, "--flights says where it is"),
        (&["--workload", "nothing"], 2, "there is no workload nothing"),
    ] {
        let (found, out, err) = output(loadgen(&directory).args(arguments));
        assert_eq!((found, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
        assert!(err.starts_with("raympp-loadgen: ") && err.contains(reason), "{arguments:?}: {err}");
    }
}

#[test]
fn faults_bring_what_they_need_and_show_how_long_they_lasted() {
    let directory = Directory::new("chaos");
    let chaos = "kill @300ms; stop @500ms for 50ms; panic partition 1 @700ms";
    let arguments = ["--rate", "4000", "--for", "1s", "--warm-up", "0s", "--threads", "1", "--verify", "--chaos", chaos];
    let (code, out, err) = output(loadgen(&directory).args(arguments));
    assert_eq!(code, Some(0), "{out}{err}");
    for text in [
        "partitions 2 (for --chaos)",
        "replicas 2 (for --chaos)",
        "checkpoints 1s (for --chaos)",
        "back after",
        "continue after",
        "promotion after",
        "ledger: 4000 rows",
        " 0 wrong",
    ] {
        assert!(out.contains(text), "{text}: {out}");
    }
    let page = std::fs::read_to_string(directory.0.join("raympp-load/report.html")).unwrap();
    assert!(page.contains("promotion after") && page.contains("Ledger: 4000 rows"));
}

/// Any rate meets this objective, so the search goes as far as it may.
#[test]
fn the_highest_rate_is_looked_for() {
    let directory = Directory::new("search");
    let arguments = ["--find-max", "--rate", "1000", "--max-rate", "2500", "--for", "200ms", "--slo", "max < 1h"];
    let (code, out, err) = output(loadgen(&directory).args(arguments));
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(lines[0].starts_with("the machine's own jitter: p50 "), "{out}");
    for (line, rate) in lines[1..4].iter().zip(["1000", "2000", "2500"]) {
        assert!(line.trim_start().starts_with(&format!("{rate} rows/s: ")) && line.contains("pauses: p50 "), "{out}");
    }
    assert!(lines[4].starts_with("payments at max < 3600s: 2500 rows/s, ") && lines[4].ends_with("no more was to be tried"), "{out}");
    // Nothing is so fast; and a trial of one row a second has none to count.
    let arguments = ["--find-max", "--rate", "2", "--for", "200ms", "--slo", "max < 1us"];
    let (code, out, err) = output(loadgen(&directory).args(arguments));
    assert_eq!((code, err.lines().last()), (Some(1), Some("raympp-loadgen: not even one row a second meets max < 1µs")), "{out}");
    // How many rates above it are tried depends on how much is taken of each.
    let mut of_one_row = out.lines().filter(|line| line.trim_start().starts_with("1 rows/s: ")).peekable();
    assert!(of_one_row.peek().is_some() && of_one_row.all(|line| line.contains("no rows to count, not sustained")), "{out}");
    assert!(!directory.0.join("raympp-load").exists() && is_empty(&directory.0.join("temporary")));
}

/// Starts it, and waits until the first progress is told, which is when rows come.
fn started(directory: &Directory, arguments: &[&str]) -> (Child, impl BufRead) {
    let mut process = loadgen(directory).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert!(line.contains("rows visible"), "{line}");
    (process, progress)
}

#[test]
fn what_was_measured_is_shown_when_it_is_interrupted() {
    for arguments in
        [&["--rate", "2000", "--warm-up", "0s"][..], &["--rate", "2000", "--child", "--checkpoint", "10ms", "--verify"], &["--find-max"]]
    {
        let directory = Directory::new("interrupted");
        let (process, mut progress) = started(&directory, arguments);
        kill_process(Pid::from_child(&process), Signal::INT).unwrap();
        let mut err = String::new();
        progress.read_to_string(&mut err).unwrap();
        let Output { status, stdout, .. } = process.wait_with_output().unwrap();
        let out = String::from_utf8(stdout).unwrap();
        assert_eq!(status.code(), Some(130), "{err}");
        assert!(err.ends_with("raympp-loadgen: ended early by a signal\n"), "{err}");
        let is_search = arguments.contains(&"--find-max");
        assert_eq!(out.contains("ended early: not all rows were sent and seen"), !is_search, "{out}");
        assert!(!out.contains("ledger:"), "{out}");
        assert!(is_empty(&directory.0.join("temporary")), "{arguments:?}");
    }
}

/// The process whose parent is this one.
fn child_of(process: &Child) -> Pid {
    let parent = |stat: &str| stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
    let mut processes = Path::new("/proc").read_dir().unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| parent(&stat) == Some(process.id()));
    Pid::from_raw(processes.find(is_child).unwrap()).unwrap()
}

#[test]
fn an_engine_that_crashes_is_a_failure_that_says_how() {
    let directory = Directory::new("crashed");
    let (mut process, mut progress) = started(&directory, &["--rate", "2000", "--child"]);
    kill_process(child_of(&process), Signal::KILL).unwrap();
    let mut err = String::new();
    progress.read_to_string(&mut err).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(1), "{err}");
    assert!(err.contains("raympp-loadgen: the engine's process ended with signal 9 before"), "{err}");
    assert!(is_empty(&directory.0.join("temporary")));
}
