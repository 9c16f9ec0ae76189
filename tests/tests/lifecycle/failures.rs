//! What goes wrong: bad rows as the stream says, scripts that take no effect, jobs that fail and let go of everybody.

use crate::support::{METRICS, STREAM, engine, engine_of, p, push, query, stats, total, without_time};
use raympp_engine::{Engine, Error, Value};
use raympp_tests::directory::Directory;
use raympp_tests::job::DEADLINE;

fn with_bad_rows(option: &str) -> String {
    let metric = "CREATE METRIC shares AS SELECT k, SUM(100 / n) AS s FROM p GROUP BY k;";
    format!("{} WITH (bad_rows = '{option}');{METRICS}{metric}", STREAM.trim_end_matches(';'))
}

#[test]
fn bad_rows_are_counted_and_skipped() {
    let engine = engine_of(&with_bad_rows("skip"));
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 5.0), without_time("a"), p("a", 0, 6.0), p("b", 0, 7.0), p("a", 2, 6.0)]);
    let bad = |name: &str| stats(&engine).metrics.iter().find(|metric| metric.name == name).expect("the metric").bad;
    assert_eq!((stats(&engine).rows, stats(&engine).bad, stats(&engine).late), (5, 1, 0));
    assert_eq!([bad("total"), bad("windows"), bad("shares")], [0, 0, 2]);
    assert_eq!(query(&engine, "SELECT * FROM shares"), ["a 150 false true"]);
    assert_eq!(total(&engine), 4);
}

#[test]
fn a_row_is_counted_once_wherever_it_is_counted() {
    let more = "CREATE METRIC ratios AS SELECT SUM(1 / n) AS s FROM p WHERE k <> 'c';
                CREATE METRIC high AS SELECT k, SUM(n)::SMALLINT AS s FROM TUMBLE(p, t, INTERVAL '1 second') GROUP BY k, window_start, window_end;";
    let engine = engine_of(&format!("{}{more}", with_bad_rows("skip")));
    let subscription = engine.metric("high").expect("the metric").subscribe();
    let windows = engine.metric("windows").expect("the metric").subscribe();
    let writer = engine.writer("p").expect("a writer");
    // Row 2 is bad for two metrics, row 3, whose key c one of them leaves out, for one.
    let rows = [p("a", 1, 5.0), without_time("a"), p("a", 0, 5.0), p("c", 0, 5.0), p("b", 40_000, 5.0), p("b", 1, 2.0)];
    push(&writer, &rows);
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    assert_eq!(raympp_tests::job::drain(subscription).iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 3);
    assert_eq!(raympp_tests::job::drain(windows).iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 3);
    let stats = stats(&engine);
    let split = &stats.splits[0];
    assert_eq!((split.rows, split.late, split.bad, split.bad_for_metrics), (6, 1, 1, 2));
    assert_eq!((stats.rows, stats.late, stats.bad, stats.bad_for_metrics, stats.overflowed), (6, 1, 1, 2, 1));
    let of = |name: &str| stats.metrics.iter().find(|metric| metric.name == name).expect("the metric");
    let counts = |name: &str| (of(name).rows, of(name).bad, of(name).results, of(name).overflowed);
    assert_eq!(counts("total"), (4, 0, 0, 0));
    assert_eq!(counts("windows"), (4, 0, 3, 0));
    assert_eq!(counts("shares"), (2, 2, 0, 0));
    assert_eq!(counts("ratios"), (2, 1, 0, 0));
    assert_eq!(counts("high"), (4, 0, 3, 1));
    assert!(of("shares").keys >= 2 && of("shares").slices > 0 && of("shares").bytes > 0);
    let partitions = |count: fn(&raympp_engine::stats::PartitionStats) -> u64| stats.partitions.iter().map(count).sum::<u64>();
    assert_eq!((partitions(|one| one.late), partitions(|one| one.bad), partitions(|one| one.keys)), (1, 1, stats.keys));
    // Metrics that share slices count a row once.
    let shared = of("windows").rows;
    assert_eq!(partitions(|one| one.rows), of("total").rows + shared + of("shares").rows + of("ratios").rows);
    assert!(stats.partitions.iter().all(|one| one.closed_us == Some(i64::MAX)), "everything has closed");
}

