//! Sinks whose commits the coordinator decides, and their media, which outlive processes.
//!
//! A medium is a list of rows: staged, of these durable, of these visible, each a prefix of the one before. A handle is the number of rows
//! that an epoch has staged, so it is the whole state, and recovery is a cut.

use super::actor::Item;
use super::agenda::Link;
use crate::rows::row_text;
use raympp_state::receipts::{LateReceipts, WindowReceipts};
use raympp_state::result::NamedGroup;
use raympp_types::{Epoch, EventTime, MetricId, PartitionId, SinkId, StreamId};
use std::collections::{BTreeMap, BTreeSet};

/// What a sink reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Closed windows of a metric.
    Metric(MetricId),
    /// Late rows of its stream.
    Late,
}

/// A row on its way out.
#[derive(Clone, Debug)]
pub(super) struct OutRow {
    /// Exact text.
    pub(super) text: String,
    /// Key and window; `None`: a late row.
    pub(super) group: Option<NamedGroup>,
}

impl OutRow {
    fn end(&self) -> EventTime {
        self.group.as_ref().map_or(EventTime::MIN, |(.., end_us)| EventTime(*end_us))
    }
}

/// What a sink has written.
#[derive(Default)]
pub(super) struct Medium {
    rows: Vec<OutRow>,
    durable: usize,
    visible: usize,
}

impl Medium {
    pub(super) fn visible(&self) -> &[OutRow] {
        &self.rows[..self.visible]
    }

    /// The machine stops: rows that are not durable are lost, in order of writing.
    pub(super) fn crash(&mut self, random: u64) {
        let lost = random as usize % (self.rows.len() - self.durable + 1);
        self.rows.truncate(self.rows.len() - lost);
    }

    /// Goes on from a handle; what lies behind it is gone. Rows that have become visible now.
    pub(super) fn recover(&mut self, handle: &[u8]) -> Result<&[OutRow], String> {
        let length = handle.try_into().map_or(0, u64::from_le_bytes) as usize;
        let before = self.visible;
        if before > length {
            return Err(format!("{before} rows are visible, and only {length} were committed"));
        }
        if self.durable < length {
            return Err(format!("{length} rows were prepared, and {} are there", self.durable));
        }
        self.rows.truncate(length);
        (self.durable, self.visible) = (length, length);
        Ok(&self.rows[before..])
    }

    fn stage(&mut self, rows: Vec<OutRow>) {
        self.rows.extend(rows);
    }

    fn sync(&mut self) -> Vec<u8> {
        self.durable = self.rows.len();
        (self.durable as u64).to_le_bytes().to_vec()
    }

    fn show(&mut self, length: usize) -> &[OutRow] {
        let before = self.visible;
        self.visible = length.max(before);
        &self.rows[before..self.visible]
    }
}

/// What a sink is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Prepare(Epoch, EventTime),
    Commit(Epoch),
    GiveUp(Epoch),
}

/// A sink of a running process.
pub(super) struct Sink {
    pub(super) id: SinkId,
    pub(super) stream: StreamId,
    pub(super) input: Input,
    partitions: usize,
    /// What comes again is dropped, and what is not whole is held back.
    received: WindowReceipts,
    received_late: LateReceipts,
    windows: Vec<OutRow>,
    late: Vec<(Epoch, OutRow)>,
    /// Taken in by an epoch that failed.
    left_over: Vec<OutRow>,
    sealed: BTreeMap<PartitionId, Epoch>,
    complete: BTreeSet<PartitionId>,
    asked: BTreeMap<Epoch, EventTime>,
    /// What belongs to this epoch and frontier is in the medium.
    taken: Option<(Epoch, EventTime)>,
    /// Rows staged and the frontier, by epoch.
    prepared: BTreeMap<Epoch, (usize, EventTime)>,
    pub(super) up: Link,
    pub(super) down: Link,
    pub(super) from: BTreeMap<PartitionId, Link>,
}

impl Sink {
    pub(super) fn new(id: SinkId, stream: StreamId, input: Input, partitions: usize, taken: Option<(Epoch, EventTime)>) -> Sink {
        Sink {
            id,
            stream,
            input,
            partitions,
            received: WindowReceipts::default(),
            received_late: LateReceipts::default(),
            windows: Vec::new(),
            late: Vec::new(),
            left_over: Vec::new(),
            sealed: BTreeMap::new(),
            complete: BTreeSet::new(),
            asked: BTreeMap::new(),
            taken,
            prepared: BTreeMap::new(),
            up: Link::default(),
            down: Link::default(),
            from: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, partition: PartitionId, item: Item) {
        match item {
            Item::Closed(piece) => {
                let skip = self.taken.map_or(EventTime::MIN, |(_, frontier)| frontier);
                for piece in self.received.take(&piece) {
                    let row = |(row, group): (usize, &NamedGroup)| OutRow { text: row_text(&piece.batch, row), group: Some(group.clone()) };
                    self.windows.extend(piece.groups.iter().enumerate().map(row).filter(|row| row.end() > skip));
                }
            }
            Item::Late(late) => {
                let epoch = late.epoch;
                let news = self.received_late.take(late);
                for batch in news.iter().filter(|_| self.taken.is_none_or(|(taken, _)| epoch > taken)) {
                    let row = |row: usize| OutRow { text: row_text(batch, row), group: None };
                    self.late.extend((0..batch.num_rows()).map(|at| (epoch, row(at))));
                }
            }
            Item::Sealed(epoch) => {
                let sealed = self.sealed.entry(partition).or_insert(epoch);
                *sealed = epoch.max(*sealed);
            }
            Item::Complete => drop(self.complete.insert(partition)),
        }
    }

    pub(super) fn ask(&mut self, epoch: Epoch, frontier: EventTime) {
        self.asked.insert(epoch, frontier);
    }

    pub(super) fn give_up(&mut self, epoch: Epoch) {
        self.asked.remove(&epoch);
    }

    /// The next epoch that can be prepared: all that it takes in has come.
    pub(super) fn next_whole(&mut self) -> Option<(Epoch, EventTime)> {
        let (&epoch, &frontier) = self.asked.first_key_value()?;
        let is_sealed = || self.sealed.len() == self.partitions && self.sealed.values().all(|sealed| *sealed >= epoch);
        let whole = self.complete.len() == self.partitions || (frontier != EventTime::MAX && is_sealed());
        whole.then(|| self.asked.remove(&epoch))?;
        Some((epoch, frontier))
    }

    /// Makes durable what belongs to the epoch; `fails`: it can't, and the next one takes it in.
    pub(super) fn prepare(&mut self, epoch: Epoch, frontier: EventTime, fails: bool, medium: &mut Medium) -> Option<Vec<u8>> {
        let mut rows = std::mem::take(&mut self.left_over);
        rows.extend(self.windows.extract_if(.., |row| row.end() <= frontier));
        let is_in = |(of, _): &mut (Epoch, OutRow)| frontier == EventTime::MAX || *of <= epoch;
        rows.extend(self.late.extract_if(.., is_in).map(|(_, row)| row));
        if fails {
            self.left_over = rows;
            return None;
        }
        medium.stage(rows);
        let handle = medium.sync();
        self.prepared.insert(epoch, (medium.durable, frontier));
        Some(handle)
    }

    /// Shows what the epoch had prepared, and tells its frontier; an epoch that this process has not prepared has been dealt with by recovery.
    pub(super) fn commit<'a>(&self, epoch: Epoch, medium: &'a mut Medium) -> Option<(&'a [OutRow], EventTime)> {
        let &(length, frontier) = self.prepared.get(&epoch)?;
        Some((medium.show(length), frontier))
    }
}
