//! `check` and `explain`: what a script says, without running it.

use crate::{Failure, output};
use raympp_engine::Engine;
use std::io::ErrorKind;
use std::path::Path;

/// Reads a script file.
pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    let wrong = |problem: String| Failure::Usage(format!("raympp: the script {}: {problem}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| {
        wrong(match error.kind() {
            ErrorKind::NotFound => "there is no such file; relative paths start at the working directory".to_owned(),
            ErrorKind::IsADirectory => "this is a directory; name a file of SQL statements".to_owned(),
            _ => format!("it can't be read: {error}"),
        })
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        wrong(format!("line {line} is not UTF-8 text; save the script as UTF-8"))
    })
}

/// Reports the first error of a script, and what it needs and does not find on this machine. The latter are warnings, and no reason to fail: the
/// script may be meant for another machine, or another day.
pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    let text = read(file)?;
    let warnings = Engine::check(&text).map_err(|error| in_file(file, error))?;
    warnings.iter().for_each(|warning| output::note(&format!("{}: {warning}", file.display())));
    output::line(&format!("{}: no errors", file.display()))
}

/// Shows how each metric of a script compiles.
pub(crate) fn explain(file: &Path) -> Result<(), Failure> {
    let text = read(file)?;
    output::text(&Engine::explain_script(&text).map_err(|error| in_file(file, error))?)
}

/// An error in a file's text, with the file's name before it.
pub(crate) fn in_file(file: &Path, error: raympp_engine::Error) -> Failure {
    match Failure::from(error) {
        Failure::Usage(message) => Failure::Usage(format!("{}: {message}", file.display())),
        other => other,
    }
}
