//! Embedded writers: a thread of the caller pushes rows. A writer is one session of a producer ([`ProducerId`]), and a producer is one split.
//!
//! Rows go into a bounded queue that the split's ingest task empties. Typed rows are gathered in column builders and become a batch only
//! when the task comes for them, so a busy engine gets big batches and an idle one gets each row at once. Rows are in order of the
//! calls; a row that was accepted is never lost by a clean shutdown.

mod columns;
mod hand_over;
mod row;

use crate::core_loop::CoreHandle;
use crate::error::{Error, Result};
use crate::producer::{Level, ProducerId};
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

/// Rows that may wait in one writer's queue: as many as a core folds in one flush of 5 ms, so that a producer which waits for room is back before the input runs
/// dry, which would end the flush early. With a quarter of them there were two to three times as many deltas, each of which the persister merges once more.
const QUEUE_ROWS: usize = 1 << 19;

/// What was pushed at once.
#[derive(Clone)]
enum Piece {
    Rows(RecordBatch),
    /// So many rows that the producer has not got any more.
    Skipped(u64),
}

impl Piece {
    fn rows(&self) -> u64 {
        match self {
            Piece::Rows(batch) => batch.num_rows() as u64,
            Piece::Skipped(rows) => *rows,
        }
    }

    /// What comes after the first so many rows; nothing if there are no more.
    fn after(self, rows: u64) -> Option<Piece> {
        let left = self.rows().checked_sub(rows).filter(|left| *left > 0)?;
        Some(match self {
            Piece::Rows(batch) => Piece::Rows(batch.slice(rows as usize, left as usize)),
            Piece::Skipped(_) => Piece::Skipped(left),
        })
    }
}

/// Rows that wait.
struct Waiting {
    pieces: VecDeque<Piece>,
    columns: Columns,
    /// Pieces that have been taken, each with the offset of its first row, and that some replica has not applied: should the split get a new
    /// reader, they are taken again.
    taken: VecDeque<(u64, Piece)>,
    /// Whose rows are accepted.
    session: u64,
}

impl Waiting {
    /// Every replica has applied the rows before this offset.
    fn forget(&mut self, below: u64) {
        while self.taken.pop_front_if(|(from, piece)| *from + piece.rows() <= below).is_some() {}
    }

    /// Puts rows from this offset on back, to be taken again; returns how many.
    fn put_back(&mut self, at: u64) -> usize {
        let mut rows = 0;
        while let Some((from, piece)) = self.taken.pop_back() {
            if let Some(piece) = piece.after(at.saturating_sub(from)) {
                rows += piece.rows() as usize;
                self.pieces.push_front(piece);
            }
        }
        rows
    }

