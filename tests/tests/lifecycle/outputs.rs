//! Where results go: subscriptions of three kinds, sinks, late rows; also when all is over.

use crate::support::{STREAM, engine, engine_of, lines, p, push, stats};
use raympp_engine::{Engine, Subscription};
use raympp_tests::directory::Directory;
use raympp_tests::job::{DEADLINE, Shape, drain};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The next rows by way of the async interface.
fn block_on_next(subscription: &mut Subscription) -> Option<arrow::array::RecordBatch> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match futures_core::Stream::poll_next(Pin::new(subscription), &mut context) {
            Poll::Ready(rows) => return rows,
            Poll::Pending => std::thread::park_timeout(DEADLINE),
        }
    }
}

#[test]
fn a_subscription_is_polled_awaited_or_waited_for() {
    let engine = engine();
    let mut subscription = engine.metric("windows").expect("the metric").subscribe();
    assert!(subscription.try_next().is_none() && subscription.next_timeout(Duration::from_millis(1)).is_none());
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5), p("a", 1, 2.5)]);
    assert_eq!(lines([&subscription.next().expect("a window closes")]), ["a 0 1"]);
    push(&writer, &[p("b", 1, 5.5)]);
    assert_eq!(lines([&block_on_next(&mut subscription).expect("a window closes")]), ["a 2 1"]);
    let late = engine.metric("windows").expect("the metric").subscribe();
    push(&writer, &[p("b", 1, 7.5)]);
    assert_eq!(lines([&subscription.next_timeout(DEADLINE).expect("a window closes")]), ["b 5 1"]);
    assert!(subscription.try_next().is_none());
    writer.finish();
    assert_eq!(lines([&block_on_next(&mut subscription).expect("a window closes")]), ["b 7 1"]);
    assert!(block_on_next(&mut subscription).is_none() && subscription.next().is_none() && subscription.try_next().is_none());
    assert_eq!(lines(&drain(late)), ["b 5 1", "b 7 1"], "from the subscription on");
}

/// A metric whose rows can be told apart.
const UPDATED: &str =
    "CREATE METRIC updated AS SELECT k, window_end, COUNT(*) AS c FROM TUMBLE(p, t, INTERVAL '1 second') GROUP BY k, window_end;";

/// A subscription or sink ends when the stream does, also if parts of the stream had ended before.
#[test]
fn consumers_that_come_late_end_too() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "late-consumers");
    for round in 0..20 {
        let engine = Shape { threads: 2, partitions: 16, flush_rows: 1000, replicas: 1 }.engine();
        engine.execute(&format!("{STREAM}{}{UPDATED}", crate::support::METRICS)).expect("a right script");
        let writer = engine.writer("p").expect("a writer");
        (0..200).for_each(|n| writer.push(&p("a", n, n as f64)).expect("a row"));
        let metric = engine.metric("windows").expect("the metric");
        writer.finish();
        while !engine.wait_timeout(Duration::ZERO).expect("no failure") {
            drop(metric.subscribe());
            let mut subscription = engine.metric("updated").expect("the metric").subscribe_updates(None).expect("rows can be told apart");
            assert!(subscription.by_ref().count() < 10_000);
        }
        assert_eq!(drain(metric.subscribe()).len(), 0);
        let path = directory.text(&format!("out-{round}"));
        engine.execute(&format!("CREATE SINK out FROM windows WITH (connector = 'file', path = '{path}')")).expect("a right sink");
        assert!(engine.wait_timeout(DEADLINE).expect("no failure"), "a sink of a complete stream is done");
        assert_eq!(directory.parts(&format!("out-{round}")).len(), 1, "with a header and no rows");
        engine.shutdown().expect("a clean shutdown");
        assert!(metric.subscribe().next().is_none(), "nothing comes after a shutdown");
    }
}

#[test]
fn a_subscription_made_after_the_shutdown_ends_at_once() {
    let engine = engine();
    engine.execute(UPDATED).expect("a right script");
    let [metric, updated] = ["windows", "updated"].map(|name| engine.metric(name).expect("the metric"));
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5)]);
    engine.shutdown().expect("a clean shutdown");
    assert!(metric.subscribe().next().is_none());
    assert!(updated.subscribe_updates(None).expect("rows can be told apart").next().is_none());
}

fn late_sink(directory: &Directory, name: &str) -> String {
    format!("CREATE SINK {name} FROM p_late WITH (connector = 'file', path = '{}');", directory.text(name))
}

#[test]
fn late_rows_can_be_kept() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "late-rows");
    let engine = engine_of(&format!("{STREAM}{}{}", crate::support::METRICS, late_sink(&directory, "first")));
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 5.0), p("b", 2, 3.9), p("a", 3, 4.0), p("c,", 4, -7.5)]);
    engine.execute(&late_sink(&directory, "second")).expect("a right sink");
    push(&writer, &[p("d", 5, 1.25)]);
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    let line = |k: &str, n: i64, t: &str| format!("{k},{n},{t}");
    let last = line("d", 5, "1970-01-01 00:00:01.250000");
    let mut lines = [directory.csv_lines("first"), directory.csv_lines("second")];
    lines.iter_mut().for_each(|lines| lines.sort_unstable());
    assert_eq!(lines[0], [line("\"c,\"", 4, "1969-12-31 23:59:52.500000"), line("b", 2, "1970-01-01 00:00:03.900000"), last.clone()]);
    assert_eq!(lines[1], [last], "from its creation on");
    assert_eq!((stats(&engine).late, stats(&engine).rows), (3, 5));
}

#[test]
fn late_rows_can_be_kept_from_some_time_on() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "late-rows-later");
    let engine = engine();
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 5.0), p("b", 2, 3.0)]);
    engine.execute(&late_sink(&directory, "sink")).expect("a right sink");
    push(&writer, &[p("c", 3, 2.0), p("d", 4, 4.5)]);
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    assert_eq!((directory.csv_lines("sink"), stats(&engine).late), (vec!["c,3,1970-01-01 00:00:02.000000".to_owned()], 2));
}

/// A sink that is dropped publishes what it has; one that is made while rows flow gets what closes from then on.
#[test]
fn sinks_come_and_go() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "sinks");
    let engine: Engine = engine();
    let sink = |name: &str| {
        let path = directory.text(name);
        engine.execute(&format!("CREATE SINK {name} FROM windows WITH (connector = 'file', path = '{path}', sorted = true)"))
    };
    sink("first").expect("a right sink");
    let mut subscription = engine.metric("windows").expect("the metric").subscribe();
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("b", 1, 0.5), p("a", 1, 0.6), p("a", 1, 2.5)]);
    let mut closed = 0;
    while closed < 2 {
        closed += subscription.next_timeout(DEADLINE).expect("windows close").num_rows();
    }
    // A sorted sink writes a window when every partition has passed it.
    while stats(&engine).partitions.iter().any(|partition| partition.closed_us < Some(1_000_000)) {
        std::thread::yield_now();
    }
    engine.execute("DROP SINK first").expect("it exists");
    assert_eq!(directory.csv_lines("first"), ["a,0,1", "b,0,1"]);
    sink("second").expect("a right sink");
    assert!(sink("second").is_err(), "the name is taken");
    assert!(engine.execute("DROP METRIC windows").is_err(), "a sink reads it");
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    assert_eq!(directory.csv_lines("second"), ["a,2,1"]);
}
