//! Loom models of how the engine's threads hand things over and wake each other: in every interleaving, and with every value that the memory
//! model lets a load return, nothing is lost and nobody sleeps for ever. There are no timeouts here: where the engine sleeps for at most
//! a while, the models sleep until they are woken. Run by `./x ci`, which compiles this file alone with `--cfg loom`.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]
#![cfg(loom)]

#[path = "../src/writer/hand_over.rs"]
#[allow(dead_code, reason = "the models use a part of it")]
mod hand_over;
#[path = "../src/parking.rs"]
#[allow(dead_code, reason = "the models use a part of it")]
mod parking;
#[path = "../src/queue.rs"]
#[allow(dead_code, reason = "the models use a part of it")]
mod queue;

/// What `engine/src/sync.rs` is in the engine, on top of loom.
mod sync {
    pub(crate) use loom::sync::atomic;
    use std::ops::{Deref, DerefMut};
    use std::time::Duration;

    pub(crate) mod thread {
        pub(crate) use loom::thread::{Thread, current};

        pub(crate) fn park_timeout(_: std::time::Duration) {
            loom::thread::park();
        }
    }

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().unwrap()))
        }
    }

    pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().unwrap()
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().unwrap()
        }
    }

    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            guard.0 = guard.0.take().map(|inner| self.0.wait(inner).unwrap());
        }

        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) -> Woken {
            self.wait(guard);
            Woken
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    pub(crate) struct Woken;

    impl Woken {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }
}

use hand_over::{HandOver, NoEntry, Taken};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use parking::{Parking, RoomWanted};
use queue::Queue;
use std::collections::VecDeque;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const A_WHILE: Duration = Duration::from_millis(50);

/// A core as its loop is: takes what there is, parks when there is nothing, until `more` says that it is done.
fn run_core(parking: &Parking, mut step: impl FnMut() -> bool, is_idle: impl Fn() -> bool, done: impl Fn() -> bool) {
    parking.enter();
    while !done() {
        if !step() && !done() {
            parking.park(A_WHILE, &is_idle);
        }
    }
    parking.leave();
}

/// An inbox whose own operations order nothing but themselves: the fences of the protocol must do it all.
fn a_core_sees_what_it_was_sent(wake: fn(&Parking)) {
    loom::model(move || {
        let (parking, inbox) = (Arc::new(Parking::new()), Arc::new(AtomicUsize::new(0)));
        let sender = thread::spawn({
            let (parking, inbox) = (parking.clone(), inbox.clone());
            move || {
                for _ in 0..2 {
                    inbox.fetch_add(1, Ordering::Relaxed);
                    wake(&parking);
                }
            }
        });
        let taken = std::cell::Cell::new(0);
        let step = || {
            let before = taken.replace(inbox.load(Ordering::Relaxed));
            taken.get() > before
        };
        run_core(&parking, step, || inbox.load(Ordering::Relaxed) == taken.get(), || taken.get() == 2);
        sender.join().unwrap();
    });
}

#[test]
fn loom_no_wake_up_is_lost() {
    a_core_sees_what_it_was_sent(Parking::wake);
}

/// The model can fail: a sender that does not wake leaves the core asleep.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_a_wake_up_that_is_left_out() {
    a_core_sees_what_it_was_sent(|_| ());
}

/// And it knows the memory model: without the fences, both sides may see the old state.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_a_missing_fence() {
    use loom::sync::atomic::AtomicBool;
    loom::model(|| {
        let (parked, work) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let sleeper = thread::current();
        let sender = thread::spawn({
            let (parked, work) = (parked.clone(), work.clone());
            move || {
                work.store(true, Ordering::Relaxed);
                if parked.load(Ordering::Relaxed) {
                    sleeper.unpark();
                }
            }
        });
        parked.store(true, Ordering::Relaxed);
        if !work.load(Ordering::Relaxed) {
            thread::park();
        }
        sender.join().unwrap();
    });
}

/// Two cores: one has deltas for the other's inbox, which holds one only.
#[test]
fn loom_a_full_inbox_wakes_its_sender_when_it_has_room() {
    loom::model(|| {
        let (ours, theirs) = (Arc::new(Parking::new()), Arc::new(Parking::new()));
        let (inbox, wanted) = (Arc::new(AtomicUsize::new(0)), Arc::new(RoomWanted::new()));
        let receiver = thread::spawn({
            let (ours, theirs, inbox, wanted) = (ours.clone(), theirs.clone(), inbox.clone(), wanted.clone());
            move || {
                let taken = std::cell::Cell::new(0);
                let step = || {
                    let found = inbox.swap(0, Ordering::Relaxed);
                    taken.set(taken.get() + found);
                    if found > 0 && wanted.take() {
                        ours.wake();
                    }
                    found > 0
                };
                run_core(&theirs, step, || inbox.load(Ordering::Relaxed) == 0, || taken.get() == 2);
            }
        });
        let sent = std::cell::Cell::new(0);
        let has_room = || inbox.load(Ordering::Relaxed) == 0;
        let step = || {
            let free = has_room();
            if free {
                inbox.fetch_add(1, Ordering::Relaxed);
                sent.set(sent.get() + 1);
                theirs.wake();
            }
            free
        };
        run_core(&ours, step, || !wanted.ask(has_room), || sent.get() == 2);
        receiver.join().unwrap();
    });
}

/// Takes one row at a time.
fn take(rows: &HandOver<VecDeque<u32>>) -> Taken<u32> {
    rows.take(|rows| rows.pop_front().map(|row| (1, row)))
}

