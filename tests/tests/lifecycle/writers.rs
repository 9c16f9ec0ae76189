//! Writers: in order, without loss, pushed back when the engine is behind, ended or shut down.

use crate::support::{METRICS, SECOND, STREAM, count, engine, engine_of, lines, p, push, query, stats, total};
use arrow::array::{
    ArrayRef, Date64Array, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::datatypes::Int32Type;
use raympp_engine::{Engine, Error, Writer};
use raympp_tests::job::{DEADLINE, Shape, drain};
use std::collections::HashMap;
use std::sync::Arc;

#[test]
fn a_look_up_shows_the_live_window() {
    let engine = engine_of(&format!(
        "{STREAM} CREATE METRIC hop AS SELECT k, COUNT(*) AS c FROM HOP(p, t, INTERVAL '1 second', INTERVAL '10 seconds') GROUP BY k, window_start, window_end;"
    ));
    let metric = engine.metric("hop").expect("the metric");
    assert_eq!((count(&metric, &["a"]), metric.highest_event_time_us()), (None, i64::MIN));
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5), p("a", 1, 5.5), p("b", 1, 9.5)]);
    assert_eq!([count(&metric, &["a"]), count(&metric, &["b"]), count(&metric, &["c"])], [Some(2), Some(1), None]);
    push(&writer, &[p("b", 1, 12.2)]);
    assert_eq!([count(&metric, &["a"]), count(&metric, &["b"])], [Some(1), Some(2)]);
    push(&writer, &[p("b", 1, 100.0)]);
    assert_eq!([count(&metric, &["a"]), count(&metric, &["b"])], [None, Some(1)]);
    assert_eq!((metric.live_rows().len(), metric.highest_event_time_us()), (1, 100 * SECOND));
    assert!(matches!(metric.get(&[]), Err(Error::Refused(_))));
    assert!(matches!(metric.get(&[raympp_engine::Value::BigInt(1)]), Err(Error::Refused(_))));
}

#[test]
fn finish_closes_windows_and_shutdown_closes_none() {
    for finish in [true, false] {
        let engine = engine();
        let subscription = engine.metric("windows").expect("the metric").subscribe();
        let metric = engine.metric("windows").expect("the metric");
        let writer = engine.writer("p").expect("a writer");
        push(&writer, &[p("a", 1, 0.5), p("a", 2, 0.6), p("a", 2, 1.7)]);
        if finish {
            writer.finish();
            assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
            engine.shutdown().expect("a clean shutdown");
            assert_eq!(lines(&drain(subscription)), ["a 0 2", "a 1 1"]);
        } else {
            engine.shutdown().expect("a clean shutdown");
            assert!(matches!(writer.push(&p("a", 1, 1.0)), Err(Error::ShutDown)));
            writer.flush().expect("all of it is applied");
            assert_eq!(lines(&drain(subscription)), [""; 0]);
            assert_eq!(count(&metric, &["a"]), Some(1), "what was applied can still be read");
        }
    }
}

#[test]
fn a_shutdown_loses_no_row_that_was_accepted() {
    for round in 0..60 {
        let engine = engine();
        let metric = engine.metric("total").expect("the metric");
        let writers: Vec<_> = (0..3).map(|_| engine.writer("p").expect("a writer")).collect();
        for writer in &writers {
            (0..round).for_each(|n| writer.push(&p("a", n, n as f64)).expect("a row"));
        }
        engine.shutdown().expect("a clean shutdown");
        assert_eq!(count(&metric, &[]).unwrap_or(0), 3 * round, "round {round}");
    }
}

