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
    /// No window was published that could have been compared.
    #[error("nothing was verified, since no window had rows: say a longer --for or a higher --rate")]
    Unchecked,
    /// Faults that were injected and never came about.
    #[error("'{0}' never came about: no rows of that partition came after it")]
    Untriggered(String),
    /// No rate meets the objective.
    #[error("not even one row a second meets {0}")]
    NotSustained(String),
    /// Ctrl-C, SIGTERM or SIGHUP.
    #[error("ended early by a signal")]
    Interrupted,
    /// Signals can't be watched.
    #[error("Ctrl-C can't be watched: {0}")]
    Signals(String),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] raympp_engine::Error),
    /// The engine in a process of its own has failed.
    #[error("the engine's process: {0}")]
    Child(String),
    /// The engine's process is no longer there.
    #[error("the engine's process ended with {0} before the run did; what it said on standard error tells more")]
    Ended(String),
    /// What is to be shown.
    #[error("the output can't be written: {0}")]
    Output(std::io::Error),
    /// Where the report is to be.
    #[error("the report can't be written: {}: {error}; --out names another directory", path.display())]
    Report {
        /// Which file or directory.
        path: PathBuf,
        /// What happened.
        error: std::io::Error,
    },
    /// A file.
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
