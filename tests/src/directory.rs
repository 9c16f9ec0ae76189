//! A directory of a test's own, gone when the test is over, and what file sinks left in it.

use std::path::{Path, PathBuf};

/// A directory that goes away with the value.
pub struct Directory(PathBuf);

impl Directory {
    /// An empty directory below `root`, which is a test's `CARGO_TARGET_TMPDIR`.
    pub fn new(root: &str, name: &str) -> Directory {
        let path = Path::new(root).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Directory(path)
    }

    /// A path in it, as text.
    pub fn text(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a file and returns its path as text.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), bytes).expect("a file for the test");
        self.text(name)
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).expect("a file of the test")
    }

    /// Lines of all published parts of a CSV file sink, without headers, in order of parts.
    pub fn csv_lines(&self, sink: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for part in self.parts(sink) {
            let text = std::fs::read_to_string(part).expect("a part");
            lines.extend(text.lines().skip(1).map(str::to_owned));
        }
        lines
    }

    /// Published parts of a file sink, in order.
    pub fn parts(&self, sink: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.0.join(sink)) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut parts: Vec<PathBuf> =
            paths.filter(|path| !path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))).collect();
        parts.sort();
        parts
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
