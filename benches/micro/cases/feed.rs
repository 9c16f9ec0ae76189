//! Two batches of rows on their way to one partition.

use super::rows::{batch, script};
use arrow::array::RecordBatch;
use raympp_operators::sharing::{SharedMetric, SharedPlan};
use raympp_state::chain::{Chain, ChainOptions, Rows};
use raympp_state::delta::{Delta, Mark};
use raympp_state::epoch_list::{EpochLists, Uncounted};
use raympp_state::persister::{OpenPartition, OpenStream, SplitInfo, StreamInfo};
use raympp_state::replica::{Applied, Replica};
use raympp_testkit::script::StreamScript;
use raympp_types::{DataType, Epoch, KeyGroups, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

const SPLIT: SplitId = SplitId(0);
/// The only one.
pub(super) const STREAM: StreamId = StreamId(0);
/// The only one.
pub(super) const PARTITION: PartitionId = PartitionId(0);

/// A stream with one metric, and rows of its one split.
pub(super) struct Feed {
    script: StreamScript,
    plan: Arc<SharedPlan>,
    batches: [RecordBatch; 2],
}

impl Feed {
    /// Batches of so many rows for a metric of this SELECT.
    pub(super) fn new(select: &str, rows: usize) -> Feed {
        let script = script(select);
        let plan = Arc::new(SharedPlan::of(PlanVersion(1), &script.metrics));
        Feed { script, plan, batches: [batch(rows, 0), batch(rows, 1)] }
    }

    pub(super) fn plan(&self) -> &Arc<SharedPlan> {
        &self.plan
    }

    pub(super) fn metric(&self) -> &SharedMetric {
        &self.plan.metrics[0]
    }

    /// A chain before its first row.
    pub(super) fn chain(&self) -> Chain {
        let stream = &self.script.stream;
        let options = ChainOptions {
            event_time: stream.event_time,
            bound_us: stream.bound_us,
            max_jump_us: stream.max_jump_us,
            keep_late_rows: false,
        };
        let groups = KeyGroups::new(KeyGroups::GROUPS_DEFAULT, 1).expect("one partition");
        Chain::open(SPLIT, SplitTerm(1), Offset(0), RunningWatermark::default(), options, &self.plan, groups)
    }

    /// Folds one of the batches into a delta that ends with these marks.
    pub(super) fn fold(&self, chain: &mut Chain, number: usize, marks: Vec<Mark>) -> Arc<Delta> {
        let batch = &self.batches[number];
        let from = chain.offset();
        let rejected = chain.push(&Rows { from, to: Offset(from.0 + batch.num_rows() as u64), batch, row_offsets: None, undecodable: 0 });
        assert!(rejected.is_empty(), "rows that can be evaluated");
        Arc::new(chain.flush(marks).expect("there are rows"))
    }

    /// A delta of each batch; the second one ends with these marks.
    pub(super) fn deltas(&self, marks: Vec<Mark>) -> [Arc<Delta>; 2] {
        let mut chain = self.chain();
        [self.fold(&mut chain, 0, Vec::new()), self.fold(&mut chain, 1, marks)]
    }

    /// A replica that has applied nothing.
    pub(super) fn replica(&self) -> Replica {
        Replica::new(PARTITION, Arc::clone(&self.plan), self.script.stream.bound_us, DataType::Timestamp, &[SPLIT])
    }

    /// A replica that has applied these.
    pub(super) fn replica_with(&self, deltas: &[Arc<Delta>]) -> Replica {
        let mut replica = self.replica();
        deltas.iter().for_each(|delta| assert_eq!(replica.apply(delta), Applied::Yes));
        replica
    }

    /// Epoch lists that have taken nothing.
    pub(super) fn lists(&self) -> EpochLists {
        EpochLists::new(PARTITION, &self.plan, self.script.stream.bound_us, &[SPLIT])
    }

    /// The stream as a persister meets it first.
    pub(super) fn open_stream(&self) -> OpenStream {
        OpenStream {
            info: StreamInfo {
                id: STREAM,
                name: self.script.stream.name.clone(),
                definition: String::new(),
                bound_us: self.script.stream.bound_us,
                key_groups: KeyGroups::GROUPS_DEFAULT,
                partitions: 1,
            },
            plan: Arc::clone(&self.plan),
            stores: BTreeMap::new(),
            first_after: BTreeMap::new(),
            splits: [(SPLIT, SplitInfo::default())].into(),
            partitions: vec![OpenPartition { partition: PARTITION, lists: self.lists(), uncounted: Uncounted::default() }],
            committed: None,
        }
    }
}

/// The end of the first epoch.
pub(super) fn barrier() -> Mark {
    Mark::Barrier { epoch: Epoch(1), splits: Arc::new([SPLIT]), plan: PlanVersion(1) }
}
