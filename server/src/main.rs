//! The `raympp` binary. Exit codes: 0 done, 1 failed while running, 2 bad usage or SQL.

mod cli;
mod demo;
mod demo_screen;
mod progress;
mod run;
mod script;
mod summary;

use clap::Parser;
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
}

impl From<raympp_engine::Error> for Failure {
    fn from(error: raympp_engine::Error) -> Failure {
        match error {
            raympp_engine::Error::Sql(error) => Failure::Usage(error.to_string()),
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
        cli::Command::Check { file } => script::check(&file),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
        Err(Failure::Running(message)) => {
            eprintln!("raympp: {message}");
            ExitCode::from(1)
        }
    }
}

/// Logs go to standard error; `RUST_LOG` chooses what (default: warnings).
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
