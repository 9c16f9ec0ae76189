//! The program killed at random instants and started again until it is done: what it has published is what a run that was never disturbed
//! publishes, row by row.
//!
//! `RAYMPP_CRASH_ROUNDS` asks for more rounds, `RAYMPP_SEED` for another first seed; a failure names its seed.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod program {
    pub(crate) mod job;
    pub(crate) mod place;
    pub(crate) mod support;
}

use program::job::{Payments, Published, assert_equal, command, number, published, run_for, start, undisturbed};
use program::place::Place;
use program::support::Directory;
use raympp_testkit::random::Random;
use std::time::Duration;

/// The job, at a pace that leaves time to kill it.
const PAYMENTS: Payments = Payments { rows: 200_000, rate: 400_000, splits: 2 };

fn expected(directory: &Directory) -> Published {
    undisturbed(directory, "undisturbed", &Payments { rate: 0, ..PAYMENTS }.script(directory, "undisturbed"))
}

#[test]
fn killed_at_random_instants_it_publishes_each_row_once() {
    let directory = Directory::new("killed");
    let expected = expected(&directory);
    for round in 0..number("RAYMPP_CRASH_ROUNDS", 15) {
        let seed = number("RAYMPP_SEED", 1) + round;
        let mut random = Random::new(seed);
        let (out, state) = (format!("out-{seed}"), directory.text(&format!("state-{seed}")));
        let script = directory.write("job.sql", PAYMENTS.script(&directory, &out));
        let mut kills = 0;
        loop {
            let longest = (kills < 8).then(|| 20 + random.below(400));
            match run_for(start(command(&script, Some(&state), None)), longest) {
                None => kills += 1,
                Some((status, problems)) => {
                    assert!(status.success(), "seed {seed}, after {kills} kills: {problems}");
                    break;
                }
            }
        }
        assert_equal(&expected, &published(&directory, &out), &format!("seed {seed}, {kills} kills"));
        // Once more: it is complete, and nothing is published again.
        let (status, problems) = run_for(start(command(&script, Some(&state), None)), None).expect("it ends by itself");
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
    let (status, problems) = run_for(start(command(&script("whole"), None, None)), None).expect("it ends by itself");
    assert!(status.success(), "{problems}");
    let (script, state) = (script("killed"), directory.text("state"));
    let mut child = start(command(&script, Some(&state), None));
    // Some epochs after all windows of the first have been published.
    while directory.csv_lines("killed/few").len() < directory.csv_lines("whole/few").len() || directory.csv_lines("killed/many").len() < 50
    {
        assert!(child.try_wait().expect("a child").is_none(), "it was killed too late");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    child.kill().expect("a child");
    child.wait().expect("it was killed");
    let (status, problems) = run_for(start(command(&script, Some(&state), None)), None).expect("it ends by itself");
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
    let expected = expected(&directory);
    let place = Place::new(&directory, number("RAYMPP_SEED", 1));
    for round in 0..number("RAYMPP_CRASH_ROUNDS", 10) {
        let seed = number("RAYMPP_SEED", 1) + round;
        let mut random = Random::new(seed);
        let (out, job) = (format!("out-{seed}"), format!("jobs/{seed}"));
        let script = directory.write("job.sql", PAYMENTS.script(&directory, &out));
        let (mut kills, mut machine) = (0, 0);
        loop {
            let state = directory.text(&format!("state-{seed}-{machine}"));
            let longest = (kills < 8).then(|| 20 + random.below(600));
            match run_for(start(command(&script, Some(&state), Some((&place, &job)))), longest) {
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
        let (status, problems) = run_for(start(command(&script, Some(&state), Some((&place, &job)))), None).expect("it ends by itself");
        assert!(status.success(), "seed {seed}: {problems}");
        assert_equal(&expected, &published(&directory, &out), &format!("seed {seed}, run again when complete"));
    }
}
