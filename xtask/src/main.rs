//! Every developer command of Ray-MPP, the same at home and in continuous integration: `./x COMMAND`, which is `cargo xtask COMMAND`.
//!
//! Modules in reading order: [`workspace`] knows where things are, [`shell`] runs programs, [`report`] runs steps and sums them up; then
//! one module per sort of check or command. Invariant: a command fails (exit code 1) iff one of its steps does, and `ci` is made
//! of the same steps as the single commands.

mod workspace;

mod shell;

mod report;

mod bench;
mod cargo;
mod demo;
mod doc_paths;
mod duckdb;
mod edges;
mod fuzz;
mod loom;
mod markdown;
mod readme;
mod s3;
mod shipped;
mod sim;
mod tidy;

use report::{Outcome, Report, Step};
use std::process::ExitCode;
use workspace::Workspace;

/// A command: its name, its arguments in the help, what it does, how.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&Workspace, &[String]) -> Outcome<()>,
}

/// All commands, in the order of the help.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        arguments: "",
        about: "build, run the main job on the flight log, show the first lines of its result",
        run: demo::run,
    },
    Command { name: "test", arguments: "", about: "all tests of the crates", run: test },
    Command {
        name: "check",
        arguments: "",
        about: "everything that needs no tests: format, lints, tidiness, dependencies, docs",
        run: check,
    },
    Command { name: "fmt", arguments: "", about: "format all Rust files", run: |workspace, _| cargo::format(workspace) },
    Command {
        name: "sim",
        arguments: "[OPTIONS]",
        about: "lives of a job in virtual time: --seeds N, --seed S, --canary NAME, --canaries, --trace",
        run: sim::run,
    },
    Command {
        name: "duckdb",
        arguments: "[NAME…]",
        about: "compare SQL with DuckDB, all cases or those whose name contains a NAME",
        run: duckdb::run,
    },
    Command {
        name: "s3",
        arguments: "[NAME]",
        about: "tests of checkpoints in a place outside, against an S3 server, all or those whose name contains NAME",
        run: |workspace, arguments| s3::test(workspace, &mut Report::default(), arguments),
    },
    Command {
        name: "bench",
        arguments: "[NAME]",
        about: "fold, checkpoint, guarantees, micro [FILTER], compare REV_A REV_B or peers; all of it small without a name",
        run: bench::run,
    },
    Command {
        name: "fuzz",
        arguments: "[SECONDS]",
        about: "run each fuzz target that long (60), if cargo-fuzz is installed",
        run: fuzz::run,
    },
    Command { name: "soak", arguments: "", about: "the long versions of tests, comparisons and fuzzing", run: soak },
    Command { name: "ci", arguments: "", about: "all of the above that must pass before a change is merged", run: ci },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", help());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("unknown command {name:?}\n\n{}", help());
        return ExitCode::from(2);
    };
    match Workspace::find().and_then(|workspace| (command.run)(&workspace, rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("./x {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let line = |command: &Command| format!("  {:<22}{}\n", format!("{} {}", command.name, command.arguments), command.about);
    format!("Usage: ./x COMMAND\n\n{}", COMMANDS.iter().map(line).collect::<String>())
}

fn test(workspace: &Workspace, _: &[String]) -> Outcome<()> {
    run_steps(workspace, TEST_STEPS)
}

fn check(workspace: &Workspace, _: &[String]) -> Outcome<()> {
    run_steps(workspace, CHECK_STEPS)
}

fn ci(workspace: &Workspace, _: &[String]) -> Outcome<()> {
    run_steps(workspace, &[CHECK_STEPS, TEST_STEPS, CI_STEPS].concat())
}

fn soak(workspace: &Workspace, _: &[String]) -> Outcome<()> {
    run_steps(workspace, SOAK_STEPS)
}

/// What is cheap, and what fails most often, comes first.
const CHECK_STEPS: &[Step] = &[
    Step { name: "format", run: |workspace, report| cargo::check_format(workspace, report) },
    Step { name: "tidy", run: |workspace, _| tidy::run(workspace) },
    Step { name: "dependency edges", run: |workspace, _| edges::run(workspace) },
    Step { name: "doc paths", run: |workspace, _| doc_paths::run(workspace) },
    Step { name: "clippy", run: |workspace, report| cargo::clippy(workspace, report) },
    Step { name: "docs", run: |workspace, report| cargo::docs(workspace, report) },
];

const TEST_STEPS: &[Step] = &[
    Step { name: "tests", run: |workspace, report| cargo::test(workspace, report, &[]) },
    Step { name: "simulator", run: sim::seeds },
    Step { name: "DuckDB comparison", run: |workspace, report| duckdb::compare(workspace, report, &[]) },
];

const CI_STEPS: &[Step] = &[
    Step { name: "demo", run: |workspace, _| demo::run(workspace, &[]) },
    Step { name: "README commands", run: readme::run },
    Step { name: "shipped program", run: shipped::run },
    Step { name: "simulator's canaries", run: sim::canaries },
    Step { name: "checkpoints in S3", run: |workspace, report| s3::test(workspace, report, &[]) },
    Step { name: "loom", run: loom::run },
    Step { name: "benches, tiny", run: |workspace, report| bench::tiny(workspace, report) },
    Step { name: "fuzz, brief", run: |workspace, _| fuzz::run(workspace, &["20".to_owned()]) },
];

const SOAK_STEPS: &[Step] = &[
    Step {
        name: "tests, long",
        run: |workspace, report| {
            cargo::test(workspace, report, &[("PROPTEST_CASES", "20000"), ("RAYMPP_SOAK", "1"), ("RAYMPP_CRASH_ROUNDS", "300")])
        },
    },
    Step { name: "DuckDB comparison, 20 seeds", run: |workspace, report| duckdb::compare(workspace, report, &["--seeds", "20"]) },
    Step { name: "fuzz, long", run: |workspace, _| fuzz::run(workspace, &["600".to_owned()]) },
];

/// Runs all steps, the later ones also when one has failed, so that one run shows everything that is wrong.
fn run_steps(workspace: &Workspace, steps: &[Step]) -> Outcome<()> {
    let mut report = Report::default();
    for step in steps {
        report.run(workspace, step);
    }
    report.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_command() {
        let help = help();
        for command in COMMANDS {
            assert!(help.contains(&format!("  {} ", command.name)), "{help}");
        }
    }
}
