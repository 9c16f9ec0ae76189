//! An error counts only where its value is needed.

use crate::support::*;
use arrow::array::{Array, ArrayRef};
use arrow::buffer::BooleanBuffer;
use raympp_operators::expr::BinaryOp::*;
use raympp_operators::expr::{EvaluationError, Expr, binary, call, case, in_list, is_null};
use raympp_types::{DataType, Value};

fn number(value: i32) -> Expr {
    Expr::literal(Value::Integer(value))
}

fn x() -> Expr {
    Expr::column(0, "x", DataType::Integer)
}

/// 10 / x
fn quotient() -> Expr {
    binary(Divide, number(10), x()).unwrap()
}

fn column() -> [ArrayRef; 1] {
    [array(DataType::Integer, &["0", "5", "NULL", "20"])]
}

fn check(expr: Built, expected: &str) {
    let expr = expr.unwrap();
    assert!(expr.fallible(), "{expr}");
    assert_eq!(column_of(&expr, &column()), expected, "{expr}");
}

#[test]
fn and_and_or_stop_at_what_decides() {
    let small = || binary(Lt, quotient(), number(1)).unwrap();
    check(binary(And, binary(NotEq, x(), number(0)).unwrap(), small()), "false, false, NULL, true");
    check(binary(Or, binary(Eq, x(), number(0)).unwrap(), small()), "true, false, NULL, true");
    // The left side is always needed.
    check(binary(And, small(), binary(NotEq, x(), number(0)).unwrap()), "!, false, NULL, true");
    // NULL does not decide.
    check(binary(And, is_null(x(), true).unwrap(), small()), "!, false, false, true");
}

#[test]
fn case_computes_the_branch_taken() {
    let zero = || binary(Eq, x(), number(0)).unwrap();
    check(case(None, vec![(zero(), number(-1))], Some(quotient())), "-1, 2, NULL, 0");
    check(case(None, vec![(zero(), quotient())], Some(number(7))), "!, 7, 7, 7");
    // A later condition counts only for rows that reach it.
    let later = binary(Gt, quotient(), number(1)).unwrap();
    check(case(None, vec![(zero(), number(1)), (later, number(2))], None), "1, 2, NULL, NULL");
    check(case(Some(x()), vec![(number(0), number(0)), (number(5), quotient())], None), "0, 2, NULL, NULL");
}

#[test]
fn coalesce_computes_what_is_missing() {
    check(call("coalesce", vec![call("nullif", vec![x(), number(5)]).unwrap(), quotient()]), "0, 2, NULL, 20");
    check(call("coalesce", vec![quotient(), number(3)]), "!, 2, 3, 0");
}

#[test]
fn in_stops_at_what_it_finds() {
    check(in_list(x(), vec![number(0), quotient()], false), "true, false, NULL, false");
    check(in_list(x(), vec![quotient(), number(0)], false), "!, false, NULL, false");
}

#[test]
fn rows_that_are_not_active_do_not_fail() {
    let columns = [array(DataType::Integer, &["0", "0", "5", "0"])];
    let active = BooleanBuffer::from(vec![false, true, true, true]);
    let errors = quotient().evaluate_columns(&columns, 4, Some(&active)).errors.unwrap();
    assert_eq!(errors.failed, BooleanBuffer::from(vec![false, true, false, true]));
    assert_eq!((errors.first_row, errors.reason), (1, EvaluationError::DivisionByZero));
    let active = BooleanBuffer::from(vec![false, false, true, false]);
    let evaluated = quotient().evaluate_columns(&columns, 4, Some(&active));
    assert_eq!(evaluated.errors, None);
    assert_eq!(evaluated.values.len(), 4);
}

#[test]
fn the_first_row_keeps_its_reason() {
    let columns = [array(DataType::Integer, &["1", "2147483647", "0", "1"]), array(DataType::Integer, &["1", "1", "1", "0"])];
    let y = Expr::column(1, "y", DataType::Integer);
    let sum = binary(Add, x(), y.clone()).unwrap();
    let expr = binary(Subtract, binary(Divide, number(10), y).unwrap(), sum).unwrap();
    let errors = expr.evaluate_columns(&columns, 4, None).errors.unwrap();
    assert_eq!((errors.first_row, errors.reason), (1, EvaluationError::Overflow(DataType::Integer)));
    assert_eq!(errors.failed, BooleanBuffer::from(vec![false, true, false, true]));
}

/// 1 / 0
fn failing() -> Expr {
    binary(Divide, number(1), number(0)).unwrap()
}

#[test]
fn constants_fail_where_they_are_needed() {
    check(call("coalesce", vec![x(), failing()]), "0, 5, !, 20");
    check(binary(Or, binary(Eq, x(), number(5)).unwrap(), binary(Eq, failing(), number(1)).unwrap()), "!, true, !, !");
    check(binary(And, binary(Eq, x(), number(5)).unwrap(), binary(Eq, failing(), number(1)).unwrap()), "false, !, !, false");
    check(case(None, vec![(binary(Gt, x(), number(4)).unwrap(), failing())], Some(number(7))), "7, !, 7, !");
    check(in_list(x(), vec![number(20), failing()], false), "!, !, !, true");
    check(binary(Add, x(), failing()), "!, !, !, !");
    // No row takes the other branch, so the value is one for all rows, and fails for all.
    let never = case(None, vec![(binary(Gt, x(), number(99)).unwrap(), x())], Some(number(0))).unwrap();
    check(binary(Divide, number(1), never), "!, !, !, !");
    // A constant guard decides as the tree is built.
    let taken = |truth: bool| case(None, vec![(Expr::literal(Value::Boolean(truth)), failing())], Some(number(2))).unwrap();
    assert_eq!(taken(false).as_literal(), Some(&Value::Integer(2)));
    assert_eq!(taken(true).failing_constant().unwrap().message, "CASE WHEN TRUE THEN 1 / 0 ELSE 2 END: division by zero");
    assert_eq!(failing().failing_constant().unwrap().message, "1 / 0: division by zero");
    assert_eq!(call("coalesce", vec![x(), failing()]).unwrap().failing_constant(), None);
}

/// Whether a row fails is no matter of how its column is encoded.
#[test]
fn constants_fail_for_rows_of_dictionaries() {
    let text = Expr::column(0, "x", DataType::Varchar);
    let length = || call("length", vec![text.clone()]).unwrap();
    let plain = array(DataType::Varchar, &["aa", "NULL", "b"]);
    for (expr, expected) in [
        (binary(Add, length(), failing()), "!, !, !"),
        (call("coalesce", vec![length(), failing()]), "2, !, 1"),
        (binary(Or, binary(Eq, length(), number(2)).unwrap(), binary(Eq, failing(), number(1)).unwrap()), "true, !, !"),
    ] {
        let expr = expr.unwrap();
        assert_eq!(column_of(&expr, std::slice::from_ref(&plain)), expected, "{expr}");
        assert_eq!(column_of(&expr, &[encoded(&plain)]), expected, "{expr} over a dictionary");
    }
}
