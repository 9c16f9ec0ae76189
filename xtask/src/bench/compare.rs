//! Two revisions beside each other: the benchmarks of both are built, then run in turn, and each figure's ratio is printed, and which of the two is better.
//!
//! Most figures are ratios already, of the engine beside something that runs in the same seconds, so what is compared does not depend much on how fast the
//! machine is at the moment; rates, latencies and micro-benchmarks do. The median of the rounds counts. Figures are told by the form of their
//! lines (`benches/src/report.rs`; criterion's `--output-format bencher`); a revision that has none in that form is an error.

use super::median;
use crate::report::Outcome;
use crate::shell::Program;
use crate::workspace::Workspace;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ROUNDS: usize = 3;
const USAGE: &str =
    "which revisions? ./x bench compare REV_A REV_B [fold|checkpoint|guarantees [PART …] | micro [FILTER]]; fold if not said";

/// A benchmark that can be compared.
#[derive(Debug, PartialEq, Eq)]
struct Benchmark {
    name: &'static str,
    program: &'static str,
    /// Before the names of parts.
    arguments: &'static [&'static str],
}

const RATIOS: &str = "raympp-benches";
const MICRO: &str = "micro";
const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "fold", program: RATIOS, arguments: &["fold"] },
    Benchmark { name: "checkpoint", program: RATIOS, arguments: &["checkpoint"] },
    Benchmark { name: "guarantees", program: RATIOS, arguments: &["guarantees"] },
    Benchmark { name: "micro", program: MICRO, arguments: &["--bench", "--output-format", "bencher"] },
];

/// Which of two values is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
}

/// By name: what a revision's rounds have found.
type Figures = BTreeMap<String, (Better, Vec<f64>)>;

/// `REV_A REV_B [BENCHMARK [PART …]]`.
pub(super) fn run(workspace: &Workspace, arguments: &[&str]) -> Outcome<()> {
    let (revisions, benchmark, parts) = asked(arguments)?;
    let commits = [commit(workspace, revisions[0])?, commit(workspace, revisions[1])?];
    let programs = [build(workspace, &commits[0], benchmark)?, build(workspace, &commits[1], benchmark)?];
    let mut figures = [Figures::new(), Figures::new()];
    for round in 1..=ROUNDS {
        for ((program, revision), figures) in programs.iter().zip(revisions).zip(&mut figures) {
            println!("round {round} of {ROUNDS}, {} of {revision}", benchmark.name);
            let program = Program::new(program).arguments(benchmark.arguments).arguments(parts);
            // Beside those of `./x bench micro`, which compares with its last run.
            let program = program.variable("CRITERION_HOME", workspace.target.join("compare/criterion"));
            program.run_observed(|line| note(figures, line)).map_err(|error| format!("{revision}: {error}"))?;
            if figures.is_empty() {
                return Err(no_figures(revision, benchmark.name));
            }
        }
    }
    print!("\n{}", table(revisions, &figures)?);
    Ok(())
}

/// Two revisions, what to compare of them, and which parts of it.
fn asked<'a>(arguments: &'a [&'a str]) -> Outcome<([&'a str; 2], &'static Benchmark, &'a [&'a str])> {
    let [a, b, what @ ..] = arguments else { return Err(USAGE.to_owned()) };
    let (name, parts) = what.split_first().map_or(("fold", &[][..]), |(name, parts)| (*name, parts));
    let benchmark = BENCHMARKS.iter().find(|benchmark| benchmark.name == name).ok_or_else(|| {
        let names: Vec<&str> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        format!("revisions can't be compared by {name}, but by {}", names.join(", "))
    })?;
    Ok(([a, b], benchmark, parts))
}

fn no_figures(revision: &str, benchmark: &str) -> String {
    format!(
        "{revision}: {benchmark} has printed no figure in a form that is known here; the revision may be older than the form, or have no such part"
    )
}

fn git(workspace: &Workspace, arguments: &[&str]) -> Program {
    Program::new("git").arguments(arguments).directory(&workspace.root)
}

fn commit(workspace: &Workspace, revision: &str) -> Outcome<String> {
    Ok(git(workspace, &["rev-parse", "--verify", &format!("{revision}^{{commit}}")]).output()?.trim().to_owned())
}

