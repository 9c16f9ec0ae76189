//! The metric on timely dataflow, tuned by hand: batches of columns, arrays instead of hash maps, rows aggregated per slide before anything is
//! exchanged, running sums over the slides, and time that is counted in slides, so that progress is only tracked when one ends.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use peer_common::{Args, LATENESS_US, Peer, Query, Results, Rows};
use peer_timely::slices::{Cell, OpenSlices, Sliding, Sum, merge};
use peer_timely::{Gate, VERSION, Worked};
use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::{Capability, Inspect, Operator, Probe};
use timely::dataflow::{InputHandle, ProbeHandle, StreamVec};
use timely::worker::Worker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many rows there are in a batch of columns.
const BATCH: usize = 16_384;

/// How many slides the input may be ahead of the results.
const AHEAD: u64 = 2;

fn main() -> ExitCode {
    let settings = "columns as they are, batches of 16384 rows as ranges of them, arrays by channel, aggregated per slide before the exchange, \
                    running sums over slides, time counted in slides, input at most 2 slides ahead, mimalloc";
    peer_common::main(&Peer { name: "timely-tuned", version: VERSION, settings }, |args, rows| peer_timely::run(args, rows, work))
}

/// What is added to the event times of rows, and which rows those are.
type Batch = (i64, Range<usize>);

/// What one worker saw in a slide of the channels of another: those whose number, modulo the number of workers, is `worker`.
#[derive(Clone, Serialize, Deserialize)]
struct Partial {
    slice: u64,
    worker: u64,
    cells: Vec<Cell>,
}

/// A window's result rows on one worker.
#[derive(Clone)]
struct Window {
    end_us: i64,
    rows: Vec<(i32, Sum)>,
}

fn work(worker: &mut Worker, args: &Args, rows: &Arc<Rows>, gate: &Gate) -> Worked {
    let mut input = InputHandle::new();
    let probe = ProbeHandle::new();
    let results = Rc::new(RefCell::new(Results::default()));
    let (index, peers, query) = (worker.index(), worker.peers(), args.query);

    worker.dataflow::<u64, _, _>(|scope| {
        let batches = input.to_stream(scope);
        let partials = aggregate(batches, Arc::clone(rows), query, peers);
        let results = Rc::clone(&results);
        combine(partials, query, index, peers)
            .inspect(move |window| {
                let mut results = results.borrow_mut();
                for (channel, sum) in &window.rows {
                    results.add(window.end_us, *channel, sum.payments, sum.successes, sum.volume);
                }
            })
            .probe_with(&probe);
    });

    let clock = gate.open();
    let mut highest = 0;
    let batches = (index * BATCH..rows.len()).step_by(peers * BATCH).map(|first| first..rows.len().min(first + BATCH));
    for (shift_us, batch) in rows.shifts_us(args.passes).flat_map(|shift_us| batches.clone().map(move |batch| (shift_us, batch))) {
        highest = rows.event_time[batch.clone()].iter().copied().fold(highest - shift_us, i64::max) + shift_us;
        input.send_batch(&mut vec![(shift_us, batch)]);
        let slide = ((highest - LATENESS_US) / query.slide_us) as u64;
        if slide > *input.time() {
            input.advance_to(slide);
        }
        worker.step();
        worker.step_or_park_while(None, || probe.less_than(&slide.saturating_sub(AHEAD)));
    }
    input.close();
    worker.step_or_park_while(None, || !probe.done());
    let results = *results.borrow();
    Worked { results, clock }
}

/// Aggregates this worker's rows per slide, and sends each worker its channels of a slide that is over.
fn aggregate<'scope>(
    batches: StreamVec<'scope, u64, Batch>,
    rows: Arc<Rows>,
    query: Query,
    peers: usize,
) -> StreamVec<'scope, u64, Partial> {
    batches.unary_frontier(Pipeline, "Aggregate", |_capability, _info| {
        let mut open = OpenSlices::new(query.slide_us);
        // The capability for the oldest slide that is open, or that may still be opened.
        let mut oldest: Option<Capability<u64>> = None;
        move |(input, frontier), output| {
            input.for_each(|capability, batches| {
                if oldest.is_none() {
                    oldest = capability.retain_least(output.output_index());
                }
                for (shift_us, batch) in batches.drain(..) {
                    open.add(&rows, shift_us, batch);
                }
            });
            while let Some(capability) = &mut oldest {
                match open.pop(|slice| !frontier.less_equal(&slice)) {
                    Some((slice, cells)) => {
                        capability.downgrade(&slice);
                        output.session(capability).give_iterator(split(cells, peers).enumerate().map(|(worker, cells)| Partial {
                            slice,
                            worker: worker as u64,
                            cells,
                        }));
                    }
                    None => {
                        match open.first() {
                            Some(slice) => capability.downgrade(&slice),
                            None => oldest = None,
                        }
                        break;
                    }
                }
            }
        }
    })
}

/// Deals the channels out to the workers.
fn split(cells: Vec<Cell>, peers: usize) -> impl Iterator<Item = Vec<Cell>> {
    let mut whole = Some(cells);
    (0..peers).map(move |worker| {
        if peers == 1 {
            return whole.take().unwrap_or_default();
        }
        whole.iter().flatten().skip(worker).step_by(peers).copied().collect()
    })
}

/// Adds up what all workers saw of this worker's channels, and sends a window when its last slide is complete.
fn combine<'scope>(partials: StreamVec<'scope, u64, Partial>, query: Query, index: usize, peers: usize) -> StreamVec<'scope, u64, Window> {
    let by_worker = Exchange::new(|partial: &Partial| partial.worker);
    partials.unary_frontier(by_worker, "Combine", move |_capability, _info| {
        let mut arrived: BTreeMap<u64, (Capability<u64>, Vec<Cell>)> = BTreeMap::new();
        let mut sliding = Sliding::new(query.slides());
        // The capability for the window after the last one, if slides of that are in it.
        let mut next: Option<Capability<u64>> = None;
        move |(input, frontier), output| {
            input.for_each(|capability, partials| {
                for Partial { slice, cells, .. } in partials.drain(..) {
                    let (_, sum) = arrived.entry(slice).or_insert_with(|| (capability.delayed(&slice, output.output_index()), Vec::new()));
                    merge(sum, cells);
                }
            });
            loop {
                let first = arrived.first_key_value().map(|(slice, _)| *slice);
                let due = first.into_iter().chain(next.as_ref().map(|capability| *capability.time())).min();
                let Some(slice) = due.filter(|slice| !frontier.less_equal(slice)) else { break };
                let (capability, cells) = match (arrived.remove(&slice), next.take()) {
                    (Some((capability, cells)), _) => (capability, Some(cells)),
                    (None, Some(capability)) => (capability, None),
                    (None, None) => break,
                };
                let rows = sliding.window(slice, cells, |local| (local * peers + index) as i32);
                output.session(&capability).give(Window { end_us: (slice as i64 + 1) * query.slide_us, rows });
                next = (!sliding.is_empty()).then(|| capability.delayed(&(slice + 1)));
            }
        }
    })
}
