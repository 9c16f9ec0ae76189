//! `./x demo`: the main job on the real flight log, and the first lines of what it wrote.

use crate::report::Outcome;
use crate::shell::Program;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};

const SCRIPT: &str = "examples/flights.sql";
/// Where the script writes; what an earlier run left there goes.
const RESULTS: &str = "out/flights";
const LINES_SHOWN: usize = 6;

/// Builds, runs, shows. Arguments are handed on to `raympp run`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let raympp = workspace.build_raympp()?;
    let results = workspace.root.join(RESULTS);
    if results.exists() {
        fs::remove_dir_all(&results).map_err(|error| format!("{}: {error}", results.display()))?;
    }
    println!("$ raympp run {SCRIPT}");
    Program::new(&raympp).arguments(&["run", SCRIPT]).arguments(arguments).directory(&workspace.root).run()?;
    let parts = parts(&results)?;
    if parts.is_empty() {
        return Err(format!("{SCRIPT} wrote nothing below {RESULTS}/"));
    }
    for part in parts {
        show(workspace, &part)?;
    }
    println!("\nNext: a live table of generated payments, {} demo", shown(workspace, &raympp).display());
    Ok(())
}

/// The first part of each directory below, in path order.
fn parts(results: &Path) -> Outcome<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("{}: {error}", results.display());
    let mut parts = vec![];
    for directory in fs::read_dir(results).map_err(failed)? {
        let directory = directory.map_err(failed)?.path();
        let mut files: Vec<PathBuf> = fs::read_dir(&directory)
            .map_err(failed)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-")))
            .collect();
        files.sort();
        parts.extend(files.into_iter().next());
    }
    parts.sort();
    Ok(parts)
}

fn show(workspace: &Workspace, part: &Path) -> Outcome<()> {
    let text = fs::read_to_string(part).map_err(|error| format!("{}: {error}", part.display()))?;
    println!("\n{}", shown(workspace, part).display());
    for line in text.lines().take(LINES_SHOWN) {
        println!("  {line}");
    }
    println!("  … {} rows", text.lines().count().saturating_sub(1));
    Ok(())
}

fn shown<'a>(workspace: &Workspace, path: &'a Path) -> &'a Path {
    path.strip_prefix(&workspace.root).unwrap_or(path)
}
