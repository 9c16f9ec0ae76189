//! Tests of checkpoints in a place outside of the state directory, against a server that speaks S3 instead of a directory.
//!
//! The server is a program of a workspace of its own, `tests/s3/`: as a dependency of the project's tests it would change features of what the
//! project is built with, and everything would be compiled twice.

use crate::report::{Outcome, Report};
use crate::workspace::Workspace;

/// Builds the server and runs the tests that can use one; `arguments` are parts of names.
pub(crate) fn test(workspace: &Workspace, report: &mut Report, arguments: &[String]) -> Outcome<()> {
    let (folder, target) = (workspace.root.join("tests/s3"), workspace.target.join("s3"));
    workspace.cargo(&["build", "--release", "--locked"]).directory(&folder).variable("CARGO_TARGET_DIR", &target).run()?;
    let tests = ["test", "--release", "--workspace", "--test", "crashes", "--test", "places", "--"];
    let server = target.join("release/s3-server");
    let program = workspace.cargo(&tests).arguments(arguments).variable("RAYMPP_S3_SERVER", server);
    program.run_observed(|line| report.count_line(line))
}
