//! Who gets the results of a metric: subscriptions and sinks, each behind a bounded queue, each handed whole windows only.
//!
//! Pieces of one window come from one partition in any order of keys, the last one flagged. The consumer's side keeps the pieces of a
//! partition until the flag, so nobody ever sees half a window of a partition.

use crate::queue::Queue;
use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use raympp_state::result::ResultDelta;
use raympp_types::{Epoch, EventTime, MetricId, PartitionId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What travels from actors to a consumer.
pub(crate) enum Item {
    /// A piece of closed windows.
    Closed(Arc<ResultDelta>),
    /// Rows of a changelog, and the first epoch that holds all rows of the stream that they show.
    Changes(Epoch, RecordBatch),
    /// Late rows of the stream, and the first epoch that holds them.
    Late(Epoch, RecordBatch),
    /// Everything of a partition that belongs to this epoch or earlier ones has been put into the queue: windows that end up to the frontier at
    /// its barrier, changes and late rows of these epochs.
    Sealed(PartitionId, Epoch, EventTime),
    /// One partition has put its last rows into the queue. Only word of the epoch that takes in the rest of the stream may follow.
    Complete,
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

/// One consumer.
pub(crate) struct Consumer {
    pub(crate) id: u64,
    pub(crate) wants: Wants,
    /// It is told what epochs are whole.
    pub(crate) by_epochs: bool,
    pub(crate) queue: Queue<Item>,
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

    /// Adds one whose queue calls `room` when there is room for those who have asked for it.
    pub(crate) fn add(&self, wants: Wants, by_epochs: bool, capacity: usize, room: Box<dyn Fn() + Send + Sync>) -> Arc<Consumer> {
        let mut next_id = self.change.lock();
        *next_id += 1;
        let consumer = Arc::new(Consumer { id: *next_id, wants, by_epochs, queue: Queue::new(capacity, room) });
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

/// Puts pieces together to whole windows.
#[derive(Default)]
pub(crate) struct WindowAssembler {
    pieces: BTreeMap<PartitionId, Vec<Arc<ResultDelta>>>,
    whole: VecDeque<RecordBatch>,
}

impl WindowAssembler {
    pub(crate) fn add(&mut self, piece: Arc<ResultDelta>) {
        let pieces = self.pieces.entry(piece.partition).or_default();
        let last = piece.last;
        pieces.push(piece);
        if last {
            let whole = pieces.drain(..).filter(|piece| piece.batch.num_rows() > 0);
            self.whole.extend(whole.map(|piece| piece.batch.clone()));
        }
    }

    pub(crate) fn next(&mut self) -> Option<RecordBatch> {
        self.whole.pop_front()
    }
}
