//! CSV decoding of the flight log beside DuckDB's `read_csv`, all columns, one thread each, in turn.
//!
//! Processor time is compared, the best of several passes: it is what a busy machine falsifies least. The Python that has DuckDB is
//! named by `RAYMPP_PYTHON`; without it only our own rate is printed.

use crate::fold::Effort;
use crate::report::Report;
use raympp_engine::source::{SourceError, SourcePoll, create};
use raympp_engine::{DataType, Error, Field, Schema};
use raympp_operators::plan::{BadRows, Options, StreamPlan};
use raympp_types::Offset;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LOG: &str = "examples/data/flights-2013.csv.gz";
const SCRIPT: &str = "tests/python/read_csv.py";
const ROWS_PER_POLL: usize = 4_096;
const PASSES: usize = 5;

const COLUMNS: [(&str, DataType); 9] = [
    ("flight_id", DataType::BigInt),
    ("event_time", DataType::Timestamp),
    ("carrier", DataType::Varchar),
    ("origin", DataType::Varchar),
    ("dest", DataType::Varchar),
    ("distance", DataType::Integer),
    ("status", DataType::Varchar),
    ("dep_delay_min", DataType::Integer),
    ("arr_delay_min", DataType::Integer),
];

/// The log as it is, and unpacked.
pub fn flights(effort: Effort, report: &mut Report) -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate lies in the workspace");
    let packed = root.join(LOG);
    let unpacked = std::env::temp_dir().join(format!("raympp-flights-{}.csv", std::process::id()));
    unpack(&packed, &unpacked).unwrap_or_else(|error| panic!("{}: {error}", unpacked.display()));
    let python = std::env::var_os("RAYMPP_PYTHON").filter(|_| effort.rounds > 1).map(PathBuf::from);
    for (name, path) in [("CSV decoding, flight log", &unpacked), ("CSV decoding, flight log, gzip", &packed)] {
        let passes = if effort.rounds > 1 { PASSES } else { 1 };
        let ours = rows_per_second(path, passes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        match &python {
            Some(python) => {
                let theirs = duckdb(python, &root.join(SCRIPT), path);
                let detail = format!("engine {:.2}, DuckDB {:.2} million rows/s", ours / 1e6, theirs / 1e6);
                report.ratio(&format!("{name}, over DuckDB's read_csv"), ours / theirs, 0.8, &detail);
            }
            None => report.note(name, &format!("{:.2} million rows/s; no RAYMPP_PYTHON with DuckDB to compare with", ours / 1e6)),
        }
    }
    let _ = std::fs::remove_file(unpacked);
    Ok(())
}

fn unpack(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut rows = flate2::read::MultiGzDecoder::new(std::fs::File::open(from)?);
    std::io::copy(&mut rows, &mut std::fs::File::create(to)?).map(|_| ())
}

fn rows_per_second(path: &Path, passes: usize) -> Result<f64, SourceError> {
    let path = path.to_string_lossy().into_owned();
    let plan = StreamPlan {
        name: "flights".to_owned(),
        schema: Schema::new(COLUMNS.iter().map(|(name, data_type)| Field::new(*name, *data_type)).collect()),
        event_time: None,
        bound_us: 0,
        max_jump_us: None,
        idle_timeout_us: None,
        disconnect_timeout_us: 0,
        bad_rows: BadRows::Skip,
        connector: Some("file".to_owned()),
        options: [("path".to_owned(), path), ("format".to_owned(), "csv".to_owned())].into_iter().collect::<Options>(),
    };
    let source = create(&plan)?;
    let mut best = f64::MIN;
    for _ in 0..passes {
        let started = processor_time();
        let mut reader = source.open(0, Offset(0))?;
        let mut rows = 0;
        while let SourcePoll::Rows(run) = reader.poll(0, ROWS_PER_POLL)? {
            rows += run.to.0 - run.from.0;
        }
        best = best.max(rows as f64 / (processor_time() - started).as_secs_f64());
    }
    Ok(best)
}

fn duckdb(python: &Path, script: &Path, file: &Path) -> f64 {
    let output = Command::new(python).arg(script).arg(file).output().expect("RAYMPP_PYTHON names a Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("the script prints a number")
}

/// Processor time this thread has used.
fn processor_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("statistics of the scheduler, as Linux keeps them");
    let nanos = statistics.split(' ').next().and_then(|field| field.parse().ok()).expect("nanoseconds on the processor");
    Duration::from_nanos(nanos)
}
