//! The table of cells that repeated keys are folded into. See the module above for its layout.

use super::Batch;
use super::increments::{Increment, whole_numbers, words_of};
use super::inputs::{Inputs, untouched};
use crate::delta::{Placement, StoreDelta};
use crate::dictionary::{CodeSet, SenderKeys};
use arrow::buffer::BooleanBuffer;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, CellKind, SumColumn, fold};
use raympp_types::PartitionId;
use std::borrow::Cow;

pub(super) const FIELD_BITS: u32 = 21;
pub(super) const FIELDS_PER_WORD: usize = 3;
const FIELD_MASK: u64 = (1 << FIELD_BITS) - 1;
/// Rows that are added at a time: what they add stays in the first-level cache.
const BLOCK_ROWS: usize = 1024;
/// Slices that one table can hold at once.
const SLOTS_MAX: i64 = 8;

/// Rows pay for taking out so many times as many cells.
const CELLS_PER_ROW: usize = 4;
/// An empty table has room for so many times as many keys as there are at most.
const ROOM_MAX: usize = 4;

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

/// What the cells of a slot are numbered by.
#[derive(Clone)]
pub(super) enum Numbering {
    /// Local ids below this.
    Ids(usize),
    /// Codes of this set: rows need no look-up, occupied cells do when they are taken out.
    Codes(CodeSet),
}

impl Numbering {
    /// Numbers are below this.
    pub(super) fn len(&self) -> usize {
        match self {
            Numbering::Ids(ids) => *ids,
            Numbering::Codes(set) => set.len(),
        }
    }

    fn is_same(&self, other: &Numbering) -> bool {
        match (self, other) {
            (Numbering::Ids(_), Numbering::Ids(_)) => true,
            (Numbering::Codes(a), Numbering::Codes(b)) => a.is_same(b),
            _ => false,
        }
    }
}

