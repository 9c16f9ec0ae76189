//! Two revisions beside each other: the benchmarks of both are built, then run in turn, and each figure's ratio is printed.
//!
//! Figures are ratios already, of the engine beside something that runs in the same seconds; so what is compared does not depend much on how fast the
//! machine is at the moment. The median of the rounds counts.

use crate::report::Outcome;
use crate::shell::Program;
use crate::workspace::Workspace;
use std::collections::BTreeMap;
use std::path::PathBuf;

const ROUNDS: usize = 3;
const USAGE: &str = "which revisions? ./x bench compare REV_A REV_B [fold|checkpoint [PART …]]";

/// `REV_A REV_B [fold|checkpoint [PART …]]`.
pub(super) fn run(workspace: &Workspace, arguments: &[&str]) -> Outcome<()> {
    let [a, b, what @ ..] = arguments else { return Err(USAGE.to_owned()) };
    let what = if what.is_empty() { &["fold"][..] } else { what };
    let programs = [build(workspace, a)?, build(workspace, b)?];
    let mut figures = [BTreeMap::new(), BTreeMap::new()];
    for round in 1..=ROUNDS {
        for ((program, revision), figures) in programs.iter().zip([a, b]).zip(&mut figures) {
            println!("round {round} of {ROUNDS}, {revision}");
            Program::new(program).arguments(what).run_observed(|line| {
                if let Some((name, value)) = figure(line) {
                    figures.entry(name.to_owned()).or_insert_with(Vec::new).push(value);
                }
            })?;
        }
    }
    println!("\n{:<70} {a:>12} {b:>12} {:>8}", "", "B over A");
    let [of_a, of_b] = figures;
    for (name, values) in of_a {
        if let Some(others) = of_b.get(&name) {
            let (first, second) = (median(values), median(others.clone()));
            println!("{name:<70} {first:>12.2} {second:>12.2} {:>8.2}", second / first);
        }
    }
    Ok(())
}

/// The benchmarks of a revision, from a work tree of its own. All share the directory that cargo builds in, so dependencies are compiled once.
fn build(workspace: &Workspace, revision: &str) -> Outcome<PathBuf> {
    let git = |arguments: &[&str]| Program::new("git").arguments(arguments).directory(&workspace.root);
    let commit = git(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")]).output()?.trim().to_owned();
    let directory = workspace.target.join("compare").join(&commit);
    let (tree, program) = (directory.join("tree"), directory.join("raympp-benches"));
    if program.exists() {
        return Ok(program);
    }
    if !tree.exists() {
        git(&["worktree", "prune"]).run()?;
        git(&["worktree", "add", "--detach", "--force"]).arguments(&[&tree]).arguments(&[&commit]).run()?;
    }
    let at_revision = Workspace { root: tree.clone(), target: workspace.target.clone() };
    let built = Program::new("cargo").arguments(&["build", "--release", "--workspace", "--bins"]).directory(&at_revision.root);
    built.variable("CARGO_TARGET_DIR", &at_revision.target).run()?;
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    std::fs::copy(at_revision.target.join("release/raympp-benches"), &program).map_err(failed)?;
    git(&["worktree", "remove", "--force"]).arguments(&[&tree]).run()?;
    Ok(program)
}

/// Name and value of a line like `100 channels   0.61  target ≥ 0.5   met …`.
fn figure(line: &str) -> Option<(&str, f64)> {
    let (before, _) = line.split_once("  target ")?;
    let (name, value) = before.rsplit_once(' ')?;
    Some((name.trim(), value.parse().ok()?))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_from_other_lines() {
        let line = "10,000 channels                  0.50  target ≥ 0.5   met     engine 109.9, floor 232.7 million rows/s";
        assert_eq!(figure(line), Some(("10,000 channels", 0.5)));
        assert_eq!(figure("10,000 channels      results: 4220995 rows"), None);
        assert_eq!(figure("machine's own jitter   p50 0.1"), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
