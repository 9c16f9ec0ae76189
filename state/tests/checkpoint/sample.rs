//! Records with all kinds of accumulators, partitions' states and commits, made from seeds.

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn, PickOrder, RowOffsets, RowStamps, fold};
use raympp_operators::expr::Expr;
use raympp_state::checkpoint::{
    Ahead, Commit, Counts, MetricCommit, PartitionBatch, PartitionState, Pieces, Record, RecordId, SinkCommit, SliceId, SplitCommit,
    SplitState, StoreCommit, StreamCommit,
};
use raympp_state::delta::{KeyList, Mark};
use raympp_testkit::random::Random;
use raympp_types::{DataType, Epoch, EventTime, MetricId, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, StoreUid, StreamId};
use std::sync::Arc;

fn whole() -> Expr {
    Expr::column(0, "x", DataType::BigInt)
}

fn float() -> Expr {
    Expr::column(1, "f", DataType::Double)
}

fn text() -> Expr {
    Expr::column(2, "s", DataType::Varchar)
}

fn truth() -> Expr {
    Expr::column(3, "b", DataType::Boolean)
}

/// One accumulator of each kind and width.
pub(crate) fn accumulators() -> Vec<Accumulator> {
    vec![
        Accumulator::Count { filter: Some(truth()) },
        Accumulator::NullCount { input: whole(), filter: None },
        Accumulator::CountTrue { input: truth(), filter: Some(truth()) },
        Accumulator::Sum { input: whole(), filter: None },
        Accumulator::Sum { input: float(), filter: None },
        Accumulator::SumSquares { input: whole(), filter: None },
        Accumulator::SumSquares { input: float(), filter: None },
        Accumulator::FloatRest { input: float(), filter: None, squares: false },
        Accumulator::Max { input: whole(), filter: None },
        Accumulator::Min { input: float(), filter: None },
        Accumulator::Pick { order: PickOrder::First, inputs: vec![text()], filter: None },
        Accumulator::Multiset { input: text(), filter: None },
        Accumulator::Hll { input: text(), filter: None },
        Accumulator::DdSketch { input: float(), filter: None },
    ]
}

/// Columns that a batch of `rows` rows has, by the accumulators' inputs.
struct Rows {
    whole: ArrayRef,
    float: ArrayRef,
    text: ArrayRef,
    truth: BooleanArray,
    event_times_us: Vec<i64>,
    /// Of the first row; no two batches share one.
    offset: Offset,
    groups: Vec<u32>,
}

/// Two or three rows for each group.
fn rows(random: &mut Random, groups: usize) -> Rows {
    let groups: Vec<u32> = (0..groups as u32).flat_map(|group| std::iter::repeat_n(group, 2 + random.index(2))).collect();
    let count = groups.len();
    let whole: Int64Array = (0..count).map(|_| (!random.once_in(5)).then(|| random.bits() as i64)).collect();
    let floats = [1.5, -0.1, 1e300, f64::NAN, 3e-200, 17.25];
    let float: Float64Array = (0..count).map(|_| Some(random.pick(&floats))).collect();
    let text: StringArray = (0..count).map(|_| Some(["a", "bb", "", "straße", "x"][random.index(5)])).collect();
    let truth = (0..count).map(|_| Some(random.once_in(2))).collect();
    let event_times_us = (0..count).map(|_| random.between(-50, 50)).collect();
    let offset = Offset(random.bits() >> 8);
    Rows { whole: Arc::new(whole), float: Arc::new(float), text: Arc::new(text), truth, event_times_us, offset, groups }
}

impl Rows {
    fn column(&self, accumulator: &Accumulator, groups: usize) -> AccumulatorColumn {
        let input = |input: &Expr| match input.to_string().as_str() {
            "x" => Arc::clone(&self.whole),
            "f" => Arc::clone(&self.float),
            "s" => Arc::clone(&self.text),
            _ => Arc::new(self.truth.clone()) as ArrayRef,
        };
        let inputs: Vec<ArrayRef> = accumulator.inputs().iter().map(input).collect();
        let filter = accumulator.filter().map(|_| &self.truth);
        let stamps = RowStamps { event_times_us: &self.event_times_us, split: SplitId(3), offsets: RowOffsets::From(self.offset) };
        let rows: Vec<u32> = (0..self.groups.len() as u32).collect();
        let mut column = AccumulatorColumn::identity(accumulator, groups);
        fold(accumulator, &inputs, filter, &rows, &self.groups, &stamps, &mut column);
        column
    }
}

/// A record of these accumulators whose keys are among `keys`.
pub(crate) fn record(seed: u64, keys: &[String], accumulators: &[Accumulator]) -> Record {
    let mut random = Random::new(seed);
    let mut list = KeyList::default();
    keys.iter().filter(|_| !random.once_in(3)).for_each(|key| list.push(key.as_bytes()));
    let length = list.len();
    let rows = rows(&mut random, length);
    let column = |accumulator: &Accumulator| Some(rows.column(accumulator, length));
    let columns = accumulators.iter().map(column).collect();
    let mut counts = vec![0; length];
    rows.groups.iter().for_each(|&group| counts[group as usize] += 1);
    let mut record = Record { pieces: Pieces::Sliced, keys: list, rows: counts, columns };
    record.drop_identities();
    record
}

