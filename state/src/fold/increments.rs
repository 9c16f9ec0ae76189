//! What each row adds to each word of its cell in the table: counts as bits of packed fields, sums as they are, extremes as ordered bits.

use super::inputs::{Inputs, Truth, is_whole_number};
use super::table::{FIELD_BITS, FIELDS_PER_WORD};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use raympp_operators::accumulator::wide::{max_bits_bool, max_bits_f64, max_bits_i64, min_bits};
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, CellKind, SumColumn};
use std::borrow::Cow;
use std::ops::Range;

/// One accumulator's share in the words of a batch's rows.
pub(super) struct Increment<'a> {
    word: usize,
    what: What<'a>,
}

enum What<'a> {
    /// `1 << shift` for each row that counts is added.
    Count { rows: Chosen<'a>, shift: usize },
    /// The word is the row's value, or 0 for rows that are not chosen.
    Value { values: Cow<'a, [u64]>, not_null: Option<BooleanBuffer>, rows: Chosen<'a> },
}

/// Which rows.
enum Chosen<'a> {
    All,
    Bits(BooleanBuffer),
    /// By code, the dictionary being so small that a word holds its truth.
    FewCodes(&'a [i32], u64),
    Codes(&'a [i32], &'a [u8]),
}

impl<'a> Increment<'a> {
    /// Of a count; `None` if no row counts.
    pub(super) fn count(accumulator: &Accumulator, inputs: &'a Inputs, i: usize, field: usize) -> Option<Increment<'a>> {
        let rows = match accumulator {
            Accumulator::Count { .. } => Chosen::of(inputs.truth(i)),
            Accumulator::NullCount { .. } => {
                let nulls = inputs.of(i)[0].logical_nulls().filter(|nulls| nulls.null_count() > 0)?;
                Chosen::Bits(filtered(!nulls.inner(), inputs, i))
            }
            Accumulator::CountTrue { .. } => {
                let values = inputs.of(i)[0].as_boolean();
                let bits = values.nulls().map_or_else(|| values.values().clone(), |nulls| values.values() & nulls.inner());
                Chosen::Bits(filtered(bits, inputs, i))
            }
            _ => unreachable!("only counts have fields"),
        };
        let shift = field % FIELDS_PER_WORD * FIELD_BITS as usize;
        Some(Increment { word: field / FIELDS_PER_WORD, what: What::Count { rows, shift } })
    }

    /// Of a sum of these values.
    pub(super) fn sum(values: Cow<'a, [u64]>, inputs: &'a Inputs, i: usize, word: usize) -> Increment<'a> {
        let nulls = inputs.of(i)[0].logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let not_null = nulls.map(|nulls| nulls.inner().clone());
        Increment { word, what: What::Value { values, not_null, rows: Chosen::of(inputs.truth(i)) } }
    }

