//! What a seed stands for: the job's streams, their rows, the pace at which things happen, and what happens to them.

use crate::generate::splits::{SplitsShape, TextEncoding};
use crate::generate::{ScriptShape, script, splits};
use crate::random::Random;
use crate::reference::SplitRows;
use crate::script::{StreamScript, bind};
use raympp_coordinator::IdleRule;
use raympp_types::{KeyGroups, MetricId, PartitionId, SplitId, StreamId};

/// How fast things go, and how often they go wrong. A rate of 0 is never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) interval_us: u64,
    pub(super) in_flight_max: usize,
    /// Checkpoints that stay restorable.
    pub(super) keep: usize,
    /// Longest time between two reads of a split.
    pub(super) read_us: u64,
    /// Most rows of one read.
    pub(super) read_rows: u64,
    /// Rows that make a flush.
    pub(super) flush_rows: u64,
    /// Longest time of a message on its way.
    pub(super) hop_us: u64,
    /// Longest time of an order of the persister.
    pub(super) disk_us: u64,
    /// Longest time between two steps of closing.
    pub(super) close_us: u64,
    pub(super) silence_once_in: u64,
    pub(super) silence_us: u64,
    pub(super) idle: IdleRule,
    pub(super) disk_fails_once_in: u64,
    pub(super) sink_fails_once_in: u64,
    pub(super) duplicate_once_in: u64,
    /// A delta does not arrive, nor does anything behind it, until somebody notices and the split is opened anew.
    pub(super) broken_once_in: u64,
    /// A reader is lost soon behind a mark, which not every replica has then.
    pub(super) lost_at_mark_once_in: u64,
    /// A primary is lost that has not handed over what it has closed.
    pub(super) lost_owing_once_in: u64,
    /// A sink has no room.
    pub(super) full_once_in: u64,
}

/// A stream of the job.
pub(super) struct StreamScenario {
    pub(super) id: StreamId,
    pub(super) script: StreamScript,
    /// Metrics of the first script; others come later.
    pub(super) first_metrics: usize,
    pub(super) key_groups: KeyGroups,
    pub(super) replicas: usize,
    pub(super) splits: Vec<SplitRows>,
    pub(super) joining: Vec<SplitRows>,
}

/// What happens to the job while it runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    LoseReader(StreamId, SplitId),
    /// The primary, or a standby.
    LoseReplica(StreamId, PartitionId, bool),
    AddMetric(StreamId, MetricId),
    DropMetric(StreamId, MetricId),
    Join(StreamId, SplitId),
}

/// A life of a job.
pub(super) struct Scenario {
    pub(super) streams: Vec<StreamScenario>,
    pub(super) pace: Pace,
    pub(super) changes: Vec<(u64, Change)>,
    pub(super) crashes_us: Vec<u64>,
    /// To be read beside a trace.
    pub(super) text: String,
}

/// Metrics of one stream have ids from a multiple of this on.
const METRICS_PER_STREAM: u32 = 100;

impl Scenario {
    pub(super) fn of(random: &mut Random) -> Scenario {
        let pace = Pace::of(random);
        let count = 1 + u32::from(random.once_in(3));
        let mut text = format!("{pace:?}\n");
        let streams: Vec<StreamScenario> = (0..count).map(|id| stream(random, StreamId(id), &mut text)).collect();
        let rows = |stream: &StreamScenario| stream.splits.iter().chain(&stream.joining).map(SplitRows::len).max().unwrap_or(0);
        let reads = streams.iter().map(rows).max().unwrap_or(0) / pace.read_rows.div_ceil(2) + 2;
        // Half of it is how long reading takes without a silence.
        let span_us = reads * pace.read_us;
        let mut changes: Vec<(u64, Change)> = Vec::new();
        for stream in &streams {
            let join = |split: &SplitRows| Change::Join(stream.id, split.split);
            let added = &stream.script.metrics[stream.first_metrics..];
            let add = |(id, _): &(MetricId, _)| Change::AddMetric(stream.id, *id);
            let comes = stream.joining.iter().map(join).chain(added.iter().map(add));
            changes.extend(comes.map(|change| (random.below(span_us), change)).collect::<Vec<_>>());
            for (id, _) in &stream.script.metrics[1..] {
                if random.once_in(6) {
                    changes.push((random.below(span_us), Change::DropMetric(stream.id, *id)));
                }
            }
        }
        for _ in 0..random.pick(&[0, 0, 1, 3, 8]) {
            let stream = &streams[random.index(streams.len())];
            let splits: Vec<SplitId> = stream.splits.iter().chain(&stream.joining).map(|rows| rows.split).collect();
            changes.push((random.below(span_us), Change::LoseReader(stream.id, splits[random.index(splits.len())])));
        }
        for _ in 0..random.pick(&[0, 0, 1, 3, 8]) {
            let stream = &streams[random.index(streams.len())];
            let partition = PartitionId(random.index(stream.key_groups.partitions() as usize) as u32);
            // Who loses the only one starts again.
            if stream.replicas > 1 || random.once_in(4) {
                changes.push((random.below(span_us), Change::LoseReplica(stream.id, partition, random.once_in(2))));
            }
        }
        let crashes = random.pick(&[0, 1, 1, 2, 3, 5]);
        let crashes_us: Vec<u64> = (0..crashes).map(|_| random.below(span_us)).collect();
        text += &format!("changes {changes:?}\ncrashes {crashes_us:?}\n");
        Scenario { streams, pace, changes, crashes_us, text }
    }
}

