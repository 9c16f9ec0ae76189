//! Ray-MPP beside what people would use instead (`peers/README.md`): builds or installs the peers, runs all of them on the same rows in turn, checks that
//! they found the same results, and prints a table.
//!
//! Modules in reading order: [`programs`] has the peers, [`calls`] calls one of them, [`measure`] says what it is asked for and how fast it was, [`agreement`] compares what all of
//! them found, [`table`] prints. A peer that can't be had here, or that fails, is left out with the reason; one that finds other results than the others fails the run, after
//! all else is done.

mod programs;

mod calls;

mod measure;

mod agreement;

mod table;

use crate::report::Outcome;
use crate::shell::Program;
use crate::workspace::Workspace;
use agreement::Agreement;
use calls::Asked;
use measure::Measured;
use programs::Peer;
use std::fs;
use std::path::Path;

/// How many rows a pass has, if nobody says otherwise.
const ROWS: usize = 60_000_000;

/// A table: so many channels, one query.
#[derive(Debug, PartialEq)]
struct Case {
    name: &'static str,
    channels: usize,
    query: &'static str,
}

const CASES: &[Case] = &[
    Case { name: "100 channels, HOP 1 s / 1 min", channels: 100, query: "hop" },
    Case { name: "10,000 channels, HOP 1 s / 1 min", channels: 10_000, query: "hop" },
    Case { name: "10,000 channels, TUMBLE 10 s", channels: 10_000, query: "tumble10" },
    Case { name: "10,000 channels, TUMBLE 1 s", channels: 10_000, query: "tumble1" },
];

/// What the words on the command line ask for.
#[derive(Debug, PartialEq)]
struct Options {
    rows: usize,
    cases: Vec<&'static Case>,
}

impl Options {
    /// `[--rows N] [CASE …]`: cases whose name contains one of the words, or all.
    fn read(words: &[&str]) -> Outcome<Options> {
        let (mut rows, mut names, mut words) = (ROWS, Vec::new(), words.iter());
        while let Some(word) = words.next() {
            match *word {
                "--rows" => {
                    let given = words.next().and_then(|text| text.replace([',', '_'], "").parse().ok()).filter(|rows| *rows > 0);
                    rows = given.ok_or("--rows takes how many rows a pass has, 1 or more")?;
                }
                name => names.push(name),
            }
        }
        // Commas and upper case are easily left out.
        let plain = |name: &str| name.to_lowercase().replace(',', "");
        let is_meant = |case: &Case, name: &str| plain(case.name).contains(&plain(name));
        if let Some(unknown) = names.iter().find(|name| !CASES.iter().any(|case| is_meant(case, name))) {
            let cases: String = CASES.iter().map(|case| format!("\n  {}", case.name)).collect();
            return Err(format!(
                "no case has {unknown:?} in its name; usage: ./x bench peers [--rows N] [CASE …], where the cases are:{cases}"
            ));
        }
        Ok(Options { rows, cases: CASES.iter().filter(|case| names.is_empty() || names.iter().any(|name| is_meant(case, name))).collect() })
    }
}

/// Prints a table for each case that the words ask for.
pub(super) fn run(workspace: &Workspace, words: &[&str]) -> Outcome<()> {
    let options = Options::read(words)?;
    let scratch = workspace.target.join("peers");
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let benches = workspace.build_program("raympp-benches")?;
    let (peers, mut left_out) = programs::all(workspace, &scratch, &benches)?;
    let mut failed = Vec::new();
    for case in options.cases {
        let input = scratch.join(format!("rows-{}-{}", case.channels, options.rows));
        Program::new(&benches)
            .arguments(&["rows"])
            .arguments(&[&input])
            .arguments(&[case.channels, options.rows].map(|n| n.to_string()))
            .run()?;
        let (measured, agreement, reasons) = run_case(case, &peers, &input, options.rows);
        table::print(case, options.rows, &measured, &agreement);
        failed.extend(agreement.disagreements().into_iter().map(|found| format!("{}: {found}", case.name)));
        failed.extend(reasons.iter().filter(|reason| reason.ours).map(|reason| format!("{}: {}", case.name, reason.text)));
        left_out.extend(reasons.into_iter().map(|reason| format!("{}: {}", case.name, reason.text)));
    }
    left_out.iter().for_each(|reason| println!("left out: {reason}"));
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Why a peer is left out of a table.
struct Reason {
    /// It is Ray-MPP.
    ours: bool,
    text: String,
}

fn run_case<'a>(case: &Case, peers: &'a [Peer], input: &Path, rows: usize) -> (Vec<Measured<'a>>, Agreement, Vec<Reason>) {
    let (mut measured, mut agreement, mut reasons) = (Vec::new(), Agreement::default(), Vec::new());
    for peer in peers {
        match measure::measure(peer, case, input, rows) {
            Ok(one) => {
                one.lines.iter().for_each(|line| agreement.add(&peer.name, peer.system, line));
                measured.push(one);
            }
            Err(reason) => reasons.push(Reason { ours: peer.system == programs::OURS, text: format!("{}: {reason}", peer.name) }),
        }
    }
    // Nobody is alone with what was found.
    for (rows, passes, system) in agreement.alone() {
        let Some(other) = peers.iter().find(|peer| peer.is_reference && peer.system != system) else { continue };
        match calls::call(other, case, input, &Asked { rows, passes, runs: 1 }) {
            Ok(lines) => lines.iter().for_each(|line| agreement.add(&other.name, other.system, line)),
            Err(reason) => reasons.push(Reason { ours: false, text: format!("{} as a check of {system}: {reason}", other.name) }),
        }
    }
    (measured, agreement, reasons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_by_a_piece_of_their_name() {
        assert_eq!(Options::read(&[]).map(|options| (options.rows, options.cases.len())), Ok((ROWS, CASES.len())));
        let names = |words: &[&str]| Options::read(words).map(|options| options.cases.iter().map(|case| case.name).collect::<Vec<_>>());
        assert_eq!(names(&["hop"]), Ok(vec![CASES[0].name, CASES[1].name]));
        assert_eq!(names(&["10000 channels, tumble 1 s", "100 channels"]), Ok(vec![CASES[0].name, CASES[3].name]));
        assert!(names(&["hop", "hopp"]).is_err_and(|error| error.contains("\"hopp\"") && error.contains(CASES[3].name)));
    }

    #[test]
    fn the_number_of_rows_can_be_chosen() {
        assert_eq!(Options::read(&["--rows", "2_000_000", "HOP"]).map(|options| (options.rows, options.cases.len())), Ok((2_000_000, 2)));
        assert!(
            Options::read(&["--rows"]).is_err() && Options::read(&["--rows", "0"]).is_err() && Options::read(&["--rows", "HOP"]).is_err()
        );
    }
}
