//! Benchmarks of Ray-MPP, each in one run that prints ratios. Exit codes: 0 done, whatever has been missed, 1 failed, 2 bad usage.
//!
//! `rows` and `peer` are for `./x bench peers`, where Ray-MPP is one program among its peers.
//!
//! `fold [PART …]` measures folding, look-ups and decoding, `checkpoint [PART …]` what checkpoints cost, `guarantees [PART …]` what each guarantee costs; parts are chosen by a piece of their name. `all
//! --tiny` runs everything just long enough to see that it works, and prints the same result hashes each time.
#![allow(clippy::disallowed_methods, reason = "benchmarks read the clock")]

mod checkpoints;
mod decoding;
mod duel;
mod floor;
mod fold;
mod guarantees;
mod job;
mod latency;
mod long_bound;
mod payments;
mod peer;
mod report;

use fold::Effort;
use payments::Channels;
use raympp_engine::Error;
use report::Report;
use std::process::ExitCode;
use std::time::Duration;

/// Results are allocated by the engine's cores and freed by whoever takes them, which this allocator does well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FULL: Effort = Effort { rounds: 15, batches: 2_048, keys_max: usize::MAX, long_window_s: 3_600 };
const TINY: Effort = Effort { rounds: 1, batches: 64, keys_max: 10_000, long_window_s: 120 };

/// A part of the benchmark.
#[derive(Clone, Copy)]
struct Part {
    name: &'static str,
    run: fn(Effort, &mut Report) -> Result<(), Error>,
}

/// Stands beside latencies.
const JITTER: Part = Part {
    name: "jitter",
    run: |effort, report| {
        latency::jitter(seconds(effort), report);
        Ok(())
    },
};

const FOLD: &[Part] = &[
    Part { name: "100 channels", run: |effort, report| fold::beside_floor("100 channels", 100, Channels::Dictionary, 0.5, effort, report) },
    Part {
        name: "10,000 channels",
        run: |effort, report| fold::beside_floor("10,000 channels", 10_000, Channels::Dictionary, 0.5, effort, report),
    },
    Part {
        name: "1,000,000 keys",
        run: |effort, report| {
            // A measurement closes a window per million rows, a million results each: fewer rows will do.
            let effort = Effort { batches: effort.batches.min(512), ..effort };
            fold::beside_floor("1,000,000 keys", 1_000_000, Channels::Dictionary, 0.4, effort, report)
        },
    },
    Part {
        name: "10,000 strings",
        run: |effort, report| fold::beside_floor("10,000 strings", 10_000, Channels::Strings, 0.5, effort, report),
    },
    Part { name: "long window", run: fold::long_window },
    Part { name: "long bound", run: long_bound::long_bound },
    Part { name: "metrics", run: |effort, report| fold::many_metrics(Effort { batches: effort.batches.min(512), ..effort }, report) },
    Part { name: "threads", run: fold::two_threads },
    JITTER,
    Part { name: "look-up", run: |effort, report| latency::lookups(seconds(effort), report) },
    Part { name: "visible", run: |effort, report| latency::visible(seconds(effort), report) },
    Part { name: "decoding", run: decoding::flights },
];

const CHECKPOINT: &[Part] = &[
    Part { name: "10,000 keys, 1 s", run: |effort, report| checkpoints::throughput(10_000, Duration::from_secs(1), 0.9, effort, report) },
    Part {
        name: "10,000 keys, 100 ms",
        run: |effort, report| checkpoints::throughput(10_000, Duration::from_millis(100), 0.8, effort, report),
    },
    Part {
        name: "1,000,000 keys, 1 s",
        run: |effort, report| checkpoints::throughput(1_000_000, Duration::from_secs(1), 0.9, effort, report),
    },
    Part {
        name: "1,000,000 keys, 100 ms",
        run: |effort, report| checkpoints::throughput(1_000_000, Duration::from_millis(100), 0.8, effort, report),
    },
    JITTER,
    Part { name: "visible", run: checkpoints::visible },
    Part { name: "touched", run: checkpoints::touched },
    Part { name: "restore", run: checkpoints::restore },
];

