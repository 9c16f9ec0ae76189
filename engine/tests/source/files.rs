//! Paths, patterns, compression, following, and knowing a file again.

use super::support::{Directory, check_cuts_and_resumption, file_source, plan, read, read_from, rows_of};
use flate2::Compression;
use flate2::write::GzEncoder;
use raympp_engine::source::{Source, SourceErrorKind, SourcePoll, SplitReader, create};
use raympp_types::Offset;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

fn create_error(options: &[(&str, &str)]) -> raympp_engine::source::SourceError {
    match create(&plan("file", "a BIGINT", options)) {
        Err(error) => error,
        Ok(_) => panic!("{options:?} should not work"),
    }
}

#[test]
fn inputs_that_are_not_there_are_named() {
    let directory = Directory::new("files-missing");
    let missing = create_error(&[("path", &directory.text("none.csv"))]);
    assert_eq!(missing.kind, SourceErrorKind::Missing);
    assert!(missing.to_string().contains("none.csv: the file does not exist"), "{missing}");
    let folder = create_error(&[("path", &directory.text(".")), ("format", "csv")]);
    assert_eq!(folder.kind, SourceErrorKind::NotAFile);
    assert!(folder.to_string().contains("directory"), "{folder}");
    let pattern = create_error(&[("path", &directory.text("*.csv"))]);
    assert_eq!(pattern.kind, SourceErrorKind::Missing);
    assert!(pattern.to_string().contains("no file matches"), "{pattern}");
    let device = create_error(&[("path", "/dev/null"), ("format", "csv")]);
    assert_eq!(device.kind, SourceErrorKind::NotAFile);
}

