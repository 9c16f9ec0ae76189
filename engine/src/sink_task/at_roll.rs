//! A sink that commits by itself: whatever has come is published each `roll` of wall time, and at the end.
//!
//! A sorted sink also puts the windows in order, and a part of it holds whole windows: rows wait until every partition has handed over all of
//! a window ([`Stream::closed_us`]). What the partitions say of that is read *before* looking how much the queue holds, so all that it
//! stands for is in the queue then. A window that some partitions never handed over, since the job failed or the sink was dropped in between, is
//! not published. Barriers would say the same, but only as often as there are any, and a shutdown publishes all that has closed.

use super::held::Windows;
use crate::clock::machine_now_us as now_us;
use crate::consumer::{Consumer, Intake, Item, News};
use crate::sink::{Cut, Sink, SinkError};
use crate::stream::Stream;
use raympp_types::Epoch;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Where a sink's rows come from.
pub(super) struct Feed {
    pub(super) stream: Arc<Stream>,
    pub(super) consumer: Arc<Consumer>,
    /// Windows that end after this were not all handed over; `i64::MAX` as long as nobody has stopped the feed.
    limit_us: AtomicI64,
}

impl Feed {
    pub(super) fn new(stream: Arc<Stream>, consumer: Arc<Consumer>) -> Feed {
        Feed { stream, consumer, limit_us: AtomicI64::new(i64::MAX) }
    }

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
    pub(super) fn stop_here(&self) {
        self.limit_us.store(self.stream.closed_us(), Ordering::SeqCst);
    }
}

/// The work of a sink's thread.
pub(super) struct RollWriter<'a> {
    feed: &'a Feed,
    output: Box<dyn Sink>,
    intake: Intake,
    windows: Windows,
    /// Publications so far.
    epoch: Epoch,
    /// Windows that end up to here are whole.
    whole_us: i64,
}

impl<'a> RollWriter<'a> {
    pub(super) fn new(feed: &'a Feed, output: Box<dyn Sink>, windows: Windows) -> RollWriter<'a> {
        RollWriter { feed, output, intake: Intake::default(), windows, epoch: Epoch(0), whole_us: i64::MIN }
    }

    /// Writes until the stream is complete or the queue is finished; publishes each `roll_us` of wall time and at the end.
    pub(super) fn run(mut self, roll_us: u64) -> Result<(), SinkError> {
        let partitions = self.feed.stream.partitions.len();
        let mut published_us = now_us();
        while self.intake.complete() < partitions {
            let due_us = (published_us + roll_us).saturating_sub(now_us());
            match self.feed.consumer.queue.pop_timeout(Duration::from_micros(due_us)) {
                Ok(Some(item)) => self.take(item)?,
                Ok(None) => break,
                Err(()) => {}
            }
            if now_us() >= published_us + roll_us {
                self.roll()?;
                published_us = now_us();
            }
        }
        self.whole_us = if self.intake.complete() == partitions { i64::MAX } else { self.feed.whole_us().unwrap_or(self.whole_us) };
        self.write_whole()?;
        self.publish(Cut::End)
    }

    fn take(&mut self, item: Item) -> Result<(), SinkError> {
        match self.intake.take(item) {
            News::Closed(pieces) if self.windows.are_sorted() => pieces.into_iter().try_for_each(|piece| self.windows.add(piece, i64::MIN)),
            News::Closed(pieces) => pieces.iter().try_for_each(|piece| self.output.append(&piece.batch)),
            News::Rows(_, batches, _) => batches.iter().try_for_each(|batch| self.output.append(batch)),
            News::Sealed(..) | News::Nothing => Ok(()),
        }
    }

    fn roll(&mut self) -> Result<(), SinkError> {
        if self.windows.are_sorted()
            && let Some(whole_us) = self.feed.whole_us()
        {
            for _ in 0..self.feed.consumer.queue.len() {
                self.feed.consumer.queue.try_pop().map_or(Ok(()), |item| self.take(item))?;
            }
            self.whole_us = whole_us;
            self.write_whole()?;
        }
        self.publish(Cut::Roll)
    }

    /// Writes the windows of a sorted sink that are whole.
    fn write_whole(&mut self) -> Result<(), SinkError> {
        self.windows.take(self.whole_us)?.iter().try_for_each(|rows| self.output.append(rows))
    }

    fn publish(&mut self, cut: Cut) -> Result<(), SinkError> {
        self.epoch = self.epoch.next();
        self.output.prepare(self.epoch, cut)?;
        self.output.commit(self.epoch)
    }
}
