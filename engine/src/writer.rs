//! Embedded writers: a thread of the caller pushes rows; each writer is one split.
//!
//! Rows go into a bounded queue that the split's ingest task empties. Typed rows are gathered in column builders and become a batch only
//! when the task comes for them, so a busy engine gets big batches and an idle one gets each row at once. Rows are in order of the
//! calls; a row that was accepted is never lost by a clean shutdown.

mod columns;
mod hand_over;
mod row;

use crate::core_loop::CoreHandle;
use crate::error::{Error, Result};
use crate::source::{SourcePoll, SourceRows};
use crate::stream::Stream;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use columns::Columns;
use hand_over::{HandOver, NoEntry, Taken};
use raympp_operators::expr::arrow_types::arrow_schema;
use raympp_types::{Offset, Schema, SplitId};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// Rows that may wait in one writer's queue.
const QUEUE_ROWS: usize = 1 << 17;

/// Rows that wait.
struct Waiting {
    batches: VecDeque<RecordBatch>,
    columns: Columns,
    /// Batches that have been taken, each with the offset of its first row, and that some replica has not applied: should the split get a new
    /// reader, they are taken again.
    taken: VecDeque<(u64, RecordBatch)>,
}

impl Waiting {
    /// Every replica has applied the rows before this offset.
    fn forget(&mut self, below: u64) {
        while self.taken.pop_front_if(|(from, batch)| *from + batch.num_rows() as u64 <= below).is_some() {}
    }

    /// Puts rows from this offset on back, to be taken again; returns how many.
    fn put_back(&mut self, at: u64) -> usize {
        let mut rows = 0;
        while let Some((from, batch)) = self.taken.pop_back() {
            let skipped = at.saturating_sub(from).min(batch.num_rows() as u64) as usize;
            if skipped < batch.num_rows() {
                rows += batch.num_rows() - skipped;
                self.batches.push_front(batch.slice(skipped, batch.num_rows() - skipped));
            }
        }
        rows
    }
}

/// Between a writer and its task.
pub(crate) struct WriterQueue {
    schema: SchemaRef,
    waiting: HandOver<Waiting>,
    /// Why no more rows are accepted.
    closed: OnceLock<Error>,
}

impl WriterQueue {
    fn new(schema: &Schema) -> WriterQueue {
        let arrow = arrow_schema(schema);
        let columns = Columns::new(schema, &arrow);
        let waiting = HandOver::new(Waiting { batches: VecDeque::new(), columns, taken: VecDeque::new() }, QUEUE_ROWS);
        WriterQueue { schema: arrow, waiting, closed: OnceLock::new() }
    }

    /// What is next, for the task, which is at this offset. Every replica has applied the rows before `applied`.
    pub(crate) fn poll(&self, at: Offset, applied: u64) -> WriterPoll {
        let take = |waiting: &mut Waiting| {
            waiting.forget(applied);
            if waiting.batches.is_empty() && !waiting.columns.is_empty() {
                let batch = waiting.columns.take(&self.schema);
                waiting.batches.push_back(batch);
            }
            let batch = waiting.batches.pop_front()?;
            waiting.taken.push_back((at.0, batch.clone()));
            Some((batch.num_rows(), batch))
        };
        match self.waiting.take(take) {
            Taken::Rows(batch) => {
                let to = Offset(at.0 + batch.num_rows() as u64);
                (SourcePoll::Rows(SourceRows { from: at, to, batch, row_offsets: None, bad: Vec::new() }), false)
            }
            Taken::Ended => (SourcePoll::End, false),
            Taken::Nothing => (SourcePoll::Pending { retry_at_us: None }, false),
            Taken::Lost => (SourcePoll::Pending { retry_at_us: None }, true),
        }
    }

    /// The next reader begins at this offset.
    pub(crate) fn go_back(&self, at: Offset) {
        self.waiting.put_back(|waiting| waiting.put_back(at.0));
    }

    pub(crate) fn has_input(&self) -> bool {
        self.waiting.has_input()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.rows()
    }

    /// No more rows are accepted; the first reason stays.
    pub(crate) fn close(&self, why: Error) {
        self.closed.get_or_init(|| why);
        self.waiting.close();
    }

    /// Why no more rows are accepted.
    fn why_closed(&self) -> Error {
        self.closed.get().cloned().unwrap_or(Error::ShutDown)
    }

    /// Runs `push` when there is room for `rows` more; waits for it if `wait`.
    fn push<R>(&self, rows: usize, wait: bool, push: impl FnOnce(&mut Waiting) -> Result<R>) -> Result<R> {
        self.waiting.push(rows, wait, push).map_err(|reason| match reason {
            NoEntry::Full => Error::Full,
            NoEntry::Closed => self.why_closed(),
            NoEntry::Refused(error) => error,
        })
    }
}

