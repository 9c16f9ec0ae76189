//! Streams from a line of text, files in a directory of their own, and readers that check what every reader must keep.

use raympp_engine::sink::encode::encode_jsonl;
use raympp_engine::source::{Source, SourceError, SourcePoll, SourceRows, create};
use raympp_operators::plan::{BadRows, Options, StreamPlan};
use raympp_types::{DataType, Field, Offset, Schema};
use std::path::{Path, PathBuf};

/// A row as JSON text, or the reason it is bad.
pub(crate) type Row = Result<String, String>;

/// A directory that goes away with the value.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Directory {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Directory(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file and returns its path as text.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).expect("a file for the test");
        self.text(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `"a BIGINT, b VARCHAR"`
pub(crate) fn schema(columns: &str) -> Schema {
    Schema::new(columns.split(", ").map(|column| field(column.trim())).collect())
}

fn field(column: &str) -> Field {
    let (name, data_type) = column.split_once(' ').expect("name and type");
    let data_type = match data_type {
        "BOOLEAN" => DataType::Boolean,
        "SMALLINT" => DataType::SmallInt,
        "INTEGER" => DataType::Integer,
        "BIGINT" => DataType::BigInt,
        "REAL" => DataType::Real,
        "DOUBLE" => DataType::Double,
        "VARCHAR" => DataType::Varchar,
        "BYTEA" => DataType::Bytea,
        "DATE" => DataType::Date,
        "TIMESTAMP" => DataType::Timestamp,
        "TIMESTAMPTZ" => DataType::TimestampTz,
        "INTERVAL" => DataType::Interval,
        decimal => {
            let digits = decimal.strip_prefix("DECIMAL(").and_then(|rest| rest.strip_suffix(")")).expect("a type");
            let (precision, scale) = digits.split_once(',').expect("precision and scale");
            DataType::Decimal { precision: precision.parse().expect("digits"), scale: scale.parse().expect("digits") }
        }
    };
    Field::new(name, data_type)
}

pub(crate) fn plan(connector: &str, columns: &str, options: &[(&str, &str)]) -> StreamPlan {
    StreamPlan {
        name: "stream".to_owned(),
        schema: schema(columns),
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

pub(crate) fn file_source(columns: &str, path: &str) -> Box<dyn Source> {
    create(&plan("file", columns, &[("path", path)])).expect("a readable file")
}

/// Rows of a run with their offsets, after checking that the run is consistent.
pub(crate) fn rows_of(run: &SourceRows) -> Vec<(u64, Row)> {
    assert_eq!(run.batch.num_rows() + run.bad.len(), (run.to.0 - run.from.0) as usize, "every row is good or bad");
    assert_eq!(run.row_offsets.is_some(), !run.bad.is_empty());
    let mut text = Vec::new();
    encode_jsonl(&run.batch, &mut text).expect("columns that can be written");
    let text = String::from_utf8(text).expect("text");
    let offset = |row: usize| run.row_offsets.as_ref().map_or(row as u64, |offsets| u64::from(offsets[row]));
    let good = text.lines().enumerate().map(|(row, line)| (run.from.0 + offset(row), Ok(line.to_owned())));
    let mut rows: Vec<(u64, Row)> = good.chain(run.bad.iter().map(|bad| (bad.offset.0, Err(bad.reason.clone())))).collect();
    rows.sort_by_key(|row| row.0);
    let offsets: Vec<u64> = rows.iter().map(|row| row.0).collect();
    assert_eq!(offsets, (run.from.0..run.to.0).collect::<Vec<_>>(), "offsets without gaps");
    rows
}

/// Reads from an offset to the end; also the error the reader ended with.
pub(crate) fn read_from(source: &dyn Source, split: usize, at: u64, rows_max: usize) -> (Vec<(u64, Row)>, Option<SourceError>) {
    let mut rows = Vec::new();
    let mut reader = match source.open(split, Offset(at)) {
        Ok(reader) => reader,
        Err(error) => return (rows, Some(error)),
    };
    loop {
        match reader.poll(0, rows_max) {
            Ok(SourcePoll::Rows(run)) => {
                assert!(run.from.0 < run.to.0 && run.to.0 - run.from.0 <= rows_max as u64);
                assert_eq!(run.from.0, at + rows.len() as u64, "runs follow each other");
                rows.extend(rows_of(&run));
            }
            Ok(SourcePoll::End) => {
                assert!(matches!(reader.poll(0, rows_max), Ok(SourcePoll::End)), "the end stays the end");
                return (rows, None);
            }
            Ok(SourcePoll::Pending { .. }) => panic!("nothing is waited for here"),
            Err(error) => {
                assert_eq!(reader.poll(0, rows_max).err(), Some(error.clone()), "a failed reader stays failed");
                return (rows, Some(error));
            }
        }
    }
}

/// All rows of split 0 in order, without offsets.
pub(crate) fn read(source: &dyn Source) -> Vec<Row> {
    let (rows, error) = read_from(source, 0, 0, 4_096);
    assert_eq!(error, None);
    rows.into_iter().map(|row| row.1).collect()
}

/// Checks that a split has the same rows whatever the batch size, and from every offset in `offsets`.
pub(crate) fn check_cuts_and_resumption(source: &dyn Source, split: usize, offsets: &[u64]) {
    let (rows, error) = read_from(source, split, 0, 4_096);
    for rows_max in [1, 7, 4_096] {
        assert_eq!(read_from(source, split, 0, rows_max), (rows.clone(), error.clone()), "batches of {rows_max}");
        for &offset in offsets {
            let (tail, tail_error) = read_from(source, split, offset, rows_max);
            assert_eq!(tail, rows[offset as usize..], "from {offset} in batches of {rows_max}");
            assert_eq!(tail_error, error);
        }
    }
}

/// A small generator of test data, seeded.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