    /// Of a minimum or maximum.
    pub(super) fn extreme(accumulator: &Accumulator, inputs: &'a Inputs, i: usize, word: usize) -> Increment<'a> {
        Increment::sum(Cow::Owned(extreme_bits(accumulator, &inputs.of(i)[0])), inputs, i, word)
    }

    /// If the word of each row is just the row's value: the word and the values.
    pub(super) fn as_values(&self) -> Option<(usize, &[u64])> {
        match &self.what {
            What::Value { values, not_null: None, rows: Chosen::All } => Some((self.word, values)),
            _ => None,
        }
    }

    /// Puts the share of some rows of the batch into the rows' words.
    pub(super) fn fill(&self, rows: Range<usize>, words: &mut [Vec<u64>]) {
        let to = &mut words[self.word][..];
        match &self.what {
            What::Count { rows: chosen, shift } => chosen.each(rows, to, |to, truth| *to += truth << shift),
            What::Value { values, not_null, rows: chosen } => {
                to.copy_from_slice(&values[rows.clone()]);
                if let Some(bits) = not_null {
                    each_bit(bits, rows.clone(), to, |to, truth| *to &= truth.wrapping_neg());
                }
                chosen.each(rows, to, |to, truth| *to &= truth.wrapping_neg());
            }
        }
    }
}

impl<'a> Chosen<'a> {
    fn of(filter: Option<&'a Truth>) -> Chosen<'a> {
        match filter {
            None => Chosen::All,
            Some(Truth::Bits(bits)) => Chosen::Bits(bits.clone()),
            Some(Truth::Codes(codes, truth)) if truth.len() <= 64 => {
                let truths = truth.iter().enumerate().fold(0, |truths, (code, &truth)| truths | u64::from(truth) << code);
                Chosen::FewCodes(codes.values(), truths)
            }
            Some(Truth::Codes(codes, truth)) => Chosen::Codes(codes.values(), truth),
        }
    }

    /// Calls `f` with each row's word and 1 if the row is chosen, else 0.
    #[inline(always)]
    fn each(&self, rows: Range<usize>, to: &mut [u64], f: impl Fn(&mut u64, u64)) {
        match self {
            Chosen::All => to.iter_mut().for_each(|to| f(to, 1)),
            Chosen::Bits(bits) => each_bit(bits, rows, to, f),
            Chosen::FewCodes(codes, truths) => {
                to.iter_mut().zip(&codes[rows]).for_each(|(to, &code)| f(to, (truths >> (code as u64 & 63)) & 1));
            }
            Chosen::Codes(codes, truth) => {
                to.iter_mut().zip(&codes[rows]).for_each(|(to, &code)| f(to, truth[code as usize].into()));
            }
        }
    }
}

#[inline(always)]
fn each_bit(bits: &BooleanBuffer, rows: Range<usize>, to: &mut [u64], f: impl Fn(&mut u64, u64)) {
    let bits = bits.slice(rows.start, rows.len());
    for (to, word) in to.chunks_mut(64).zip(words_of(&bits)) {
        to.iter_mut().enumerate().for_each(|(bit, to)| f(to, (word >> bit) & 1));
    }
}

/// Each of these rows as a group of its own; `None` for accumulators that the general code has to fold.
pub(super) fn column_of_rows(
    accumulator: &Accumulator,
    inputs: &Inputs,
    i: usize,
    rows: &[u32],
    batch_rows: usize,
) -> Option<AccumulatorColumn> {
    let increment = match accumulator.cell_kind() {
        CellKind::Count => Increment::count(accumulator, inputs, i, 0)?,
        CellKind::Extreme => Increment::extreme(accumulator, inputs, i, 0),
        _ if matches!(accumulator, Accumulator::Sum { .. }) => Increment::sum(whole_numbers(&inputs.of(i)[0])?, inputs, i, 0),
        _ => return None,
    };
    let mut made = [Vec::new()];
    let words = match increment.as_values() {
        Some((_, values)) => values,
        None => {
            made[0].resize(batch_rows, 0);
            increment.fill(0..batch_rows, &mut made);
            &made[0]
        }
    };
    Some(match accumulator.cell_kind() {
        CellKind::Count => AccumulatorColumn::Count(rows.iter().map(|&row| words[row as usize]).collect()),
        CellKind::Extreme => AccumulatorColumn::Extreme(rows.iter().map(|&row| words[row as usize]).collect()),
        _ => AccumulatorColumn::Sum(SumColumn::Narrow(rows.iter().map(|&row| words[row as usize] as i64).collect())),
    })
}

/// 64 bits at a time, the last ones filled up with 0.
pub(super) fn words_of(bits: &BooleanBuffer) -> impl Iterator<Item = u64> + '_ {
    let chunks = bits.bit_chunks();
    let remainder = chunks.remainder_bits();
    chunks.into_iter().chain(std::iter::once(remainder))
}

fn filtered(bits: BooleanBuffer, inputs: &Inputs, i: usize) -> BooleanBuffer {
    inputs.truth(i).map_or_else(|| bits.clone(), |truth| &bits & &truth.bits())
}

/// The words of an array of integers or decimals, as signed 64-bit numbers; `None` if one does not fit.
pub(super) fn whole_numbers(array: &ArrayRef) -> Option<Cow<'_, [u64]>> {
    if !is_whole_number(array) {
        return None;
    }
    Some(match array.data_type() {
        ArrowType::Int64 => Cow::Borrowed(array.as_primitive::<Int64Type>().values().inner().typed_data()),
        ArrowType::Int32 => Cow::Owned(array.as_primitive::<Int32Type>().values().iter().map(|&value| i64::from(value) as u64).collect()),
        ArrowType::Int16 => Cow::Owned(array.as_primitive::<Int16Type>().values().iter().map(|&value| i64::from(value) as u64).collect()),
        ArrowType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            let fit = values.iter().fold(true, |fit, &value| fit & (i128::from(value as i64) == value));
            if !fit {
                return None;
            }
            Cow::Owned(values.iter().map(|&value| value as u64).collect())
        }
        _ => return None,
    })
}

/// The bits that a maximum is taken of, for each row.
fn extreme_bits(accumulator: &Accumulator, input: &ArrayRef) -> Vec<u64> {
    let negate = matches!(accumulator, Accumulator::Min { .. });
    let bits = |bits: u64| if negate { min_bits(bits) } else { bits };
    match input.data_type() {
        ArrowType::Boolean => input.as_boolean().values().iter().map(|v| bits(max_bits_bool(v))).collect(),
        ArrowType::Int16 => input.as_primitive::<Int16Type>().values().iter().map(|&v| bits(max_bits_i64(v.into()))).collect(),
        ArrowType::Int32 => input.as_primitive::<Int32Type>().values().iter().map(|&v| bits(max_bits_i64(v.into()))).collect(),
        ArrowType::Int64 => input.as_primitive::<Int64Type>().values().iter().map(|&v| bits(max_bits_i64(v))).collect(),
        ArrowType::Float32 => input.as_primitive::<Float32Type>().values().iter().map(|&v| bits(max_bits_f64(v.into()))).collect(),
        ArrowType::Float64 => input.as_primitive::<Float64Type>().values().iter().map(|&v| bits(max_bits_f64(v))).collect(),
        ArrowType::Date32 => input.as_primitive::<Date32Type>().values().iter().map(|&v| bits(max_bits_i64(v.into()))).collect(),
        _ => input.as_primitive::<TimestampMicrosecondType>().values().iter().map(|&v| bits(max_bits_i64(v))).collect(),
    }
}
