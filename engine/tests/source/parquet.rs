//! Parquet: columns by name, types that widen, offsets by row group.

use super::support::{Directory, check_cuts_and_resumption, file_source, read, read_from};
use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Int8Type, Int32Type};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use raympp_engine::source::{SourceErrorKind, SourcePoll};
use raympp_types::Offset;
use std::sync::Arc;

/// A parquet file of these columns, in row groups of `group` rows.
pub(crate) fn parquet_bytes(columns: Vec<(&str, ArrayRef)>, group: usize) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("memory");
    writer.write(&batch).expect("memory");
    writer.into_inner().expect("memory")
}

fn numbers(rows: i64) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("other", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef),
        ("b", Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 3 > 0).then(|| format!("name {}", row % 5)))))),
        ("a", Arc::new(Int32Array::from_iter_values((0..rows).map(|row| row as i32 * 2)))),
    ]
}

#[test]
fn any_batch_size_and_any_offset_give_the_same_rows() {
    let directory = Directory::new("parquet-cuts");
    let source = file_source("a BIGINT, b VARCHAR", &directory.write("data.parquet", parquet_bytes(numbers(2_500), 700)));
    let rows = read(source.as_ref());
    assert_eq!((rows.len(), rows[7].as_deref()), (2_500, Ok(r#"{"a":14,"b":"name 2"}"#)));
    check_cuts_and_resumption(source.as_ref(), 0, &[0, 1, 699, 700, 701, 1_400, 2_499, 2_500]);
    let (_, error) = read_from(source.as_ref(), 0, 2_501, 10);
    assert_eq!(error.map(|error| error.kind), Some(SourceErrorKind::OffsetBeyondEnd));
}

#[test]
fn types_widen() {
    let tiny = DictionaryArray::<Int8Type>::from_iter([Some("x"), Some("y")]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("milli", Arc::new(TimestampMillisecondArray::from(vec![-1, 1_000]))),
        ("nano", Arc::new(TimestampNanosecondArray::from(vec![-1, 1_999]).with_timezone("+02:00"))),
        ("whole", Arc::new(Int32Array::from(vec![7, -7]))),
        ("day", Arc::new(Date32Array::from(vec![0, 1]))),
        ("money", Arc::new(Decimal128Array::from(vec![150, -1]).with_precision_and_scale(10, 2).expect("fits"))),
        ("tiny", Arc::new(tiny)),
    ];
    let directory = Directory::new("parquet-widen");
    let path = directory.write("data.parquet", parquet_bytes(columns, 100));
    let declared = "milli TIMESTAMP, nano TIMESTAMPTZ, whole DECIMAL(12,1), day TIMESTAMP, money DECIMAL(20,4), tiny VARCHAR";
    let expected = [
        r#"{"milli":"1969-12-31 23:59:59.999000","nano":"1969-12-31 23:59:59.999999+00","whole":7.0,"day":"1970-01-01 00:00:00.000000","money":1.5000,"tiny":"x"}"#,
        r#"{"milli":"1970-01-01 00:00:01.000000","nano":"1970-01-01 00:00:00.000001+00","whole":-7.0,"day":"1970-01-02 00:00:00.000000","money":-0.0100,"tiny":"y"}"#,
    ];
    assert_eq!(read(file_source(declared, &path).as_ref()), expected.map(|row| Ok(row.to_owned())));
}

#[test]
fn a_value_that_leaves_its_range_is_a_bad_row() {
    let directory = Directory::new("parquet-range");
    let milli: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(0), Some(i64::MAX), None]));
    let source = file_source("t TIMESTAMP", &directory.write("data.parquet", parquet_bytes(vec![("t", milli)], 10)));
    let rows = read(source.as_ref());
    assert_eq!(rows[0].as_deref(), Ok(r#"{"t":"1970-01-01 00:00:00.000000"}"#));
    assert_eq!(rows[1].as_ref().err().map(String::as_str), Some("column t: the value is out of range for TIMESTAMP"));
    assert_eq!(rows[2].as_deref(), Ok(r#"{"t":null}"#));
}

#[test]
fn other_types_and_missing_columns_are_errors_with_both_sides() {
    let directory = Directory::new("parquet-types");
    let path = directory.write("data.parquet", parquet_bytes(numbers(5), 5));
    for (columns, kind, part) in [
        ("other INTEGER", SourceErrorKind::Type, "column other is Int64 in the file and INTEGER in the stream"),
        ("b BIGINT", SourceErrorKind::Type, "column b is Utf8 in the file and BIGINT in the stream"),
        ("a DECIMAL(9,0)", SourceErrorKind::Type, "column a is Int32"),
        ("c BIGINT", SourceErrorKind::Format, "no column c: it has other, b, a"),
    ] {
        let (_, error) = read_from(file_source(columns, &path).as_ref(), 0, 0, 10);
        let error = error.expect("a mismatch");
        assert_eq!(error.kind, kind);
        assert!(error.to_string().contains(part) && error.to_string().contains("data.parquet"), "{error}");
    }
    for (name, bytes) in [("empty.parquet", &b""[..]), ("text.parquet", b"a,b\n1,2\n")] {
        let (_, error) = read_from(file_source("a BIGINT", &directory.write(name, bytes)).as_ref(), 0, 0, 10);
        assert_eq!(error.map(|error| error.kind), Some(SourceErrorKind::Format));
    }
}

#[test]
fn strings_that_repeat_share_one_dictionary() {
    let directory = Directory::new("parquet-dictionary");
    let source = file_source("b VARCHAR", &directory.write("data.parquet", parquet_bytes(numbers(40_000), 10_000)));
    let mut reader = source.open(0, Offset(0)).expect("opens");
    let mut dictionaries: Vec<ArrayRef> = Vec::new();
    while let Ok(SourcePoll::Rows(run)) = reader.poll(0, 4_096) {
        dictionaries.push(run.batch.column(0).as_dictionary::<Int32Type>().values().clone());
    }
    assert!(dictionaries.len() > 5 && dictionaries.iter().all(|other| Arc::ptr_eq(other, &dictionaries[0])));
    assert_eq!(dictionaries[0].len(), 5);
}
