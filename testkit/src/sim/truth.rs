//! What has truly happened to a stream: what its splits hold, where floors and barriers stand, what metrics count. Processes never look at it
//! but for the rows that they read; the reference is computed from it.
//!
//! A crash takes back what no commit holds: floors and barriers that stand behind it, splits and metrics that came behind it.

use super::scenario::StreamScenario;
use crate::reference::{ReferenceMetric, SplitRows};
use raympp_operators::plan::{MetricPlan, StreamPlan};
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::StreamCommit;
use raympp_types::{Epoch, EventTime, KeyGroups, MetricId, Offset, PlanVersion, SplitId, StreamId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a split belongs to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    /// Nobody has asked for it.
    Unknown,
    /// It is to join.
    Asked,
    /// Its chain begins with this barrier; 0: with the stream.
    Since(Epoch),
    /// The stream was complete before it could join.
    Refused,
}

/// A split.
pub(super) struct SplitTruth {
    /// With the floors that stand in its chain.
    pub(super) rows: SplitRows,
    pub(super) membership: Membership,
    /// Rows up to here have been forgotten by the source.
    pub(super) forgotten: Offset,
}

/// Since when a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// From offset 0.
    FromStart,
    /// From this barrier.
    Behind(Epoch),
    /// No barrier has brought it.
    NotYet,
}

/// A metric.
pub(super) struct MetricTruth {
    pub(super) id: MetricId,
    pub(super) plan: Arc<MetricPlan>,
    /// The job's script has it.
    pub(super) wanted: bool,
    /// The script has had it and dropped it.
    pub(super) dropped: bool,
    pub(super) counts: Counts,
}

/// See the module.
pub(super) struct StreamTruth {
    pub(super) id: StreamId,
    pub(super) plan: Arc<StreamPlan>,
    pub(super) key_groups: KeyGroups,
    pub(super) replicas: usize,
    pub(super) splits: BTreeMap<SplitId, SplitTruth>,
    pub(super) metrics: Vec<MetricTruth>,
    /// Plans that there have been, by version, since the last commit that has one.
    pub(super) plans: BTreeMap<PlanVersion, Arc<SharedPlan>>,
    /// Where barriers stand.
    barriers: BTreeMap<Epoch, BTreeMap<SplitId, Offset>>,
}

impl StreamTruth {
    pub(super) fn new(scenario: StreamScenario) -> StreamTruth {
        let split = |rows: SplitRows, membership| (rows.split, SplitTruth { rows, membership, forgotten: Offset(0) });
        let first = scenario.splits.into_iter().map(|rows| split(rows, Membership::Since(Epoch(0))));
        let later = scenario.joining.into_iter().map(|rows| split(rows, Membership::Unknown));
        let metric = |(position, (id, plan)): (usize, (MetricId, Arc<MetricPlan>))| MetricTruth {
            id,
            plan,
            wanted: position < scenario.first_metrics,
            dropped: false,
            counts: if position < scenario.first_metrics { Counts::FromStart } else { Counts::NotYet },
        };
        StreamTruth {
            id: scenario.id,
            plan: scenario.script.stream,
            key_groups: scenario.key_groups,
            replicas: scenario.replicas,
            splits: first.chain(later).collect(),
            metrics: scenario.script.metrics.into_iter().enumerate().map(metric).collect(),
            plans: BTreeMap::new(),
            barriers: BTreeMap::new(),
        }
    }

    pub(super) fn metric(&mut self, id: MetricId) -> &mut MetricTruth {
        self.metrics.iter_mut().find(|metric| metric.id == id).expect("a metric of the stream")
    }

    pub(super) fn split(&mut self, id: SplitId) -> &mut SplitTruth {
        self.splits.get_mut(&id).expect("a split of the stream")
    }

