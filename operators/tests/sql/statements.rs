//! One snapshot per kind of statement, and one for scalar expressions.

use crate::scripts::{BASE, add_case, base, bind, check};
use expect_test::expect_file;
use raympp_operators::expr::Expr;
use raympp_operators::sql::{Catalog, Statement, bind_script};

#[test]
fn create_stream() {
    check(
        &[
            "CREATE STREAM t (a BIGINT)",
            "create stream IF NOT EXISTS payments (nonsense BIGINT);",
            "CREATE STREAM \"Mixed Case\" (\"Straße\" TEXT, Plain INT, path VARCHAR, \"a\"\"b\" BOOL);",
            "CREATE STREAM types (
  a BOOLEAN, b SMALLINT, b2 INT2, c INTEGER, c2 INT, c3 INT4, d BIGINT, d2 INT8, e REAL, e2 FLOAT4, e3 FLOAT(24),
  f DOUBLE PRECISION, f2 FLOAT8, f3 FLOAT, f4 FLOAT(53), f5 DOUBLE, g DECIMAL(38,10), g2 NUMERIC(5), g3 DEC(4,4),
  h VARCHAR, h2 TEXT, h3 CHARACTER VARYING, i BYTEA, j DATE, k TIMESTAMP, k2 TIMESTAMP WITHOUT TIME ZONE, k3 TIMESTAMP(6),
  l TIMESTAMPTZ, l2 TIMESTAMP WITH TIME ZONE, m INTERVAL)",
            "-- a comment
CREATE STREAM files ( /* another /* nested */ one */
  a VARCHAR, ts TIMESTAMP, WATERMARK FOR ts AS ts
) WITH (connector = 'file', path = 'in/*.csv.gz', format = 'csv', follow = true, bad_rows = 'dead_letter:bad.csv',
        idle_timeout = '100ms', max_jump = '1 day', disconnect_timeout = '2 minutes')",
            "CREATE STREAM g (k VARCHAR, ts TIMESTAMPTZ, WATERMARK FOR TS AS (Ts - INTERVAL '5' SECOND))
WITH (connector = 'payments', rows = 1000000, rate = 50000, keys = 100, skew = 1.1, out_of_orderness = '500ms', seed = 42, splits = 4)",
            "CREATE STREAM bids (auction BIGINT, price BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '4 seconds')
WITH (connector = 'nexmark', table = 'bid', rows = 1000, splits = 2, start = '2024-01-01 00:00:00', event_rate = 10, bad_rows = 'fail')",
        ],
        expect_file!["../snapshots/create_stream.txt"],
    );
}

#[test]
fn create_metric() {
    check(
        &[
            "CREATE METRIC payment_success_rate AS
SELECT channel, window_start, window_end,
       COUNT(*) AS payments,
       COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate,
       SUM(amount) AS volume
FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')
WHERE amount > 0
GROUP BY channel, window_start, window_end
HAVING COUNT(*) >= 10;",
            "CREATE MATERIALIZED VIEW v AS SELECT window_end, MAX(amount) FROM TUMBLE(payments, event_time, INTERVAL '1 hour') GROUP BY window_end",
            "CREATE METRIC m WITH (retention = '1 hour', backfill = true) AS
SELECT p.channel AS c, window_start, COUNT(*) FROM TUMBLE(payments, event_time, INTERVAL '1 minute') AS p
WHERE p.status <> 'TEST' GROUP BY c, window_start",
            "CREATE METRIC m AS SELECT upper(channel) AS c, COUNT(*) AS n, window_start AS start
FROM TUMBLE(payments, event_time, INTERVAL '1 minute') GROUP BY 1, start WITH (retention = '0s')",
            "CREATE METRIC m AS SELECT amount > 100 AS big, (amount>100)::INT + 1 AS two, amount > 100 AND COUNT(*) > 1 AS both_of, COUNT(*) AS n
FROM payments GROUP BY amount > 100",
            "CREATE METRIC m AS SELECT channel AS c, COUNT(*) AS n FROM payments GROUP BY (1), ((c))",
            "CREATE METRIC m AS SELECT retries + 1, (retries + 1) * 2 AS twice, COUNT(*) FROM payments GROUP BY (retries + 1), retries + 1",
            "CREATE METRIC m AS SELECT SUM(amount) / COUNT(*) AS mean, SUM(amount) AS total FROM payments HAVING SUM(amount) > 0 AND COUNT(*) > 1",
            "CREATE METRIC m AS SELECT channel FROM payments GROUP BY channel",
            "CREATE METRIC m AS SELECT CASE WHEN test THEN 'test' ELSE channel END AS kind, COUNT(*) AS n FROM payments GROUP BY kind",
            "CREATE METRIC m AS SELECT NULL AS nothing, 'x' AS text, 1 AS one, COUNT(*) AS n, channel || '!' AS loud FROM payments GROUP BY channel, status",
            "CREATE METRIC IF NOT EXISTS rates AS SELECT nothing FROM nowhere",
            "CREATE METRIC m AS SELECT page, window_end, COUNT(*) AS n FROM TUMBLE(clicks, at, INTERVAL '1 minute') GROUP BY page, window_end;
CREATE METRIC m2 AS SELECT page, COUNT(*) AS n FROM clicks GROUP BY page WITH (ttl = '1 hour')",
        ],
        expect_file!["../snapshots/create_metric.txt"],
    );
}

