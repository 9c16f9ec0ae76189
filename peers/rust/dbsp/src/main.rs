//! The metric on DBSP, the engine of Feldera: rows enter as an indexed Z-set, `aggregate_linear` sums them up per slide and channel, and `window`
//! keeps the slides of the newest complete window. Every transaction moves the watermark by at most one slide.

mod circuit;
mod feed;
mod steps;

use std::process::ExitCode;

use dbsp::Runtime;
use dbsp::circuit::CircuitConfig;
use peer_common::{Args, Clock, Error, Peer, Rows, Run};

use crate::feed::Feed;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = "transactions made before the clock, indexed Z-set by slide and channel, aggregate_linear with retained keys, window of the watermark, transactions of at most \
                    1000000 rows or one slide, state in memory, merger threads besides the workers, mimalloc";
    peer_common::main(&Peer { name: "dbsp", version: "0.349.0", settings }, |args, rows| run(args, rows))
}

fn run(args: &Args, rows: &Rows) -> Result<Run, Error> {
    let query = args.query;
    let config = CircuitConfig::with_workers(args.threads);
    let (circuit, handles) = Runtime::init_circuit(config, move |circuit| Ok(circuit::build(circuit, query)))?;
    let mut feed = Feed::new(circuit, handles, query);
    let steps = steps::steps(rows, query, args.passes)?;
    let clock = Clock::start();
    feed.all(steps)?;
    let (results, circuit) = feed.finish();
    let took = clock.stop();
    circuit.kill().map_err(|_| Error::Failed("a worker panicked".into()))?;
    Ok(Run { results, took, chosen: None })
}
