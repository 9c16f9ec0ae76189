//! The floor: what a good engineer writes by hand for this one metric, with plain arrays and nothing else.
//!
//! It judges lateness row by row, applies WHERE, adds each row to its (slice, channel), slides a running total over the last 60 slices and
//! writes every column of every result row. It knows the number of channels, the bounds and the types beforehand, has no partitions, no
//! readers, no NULLs, no overflow checks and no second metric.

use crate::payments::{DISORDER_US, SUCCESS};
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

const SLIDE_US: i64 = 1_000_000;
/// HAVING COUNT(*) >= 10.
const ROWS_MIN: u64 = 10;

#[derive(Clone, Copy, Default)]
struct Cell {
    rows: u64,
    successes: u64,
    volume: i64,
}

/// Result columns of one window.
#[derive(Default)]
struct Results {
    channel: Vec<u32>,
    window_start: Vec<i64>,
    window_end: Vec<i64>,
    payments: Vec<i64>,
    success_rate: Vec<f64>,
    volume: Vec<i64>,
}

/// What a run's results add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Result rows.
    pub rows: u64,
    /// Sum of their `payments`.
    pub payments: i64,
    /// Sum of their `volume`.
    pub volume: i128,
}

/// HOP 1 s over windows of some seconds.
pub struct Floor {
    channels: usize,
    /// Slices of a window.
    size: i64,
    /// By slice modulo their number, all channels.
    slices: Vec<Vec<Cell>>,
    running: Vec<Cell>,
    ids: HashMap<Box<str>, u32, FixedState>,
    max_us: i64,
    /// The next slice to close.
    next: i64,
    results: Results,
    totals: Totals,
}

impl Floor {
    /// Windows of `size` seconds over channels below `channels`.
    pub fn new(channels: usize, size: usize) -> Floor {
        // One slice that leaves, those of a window, and those that rows still fall into.
        let kept = (size + 3).next_power_of_two();
        Floor {
            channels,
            size: size as i64,
            slices: vec![vec![Cell::default(); channels]; kept],
            running: vec![Cell::default(); channels],
            ids: HashMap::default(),
            max_us: -DISORDER_US,
            next: -1,
            results: Results::default(),
            totals: Totals::default(),
        }
    }

    /// Folds a batch and closes what its event times close.
    pub fn push(&mut self, batch: &RecordBatch) {
        let status = batch.column(1).as_dictionary::<Int32Type>().keys().values();
        let amount = batch.column(2).as_primitive::<Int64Type>().values();
        let time = batch.column(3).as_primitive::<TimestampMicrosecondType>().values();
        match batch.column(0).as_dictionary_opt::<Int32Type>() {
            Some(channel) => self.fold_codes(channel.keys().values(), status, amount, time),
            None => self.fold_strings(batch.column(0).as_string(), status, amount, time),
        }
        while (self.max_us - DISORDER_US).div_euclid(SLIDE_US) > self.next {
            self.close();
        }
    }

    fn fold_codes(&mut self, channel: &[i32], status: &[i32], amount: &[i64], time: &[i64]) {
        self.fold(channel.iter().map(|&code| code as usize), status, amount, time);
    }

    fn fold_strings(&mut self, channel: &StringArray, status: &[i32], amount: &[i64], time: &[i64]) {
        let mut ids = std::mem::take(&mut self.ids);
        let id = |row: usize| {
            let name = channel.value(row);
            match ids.get(name) {
                Some(&id) => id as usize,
                None => {
                    let id = ids.len() as u32;
                    ids.insert(name.into(), id);
                    id as usize
                }
            }
        };
        self.fold((0..channel.len()).map(id), status, amount, time);
        self.ids = ids;
    }

    #[inline(always)]
    fn fold(&mut self, channel: impl Iterator<Item = usize>, status: &[i32], amount: &[i64], time: &[i64]) {
        let mask = self.slices.len() as i64 - 1;
        let mut max_us = self.max_us;
        let (mut start_us, mut cells) = (i64::MAX, &mut [][..]);
        let slices = &mut self.slices;
        let rows = channel.zip(status).zip(amount).zip(time);
        for (((channel, &status), &amount), &time) in rows {
            if time < max_us - DISORDER_US {
                continue;
            }
            max_us = max_us.max(time);
            if amount <= 0 {
                continue;
            }
            if time.wrapping_sub(start_us) as u64 >= SLIDE_US as u64 {
                let slice = time.div_euclid(SLIDE_US);
                start_us = slice * SLIDE_US;
                cells = &mut slices[(slice & mask) as usize];
            }
            let cell = &mut cells[channel];
            cell.rows += 1;
            cell.successes += u64::from(status == SUCCESS);
            cell.volume += amount;
        }
        self.max_us = max_us;
    }

    fn close(&mut self) {
        let mask = self.slices.len() as i64 - 1;
        let end_us = (self.next + 1) * SLIDE_US;
        let start_us = end_us - self.size * SLIDE_US;
        let mut leaving = std::mem::take(&mut self.slices[((self.next - self.size) & mask) as usize]);
        let entering = &self.slices[(self.next & mask) as usize];
        let results = &mut self.results;
        results.clear();
        for channel in 0..self.channels {
            let (running, old, new) = (&mut self.running[channel], &mut leaving[channel], &entering[channel]);
            running.rows = running.rows + new.rows - old.rows;
            running.successes = running.successes + new.successes - old.successes;
            running.volume = running.volume + new.volume - old.volume;
            *old = Cell::default();
            if running.rows >= ROWS_MIN {
                results.channel.push(channel as u32);
                results.window_start.push(start_us);
                results.window_end.push(end_us);
                results.payments.push(running.rows as i64);
                results.success_rate.push(running.successes as f64 / running.rows as f64);
                results.volume.push(running.volume);
            }
        }
        self.slices[((self.next - self.size) & mask) as usize] = leaving;
        self.totals.rows += results.channel.len() as u64;
        self.totals.payments += results.payments.iter().sum::<i64>();
        self.totals.volume += i128::from(results.volume.iter().sum::<i64>());
        std::hint::black_box(&self.results);
        self.next += 1;
    }

    /// Closes every window that holds a row.
    pub fn finish(mut self) -> Totals {
        let last = self.max_us.div_euclid(SLIDE_US) + self.size - 1;
        while self.next <= last {
            self.close();
        }
        self.totals
    }
}

impl Results {
    fn clear(&mut self) {
        self.channel.clear();
        self.window_start.clear();
        self.window_end.clear();
        self.payments.clear();
        self.success_rate.clear();
        self.volume.clear();
    }
}
