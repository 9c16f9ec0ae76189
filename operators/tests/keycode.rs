//! Key codes: golden bytes, order, equality and the way back. The reference for order is written here, value by value.
#![allow(clippy::unwrap_used, clippy::mutable_key_type, missing_docs, reason = "tests")]

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, IntervalMonthDayNanoArray, NullArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, IntervalMonthDayNano};
use proptest::prelude::*;
use raympp_operators::keycode::{KeyEncoder, KeycodeError, decode, decode_columns, encode_row, encode_values};
use raympp_types::{DataType, Interval, Value};
use std::cmp::Ordering;
use std::sync::Arc;

const DECIMAL: DataType = DataType::Decimal { precision: 18, scale: 2 };
const TYPES: [DataType; 13] = [
    DataType::Boolean,
    DataType::SmallInt,
    DataType::Integer,
    DataType::BigInt,
    DataType::Real,
    DataType::Double,
    DECIMAL,
    DataType::Varchar,
    DataType::Bytea,
    DataType::Date,
    DataType::Timestamp,
    DataType::TimestampTz,
    DataType::Interval,
];

fn decimal(unscaled: i128) -> Value {
    Value::Decimal { unscaled, precision: 18, scale: 2 }
}

fn code(values: &[Value], types: &[DataType]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_values(values, types, &mut out).expect("values of these types");
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_format_never_changes() {
    let interval = Value::Interval(Interval { months: 1, days: -2, micros: 3 });
    let golden: [(DataType, Value, &str); 23] = [
        (DataType::Null, Value::Null, "ff"),
        (DataType::BigInt, Value::Null, "ff"),
        (DataType::Boolean, false.into(), "0100"),
        (DataType::Boolean, true.into(), "0101"),
        (DataType::SmallInt, (-2i16).into(), "017ffe"),
        (DataType::Integer, 258.into(), "0180000102"),
        (DataType::BigInt, (-1i64).into(), "017fffffffffffffff"),
        (DataType::Real, 1.5f32.into(), "01bfc00000"),
        (DataType::Double, (-1.5f64).into(), "014007ffffffffffff"),
        (DataType::Double, 0.0f64.into(), "018000000000000000"),
        (DataType::Double, (-0.0f64).into(), "018000000000000000"),
        (DataType::Double, f64::INFINITY.into(), "01fff0000000000000"),
        (DataType::Double, f64::NAN.into(), "01fff8000000000000"),
        (DataType::Real, (-f32::NAN).into(), "01ffc00000"),
        (DECIMAL, decimal(-1), "017fffffffffffffffffffffffffffffff"),
        (DECIMAL, decimal(12345), "0180000000000000000000000000003039"),
        (DataType::Varchar, "".into(), "0100"),
        (DataType::Varchar, "visa".into(), "017669736100"),
        (DataType::Bytea, Value::Bytea([0u8, 1, 2, 255].as_slice().into()), "010101010202ff00"),
        (DataType::Date, Value::Date(-1), "017fffffff"),
        (DataType::Timestamp, Value::Timestamp(1), "018000000000000001"),
        (DataType::TimestampTz, Value::TimestampTz(-1), "017fffffffffffffff"),
        (DataType::Interval, interval, "01800000000000000000000233438e8003"),
    ];
    for (data_type, value, bytes) in golden {
        assert_eq!(hex(&code(std::slice::from_ref(&value), &[data_type])), bytes, "{data_type} {value:?}");
    }
    assert_eq!(
        hex(&code(&["a".into(), Value::Null, 1i16.into()], &[DataType::Varchar, DataType::Date, DataType::SmallInt])),
        "016100ff018001"
    );
}

/// A few values of each type, NULL among them, extremes and neighbours.
fn values_of(data_type: DataType) -> Vec<Value> {
    let texts = ["", "\0", "\0\0", "\0\u{1}", "\u{1}", "\u{1}\0", "\u{2}", "a", "a\0", "a\0b", "a\u{1}", "ab", "é", "\u{10FFFF}"];
    let mut values: Vec<Value> = match data_type {
        DataType::Boolean => vec![false.into(), true.into()],
        DataType::SmallInt => [i16::MIN, -1, 0, 1, i16::MAX].map(Value::from).into(),
        DataType::Integer => [i32::MIN, -1, 0, 1, i32::MAX].map(Value::from).into(),
        DataType::BigInt => [i64::MIN, -256, -1, 0, 1, 255, i64::MAX].map(Value::from).into(),
        DataType::Real => [f32::NEG_INFINITY, -1.0, -0.0, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY, f32::NAN].map(Value::from).into(),
        DataType::Double => [f64::NEG_INFINITY, f64::MIN, -0.0, 0.0, 5e-324, 1.0, f64::INFINITY, f64::NAN].map(Value::from).into(),
        DataType::Decimal { .. } => [i128::MIN, -(10i128.pow(37)), -1, 0, 1, 10i128.pow(37), i128::MAX].map(decimal).into(),
        DataType::Varchar => texts.map(Value::from).into(),
        DataType::Bytea => [&[][..], &[0], &[0, 0], &[0, 1], &[1], &[1, 0], &[2], &[255], &[255, 0], &[255, 255]]
            .map(|bytes| Value::Bytea(bytes.into()))
            .into(),
        DataType::Date => [i32::MIN, -1, 0, i32::MAX].map(Value::Date).into(),
        DataType::Timestamp => [i64::MIN, -1, 0, i64::MAX].map(Value::Timestamp).into(),
        DataType::TimestampTz => [i64::MIN, -1, 0, i64::MAX].map(Value::TimestampTz).into(),
        DataType::Interval => {
            let of = |months, days, micros| Value::Interval(Interval { months, days, micros });
            vec![of(1, 0, 0), of(0, 30, 0), of(0, 29, 86_400_000_000), of(0, 0, -1), of(0, 0, 0), of(-1, 31, -86_400_000_000), of(0, 1, 0)]
        }
        DataType::Null => vec![],
    };
    values.push(Value::Null);
    values
}

/// The SQL order of two values of one type, NULL last.
fn sql_order(left: &Value, right: &Value) -> Ordering {
    let float = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).expect("numbers"),
        (a, b) => a.cmp(&b),
    };
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => left.is_null().cmp(&right.is_null()),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::SmallInt(a), Value::SmallInt(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) | (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::BigInt(a), Value::BigInt(b))
        | (Value::Timestamp(a), Value::Timestamp(b))
        | (Value::TimestampTz(a), Value::TimestampTz(b)) => a.cmp(b),
        (Value::Real(a), Value::Real(b)) => float(f64::from(*a), f64::from(*b)),
        (Value::Double(a), Value::Double(b)) => float(*a, *b),
        (Value::Decimal { unscaled: a, .. }, Value::Decimal { unscaled: b, .. }) => a.cmp(b),
        (Value::Varchar(a), Value::Varchar(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytea(a), Value::Bytea(b)) => a.cmp(b),
        (Value::Interval(a), Value::Interval(b)) => a.comparable_us().cmp(&b.comparable_us()),
        other => panic!("values of two types: {other:?}"),
    }
}

