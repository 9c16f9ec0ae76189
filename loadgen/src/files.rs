//! The files of a report.

use raympp_loadgen::error::{Error, Result};
use raympp_loadgen::recorder::Kind;
use raympp_loadgen::report::{Report, hgrm, html};
use raympp_loadgen::run::Found;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What is written beside a file until it is whole.
const UNFINISHED: &str = "unfinished";

/// The directory they are written into.
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    /// Makes the directory if there is none, and a file in it, so that it does not only show after a run that this can't be done.
    ///
    /// # Errors
    /// [`Error::Report`].
    pub(crate) fn open(directory: &Path) -> Result<Files> {
        std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
        let probe = directory.join(UNFINISHED);
        std::fs::write(&probe, "").and_then(|()| std::fs::remove_file(&probe)).map_err(|error| failed(&probe, error))?;
        Ok(Files { directory: directory.to_owned() })
    }

    /// Writes all of them, over those of an earlier run.
    ///
    /// # Errors
    /// [`Error::Report`].
    pub(crate) fn write(&self, report: &Report, found: &Found) -> Result<()> {
        self.replace("report.json", Some(report.json()))?;
        self.replace("report.html", Some(html(report)))?;
        for (name, kind) in [("visible.hgrm", Kind::Visible), ("results.hgrm", Kind::Result)] {
            let latencies = found.recorder.latencies(kind);
            self.replace(name, (!latencies.is_empty()).then(|| hgrm(latencies)))?;
        }
        Ok(())
    }

    /// What the earlier run had and this one has not goes away.
    fn replace(&self, name: &str, text: Option<String>) -> Result<()> {
        let (path, unfinished) = (self.directory.join(name), self.directory.join(UNFINISHED));
        match text {
            Some(text) => std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, &path)),
            None => std::fs::remove_file(&path).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }),
        }
        .map_err(|error| failed(&path, error))
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::Report { path: path.to_owned(), error }
}
