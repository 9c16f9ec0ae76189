//! Runs each case of the micro-benchmarks once over few rows and compares the hash of its result with the list beside this file.
//!
//! With `UPDATE_EXPECT` in the environment the list is written anew.

mod cases;

use std::path::Path;

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
            print!("{line}");
            found += &line;
        }
    }
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
