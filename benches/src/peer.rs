//! Ray-MPP as a program among its peers: the same rows, metric, output and hash of the results as theirs (`peers/README.md`).
//!
//! `rows DIR CHANNELS ROWS` writes the rows that all of them read, `peer --input DIR …` runs the engine on them. A directory of rows is whole or not there: it is written aside and
//! renamed, and says what made it, so that one that an older generator made is made again.

use crate::job::processor_time;
use crate::payments::{BATCH_ROWS, Channels, Payments, ROWS_PER_SECOND};
use arrow::array::{ArrayRef, AsArray, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use raympp_engine::{Engine, Error, Subscription, Writer};
use rustix::time::ClockId;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// 2024-11-11 00:00:00, where event time begins.
const START_US: i64 = 1_731_283_200 * 1_000_000;
const STREAM: &str = "CREATE STREAM payments (channel INTEGER, status SMALLINT, amount BIGINT, event_time TIMESTAMP,
    WATERMARK FOR event_time AS event_time - INTERVAL '50 milliseconds');";
/// Threads of the engine have a writer each.
const USAGE: &str = "usage: peer --input DIR --query hop|tumble10|tumble1 --rows N --threads T [--passes P] [--runs R] [--checkpoint MILLISECONDS] [--replicas N]";
/// A file in a directory of rows: what made them.
const GENERATOR: &str = "generator";

/// Makes sure that the directory has columns of so many rows over so many channels.
pub fn write_rows(directory: &Path, channels: usize, rows: usize) -> std::io::Result<()> {
    let generator = format!("{channels} channels, {rows} rows, of which the first are {:016x}\n", hash_of_first(channels));
    if std::fs::read_to_string(directory.join(GENERATOR)).is_ok_and(|made_by| made_by == generator) {
        return Ok(());
    }
    let aside = directory.with_extension("part");
    [&aside, directory].into_iter().filter(|old| old.exists()).try_for_each(std::fs::remove_dir_all)?;
    std::fs::create_dir_all(&aside)?;
    write_columns(&aside, channels, rows)?;
    std::fs::write(aside.join(GENERATOR), generator)?;
    std::fs::rename(&aside, directory)
}

/// Tells generators apart that make other rows.
fn hash_of_first(channels: usize) -> u64 {
    let batch = new_payments(channels).take(1).remove(0);
    let (channel, status) = (batch.column(0).as_dictionary::<Int32Type>(), batch.column(1).as_dictionary::<Int32Type>());
    let (amount, time) = (batch.column(2).as_primitive::<Int64Type>(), batch.column(3).as_primitive::<TimestampMicrosecondType>());
    (0..batch.num_rows()).fold(START_US as u64, |hash, row| {
        let values = [i64::from(channel.keys().value(row)), i64::from(status.keys().value(row)), amount.value(row), time.value(row)];
        values.into_iter().fold(hash, |hash, value| mix(hash ^ value as u64))
    })
}

fn new_payments(channels: usize) -> Payments {
    Payments::new(channels, Channels::Dictionary, 7)
}

fn write_columns(directory: &Path, channels: usize, rows: usize) -> std::io::Result<()> {
    let create = |name: &str| File::create(directory.join(name)).map(BufWriter::new);
    let (mut channel, mut status) = (create("channel.i32")?, create("status.i8")?);
    let (mut amount, mut event_time) = (create("amount.i64")?, create("event_time.i64")?);
    let (mut payments, mut left) = (new_payments(channels), rows);
    while left > 0 {
        let batch = payments.take(1).remove(0);
        let batch = batch.slice(0, left.min(batch.num_rows()));
        left -= batch.num_rows();
        for code in batch.column(0).as_dictionary::<Int32Type>().keys().values() {
            channel.write_all(&code.to_le_bytes())?;
        }
        for &code in batch.column(1).as_dictionary::<Int32Type>().keys().values() {
            status.write_all(&[code as u8])?;
        }
        for value in batch.column(2).as_primitive::<Int64Type>().values() {
            amount.write_all(&value.to_le_bytes())?;
        }
        for time in batch.column(3).as_primitive::<TimestampMicrosecondType>().values() {
            event_time.write_all(&(START_US + time).to_le_bytes())?;
        }
    }
    [channel, status, amount, event_time].into_iter().try_for_each(|mut file| file.flush())
}

