//! EMIT ON UPDATE over runs that stop, crash and are taken back: the last row per key and window is that of a run that was never disturbed, and nothing
//! is deleted that is not shown.

use crate::support::{Input, Row, builder, rows, stream, wait_for_rows};
use raympp_engine::Engine;
use raympp_engine::saved_checkpoints::{Epoch, Loss, SavedCheckpoints, restore};
use raympp_testkit::random::Random;
use raympp_tests::directory::Directory;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name, options, number of columns that name a row, and what is selected. HAVING comes and goes as rows are added.
const METRICS: [(&str, &str, usize, &str); 8] = [
    ("tumbled", "", 3, "FROM TUMBLE(p, t, INTERVAL '2 seconds') GROUP BY k, window_start, window_end HAVING COUNT(*) < 20"),
    (
        "hopped",
        "",
        3,
        "FROM HOP(p, t, INTERVAL '500 milliseconds', INTERVAL '2 seconds') GROUP BY k, window_start, window_end HAVING SUM(n) % 3 <> 0",
    ),
    ("cumulated", "", 3, "FROM CUMULATE(p, t, INTERVAL '1 second', INTERVAL '4 seconds') GROUP BY k, window_start, window_end"),
    ("sessions", "", 3, "FROM SESSION(p, t, INTERVAL '90 milliseconds') GROUP BY k, window_start, window_end HAVING COUNT(*) <> 2"),
    ("long_sessions", "", 3, "FROM SESSION(p, t, INTERVAL '400 milliseconds') GROUP BY k, window_start, window_end"),
    ("totals", "", 1, "FROM p GROUP BY k HAVING SUM(n) % 2 = 0"),
    ("all_totals", "", 1, "FROM p GROUP BY k"),
    ("recent", " WITH (ttl = '150 milliseconds')", 1, "FROM p GROUP BY k HAVING COUNT(*) % 3 <> 1"),
];

/// How often the sinks' changes come; by wall time.
const EVERY: [&str; 3] = ["", " EVERY INTERVAL '7 milliseconds'", " EVERY INTERVAL '1 hour'"];

fn script(directory: &Directory, input: &Input, out: &str, follow: bool) -> String {
    let mut sql = stream(100, Some((&input.path, follow)));
    for (name, options, names, from) in METRICS {
        let window = if names == 3 { ", window_start, window_end" } else { "" };
        sql += &format!("CREATE METRIC {name}{options} AS SELECT k{window}, COUNT(*) AS c, SUM(n) AS s, MAX(n) AS m {from};\n");
        for (number, every) in EVERY.iter().enumerate() {
            let path = directory.text(&format!("{out}/{name}-{number}"));
            sql += &format!(
                "CREATE SINK {name}_{number} FROM {name} EMIT ON UPDATE{every} WITH (connector = 'file', path = '{path}', roll = '1 microsecond');\n"
            );
        }
    }
    sql
}

/// What each sink shows in the end, by its directory: rows by what names them.
fn shown(directory: &Directory, out: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (name, _, names, _) in METRICS {
        for number in 0..EVERY.len() {
            let place = format!("{name}-{number}");
            let mut rows = BTreeMap::new();
            for line in directory.csv_lines(&format!("{out}/{place}")) {
                let (op, row) = line.split_once(',').unwrap();
                let name = row.split(',').take(names).collect::<Vec<_>>().join(",");
                match op {
                    "upsert" => {
                        let before = rows.insert(name, row.to_owned());
                        let falls = |before: String| count(&before, names) > count(row, names);
                        assert!(
                            place.split('-').next() != Some("all_totals") || !before.is_some_and(falls),
                            "{out}, {place}: {row} is of the past"
                        );
                    }
                    "delete" => {
                        assert!(rows.remove(&name).is_some(), "{out}, {place}: {name} is deleted and was not shown");
                        assert_eq!(row, format!("{name},,,"), "a deletion names a row");
                    }
                    _ => panic!("{line}"),
                }
            }
            assert!(!rows.is_empty(), "{place} shows something");
            all.insert(place, rows);
        }
    }
    all
}

fn count(row: &str, names: usize) -> u64 {
    row.split(',').nth(names).unwrap().parse().unwrap()
}

fn undisturbed(directory: &Directory, input: &Input) -> BTreeMap<String, BTreeMap<String, String>> {
    let engine = Engine::builder().threads(1).build().unwrap();
    engine.execute(&script(directory, input, "undisturbed", false)).unwrap();
    assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
    shown(directory, "undisturbed")
}

