//! Random expressions over random rows: a batch gives what its rows give one by one, a dictionary what plain strings give, and what
//! is said of an expression without rows holds for every row.

use crate::support::{decimal, encoded, outcome};
use arrow::array::{Array, ArrayRef};
use arrow::buffer::BooleanBuffer;
use arrow::compute::concat;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use raympp_operators::expr::BinaryOp::{self, *};
use raympp_operators::expr::arrow_types::{array_of, value_at};
use raympp_operators::expr::{Expr, binary, call, case, cast, coalesce, in_list, is_null, negate, not};
use raympp_types::{DataType, Value};

const COLUMNS: [(&str, DataType); 7] = [
    ("i", DataType::Integer),
    ("j", DataType::BigInt),
    ("d", decimal(10, 2)),
    ("x", DataType::Double),
    ("s", DataType::Varchar),
    ("t", DataType::Timestamp),
    ("b", DataType::Boolean),
];

fn value(data_type: DataType) -> BoxedStrategy<Value> {
    match data_type {
        DataType::Integer => prop_oneof![(-3..4_i32), Just(i32::MAX), Just(i32::MIN)].prop_map(Value::Integer).boxed(),
        DataType::BigInt => prop_oneof![(-3..4_i64), Just(i64::MAX), Just(i64::MIN)].prop_map(Value::BigInt).boxed(),
        DataType::Decimal { precision, scale } => prop_oneof![-400..400_i128, Just(9_999_999_999), Just(-9_999_999_999)]
            .prop_map(move |unscaled| Value::Decimal { unscaled, precision, scale })
            .boxed(),
        DataType::Double => {
            prop::sample::select(vec![0.0, -0.0, 1.0, -2.5, 1e308, -1e308, 1e-308, f64::NAN, f64::INFINITY]).prop_map(Value::Double).boxed()
        }
        DataType::Varchar => prop::sample::select(vec!["", "a", "é%", "7", "-2.5", "true", "2013-01-01"]).prop_map(Value::from).boxed(),
        DataType::Timestamp => {
            prop::sample::select(vec![0, -1, 1_356_998_400_000_000, i64::MAX, i64::MIN]).prop_map(Value::Timestamp).boxed()
        }
        _ => any::<bool>().prop_map(Value::Boolean).boxed(),
    }
}

/// A row: one value of each column, one in five NULL.
fn row() -> impl Strategy<Value = Vec<Value>> {
    COLUMNS.map(|(_, data_type)| prop_oneof![4 => value(data_type), 1 => Just(Value::Null)]).to_vec()
}

/// Expressions, whatever their type; what the types do not allow falls back to an operand.
fn expression() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        3 => (0..COLUMNS.len()).prop_map(|index| Expr::column(index, COLUMNS[index].0, COLUMNS[index].1)),
        1 => (0..COLUMNS.len()).prop_flat_map(|index| value(COLUMNS[index].1)).prop_map(Expr::literal),
    ];
    let operators: Vec<BinaryOp> = vec![Add, Subtract, Multiply, Divide, Modulo, Eq, NotEq, Lt, LtEq, Gt, GtEq, And, Or, Concat, And, Or];
    let calls =
        vec!["abs", "round", "length", "upper", "hash", "sqrt", "floor", "md5", "power", "mod", "left", "greatest", "nullif", "coalesce"];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let types = COLUMNS.map(|(_, data_type)| data_type).to_vec();
        prop_oneof![
            4 => (prop::sample::select(operators.clone()), inner.clone(), inner.clone())
                .prop_map(|(op, left, right)| binary(op, left.clone(), right).unwrap_or(left)),
            2 => (prop::sample::select(types), any::<bool>(), inner.clone())
                .prop_map(|(to, attempt, e)| cast(e.clone(), to, attempt).unwrap_or(e)),
            2 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(when, then, other)| case(None, vec![(when, then)], Some(other.clone())).unwrap_or(other)),
            1 => (inner.clone(), inner.clone()).prop_map(|(first, second)| coalesce(vec![first.clone(), second]).unwrap_or(first)),
            1 => (inner.clone(), inner.clone(), inner.clone(), any::<bool>())
                .prop_map(|(e, first, second, negated)| in_list(e.clone(), vec![first, second], negated).unwrap_or(e)),
            1 => inner.clone().prop_map(|e| not(e.clone()).or_else(|_| negate(e.clone())).unwrap_or(e)),
            1 => (inner.clone(), any::<bool>()).prop_map(|(e, negated)| is_null(e.clone(), negated).unwrap_or(e)),
            2 => (prop::sample::select(calls.clone()), inner.clone(), inner)
                .prop_map(|(name, e, second)| call(name, vec![e.clone()]).or_else(|_| call(name, vec![e.clone(), second])).unwrap_or(e)),
        ]
    })
}

