//! The metric as timely's documentation would have it: rows are exchanged by key, an operator keeps a hash map per window under a capability
//! for the window's end, and sends it on when the frontier has passed that. A hopping window is put together from slides by a second operator.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use peer_common::{Args, LATENESS_US, Peer, Query, Results, Rows};
use peer_timely::{Gate, VERSION, Worked};
use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::vec::Filter;
use timely::dataflow::operators::{Capability, Inspect, Operator, Probe};
use timely::dataflow::{InputHandle, ProbeHandle, StreamVec};
use timely::worker::Worker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many rows a worker sends before it tells the dataflow how far time has come.
const BATCH: usize = 10_000;

/// How far the input may run ahead of the results, in microseconds.
const AHEAD_US: u64 = 1_000_000;

fn main() -> ExitCode {
    let settings = "rows as structs made before the clock, exchange by channel, a HashMap per window under its capability, hop from slides in a second operator, \
                    10000 rows between steps, input at most 1 s of event time ahead, mimalloc";
    peer_common::main(&Peer { name: "timely-documented", version: VERSION, settings }, |args, rows| peer_timely::run(args, rows, work))
}

/// A row, and what its time is: microseconds.
#[derive(Clone, Serialize, Deserialize)]
struct Payment {
    channel: i32,
    status: i8,
    amount: i64,
    event_time: i64,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    payments: i64,
    successes: i64,
    volume: i64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.payments += other.payments;
        self.successes += other.successes;
        self.volume += other.volume;
    }
}

/// A channel's totals in the window, or the slide, that ends at a time.
#[derive(Clone)]
struct Metric {
    end: u64,
    channel: i32,
    totals: Totals,
}

fn work(worker: &mut Worker, args: &Args, rows: &Arc<Rows>, gate: &Gate) -> Worked {
    let mut input = InputHandle::new();
    let probe = ProbeHandle::new();
    let results = Rc::new(RefCell::new(Results::default()));

    worker.dataflow::<u64, _, _>(|scope| {
        let payments = input.to_stream(scope).filter(|payment: &Payment| payment.amount > 0);
        let slides = aggregate(payments, args.query.slide_us as u64);
        let metrics = if args.query.slides() == 1 { slides } else { combine(slides, args.query) };
        let results = Rc::clone(&results);
        metrics
            .inspect(move |Metric { end, channel, totals }| {
                results.borrow_mut().add(*end as i64, *channel, totals.payments, totals.successes, totals.volume);
            })
            .probe_with(&probe);
    });

    let payments = payments_of(rows, worker.index(), worker.peers());
    let clock = gate.open();
    let mut watermark = 0;
    for shift_us in rows.shifts_us(args.passes) {
        for batch in payments.chunks(BATCH) {
            for payment in batch {
                let event_time = payment.event_time + shift_us;
                input.send(Payment { event_time, ..payment.clone() });
                watermark = watermark.max((event_time - LATENESS_US) as u64);
            }
            input.advance_to(watermark);
            worker.step();
            worker.step_or_park_while(None, || probe.less_than(&watermark.saturating_sub(AHEAD_US)));
        }
    }
    input.close();
    worker.step_or_park_while(None, || !probe.done());
    let results = *results.borrow();
    Worked { results, clock }
}

/// The rows of one of so many workers.
fn payments_of(rows: &Rows, index: usize, peers: usize) -> Vec<Payment> {
    let payment = |row: usize| Payment {
        channel: rows.channel[row],
        status: rows.status[row],
        amount: rows.amount[row],
        event_time: rows.event_time[row],
    };
    (index..rows.len()).step_by(peers).map(payment).collect()
}

/// Totals of each channel in tumbling windows of `size` microseconds.
fn aggregate<'scope>(payments: StreamVec<'scope, u64, Payment>, size: u64) -> StreamVec<'scope, u64, Metric> {
    let by_channel = Exchange::new(|payment: &Payment| payment.channel as u64);
    payments.unary_frontier(by_channel, "Aggregate", |_capability, _info| {
        let mut windows: BTreeMap<u64, (Capability<u64>, HashMap<i32, Totals>)> = BTreeMap::new();
        move |(input, frontier), output| {
            input.for_each_stamp(|capability, batches| {
                for payment in batches.flatten() {
                    let end = (payment.event_time as u64 / size + 1) * size;
                    let (_, channels) =
                        windows.entry(end).or_insert_with(|| (capability.delayed(&end, output.output_index()), HashMap::new()));
                    channels.entry(payment.channel).or_default().add(&Totals {
                        payments: 1,
                        successes: i64::from(payment.status == 0),
                        volume: payment.amount,
                    });
                }
            });
            // A row is never older than the time that it travels under, so that a frontier at a window's end closes the window.
            while let Some(window) = windows.first_entry().filter(|window| !frontier.less_than(window.key())) {
                let (end, (capability, channels)) = window.remove_entry();
                output.session(&capability).give_iterator(channels.into_iter().map(|(channel, totals)| Metric { end, channel, totals }));
            }
        }
    })
}

/// Totals of each channel in hopping windows, from those in its slides, which are on the channel's worker already.
fn combine<'scope>(slides: StreamVec<'scope, u64, Metric>, query: Query) -> StreamVec<'scope, u64, Metric> {
    let (slide, size) = (query.slide_us as u64, query.size_us as u64);
    slides.unary_frontier(Pipeline, "Combine", |_capability, _info| {
        let mut slides: BTreeMap<u64, Vec<Metric>> = BTreeMap::new();
        let mut windows: BTreeMap<u64, Capability<u64>> = BTreeMap::new();
        move |(input, frontier), output| {
            input.for_each_stamp(|capability, batches| {
                for metric in batches.flat_map(|batch| batch.drain(..)) {
                    let first = metric.end;
                    slides.entry(first).or_insert_with(|| {
                        // All windows that the slide is in, of which most are there already.
                        for end in (first..first + size).step_by(slide as usize) {
                            windows.entry(end).or_insert_with(|| capability.delayed(&end, output.output_index()));
                        }
                        Vec::new()
                    });
                    slides.entry(first).or_default().push(metric);
                }
            });
            // A slide travels under its own end: while the frontier is there, more of it may come.
            while let Some(window) = windows.first_entry().filter(|window| !frontier.less_equal(window.key())) {
                let (end, capability) = window.remove_entry();
                let mut channels: HashMap<i32, Totals> = HashMap::new();
                for metric in slides.range(end + slide - size..=end).flat_map(|(_, metrics)| metrics) {
                    channels.entry(metric.channel).or_default().add(&metric.totals);
                }
                output.session(&capability).give_iterator(channels.into_iter().map(|(channel, totals)| Metric { end, channel, totals }));
                slides = slides.split_off(&(end + 2 * slide - size));
            }
        }
    })
}
