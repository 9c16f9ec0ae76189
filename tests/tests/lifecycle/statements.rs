//! What statements answer.

use crate::support::{METRICS, STREAM, engine, p, push, query};
use expect_test::{Expect, expect};
use raympp_engine::{Answer, Engine, Error, ManualClock, Value};
use raympp_tests::job::{DEADLINE, rows_of};
use std::time::Duration;

fn answers(engine: &Engine, sql: &str) -> String {
    let text = |answer: Answer| match answer {
        Answer::Done(text) => format!("done: {text}\n"),
        Answer::Text(text) => text,
        Answer::Names(names) => format!("names: {}\n", names.join(", ")),
        Answer::Rows { rows, .. } => raympp_testkit::rows::pretty(&rows),
    };
    match engine.execute(sql) {
        Ok(answers) => answers.into_iter().map(text).collect(),
        Err(error) => format!("error: {error}\n"),
    }
}

fn check(engine: &Engine, sql: &str, expected: Expect) {
    expected.assert_eq(&answers(engine, sql));
}

#[test]
fn names_come_and_go() {
    let engine = Engine::builder().threads(1).build().expect("options");
    check(
        &engine,
        "SHOW STREAMS; SHOW METRICS; SHOW SINKS",
        expect![[r#"
        names: 
        names: 
        names: 
    "#]],
    );
    check(
        &engine,
        &format!("{STREAM}{METRICS}"),
        expect![[r#"
        done: CREATE STREAM p
        done: CREATE METRIC total
        done: CREATE METRIC windows
    "#]],
    );
    check(
        &engine,
        "SHOW STREAMS; SHOW METRICS; SHOW SINKS",
        expect![[r#"
        names: p
        names: total, windows
        names: 
    "#]],
    );
    check(
        &engine,
        STREAM,
        expect![[r#"
        error: error at line 1, column 15: stream "p" already exists
          1 | CREATE STREAM p (k VARCHAR, n BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '1 second');
            |               ^
    "#]],
    );
    check(
        &engine,
        "CREATE STREAM IF NOT EXISTS p (x BIGINT)",
        expect![[r#"
        done: stream "p" already exists, skipped
    "#]],
    );
    check(
        &engine,
        "CREATE METRIC IF NOT EXISTS total AS SELECT COUNT(*) AS other FROM p",
        expect![[r#"
        done: metric "total" already exists, skipped
    "#]],
    );
    check(
        &engine,
        "DROP STREAM p",
        expect![[r#"
        error: error at line 1, column 13: stream "p" is used by metric "total", metric "windows"; drop those first
          1 | DROP STREAM p
            |             ^
    "#]],
    );
    check(
        &engine,
        "DROP METRIC total; DROP METRIC IF EXISTS total; SHOW METRICS",
        expect![[r#"
        done: DROP METRIC total
        done: metric "total" does not exist, skipped
        names: windows
    "#]],
    );
    check(
        &engine,
        "DROP METRIC total",
        expect![[r#"
        error: error at line 1, column 13: metric "total" does not exist
          1 | DROP METRIC total
            |             ^^^^^
    "#]],
    );
    check(
        &engine,
        "DROP METRIC windows; DROP STREAM p; SHOW STREAMS",
        expect![[r#"
        done: DROP METRIC windows
        done: DROP STREAM p
        names: 
    "#]],
    );
}

#[test]
fn things_are_described() {
    let engine = engine();
    check(
        &engine,
        "DESCRIBE p",
        expect![[r#"
        stream p
          column     k VARCHAR
          column     n BIGINT
          column     t TIMESTAMP
          watermark  t - 00:00:01
          disconnect 00:00:30
          bad rows   skip
    "#]],
    );
    check(
        &engine,
        "DESCRIBE windows",
        expect![[r#"
        metric windows on stream p
          window     TUMBLE size 00:00:01, on t
          slices     00:00:01
          key        k VARCHAR = k
          aggregate  COUNT(*) BIGINT
          output     k VARCHAR = k
          output     a DOUBLE PRECISION = extract(epoch FROM window_start)
          output     c BIGINT = COUNT(*)
          retention  00:00:01
    "#]],
    );
    check(
        &engine,
        "EXPLAIN windows",
        expect![[r#"
        metric windows
          stream       p, out of order by up to 00:00:01
          filter       none
          keys         k VARCHAR
          window       TUMBLE size 00:00:01
          slices       00:00:01 wide, 1 to a window
          shared with  no other metric
          bytes        8 per group and slice, rows included
          having       none
          output       k VARCHAR = k
          output       a DOUBLE PRECISION = extract(epoch FROM window_start)
          output       c BIGINT = COUNT(*)
          retention    00:00:01
          partitions   3 of 256 key groups
    "#]],
    );
    check(
        &engine,
        "EXPLAIN CREATE METRIC z AS SELECT k, COUNT(*) AS c, SUM(n) AS s, COUNT(DISTINCT n) AS d
         FROM HOP(p, t, INTERVAL '1 second', INTERVAL '1 minute') WHERE n > 0 GROUP BY k, window_start; SHOW METRICS",
        expect![[r#"
            metric z
              stream       p, out of order by up to 00:00:01
              filter       n > 0
              keys         k VARCHAR
              window       HOP slide 00:00:01, size 00:01:00
              slices       00:00:01 wide, 60 to a window
              shared with  no other metric
              accumulator  nulls(n), 8 bytes, inverts, used by z
              accumulator  sum(n), 8 bytes while sums fit 64 bits, inverts, used by z
              accumulator  multiset(n), a pointer to at most 136 bytes + 67 per distinct value, inverts, used by z
              bytes        32 per group and slice, rows included, beside what pointers point to
              having       none
              output       k VARCHAR = k
              output       c BIGINT = COUNT(*)
              output       s DECIMAL(38,0) = SUM(n)
              output       d BIGINT = COUNT(DISTINCT n)
              retention    00:01:00
              partitions   3 of 256 key groups
            names: total, windows
        "#]],
    );
    check(
        &engine,
        "EXPLAIN SELECT c FROM windows WHERE live AND k = 'a'",
        expect![[r#"
        select from metric windows
          look-up    ('a')
          where      live AND k = 'a'
          output     c BIGINT = c
    "#]],
    );
    assert_eq!(engine.explain("windows").expect("the metric"), answers(&engine, "EXPLAIN windows"));
    check(
        &engine,
        "DESC p_late",
        expect![[r#"
        late rows of stream p
          column     k VARCHAR
          column     n BIGINT
          column     t TIMESTAMP
    "#]],
    );
    assert_eq!(answers(&engine, "DESC windows"), answers(&engine, "DESCRIBE windows"));
    assert!(matches!(engine.explain("nothing"), Err(Error::Unknown(_))));
}

/// EXPLAIN of a metric to be says what EXPLAIN of it says once it is there: before the first row, and while rows flow.
#[test]
fn a_metric_is_explained_before_it_is_made() {
    const Z: &str = "CREATE METRIC z AS SELECT k, COUNT(*) AS c, APPROX_MEDIAN(n) AS m FROM HOP(p, t, INTERVAL '1 second', INTERVAL '5 seconds') GROUP BY k, window_end";
    for running in [false, true] {
        for with in ["", " WITH (backfill = true)"] {
            let engine = engine();
            let writer = (running && with.is_empty()).then(|| engine.writer("p").expect("a writer"));
            let planned = answers(&engine, &format!("EXPLAIN {Z}{with}"));
            assert_eq!(answers(&engine, "SHOW METRICS"), "names: total, windows\n");
            engine.execute(&format!("{Z}{with}")).expect("a right script");
            assert_eq!(planned, answers(&engine, "EXPLAIN z"), "running: {running}{with}");
            assert!(planned.contains("ddsketch(CAST(n AS DOUBLE PRECISION)), a pointer to at most "), "{planned}");
            // Another metric of the name is explained as it would be.
            assert!(answers(&engine, &format!("EXPLAIN {}", Z.replace("5 seconds", "7 seconds"))).contains("size 00:00:07"));
            drop(writer);
        }
    }
}

#[test]
fn selects_read_metrics() {
    let engine = engine();
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5), p("b", 2, 0.75), p("a", 3, 1.5), p("c", 4, 3.5), p("a", 5, 3.6), p("a", 6, 2.6)]);
    check(
        &engine,
        "SELECT * FROM total",
        expect![[r#"
        c | s  | closed | live
        --+----+--------+-----
        6 | 21 | false  | true
    "#]],
    );
    check(
        &engine,
        "SELECT k, c FROM windows WHERE live",
        expect![[r#"
        k | c
        --+--
        a | 1
        c | 1
    "#]],
    );
    check(
        &engine,
        "SELECT k, c FROM windows WHERE live AND k = 'a'",
        expect![[r#"
        k | c
        --+--
        a | 1
    "#]],
    );
    check(
        &engine,
        "SELECT k, a, c, live FROM windows WHERE NOT closed",
        expect![[r#"
        k | a | c | live
        --+---+---+------
        a | 2 | 1 | false
        a | 3 | 1 | true
        c | 3 | 1 | true
    "#]],
    );
    check(
        &engine,
        "SELECT COUNT(*) AS n, MAX(a) AS latest FROM windows",
        expect![[r#"
        n | latest
        --+-------
        4 | 3
    "#]],
    );
    check(
        &engine,
        "SELECT k, SUM(c) AS n FROM windows WHERE NOT closed GROUP BY k HAVING SUM(c) > 1",
        expect![[r#"
        k | n
        --+--
        a | 2
    "#]],
    );
    check(
        &engine,
        "SELECT nothing FROM windows",
        expect![[r#"
        error: error at line 1, column 8: column "nothing" does not exist
          1 | SELECT nothing FROM windows
            |        ^^^^^^^
    "#]],
    );
    check(
        &engine,
        "SELECT k FROM p",
        expect![[r#"
        error: error at line 1, column 15: "p" is a stream, and its rows are not kept; a SELECT reads a metric: CREATE METRIC … AS SELECT … first
          1 | SELECT k FROM p
            |               ^
    "#]],
    );
    let ordered = rows_of(engine.execute("SELECT k, a FROM windows WHERE NOT closed ORDER BY a DESC, k LIMIT 2").expect("a right script"));
    let column =
        |name: &str| format!("{:?}", arrow::util::display::array_value_to_string(ordered.column_by_name(name).unwrap(), 0).unwrap());
    assert_eq!([column("k"), column("a")], ["\"a\"", "\"3.0\""]);
    assert!(matches!(engine.query("SHOW METRICS"), Err(Error::Refused(_))));
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    assert_eq!(query(&engine, "SELECT COUNT(*) AS n FROM windows WHERE NOT closed"), ["0"]);
}

#[test]
fn an_answer_says_how_stale_it_can_be() {
    let clock = ManualClock::new(1_000_000);
    let engine = Engine::builder().threads(1).partitions(2).clock(clock.clone()).build().expect("options");
    engine.execute(&format!("{STREAM}{METRICS}")).expect("a right script");
    let age = |sql: &str| match &engine.execute(sql).expect("a SELECT")[..] {
        [Answer::Rows { age_us, .. }] => *age_us,
        other => panic!("{other:?}"),
    };
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5)]);
    let metric = engine.metric("windows").expect("the metric");
    let row = metric.get(&[Value::from("a")]).expect("a key").expect("the live window");
    assert_eq!((row.as_of_us(), metric.staleness_us(), age("SELECT * FROM windows")), (1_000_000, 0, 0));
    // Less than the time to the next barrier: nobody hears of anything.
    clock.advance(Duration::from_micros(70));
    assert_eq!((metric.staleness_us(), age("SELECT * FROM windows"), age("SELECT c FROM windows WHERE k = 'a' AND live")), (70, 70, 70));
    assert_eq!(row.as_of_us(), 1_000_000);
    push(&writer, &[p("b", 1, 0.5)]);
    assert_eq!((metric.staleness_us(), age("SELECT * FROM windows")), (0, 0), "every partition hears of every row");
    let later = metric.get(&[Value::from("a")]).expect("a key").expect("the live window");
    assert_eq!((later.as_of_us(), &later), (1_000_070, &row), "the same row, later");
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    clock.advance(Duration::from_secs(5));
    assert_eq!((metric.staleness_us(), age("SELECT * FROM windows")), (0, 0), "nothing is missing");
}

#[test]
fn answers_come_in_order_of_the_script() {
    let engine = Engine::builder().threads(1).build().expect("options");
    let sql = "CREATE STREAM g (channel VARCHAR, event_time TIMESTAMP) WITH (connector = 'payments', rows = 5000);
        CREATE METRIC m AS SELECT COUNT(*) AS c FROM g; SELECT c FROM m; SHOW METRICS; SELECT c + 1 AS d FROM m; DESCRIBE g; SHOW STREAMS;";
    let deferred = engine.execute_deferred(sql).expect("a right script");
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    let answers = deferred.finish(&engine).expect("answers");
    let kinds = answers.iter().map(|answer| match answer {
        Answer::Rows { rows, age_us: 0 } => rows.schema_ref().field(0).name().clone(),
        Answer::Names(names) => names.concat(),
        Answer::Text(text) => text.lines().next().unwrap_or("").to_owned(),
        other => format!("{other:?}"),
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["c", "m", "d", "stream g", "g"]);
}

#[test]
fn a_select_of_an_endless_input_is_refused_where_it_would_wait() {
    let engine = Engine::builder().threads(1).build().expect("options");
    let stream = |options: &str| {
        format!(
            "CREATE STREAM g (channel VARCHAR, event_time TIMESTAMP, WATERMARK FOR event_time AS event_time) WITH (connector = 'payments'{options});"
        )
    };
    let rest = "CREATE METRIC m AS SELECT COUNT(*) AS c FROM g; SHOW METRICS; SELECT c FROM m;";
    for sql in [format!("{}{rest}", stream("")), format!("{STREAM}{METRICS} SELECT c FROM total")] {
        match engine.execute_deferred(&sql) {
            Err(Error::Sql(error)) => {
                assert!(error.message.contains("never ends") && error.column > 1, "{error}")
            }
            other => panic!("{:?}", other.map(|_| ())),
        }
    }
    assert_eq!(engine.stats().streams.len(), 0, "nothing has taken effect");
    let deferred = engine.execute_deferred(&format!("{}{rest}", stream(", rows = 5000"))).expect("this one ends");
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    let answers = deferred.finish(&engine).expect("an answer");
    assert!(matches!(&answers[..], [Answer::Names(names), Answer::Rows { .. }] if names == &["m"]), "{answers:?}");
    assert_eq!(raympp_testkit::rows::rows_sorted(&[rows_of(answers)]), ["c=BigInt(5000)"]);
}
