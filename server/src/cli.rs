//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Exact windowed metrics from SQL over streams of rows.
#[derive(Debug, Parser)]
#[command(name = "raympp", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a script until its inputs end (or Ctrl-C, or SIGTERM) and write its sinks
    Run(RunOptions),
    /// Show success rates of a generated payments stream, live
    Demo(DemoOptions),
    /// Show how the metrics of a script compile
    Explain {
        /// The script
        file: PathBuf,
    },
    /// Look at the checkpoints of a job, or go back to one
    Checkpoint {
        #[command(subcommand)]
        command: CheckpointCommand,
    },
    /// Report the errors of a script, if any; inputs that are missing and outputs that can't be written are warnings
    Check {
        /// The script
        file: PathBuf,
    },
}

/// What to do with checkpoints. A place is a state directory, a URL, or a directory that a checkpoint was exported to.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// List checkpoints with their age, rows read and size
    List {
        /// State directory, URL or export
        place: String,
    },
    /// Show what a checkpoint holds: offsets of splits, watermarks, metrics and their groups
    Show {
        /// State directory, URL or export
        place: String,
        /// Which; the newest unless said
        epoch: Option<u64>,
    },
    /// Read checkpoints as a whole and report what is damaged
    Verify {
        /// State directory, URL or export
        place: String,
        /// Which; all unless said
        #[arg(long)]
        epoch: Option<u64>,
    },
    /// Copy a checkpoint into an empty place, where it needs nothing else: a savepoint
    Export {
        /// State directory, URL or export
        place: String,
        /// Where to, a URL or a directory
        target: String,
        /// Which; the newest unless said
        #[arg(long)]
        epoch: Option<u64>,
    },
    /// Take a job back to an older checkpoint: later ones are gone, and what has been published is not published again.
    /// With --into, copy a checkpoint from a URL or an export into a new state directory instead
    Restore {
        /// State directory, or with --into a URL or an export
        place: String,
        /// Which; with --into the newest unless said
        #[arg(long, required_unless_present = "into")]
        epoch: Option<u64>,
        /// A new state directory
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// Lose rows that producers have pushed behind it and may have forgotten
        #[arg(long, conflicts_with = "into")]
        accept_loss: bool,
    },
}

/// Options of `run`.
#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    /// The script
    pub(crate) file: PathBuf,
    /// Threads that do the work [default: the machine's cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Partitions of each stream [default: those of the checkpoint, else one per thread]
    #[arg(long)]
    pub(crate) partitions: Option<u32>,
    /// Replicas of each partition, 1 or 2
    #[arg(long, default_value_t = 1)]
    pub(crate) replicas: usize,
    /// Rows folded into one delta at most; results do not depend on it
    #[arg(long)]
    pub(crate) flush_rows: Option<u64>,
    /// Keep checkpoints in this directory, and go on from the newest one in it
    #[arg(long)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Time from one checkpoint to the next, for example 100ms or 1s [default: 1s]
    #[arg(long, value_parser = parse_duration, requires = "state_dir")]
    pub(crate) checkpoint_interval: Option<Duration>,
    /// Newest checkpoints that stay restorable [default: 10]
    #[arg(long, requires = "state_dir")]
    pub(crate) keep: Option<usize>,
    /// Copy checkpoints to s3://bucket/prefix or file:///directory too, and restore from there into an empty state directory.
    /// For S3, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL say who and where
    #[arg(long, requires = "state_dir")]
    pub(crate) checkpoint_url: Option<String>,
    /// If the newest checkpoint is damaged, go on from the newest one that is whole
    #[arg(long, requires = "state_dir")]
    pub(crate) fall_back: bool,
    /// Start this metric anew, since its definition has changed (may be repeated; leave it out again from the next run on)
    #[arg(long, value_name = "METRIC", requires = "state_dir")]
    pub(crate) reset: Vec<String>,
    /// Keep a JSON file of all counters, renewed each second and at the end
    #[arg(long)]
    pub(crate) metrics_file: Option<PathBuf>,
    /// Print lines instead of a progress bar
    #[arg(long)]
    pub(crate) plain: bool,
}

/// Options of `demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoOptions {
    /// How long to run, for example 10s or 2m [default: until q or Ctrl-C]
    #[arg(long = "for", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Rows per second
    #[arg(long, default_value_t = 200_000)]
    pub(crate) rate: u64,
    /// Print lines instead of drawing on the terminal
    #[arg(long)]
    pub(crate) plain: bool,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| format!("'{text}' is not a duration; write for example 10s, 500ms or 2m"))?;
    let seconds = match text[digits..].trim() {
        "ms" => number / 1_000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        unit => return Err(format!("'{unit}' is no unit of time; use ms, s, m or h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