impl Pace {
    fn of(random: &mut Random) -> Pace {
        let interval_us = random.pick(&[2_000, 10_000, 30_000]);
        Pace {
            interval_us,
            in_flight_max: random.pick(&[2, 4, 16]),
            keep: random.pick(&[1, 2, 4]),
            read_us: random.pick(&[200, 2_000, 5_000]),
            read_rows: random.pick(&[1, 5, 20]),
            flush_rows: random.pick(&[1, 7, 64]),
            hop_us: random.pick(&[10, 1_000, 8_000]),
            disk_us: random.pick(&[100, 2_000, interval_us]),
            close_us: random.pick(&[10, 500, 4_000]),
            silence_once_in: random.pick(&[0, 0, 10, 40]),
            silence_us: random.pick(&[20_000, 100_000]),
            idle: IdleRule { idle_timeout_us: random.pick(&[None, Some(5_000), Some(30_000)]), disconnect_timeout_us: 40_000 },
            disk_fails_once_in: random.pick(&[0, 0, 5, 30]),
            sink_fails_once_in: random.pick(&[0, 0, 6]),
            duplicate_once_in: random.pick(&[0, 10]),
            broken_once_in: random.pick(&[0, 0, 0, 50]),
            lost_at_mark_once_in: random.pick(&[0, 0, 0, 5]),
            lost_owing_once_in: random.pick(&[0, 0, 0, 20]),
            full_once_in: random.pick(&[0, 3, 10]),
        }
    }
}

fn stream(random: &mut Random, id: StreamId, text: &mut String) -> StreamScenario {
    let shape = ScriptShape {
        metrics: random.pick(&[2, 4]),
        all_windows: !random.once_in(3),
        heavy_aggregates: random.once_in(3),
        fallible: random.once_in(3),
    };
    let bound_us = random.pick(&[0, 500_000, 2_000_000]);
    let options = random.pick(&["", "", "max_jump = '1 day'"]);
    let sql = script(random, shape, bound_us, options);
    let shape = shape_of_splits(random, bound_us);
    let partitions = random.pick(&[1, 1, 2, 3]);
    let replicas = 1 + random.index(3);
    *text += &format!("{id}: {partitions} partitions, {replicas} replicas, {shape:?}\n{sql}");
    let mut script = bind(&sql);
    script.metrics.iter_mut().for_each(|(metric, _)| metric.0 += id.0 * METRICS_PER_STREAM);
    let mut splits = splits(random, shape);
    let first = match random.index(8) {
        0 => 0,
        _ => 1 + random.index(splits.len()),
    };
    let joining = splits.split_off(first);
    StreamScenario {
        id,
        first_metrics: 1 + random.index(script.metrics.len()),
        script,
        key_groups: KeyGroups::new(KeyGroups::GROUPS_DEFAULT, partitions).expect("a valid number of partitions"),
        replicas,
        splits,
        joining,
    }
}

fn shape_of_splits(random: &mut Random, bound_us: i64) -> SplitsShape {
    SplitsShape {
        splits: 1 + random.index(4),
        rows: random.pick(&[10, 80, 200, 400]),
        batch_rows: random.pick(&[1, 16, 200]),
        keys: random.pick(&[1, 3, 10, 100]),
        start_us: random.pick(&[0, -30_000_000, 1_700_000_000_000_000]),
        step_us: random.pick(&[0, 1_000, 20_000, 300_000]),
        disorder_us: random.pick(&[0, bound_us, 3 * bound_us + 100_000]),
        null_once_in: random.pick(&[0, 5]),
        null_time_once_in: random.pick(&[0, 0, 10]),
        leap_once_in: random.pick(&[0, 0, 50]),
        undecodable_once_in: random.pick(&[0, 0, 8]),
        text: random.pick(&[TextEncoding::Plain, TextEncoding::SharedDictionary, TextEncoding::OwnDictionary]),
    }
}
