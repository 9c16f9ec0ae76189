//! Scripts that make no sense, and what they are told: message, hint, line, column and the place in the text.

use crate::scripts::{add_case, bind};
use expect_test::expect_file;
use raympp_operators::sql::{Catalog, SqlErrorKind, bind_script};

/// Text that is no statement.
const SYNTAX: &[&str] = &[
    "SELEC 1",
    "FROM rates SELECT *",
    "CREATE",
    "CREATE TABLE t (a INT)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE INDEX i ON rates (channel)",
    "CREATE OR REPLACE METRIC m AS SELECT COUNT(*) FROM payments",
    "CREATE STREAM",
    "CREATE STREAM s",
    "CREATE STREAM s ()",
    "CREATE STREAM s (a BIGINT",
    "CREATE STREAM s (a BIGINT,)",
    "CREATE STREAM s (a BIGINT b INT)",
    "CREATE STREAM s (a BIGINT NOT NULL)",
    "CREATE STREAM s (a BIGINT, PRIMARY KEY (a))",
    "CREATE STREAM my.s (a BIGINT)",
    "CREATE STREAM \"\" (a BIGINT)",
    "CREATE STREAM s (a BIGINT) WITH connector = 'file'",
    "CREATE STREAM s (a BIGINT) WITH (connector 'file')",
    "CREATE STREAM s (a BIGINT) WITH (connector = file)",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'file'",
    "CREATE STREAM s (a VARCHAR) WITH (connector = 'file)",
    "CREATE STREAM s (\"a VARCHAR)",
    "CREATE STREAM s (a VARCHAR) /* never closed",
    "CREATE METRIC m SELECT COUNT(*) FROM payments",
    "CREATE METRIC m AS SELECT COUNT(* FROM payments",
    "CREATE METRIC m AS SELECT FROM payments",
    "CREATE METRIC m AS SELECT COUNT(*) FORM payments",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments GROUP channel",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE amount >",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments EMIT ON UPDATE",
    "CREATE SINK s FROM",
    "CREATE SINK s AS SELECT * FROM rates",
    "CREATE SINK s FROM rates EMIT ON CLOSE WITH (connector = 'stdout')",
    "DROP TABLE t",
    "DROP METRIC rates CASCADE",
    "SHOW TABLES",
    "DESCRIBE",
    "EXPLAIN ANALYZE rates",
    "EXPLAIN CREATE STREAM s (a INT)",
    "SELECT * FROM rates;\nSELECT channel\nFROM rates extra words",
    "INSERT INTO payments VALUES (1)",
    "ALTER METRIC rates RENAME TO r",
    "BEGIN",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "SELECT channel FROM rates LIMIT 'many'",
    "SELECT channel FROM rates LIMIT -1",
    "SELECT channel FROM rates OFFSET payments",
    "SELECT channel FROM rates WHERE payments = 1 = 2 AND #",
    "SELECT \u{fc}\u{fc}, \u{1F980} FROM\trates WHERE nothing",
];

