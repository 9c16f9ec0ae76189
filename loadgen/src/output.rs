//! What the program prints. The reader of a pipe may have gone and a device may be full, where `println!` would panic.

use raympp_loadgen::error::{Error, Result};
use std::io::{self, Write};

/// Prints a text as it is on standard output.
///
/// # Errors
/// [`Error::Output`].
pub(crate) fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}

/// Prints a line on standard output.
///
/// # Errors
/// [`Error::Output`].
pub(crate) fn line(line: &str) -> Result<()> {
    text(&format!("{line}\n"))
}

/// Prints a line on standard error. Whoever has closed it does not want to know.
pub(crate) fn note(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}
