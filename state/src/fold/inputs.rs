//! What a store's accumulators read, evaluated for one batch: WHERE, keys, arguments, filters, and the rows that fail.
//!
//! Expressions that cannot fail are evaluated once per batch for all stores of the stream. Those that can are evaluated for the rows
//! whose value is needed, and a row that fails anywhere leaves the whole store (the bad-row rule).

use super::Batch;
use super::increments::column_of_rows;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType as ArrowType, Int32Type};
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, fold};
use raympp_operators::expr::{Evaluated, Expr};
use raympp_operators::sharing::Store;
use std::cell::OnceCell;
use std::sync::Arc;

/// Values of expressions for the batch at hand, and predicates over dictionaries that stay.
#[derive(Default)]
pub struct ExprCache {
    values: Vec<(Expr, ArrayRef)>,
    truths: Vec<(Expr, Truth)>,
    tables: Vec<PredicateTable>,
    key_spaces: Vec<Vec<Expr>>,
}

/// A predicate over one dictionary column, entry by entry.
struct PredicateTable {
    predicate: Expr,
    dictionary: ArrayRef,
    truth: Arc<[u8]>,
}

/// Where a predicate is true.
#[derive(Clone)]
pub(super) enum Truth {
    /// Row by row.
    Bits(BooleanBuffer),
    /// By code of a dictionary without NULLs: 1 or 0.
    Codes(Int32Array, Arc<[u8]>),
}

impl Truth {
    pub(super) fn bits(&self) -> BooleanBuffer {
        match self {
            Truth::Bits(bits) => bits.clone(),
            Truth::Codes(codes, truth) => BooleanBuffer::collect_bool(codes.len(), |row| truth[codes.values()[row] as usize] != 0),
        }
    }
}

impl ExprCache {
    pub(super) fn set_keys(&mut self, key_spaces: &[&[Expr]]) {
        self.key_spaces = key_spaces.iter().map(|keys| keys.to_vec()).collect();
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.truths.clear();
    }

    fn value(&mut self, expr: &Expr, batch: &Batch<'_>) -> ArrayRef {
        if let Some(column) = expr.as_column() {
            return Arc::clone(&batch.columns[column]);
        }
        if let Some((_, value)) = self.values.iter().find(|(other, _)| other == expr) {
            return Arc::clone(value);
        }
        let value = expr.evaluate_columns(batch.columns, batch.rows, None).values;
        self.values.push((expr.clone(), Arc::clone(&value)));
        value
    }

    fn truth(&mut self, predicate: &Expr, batch: &Batch<'_>) -> Truth {
        if let Some((_, truth)) = self.truths.iter().find(|(other, _)| other == predicate) {
            return truth.clone();
        }
        let truth = match self.truth_by_code(predicate, batch) {
            Some(truth) => truth,
            None => Truth::Bits(true_rows(&predicate.evaluate_columns(batch.columns, batch.rows, None).values)),
        };
        self.truths.push((predicate.clone(), truth.clone()));
        truth
    }

    fn truth_by_code(&mut self, predicate: &Expr, batch: &Batch<'_>) -> Option<Truth> {
        let column = predicate.columns().into_iter().next()?;
        let column = batch.columns[column].as_dictionary_opt::<Int32Type>()?;
        if column.null_count() > 0 || predicate.columns().len() > 1 {
            return None;
        }
        let known = |table: &&PredicateTable| Arc::ptr_eq(&table.dictionary, column.values()) && table.predicate == *predicate;
        if let Some(table) = self.tables.iter().find(known) {
            return Some(Truth::Codes(column.keys().clone(), Arc::clone(&table.truth)));
        }
        let truth: Arc<[u8]> = predicate.evaluate_predicate_lut(column.values())?.into();
        self.tables.retain(|table| table.predicate != *predicate);
        let dictionary = Arc::clone(column.values());
        self.tables.push(PredicateTable { predicate: predicate.clone(), dictionary, truth: Arc::clone(&truth) });
        Some(Truth::Codes(column.keys().clone(), truth))
    }
}

/// Rows for which a BOOLEAN column is true (not false, not NULL).
fn true_rows(values: &ArrayRef) -> BooleanBuffer {
    let values = values.as_boolean();
    match values.nulls() {
        Some(nulls) => values.values() & nulls.inner(),
        None => values.values().clone(),
    }
}

/// One store's view of a batch.
pub(super) struct Inputs {
    /// Rows that count; `None`: all.
    pub active: Option<BooleanBuffer>,
    /// Rows that could not be evaluated, with the reason.
    pub failed: Vec<(usize, String)>,
    /// Key columns.
    pub keys: Vec<ArrayRef>,
    values: Vec<Vec<ArrayRef>>,
    filters: Vec<Option<Truth>>,
    /// Made when asked for: tables do without.
    filter_arrays: Vec<OnceCell<BooleanArray>>,
}

impl Inputs {
    pub(super) fn evaluate(store: &Store, batch: &Batch<'_>, cache: &mut ExprCache) -> Inputs {
        let mut inputs = Inputs {
            active: batch.active.clone(),
            failed: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            filters: Vec::new(),
            filter_arrays: Vec::new(),
        };
        if let Some(filter) = &store.filter {
            let truth = inputs.truth_of(filter, None, batch, cache);
            inputs.narrow(&truth.bits());
        }
        if inputs.nothing_active() {
            return inputs;
        }
        for key in cache.key_spaces[store.key_space].clone() {
            let values = inputs.value_of(&key, None, batch, cache);
            inputs.keys.push(values);
        }
        for accumulator in &store.accumulators {
            let filter = accumulator.filter().map(|filter| inputs.truth_of(filter, None, batch, cache));
            let values = accumulator.inputs().iter().map(|input| inputs.value_of(input, filter.as_ref(), batch, cache)).collect();
            inputs.values.push(values);
            inputs.filter_arrays.push(OnceCell::new());
            inputs.filters.push(filter);
        }
        inputs
    }

