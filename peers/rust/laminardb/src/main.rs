//! The metric on LaminarDB, an embedded streaming SQL database: Arrow batches are pushed into a source, a stream aggregates its windows, and the
//! results come through a subscription.

mod columns;
mod session;

use std::process::ExitCode;

use peer_common::{Args, Error, Peer, Run};

use crate::columns::Batches;
use crate::session::Session;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = "CREATE STREAM with EMIT ON WINDOW CLOSE, Arrow batches of 65536 rows made before the clock, subscription, no checkpoints, \
                    threads for input and output while the database computes on one, mimalloc";
    let mut made = None;
    peer_common::main(&Peer { name: "laminardb", version: "0.33.0", settings }, |args, rows| {
        let batches = match &mut made {
            Some(batches) => batches,
            None => made.insert(Batches::new(rows, args.query)?),
        };
        run(args, batches)
    })
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
