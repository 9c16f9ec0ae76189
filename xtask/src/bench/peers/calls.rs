//! Calls a peer's program and reads what it prints: a line of JSON per run, as `peers/README.md` has it.

use super::Case;
use super::programs::Peer;
use crate::report::Outcome;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A call that takes longer is ended, and the peer left out.
const LIMIT: Duration = Duration::from_secs(600);
/// A peer's exit code if its system has no way to run the query.
const UNSUPPORTED: i32 = 3;

/// What a peer is asked for.
pub(super) struct Asked {
    pub(super) rows: usize,
    pub(super) passes: usize,
    pub(super) runs: usize,
}

/// What a peer printed of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) version: String,
    pub(super) settings: String,
    /// Rows of a pass.
    pub(super) rows: usize,
    pub(super) passes: usize,
    pub(super) results: u64,
    pub(super) hash: String,
    pub(super) seconds: f64,
    /// Time on all processors together.
    pub(super) cpu_seconds: f64,
    /// Checkpoints committed in the run, of a system that makes them.
    pub(super) checkpoints: Option<u64>,
}

/// The lines of all runs; the error is why there are none, in words that follow the peer's name.
pub(super) fn call(peer: &Peer, case: &Case, input: &Path, asked: &Asked) -> Outcome<Vec<Line>> {
    let [rows, passes, runs, threads] = [asked.rows, asked.passes, asked.runs, peer.threads].map(|number| number.to_string());
    let common = ["--query", case.query, "--rows", &rows, "--threads", &threads, "--passes", &passes, "--runs", &runs];
    let program = peer.program.clone().arguments(&["--input"]).arguments(&[input]).arguments(&common).arguments(peer.arguments);
    match program.code_and_output_within(LIMIT)? {
        None => Err(format!("it was not done after {LIMIT:?}")),
        Some((code, output)) => read(code, &output, asked),
    }
}

fn read(code: i32, output: &str, asked: &Asked) -> Outcome<Vec<Line>> {
    match code {
        0 => {}
        UNSUPPORTED => return Err("it can't, see above".to_owned()),
        _ => return Err(format!("it ended with exit code {code}, see above")),
    }
    let lines = output.lines().map(|line| Line::read(line).ok_or_else(|| format!("it printed {line:?}"))).collect::<Outcome<Vec<_>>>()?;
    if lines.len() != asked.runs || lines.iter().any(|line| (line.rows, line.passes) != (asked.rows, asked.passes)) {
        return Err(format!("it did not run {} times on {} rows in {} passes, as it was asked to", asked.runs, asked.rows, asked.passes));
    }
    Ok(lines)
}

impl Line {
    fn read(line: &str) -> Option<Line> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        let number = |name: &str| line[name].as_u64();
        Some(Line {
            version: text("version")?,
            settings: text("settings")?,
            rows: usize::try_from(number("rows")?).ok()?,
            passes: usize::try_from(number("passes")?).ok()?,
            results: number("results")?,
            hash: text("hash")?,
            seconds: line["seconds"].as_f64().filter(|seconds| *seconds > 0.0)?,
            cpu_seconds: line["cpu_seconds"].as_f64()?,
            checkpoints: number("checkpoints"),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const LINE: &str = r#"{"peer": "P", "version": "1", "settings": "s", "run": 0, "rows": 5, "passes": 2, "results": 3, "hash": "00ff", "seconds": 0.5, "cpu_seconds": 0.75}"#;

    /// A run of ten million rows.
    pub(in super::super) fn line(seconds: f64, hash: &str) -> Line {
        let (version, settings, hash) = ("1".to_owned(), "s".to_owned(), hash.to_owned());
        Line { version, settings, rows: 10_000_000, passes: 1, results: 3, hash, seconds, cpu_seconds: seconds * 1.5, checkpoints: None }
    }

    #[test]
    fn a_line_of_a_peer_is_read() {
        let one = Line::read(LINE).expect("it is complete");
        assert_eq!((one.rows, one.passes, one.results, one.hash.as_str(), one.seconds, one.cpu_seconds), (5, 2, 3, "00ff", 0.5, 0.75));
        assert_eq!(one.checkpoints, None);
        let with = LINE.replace("0.75", r#"0.75, "checkpoints": 31"#);
        assert_eq!(Line::read(&with).and_then(|line| line.checkpoints), Some(31));
        assert!(Line::read("{}").is_none() && Line::read("WARN something").is_none());
    }

    #[test]
    fn a_peer_that_fails_is_not_counted_by_what_it_printed() {
        let asked = Asked { rows: 5, passes: 2, runs: 1 };
        assert_eq!(read(0, LINE, &asked).map(|lines| lines.len()), Ok(1));
        assert!(read(1, LINE, &asked).is_err_and(|error| error.contains("exit code 1")));
        assert!(read(3, "", &asked).is_err_and(|error| error.contains("can't")));
        assert!(read(0, "", &asked).is_err() && read(0, &format!("{LINE}\n{LINE}"), &asked).is_err());
        assert!(read(0, LINE, &Asked { passes: 3, ..asked }).is_err());
        assert!(read(0, "hello", &Asked { rows: 5, passes: 2, runs: 1 }).is_err_and(|error| error.contains("hello")));
    }
}