/// Names of things that are not there, or are something else.
const NAMES: &[&str] = &[
    "CREATE METRIC m AS SELECT chanel, COUNT(*) AS n\nFROM payments\nGROUP BY channel",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payment",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM rates",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments_late",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM rates_out",
    "CREATE METRIC m AS SELECT p.channel, COUNT(*) AS n FROM payments AS q GROUP BY p.channel",
    "CREATE METRIC m AS SELECT payments.channel, COUNT(*) AS n FROM payments AS q GROUP BY 1",
    "CREATE METRIC m AS SELECT a.b.channel, COUNT(*) AS n FROM payments GROUP BY 1",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments GROUP BY nothing",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE \"Channel\" = 'visa'",
    "CREATE METRIC m AS SELECT window_start, COUNT(*) AS n FROM payments GROUP BY window_start",
    "CREATE METRIC m AS SELECT lenght(channel), COUNT(*) AS n FROM payments GROUP BY 1",
    "CREATE METRIC m AS SELECT summ(amount) AS n FROM payments",
    "CREATE METRIC m AS SELECT frobnicate(amount) AS n FROM payments",
    "CREATE METRIC m AS SELECT pg_catalog.lower(channel), COUNT(*) AS n FROM payments GROUP BY 1",
    "CREATE METRIC m AS SELECT COUNT(*) AS n, now() AS at FROM payments",
    "CREATE METRIC m AS SELECT CURRENT_TIMESTAMP AS at, COUNT(*) AS n FROM payments",
    "CREATE STREAM payments (a BIGINT)",
    "CREATE STREAM rates (a BIGINT)",
    "CREATE METRIC payments_late AS SELECT COUNT(*) AS n FROM payments",
    "CREATE METRIC x_late AS SELECT COUNT(*) AS n FROM payments; CREATE STREAM x (a BIGINT)",
    "CREATE STREAM IF NOT EXISTS rates (a BIGINT)",
    "CREATE STREAM s (a BIGINT, A VARCHAR)",
    "CREATE STREAM s (a BIGINT, ts TIMESTAMP, WATERMARK FOR t AS t)",
    "CREATE STREAM s (a BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS tss - INTERVAL '1 s')",
    "CREATE SINK s FROM rate WITH (connector = 'stdout')",
    "CREATE SINK s FROM payments WITH (connector = 'stdout')",
    "CREATE SINK s FROM late_out WITH (connector = 'stdout')",
    "CREATE SINK s FROM payment_late WITH (connector = 'stdout')",
    "DROP METRIC payments",
    "DROP METRIC ratse",
    "DROP STREAM payments",
    "DROP METRIC rates",
    "DESCRIBE rate",
    "DESC payment_late",
    "EXPLAIN payments",
    "SELECT * FROM payments",
    "SELECT * FROM payments_late",
    "SELECT * FROM rates_out",
    "SELECT * FROM nothing",
    "SELECT chanel FROM rates",
    "SELECT x.* FROM rates",
    "SELECT r.channel FROM rates",
    "SELECT channel FROM rates ORDER BY chanel",
    "SELECT channel AS c, status AS c FROM totals ORDER BY c",
    "SELECT channel FROM rates ORDER BY 2",
    "SELECT channel FROM rates ORDER BY 'channel'",
];

/// Types that do not fit.
const TYPES: &[&str] = &[
    "CREATE STREAM s (a STRING)",
    "CREATE STREAM s (a VARCHAR(20))",
    "CREATE STREAM s (a CHAR(2))",
    "CREATE STREAM s (a DECIMAL)",
    "CREATE STREAM s (a DECIMAL(39,2))",
    "CREATE STREAM s (a DECIMAL(5,6))",
    "CREATE STREAM s (a TIMESTAMP(3))",
    "CREATE STREAM s (a JSONB)",
    "CREATE STREAM s (a INT[])",
    "CREATE STREAM s (a MONEY)",
    "CREATE STREAM s (a FLOAT(60))",
    "CREATE STREAM s (a BIGINT, WATERMARK FOR a AS a)",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE amount",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments HAVING COUNT(*)",
    "CREATE METRIC m AS SELECT COUNT(*) FILTER (WHERE items) AS n FROM payments",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE channel > 5",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE channel + 1 > 5",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE items = 'abc'",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE test AND items",
    "CREATE METRIC m AS SELECT SUM(channel) AS n FROM payments",
    "CREATE METRIC m AS SELECT MAX(NULL) AS n FROM payments",
    "CREATE METRIC m AS SELECT COUNT(payment_id::BOOLEAN) AS n FROM payments",
    "CREATE METRIC m AS SELECT SUM(test::BIGINT) AS n FROM payments",
    "CREATE METRIC m AS SELECT COUNT(retries::BOOLEAN) AS n FROM payments",
    "CREATE METRIC m AS SELECT AVG(event_time) AS n FROM payments",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE day = DATE '2024-13-01'",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE items::DATE IS NULL",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE channel ~ '('",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE channel LIKE 'a' ESCAPE 'ab'",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE items > 1 / 0",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE items > 1e40",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE EXTRACT(fortnight FROM event_time) = 1",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE lower(channel, 1) = 'x'",
    "CREATE METRIC m AS SELECT CASE WHEN test THEN 1 ELSE 'x' END AS c, COUNT(*) AS n FROM payments GROUP BY 1",
    "CREATE METRIC m AS SELECT APPROX_PERCENTILE(risk, 1.5) AS p FROM payments",
    "CREATE METRIC m AS SELECT TOP_K(channel, items) AS p FROM payments",
    "SELECT -channel FROM rates",
    "SELECT +channel FROM rates",
    "SELECT payments AT TIME ZONE 'UTC' FROM rates",
    "SELECT window_start AT TIME ZONE 'Europe/Berlin' FROM rates",
    "SELECT INTERVAL '1 fortnight' FROM rates",
    "SELECT INTERVAL 1 FROM rates",
    "SELECT INTERVAL '1' QUARTER FROM rates",
    "SELECT X'1F' FROM rates",
    "SELECT $1 FROM rates",
];

