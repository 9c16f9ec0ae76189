//! The table of cells that repeated keys are folded into. See the module above for its layout.

use super::Batch;
use super::inputs::{Inputs, Truth, is_whole_number, untouched};
use crate::delta::{Placement, StoreDelta};
use crate::dictionary::SenderKeys;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use raympp_operators::accumulator::wide::{max_bits_bool, max_bits_f64, max_bits_i64, min_bits};
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, CellKind, SumColumn, fold};
use raympp_types::PartitionId;
use std::borrow::Cow;
use std::collections::BTreeMap;

const FIELD_BITS: u32 = 21;
const FIELDS_PER_WORD: usize = 3;
const FIELD_MASK: u64 = (1 << FIELD_BITS) - 1;
/// Slices that one table can hold at once.
const SLOTS_MAX: i64 = 8;

/// Where an accumulator lives in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A field of a packed word.
    Field(usize),
    /// A word that is added to. What does not fit it goes to the column of that position beside the table.
    Sum(usize, usize),
    /// A word that takes the maximum.
    Extreme(usize),
    /// A column beside the table, folded by the general code.
    Column(usize),
}

pub(super) struct Table {
    places: Vec<Place>,
    accumulators: Vec<Accumulator>,
    words: usize,
    /// Local ids per slot.
    capacity: usize,
    /// Slice of slot 0; slots are consecutive slices.
    first_slice: i64,
    slots: usize,
    /// `1 + slots · capacity` cells of `words` words, the bin first.
    cells: Vec<u64>,
    columns: Vec<Option<AccumulatorColumn>>,
    /// By accumulator: no sum of the table exceeds this.
    magnitude: Vec<u128>,
    occupied: bool,
    /// Scratch: cell of each row, what is added to each word.
    index: Vec<u32>,
    increments: Vec<Vec<u64>>,
}

impl Table {
    pub(super) fn new(accumulators: &[Accumulator]) -> Table {
        let fields = 1 + accumulators.iter().filter(|a| a.cell_kind() == CellKind::Count).count();
        let packed_words = fields.div_ceil(FIELDS_PER_WORD);
        let (mut field, mut word, mut column) = (1, packed_words, 0);
        let next = |counter: &mut usize| {
            *counter += 1;
            *counter - 1
        };
        let places: Vec<Place> = accumulators
            .iter()
            .map(|accumulator| match accumulator {
                Accumulator::Sum { input, .. } if !input.data_type().is_float() => Place::Sum(next(&mut word), next(&mut column)),
                _ => match accumulator.cell_kind() {
                    CellKind::Count => Place::Field(next(&mut field)),
                    CellKind::Extreme => Place::Extreme(next(&mut word)),
                    _ => Place::Column(next(&mut column)),
                },
            })
            .collect();
        Table {
            accumulators: accumulators.to_vec(),
            words: word,
            capacity: 0,
            first_slice: 0,
            slots: 0,
            cells: vec![0; word],
            columns: (0..column).map(|_| None).collect(),
            magnitude: vec![0; places.len()],
            places,
            occupied: false,
            index: Vec::new(),
            increments: vec![Vec::new(); word],
        }
    }

    /// Slots the table would have if it took slices `first..=last` too; `None` if that is more than a table holds.
    pub(super) fn slots_with(&self, first: i64, last: i64) -> Option<usize> {
        let (first, last) = self.range_with(first, last);
        let slots = last.checked_sub(first)?.checked_add(1)?;
        if slots <= SLOTS_MAX { Some(slots as usize) } else { (last - first < SLOTS_MAX).then_some(SLOTS_MAX as usize) }
    }

    fn range_with(&self, first: i64, last: i64) -> (i64, i64) {
        if self.occupied { (first.min(self.first_slice), last.max(self.first_slice + self.slots as i64 - 1)) } else { (first, last) }
    }

