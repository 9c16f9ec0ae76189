//! Random scripts over random splits, run in random order. A failure prints the seed, the script and the run.

use crate::harness::{Changes, Harness, Run};
use raympp_testkit::generate::splits::{SplitsShape, TextEncoding};
use raympp_testkit::generate::{ScriptShape, script, splits};
use raympp_testkit::random::Random;
use raympp_testkit::script::bind;

const PLAIN: ScriptShape = ScriptShape { metrics: 3, all_windows: false, heavy_aggregates: false, fallible: false };

const ALL: ScriptShape = ScriptShape { metrics: 6, all_windows: true, heavy_aggregates: true, fallible: true };

/// Prints what is needed to see a failure again.
pub(crate) struct Story(pub(crate) String);

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

pub(crate) fn run_of(random: &mut Random) -> Run {
    Run {
        partitions: random.pick(&[1, 1, 3, 16]),
        replicas: 1 + random.index(2),
        flush_rows: random.pick(&[1, 7, 64, 4096]),
        push_rows: random.pick(&[1, 5, 100, 4096]),
        look_once_in: random.pick(&[0, 40]),
        floor_once_in: random.pick(&[0, 0, 4]),
    }
}

pub(crate) fn splits_of(random: &mut Random, bound_us: i64) -> SplitsShape {
    SplitsShape {
        splits: 1 + random.index(3),
        rows: random.pick(&[10, 60, 200]),
        batch_rows: random.pick(&[1, 16, 200]),
        keys: random.pick(&[1, 3, 10, 100]),
        start_us: random.pick(&[0, -30_000_000, 1_700_000_000_000_000, -2_000_000_000_123_457]),
        step_us: random.pick(&[0, 20_000, 300_000, 5_000_000]),
        disorder_us: random.pick(&[0, bound_us, 3 * bound_us + 100_000]),
        null_once_in: random.pick(&[0, 5]),
        null_time_once_in: random.pick(&[0, 0, 10]),
        leap_once_in: random.pick(&[0, 0, 50]),
        undecodable_once_in: random.pick(&[0, 0, 8]),
        text: random.pick(&[TextEncoding::Plain, TextEncoding::SharedDictionary, TextEncoding::OwnDictionary]),
    }
}

/// Streams per test; the variable `RAYMPP_SEEDS` asks for more.
pub(crate) fn streams() -> u64 {
    std::env::var("RAYMPP_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60)
}

/// What happens besides rows.
#[derive(Clone, Copy)]
enum Events {
    None,
    /// Metrics and splits come and go.
    Changes,
    /// Everything is lost but checkpoints.
    Restarts,
    /// Primaries are lost.
    Promotions,
    /// Readers of splits are lost, while metrics and splits come and go.
    Takeovers,
}

/// Runs random streams of the seeds from this one on.
fn check(first_seed: u64, shape: ScriptShape, events: Events) {
    for seed in first_seed..first_seed + streams() {
        let mut random = Random::new(seed);
        let bound_us = random.pick(&[0, 500_000, 2_000_000]);
        let options = random.pick(&["", "", "max_jump = '1 day'"]);
        let sql = script(&mut random, shape, bound_us, options);
        let (rows, run) = (splits_of(&mut random, bound_us), run_of(&mut random));
        let run = if let Events::Promotions = events { Run { replicas: 2, look_once_in: 0, floor_once_in: 0, ..run } } else { run };
        let _story = Story(format!("seed {seed}\n{sql}{rows:?}\n{run:?}"));
        let script = bind(&sql);
        let splits = splits(&mut random, rows);
        let mut harness = match events {
            Events::None | Events::Restarts | Events::Promotions => Harness::new(&script, &splits, run),
            Events::Changes | Events::Takeovers => {
                let (first, joining) = splits.split_at(1 + random.index(splits.len()));
                let changes =
                    Changes { first_metrics: 1 + random.index(script.metrics.len()), drops: random.index(3), joining: joining.to_vec() };
                Harness::with_changes(&script, first, run, changes)
            }
        };
        match events {
            Events::Promotions => {
                harness.run_with_promotions(&mut random, 6);
                continue;
            }
            Events::None | Events::Changes => harness.run_to_end(&mut random),
            Events::Restarts => harness.run_with_restarts(&mut random, 3),
            Events::Takeovers => harness.run_with_takeovers(&mut random, 12),
        }
        harness.check_results();
    }
}

#[test]
fn tumbles_and_hops_of_numbers_agree_with_the_reference() {
    check(0, PLAIN, Events::None);
}

#[test]
fn all_windows_of_numbers_agree_with_the_reference() {
    check(1_000_000, ScriptShape { metrics: 4, all_windows: true, ..PLAIN }, Events::None);
}

#[test]
fn all_aggregates_agree_with_the_reference() {
    check(2_000_000, ScriptShape { metrics: 2, heavy_aggregates: true, ..PLAIN }, Events::None);
}

#[test]
fn rows_that_cannot_be_evaluated_agree_with_the_reference() {
    check(3_000_000, ScriptShape { metrics: 3, fallible: true, ..PLAIN }, Events::None);
}

#[test]
fn everything_together_agrees_with_the_reference() {
    check(4_000_000, ALL, Events::None);
}

#[test]
fn metrics_and_splits_that_come_and_go_agree_with_the_reference() {
    check(5_000_000, ALL, Events::Changes);
}

#[test]
fn restarts_from_epoch_lists_change_nothing() {
    check(6_000_000, ALL, Events::Restarts);
}

#[test]
fn splits_whose_readers_are_lost_agree_with_the_reference() {
    check(7_000_000, ALL, Events::Takeovers);
}

#[test]
fn windows_of_primaries_that_are_lost_are_received_once() {
    check(8_000_000, ALL, Events::Promotions);
}
