//! Results of random rows against exact fractions and plain loops.

use crate::harness::{Batch, DECIMAL, NUMBERS, Row, aggregate, any_rows, types, value};
use crate::reference::{Fraction, sql_order};
use proptest::prelude::*;
use raympp_operators::accumulator::Aggregate;
use raympp_types::{DataType, Value};
use std::cmp::Ordering;

/// What a result in DOUBLE PRECISION must be.
enum Expected {
    Null,
    Special(f64),
    Number(Fraction),
}

fn as_f64(value: &Value) -> f64 {
    match *value {
        Value::Real(value) => f64::from(value),
        Value::Double(value) => value,
        _ => 0.0,
    }
}

/// The values that count: the filter passed, not NULL.
fn counted(rows: &[Row], filtered: bool) -> Vec<Value> {
    let passing = rows.iter().filter(|row| !filtered || row.passes == Some(true));
    passing.map(|row| row.value.clone()).filter(|value| !value.is_null()).collect()
}

/// The NaN or infinity that a sum of these is, if it is one.
fn special_sum(values: &[Value]) -> Option<f64> {
    let special: Vec<f64> = values.iter().map(as_f64).filter(|value| !value.is_finite()).collect();
    special.into_iter().reduce(|sum, value| sum + value)
}

fn total(values: &[Value]) -> Fraction {
    values.iter().map(Fraction::of).fold(Fraction::new(0, 1), |sum, value| sum.plus(&value))
}

fn average(values: &[Value]) -> Expected {
    match special_sum(values) {
        _ if values.is_empty() => Expected::Null,
        Some(special) => Expected::Special(special),
        None => Expected::Number(total(values).over(values.len() as u64)),
    }
}

/// Mean of squared distances from the mean.
fn variance(values: &[Value], divisor: usize) -> Expected {
    if values.is_empty() || divisor == 0 {
        return Expected::Null;
    }
    if special_sum(values).is_some() {
        return Expected::Special(f64::NAN);
    }
    let mean = total(values).over(values.len() as u64);
    let squares = values.iter().map(|value| Fraction::of(value).minus(&mean)).map(|distance| distance.times(&distance));
    Expected::Number(squares.fold(Fraction::new(0, 1), |sum, square| sum.plus(&square)).over(divisor as u64))
}

fn check_double(aggregate: &Aggregate, batch: &Batch, expected: &Expected) -> Result<Value, TestCaseError> {
    let finished = batch.finish(aggregate);
    let result = value(&finished);
    match (expected, &result) {
        (Expected::Null, result) => prop_assert!(result.is_null() && finished.overflowed == 0, "{}: {:?}", aggregate, result),
        (Expected::Special(special), Value::Double(result)) => {
            prop_assert!(special.is_nan() && result.is_nan() || special == result, "{}: {} instead of {}", aggregate, result, special);
        }
        (Expected::Number(number), Value::Null) => prop_assert!(number.overflows() && finished.overflowed == 1, "{}: NULL", aggregate),
        (Expected::Number(number), Value::Double(result)) => {
            prop_assert!(!number.overflows() && number.is_nearest(*result), "{}: {:e} is not nearest to {:?}", aggregate, result, number);
            prop_assert_eq!(finished.overflowed, 0);
        }
        (_, result) => prop_assert!(false, "{}: {:?}", aggregate, result),
    }
    Ok(result)
}

fn typed_rows(types: Vec<DataType>) -> impl Strategy<Value = (DataType, Vec<Row>, bool)> {
    prop::sample::select(types).prop_flat_map(|data_type| (Just(data_type), any_rows(data_type), any::<bool>()))
}

/// Rows whose values are ordinary: sums of many of them stay narrow or at least inside fixed point.
fn ordinary_rows() -> impl Strategy<Value = (DataType, Vec<Row>, bool)> {
    let double = prop::collection::vec((-1_000_000i64..1_000_000, 0i32..40), 0..40).prop_map(|values| {
        let rows = values.into_iter().map(|(mantissa, power)| Row::of(mantissa as f64 / 2f64.powi(power) / 10.0)).collect();
        (DataType::Double, rows, false)
    });
    let decimal = prop::collection::vec(-10_000_000i64..10_000_000, 0..40).prop_map(|values| {
        let cents = |unscaled| Value::Decimal { unscaled: i128::from(unscaled), precision: 38, scale: 4 };
        (DECIMAL, values.into_iter().map(|value| Row::of(cents(value))).collect(), false)
    });
    let integer = prop::collection::vec(-10_000_000i64..10_000_000, 0..40)
        .prop_map(|values| (DataType::BigInt, values.into_iter().map(Row::of).collect(), false));
    prop_oneof![double, decimal, integer]
}