    /// Makes room for ids below `ids` and slices `first..=last`; false if what the table holds has to be taken out first.
    pub(super) fn reserve(&mut self, ids: usize, first: i64, last: i64) -> bool {
        let fits = ids <= self.capacity && first >= self.first_slice && last < self.first_slice + self.slots as i64;
        if fits && self.slots > 0 {
            return true;
        }
        if self.occupied {
            return false;
        }
        self.capacity = self.capacity.max(ids.next_power_of_two());
        self.first_slice = first;
        self.slots = (last - first + 1) as usize;
        self.cells.clear();
        self.cells.resize((1 + self.slots * self.capacity) * self.words, 0);
        self.columns.iter_mut().for_each(|column| *column = None);
        true
    }

    /// Finds the cell of each row.
    pub(super) fn place(&mut self, ids: &[u32], active: Option<&BooleanBuffer>, (first, last): (i64, i64), slice: impl Fn(usize) -> i64) {
        self.occupied = true;
        self.index.clear();
        let capacity = self.capacity as u32;
        if first == last {
            let base = 1 + (first - self.first_slice) as u32 * capacity;
            self.index.extend(ids.iter().map(|&id| base + id));
        } else {
            let first_slice = self.first_slice;
            let cell = |(row, &id): (usize, &u32)| (1 + id).wrapping_add(((slice(row) - first_slice) as u32).wrapping_mul(capacity));
            self.index.extend(ids.iter().enumerate().map(cell));
        }
        if let Some(active) = active {
            for (cell, active) in self.index.iter_mut().zip(active.iter()) {
                *cell = if active { *cell } else { 0 };
            }
        }
    }

    /// Adds the placed rows to their cells.
    pub(super) fn add(&mut self, accumulators: &[Accumulator], inputs: &Inputs, batch: &Batch<'_>) {
        let mut increments = std::mem::take(&mut self.increments);
        let mut plain = true;
        for (word, increment) in increments.iter_mut().enumerate() {
            increment.clear();
            increment.resize(batch.rows, u64::from(word == 0));
        }
        let mut general: Option<(Vec<u32>, Vec<u32>)> = None;
        for (i, accumulator) in accumulators.iter().enumerate() {
            match self.places[i] {
                Place::Field(field) => add_field(&mut increments[field / FIELDS_PER_WORD], field, accumulator, inputs, i),
                Place::Sum(word, column) => match self.sum_values(i, inputs, batch.rows) {
                    Some(values) => increments[word].iter_mut().zip(values.iter()).for_each(|(to, &value)| *to = value as u64),
                    None => self.fold_column(i, column, inputs, batch, &mut general),
                },
                Place::Extreme(word) => {
                    plain = false;
                    extreme_bits(accumulator, &inputs.of(i)[0], &mut increments[word]);
                    mask(&mut increments[word], inputs.of(i)[0].logical_nulls().as_ref(), inputs.truth(i));
                }
                Place::Column(column) => {
                    if !untouched(accumulator, inputs.of(i)) {
                        self.fold_column(i, column, inputs, batch, &mut general);
                    }
                }
            }
        }
        if plain {
            self.add_words(&increments)
        } else {
            self.combine_words(&increments)
        }
        self.increments = increments;
    }

