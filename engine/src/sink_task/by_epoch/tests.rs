//! What an epoch takes in, when, and what becomes of it if something fails.

use super::*;
use crate::consumer::Changes;
use crate::sink::{SinkErrorKind, SinkHandle};
use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use raympp_state::replica::LateRows;
use raympp_state::result::ResultDelta;
use raympp_types::{MetricId, Offset, SplitId, Term};
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What a sink was told, in order.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Prepared(u64, Cut, Vec<i64>),
    Committed(u64),
    Ended,
}

const NOTHING: [Told; 0] = [];

/// A sink that writes down what it is told and fails when it is to.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    told: Vec<Told>,
    rows: Vec<i64>,
    /// Calls of prepare and commit to come that fail.
    prepares_failing: usize,
    commits_failing: usize,
    retryable: bool,
}

impl Book {
    /// So many calls of each to come fail.
    fn fail(&self, prepares: usize, commits: usize, retryable: bool) {
        let mut pages = self.0.lock().unwrap();
        (pages.prepares_failing, pages.commits_failing, pages.retryable) = (prepares, commits, retryable);
    }

    /// What it was told since the last time.
    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.lock().unwrap().told)
    }
}

impl Pages {
    fn failure(&self) -> SinkError {
        let error = SinkError::new(SinkErrorKind::Io, "no space");
        if self.retryable { error.retryable() } else { error }
    }
}

impl Sink for Book {
    fn check(&self, _from: Option<&SinkHandle>) -> Result<Vec<PathBuf>, SinkError> {
        Ok(Vec::new())
    }

    fn recover(&mut self, _from: Option<&SinkHandle>) -> Result<(), SinkError> {
        Ok(())
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.0.lock().unwrap().rows.extend(batch.column(0).as_primitive::<Int64Type>().values());
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch, cut: Cut) -> Result<SinkHandle, SinkError> {
        let mut pages = self.0.lock().unwrap();
        let rows = std::mem::take(&mut pages.rows);
        if pages.prepares_failing > 0 {
            pages.prepares_failing -= 1;
            return Err(pages.failure());
        }
        pages.told.push(Told::Prepared(epoch.0, cut, rows));
        Ok(SinkHandle::new([epoch.0 as u8]))
    }

    fn commit(&mut self, epoch: Epoch) -> Result<(), SinkError> {
        let mut pages = self.0.lock().unwrap();
        if pages.commits_failing > 0 {
            pages.commits_failing -= 1;
            return Err(pages.failure());
        }
        pages.told.push(Told::Committed(epoch.0));
        Ok(())
    }

    fn end(&mut self) -> Result<(), SinkError> {
        self.0.lock().unwrap().told.push(Told::Ended);
        Ok(())
    }

    fn roll_us(&self) -> u64 {
        0
    }
}

fn batch(values: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("v", column, true)]).unwrap()
}

/// Rows (value, end of its window), a window each; the key is the value's text.
fn closed(partition: u32, rows: &[(i64, i64)]) -> Item {
    let groups = rows.iter().map(|(value, end)| (format!("{value:03}").into_bytes().into_boxed_slice(), end - 10, *end)).collect();
    let ends_us: Vec<i64> = rows.iter().map(|row| row.1).collect();
    Item::Closed(Arc::new(ResultDelta {
        metric: MetricId(0),
        partition: PartitionId(partition),
        term: Term(1),
        window_end: EventTime(ends_us.last().copied().unwrap_or(0)),
        ends_us,
        groups,
        batch: batch(&rows.iter().map(|row| row.0).collect::<Vec<_>>()),
        overflowed: 0,
        last: true,
    }))
}

/// Late rows of a delta that ends at this offset.
fn late(to: u64, epoch: u64, values: &[i64]) -> Item {
    let last = to * values.len() as u64;
    Item::Late(LateRows { split: SplitId(0), to: Offset(to), last, epoch: Epoch(epoch), rows: vec![batch(values)] })
}

