//! What every accumulator promises, whatever it is: a cell is a function of the set of rows.

use crate::harness::{Batch, NUMBERS, aggregate, any_rows, types};
use proptest::prelude::*;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn};
use raympp_types::DataType;

/// Every accumulator that some aggregate over some type lowers to, with and without a filter.
fn all_accumulators() -> Vec<(Accumulator, DataType)> {
    let of_any = ["count", "min", "max", "first_value", "last_value", "arg_min", "arg_max", "approx_count_distinct", "top_k"];
    let of_numbers = ["sum", "avg", "var_samp", "stddev_pop", "approx_percentile", "approx_median"];
    let any_calls = of_any.iter().flat_map(|name| types().into_iter().map(move |data_type| (*name, data_type)));
    let number_calls = of_numbers.iter().flat_map(|name| NUMBERS.into_iter().map(move |data_type| (*name, data_type)));
    let calls = any_calls.chain(number_calls).chain([("bool_and", DataType::Boolean)]);
    let mut found: Vec<(Accumulator, DataType)> = Vec::new();
    for (name, data_type) in calls {
        for filtered in [false, true] {
            for accumulator in aggregate(name, false, data_type, filtered).lower().accumulators {
                if !found.contains(&(accumulator.clone(), data_type)) {
                    found.push((accumulator, data_type));
                }
            }
        }
    }
    found
}

