//! The tuned variant's state: arrays by channel, per slide and over the slides of a window.

use std::collections::VecDeque;
use std::ops::Range;

use peer_common::Rows;
use serde::{Deserialize, Serialize};

/// A channel's totals in one slide. Half as large as with 64-bit counts, so that a slide of ten thousand channels fits into a core's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    volume: i64,
    payments: u32,
    successes: u32,
}

/// A channel's totals in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many rows.
    pub payments: i64,
    /// How many of them with status 0.
    pub successes: i64,
    /// The sum of their amounts.
    pub volume: i64,
}

impl Sum {
    fn add(&mut self, cell: &Cell) {
        self.payments += i64::from(cell.payments);
        self.successes += i64::from(cell.successes);
        self.volume += cell.volume;
    }

    fn subtract(&mut self, cell: &Cell) {
        self.payments -= i64::from(cell.payments);
        self.successes -= i64::from(cell.successes);
        self.volume -= cell.volume;
    }
}

impl From<&Cell> for Sum {
    fn from(cell: &Cell) -> Self {
        let mut sum = Self::default();
        sum.add(cell);
        sum
    }
}

/// Adds a slide's cells to another worker's for the same channels.
pub fn merge(sum: &mut Vec<Cell>, mut cells: Vec<Cell>) {
    if sum.len() < cells.len() {
        std::mem::swap(sum, &mut cells);
    }
    for (sum, cell) in sum.iter_mut().zip(&cells) {
        sum.volume += cell.volume;
        sum.payments += cell.payments;
        sum.successes += cell.successes;
    }
}

/// The slides that rows may still come for: one, or two around a slide's end.
pub struct OpenSlices {
    slide_us: i64,
    slices: VecDeque<(u64, Vec<Cell>)>,
    channels: usize,
}

impl OpenSlices {
    /// No slides yet, of this length.
    #[must_use]
    pub fn new(slide_us: i64) -> Self {
        Self { slide_us, slices: VecDeque::new(), channels: 0 }
    }

    /// Adds a batch of rows, their event times shifted.
    pub fn add(&mut self, rows: &Rows, shift_us: i64, mut batch: Range<usize>) {
        while !batch.is_empty() {
            batch.start += self.add_run(rows, shift_us, batch.clone());
        }
    }

    /// Adds rows up to the first that is of another slide, or of a channel beyond the array, and says how many that were.
    fn add_run(&mut self, rows: &Rows, shift_us: i64, batch: Range<usize>) -> usize {
        let slice = (rows.event_time[batch.start] + shift_us) / self.slide_us;
        let least = rows.channel[batch.start] as usize + 1;
        let (slide_us, start_us) = (self.slide_us as u64, slice * self.slide_us - shift_us);
        let cells = self.cells(slice as u64, least);
        let columns = rows.event_time[batch.clone()].iter().zip(&rows.channel[batch.clone()]);
        let columns = columns.zip(rows.amount[batch.clone()].iter().zip(&rows.status[batch.clone()]));
        for (added, ((event_time, channel), (amount, status))) in columns.enumerate() {
            if event_time.wrapping_sub(start_us) as u64 >= slide_us {
                return added;
            }
            let Some(cell) = cells.get_mut(*channel as usize) else { return added };
            // Without a branch: which rows are left out is not predictable.
            let counts = *amount > 0;
            cell.volume += if counts { *amount } else { 0 };
            cell.payments += u32::from(counts);
            cell.successes += u32::from(counts & (*status == 0));
        }
        batch.len()
    }

    fn cells(&mut self, slice: u64, least: usize) -> &mut [Cell] {
        let channels = &mut self.channels;
        if least > *channels {
            *channels = least.next_multiple_of(1024);
        }
        let position = self.slices.partition_point(|(other, _)| *other < slice);
        if self.slices.get(position).is_none_or(|(other, _)| *other != slice) {
            self.slices.insert(position, (slice, vec![Cell::default(); *channels]));
        }
        let (_, cells) = &mut self.slices[position];
        if cells.len() < least {
            cells.resize(*channels, Cell::default());
        }
        cells
    }

