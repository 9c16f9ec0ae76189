//! SELECT over rows: filter, groups, order, DISTINCT, OFFSET and LIMIT, as text tables.

use crate::scripts::bind;
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Int32Type;
use expect_test::{Expect, expect};
use raympp_operators::expr::arrow_types::{arrow_schema, value_at};
use raympp_operators::plan::SelectPlan;
use raympp_operators::sql::{ExecuteError, Statement, execute_select};
use raympp_types::text;
use std::sync::Arc;

const SECOND_US: i64 = 1_000_000;

/// channel, window end in seconds, payments, volume in cents, risk, live.
type Row = (Option<&'static str>, i64, i64, Option<i128>, Option<f64>, bool);

const ROWS: [Row; 7] = [
    (Some("visa"), 60, 10, Some(12_345), Some(0.5), false),
    (Some("visa"), 61, 12, Some(20_000), Some(-0.0), true),
    (Some("amex"), 60, 3, None, None, false),
    (Some("amex"), 61, 0, Some(-5), Some(f64::NAN), true),
    (None, 60, 7, Some(100), Some(0.0), false),
    (Some("maestro"), 61, 7, Some(99), Some(1e300), true),
    (Some(""), 61, 1, Some(1), Some(f64::INFINITY), true),
];

/// Rows of the metric `rates`.
fn batch(plan: &SelectPlan, rows: &[Row], dictionary: bool) -> RecordBatch {
    let channels: Vec<Option<&str>> = rows.iter().map(|row| row.0).collect();
    let times = |shift: i64| Arc::new(rows.iter().map(|row| Some((row.1 - shift) * SECOND_US)).collect::<TimestampMicrosecondArray>());
    let volume: Decimal128Array = rows.iter().map(|row| row.3).collect();
    let closed: BooleanArray = rows.iter().map(|row| Some(!row.5)).collect();
    let channel: ArrayRef = match dictionary {
        true => Arc::new(channels.into_iter().collect::<DictionaryArray<Int32Type>>()),
        false => Arc::new(StringArray::from(channels)),
    };
    let columns: Vec<ArrayRef> = vec![
        channel,
        times(60),
        times(0),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>()),
        Arc::new(volume.with_precision_and_scale(38, 2).expect("it fits")),
        Arc::new(rows.iter().map(|row| row.4).collect::<Float64Array>()),
        Arc::new(closed),
        Arc::new(rows.iter().map(|row| Some(row.5)).collect::<BooleanArray>()),
    ];
    if dictionary {
        return RecordBatch::try_from_iter(plan.input.fields.iter().map(|field| field.name.clone()).zip(columns)).expect("equal lengths");
    }
    RecordBatch::try_new(arrow_schema(&plan.input), columns).expect("columns of the metric")
}

fn plan(select: &str) -> SelectPlan {
    match bind(select).unwrap_or_else(|error| panic!("{error}")).statements.pop() {
        Some(Statement::Select(plan)) => *plan,
        other => panic!("{select} is a SELECT, found {other:?}"),
    }
}

/// Runs over the rows in two batches, one of them with a dictionary.
fn run(select: &str) -> Result<RecordBatch, ExecuteError> {
    let plan = plan(select);
    let (first, second) = ROWS.split_at(3);
    execute_select(&plan, &[batch(&plan, first, true), batch(&plan, second, false)])
}

