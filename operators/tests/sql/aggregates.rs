//! One snapshot per aggregate: its result type over every type of argument, with DISTINCT and FILTER, or why there is none.

use crate::scripts::bind;
use expect_test::{ExpectFile, expect_file};
use raympp_operators::sql::Statement;

const COLUMNS: [&str; 12] =
    ["test", "retries", "items", "payment_id", "score", "risk", "amount", "channel", "token", "day", "event_time", "took"];

/// A table of calls: as written, result type, as bound.
fn check(calls: &[String], snapshot: ExpectFile) {
    let mut text = String::new();
    for call in calls {
        let script = format!("CREATE METRIC m AS SELECT {call} AS x FROM payments GROUP BY channel");
        text += &match bind(&script) {
            Ok(bound) => match bound.statements.first() {
                Some(Statement::CreateMetric { plan, .. }) => {
                    let aggregate = &plan.aggregates[0];
                    format!("{call:<60} {:<18} {aggregate}\n", aggregate.data_type().to_string())
                }
                _ => panic!("{script} makes a metric"),
            },
            Err(error) => format!("{call:<60} error: {}\n", error.message),
        };
    }
    snapshot.assert_eq(&text);
}

/// The call over each column, then DISTINCT, FILTER, no argument, * and one argument too many.
fn variants(name: &str, more: &str) -> Vec<String> {
    let mut calls: Vec<String> = COLUMNS.iter().map(|column| format!("{name}({column}{more})")).collect();
    calls.push(format!("{name}(NULL{more})"));
    calls.push(format!("{name}(DISTINCT items{more})"));
    calls.push(format!("{name}(items + 1{more}) FILTER (WHERE status = 'OK' AND test)"));
    calls.extend([format!("{name}()"), format!("{name}(*)"), format!("{name}(items, 1, 2)")]);
    calls
}

macro_rules! snapshots {
    ($($name:ident $more:literal;)*) => {
        $(#[test]
        fn $name() {
            check(
                &variants(&stringify!($name).to_uppercase(), $more),
                expect_file![concat!("../snapshots/aggregate_", stringify!($name), ".txt")],
            );
        })*
    };
}

snapshots! {
    count "";
    sum "";
    avg "";
    min "";
    max "";
    stddev_pop "";
    stddev_samp "";
    var_pop "";
    var_samp "";
    bool_and "";
    bool_or "";
    first_value "";
    last_value "";
    arg_min ", amount";
    arg_max ", event_time";
    approx_count_distinct "";
    approx_percentile ", 0.95";
    approx_median "";
    top_k ", 3";
}
