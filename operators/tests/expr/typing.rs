//! Types of results, errors of scripts, and what can be said of an expression without rows.

use crate::support::*;
use raympp_operators::expr::BinaryOp::*;
use raympp_operators::expr::{
    Expr, TypeErrorKind, binary, call, case, cast, coalesce, in_list, is_distinct_from, is_false, is_null, is_true, like, negate, not,
};
use raympp_types::{DataType, Value};
use std::collections::BTreeSet;

fn column(data_type: DataType) -> Expr {
    Expr::column(0, "c", data_type)
}

fn text(value: &str) -> Expr {
    Expr::literal(Value::from(value))
}

#[test]
fn results_of_arithmetic() {
    use DataType::*;
    for (left, operator, right, expected) in [
        (SmallInt, Add, SmallInt, SmallInt),
        (SmallInt, Add, BigInt, BigInt),
        (Integer, Divide, Integer, Integer),
        (Integer, Add, Real, Double),
        (Real, Multiply, Real, Real),
        (decimal(18, 2), Add, decimal(10, 4), decimal(21, 4)),
        (decimal(18, 2), Multiply, decimal(10, 4), decimal(28, 6)),
        (decimal(38, 10), Multiply, decimal(10, 4), decimal(38, 14)),
        (decimal(18, 2), Divide, decimal(10, 4), Double),
        (decimal(18, 2), Divide, Integer, Double),
        (decimal(18, 2), Add, BigInt, decimal(22, 2)),
        (decimal(18, 2), Modulo, decimal(10, 4), decimal(20, 4)),
        (decimal(18, 2), Add, Double, Double),
        (Date, Subtract, Date, Integer),
        (Date, Add, Integer, Date),
        (Date, Add, Interval, Timestamp),
        (Timestamp, Subtract, Timestamp, Interval),
        (Timestamp, Subtract, TimestampTz, Interval),
        (TimestampTz, Add, Interval, TimestampTz),
        (Interval, Multiply, Integer, Interval),
    ] {
        let expr = binary(operator, column(left), column(right)).unwrap();
        assert_eq!(expr.data_type(), expected, "{left} {operator:?} {right}");
    }
    // A literal counts by its digits.
    let doubled = binary(Multiply, column(decimal(18, 2)), Expr::literal(Value::Integer(2))).unwrap();
    assert_eq!(doubled.data_type(), decimal(19, 2));
}

#[test]
fn mistakes_say_what_was_expected() {
    use TypeErrorKind::*;
    let number = || Expr::literal(Value::Integer(1));
    for (built, kind, message) in [
        (call("lowwer", vec![]), UnknownFunction, "there is no function lowwer; did you mean lower?"),
        (call("frobnicate", vec![]), UnknownFunction, "there is no function frobnicate"),
        (call("left", vec![text("a")]), ArgumentCount, "left takes 2 arguments, found 1"),
        (call("round", vec![]), ArgumentCount, "round takes 1 to 2 arguments, found 0"),
        (call("coalesce", vec![]), ArgumentCount, "coalesce takes at least 1 arguments, found 0"),
        (call("lower", vec![number()]), TypeMismatch, "lower takes VARCHAR here, found INTEGER"),
        (call("sqrt", vec![column(DataType::Boolean)]), TypeMismatch, "sqrt takes a number, found BOOLEAN"),
        (binary(Add, column(DataType::Varchar), number()), TypeMismatch, "there is no VARCHAR + INTEGER; cast an operand"),
        (
            binary(Eq, column(DataType::Varchar), number()),
            TypeMismatch,
            "= needs values of one type, found VARCHAR and INTEGER; cast one of them",
        ),
        (binary(Eq, column(DataType::Integer), text("five")), InvalidLiteral, "'five' is not INTEGER: expected a whole number"),
        (
            binary(Lt, column(DataType::Timestamp), text("yesterday")),
            InvalidLiteral,
            "'yesterday' is not TIMESTAMP: expected YYYY-MM-DD HH:MM:SS[.ffffff] without an offset from UTC",
        ),
        (binary(And, column(DataType::Integer), column(DataType::Boolean)), TypeMismatch, "AND takes BOOLEAN here, found INTEGER"),
        (not(number()), TypeMismatch, "NOT takes BOOLEAN here, found INTEGER"),
        (negate(text("a")), TypeMismatch, "- takes a number or an INTERVAL, found VARCHAR"),
        (cast(column(DataType::Date), DataType::Integer, false), TypeMismatch, "DATE can't be cast to INTEGER"),
        (
            binary(Multiply, column(decimal(38, 20)), column(decimal(38, 19))),
            TooManyDigits,
            "the product would have 39 digits after the point, 38 are the most; cast an operand to a smaller scale",
        ),
        (
            like(column(DataType::Varchar), text("a\\"), None, false, false),
            InvalidPattern,
            "'a\\' is not a LIKE pattern: it ends with its escape character",
        ),
        (call("date_trunc", vec![text("dow"), column(DataType::Timestamp)]), InvalidField, "TIMESTAMP can't be truncated to 'dow'"),
        (call("extract", vec![text("week"), column(DataType::Interval)]), InvalidField, "INTERVAL has no field 'week'"),
        (
            call("extract", vec![column(DataType::Varchar), column(DataType::Timestamp)]),
            InvalidField,
            "extract takes a literal field such as 'hour' first",
        ),
        (
            coalesce(vec![column(DataType::Integer), column(DataType::Boolean)]),
            TypeMismatch,
            "COALESCE needs values of one type, found INTEGER and BOOLEAN; cast one of them",
        ),
        (binary(Concat, number(), number()), TypeMismatch, "|| takes VARCHAR on one side at least, found INTEGER and INTEGER"),
    ] {
        let error = built.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, message));
    }
    let error = binary(Regex, column(DataType::Varchar), text("(")).unwrap_err();
    assert_eq!(error.kind, InvalidPattern);
    let error = call("extract", vec![text("hours_of_day"), column(DataType::Timestamp)]).unwrap_err();
    assert!(error.message.starts_with("extract knows no field 'hours_of_day'; expected microseconds, "), "{error}");
}