fn table(rows: &RecordBatch) -> String {
    let names: Vec<&str> = rows.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    let mut lines = vec![names.join(" | ")];
    for row in 0..rows.num_rows() {
        let cell = |column: &ArrayRef| {
            let mut cell = String::new();
            text::write_value(&mut cell, &value_at(column, row)).expect("writing to a String does not fail");
            cell
        };
        lines.push(rows.columns().iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    lines.join("\n")
}

fn check(select: &str, expected: Expect) {
    let answer = run(select).map_or_else(|error| format!("error: {error}"), |rows| table(&rows));
    expected.assert_eq(&answer);
}

#[test]
fn projections_and_filters() {
    check(
        "SELECT channel, payments * 2 AS twice, volume FROM rates WHERE live",
        expect![[r#"
        channel | twice | volume
        visa | 24 | 200.00
        amex | 0 | -0.05
        maestro | 14 | 0.99
         | 2 | 0.01"#]],
    );
    check(
        "SELECT channel, window_end FROM rates WHERE risk > 0 AND closed",
        expect![[r#"
        channel | window_end
        visa | 1970-01-01 00:01:00.000000"#]],
    );
    check("SELECT payments FROM rates WHERE channel = 'nobody'", expect!["payments"]);
    check(
        "SELECT 1 AS one FROM rates WHERE channel IS NULL",
        expect![[r#"
        one
        1"#]],
    );
}

#[test]
fn order_limit_and_offset() {
    check(
        "SELECT channel, payments FROM rates ORDER BY channel, payments DESC",
        expect![[r#"
        channel | payments
         | 1
        amex | 3
        amex | 0
        maestro | 7
        visa | 12
        visa | 10
        NULL | 7"#]],
    );
    check(
        "SELECT channel, payments FROM rates ORDER BY 1 DESC, 2 LIMIT 4",
        expect![[r#"
        channel | payments
        NULL | 7
        visa | 10
        visa | 12
        maestro | 7"#]],
    );
    check(
        "SELECT channel FROM rates ORDER BY volume NULLS FIRST LIMIT 2",
        expect![[r#"
        channel
        amex
        amex"#]],
    );
    check(
        "SELECT channel, risk FROM rates ORDER BY risk DESC NULLS LAST, channel OFFSET 1",
        expect![[r#"
        channel | risk
         | Infinity
        maestro | 1e+300
        visa | 0.5
        visa | -0
        NULL | 0
        amex | NULL"#]],
    );
    check("SELECT channel FROM rates ORDER BY payments OFFSET 100", expect!["channel"]);
    check("SELECT channel FROM rates LIMIT 0", expect!["channel"]);
}

#[test]
fn groups() {
    check(
        "SELECT channel, SUM(payments) AS n, MAX(volume) AS top FROM rates GROUP BY channel ORDER BY n DESC, channel",
        expect![[r#"
        channel | n | top
        visa | 22 | 200.00
        maestro | 7 | 0.99
        NULL | 7 | 1.00
        amex | 3 | -0.05
         | 1 | 0.01"#]],
    );
    check(
        "SELECT channel, COUNT(*) AS n FROM rates GROUP BY channel",
        expect![[r#"
        channel | n
         | 1
        amex | 2
        maestro | 1
        visa | 2
        NULL | 1"#]],
    );
    check(
        "SELECT COUNT(*), COUNT(volume), AVG(payments) AS mean, SUM(volume) FROM rates",
        expect![[r#"
        count | count | mean | sum
        7 | 6 | 5.714285714285714 | 325.40"#]],
    );
    check(
        "SELECT COUNT(*), SUM(payments), MIN(channel) FROM rates WHERE false",
        expect![[r#"
        count | sum | min
        0 | NULL | NULL"#]],
    );
    check("SELECT channel, COUNT(*) FROM rates WHERE false GROUP BY channel", expect!["channel | count"]);
    check(
        "SELECT channel FROM rates GROUP BY channel HAVING COUNT(*) > 1 ORDER BY MIN(payments)",
        expect![[r#"
        channel
        amex
        visa"#]],
    );
    check(
        "SELECT live, COUNT(*) FILTER (WHERE payments > 5) AS busy FROM rates GROUP BY live",
        expect![[r#"
        live | busy
        false | 2
        true | 2"#]],
    );
    check(
        "SELECT risk = 0 AS zero, COUNT(*) AS n FROM rates GROUP BY zero",
        expect![[r#"
        zero | n
        false | 4
        true | 2
        NULL | 1"#]],
    );
    check(
        "SELECT ARG_MAX(channel, payments) AS most, ARG_MIN(channel, live) AS first FROM rates",
        expect![[r#"
        most | first
        visa | amex"#]],
    );
}

#[test]
fn distinct() {
    check(
        "SELECT DISTINCT channel FROM rates ORDER BY channel LIMIT 3",
        expect![[r#"
        channel

        amex
        maestro"#]],
    );
    check(
        "SELECT DISTINCT risk FROM rates WHERE risk = 0",
        expect![[r#"
        risk
        -0"#]],
    );
}

/// An error of a row fails the SELECT, but only where the row's value is needed.
#[test]
fn errors_of_rows() {
    check("SELECT 10 / payments FROM rates", expect!["error: 10 / payments: division by zero"]);
    check(
        "SELECT 10 / payments AS x FROM rates WHERE payments > 9",
        expect![[r#"
        x
        1
        0"#]],
    );
    check(
        "SELECT 10 / payments AS x FROM rates ORDER BY payments DESC LIMIT 1",
        expect![[r#"
        x
        0"#]],
    );
    check(
        "SELECT SUM(10 / payments) FILTER (WHERE payments > 5) AS x FROM rates",
        expect![[r#"
        x
        3"#]],
    );
    check("SELECT SUM(10 / payments) AS x FROM rates", expect!["error: 10 / payments: division by zero"]);
}

/// Groups depend on the set of rows alone: every rotation and cut of the input gives the same answer.
#[test]
fn the_order_of_input_does_not_matter() {
    for select in [
        "SELECT channel, SUM(payments), AVG(risk), MAX(volume) FROM rates GROUP BY channel",
        "SELECT ARG_MIN(channel, live), ARG_MAX(volume, live), COUNT(DISTINCT payments), STDDEV_SAMP(risk) FROM rates WHERE risk < 10",
        "SELECT DISTINCT live, closed FROM rates ORDER BY live",
    ] {
        let plan = plan(select);
        let all = batch(&plan, &ROWS, false);
        let expected = table(&execute_select(&plan, std::slice::from_ref(&all)).expect("no row fails"));
        for shift in 0..ROWS.len() as u64 {
            let order = (0..ROWS.len() as u64).map(|row| (row * 3 + shift) % ROWS.len() as u64);
            let shuffled = take_record_batch(&all, &order.collect::<arrow::array::UInt64Array>()).expect("rows that exist");
            let cut = shift as usize;
            let batches = [shuffled.slice(0, cut), shuffled.slice(cut, ROWS.len() - cut)];
            assert_eq!(table(&execute_select(&plan, &batches).expect("no row fails")), expected, "{select}, shift {shift}");
            assert_eq!(concat_batches(&shuffled.schema(), &batches).expect("one schema").num_rows(), ROWS.len());
        }
    }
}

/// Batches of another metric are refused, not misread.
#[test]
fn foreign_batches_are_refused() {
    let plan = plan("SELECT * FROM rates");
    let rows = batch(&plan, &ROWS, false).project(&[0, 1]).expect("two columns");
    assert!(matches!(execute_select(&plan, &[rows]), Err(ExecuteError::Columns { found: 2, expected: 8 })));
}
