//! Putting rows into cells: every accumulator, any column, row by row.
//!
//! This is the general path. A hot loop over counts, extremes and narrow sums does the same with the conversions of [`super::wide`] and
//! [`super::fixed_point`]; heavy accumulators always come here. Types are resolved once per batch; a row then costs a test of filter
//! and NULL and the addition. A value that a heavy cell holds already is added without allocating.

use super::column::{AccumulatorColumn, drop_identity};
use super::fixed_point::{float_square_to_wide, float_to_wide};
use super::heavy::{Heavy, Pick};
use super::lower::{Accumulator, PickOrder};
use super::sum_column::SumColumn;
use super::wide::{max_bits_bool, max_bits_f64, max_bits_i64, min_bits, square_i64, square_i128};
use crate::keycode::{ExactEncoder, KeyEncoder};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use raympp_types::{Offset, SplitId};

/// Where the rows of a batch come from: what orders them in time and breaks ties.
#[derive(Clone, Copy, Debug)]
pub struct RowStamps<'a> {
    /// Event time of each row of the batch, in microseconds.
    pub event_times_us: &'a [i64],
    /// Their split.
    pub split: SplitId,
    /// Their offsets in the split.
    pub offsets: RowOffsets<'a>,
}

/// Offsets of the rows of a batch.
#[derive(Clone, Copy, Debug)]
pub enum RowOffsets<'a> {
    /// Row i has this offset plus i.
    From(Offset),
    /// One for each row.
    Each(&'a [u64]),
}

impl RowStamps<'_> {
    /// Appends a row's stamp: bytes in the order of (event time, split, offset).
    fn put(&self, row: usize, out: &mut Vec<u8>) {
        let offset = match self.offsets {
            RowOffsets::From(first) => first.0 + row as u64,
            RowOffsets::Each(offsets) => offsets[row],
        };
        out.extend_from_slice(&max_bits_i64(self.event_times_us[row]).to_be_bytes());
        out.extend_from_slice(&self.split.0.to_be_bytes());
        out.extend_from_slice(&offset.to_be_bytes());
    }
}

/// Folds row `rows[i]` of a batch into cell `groups[i]` of `column`, for each i. `inputs` are the batch's columns for
/// [`Accumulator::inputs`], `filter` the one for [`Accumulator::filter`]; where the filter is not true, inputs may hold anything, since
/// FILTER guards their evaluation.
///
/// # Panics
/// If a column has another type than its expression, or an index is out of range.
pub fn fold(
    accumulator: &Accumulator,
    inputs: &[ArrayRef],
    filter: Option<&BooleanArray>,
    rows: &[u32],
    groups: &[u32],
    stamps: &RowStamps,
    column: &mut AccumulatorColumn,
) {
    let selection =
        Selection { filter, nulls: [inputs.first(), inputs.get(1)].map(|input| input.and_then(|i| i.logical_nulls())), rows, groups };
    match column {
        AccumulatorColumn::Count(cells) => fold_count(accumulator, inputs, &selection, cells),
        AccumulatorColumn::Extreme(cells) => {
            let descending = matches!(accumulator, Accumulator::Min { .. });
            fold_extreme(inputs[0].as_ref(), descending, &selection, cells);
        }
        AccumulatorColumn::Sum(sums) => {
            let squares = matches!(accumulator, Accumulator::SumSquares { .. });
            fold_sum(inputs[0].as_ref(), squares, &selection, sums);
        }
        AccumulatorColumn::Heavy(cells) => fold_heavy(accumulator, inputs, &selection, stamps, cells),
    }
}

/// Which rows count, and where.
struct Selection<'a> {
    filter: Option<&'a BooleanArray>,
    nulls: [Option<NullBuffer>; 2],
    rows: &'a [u32],
    groups: &'a [u32],
}

impl Selection<'_> {
    /// Calls with (row, group) of each row that passes the filter.
    #[inline]
    fn passing(&self, mut each: impl FnMut(usize, usize)) {
        assert_eq!(self.rows.len(), self.groups.len(), "a group for each row");
        let pairs = self.rows.iter().zip(self.groups).map(|(&row, &group)| (row as usize, group as usize));
        match self.filter {
            None => pairs.for_each(|(row, group)| each(row, group)),
            Some(filter) => {
                pairs.filter(|&(row, _)| filter.is_valid(row) && filter.value(row)).for_each(|(row, group)| each(row, group));
            }
        }
    }

    /// Calls with (row, group) of each row that passes the filter and has no NULL input.
    #[inline]
    fn present(&self, mut each: impl FnMut(usize, usize)) {
        match &self.nulls {
            [None, None] => self.passing(each),
            nulls => self.passing(|row, group| {
                if nulls.iter().flatten().all(|nulls| nulls.is_valid(row)) {
                    each(row, group);
                }
            }),
        }
    }
}

fn fold_count(accumulator: &Accumulator, inputs: &[ArrayRef], selection: &Selection, cells: &mut [u64]) {
    match accumulator {
        Accumulator::NullCount { .. } => {
            if let Some(nulls) = &selection.nulls[0] {
                selection.passing(|row, group| cells[group] = cells[group].wrapping_add(u64::from(nulls.is_null(row))));
            }
        }
        Accumulator::CountTrue { .. } => {
            let values = inputs[0].as_boolean();
            selection.present(|row, group| cells[group] = cells[group].wrapping_add(u64::from(values.value(row))));
        }
        _ => selection.passing(|_, group| cells[group] = cells[group].wrapping_add(1)),
    }
}

