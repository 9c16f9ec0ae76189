//! Runs the loom models: files `loom*.rs` in the `tests` directory of a crate.
//!
//! A model includes the files it checks by `#[path]` and uses nothing but `std` and `loom`. It alone is compiled with `--cfg loom`, by rustc, against
//! the loom that the workspace's tests were compiled with. So no dependency is compiled a second time, and none changes its behaviour
//! because of a flag that was not meant for it.

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
    let library = library(workspace)?;
    for (folder, test) in models {
        let program = build(workspace, &library, &folder, &test)?;
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

/// Path of the compiled loom.
fn library(workspace: &Workspace) -> Outcome<PathBuf> {
    let arguments = ["test", "--release", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"];
    let messages = workspace.cargo(&arguments).output()?;
    messages.lines().find_map(loom_in).ok_or_else(|| "no crate of the workspace has a loom for its tests".to_owned())
}

/// The library that a message of cargo is about, if that is loom's.
fn loom_in(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" || message["target"]["name"] != "loom" {
        return None;
    }
    let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
    files.map(PathBuf::from).find(|file| file.extension().is_some_and(|extension| extension == "rlib"))
}

/// Compiles a model and returns the path of its program.
fn build(workspace: &Workspace, library: &Path, folder: &str, test: &str) -> Outcome<PathBuf> {
    let program = workspace.target.join("release").join(format!("{folder}-{test}"));
    let source = workspace.root.join(folder).join("tests").join(format!("{test}.rs"));
    let dependencies = library.parent().ok_or("a library lies in a directory")?;
    let compiler =
        Program::new("rustc").arguments(&["--test", "--edition", "2024", "-O", "--cfg", "loom", "-o"]).arguments(&[&program, &source]);
    let external = format!("loom={}", library.display());
    compiler.arguments(&["--extern", &external, "-L", &format!("dependency={}", dependencies.display())]).run()?;
    Ok(program)
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

    #[test]
    fn the_library_is_told_by_cargo() {
        let message = |name: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"filenames":["/t/lib{name}-1.rmeta","/t/lib{name}-1.rlib"]}}"#
            )
        };
        assert_eq!(loom_in(&message("loom")), Some(PathBuf::from("/t/libloom-1.rlib")));
        assert_eq!(loom_in(&message("serde")), None);
        assert_eq!(loom_in("Finished"), None);
    }
}
