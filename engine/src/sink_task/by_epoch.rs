//! A sink whose commits the coordinator decides: rows wait in memory until an epoch takes them in.
//!
//! *Prepare n* takes in the windows that end at or before F(n), and the changes and late rows of epoch n and before; it is carried out when all
//! partitions have said that everything of these has been put into the queue ([`Item::Sealed`]). So it takes in whole windows only, and the
//! same rows whenever the epoch is prepared. F(n) = [`EventTime::MAX`] says that all splits have ended: then it waits for the partitions'
//! last word, takes in everything, and the commit of that epoch ends the sink.
//!
//! An epoch that can't be prepared, since a disk is full, is told as failed; its rows stay here and come with the next one. A commit that
//! fails is a decision all the same: it is tried again until it succeeds. What is never committed stays as it was prepared, for the next run to
//! cut off and make again.
//!
//! Memory: with [`HELD_ROWS_MAX`] rows waiting and no epoch asked for, no more is taken from the queue, which in the end holds the stream
//! back. Cost per row: none that is not the sink's, but for sorting.

use super::held::Windows;
use super::{Request, SinkEvent};
use crate::clock::machine_now_us;
use crate::consumer::{Intake, Item, News};
use crate::queue::{Queue, Woken};
use crate::sink::{Cut, Sink, SinkError};
use arrow::array::RecordBatch;
use crossbeam::channel::Receiver;
use raympp_state::checkpoint::shown::{KeyWindow, Shown, turn};
use raympp_state::crash_point::{CrashPoint, visit};
use raympp_types::{Epoch, EventTime, PartitionId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Rows that may wait for an epoch before the stream is held back.
const HELD_ROWS_MAX: usize = 1 << 20;

/// A commit that failed is tried again after this time.
const RETRY_US: u64 = 1_000_000;

/// For as long as nothing has to be tried again, it waits until it is woken.
const LONG_US: u64 = 3_600_000_000;

/// See the module. Time is handed in; the thread's loop is [`EpochWriter::run`].
pub(super) struct EpochWriter<'a> {
    output: Box<dyn Sink>,
    tell: &'a dyn Fn(SinkEvent),
    intake: Intake,
    windows: Windows,
    /// Changes and late rows, each with its epoch.
    rows: Vec<(Epoch, RecordBatch)>,
    /// What changes turn, by their epoch.
    turned: Vec<(Epoch, Vec<KeyWindow>)>,
    /// Taken in by an epoch that failed.
    left_over: Vec<RecordBatch>,
    /// And what it turns.
    left_over_turned: Shown,
    /// Rows that wait, of all kinds.
    held: usize,
    partitions: usize,
    /// The last epoch that each partition has put everything of, and the frontier there.
    sealed: BTreeMap<PartitionId, (Epoch, EventTime)>,
    /// Epochs to be prepared, with their frontiers.
    asked: BTreeMap<Epoch, EventTime>,
    /// What belongs to this epoch and frontier is in the sink.
    taken: Option<(Epoch, EventTime)>,
    roll_us: u64,
    rolled_us: Option<u64>,
    /// The first epoch that has taken in everything.
    last: Option<Epoch>,
    /// A commit that failed, and when it is tried again.
    again: Option<(Epoch, u64)>,
}

