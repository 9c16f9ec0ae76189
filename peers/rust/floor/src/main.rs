//! The floor: the metric as a good engineer writes it by hand, a loop over plain arrays in one thread.
//!
//! It knows the number of channels beforehand, keeps nothing that a crash or a reader would need, and knows no second metric. Each row is added to the cell of its (slice, channel); closing a
//! window moves running totals on by one slice.

use std::process::ExitCode;
use std::sync::Arc;

use peer_common::{Args, Clock, Error, LATENESS_US, Peer, Results, Rows, Run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Copy, Default)]
struct Cell {
    payments: i64,
    successes: i64,
    volume: i64,
}

struct Floor {
    slide_us: i64,
    /// Slices of a window.
    size: i64,
    /// By slice modulo their number, all channels.
    slices: Vec<Vec<Cell>>,
    running: Vec<Cell>,
    /// The next slice to close.
    next: i64,
    results: Results,
}

impl Floor {
    fn new(args: &Args, channels: usize, first_us: i64) -> Floor {
        let size = args.query.slides();
        // One slice that leaves, those of a window, and those that rows still fall into.
        let kept = (size + 3).next_power_of_two();
        Floor {
            slide_us: args.query.slide_us,
            size: size as i64,
            slices: vec![vec![Cell::default(); channels]; kept],
            running: vec![Cell::default(); channels],
            next: (first_us - LATENESS_US).div_euclid(args.query.slide_us),
            results: Results::default(),
        }
    }

    fn run(mut self, rows: &Rows, passes: usize) -> Results {
        let mut max_us = i64::MIN;
        for shift_us in rows.shifts_us(passes) {
            self.pass(rows, shift_us, &mut max_us);
        }
        let last = max_us.div_euclid(self.slide_us) + self.size - 1;
        while self.next <= last {
            self.close();
        }
        self.results
    }

    /// Adds all rows, their event times shifted.
    fn pass(&mut self, rows: &Rows, shift_us: i64, highest_us: &mut i64) {
        let mask = self.slices.len() as i64 - 1;
        let (mut max_us, mut start_us) = (*highest_us, i64::MAX);
        let mut at = 0;
        let columns = rows.channel.iter().zip(&rows.status).zip(&rows.amount).zip(&rows.event_time);
        for (((&channel, &status), &amount), &time_us) in columns {
            let time_us = time_us + shift_us;
            if time_us > max_us {
                max_us = time_us;
                while (max_us - LATENESS_US).div_euclid(self.slide_us) > self.next {
                    self.close();
                }
            }
            if amount <= 0 {
                continue;
            }
            // A row is nearly always in the slice of the one before it.
            if time_us.wrapping_sub(start_us) as u64 >= self.slide_us as u64 {
                let slice = time_us.div_euclid(self.slide_us);
                start_us = slice * self.slide_us;
                at = (slice & mask) as usize;
            }
            let cell = &mut self.slices[at][channel as usize];
            cell.payments += 1;
            cell.successes += i64::from(status == 0);
            cell.volume += amount;
        }
        *highest_us = max_us;
    }

    fn close(&mut self) {
        let mask = self.slices.len() as i64 - 1;
        let end_us = (self.next + 1) * self.slide_us;
        let mut leaving = std::mem::take(&mut self.slices[((self.next - self.size) & mask) as usize]);
        let entering = &self.slices[(self.next & mask) as usize];
        for (channel, ((running, old), new)) in self.running.iter_mut().zip(&mut leaving).zip(entering).enumerate() {
            running.payments += new.payments - old.payments;
            running.successes += new.successes - old.successes;
            running.volume += new.volume - old.volume;
            *old = Cell::default();
            if running.payments > 0 {
                self.results.add(end_us, channel as i32, running.payments, running.successes, running.volume);
            }
        }
        self.slices[((self.next - self.size) & mask) as usize] = leaving;
        self.next += 1;
    }
}

fn run(args: &Args, rows: &Arc<Rows>) -> Result<Run, Error> {
    let channels = rows.channel.iter().max().map_or(0, |most| *most as usize + 1);
    let first_us = rows.event_time.iter().min().copied().unwrap_or(0);
    let clock = Clock::start();
    let results = Floor::new(args, channels, first_us).run(rows, args.passes);
    Ok(Run { results, took: clock.stop(), chosen: None })
}

fn main() -> ExitCode {
    peer_common::main(&Peer { name: "a loop by hand", version: "-", settings: "one thread, arrays by channel, columns as they are" }, run)
}