#[test]
fn the_laws_are_tried_on_every_kind_of_accumulator() {
    let kinds: std::collections::BTreeSet<String> = all_accumulators()
        .iter()
        .map(|(accumulator, _)| format!("{accumulator:?}").split(' ').next().unwrap_or_default().to_string())
        .collect();
    let expected =
        ["Count", "CountTrue", "DdSketch", "FloatRest", "Hll", "Max", "Min", "Multiset", "NullCount", "Pick", "Sum", "SumSquares"];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

fn code(column: &AccumulatorColumn) -> Vec<u8> {
    let mut out = Vec::new();
    column.encode_cell(0, &mut out);
    out
}

fn merged(parts: &[&AccumulatorColumn], accumulator: &Accumulator) -> AccumulatorColumn {
    let mut sum = AccumulatorColumn::identity(accumulator, 1);
    parts.iter().for_each(|part| sum.merge_cell(0, part, 0));
    sum
}

/// An accumulator, rows for it, a permutation of them, and one of three cells for each.
fn cases() -> impl Strategy<Value = (Accumulator, Batch, Vec<u32>, Vec<u8>)> {
    cases_of(all_accumulators())
}

fn invertible_cases() -> impl Strategy<Value = (Accumulator, Batch, Vec<u32>, Vec<u8>)> {
    cases_of(all_accumulators().into_iter().filter(|(accumulator, _)| accumulator.invertible()).collect())
}

fn cases_of(accumulators: Vec<(Accumulator, DataType)>) -> impl Strategy<Value = (Accumulator, Batch, Vec<u32>, Vec<u8>)> {
    prop::sample::select(accumulators).prop_flat_map(|(accumulator, data_type)| {
        any_rows(data_type).prop_flat_map(move |rows| {
            let batch = Batch::new(&rows, data_type);
            let order = Just(batch.all()).prop_shuffle();
            let cells = prop::collection::vec(0u8..3, rows.len());
            let (accumulator, rows) = (accumulator.clone(), rows.clone());
            (order, cells).prop_map(move |(order, cells)| (accumulator.clone(), Batch::new(&rows, data_type), order, cells))
        })
    })
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows", self.all().len())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_cell_is_a_function_of_the_set_of_rows((accumulator, batch, order, cells) in cases()) {
        let all = batch.fold(&accumulator, &batch.all());
        prop_assert_eq!(&batch.fold(&accumulator, &order), &all, "another order of rows");
        let [a, b, c] = [0, 1, 2].map(|cell| {
            let rows: Vec<u32> = order.iter().copied().filter(|&row| cells[row as usize] == cell).collect();
            batch.fold(&accumulator, &rows)
        });
        let nothing = AccumulatorColumn::identity(&accumulator, 1);
        for (i, parts) in [[&a, &b, &c], [&c, &b, &a], [&b, &a, &c]].iter().enumerate() {
            let sum = merged(parts, &accumulator);
            prop_assert_eq!(code(&sum), code(&all), "order of merging {}", i);
            prop_assert_eq!(&sum, &all);
        }
        let right = merged(&[&a, &merged(&[&b, &c], &accumulator)], &accumulator);
        prop_assert_eq!(code(&right), code(&all), "associative");
        prop_assert_eq!(&merged(&[&all, &nothing], &accumulator), &all, "identity");
        prop_assert_eq!(all.is_identity(0), code(&all) == code(&nothing), "only the identity is coded as such");
        let mut again = a.clone();
        let rest: Vec<u32> = order.iter().copied().filter(|&row| cells[row as usize] != 0).collect();
        batch.fold_into(&accumulator, &rest, &mut again);
        prop_assert_eq!(code(&again), code(&all), "rows after a merge");
    }

    #[test]
    fn retracting_undoes_merging((accumulator, batch, _, cells) in invertible_cases()) {
        let rows = |wanted: &dyn Fn(u8) -> bool| -> Vec<u32> {
            batch.all().into_iter().filter(|&row| wanted(cells[row as usize])).collect()
        };
        let left = batch.fold(&accumulator, &rows(&|cell| cell == 0));
        let right = batch.fold(&accumulator, &rows(&|cell| cell != 0));
        let mut cell = merged(&[&left, &right], &accumulator);
        cell.retract_cell(0, &right, 0);
        prop_assert_eq!(code(&cell), code(&left));
        prop_assert_eq!(&cell, &left);
        cell.retract_cell(0, &left, 0);
        prop_assert!(cell.is_identity(0));
        cell.retract_cell(0, &right, 0);
        cell.merge_cell(0, &right, 0);
        prop_assert!(cell.is_identity(0), "also when it is retracted first");
    }

    #[test]
    fn cells_return_from_their_bytes((accumulator, batch, _, _) in cases()) {
        let all = batch.fold(&accumulator, &batch.all());
        let mut bytes = code(&all);
        let length = bytes.len();
        bytes.push(7);
        let mut back = AccumulatorColumn::identity(&accumulator, 0);
        prop_assert_eq!(back.decode_cell(&accumulator, &bytes), Ok(length));
        prop_assert_eq!(&back, &all);
        for cut in 0..length {
            let mut column = AccumulatorColumn::identity(&accumulator, 0);
            prop_assert!(column.decode_cell(&accumulator, &bytes[..cut]).is_err(), "cut to {} of {}", cut, length);
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_another_canonical_cell((accumulator, batch, _, _) in cases(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = code(&batch.fold(&accumulator, &batch.all()));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut column = AccumulatorColumn::identity(&accumulator, 0);
        if let Ok(length) = column.decode_cell(&accumulator, &bytes) {
            prop_assert_eq!(code(&column), &bytes[..length]);
        }
    }

    #[test]
    fn columns_are_as_their_cells((accumulator, batch, _, cells) in cases()) {
        let mut column = AccumulatorColumn::identity(&accumulator, 0);
        for cell in 0..3u8 {
            let rows: Vec<u32> = batch.all().into_iter().filter(|&row| cells[row as usize] == cell).collect();
            column.append(&batch.fold(&accumulator, &rows));
        }
        column.push_identity();
        let picked = column.gather(&[3, 2, 0, 2]);
        prop_assert_eq!(picked.len(), 4);
        for (i, j) in [(0, 3), (1, 2), (2, 0), (3, 2)] {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            picked.encode_cell(i, &mut one);
            column.encode_cell(j, &mut other);
            prop_assert_eq!(one, other);
        }
        column.set_identity(1);
        prop_assert!(column.is_identity(1) && column.is_identity(3));
    }
}