    /// Makes rows that were pushed one by one a piece.
    fn gather(&mut self, schema: &SchemaRef) {
        if !self.columns.is_empty() {
            let rows = self.columns.take(schema);
            self.pieces.push_back(Piece::Rows(rows));
        }
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
    /// For a producer of so many rows, whose newest session is this; without one it waits for the next.
    pub(crate) fn new(schema: &Schema, at: Offset, session: u64, connected: bool) -> WriterQueue {
        let arrow = arrow_schema(schema);
        let columns = Columns::new(schema, &arrow);
        let waiting = Waiting { pieces: VecDeque::new(), columns, taken: VecDeque::new(), session };
        WriterQueue { schema: arrow, waiting: HandOver::new(waiting, QUEUE_ROWS, at.0, !connected), closed: OnceLock::new() }
    }

    /// What is next, for the task, which is at this offset and takes at most `room` rows that were skipped. Every replica has applied the rows before
    /// `applied`.
    pub(crate) fn poll(&self, at: Offset, applied: u64, room: u64) -> WriterPoll {
        let take = |waiting: &mut Waiting| {
            waiting.forget(applied);
            if waiting.pieces.is_empty() {
                waiting.gather(&self.schema);
            }
            let mut piece = waiting.pieces.pop_front()?;
            if let Piece::Skipped(rows) = &mut piece
                && *rows > room.max(1)
            {
                waiting.pieces.push_front(Piece::Skipped(*rows - room.max(1)));
                *rows = room.max(1);
            }
            waiting.taken.push_back((at.0, piece.clone()));
            Some((piece.rows() as usize, piece))
        };
        match self.waiting.take(take) {
            Taken::Rows(piece) => {
                let to = Offset(at.0 + piece.rows());
                let (batch, skipped) = match piece {
                    Piece::Rows(batch) => (batch, 0),
                    Piece::Skipped(rows) => (RecordBatch::new_empty(Arc::clone(&self.schema)), rows),
                };
                let row_offsets = (skipped > 0).then(Vec::new);
                WriterPoll {
                    poll: SourcePoll::Rows(SourceRows { from: at, to, batch, row_offsets, bad: Vec::new() }),
                    skipped,
                    lost: false,
                }
            }
            Taken::Ended => WriterPoll { poll: SourcePoll::End, skipped: 0, lost: false },
            Taken::Nothing => WriterPoll::nothing(false),
            Taken::Lost => WriterPoll::nothing(true),
        }
    }

    /// A session takes over from an older one. Returns the number of rows that have been accepted of the producer.
    pub(crate) fn claim(&self, producer: ProducerId, session: u64) -> Result<u64> {
        if let Some(why) = self.closed.get() {
            return Err(why.clone());
        }
        self.waiting.claim(|waiting, ended| {
            if ended {
                return Err(Error::Refused(format!("producer {producer} has finished; open a new writer")));
            }
            if session <= waiting.session {
                return Err(Error::Fenced { producer: producer.to_string(), session, newest: waiting.session });
            }
            waiting.session = session;
            Ok(())
        })
    }

    /// The newest session.
    pub(crate) fn session(&self) -> u64 {
        self.waiting.look(|waiting| waiting.session)
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

    /// Runs `push` for the rows of a session when there is room for `rows` more; waits for it if `wait`.
    fn push<R>(
        &self,
        (producer, session): (ProducerId, u64),
        rows: usize,
        wait: bool,
        push: impl FnOnce(&mut Waiting) -> Result<R>,
    ) -> Result<R> {
        let fenced = |newest| Error::Fenced { producer: producer.to_string(), session, newest };
        let checked = |waiting: &mut Waiting| if waiting.session == session { push(waiting) } else { Err(fenced(waiting.session)) };
        self.waiting.push(rows, wait, |waiting| waiting.session == session, checked).map_err(|reason| match reason {
            NoEntry::Full => Error::Full,
            NoEntry::Closed => self.why_closed(),
            NoEntry::Refused(error) => error,
        })
    }
}

/// What a writer's queue has to offer.
pub(crate) struct WriterPoll {
    pub(crate) poll: SourcePoll,
    /// The rows are none that the producer has: it has skipped so many.
    pub(crate) skipped: u64,
    /// The writer is lost.
    pub(crate) lost: bool,
}

impl WriterPoll {
    fn nothing(lost: bool) -> WriterPoll {
        WriterPoll { poll: SourcePoll::Pending { retry_at_us: None }, skipped: 0, lost }
    }
}

/// Pushes rows into a stream: one session of a producer, which is one split.
///
/// [`Writer::finish`] ends the producer. Dropping the writer without it is a lost connection: what was pushed counts, and the split holds
/// windows open for the stream's `disconnect_timeout` (default 30 s). After that it counts as idle: it holds nothing open any longer,
/// but the stream is never complete. [`crate::Engine::resume_writer`] goes on, also in a later run of an engine with a state directory, at
/// [`Writer::resumes_at`]; the older session is then fenced: it pushes nothing any more.
pub struct Writer {
    stream: Arc<Stream>,
    split: SplitId,
    producer: ProducerId,
    session: u64,
    resumes_at: Offset,
    queue: Arc<WriterQueue>,
    core: Arc<CoreHandle>,
}

impl Writer {
    pub(crate) fn new(
        stream: Arc<Stream>,
        (split, producer, session): (SplitId, ProducerId, u64),
        resumes_at: Offset,
        queue: Arc<WriterQueue>,
        core: Arc<CoreHandle>,
    ) -> Writer {
        Writer { stream, split, producer, session, resumes_at, queue, core }
    }

    /// Number of the split.
    pub fn split(&self) -> SplitId {
        self.split
    }

    /// The producer, for [`crate::Engine::resume_writer`].
    pub fn producer(&self) -> ProducerId {
        self.producer
    }

    /// The number of this session; the first is 1.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// The first row that this session has to push: the number of rows that the engine has of the producer. What comes before was pushed by earlier
    /// sessions.
    pub fn resumes_at(&self) -> Offset {
        self.resumes_at
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
        self.queue.push((self.producer, self.session), 1, wait, |waiting| {
            waiting.columns.push(row).map_err(|message| Error::Row { stream: self.stream.name(), message })
        })?;
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
        self.queue.push((self.producer, self.session), batch.num_rows(), wait, |waiting| {
            waiting.gather(&self.queue.schema);
            waiting.pieces.push_back(Piece::Rows(batch));
            Ok(())
        })?;
        self.core.wake();
        Ok(())
    }

    /// Goes on with a later row, since the producer has those before it no more: they count as bad, and nothing else ever comes in their place. Returns
    /// how many they are.
    ///
    /// # Errors
    /// [`Error::Refused`] if the engine has that row already; else as [`Writer::push`].
    pub fn skip_to(&self, row: Offset) -> Result<u64> {
        let pushed = self.queue.waiting.pushed();
        let Some(rows) = row.0.checked_sub(pushed) else {
            return Err(Error::Refused(format!(
                "stream {}: rows before {pushed} have been pushed, so {row} can't be the next",
                self.stream.name()
            )));
        };
        if rows > 0 {
            tracing::warn!(stream = self.stream.name(), producer = %self.producer, from = pushed, to = %row, "rows are skipped: their producer has lost them");
            self.queue.push((self.producer, self.session), rows as usize, true, |waiting| {
                waiting.gather(&self.queue.schema);
                waiting.pieces.push_back(Piece::Skipped(rows));
                Ok(())
            })?;
            self.core.wake();
        }
        Ok(rows)
    }

    /// Waits until every row pushed so far shows in look-ups: [`Writer::wait_for`] of [`Level::Applied`].
    ///
    /// # Errors
    /// What ended the writer before that: [`Error::ShutDown`], or what made the job fail.
    pub fn flush(&self) -> Result<()> {
        self.wait_for(Level::Applied)
    }

    /// Waits until every row pushed so far is acknowledged at a level.
    ///
    /// # Errors
    /// [`Error::Refused`] if this engine never acknowledges at that level; what ended the writer before that: [`Error::ShutDown`], or what
    /// made the job fail.
    pub fn wait_for(&self, level: Level) -> Result<()> {
        self.refuse_level(level)?;
        let pushed = self.queue.waiting.pushed();
        self.core.wake();
        let is_over = || self.queue.waiting.is_closed();
        if self.stream.wait_acknowledged(self.split, level, pushed, is_over) { Ok(()) } else { Err(self.queue.why_closed()) }
    }

    /// Rows of the producer, from its first, that are acknowledged at a level. With [`Level::Replicated`] it stands still while a partition has one
    /// replica left, which [`crate::stats::PartitionStats`] tells.
    ///
    /// # Errors
    /// [`Error::Refused`] if this engine never acknowledges at that level.
    pub fn acknowledged(&self, level: Level) -> Result<Offset> {
        self.refuse_level(level)?;
        Ok(Offset(self.stream.acknowledged(self.split, level)))
    }

    fn refuse_level(&self, level: Level) -> Result<()> {
        let needed = match level {
            Level::Replicated if self.stream.host.replicas < 2 => "a second replica of each partition: replicas(2)",
            Level::Checkpointed if self.stream.host.persister.is_none() => "a state directory",
            _ => return Ok(()),
        };
        Err(Error::Refused(format!("stream {}: rows are {level} only in an engine with {needed}", self.stream.name())))
    }

    /// Ends the producer: nothing more comes from it, so it holds no window open any longer. When all splits of the stream have ended, the
    /// stream is complete and everything closes. If a newer session has taken over, the end is that one's to say, and this says nothing.
    pub fn finish(self) {
        self.queue.waiting.end(|waiting| waiting.session == self.session);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After `finish` this says nothing new.
        self.queue.waiting.lose(|waiting| waiting.session == self.session);
        self.core.wake();
    }
}
