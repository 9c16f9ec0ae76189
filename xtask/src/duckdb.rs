//! SQL compared with DuckDB: makes the virtual environment, builds `raympp`, runs `tests/python/compare.py`.
//!
//! The environment lies in the target directory and is made once per set of requirements: a file in it holds the requirements it was
//! made from, written last, so that one whose making was cut off is made again.

use crate::report::{Outcome, Report};
use crate::shell::Program;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

const REQUIREMENTS: &str = "tests/python/requirements.txt";
const SCRIPT: &str = "tests/python/compare.py";

/// The command: arguments are parts of names of cases.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let mut report = Report::default();
    let names: Vec<&str> = arguments.iter().map(String::as_str).collect();
    compare(workspace, &mut report, &names)
}

/// The step.
pub(crate) fn compare(workspace: &Workspace, report: &mut Report, arguments: &[&str]) -> Outcome<()> {
    let python = environment(workspace)?;
    let raympp = workspace.build_raympp()?;
    let scratch = workspace.target.join("duckdb");
    let script = Program::new(python)
        .arguments(&["-u", "-B", SCRIPT])
        .arguments(arguments)
        .directory(&workspace.root)
        .variable("RAYMPP_BIN", raympp)
        .variable("RAYMPP_SCRATCH", scratch);
    script.run_observed(|line| report.count_line(line))
}

/// The interpreter of the virtual environment, made if it does not stand.
pub(crate) fn environment(workspace: &Workspace) -> Outcome<PathBuf> {
    let directory = workspace.target.join("venv");
    let stamp = directory.join("made-from.txt");
    let python = directory.join("bin/python");
    let requirements = workspace.read(Path::new(REQUIREMENTS))?;
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == requirements) && python.exists() {
        return Ok(python);
    }
    println!("making a virtual environment for {REQUIREMENTS}");
    Program::new("python3").arguments(&["-m", "venv", "--clear"]).arguments(&[&directory]).run()?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS];
    Program::new(&python).arguments(&install).directory(&workspace.root).run()?;
    fs::write(&stamp, requirements).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}
