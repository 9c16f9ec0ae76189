//! The program killed at random instants and started again until it is done: what it has published is what a run that was never disturbed
//! publishes, row by row.
//!
//! `RAYMPP_CRASH_ROUNDS` asks for more rounds, `RAYMPP_SEED` for another first seed; a failure names its seed.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod program {
    pub(crate) mod place;
    pub(crate) mod support;
}

use program::place::Place;
use program::support::Directory;
use raympp_testkit::random::Random;
use std::collections::BTreeMap;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Payments out of order, some of them late; two splits, three kinds of windows, all file formats that are text, late rows.
fn payments(directory: &Directory, out: &str, rows: u64, rate: u64) -> String {
    let pace = if rate > 0 { format!(", rate = '{rate}'") } else { String::new() };
    let sink = |name: &str, from: &str, options: &str| {
        format!("CREATE SINK {name}_out FROM {from} WITH (connector = 'file', path = '{}/{name}'{options});\n", directory.text(out))
    };
    format!(
        "CREATE STREAM payments (channel VARCHAR, merchant BIGINT, status VARCHAR, amount DECIMAL(18,2), event_time TIMESTAMP,
           WATERMARK FOR event_time AS event_time - INTERVAL '100 milliseconds')
         WITH (connector = 'payments', rows = '{rows}', splits = '2', event_rate = '20000', keys = '50', skew = '0.9',
               out_of_orderness = '150ms'{pace});
         CREATE METRIC rates AS SELECT channel, window_start, window_end, COUNT(*) AS n, SUM(amount) AS total,
           COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS rate, MAX(amount) AS most,
           APPROX_COUNT_DISTINCT(merchant) AS merchants
         FROM HOP(payments, event_time, INTERVAL '100 milliseconds', INTERVAL '1 second') GROUP BY channel, window_start, window_end;
         CREATE METRIC visits AS SELECT merchant, window_start, window_end, COUNT(*) AS n, FIRST_VALUE(channel) AS first
         FROM SESSION(payments, event_time, INTERVAL '50 milliseconds') GROUP BY merchant, window_start, window_end;
         CREATE METRIC per_second AS SELECT window_start, status, COUNT(*) AS n, AVG(amount) AS mean
         FROM TUMBLE(payments, event_time, INTERVAL '1 second') GROUP BY window_start, status HAVING COUNT(*) > 10;\n{}{}{}{}",
        sink("rates", "rates", ", sorted = true, roll = '100ms'"),
        sink("visits", "visits", ", format = 'jsonl', roll = '30ms'"),
        sink("seconds", "per_second", ""),
        sink("late", "payments_late", ", roll = '50ms'"),
    )
}