    /// Values of a sum for each row, 0 where nothing is added; `None` if the table's word might not hold them.
    fn sum_values<'a>(&mut self, accumulator: usize, inputs: &'a Inputs, rows: usize) -> Option<Cow<'a, [i64]>> {
        let input = &inputs.of(accumulator)[0];
        let mut values = whole_numbers(input)?;
        let greatest = values.iter().fold((0_i64, 0_i64), |(low, high), &value| (low.min(value), high.max(value)));
        let magnitude = greatest.0.unsigned_abs().max(greatest.1.unsigned_abs());
        let total = self.magnitude[accumulator] + u128::from(magnitude) * rows as u128;
        if total > i64::MAX as u128 {
            return None;
        }
        self.magnitude[accumulator] = total;
        let (nulls, filter) = (input.logical_nulls(), inputs.truth(accumulator));
        if nulls.as_ref().is_some_and(|nulls| nulls.null_count() > 0) || filter.is_some() {
            let mut masked: Vec<u64> = values.iter().map(|&value| value as u64).collect();
            mask(&mut masked, nulls.as_ref(), filter);
            values = Cow::Owned(masked.into_iter().map(|value| value as i64).collect());
        }
        Some(values)
    }

    fn fold_column(
        &mut self,
        accumulator: usize,
        column: usize,
        inputs: &Inputs,
        batch: &Batch<'_>,
        general: &mut Option<(Vec<u32>, Vec<u32>)>,
    ) {
        let index = &self.index;
        let (rows, cells) = general.get_or_insert_with(|| {
            let rows: Vec<u32> = (0..batch.rows as u32).filter(|&row| index[row as usize] != 0).collect();
            let cells = rows.iter().map(|&row| index[row as usize]).collect();
            (rows, cells)
        });
        let kept = 1 + self.slots * self.capacity;
        let column = self.columns[column].get_or_insert_with(|| AccumulatorColumn::identity(&self.accumulators[accumulator], kept));
        fold(&self.accumulators[accumulator], inputs.of(accumulator), inputs.filter(accumulator), rows, cells, &batch.stamps, column);
    }

    /// All words are added to.
    fn add_words(&mut self, increments: &[Vec<u64>]) {
        match increments {
            [a] => add_rows(&mut self.cells, &self.index, [a]),
            [a, b] => add_rows(&mut self.cells, &self.index, [a, b]),
            [a, b, c] => add_rows(&mut self.cells, &self.index, [a, b, c]),
            [a, b, c, d] => add_rows(&mut self.cells, &self.index, [a, b, c, d]),
            _ => self.combine_words(increments),
        }
    }

    /// Word by word: some are added to, some take the maximum.
    fn combine_words(&mut self, increments: &[Vec<u64>]) {
        for (word, increment) in increments.iter().enumerate() {
            let extreme = self.places.contains(&Place::Extreme(word));
            let cells = self.index.iter().map(|&cell| cell as usize * self.words + word).zip(increment);
            if extreme {
                cells.for_each(|(at, &value)| self.cells[at] = self.cells[at].max(value));
            } else {
                cells.for_each(|(at, &value)| self.cells[at] = self.cells[at].wrapping_add(value));
            }
        }
    }

    /// Takes everything out, as entries by partition.
    pub(super) fn take(&mut self, store: usize, keys: &mut SenderKeys) -> Vec<(PartitionId, StoreDelta)> {
        let mut taken = Vec::new();
        if !std::mem::take(&mut self.occupied) {
            return taken;
        }
        for slot in 0..self.slots {
            let slice = self.first_slice + slot as i64;
            for (partition, (ids, cells)) in self.occupied_cells(slot, keys) {
                taken.push((partition, self.entries(store, slice, ids, &cells)));
            }
        }
        self.cells.fill(0);
        self.columns.iter_mut().for_each(|column| *column = None);
        self.magnitude.fill(0);
        taken
    }

    /// Wire ids and cell numbers of a slot's cells that have rows, by partition.
    fn occupied_cells(&self, slot: usize, keys: &mut SenderKeys) -> BTreeMap<PartitionId, (Vec<u32>, Vec<u32>)> {
        let mut found: BTreeMap<PartitionId, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
        let base = 1 + slot * self.capacity;
        for id in 0..keys.ids().min(self.capacity) {
            let cell = base + id;
            if self.cells[cell * self.words] & FIELD_MASK != 0 {
                keys.mark_used(id as u32);
                let route = keys.route(id as u32);
                let (ids, cells) = found.entry(PartitionId(route.partition)).or_default();
                ids.push(route.wire);
                cells.push(cell as u32);
            }
        }
        found
    }

    fn entries(&self, store: usize, slice: i64, ids: Vec<u32>, cells: &[u32]) -> StoreDelta {
        let rows = cells.iter().map(|&cell| self.field(cell, 0)).collect();
        let columns = (0..self.places.len()).map(|i| self.column(i, cells)).collect();
        StoreDelta { store, placement: Placement::Slice(slice), ids, rows, columns }
    }

    fn word(&self, cell: u32, word: usize) -> u64 {
        self.cells[cell as usize * self.words + word]
    }

    fn field(&self, cell: u32, field: usize) -> u64 {
        (self.word(cell, field / FIELDS_PER_WORD) >> (field % FIELDS_PER_WORD * FIELD_BITS as usize)) & FIELD_MASK
    }

    /// Values of one accumulator in these cells; `None` if all are identity.
    fn column(&self, accumulator: usize, cells: &[u32]) -> Option<AccumulatorColumn> {
        match self.places[accumulator] {
            Place::Field(field) => {
                let counts: Vec<u64> = cells.iter().map(|&cell| self.field(cell, field)).collect();
                counts.iter().any(|&count| count != 0).then_some(AccumulatorColumn::Count(counts))
            }
            Place::Extreme(word) => Some(AccumulatorColumn::Extreme(cells.iter().map(|&cell| self.word(cell, word)).collect())),
            Place::Sum(word, column) => {
                let sums = cells.iter().map(|&cell| self.word(cell, word) as i64).collect();
                let mut sums = AccumulatorColumn::Sum(SumColumn::Narrow(sums));
                if let Some(wide) = &self.columns[column] {
                    cells.iter().enumerate().for_each(|(i, &cell)| sums.merge_cell(i, wide, cell as usize));
                }
                Some(sums)
            }
            Place::Column(column) => self.columns[column].as_ref().map(|column| column.gather(cells)),
        }
    }
}

