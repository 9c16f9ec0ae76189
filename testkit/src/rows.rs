//! Rows as text: exact, to be compared, and pretty, to be read.
//!
//! The exact text of a value names its type and shows every bit of it (floats in hexadecimal), so two rows have equal texts iff their
//! types and values are the same. How a column is encoded does not show: a dictionary is what its values are.

use arrow::array::{Array, RecordBatch};
use raympp_operators::expr::arrow_types::value_at;
use raympp_types::Value;

/// Exact text of one row.
pub fn row_text(batch: &RecordBatch, row: usize) -> String {
    let cell = |(field, column): (&arrow::datatypes::FieldRef, &arrow::array::ArrayRef)| {
        format!("{}={}", field.name(), value_text(&value_at(column.as_ref(), row)))
    };
    batch.schema_ref().fields().iter().zip(batch.columns()).map(cell).collect::<Vec<_>>().join(" ")
}

/// Exact text of a value.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_string(),
        Value::Real(value) => format!("real:{:08x}({value})", value.to_bits()),
        Value::Double(value) => format!("double:{:016x}({value})", value.to_bits()),
        Value::Varchar(text) => format!("{text:?}"),
        Value::Decimal { unscaled, precision, scale } => format!("decimal({precision},{scale}):{unscaled}"),
        other => format!("{other:?}"),
    }
}

/// Exact texts of all rows of all batches, sorted.
pub fn rows_sorted<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Vec<String> {
    let mut rows: Vec<String> = batches.into_iter().flat_map(|batch| (0..batch.num_rows()).map(|row| row_text(batch, row))).collect();
    rows.sort_unstable();
    rows
}

/// A table with a header, values as SQL writes them, rows sorted as text. NULL is empty.
pub fn pretty(batch: &RecordBatch) -> String {
    let header: Vec<String> = batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
    let cell = |column: &dyn Array, row: usize| match value_at(column, row) {
        Value::Null => String::new(),
        value => value.to_string(),
    };
    let mut rows: Vec<Vec<String>> =
        (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect()).collect();
    rows.sort_unstable();
    let widths: Vec<usize> = (0..header.len())
        .map(|i| rows.iter().map(|row| row[i].chars().count()).chain([header[i].chars().count()]).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.join(" | ").trim_end().to_string() + "\n"
    };
    let rule = widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>().join("-+-") + "\n";
    line(&header) + &rule + &rows.iter().map(line).collect::<String>()
}

/// The first difference of two sorted lists of rows, with a little around it; `None` if they are equal.
pub fn difference(expected: &[String], found: &[String]) -> Option<String> {
    if expected == found {
        return None;
    }
    let missing: Vec<&String> = subtract(expected, found);
    let surplus: Vec<&String> = subtract(found, expected);
    let list = |rows: &[&String]| rows.iter().take(8).map(|row| format!("    {row}\n")).collect::<String>();
    Some(format!(
        "{} rows expected, {} found\n  {} missing:\n{}  {} too many:\n{}",
        expected.len(),
        found.len(),
        missing.len(),
        list(&missing),
        surplus.len(),
        list(&surplus)
    ))
}

/// Elements of a sorted list that another one lacks, counting repetitions.
fn subtract<'a>(from: &'a [String], other: &[String]) -> Vec<&'a String> {
    let mut rest = other.iter().peekable();
    from.iter()
        .filter(|row| {
            while rest.next_if(|other| other < row).is_some() {}
            rest.next_if(|other| other == row).is_none()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn batch(names: [&str; 3], numbers: [Option<i64>; 3], floats: [f64; 3]) -> RecordBatch {
        RecordBatch::try_from_iter([
            ("name", Arc::new(StringArray::from(names.to_vec())) as _),
            ("number", Arc::new(Int64Array::from(numbers.to_vec())) as _),
            ("float", Arc::new(Float64Array::from(floats.to_vec())) as _),
        ])
        .expect("columns of one length")
    }

    #[test]
    fn a_table_is_sorted_and_aligned() {
        let table = pretty(&batch(["b", "a", "ccc"], [Some(1), None, Some(-20)], [0.5, 1.0, 2.25]));
        assert_eq!(table, "name | number | float\n-----+--------+------\na    |        | 1\nb    | 1      | 0.5\nccc  | -20    | 2.25\n");
    }

    #[test]
    fn texts_show_every_bit() {
        let zeros = |zero: f64| rows_sorted([&batch(["a"; 3], [None; 3], [zero; 3])]);
        assert_ne!(zeros(0.0), zeros(-0.0));
        assert!(difference(&zeros(0.0), &zeros(0.0)).is_none());
        assert!(difference(&zeros(0.0), &zeros(-0.0)).is_some_and(|text| text.contains("3 missing")));
    }
}
