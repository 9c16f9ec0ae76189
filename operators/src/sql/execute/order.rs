//! ORDER BY and DISTINCT, both by key codes: bytes that compare as SQL orders and groups values.

use super::{ExecuteError, evaluate, taken};
use crate::keycode::KeyEncoder;
use crate::plan::OrderKey;
use arrow::array::{Array, ArrayRef, RecordBatch};
use hashbrown::HashSet;

/// Sorts rows; equal ones keep their order.
pub(super) fn sort(order_by: &[OrderKey], rows: &RecordBatch) -> Result<RecordBatch, ExecuteError> {
    let columns = order_by.iter().map(|key| evaluate(&key.expr, rows, None)).collect::<Result<Vec<_>, _>>()?;
    let encoders: Vec<KeyEncoder> = columns.iter().map(|column| KeyEncoder::new(std::slice::from_ref(column))).collect();
    let mut codes: Vec<(Vec<u8>, u32)> = (0..rows.num_rows() as u32).map(|row| (Vec::new(), row)).collect();
    for (code, row) in &mut codes {
        for ((key, column), encoder) in order_by.iter().zip(&columns).zip(&encoders) {
            append(code, key, column, encoder, *row as usize);
        }
    }
    codes.sort_unstable();
    taken(rows, codes.into_iter().map(|(_, row)| row).collect())
}

/// One byte that puts NULL first or last, then the value's code, inverted for DESC. No code is a prefix of another, inverted or not.
fn append(code: &mut Vec<u8>, key: &OrderKey, column: &ArrayRef, encoder: &KeyEncoder, row: usize) {
    if column.is_null(row) {
        code.push(if key.nulls_first { 0 } else { 2 });
        return;
    }
    code.push(1);
    let start = code.len();
    encoder.encode(row, code);
    if key.descending {
        code[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The first of each set of equal rows.
pub(super) fn without_repetition(rows: &RecordBatch) -> Result<RecordBatch, ExecuteError> {
    let encoder = KeyEncoder::new(rows.columns());
    let mut seen: HashSet<Vec<u8>, foldhash::fast::FixedState> = HashSet::default();
    let is_new = |row: &u32| {
        let mut code = Vec::new();
        encoder.encode(*row as usize, &mut code);
        seen.insert(code)
    };
    taken(rows, (0..rows.num_rows() as u32).filter(is_new).collect())
}

/// The place of each row in the order of all columns: a number that depends on the rows' contents alone, but for equal rows.
pub(super) fn ranks(rows: &RecordBatch) -> Vec<u64> {
    let encoder = KeyEncoder::new(rows.columns());
    let code = |row: u32| {
        let mut code = Vec::new();
        encoder.encode(row as usize, &mut code);
        (code, row)
    };
    let mut codes: Vec<(Vec<u8>, u32)> = (0..rows.num_rows() as u32).map(code).collect();
    codes.sort_unstable();
    let mut ranks = vec![0; codes.len()];
    for (rank, (_, row)) in codes.into_iter().enumerate() {
        ranks[row as usize] = rank as u64;
    }
    ranks
}
