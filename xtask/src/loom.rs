//! Runs the loom models: files `loom*.rs` in the `tests` directory of a crate.
//!
//! A model includes the file it checks by `#[path]`, and only the model is compiled with `--cfg loom`. So no dependency is compiled a
//! second time, and none of them changes its behaviour because of a flag that was not meant for it.

use crate::report::{Outcome, Report};
use crate::shell::Program;
use crate::workspace::Workspace;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Runs all models; fails if there is none.
pub(crate) fn run(workspace: &Workspace, report: &mut Report) -> Outcome<()> {
    let files = workspace.files()?;
    let models: Vec<(String, String)> = files.iter().filter_map(|file| model(file)).collect();
    if models.is_empty() {
        return Err("there is no loom model".to_owned());
    }
    for (folder, test) in models {
        let program = build(workspace, &folder, &test)?;
        let run = Program::new(program).variable("LOOM_MAX_PREEMPTIONS", "3").directory(&workspace.root.join(&folder));
        run.run_observed(|line| report.count_line(line))?;
    }
    Ok(())
}

/// Folder of the crate and name of the test of a file that is a model.
fn model(file: &Path) -> Option<(String, String)> {
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let [folder, "tests", name] = parts.as_slice() else { return None };
    let test = name.strip_suffix(".rs").filter(|test| test.starts_with("loom"))?;
    Some(((*folder).to_owned(), test.to_owned()))
}

/// Compiles a model and returns the path of its program.
fn build(workspace: &Workspace, folder: &str, test: &str) -> Outcome<PathBuf> {
    let package = format!("raympp-{folder}");
    let arguments = ["rustc", "--release", "--package", &package, "--test", test, "--message-format", "json-render-diagnostics"];
    let messages = workspace.cargo(&arguments).arguments(&["--", "--cfg", "loom"]).output()?;
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["reason"] == "compiler-artifact" && message["target"]["name"] == test;
        if is_it { message["executable"].as_str().map(PathBuf::from) } else { None }
    };
    messages.lines().find_map(executable).ok_or_else(|| format!("cargo built no program for {folder}/tests/{test}.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_by_their_place_and_name() {
        let found = |path: &str| model(Path::new(path));
        assert_eq!(found("state/tests/loom_version.rs"), Some(("state".to_owned(), "loom_version".to_owned())));
        assert_eq!(found("state/tests/behaviour.rs"), None);
        assert_eq!(found("state/src/loom.rs"), None);
        assert_eq!(found("state/tests/deep/loom.rs"), None);
    }
}