impl<'a> EpochWriter<'a> {
    /// A writer for a stream of so many partitions that skips what belongs to the epoch `taken`.
    pub(super) fn new(
        output: Box<dyn Sink>,
        windows: Windows,
        partitions: usize,
        taken: Option<(Epoch, EventTime)>,
        roll_us: u64,
        tell: &'a dyn Fn(SinkEvent),
    ) -> EpochWriter<'a> {
        EpochWriter {
            output,
            tell,
            intake: Intake::default(),
            windows,
            rows: Vec::new(),
            turned: Vec::new(),
            left_over: Vec::new(),
            left_over_turned: Shown::new(),
            held: 0,
            partitions,
            sealed: BTreeMap::new(),
            asked: BTreeMap::new(),
            taken,
            roll_us,
            rolled_us: None,
            last: None,
            again: None,
        }
    }

    /// Works until the queue is finished, the sink is dropped or fails.
    pub(super) fn run(mut self, queue: &Queue<Item>, requests: &Receiver<Request>) -> Result<(), SinkError> {
        loop {
            while let Ok(request) = requests.try_recv() {
                if request == Request::Drop {
                    return self.drop_sink();
                }
                self.obey(request, machine_now_us())?;
            }
            self.step(machine_now_us())?;
            let wait_us = self.again.map_or(LONG_US, |(_, at_us)| at_us.saturating_sub(machine_now_us()));
            match queue.wait(self.takes(), Duration::from_micros(wait_us)) {
                Woken::Item(item) => self.take(item)?,
                Woken::Poked | Woken::TimedOut => {}
                Woken::Finished => return Ok(()),
            }
        }
    }

    /// True if it takes items.
    pub(super) fn takes(&self) -> bool {
        self.held < HELD_ROWS_MAX || !self.asked.is_empty()
    }

    /// Takes an item from the queue.
    pub(super) fn take(&mut self, item: Item) -> Result<(), SinkError> {
        match self.intake.take(item) {
            News::Closed(pieces) => {
                let skip_us = self.taken.map_or(i64::MIN, |(_, frontier)| frontier.0);
                for piece in pieces {
                    self.held += piece.ends_us.iter().filter(|&&end| end > skip_us).count();
                    self.windows.add(piece, skip_us)?;
                }
            }
            News::Rows(epoch, batches, turned) if self.taken.is_none_or(|(taken, _)| epoch > taken) => {
                for batch in batches {
                    self.held += batch.num_rows();
                    self.rows.push((epoch, batch));
                }
                if !turned.is_empty() {
                    self.turned.push((epoch, turned));
                }
            }
            News::Sealed(partition, epoch, frontier) => {
                let sealed = self.sealed.entry(partition).or_insert((epoch, frontier));
                if epoch > sealed.0 {
                    *sealed = (epoch, frontier);
                }
            }
            News::Rows(..) | News::Nothing => {}
        }
        Ok(())
    }

    /// Does what the coordinator wants, or notes it for [`EpochWriter::step`].
    pub(super) fn obey(&mut self, request: Request, now_us: u64) -> Result<(), SinkError> {
        match request {
            Request::Prepare(epoch, frontier) => drop(self.asked.insert(epoch, frontier)),
            // What has been prepared of it is part of the next one.
            Request::GiveUp(epoch) => drop(self.asked.remove(&epoch)),
            Request::Commit(epoch) => return self.commit(epoch, now_us),
            Request::Drop => {}
        }
        Ok(())
    }

    /// Prepares the epochs that are whole, in order, and tries again what has failed.
    pub(super) fn step(&mut self, now_us: u64) -> Result<(), SinkError> {
        if let Some((epoch, at_us)) = self.again
            && now_us >= at_us
        {
            self.commit(epoch, now_us)?;
        }
        while let Some((&epoch, &frontier)) = self.asked.first_key_value() {
            if !self.is_whole(epoch, frontier) {
                break;
            }
            self.asked.remove(&epoch);
            self.prepare(epoch, frontier, now_us)?;
        }
        Ok(())
    }

    /// True if all that the epoch takes in has come. Partitions of a complete stream seal no further epochs.
    fn is_whole(&self, epoch: Epoch, frontier: EventTime) -> bool {
        let says_the_same = |sealed: &(Epoch, EventTime)| sealed.0 != epoch || sealed.1 == frontier;
        debug_assert!(self.sealed.values().all(says_the_same), "F({}) is the same everywhere", epoch.0);
        let is_sealed = || self.sealed.len() == self.partitions && self.sealed.values().all(|(sealed, _)| *sealed >= epoch);
        self.intake.complete() == self.partitions || (frontier != EventTime::MAX && is_sealed())
    }

    fn prepare(&mut self, epoch: Epoch, frontier: EventTime, now_us: u64) -> Result<(), SinkError> {
        let batches = self.take_in(epoch, frontier)?;
        let turned = self.take_turned(epoch, frontier);
        let rolled_us = *self.rolled_us.get_or_insert(now_us);
        let cut = match frontier {
            EventTime::MAX => Cut::End,
            _ if now_us >= rolled_us.saturating_add(self.roll_us) => Cut::Roll,
            _ => Cut::IfFull,
        };
        let appended = batches.iter().try_for_each(|batch| self.output.append(batch));
        match appended.and_then(|()| self.output.prepare(epoch, cut)) {
            Ok(handle) => {
                self.held -= batches.iter().map(RecordBatch::num_rows).sum::<usize>();
                if cut != Cut::IfFull {
                    self.rolled_us = Some(now_us);
                }
                if cut == Cut::End {
                    self.last.get_or_insert(epoch);
                }
                (self.tell)(SinkEvent::Prepared(epoch, handle, turned));
                Ok(())
            }
            Err(error) if error.retryable => {
                (self.left_over, self.left_over_turned) = (batches, turned);
                (self.tell)(SinkEvent::Failed(epoch, error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The rows that belong to the epoch and have not been prepared.
    fn take_in(&mut self, epoch: Epoch, frontier: EventTime) -> Result<Vec<RecordBatch>, SinkError> {
        let mut batches = std::mem::take(&mut self.left_over);
        batches.extend(self.windows.take(frontier.0)?);
        let is_in = |(of, _): &mut (Epoch, RecordBatch)| frontier == EventTime::MAX || *of <= epoch;
        let before = batches.len();
        batches.extend(self.rows.extract_if(.., is_in).map(|(_, batch)| batch));
        if batches.len() > before {
            visit(CrashPoint::LateTakenIn);
        }
        Ok(batches)
    }

    /// What the changes of the epoch turn.
    fn take_turned(&mut self, epoch: Epoch, frontier: EventTime) -> Shown {
        let mut turned = std::mem::take(&mut self.left_over_turned);
        let is_in = |(of, _): &mut (Epoch, Vec<KeyWindow>)| frontier == EventTime::MAX || *of <= epoch;
        self.turned.extract_if(.., is_in).for_each(|(_, pairs)| turn(&mut turned, pairs));
        turned
    }

    fn commit(&mut self, epoch: Epoch, now_us: u64) -> Result<(), SinkError> {
        self.again = None;
        match self.output.commit(epoch) {
            Ok(()) => {
                if self.last.is_some_and(|last| last <= epoch) {
                    (self.tell)(SinkEvent::Ended(Ok(())));
                }
                Ok(())
            }
            Err(error) if error.retryable => {
                tracing::warn!(%epoch, %error, "what is committed can't be published yet; it is tried again");
                self.again = Some((epoch, now_us.saturating_add(RETRY_US)));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn drop_sink(&mut self) -> Result<(), SinkError> {
        if let Some((epoch, _)) = self.again {
            self.output.commit(epoch)?;
        }
        self.output.end()
    }
}

#[cfg(test)]
mod tests;
