//! House rules that no compiler checks, file by file.
//!
//! Every Rust file opens with a header, is at most 600 lines long and leaves nothing open; nothing waits by sleeping; no file
//! names a directory of somebody's machine. The words looked for are put together here, so that this file does not hold them.

use crate::report::Outcome;
use crate::workspace::Workspace;
use std::path::Path;

const LINES_MAX: usize = 600;

/// Words that must not stand in Rust files, and why.
const FORBIDDEN_IN_RUST: &[(&str, &str)] = &[
    (concat!("to", "do!("), "leaves something open"),
    (concat!("unimpl", "emented!("), "leaves something open"),
    (concat!("#[ign", "ore"), "a test that never runs is none"),
    (concat!("FIX", "ME"), "leaves something open"),
];

/// Sleeping, and the files that may do it, each with a reason beside the call.
const SLEEPS: [&str; 2] = [concat!("thread::sl", "eep"), concat!("time::sl", "eep")];
const MAY_SLEEP: [&str; 1] = ["peers/rust/laminardb/src/session.rs"];

/// Beginnings of paths of one machine.
const MACHINE_PATHS: [&str; 4] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("../sha", "red")];

/// Extensions of files that are looked at as text.
const TEXTS: [&str; 8] = ["rs", "md", "toml", "py", "sql", "txt", "yml", "sh"];

/// Fails if a file breaks a rule.
pub(crate) fn run(workspace: &Workspace) -> Outcome<()> {
    let mut faults = vec![];
    for file in workspace.files()? {
        let extension = file.extension().unwrap_or_default().to_string_lossy();
        if TEXTS.contains(&extension.as_ref()) || extension.is_empty() {
            faults.extend(faults_of(&file, &workspace.read(&file)?));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn faults_of(file: &Path, text: &str) -> Vec<String> {
    let mut faults = vec![];
    let name = file.to_string_lossy();
    if file.extension().is_some_and(|extension| extension == "rs") {
        faults.extend(header_and_length(&name, text));
        faults.extend(found(&name, text, FORBIDDEN_IN_RUST));
        if !MAY_SLEEP.contains(&name.as_ref()) {
            faults.extend(found(&name, text, &SLEEPS.map(|word| (word, "nothing waits by time"))));
        }
    }
    faults.extend(found(&name, text, &MACHINE_PATHS.map(|word| (word, "a path of one machine"))));
    faults
}

fn header_and_length(name: &str, text: &str) -> Vec<String> {
    let mut faults = vec![];
    if !text.starts_with("//!") {
        faults.push(format!("{name}: does not open with a //! header"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{name}: {lines} lines; split it by concept, {LINES_MAX} is the most"));
    }
    faults
}

fn found(name: &str, text: &str, words: &[(&str, &str)]) -> Vec<String> {
    let mut faults = vec![];
    for (index, line) in text.lines().enumerate() {
        let here = words.iter().filter(|(word, _)| line.contains(word));
        faults.extend(here.map(|(word, reason)| format!("{name}:{}: {word} ({reason})", index + 1)));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_its_fault() {
        let check = |name: &str, text: &str| faults_of(Path::new(name), text);
        assert!(check("a.rs", "//! Good.\n").is_empty());
        assert_eq!(check("a.rs", "fn a() {}\n"), ["a.rs: does not open with a //! header"]);
        assert_eq!(check("a.rs", &format!("//! Long.\n{}", "\n".repeat(LINES_MAX))).len(), 1);
        for (word, reason) in FORBIDDEN_IN_RUST {
            assert_eq!(check("a.rs", &format!("//! Open.\n{word}")), [format!("a.rs:2: {word} ({reason})")]);
        }
        assert_eq!(check("a.rs", &format!("//! Waits.\n{}", SLEEPS[0])).len(), 1);
        assert_eq!(check("a.md", &format!("see {}somebody", MACHINE_PATHS[2])).len(), 1);
        assert!(check("a.md", SLEEPS[0]).is_empty());
    }
}