/// A benchmark's program of a commit, from a work tree of its own. All share the directory that cargo builds in, so dependencies are compiled once.
fn build(workspace: &Workspace, commit: &str, benchmark: &Benchmark) -> Outcome<PathBuf> {
    let directory = workspace.target.join("compare").join(commit);
    let (tree, program) = (directory.join("tree"), directory.join(benchmark.program));
    if program.exists() {
        return Ok(program);
    }
    if !tree.exists() {
        git(workspace, &["worktree", "prune"]).run()?;
        git(workspace, &["worktree", "add", "--detach", "--force"]).arguments(&[&tree]).arguments(&[commit]).run()?;
    }
    let built = if benchmark.program == MICRO { build_micro(workspace, &tree)? } else { build_ratios(workspace, &tree)? };
    std::fs::copy(built, &program).map_err(|error| format!("{}: {error}", program.display()))?;
    git(workspace, &["worktree", "remove", "--force"]).arguments(&[&tree]).run()?;
    Ok(program)
}

fn cargo_in(workspace: &Workspace, tree: &Path, arguments: &[&str]) -> Program {
    Program::new("cargo").arguments(arguments).directory(tree).variable("CARGO_TARGET_DIR", &workspace.target)
}

fn build_ratios(workspace: &Workspace, tree: &Path) -> Outcome<PathBuf> {
    cargo_in(workspace, tree, &["build", "--release", "--workspace", "--bins"]).run()?;
    Ok(workspace.target.join("release").join(RATIOS))
}

fn build_micro(workspace: &Workspace, tree: &Path) -> Outcome<PathBuf> {
    let build =
        ["bench", "--no-run", "--profile", "release", "--workspace", "--bench", MICRO, "--message-format", "json-render-diagnostics"];
    let messages = cargo_in(workspace, tree, &build).output()?;
    messages.lines().find_map(executable).ok_or_else(|| "cargo has built no micro-benchmarks".to_owned())
}

/// Where cargo says that the micro-benchmarks lie.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_bench = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "bench");
    (is_bench && message["target"]["name"] == MICRO).then(|| message["executable"].as_str().map(PathBuf::from))?
}

fn note(figures: &mut Figures, line: &str) {
    if let Some((name, value, better)) = figure(line) {
        figures.entry(name.to_owned()).or_insert((better, Vec::new())).1.push(value);
    }
}

/// What a line says, if it is one of a figure.
fn figure(line: &str) -> Option<(&str, f64, Better)> {
    const MARKS: [(&str, Better); 4] = [
        ("  target ≥ ", Better::Higher),
        ("  target ≤ ", Better::Lower),
        ("  higher is better", Better::Higher),
        ("  lower is better", Better::Lower),
    ];
    if let Some((name, rest)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... bench: ")) {
        let (value, _) = rest.split_once(" ns/iter")?;
        return Some((name, value.trim().replace(',', "").parse().ok()?, Better::Lower));
    }
    let (before, better) = MARKS.iter().find_map(|(mark, better)| Some((line.split_once(mark)?.0, *better)))?;
    let (name, value) = before.rsplit_once(' ')?;
    Some((name.trim(), value.parse().ok()?, better))
}

/// All figures of both revisions, one a line, and those of one alone.
fn table([a, b]: [&str; 2], [of_a, of_b]: &[Figures; 2]) -> Outcome<String> {
    let mut text = format!("{:<82} {a:>12} {b:>12} {:>8}\n", "", "B over A");
    let mut alone = String::new();
    let mut compared = 0;
    for (name, (better, values)) in of_a {
        match of_b.get(name) {
            Some((_, others)) => {
                let (first, second) = (median(values), median(others));
                let verdict = verdict(first, second, *better);
                text += &format!("{name:<82} {first:>12.3} {second:>12.3} {:>8.2}  {verdict}\n", second / first);
                compared += 1;
            }
            None => alone += &format!("{name}: {a} only\n"),
        }
    }
    alone.extend(of_b.keys().filter(|name| !of_a.contains_key(*name)).map(|name| format!("{name}: {b} only\n")));
    if compared == 0 {
        return Err(format!("{a} and {b} have no figure in common:\n{alone}"));
    }
    Ok(text + &alone)
}

