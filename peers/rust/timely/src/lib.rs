//! What both variants share: starting the workers, and the clock.

pub mod slices;

use std::sync::{Arc, Barrier};
use std::time::Instant;

use peer_common::{Args, Clock, Error, Results, Rows, Run};
use timely::worker::Worker;

/// Version of the timely crate, which the workspace's manifest pins.
pub const VERSION: &str = "0.32.0";

/// Lets all workers begin to push at once, after each of them has built its dataflow.
pub struct Gate(Barrier);

impl Gate {
    /// Waits for the other workers, and says when the first row may enter.
    #[must_use]
    pub fn open(&self) -> Clock {
        self.0.wait();
        Clock::start()
    }
}

/// What a worker found, and since when.
pub struct Worked {
    /// Its results.
    pub results: Results,
    /// Started when its gate opened.
    pub clock: Clock,
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

    let (mut results, mut clock, mut end): (_, Option<Clock>, _) = (Results::default(), None, None);
    for joined in guards.join() {
        let (worked, ended) = joined.map_err(Error::Failed)?;
        results.merge(&worked.results);
        clock = Some(clock.map_or(worked.clock, |clock| clock.earlier(worked.clock)));
        end = end.max(Some(ended));
    }
    let took = clock.zip(end).map(|(clock, end)| clock.stop_at(end)).unwrap_or_default();
    Ok(Run { results, took, chosen: None })
}
