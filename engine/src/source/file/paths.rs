//! Which files a path or pattern names, and clear words when there are none.

use super::super::error::{SourceError, SourceErrorKind};
use crate::place::Place;
use glob::{MatchOptions, Pattern};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// No pattern matches names that begin with a dot: so a sink's unpublished parts are nobody's input. Such a file is named by itself, such a
/// directory by its name.
const MATCHING: MatchOptions = MatchOptions { case_sensitive: true, require_literal_separator: false, require_literal_leading_dot: true };

/// What makes a path a pattern.
const WILDCARDS: [char; 3] = ['*', '?', '['];

/// The files, in path order; directories that a pattern matches are passed over.
pub(super) fn find(path: &str) -> Result<Vec<PathBuf>, SourceError> {
    if !is_pattern(path) {
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

/// True if a path or pattern names the file at `place`, which is in its one spelling and may not be there.
pub(in crate::source) fn names(path: &str, place: &Path) -> bool {
    if !is_pattern(path) {
        return Place::of(Path::new(path)).is_ok_and(|named| named.path == place);
    }
    // The part before the first component with wildcards is a path like others; it is put into its one spelling.
    let (mut before, mut wild) = (PathBuf::new(), PathBuf::new());
    for component in Path::new(path).components() {
        let has_wildcards = component.as_os_str().to_str().is_some_and(|text| text.contains(WILDCARDS));
        if has_wildcards || !wild.as_os_str().is_empty() { wild.push(component) } else { before.push(component) }
    }
    let Ok(before) = Place::of(if before.as_os_str().is_empty() { Path::new(".") } else { &before }) else { return false };
    let whole = Path::new(&Pattern::escape(&before.path.to_string_lossy())).join(wild);
    let matching = MatchOptions { require_literal_separator: true, ..MATCHING };
    Pattern::new(&whole.to_string_lossy()).is_ok_and(|pattern| pattern.matches_path_with(place, matching))
}

/// A path that exists is no pattern, even if it holds characters of patterns.
fn is_pattern(path: &str) -> bool {
    path.contains(WILDCARDS) && !Path::new(path).exists()
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
