//! Every path that README.md and ARCHITECTURE.md name in backticks exists, so that the map can't drift from the land.
//!
//! A code span is taken for a path if it has a slash, or the extension of a file of ours, and only characters of paths. What a run
//! writes (below `out/`) and patterns are none.

use crate::markdown::spans;
use crate::report::Outcome;
use crate::workspace::Workspace;
use std::path::Path;

const DOCUMENTS: [&str; 2] = ["README.md", "ARCHITECTURE.md"];
const EXTENSIONS: [&str; 6] = ["rs", "md", "sql", "toml", "py", "gz"];

/// Fails if a document names a path that does not exist.
pub(crate) fn run(workspace: &Workspace) -> Outcome<()> {
    let mut missing = vec![];
    let mut found = 0;
    for document in DOCUMENTS {
        for span in spans(&workspace.read(Path::new(document))?) {
            let Some(path) = as_path(&span.text) else { continue };
            if workspace.root.join(path).exists() { found += 1 } else { missing.push(format!("{document}:{}: {path}", span.line)) }
        }
    }
    if !missing.is_empty() {
        return Err(format!("these paths do not exist:\n  {}", missing.join("\n  ")));
    }
    if found == 0 { Err("no document names any path".to_owned()) } else { Ok(()) }
}

/// The path that a code span names, if it names one.
fn as_path(span: &str) -> Option<&str> {
    let path = span.strip_prefix("./").unwrap_or(span);
    let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let extension = path.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && EXTENSIONS.contains(&extension));
    let is_path = plain && !path.starts_with('/') && !path.starts_with("out/") && (span.contains('/') || extension);
    is_path.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_other_code() {
        for path in ["types/src/lib.rs", "README.md", "engine/", "./x", ".ci/run"] {
            assert!(as_path(path).is_some(), "{path}");
        }
        for other in ["cargo xtask", "out/rates", "COUNT(*)", "types", "part-*.csv", "a / b", "Engine::builder", "/usr/bin"] {
            assert_eq!(as_path(other), None, "{other}");
        }
    }
}
