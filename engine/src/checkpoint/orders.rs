//! The queue of the persister's orders. Whoever tells it something wakes its thread; deltas do not, until they end an epoch or are worth it.
//!
//! A core sends a delta for every few rows that come, thousands in a second. A wake-up for each costs the core a system call and the machine two
//! changes of threads, which took longer than merging the delta; and the thread that wakes takes a processor from whoever has one.

use super::Order;
use crate::parking::Parking;
use crossbeam::channel::{Receiver, Sender, TryRecvError, unbounded};
use raympp_state::delta::Delta;
use raympp_types::StreamId;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Entries of deltas that may wait for the persister before tasks stop reading.
const BACKLOG_MAX: i64 = 1 << 23;
/// Entries of deltas that wait until the thread is woken for them: less than two milliseconds of its work, its share of a checkpoint included.
const WORTH_WAKING: i64 = 1 << 14;

/// Both ends of an empty queue.
pub(super) fn orders() -> (Orders, Inbox) {
    let (queue, taken) = unbounded();
    let (parking, backlog) = (Arc::new(Parking::new()), Arc::new(AtomicI64::new(0)));
    (Orders { queue, parking: Arc::clone(&parking), backlog: Arc::clone(&backlog) }, Inbox { taken, parking, backlog })
}

/// The end at which the persister is told what to do.
#[derive(Clone)]
pub(crate) struct Orders {
    queue: Sender<Order>,
    parking: Arc<Parking>,
    backlog: Arc<AtomicI64>,
}

impl Orders {
    /// Tells it something. False if it has ended.
    pub(crate) fn tell(&self, order: Order) -> bool {
        let is_told = self.queue.send(order).is_ok();
        self.parking.wake();
        is_told
    }

    /// Gives it a delta, each once and in the order of its chain.
    pub(crate) fn delta(&self, stream: StreamId, delta: &Arc<Delta>) {
        let entries = delta.entries() as i64;
        let waiting = entries + self.backlog.fetch_add(entries, Ordering::AcqRel);
        // The persister ends after the tasks.
        let _ = self.queue.send(Order::Delta(stream, Arc::clone(delta)));
        if waiting >= WORTH_WAKING || !delta.stamp.marks.is_empty() {
            self.parking.wake();
        }
    }

    /// True if tasks should stop reading.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog.load(Ordering::Acquire) > BACKLOG_MAX
    }
}

/// The end at which the persister's thread takes them.
pub(super) struct Inbox {
    taken: Receiver<Order>,
    parking: Arc<Parking>,
    backlog: Arc<AtomicI64>,
}

impl Inbox {
    /// The calling thread is the one that takes them from now on.
    pub(super) fn enter(&self) {
        self.parking.enter();
    }

    /// The next order, if there is one.
    ///
    /// # Errors
    /// That there is none for now, or that there will be none.
    pub(super) fn take(&self) -> Result<Order, TryRecvError> {
        self.taken.try_recv()
    }

    /// Sleeps until there is something to do, or for so long.
    pub(super) fn sleep(&self, timeout: Duration) {
        self.parking.park(timeout, || self.taken.is_empty());
    }

    /// A delta is merged. True if tasks may go on reading that had to stop.
    pub(super) fn note_merged(&self, delta: &Delta) -> bool {
        let entries = delta.entries() as i64;
        let before = self.backlog.fetch_sub(entries, Ordering::AcqRel);
        before > BACKLOG_MAX && before - entries <= BACKLOG_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::bounded;
    use raympp_operators::accumulator::AccumulatorColumn;
    use raympp_state::delta::{DeltaPart, Mark, Placement, SplitCounts, Stamp, StoreDelta};
    use raympp_types::{Offset, PartitionId, RunningWatermark, SplitId, SplitTerm};

    fn delta(entries: usize, marks: Vec<Mark>) -> Arc<Delta> {
        let stamp = Stamp {
            split: SplitId(0),
            split_term: SplitTerm(0),
            from: Offset(0),
            to: Offset(0),
            watermark: RunningWatermark::default(),
            counts: SplitCounts::default(),
            marks,
        };
        let counts = Some(AccumulatorColumn::Count(vec![1; entries]));
        let entries =
            StoreDelta { store: 0, placement: Placement::Slice(0), ids: vec![0; entries], rows: vec![1; entries], columns: vec![counts] };
        let part = DeltaPart { entries: vec![entries], ..DeltaPart::default() };
        Arc::new(Delta { stamp, parts: vec![(PartitionId(0), part)] })
    }

    /// With nobody else to wake it the thread would sleep for an hour.
    #[test]
    fn the_thread_is_woken_for_orders_for_marks_and_when_enough_entries_wait() {
        const HOUR: Duration = Duration::from_secs(3_600);
        let (orders, inbox) = orders();
        let (taken, taken_in) = bounded(1_000);
        let thread = std::thread::spawn(move || {
            inbox.enter();
            loop {
                match inbox.take() {
                    Ok(Order::Delta(_, delta)) => {
                        inbox.note_merged(&delta);
                        taken.send(delta.entries() as i64).unwrap();
                    }
                    Ok(_) => taken.send(-1).unwrap(),
                    Err(TryRecvError::Empty) => inbox.sleep(HOUR),
                    Err(TryRecvError::Disconnected) => return,
                }
            }
        });
        let next = || taken_in.recv_timeout(HOUR / 360).expect("it is awake");
        for _ in 0..300 {
            orders.delta(StreamId(0), &delta(1, vec![Mark::End]));
            assert_eq!(next(), 1);
            assert!(orders.tell(Order::Forget));
            assert_eq!(next(), -1);
            let half = WORTH_WAKING as usize / 2;
            orders.delta(StreamId(0), &delta(half, Vec::new()));
            orders.delta(StreamId(0), &delta(half, Vec::new()));
            assert_eq!([next(), next()], [half as i64; 2]);
        }
        assert_eq!(orders.backlog.load(Ordering::Acquire), 0);
        assert!(!orders.is_behind());
        let parking = Arc::clone(&orders.parking);
        drop(orders);
        parking.wake();
        thread.join().unwrap();
    }
}