/// A subscription that nobody reads holds the stream, so the writer's queue fills up; when it is read, everything arrives.
#[test]
fn a_full_queue_pushes_back_and_loses_nothing() {
    let engine = Engine::builder().threads(1).flush_rows(1).build().expect("options");
    let metric =
        "CREATE METRIC windows AS SELECT window_end, COUNT(*) AS c FROM TUMBLE(p, t, INTERVAL '1 millisecond') GROUP BY window_end;";
    engine.execute(&format!("{STREAM}{metric}")).expect("a right script");
    let subscription = engine.metric("windows").expect("the metric").subscribe();
    let writer = engine.writer("p").expect("a writer");
    let batch = |number: i64| {
        let times = TimestampMicrosecondArray::from_iter_values((0..1000).map(|row| (number * 1000 + row) * 1000));
        RecordBatch::try_from_iter([("t", Arc::new(times) as _)]).expect("a column")
    };
    let mut pushed = 0;
    loop {
        // The engine may be slower than the writer: full is not yet held.
        let held = stats(&engine).held;
        match writer.try_push_batch(&batch(pushed)) {
            Ok(()) => pushed += 1,
            Err(_) if held => break,
            Err(_) => std::thread::yield_now(),
        }
    }
    assert!(matches!(writer.try_push_batch(&batch(pushed)), Err(Error::Full)));
    let row = p("a", 1, pushed as f64);
    let one_by_one = (0..1001).take_while(|_| writer.try_push(&row).is_ok()).count() as i64;
    assert!(one_by_one < 1000 && matches!(writer.try_push(&row), Err(Error::Full)));
    assert!(Error::Full.is_retryable() && stats(&engine).held);
    let closed = std::thread::scope(|scope| {
        let reader = scope.spawn(|| drain(subscription));
        writer.push_batch(&batch(pushed)).expect("it waits for room");
        writer.finish();
        reader.join().expect("the subscription is read")
    });
    assert_eq!(closed.iter().map(RecordBatch::num_rows).sum::<usize>() as i64, (pushed + 1) * 1000);
    assert_eq!((stats(&engine).rows as i64, stats(&engine).held), (1000 * (pushed + 1) + one_by_one, false));
}

/// What a writer's queue holds while results hold the stream back is not lost either.
#[test]
fn a_shutdown_of_a_stream_that_is_held_loses_nothing() {
    let engine = Engine::builder().threads(2).partitions(3).flush_rows(1).build().expect("options");
    let windows =
        "CREATE METRIC windows AS SELECT window_end, COUNT(*) AS c FROM TUMBLE(p, t, INTERVAL '1 millisecond') GROUP BY window_end;";
    engine.execute(&format!("{STREAM}{METRICS}").replace("CREATE METRIC windows", "CREATE METRIC others")).expect("a right script");
    let writer = engine.writer("p").expect("a writer");
    // Of a metric that is added while the stream runs, each window comes by itself: more than the queue takes.
    engine.execute(windows).expect("a right script");
    let subscription = engine.metric("windows").expect("the metric").subscribe();
    let metric = engine.metric("total").expect("the metric");
    let times = TimestampMicrosecondArray::from_iter_values((0..40_000).map(|row| row * 1000));
    let batch = RecordBatch::try_from_iter([("t", Arc::new(times) as _)]).expect("a column");
    writer.push_batch(&batch).expect("the queue takes any first batch");
    while !stats(&engine).held {
        std::thread::yield_now();
    }
    engine.shutdown().expect("a clean shutdown");
    assert_eq!(count(&metric, &[]), Some(40_000));
    assert_eq!(drain(subscription).iter().map(RecordBatch::num_rows).sum::<usize>(), 39_000 - 1);
}

#[test]
fn a_writer_that_joins_later_starts_at_the_frontier() {
    let engine = engine();
    let subscription = engine.metric("windows").expect("the metric").subscribe();
    let first = engine.writer("p").expect("a writer");
    push(&first, &[p("a", 1, 50.0), p("a", 1, 100.0)]);
    let second = engine.writer("p").expect("a writer");
    push(&second, &[p("b", 1, 98.9), p("b", 1, 99.0), p("b", 1, 99.5)]);
    push(&first, &[p("a", 1, 200.0)]);
    assert_eq!((stats(&engine).late, stats(&engine).windows_closed), (1, 1), "the second holds windows open");
    push(&second, &[p("b", 1, 99.2)]);
    first.finish();
    second.finish();
    assert_eq!(lines(&drain(subscription)), ["a 100 1", "a 200 1", "a 50 1", "b 99 3"]);
    assert_eq!((stats(&engine).late, stats(&engine).rows), (1, 7));
}

