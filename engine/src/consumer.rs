//! Who gets the results of a metric: subscriptions and sinks, each behind a bounded queue, each handed whole windows only.
//!
//! Pieces of one window come from one partition in any order of keys, the last one flagged. The consumer's side keeps the pieces of a
//! partition until the flag, so nobody ever sees half a window of a partition. A queue outlives the actors that fill it: when a partition gets a
//! new primary, that one sends again what may be missing, and [`Intake`] drops what has come before.

use crate::queue::Queue;
use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use raympp_state::checkpoint::Ahead;
use raympp_state::checkpoint::shown::{KeyWindow, Shown, turn};
use raympp_state::receipts::{LateReceipts, UpdateReceipts, WindowReceipts};
use raympp_state::replica::LateRows;
use raympp_state::result::ResultDelta;
use raympp_types::{Epoch, EventTime, KeyGroups, KeyHash, MetricId, PartitionId, Term};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows of a changelog.
pub(crate) struct Changes {
    pub(crate) partition: PartitionId,
    pub(crate) term: Term,
    /// Counts up within a term.
    pub(crate) number: u64,
    /// The first epoch that holds all rows of the stream that they show.
    pub(crate) epoch: Epoch,
    pub(crate) rows: RecordBatch,
    /// Pairs that are shown from then on, or are no longer.
    pub(crate) turned: Vec<KeyWindow>,
}

/// What travels from actors to a consumer.
pub(crate) enum Item {
    /// A piece of closed windows.
    Closed(Arc<ResultDelta>),
    /// Rows of a changelog.
    Changes(Changes),
    /// Late rows of the stream.
    Late(LateRows),
    /// Everything of a partition that belongs to this epoch or earlier ones has been put into the queue: windows that end up to the frontier at
    /// its barrier, changes and late rows of these epochs.
    Sealed(PartitionId, Epoch, EventTime),
    /// One partition has put its last rows into the queue. Only word of the epoch that takes in the rest of the stream may follow, and what comes again.
    Complete(PartitionId),
}

/// What a consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Closed windows of a metric.
    Closed(MetricId),
    /// Closed windows of a metric, each row with its key and window, to be put in order.
    ClosedInOrder(MetricId),
    /// The changelog of a metric, not more often than each so many microseconds.
    Changes(MetricId, Option<i64>),
    /// Late rows.
    Late,
}

impl Wants {
    /// The metric that it reads, if it reads one.
    pub(crate) fn metric(self) -> Option<MetricId> {
        match self {
            Wants::Closed(metric) | Wants::ClosedInOrder(metric) | Wants::Changes(metric, _) => Some(metric),
            Wants::Late => None,
        }
    }

    /// True if it gets the closed windows of this metric.
    pub(crate) fn closed_windows_of(self, metric: MetricId) -> bool {
        matches!(self, Wants::Closed(id) | Wants::ClosedInOrder(id) if id == metric)
    }

    /// True if rows have to come with their key and window.
    pub(crate) fn with_keys(self) -> bool {
        matches!(self, Wants::ClosedInOrder(_) | Wants::Changes(..))
    }

    /// True if windows are put in order.
    pub(crate) fn in_order(self) -> bool {
        matches!(self, Wants::ClosedInOrder(_))
    }
}

/// What a sink of changes had at the checkpoint that the run goes on from.
#[derive(Debug, Default)]
pub(crate) struct ResumedChanges {
    /// What it shows, by partition.
    pub(crate) shown: BTreeMap<PartitionId, Shown>,
    /// How far it had come, if the job was taken back from there.
    pub(crate) ahead: Option<Ahead>,
}

impl ResumedChanges {
    pub(crate) fn new(shown: Shown, key_groups: KeyGroups, ahead: Option<Ahead>) -> ResumedChanges {
        let mut resumed = ResumedChanges { shown: BTreeMap::new(), ahead };
        for pair in shown {
            resumed.shown.entry(key_groups.partition(KeyHash::of(&pair.0))).or_default().insert(pair);
        }
        resumed
    }

    /// What it shows of all partitions.
    pub(crate) fn all_shown(&self) -> impl Iterator<Item = KeyWindow> {
        self.shown.values().flatten().cloned()
    }
}

