//! Calls as scripts make them: names, types, parameters, DISTINCT, what they show and what they share.

use crate::harness::{Batch, DECIMAL, Row, aggregate};
use raympp_operators::accumulator::names::aggregate_names;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, Aggregate, AggregateErrorKind, AggregateFunction, CellKind};
use raympp_operators::expr::Expr;
use raympp_types::{DataType, Interval, Value};

fn column(data_type: DataType) -> Expr {
    Expr::column(0, "x", data_type)
}

fn passes() -> Option<Expr> {
    Some(Expr::column(2, "ok", DataType::Boolean))
}

fn one(name: &str, data_type: DataType) -> Aggregate {
    Aggregate::new(name, false, vec![column(data_type)], None).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn result_types() {
    let decimal = |scale| DataType::Decimal { precision: 38, scale };
    for (name, argument, result) in [
        ("count", DataType::Varchar, DataType::BigInt),
        ("sum", DataType::SmallInt, decimal(0)),
        ("sum", DataType::BigInt, decimal(0)),
        ("sum", DataType::Decimal { precision: 18, scale: 2 }, decimal(2)),
        ("sum", DataType::Real, DataType::Double),
        ("avg", DataType::BigInt, DataType::Double),
        ("avg", DECIMAL, DataType::Double),
        ("min", DataType::Real, DataType::Real),
        ("max", DataType::Interval, DataType::Interval),
        ("stddev", DataType::Integer, DataType::Double),
        ("variance", DECIMAL, DataType::Double),
        ("every", DataType::Boolean, DataType::Boolean),
        ("first_value", DataType::Bytea, DataType::Bytea),
        ("approx_count_distinct", DataType::Date, DataType::BigInt),
        ("approx_median", DataType::Integer, DataType::Double),
    ] {
        assert_eq!(one(name, argument).data_type(), result, "{name}({argument})");
    }
    assert_eq!(Aggregate::new("count", false, vec![], None).map(|count| count.function), Ok(AggregateFunction::CountStar));
}

#[test]
fn errors_say_what_was_expected() {
    let x = || column(DataType::BigInt);
    let text = || Expr::literal(Value::from("a"));
    let number = |value: f64| Expr::literal(Value::Double(value));
    let int = |value: i32| Expr::literal(Value::Integer(value));
    let varchar = || column(DataType::Varchar);
    use AggregateErrorKind::{ArgumentCount, DistinctUnsupported, InvalidParameter, TypeMismatch, UnknownName};
    for (name, distinct, args, kind, message) in [
        ("averge", false, vec![x()], UnknownName, "there is no aggregate averge; did you mean avg?"),
        ("frobnicate", false, vec![x()], UnknownName, "there is no aggregate frobnicate"),
        ("sum", false, vec![], ArgumentCount, "sum takes 1 argument, found 0"),
        ("count", false, vec![x(), x()], ArgumentCount, "count takes * or 1 argument, found 2"),
        ("arg_min", false, vec![x()], ArgumentCount, "arg_min takes 2 arguments, found 1"),
        ("sum", false, vec![varchar()], TypeMismatch, "sum takes a number, found VARCHAR"),
        ("bool_or", false, vec![x()], TypeMismatch, "bool_or takes BOOLEAN, found BIGINT"),
        (
            "max",
            false,
            vec![Expr::literal(Value::Null)],
            TypeMismatch,
            "max of a bare NULL has no type; write NULL::BIGINT, or the type that is meant",
        ),
        ("first_value", true, vec![x()], DistinctUnsupported, "first_value does not take DISTINCT"),
        ("count", true, vec![], DistinctUnsupported, "DISTINCT needs an argument: count(DISTINCT x)"),
        (
            "approx_percentile",
            false,
            vec![x(), number(1.5)],
            InvalidParameter,
            "the second argument of approx_percentile must be a number from 0 to 1",
        ),
        (
            "approx_percentile",
            false,
            vec![x(), number(f64::NAN)],
            InvalidParameter,
            "the second argument of approx_percentile must be a number from 0 to 1",
        ),
        (
            "approx_percentile",
            false,
            vec![x(), x()],
            InvalidParameter,
            "the second argument of approx_percentile must be a number from 0 to 1",
        ),
        ("top_k", false, vec![x(), int(0)], InvalidParameter, "the second argument of top_k must be an integer from 1 to 10000"),
        ("top_k", false, vec![x(), text()], InvalidParameter, "the second argument of top_k must be an integer from 1 to 10000"),
    ] {
        let error = Aggregate::new(name, distinct, args, None).expect_err(message);
        assert_eq!((error.kind, error.to_string().as_str()), (kind, message));
    }
    let error = Aggregate::new("count", false, vec![], Some(x())).expect_err("a filter of numbers");
    assert_eq!(error.to_string(), "FILTER takes a BOOLEAN condition, found BIGINT");
}

#[test]
fn every_name_is_an_aggregate() {
    assert!(aggregate_names().all(Aggregate::is_aggregate_name));
    assert!(!Aggregate::is_aggregate_name("lower") && !Aggregate::is_aggregate_name("SUM"));
    assert!(aggregate_names().is_sorted());
}

#[test]
fn calls_are_shown_as_sql() {
    let x = || column(DataType::Double);
    let show = |name, distinct, args, filter| Aggregate::new(name, distinct, args, filter).expect("valid").to_string();
    assert_eq!(show("count", false, vec![], passes()), "COUNT(*) FILTER (WHERE ok)");
    assert_eq!(show("sum", true, vec![x()], None), "SUM(DISTINCT x)");
    let quantile = Expr::literal(Value::Decimal { unscaled: 95, precision: 2, scale: 2 });
    assert_eq!(show("approx_percentile", false, vec![x(), quantile], None), "APPROX_PERCENTILE(x, 0.95)");
    assert_eq!(show("top_k", false, vec![x(), Expr::literal(Value::Integer(3))], None), "TOP_K(x, 3)");
    assert_eq!(show("arg_max", false, vec![x(), column(DataType::Date)], None), "ARG_MAX(x, x)");
    let shown: Vec<String> = Aggregate::new("stddev", false, vec![x()], passes())
        .expect("valid")
        .lower()
        .accumulators
        .iter()
        .map(Accumulator::to_string)
        .collect();
    assert_eq!(
        shown,
        [
            "rows where ok",
            "nulls(x) where ok",
            "sum(x) where ok",
            "sum of outliers(x) where ok",
            "sum of squares(x) where ok",
            "sum of squares of outliers(x) where ok"
        ]
    );
}

#[test]
fn equal_pieces_are_equal_accumulators() {
    let lowered = |name: &str, distinct, data_type, filter| {
        let mut args = vec![column(data_type)];
        if name == "top_k" {
            args.push(Expr::literal(Value::Integer(3)));
        }
        Aggregate::new(name, distinct, args, filter).expect("valid").lower().accumulators
    };
    let sum = lowered("sum", false, DataType::BigInt, None);
    assert_eq!(sum, lowered("avg", false, DataType::BigInt, None));
    assert_eq!(sum[..], lowered("stddev", false, DataType::BigInt, None)[..2]);
    assert_eq!(lowered("count", true, DataType::Varchar, None), lowered("top_k", false, DataType::Varchar, None));
    assert_eq!(lowered("min", true, DataType::BigInt, None), lowered("min", false, DataType::BigInt, None));
    let always = Some(Expr::literal(Value::Boolean(true)));
    assert_eq!(lowered("sum", false, DataType::BigInt, always), sum);
    let or = lowered("bool_or", false, DataType::Boolean, None);
    assert_eq!(or, lowered("bool_and", false, DataType::Boolean, None));
    assert_eq!(or[1], Accumulator::Count { filter: Some(column(DataType::Boolean)) });
}

/// What EXPLAIN says a heavy cell takes is no less than what it takes, and not much more.
#[test]
fn heavy_cells_take_no_more_than_is_said() {
    let stated = |accumulator: &Accumulator, things: usize| {
        let size = accumulator.heavy_size().expect("it is heavy");
        (size.cell + size.each * things).min(size.most.unwrap_or(usize::MAX))
    };
    for (name, distinct, data_type, things) in [
        ("first_value", false, DataType::SmallInt, 1),
        ("arg_max", false, DataType::Timestamp, 1),
        ("max", false, DECIMAL, 1),
        ("min", false, DataType::Interval, 1),
        ("count", true, DataType::BigInt, 1),
        ("count", true, DataType::BigInt, 8),
        ("top_k", false, DataType::Double, 1000),
        ("approx_count_distinct", false, DataType::BigInt, 3),
        ("approx_count_distinct", false, DataType::BigInt, 1100),
        ("approx_count_distinct", false, DataType::BigInt, 20_000),
        ("approx_median", false, DataType::Double, 100),
    ] {
        let value = |n: i64| match data_type {
            DataType::SmallInt => Value::SmallInt(n as i16),
            DataType::Double => Value::Double(n as f64),
            DataType::Timestamp => Value::Timestamp(n),
            DataType::Interval => Value::Interval(Interval { months: 1, days: n as i32, micros: n }),
            DataType::Decimal { precision, scale } => Value::Decimal { unscaled: n.into(), precision, scale },
            _ => Value::BigInt(n),
        };
        let rows: Vec<Row> = (0..things as i64).map(|n| Row { by: n.into(), ..Row::of(value(n)) }).collect();
        let accumulator = aggregate(name, distinct, data_type, false).lower().accumulators.pop().expect("an accumulator");
        let batch = Batch::new(&rows, data_type);
        let AccumulatorColumn::Heavy(cells) = batch.fold(&accumulator, &batch.all()) else { panic!("{accumulator} is heavy") };
        // A cell that is shared has two counts before it.
        let bytes = 16 + cells[0].as_ref().expect("a cell with rows").memory_bytes();
        let stated = stated(&accumulator, things);
        assert!(bytes <= stated && stated <= bytes * 5 / 2, "{accumulator} of {things}: {bytes} bytes, said are {stated}");
    }
    let shown =
        |name: &str, data_type| aggregate(name, false, data_type, false).lower().accumulators[0].heavy_size().map(|size| size.to_string());
    assert_eq!(shown("count", DataType::BigInt), None);
    assert!(
        shown("approx_count_distinct", DataType::BigInt).is_some_and(|text| text.contains(" + 8 per distinct value, never more than 16")),
        "a limit"
    );
    assert!(shown("last_value", DataType::Varchar).is_some_and(|text| text.ends_with(" + twice its texts")), "texts");
}

#[test]
fn cells_are_stored_by_their_kind() {
    let last = |name: &str, data_type| one(name, data_type).lower().accumulators.pop().expect("an accumulator");
    for (name, data_type, kind, invertible, bytes) in [
        ("count", DataType::BigInt, CellKind::Count, true, 8),
        ("sum", DataType::Integer, CellKind::Wide4, true, 8),
        ("sum", DataType::Double, CellKind::Heavy, true, 8),
        ("var_pop", DataType::BigInt, CellKind::Wide4, true, 8),
        ("var_pop", DECIMAL, CellKind::Wide8, true, 8),
        ("max", DataType::Timestamp, CellKind::Extreme, false, 8),
        ("max", DataType::Varchar, CellKind::Heavy, false, 8),
        ("approx_median", DataType::Real, CellKind::Heavy, true, 8),
        ("approx_count_distinct", DataType::Real, CellKind::Heavy, false, 8),
    ] {
        let accumulator = last(name, data_type);
        assert_eq!(
            (accumulator.cell_kind(), accumulator.invertible(), accumulator.bytes_per_cell()),
            (kind, invertible, bytes),
            "{accumulator}"
        );
    }
    let floats = one("var_pop", DataType::Double).lower().accumulators;
    assert_eq!(floats.iter().map(Accumulator::bytes_per_cell).collect::<Vec<_>>(), [8, 32, 8, 64, 8]);
}