#[test]
fn bad_rows_are_kept_as_dead_letters() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "dead-letters");
    let csv = "k,n,t\na,1,1970-01-01 00:00:05\na,x,1970-01-01 00:00:06\n\"b,\",0,1970-01-01 00:00:07\nc,1,\n";
    let path = directory.write("in.csv", csv);
    let sql = with_bad_rows(&format!("dead_letter:{}", directory.text("bad.jsonl")));
    let engine = engine_of(&sql.replace("WITH (", &format!("WITH (connector = 'file', path = '{path}', ")));
    assert!(engine.wait_timeout(DEADLINE).expect("bad rows do not fail the job"));
    let mut letters: Vec<serde_json::Value> = directory.read("bad.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    letters.sort_by_key(|letter| letter["offset"].as_u64());
    let field = |name: &str| letters.iter().map(|letter| letter[name].to_string()).collect::<Vec<_>>();
    assert_eq!(field("offset"), ["1", "2", "3"]);
    assert_eq!([field("stream"), field("split")], [vec!["\"p\""; 3], vec!["0"; 3]]);
    assert_eq!(letters[0]["row"], "a,x,1970-01-01 00:00:06");
    assert!(letters[0]["reason"].as_str().is_some_and(|reason| reason.contains('n') && reason.contains('x')), "{}", letters[0]);
    assert!(letters[1]["row"].as_str().is_some_and(|row| row.contains("\"b,\"")), "{}", letters[1]);
    assert!(letters[1]["reason"].as_str().is_some_and(|reason| reason.contains("zero")), "{}", letters[1]);
    assert!(letters[2]["reason"].as_str().is_some_and(|reason| reason.contains("NULL")), "{}", letters[2]);
    assert_eq!((stats(&engine).bad, total(&engine)), (2, 2));
}

/// The first bad row fails the job, and nobody waits for it any longer.
#[test]
fn a_failed_job_lets_go_of_everybody() {
    for (bad, offset) in [(without_time("a"), 1), (p("a", 0, 6.0), 1)] {
        let engine = engine_of(&with_bad_rows("fail"));
        let subscription = engine.metric("windows").expect("the metric").subscribe();
        let writer = engine.writer("p").expect("a writer");
        push(&writer, &[p("a", 1, 5.0)]);
        writer.push(&bad).expect("it is accepted first");
        let is_bad_row = |error: Error| matches!(error, Error::BadRow { offset: at, .. } if at == offset);
        assert!(engine.wait_timeout(DEADLINE).is_err_and(is_bad_row));
        assert!(writer.flush().is_err_and(is_bad_row), "it would never be applied");
        let refused = (0..1_000_000).find_map(|n| writer.push(&p("a", n, 5.0)).err());
        assert!(refused.is_some_and(is_bad_row), "nobody takes rows any more");
        assert!(engine.failure().is_some_and(is_bad_row));
        assert_eq!(raympp_tests::job::drain(subscription).len(), 0, "a subscription ends with the job");
        assert!(engine.shutdown().is_err_and(is_bad_row));
    }
}

