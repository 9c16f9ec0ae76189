//! The file of `--metrics-file`: all counters as JSON, renewed each second and at the end.
//!
//! It is replaced as a whole: the new text is written beside it, under a name that starts with a dot, and then takes its place. So whoever
//! reads it sees one set of counters and never half of one. Something that is there and no file, such as a pipe, is written to as it is.

use raympp_engine::stats::Stats;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time from one renewal to the next.
const RENEW: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct MetricsFile {
    path: PathBuf,
    due: Duration,
}

impl MetricsFile {
    /// The file at this path; nothing is written yet.
    pub(crate) fn new(path: &Path) -> MetricsFile {
        MetricsFile { path: path.to_owned(), due: Duration::ZERO }
    }

    /// Writes the counters if it is time. `elapsed` is the time since the start.
    pub(crate) fn renew(&mut self, stats: &Stats, elapsed: Duration) -> Result<(), String> {
        if self.is_due(elapsed) { self.write(stats) } else { Ok(()) }
    }

    /// True once a second.
    fn is_due(&mut self, elapsed: Duration) -> bool {
        if elapsed < self.due {
            return false;
        }
        self.due = elapsed + RENEW;
        true
    }

    /// Writes the counters, or says why that can't be done.
    pub(crate) fn write(&self, stats: &Stats) -> Result<(), String> {
        let text = serde_json::to_string_pretty(stats).expect("counters are plain data");
        let path = self.path.display();
        replace(&self.path, &text)
            .map_err(|error| format!("the metrics file {path} can't be written: {error}; check its directory and permissions"))
    }
}

/// Puts a text in the place of what a file holds, in one step.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // What a symbolic link names is renewed, not the link.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a file"))?;
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return fs::write(&path, text);
    }
    let beside = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let replaced = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path));
    if replaced.is_err() {
        // The error is told; what is left of the attempt may not even be there.
        let _ = fs::remove_file(&beside);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_renewed_each_second() {
        let mut file = MetricsFile::new(Path::new("counters.json"));
        let looks = (0..20).map(|look| Duration::from_millis(look * 200));
        let renewed: Vec<u128> = looks.filter(|&elapsed| file.is_due(elapsed)).map(|elapsed| elapsed.as_millis()).collect();
        assert_eq!(renewed, [0, 1_000, 2_000, 3_000]);
    }
}
