//! What goes wrong around a measurement.

use std::path::PathBuf;

/// Why a run gives no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A workload's script or rows.
    #[error("workload {workload}: {message}")]
    Workload {
        /// Its name.
        workload: String,
        /// What is wrong with it.
        message: String,
    },
    /// What was published is not what the ledger says; the report tells more.
    #[error("results are not what they should be")]
    Wrong,
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] raympp_engine::Error),
    /// The engine in a process of its own has failed.
    #[error("the engine's process: {0}")]
    Child(String),
    /// A file of the report.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        error: std::io::Error,
    },
}

/// Its results.
pub type Result<T> = std::result::Result<T, Error>;
