//! Checkpoints copied to a place outside of the state directory: who may go on from them, and what is said if somebody may not.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod program {
    pub(crate) mod place;
    pub(crate) mod support;
}

use program::place::Place;
use program::support::Directory;
use std::process::{Child, Command, Output, Stdio};

const METRIC: &str = "CREATE METRIC m AS SELECT channel, window_start, window_end, COUNT(*) AS n
FROM TUMBLE(payments, event_time, INTERVAL '1 second') GROUP BY channel, window_start, window_end;";

/// Payments counted by second; `options` are more options of the stream.
fn metric(rows: u64, options: &str) -> String {
    format!(
        "CREATE STREAM payments (channel VARCHAR, merchant BIGINT, status VARCHAR, amount DECIMAL(18,2), event_time TIMESTAMP)
         WITH (connector = 'payments', rows = '{rows}', event_rate = '1000'{options});
         {METRIC}\n"
    )
}

/// The same with a sink, in a script of the sink's name.
fn script(directory: &Directory, name: &str, rows: u64) -> String {
    let path = directory.text(name);
    let sink = format!("CREATE SINK out FROM m WITH (connector = 'file', path = '{path}', format = 'csv');");
    directory.write(&format!("{name}.sql"), metric(rows, "") + &sink)
}

fn command(directory: &Directory, place: &Place, script: &str, state: &str, job: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raympp"));
    command.args(["run", script, "--plain", "--threads", "1", "--partitions", "1", "--checkpoint-interval", "20ms"]);
    command.args(["--state-dir", &directory.text(state), "--checkpoint-url", &place.url(job)]);
    command.args(["--metrics-file", &directory.text("counters.json")]);
    place.tell(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(directory: &Directory, place: &Place, script: &str, state: &str, job: &str) -> Output {
    command(directory, place, script, state, job).output().expect("the program starts")
}

fn problems(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Number of entries that a job's log has had; more than 0 once it has begun.
fn has_begun(directory: &Directory, job: &str) -> bool {
    let log = directory.text(&format!("objects/bucket/{job}/commits"));
    std::fs::read_dir(log).is_ok_and(|entries| entries.count() > 2)
}

/// Waits until a job has copied a checkpoint.
fn wait_for_checkpoint(directory: &Directory, job: &str, child: &mut Child) {
    while !has_begun(directory, job) {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it had copied anything");
        std::thread::yield_now();
    }
}

#[test]
fn an_empty_state_directory_goes_on_from_the_place() {
    let directory = Directory::new("place-restored");
    let place = Place::new(&directory, 7);
    let script = script(&directory, "out", 20_000);
    let output = run(&directory, &place, &script, "first", "job");
    assert!(output.status.success(), "{}", problems(&output));
    let lines = directory.csv_lines("out");
    assert!(lines.len() > 50, "{} lines", lines.len());
    let counters: serde_json::Value = serde_json::from_str(&directory.read("counters.json")).expect("JSON");
    let remote = &counters["remote_checkpoints"];
    assert_eq!(remote["place"], place.url("job").as_str());
    assert!(remote["uploads"].as_u64() > Some(0) && remote["bytes"].as_u64() > Some(1000), "{remote}");
    assert_eq!((&remote["uploaded"], &remote["lag_us"]), (&remote["committed"], &serde_json::json!(0)), "{remote}");
    // All has been read, and nothing is published again.
    let output = run(&directory, &place, &script, "second", "job");
    assert!(output.status.success(), "{}", problems(&output));
    assert_eq!(directory.csv_lines("out"), lines);
}

#[test]
fn of_two_runs_of_a_job_the_first_ends_when_the_second_takes_over() {
    let directory = Directory::new("place-taken");
    let place = Place::new(&directory, 8);
    let slow = directory.write("slow.sql", metric(10_000_000, ", rate = '10000'"));
    let mut first = command(&directory, &place, &slow, "first", "job").spawn().expect("the program starts");
    wait_for_checkpoint(&directory, "job", &mut first);
    let mut second = command(&directory, &place, &slow, "second", "job").spawn().expect("the program starts");
    let ended = first.wait_with_output().expect("a child");
    assert!(
        !ended.status.success() && problems(&ended).contains("another run goes on with this job's checkpoints"),
        "{}",
        problems(&ended)
    );
    second.kill().expect("a child");
    second.wait().expect("it was killed");
    // The first one's directory is of the past.
    let refused = run(&directory, &place, &slow, "first", "job");
    let text = problems(&refused);
    assert!(
        !refused.status.success() && text.contains("another state directory has gone on") && text.contains(&place.url("job")),
        "{text}"
    );
}

#[test]
fn jobs_do_not_share_a_place() {
    let directory = Directory::new("place-shared");
    let place = Place::new(&directory, 9);
    let (one, other) = (script(&directory, "one", 2_000), script(&directory, "other", 2_000));
    for (script, state, job) in [(&one, "one-state", "one"), (&other, "other-state", "other")] {
        let output = run(&directory, &place, script, state, job);
        assert!(output.status.success(), "{}", problems(&output));
    }
    let refused = run(&directory, &place, &one, "one-state", "other");
    let text = problems(&refused);
    assert!(!refused.status.success() && text.contains("checkpoints of another job") && text.contains(&place.url("other")), "{text}");
    let output = run(&directory, &place, &one, "one-state", "one");
    assert!(output.status.success(), "what was refused has changed nothing: {}", problems(&output));
}

#[test]
fn what_was_only_in_the_state_directory_is_copied_first() {
    let directory = Directory::new("place-later");
    let place = Place::new(&directory, 10);
    let script = script(&directory, "out", 5_000);
    let without = Command::new(env!("CARGO_BIN_EXE_raympp"))
        .args(["run", &script, "--plain", "--state-dir", &directory.text("state")])
        .output()
        .expect("the program starts");
    assert!(without.status.success(), "{}", problems(&without));
    let lines = directory.csv_lines("out");
    for state in ["state", "elsewhere"] {
        let output = run(&directory, &place, &script, state, "job");
        assert!(output.status.success(), "{}", problems(&output));
        assert_eq!(directory.csv_lines("out"), lines);
    }
}

/// The counters of the place, as they were written last.
fn remote(directory: &Directory) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(directory.text("counters.json")).ok()?;
    serde_json::from_str::<serde_json::Value>(&text).ok().map(|counters| counters["remote_checkpoints"].clone())
}

fn wait_for(directory: &Directory, child: &mut Child, what: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    loop {
        match remote(directory) {
            Some(remote) if what(&remote) => return remote,
            _ => {}
        }
        assert!(child.try_wait().expect("a child").is_none(), "it goes on");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

#[test]
fn while_the_place_is_out_of_reach_the_job_goes_on_and_publishes_nothing() {
    let directory = Directory::new("place-outage");
    let place = Place::new(&directory, 11);
    let sink = format!("CREATE SINK out FROM m WITH (connector = 'file', path = '{}', roll = '10ms');", directory.text("out"));
    let script = directory.write("endless.sql", metric(1_000_000_000, ", rate = '20000'") + &sink);
    let mut child = command(&directory, &place, &script, "state", "job").spawn().expect("the program starts");
    wait_for_checkpoint(&directory, "job", &mut child);
    // A file where a directory should be: nothing can be put there any more.
    let (objects, away) = (directory.text("objects/bucket/job"), directory.text("away"));
    std::fs::rename(&objects, &away).unwrap();
    std::fs::write(&objects, "in the way").unwrap();
    let failed = wait_for(&directory, &mut child, |remote| remote["failures"].as_u64() > Some(0));
    let lines = directory.csv_lines("out").len();
    let committed = |remote: &serde_json::Value| remote["committed"].as_u64().unwrap();
    let later = wait_for(&directory, &mut child, |remote| committed(remote) > committed(&failed) + 20);
    assert_eq!((&later["uploaded"], directory.csv_lines("out").len()), (&failed["uploaded"], lines), "{later}");
    assert!(later["failure"].is_string() && later["lag_us"].as_u64() > Some(100_000), "{later}");
    std::fs::remove_file(&objects).unwrap();
    std::fs::rename(&away, &objects).unwrap();
    let after = wait_for(&directory, &mut child, |remote| remote["uploaded"].as_u64() >= Some(committed(&later)));
    assert!(after["failure"].is_null(), "{after}");
    wait_for(&directory, &mut child, |_| directory.csv_lines("out").len() > lines);
    child.kill().expect("a child");
    child.wait().expect("it was killed");
}

#[test]
fn a_place_that_can_not_be_used_is_told_before_anything_begins() {
    let directory = Directory::new("place-wrong");
    let script = script(&directory, "out", 2_000);
    let file = directory.write("a-file", "text");
    for (url, said) in [
        ("ftp://host/path", "ftp is not a kind of place"),
        ("file://here", "it names no absolute path"),
        ("s3:///prefix", "it names no bucket"),
        (&format!("file://{file}"), "a-file"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_raympp"))
            .args(["run", &script, "--plain", "--state-dir", &directory.text("state"), "--checkpoint-url", url])
            .output()
            .expect("the program starts");
        let text = problems(&output);
        assert!(output.status.code() == Some(2) && text.contains(said) && text.contains(url.rsplit('/').next().unwrap()), "{url}: {text}");
        assert!(directory.csv_lines("out").is_empty());
    }
    let output = Command::new(env!("CARGO_BIN_EXE_raympp")).args(["run", &script, "--checkpoint-url", "copies"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "without a state directory");
}