/// Grouping and windows.
const GROUPS: &[&str] = &[
    "CREATE METRIC m AS SELECT channel, status, COUNT(*) AS n FROM payments GROUP BY channel",
    "CREATE METRIC m AS SELECT lower(channel), COUNT(*) AS n FROM payments GROUP BY upper(channel)",
    "CREATE METRIC m AS SELECT channel FROM payments",
    "CREATE METRIC m AS SELECT * FROM payments",
    "CREATE METRIC m AS SELECT payments.*, COUNT(*) FROM payments",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE COUNT(*) > 1",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments GROUP BY COUNT(*)",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments GROUP BY n",
    "CREATE METRIC m AS SELECT SUM(COUNT(*)) AS n FROM payments",
    "CREATE METRIC m AS SELECT COUNT(*) FILTER (WHERE MAX(items) > 1) AS n FROM payments",
    "CREATE METRIC m AS SELECT SUM(*) AS n FROM payments",
    "CREATE METRIC m AS SELECT COUNT() AS n FROM payments",
    "CREATE METRIC m AS SELECT COUNT(DISTINCT *) AS n FROM payments",
    "CREATE METRIC m AS SELECT lower(DISTINCT channel) AS c, COUNT(*) AS n FROM payments GROUP BY 1",
    "CREATE METRIC m AS SELECT COUNT(*) OVER () AS n FROM payments",
    "CREATE METRIC m AS SELECT FIRST_VALUE(channel ORDER BY items) AS n FROM payments",
    "CREATE METRIC m AS SELECT SUM(amount) AS total FROM payments HAVING total > 1",
    "CREATE METRIC m AS SELECT COUNT(*) AS n, SUM(items) AS n FROM payments",
    "CREATE METRIC m AS SELECT COUNT(*), COUNT(*) FROM payments",
    "CREATE METRIC m AS SELECT COUNT(*) AS live FROM payments",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments GROUP BY 2",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments GROUP BY 'x'",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments GROUP BY ROLLUP (channel, status)",
    "CREATE METRIC m AS SELECT DISTINCT channel FROM payments GROUP BY channel",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments ORDER BY n",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments LIMIT 5",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments, clicks",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments JOIN clicks ON true",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM (SELECT * FROM payments) p",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE items IN (SELECT 1)",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WHERE EXISTS (SELECT 1)",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments UNION SELECT 1 FROM clicks",
    "CREATE METRIC m AS SELECT channel, COUNT(*) AS n\nFROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')\nGROUP BY channel",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, INTERVAL '1 minute')",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, INTERVAL '1 minute') GROUP BY date_trunc('hour', window_start)",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, INTERVAL '1 minute') WHERE window_start > event_time GROUP BY window_end",
    "CREATE METRIC m AS SELECT MAX(window_start) AS n FROM TUMBLE(payments, event_time, INTERVAL '1 minute') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, received, INTERVAL '1 minute') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, channel, INTERVAL '1 minute') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_tim, INTERVAL '1 minute') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time) GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, 60) GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, INTERVAL '0 seconds') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, INTERVAL '-1 minute') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, INTERVAL '1 month') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, INTERVAL '110000 days') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, took) GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM HOP(payments, event_time, INTERVAL '7 seconds', INTERVAL '1 minute') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM HOP(payments, event_time, INTERVAL '1 minute', INTERVAL '1 second') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM HOP(payments, event_time, INTERVAL '1 minute') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM CUMULATE(payments, event_time, INTERVAL '7 s', INTERVAL '60 s') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM SESSION(payments, event_time, INTERVAL '1 s', INTERVAL '2 s') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM SESSION(TABLE payments PARTITION BY channel, DESCRIPTOR(event_time), INTERVAL '1 s') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TABLE(SESSION(TABLE payments PARTITION BY (chanel), DESCRIPTOR(event_time), INTERVAL '1 s')) GROUP BY channel, window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TABLE(SESSION(TABLE payments PARTITION BY channel, DESCRIPTOR(event_time), INTERVAL '1 s')) GROUP BY channel, items + 1, window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TABLE(TUMBLE(TABLE payments PARTITION BY channel, DESCRIPTOR(event_time), INTERVAL '1 s')) GROUP BY channel, window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM SESSION(payments PARTITION BY, event_time, INTERVAL '1 s') GROUP BY window_end",
    "SELECT channel, LAST_VALUE(volume) FROM rates GROUP BY channel",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBEL(payments, event_time, INTERVAL '1 minute') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM sliding(payments, event_time, INTERVAL '1 minute') GROUP BY window_end",
    "CREATE STREAM w (window_start TIMESTAMP);\nCREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(w, window_start, INTERVAL '1 s') GROUP BY window_start",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(clicks, at, INTERVAL '1 s') GROUP BY window_end",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM clicks WITH (ttl = '1 hour')",
    "CREATE STREAM timeless (a BIGINT);\nCREATE METRIC m AS SELECT LAST_VALUE(a) AS n FROM timeless",
    "CREATE METRIC m AS SELECT FIRST_VALUE(page) AS n FROM clicks",
    "SELECT channel, COUNT(*) FROM rates",
    "SELECT *, COUNT(*) FROM rates",
    "SELECT COUNT(*) FROM rates WHERE SUM(payments) > 1",
    "SELECT channel FROM rates GROUP BY channel ORDER BY volume",
    "SELECT DISTINCT channel FROM rates ORDER BY volume",
    "SELECT DISTINCT ON (channel) channel FROM rates",
    "SELECT channel FROM TUMBLE(payments, event_time, INTERVAL '1 s') GROUP BY channel, window_end",
    "SELECT channel, row_number() OVER (ORDER BY volume) FROM rates",
    "SELECT a.channel FROM rates a, rates b",
    "SELECT (SELECT 1) FROM rates",
    "SELECT (channel, volume) FROM rates",
    "SELECT channel FROM rates UNION ALL SELECT channel FROM totals",
    "SELECT channel FROM rates FETCH FIRST 5 ROWS ONLY",
    "SELECT channel FROM rates FOR UPDATE",
    "SELECT channel FROM rates ORDER BY channel USING <",
];

