//! Runs the fuzz targets of `fuzz/` where `cargo fuzz` is installed, and says so where it is not.
//!
//! The targets are a workspace of their own, so that nothing of the project depends on libFuzzer. Seeded loops over the same functions
//! are ordinary tests; these runs only go further.

use crate::report::Outcome;
use crate::workspace::Workspace;

/// Runs every target for the number of seconds in the first argument.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let seconds: u32 = match arguments.first() {
        None => 60,
        Some(text) => text.parse().map_err(|_| format!("{text} is no number of seconds"))?,
    };
    if !workspace.cargo(&["fuzz", "--version"]).succeeds() {
        println!("cargo-fuzz is not installed (cargo install cargo-fuzz), so the fuzz targets are left out; the seeded loops ran as tests");
        return Ok(());
    }
    let listed = fuzz(workspace, &["list"]).output()?;
    let limit = format!("-max_total_time={seconds}");
    for target in listed.lines() {
        println!("fuzzing {target} for {seconds} s");
        fuzz(workspace, &["run", target, "--sanitizer", "none", "--", &limit, "-verbosity=0", "-print_final_stats=1"]).run()?;
    }
    Ok(())
}

/// `cargo fuzz`, which wants an unstable compiler flag also without a sanitizer.
fn fuzz(workspace: &Workspace, arguments: &[&str]) -> crate::shell::Program {
    let target = workspace.target.join("fuzz");
    workspace.cargo(&["fuzz"]).arguments(arguments).variable("RUSTC_BOOTSTRAP", "1").variable("CARGO_TARGET_DIR", target)
}