/// Which direction is better, and which revision so is.
fn verdict(a: f64, b: f64, better: Better) -> String {
    let (direction, is_b_better) = match better {
        Better::Higher => ("higher", b > a),
        Better::Lower => ("lower", b < a),
    };
    let which = if a == b {
        "equal"
    } else if is_b_better {
        "B"
    } else {
        "A"
    };
    format!("{direction} is better: {which}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_from_other_lines() {
        let line = "10,000 channels                  0.50  target ≥ 0.5   met     engine 109.9, floor 232.7 million rows/s";
        assert_eq!(figure(line), Some(("10,000 channels", 0.5, Better::Higher)));
        let line = "restore, s                      2.50  target ≤ 2     MISSED  of 10 keys";
        assert_eq!(figure(line), Some(("restore, s", 2.5, Better::Lower)));
        assert_eq!(figure("10,000 channels      results: 4220995 rows"), None);
        assert_eq!(figure("machine's own jitter   p50 0.1"), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }

    /// The other end of the form is in `benches/src/report.rs`.
    #[test]
    fn figures_without_a_target_say_what_is_better() {
        let line = "100 keys, TUMBLE 10 s, off: million rows/s/core             102.340  higher is better  visible p50 0.1 ms";
        assert_eq!(figure(line), Some(("100 keys, TUMBLE 10 s, off: million rows/s/core", 102.34, Better::Higher)));
        let line = "100 keys, TUMBLE 10 s, off: visible, p99, ms                  0.057  lower is better";
        assert_eq!(figure(line), Some(("100 keys, TUMBLE 10 s, off: visible, p99, ms", 0.057, Better::Lower)));
    }

    #[test]
    fn micro_benchmarks_are_told_from_their_hashes() {
        let line = "test operators/WHERE/string IN 3 ... bench:     107,937 ns/iter (+/- 4,614)";
        assert_eq!(figure(line), Some(("operators/WHERE/string IN 3", 107_937.0, Better::Lower)));
        assert_eq!(figure("operators/WHERE/string IN 3 results: 00ff00ff00ff00ff"), None);
        assert_eq!(figure("test operators/WHERE/string IN 3 ... ok"), None);
    }

    #[test]
    fn what_can_not_be_compared_is_refused_before_anything_is_built() {
        let nowhere = Workspace { root: PathBuf::from("no such directory"), target: PathBuf::from("no such directory") };
        let error = run(&nowhere, &["HEAD~", "HEAD", "fodl"]).expect_err("there is none");
        assert_eq!(error, "revisions can't be compared by fodl, but by fold, checkpoint, guarantees, micro");
        assert_eq!(run(&nowhere, &["HEAD"]), Err(USAGE.to_owned()));
        let (revisions, benchmark, parts) = asked(&["a", "b"]).expect("two revisions");
        assert_eq!((revisions, benchmark.name, parts), (["a", "b"], "fold", &[][..]));
        let (_, benchmark, parts) = asked(&["a", "b", "micro", "text"]).expect("two revisions");
        assert_eq!((benchmark.name, parts), ("micro", &["text"][..]));
    }

    #[test]
    fn each_figure_says_which_revision_is_better() {
        let figures = |lines: &[&str]| {
            let mut figures = Figures::new();
            lines.iter().for_each(|line| note(&mut figures, line));
            figures
        };
        let of_a = figures(&["rate  2  higher is better", "time  2  lower is better", "same  1  lower is better", "old  1  target ≤ 1"]);
        let of_b = figures(&["rate  3  higher is better", "time  3  lower is better", "same  1  lower is better", "new  1  target ≤ 1"]);
        let text = table(["a", "b"], &[of_a.clone(), of_b]).expect("figures in common");
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["a", "b", "B", "over", "A"]);
        assert_eq!(words[1], ["rate", "2.000", "3.000", "1.50", "higher", "is", "better:", "B"]);
        assert_eq!(words[2], ["same", "1.000", "1.000", "1.00", "lower", "is", "better:", "equal"]);
        assert_eq!(words[3], ["time", "2.000", "3.000", "1.50", "lower", "is", "better:", "A"]);
        assert_eq!(words[4..], [vec!["old:", "a", "only"], vec!["new:", "b", "only"]]);
        let error = table(["a", "b"], &[of_a, figures(&["new  1  target ≤ 1"])]).expect_err("none is in both");
        assert!(error.starts_with("a and b have no figure in common:\n"), "{error}");
    }

    #[test]
    fn cargo_says_where_the_micro_benchmarks_lie() {
        let message = |kind: &str| {
            format!(r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"micro"}},"executable":"deps/micro-1"}}"#)
        };
        assert_eq!(executable(&message("bench")), Some(PathBuf::from("deps/micro-1")));
        assert_eq!(executable(&message("test")), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
