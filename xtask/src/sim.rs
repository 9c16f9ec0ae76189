//! The simulator: `raympp-sim` of the testkit, built and run.

use crate::report::{Outcome, Report};
use crate::shell::Program;
use crate::workspace::Workspace;

/// Runs it with these arguments.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    program(workspace)?.arguments(arguments).run()
}

/// A thousand lives.
pub(crate) fn seeds(workspace: &Workspace, report: &mut Report) -> Outcome<()> {
    program(workspace)?.run_observed(|line| report.count_line(line))
}

/// Every planted bug is caught.
pub(crate) fn canaries(workspace: &Workspace, report: &mut Report) -> Outcome<()> {
    program(workspace)?.arguments(&["--canaries"]).run_observed(|line| report.count_line(line))
}

fn program(workspace: &Workspace) -> Outcome<Program> {
    Ok(Program::new(workspace.build_program("raympp-sim")?))
}