#[test]
fn expressions_show_as_sql() {
    let a = || Expr::column(0, "a", DataType::Integer);
    let b = || Expr::column(1, "B c", DataType::Integer);
    let s = || Expr::column(2, "s", DataType::Varchar);
    let two = || Expr::literal(Value::Integer(2));
    for (built, expected) in [
        (binary(Multiply, binary(Add, a(), b()).unwrap(), two()), "(a + \"B c\") * 2"),
        (binary(Subtract, a(), binary(Subtract, b(), two()).unwrap()), "a - (\"B c\" - 2)"),
        (binary(Subtract, binary(Subtract, a(), b()).unwrap(), two()), "a - \"B c\" - 2"),
        (negate(negate(a()).unwrap()), "-(-a)"),
        (not(binary(Or, binary(Eq, a(), two()).unwrap(), is_null(b(), true).unwrap()).unwrap()), "NOT (a = 2 OR \"B c\" IS NOT NULL)"),
        (in_list(s(), vec![text("it's"), text("x")], true), "s NOT IN ('it''s', 'x')"),
        (case(Some(a()), vec![(two(), text("two"))], None), "CASE WHEN a = 2 THEN 'two' END"),
        (cast(a(), decimal(5, 2), true), "TRY_CAST(a AS DECIMAL(5,2))"),
        (like(s(), text("a!%"), Some('!'), true, true), "s NOT ILIKE 'a!%' ESCAPE '!'"),
        (binary(NotRegexInsensitive, s(), text("x")), "s !~* 'x'"),
        (call("extract", vec![text("Hour"), Expr::column(3, "t", DataType::Timestamp)]), "extract(hour FROM t)"),
        (is_distinct_from(a(), two(), true), "a IS NOT DISTINCT FROM 2"),
        (binary(Add, two(), two()), "4"),
        (call("concat", vec![s(), a()]), "concat(s, CAST(a AS VARCHAR))"),
    ] {
        assert_eq!(built.unwrap().to_string(), expected);
    }
}

/// A constant is looked at once, a column row by row.
#[test]
fn comparisons_with_a_constant_cast_no_column_if_the_constant_fits_it() {
    let small = || Expr::column(0, "a", DataType::SmallInt);
    let int = || Expr::column(1, "b", DataType::Integer);
    let (integer, bigint) = (|value| Expr::literal(Value::Integer(value)), |value| Expr::literal(Value::BigInt(value)));
    for (built, expected) in [
        (binary(Eq, small(), integer(32_767)), "a = 32767"),
        (binary(Gt, bigint(-32_768), small()), "-32768 > a"),
        (binary(Lt, small(), integer(32_768)), "CAST(a AS INTEGER) < 32768"),
        (binary(GtEq, int(), bigint(-2_147_483_648)), "b >= -2147483648"),
        (binary(NotEq, int(), bigint(2_147_483_648)), "CAST(b AS BIGINT) <> 2147483648"),
        (binary(Eq, small(), int()), "CAST(a AS INTEGER) = b"),
        (binary(Eq, integer(1), bigint(1)), "TRUE"),
    ] {
        assert_eq!(built.unwrap().to_string(), expected);
    }
}

