//! One snapshot per window.

use crate::scripts::check;
use expect_test::expect_file;

/// A metric over that FROM clause.
fn over(from: &str) -> String {
    format!(
        "CREATE METRIC m AS SELECT channel, window_start, window_end, COUNT(*) AS n FROM {from} GROUP BY channel, window_start, window_end"
    )
}

fn check_windows(froms: &[&str], snapshot: expect_test::ExpectFile) {
    let scripts: Vec<String> = froms.iter().map(|from| over(from)).collect();
    check(&scripts.iter().map(String::as_str).collect::<Vec<_>>(), snapshot);
}

#[test]
fn tumble() {
    check_windows(
        &[
            "TUMBLE(payments, event_time, INTERVAL '1 minute')",
            "tumble(payments, event_time, INTERVAL '1' DAY, INTERVAL '-1 hour')",
            "TABLE(TUMBLE(TABLE payments, DESCRIPTOR(event_time), INTERVAL '10 seconds'))",
            "TUMBLE(TABLE payments, DESCRIPTOR(event_time), '1 second')",
            "TUMBLE(payments, event_time, INTERVAL '1 minute' * 2)",
        ],
        expect_file!["../snapshots/tumble.txt"],
    );
}

#[test]
fn hop() {
    check_windows(
        &[
            "HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')",
            "HOP(payments, event_time, INTERVAL '1 minute', INTERVAL '1 minute')",
            "HOP(payments, event_time, INTERVAL '6 hours', INTERVAL '1 day', INTERVAL '1 hour') p",
            "TABLE(HOP(TABLE payments, DESCRIPTOR(event_time), INTERVAL '100 ms', INTERVAL '1 s'))",
        ],
        expect_file!["../snapshots/hop.txt"],
    );
}

#[test]
fn cumulate() {
    check_windows(
        &[
            "CUMULATE(payments, event_time, INTERVAL '1 minute', INTERVAL '1 hour')",
            "TABLE(CUMULATE(TABLE payments, DESCRIPTOR(event_time), INTERVAL '1' HOUR, INTERVAL '1' DAY, INTERVAL '2' HOUR)) AS c",
        ],
        expect_file!["../snapshots/cumulate.txt"],
    );
}

#[test]
fn session() {
    check_windows(
        &[
            "SESSION(payments, event_time, INTERVAL '30 minutes')",
            "TABLE(SESSION(TABLE payments, DESCRIPTOR(event_time), INTERVAL '30' SECOND))",
            "TABLE(SESSION(TABLE payments PARTITION BY channel, DESCRIPTOR(event_time), INTERVAL '30' SECOND))",
            "TABLE(SESSION(TABLE payments PARTITION BY (channel), DESCRIPTOR(event_time), INTERVAL '30' SECOND))",
            "SESSION(payments PARTITION BY channel, event_time, INTERVAL '30' SECOND)",
            "TABLE(SESSION(TABLE payments PARTITION BY channel, channel, DESCRIPTOR(event_time), INTERVAL '30' SECOND))",
        ],
        expect_file!["../snapshots/session.txt"],
    );
}

#[test]
fn no_window() {
    check(
        &[
            "CREATE METRIC m AS SELECT channel, COUNT(*) AS n FROM payments GROUP BY channel",
            "CREATE METRIC m AS SELECT channel, COUNT(*) AS n FROM payments p GROUP BY p.channel WITH (ttl = '1 hour')",
            "CREATE METRIC m WITH (backfill = true) AS SELECT COUNT(*) AS n FROM payments",
        ],
        expect_file!["../snapshots/no_window.txt"],
    );
}
