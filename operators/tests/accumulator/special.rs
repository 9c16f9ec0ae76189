//! Results at the edges, one by one.

use crate::harness::{Batch, Row, aggregate, value};
use raympp_operators::accumulator::{AccumulatorColumn, Aggregate, RowOffsets, RowStamps, SumColumn, fold};
use raympp_operators::expr::Expr;
use raympp_types::{DataType, Interval, Offset, SplitId, Value};

fn result(name: &str, data_type: DataType, values: Vec<Value>) -> (Value, u64) {
    let rows: Vec<Row> = values.into_iter().map(Row::of).collect();
    let finished = Batch::new(&rows, data_type).finish(&aggregate(name, false, data_type, false));
    (value(&finished), finished.overflowed)
}

fn doubles(values: &[f64]) -> Vec<Value> {
    values.iter().map(|&value| value.into()).collect()
}

#[test]
fn float_sums_do_not_depend_on_order() {
    let sum = |values: &[f64]| result("sum", DataType::Double, doubles(values));
    assert_eq!(sum(&[1e100, 1.0, -1e100]), (Value::Double(1.0), 0));
    assert_eq!(sum(&[1e16, 1.0, 1.0]), (Value::Double(1e16 + 2.0), 0));
    assert_eq!(sum(&[5e-324, 5e-324]), (Value::Double(1e-323), 0));
    assert_eq!(sum(&[0.1; 10]), (Value::Double(1.0), 0));
    assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), (Value::Double(f64::MAX), 0));
    assert_eq!(sum(&[f64::MAX, f64::MAX]), (Value::Null, 1));
    assert_eq!(sum(&[f64::INFINITY, 1.0]), (Value::Double(f64::INFINITY), 0));
    assert_eq!(result("avg", DataType::Double, doubles(&[f64::MAX, f64::MAX])), (Value::Double(f64::MAX), 0));
    assert!(matches!(sum(&[f64::INFINITY, f64::NEG_INFINITY]), (Value::Double(nan), 0) if nan.is_nan()));
}

/// What is coded is read back: a cell is never there without content.
#[test]
fn large_floats_that_cancel_out_leave_nothing() {
    let batch = Batch::new(&doubles(&[1e300, 2.5, -1e300]).into_iter().map(Row::of).collect::<Vec<_>>(), DataType::Double);
    for accumulator in aggregate("sum", false, DataType::Double, false).lower().accumulators {
        let (column, mut code) = (batch.fold(&accumulator, &batch.all()), Vec::new());
        column.encode_cell(0, &mut code);
        let mut decoded = AccumulatorColumn::identity(&accumulator, 0);
        assert_eq!(decoded.decode_cell(&accumulator, &code), Ok(code.len()), "{accumulator}");
        assert_eq!(decoded, column, "{accumulator}");
    }
}

#[test]
fn negative_zero_comes_out_as_zero() {
    for name in ["sum", "avg", "min", "max", "first_value"] {
        let (value, _) = result(name, DataType::Double, doubles(&[-0.0]));
        assert!(matches!(value, Value::Double(zero) if zero.to_bits() == 0), "{name}: {value:?}");
    }
}

#[test]
fn nan_is_the_greatest() {
    let values = doubles(&[f64::NAN, 1.0, f64::INFINITY]);
    assert_eq!(result("min", DataType::Double, values.clone()), (Value::Double(1.0), 0));
    assert!(matches!(result("max", DataType::Double, values), (Value::Double(max), 0) if max.is_nan()));
}

#[test]
fn variances_of_few_values() {
    assert_eq!(result("var_samp", DataType::BigInt, vec![7i64.into()]), (Value::Null, 0));
    assert_eq!(result("var_pop", DataType::BigInt, vec![7i64.into()]), (Value::Double(0.0), 0));
    assert_eq!(result("stddev_samp", DataType::BigInt, vec![2i64.into(), 4i64.into()]), (Value::Double(2f64.sqrt()), 0));
    assert!(matches!(result("var_pop", DataType::Double, doubles(&[f64::INFINITY])), (Value::Double(variance), 0) if variance.is_nan()));
    assert_eq!(result("stddev_pop", DataType::Double, doubles(&[f64::MAX, -f64::MAX])), (Value::Null, 1));
}

#[test]
fn a_decimal_sum_beyond_38_digits_is_null_and_counted() {
    let most = Value::Decimal { unscaled: 10i128.pow(38) - 1, precision: 38, scale: 4 };
    let least = Value::Decimal { unscaled: -1, precision: 38, scale: 4 };
    let decimal = DataType::Decimal { precision: 38, scale: 4 };
    assert_eq!(result("sum", decimal, vec![most.clone()]), (most.clone(), 0));
    assert_eq!(result("sum", decimal, vec![most.clone(), most.clone()]), (Value::Null, 1));
    let all_but = Value::Decimal { unscaled: 10i128.pow(38) - 2, precision: 38, scale: 4 };
    assert_eq!(result("sum", decimal, vec![most, least]), (all_but, 0));
}

