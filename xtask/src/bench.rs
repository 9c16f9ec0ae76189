//! `./x bench`: one benchmark by name; without a name, all of them small; two revisions beside each other; Ray-MPP beside its peers.

mod compare;
mod peers;

use crate::report::{Outcome, Report};
use crate::shell::Program;
use crate::workspace::Workspace;
use crate::{cargo, duckdb};

/// What the arguments ask for.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        [] => small(workspace),
        ["micro", filter @ ..] => cargo::bench_micro(workspace, filter),
        ["compare", revisions @ ..] => compare::run(workspace, revisions),
        ["peers", cases @ ..] => peers::run(workspace, cases),
        _ => {
            let python = duckdb::environment(workspace)?;
            Program::new(workspace.build_program("raympp-benches")?).arguments(arguments).variable("RAYMPP_PYTHON", python).run()
        }
    }
}

/// Everything, just long enough to see that it works, and that results are right.
fn small(workspace: &Workspace) -> Outcome<()> {
    tiny(workspace, &mut Report::default())?;
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

/// The benchmarks of ratios, just long enough to see that they work.
pub(crate) fn tiny(workspace: &Workspace, _: &mut Report) -> Outcome<()> {
    Program::new(workspace.build_program("raympp-benches")?).arguments(&["all", "--tiny"]).run()
}