/// Starts `run` on a script; with a state directory if one is named, and a place outside.
fn start(script: &str, state: Option<&str>, place: Option<(&Place, &str)>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raympp"));
    command.args(["run", script, "--plain", "--threads", "2", "--partitions", "3"]);
    if let Some(state) = state {
        command.args(["--state-dir", state, "--checkpoint-interval", "20ms"]);
    }
    if let Some((place, job)) = place {
        command.args(["--checkpoint-url", &place.url(job)]);
        place.tell(&mut command);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Waits for the program's end, but not longer than about so many milliseconds; kills it then.
fn run_for(mut child: Child, longest: Option<u64>) -> Option<(ExitStatus, String)> {
    for waited in 0.. {
        if let Some(status) = child.try_wait().expect("the program is a child") {
            let mut problems = String::new();
            std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut problems).expect("text");
            return Some((status, problems));
        }
        if longest.is_some_and(|longest| waited >= longest) {
            child.kill().expect("the program is a child");
            child.wait().expect("it was killed");
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    None
}

/// All lines of all published parts of each sink, sorted. Headers are lines too, but as many as there are parts, so they count once.
fn published(directory: &Directory, out: &str) -> BTreeMap<String, Vec<String>> {
    let mut sinks = BTreeMap::new();
    for sink in ["rates", "visits", "seconds", "late"] {
        let mut lines = Vec::new();
        let mut header = None;
        for entry in std::fs::read_dir(directory.text(&format!("{out}/{sink}"))).into_iter().flatten() {
            let path = entry.unwrap().path();
            if !path.file_name().unwrap().to_string_lossy().starts_with("part-") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "{}: the last line is torn", path.display());
            let mut of_part = text.lines().map(str::to_owned);
            if path.extension().is_some_and(|extension| extension == "csv") {
                header = of_part.next();
            }
            lines.extend(of_part);
        }
        lines.sort_unstable();
        lines.extend(header);
        sinks.insert(sink.to_owned(), lines);
    }
    sinks
}

fn assert_equal(expected: &BTreeMap<String, Vec<String>>, found: &BTreeMap<String, Vec<String>>, story: &str) {
    for (sink, expected) in expected {
        let found = &found[sink];
        let missing: Vec<&String> = expected.iter().filter(|line| found.binary_search(line).is_err()).take(3).collect();
        let twice: Vec<&String> = found.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).take(3).collect();
        let foreign: Vec<&String> = found.iter().filter(|line| expected.binary_search(line).is_err()).take(3).collect();
        assert_eq!(
            expected,
            found,
            "{story}: sink {sink}: {} lines expected, {} found; missing {missing:?}, repeated {twice:?}, foreign {foreign:?}",
            expected.len(),
            found.len()
        );
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn killed_at_random_instants_it_publishes_each_row_once() {
    let directory = Directory::new("killed");
    let (rows, rate) = (200_000, 400_000);
    let undisturbed = directory.write("undisturbed.sql", payments(&directory, "undisturbed", rows, 0));
    let (status, problems) = run_for(start(&undisturbed, None, None), None).expect("it ends by itself");
    assert!(status.success(), "{problems}");
    let expected = published(&directory, "undisturbed");
    assert!(expected.values().all(|lines| lines.len() > 5), "each sink has rows");
    for round in 0..number("RAYMPP_CRASH_ROUNDS", 15) {
        let seed = number("RAYMPP_SEED", 1) + round;
        let mut random = Random::new(seed);
        let (out, state) = (format!("out-{seed}"), directory.text(&format!("state-{seed}")));
        let script = directory.write("job.sql", payments(&directory, &out, rows, rate));
        let mut kills = 0;
        loop {
            let longest = (kills < 8).then(|| 20 + random.below(400));
            match run_for(start(&script, Some(&state), None), longest) {
                None => kills += 1,
                Some((status, problems)) => {
                    assert!(status.success(), "seed {seed}, after {kills} kills: {problems}");
                    break;
                }
            }
        }
        assert_equal(&expected, &published(&directory, &out), &format!("seed {seed}, {kills} kills"));
        // Once more: it is complete, and nothing is published again.
        let (status, problems) = run_for(start(&script, Some(&state), None), None).expect("it ends by itself");
        assert!(status.success(), "seed {seed}: {problems}");
        assert_equal(&expected, &published(&directory, &out), &format!("seed {seed}, run again when complete"));
    }
}

/// The stream with many rows goes on for long after the one with few has ended and nothing of it is in any epoch.
#[test]
fn a_stream_that_ended_long_before_the_kill_is_as_it_was() {
    let directory = Directory::new("ended");
    let part = |name: &str, rows: u64, rate: u64, out: &str| {
        format!(
            "CREATE STREAM {name} (channel VARCHAR, merchant BIGINT, status VARCHAR, amount DECIMAL(18,2), event_time TIMESTAMP)
             WITH (connector = 'payments', rows = '{rows}', event_rate = '1000', rate = '{rate}');
             CREATE METRIC of_{name} AS SELECT channel, window_start, window_end, COUNT(*) AS n
             FROM TUMBLE({name}, event_time, INTERVAL '1 second') GROUP BY channel, window_start, window_end;
             CREATE SINK {name}_out FROM of_{name} WITH (connector = 'file', path = '{}/{name}', roll = '10ms');\n",
            directory.text(out)
        )
    };
    let script =
        |out: &str| directory.write(&format!("{out}.sql"), part("few", 3_000, 1_000_000, out) + &part("many", 60_000, 60_000, out));
    let (status, problems) = run_for(start(&script("whole"), None, None), None).expect("it ends by itself");
    assert!(status.success(), "{problems}");
    let (script, state) = (script("killed"), directory.text("state"));
    let mut child = start(&script, Some(&state), None);
    // Some epochs after all windows of the first have been published.
    while directory.csv_lines("killed/few").len() < directory.csv_lines("whole/few").len() || directory.csv_lines("killed/many").len() < 50
    {
        assert!(child.try_wait().expect("a child").is_none(), "it was killed too late");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    child.kill().expect("a child");
    child.wait().expect("it was killed");
    let (status, problems) = run_for(start(&script, Some(&state), None), None).expect("it ends by itself");
    assert!(status.success(), "{problems}");
    for stream in ["few", "many"] {
        let sorted = |out: &str| {
            let mut lines = directory.csv_lines(&format!("{out}/{stream}"));
            lines.sort_unstable();
            lines
        };
        assert_eq!(sorted("killed"), sorted("whole"), "{stream}");
    }
}

#[test]
fn killed_while_it_copies_it_goes_on_here_or_on_another_machine() {
    let directory = Directory::new("copied");
    let (rows, rate) = (200_000, 400_000);
    let undisturbed = directory.write("undisturbed.sql", payments(&directory, "undisturbed", rows, 0));
    let (status, problems) = run_for(start(&undisturbed, None, None), None).expect("it ends by itself");
    assert!(status.success(), "{problems}");
    let expected = published(&directory, "undisturbed");
    let place = Place::new(&directory, number("RAYMPP_SEED", 1));
    for round in 0..number("RAYMPP_CRASH_ROUNDS", 10) {
        let seed = number("RAYMPP_SEED", 1) + round;
        let mut random = Random::new(seed);
        let (out, job) = (format!("out-{seed}"), format!("jobs/{seed}"));
        let script = directory.write("job.sql", payments(&directory, &out, rows, rate));
        let (mut kills, mut machine) = (0, 0);
        loop {
            let state = directory.text(&format!("state-{seed}-{machine}"));
            let longest = (kills < 8).then(|| 20 + random.below(600));
            match run_for(start(&script, Some(&state), Some((&place, &job))), longest) {
                None => {
                    kills += 1;
                    // Half of the time the machine is gone with its state directory.
                    machine += u64::from(random.once_in(2));
                }
                Some((status, problems)) => {
                    assert!(status.success(), "seed {seed}, after {kills} kills, on machine {machine}: {problems}");
                    break;
                }
            }
        }
        assert_equal(&expected, &published(&directory, &out), &format!("seed {seed}, {kills} kills, {machine} machines lost"));
        // Once more, from nothing but the place: it is complete, and nothing is published again.
        let state = directory.text(&format!("state-{seed}-last"));
        let (status, problems) = run_for(start(&script, Some(&state), Some((&place, &job))), None).expect("it ends by itself");
        assert!(status.success(), "seed {seed}: {problems}");
        assert_equal(&expected, &published(&directory, &out), &format!("seed {seed}, run again when complete"));
    }
}