/// A record of sessions: each key of [`record`] has one to three pieces, not in touch with each other.
pub(crate) fn sessions(seed: u64, keys: &[String], accumulators: &[Accumulator]) -> Record {
    let mut random = Random::new(seed);
    let (mut list, mut first_us, mut last_us) = (KeyList::default(), Vec::new(), Vec::new());
    for key in keys {
        let mut at = random.between(-1000, 1000);
        for _ in 0..1 + random.index(3) {
            list.push(key.as_bytes());
            first_us.push(at);
            last_us.push(at + random.between(0, 30));
            at += 30 + random.between(100, 400);
        }
    }
    let rows = rows(&mut random, list.len());
    let columns = accumulators.iter().map(|accumulator| Some(rows.column(accumulator, list.len()))).collect();
    let counts = vec![2; list.len()];
    let mut record = Record { pieces: Pieces::Sessions { first_us, last_us }, keys: list, rows: counts, columns };
    record.drop_identities();
    record
}

/// `count` keys, ascending.
pub(crate) fn keys(count: usize) -> Vec<String> {
    (0..count).map(|key| format!("key {key:06}")).collect()
}

/// A slice of the one partition that most tests need.
pub(crate) fn slice(slice: i64) -> SliceId {
    SliceId { stream: StreamId(0), partition: PartitionId(1), store: StoreUid(2), slice }
}

/// Its record of one epoch.
pub(crate) fn id(number: i64, epoch: u64) -> RecordId {
    slice(number).record(Epoch(epoch - 1), Epoch(epoch))
}

/// A partition at a barrier, with marks of all kinds.
pub(crate) fn state(epoch: u64) -> PartitionState {
    let list: Arc<[SplitId]> = Arc::from([SplitId(0), SplitId(1)]);
    let barrier = Mark::Barrier { epoch: Epoch(epoch), splits: list, plan: PlanVersion(4) };
    let split = |number: u32, marks: Vec<(Offset, Mark)>| SplitState {
        split: SplitId(number),
        offset: Offset(1000 * epoch + u64::from(number)),
        watermark: RunningWatermark { max_event_time: EventTime(77), floor: EventTime::MIN },
        ended: number == 1,
        marks,
    };
    let floor = (Offset(1000 * epoch - 1), Mark::Floor(EventTime(-5)));
    let splits =
        vec![split(0, vec![floor, (Offset(1000 * epoch), barrier.clone())]), split(1, vec![(Offset(9), barrier), (Offset(9), Mark::End)])];
    PartitionState { splits, counts: Counts { late: epoch, bad: 2, bad_by_store: vec![(StoreUid(2), 4)] } }
}

/// A partition's list with these records and nothing to let go of.
pub(crate) fn batch(epoch: u64, records: Vec<(RecordId, Record)>) -> PartitionBatch {
    let (stream, partition) = (StreamId(0), PartitionId(1));
    PartitionBatch { stream, partition, epoch: Epoch(epoch), state: state(epoch), records }
}

/// A commit record with something in every field.
pub(crate) fn commit(epoch: u64) -> Commit {
    let split = SplitCommit {
        id: SplitId(0),
        name: "flights/2024.csv".to_owned(),
        offset: Offset(1000 * epoch),
        watermark: RunningWatermark { max_event_time: EventTime(88), floor: EventTime(3) },
        ended: false,
        fingerprint: r#"{"size":12345}"#.to_owned(),
    };
    let metric = |id, first_after| MetricCommit {
        id: MetricId(id),
        name: format!("metric_{id}"),
        definition: "SELECT k, COUNT(*) FROM s GROUP BY k".to_owned(),
        store: StoreUid(2),
        accumulators: vec![1, 0],
        first_after,
    };
    let stream = StreamCommit {
        id: StreamId(0),
        name: "flights".to_owned(),
        definition: "CREATE STREAM flights (k VARCHAR)".to_owned(),
        bound_us: 2_000_000,
        key_groups: 256,
        partitions: 4,
        plan: PlanVersion(4),
        frontier: EventTime(60),
        max_event_time: EventTime(90),
        splits: vec![split],
        stores: vec![StoreCommit { uid: StoreUid(2), description: "by k".to_owned(), accumulators: vec!["sum(x)".to_owned()] }],
        metrics: vec![metric(0, None), metric(1, Some(EventTime(-1)))],
        counts: Counts { late: 1, bad: 2, bad_by_store: vec![(StoreUid(2), 4)] },
    };
    let sink = |name: &str, ahead| SinkCommit {
        name: name.to_owned(),
        definition: "CREATE SINK".to_owned(),
        stream: StreamId(0),
        handle: vec![0, 255, 7],
        ahead,
    };
    let ahead = Ahead { frontier: EventTime(70), offsets: vec![(SplitId(0), Offset(9))] };
    Commit {
        epoch: Epoch(epoch),
        wall_us: 1_700_000_000_000_000,
        next_stream: StreamId(1),
        next_metric: MetricId(2),
        next_store: StoreUid(3),
        streams: vec![stream],
        sinks: vec![sink("in", None), sink("out", Some(ahead))],
    }
}