#[test]
fn equality_is_structural_and_by_bits() {
    let a = || Expr::column(0, "a", DataType::Double);
    let plus = |value: f64| binary(Add, a(), Expr::literal(Value::Double(value))).unwrap();
    assert_eq!(plus(f64::NAN), plus(f64::NAN));
    assert_ne!(plus(0.0), plus(-0.0));
    let matches = |pattern: &str| binary(Regex, Expr::column(1, "s", DataType::Varchar), text(pattern)).unwrap();
    let set: std::collections::HashSet<Expr> = [matches("a+"), matches("a+"), matches("b+")].into();
    assert_eq!(set.len(), 2);
}

#[test]
fn columns_are_found_and_moved() {
    let [a, b] = [3, 5].map(|i| Expr::column(i, "c", DataType::Integer));
    let expr = binary(Add, binary(Multiply, a.clone(), b).unwrap(), a).unwrap();
    assert_eq!(expr.columns(), BTreeSet::from([3, 5]));
    let moved = expr.remap_columns(&|i| if i == 3 { 0 } else { 1 });
    assert_eq!(moved.columns(), BTreeSet::from([0, 1]));
    let columns = [array(DataType::Integer, &["2", "3"]), array(DataType::Integer, &["10", "20"])];
    assert_eq!(column_of(&moved, &columns), "22, 63");
    assert_eq!(moved.data_type(), DataType::Integer);
    assert_eq!(Expr::column(7, "c", DataType::Integer).as_column(), Some(7));
    assert_eq!(Expr::literal(Value::Integer(1)).as_literal(), Some(&Value::Integer(1)));
}

#[test]
fn fallibility_is_known_beforehand() {
    let x = || Expr::column(0, "x", DataType::Integer);
    let d = |precision, scale| Expr::column(0, "d", decimal(precision, scale));
    for (built, expected) in [
        (binary(Add, x(), x()), true),
        (binary(Eq, x(), x()), false),
        (binary(Add, d(18, 2), d(18, 2)), false),
        (binary(Add, d(38, 2), d(18, 2)), true),
        (binary(Gt, d(38, 2), d(38, 20)), false),
        (cast(x(), DataType::BigInt, false), false),
        (cast(x(), DataType::SmallInt, false), true),
        (cast(x(), DataType::SmallInt, true), false),
        (cast(d(9, 2), DataType::Integer, false), false),
        (cast(d(12, 2), DataType::Integer, false), true),
        (call("lower", vec![Expr::column(0, "s", DataType::Varchar)]), false),
        (
            call(
                "substring",
                vec![Expr::column(0, "s", DataType::Varchar), Expr::literal(Value::Integer(1)), Expr::literal(Value::Integer(2))],
            ),
            false,
        ),
    ] {
        let expr = built.unwrap();
        assert_eq!(expr.fallible(), expected, "{expr}");
    }
}

#[test]
fn predicates_that_refuse_null() {
    let x = || Expr::column(0, "x", DataType::Integer);
    let y = || Expr::column(1, "y", DataType::Integer);
    let one = || Expr::literal(Value::Integer(1));
    let positive = |e: Expr| binary(Gt, e, one()).unwrap();
    for (built, expected) in [
        (binary(Gt, x(), one()), true),
        (binary(Gt, y(), one()), false),
        (binary(Eq, binary(Add, x(), y()).unwrap(), one()), true),
        (is_null(x(), true), true),
        (is_null(x(), false), false),
        (not(is_null(x(), false).unwrap()), true),
        (not(positive(x())), true),
        (binary(And, positive(x()), positive(y())), true),
        (binary(Or, positive(x()), positive(y())), false),
        (binary(Or, positive(x()), is_null(x(), true).unwrap()), true),
        (in_list(x(), vec![one(), y()], true), true),
        (binary(Gt, coalesce(vec![x(), one()]).unwrap(), one()), false),
        (binary(Gt, coalesce(vec![x(), x()]).unwrap(), one()), true),
        (is_true(positive(x()), false), true),
        (is_true(positive(x()), true), false),
        (is_false(positive(x()), false), true),
        (is_distinct_from(x(), one(), true), true),
        (is_distinct_from(x(), one(), false), false),
        (is_distinct_from(x(), y(), true), false),
        (case(None, vec![(positive(x()), is_null(y(), true).unwrap())], None), true),
    ] {
        let expr = built.unwrap();
        assert_eq!(expr.rejects_null_of(0), expected, "{expr}");
    }
}
