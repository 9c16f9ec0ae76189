//! The query as a circuit.

use dbsp::typed_batch::SpineSnapshot;
use dbsp::utils::{Tup2, Tup3};
use dbsp::{IndexedZSetHandle, InputHandle, OrdIndexedZSet, OutputHandle, RootCircuit, Stream, TypedBox};
use peer_common::Query;

/// A slide's number, counted from 1970.
pub type Slide = u32;
/// Rows, successes and the sum of the amounts.
pub type Totals = Tup3<i64, i64, i64>;
/// What a row is indexed by.
pub type Key = Tup2<Slide, i32>;
/// The rest of a row: status and amount.
pub type Value = Tup2<i8, i64>;
/// Changes of what a window has, by slide for a tumbling window.
type Changes<K, V> = OutputHandle<SpineSnapshot<OrdIndexedZSet<K, V>>>;

/// Ways into the circuit, and out of it.
pub struct Handles {
    /// The rows.
    pub rows: IndexedZSetHandle<Key, Value>,
    /// The watermark: all slides before this one are complete.
    pub watermark: InputHandle<Slide>,
    /// The results.
    pub output: Output,
}

/// Changes of the results.
pub enum Output {
    /// A slide is a window: its rows come once, when it is complete.
    Tumbling(Changes<Slide, Tup2<i32, Totals>>),
    /// What the window that ends at the watermark has of each channel.
    Hopping(Changes<i32, Totals>),
}

/// Builds the query's circuit.
pub fn build(circuit: &mut RootCircuit, query: Query) -> Handles {
    let (input, rows) = circuit.add_input_indexed_zset::<Key, Value>();
    let (set, watermark) = circuit.add_input_stream::<Slide>();
    // A transaction may take several steps, and an input stream has its value only in the first of them.
    let clock = set.stream_fold(0, |reached: usize, set| reached.max(*set as usize)).apply(|reached| *reached as Slide);
    let slides = complete_slides(&input, &clock, query.slides() as Slide);
    let output = if query.slides() == 1 {
        Output::Tumbling(slides.accumulate_output())
    } else {
        let channels = slides.map_index(|(_, Tup2(channel, totals))| (*channel, *totals));
        Output::Hopping(channels.aggregate_linear(|totals| *totals).accumulate_output())
    };
    Handles { rows, watermark, output }
}

/// The totals of each channel in the last `slides` complete slides. What is older leaves the window, and the state with it.
fn complete_slides(
    input: &Stream<RootCircuit, OrdIndexedZSet<Key, Value>>,
    clock: &Stream<RootCircuit, Slide>,
    slides: Slide,
) -> Stream<RootCircuit, OrdIndexedZSet<Slide, Tup2<i32, Totals>>> {
    // One slide behind the watermark, because the slide before that gets its last rows with it.
    let oldest = clock.apply(|watermark| TypedBox::new(watermark.saturating_sub(1)));
    let retain = |Tup2(slide, _): &Key, oldest: &Slide| slide >= oldest;
    let totals = input.aggregate_linear_retain_keys(&oldest, retain, |Tup2(status, amount)| {
        // The query's WHERE: a row that adds nothing is as good as none.
        if *amount > 0 { Tup3(1, i64::from(*status == 0), *amount) } else { Tup3(0, 0, 0) }
    });
    totals.integrate_trace_retain_keys(&oldest, retain);
    let bounds = clock.apply(move |watermark| (TypedBox::new(watermark.saturating_sub(slides)), TypedBox::new(*watermark)));
    totals.map_index(|(Tup2(slide, channel), totals)| (*slide, Tup2(*channel, *totals))).window((true, false), &bounds)
}
