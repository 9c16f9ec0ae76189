//! Cases as tables. A case is evaluated three ways that must agree: over columns, over literals (folded as it is built), and with the
//! first operand a column and the others literals.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{concat, take};
use raympp_operators::expr::arrow_types::{array_of, value_at};
use raympp_operators::expr::{BinaryOp, Expr, TypeError, binary, call, cast};
use raympp_types::{DataType, Value, text};

pub(crate) type Built = Result<Expr, TypeError>;

/// An operand: a value, NULL included, and its type.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub(crate) data_type: DataType,
    pub(crate) value: Value,
}

/// A value written as text; `NULL` is NULL.
pub(crate) fn operand(data_type: DataType, written: &str) -> Operand {
    let value = match written {
        "NULL" => Value::Null,
        _ => text::parse_value(written, data_type).unwrap_or_else(|error| panic!("{written:?} as {data_type}: {error}")),
    };
    Operand { data_type, value }
}

pub(crate) const fn decimal(precision: u8, scale: u8) -> DataType {
    DataType::Decimal { precision, scale }
}

pub(crate) fn smallint(written: &str) -> Operand {
    operand(DataType::SmallInt, written)
}

pub(crate) fn integer(written: &str) -> Operand {
    operand(DataType::Integer, written)
}

pub(crate) fn bigint(written: &str) -> Operand {
    operand(DataType::BigInt, written)
}

pub(crate) fn real(written: &str) -> Operand {
    operand(DataType::Real, written)
}

pub(crate) fn double(written: &str) -> Operand {
    operand(DataType::Double, written)
}

pub(crate) fn dec(precision: u8, scale: u8, written: &str) -> Operand {
    operand(decimal(precision, scale), written)
}

pub(crate) fn varchar(written: &str) -> Operand {
    operand(DataType::Varchar, written)
}

pub(crate) fn boolean(written: &str) -> Operand {
    operand(DataType::Boolean, written)
}

pub(crate) fn timestamp(written: &str) -> Operand {
    operand(DataType::Timestamp, written)
}

pub(crate) fn date(written: &str) -> Operand {
    operand(DataType::Date, written)
}

pub(crate) fn interval(written: &str) -> Operand {
    operand(DataType::Interval, written)
}

/// What `f` gives over these operands: the value as text, or `!` and why there is none.
pub(crate) fn eval(operands: &[Operand], f: impl Fn(Vec<Expr>) -> Built) -> String {
    let over_columns = over_columns(operands, operands.len(), &f);
    let folded = over_columns_from(operands, 0, &f);
    let mixed = self::over_columns(operands, 1, &f);
    if over_columns.starts_with("?") {
        return over_columns;
    }
    assert_eq!(folded, over_columns, "literals and columns of {operands:?}");
    assert_eq!(mixed, over_columns, "a column with literals and columns of {operands:?}");
    over_columns
}

fn over_columns_from(operands: &[Operand], columns: usize, f: &impl Fn(Vec<Expr>) -> Built) -> String {
    over_columns(operands, columns, f)
}

/// The first `columns` operands as columns, the others as literals.
pub(crate) fn over_columns(operands: &[Operand], columns: usize, f: &impl Fn(Vec<Expr>) -> Built) -> String {
    let expression = |(index, operand): (usize, &Operand)| {
        let column = Expr::column(index, &format!("c{index}"), operand.data_type);
        // A cast settles the type of a literal.
        if index < columns { column } else { cast(Expr::literal(operand.value.clone()), operand.data_type, false).unwrap() }
    };
    let arrays: Vec<ArrayRef> = operands.iter().map(|operand| array_of(&operand.value, operand.data_type, 2)).collect();
    match f(operands.iter().enumerate().map(expression).collect()) {
        Ok(expr) => outcome(&expr, &arrays, 2, 1),
        Err(error) => format!("?{}", error.message),
    }
}

/// The value of one row as text, or `!` and why it failed.
pub(crate) fn outcome(expr: &Expr, columns: &[ArrayRef], rows: usize, row: usize) -> String {
    let evaluated = expr.evaluate_columns(columns, rows, None);
    assert_eq!(evaluated.values.len(), rows, "{expr}");
    match evaluated.errors.filter(|errors| errors.failed.value(row)) {
        Some(errors) => {
            assert!(expr.fallible(), "{expr} failed: {}", errors.reason);
            format!("!{}", errors.reason)
        }
        None => value_at(evaluated.values.as_ref(), row).to_string(),
    }
}

/// All rows, separated by commas; a failed row is `!`.
pub(crate) fn column_of(expr: &Expr, columns: &[ArrayRef]) -> String {
    let rows = columns[0].len();
    let evaluated = expr.evaluate_columns(columns, rows, None);
    let failed = |row: usize| evaluated.errors.as_ref().is_some_and(|errors| errors.failed.value(row));
    let shown = (0..rows).map(|row| if failed(row) { "!".to_owned() } else { value_at(evaluated.values.as_ref(), row).to_string() });
    shown.collect::<Vec<_>>().join(", ")
}

/// A column of values.
pub(crate) fn array(data_type: DataType, values: &[&str]) -> ArrayRef {
    let parts: Vec<ArrayRef> = values.iter().map(|written| array_of(&operand(data_type, written).value, data_type, 1)).collect();
    let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
    concat(&parts).unwrap()
}

/// The same column, encoded by a dictionary that also has an entry no row uses.
pub(crate) fn encoded(values: &ArrayRef) -> ArrayRef {
    let dictionary =
        arrow::datatypes::DataType::Dictionary(Box::new(arrow::datatypes::DataType::Int32), Box::new(arrow::datatypes::DataType::Utf8));
    let with_extra = concat(&[array(DataType::Varchar, &["never used"]).as_ref(), values.as_ref()]).unwrap();
    let encoded = arrow::compute::cast(&with_extra, &dictionary).unwrap();
    take(encoded.as_ref(), &UInt32Array::from_iter_values(1..=values.len() as u32), None).unwrap()
}

pub(crate) fn op(op: BinaryOp) -> impl Fn(Vec<Expr>) -> Built {
    move |mut operands| {
        let right = operands.remove(1);
        binary(op, operands.remove(0), right)
    }
}

/// Checks each row of a table: an operator, its operands, the outcome.
pub(crate) fn check_operators(cases: &[(Operand, BinaryOp, Operand, &str)]) {
    for (left, operator, right, expected) in cases {
        let found = eval(&[left.clone(), right.clone()], op(*operator));
        assert_eq!(found, *expected, "{left:?} {operator:?} {right:?}");
    }
}

/// Checks each row of a table: a function, its arguments, the outcome.
pub(crate) fn check_calls(cases: &[(&str, &[Operand], &str)]) {
    for (name, arguments, expected) in cases {
        assert_eq!(eval(arguments, |arguments| call(name, arguments)), *expected, "{name}({arguments:?})");
    }
}
