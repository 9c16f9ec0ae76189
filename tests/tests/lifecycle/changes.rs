//! Metrics that come and go while rows flow.

use crate::support::{METRICS, STREAM, count, engine, engine_of, lines, p, push, query, stats, total};
use raympp_engine::{Engine, Error, Writer};
use raympp_tests::job::{DEADLINE, Shape, drain};

const SHAPES: [Shape; 3] = [
    Shape::ONE,
    Shape { threads: 2, partitions: 3, flush_rows: 7, replicas: 2 },
    Shape { threads: 2, partitions: 16, flush_rows: 1, replicas: 1 },
];

/// Counts from there on: rows pushed before do not count, rows pushed after do; the first window is the first that starts after the
/// highest event time so far.
#[test]
fn a_metric_counts_from_its_creation() {
    for shape in SHAPES {
        for _ in 0..8 {
            let engine = shape.engine();
            engine.execute(&format!("{STREAM}{METRICS}")).expect("a right script");
            let writers: Vec<_> = (0..2).map(|_| engine.writer("p").expect("a writer")).collect();
            push(&writers[0], &[p("a", 1, 0.5), p("a", 1, 10.2)]);
            push(&writers[1], &[p("b", 1, 9.8)]);
            let later = METRICS.replace("total", "later_total").replace("windows", "later_windows");
            engine.execute(&later).expect("a right script");
            let metrics = ["later_total", "later_windows"].map(|name| engine.metric(name).expect("the metric"));
            let subscription = metrics[1].subscribe();
            assert_eq!([count(&metrics[0], &[]), count(&metrics[1], &["a"])], [None, None]);
            push(&writers[1], &[p("a", 1, 10.1), p("b", 1, 10.9)]);
            assert_eq!([count(&metrics[0], &[]), count(&metrics[1], &["b"])], [Some(2), None], "{shape:?}");
            push(&writers[0], &[p("a", 1, 11.0), p("b", 1, 11.5), p("a", 1, 10.7)]);
            assert_eq!([count(&metrics[0], &[]), count(&metrics[1], &["b"])], [Some(5), Some(1)], "{shape:?}");
            writers.into_iter().for_each(Writer::finish);
            assert_eq!(lines(&drain(subscription)), ["a 11 1", "b 11 1"], "{shape:?}");
            assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
            assert_eq!((total(&engine), stats(&engine).late), (8, 0));
            assert_eq!(query(&engine, "SELECT c FROM later_total"), ["5"]);
        }
    }
}

/// Without a WATERMARK clause too, which rows are late depends on the rows alone: not on what other metrics there are or come to be.
#[test]
fn other_metrics_make_no_row_late() {
    const STREAM: &str = "CREATE STREAM p (k VARCHAR, n BIGINT, t TIMESTAMP);";
    const TOTAL: &str = "CREATE METRIC total AS SELECT COUNT(*) AS c, SUM(n) AS s FROM p;";
    let windows = METRICS.replace(TOTAL, "");
    for (first, later) in [("", ""), (windows.as_str(), ""), ("", windows.as_str())] {
        let engine = engine_of(&format!("{STREAM}{first}{TOTAL}"));
        let writer = engine.writer("p").expect("a writer");
        push(&writer, &[p("a", 1, 1.0), p("a", 2, 5.0), p("a", 4, 3.0)]);
        engine.execute(later).expect("a right script");
        push(&writer, &[p("a", 8, 5.0), p("a", 16, 4.9)]);
        assert_eq!(query(&engine, "SELECT c, s FROM total"), ["3 11"], "{first}{later}");
        assert_eq!(stats(&engine).late, 2);
        writer.finish();
        assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    }
}

#[test]
fn a_metric_may_be_dropped_and_made_again() {
    let engine = engine();
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5)]);
    let dropped = engine.metric("total").expect("the metric");
    let ended = dropped.subscribe();
    engine.execute("DROP METRIC total").expect("it exists");
    assert!(matches!(engine.metric("total"), Err(Error::Unknown(_))));
    assert!(engine.query("SELECT * FROM total").is_err());
    assert_eq!(drain(ended).len(), 0, "a subscription of a dropped metric ends");
    push(&writer, &[p("a", 1, 0.6)]);
    assert_eq!(count(&dropped, &[]), None, "nothing is kept of a dropped metric");
    engine.execute("CREATE METRIC total AS SELECT COUNT(*) AS c, MAX(n) AS m FROM p").expect("the name is free");
    push(&writer, &[p("a", 3, 0.7)]);
    assert_eq!(query(&engine, "SELECT c, m FROM total"), ["1 3"]);
    assert_eq!(count(&engine.metric("windows").expect("the metric"), &["a"]), Some(3), "others are not touched");
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    engine.execute("DROP METRIC windows").expect("also when all is complete");
}

#[test]
fn a_metric_on_a_complete_stream_has_nothing() {
    let engine = engine();
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5)]);
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    engine.execute("CREATE METRIC more AS SELECT COUNT(*) AS c FROM p").expect("it is allowed");
    assert_eq!(query(&engine, "SELECT c FROM more"), [""; 0]);
    assert_eq!(drain(engine.metric("more").expect("the metric").subscribe()).len(), 0);
}

/// Metrics are made and dropped by several threads while others push; those that stay count everything.
#[test]
fn changes_from_many_threads_do_not_get_lost() {
    let engine = engine();
    let writer = engine.writer("p").expect("a writer");
    let create = |engine: &Engine, number: usize| {
        engine
            .execute(&format!("CREATE METRIC m{number} AS SELECT k, COUNT(*) AS c FROM p WHERE n <> {number} GROUP BY k"))
            .expect("created");
        if number % 2 == 1 {
            engine.execute(&format!("DROP METRIC m{number}")).expect("dropped");
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let engine = &engine;
            scope.spawn(move || (0..6).for_each(|i| create(engine, thread * 6 + i)));
        }
        for n in 0..200 {
            push(&writer, &[p("b", n, n as f64)]);
            // They come and go at this moment; asking must not fail in any other way.
            let name = format!("m{}", n % 24);
            assert!(matches!(engine.metric(&name), Ok(_) | Err(Error::Unknown(_))));
            assert!(matches!(engine.query(&format!("SELECT c FROM {name}")), Ok(_) | Err(Error::Unknown(_) | Error::Sql(_))));
        }
    });
    push(&writer, &[p("a", 1, 300.0), p("a", 1, 300.0)]);
    for number in 0..24 {
        match engine.metric(&format!("m{number}")) {
            Ok(metric) => assert_eq!((number % 2, count(&metric, &["a"])), (0, Some(2)), "m{number}"),
            Err(_) => assert_eq!(number % 2, 1, "m{number} was not dropped"),
        }
    }
    assert_eq!(total(&engine), 202);
}

/// A dropped stream lets go of everybody who waits for it.
#[test]
fn a_stream_may_be_dropped_while_rows_flow() {
    let engine = engine_of(&format!("{STREAM}{METRICS}"));
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5)]);
    let subscription = engine.metric("windows").expect("the metric").subscribe();
    engine.execute("DROP METRIC total; DROP METRIC windows; DROP STREAM p;").expect("nothing else uses it");
    assert_eq!(drain(subscription).len(), 0);
    assert!(matches!(writer.push(&p("a", 1, 0.5)), Err(Error::Unknown(_))));
    assert!(matches!(writer.try_push(&p("a", 1, 0.5)), Err(Error::Unknown(_))));
    assert!(engine.writer("p").is_err());
    engine.execute(&format!("{STREAM}{METRICS}")).expect("the names are free");
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5)]);
    assert_eq!(total(&engine), 1);
}
