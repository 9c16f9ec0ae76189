//! File sinks with `sorted = true`: each window by key, and no window in two parts.

use crate::support::{STREAM, engine_of, p, push};
use raympp_tests::directory::Directory;
use raympp_tests::job::{DEADLINE, Shape};
use std::collections::BTreeMap;

fn directory(name: &str) -> Directory {
    Directory::new(env!("CARGO_TARGET_TMPDIR"), &format!("sorted-{name}"))
}

/// Three metrics that show the key last, not at all, and neither key nor window.
const METRICS: &str = "
CREATE METRIC shown AS SELECT COUNT(*) AS c, n, EXTRACT(EPOCH FROM window_start) AS a, k
FROM TUMBLE(p, t, INTERVAL '10 seconds') GROUP BY k, n, window_start, window_end;
CREATE METRIC keyless AS SELECT COUNT(*) AS c, window_end
FROM TUMBLE(p, t, INTERVAL '10 seconds') GROUP BY k, window_start, window_end;
CREATE METRIC bare AS SELECT COUNT(*) AS c FROM TUMBLE(p, t, INTERVAL '10 seconds') GROUP BY k, window_start, window_end;";

#[test]
fn a_window_is_sorted_by_its_key_whatever_is_shown() {
    let directory = directory("by-key");
    let sink = |metric: &str| {
        let path = directory.text(metric);
        format!("CREATE SINK {metric}_out FROM {metric} WITH (connector = 'file', path = '{path}', sorted = true);")
    };
    let sinks: String = ["shown", "keyless", "bare"].map(sink).concat();
    let engine = engine_of(&format!("{STREAM}{METRICS}{sinks}"));
    let writer = engine.writer("p").expect("a writer");
    // In window 0 key c has four rows, b one, a two; in window 1 key a has three, b one.
    let first = [p("c", 2, 1.0), p("c", 2, 1.0), p("c", 1, 1.0), p("c", 1, 1.0), p("b", 9, 1.0), p("a", 3, 1.0), p("a", -3, 1.0)];
    let second = [p("b", 1, 11.0), p("a", 2, 11.0), p("a", 2, 11.0), p("a", 1, 11.0)];
    push(&writer, &first);
    push(&writer, &second);
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    let shown = ["1,-3,0,a", "1,3,0,a", "1,9,0,b", "2,1,0,c", "2,2,0,c", "1,1,10,a", "2,2,10,a", "1,1,10,b"];
    assert_eq!(directory.csv_lines("shown"), shown);
    let (one, two) = ("1970-01-01 00:00:10.000000", "1970-01-01 00:00:20.000000");
    let keyless = [("2", one), ("1", one), ("4", one), ("3", two), ("1", two)];
    assert_eq!(directory.csv_lines("keyless"), keyless.map(|(count, end)| format!("{count},{end}")));
    assert_eq!(directory.csv_lines("bare"), ["2", "1", "4", "3", "1"]);
}

/// However often parts are rolled, and however far partitions are apart, a window is in one part, in the order of its key.
#[test]
fn a_roll_cuts_no_window() {
    let directory = directory("rolls");
    let engine = Shape { threads: 2, partitions: 16, flush_rows: 50, replicas: 1 }.engine();
    let path = directory.text("out");
    engine
        .execute(&format!(
            "{STREAM}
             CREATE METRIC m AS SELECT n, EXTRACT(EPOCH FROM window_start) AS a, COUNT(*) AS c
             FROM TUMBLE(p, t, INTERVAL '1 second') GROUP BY n, window_start, window_end;
             CREATE SINK out FROM m WITH (connector = 'file', path = '{path}', sorted = true, roll = '1 microsecond');"
        ))
        .expect("a right script");
    let writer = engine.writer("p").expect("a writer");
    let (windows, keys) = (60, 40);
    for window in 0..windows {
        let rows: Vec<_> = (0..keys).rev().map(|key| p("", key, window as f64)).collect();
        push(&writer, &rows);
    }
    writer.finish();
    assert!(engine.wait_timeout(DEADLINE).expect("no failure"));
    let parts = directory.parts("out");
    assert!(parts.len() > 1, "it has rolled");
    let mut part_of: BTreeMap<i64, usize> = BTreeMap::new();
    let mut found: Vec<String> = Vec::new();
    for (part, path) in parts.iter().enumerate() {
        for line in std::fs::read_to_string(path).expect("a part").lines().skip(1) {
            let window = line.split(',').nth(1).and_then(|second| second.parse().ok()).expect("a number");
            assert_eq!(*part_of.entry(window).or_insert(part), part, "window {window} is in two parts");
            found.push(line.to_owned());
        }
    }
    let expected: Vec<String> = (0..windows).flat_map(|window| (0..keys).map(move |key| format!("{key},{window},1"))).collect();
    assert_eq!(found, expected);
}