/// Two writers are open, so the end of one does not complete the stream, however soon it comes.
#[test]
fn an_open_writer_keeps_the_stream_open() {
    for round in 0..60 {
        let engine = engine();
        let first = engine.writer("p").expect("a writer");
        let second = engine.writer("p").expect("a writer");
        first.finish();
        push(&second, &[p("a", round, 5.0), p("a", round, 4.5)]);
        second.finish();
        assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
        assert_eq!((total(&engine), stats(&engine).late, stats(&engine).windows_closed), (2, 0, 2), "round {round}");
    }
}

/// A writer that is opened while the last other one ends either takes part or is refused.
#[test]
fn a_complete_stream_refuses_writers() {
    for round in 0..60 {
        let engine = engine();
        let first = engine.writer("p").expect("a writer");
        first.push(&p("a", round, 5.0)).expect("a row");
        first.finish();
        let rows = match engine.writer("p") {
            Ok(second) => {
                push(&second, &[p("a", round, 6.0)]);
                second.finish();
                2
            }
            Err(Error::Refused(message)) => {
                assert!(message.contains("complete"), "{message}");
                1
            }
            Err(other) => panic!("{other}"),
        };
        assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
        assert!(matches!(engine.writer("p"), Err(Error::Refused(_))), "it is complete");
        assert_eq!((total(&engine), stats(&engine).late, stats(&engine).windows_closed), (rows, 0, rows as u64), "round {round}");
        assert_eq!(stats(&engine).rows, rows as u64);
    }
}

#[test]
fn rows_and_batches_that_do_not_fit_are_refused() {
    let engine =
        engine_of("CREATE STREAM p (k VARCHAR, n SMALLINT, t TIMESTAMP); CREATE METRIC total AS SELECT COUNT(*) AS c, SUM(n) AS s FROM p;");
    let writer = engine.writer("p").expect("a writer");
    let message = |result: raympp_engine::Result<()>| match result {
        Err(error @ Error::Row { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(message(writer.push(&p("a", 40_000, 0.0))), "a row for stream p does not fit: column n: 40000 does not fit SMALLINT");
    assert!(message(writer.push(&7)).contains("a row is a struct or a map"));
    let wide = RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1, 40_000])) as _)]).expect("a column");
    assert!(message(writer.push_batch(&wide)).contains("column n: the batch has Int32, the stream Int16"));
    let text = RecordBatch::try_from_iter([("n", Arc::new(StringArray::from(vec!["1"])) as _)]).expect("a column");
    assert!(message(writer.push_batch(&text)).contains("column n: the batch has Utf8"));
    let numbered: DictionaryArray<Int32Type> = DictionaryArray::new(vec![0].into(), Arc::new(Int64Array::from(vec![1])));
    let numbered = RecordBatch::try_from_iter([("k", Arc::new(numbered) as _)]).expect("a column");
    assert!(message(writer.push_batch(&numbered)).contains("column k: the batch has Dictionary(Int32, Int64), the stream Utf8"));
    for (row, found) in [("a sequence", message(writer.push(&[1, 2][..]))), ("a tuple", message(writer.push(&(1, "a"))))] {
        assert!(found.ends_with(&format!("a row is a struct or a map with a field per column; found {row}")), "{found}");
    }
    for (cell, found) in [
        ("a sequence", message(writer.push(&HashMap::from([("k", vec![1])])))),
        ("a tuple", message(writer.push(&HashMap::from([("k", (1, 2))])))),
        ("a map", message(writer.push(&HashMap::from([("k", HashMap::from([("a", 1)]))])))),
        ("an enum with contents", message(writer.push(&HashMap::from([("k", Ok::<u8, u8>(1))])))),
    ] {
        assert!(found.ends_with(&format!("a column holds a number, a string, bytes, a boolean or nothing; found {cell}")), "{found}");
    }
    let times = TimestampMicrosecondArray::from(vec![0, 0]);
    let fits = RecordBatch::try_from_iter([("other", Arc::new(Int64Array::from(vec![1, 2])) as _), ("t", Arc::new(times) as _)]);
    let fits = fits.expect("columns");
    writer.push_batch(&fits).expect("columns that are missing are NULL, those that are not the stream's are ignored");
    writer.push(&p("a", 7, 0.0)).expect("a row");
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    assert_eq!(query(&engine, "SELECT c, s FROM total"), ["3 7"]);
}

