//! How fast files are decoded and rows generated, on one core.
//!
//! `cargo run --release -p raympp-engine --example decode_speed [flights.csv[.gz]]` prints megabytes (of the file as it lies on disk) and
//! rows per second of processor time, the best of five passes each. Processor time is what a busy machine does not falsify.

use raympp_engine::source::{Source, SourcePoll, create};
use raympp_operators::plan::{BadRows, Options, StreamPlan};
use raympp_types::{DataType, Field, Offset, Schema};
use std::time::Duration;

const ROWS_PER_POLL: usize = 4_096;
const PASSES: usize = 5;

fn main() {
    let path = std::env::args().nth(1).unwrap_or_else(|| "examples/data/flights-2013.csv.gz".to_owned());
    let flights = plan(&flight_columns(), &[("path", &path)], "file");
    report("flights, all columns", &flights, u64::MAX);
    let narrow = plan(&flight_columns()[1..3], &[("path", &path)], "file");
    report("flights, two columns", &narrow, u64::MAX);
    let payments = [
        ("payment_id", DataType::BigInt),
        ("channel", DataType::Varchar),
        ("status", DataType::Varchar),
        ("amount", DataType::BigInt),
        ("event_time", DataType::Timestamp),
    ];
    report("payments, uniform", &plan(&payments, &[], "payments"), 20_000_000);
    let skewed = [("skew", "1.1"), ("out_of_orderness", "2s")];
    report("payments, skewed and jittered", &plan(&payments, &skewed, "payments"), 20_000_000);
    let bids =
        [("auction", DataType::BigInt), ("price", DataType::BigInt), ("channel", DataType::Varchar), ("date_time", DataType::Timestamp)];
    report("nexmark bids", &plan(&bids, &[("table", "bid")], "nexmark"), 5_000_000);
}

fn flight_columns() -> Vec<(&'static str, DataType)> {
    vec![
        ("flight_id", DataType::BigInt),
        ("event_time", DataType::Timestamp),
        ("carrier", DataType::Varchar),
        ("origin", DataType::Varchar),
        ("dest", DataType::Varchar),
        ("distance", DataType::Integer),
        ("status", DataType::Varchar),
        ("dep_delay_min", DataType::Integer),
        ("arr_delay_min", DataType::Integer),
    ]
}

fn plan(columns: &[(&str, DataType)], options: &[(&str, &str)], connector: &str) -> StreamPlan {
    StreamPlan {
        name: "measured".to_owned(),
        schema: Schema::new(columns.iter().map(|(name, data_type)| Field::new(*name, *data_type)).collect()),
        event_time: None,
        bound_us: 0,
        max_jump_us: None,
        idle_timeout_us: None,
        disconnect_timeout_us: 0,
        bad_rows: BadRows::Skip,
        connector: Some(connector.to_owned()),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Options>(),
    }
}

/// Reads up to `rows_max` rows of the first split, a few times over, and prints the best pass.
fn report(what: &str, plan: &StreamPlan, rows_max: u64) {
    let source = create(plan).unwrap_or_else(|error| panic!("{what}: {error}"));
    let passes = (0..PASSES).map(|_| read(source.as_ref(), rows_max));
    let (rows, bad, elapsed) = passes.min_by_key(|pass| pass.2).expect("at least one pass");
    let bytes = source.splits().ok().and_then(|splits| splits[0].size_bytes).unwrap_or(0);
    let per_second = |amount: u64| amount as f64 / elapsed.as_secs_f64() / 1e6;
    println!("{what:32} {rows:>9} rows, {bad} bad: {:7.1} MB/s {:7.2} million rows/s", per_second(bytes), per_second(rows));
}

/// Processor time this thread has used.
fn processor_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("statistics of the scheduler, as Linux keeps them");
    let nanos = statistics.split(' ').next().and_then(|field| field.parse().ok()).expect("nanoseconds on the processor");
    Duration::from_nanos(nanos)
}

fn read(source: &dyn Source, rows_max: u64) -> (u64, usize, Duration) {
    let started = processor_time();
    let mut reader = source.open(0, Offset(0)).unwrap_or_else(|error| panic!("{error}"));
    let (mut rows, mut bad) = (0, 0);
    while rows < rows_max {
        match reader.poll(0, ROWS_PER_POLL).unwrap_or_else(|error| panic!("{error}")) {
            SourcePoll::Rows(run) => {
                rows += run.to.0 - run.from.0;
                bad += run.bad.len();
            }
            SourcePoll::Pending { .. } => unreachable!("nothing is paced here"),
            SourcePoll::End => break,
        }
    }
    (rows, bad, processor_time() - started)
}