/// One consumer.
pub(crate) struct Consumer {
    pub(crate) id: u64,
    pub(crate) wants: Wants,
    /// It is told what epochs are whole.
    pub(crate) by_epochs: bool,
    pub(crate) queue: Queue<Item>,
    /// Partitions may get new primaries, which ask what it shows.
    is_asked: bool,
    /// It goes on from a checkpoint: each row of its changelog is said once more.
    pub(crate) goes_on: bool,
    /// Up to here, it has had what changes.
    pub(crate) ahead: Option<Ahead>,
    /// What a changelog's consumer shows, by partition: the next primary of a partition goes on from it.
    shown: Mutex<BTreeMap<PartitionId, Shown>>,
}

impl Consumer {
    /// Puts an item into its queue, or gives it back if there is no room.
    pub(crate) fn hand_over(&self, item: Item) -> Result<(), Item> {
        match &item {
            Item::Changes(changes) if self.is_asked => {
                let (partition, turned) = (changes.partition, changes.turned.clone());
                self.queue.try_push(item)?;
                turn(self.shown.lock().entry(partition).or_default(), turned);
                Ok(())
            }
            _ => self.queue.try_push(item),
        }
    }

    /// What it shows of a partition.
    pub(crate) fn shown(&self, partition: PartitionId) -> Shown {
        let mut shown = self.shown.lock();
        let of_partition = if self.is_asked { shown.get(&partition).cloned() } else { shown.remove(&partition) };
        of_partition.unwrap_or_default()
    }
}

/// The consumers of a stream; actors look at it without a lock.
#[derive(Default)]
pub(crate) struct Consumers {
    list: ArcSwap<Vec<Arc<Consumer>>>,
    change: Mutex<u64>,
}

impl Consumers {
    /// All at this moment.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Consumer>>> {
        self.list.load_full()
    }

    /// Adds one with this queue. `is_asked`: partitions may get new primaries; `resumed`: what a sink of changes goes on from.
    pub(crate) fn add(
        &self,
        wants: Wants,
        by_epochs: bool,
        queue: Queue<Item>,
        is_asked: bool,
        resumed: Option<ResumedChanges>,
    ) -> Arc<Consumer> {
        let mut next_id = self.change.lock();
        *next_id += 1;
        let goes_on = resumed.is_some();
        let ResumedChanges { shown, ahead } = resumed.unwrap_or_default();
        let (id, shown) = (*next_id, Mutex::new(shown));
        let consumer = Arc::new(Consumer { id, wants, by_epochs, queue, is_asked, goes_on, ahead, shown });
        let mut list = Vec::clone(&self.list.load());
        list.push(Arc::clone(&consumer));
        self.list.store(Arc::new(list));
        consumer
    }

    pub(crate) fn remove(&self, id: u64) {
        let _change = self.change.lock();
        let mut list = Vec::clone(&self.list.load());
        list.retain(|consumer| consumer.id != id);
        self.list.store(Arc::new(list));
    }
}

/// What an item brings that its consumer has not had.
pub(crate) enum News {
    /// Pieces of whole windows.
    Closed(Vec<Arc<ResultDelta>>),
    /// Changes or late rows, the first epoch that holds them, and what they turn.
    Rows(Epoch, Vec<RecordBatch>, Vec<KeyWindow>),
    /// As [`Item::Sealed`].
    Sealed(PartitionId, Epoch, EventTime),
    /// Nothing to hand on.
    Nothing,
}

/// The consumer's side of its queue: drops what has come before, holds back what is not whole.
#[derive(Default)]
pub(crate) struct Intake {
    windows: WindowReceipts,
    updates: UpdateReceipts,
    late: LateReceipts,
    complete: BTreeSet<PartitionId>,
}

impl Intake {
    /// Takes an item.
    pub(crate) fn take(&mut self, item: Item) -> News {
        match item {
            Item::Closed(piece) => News::Closed(self.windows.take(&piece)),
            Item::Changes(changes) if self.updates.take(changes.partition, changes.term, changes.number) => {
                News::Rows(changes.epoch, vec![changes.rows], changes.turned)
            }
            Item::Changes(_) => News::Nothing,
            Item::Late(late) => News::Rows(late.epoch, self.late.take(late), Vec::new()),
            Item::Sealed(partition, epoch, frontier) => News::Sealed(partition, epoch, frontier),
            Item::Complete(partition) => {
                self.complete.insert(partition);
                News::Nothing
            }
        }
    }

    /// Partitions that have nothing more to say.
    pub(crate) fn complete(&self) -> usize {
        self.complete.len()
    }
}
