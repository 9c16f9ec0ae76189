//! `./x bench`: one benchmark by name; without a name, all of them small; two revisions beside each other; Ray-MPP beside its peers.

mod compare;
mod peers;

use crate::report::{Outcome, Report};
use crate::shell::Program;
use crate::workspace::Workspace;
use crate::{cargo, duckdb};
use std::path::Path;

/// A benchmark as it is run beside all others.
struct Small {
    name: &'static str,
    run: fn(&Workspace) -> Outcome<()>,
}

/// Everything, each just long enough to see that it works, and that results are right.
const SMALL: &[Small] = &[
    Small { name: "fold, checkpoint, guarantees", run: |workspace| tiny(workspace, &mut Report::default()) },
    Small { name: "micro", run: |workspace| cargo::bench_micro(workspace, &["--quick"]) },
    Small { name: "load", run: load },
    Small { name: "find-max", run: find_max },
    Small { name: "peers", run: peers_if_built },
];

/// Rows that peers are run on beside all others.
const PEER_ROWS: &str = "2000000";

/// What the arguments ask for.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        [] => small(workspace),
        ["micro", filter @ ..] => cargo::bench_micro(workspace, filter),
        ["compare", revisions @ ..] => compare::run(workspace, revisions),
        ["peers", cases @ ..] => peers::run(workspace, cases),
        ["fold" | "checkpoint" | "guarantees" | "all", ..] => {
            let python = duckdb::environment(workspace)?;
            Program::new(workspace.build_program("raympp-benches")?).arguments(arguments).variable("RAYMPP_PYTHON", python).run()
        }
        [unknown, ..] => Err(format!("there is no benchmark {unknown}; there are fold, checkpoint, guarantees, micro, compare and peers")),
    }
}

fn small(workspace: &Workspace) -> Outcome<()> {
    SMALL.iter().try_for_each(|Small { name, run }| {
        println!("\n==> {name}");
        run(workspace)
    })
}

/// The benchmarks of ratios, just long enough to see that they work.
pub(crate) fn tiny(workspace: &Workspace, _: &mut Report) -> Outcome<()> {
    Program::new(workspace.build_program("raympp-benches")?).arguments(&["all", "--tiny"]).run()
}

/// A load of each workload, its results checked.
fn load(workspace: &Workspace) -> Outcome<()> {
    let loadgen = workspace.build_program("raympp-loadgen")?;
    for workload in ["payments", "nexmark", "ysb", "flights"] {
        let load =
            ["--workload", workload, "--rate", "50000", "--for", "3s", "--warm-up", "1s", "--checkpoint", "100ms", "--replicas", "2"];
        let out = workspace.target.join("load").join(workload).to_string_lossy().into_owned();
        let load = Program::new(&loadgen).arguments(&load).arguments(&["--verify", "--plain", "--out", &out]);
        load.directory(&workspace.root).run()?;
    }
    Ok(())
}

/// The highest rate that is sustained, by trials so short that any machine sustains some.
fn find_max(workspace: &Workspace) -> Outcome<()> {
    let search = ["--find-max", "--rate", "4000000", "--for", "500ms", "--warm-up", "100ms", "--slo", "p99 < 200ms", "--plain"];
    Program::new(workspace.build_program("raympp-loadgen")?).arguments(&search).run()
}

/// Peers take most of an hour to build, so they are run here only if that has been done.
fn peers_if_built(workspace: &Workspace) -> Outcome<()> {
    if !peers_are_built(&workspace.target) {
        println!("none is built here: ./x bench peers builds and runs them");
        return Ok(());
    }
    peers::run(workspace, &["--rows", PEER_ROWS, "100 channels"])
}

/// True if [`peers::run`] has built what takes so long.
fn peers_are_built(target: &Path) -> bool {
    target.join("peers/rust/release/peer-floor").exists()
}

/// The middle one, or between the two in the middle, if they are two.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    /// A workspace in which nothing can be built.
    fn nowhere() -> Workspace {
        Workspace { root: PathBuf::from("no such directory"), target: PathBuf::from("no such directory") }
    }

    #[test]
    fn all_of_it_small_is_every_sort_of_benchmark() {
        let names: Vec<&str> = SMALL.iter().map(|small| small.name).collect();
        assert_eq!(names, ["fold, checkpoint, guarantees", "micro", "load", "find-max", "peers"]);
    }

    #[test]
    fn an_unknown_benchmark_is_refused_before_anything_is_built() {
        let error = run(&nowhere(), &["fodl".to_owned(), "restore".to_owned()]).expect_err("there is none");
        assert_eq!(error, "there is no benchmark fodl; there are fold, checkpoint, guarantees, micro, compare and peers");
    }

    #[test]
    fn peers_are_left_out_until_they_are_built() {
        assert_eq!(peers_if_built(&nowhere()), Ok(()), "it says how to build them");
        let target = std::env::temp_dir().join(format!("raympp-xtask-peers-{}", std::process::id()));
        let programs = target.join("peers/rust/release");
        fs::create_dir_all(&programs).expect("a temporary directory");
        assert!(!peers_are_built(&target));
        fs::write(programs.join("peer-floor"), "").expect("a temporary file");
        assert!(peers_are_built(&target));
        fs::remove_dir_all(&target).expect("it was made here");
    }
}
