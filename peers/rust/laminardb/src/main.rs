//! The metric on LaminarDB, an embedded streaming SQL database: Arrow batches are pushed into a source, a stream aggregates its windows, and the
//! results come through a subscription.

mod columns;
mod session;

use std::process::ExitCode;

use peer_common::{Args, Error, Peer, Rows, Run};

use crate::columns::Batches;
use crate::session::Session;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many rows a batch may have. The database groups a batch's rows by window and key, and does more for a group than for a row, so that smaller batches than these are slower.
const BATCHES: [usize; 3] = [65_536, 262_144, 1_048_576];

fn main() -> ExitCode {
    let settings = "CREATE STREAM with EMIT ON WINDOW CLOSE, Arrow batches made before the clock, subscription, no checkpoints, a tokio worker and a target partition \
                    for each core (it computes on one thread of its own), mimalloc";
    let mut made = None;
    peer_common::main(&Peer { name: "LaminarDB", version: "0.33.0", settings }, |args, rows| {
        let (batch, batches) = match &mut made {
            Some(made) => made,
            None => {
                let batch = fastest_batch(args, rows)?;
                made.insert((batch, Batches::new(rows, args.query, args.passes, batch)?))
            }
        };
        let chosen = format!("batches of {batch} rows, the fastest of {BATCHES:?} in a trial");
        Ok(Run { chosen: Some(chosen), ..run(args, batches)? })
    })
}

/// By a trial of each on the first of the rows; one with which it fails is none.
fn fastest_batch(args: &Args, rows: &Rows) -> Result<usize, Error> {
    let longest = BATCHES[BATCHES.len() - 1];
    let first = rows.first(rows.len().min(longest.max(rows.len() / 8)));
    let mut fastest = Err(Error::Failed("no batches".into()));
    for batch in BATCHES {
        match run(args, &Batches::new(&first, args.query, 1, batch)?) {
            Ok(one) if fastest.as_ref().is_ok_and(|(_, seconds)| *seconds <= one.took.seconds) => {}
            Ok(one) => fastest = Ok((batch, one.took.seconds)),
            Err(error) if fastest.is_err() => fastest = Err(error),
            Err(_) => {}
        }
    }
    fastest.map(|(batch, _)| batch)
}

fn run(args: &Args, batches: &Batches) -> Result<Run, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(args.threads).enable_all().build()?;
    runtime.block_on(async {
        let session = Session::open(args).await?;
        let run = session.run(batches).await;
        session.close().await?;
        run
    })
}
