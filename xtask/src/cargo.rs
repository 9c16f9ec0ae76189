//! The steps that are one cargo command. All of them build with `--release`, so that every dependency is compiled once.

use crate::report::{Outcome, Report};
use crate::workspace::Workspace;

/// Module headers name private modules in reading order; links to those are for readers of the code.
const RUSTDOC_FLAGS: &str = "-D warnings -A rustdoc::private_intra_doc_links";

/// Formats all Rust files.
pub(crate) fn format(workspace: &Workspace) -> Outcome<()> {
    workspace.cargo(&["fmt", "--all"]).run()
}

/// Fails where `./x fmt` would change something.
pub(crate) fn check_format(workspace: &Workspace, _: &mut Report) -> Outcome<()> {
    workspace.cargo(&["fmt", "--all", "--", "--check", "-l"]).run().map_err(|error| format!("{error}; ./x fmt mends it"))
}

/// Lints of all targets, warnings denied.
pub(crate) fn clippy(workspace: &Workspace, _: &mut Report) -> Outcome<()> {
    workspace.cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
}

/// Documentation, warnings (such as dead links) denied.
pub(crate) fn docs(workspace: &Workspace, _: &mut Report) -> Outcome<()> {
    workspace.cargo(&["doc", "--release", "--workspace", "--no-deps"]).variable("RUSTDOCFLAGS", RUSTDOC_FLAGS).run()
}

/// All tests of all crates, doctests included. A test that is ignored is a failure: it is no test.
pub(crate) fn test(workspace: &Workspace, report: &mut Report, variables: &[(&str, &str)]) -> Outcome<()> {
    let mut program = workspace.cargo(&["test", "--release", "--workspace", "--no-fail-fast"]);
    for (name, value) in variables {
        program = program.variable(name, value);
    }
    let mut ignored = 0;
    let outcome = program.run_observed(|line| {
        report.count_line(line);
        ignored += usize::from(line.starts_with("test ") && line.contains(" ... ignored"));
    });
    outcome?;
    if ignored == 0 { Ok(()) } else { Err(format!("{ignored} tests are ignored")) }
}

/// The micro-benchmarks, with criterion's arguments. `cargo bench` has no `--release`, but its profile by name is the same.
pub(crate) fn bench_micro(workspace: &Workspace, arguments: &[&str]) -> Outcome<()> {
    workspace.cargo(&["bench", "--profile", "release", "--workspace", "--bench", "micro", "--"]).arguments(arguments).run()
}
