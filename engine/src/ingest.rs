//! An ingest task: reads one split, folds it, sends deltas. One per split, on one core, stepped by the core's loop.
//!
//! A task is never blocked: without input it is *idle*, with a full queue ahead or a held stream it is *not ready*. When it flushes is said in
//! [`crate::flush`].

use crate::error::Error;
use crate::flush::{FlushOptions, FlushTimer};
use crate::plant::Place;
use crate::producer::ProducerState;
use crate::source::{SourcePoll, SourceRows, SplitReader};
use crate::stream::{Ordered, SplitCounters, Stream};
use crate::writer::WriterQueue;
use raympp_coordinator::{Fact, Silence, SilenceWatch, Turn};
use raympp_operators::plan::BadRows;
use raympp_operators::sharing::SharedPlan;
use raympp_state::chain::{Chain, Rejected, Rows};
use raympp_state::delta::{Delta, Mark};
use raympp_types::{Epoch, EventTime, Offset, SplitId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// First bad rows of a split that are logged one by one.
const BAD_ROWS_LOGGED: u64 = 5;

/// Where a task's rows come from.
pub(crate) enum Input {
    /// A connector's split.
    Reader(Box<dyn SplitReader>),
    /// An embedded writer.
    Writer(Arc<WriterQueue>),
}

/// What a step did.
pub(crate) enum Step {
    /// It went forward; deltas are to be sent.
    Worked,
    /// Nothing to do before this time, or before something arrives.
    Idle(Option<u64>),
    /// The split has ended and everything is sent.
    Ended,
}

/// See the module.
pub(crate) struct IngestTask {
    pub(crate) stream: Arc<Stream>,
    pub(crate) split: SplitId,
    input: Input,
    chain: Chain,
    bad_rows: BadRows,
    dead_letters: Option<crate::dead_letter::DeadLetters>,
    counters: Arc<SplitCounters>,
    flush: FlushTimer,
    pub(crate) deltas: Vec<Arc<Delta>>,
    pub(crate) facts: Vec<Fact>,
    /// Deltas that a core had no room for: (core, delta).
    pub(crate) outbox: VecDeque<(usize, Arc<Delta>)>,
    ended: bool,
    /// Bad rows that have been logged.
    logged: u64,
    /// Rows of a batch that are too many for one flush.
    rest: Option<SourceRows>,
    silence: SilenceWatch,
    /// A floor that waits for the next proof of silence, and which silence it is for.
    asked_floor: Option<(u64, EventTime)>,
    /// A barrier that waits until the chain has passed what its predecessor's listeners have.
    barrier: Option<Ordered>,
    /// Late rows before this offset have been handed on, by a run whose later checkpoints were taken back.
    pub(crate) late_rows_from: Offset,
    /// It was not asked for rows in the last round, since it was not ready.
    passed_over: bool,
}

impl IngestTask {
    pub(crate) fn new(
        stream: Arc<Stream>,
        input: Input,
        chain: Chain,
        flush: FlushOptions,
        counters: Arc<SplitCounters>,
    ) -> Result<IngestTask, Error> {
        let bad_rows = stream.plan.bad_rows.clone();
        let dead_letters = match &bad_rows {
            BadRows::DeadLetter(path) => Some(crate::dead_letter::DeadLetters::open(path, &stream.name(), chain.split())?),
            _ => None,
        };
        Ok(IngestTask {
            split: chain.split(),
            silence: SilenceWatch::new(stream.idle_rule()),
            asked_floor: None,
            barrier: None,
            late_rows_from: Offset(0),
            passed_over: false,
            stream,
            input,
            chain,
            bad_rows,
            dead_letters,
            counters,
            flush: FlushTimer::new(flush),
            deltas: Vec::new(),
            facts: Vec::new(),
            outbox: VecDeque::new(),
            ended: false,
            logged: 0,
            rest: None,
        })
    }

    /// The split's watermark: tasks with the lowest go first.
    pub(crate) fn watermark(&self) -> EventTime {
        self.chain.watermark()
    }

    /// Rows that it has taken.
    pub(crate) fn offset(&self) -> Offset {
        self.chain.offset()
    }

    /// True if it could step now.
    pub(crate) fn is_ready(&self) -> bool {
        self.outbox.is_empty() && !self.stream.is_held()
    }

    /// True if it is not ready and has to wait for another round, which it remembers.
    pub(crate) fn pass_over(&mut self) -> bool {
        self.passed_over = !self.is_ready();
        self.passed_over
    }

    /// True if rows wait and could be taken, or may wait since it has become ready only now.
    pub(crate) fn has_input(&self) -> bool {
        let input = || self.passed_over || matches!(&self.input, Input::Writer(queue) if queue.has_input());
        !self.ended && self.is_ready() && input()
    }

    /// The core that has no room for its next delta.
    pub(crate) fn blocked_by(&self) -> Option<usize> {
        self.outbox.front().map(|&(core, _)| core)
    }

    /// True if rows that it was given have not been sent yet. What a reader has not read is nobody's.
    pub(crate) fn owes_rows(&self) -> bool {
        let waiting = matches!(&self.input, Input::Writer(queue) if queue.len() > 0);
        !self.outbox.is_empty() || !self.ended && (waiting || self.rest.is_some())
    }

    /// True if the split has ended and nothing is left to send.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.outbox.is_empty() && self.deltas.is_empty() && self.facts.is_empty()
    }

    /// Begins the chain of a split that joined a running stream.
    pub(crate) fn begin(&mut self, barrier: Mark, floor: EventTime) {
        let mut marks = vec![barrier];
        if floor > EventTime::MIN {
            marks.push(Mark::Floor(floor));
        }
        self.send(marks);
        self.report_progress();
    }

    /// Asks for a floor, if the split has been silent since then and still is when it is asked for rows the next time.
    pub(crate) fn ask_floor(&mut self, since_us: u64, floor: EventTime) {
        self.asked_floor = Some((since_us, floor));
    }

    /// Marks a barrier at the current offset and goes on under the plan.
    pub(crate) fn mark_barrier(&mut self, epoch: Epoch, splits: Arc<[SplitId]>, plan: &Arc<SharedPlan>) {
        if self.ended {
            return;
        }
        if self.chain.is_repeating() {
            self.barrier = Some(Ordered { epoch, splits, plan: Arc::clone(plan) });
            return;
        }
        self.send(vec![Mark::Barrier { epoch, splits, plan: plan.version }]);
        self.chain.adopt(plan);
        self.facts.push(Fact::Placed(self.stream.id, epoch, self.split, self.chain.watermark()));
    }

    /// Goes on for a reader that was lost: repeats what is due where it begins. `barrier`: asked for, and seen by nobody.
    pub(crate) fn begin_again(&mut self, barrier: Option<Ordered>) {
        self.barrier = barrier;
        // Whatever was known of its predecessor's silence.
        self.facts.push(Fact::SplitActive(self.stream.id, self.split));
        self.pass_stops();
        self.report_progress();
    }

    /// Ends a delta where some listener goes on, and repeats the marks that stand there.
    fn pass_stops(&mut self) {
        while let Some(stop) = self.chain.take_stop() {
            self.send(Vec::new());
            for mark in stop.marks {
                self.send(vec![mark.clone()]);
                match mark {
                    Mark::Barrier { epoch, plan, .. } => {
                        self.chain.adopt(&self.stream.plan_of(plan));
                        self.facts.push(Fact::Placed(self.stream.id, epoch, self.split, self.chain.watermark()));
                    }
                    Mark::Floor(_) => {}
                    Mark::End => self.end(),
                }
            }
        }
        if !self.chain.is_repeating()
            && let Some(Ordered { epoch, splits, plan }) = self.barrier.take()
        {
            self.mark_barrier(epoch, splits, &plan);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.counters.ended.store(true, Ordering::Relaxed);
        self.counters.idle.store(false, Ordering::Relaxed);
        if let Input::Writer(queue) = &self.input {
            self.stream.note_producer(
                self.split,
                ProducerState { session: queue.session(), finished_us: Some(self.stream.host.clock.now_us() as i64) },
            );
        }
        self.facts.push(Fact::SplitEnded(self.stream.id, self.split));
        tracing::debug!(stream = %self.stream.name(), split = %self.counters.name, rows = %self.chain.offset(), "split ended");
    }

    /// Takes rows if there are any, flushes if it is time or there are no more. `stopping`: readers read no more, writers are emptied.
    pub(crate) fn step(&mut self, now_us: u64, stopping: bool) -> Result<Step, Error> {
        let first = self.chain.offset();
        loop {
            let before = self.chain.offset();
            let step = self.step_once(now_us, stopping)?;
            let after = self.chain.offset();
            // A producer may hand over a few rows at a time; all that have come get one turn, for between two of them actors close windows.
            let goes_on = after > before && after.0 - first.0 < self.flush.options.step_rows as u64;
            if !goes_on || !matches!(self.input, Input::Writer(_)) || !self.is_ready() {
                return Ok(if after > first { Step::Worked } else { step });
            }
        }
    }

    fn step_once(&mut self, now_us: u64, stopping: bool) -> Result<Step, Error> {
        if self.ended {
            return Ok(Step::Ended);
        }
        self.stream.host.plant.visit(|| Place::Read { split: self.split, from: self.chain.offset() });
        let (mut lost, mut skipped) = (false, 0);
        let poll = match (&mut self.input, self.rest.take()) {
            (_, Some(rest)) => SourcePoll::Rows(rest),
            (Input::Reader(_), None) if stopping => return Ok(self.idle(Vec::new(), None)),
            (Input::Reader(reader), None) => {
                let rows_max = self.flush.options.step_rows.min(self.chain.room() as usize).max(1);
                reader.poll(now_us, rows_max).map_err(|error| self.source_error(error))?
            }
            (Input::Writer(queue), None) => {
                let polled = queue.poll(self.chain.offset(), self.counters.lowest_applied(), self.chain.room());
                (lost, skipped) = (polled.lost, polled.skipped);
                polled.poll
            }
        };
        match poll {
            SourcePoll::Rows(rows) => {
                let turn = self.silence.rows();
                self.report_turn(turn, now_us);
                if skipped > 0 {
                    self.skip(&rows)
                } else {
                    self.take(rows, now_us)?
                }
                self.pass_stops();
                self.stream.host.plant.visit(|| Place::Folded { split: self.split, to: self.chain.offset() });
                Ok(Step::Worked)
            }
            SourcePoll::Pending { retry_at_us } => {
                self.counters.lost.store(lost, Ordering::Relaxed);
                let turn = self.silence.no_rows(now_us, lost);
                self.report_turn(turn, now_us);
                let repeating = self.chain.is_repeating();
                let is_wanted = |since_us| !repeating && self.silence.since_us() == Some(since_us);
                let floor = self.asked_floor.take().filter(|&(since_us, _)| is_wanted(since_us));
                let marks: Vec<Mark> = floor.map(|(_, floor)| Mark::Floor(floor)).into_iter().collect();
                let due_us = retry_at_us.into_iter().chain(self.silence.due_us()).min();
                match self.flush.lingers_until_us(now_us).filter(|_| marks.is_empty() && !stopping) {
                    Some(until_us) => Ok(Step::Idle(due_us.into_iter().chain([until_us]).min())),
                    None => Ok(self.idle(marks, due_us)),
                }
            }
            SourcePoll::End if self.chain.is_repeating() => Err(Error::Refused(format!(
                "stream {}: {} has become shorter while it was read: it ends after {} rows",
                self.stream.name(),
                self.counters.name,
                self.chain.offset()
            ))),
            SourcePoll::End => {
                self.send(vec![Mark::End]);
                self.end();
                Ok(Step::Worked)
            }
        }
    }

    /// Flushes what there is, with marks, when the input has nothing more.
    fn idle(&mut self, marks: Vec<Mark>, due_us: Option<u64>) -> Step {
        let worked = self.chain.pending_rows() > 0 || !marks.is_empty();
        self.send(marks);
        if worked {
            self.report_progress();
        }
        if worked { Step::Worked } else { Step::Idle(due_us) }
    }

    fn report_turn(&mut self, turn: Option<Turn>, at_us: u64) {
        let Some(turn) = turn else { return };
        self.counters.idle.store(self.silence.is_idle(), Ordering::Relaxed);
        self.facts.push(match turn {
            Turn::Idle { since_us } => {
                let silence = Silence { since_us, at_us, watermark: self.chain.watermark() };
                Fact::SplitIdle(self.stream.id, self.split, silence)
            }
            Turn::Active => Fact::SplitActive(self.stream.id, self.split),
        });
    }

    fn source_error(&self, error: crate::source::SourceError) -> Error {
        Error::Source { stream: self.stream.name(), error: Arc::new(error) }
    }

    fn take(&mut self, mut rows: SourceRows, now_us: u64) -> Result<(), Error> {
        let room = self.flush.options.rows_max.min(self.chain.room() + self.chain.pending_rows())
            - self.chain.pending_rows().min(self.flush.options.rows_max);
        // A writer's batch may be of any size; a step is not, or closing would not get its turn.
        let room = room.min(self.flush.options.step_rows as u64);
        // Rows on both sides of that offset are not one run.
        let known = self.late_rows_from.0.saturating_sub(rows.from.0);
        let room = if known > 0 { room.min(known) } else { room };
        if rows.to.0 - rows.from.0 > room.max(1) {
            let (head, rest) = split_rows(rows, room.max(1));
            self.rest = Some(rest);
            rows = head;
        }
        self.counters.rows.fetch_add(rows.to.0 - rows.from.0, Ordering::Relaxed);
        for bad in &rows.bad {
            self.report_bad(bad.offset, &bad.reason, bad.raw.as_deref(), false)?;
        }
        let run = Rows {
            from: rows.from,
            to: rows.to,
            batch: &rows.batch,
            row_offsets: rows.row_offsets.as_deref(),
            undecodable: rows.bad.len() as u64,
        };
        self.chain.keep_late_rows(known == 0 && self.stream.keeps_late_rows.load(Ordering::Acquire));
        let rejected = self.chain.push(&run);
        for rejected in &rejected {
            self.report_rejected(rejected, &rows)?;
        }
        self.report_progress();
        self.flush.note_rows(now_us);
        if self.flush.is_due(self.chain.pending_rows(), now_us) || self.chain.room() < self.flush.options.step_rows as u64 {
            self.send(Vec::new());
        }
        Ok(())
    }

    /// Passes rows that their producer does not have any more.
    fn skip(&mut self, rows: &SourceRows) {
        let skipped = rows.to.0 - rows.from.0;
        self.counters.rows.fetch_add(skipped, Ordering::Relaxed);
        self.counters.skipped.fetch_add(skipped, Ordering::Relaxed);
        self.chain.push(&Rows {
            from: rows.from,
            to: rows.to,
            batch: &rows.batch,
            row_offsets: rows.row_offsets.as_deref(),
            undecodable: skipped,
        });
        self.report_progress();
        self.send(Vec::new());
    }

    fn report_rejected(&mut self, rejected: &Rejected, rows: &SourceRows) -> Result<(), Error> {
        let raw = (self.dead_letters.is_some()).then(|| crate::dead_letter::row_as_json(&rows.batch, rejected.row));
        self.report_bad(rejected.offset, &rejected.reason, raw.as_deref(), rejected.store.is_some())
    }

    /// `of_metric`: some metrics only can't count it. What is bad for all is the business of the stream that reads the split first.
    fn report_bad(&mut self, offset: Offset, reason: &str, raw: Option<&str>, of_metric: bool) -> Result<(), Error> {
        if self.stream.is_again() && !of_metric {
            return Ok(());
        }
        self.logged += 1;
        // One that fails the job is told as the failure.
        if self.logged <= BAD_ROWS_LOGGED && self.bad_rows != BadRows::Fail {
            tracing::warn!(stream = %self.stream.name(), split = %self.counters.name, %offset, reason, "bad row");
        }
        match &mut self.dead_letters {
            Some(letters) => letters.write(offset, reason, raw),
            None if self.bad_rows == BadRows::Fail => Err(Error::BadRow {
                stream: self.stream.name(),
                split: self.counters.name.clone(),
                offset: offset.0,
                reason: reason.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn report_progress(&self) {
        let relaxed = Ordering::Relaxed;
        self.counters.watermark_us.store(self.chain.watermark().0, relaxed);
        let counts = self.chain.counts();
        self.counters.late.store(counts.late, relaxed);
        self.counters.bad.store(counts.bad, relaxed);
        self.counters.bad_for_metrics.store(counts.bad_for_metrics, relaxed);
        match &self.input {
            Input::Reader(reader) => {
                if let Some((done, total)) = reader.progress() {
                    self.counters.bytes_done.store(done, relaxed);
                    self.counters.bytes_total.store(total, relaxed);
                }
            }
            Input::Writer(queue) => self.counters.queued.store(queue.len() as u64, relaxed),
        }
    }

    /// Flushes with marks; the delta waits in `deltas`.
    fn send(&mut self, marks: Vec<Mark>) {
        if let Some(delta) = self.chain.flush(marks) {
            self.counters.flushes.fetch_add(1, Ordering::Relaxed);
            let entries = delta.entries() as u64;
            self.counters.entries.fetch_add(entries, Ordering::Relaxed);
            self.flush.note_flush(entries);
            self.deltas.push(Arc::new(delta));
        }
    }
}

/// Cuts rows after the first `count` offsets.
fn split_rows(rows: SourceRows, count: u64) -> (SourceRows, SourceRows) {
    let middle = Offset(rows.from.0 + count);
    let head_rows = match &rows.row_offsets {
        None => count as usize,
        Some(offsets) => offsets.partition_point(|&offset| u64::from(offset) < count),
    };
    let bad_split = rows.bad.partition_point(|bad| bad.offset < middle);
    let mut bad = rows.bad;
    let tail_bad = bad.split_off(bad_split);
    let offsets = rows.row_offsets.map(|mut offsets| {
        let tail = offsets.split_off(head_rows);
        (offsets, tail.into_iter().map(|offset| offset - count as u32).collect())
    });
    let (head_offsets, tail_offsets) = offsets.unzip();
    let tail_rows = rows.batch.num_rows() - head_rows;
    (
        SourceRows { from: rows.from, to: middle, batch: rows.batch.slice(0, head_rows), row_offsets: head_offsets, bad },
        SourceRows { from: middle, to: rows.to, batch: rows.batch.slice(head_rows, tail_rows), row_offsets: tail_offsets, bad: tail_bad },
    )
}