#[test]
fn create_sink() {
    check(
        &[
            "CREATE SINK s FROM rates WITH (connector = 'file', path = 'out/rates', format = 'csv')",
            "CREATE SINK s FROM rates EMIT ON WINDOW CLOSE WITH (connector = 'file', path = 'out', format = 'parquet', sorted = true, roll = '10s')",
            "CREATE SINK s FROM rates WITH (connector = 'stdout', format = 'jsonl') EMIT ON UPDATE",
            "CREATE SINK s FROM totals EMIT ON UPDATE EVERY INTERVAL '500 milliseconds' WITH (connector = 'stdout')",
            "CREATE SINK IF NOT EXISTS rates_out FROM nothing WITH (connector = 'none')",
            "CREATE SINK s FROM clicks_late WITH (connector = 'file', path = 'late')",
        ],
        expect_file!["../snapshots/create_sink.txt"],
    );
}

#[test]
fn drop_statements() {
    check(
        &[
            "DROP SINK rates_out; DROP METRIC rates; SHOW METRICS; SHOW SINKS",
            "DROP STREAM clicks RESTRICT; SHOW STREAMS",
            "DROP STREAM IF EXISTS nothing; DROP METRIC IF EXISTS nothing; DROP SINK IF EXISTS nothing",
            "DROP MATERIALIZED VIEW totals; CREATE METRIC totals AS SELECT COUNT(*) FROM payments; SHOW METRICS",
        ],
        expect_file!["../snapshots/drop.txt"],
    );
}

#[test]
fn show() {
    check(
        &["SHOW STREAMS", "show metrics", "SHOW SINKS;", "SHOW MATERIALIZED VIEWS; ;; SHOW STREAMS"],
        expect_file!["../snapshots/show.txt"],
    );
}

#[test]
fn describe() {
    check(&["DESCRIBE payments", "DESCRIBE rates; DESCRIBE late_out", "DESCRIBE \"rates\""], expect_file!["../snapshots/describe.txt"]);
}

#[test]
fn explain() {
    check(
        &[
            "EXPLAIN rates",
            "EXPLAIN SELECT channel, payments FROM rates WHERE live AND channel = 'visa'",
            "EXPLAIN CREATE METRIC m AS SELECT status, AVG(amount) AS mean FROM payments GROUP BY status; SHOW METRICS",
        ],
        expect_file!["../snapshots/explain.txt"],
    );
}

