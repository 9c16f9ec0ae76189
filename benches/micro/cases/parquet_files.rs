//! Rows as Parquet, both ways, by type of column: what a file sink does from the first row to a published part, which waits for the disk, and what a file
//! source does with that part, which lies in the system's memory.

use super::hashes::of_columns;
use super::rows::script;
use super::scratch::Scratch;
use super::texts::{COLUMNS, projected, schema_of};
use super::{Case, Ready, reading, using_up};
use arrow::array::RecordBatch;
use raympp_engine::sink::file::{FileSink, FileSinkOptions};
use raympp_engine::sink::{Cut, Format, Sink};
use raympp_engine::source::{self, Source, SourcePoll};
use raympp_engine::{Offset, Schema};
use raympp_operators::plan::StreamPlan;
use raympp_types::Epoch;
use std::path::Path;

pub(super) fn cases() -> Vec<Case> {
    let of_columns = |(name, columns): (&str, &'static [&'static str])| {
        [
            Case::new(format!("write/{name}"), move |rows| write(columns, rows)),
            Case::new(format!("read/{name}"), move |rows| read(columns, rows)),
        ]
    };
    // Parquet has no type for what SQL calls an interval: a sink writes text there, which no source reads as an interval.
    COLUMNS.into_iter().filter(|(name, _)| *name != "interval").flat_map(of_columns).collect()
}

fn sink(scratch: &Scratch, schema: &Schema) -> FileSink {
    let options = FileSinkOptions { directory: scratch.path().join("published"), format: Format::Parquet, overwrite: false };
    let mut sink = FileSink::new(options, schema).expect("a new directory");
    sink.recover(None).expect("a new directory");
    sink
}

/// Everything up to a published part.
fn publish(sink: &mut FileSink, batch: &RecordBatch) {
    sink.append(batch).expect("columns of the schema");
    sink.prepare(Epoch(1), Cut::End).expect("room on the disk");
    sink.commit(Epoch(1)).expect("room on the disk");
}

/// What was published, to be read.
fn published(scratch: &Scratch, columns: &[&str]) -> Box<dyn Source> {
    let path: &Path = &scratch.path().join("published/part-*.parquet");
    let options =
        [("path", path.to_string_lossy().as_ref()), ("format", "parquet")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let stream = script("SELECT COUNT(*) AS n FROM rows").stream;
    let plan = StreamPlan {
        schema: schema_of(columns),
        event_time: None,
        connector: Some("file".to_owned()),
        options: options.into_iter().collect(),
        ..StreamPlan::clone(&stream)
    };
    source::create(&plan).expect("a file that was published")
}

fn rows_of(source: &dyn Source, rows: usize) -> Vec<RecordBatch> {
    let (mut reader, mut batches) = (source.open(0, Offset(0)).expect("a whole file"), Vec::new());
    while let SourcePoll::Rows(rows) = reader.poll(0, rows).expect("a whole file") {
        batches.push(rows.batch);
    }
    batches
}

fn of_batches(batches: &[RecordBatch], columns: &[&str], rows: usize) -> u64 {
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), rows, "all rows are good");
    let column = |position: usize| {
        let pieces: Vec<_> = batches.iter().map(|batch| batch.column(position).as_ref()).collect();
        arrow::compute::concat(&pieces).expect("pieces of one column")
    };
    of_columns(&(0..columns.len()).map(column).collect::<Vec<_>>())
}

fn write(columns: &'static [&'static str], rows: usize) -> Ready {
    let (batch, schema) = (projected(columns, rows), schema_of(columns));
    let fresh = move || {
        let scratch = Scratch::new();
        (sink(&scratch, &schema), scratch)
    };
    let publish = move |(mut sink, scratch): (FileSink, Scratch)| {
        publish(&mut sink, &batch);
        (sink, scratch)
    };
    using_up(rows, fresh, publish, move |(_, scratch)| of_batches(&rows_of(&*published(&scratch, columns), rows), columns, rows))
}

fn read(columns: &'static [&'static str], rows: usize) -> Ready {
    let scratch = Scratch::new();
    publish(&mut sink(&scratch, &schema_of(columns)), &projected(columns, rows));
    let source = published(&scratch, columns);
    let read = move || {
        // It lies there as long as it may be read.
        let _ = &scratch;
        rows_of(&*source, rows)
    };
    reading(rows, read, move |batches| of_batches(&batches, columns, rows))
}