#[test]
fn top_values_are_written_as_json_of_their_type() {
    let top = |data_type, values: Vec<Value>| result("top_k", data_type, values).0;
    assert_eq!(top(DataType::Varchar, ["b", "a", "a\"\n", "b"].map(Value::from).into()), r#"[["b",2],["a",1],["a\"\n",1]]"#.into());
    assert_eq!(top(DataType::BigInt, vec![5i64.into(), (-3i64).into(), 5i64.into(), Value::Null]), "[[5,2],[-3,1]]".into());
    assert_eq!(top(DataType::BigInt, vec![Value::Null]), Value::Null);
    assert_eq!(top(DataType::Varchar, ["e", "d", "c", "b", "a"].map(Value::from).into()), r#"[["a",1],["b",1],["c",1]]"#.into());
}

#[test]
fn top_values_of_types_that_json_lacks_are_strings() {
    let top = |data_type, value: Value| result("top_k", data_type, vec![value]).0;
    let cents = Value::Decimal { unscaled: -1205, precision: 38, scale: 4 };
    for (data_type, value, expected) in [
        (DataType::Boolean, Value::from(true), "[[true,1]]"),
        (DataType::Decimal { precision: 38, scale: 4 }, cents, "[[-0.1205,1]]"),
        (DataType::Double, 0.1.into(), "[[0.1,1]]"),
        (DataType::Real, f32::NAN.into(), r#"[["NaN",1]]"#),
        (DataType::Double, f64::NEG_INFINITY.into(), r#"[["-Infinity",1]]"#),
        (DataType::Date, Value::Date(0), r#"[["1970-01-01",1]]"#),
        (DataType::Timestamp, Value::Timestamp(-1), r#"[["1969-12-31 23:59:59.999999",1]]"#),
    ] {
        assert_eq!(top(data_type, value), expected.into(), "{data_type}");
    }
}

/// Equal intervals are different values: what is picked is one of the rows', and which one is no matter of their order.
#[test]
fn intervals_come_back_as_they_were() {
    let interval = |months, days, micros| Value::Interval(Interval { months, days, micros });
    let [month, days, hours, week] = [interval(1, 0, 0), interval(0, 30, 0), interval(0, 29, 86_400_000_000), interval(0, 7, 0)];
    let rows = [week.clone(), days.clone(), month.clone(), hours.clone()];
    let pick = |name: &str, order: [usize; 4]| result(name, DataType::Interval, order.map(|i| rows[i].clone()).to_vec()).0;
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        assert_eq!(pick("max", order), month, "of equal ones the one with most months, then days");
        assert_eq!(pick("min", order), week);
        assert_eq!(pick("first_value", order), rows[order[0]]);
        assert_eq!(pick("last_value", order), rows[order[3]]);
    }
    let least = |values: &[&Value]| result("min", DataType::Interval, values.iter().map(|value| (*value).clone()).collect()).0;
    assert_eq!([least(&[&month, &days, &hours]), least(&[&hours, &month, &days])], [hours.clone(), hours.clone()]);
    let by = |value: &Value, by: i64| Row { by: by.into(), ..Row::of(value.clone()) };
    let batch = Batch::new(&[by(&days, 1), by(&month, 3), by(&week, 2)], DataType::Interval);
    assert_eq!(value(&batch.finish(&aggregate("arg_max", false, DataType::Interval, false))), month);
    assert_eq!(value(&batch.finish(&aggregate("arg_min", false, DataType::Interval, false))), days);
    let distinct = Batch::new(&rows.clone().map(Row::of), DataType::Interval);
    assert_eq!(value(&distinct.finish(&aggregate("count", true, DataType::Interval, false))), Value::BigInt(2));
}

#[test]
fn a_dictionary_is_as_its_values() {
    use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int32Array, StringArray};
    let dictionary = StringArray::from(vec![Some("x"), None, Some("y"), Some("x")]);
    let keys = Int32Array::from(vec![Some(2), Some(1), None, Some(0), Some(3), Some(2), Some(2)]);
    let encoded: ArrayRef = std::sync::Arc::new(DictionaryArray::new(keys, std::sync::Arc::new(dictionary)));
    let plain = arrow::compute::cast(&encoded, &arrow::datatypes::DataType::Utf8).expect("text");
    assert_eq!(plain.as_string::<i32>().iter().flatten().count(), 5);
    let stamps = RowStamps { event_times_us: &[7; 7], split: SplitId(0), offsets: RowOffsets::From(Offset(100)) };
    for name in ["count", "top_k", "approx_count_distinct", "min", "max", "first_value", "last_value"] {
        for accumulator in aggregate(name, false, DataType::Varchar, false).lower().accumulators {
            let fold_one = |array: &ArrayRef| {
                let mut column = AccumulatorColumn::identity(&accumulator, 2);
                fold(&accumulator, std::slice::from_ref(array), None, &[0, 1, 2, 3, 4, 5, 6], &[1; 7], &stamps, &mut column);
                column
            };
            assert_eq!(fold_one(&encoded), fold_one(&plain), "{accumulator}");
            assert!(!fold_one(&encoded).is_identity(1) && fold_one(&encoded).is_identity(0));
        }
    }
}

#[test]
fn many_groups_are_finished_at_once() {
    let average = aggregate("avg", false, DataType::BigInt, true);
    let sums = AccumulatorColumn::Sum(SumColumn::Narrow(vec![10, -9, 0, i64::MAX]));
    let passing = AccumulatorColumn::Count(vec![4, 3, 2, 1]);
    let nulls = AccumulatorColumn::Count(vec![0, 1, 2, 0]);
    let finished = average.finish(&[9, 9, 9, 9], &[&passing, &nulls, &sums]);
    let expected: arrow::array::Float64Array = [Some(2.5), Some(-4.5), None, Some(9_223_372_036_854_775_807.0)].into_iter().collect();
    assert_eq!(finished.array.as_ref(), &expected as &dyn arrow::array::Array);
}

#[test]
fn a_constant_argument_is_no_null() {
    let count = Aggregate::new("count", false, vec![Expr::literal(Value::Integer(1))], None).expect("valid");
    assert!(count.lower().accumulators.is_empty());
    assert_eq!(value(&count.finish(&[5], &[])), Value::BigInt(5));
}