#[test]
fn select() {
    check(
        &[
            "SELECT * FROM rates WHERE live AND channel = 'visa'",
            "SELECT r.*, payments * 2 FROM rates r WHERE NOT closed ORDER BY volume DESC, r.channel NULLS FIRST, 4 LIMIT 10 OFFSET 5",
            "SELECT channel AS c, payments AS channel FROM rates ORDER BY channel, c DESC NULLS LAST, payments + 1",
            "SELECT DISTINCT channel FROM rates WHERE closed ORDER BY channel",
            "SELECT COUNT(*), SUM(payments) AS total, MAX(volume) FROM rates WHERE live",
            "SELECT channel, SUM(payments) AS n FROM rates GROUP BY channel HAVING SUM(payments) > 10 ORDER BY SUM(payments) DESC, 1 LIMIT ALL",
            "SELECT channel FROM rates ORDER BY COUNT(*)".replace("channel", "1").as_str(),
            "SELECT payments FROM totals WHERE status = 'OK' AND ('visa' = channel AND payments > 0)",
            "SELECT payments FROM totals WHERE status = 'OK' AND channel IS NULL",
            "SELECT payments FROM totals WHERE status = 'OK' OR channel = 'visa'",
            "SELECT payments FROM totals WHERE status = 'OK' AND channel = NULL",
            "SELECT payments FROM everything",
            "SELECT CASE WHEN payments > 10 THEN 'many' END AS size, date_trunc('hour', window_start) FROM rates OFFSET 2 ROWS LIMIT 1",
        ],
        expect_file!["../snapshots/select.txt"],
    );
}

/// Every scalar form, as what COUNT counts.
#[test]
fn expressions() {
    let expressions = [
        "1",
        "-1",
        "2147483648",
        "-2147483648",
        "9223372036854775808",
        "1.50",
        "1e3",
        ".5",
        "'it''s'",
        "E'a\\tb'",
        "$$dollar$$",
        "TRUE",
        "NULL",
        "DATE '2024-02-29'",
        "TIMESTAMP '2024-02-29 12:00:00'",
        "TIMESTAMPTZ '2024-02-29 12:00:00+00'",
        "INTERVAL '1 minute'",
        "INTERVAL '1' MINUTE",
        "INTERVAL '90' SECOND",
        "INTERVAL '1-2' YEAR TO MONTH",
        "INTERVAL '1 10:20' DAY TO MINUTE",
        "INTERVAL '10:20' MINUTE TO SECOND",
        "INTERVAL '1 day 02:03:04' DAY",
        "INTERVAL '1 day 2 hours 3 minutes 4.5 seconds'",
        "items + 1",
        "items - 1.5",
        "items * items",
        "items / 2",
        "items % 3",
        "amount * amount",
        "amount / 2",
        "risk / items",
        "2 ^ 3",
        "-items",
        "+items",
        "items = 1",
        "items <> 1",
        "items != 1",
        "items < 1",
        "items <= 1",
        "items > 1",
        "items >= 1",
        "channel = 'visa'",
        "'visa' = channel",
        "test AND items > 1 OR NOT test",
        "items BETWEEN 1 AND 10",
        "items NOT BETWEEN 1 AND 10",
        "channel IN ('visa', 'amex')",
        "items NOT IN (1, 2, NULL)",
        "channel IS NULL",
        "channel IS NOT NULL",
        "channel ISNULL",
        "channel NOTNULL",
        "test IS TRUE",
        "test IS NOT TRUE",
        "test IS FALSE",
        "test IS NOT FALSE",
        "test IS UNKNOWN",
        "test IS NOT UNKNOWN",
        "items IS DISTINCT FROM 1",
        "items IS NOT DISTINCT FROM NULL",
        "channel LIKE 'v%'",
        "channel NOT LIKE 'v%'",
        "channel ILIKE 'V%'",
        "channel LIKE 'v!%' ESCAPE '!'",
        "channel ~ '^v'",
        "channel ~* '^V'",
        "channel !~ '^v'",
        "channel ~~ 'v%'",
        "CASE WHEN test THEN 1 ELSE 2.5 END",
        "CASE channel WHEN 'visa' THEN 1 END",
        "COALESCE(channel, 'none')",
        "NULLIF(items, 0)",
        "GREATEST(items, retries, 1)",
        "LEAST(amount, 1)",
        "CAST(items AS BIGINT)",
        "items::DOUBLE PRECISION",
        "'12'::INT",
        "TRY_CAST(channel AS INTEGER)",
        "channel || '-' || status",
        "LOWER(channel)",
        "upper(channel)",
        "TRIM(channel)",
        "TRIM(BOTH 'x' FROM channel)",
        "TRIM(LEADING 'x' FROM channel)",
        "TRIM(TRAILING FROM channel)",
        "LTRIM(channel, 'x')",
        "SUBSTRING(channel FROM 2 FOR 3)",
        "SUBSTRING(channel, 2)",
        "SUBSTRING(channel FOR 3)",
        "SUBSTR(channel, 2, 3)",
        "LEFT(channel, 2)",
        "RIGHT(channel, 2)",
        "LENGTH(channel)",
        "REPLACE(channel, 'a', 'b')",
        "SPLIT_PART(channel, '-', 1)",
        "STARTS_WITH(channel, 'v')",
        "CONCAT(channel, items, test)",
        "ABS(items)",
        "SIGN(risk)",
        "ROUND(risk)",
        "ROUND(amount, 1)",
        "FLOOR(risk)",
        "CEIL(amount)",
        "POWER(risk, 2)",
        "SQRT(risk)",
        "LN(risk)",
        "LOG(risk)",
        "EXP(risk)",
        "MOD(items, 3)",
        "DATE_TRUNC('hour', event_time)",
        "EXTRACT(EPOCH FROM event_time)",
        "EXTRACT('hour' FROM event_time)",
        "DATE_PART('day', event_time)",
        "TO_TIMESTAMP(items)",
        "event_time + INTERVAL '1 hour'",
        "event_time - event_time",
        "received AT TIME ZONE 'UTC'",
        "MD5(channel)",
        "HASH(channel, items)",
        "(items + 1) * 2",
        "\"items\" + payments.items",
        "day + 1",
    ];
    let mut text = String::new();
    for expression in expressions {
        let script = format!("CREATE METRIC m AS SELECT COUNT({expression}) AS x FROM payments");
        let shown = match bind(&script).map(|bound| bound.statements) {
            Ok(statements) => match statements.first() {
                Some(Statement::CreateMetric { plan, .. }) => {
                    let expr: &Expr = &plan.aggregates[0].args[0];
                    format!("{:<18} {expr}", expr.data_type().to_string())
                }
                _ => panic!("{script} makes a metric"),
            },
            Err(error) => format!("error: {}", error.message),
        };
        text += &format!("{expression:<50} {shown}\n");
    }
    assert!(!text.contains("error:"), "{text}");
    expect_file!["../snapshots/expressions.txt"].assert_eq(&text);
}