fn changes(number: u64, epoch: u64, values: &[i64]) -> Item {
    let (partition, term) = (PartitionId(0), Term(1));
    Item::Changes(Changes { partition, term, number, epoch: Epoch(epoch), rows: batch(values), turned: Vec::new() })
}

fn complete(partition: u32) -> Item {
    Item::Complete(PartitionId(partition))
}

fn sealed(partition: u32, epoch: u64, frontier: i64) -> Item {
    Item::Sealed(PartitionId(partition), Epoch(epoch), EventTime(frontier))
}

fn prepare(epoch: u64, frontier: i64) -> Request {
    Request::Prepare(Epoch(epoch), EventTime(frontier))
}

/// A writer for two partitions that rolls each 1,000 microseconds, and what it says.
fn with_writer(sorted: bool, taken: Option<(Epoch, EventTime)>, test: impl FnOnce(&mut EpochWriter<'_>, &Book, &RefCell<Vec<String>>)) {
    let book = Book::default();
    let events = RefCell::new(Vec::new());
    let tell = |event: SinkEvent| {
        events.borrow_mut().push(match event {
            SinkEvent::Prepared(epoch, handle, _) => {
                assert_eq!(handle.as_bytes(), [epoch.0 as u8]);
                format!("prepared {}", epoch.0)
            }
            SinkEvent::Failed(epoch, error) => format!("failed {}: {error}", epoch.0),
            SinkEvent::Ended(result) => format!("ended {}", result.is_ok()),
        });
    };
    let mut writer = EpochWriter::new(Box::new(book.clone()), Windows::new(sorted), 2, taken, 1_000, &tell);
    test(&mut writer, &book, &events);
}

fn take_all(writer: &mut EpochWriter<'_>, items: impl IntoIterator<Item = Item>) {
    items.into_iter().for_each(|item| writer.take(item).unwrap());
}

#[test]
fn an_epoch_takes_in_whole_windows_up_to_its_frontier() {
    with_writer(false, None, |writer, book, events| {
        take_all(writer, [closed(0, &[(1, 10), (2, 10), (3, 20), (4, 30)]), sealed(0, 1, 20)]);
        writer.obey(prepare(1, 20), 0).unwrap();
        writer.step(0).unwrap();
        assert_eq!(book.told(), NOTHING, "partition 1 has windows to come");
        take_all(writer, [closed(1, &[(5, 20)]), sealed(1, 1, 20), closed(1, &[(6, 25)])]);
        writer.step(0).unwrap();
        assert_eq!(book.told(), [Told::Prepared(1, Cut::IfFull, vec![1, 2, 3, 5])]);
        assert_eq!(events.take(), ["prepared 1"]);
        // Partition 0 says so of epoch 3 only; that goes for epoch 2 too.
        take_all(writer, [sealed(1, 2, 25), sealed(0, 3, 30), sealed(1, 3, 30)]);
        writer.obey(prepare(3, 30), 2_000).unwrap();
        writer.obey(prepare(2, 25), 2_000).unwrap();
        writer.step(2_000).unwrap();
        assert_eq!(book.told(), [Told::Prepared(2, Cut::Roll, vec![6]), Told::Prepared(3, Cut::IfFull, vec![4])]);
        writer.obey(Request::Commit(Epoch(3)), 2_000).unwrap();
        assert_eq!(book.told(), [Told::Committed(3)]);
        assert_eq!(writer.held, 0);
    });
}

#[test]
fn each_epoch_of_a_sorted_sink_is_in_order() {
    with_writer(true, None, |writer, book, _| {
        take_all(writer, [closed(0, &[(9, 10), (3, 20), (8, 30)]), sealed(0, 1, 20), closed(1, &[(7, 10), (2, 20), (1, 30)])]);
        take_all(writer, [sealed(1, 1, 20), sealed(0, 2, 30), sealed(1, 2, 30)]);
        writer.obey(prepare(1, 20), 0).unwrap();
        writer.obey(prepare(2, 30), 0).unwrap();
        writer.step(0).unwrap();
        assert_eq!(book.told(), [Told::Prepared(1, Cut::IfFull, vec![7, 9, 2, 3]), Told::Prepared(2, Cut::IfFull, vec![1, 8])]);
    });
}

#[test]
fn late_rows_and_changes_go_by_their_epoch() {
    with_writer(false, None, |writer, book, _| {
        take_all(writer, [late(1, 1, &[1]), late(2, 2, &[2]), changes(1, 1, &[3])]);
        take_all(writer, [sealed(0, 2, 20), sealed(1, 2, 20)]);
        writer.obey(prepare(1, 10), 0).unwrap();
        writer.step(0).unwrap();
        assert_eq!(book.told(), [Told::Prepared(1, Cut::IfFull, vec![1, 3])]);
        writer.obey(prepare(2, 20), 0).unwrap();
        writer.step(0).unwrap();
        assert_eq!(book.told(), [Told::Prepared(2, Cut::IfFull, vec![2])]);
    });
}

#[test]
fn the_end_takes_in_everything_once_all_partitions_are_complete() {
    with_writer(false, None, |writer, book, events| {
        take_all(writer, [closed(0, &[(1, 10)]), sealed(0, 4, i64::MAX), sealed(1, 4, i64::MAX), complete(0)]);
        writer.obey(prepare(4, i64::MAX), 0).unwrap();
        writer.step(0).unwrap();
        assert_eq!(book.told(), NOTHING, "a partition may have changes left");
        take_all(writer, [changes(1, 5, &[2]), complete(1)]);
        writer.step(0).unwrap();
        assert_eq!(book.told(), [Told::Prepared(4, Cut::End, vec![1, 2])]);
        writer.obey(prepare(5, i64::MAX), 0).unwrap();
        writer.step(0).unwrap();
        assert_eq!(events.take(), ["prepared 4", "prepared 5"]);
        writer.obey(Request::GiveUp(Epoch(4)), 0).unwrap();
        writer.obey(Request::Commit(Epoch(5)), 0).unwrap();
        assert_eq!(events.take(), ["ended true"]);
    });
}

/// A stream may have completed since the barrier: its partitions seal no further epoch, and the end comes with another one.
#[test]
fn a_complete_stream_is_whole_at_any_epoch() {
    with_writer(false, None, |writer, book, _| {
        take_all(writer, [closed(0, &[(1, 10), (2, 20)]), complete(0), complete(1)]);
        writer.obey(prepare(3, 10), 0).unwrap();
        writer.obey(prepare(4, i64::MAX), 0).unwrap();
        writer.step(0).unwrap();
        assert_eq!(book.told(), [Told::Prepared(3, Cut::IfFull, vec![1]), Told::Prepared(4, Cut::End, vec![2])]);
    });
}

#[test]
fn what_is_in_the_sink_is_skipped() {
    for sorted in [false, true] {
        with_writer(sorted, Some((Epoch(5), EventTime(20))), |writer, book, _| {
            take_all(writer, [closed(0, &[(1, 10), (2, 20), (3, 30)]), closed(1, &[(4, 20)]), closed(1, &[(5, 40)])]);
            take_all(writer, [late(1, 5, &[6]), late(2, 6, &[7])]);
            assert_eq!(writer.held, 3);
            take_all(writer, [sealed(0, 4, 15), sealed(1, 4, 15), sealed(0, 6, 40), sealed(1, 6, 40)]);
            writer.obey(prepare(4, 15), 0).unwrap();
            writer.obey(prepare(6, 40), 0).unwrap();
            writer.step(0).unwrap();
            assert_eq!(book.told(), [Told::Prepared(4, Cut::IfFull, vec![]), Told::Prepared(6, Cut::IfFull, vec![3, 5, 7])]);
        });
    }
}

#[test]
fn an_epoch_that_fails_comes_with_the_next_one() {
    with_writer(false, None, |writer, book, events| {
        book.fail(2, 0, true);
        for (epoch, value) in [(1, 1), (2, 2), (3, 3)] {
            let end = 10 * epoch as i64;
            take_all(writer, [closed(0, &[(value, end)]), sealed(0, epoch, end), sealed(1, epoch, end)]);
            writer.obey(prepare(epoch, end), 0).unwrap();
            writer.step(0).unwrap();
        }
        assert_eq!(events.take(), ["failed 1: no space", "failed 2: no space", "prepared 3"]);
        assert_eq!((book.told(), writer.held), (vec![Told::Prepared(3, Cut::IfFull, vec![1, 2, 3])], 0));
        book.fail(0, 1, true);
        writer.obey(Request::Commit(Epoch(3)), 0).unwrap();
        writer.step(RETRY_US - 1).unwrap();
        assert_eq!(book.told(), NOTHING);
        writer.step(RETRY_US).unwrap();
        assert_eq!(book.told(), [Told::Committed(3)]);
        book.fail(1, 0, false);
        writer.obey(prepare(3, 30), 0).unwrap();
        assert!(writer.step(0).is_err(), "a sink that is broken for good fails the job");
    });
}

#[test]
fn an_epoch_given_up_is_not_prepared() {
    with_writer(false, None, |writer, book, _| {
        writer.obey(prepare(1, 10), 0).unwrap();
        writer.obey(Request::GiveUp(Epoch(1)), 0).unwrap();
        take_all(writer, [closed(0, &[(1, 10)]), sealed(0, 2, 20), sealed(1, 2, 20)]);
        writer.obey(prepare(2, 20), 0).unwrap();
        writer.step(0).unwrap();
        assert_eq!(book.told(), [Told::Prepared(2, Cut::IfFull, vec![1])]);
    });
}

#[test]
fn with_too_many_rows_waiting_it_takes_no_more_until_an_epoch_wants_them() {
    with_writer(false, None, |writer, _, _| {
        let rows = vec![0; HELD_ROWS_MAX / 2];
        take_all(writer, [late(1, 1, &rows)]);
        assert!(writer.takes());
        take_all(writer, [late(2, 1, &rows)]);
        assert!(!writer.takes());
        writer.obey(prepare(1, 10), 0).unwrap();
        assert!(writer.takes());
        take_all(writer, [sealed(0, 1, 10), sealed(1, 1, 10)]);
        writer.step(0).unwrap();
        assert!(writer.takes() && writer.held == 0);
    });
}

/// The thread's loop: requests wake it, also while it takes no items; a sink that is dropped ends, one whose engine stops does not.
#[test]
fn requests_wake_the_thread() {
    for dropped in [true, false] {
        let book = Book::default();
        let queue: Queue<Item> = Queue::new(4, Box::new(|| {}));
        let (ask, asked) = crossbeam::channel::unbounded();
        let (report, reports) = crossbeam::channel::unbounded();
        std::thread::scope(|scope| {
            let (queue, sink) = (&queue, book.clone());
            let thread = scope.spawn(move || {
                let tell = |event: SinkEvent| {
                    if let SinkEvent::Prepared(epoch, ..) = event {
                        report.send(epoch).unwrap()
                    }
                };
                EpochWriter::new(Box::new(sink), Windows::new(false), 2, None, 1_000, &tell).run(queue, &asked)
            });
            for item in [closed(0, &[(1, 10)]), sealed(0, 1, 10), sealed(1, 1, 10)] {
                assert!(queue.try_push(item).is_ok());
            }
            ask.send(prepare(1, 10)).unwrap();
            queue.poke();
            assert_eq!(reports.recv(), Ok(Epoch(1)));
            ask.send(Request::Commit(Epoch(1))).unwrap();
            queue.poke();
            if dropped {
                ask.send(Request::Drop).unwrap();
                queue.poke();
            }
            queue.finish();
            assert!(thread.join().unwrap().is_ok());
        });
        let mut expected = vec![Told::Prepared(1, Cut::IfFull, vec![1]), Told::Committed(1)];
        expected.extend(dropped.then_some(Told::Ended));
        assert_eq!(book.told(), expected);
    }
}