struct Options {
    input: PathBuf,
    query: &'static str,
    rows: usize,
    threads: usize,
    passes: usize,
    runs: usize,
    checkpoint: Option<Duration>,
    replicas: usize,
}

impl Options {
    fn read(arguments: &[&str]) -> Option<Options> {
        let value = |name: &str| arguments.iter().position(|argument| *argument == name).and_then(|at| arguments.get(at + 1)).copied();
        let number = |name: &str, default: usize| value(name).map_or(Some(default), |text| text.parse().ok());
        let query = match value("--query")? {
            "hop" => "HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')",
            "tumble10" => "TUMBLE(payments, event_time, INTERVAL '10 seconds')",
            "tumble1" => "TUMBLE(payments, event_time, INTERVAL '1 second')",
            _ => return None,
        };
        let millis = number("--checkpoint", 0)?;
        Some(Options {
            input: value("--input")?.into(),
            query,
            rows: value("--rows")?.parse().ok()?,
            threads: number("--threads", 1)?,
            passes: number("--passes", 1)?,
            runs: number("--runs", 1)?,
            checkpoint: (millis > 0).then_some(Duration::from_millis(millis as u64)),
            replicas: number("--replicas", 1)?,
        })
    }

    fn metric(&self) -> String {
        format!(
            "CREATE METRIC m AS SELECT channel, window_end, COUNT(*) AS payments, COUNT(*) FILTER (WHERE status = 0) AS successes, SUM(amount) AS volume
             FROM {} WHERE amount > 0 GROUP BY channel, window_start, window_end;",
            self.query
        )
    }

    fn settings(&self) -> String {
        let checkpoints = self.checkpoint.map_or("no checkpoints".to_owned(), |interval| format!("checkpoints every {interval:?}"));
        let (threads, replicas) = (self.threads, self.replicas);
        format!(
            "{threads} threads, a writer each, Arrow batches of {BATCH_ROWS} rows made before the clock, {replicas} replicas of each partition, {checkpoints}"
        )
    }
}

