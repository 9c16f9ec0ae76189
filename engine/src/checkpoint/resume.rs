//! Going on from a checkpoint: which of its state a script's streams and metrics can use, and with what they begin.
//!
//! State is kept where it still means the same: a stream with the same columns and event time, a metric with the same window, keys and WHERE, and
//! aggregates that the checkpoint has. Splits are known again by name, metrics and streams too.

use crate::error::{Error, Result};
use crate::source::Fingerprint;
use raympp_operators::plan::StreamPlan;
use raympp_operators::sharing::SharedPlan;
use raympp_state::checkpoint::{Commit, SplitState, StreamCommit};
use raympp_types::{Epoch, EventTime, MetricId, Offset, RunningWatermark, SplitId, StoreUid};
use std::collections::{BTreeMap, HashMap};

/// Where a split goes on.
#[derive(Clone, Debug)]
pub(crate) struct ResumedSplit {
    pub(crate) id: SplitId,
    pub(crate) offset: Offset,
    pub(crate) watermark: RunningWatermark,
    pub(crate) ended: bool,
    /// What its input looked like.
    pub(crate) fingerprint: Fingerprint,
}

/// A stream of a checkpoint, as a new run wants to go on with it.
#[derive(Clone, Debug)]
pub(crate) struct ResumePoint {
    pub(crate) epoch: Epoch,
    pub(crate) stream: StreamCommit,
    /// Its splits, by name.
    pub(crate) splits: BTreeMap<String, ResumedSplit>,
}

impl ResumePoint {
    /// The stream of that name in a checkpoint, if it has one and its rows are still what they were.
    ///
    /// # Errors
    /// [`Error::Refused`] if the stream's columns or event time are others.
    pub(crate) fn of(commit: &Commit, plan: &StreamPlan) -> Result<Option<ResumePoint>> {
        let Some(stream) = commit.streams.iter().find(|stream| stream.name == plan.name) else { return Ok(None) };
        if stream.definition != plan.meaning() {
            return Err(Error::Refused(format!(
                "stream {}: the state directory has it with the columns ({}), the script with ({}); restore the script, or give the job a new \
                 state directory",
                plan.name,
                stream.definition,
                plan.meaning()
            )));
        }
        let resumed = |split: &raympp_state::checkpoint::SplitCommit| -> Result<(String, ResumedSplit)> {
            let fingerprint = serde_json::from_str(&split.fingerprint).map_err(|error| {
                Error::Refused(format!(
                    "stream {}, split {}: the checkpoint does not say what it was read from: {error}",
                    plan.name, split.name
                ))
            })?;
            // Watermarks never go back, also when the bound grows.
            let reached = split.watermark.watermark(stream.bound_us);
            let mut watermark = split.watermark;
            if plan.bound_us > stream.bound_us && reached > EventTime::MIN {
                watermark.raise_floor(reached);
            }
            Ok((split.name.clone(), ResumedSplit { id: split.id, offset: split.offset, watermark, ended: split.ended, fingerprint }))
        };
        let splits = stream.splits.iter().map(resumed).collect::<Result<_>>()?;
        Ok(Some(ResumePoint { epoch: commit.epoch, stream: stream.clone(), splits }))
    }

    /// F(n).
    pub(crate) fn frontier(&self) -> EventTime {
        self.stream.frontier
    }

    /// The id that a metric had.
    pub(crate) fn metric_id(&self, name: &str) -> Option<MetricId> {
        self.stream.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.id)
    }

    /// The id of the next split that the checkpoint does not know.
    pub(crate) fn next_split(&self) -> SplitId {
        self.stream.splits.iter().map(|split| split.id.next()).max().unwrap_or_default()
    }

    /// Fails if a split of the checkpoint that has not ended is not among those there are.
    ///
    /// # Errors
    /// [`Error::Refused`], naming the split.
    pub(crate) fn check_splits<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        let names: Vec<&str> = names.collect();
        if let Some(new) = names.iter().find(|name| self.frontier() == EventTime::MAX && !self.splits.contains_key(**name)) {
            return Err(Error::Refused(format!(
                "stream {}: all its input had been read to the end, so its windows are closed, and every row of {new} would be late; read it in a \
                 job of its own, or follow the inputs (follow = true) from the beginning",
                self.stream.name
            )));
        }
        match self.splits.iter().find(|(name, split)| !split.ended && !names.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, split)) => Err(Error::Refused(format!(
                "stream {}: the checkpoint goes on with {name} at row {}, which is not there any more; bring it back, or give the job a new state \
                 directory",
                self.stream.name, split.offset
            ))),
        }
    }

    /// The states of splits at the barrier; those that join now, with the names and ids given, begin under its frontier.
    pub(crate) fn states(&self, joining: impl Iterator<Item = SplitId>) -> Vec<SplitState> {
        let known = self.splits.values().map(|split| (split.id, split.offset, split.watermark, split.ended));
        let floor = RunningWatermark { max_event_time: EventTime::MIN, floor: self.frontier() };
        let all = known.chain(joining.map(|id| (id, Offset(0), floor, false)));
        let state = |(split, offset, watermark, ended)| SplitState { split, offset, watermark, ended, marks: Vec::new() };
        let mut states: Vec<SplitState> = all.map(state).collect();
        states.sort_by_key(|state| state.split);
        states
    }

    /// The names that the checkpoint has for a plan's stores, by position.
    ///
    /// # Errors
    /// [`Error::Refused`] if a metric of the plan can't go on with what the checkpoint has of it.
    pub(crate) fn stores(&self, plan: &SharedPlan) -> Result<BTreeMap<usize, StoreUid>> {
        let mut known = BTreeMap::new();
        for (position, store) in plan.live_stores() {
            let description = store.description(&plan.key_spaces[store.key_space]);
            let accumulators: Vec<String> = store.accumulators.iter().map(|accumulator| accumulator.description()).collect();
            let same =
                |other: &&raympp_state::checkpoint::StoreCommit| (&other.description, &other.accumulators) == (&description, &accumulators);
            if let Some(found) = self.stream.stores.iter().find(same) {
                known.insert(position, found.uid);
            }
        }
        for metric in &plan.metrics {
            let before = self.stream.metrics.iter().find(|before| before.name == metric.plan.name);
            if before.is_none_or(|before| before.definition != metric.plan.meaning()) || !known.contains_key(&metric.store) {
                return Err(Error::Refused(format!(
                    "metric {}: the state directory does not have it as the script does ({}); restore the script, or give the job a new state \
                     directory",
                    metric.plan.name,
                    metric.plan.meaning()
                )));
            }
        }
        Ok(known)
    }

    /// Metrics of a plan that count only windows that start after some time.
    pub(crate) fn first_after(&self, plan: &SharedPlan) -> HashMap<MetricId, EventTime> {
        let of = |name: &str| self.stream.metrics.iter().find(|metric| metric.name == name)?.first_after;
        plan.metrics.iter().filter_map(|metric| Some((metric.id, of(&metric.plan.name)?))).collect()
    }
}