#[test]
fn codes_compare_as_sql_compares_and_decode_to_an_equal() {
    for data_type in TYPES {
        for left in values_of(data_type) {
            for right in values_of(data_type) {
                let codes = [&left, &right].map(|value| code(std::slice::from_ref(value), &[data_type]));
                assert_eq!(codes[0].cmp(&codes[1]), sql_order(&left, &right), "{left:?} against {right:?}");
            }
            let bytes = code(std::slice::from_ref(&left), &[data_type]);
            let back = decode(&bytes, &[data_type]).expect("decodes");
            assert_eq!(sql_order(&back[0], &left), Ordering::Equal, "{left:?} came back as {back:?}");
            assert_eq!(code(&back, &[data_type]), bytes);
        }
    }
}

fn row_types() -> impl Strategy<Value = Vec<DataType>> {
    prop::collection::vec(prop::sample::select(TYPES.to_vec()), 0..4)
}

fn rows() -> impl Strategy<Value = (Vec<DataType>, Vec<Value>, Vec<Value>)> {
    row_types().prop_flat_map(|types| {
        let row: Vec<_> = types.iter().map(|&data_type| prop::sample::select(values_of(data_type))).collect();
        (Just(types), row.clone(), row)
    })
}

proptest! {
    #[test]
    fn rows_compare_column_by_column((types, left, right) in rows()) {
        let expected = left.iter().zip(&right).map(|(a, b)| sql_order(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal);
        prop_assert_eq!(code(&left, &types).cmp(&code(&right, &types)), expected);
    }

    #[test]
    fn rows_return((types, row, _) in rows()) {
        let bytes = code(&row, &types);
        let back = decode(&bytes, &types).expect("decodes");
        prop_assert_eq!(code(&back, &types), bytes.clone());
        let columns = decode_columns(std::iter::once(bytes.as_slice()), &types).expect("decodes");
        let mut again = Vec::new();
        encode_row(&columns, 0, &mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn damaged_codes_are_refused_or_decode_but_never_panic(types in row_types(), bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 3, 255]), 0..40)) {
        if let Ok(values) = decode(&bytes, &types) {
            prop_assert_eq!(values.len(), types.len());
        }
        let columns = decode_columns(std::iter::once(bytes.as_slice()), &types);
        prop_assert!(columns.is_err() || decode(&bytes, &types).is_ok());
    }

    #[test]
    fn truncated_codes_are_refused((types, row, _) in rows(), cut in any::<prop::sample::Index>()) {
        let bytes = code(&row, &types);
        if !bytes.is_empty() {
            prop_assert!(decode(&bytes[..cut.index(bytes.len())], &types).is_err());
        }
    }
}

