//! A sink's own thread: takes whole windows from the actors' queue and writes them. Disks may be slow; cores do not wait for them.

use crate::clock::machine_now_us as now_us;
use crate::consumer::{Consumer, Item, WindowAssembler};
use crate::error::{Error, Result};
use crate::sink::{Sink, SinkError};
use crate::stream::Stream;
use parking_lot::Mutex;
use raympp_operators::plan::SinkPlan;
use raympp_types::text::parse_interval;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running sink.
pub(crate) struct SinkTask {
    stream: Arc<Stream>,
    consumer: Arc<Consumer>,
    done: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        let (partitions, queue, is_done) = (stream.partitions.len(), Arc::clone(&consumer), Arc::clone(&done));
        let run = move || {
            let result =
                write_all(&queue, partitions, output, roll_us).map_err(|error| Error::Sink { sink: name, message: error.to_string() });
            if result.is_err() {
                queue.queue.abandon();
            }
            is_done.store(true, Ordering::Release);
            finished(result);
        };
        let thread = std::thread::Builder::new().name(format!("raympp-sink-{}", plan.name)).spawn(run);
        let thread = thread.map_err(|error| Error::Sink { sink: plan.name.clone(), message: format!("no thread for it: {error}") })?;
        Ok(SinkTask { stream, consumer, done, thread: Mutex::new(Some(thread)) })
    }

    /// The stream it reads from.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// True if it has published everything.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Publishes what it has and ends.
    pub(crate) fn end(self) {
        self.stream.consumers.remove(self.consumer.id);
        self.consumer.queue.finish();
        self.join();
    }

    pub(crate) fn join(self) {
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!(stream = self.stream.name(), "a sink's thread has panicked; this is a bug of the engine");
        }
    }
}

/// Writes until the stream is complete or the queue is finished; publishes each `roll_us` of wall time and at the end.
fn write_all(consumer: &Consumer, partitions: usize, mut output: Box<dyn Sink>, roll_us: u64) -> std::result::Result<(), SinkError> {
    let mut assembler = WindowAssembler::default();
    let mut complete = 0;
    let mut published_us = now_us();
    while complete < partitions {
        let due_us = (published_us + roll_us).saturating_sub(now_us());
        match consumer.queue.pop_timeout(Duration::from_micros(due_us)) {
            Ok(Some(Item::Closed(piece))) => assembler.add(piece),
            Ok(Some(Item::Changes(batch) | Item::Late(batch))) => output.append(&batch)?,
            Ok(Some(Item::Complete)) => complete += 1,
            Ok(None) => break,
            Err(()) => {}
        }
        while let Some(whole) = assembler.next() {
            output.append(&whole)?;
        }
        if now_us() >= published_us + roll_us {
            output.publish()?;
            published_us = now_us();
        }
    }
    output.finish()
}
