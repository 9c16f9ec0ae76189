//! VARCHAR columns that arrive as dictionaries.

use crate::support::*;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int32Type;
use raympp_operators::expr::BinaryOp::*;
use raympp_operators::expr::{Expr, binary, call, cast, coalesce, in_list, is_null, like};
use raympp_types::{DataType, Value};

fn s() -> Expr {
    Expr::column(0, "s", DataType::Varchar)
}

fn text(value: &str) -> Expr {
    Expr::literal(Value::from(value))
}

fn plain() -> ArrayRef {
    array(DataType::Varchar, &["7", "a", "NULL", "7", "b", "NULL", "a"])
}

fn expressions() -> Vec<Expr> {
    [
        Ok(s()),
        binary(Eq, s(), text("a")),
        binary(Eq, s(), s()),
        is_null(s(), false),
        coalesce(vec![s(), text("none")]),
        call("upper", vec![s()]),
        call("concat", vec![s(), text("!")]),
        call("length", vec![s()]),
        in_list(s(), vec![text("7"), text("b")], true),
        like(s(), text("%a%"), None, false, false),
        cast(s(), DataType::Integer, false),
        cast(s(), DataType::Integer, true),
        // Fails for NULL only.
        binary(Divide, Expr::literal(Value::Integer(1)), call("length", vec![coalesce(vec![s(), text("")]).unwrap()]).unwrap()),
        binary(Lt, s(), Expr::column(1, "t", DataType::Varchar)),
    ]
    .into_iter()
    .map(Result::unwrap)
    .collect()
}

#[test]
fn a_dictionary_gives_what_plain_strings_give() {
    let other = array(DataType::Varchar, &["8", "NULL", "x", "1", "b", "z", "aa"]);
    for expr in expressions() {
        let expected = column_of(&expr, &[plain(), other.clone()]);
        for columns in [[encoded(&plain()), other.clone()], [encoded(&plain()), encoded(&other)], [plain(), encoded(&other)]] {
            assert_eq!(column_of(&expr, &columns), expected, "{expr}");
        }
        // Fewer rows than entries.
        let short = [encoded(&plain()).slice(2, 2), other.slice(2, 2)];
        assert_eq!(column_of(&expr, &short), column_of(&expr, &[plain().slice(2, 2), other.slice(2, 2)]), "{expr}");
    }
}

#[test]
fn a_value_that_fails_and_no_active_row_holds_is_no_error() {
    let expr = cast(s(), DataType::Integer, false).unwrap();
    let active = BooleanBuffer::from(vec![true, false, true, true, false, true, false]);
    assert_eq!(expr.evaluate_columns(&[encoded(&plain())], 7, Some(&active)).errors, None);
    let errors = expr.evaluate_columns(&[encoded(&plain())], 7, None).errors.unwrap();
    assert_eq!(errors.failed, BooleanBuffer::from(vec![false, true, false, false, true, false, true]));
    assert_eq!(errors.reason.to_string(), "'a' is not INTEGER: expected a whole number");
    assert_eq!(errors.first_row, 1);
}

#[test]
fn text_of_a_dictionary_stays_one() {
    let upper = call("upper", vec![s()]).unwrap().evaluate_columns(&[encoded(&plain())], 7, None).values;
    let dictionary = upper.as_dictionary::<Int32Type>();
    assert!(dictionary.values().len() < 7);
}

#[test]
fn a_predicate_as_a_table_by_code() {
    let entries = array(DataType::Varchar, &["SUCCESS", "FAILED", "NULL", "success"]);
    for (expr, expected) in [
        (binary(Eq, s(), text("SUCCESS")), Some(vec![1, 0, 0, 0, 0])),
        (is_null(s(), false), Some(vec![0, 0, 1, 0, 1])),
        (like(s(), text("succ%"), None, true, false), Some(vec![1, 0, 0, 1, 0])),
        (call("length", vec![s()]), None),
        (binary(Eq, cast(s(), DataType::Integer, false).unwrap(), Expr::literal(Value::Integer(1))), None),
        (binary(Eq, s(), Expr::column(1, "t", DataType::Varchar)), None),
    ] {
        let expr = expr.unwrap();
        assert_eq!(expr.evaluate_predicate_lut(&entries), expected, "{expr}");
    }
}
