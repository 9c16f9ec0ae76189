//! A script run to its end on an engine of a given shape, with all that came out of it; and what the reference says must come out.

use crate::feed::Feed;
use arrow::array::RecordBatch;
use raympp_engine::stats::StreamStats;
use raympp_engine::{Answer, Engine, EngineBuilder, Subscription, Writer};
use raympp_testkit::reference::{Reference, ReferenceMetric, SplitRows};
use raympp_testkit::rows::{difference, rows_sorted};
use raympp_testkit::script::{StreamScript, bind};
use std::time::Duration;

/// Nothing in a test takes as long: what is not there by then never comes.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// What must not show in results.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Threads.
    pub threads: usize,
    /// Partitions of the stream.
    pub partitions: u32,
    /// Most rows of a delta.
    pub flush_rows: u64,
    /// Replicas of each partition.
    pub replicas: usize,
}

impl Shape {
    /// One of everything.
    pub const ONE: Shape = Shape { threads: 1, partitions: 1, flush_rows: 4096, replicas: 1 };

    /// 1, 2, 4 threads × 1, 3, 16 partitions × flushes of 1, 7, 4096 rows × 1 or 2 replicas.
    pub fn all() -> Vec<Shape> {
        let mut shapes = Vec::new();
        for threads in [1, 2, 4] {
            for partitions in [1, 3, 16] {
                for flush_rows in [1, 7, 4096] {
                    shapes.extend([1, 2].map(|replicas| Shape { threads, partitions, flush_rows, replicas }));
                }
            }
        }
        shapes
    }

    /// An engine of this shape, with frequent barriers.
    ///
    /// # Panics
    /// If there is none.
    pub fn engine(self) -> Engine {
        self.builder().build().expect("a valid shape")
    }

    /// As [`Shape::engine`], to be given more options.
    pub fn builder(self) -> EngineBuilder {
        let builder = Engine::builder().threads(self.threads).partitions(self.partitions).replicas(self.replicas);
        builder.flush_rows(self.flush_rows).barrier_interval_us(2_000)
    }
}

/// All that comes out of a stream.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Closed windows of each metric, in order of the script: exact texts of rows, sorted.
    pub closed: Vec<Vec<String>>,
    /// What a SELECT shows of each metric at the end, `closed` and `live` included: exact texts, sorted.
    pub readable: Vec<Vec<String>>,
    /// Counters at the end.
    pub stats: StreamStats,
}

/// Feeds a stream of writers, one per split, and takes everything out.
///
/// # Panics
/// If the engine refuses or fails, or is not done in time.
pub fn run(shape: Shape, sql: &str, splits: &[SplitRows], feed: Feed) -> Outcome {
    run_on(shape.engine(), sql, splits, feed)
}

