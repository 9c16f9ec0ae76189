//! A followed file that grows from run to run, and the runs.

use raympp_engine::{Engine, EngineBuilder, Error, Writer};
use raympp_testkit::random::Random;
use raympp_testkit::rows::rows_sorted;
use raympp_tests::directory::Directory;
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// A row; event time in microseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) k: String,
    pub(crate) n: Option<i64>,
    pub(crate) t: i64,
}

/// A metric and the sink that takes its windows, if it has any.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    /// What stands behind CREATE METRIC … AS.
    pub(crate) select: String,
    pub(crate) has_windows: bool,
}

impl Definition {
    pub(crate) fn new(name: &str, select: &str) -> Definition {
        Definition { name: name.to_owned(), select: select.to_owned(), has_windows: select.contains("window_start") }
    }

    /// The statements that make the metric and its sink.
    pub(crate) fn create(&self, directory: &Directory, out: &str) -> String {
        let Definition { name, select, has_windows } = self;
        let mut sql = format!("CREATE METRIC {name} AS {select};\n");
        if *has_windows {
            let path = directory.text(&format!("{out}/{name}"));
            writeln!(sql, "CREATE SINK {name}_out FROM {name} WITH (connector = 'file', path = '{path}', roll = '1ms');").unwrap();
        }
        sql
    }
}

/// A stream of rows that may be `bound_ms` late, in a file or, without one, of a writer.
pub(crate) fn stream(bound_ms: u64, file: Option<(&str, bool)>) -> String {
    let connector = file
        .map_or(String::new(), |(path, follow)| format!(" WITH (connector = 'file', path = '{path}', format = 'csv', follow = {follow})"));
    format!("CREATE STREAM p (k VARCHAR, n BIGINT, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL '{bound_ms} milliseconds'){connector};\n")
}

/// Rows about 10 ms apart, out of order by up to 300 ms.
pub(crate) fn rows(random: &mut Random, count: usize) -> Vec<Row> {
    let row = |i: usize| Row {
        k: format!("k{}", random.below(7)),
        n: (random.below(9) > 0).then(|| random.below(1000) as i64 - 300),
        t: i as i64 * 10_000 + random.below(300_000) as i64,
    };
    (0..count).map(row).collect()
}

pub(crate) fn csv(rows: &[Row]) -> String {
    let mut text = String::new();
    for Row { k, n, t } in rows {
        let n = n.map_or(String::new(), |n| n.to_string());
        writeln!(text, "{k},{n},1970-01-01 00:{:02}:{:02}.{:06}", t / 60_000_000, t / 1_000_000 % 60, t % 1_000_000).unwrap();
    }
    text
}

/// The file that a job follows.
pub(crate) struct Input {
    pub(crate) path: String,
}

impl Input {
    pub(crate) fn new(directory: &Directory) -> Input {
        Input { path: directory.write("input.csv", "k,n,t\n") }
    }

    pub(crate) fn append(&self, rows: &[Row]) {
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.path).unwrap();
        std::io::Write::write_all(&mut file, csv(rows).as_bytes()).unwrap();
    }
}

pub(crate) fn builder(directory: &Directory) -> EngineBuilder {
    Engine::builder().threads(2).state_dir(directory.text("state")).barrier_interval_us(5_000)
}

/// Waits until a stream has read so many rows.
pub(crate) fn wait_for_rows(engine: &Engine, rows: u64) {
    let read = || engine.stats().streams.iter().map(|stream| stream.rows).min().unwrap_or(0);
    while read() < rows {
        engine.wait_timeout(Duration::from_millis(1)).unwrap();
    }
}

/// Gives a writer rows, and returns when they are counted.
pub(crate) fn push(writer: &Writer, rows: &[Row]) {
    rows.iter().for_each(|row| writer.push(row).unwrap());
    writer.flush().unwrap();
}

/// The published rows of a metric's sink, sorted, or what a SELECT shows of a metric without windows.
pub(crate) fn results(engine: &Engine, directory: &Directory, out: &str, definition: &Definition) -> Vec<String> {
    if !definition.has_windows {
        return rows_sorted(&[engine.query(&format!("SELECT * FROM {}", definition.name)).unwrap()]);
    }
    let mut lines = directory.csv_lines(&format!("{out}/{}", definition.name));
    lines.sort_unstable();
    lines
}

/// The message of a script that is refused.
pub(crate) fn refusal(engine: &Engine, sql: &str) -> String {
    match engine.execute(sql) {
        Err(Error::Refused(message)) => message,
        other => panic!("not refused: {other:?}"),
    }
}