pub(super) struct Table {
    numbering: Numbering,
    places: Vec<Place>,
    accumulators: Vec<Accumulator>,
    words: usize,
    /// Cells of a slot.
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
    /// Since something was taken out.
    rows_seen: usize,
    /// Scratch: cell of each row of a batch, what each row of a block adds to each word.
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
            numbering: Numbering::Ids(0),
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
            rows_seen: 0,
            index: Vec::new(),
            increments: vec![Vec::new(); word],
        }
    }

    /// Notes that rows have come, whether they are folded here or not: they pay for taking the table out and beginning it anew.
    pub(super) fn see(&mut self, rows: usize) {
        self.rows_seen += rows;
    }

    /// Slots the table would have if it took slices `first..=last` too, or these alone if they lie too far from what it holds. `None` if they are more than a
    /// table holds, or too few rows have come for beginning it anew: streams may go back and forth between slices far apart.
    pub(super) fn slots_with(&self, first: i64, last: i64) -> Option<usize> {
        let slots = |(first, last): (i64, i64)| {
            let slots = last.checked_sub(first)?.checked_add(1)?;
            (slots <= SLOTS_MAX).then_some(slots as usize)
        };
        let is_paid = self.rows_seen * CELLS_PER_ROW >= self.slots * self.capacity;
        slots(self.range_with(first, last)).or_else(|| slots((first, last)).filter(|_| is_paid))
    }

    fn range_with(&self, first: i64, last: i64) -> (i64, i64) {
        if self.occupied { (first.min(self.first_slice), last.max(self.first_slice + self.slots as i64 - 1)) } else { (first, last) }
    }

    /// True if it holds cells that are numbered by local ids.
    pub(super) fn is_by_ids(&self) -> bool {
        self.occupied && matches!(self.numbering, Numbering::Ids(_))
    }

    /// Makes room for slices `first..=last` of cells so numbered; false if what the table holds has to be taken out first.
    pub(super) fn reserve(&mut self, numbering: &Numbering, first: i64, last: i64) -> bool {
        let same = self.numbering.is_same(numbering) && numbering.len() <= self.capacity;
        // An empty one that was made for far more keys costs more to keep than to make anew.
        let fits = same && (self.occupied || self.capacity <= ROOM_MAX * numbering.len().next_power_of_two());
        if fits && self.slots > 0 && first >= self.first_slice && last < self.first_slice + self.slots as i64 {
            return true;
        }
        if self.occupied {
            return false;
        }
        self.numbering = numbering.clone();
        self.capacity = numbering.len().next_power_of_two();
        self.first_slice = first;
        self.slots = (last - first + 1) as usize;
        let words = (1 + self.slots * self.capacity) * self.words;
        if self.cells.capacity() > ROOM_MAX * words {
            self.cells = Vec::new();
        }
        self.cells.clear();
        self.cells.resize(words, 0);
        self.columns.iter_mut().for_each(|column| *column = None);
        true
    }

    /// Finds the cell of each row from its number. `starts_us` are the starts of the slices after the first one that rows fall into, ascending.
    pub(super) fn place(&mut self, numbers: &[u32], active: Option<&BooleanBuffer>, first: i64, starts_us: &[i64], event_times_us: &[i64]) {
        self.occupied = true;
        let capacity = self.capacity as u32;
        let base = 1 + (first - self.first_slice) as u32 * capacity;
        self.index.clear();
        self.index.extend(numbers.iter().map(|&number| base + number));
        for &start_us in starts_us {
            for (cell, &time_us) in self.index.iter_mut().zip(event_times_us) {
                *cell += if time_us >= start_us { capacity } else { 0 };
            }
        }
        if let Some(active) = active {
            for (cells, word) in self.index.chunks_mut(64).zip(words_of(active)) {
                for (bit, cell) in cells.iter_mut().enumerate() {
                    *cell &= (((word >> bit) & 1) as u32).wrapping_neg();
                }
            }
        }
    }

    /// Adds the placed rows to their cells.
    pub(super) fn add(&mut self, accumulators: &[Accumulator], inputs: &Inputs, batch: &Batch<'_>) {
        let mut plain = true;
        let mut increments = Vec::with_capacity(accumulators.len());
        let mut general: Option<(Vec<u32>, Vec<u32>)> = None;
        for (i, accumulator) in accumulators.iter().enumerate() {
            match self.places[i] {
                Place::Field(field) => increments.extend(Increment::count(accumulator, inputs, i, field)),
                Place::Sum(word, column) => match self.sum_values(i, inputs, batch.rows) {
                    Some(values) => increments.push(Increment::sum(values, inputs, i, word)),
                    None => self.fold_column(i, column, inputs, batch, &mut general),
                },
                Place::Extreme(word) => {
                    plain = false;
                    increments.push(Increment::extreme(accumulator, inputs, i, word));
                }
                Place::Column(column) => {
                    if !untouched(accumulator, inputs.of(i)) {
                        self.fold_column(i, column, inputs, batch, &mut general);
                    }
                }
            }
        }
        self.add_blocks(&increments, plain);
    }

    fn add_blocks(&mut self, increments: &[Increment<'_>], plain: bool) {
        let mut words = std::mem::take(&mut self.increments);
        let index = std::mem::take(&mut self.index);
        let mut values = vec![None; words.len()];
        increments.iter().filter_map(Increment::as_values).for_each(|(word, of_rows)| values[word] = Some(of_rows));
        let made: Vec<&Increment<'_>> = increments.iter().filter(|increment| increment.as_values().is_none()).collect();
        for (block, index) in index.chunks(BLOCK_ROWS).enumerate() {
            let rows = block * BLOCK_ROWS..block * BLOCK_ROWS + index.len();
            for (word, increment) in words.iter_mut().enumerate().filter(|(word, _)| values[*word].is_none()) {
                increment.clear();
                increment.resize(index.len(), u64::from(word == 0));
            }
            made.iter().for_each(|increment| increment.fill(rows.clone(), &mut words));
            let mut sources: Vec<&[u64]> = Vec::with_capacity(words.len());
            for (values, made) in values.iter().zip(&words) {
                sources.push(values.map_or(made, |values: &[u64]| &values[rows.clone()]));
            }
            if plain { self.add_words(index, &sources) } else { self.combine_words(index, &sources) }
        }
        (self.increments, self.index) = (words, index);
    }

    /// Values of a sum for each row; `None` if the table's word might not hold them.
    fn sum_values<'a>(&mut self, accumulator: usize, inputs: &'a Inputs, rows: usize) -> Option<Cow<'a, [u64]>> {
        let values = whole_numbers(&inputs.of(accumulator)[0])?;
        // No magnitude exceeds the bits of all values, those of negative ones inverted, by more than one.
        let bits = values.iter().fold(0, |bits, &value| bits | (value ^ ((value as i64 >> 63) as u64)));
        let total = self.magnitude[accumulator] + (u128::from(bits) + 1) * rows as u128;
        if total > i64::MAX as u128 {
            return None;
        }
        self.magnitude[accumulator] = total;
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
    fn add_words(&mut self, index: &[u32], words: &[&[u64]]) {
        match *words {
            [a] => add_rows(&mut self.cells, index, [a]),
            [a, b] => add_rows(&mut self.cells, index, [a, b]),
            [a, b, c] => add_rows(&mut self.cells, index, [a, b, c]),
            [a, b, c, d] => add_rows(&mut self.cells, index, [a, b, c, d]),
            _ => self.combine_words(index, words),
        }
    }

    /// Word by word: some are added to, some take the maximum.
    fn combine_words(&mut self, index: &[u32], words: &[&[u64]]) {
        for (word, increment) in words.iter().enumerate() {
            let extreme = self.places.contains(&Place::Extreme(word));
            let cells = index.iter().map(|&cell| cell as usize * self.words + word).zip(*increment);
            if extreme {
                cells.for_each(|(at, &value): (usize, &u64)| self.cells[at] = self.cells[at].max(value));
            } else {
                cells.for_each(|(at, &value): (usize, &u64)| self.cells[at] = self.cells[at].wrapping_add(value));
            }
        }
    }

    /// Takes everything out, as entries by partition.
    pub(super) fn take(&mut self, store: usize, keys: &mut SenderKeys) -> Vec<(PartitionId, StoreDelta)> {
        let mut taken = Vec::new();
        if !std::mem::take(&mut self.occupied) {
            return taken;
        }
        self.rows_seen = 0;
        for slot in 0..self.slots {
            let slice = self.first_slice + slot as i64;
            for (partition, (ids, cells)) in self.occupied_cells(slot, keys).into_iter().enumerate() {
                if !ids.is_empty() {
                    taken.push((PartitionId(partition as u32), self.entries(store, slice, ids, &cells)));
                }
            }
        }
        self.cells.fill(0);
        self.columns.iter_mut().for_each(|column| *column = None);
        self.magnitude.fill(0);
        taken
    }

    /// Wire ids and cell numbers of a slot's cells that have rows, by partition.
    fn occupied_cells(&self, slot: usize, keys: &mut SenderKeys) -> Vec<(Vec<u32>, Vec<u32>)> {
        let mut found = vec![(Vec::new(), Vec::new()); keys.partitions() as usize];
        let base = 1 + slot * self.capacity;
        let numbers = match &self.numbering {
            Numbering::Ids(_) => keys.ids(),
            Numbering::Codes(set) => set.len(),
        };
        let occupied = |number: &u32| self.cells[(base + *number as usize) * self.words] & FIELD_MASK != 0;
        let numbers: Vec<u32> = (0..numbers.min(self.capacity) as u32).filter(occupied).collect();
        let routes = match &self.numbering {
            Numbering::Codes(set) => keys.routes_of_codes(set, numbers.iter().copied()),
            Numbering::Ids(_) => numbers.iter().map(|&id| keys.route(id)).collect(),
        };
        for (route, number) in routes.into_iter().zip(numbers) {
            let (ids, cells) = &mut found[route.partition as usize];
            ids.push(route.wire);
            cells.push(base as u32 + number);
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
fn add_rows<const WORDS: usize>(cells: &mut [u64], index: &[u32], increments: [&[u64]; WORDS]) {
    let (cells, _) = cells.as_chunks_mut::<WORDS>();
    let increments = increments.map(|increment| &increment[..index.len()]);
    for (row, &cell) in index.iter().enumerate() {
        let cell = &mut cells[cell as usize];
        for word in 0..WORDS {
            cell[word] = cell[word].wrapping_add(increments[word][row]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_far_from_those_it_holds_begin_a_table_anew_when_rows_have_paid() {
        let mut table = Table::new(&[]);
        assert_eq!([table.slots_with(5, 7), table.slots_with(5, 13), table.slots_with(i64::MIN, i64::MAX)], [Some(3), None, None]);
        assert!(table.reserve(&Numbering::Ids(1_000), 0, 0));
        table.place(&[0], None, 0, &[], &[0]);
        assert_eq!([table.slots_with(0, 0), table.slots_with(3, 5), table.slots_with(-2, -1)], [Some(1), Some(6), Some(3)]);
        assert_eq!([table.slots_with(8, 8), table.slots_with(100, 101)], [None, None], "it has 1,024 cells");
        table.see(255);
        assert_eq!(table.slots_with(100, 101), None);
        table.see(1);
        assert_eq!([table.slots_with(100, 101), table.slots_with(-9, -9), table.slots_with(100, 108)], [Some(2), Some(1), None]);
        assert_eq!(table.slots_with(7, 7), Some(8), "what is near joins it");
    }
}