/// What a writer's queue has to offer, and whether the writer is lost.
type WriterPoll = (SourcePoll, bool);

/// Pushes rows into a stream; one split.
///
/// [`Writer::finish`] ends the split. Dropping the writer without it is a lost connection: what was pushed counts, and the split holds
/// windows open for the stream's `disconnect_timeout` (default 30 s). After that it counts as idle: it holds nothing open any longer,
/// but the stream is never complete.
pub struct Writer {
    stream: Arc<Stream>,
    split: SplitId,
    queue: Arc<WriterQueue>,
    core: Arc<CoreHandle>,
}

impl Writer {
    pub(crate) fn queue_for(stream: &Stream) -> Arc<WriterQueue> {
        Arc::new(WriterQueue::new(&stream.plan.schema))
    }

    pub(crate) fn new(stream: Arc<Stream>, split: SplitId, queue: Arc<WriterQueue>, core: Arc<CoreHandle>) -> Writer {
        Writer { stream, split, queue, core }
    }

    /// Number of the split.
    pub fn split(&self) -> SplitId {
        self.split
    }

    /// Pushes one row: a struct or map whose fields are named like the stream's columns. A column without a field is NULL; a field without
    /// a column is ignored. Waits while the queue is full.
    ///
    /// Numbers go to any numeric column that holds them exactly; strings also to DECIMAL, DATE, TIMESTAMP and INTERVAL columns, in the
    /// spelling of files; integers to TIMESTAMP columns as microseconds since 1970.
    ///
    /// # Errors
    /// [`Error::Row`] if the row does not fit, [`Error::ShutDown`] after a shutdown, and what made the job fail after a failure.
    pub fn push<T: Serialize + ?Sized>(&self, row: &T) -> Result<()> {
        self.push_row(row, true)
    }

    /// Like [`Writer::push`], but fails with [`Error::Full`] where that would wait.
    ///
    /// # Errors
    /// As [`Writer::push`], and [`Error::Full`].
    pub fn try_push<T: Serialize + ?Sized>(&self, row: &T) -> Result<()> {
        self.push_row(row, false)
    }

    fn push_row<T: Serialize + ?Sized>(&self, row: &T, wait: bool) -> Result<()> {
        self.queue
            .push(1, wait, |waiting| waiting.columns.push(row).map_err(|message| Error::Row { stream: self.stream.name(), message }))?;
        self.core.wake();
        Ok(())
    }

    /// Pushes a batch. Columns are found by name; a missing one is NULL; types must be those of the stream or narrower integers, VARCHAR
    /// also as dictionary of 32-bit codes, timestamps in any unit (nanoseconds are rounded down) and time zone. Waits while the queue is full.
    ///
    /// # Errors
    /// [`Error::Row`] if a column has another type, or a timestamp is out of the range of microseconds: then no row of the batch is taken;
    /// else as [`Writer::push`].
    pub fn push_batch(&self, batch: &RecordBatch) -> Result<()> {
        self.enqueue(batch, true)
    }

    /// Like [`Writer::push_batch`], but fails with [`Error::Full`] where that would wait.
    ///
    /// # Errors
    /// As [`Writer::push_batch`], and [`Error::Full`].
    pub fn try_push_batch(&self, batch: &RecordBatch) -> Result<()> {
        self.enqueue(batch, false)
    }

    fn enqueue(&self, batch: &RecordBatch, wait: bool) -> Result<()> {
        let batch =
            columns::conform(batch, &self.stream.plan.schema).map_err(|message| Error::Row { stream: self.stream.name(), message })?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.queue.push(batch.num_rows(), wait, |waiting| {
            if !waiting.columns.is_empty() {
                let rows = waiting.columns.take(&self.queue.schema);
                waiting.batches.push_back(rows);
            }
            waiting.batches.push_back(batch);
            Ok(())
        })?;
        self.core.wake();
        Ok(())
    }

    /// Waits until every row pushed so far shows in look-ups.
    ///
    /// # Errors
    /// What ended the writer before that: [`Error::ShutDown`], or what made the job fail.
    pub fn flush(&self) -> Result<()> {
        let pushed = self.queue.waiting.pushed();
        self.core.wake();
        if self.stream.wait_applied(self.split, pushed, || self.queue.waiting.is_closed()) { Ok(()) } else { Err(self.queue.why_closed()) }
    }

    /// Ends the split: nothing more comes from it, so it holds no window open any longer. When all splits of the stream have ended, the
    /// stream is complete and everything closes.
    pub fn finish(self) {
        self.queue.waiting.end();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `finish` this says nothing new.
        self.queue.waiting.lose();
        self.core.wake();
    }
}
