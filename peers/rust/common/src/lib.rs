//! What every Rust peer shares: the command line, the rows, the query, the hash and the line of JSON. `peers/README.md` defines each of them.

mod args;
mod clock;
mod results;
mod rows;

use std::process::ExitCode;
use std::sync::Arc;

pub use args::{Args, Query};
pub use clock::{Clock, Took};
pub use results::{Results, mix};
pub use rows::Rows;

/// The exit code of a peer that cannot run the query at all.
const UNSUPPORTED: u8 = 3;

/// The lateness that the watermark allows for, in microseconds.
pub const LATENESS_US: i64 = 50_000;

/// Why a peer gave no results.
#[derive(Debug)]
pub enum Error {
    /// The system has no way to run this query.
    Unsupported(String),
    /// Anything else.
    Failed(String),
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What one run found, and how long it took from the first row's entry to the last result's arrival.
pub struct Run {
    /// The result rows and their hash.
    pub results: Results,
    /// How long it took.
    pub took: Took,
    /// What was chosen for this run besides the peer's settings, in words.
    pub chosen: Option<String>,
}

/// Which system a program measures.
pub struct Peer<'a> {
    /// Name of the system and variant.
    pub name: &'a str,
    /// Version of the system.
    pub version: &'a str,
    /// What was chosen, in words.
    pub settings: &'a str,
}

/// A peer's `main`: loads the rows, runs the query as often as asked, each time from nothing, and prints a line per run.
pub fn main(peer: &Peer<'_>, mut run: impl FnMut(&Args, &Arc<Rows>) -> Result<Run, Error>) -> ExitCode {
    let outcome = Args::from_command_line().and_then(|args| {
        let rows = Arc::new(Rows::load(&args)?);
        for index in 0..args.runs {
            let Run { results, took, chosen } = run(&args, &rows)?;
            let settings = chosen.map_or_else(|| peer.settings.to_owned(), |chosen| format!("{}, {chosen}", peer.settings));
            println!(
                r#"{{"peer": "{}", "version": "{}", "settings": "{settings}", "run": {index}, "rows": {}, "passes": {}, "results": {}, "hash": "{:016x}", "seconds": {}, "cpu_seconds": {:.2}}}"#,
                peer.name,
                peer.version,
                rows.len(),
                args.passes,
                results.rows,
                results.hash,
                took.seconds,
                took.cpu_seconds,
            );
        }
        Ok(())
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Unsupported(reason)) => {
            eprintln!("{}: unsupported: {reason}", peer.name);
            ExitCode::from(UNSUPPORTED)
        }
        Err(Error::Failed(reason)) => {
            eprintln!("{}: {reason}", peer.name);
            ExitCode::FAILURE
        }
    }
}