/// Windows of a microsecond show to which one each row's time was rounded.
#[test]
fn timestamps_of_any_unit_are_rounded_down() {
    let engine = engine_of(
        "CREATE STREAM p (t TIMESTAMPTZ, WATERMARK FOR t AS t - INTERVAL '1 hour');
         CREATE METRIC m WITH (retention = '1 hour') AS SELECT window_start, COUNT(*) AS c
         FROM TUMBLE(p, t, INTERVAL '0.000001 seconds') GROUP BY window_start;",
    );
    let writer = engine.writer("p").expect("a writer");
    let batch = |times: ArrayRef| RecordBatch::try_from_iter([("t", times)]).expect("a column");
    let batches: [ArrayRef; 4] = [
        Arc::new(TimestampSecondArray::from(vec![-1])),
        Arc::new(TimestampMillisecondArray::from(vec![-1]).with_timezone("+02:00")),
        Arc::new(TimestampMicrosecondArray::from(vec![-1, 1]).with_timezone("Europe/Vienna")),
        Arc::new(TimestampNanosecondArray::from(vec![-1_001, -1_000, -999, -1, 0, 999, 1_000])),
    ];
    for times in batches {
        writer.push_batch(&batch(times)).expect("timestamps");
    }
    let refused = |times: ArrayRef| writer.push_batch(&batch(times)).expect_err("out of range").to_string();
    assert_eq!(
        refused(Arc::new(TimestampSecondArray::from(vec![0, i64::MAX / 1_000_000 + 1]))),
        "a row for stream p does not fit: column t: row 1: 9223372036855 seconds since 1970 are more than microseconds can count"
    );
    assert_eq!(
        refused(Arc::new(TimestampMillisecondArray::from(vec![i64::MIN]))),
        "a row for stream p does not fit: column t: row 0: -9223372036854775808 milliseconds since 1970 are more than microseconds can count"
    );
    assert!(refused(Arc::new(Date64Array::from(vec![0]))).contains("column t: the batch has Date64, the stream Timestamp"));
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    let rows = query(&engine, "SELECT ROUND(EXTRACT(EPOCH FROM window_start) * 1000000) AS us, c FROM m");
    assert_eq!(rows, ["-1 4", "-1000 1", "-1000000 1", "-2 1", "0 2", "1 2"]);
}

#[test]
fn writers_of_many_threads_all_count() {
    let engine = Shape { threads: 2, partitions: 3, flush_rows: 1000, replicas: 2 }.engine();
    engine.execute(&format!("{STREAM}{METRICS}")).expect("a right script");
    let writers: Vec<Writer> = std::thread::scope(|scope| {
        let open = || {
            let writer = engine.writer("p").expect("a writer");
            (0..500).for_each(|n| writer.push(&p("a", n, 1000.0)).expect("a row"));
            writer.flush().expect("rows are taken");
            writer
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a writer's thread")).collect()
    });
    assert_eq!((total(&engine), stats(&engine).late), (4000, 0));
    writers.into_iter().for_each(Writer::finish);
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    assert_eq!(query(&engine, "SELECT * FROM windows"), ["a 1000 4000 true true"]);
}