/// Adds one vector per word to the cells of rows.
#[inline]
fn add_rows<const WORDS: usize>(cells: &mut [u64], index: &[u32], increments: [&Vec<u64>; WORDS]) {
    let (cells, _) = cells.as_chunks_mut::<WORDS>();
    let increments = increments.map(|increment| &increment[..index.len()]);
    for (row, &cell) in index.iter().enumerate() {
        let cell = &mut cells[cell as usize];
        for word in 0..WORDS {
            cell[word] = cell[word].wrapping_add(increments[word][row]);
        }
    }
}

/// Adds 1 to a packed field for each row that a count takes.
fn add_field(increments: &mut [u64], field: usize, accumulator: &Accumulator, inputs: &Inputs, i: usize) {
    let shift = field % FIELDS_PER_WORD * FIELD_BITS as usize;
    match accumulator {
        Accumulator::Count { .. } => match inputs.truth(i) {
            Some(Truth::Codes(codes, truth)) => {
                for (to, &code) in increments.iter_mut().zip(codes.values()) {
                    *to += u64::from(truth[code as usize]) << shift;
                }
            }
            Some(Truth::Bits(bits)) => add_bits(increments, bits, shift),
            None => increments.iter_mut().for_each(|to| *to += 1 << shift),
        },
        Accumulator::NullCount { .. } => {
            if let Some(nulls) = inputs.of(i)[0].logical_nulls().filter(|nulls| nulls.null_count() > 0) {
                add_bits(increments, &filtered(!nulls.inner(), inputs, i), shift);
            }
        }
        Accumulator::CountTrue { .. } => {
            let values = inputs.of(i)[0].as_boolean();
            let bits = values.nulls().map_or_else(|| values.values().clone(), |nulls| values.values() & nulls.inner());
            add_bits(increments, &filtered(bits, inputs, i), shift);
        }
        _ => unreachable!("only counts have fields"),
    }
}

fn filtered(bits: BooleanBuffer, inputs: &Inputs, i: usize) -> BooleanBuffer {
    inputs.truth(i).map_or_else(|| bits.clone(), |truth| &bits & &truth.bits())
}

