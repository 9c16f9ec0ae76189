//! `raympp-sim`: lives many lives on all cores, or one again.
//!
//! Usage: `raympp-sim [--seeds N] [--seed S] [--canary NAME] [--canaries] [--trace]`. Exits with 1 iff a life goes wrong that should not, or a canary
//! is not caught. Only whole lives are spread over threads; what is in a life knows nothing of them.

use raympp_testkit::sim::{Canary, Failure, Tally, live};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lives of one run.
const SEEDS: u64 = 1_000;
/// A canary is caught within so many seeds.
const CANARY_SEEDS: u64 = 200;

/// What is asked for.
struct Options {
    seeds: u64,
    seed: Option<u64>,
    canary: Option<Canary>,
    canaries: bool,
    trace: bool,
}

fn main() -> ExitCode {
    // A panic is told with its life.
    std::panic::set_hook(Box::new(|_| {}));
    let options = match read_options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("raympp-sim: {error}");
            return ExitCode::from(2);
        }
    };
    let well = match (options.canaries, options.seed) {
        (true, _) => all_canaries(),
        (false, Some(seed)) => one(seed, &options),
        (false, None) => many(options.seeds, &options),
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read_options() -> Result<Options, String> {
    let mut options = Options { seeds: SEEDS, seed: None, canary: None, canaries: false, trace: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
        match word.as_str() {
            "--seeds" => options.seeds = number(value()?)?,
            "--seed" => options.seed = Some(number(value()?)?),
            "--canary" => {
                let name = value()?;
                let names = Canary::ALL.map(Canary::name).join(", ");
                options.canary = Some(Canary::named(&name).ok_or_else(|| format!("there is no canary {name}; there are {names}"))?);
            }
            "--canaries" => options.canaries = true,
            "--trace" => options.trace = true,
            _ => return Err(format!("{word}? --seeds N, --seed S, --canary NAME, --canaries, --trace")),
        }
    }
    Ok(options)
}

fn one(seed: u64, options: &Options) -> bool {
    match live(seed, options.canary, options.trace) {
        Ok(lived) => {
            println!("seed {seed}: {:?}, digest {:016x}", lived.tally, lived.digest);
            true
        }
        Err(failure) => {
            tell(&failure, options.canary);
            false
        }
    }
}

fn many(seeds: u64, options: &Options) -> bool {
    let (tally, failure) = run(seeds, options.canary);
    match failure {
        None => {
            println!("{seeds} seeds: {tally:?}");
            println!("{seeds} passed, 0 failed");
            true
        }
        Some(failure) => {
            tell(&failure, options.canary);
            false
        }
    }
}

fn all_canaries() -> bool {
    let (mut caught, mut missed) = (0, 0);
    for canary in Canary::ALL {
        match run(CANARY_SEEDS, Some(canary)).1 {
            Some(failure) => {
                println!("{canary:<24} caught at seed {:>3}: {}", failure.seed, failure.invariant);
                caught += 1;
            }
            None => {
                println!("{canary:<24} NOT caught within {CANARY_SEEDS} seeds");
                missed += 1;
            }
        }
    }
    println!("{caught} passed, {missed} failed");
    missed == 0
}

/// Lives of the seeds from 0 on, over all cores; the failure with the lowest seed, if there is one.
fn run(seeds: u64, canary: Option<Canary>) -> (Tally, Option<Failure>) {
    let next = AtomicU64::new(0);
    let lowest_failed = AtomicU64::new(u64::MAX);
    let sum = Mutex::new((Tally::default(), None::<Failure>));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds || seed > lowest_failed.load(Ordering::Relaxed) {
            return;
        }
        let lived = live(seed, canary, false);
        let Ok(mut sum) = sum.lock() else { return };
        match lived {
            Ok(lived) => sum.0.add(&lived.tally),
            Err(failure) => {
                lowest_failed.fetch_min(seed, Ordering::Relaxed);
                if sum.1.as_ref().is_none_or(|other| failure.seed < other.seed) {
                    sum.1 = Some(failure);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    sum.into_inner().unwrap_or_default()
}

fn tell(failure: &Failure, canary: Option<Canary>) {
    failure.story.iter().for_each(|line| println!("{line}"));
    println!("\nseed {}: {}\n{}", failure.seed, failure.invariant, failure.message);
    let planted = canary.map_or(String::new(), |canary| format!(" --canary {canary}"));
    println!("\nagain: ./x sim --seed {}{planted}        with every step: --trace", failure.seed);
}
