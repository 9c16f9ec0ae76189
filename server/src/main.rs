//! The `raympp` binary. Exit codes: 0 done, 1 failed while running, 2 bad usage or SQL, 141 (as after SIGPIPE) nobody reads the output any
//! longer.

mod checkpoint;
mod cli;
mod demo;
mod demo_screen;
mod metrics_file;
mod output;
mod progress;
mod run;
mod script;
mod summary;

use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Results are allocated by the engine's cores and freed by whoever takes them, which this allocator does well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the program ends early.
pub(crate) enum Failure {
    /// The command line, a file name or the SQL is wrong.
    Usage(String),
    /// It went wrong while running.
    Running(String),
    /// Nobody reads standard output any longer.
    Closed,
}

/// What a shell reports of a program that a closed pipe has ended: 128 and the number of SIGPIPE.
const CLOSED_PIPE: u8 = 141;

impl From<raympp_engine::Error> for Failure {
    fn from(error: raympp_engine::Error) -> Failure {
        match error {
            raympp_engine::Error::Sql(error) => Failure::Usage(error.to_string()),
            raympp_engine::Error::Closed { .. } => Failure::Closed,
            other => Failure::Running(other.to_string()),
        }
    }
}

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    start_logging();
    let result = match cli.command {
        cli::Command::Run(options) => run::run(&options),
        cli::Command::Demo(options) => demo::demo(&options),
        cli::Command::Explain { file } => script::explain(&file),
        cli::Command::Checkpoint { command } => checkpoint::run(&command),
        cli::Command::Check { file } => script::check(&file),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            output::note(&message);
            ExitCode::from(2)
        }
        Err(Failure::Running(message)) => {
            output::note(&format!("raympp: {message}"));
            ExitCode::from(1)
        }
        Err(Failure::Closed) => ExitCode::from(CLOSED_PIPE),
    }
}

/// What is logged unless `RUST_LOG` says otherwise: warnings and errors, but not that the job fails, which is the program's last word anyway.
const LOGGED: &str = "warn,raympp_engine::failure=off";

/// Logs go to standard error, with colours if that is a terminal.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| LOGGED.into());
    let terminal = std::io::stderr().is_terminal();
    // A log that can't be written must not be reported where it can't be written either: that would panic.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal).log_internal_errors(false).init();
}