    /// Splits whose chains have begun.
    pub(super) fn members(&self) -> impl Iterator<Item = (SplitId, &SplitTruth)> {
        let begun = |split: &SplitTruth| matches!(split.membership, Membership::Since(_));
        self.splits.iter().filter(move |(_, split)| begun(split)).map(|(&id, split)| (id, split))
    }

    /// A chain has the barrier.
    pub(super) fn place(&mut self, epoch: Epoch, split: SplitId, at: Offset) {
        self.barriers.entry(epoch).or_default().insert(split, at);
    }

    /// Metrics of a plan that the barrier brings. One that comes before the first split counts everything.
    pub(super) fn bring(&mut self, metrics: &[MetricId], epoch: Epoch) {
        let counts = if self.members().next().is_none() { Counts::FromStart } else { Counts::Behind(epoch) };
        for metric in self.metrics.iter_mut().filter(|metric| metric.counts == Counts::NotYet && metrics.contains(&metric.id)) {
            metric.counts = counts;
        }
    }

    /// V(n): splits that had ended are in it with their length.
    pub(super) fn vector(&self, epoch: Epoch) -> BTreeMap<SplitId, Offset> {
        let placed = self.barriers.get(&epoch);
        let at = |(id, split): (SplitId, &SplitTruth)| match (placed.and_then(|placed| placed.get(&id)), split.membership) {
            (Some(&offset), _) => Some((id, offset)),
            (None, Membership::Since(since)) if since <= epoch => Some((id, Offset(split.rows.len()))),
            _ => None,
        };
        self.members().filter_map(at).collect()
    }

    /// A split's floor rises where its chain is.
    pub(super) fn raise(&mut self, split: SplitId, at: Offset, floor: EventTime) {
        let floors = &mut self.split(split).rows.floors;
        if floor > EventTime::MIN && floors.iter().all(|&(_, other)| other < floor) {
            floors.push((at, floor));
        }
    }

    /// The process has died; `commit` is what it goes on from.
    pub(super) fn go_back(&mut self, commit: Option<&StreamCommit>, committed: Epoch) {
        self.plans.retain(|&version, _| commit.is_some_and(|commit| version <= commit.plan));
        self.barriers.retain(|&epoch, _| commit.is_some() && epoch <= committed);
        if let Some(commit) = commit {
            // The epoch may have begun before the stream had started, which is then in it as it was.
            let as_it_was = || commit.splits.iter().map(|split| (split.id, split.offset)).collect();
            self.barriers.entry(committed).or_insert_with(as_it_was);
        }
        for (id, split) in &mut self.splits {
            let known = commit.and_then(|commit| commit.splits.iter().find(|split| split.id == *id));
            match (known, split.membership) {
                (Some(at), _) => {
                    let (offset, floor) = (at.offset, at.watermark.floor);
                    split.rows.floors.retain(|&(at, raised)| at < offset || at == offset && raised <= floor);
                }
                (None, Membership::Since(since)) => {
                    split.rows.floors.clear();
                    let first = since == Epoch(0) && commit.is_none();
                    split.membership = if first { Membership::Since(Epoch(0)) } else { Membership::Asked };
                }
                (None, _) => {}
            }
        }
        for metric in &mut self.metrics {
            let known = commit.is_some_and(|commit| commit.metrics.iter().any(|known| known.id == metric.id));
            if !known && !metric.dropped {
                let from_start = commit.is_none() && metric.wanted;
                metric.counts = if from_start { Counts::FromStart } else { Counts::NotYet };
            }
        }
    }

    /// Metrics as the reference takes them.
    pub(super) fn reference_metrics(&self) -> Vec<ReferenceMetric> {
        let since = |metric: &MetricTruth| match metric.counts {
            Counts::FromStart => None,
            Counts::Behind(epoch) => Some(self.vector(epoch)),
            Counts::NotYet => Some(self.members().map(|(id, split)| (id, Offset(split.rows.len()))).collect()),
        };
        self.metrics.iter().map(|metric| ReferenceMetric { plan: Arc::clone(&metric.plan), since: since(metric) }).collect()
    }
}