/// A script that fails leaves the catalog that it was bound to as it was, and so does one that does not.
#[test]
fn binding_changes_no_catalog() {
    let before = base();
    let kept = before.clone();
    assert!(bind_script("CREATE STREAM one (a INT); CREATE STREAM two (a NONSENSE)", &before).is_err());
    assert_eq!(before, kept);
    let after = bind_script("CREATE STREAM one (a INT)", &before).expect("a valid script").catalog;
    assert_eq!(before, kept);
    assert!(after.streams.contains_key("one"));
}

/// The first metric over windows settles the event time of a stream that names none.
#[test]
fn a_metric_settles_the_event_time_of_its_stream() {
    let script = "CREATE METRIC m AS SELECT COUNT(*) AS n, window_end FROM TUMBLE(clicks, at, INTERVAL '1 s') GROUP BY window_end";
    assert_eq!(base().streams["clicks"].event_time, None);
    let bound = bind(script).expect("a valid script");
    assert_eq!(bound.catalog.streams["clicks"].event_time, Some(2));
    let other = "CREATE METRIC m2 AS SELECT COUNT(*) AS n, window_end FROM TUMBLE(clicks, other, INTERVAL '1 s') GROUP BY window_end";
    let error = bind_script(other, &bound.catalog).expect_err("another event time");
    assert!(error.to_string().contains("is not the event time"), "{error}");
}

/// A metric keeps its statement, without what is around it.
#[test]
fn a_definition_is_the_text_of_its_statement() {
    let bound = bind(" ;\n-- counts\n CREATE METRIC ü AS\n SELECT COUNT(*) AS n /* all */ FROM payments ; SHOW METRICS").expect("valid");
    assert_eq!(bound.catalog.metrics["ü"].definition, "CREATE METRIC ü AS\n SELECT COUNT(*) AS n /* all */ FROM payments");
}

#[test]
fn the_base_script_is_shown_whole() {
    let bound = bind_script(BASE, &Catalog::default()).expect("the base script");
    assert_eq!((bound.catalog.streams.len(), bound.catalog.metrics.len(), bound.catalog.sinks.len()), (2, 3, 2));
    let mut text = String::new();
    add_case(&mut text, "a", "b\n");
    assert_eq!(text, "a\n--\nb\n\n");
}