/// Options, watermarks, EMIT.
const OPTIONS: &[&str] = &[
    "CREATE STREAM s (a BIGINT) WITH (conector = 'file')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'kafka')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'fiel', path = 'x')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'file')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'file', path = '')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'file', path = 'x', paht = 'y')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'file', path = 'x', format = 'xml')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'file', path = 'x', follow = 'yes')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'file', path = 'x', path = 'y')",
    "CREATE STREAM s (a BIGINT) WITH (path = 'x')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'payments', rows = -1)",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'payments', splits = 0)",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'payments', skew = 'much')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'nexmark', table = 'bids')",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'nexmark', rows = 5)",
    "CREATE STREAM s (a BIGINT) WITH (connector = 'payments', start = 'then')",
    "CREATE STREAM s (a BIGINT) WITH (idle_timeout = 1000)",
    "CREATE STREAM s (a BIGINT) WITH (idle_timeout = '0s')",
    "CREATE STREAM s (a BIGINT) WITH (max_jump = '1 month')",
    "CREATE STREAM s (a BIGINT) WITH (bad_rows = 'ignore')",
    "CREATE STREAM s (a BIGINT) WITH (bad_rows = 'dead_letter:')",
    "CREATE STREAM s (a BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts + INTERVAL '1 s')",
    "CREATE STREAM s (a BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS a - 1)",
    "CREATE STREAM s (a BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '1 month')",
    "CREATE STREAM s (a BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '-1 s')",
    "CREATE STREAM s (a BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - 5)",
    "CREATE STREAM s (ts TIMESTAMP, WATERMARK FOR ts AS ts, WATERMARK FOR ts AS ts)",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WITH (retention = '1 hour')",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM TUMBLE(payments, event_time, INTERVAL '1 s') GROUP BY window_end WITH (ttl = '1 hour')",
    "CREATE METRIC m WITH (ttl = '1 s') AS SELECT COUNT(*) AS n FROM payments WITH (ttl = '2 s')",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WITH (ttl = 'soon')",
    "CREATE METRIC m AS SELECT COUNT(*) AS n FROM payments WITH (bakfill = true)",
    "CREATE SINK s FROM rates",
    "CREATE SINK s FROM rates WITH (path = 'out')",
    "CREATE SINK s FROM rates WITH (connector = 'file')",
    "CREATE SINK s FROM rates WITH (connector = 'file', path = 'out', role = '1s')",
    "CREATE SINK s FROM rates WITH (connector = 'nowhere')",
    "CREATE SINK s FROM rates EMIT ON UPDATE WITH (connector = 'file', path = 'out', sorted = true)",
    "CREATE SINK s FROM totals WITH (connector = 'stdout')",
    "CREATE SINK s FROM totals EMIT ON WINDOW CLOSE WITH (connector = 'stdout')",
    "CREATE SINK s FROM rates EMIT ON UPDATE EVERY 5 WITH (connector = 'stdout')",
    "CREATE SINK s FROM rates EMIT ON UPDATE EVERY INTERVAL '0 s' WITH (connector = 'stdout')",
    "CREATE SINK s FROM payments_late EMIT ON UPDATE WITH (connector = 'stdout')",
    "CREATE METRIC m AS SELECT COUNT(*) AS op FROM payments;\nCREATE SINK s FROM m EMIT ON UPDATE WITH (connector = 'stdout')",
    "CREATE METRIC m AS SELECT status, COUNT(*) AS n FROM payments GROUP BY channel, status;\nCREATE SINK s FROM m EMIT ON UPDATE WITH (connector = 'stdout')",
    "CREATE SINK s FROM rates WITH (conector = 'stdout')",
    "CREATE SINK s FROM totals WITH (connektor = 'file', path = 'x')",
    "CREATE SINK s FROM totals WITH (connector = 'file', path = 'x', formt = 'csv')",
    "CREATE STREAM s (a BIGINT) WITH (conector = 'file', path = 'x')",
];

