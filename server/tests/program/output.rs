//! Where the program's words go: pipes whose reader has gone, full devices, files of counters, logs.

use super::support::{Directory, raympp};
use std::fs::File;
use std::process::{Command, Output, Stdio};

/// A generated stream of so many rows, a metric, and what else is given.
fn script(directory: &Directory, rows: &str, rest: &str) -> String {
    let sql = format!(
        "CREATE STREAM p (channel VARCHAR, event_time TIMESTAMP, WATERMARK FOR event_time AS event_time)
         WITH (connector = 'payments'{rows});
         CREATE METRIC m AS SELECT channel, window_end, COUNT(*) AS c FROM TUMBLE(p, event_time, INTERVAL '1 millisecond')
         GROUP BY channel, window_start, window_end;
         {rest}"
    );
    directory.write("script.sql", sql)
}

const TO_STDOUT: &str = "CREATE SINK out FROM m WITH (connector = 'stdout', format = 'jsonl');";

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raympp"));
    command.args(args);
    command
}

/// Runs the program with standard output closed by its reader before the first byte.
fn unread(args: &[&str]) -> Output {
    let mut child = program(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    child.wait_with_output().expect("it ends")
}

fn into_full_device(args: &[&str]) -> Output {
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    program(args).stdout(full).output().expect("the program starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let directory = Directory::new("closed-pipe");
    let endless = script(&directory, "", TO_STDOUT);
    let output = unread(&["run", &endless, "--plain"]);
    assert_eq!((output.status.code(), said(&output)), (Some(141), String::new()), "a sink");
    let answers = script(&directory, ", rows = 1000", "SHOW METRICS; SELECT * FROM m;");
    let output = unread(&["run", &answers, "--plain"]);
    assert!(output.status.code() == Some(141) && !said(&output).contains("panicked"), "answers: {output:?}");
    for args in [&["check", &answers][..], &["explain", &answers], &["demo", "--plain", "--rate", "1000"]] {
        let output = unread(args);
        assert_eq!((output.status.code(), said(&output)), (Some(141), String::new()), "{args:?}");
    }
}

#[test]
fn a_full_device_is_an_error() {
    let directory = Directory::new("full-device");
    let sink = script(&directory, ", rows = 100000", TO_STDOUT);
    let output = into_full_device(&["run", &sink, "--plain"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("sink out: can't write the output: No space left"), "{output:?}");
    let answers = script(&directory, ", rows = 1000", "SELECT * FROM m;");
    let demo: &[&str] = &["demo", "--plain", "--for", "1s", "--rate", "1000"];
    for args in [&["run", &answers, "--plain"][..], &["check", &answers], &["explain", &answers], demo] {
        let output = into_full_device(args);
        assert!(output.status.code() == Some(1) && said(&output).contains("can't write the output: No space left"), "{args:?} {output:?}");
    }
}

/// Words about a run are no results: who does not want them misses nothing.
#[test]
fn standard_error_may_be_closed_or_full() {
    let directory = Directory::new("no-stderr");
    let path = directory.write("in.csv", "channel,event_time\na,2024-01-01\nb,nonsense\n");
    let sql = format!("CREATE STREAM p (channel VARCHAR, event_time TIMESTAMP) WITH (connector = 'file', path = '{path}');");
    let script = directory.write("script.sql", sql + "CREATE METRIC m AS SELECT COUNT(*) AS c FROM p; SELECT c FROM m;");
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = program(&["run", &script, "--plain"]).stderr(full).output().expect("the program starts");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).trim_end()), (Some(0), "c\n-\n1"));
    let mut child = program(&["run", &script, "--plain"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stderr.take());
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
}

#[test]
fn a_file_of_counters_is_replaced_as_a_whole() {
    let directory = Directory::new("counters");
    let counters = directory.write("counters.json", "what an earlier run counted");
    std::fs::hard_link(&counters, directory.text("earlier.json")).expect("a second name");
    std::os::unix::fs::symlink(&counters, directory.text("link.json")).expect("a link");
    let script = script(&directory, ", rows = 1000", "");
    let output = raympp(&["run", &script, "--plain", "--metrics-file", &directory.text("link.json")]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(directory.read("earlier.json"), "what an earlier run counted", "whoever has the old file open reads the old file");
    let found: serde_json::Value = serde_json::from_str(&directory.read("counters.json")).expect("JSON");
    assert_eq!(found["streams"][0]["rows"], 1000);
    let mut names: Vec<String> = std::fs::read_dir(directory.text("."))
        .expect("it is there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["counters.json", "earlier.json", "link.json", "script.sql"], "nothing is left beside it");
    let output = raympp(&["run", &script, "--plain", "--metrics-file", &directory.text("no-such/counters.json")]);
    assert!(output.code == 2 && output.stderr.contains("metrics file"), "{output:?}");
    let output = raympp(&["run", &script, "--plain", "--metrics-file", "/dev/stdout"]);
    assert!(output.code == 0 && output.stdout.ends_with('}'), "{output:?}");
}

#[test]
fn a_failure_is_told_once_and_without_colours() {
    let directory = Directory::new("failure");
    let path = directory.write("in.csv", "channel,event_time\na,2024-01-01\nb,nonsense\n");
    for (bad_rows, code, expected) in [("fail", 1, "'nonsense': expected"), ("skip", 0, "bad row")] {
        let sql = format!(
            "CREATE STREAM p (channel VARCHAR, event_time TIMESTAMP) WITH (connector = 'file', path = '{path}', bad_rows = '{bad_rows}');
             CREATE METRIC m AS SELECT COUNT(*) AS c FROM p;"
        );
        let output = raympp(&["run", &directory.write("script.sql", sql), "--plain"]);
        assert_eq!((output.code, output.stderr.matches(expected).count()), (code, 1), "{output:?}");
        assert!(!output.stderr.contains('\u{1b}') && !output.stderr.contains("dropped after"), "{output:?}");
    }
}