fn add_bits(increments: &mut [u64], bits: &BooleanBuffer, shift: usize) {
    let chunks = bits.bit_chunks();
    let words = chunks.iter().chain(std::iter::once(chunks.remainder_bits()));
    for (to, word) in increments.chunks_mut(64).zip(words) {
        for (bit, to) in to.iter_mut().enumerate() {
            *to += ((word >> bit) & 1) << shift;
        }
    }
}

/// Zeroes the values of rows that are NULL or that the filter leaves out.
fn mask(values: &mut [u64], nulls: Option<&NullBuffer>, filter: Option<&Truth>) {
    if let Some(nulls) = nulls {
        keep_bits(values, nulls.inner());
    }
    match filter {
        Some(Truth::Codes(codes, truth)) => {
            for (value, &code) in values.iter_mut().zip(codes.values()) {
                *value &= u64::from(truth[code as usize]).wrapping_neg();
            }
        }
        Some(Truth::Bits(bits)) => keep_bits(values, bits),
        None => {}
    }
}

fn keep_bits(values: &mut [u64], bits: &BooleanBuffer) {
    let chunks = bits.bit_chunks();
    let words = chunks.iter().chain(std::iter::once(chunks.remainder_bits()));
    for (values, word) in values.chunks_mut(64).zip(words) {
        for (bit, value) in values.iter_mut().enumerate() {
            *value &= ((word >> bit) & 1).wrapping_neg();
        }
    }
}

/// An array of integers or decimals as 64-bit integers; `None` if one does not fit.
fn whole_numbers(array: &ArrayRef) -> Option<Cow<'_, [i64]>> {
    if !is_whole_number(array) {
        return None;
    }
    Some(match array.data_type() {
        ArrowType::Int64 => Cow::Borrowed(&array.as_primitive::<Int64Type>().values()[..]),
        ArrowType::Int32 => Cow::Owned(array.as_primitive::<Int32Type>().values().iter().map(|&value| value.into()).collect()),
        ArrowType::Int16 => Cow::Owned(array.as_primitive::<Int16Type>().values().iter().map(|&value| value.into()).collect()),
        ArrowType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            let fit = values.iter().fold(true, |fit, &value| fit & (i128::from(value as i64) == value));
            if !fit {
                return None;
            }
            Cow::Owned(values.iter().map(|&value| value as i64).collect())
        }
        _ => return None,
    })
}

/// The bits that a maximum is taken of, for each row.
fn extreme_bits(accumulator: &Accumulator, input: &ArrayRef, bits: &mut [u64]) {
    fn each<T: Copy>(bits: &mut [u64], values: impl Iterator<Item = T>, to_bits: impl Fn(T) -> u64) {
        bits.iter_mut().zip(values).for_each(|(bits, value)| *bits = to_bits(value));
    }
    match input.data_type() {
        ArrowType::Boolean => each(bits, input.as_boolean().values().iter(), max_bits_bool),
        ArrowType::Int16 => each(bits, input.as_primitive::<Int16Type>().values().iter(), |&v| max_bits_i64(v.into())),
        ArrowType::Int32 => each(bits, input.as_primitive::<Int32Type>().values().iter(), |&v| max_bits_i64(v.into())),
        ArrowType::Int64 => each(bits, input.as_primitive::<Int64Type>().values().iter(), |&v| max_bits_i64(v)),
        ArrowType::Float32 => each(bits, input.as_primitive::<Float32Type>().values().iter(), |&v| max_bits_f64(v.into())),
        ArrowType::Float64 => each(bits, input.as_primitive::<Float64Type>().values().iter(), |&v| max_bits_f64(v)),
        ArrowType::Date32 => each(bits, input.as_primitive::<Date32Type>().values().iter(), |&v| max_bits_i64(v.into())),
        _ => each(bits, input.as_primitive::<TimestampMicrosecondType>().values().iter(), |&v| max_bits_i64(v)),
    }
    if matches!(accumulator, Accumulator::Min { .. }) {
        bits.iter_mut().for_each(|bits| *bits = min_bits(*bits));
    }
}
