//! What both variants share: starting the workers, and the clock.

pub mod slices;

use std::sync::{Arc, Barrier};
use std::time::Instant;

use peer_common::{Args, Error, Results, Rows, Run};
use timely::worker::Worker;

/// Version of the timely crate, which the workspace's manifest pins.
pub const VERSION: &str = "0.32.0";

/// Lets all workers begin to push at once, after each of them has built its dataflow.
pub struct Gate(Barrier);

impl Gate {
    /// Waits for the other workers, and says when the first row may enter.
    #[must_use]
    pub fn open(&self) -> Instant {
        self.0.wait();
        Instant::now()
    }
}

/// What a worker found, from when to when.
pub struct Worked {
    /// Its results.
    pub results: Results,
    /// When its gate opened.
    pub begin: Instant,
}

/// Runs `work` on as many workers as asked, from nothing.
pub fn run(args: &Args, rows: &Arc<Rows>, work: fn(&mut Worker, &Args, &Arc<Rows>, &Gate) -> Worked) -> Result<Run, Error> {
    let gate = Gate(Barrier::new(args.threads));
    let (args, rows) = (args.clone(), Arc::clone(rows));
    let guards = timely::execute(timely::Config::process(args.threads), move |worker| {
        let worked = work(worker, &args, &rows, &gate);
        (worked, Instant::now())
    })
    .map_err(Error::Failed)?;

    let (mut results, mut begin, mut end) = (Results::default(), None, None);
    for joined in guards.join() {
        let (worked, ended) = joined.map_err(Error::Failed)?;
        results.merge(&worked.results);
        begin = begin.min(Some(worked.begin)).or(Some(worked.begin));
        end = end.max(Some(ended));
    }
    let seconds = begin.zip(end).map_or(0.0, |(begin, end)| (end - begin).as_secs_f64());
    Ok(Run { results, seconds })
}