fn columns_of(rows: &[Vec<Value>]) -> Vec<ArrayRef> {
    let column = |index: usize| {
        let parts: Vec<ArrayRef> = rows.iter().map(|row| array_of(&row[index], COLUMNS[index].1, 1)).collect();
        concat(&parts.iter().map(|part| part.as_ref()).collect::<Vec<&dyn Array>>()).unwrap()
    };
    (0..COLUMNS.len()).map(column).collect()
}

fn with_dictionary(columns: &[ArrayRef]) -> Vec<ArrayRef> {
    columns
        .iter()
        .zip(COLUMNS)
        .map(|(column, (_, data_type))| if data_type == DataType::Varchar { encoded(column) } else { column.clone() })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_gives_what_its_rows_give(expr in expression(), rows in prop::collection::vec(row(), 1..12), active in any::<u16>()) {
        let columns = columns_of(&rows);
        let needed: Vec<bool> = (0..rows.len()).map(|row| active >> row & 1 == 1).collect();
        for columns in [columns.clone(), with_dictionary(&columns)] {
            let evaluated = expr.evaluate_columns(&columns, rows.len(), Some(&BooleanBuffer::from(needed.clone())));
            prop_assert_eq!(evaluated.values.len(), rows.len());
            let mut first = None;
            for row in (0..rows.len()).filter(|&row| needed[row]) {
                let alone = outcome(&expr, &columns_of(&rows[row..=row]), 1, 0);
                let failed = evaluated.errors.as_ref().is_some_and(|errors| errors.failed.value(row));
                prop_assert_eq!(failed, alone.starts_with('!'), "row {} of {}: {}", row, &expr, &alone);
                if failed {
                    first = first.or(Some((row, alone)));
                } else {
                    prop_assert_eq!(value_at(evaluated.values.as_ref(), row).to_string(), alone, "row {} of {}", row, &expr);
                }
            }
            let reported = evaluated.errors.map(|errors| (errors.first_row, format!("!{}", errors.reason)));
            prop_assert_eq!(reported, first, "{}", &expr);
        }
    }

    #[test]
    fn the_type_of_a_value_is_that_of_the_expression(expr in expression(), row in row()) {
        let value = value_at(expr.evaluate_columns(&columns_of(&[row]), 1, None).values.as_ref(), 0);
        prop_assert!(value.is_null() || value.data_type() == expr.data_type(), "{}: {:?}", &expr, value);
    }

    #[test]
    fn a_null_that_is_refused_never_passes(expr in expression(), mut row in row(), column in 0..COLUMNS.len()) {
        row[column] = Value::Null;
        if expr.data_type() == DataType::Boolean && expr.rejects_null_of(column) {
            prop_assert_ne!(outcome(&expr, &columns_of(&[row]), 1, 0), "true", "{}", &expr);
        }
    }

    #[test]
    fn a_column_that_is_not_named_does_not_matter(expr in expression(), one in row(), other in row()) {
        let read = expr.columns();
        let mixed: Vec<Value> = (0..COLUMNS.len()).map(|i| if read.contains(&i) { one[i].clone() } else { other[i].clone() }).collect();
        prop_assert_eq!(outcome(&expr, &columns_of(&[one]), 1, 0), outcome(&expr, &columns_of(&[mixed]), 1, 0));
    }
}