/// As [`run`], on an engine that has no stream yet.
///
/// # Panics
/// As [`run`].
pub fn run_on(engine: Engine, sql: &str, splits: &[SplitRows], feed: Feed) -> Outcome {
    engine.execute(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    let script = bind(sql);
    let subscribe = |name: &str| engine.metric(name).expect("a metric of the script").subscribe();
    let subscriptions: Vec<Subscription> = script.metrics.iter().map(|(_, plan)| subscribe(&plan.name)).collect();
    let writers: Vec<Writer> = splits.iter().map(|_| engine.writer(&script.stream.name).expect("a stream for writers")).collect();
    let closed = std::thread::scope(|scope| {
        let collectors: Vec<_> = subscriptions.into_iter().map(|one| scope.spawn(move || rows_sorted(&drain(one)))).collect();
        for (writer, split) in writers.into_iter().zip(splits) {
            scope.spawn(move || {
                feed.push(&writer, split);
                writer.finish();
            });
        }
        collectors.into_iter().map(|collector| collector.join().expect("a subscription is read")).collect()
    });
    assert!(engine.wait_timeout(DEADLINE).expect("the job does not fail"), "not done in time");
    let outcome = Outcome { closed, ..at_end(&engine, &script) };
    engine.shutdown().expect("a clean shutdown");
    outcome
}

/// What a finished engine shows; `closed` is left empty.
///
/// # Panics
/// If a metric of the script can't be read.
pub fn at_end(engine: &Engine, script: &StreamScript) -> Outcome {
    let select = |name: &str| rows_sorted(&[engine.query(&format!("SELECT * FROM {name}")).expect("a metric of the script")]);
    let stats = engine.stats().streams.into_iter().find(|stream| stream.name == script.stream.name).expect("the script's stream");
    Outcome { closed: Vec::new(), readable: script.metrics.iter().map(|(_, plan)| select(&plan.name)).collect(), stats }
}

/// Everything a subscription has until the stream is complete, or nothing more comes in time.
pub fn drain(mut subscription: Subscription) -> Vec<RecordBatch> {
    std::iter::from_fn(|| subscription.next_timeout(DEADLINE)).collect()
}

/// The one answer of rows in a script's answers.
///
/// # Panics
/// If there is none.
pub fn rows_of(answers: Vec<Answer>) -> RecordBatch {
    let rows = answers.into_iter().find_map(|answer| if let Answer::Rows { rows, .. } = answer { Some(rows) } else { None });
    rows.expect("a SELECT among the statements")
}

/// What must come out, by the dialect's definition.
///
/// # Panics
/// If the script is wrong.
pub fn expected(sql: &str, splits: &[SplitRows]) -> Reference {
    let script = bind(sql);
    let metrics: Vec<ReferenceMetric> = script.metrics.iter().map(|(_, plan)| ReferenceMetric::new(plan)).collect();
    Reference::new(&script.stream, &metrics, splits)
}

/// Compares an outcome, rows and counters, with the reference.
///
/// # Panics
/// With the first difference.
pub fn check(sql: &str, reference: &Reference, splits: &[SplitRows], outcome: &Outcome, what: &str) {
    check_counters(sql, reference, splits, &outcome.stats, what);
    for (position, (_, plan)) in bind(sql).metrics.iter().enumerate() {
        if let Some(closed) = outcome.closed.get(position)
            && let Some(difference) = difference(&reference.closed_rows(position), closed)
        {
            panic!("{what}: closed windows of {}: {difference}\n{}", plan.name, plan.definition);
        }
        let mut readable: Vec<String> = Vec::new();
        for window in reference.windows(position).windows.iter().filter(|window| reference.is_readable(position, window)) {
            let (closed, live) = (reference.is_closed(position, window), reference.is_live(position, window));
            let row = reference.result(position, window).row.as_ref();
            readable.extend(row.map(|row| format!("{row} closed=Boolean({closed}) live=Boolean({live})")));
        }
        readable.sort_unstable();
        if let Some(difference) = difference(&readable, &outcome.readable[position]) {
            panic!("{what}: SELECT from {}: {difference}\n{}", plan.name, plan.definition);
        }
    }
}

fn check_counters(sql: &str, reference: &Reference, splits: &[SplitRows], stats: &StreamStats, what: &str) {
    let rows: u64 = splits.iter().map(SplitRows::len).sum();
    assert_eq!((stats.rows, stats.late, stats.bad), (rows, reference.late, reference.bad), "{what}: rows, late, bad");
    assert_eq!(stats.splits.iter().map(|split| split.late).sum::<u64>(), reference.late, "{what}: late rows by split");
    let broken: u64 = stats.partitions.iter().map(|partition| partition.rows_below_frontier + partition.violations).sum();
    assert_eq!(broken, 0, "{what}: invariants are broken");
    let mut windows = 0;
    for (position, (_, plan)) in bind(sql).metrics.iter().enumerate() {
        let metric = reference.windows(position);
        assert_eq!(stats.metrics[position].bad, metric.bad, "{what}: bad rows of {}", plan.name);
        if plan.window.has_bounds() {
            windows += metric.windows.len() as u64;
        }
    }
    assert_eq!(stats.windows_closed, windows, "{what}: windows closed");
    assert!(stats.complete && !stats.held, "{what}: {stats:?}");
}