/// A run of a job that follows its input. What it has told of is read and checkpointed.
fn run(directory: &Directory, input: &Input, random: &mut Random, read: usize, follow: bool) -> Engine {
    let partitions = 1 + random.below(4) as u32;
    let replicas = 1 + random.index(2);
    let engine = builder(directory)
        .threads(1 + random.index(2))
        .partitions(partitions)
        .replicas(replicas)
        .flush_rows(3)
        .keep_checkpoints(1000)
        .build()
        .unwrap();
    engine.execute(&script(directory, input, "out", follow)).unwrap();
    if follow {
        wait_for_rows(&engine, read as u64);
    } else {
        assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
    }
    engine
}

/// Rows of keys that come again and again, and of some that come for a short time only.
fn changing_keys(random: &mut Random) -> Vec<Row> {
    let mut all = rows(random, 600);
    all.iter_mut().enumerate().filter(|(i, _)| i % 4 == 0).for_each(|(i, row)| row.k = format!("for a time {}", i / 24));
    all
}

/// Lines of each sink so far, and up to where windows had closed at the newest checkpoint, as files show it.
fn said(directory: &Directory, state: &Path) -> (BTreeMap<String, usize>, String) {
    let saved = SavedCheckpoints::open(state.to_str().unwrap()).unwrap();
    let contents = saved.contents().unwrap();
    let commit = contents.commit(*contents.epochs().unwrap().last().unwrap()).unwrap();
    let us = commit.streams[0].frontier.0.max(0);
    let frontier = format!("1970-01-01 00:{:02}:{:02}.{:06}", us / 60_000_000, us / 1_000_000 % 60, us % 1_000_000);
    let places = METRICS.iter().flat_map(|(name, ..)| (0..EVERY.len()).map(move |number| format!("{name}-{number}")));
    (places.map(|place| (place.clone(), directory.csv_lines(&format!("out/{place}")).len())).collect(), frontier)
}

/// Nothing is said of windows that had closed.
fn assert_silent_of_the_past(directory: &Directory, (before, frontier): &(BTreeMap<String, usize>, String)) {
    for (name, ..) in METRICS.iter().filter(|(_, _, names, _)| *names == 3) {
        for place in (0..EVERY.len()).map(|number| format!("{name}-{number}")) {
            for line in directory.csv_lines(&format!("out/{place}")).iter().skip(before[&place]) {
                let end = line.split(',').nth(3).unwrap();
                assert!(end > frontier.as_str(), "{place}: {line} after {frontier}");
            }
        }
    }
}

fn ends_as_if_undisturbed(seed: u64, taken_back: bool) {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), &format!("changelogs-{seed}-{taken_back}"));
    let (mut random, input) = (Random::new(seed), Input::new(&directory));
    let all = changing_keys(&mut random);
    let state = PathBuf::from(directory.text("state"));
    let mut epochs: Vec<Epoch> = Vec::new();
    let mut read = 0;
    let mut past = None;
    for _ in 0..4 {
        let engine = run(&directory, &input, &mut random, read, true);
        for _ in 0..3 {
            let more = random.index(50);
            input.append(&all[read..read + more]);
            read += more;
            wait_for_rows(&engine, read as u64);
        }
        epochs.push(engine.checkpoint().unwrap());
        // After a few more rows, with a checkpoint at its end or without. A job that is to be taken back has published all that it has committed.
        let more = random.index(20);
        input.append(&all[read..read + more]);
        read += more;
        if taken_back || random.below(2) == 0 {
            wait_for_rows(&engine, read as u64);
            engine.shutdown().unwrap();
        } else {
            drop(engine);
        }
        past.take().iter().for_each(|past| assert_silent_of_the_past(&directory, past));
        if taken_back && random.below(2) == 0 {
            past = Some(said(&directory, &state));
            let to = random.index(epochs.len());
            restore(&state, epochs[to], Loss::Refuse).unwrap();
            epochs.truncate(to + 1);
        }
    }
    input.append(&all[read..]);
    drop(run(&directory, &input, &mut random, read, false));
    past.iter().for_each(|past| assert_silent_of_the_past(&directory, past));
    let (expected, found) = (undisturbed(&directory, &input), shown(&directory, "out"));
    for (sink, expected) in &expected {
        assert_eq!(expected, &found[sink], "seed {seed}, sink {sink}");
    }
}

#[test]
fn a_changelog_goes_on_where_it_stopped() {
    (1..=5).for_each(|seed| ends_as_if_undisturbed(seed, false));
}

#[test]
fn a_changelog_of_a_job_taken_back_says_nothing_of_the_past() {
    (1..=5).for_each(|seed| ends_as_if_undisturbed(seed, true));
}
