//! Runs each case of the micro-benchmarks once over few rows and compares the hash of its result with the list beside this file.
//!
//! One line tells the hash of the whole list in every test run, for whoever compares two of them. With `UPDATE_EXPECT` in the environment the list is
//! written anew.

mod cases;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use xxhash_rust::xxh3::xxh3_64;

/// Enough for several keys, windows and cells of each.
const ROWS: usize = 512;

#[test]
fn results_have_the_hashes_they_had() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("micro/hashes.txt");
    let mut found = String::new();
    for (group, cases) in cases::groups() {
        for case in cases {
            let ready = (case.prepare)(ROWS);
            assert!(ready.elements > 0, "{group}/{}: nothing is measured", case.name);
            // As it is measured, too: the work must bear to be done again.
            (ready.time)(1);
            let line = format!("{group}/{} {:016x}\n", case.name, (ready.hash)());
            found += &line;
        }
    }
    tell(&format!("micro-benchmarks: {} results, hash of all {:016x}", found.lines().count(), xxh3_64(found.as_bytes())));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &found).expect("the list can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the list is there");
    let missing = differences(&expected, &found, "was");
    let surplus = differences(&found, &expected, "is");
    assert!(expected == found, "results have changed; if they should have, UPDATE_EXPECT=1 writes the new list:\n{missing}{surplus}");
}

/// Lines of one list that another one lacks.
fn differences(of: &str, other: &str, verb: &str) -> String {
    of.lines().filter(|line| !other.lines().any(|known| known == *line)).map(|line| format!("  {verb} {line}\n")).collect()
}

/// Prints a line that the test harness does not keep for itself: it catches what macros print, and not what is written.
fn tell(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("somebody listens");
}

const TOLD: &str = "told from within a test";

#[test]
fn a_line_is_told() {
    tell(TOLD);
}

/// Without `--nocapture`, as test runs are.
#[test]
fn what_is_told_is_seen() {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).args(["--exact", "a_line_is_told"]).env_remove("RUST_TEST_NOCAPTURE").output().expect("it runs");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && printed.contains(&format!("{TOLD}\n")), "{printed}");
}
