//! A sink's own thread: takes results from the actors' queue and writes them. Disks may be slow; cores do not wait for them.
//!
//! There are two ways to commit. Without a state directory the task commits by itself, each `roll` of wall time ([`at_roll`]). With one the
//! coordinator decides ([`by_epoch`]): rows wait here until an epoch takes them in, and become visible when that epoch is committed
//! everywhere. The sink does not know the difference; see the contract of [`Sink`].

mod at_roll;
mod by_epoch;
mod held;
mod sorted;

use crate::consumer::Consumer;
use crate::error::{Error, Result};
use crate::sink::{Sink, SinkError, SinkErrorKind, SinkHandle};
use crate::stream::Stream;
use at_roll::{Feed, RollWriter};
use by_epoch::EpochWriter;
use crossbeam::channel::{Sender, unbounded};
use held::Windows;
use parking_lot::Mutex;
use raympp_operators::plan::SinkPlan;
use raympp_state::checkpoint::shown::Shown;
use raympp_types::text::parse_interval;
use raympp_types::{Epoch, EventTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Who commits what a sink has been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commits {
    /// The task does, each `roll`.
    AtRoll,
    /// The coordinator does. The newest epoch committed so far and its frontier, if there is one: what belongs to it is in the sink, and is
    /// skipped if it comes again, since the job was restored from an earlier one.
    ByEpoch(Option<(Epoch, EventTime)>),
}

/// What a sink's thread has to say.
#[derive(Clone, Debug)]
pub(crate) enum SinkEvent {
    /// All rows that belong to the epoch or earlier ones are durable, as the handle says; and the (key, window) pairs that they turn.
    Prepared(Epoch, SinkHandle, Shown),
    /// They could not be made durable. They come with the next epoch.
    Failed(Epoch, SinkError),
    /// Everything is published, or the sink has failed for good.
    Ended(Result<()>),
}

/// What a sink's thread is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Make durable what belongs to the epoch, with this frontier at its barrier.
    Prepare(Epoch, EventTime),
    /// The epoch is committed.
    Commit(Epoch),
    /// The epoch will not be committed.
    GiveUp(Epoch),
    /// The sink is dropped.
    Drop,
}

/// A running sink.
pub(crate) struct SinkTask {
    feed: Arc<Feed>,
    commits: Commits,
    requests: Sender<Request>,
    done: Arc<AtomicBool>,
    /// The directory that it has to itself, if it writes into one.
    directory: Option<PathBuf>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SinkTask {
    /// Starts the thread of a sink that writes to `output`, which has been recovered. `tell` is called from that thread.
    pub(crate) fn start(
        plan: &Arc<SinkPlan>,
        stream: Arc<Stream>,
        consumer: Arc<Consumer>,
        output: Box<dyn Sink>,
        commits: Commits,
        tell: impl Fn(SinkEvent) + Send + 'static,
    ) -> Result<SinkTask> {
        let done = Arc::new(AtomicBool::new(false));
        let roll_us = plan.options.get("roll").and_then(|text| parse_interval(text.as_bytes()).ok()?.fixed_us()).map(|us| us as u64);
        let roll_us = roll_us.unwrap_or_else(|| output.roll_us());
        let windows = Windows::new(consumer.wants.in_order());
        let feed = Arc::new(Feed::new(stream, consumer));
        let (requests, asked) = unbounded();
        let (source, is_done, name) = (Arc::clone(&feed), Arc::clone(&done), plan.name.clone());
        let run = move || {
            let end = |result: std::result::Result<(), SinkError>| {
                // Once: with a coordinator the thread goes on to answer after everything is published.
                if !is_done.swap(true, Ordering::AcqRel) {
                    tell(SinkEvent::Ended(result.map_err(|error| job_error(&name, &error))));
                }
            };
            let result = match commits {
                Commits::AtRoll => RollWriter::new(&source, output, windows).run(roll_us),
                Commits::ByEpoch(taken) => {
                    let tell = |event| if let SinkEvent::Ended(_) = event { end(Ok(())) } else { tell(event) };
                    let partitions = source.stream.partitions.len();
                    EpochWriter::new(output, windows, partitions, taken, roll_us, &tell).run(&source.consumer.queue, &asked)
                }
            };
            // Partitions may go on telling of epochs that take in nothing.
            source.consumer.queue.abandon();
            end(result);
        };
        let thread = std::thread::Builder::new().name(format!("raympp-sink-{}", plan.name)).spawn(run);
        let thread = thread.map_err(|error| Error::Sink { sink: plan.name.clone(), message: format!("no thread for it: {error}") })?;
        Ok(SinkTask { feed, commits, requests, done, directory: crate::sink::directory(plan), thread: Mutex::new(Some(thread)) })
    }

    /// Asks for something; the answer, if there is one, is an event.
    pub(crate) fn ask(&self, request: Request) {
        // A thread that has ended has said why.
        let _ = self.requests.send(request);
        self.feed.consumer.queue.poke();
    }

    /// The stream it reads from.
    pub(crate) fn stream(&self) -> &Stream {
        &self.feed.stream
    }

    /// The directory that it has to itself, if it writes into one.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// True if it has published everything.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Says that all partitions have handed over what they will.
    pub(crate) fn stop_here(&self) {
        self.feed.stop_here();
    }

    /// Publishes what it has, or with a coordinator what has been committed, and ends.
    pub(crate) fn end(self) {
        self.feed.stop_here();
        self.stream().consumers.remove(self.feed.consumer.id);
        if self.commits != Commits::AtRoll {
            self.ask(Request::Drop);
        }
        self.feed.consumer.queue.finish();
        self.join();
    }

    pub(crate) fn join(self) {
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!(stream = self.stream().name(), "a sink's thread has panicked; this is a bug of the engine");
        }
    }
}

fn job_error(sink: &str, error: &SinkError) -> Error {
    match error.kind {
        SinkErrorKind::Closed => Error::Closed { sink: sink.to_owned() },
        _ => Error::Sink { sink: sink.to_owned(), message: error.to_string() },
    }
}
