//! Where things are: the root, the target directory, the files of the project.
//!
//! Files are found by walking the tree, not by asking git, so that a source archive works as well as a clone. Invariant: what a build or
//! a run leaves behind (see [`LEFT_BEHIND`]) is no file of the project.

use crate::report::Outcome;
use crate::shell::Program;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of directories that are not the project's.
const LEFT_BEHIND: [&str; 8] = ["target", "out", ".git", ".venv", "__pycache__", "corpus", "artifacts", "coverage"];

/// The workspace that this program was started in.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The directory of the top Cargo.toml.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Outcome<Workspace> {
        let metadata = metadata(Path::new("."), &["--no-deps"])?;
        let path = |field: &str| metadata[field].as_str().map(PathBuf::from).ok_or(format!("cargo metadata has no {field}"));
        Ok(Workspace { root: path("workspace_root")?, target: path("target_directory")? })
    }

    /// A cargo command in the root.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Program {
        cargo().arguments(arguments).directory(&self.root)
    }

    /// Builds all programs and returns the path of one. The workspace is built as a whole, since features of dependencies are settled
    /// over all packages that are built together: one package alone would compile half of its dependencies once more.
    pub(crate) fn build_program(&self, name: &str) -> Outcome<PathBuf> {
        self.cargo(&["build", "--release", "--workspace", "--bins"]).run()?;
        Ok(self.target.join("release").join(name))
    }

    /// Builds `raympp` and returns its path.
    pub(crate) fn build_raympp(&self) -> Outcome<PathBuf> {
        self.build_program("raympp")
    }

    /// All files of the project, relative to the root, in path order.
    pub(crate) fn files(&self) -> Outcome<Vec<PathBuf>> {
        let mut files = vec![];
        walk(&self.root, Path::new(""), &mut files)?;
        files.sort();
        Ok(files)
    }

    /// A file of the project as text.
    pub(crate) fn read(&self, file: &Path) -> Outcome<String> {
        fs::read_to_string(self.root.join(file)).map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// The cargo that started this program.
fn cargo() -> Program {
    Program::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// `cargo metadata` as JSON.
pub(crate) fn metadata(directory: &Path, arguments: &[&str]) -> Outcome<Value> {
    let text = cargo().arguments(&["metadata", "--format-version", "1"]).arguments(arguments).directory(directory).output()?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

fn walk(root: &Path, relative: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    let directory = root.join(relative);
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if LEFT_BEHIND.iter().any(|left| name == *left) {
            continue;
        }
        let path = relative.join(&name);
        if entry.file_type().map_err(failed)?.is_dir() { walk(root, &path, files)? } else { files.push(path) }
    }
    Ok(())
}
