//! How tightly operators bind: PostgreSQL's table.

use crate::scripts::bind;
use raympp_operators::expr::Expr;
use raympp_operators::sql::Statement;

/// The expression as bound to the stream of the base script.
fn bound(expression: &str) -> Expr {
    let script = format!("CREATE METRIC m AS SELECT COUNT({expression}) AS x FROM payments");
    match bind(&script).map(|bound| bound.statements) {
        Ok(statements) => match statements.first() {
            Some(Statement::CreateMetric { plan, .. }) => plan.aggregates[0].args[0].clone(),
            _ => panic!("{script} makes a metric"),
        },
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn operators_bind_as_in_postgresql() {
    for (written, meant) in [
        // A sign binds tighter than `^` and AT TIME ZONE, `::` tighter than a sign.
        ("-2 ^ 2", "(-2) ^ 2"),
        ("-items ^ 2", "(-items) ^ 2"),
        ("2 ^ -items ^ 2", "(2 ^ (-items)) ^ 2"),
        ("- -items * +retries", "(-(-items)) * (+retries)"),
        ("-items::BIGINT", "-(items::BIGINT)"),
        ("-items % 3", "(-items) % 3"),
        ("2 - -items", "2 - (-items)"),
        // `^` goes from left to right.
        ("2 ^ 3 ^ 2", "(2 ^ 3) ^ 2"),
        ("2 * items ^ 2", "2 * (items ^ 2)"),
        ("items / 2 * 3 % 4", "((items / 2) * 3) % 4"),
        ("items - 1 + 2", "(items - 1) + 2"),
        ("items + 2 * 3", "items + (2 * 3)"),
        // Other operators bind less than `+`, all alike, from left to right.
        ("channel || items + 1", "channel || (items + 1)"),
        ("channel || status ~ 'x'", "(channel || status) ~ 'x'"),
        ("test = channel ~ 'x'", "test = (channel ~ 'x')"),
        ("test = channel !~* 'x'", "test = (channel !~* 'x')"),
        ("test = channel ~~ 'x'", "test = (channel ~~ 'x')"),
        ("@ items - 5", "@ (items - 5)"),
        ("|/ risk * 4", "|/ (risk * 4)"),
        ("-items + @ items || 'x'", "((-items) + (@ items)) || 'x'"),
        // BETWEEN, IN and LIKE bind tighter than comparisons, those tighter than IS, that tighter than NOT.
        ("channel LIKE status || '%'", "channel LIKE (status || '%')"),
        ("test = items BETWEEN 1 AND 2 + 3", "test = (items BETWEEN 1 AND (2 + 3))"),
        ("items BETWEEN 1 AND 2 = test", "(items BETWEEN 1 AND 2) = test"),
        ("test = items IN (1, 2)", "test = (items IN (1, 2))"),
        ("items NOT IN (1) = test", "(items NOT IN (1)) = test"),
        ("test <> channel NOT LIKE 'x'", "test <> (channel NOT LIKE 'x')"),
        ("items = 1 IS NULL", "(items = 1) IS NULL"),
        ("items < 5 IS NOT TRUE", "(items < 5) IS NOT TRUE"),
        ("test IS DISTINCT FROM items = 1", "test IS DISTINCT FROM (items = 1)"),
        ("items < 5 ISNULL", "(items < 5) ISNULL"),
        ("NOT test = TRUE", "NOT (test = TRUE)"),
        ("NOT test IS NULL", "NOT (test IS NULL)"),
        ("NOT items IN (1) AND test", "(NOT (items IN (1))) AND test"),
        ("NOT NOT test OR test", "(NOT (NOT test)) OR test"),
        ("test OR test AND items = 1", "test OR (test AND (items = 1))"),
        ("items BETWEEN 1 AND 2 AND test", "(items BETWEEN 1 AND 2) AND test"),
        // AT TIME ZONE binds tighter than `-`.
        ("received - received AT TIME ZONE 'UTC'", "received - (received AT TIME ZONE 'UTC')"),
    ] {
        assert_eq!(bound(written), bound(meant), "{written}");
    }
}

/// What PostgreSQL calls non-associative.
#[test]
fn comparisons_do_not_chain() {
    for chained in [
        "items < 5 < 6",
        "test = test = test",
        "test = test <> test",
        "channel LIKE 'x' LIKE 'y'",
        "items BETWEEN 1 AND 2 BETWEEN test AND test",
        "items IN (1) IN (TRUE)",
    ] {
        let error = bind(&format!("CREATE METRIC m AS SELECT COUNT({chained}) AS x FROM payments")).expect_err(chained);
        assert!(error.message.ends_with("do not chain"), "{chained}: {error}");
    }
    for single in ["(items < 5) < test", "test = (test = test)", "items < 5 IS NULL = test", "channel ~ 'a' = test"] {
        bound(single);
    }
}