#[test]
fn a_script_takes_effect_as_a_whole_or_not_at_all() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), "whole-scripts");
    let engine = engine();
    let writer = engine.writer("p").expect("a writer");
    let path = directory.text("later.csv");
    let stream = format!("CREATE STREAM f (k VARCHAR, t TIMESTAMP, WATERMARK FOR t AS t) WITH (connector = 'file', path = '{path}');");
    let metrics =
        "CREATE METRIC fk AS SELECT k, COUNT(*) AS c FROM f GROUP BY k; CREATE METRIC pk AS SELECT k, COUNT(*) AS c FROM p GROUP BY k;";
    let sink = |path: &str| format!("CREATE SINK out FROM fk EMIT ON UPDATE WITH (connector = 'file', path = '{path}');");
    directory.write("a-file", "");
    let good = format!("{stream}{metrics}{}", sink(&directory.text("out")));
    let wrong = format!("{stream}{metrics}CREATE METRIC bad AS SELECT nothing FROM p;");
    assert!(matches!(engine.execute(&wrong), Err(Error::Sql(_))));
    let missing = engine.execute(&good).map(|_| ()).expect_err("the input is not there");
    assert!(matches!(missing, Error::Source { .. }), "{missing}");
    directory.write("later.csv", "k,t\na,1970-01-01\nb,1970-01-01\n");
    let no_sink = format!("{stream}{metrics}{}", sink(&directory.text("a-file")));
    assert!(matches!(engine.execute(&no_sink), Err(Error::Sink { .. })), "a file is in the way");
    assert_eq!(engine.stats().streams.len(), 1);
    assert!(engine.metric("pk").is_err() && engine.metric("fk").is_err());
    push(&writer, &[p("a", 1, 0.5)]);
    engine.execute(&good).expect("now the same script is right");
    push(&writer, &[p("a", 1, 0.6)]);
    assert_eq!((query(&engine, "SELECT c FROM pk"), total(&engine)), (vec!["1".to_owned()], 2));
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    assert_eq!(query(&engine, "SELECT k, c FROM fk"), ["a 1", "b 1"]);
}

#[test]
fn backfill_of_a_running_stream_is_refused_without_a_trace() {
    let engine = engine();
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 0.5)]);
    let sql = "CREATE METRIC again WITH (backfill = true) AS SELECT COUNT(*) AS c FROM p";
    assert!(matches!(engine.execute(sql), Err(Error::Refused(_))));
    assert!(engine.metric("again").is_err());
    engine.execute("CREATE METRIC again AS SELECT COUNT(*) AS c FROM p").expect("the name is free");
    push(&writer, &[p("a", 1, 0.5)]);
    assert_eq!(query(&engine, "SELECT c FROM again"), ["1"]);
}

/// Whoever reads the message knows what was asked, what is wrong with it and what there is instead.
#[test]
fn refusals_name_what_where_and_what_instead() {
    let engine = engine_of(&format!("{STREAM}{METRICS}CREATE METRIC pairs AS SELECT k, n, COUNT(*) AS c FROM p GROUP BY k, n;"));
    let metric = |name: &str| engine.metric(name).map(drop);
    let pair = |key: &[Value]| engine.metric("pairs").expect("the metric").get(key).map(drop);
    let text = || Value::from("a");
    let writer = engine.writer("p").expect("a writer");
    push(&writer, &[p("a", 1, 5.0)]);
    let cases: [(raympp_engine::Result<()>, &str); 9] = [
        (metric("window"), "there is no metric window; did you mean windows?"),
        (metric("p"), "there is no metric p; that is a stream"),
        (metric("rates"), "there is no metric rates; there is pairs, total, windows"),
        (engine.writer("payments").map(drop), "there is no stream payments; there is p"),
        (Engine::builder().build().expect("an engine").metric("m").map(drop), "there is no metric m; no metric has been created"),
        (pair(&[text()]), "look-up in metric pairs: its key is (k VARCHAR, n BIGINT), so it takes 2 values, not 1"),
        (pair(&[text(), text()]), "look-up in metric pairs: n is BIGINT, which the VARCHAR a is not"),
        (engine.query("SELECT 1 / (c - 1) AS x FROM total").map(drop), "SELECT from metric total: 1 / (c - 1): division by zero"),
        (
            Engine::builder().partitions(300).key_groups(299).build().map(drop),
            "key_groups of 300 partitions must be from 300 to 65536, not 299",
        ),
    ];
    for (refused, expected) in cases {
        assert_eq!(refused.expect_err(expected).to_string(), expected);
    }
}