/// One column of each physical type, with a NULL in the second row.
fn columns() -> (Vec<ArrayRef>, Vec<DataType>, Vec<Vec<Value>>) {
    let day = IntervalMonthDayNano::new(0, 1, 5_000);
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(NullArray::new(2)),
        Arc::new(BooleanArray::from(vec![Some(true), None])),
        Arc::new(Int16Array::from(vec![Some(-7), None])),
        Arc::new(Int32Array::from(vec![Some(7), None])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None])),
        Arc::new(Float32Array::from(vec![Some(-0.0), None])),
        Arc::new(Float64Array::from(vec![Some(2.5), None])),
        Arc::new(Decimal128Array::from(vec![Some(-250), None]).with_precision_and_scale(18, 2).expect("a decimal")),
        Arc::new(StringArray::from(vec![Some("a\0b"), None])),
        Arc::new(vec![Some("master"), None].into_iter().collect::<DictionaryArray<Int32Type>>()),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(&[1, 0][..]), None])),
        Arc::new(Date32Array::from(vec![Some(19_000), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("UTC")),
        Arc::new(IntervalMonthDayNanoArray::from(vec![Some(day), None])),
    ];
    let types = vec![
        DataType::Null,
        DataType::Boolean,
        DataType::SmallInt,
        DataType::Integer,
        DataType::BigInt,
        DataType::Real,
        DataType::Double,
        DECIMAL,
        DataType::Varchar,
        DataType::Varchar,
        DataType::Bytea,
        DataType::Date,
        DataType::Timestamp,
        DataType::TimestampTz,
        DataType::Interval,
    ];
    let first = vec![
        Value::Null,
        true.into(),
        (-7i16).into(),
        7i32.into(),
        i64::MIN.into(),
        0.0f32.into(),
        2.5f64.into(),
        decimal(-250),
        "a\0b".into(),
        "master".into(),
        Value::Bytea([1u8, 0].as_slice().into()),
        Value::Date(19_000),
        Value::Timestamp(-1),
        Value::TimestampTz(1),
        Value::Interval(Interval { months: 0, days: 1, micros: 5 }),
    ];
    let rows = vec![first, vec![Value::Null; types.len()]];
    (arrays, types, rows)
}

