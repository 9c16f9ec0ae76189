//! A program that embeds the engine, killed at random instants and started again until it is done: what it has published and counted is what a run
//! that was never disturbed publishes and counts.
//!
//! `RAYMPP_CRASH_ROUNDS` asks for more rounds, `RAYMPP_SEED` for another first seed; a failure names its seed.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use raympp_testkit::program::{number, run_for, start};
use raympp_testkit::random::Random;
use raympp_tests::directory::Directory;
use std::process::Command;

/// Runs it; what it has counted, unless it was killed after about so many milliseconds.
fn run(directory: &Directory, seed: u64, longest: Option<u64>) -> Option<String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_embedding"));
    program.args([&directory.text(""), "out", &seed.to_string()]);
    let (status, problems) = run_for(start(program), longest)?;
    assert!(status.success(), "seed {seed}: {problems}");
    Some(directory.read("out/total"))
}

fn published(directory: &Directory) -> Vec<Vec<String>> {
    let sorted = |sink: &str| {
        let mut lines = directory.csv_lines(&format!("out/{sink}"));
        lines.sort_unstable();
        lines
    };
    ["counts", "sessions"].map(sorted).to_vec()
}

#[test]
fn killed_at_random_instants_each_row_counts_once() {
    for round in 0..number("RAYMPP_CRASH_ROUNDS", 6) {
        let seed = number("RAYMPP_SEED", 1) + round;
        let new = |name: &str| Directory::new(env!("CARGO_TARGET_TMPDIR"), &format!("embedding-{name}-{seed}"));
        let (undisturbed, killed) = (new("undisturbed"), new("killed"));
        let expected = run(&undisturbed, seed, None).unwrap();
        assert!(expected.contains("c=BigInt("), "{expected}");
        let mut random = Random::new(seed);
        let mut kills = 0;
        let total = loop {
            // A program that acknowledges too early is done sooner.
            let within = random.pick(&[40, 100, 300]);
            let longest = (kills < 8).then(|| 20 + random.below(within));
            match run(&killed, seed, longest) {
                None => kills += 1,
                Some(total) => break total,
            }
        };
        let place = format!("seed {seed}, {kills} kills");
        assert_eq!(total, expected, "{place}");
        let (ours, theirs) = (published(&killed), published(&undisturbed));
        assert!(theirs.iter().all(|lines| lines.len() > 100));
        assert_eq!(ours, theirs, "{place}");
        // Once more: it is complete, and nothing is published again.
        assert_eq!(run(&killed, seed, None).unwrap(), expected, "{place}, run again when complete");
        assert_eq!(published(&killed), theirs, "{place}, run again when complete");
    }
}