fn check(scripts: &[&str], snapshot: expect_test::ExpectFile) {
    let mut text = String::new();
    for script in scripts {
        match bind(script) {
            Ok(_) => panic!("this script is valid: {script}"),
            Err(error) => add_case(&mut text, script, &error.to_string()),
        }
    }
    snapshot.assert_eq(&text);
}

#[test]
fn syntax() {
    check(SYNTAX, expect_file!["../snapshots/errors_syntax.txt"]);
}

#[test]
fn names() {
    check(NAMES, expect_file!["../snapshots/errors_names.txt"]);
}

#[test]
fn types() {
    check(TYPES, expect_file!["../snapshots/errors_types.txt"]);
}

#[test]
fn groups() {
    check(GROUPS, expect_file!["../snapshots/errors_groups.txt"]);
}

#[test]
fn options() {
    check(OPTIONS, expect_file!["../snapshots/errors_options.txt"]);
}

/// The place counts characters, from 1, and survives tabs, carriage returns and characters of several bytes.
#[test]
fn an_error_names_its_place() {
    let place = |script: &str| {
        let error = bind_script(script, &Catalog::default()).expect_err("a wrong script");
        (error.line, error.column)
    };
    assert_eq!(place("SELECT"), (1, 7));
    assert_eq!(place("SHOW STREAMS;\r\n\tSELECT * FROM \u{fc}\u{1F980}\u{fc}, t"), (2, 19));
    assert_eq!(place("CREATE STREAM s (a INT,\n\n  \u{e9} NONSENSE)"), (3, 5));
}

/// A byte order mark, as some editors write it, is no character of the first line.
#[test]
fn a_byte_order_mark_is_skipped() {
    assert!(bind_script("\u{feff}SHOW STREAMS;", &Catalog::default()).is_ok());
    let error = bind_script("\u{feff}SHOW TABLES", &Catalog::default()).expect_err("a wrong script");
    assert_eq!((error.line, error.column), (1, 6));
    assert!(error.to_string().contains("1 | SHOW TABLES"), "{error}");
    assert!(bind_script("SHOW\u{feff} STREAMS", &Catalog::default()).is_err(), "elsewhere it is a character");
}

/// Kinds have the codes that PostgreSQL gives them.
#[test]
fn an_error_has_a_kind() {
    let kind = |script: &str| bind(script).expect_err("a wrong script").kind;
    for (script, expected, sqlstate) in [
        ("SELEC", SqlErrorKind::Syntax, "42601"),
        ("SELECT * FROM nothing", SqlErrorKind::UndefinedObject, "42P01"),
        ("SELECT nothing FROM rates", SqlErrorKind::UndefinedColumn, "42703"),
        ("CREATE STREAM rates (a INT)", SqlErrorKind::DuplicateObject, "42P07"),
        ("SELECT nothing(1) FROM rates", SqlErrorKind::UndefinedFunction, "42883"),
        ("SELECT * FROM rates WHERE payments", SqlErrorKind::Type, "42804"),
        ("SELECT channel, COUNT(*) FROM rates", SqlErrorKind::Grouping, "42803"),
        ("DROP STREAM payments", SqlErrorKind::InUse, "2BP01"),
        ("SELECT * FROM rates a, rates b", SqlErrorKind::Unsupported, "0A000"),
    ] {
        assert_eq!((kind(script), kind(script).sqlstate()), (expected, sqlstate), "{script}");
    }
}