fn check_numbers(data_type: DataType, rows: &[Row], filtered: bool) -> Result<(), TestCaseError> {
    let batch = Batch::new(rows, data_type);
    let values = counted(rows, filtered);
    let call = |name: &str| aggregate(name, false, data_type, filtered);
    check_double(&call("avg"), &batch, &average(&values))?;
    let population = check_double(&call("var_pop"), &batch, &variance(&values, values.len()))?;
    let sample = check_double(&call("var_samp"), &batch, &variance(&values, values.len().saturating_sub(1)))?;
    for (name, variance) in [("stddev_pop", population), ("stddev_samp", sample)] {
        let root = if let Value::Double(variance) = variance { Value::Double(variance.sqrt()) } else { Value::Null };
        let result = value(&batch.finish(&call(name)));
        prop_assert!(result == root || as_f64(&result).is_nan() && as_f64(&root).is_nan(), "{}: {:?}", name, result);
    }
    Ok(())
}

/// SUM(x) or SUM(DISTINCT x) of these values.
fn check_sum(aggregate: &Aggregate, batch: &Batch, values: &[Value]) -> Result<(), TestCaseError> {
    if aggregate.data_type() == DataType::Double {
        let expected = match special_sum(values) {
            _ if values.is_empty() => Expected::Null,
            Some(special) => Expected::Special(special),
            None => Expected::Number(total(values)),
        };
        return check_double(aggregate, batch, &expected).map(|_| ());
    }
    let finished = batch.finish(aggregate);
    let scale = if let DataType::Decimal { scale, .. } = aggregate.data_type() { scale } else { 0 };
    let exact = total(values).times(&Fraction::new(10i128.pow(u32::from(scale)), 1));
    let fits = exact.numerator.magnitude() < &(exact.denominator.magnitude() * num_bigint::BigUint::from(10u8).pow(38));
    match value(&finished) {
        Value::Null => prop_assert!(values.is_empty() && finished.overflowed == 0 || !fits && finished.overflowed == 1),
        Value::Decimal { unscaled, .. } => {
            prop_assert!(fits && finished.overflowed == 0);
            prop_assert_eq!(exact.compare(&Fraction::new(unscaled, 1)), std::cmp::Ordering::Equal);
        }
        other => prop_assert!(false, "{:?}", other),
    }
    Ok(())
}

fn distinct(values: &[Value]) -> Vec<Value> {
    let mut values = values.to_vec();
    values.sort_by(sql_order);
    values.dedup_by(|a, b| sql_order(a, b).is_eq());
    values
}

/// SQL's order, and equal intervals by months, then days.
fn total_order(left: &Value, right: &Value) -> Ordering {
    let months_and_days = |value: &Value| if let Value::Interval(value) = value { (value.months, value.days) } else { (0, 0) };
    sql_order(left, right).then_with(|| months_and_days(left).cmp(&months_and_days(right)))
}

