//! What a file sink refuses to go on from, and what it says then.

use crate::support::{Directory, schema};
use crate::{TWO, begun, options, rows};
use raympp_engine::sink::file::{FileSink, FileSinkOptions};
use raympp_engine::sink::{Cut, Format, Sink, SinkErrorKind, SinkHandle};
use raympp_types::Epoch;
use std::fs;

/// A sink that stopped with part 0 complete and committed but not published, and part 1 in progress.
fn stopped(directory: &Directory, format: Format) -> SinkHandle {
    let options = FileSinkOptions { format, ..options(directory) };
    let mut sink = begun(options, &schema(TWO)).expect("a new directory");
    sink.append(&rows(&[("a", 1)])).expect("room");
    sink.prepare(Epoch(1), Cut::Roll).expect("room");
    sink.append(&rows(&[("b", 2)])).expect("room");
    let handle = sink.prepare(Epoch(2), Cut::IfFull).expect("room");
    sink.append(&rows(&[("c", 3)])).expect("room");
    sink.prepare(Epoch(3), Cut::Roll).expect("room");
    handle
}

/// Recovery is refused, twice in the same words, and changes nothing.
fn check_refused(directory: &Directory, format: Format, handle: &SinkHandle, columns: &str) -> (SinkErrorKind, String) {
    let options = FileSinkOptions { format, ..options(directory) };
    let list = || crate::disk::names(&directory.path("out"));
    let before = list();
    let mut sink = FileSink::new(options, &schema(columns)).expect("a directory");
    let error = sink.check(Some(handle)).expect_err("something is wrong");
    assert_eq!(sink.recover(Some(handle)), Err(error.clone()));
    assert_eq!(list(), before);
    (error.kind, error.to_string())
}

#[test]
fn what_is_missing_is_named() {
    for (format, staged) in [(Format::Csv, "csv.tmp"), (Format::Parquet, "arrows.tmp")] {
        for part in ["out/.part-000000", "out/.part-000001"] {
            let directory = Directory::new(&format!("sink-missing-{}", format.extension()));
            let handle = stopped(&directory, format);
            let path = directory.path(&format!("{part}.{staged}"));
            let content = fs::read(&path).expect("it is staged");
            fs::write(&path, &content[..10]).expect("disk");
            let (kind, message) = check_refused(&directory, format, &handle, TWO);
            assert_eq!(kind, SinkErrorKind::Missing);
            assert!(message.contains("has 10 bytes") && message.contains(&path.display().to_string()), "{message}");
            fs::remove_file(&path).expect("disk");
            let (kind, message) = check_refused(&directory, format, &handle, TWO);
            assert_eq!(kind, SinkErrorKind::Missing);
            assert!(message.contains("is gone") && message.contains("holds 1 rows; put it back"), "{message}");
            fs::write(&path, content).expect("disk");
            let mut sink = FileSink::new(FileSinkOptions { format, ..options(&directory) }, &schema(TWO)).expect("a directory");
            sink.recover(Some(&handle)).expect("it is back");
        }
    }
}

#[test]
fn what_is_in_the_way_is_named() {
    let directory = Directory::new("sink-in-the-way");
    let handle = stopped(&directory, Format::Csv);
    for name in ["out/part-000000.csv", "out/part-000001.csv", "out/part-000002.csv"] {
        let path = directory.write(name, "somebody else's\n");
        let (kind, message) = check_refused(&directory, Format::Csv, &handle, TWO);
        assert!(kind == SinkErrorKind::InTheWay && message.contains(&path), "{message}");
        fs::remove_file(&path).expect("disk");
    }
}

#[test]
fn another_sink_does_not_go_on() {
    let directory = Directory::new("sink-another");
    let handle = stopped(&directory, Format::Csv);
    let (kind, message) = check_refused(&directory, Format::JsonLines, &handle, TWO);
    assert!(kind == SinkErrorKind::Changed && message.contains("it was csv and is jsonl"), "{message}");
    let (kind, message) = check_refused(&directory, Format::Csv, &handle, "k VARCHAR, window_end TIMESTAMP");
    assert!(kind == SinkErrorKind::Changed && message.contains("window_end Int64"), "{message}");
    let (kind, _) = check_refused(&directory, Format::Csv, &SinkHandle::new(b"{".to_vec()), TWO);
    assert_eq!(kind, SinkErrorKind::Handle);
}
