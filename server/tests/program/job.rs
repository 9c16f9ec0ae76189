//! A job whose results are known row by row, the program run on it, and what it has published.
#![allow(dead_code, reason = "each test binary uses a part")]

use super::place::Place;
use super::support::Directory;
pub(crate) use raympp_testkit::program::{number, run_for, start};
use std::collections::BTreeMap;
use std::process::Command;

/// Payments out of order, some of them late; three kinds of windows, all file formats that are text, late rows.
pub(crate) struct Payments {
    pub(crate) rows: u64,
    /// Rows per second; 0: as fast as it can.
    pub(crate) rate: u64,
    pub(crate) splits: u64,
}

impl Payments {
    /// The script, with sinks below the directory `out`.
    pub(crate) fn script(&self, directory: &Directory, out: &str) -> String {
        let Payments { rows, rate, splits } = self;
        let pace = if *rate > 0 { format!(", rate = '{rate}'") } else { String::new() };
        let sink = |name: &str, from: &str, options: &str| {
            format!("CREATE SINK {name}_out FROM {from} WITH (connector = 'file', path = '{}/{name}'{options});\n", directory.text(out))
        };
        format!(
            "CREATE STREAM payments (channel VARCHAR, merchant BIGINT, status VARCHAR, amount DECIMAL(18,2), event_time TIMESTAMP,
               WATERMARK FOR event_time AS event_time - INTERVAL '100 milliseconds')
             WITH (connector = 'payments', rows = '{rows}', splits = '{splits}', event_rate = '20000', keys = '50', skew = '0.9',
                   out_of_orderness = '150ms'{pace});
             CREATE METRIC rates AS SELECT channel, window_start, window_end, COUNT(*) AS n, SUM(amount) AS total,
               COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS rate, MAX(amount) AS most,
               APPROX_COUNT_DISTINCT(merchant) AS merchants
             FROM HOP(payments, event_time, INTERVAL '100 milliseconds', INTERVAL '1 second') GROUP BY channel, window_start, window_end;
             CREATE METRIC visits AS SELECT merchant, window_start, window_end, COUNT(*) AS n, FIRST_VALUE(channel) AS first
             FROM SESSION(payments, event_time, INTERVAL '50 milliseconds') GROUP BY merchant, window_start, window_end;
             CREATE METRIC per_second AS SELECT window_start, status, COUNT(*) AS n, AVG(amount) AS mean
             FROM TUMBLE(payments, event_time, INTERVAL '1 second') GROUP BY window_start, status HAVING COUNT(*) > 10;\n{}{}{}{}",
            sink("rates", "rates", ", sorted = true, roll = '100ms'"),
            sink("visits", "visits", ", format = 'jsonl', roll = '30ms'"),
            sink("seconds", "per_second", ""),
            sink("late", "payments_late", ", roll = '50ms'"),
        )
    }
}

/// `run` on a script; with a state directory if one is named, and a place outside.
pub(crate) fn command(script: &str, state: Option<&str>, place: Option<(&Place, &str)>) -> Command {
    command_of((script, 3), state.map(|state| (state, "20ms")), place)
}

/// The same with so many partitions and time between checkpoints.
pub(crate) fn command_of((script, partitions): (&str, u32), state: Option<(&str, &str)>, place: Option<(&Place, &str)>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raympp"));
    command.args(["run", script, "--plain", "--threads", "2", "--partitions", &partitions.to_string()]);
    if let Some((state, interval)) = state {
        command.args(["--state-dir", state, "--checkpoint-interval", interval]);
    }
    if let Some((place, job)) = place {
        command.args(["--checkpoint-url", &place.url(job)]);
        place.tell(&mut command);
    }
    command
}

/// Lines of sinks.
pub(crate) type Published = BTreeMap<String, Vec<String>>;

/// All lines of all published parts of each sink, sorted. Headers are lines too, but as many as there are parts, so they count once.
pub(crate) fn published(directory: &Directory, out: &str) -> Published {
    let mut sinks = Published::new();
    for sink in std::fs::read_dir(directory.text(out)).into_iter().flatten() {
        let sink = sink.expect("an entry");
        let mut lines = Vec::new();
        let mut header = None;
        for entry in std::fs::read_dir(sink.path()).expect("a sink's directory") {
            let path = entry.expect("an entry").path();
            if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-")) {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a part");
            assert!(text.is_empty() || text.ends_with('\n'), "{}: the last line is torn", path.display());
            let mut of_part = text.lines().map(str::to_owned);
            if path.extension().is_some_and(|extension| extension == "csv") {
                header = of_part.next();
            }
            lines.extend(of_part);
        }
        lines.sort_unstable();
        lines.extend(header);
        sinks.insert(sink.file_name().to_string_lossy().into_owned(), lines);
    }
    sinks
}

/// What a run that was never disturbed publishes.
pub(crate) fn undisturbed(directory: &Directory, name: &str, script: &str) -> Published {
    let script = directory.write(&format!("{name}.sql"), script);
    let (status, problems) = run_for(start(command(&script, None, None)), None).expect("it ends by itself");
    assert!(status.success(), "{problems}");
    let expected = published(directory, name);
    assert!(expected.len() > 1 && expected.values().all(|lines| lines.len() > 5), "each sink has rows");
    expected
}

pub(crate) fn assert_equal(expected: &Published, found: &Published, story: &str) {
    for (sink, expected) in expected {
        let nothing = Vec::new();
        let found = found.get(sink).unwrap_or(&nothing);
        if expected == found {
            continue;
        }
        let missing: Vec<&String> = expected.iter().filter(|line| !found.contains(line)).take(3).collect();
        let twice: Vec<&String> = found.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).take(3).collect();
        let foreign: Vec<&String> = found.iter().filter(|line| !expected.contains(line)).take(3).collect();
        panic!(
            "{story}: sink {sink}: {} lines expected, {} found; missing {missing:?}, repeated {twice:?}, foreign {foreign:?}",
            expected.len(),
            found.len()
        );
    }
}
