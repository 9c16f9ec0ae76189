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
    command_every("20ms", directory, place, script, state, &place.url(job))
}

fn command_every(interval: &str, directory: &Directory, place: &Place, script: &str, state: &str, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raympp"));
    command.args(["run", script, "--plain", "--threads", "1", "--partitions", "1", "--checkpoint-interval", interval]);
    command.args(["--state-dir", &directory.text(state), "--checkpoint-url", url]);
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

/// Waits until a job has copied a checkpoint.
fn wait_for_checkpoint(place: &Place, job: &str, child: &mut Child) {
    // The first entry takes over.
    while place.objects(job, "commits").len() < 2 {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it had copied anything");
        std::thread::yield_now();
    }
}

/// `checkpoint` with the place at hand.
fn checkpoint(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raympp"));
    command.arg("checkpoint").args(arguments);
    place.tell(&mut command);
    command.output().expect("the program starts")
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", problems(output));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
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
    let remote = remote(&directory).expect("counters");
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
    // A run that copies one checkpoint after the other without a pause leaves nobody the time to come between.
    let start = |state| command_every("300ms", &directory, &place, &slow, state, &place.url("job")).spawn().expect("the program starts");
    let mut first = start("first");
    wait_for_checkpoint(&place, "job", &mut first);
    let mut second = start("second");
    while first.try_wait().expect("a child").is_none() {
        if second.try_wait().expect("a child").is_some() {
            first.kill().expect("a child");
            panic!("the second run has ended: {}", problems(&second.wait_with_output().expect("a child")));
        }
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
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
    let mut place = Place::new(&directory, 11);
    let sink = format!("CREATE SINK out FROM m WITH (connector = 'file', path = '{}', roll = '10ms');", directory.text("out"));
    let script = directory.write("endless.sql", metric(1_000_000_000, ", rate = '20000'") + &sink);
    let mut child = command(&directory, &place, &script, "state", "job").spawn().expect("the program starts");
    wait_for_checkpoint(&place, "job", &mut child);
    for outage in place.outages() {
        let number = |remote: &serde_json::Value, name: &str| remote[name].as_u64().unwrap();
        let before = remote(&directory).map_or(0, |remote| number(&remote, "failures"));
        place.begin(outage, "job");
        let failed = wait_for(&directory, &mut child, |remote| number(remote, "failures") > before && remote["failure"].is_string());
        let lines = directory.csv_lines("out").len();
        let later = wait_for(&directory, &mut child, |remote| number(remote, "committed") > number(&failed, "committed") + 20);
        assert_eq!((&later["uploaded"], directory.csv_lines("out").len()), (&failed["uploaded"], lines), "{outage:?}: {later}");
        assert!(later["failure"].as_str().is_some_and(|failure| failure.contains(outage.said)), "{outage:?}: {later}");
        assert!(number(&later, "lag_us") > 100_000, "{outage:?}: {later}");
        place.end_outage("job");
        let after = wait_for(&directory, &mut child, |remote| number(remote, "uploaded") >= number(&later, "committed"));
        assert!(after["failure"].is_null(), "{outage:?}: {after}");
        wait_for(&directory, &mut child, |_| directory.csv_lines("out").len() > lines);
    }
    child.kill().expect("a child");
    child.wait().expect("it was killed");
}

#[test]
fn checkpoints_in_the_place_are_looked_at_and_copied() {
    let directory = Directory::new("place-looked-at");
    let place = Place::new(&directory, 12);
    let script = script(&directory, "out", 20_000);
    let output = run(&directory, &place, &script, "state", "job");
    assert!(output.status.success(), "{}", problems(&output));
    let published = directory.csv_lines("out");
    let (job, savepoint, state) = (place.url("job"), place.url("savepoint"), directory.text("state"));
    let listed = lines(&checkpoint(&place, &["list", &job]));
    let newest = listed.last().and_then(|line| line.split_whitespace().next()).unwrap();
    assert!(listed.len() > 1 && listed.last().unwrap().contains("20000"), "{listed:?}");
    let verified = lines(&checkpoint(&place, &["verify", &job]));
    assert_eq!(verified.len(), listed.len() - 1);
    assert!(verified.iter().all(|line| line.ends_with(": whole")), "{verified:?}");
    // The age is on the first line.
    let show = |what: &str| lines(&checkpoint(&place, &["show", what])).split_off(1);
    // A state directory may still have records that the checkpoint does not need.
    let streams = |what: &str| show(what).into_iter().filter(|line| !line.contains(" entries of ")).collect::<Vec<_>>();
    assert_eq!(streams(&job), streams(&state));
    assert!(lines(&checkpoint(&place, &["export", &job, &savepoint]))[0].contains(&format!("holds checkpoint {newest}")));
    assert_eq!(show(&savepoint), show(&job));
    let twice = checkpoint(&place, &["export", &state, &savepoint]);
    assert!(!twice.status.success() && problems(&twice).contains("there are checkpoints in it"), "{}", problems(&twice));
    let back = checkpoint(&place, &["restore", &job, "--epoch", newest]);
    assert!(!back.status.success() && problems(&back).contains("--into"), "{}", problems(&back));
    lines(&checkpoint(&place, &["restore", &savepoint, "--into", &directory.text("restored")]));
    assert_eq!(show(&directory.text("restored")), show(&job));
    let output = run(&directory, &place, &script, "restored", "another");
    assert!(output.status.success(), "{}", problems(&output));
    assert_eq!(directory.csv_lines("out"), published, "nothing is published again");
}

#[test]
fn what_no_kept_checkpoint_needs_is_deleted() {
    let directory = Directory::new("place-collected");
    let place = Place::new(&directory, 13);
    let script = directory.write("slow.sql", metric(100_000, ", rate = '100000'"));
    let run = || command(&directory, &place, &script, "state", "job").args(["--keep", "2"]).output().expect("the program starts");
    let output = run();
    assert!(output.status.success(), "{}", problems(&output));
    let copied = remote(&directory).expect("counters");
    assert!(copied["uploads"].as_u64() > Some(2), "{copied}");
    // The entry that took over and those of two checkpoints; of the packs, some that both need.
    assert_eq!(place.objects("job", "commits").len(), 3);
    let packs = place.objects("job", "packs").len();
    assert!(packs < 12, "{packs} packs after {copied}");
    place.plant("job", "packs/00000000000000000001-0000000000000abc-000000");
    let output = run();
    assert!(output.status.success(), "{}", problems(&output));
    assert_eq!(place.objects("job", "commits").len(), 4, "another one took over");
    assert!(place.objects("job", "packs").iter().all(|name| !name.contains("abc")), "what a cut-off upload left is gone");
}

#[test]
fn a_place_that_can_not_be_used_is_told_before_anything_begins() {
    let directory = Directory::new("place-wrong");
    let place = Place::new(&directory, 14);
    let script = script(&directory, "out", 2_000);
    let nothing = ("AWS_REGION", "us-east-1");
    let mut cases: Vec<_> = [
        ("ftp://host/path", nothing, "ftp is not a kind of place"),
        ("file://here", nothing, "it names no absolute path"),
        ("s3:///prefix", nothing, "it names no bucket"),
        ("s3://bucket/a//b", nothing, "empty path segment"),
        ("s3://bucket/prefix", ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), "Connection refused"),
    ]
    .map(|(url, variable, said)| (url.to_owned(), variable, said))
    .to_vec();
    cases.extend(place.wrong_ways());
    for (url, (variable, value), said) in cases {
        let mut command = command_every("20ms", &directory, &place, &script, "state", &url);
        let output = command.env(variable, value).output().expect("the program starts");
        let (text, named) = (problems(&output), url.trim_start_matches("file://"));
        assert!(matches!(output.status.code(), Some(1 | 2)) && text.contains(said) && text.contains(named), "{url}: {text}");
        assert!(directory.csv_lines("out").is_empty());
    }
    let output = Command::new(env!("CARGO_BIN_EXE_raympp")).args(["run", &script, "--checkpoint-url", "copies"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "without a state directory");
}
