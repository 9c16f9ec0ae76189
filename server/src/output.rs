//! What the program prints. The reader of a pipe may have gone and a device may be full, where `println!` would panic.
//!
//! Standard output holds answers and results: if they can't be written, the program fails, but quietly where nobody reads any longer,
//! as programs do that a closed pipe ends. Standard error holds words about the run: who doesn't read them misses them.

use crate::Failure;
use std::io::{self, ErrorKind, Write};

/// Prints a text as it is on standard output.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Running(format!("can't write the output: {error}")),
    })
}

/// Prints a line on standard output.
pub(crate) fn line(line: &str) -> Result<(), Failure> {
    text(&format!("{line}\n"))
}

/// Prints a line on standard error.
pub(crate) fn note(line: &str) {
    // Whoever has closed standard error does not want to know.
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}