/// A core that takes rows until the writer has ended.
fn take_all(parking: &Parking, rows: &HandOver<VecDeque<u32>>) -> Vec<u32> {
    let (mut taken, ended) = (Vec::new(), std::cell::Cell::new(false));
    let step = || match take(rows) {
        Taken::Rows(row) => {
            taken.push(row);
            true
        }
        Taken::Ended => {
            ended.set(true);
            true
        }
        Taken::Nothing | Taken::Lost => false,
    };
    run_core(parking, step, || !rows.has_input(), || ended.get());
    taken
}

#[test]
fn loom_a_writer_that_waits_for_room_hands_everything_over() {
    loom::model(|| {
        let (parking, rows) = (Arc::new(Parking::new()), Arc::new(HandOver::new(VecDeque::new(), 1, 0, false)));
        let writer = thread::spawn({
            let (parking, rows) = (parking.clone(), rows.clone());
            move || {
                for row in 0..2 {
                    let pushed: Result<(), NoEntry<()>> = rows.push(
                        1,
                        true,
                        |_| true,
                        |rows: &mut VecDeque<u32>| {
                            rows.push_back(row);
                            Ok(())
                        },
                    );
                    pushed.unwrap();
                    parking.wake();
                }
                rows.end(|_| true);
                parking.wake();
            }
        });
        let taken = take_all(&parking, &rows);
        assert_eq!(taken, [0, 1], "in order, and before the end");
        writer.join().unwrap();
    });
}

/// It is woken when half the room is free, which is not enough for what it has, and must be woken again.
#[test]
fn loom_a_writer_whose_batch_fills_the_bound_gets_its_turn() {
    loom::model(|| {
        let (parking, rows) = (Arc::new(Parking::new()), Arc::new(HandOver::new(VecDeque::new(), 2, 0, false)));
        let push = |rows: &HandOver<VecDeque<u32>>, batch: [u32; 2]| {
            let pushed: Result<(), NoEntry<()>> = rows.push(
                2,
                true,
                |_| true,
                |rows: &mut VecDeque<u32>| {
                    rows.extend(batch);
                    Ok(())
                },
            );
            pushed.unwrap();
        };
        push(&rows, [0, 1]);
        let writer = thread::spawn({
            let (parking, rows) = (parking.clone(), rows.clone());
            move || {
                push(&rows, [2, 3]);
                rows.end(|_| true);
                parking.wake();
            }
        });
        let taken = take_all(&parking, &rows);
        assert_eq!(taken, [0, 1, 2, 3]);
        writer.join().unwrap();
    });
}

#[test]
fn loom_closing_lets_a_waiting_writer_go() {
    loom::model(|| {
        let rows = Arc::new(HandOver::new(VecDeque::from([7]), 1, 0, false));
        let _: Result<(), NoEntry<()>> = rows.push(1, false, |_| true, |_| Ok(()));
        let writer = thread::spawn({
            let rows = rows.clone();
            move || rows.push(1, true, |_| true, |_: &mut VecDeque<u32>| Ok::<(), ()>(()))
        });
        rows.close();
        assert_eq!(writer.join().unwrap(), Err(NoEntry::Closed));
    });
}

/// A core that owes items to a consumer whose queue holds one.
#[test]
fn loom_a_full_queue_of_results_wakes_the_core_when_it_has_room() {
    loom::model(|| {
        let parking = Arc::new(Parking::new());
        let room = parking.clone();
        let queue = Arc::new(Queue::new(1, Box::new(move || room.wake())));
        let consumer = thread::spawn({
            let queue = queue.clone();
            move || (queue.pop(), queue.pop(), queue.pop())
        });
        let owed = std::cell::RefCell::new(VecDeque::from([0, 1]));
        let step = || {
            let Some(item) = owed.borrow_mut().pop_front() else { return false };
            match queue.try_push(item) {
                Ok(()) => true,
                Err(item) => {
                    owed.borrow_mut().push_front(item);
                    false
                }
            }
        };
        run_core(&parking, step, || !queue.ask_room(), || owed.borrow().is_empty());
        queue.finish();
        assert_eq!(consumer.join().unwrap(), (Some(0), Some(1), None));
    });
}

#[test]
fn loom_an_abandoned_queue_lets_the_core_go_on() {
    loom::model(|| {
        let parking = Arc::new(Parking::new());
        let room = parking.clone();
        let queue = Arc::new(Queue::new(1, Box::new(move || room.wake())));
        queue.try_push(0).unwrap();
        let consumer = thread::spawn({
            let queue = queue.clone();
            move || queue.abandon()
        });
        let handed = std::cell::Cell::new(false);
        run_core(
            &parking,
            || {
                handed.set(queue.try_push(1).is_ok());
                handed.get()
            },
            || !queue.ask_room(),
            || handed.get(),
        );
        consumer.join().unwrap();
    });
}

/// A consumer that polls: wakes its thread.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn loom_an_async_consumer_gets_every_item_and_the_end() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(2, Box::new(|| ())));
        let pusher = thread::spawn({
            let queue = queue.clone();
            move || {
                queue.try_push(5).unwrap();
                queue.finish();
            }
        });
        let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut taken = Vec::new();
        loop {
            match queue.poll_pop(&mut context) {
                Poll::Ready(Some(item)) => taken.push(item),
                Poll::Ready(None) => break,
                Poll::Pending => thread::park(),
            }
        }
        assert_eq!(taken, [5]);
        pusher.join().unwrap();
    });
}