/// Calls with (group, value) of each present integer, DATE or timestamp. False for an array of another type.
fn each_i64(array: &dyn Array, selection: &Selection, mut each: impl FnMut(usize, i64)) -> bool {
    macro_rules! each {
        ($arrow:ty) => {{
            let values = array.as_primitive::<$arrow>().values();
            selection.present(|row, group| each(group, i64::from(values[row])));
        }};
    }
    match array.data_type() {
        ArrowType::Int16 => each!(Int16Type),
        ArrowType::Int32 => each!(Int32Type),
        ArrowType::Int64 => each!(Int64Type),
        ArrowType::Date32 => each!(Date32Type),
        ArrowType::Timestamp(..) => each!(TimestampMicrosecondType),
        _ => return false,
    }
    true
}

/// Calls with (group, value) of each present float.
///
/// # Panics
/// If the array holds none.
fn each_f64(array: &dyn Array, selection: &Selection, mut each: impl FnMut(usize, f64)) {
    match array.data_type() {
        ArrowType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            selection.present(|row, group| each(group, f64::from(values[row])));
        }
        _ => {
            let values = array.as_primitive::<Float64Type>().values();
            selection.present(|row, group| each(group, values[row]));
        }
    }
}

fn fold_extreme(array: &dyn Array, descending: bool, selection: &Selection, cells: &mut [u64]) {
    let mut put = |group: usize, bits: u64| cells[group] = cells[group].max(if descending { min_bits(bits) } else { bits });
    if let Some(values) = array.as_boolean_opt() {
        selection.present(|row, group| put(group, max_bits_bool(values.value(row))));
    } else if !each_i64(array, selection, |group, value| put(group, max_bits_i64(value))) {
        each_f64(array, selection, |group, value| put(group, max_bits_f64(value)));
    }
}

fn fold_sum(array: &dyn Array, squares: bool, selection: &Selection, sums: &mut SumColumn) {
    if let ArrowType::Decimal128(..) = array.data_type() {
        let values = array.as_primitive::<Decimal128Type>().values();
        return match squares {
            false => selection.present(|row, group| sums.add_i128(group, values[row])),
            true => selection.present(|row, group| match i64::try_from(values[row]) {
                Ok(value) => sums.add_i128(group, square_i64(value)),
                Err(_) => sums.add_wide8(group, &square_i128(values[row])),
            }),
        };
    }
    let integers = match squares {
        false => each_i64(array, selection, |group, value| sums.add_i64(group, value)),
        true => each_i64(array, selection, |group, value| sums.add_i128(group, square_i64(value))),
    };
    match squares {
        _ if integers => {}
        false => each_f64(array, selection, |group, value| {
            if let Some(wide) = float_to_wide(value) {
                sums.add_wide4(group, &wide);
            }
        }),
        true => each_f64(array, selection, |group, value| {
            if let Some(wide) = float_square_to_wide(value) {
                sums.add_wide8(group, &wide);
            }
        }),
    }
}

fn fold_heavy(accumulator: &Accumulator, inputs: &[ArrayRef], selection: &Selection, stamps: &RowStamps, cells: &mut [Option<Box<Heavy>>]) {
    match accumulator {
        Accumulator::FloatRest { squares, .. } => each_f64(inputs[0].as_ref(), selection, |group, value| {
            if float_to_wide(value).is_none()
                && let Heavy::FloatRest(cell) = cell_of(cells, group, accumulator)
            {
                cell.add(value, *squares);
                // Large numbers may cancel out.
                drop_identity(&mut cells[group]);
            }
        }),
        Accumulator::Pick { order, .. } => fold_pick(accumulator, *order, inputs, selection, stamps, cells),
        Accumulator::DdSketch { .. } => each_f64(inputs[0].as_ref(), selection, |group, value| {
            if let Heavy::DdSketch(cell) = cell_of(cells, group, accumulator) {
                cell.add(value);
            }
        }),
        _ => {
            let encoder = KeyEncoder::new(inputs);
            let mut code = Vec::new();
            selection.present(|row, group| {
                code.clear();
                encoder.encode(row, &mut code);
                match cell_of(cells, group, accumulator) {
                    Heavy::Multiset(cell) => cell.add(&code, 1),
                    Heavy::Hll(cell) => cell.add(&code),
                    _ => unreachable!("{accumulator} has cells of its kind"),
                }
            });
        }
    }
}

/// The cell of a group, made on its first row. Only a row that changes it may ask for it.
#[inline]
fn cell_of<'a>(cells: &'a mut [Option<Box<Heavy>>], group: usize, accumulator: &Accumulator) -> &'a mut Heavy {
    cells[group].get_or_insert_with(|| Box::new(Heavy::identity(accumulator)))
}

fn fold_pick(
    accumulator: &Accumulator,
    order: PickOrder,
    inputs: &[ArrayRef],
    selection: &Selection,
    stamps: &RowStamps,
    cells: &mut [Option<Box<Heavy>>],
) {
    let value_encoder = ExactEncoder::new(&inputs[0]);
    let by_encoder = KeyEncoder::new(&inputs[1..]);
    let of_value = matches!(order, PickOrder::Min | PickOrder::Max);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    selection.present(|row, group| {
        key.clear();
        match of_value {
            true => value_encoder.encode(row, &mut key),
            false => by_encoder.encode(row, &mut key),
        }
        let ordering = key.len();
        if !of_value {
            stamps.put(row, &mut key);
        }
        Pick::invert_key(order, &mut key, ordering);
        let Heavy::Pick(cell) = cell_of(cells, group, accumulator) else { unreachable!("{accumulator} has cells of its kind") };
        if cell.is_beaten_by(&key) {
            value.clear();
            if !of_value {
                value_encoder.encode(row, &mut value);
            }
            cell.replace(&key, &value);
        }
    });
}