    fn truth_of(&mut self, predicate: &Expr, needed: Option<&Truth>, batch: &Batch<'_>, cache: &mut ExprCache) -> Truth {
        if predicate.fallible() {
            Truth::Bits(true_rows(&self.evaluate_fallible(predicate, needed, batch)))
        } else {
            cache.truth(predicate, batch)
        }
    }

    fn value_of(&mut self, expr: &Expr, needed: Option<&Truth>, batch: &Batch<'_>, cache: &mut ExprCache) -> ArrayRef {
        if expr.fallible() { self.evaluate_fallible(expr, needed, batch) } else { cache.value(expr, batch) }
    }

    /// Evaluates for active rows (that `needed` also names) and takes out those that fail.
    fn evaluate_fallible(&mut self, expr: &Expr, needed: Option<&Truth>, batch: &Batch<'_>) -> ArrayRef {
        let active = match (&self.active, needed) {
            (None, None) => None,
            (Some(active), None) => Some(active.clone()),
            (None, Some(needed)) => Some(needed.bits()),
            (Some(active), Some(needed)) => Some(active & &needed.bits()),
        };
        let Evaluated { values, errors } = expr.evaluate_columns(batch.columns, batch.rows, active.as_ref());
        if let Some(errors) = errors {
            let failed = match &active {
                Some(active) => &errors.failed & active,
                None => errors.failed,
            };
            let reason = errors.reason.to_string();
            self.failed.extend(failed.set_indices().map(|row| (row, reason.clone())));
            self.narrow(&!&failed);
        }
        values
    }

    fn narrow(&mut self, to: &BooleanBuffer) {
        if to.count_set_bits() < to.len() {
            self.active = Some(match &self.active {
                Some(active) => active & to,
                None => to.clone(),
            });
        }
    }

    /// Takes out active rows whose windows can't be represented.
    pub(super) fn reject(&mut self, rows: usize, bad: impl Fn(usize) -> bool) {
        let rejected = BooleanBuffer::collect_bool(rows, |row| self.active.as_ref().is_none_or(|active| active.value(row)) && bad(row));
        let reason = "the windows of this event time can't be represented";
        self.failed.extend(rejected.set_indices().map(|row| (row, reason.to_string())));
        self.narrow(&!&rejected);
    }

    pub(super) fn nothing_active(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.count_set_bits() == 0)
    }

    pub(super) fn active_rows(&self, rows: usize) -> Vec<u32> {
        match &self.active {
            None => (0..rows as u32).collect(),
            Some(active) => active.set_indices_u32().collect(),
        }
    }

    /// Lowest and highest slice of the active rows.
    pub(super) fn slice_range(&self, batch: &Batch<'_>, slice: impl Fn(i64) -> i64) -> (i64, i64) {
        let (first, last) = (slice(batch.range_us.0), slice(batch.range_us.1));
        if first == last || self.active.is_none() {
            return (first, last);
        }
        let mut range = (i64::MAX, i64::MIN);
        for row in self.active_rows(batch.rows) {
            let us = batch.event_times_us[row as usize];
            range = (range.0.min(us), range.1.max(us));
        }
        (slice(range.0), slice(range.1))
    }

    /// Input columns of an accumulator.
    pub(super) fn of(&self, accumulator: usize) -> &[ArrayRef] {
        &self.values[accumulator]
    }

    /// FILTER of an accumulator.
    pub(super) fn filter(&self, accumulator: usize) -> Option<&BooleanArray> {
        let truth = self.filters[accumulator].as_ref()?;
        Some(self.filter_arrays[accumulator].get_or_init(|| BooleanArray::new(truth.bits(), None)))
    }

    pub(super) fn truth(&self, accumulator: usize) -> Option<&Truth> {
        self.filters[accumulator].as_ref()
    }

    /// Each row as a group of its own, for every accumulator.
    pub(super) fn columns_of_rows(&self, accumulators: &[Accumulator], rows: &[u32], batch: &Batch<'_>) -> Vec<Option<AccumulatorColumn>> {
        let groups: Vec<u32> = (0..rows.len() as u32).collect();
        let column = |(i, accumulator): (usize, &Accumulator)| {
            if untouched(accumulator, self.of(i)) {
                return None;
            }
            if let Some(column) = column_of_rows(accumulator, self, i, rows, batch.rows) {
                return Some(column);
            }
            let mut column = AccumulatorColumn::identity(accumulator, rows.len());
            fold(accumulator, self.of(i), self.filter(i), rows, &groups, &batch.stamps, &mut column);
            Some(column)
        };
        accumulators.iter().enumerate().map(column).collect()
    }
}

/// True if no row of these inputs can change the accumulator: a count of NULLs where there are none.
pub(super) fn untouched(accumulator: &Accumulator, inputs: &[ArrayRef]) -> bool {
    matches!(accumulator, Accumulator::NullCount { .. }) && inputs.iter().all(|input| input.logical_null_count() == 0)
}

/// True for types whose sums a table holds in one word, if their magnitude allows.
pub(super) fn is_whole_number(array: &ArrayRef) -> bool {
    matches!(array.data_type(), ArrowType::Int16 | ArrowType::Int32 | ArrowType::Int64 | ArrowType::Decimal128(..))
}
