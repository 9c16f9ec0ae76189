//! Metrics that come and go, start anew, and partitions that are others from run to run: the results are those of one engine that never stopped and
//! was told the same by statements at the same rows.

use crate::support::{Definition, Input, Row, builder, push, results, rows, stream, wait_for_rows};
use raympp_engine::Engine;
use raympp_testkit::random::Random;
use raympp_tests::directory::Directory;
use std::collections::BTreeMap;
use std::time::Duration;

/// Metrics that share stores in all the ways there are: slices of several widths, subsets of aggregates, WHERE, expressions that can fail.
fn definitions() -> Vec<Definition> {
    let tumble = |size: &str| format!("TUMBLE(p, t, INTERVAL '{size}')");
    let windowed = |keys: &str, what: &str, from: &str, filter: &str| {
        let comma = if keys.is_empty() { "" } else { ", " };
        format!("SELECT {keys}{comma}window_start, window_end, {what} FROM {from} {filter} GROUP BY {keys}{comma}window_start, window_end")
    };
    let hop = "HOP(p, t, INTERVAL '500 milliseconds', INTERVAL '3 seconds')";
    let session = "SESSION(p, t, INTERVAL '90 milliseconds')";
    [
        ("seconds", windowed("k", "COUNT(*) AS c, SUM(n) AS s", &tumble("1 second"), "")),
        ("fives", windowed("k", "SUM(n) AS s, MAX(n) AS m", &tumble("5 seconds"), "")),
        ("hops", windowed("k", "AVG(n) AS a, MIN(n) AS m", hop, "")),
        ("distinct_hops", windowed("k", "COUNT(DISTINCT n) AS d, LAST_VALUE(n) AS l", hop, "")),
        ("global_hops", windowed("", "COUNT(*) AS c, VAR_POP(n) AS v", hop, "")),
        ("positive", windowed("k", "COUNT(*) AS c", &tumble("2 seconds"), "WHERE n > 0")),
        ("fails", windowed("k", "SUM(1000 / n) AS s, COUNT(*) AS c", &tumble("2 seconds"), "")),
        ("fails_too", windowed("k", "SUM(1000 / n) AS s", &tumble("4 seconds"), "")),
        ("sessions", windowed("k", "COUNT(*) AS c, SUM(n) AS s", session, "")),
        ("sessions_max", windowed("k", "MAX(n) AS m", session, "")),
        ("totals", "SELECT k, COUNT(*) AS c, SUM(n) AS s FROM p GROUP BY k".to_owned()),
        ("total", "SELECT COUNT(n) AS c, MIN(n) AS m FROM p".to_owned()),
    ]
    .into_iter()
    .map(|(name, select)| Definition::new(name, &select))
    .collect()
}

/// A metric, and a directory for its sink that is another one if the metric comes again.
type Placed = (Definition, String);

/// What is there while some of the rows are read.
struct Stage {
    metrics: Vec<Placed>,
    partitions: Option<u32>,
    threads: usize,
    rows: Vec<Row>,
}

fn stages(random: &mut Random) -> Vec<Stage> {
    let mut all = rows(random, 600);
    let count = 2 + random.index(3);
    let mut before: Vec<Placed> = Vec::new();
    let stage = |stage: usize| {
        let taken = if stage + 1 == count { all.len() } else { random.index(all.len().min(300)) };
        let place = |one: Definition| {
            let known = before.iter().find(|(other, _)| *other == one).cloned();
            known.unwrap_or_else(|| (one, format!("since-{stage}")))
        };
        before = definitions().into_iter().filter(|_| random.below(5) > 1).map(place).collect();
        Stage {
            metrics: before.clone(),
            partitions: (random.below(2) == 0).then(|| 1 + random.below(5) as u32),
            threads: 1 + random.index(3),
            rows: all.drain(..taken).collect(),
        }
    };
    (0..count).map(stage).collect()
}

/// One engine that never stops.
fn undisturbed(directory: &Directory, stages: &[Stage]) -> BTreeMap<String, Vec<String>> {
    let engine = Engine::builder().threads(2).barrier_interval_us(5_000).build().unwrap();
    let mut there: Vec<Placed> = Vec::new();
    let mut writer = None;
    for stage in stages {
        let is_in = |metrics: &[Placed], one: &Placed| metrics.iter().any(|other| other == one);
        let gone = there.iter().filter(|one| !is_in(&stage.metrics, one));
        let drop_one = |(one, _): &Placed| {
            let sink = if one.has_windows { format!("DROP SINK {}_out;", one.name) } else { String::new() };
            format!("{sink} DROP METRIC {};\n", one.name)
        };
        let mut sql: String = gone.map(drop_one).collect();
        if writer.is_none() {
            sql = stream(100, None);
        }
        sql.extend(
            stage
                .metrics
                .iter()
                .filter(|one| !is_in(&there, one))
                .map(|(one, since)| one.create(directory, &format!("undisturbed/{since}"))),
        );
        engine.execute(&sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        there.clone_from(&stage.metrics);
        let writer = writer.get_or_insert_with(|| engine.writer("p").unwrap());
        push(writer, &stage.rows);
    }
    writer.unwrap().finish();
    assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
    collect(&engine, directory, "undisturbed", &there)
}

/// An engine per stage, which goes on where the last one stopped.
fn restarted(directory: &Directory, stages: &[Stage]) -> BTreeMap<String, Vec<String>> {
    let input = Input::new(directory);
    let mut read = 0;
    for (number, stage) in stages.iter().enumerate() {
        let last = number + 1 == stages.len();
        input.append(&stage.rows);
        read += stage.rows.len() as u64;
        let mut options = builder(directory).threads(stage.threads);
        if let Some(partitions) = stage.partitions {
            options = options.partitions(partitions);
        }
        let engine = options.build().unwrap();
        let mut sql = stream(100, Some((&input.path, !last)));
        sql.extend(stage.metrics.iter().map(|(one, since)| one.create(directory, &format!("restarted/{since}"))));
        engine.execute(&sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        engine.forget_absent();
        if last {
            assert!(engine.wait_timeout(Duration::from_secs(60)).unwrap());
            return collect(&engine, directory, "restarted", &stage.metrics);
        }
        wait_for_rows(&engine, read);
        engine.shutdown().unwrap();
    }
    BTreeMap::new()
}

fn collect(engine: &Engine, directory: &Directory, out: &str, metrics: &[Placed]) -> BTreeMap<String, Vec<String>> {
    metrics.iter().map(|(one, since)| (one.name.clone(), results(engine, directory, &format!("{out}/{since}"), one))).collect()
}

#[test]
fn a_job_goes_on_with_other_metrics_partitions_and_threads() {
    for seed in 1..=24 {
        let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"), &format!("restarts-{seed}"));
        let mut random = Random::new(seed);
        let stages = stages(&mut random);
        let story: Vec<_> = stages
            .iter()
            .map(|stage| (stage.metrics.iter().map(|(one, _)| &*one.name).collect::<Vec<_>>(), stage.partitions, stage.rows.len()))
            .collect();
        let (expected, found) = (undisturbed(&directory, &stages), restarted(&directory, &stages));
        for (metric, expected) in &expected {
            assert_eq!(expected, &found[metric], "seed {seed}, {metric}: {story:#?}");
        }
    }
}
