//! The program run to its end, and a directory of a test's own.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end.
pub(crate) fn raympp(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_raympp")).args(args).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    Output { code: output.status.code().expect("it is not killed"), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A directory that goes away with the value.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Directory {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("program-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Directory(path)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), text).expect("a file for the test");
        self.text(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).expect("a file of the test")
    }

    /// Lines of all published parts of a sink, without headers.
    pub(crate) fn csv_lines(&self, sink: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.join(sink)) else { return Vec::new() };
        let mut parts: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        parts.retain(|part| part.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-")));
        parts.sort();
        let text = |part: &PathBuf| std::fs::read_to_string(part).expect("a part");
        parts.iter().map(text).flat_map(|text| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
