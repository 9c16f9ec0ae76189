//! What is measured piece by piece, through the public doors of the crates.
//!
//! A [`Case`] is a name and what makes it [`Ready`] over so many rows: input that all runs share, what each run uses up, and the work itself, the
//! only part that is measured. Everything comes from fixed seeds and nothing reads a clock or waits for a thread, so the hash of a result is the same in
//! each run and on each machine. Modules in reading order: [`rows`] is what all work on, [`hashes`] what results are told by, [`feed`] takes
//! rows to where state begins, [`scratch`] is for what lies on disk; then one module per sort of case.

mod rows;
mod hashes;
mod feed;
mod scratch;
mod operators;
mod accumulators;
mod folding;
mod applying;
mod checkpoints;
mod records;
mod stores;
mod texts;
mod parquet_files;

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Something to be measured.
pub(crate) struct Case {
    /// What it is, unique within its group.
    pub(crate) name: String,
    /// Makes it ready over about so many rows.
    pub(crate) prepare: Box<dyn Fn(usize) -> Ready>,
}

/// A case with its input.
pub(crate) struct Ready {
    /// Rows, keys, cells, windows or look-ups of one run.
    pub(crate) elements: u64,
    /// How long so many runs take.
    pub(crate) time: Box<dyn Fn(u64) -> Duration>,
    /// Hash of what a run results in.
    pub(crate) hash: Box<dyn Fn() -> u64>,
}

/// All cases, by group.
pub(crate) fn groups() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("operators", operators::cases()),
        ("accumulators", accumulators::cases()),
        ("folding", folding::cases()),
        ("state", applying::cases()),
        ("checkpoints", checkpoints::cases()),
        ("records", records::cases()),
        ("stores", stores::cases()),
        ("text", texts::cases()),
        ("parquet", parquet_files::cases()),
    ]
}

impl Case {
    fn new(name: impl Into<String>, prepare: impl Fn(usize) -> Ready + 'static) -> Case {
        Case { name: name.into(), prepare: Box::new(prepare) }
    }
}

/// Work over input that is only read.
fn reading<R: 'static>(elements: usize, work: impl Fn() -> R + 'static, hash: impl Fn(R) -> u64 + 'static) -> Ready {
    using_up(elements, || (), move |()| work(), hash)
}

/// Work that uses up, or changes, what `fresh` makes before each run. What is to be let go of after the measurement is part of the result.
fn using_up<S: 'static, R: 'static>(
    elements: usize,
    fresh: impl Fn() -> S + 'static,
    work: impl Fn(S) -> R + 'static,
    hash: impl Fn(R) -> u64 + 'static,
) -> Ready {
    let (fresh, work) = (Rc::new(fresh), Rc::new(work));
    let (fresh_too, work_too) = (Rc::clone(&fresh), Rc::clone(&work));
    Ready {
        elements: elements as u64,
        time: Box::new(move |runs| (0..runs).map(|_| time_of(fresh(), &*work)).sum()),
        hash: Box::new(move || hash(work_too(fresh_too()))),
    }
}

#[allow(clippy::disallowed_methods, reason = "benchmarks read the clock")]
fn time_of<S, R>(subject: S, work: &impl Fn(S) -> R) -> Duration {
    let subject = black_box(subject);
    let started = Instant::now();
    let result = black_box(work(subject));
    let time = started.elapsed();
    drop(result);
    time
}