/// Runs the engine as the arguments say.
pub fn run(arguments: &[&str]) -> Result<(), Error> {
    let Some(options) = Options::read(arguments) else { return Err(Error::Refused(USAGE.to_owned())) };
    let batches = read_rows(&options.input, options.rows)
        .map_err(|error| Error::Refused(format!("{}: {error}; the command rows makes them", options.input.display())))?;
    for run in 0..options.runs {
        let Run { results, took, cpu_seconds, commits } = run_once(&options, &batches)?;
        let checkpoints = commits.map_or_else(String::new, |commits| format!(r#", "checkpoints": {commits}"#));
        println!(
            r#"{{"peer": "Ray-MPP", "version": "{}", "settings": "{}", "run": {run}, "rows": {}, "passes": {}, "results": {}, "hash": "{:016x}", "seconds": {}, "cpu_seconds": {cpu_seconds:.2}{checkpoints}}}"#,
            env!("CARGO_PKG_VERSION"),
            options.settings(),
            options.rows,
            options.passes,
            results.rows,
            results.hash,
            took.as_secs_f64()
        );
    }
    Ok(())
}

/// What a run found and took.
struct Run {
    results: Results,
    took: Duration,
    /// Time on all processors together.
    cpu_seconds: f64,
    /// Checkpoints committed meanwhile.
    commits: Option<u64>,
}

fn run_once(options: &Options, batches: &[RecordBatch]) -> Result<Run, Error> {
    let directory = std::env::temp_dir().join(format!("raympp-peer-{}", std::process::id()));
    let mut builder = Engine::builder().threads(options.threads).replicas(options.replicas);
    if let Some(interval) = options.checkpoint {
        builder = builder.state_dir(&directory).barrier_interval_us(interval.as_micros() as u64);
    }
    let engine = builder.build()?;
    engine.execute(STREAM)?;
    engine.execute(&options.metric())?;
    let subscription = engine.metric("m")?.subscribe();
    let taker = std::thread::spawn(move || take(subscription));
    let writers = (0..options.threads).map(|_| engine.writer("payments")).collect::<Result<Vec<_>, Error>>()?;
    let (started, cpu_started) = (Instant::now(), processor_time(ClockId::ProcessCPUTime));
    for pass in 0..options.passes {
        let shift_us = (pass * options.rows) as i64 * 1_000_000 / ROWS_PER_SECOND;
        for (i, batch) in batches.iter().enumerate() {
            writers[i % writers.len()].push_batch(&shifted(batch, shift_us))?;
        }
    }
    writers.into_iter().for_each(Writer::finish);
    engine.wait()?;
    let results = taker.join().expect("adding up does not panic");
    let (took, cpu) = (started.elapsed(), processor_time(ClockId::ProcessCPUTime) - cpu_started);
    let commits = engine.stats().checkpoints.map(|checkpoints| checkpoints.commits);
    engine.shutdown()?;
    if options.checkpoint.is_some() {
        // It lies among temporary files.
        let _ = std::fs::remove_dir_all(&directory);
    }
    Ok(Run { results, took, cpu_seconds: cpu.as_secs_f64(), commits })
}

/// The batch at another time: one addition per row, which every peer makes while its clock runs.
fn shifted(batch: &RecordBatch, shift_us: i64) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    columns[3] =
        Arc::new(columns[3].as_primitive::<TimestampMicrosecondType>().unary::<_, TimestampMicrosecondType>(|time| time + shift_us));
    RecordBatch::try_new(batch.schema(), columns).expect("columns of the schema")
}

/// The rows in batches, all of one allocation per column.
fn read_rows(directory: &Path, rows: usize) -> std::io::Result<Vec<RecordBatch>> {
    fn numbers<const BYTES: usize, T>(directory: &Path, name: &str, rows: usize, of: fn([u8; BYTES]) -> T) -> std::io::Result<Vec<T>> {
        let bytes = std::fs::read(directory.join(name))?;
        Ok(bytes.as_chunks::<BYTES>().0.iter().take(rows).map(|bytes| of(*bytes)).collect())
    }
    let status: Int16Array = Int8Array::from(numbers(directory, "status.i8", rows, i8::from_le_bytes)?).unary(i16::from);
    let columns: [(&str, ArrayRef); 4] = [
        ("channel", Arc::new(Int32Array::from(numbers(directory, "channel.i32", rows, i32::from_le_bytes)?))),
        ("status", Arc::new(status)),
        ("amount", Arc::new(Int64Array::from(numbers(directory, "amount.i64", rows, i64::from_le_bytes)?))),
        ("event_time", Arc::new(TimestampMicrosecondArray::from(numbers(directory, "event_time.i64", rows, i64::from_le_bytes)?))),
    ];
    let all = RecordBatch::try_from_iter(columns).map_err(std::io::Error::other)?;
    if all.num_rows() < rows {
        return Err(std::io::Error::other(format!("there are {} rows, not {rows}", all.num_rows())));
    }
    Ok((0..rows).step_by(BATCH_ROWS).map(|first| all.slice(first, BATCH_ROWS.min(rows - first))).collect())
}

/// Result rows and their hash.
#[derive(Default)]
struct Results {
    rows: u64,
    hash: u64,
}

fn take(subscription: Subscription) -> Results {
    let mut results = Results::default();
    subscription.for_each(|batch| results.add(&batch));
    results
}

impl Results {
    fn add(&mut self, batch: &RecordBatch) {
        let channel = batch.column(0).as_primitive::<Int32Type>().values();
        let window_end = batch.column(1).as_primitive::<TimestampMicrosecondType>().values();
        let (payments, successes) =
            (batch.column(2).as_primitive::<Int64Type>().values(), batch.column(3).as_primitive::<Int64Type>().values());
        let volume = batch.column(4).as_primitive::<Decimal128Type>().values();
        for row in 0..batch.num_rows() {
            let values = [i64::from(channel[row]), payments[row], successes[row], volume[row] as i64];
            let hash = values.into_iter().fold(mix(window_end[row] as u64), |hash, value| mix(hash ^ value as u64));
            self.hash = self.hash.wrapping_add(hash);
        }
        self.rows += batch.num_rows() as u64;
    }
}

/// The end of splitmix64 (Steele, Lea, Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows, the metric and the hash as the peers know them: computed by other means from the first rows.
    #[test]
    fn the_engine_finds_what_its_peers_find() {
        let directory = std::env::temp_dir().join(format!("raympp-peer-rows-{}", std::process::id()));
        write_rows(&directory, 50, 20_000).expect("a directory for temporary files");
        let batches = read_rows(&directory, 20_000).expect("they were just written");
        std::fs::remove_dir_all(&directory).expect("it was made above");
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
        let both: Vec<RecordBatch> = batches.iter().cloned().chain(batches.iter().map(|batch| shifted(batch, 20_000))).collect();
        for query in ["hop", "tumble10"] {
            let arguments = ["--input", "", "--query", query, "--rows", "20000", "--threads", "2", "--replicas", "2", "--checkpoint", "5"];
            let mut options = Options::read(&arguments).expect("these are all");
            let windows = if query == "hop" { (1, 60) } else { (10, 10) };
            for (passes, rows) in [(1, &batches), (2, &both)] {
                options.passes = passes;
                let run = run_once(&options, &batches).expect("nothing is in its way");
                assert_eq!((run.results.rows, run.results.hash), by_hand(rows, windows), "{query}, {passes} passes");
                assert!(run.commits.is_some(), "there are checkpoints");
            }
        }
    }

    #[test]
    fn rows_are_made_again_only_if_they_are_not_whole_or_not_the_same() {
        let directory = std::env::temp_dir().join(format!("raympp-peer-rows-again-{}", std::process::id()));
        let column = directory.join("event_time.i64");
        let bytes = || std::fs::metadata(&column).map_or(0, |column| column.len());
        std::fs::create_dir_all(&directory)
            .and_then(|()| std::fs::write(&column, "an interrupted write"))
            .expect("a directory for temporary files");
        write_rows(&directory, 5, 100).expect("it is there");
        assert_eq!(bytes(), 800);
        std::fs::write(&column, "kept").and_then(|()| write_rows(&directory, 5, 100)).expect("it is there");
        assert_eq!(bytes(), 4);
        write_rows(&directory, 5, 200).expect("it is there");
        assert_eq!(bytes(), 1_600);
        std::fs::remove_dir_all(&directory).expect("it was made above");
    }

    fn by_hand(batches: &[RecordBatch], (slide_s, size_s): (i64, i64)) -> (u64, u64) {
        let mut windows = std::collections::BTreeMap::new();
        for batch in batches {
            let (channel, status) =
                (batch.column(0).as_primitive::<Int32Type>(), batch.column(1).as_primitive::<arrow::datatypes::Int16Type>());
            let (amount, time) = (batch.column(2).as_primitive::<Int64Type>(), batch.column(3).as_primitive::<TimestampMicrosecondType>());
            for row in (0..batch.num_rows()).filter(|row| amount.value(*row) > 0) {
                let slide_us = slide_s * 1_000_000;
                let first_us = time.value(row).div_euclid(slide_us) * slide_us + slide_us;
                for end_us in (0..size_s / slide_s).map(|i| first_us + i * slide_us) {
                    let (payments, successes, volume) = windows.entry((end_us, channel.value(row))).or_insert((0, 0, 0));
                    (*payments, *successes, *volume) =
                        (*payments + 1, *successes + i64::from(status.value(row) == 0), *volume + amount.value(row));
                }
            }
        }
        let hash = |((end_us, channel), (payments, successes, volume)): (&(i64, i32), &(i64, i64, i64))| {
            [i64::from(*channel), *payments, *successes, *volume]
                .into_iter()
                .fold(mix(*end_us as u64), |hash, value| mix(hash ^ value as u64))
        };
        (windows.len() as u64, windows.iter().map(hash).fold(0, u64::wrapping_add))
    }
}