const GUARANTEES: &[Part] = &[
    // First, since a million keys leave memory behind that goes back to the machine while others run.
    JITTER,
    Part { name: "steady", run: guarantees::steady },
    Part { name: "100 keys", run: |effort, report| guarantees::table(100, effort, report) },
    Part { name: "10,000 keys", run: |effort, report| guarantees::table(10_000, effort, report) },
    Part { name: "1,000,000 keys", run: |effort, report| guarantees::table(1_000_000, effort, report) },
];

fn seconds(effort: Effort) -> Duration {
    Duration::from_millis(effort.rounds as u64 * 400)
}

fn exit(name: &str, outcome: Result<(), impl std::fmt::Display>) -> ExitCode {
    if let Err(error) = &outcome {
        eprintln!("{name}: {error}");
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rows_for_peers(directory: &str, channels: &str, rows: &str) -> ExitCode {
    match (channels.parse(), rows.parse()) {
        (Ok(channels), Ok(rows)) => exit(directory, peer::write_rows(directory.as_ref(), channels, rows)),
        _ => exit("rows", Err("numbers of channels and of rows are whole")),
    }
}

/// The parts whose name contains one of `names`, or all; in words, which there are, if a name is in none.
fn chosen(benchmark: &str, parts: &[Part], names: &[&str]) -> Result<Vec<Part>, String> {
    let has = |part: &Part, name: &&str| part.name.contains(name);
    if let Some(unknown) = names.iter().find(|name| !parts.iter().any(|part| has(part, name))) {
        let known = parts.iter().map(|part| format!("\n  {}", part.name)).collect::<String>();
        return Err(format!("no part of {benchmark} has {unknown:?} in its name; there are{known}"));
    }
    Ok(parts.iter().filter(|part| names.is_empty() || names.iter().any(|name| has(part, name))).copied().collect())
}

fn main() -> ExitCode {
    const USAGE: &str =
        "usage: fold [PART …] | checkpoint [PART …] | guarantees [PART …] | all --tiny | rows DIRECTORY CHANNELS ROWS | peer …";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (effort, parts) = match &arguments[..] {
        ["rows", directory, channels, rows] => return rows_for_peers(directory, channels, rows),
        ["peer", arguments @ ..] => return exit("peer", peer::run(arguments)),
        ["all", "--tiny"] => (TINY, Ok([FOLD, CHECKPOINT, GUARANTEES].concat())),
        ["fold", names @ ..] => (FULL, chosen("fold", FOLD, names)),
        ["checkpoint", names @ ..] => (FULL, chosen("checkpoint", CHECKPOINT, names)),
        ["guarantees", names @ ..] => (FULL, chosen("guarantees", GUARANTEES, names)),
        _ => (FULL, Err(USAGE.to_owned())),
    };
    let parts = match parts {
        Ok(parts) => parts,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::default();
    for part in parts {
        // On a thread of its own, which a part may bind to a core.
        let run = std::thread::scope(|scope| scope.spawn(|| (part.run)(effort, &mut report)).join());
        let outcome = run.expect("a benchmark panics only when results differ");
        if outcome.is_err() {
            return exit(part.name, outcome);
        }
    }
    report.finish();
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_chosen_by_a_piece_of_their_name() {
        let names =
            |names: &[&str]| chosen("checkpoint", CHECKPOINT, names).map(|parts| parts.iter().map(|part| part.name).collect::<Vec<_>>());
        assert_eq!(names(&[]), Ok(CHECKPOINT.iter().map(|part| part.name).collect()));
        assert_eq!(names(&["restore", "100 ms"]), Ok(vec!["10,000 keys, 100 ms", "1,000,000 keys, 100 ms", "restore"]));
    }

    /// Also beside one that is known: whoever mistypes one of two must not take silence for a measurement.
    #[test]
    fn a_part_that_there_is_not_is_an_error_that_lists_those_there_are() {
        for names in [&["retsore"][..], &["restore", "retsore"]] {
            let error = chosen("checkpoint", CHECKPOINT, names).err().expect("there is none");
            assert!(error.starts_with("no part of checkpoint has \"retsore\" in its name; there are\n"), "{error}");
            assert!(CHECKPOINT.iter().all(|part| error.contains(&format!("\n  {}", part.name))), "{error}");
        }
    }
}