#[test]
fn options_are_checked() {
    let directory = Directory::new("files-options");
    let path = directory.write("data.txt", "a\n1\n");
    for (options, part) in [
        (&[][..], "needs the option path"),
        (&[("path", path.as_str())], "the format can't be told"),
        (&[("path", &path), ("format", "xml")], "expected csv, jsonl or parquet"),
        (&[("path", &path), ("format", "csv"), ("folow", "true")], "no option folow; its options are follow, format, path"),
        (&[("path", &path), ("format", "csv"), ("follow", "yes")], "expected true or false"),
        (&[("path", &path), ("format", "parquet"), ("follow", "true")], "can't be followed"),
    ] {
        let error = create_error(options);
        assert_eq!(error.kind, SourceErrorKind::Option);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_pattern_is_a_split_per_file_in_path_order() {
    let directory = Directory::new("files-glob");
    for (name, value) in [("b.csv", 2), ("a.csv", 1), ("c.csv", 3)] {
        directory.write(name, format!("a\n{value}\n"));
    }
    std::fs::create_dir(directory.path("d.csv")).expect("a directory");
    std::fs::create_dir(directory.path(".hidden")).expect("a directory");
    directory.write(".part-000000.csv", "a\n4\n");
    directory.write(".hidden/e.csv", "a\n5\n");
    let source = file_source("a BIGINT", &directory.text("*.csv"));
    let splits = source.splits().expect("files");
    assert_eq!(splits.iter().map(|split| split.name.rsplit('/').next().unwrap_or("")).collect::<Vec<_>>(), ["a.csv", "b.csv", "c.csv"]);
    assert!(splits.iter().all(|split| split.size_bytes == Some(4)) && !source.endless());
    let values: Vec<_> = (0..3).map(|split| read_from(source.as_ref(), split, 0, 10).0).collect();
    assert_eq!(values, [1, 2, 3].map(|value| vec![(0, Ok(format!("{{\"a\":{value}}}")))]));
    assert!(source.open(3, Offset(0)).is_err());
    let names = |pattern: &str| -> Vec<String> {
        let splits = file_source("a BIGINT", &directory.text(pattern)).splits().expect("files");
        splits.iter().map(|split| split.name.rsplit('/').next().unwrap_or("").to_owned()).collect()
    };
    assert_eq!(names("**/*.csv"), ["a.csv", "b.csv", "c.csv"], "what begins with a dot is not meant");
    assert_eq!((names(".part-000000.csv"), names(".hidden/*.csv")), (vec![".part-000000.csv".to_owned()], vec!["e.csv".to_owned()]));
}

#[test]
fn gzip_is_seen_by_its_first_bytes_and_may_have_members() {
    let directory = Directory::new("files-gzip");
    let packed = [gzip(b"a\n1\n2"), gzip(b"3\n4\n")].concat();
    let source = file_source("a BIGINT", &directory.write("data.csv.gz", &packed));
    assert_eq!(read(source.as_ref()).len(), 3);
    check_cuts_and_resumption(source.as_ref(), 0, &[0, 1, 2, 3]);
    let plain = file_source("a BIGINT", &directory.write("plain.csv.gz", "a\n1\n"));
    assert_eq!(read(plain.as_ref()).len(), 1);
    let mut reader = source.open(0, Offset(0)).expect("opens");
    while !matches!(reader.poll(0, 10), Ok(SourcePoll::End)) {}
    assert_eq!(reader.progress(), Some((packed.len() as u64, packed.len() as u64)));
}

#[test]
fn truncated_gzip_delivers_the_rows_before_and_names_the_place() {
    let rows: String = (0..20_000).map(|row| format!("{row},{}\n", row * 7_919 % 104_729)).collect();
    let packed = gzip(format!("a,b\n{rows}").as_bytes());
    let directory = Directory::new("files-truncated");
    let source = file_source("a BIGINT", &directory.write("data.csv.gz", &packed[..packed.len() / 2]));
    let (rows, error) = read_from(source.as_ref(), 0, 0, 4_096);
    let error = error.expect("half a file");
    assert!(rows.len() > 5_000 && rows.len() < 15_000, "{}", rows.len());
    assert!(rows.iter().all(|(offset, row)| row.as_deref() == Ok(&format!("{{\"a\":{offset}}}"))));
    assert_eq!(
        (error.kind, error.offset, error.line),
        (SourceErrorKind::Truncated, Some(Offset(rows.len() as u64)), Some(rows.len() as u64 + 2))
    );
    assert!(error.to_string().contains("data.csv.gz") && !error.retryable(), "{error}");
    let mut damaged = packed.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let (_, error) = read_from(file_source("a BIGINT", &directory.write("damaged.csv.gz", damaged)).as_ref(), 0, 0, 4_096);
    assert!(error.is_some_and(|error| matches!(error.kind, SourceErrorKind::Format | SourceErrorKind::Truncated)));
}

#[test]
fn an_offset_beyond_the_end_is_an_error() {
    let directory = Directory::new("files-beyond");
    let source = file_source("a BIGINT", &directory.write("data.csv", "a\n1\n2\n"));
    assert_eq!(read_from(source.as_ref(), 0, 2, 10), (Vec::new(), None));
    let (_, error) = read_from(source.as_ref(), 0, 3, 10);
    assert_eq!(error.map(|error| error.kind), Some(SourceErrorKind::OffsetBeyondEnd));
}

fn append(directory: &Directory, name: &str, text: &str) {
    let mut file = OpenOptions::new().append(true).open(directory.path(name)).expect("the followed file");
    file.write_all(text.as_bytes()).expect("disk");
}

/// Rows a followed file has for us now.
fn poll_rows(reader: &mut dyn SplitReader, now_us: u64) -> Vec<String> {
    match reader.poll(now_us, 100).expect("a file in order") {
        SourcePoll::Rows(run) => rows_of(&run).into_iter().map(|row| row.1.unwrap_or_else(|reason| reason)).collect(),
        SourcePoll::Pending { retry_at_us } => {
            assert!(retry_at_us.is_some_and(|retry| retry > now_us));
            Vec::new()
        }
        SourcePoll::End => panic!("a followed file does not end"),
    }
}

fn follow(path: &str) -> Box<dyn Source> {
    create(&plan("file", "a BIGINT", &[("path", path), ("follow", "true")])).expect("a file to follow")
}

#[test]
fn a_followed_file_is_read_as_it_grows_by_whole_lines() {
    let directory = Directory::new("files-follow");
    let source = follow(&directory.write("data.csv", ""));
    assert!(source.endless());
    let mut reader = source.open(0, Offset(0)).expect("opens");
    assert!(poll_rows(reader.as_mut(), 1).is_empty());
    append(&directory, "data.csv", "a\n1\n2");
    assert_eq!(poll_rows(reader.as_mut(), 2), [r#"{"a":1}"#]);
    assert!(poll_rows(reader.as_mut(), 3).is_empty());
    append(&directory, "data.csv", "3\n4\n");
    assert_eq!(poll_rows(reader.as_mut(), 4), [r#"{"a":23}"#, r#"{"a":4}"#]);
    let mut later = source.open(0, Offset(2)).expect("opens");
    assert_eq!(poll_rows(later.as_mut(), 5), [r#"{"a":4}"#]);
    assert_eq!(reader.progress(), None);
}

#[test]
fn a_followed_file_that_shrinks_or_is_replaced_is_an_error() {
    let directory = Directory::new("files-follow-lost");
    for (change, part) in [("truncate", "become shorter"), ("replace", "taken the followed one's place"), ("remove", "is gone")] {
        let source = follow(&directory.write("data.csv", "a\n1\n2\n"));
        let mut reader = source.open(0, Offset(0)).expect("opens");
        assert_eq!(poll_rows(reader.as_mut(), 1).len(), 2);
        match change {
            "truncate" => drop(directory.write("data.csv", "a\n")),
            "replace" => {
                directory.write("new.csv", "a\n1\n2\n3\n");
                std::fs::rename(directory.path("new.csv"), directory.path("data.csv")).expect("disk");
            }
            _ => std::fs::remove_file(directory.path("data.csv")).expect("disk"),
        }
        let error = reader.poll(2, 10).expect_err("rows may be lost");
        assert_eq!((error.kind, error.offset), (SourceErrorKind::Replaced, Some(Offset(2))));
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Writes other bytes into the file that is there, as `cp` does.
fn rewrite(directory: &Directory, name: &str, text: &str) {
    let mut file = OpenOptions::new().write(true).truncate(true).open(directory.path(name)).expect("the followed file");
    file.write_all(text.as_bytes()).expect("disk");
    // Some time later, so that the test does not depend on how fine the clock of the file system is.
    file.set_modified(UNIX_EPOCH + Duration::from_secs(2_000_000_000)).expect("disk");
}

#[test]
fn a_followed_file_that_is_written_anew_is_an_error() {
    let directory = Directory::new("files-follow-anew");
    let rows = |first: i64, count: i64| -> String { (first..first + count).map(|n| format!("{n}\n")).collect() };
    let (short, long) = (format!("a\n{}", rows(100, 2)), format!("a\n{}", rows(1_000, 20_000)));
    // Longer with another head; as long; with the same head and another tail; only longer, which is no harm.
    for (before, after) in [
        (&short, format!("a\n{}", rows(200, 3))),
        (&short, format!("a\n{}", rows(300, 2))),
        (&long, format!("{}{}", &long[..long.len() - 4], rows(7_000, 100))),
        (&long, format!("{long}{}", rows(5, 1))),
    ] {
        let source = follow(&directory.write("data.csv", before));
        let mut reader = source.open(0, Offset(0)).expect("opens");
        let mut now_us = 1;
        while !poll_rows(reader.as_mut(), now_us).is_empty() {
            now_us += 1;
        }
        rewrite(&directory, "data.csv", &after);
        if after.starts_with(before.as_str()) {
            assert_eq!(poll_rows(reader.as_mut(), now_us), [r#"{"a":5}"#]);
            continue;
        }
        let error = reader.poll(now_us, 10).expect_err("rows may be lost");
        assert_eq!((error.kind, error.offset), (SourceErrorKind::Replaced, Some(Offset(before.lines().count() as u64 - 1))));
        assert!(error.to_string().contains("written anew") && error.to_string().contains("data.csv"), "{error}");
        assert!(reader.poll(now_us + 1, 10).is_err(), "it stays so");
    }
}

#[test]
fn a_file_is_known_again_by_its_fingerprint() {
    let directory = Directory::new("files-fingerprint");
    let source = file_source("a BIGINT", &directory.write("data.csv", "a\n1\n2\n"));
    let fingerprint = source.splits().expect("a file")[0].fingerprint.clone();
    assert!(source.open_again(0, Offset(1), &fingerprint).is_ok());
    for (text, part) in [("a\n1\n", "shrunk"), ("a\n1\n2\n3\n", "grown"), ("a\n1\n3\n", "other bytes")] {
        directory.write("data.csv", text);
        let Err(error) = source.open_again(0, Offset(1), &fingerprint) else { panic!("{part} was not noticed") };
        assert_eq!(error.kind, SourceErrorKind::Replaced);
        assert!(error.to_string().contains(part) && !error.retryable(), "{error}");
    }
    let grown = follow(&directory.write("data.csv", "a\n1\n2\n3\n"));
    assert!(grown.open_again(0, Offset(1), &fingerprint).is_ok(), "a followed file may have grown");
}