    /// The oldest slide.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.slices.front().map(|(slice, _)| *slice)
    }

    /// Takes the oldest slide out if it is over.
    pub fn pop(&mut self, over: impl Fn(u64) -> bool) -> Option<(u64, Vec<Cell>)> {
        self.slices.pop_front_if(|(slice, _)| over(*slice))
    }
}

/// Running sums over the slides of a window.
pub struct Sliding {
    slides: u64,
    sums: Vec<Sum>,
    slices: VecDeque<(u64, Vec<Cell>)>,
}

impl Sliding {
    /// Windows of so many slides.
    #[must_use]
    pub fn new(slides: usize) -> Self {
        Self { slides: slides as u64, sums: Vec::new(), slices: VecDeque::new() }
    }

    /// Whether no later window has anything of the slides so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// The result rows of the window that ends with a slide, whose cells come with it if it has any. Slides must come in order.
    pub fn window(&mut self, slice: u64, cells: Option<Vec<Cell>>, channel: impl Fn(usize) -> i32) -> Vec<(i32, Sum)> {
        if self.slides == 1 {
            let cells = cells.unwrap_or_default();
            return present(cells.iter().map(Sum::from), channel);
        }
        if let Some(cells) = cells {
            if self.sums.len() < cells.len() {
                self.sums.resize(cells.len(), Sum::default());
            }
            self.sums.iter_mut().zip(&cells).for_each(|(sum, cell)| sum.add(cell));
            self.slices.push_back((slice, cells));
        }
        let rows = present(self.sums.iter().copied(), channel);
        let (slides, sums) = (self.slides, &mut self.sums);
        while let Some((_, cells)) = self.slices.pop_front_if(|(first, _)| *first + slides <= slice + 1) {
            sums.iter_mut().zip(&cells).for_each(|(sum, cell)| sum.subtract(cell));
        }
        rows
    }
}

fn present(sums: impl ExactSizeIterator<Item = Sum>, channel: impl Fn(usize) -> i32) -> Vec<(i32, Sum)> {
    let mut rows = Vec::with_capacity(sums.len());
    rows.extend(sums.enumerate().filter(|(_, sum)| sum.payments > 0).map(|(local, sum)| (channel(local), sum)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(i64, i32, i64, i8)]) -> Rows {
        Rows {
            event_time: rows.iter().map(|row| row.0).collect(),
            channel: rows.iter().map(|row| row.1).collect(),
            amount: rows.iter().map(|row| row.2).collect(),
            status: rows.iter().map(|row| row.3).collect(),
        }
    }

    #[test]
    fn slices_open_in_any_order_and_close_in_order() {
        let mut open = OpenSlices::new(10);
        open.add(&rows(&[(10, 1, 5, 0), (9, 2000, 7, 1), (19, 1, -5, 0)]), 0, 0..3);
        let (slice, cells) = open.pop(|slice| slice < 1).unwrap();
        assert_eq!((slice, cells[2000]), (0, Cell { volume: 7, payments: 1, successes: 0 }));
        assert!(open.pop(|slice| slice < 1).is_none());
        let (slice, cells) = open.pop(|_| true).unwrap();
        assert_eq!((slice, cells[1]), (1, Cell { volume: 5, payments: 1, successes: 1 }));
    }

    #[test]
    fn event_times_are_shifted() {
        let mut open = OpenSlices::new(10);
        open.add(&rows(&[(9, 0, 5, 0), (10, 0, 7, 0)]), 10, 0..2);
        assert_eq!(open.pop(|_| true).map(|(slice, cells)| (slice, cells[0].volume)), Some((1, 5)));
        assert_eq!(open.pop(|_| true).map(|(slice, cells)| (slice, cells[0].volume)), Some((2, 7)));
    }

    #[test]
    fn a_slide_stays_for_as_many_windows_as_it_is_in() {
        let mut sliding = Sliding::new(2);
        let cells = vec![Cell { volume: 3, payments: 1, successes: 1 }];
        let sum = Sum { payments: 1, successes: 1, volume: 3 };
        assert_eq!(sliding.window(7, Some(cells), |local| local as i32 + 4), [(4, sum)]);
        assert!(!sliding.is_empty());
        assert_eq!(sliding.window(8, None, |local| local as i32 + 4), [(4, sum)]);
        assert!(sliding.is_empty());
    }
}
