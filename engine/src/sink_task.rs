//! A sink's own thread: takes whole windows from the actors' queue and writes them. Disks may be slow; cores do not wait for them.
//!
//! A sorted sink also puts the windows in order, and a part of it holds whole windows: rows wait until every partition has handed over all of
//! a window ([`Stream::closed_us`]). What the partitions say of that is read *before* looking how much the queue holds, so all that it
//! stands for is in the queue then. A window that some partitions never handed over, since the job failed or the sink was dropped in between, is
//! not published.

mod sorted;

use crate::clock::machine_now_us as now_us;
use crate::consumer::{Consumer, Item, WindowAssembler};
use crate::error::{Error, Result};
use crate::sink::{Sink, SinkError, SinkErrorKind};
use crate::stream::Stream;
use parking_lot::Mutex;
use raympp_operators::plan::SinkPlan;
use raympp_types::text::parse_interval;
use sorted::SortedWindows;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running sink.
pub(crate) struct SinkTask {
    feed: Arc<Feed>,
    done: Arc<AtomicBool>,
    /// The directory that it has to itself, if it writes into one.
    directory: Option<PathBuf>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where a sink's rows come from.
struct Feed {
    stream: Arc<Stream>,
    consumer: Arc<Consumer>,
    /// Windows that end after this were not all handed over; `i64::MAX` as long as nobody has stopped the feed.
    limit_us: AtomicI64,
}

impl Feed {
    /// Windows that end up to here are whole in what has come and in what waits in the queue after this returns. `None` if that can't be told:
    /// the job has failed, and the queue has taken in nothing since.
    fn whole_us(&self) -> Option<i64> {
        let closed_us = self.stream.closed_us();
        match self.limit_us.load(Ordering::SeqCst) {
            i64::MAX if self.stream.is_over() => None,
            limit_us => Some(closed_us.min(limit_us)),
        }
    }

    /// Says that what has been handed over up to now is all there will be.
    fn stop_here(&self) {
        self.limit_us.store(self.stream.closed_us(), Ordering::SeqCst);
    }
}

impl SinkTask {
    /// Starts the thread of a sink that writes to `output`. `finished` is told how it ended.
    pub(crate) fn start(
        plan: &Arc<SinkPlan>,
        stream: Arc<Stream>,
        consumer: Arc<Consumer>,
        output: Box<dyn Sink>,
        finished: impl Fn(Result<()>) + Send + 'static,
    ) -> Result<SinkTask> {
        let done = Arc::new(AtomicBool::new(false));
        let name = plan.name.clone();
        let roll_us = plan.options.get("roll").and_then(|text| parse_interval(text.as_bytes()).ok()?.fixed_us()).map(|us| us as u64);
        let roll_us = roll_us.unwrap_or_else(|| output.roll_us());
        let windows = if consumer.wants.in_order() { Windows::Sorted(SortedWindows::default()) } else { Windows::AsTheyCome };
        let feed = Arc::new(Feed { stream, consumer, limit_us: AtomicI64::new(i64::MAX) });
        let (source, is_done) = (Arc::clone(&feed), Arc::clone(&done));
        let run = move || {
            let writer = Writer { feed: &source, output, assembler: WindowAssembler::default(), windows, complete: 0, whole_us: i64::MIN };
            let result = writer.run(roll_us).map_err(|error| match error.kind {
                SinkErrorKind::Closed => Error::Closed { sink: name },
                _ => Error::Sink { sink: name, message: error.to_string() },
            });
            if result.is_err() {
                source.consumer.queue.abandon();
            }
            is_done.store(true, Ordering::Release);
            finished(result);
        };
        let thread = std::thread::Builder::new().name(format!("raympp-sink-{}", plan.name)).spawn(run);
        let thread = thread.map_err(|error| Error::Sink { sink: plan.name.clone(), message: format!("no thread for it: {error}") })?;
        Ok(SinkTask { feed, done, directory: crate::sink::directory(plan), thread: Mutex::new(Some(thread)) })
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

    /// Publishes what it has and ends.
    pub(crate) fn end(self) {
        self.feed.stop_here();
        self.stream().consumers.remove(self.feed.consumer.id);
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

/// What becomes of the rows of closed windows.
enum Windows {
    /// They are written as partitions hand them over.
    AsTheyCome,
    /// They wait for the rest of their windows.
    Sorted(SortedWindows),
}

/// The work of a sink's thread.
struct Writer<'a> {
    feed: &'a Feed,
    output: Box<dyn Sink>,
    assembler: WindowAssembler,
    windows: Windows,
    /// Partitions that have nothing more to say.
    complete: usize,
    /// Windows that end up to here are whole.
    whole_us: i64,
}

impl Writer<'_> {
    /// Writes until the stream is complete or the queue is finished; publishes each `roll_us` of wall time and at the end.
    fn run(mut self, roll_us: u64) -> std::result::Result<(), SinkError> {
        let partitions = self.feed.stream.partitions.len();
        let mut published_us = now_us();
        while self.complete < partitions {
            let due_us = (published_us + roll_us).saturating_sub(now_us());
            match self.feed.consumer.queue.pop_timeout(Duration::from_micros(due_us)) {
                Ok(Some(item)) => self.take(item)?,
                Ok(None) => break,
                Err(()) => {}
            }
            if now_us() >= published_us + roll_us {
                self.publish()?;
                published_us = now_us();
            }
        }
        self.whole_us = if self.complete == partitions { i64::MAX } else { self.feed.whole_us().unwrap_or(self.whole_us) };
        self.write_whole()?;
        self.output.finish()
    }

    fn take(&mut self, item: Item) -> std::result::Result<(), SinkError> {
        match item {
            Item::Closed(piece) => match &mut self.windows {
                Windows::Sorted(windows) => windows.add(piece)?,
                Windows::AsTheyCome => {
                    self.assembler.add(piece);
                    while let Some(whole) = self.assembler.next() {
                        self.output.append(&whole)?;
                    }
                }
            },
            Item::Changes(batch) | Item::Late(batch) => self.output.append(&batch)?,
            Item::Complete => self.complete += 1,
        }
        Ok(())
    }

    fn publish(&mut self) -> std::result::Result<(), SinkError> {
        if matches!(self.windows, Windows::Sorted(_))
            && let Some(whole_us) = self.feed.whole_us()
        {
            for _ in 0..self.feed.consumer.queue.len() {
                self.feed.consumer.queue.try_pop().map_or(Ok(()), |item| self.take(item))?;
            }
            self.whole_us = whole_us;
            self.write_whole()?;
        }
        self.output.publish()
    }

    /// Writes the windows of a sorted sink that are whole.
    fn write_whole(&mut self) -> std::result::Result<(), SinkError> {
        let Windows::Sorted(windows) = &mut self.windows else { return Ok(()) };
        windows.take(self.whole_us)?.iter().try_for_each(|rows| self.output.append(rows))
    }
}