/// One value: all NaN are, and both zeros.
fn same(left: &Value, right: Option<&Value>) -> bool {
    match right {
        None => left.is_null(),
        Some(right) => !left.is_null() && total_order(left, right).is_eq(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn averages_and_variances_are_rounded_once((data_type, rows, filtered) in typed_rows(NUMBERS.to_vec())) {
        check_numbers(data_type, &rows, filtered)?;
    }

    #[test]
    fn averages_and_variances_of_ordinary_data_are_rounded_once((data_type, rows, filtered) in ordinary_rows()) {
        check_numbers(data_type, &rows, filtered)?;
    }

    #[test]
    fn sums_are_exact((data_type, rows, filtered) in typed_rows(NUMBERS.to_vec())) {
        let (batch, values) = (Batch::new(&rows, data_type), counted(&rows, filtered));
        check_sum(&aggregate("sum", false, data_type, filtered), &batch, &values)?;
        check_sum(&aggregate("sum", true, data_type, filtered), &batch, &distinct(&values))?;
        check_double(&aggregate("avg", true, data_type, filtered), &batch, &average(&distinct(&values)))?;
    }

    #[test]
    fn counts_leave_out_nulls_and_repetitions((data_type, rows, filtered) in typed_rows(types())) {
        let (batch, values) = (Batch::new(&rows, data_type), counted(&rows, filtered));
        let count = |distinct| value(&batch.finish(&aggregate("count", distinct, data_type, filtered)));
        prop_assert_eq!(count(false), Value::BigInt(values.len() as i64));
        prop_assert_eq!(count(true), Value::BigInt(distinct(&values).len() as i64));
        // So few values are counted exactly, but for two that share a register.
        match value(&batch.finish(&aggregate("approx_count_distinct", false, data_type, filtered))) {
            Value::BigInt(estimate) => prop_assert!((estimate - distinct(&values).len() as i64).abs() <= 2, "{}", estimate),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn extremes_and_picks_are_those_of_a_loop((data_type, rows, filtered) in typed_rows(types())) {
        let batch = Batch::new(&rows, data_type);
        let values = counted(&rows, filtered);
        let result = |name| value(&batch.finish(&aggregate(name, false, data_type, filtered)));
        prop_assert!(same(&result("min"), values.iter().min_by(|a, b| total_order(a, b))));
        prop_assert!(same(&result("max"), values.iter().max_by(|a, b| total_order(a, b))));
        let present = |row: &&Row| (!filtered || row.passes == Some(true)) && !row.value.is_null();
        // Offsets ascend, so the first of equal times wins; of `max_by_key` the last does.
        let present_rows: Vec<&Row> = rows.iter().filter(present).collect();
        prop_assert!(same(&result("first_value"), present_rows.iter().min_by_key(|row| row.time_us).map(|row| &row.value)));
        prop_assert!(same(&result("last_value"), present_rows.iter().max_by_key(|row| row.time_us).map(|row| &row.value)));
        let key = |row: &&Row| if let Value::BigInt(by) = row.by { Some(by) } else { None };
        let ordered: Vec<(i64, &&Row)> = present_rows.iter().filter_map(|row| Some((key(row)?, row))).collect();
        prop_assert!(same(&result("arg_min"), ordered.iter().min_by_key(|(by, row)| (*by, row.time_us)).map(|(_, row)| &row.value)));
        prop_assert!(same(&result("arg_max"), ordered.iter().min_by_key(|(by, row)| (-by, row.time_us)).map(|(_, row)| &row.value)));
    }

    #[test]
    fn booleans_are_and_and_or((_, rows, filtered) in typed_rows(vec![DataType::Boolean])) {
        let batch = Batch::new(&rows, DataType::Boolean);
        let values = counted(&rows, filtered);
        let result = |name| value(&batch.finish(&aggregate(name, false, DataType::Boolean, filtered)));
        let expected = |result: bool| if values.is_empty() { Value::Null } else { Value::Boolean(result) };
        prop_assert_eq!(result("bool_and"), expected(values.iter().all(|value| *value == Value::Boolean(true))));
        prop_assert_eq!(result("bool_or"), expected(values.contains(&Value::Boolean(true))));
    }

    #[test]
    fn the_top_values_are_those_of_a_sort((_, rows, filtered) in typed_rows(vec![DataType::Varchar])) {
        let batch = Batch::new(&rows, DataType::Varchar);
        let values = counted(&rows, filtered);
        let text = |value: &Value| if let Value::Varchar(text) = value { text.to_string() } else { String::new() };
        let mut entries: Vec<(usize, String)> = distinct(&values)
            .iter()
            .map(|value| (values.iter().filter(|other| *other == value).count(), text(value)))
            .collect();
        entries.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        entries.truncate(3);
        match value(&batch.finish(&aggregate("top_k", false, DataType::Varchar, filtered))) {
            Value::Null => prop_assert!(values.is_empty()),
            result => {
                let parsed: Vec<(String, usize)> = serde_json::from_str(&text(&result)).expect("a JSON array of pairs");
                prop_assert_eq!(parsed, entries.into_iter().map(|(count, text)| (text, count)).collect::<Vec<_>>());
            }
        }
    }
}
