//! Which files a path or pattern names, and clear words when there are none.

use super::super::error::{SourceError, SourceErrorKind};
use glob::MatchOptions;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// No pattern matches names that begin with a dot: so a sink's unpublished parts are nobody's input. Such a file is named by itself, such a
/// directory by its name.
const MATCHING: MatchOptions = MatchOptions { case_sensitive: true, require_literal_separator: false, require_literal_leading_dot: true };

/// The files, in path order. A path that exists is that file, even if it holds characters of patterns; directories that a pattern
/// matches are passed over.
pub(super) fn find(path: &str) -> Result<Vec<PathBuf>, SourceError> {
    if Path::new(path).exists() || !path.contains(['*', '?', '[']) {
        return Ok(vec![PathBuf::from(path)]);
    }
    let matches = glob::glob_with(path, MATCHING)
        .map_err(|error| SourceError::new(SourceErrorKind::Option, format!("path = '{path}' is not a valid pattern: {error}")))?;
    let mut files = Vec::new();
    for found in matches {
        let found = found.map_err(|error| io_error(error.path(), error.error()))?;
        if !found.is_dir() {
            files.push(found);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(SourceError::new(SourceErrorKind::Missing, format!("no file matches '{path}'"))
            .hint("relative paths start at the working directory"));
    }
    Ok(files)
}

/// Fails unless this is a file that can be opened.
pub(super) fn check_readable(path: &Path) -> Result<(), SourceError> {
    open(path).map(drop)
}

/// Opens a regular file.
pub(super) fn open(path: &Path) -> Result<File, SourceError> {
    let metadata = std::fs::metadata(path).map_err(|error| io_error(path, &error))?;
    if metadata.is_dir() {
        return Err(SourceError::new(SourceErrorKind::NotAFile, "this is a directory")
            .split(path.display().to_string())
            .hint(format!("to read the files in it write '{}/*'", path.display())));
    }
    if !metadata.is_file() {
        return Err(SourceError::new(SourceErrorKind::NotAFile, "this is not a regular file, so it can't be read again from an offset")
            .split(path.display().to_string()));
    }
    File::open(path).map_err(|error| io_error(path, &error))
}

/// An error of the operating system at a path.
pub(super) fn io_error(path: &Path, error: &io::Error) -> SourceError {
    let (kind, message) = match error.kind() {
        io::ErrorKind::NotFound => (SourceErrorKind::Missing, "the file does not exist".to_owned()),
        io::ErrorKind::PermissionDenied => (SourceErrorKind::Unreadable, "no permission to read".to_owned()),
        _ => (SourceErrorKind::Unreadable, format!("can't be read: {error}")),
    };
    let made = SourceError::new(kind, message).split(path.display().to_string());
    if kind == SourceErrorKind::Missing { made.hint("relative paths start at the working directory") } else { made }
}