#[test]
fn columns_rows_and_values_have_one_code() {
    let (arrays, types, rows) = columns();
    let encoder = KeyEncoder::new(&arrays);
    let mut codes = Vec::new();
    for (row, values) in rows.iter().enumerate() {
        let mut fast = Vec::new();
        encoder.encode(row, &mut fast);
        let mut slow = Vec::new();
        encode_row(&arrays, row, &mut slow);
        assert_eq!(fast, code(values, &types));
        assert_eq!(slow, fast);
        assert_eq!(&decode(&fast, &types).expect("decodes"), values);
        codes.push(fast);
    }
    let back = decode_columns(codes.iter().map(Vec::as_slice), &types).expect("decodes");
    for (i, (array, original)) in back.iter().zip(&arrays).enumerate() {
        match types[i] {
            // A dictionary comes back as plain text, −0.0 as 0.0.
            DataType::Varchar => assert_eq!(array.data_type(), &arrow::datatypes::DataType::Utf8),
            DataType::Real => assert_eq!(array.as_ref(), &Float32Array::from(vec![Some(0.0), None]) as &dyn Array),
            _ => assert_eq!(array, original),
        }
    }
}

#[test]
fn a_null_entry_of_a_dictionary_is_null() {
    let values = StringArray::from(vec![None, Some("x")]);
    let keys = Int32Array::from(vec![0, 1]);
    let array: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(values)));
    let mut bytes = Vec::new();
    encode_row(&[array], 0, &mut bytes);
    assert_eq!(bytes, [0xFF]);
}

#[test]
fn looked_up_values_are_taken_as_their_equals_or_refused() {
    assert_eq!(code(&[7i16.into()], &[DataType::BigInt]), code(&[7i64.into()], &[DataType::BigInt]));
    assert_eq!(code(&[3.into()], &[DECIMAL]), code(&[decimal(300)], &[DECIMAL]));
    assert_eq!(
        code(&[Value::Decimal { unscaled: 5000, precision: 10, scale: 3 }], &[DataType::SmallInt]),
        code(&[5i16.into()], &[DataType::SmallInt])
    );
    assert_eq!(code(&[0.5f32.into()], &[DataType::Double]), code(&[0.5f64.into()], &[DataType::Double]));
    let mut out = vec![9];
    for (value, column) in [
        (Value::from(40_000), DataType::SmallInt),
        (Value::Decimal { unscaled: 5001, precision: 10, scale: 3 }, DataType::SmallInt),
        (Value::from("1"), DataType::BigInt),
        (Value::Timestamp(0), DataType::TimestampTz),
    ] {
        let error = encode_values(&[true.into(), value.clone()], &[DataType::Boolean, column], &mut out);
        assert_eq!(error, Err(KeycodeError::Mismatch { value: value.data_type(), column }));
        assert_eq!(out, [9]);
    }
    assert_eq!(encode_values(&[], &[DataType::Date], &mut out), Err(KeycodeError::Count { values: 0, types: 1 }));
}

#[test]
fn intervals_beyond_days_of_32_bits_still_return() {
    for interval in [
        Interval { months: i32::MAX, days: i32::MAX, micros: i64::MAX },
        Interval { months: i32::MIN, days: i32::MIN, micros: i64::MIN },
        Interval { months: i32::MAX, days: 0, micros: -1 },
    ] {
        let bytes = code(&[interval.into()], &[DataType::Interval]);
        let back = decode(&bytes, &[DataType::Interval]).expect("decodes");
        assert_eq!(code(&back, &[DataType::Interval]), bytes);
    }
    let beyond = [&[1][..], &[0xFF; 16]].concat();
    assert_eq!(decode(&beyond, &[DataType::Interval]), Err(KeycodeError::Invalid(DataType::Interval)));
    assert_eq!(decode(&[1, 0, 0], &[DataType::Boolean]), Err(KeycodeError::Trailing(1)));
}
