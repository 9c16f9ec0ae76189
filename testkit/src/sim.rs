//! The deterministic simulator: the real state machines, driven through whole lives of a job by a seed.
//!
//! A seed stands for a job (streams, rows, metrics), for the pace of everything in it, and for what happens to it: splits and metrics that come and
//! go, silences, readers and replicas that are lost, writes that fail, processes that die at any instant and lose what was not durable. Time is virtual; nothing in here asks a
//! clock, starts a thread or depends on the order of a hash table, so a seed replays to the last step.
//!
//! What is real: chains, replicas, epoch lists, the persister and its store, restoring ([`raympp_state`]), and the coordinator
//! ([`raympp_coordinator`]). What the engine does with threads and queues around them is done by an agenda: `task` reads a split, `actor`
//! holds a replica, `sink` keeps the contract of a sink whose commits the coordinator decides, `orders` is the persister's queue.
//!
//! After each step the `invariants` are checked, one function each; in the end every published row has to be the reference's, once.
//! A [`Canary`] is a planted bug: the simulator has to catch each of them.
//!
//! Modules in reading order: `agenda`, `trace`; `scenario` is what a seed stands for, `truth` what has truly happened; `disk`, `task`, `actor`,
//! `sink`, `orders` are the parts of a process; `around` is what outlives it; `invariants`; `process`, `actions`, `readers`, `replicas`, `start`, `changes`; `life`; `verdict`.

mod agenda;
mod trace;
mod canary;
mod scenario;
mod truth;
mod disk;
mod task;
mod actor;
mod sink;
mod orders;
mod around;
mod invariants;
mod process;
mod actions;
mod readers;
mod replicas;
mod start;
mod changes;
mod life;
mod verdict;

pub use around::Tally;
pub use canary::Canary;

use invariants::Breach;
use life::Life;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A life that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Of which seed.
    pub seed: u64,
    /// Which invariant does not hold.
    pub invariant: String,
    /// What was found.
    pub message: String,
    /// The job, and the last steps.
    pub story: Vec<String>,
}

/// A life that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lived {
    /// What happened in it.
    pub tally: Tally,
    /// Equal for equal lives.
    pub digest: u64,
}

/// Lives the life of a seed, with a planted bug if one is named. `trace_all`: a failure tells every step.
///
/// # Errors
/// The first invariant that did not hold. A machine that panics breaks one.
pub fn live(seed: u64, canary: Option<Canary>, trace_all: bool) -> Result<Lived, Failure> {
    let mut life = Life::new(seed, canary, trace_all);
    let outcome = catch_unwind(AssertUnwindSafe(|| life.run()));
    let breach = match outcome {
        Ok(Ok(())) => return Ok(Lived { tally: life.around.tally, digest: life.around.trace.digest() }),
        Ok(Err(breach)) => breach,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Breach { invariant: "no machine panics", message: text.unwrap_or_default() }
        }
    };
    let story = std::iter::once(life.text.as_str()).chain(life.around.trace.lines()).map(str::to_owned).collect();
    Err(Failure { seed, invariant: breach.invariant.to_owned(), message: breach.message, story })
}
