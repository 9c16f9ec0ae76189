//! Going on from a checkpoint: which of its state a script's streams and metrics can use, and with what they begin.
//!
//! State is kept where it still means the same: a stream with the same event time and types of columns, a metric with the same window, keys and WHERE
//! whose aggregates the checkpoint has. Streams, splits and metrics are known again by name. A metric that the checkpoint does not have begins at its
//! barrier, as one that is added while rows flow; one that it has with another meaning is refused until the user says to start it anew.
//!
//! Stores hold what metrics share, so another set of metrics may want other columns or wider slices than a store has, and another number of
//! partitions other keys: [`KeptStore`] says how its records are brought into the new form.

use crate::error::{Error, Result};
use crate::source::Fingerprint;
use raympp_operators::accumulator::Accumulator;
use raympp_operators::plan::{MetricPlan, StreamPlan};
use raympp_operators::sharing::{SharedPlan, Store};
use raympp_operators::window::{slice_of, slice_start};
use raympp_state::checkpoint::{Columns, Commit, MetricCommit, SplitCommit, SplitState, StoreCommit, StreamCommit};
use raympp_types::{Epoch, EventTime, KeyGroups, MetricId, Offset, PlanVersion, RunningWatermark, SplitId, StoreUid};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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
    /// Metrics that are to start anew.
    reset: Arc<BTreeSet<String>>,
}

/// A store of the new plan whose groups are in the checkpoint.
pub(crate) struct KeptStore {
    /// Where the plan has it.
    pub(crate) position: usize,
    /// As the checkpoint's records name it.
    pub(crate) uid: StoreUid,
    /// Its accumulators, as the records have them.
    pub(crate) columns: Columns,
    /// Width and offset of the records' slices and of the store's.
    slices: Option<[(i64, i64); 2]>,
    /// The store is what it was: new records may stand beside the old ones.
    pub(crate) is_same: bool,
}

impl KeptStore {
    /// The slice of the store that a slice of the records is part of.
    pub(crate) fn slice(&self, slice: i64) -> i64 {
        self.slices
            .map_or(slice, |[(width, offset), (now_width, now_offset)]| slice_of(slice_start(slice, width, offset), now_width, now_offset))
    }
}

impl ResumePoint {
    /// The stream of that title in a checkpoint, if it has one and its rows are still what they were.
    ///
    /// # Errors
    /// [`Error::Refused`] if the stream's columns or event time are others.
    pub(crate) fn of(commit: &Commit, title: &str, plan: &StreamPlan, reset: &Arc<BTreeSet<String>>) -> Result<Option<ResumePoint>> {
        let Some(stream) = commit.streams.iter().find(|stream| stream.name == title) else { return Ok(None) };
        if let Some(change) = changed_column(&stream.definition, &plan.meaning()) {
            return Err(Error::Refused(format!(
                "stream {}: {change}, and its state would mean something else; restore the script, or give the job a new state directory",
                plan.name
            )));
        }
        let resumed = |split: &SplitCommit| -> Result<(String, ResumedSplit)> {
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
        Ok(Some(ResumePoint { epoch: commit.epoch, stream: stream.clone(), splits, reset: Arc::clone(reset) }))
    }

    /// Without producers that finished long ago, so that vectors do not grow for ever. A stream keeps those it ended with.
    pub(crate) fn without_forgotten_producers(mut self, now_us: i64) -> ResumePoint {
        if self.splits.values().any(|split| !split.ended) {
            let is_forgotten = |split: &ResumedSplit| {
                split.ended && matches!(&split.fingerprint, Fingerprint::Producer(state) if state.is_forgotten(now_us))
            };
            self.splits.retain(|_, split| !is_forgotten(split));
            let kept: BTreeSet<SplitId> = self.splits.values().map(|split| split.id).collect();
            self.stream.splits.retain(|split| kept.contains(&split.id));
        }
        self
    }

    /// F(n).
    pub(crate) fn frontier(&self) -> EventTime {
        self.stream.frontier
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

    /// What the checkpoint has of a metric and its store, if the metric goes on with it; nothing if it is to begin at the barrier.
    ///
    /// # Errors
    /// [`Error::Refused`] if the checkpoint has a metric of this name that means something else.
    pub(crate) fn kept(&self, metric: &Arc<MetricPlan>) -> Result<Option<(&MetricCommit, &StoreCommit)>> {
        let Some(before) = self.stream.metrics.iter().find(|before| before.name == metric.name) else { return Ok(None) };
        if self.reset.contains(&metric.name) {
            return Ok(None);
        }
        let changed = |what: &str, before: &str, now: &str| {
            Err(Error::Refused(format!(
                "metric {}: its {what} can't change while its state is kept: the state directory has it {before}, the script {now}; restore the \
                 definition, give the changed metric another name, or start it anew with --reset {0} (reset_metric)",
                metric.name
            )))
        };
        if before.definition != metric.meaning() {
            return changed("definition", &before.definition, &metric.meaning());
        }
        let Some(store) = self.stream.stores.iter().find(|store| store.uid == before.store) else {
            return Err(Error::Refused(format!("metric {}: the checkpoint has it without its store", metric.name)));
        };
        let (rows, needed) = Store::needed_by(metric);
        if rows != Store::rows_described(&store.description) {
            return changed("rows", Store::rows_described(&store.description), &rows);
        }
        match needed.iter().map(Accumulator::description).find(|needed| !store.accumulators.contains(needed)) {
            Some(missing) => changed("aggregates", &format!("with ({})", store.accumulators.join(", ")), &format!("also with {missing}")),
            None => Ok(Some((before, store))),
        }
    }

    /// As [`ResumePoint::kept`], of a metric that was not refused.
    fn kept_before(&self, metric: &Arc<MetricPlan>) -> Option<(&MetricCommit, &StoreCommit)> {
        self.kept(metric).ok().flatten()
    }

    /// The id of a metric that goes on.
    pub(crate) fn metric_id(&self, metric: &Arc<MetricPlan>) -> Option<MetricId> {
        self.kept_before(metric).map(|(metric, _)| metric.id)
    }

    /// The first plan of a run with these metrics.
    pub(crate) fn plan(&self, metrics: &[(MetricId, Arc<MetricPlan>)]) -> SharedPlan {
        let mut groups: BTreeMap<StoreUid, Vec<(MetricId, Arc<MetricPlan>)>> = BTreeMap::new();
        let mut new = Vec::new();
        for (id, metric) in metrics {
            match self.kept_before(metric) {
                Some((_, store)) => groups.entry(store.uid).or_default().push((*id, Arc::clone(metric))),
                None => new.push((*id, Arc::clone(metric))),
            }
        }
        SharedPlan::resumed(PlanVersion(1), &groups.into_values().collect::<Vec<_>>(), &new)
    }

    /// The stores of such a plan that have groups in the checkpoint.
    ///
    /// # Errors
    /// [`Error::Refused`] if a store's records can't be brought into the form that the plan wants.
    pub(crate) fn stores(&self, plan: &SharedPlan, key_groups: KeyGroups) -> Result<Vec<KeptStore>> {
        let same_partitions = key_groups.partitions() == self.stream.partitions;
        let mut kept: Vec<KeptStore> = Vec::new();
        for (position, store) in plan.live_stores() {
            let mut metrics = plan.metrics.iter().filter(|metric| metric.store == position);
            let Some((_, before)) = metrics.find_map(|metric| self.kept_before(&metric.plan)) else { continue };
            let unfit = || {
                let description = store.description(&plan.key_spaces[store.key_space]);
                Error::Refused(format!("stream {}: groups {} can't be made of {}", self.stream.name, description, before.description))
            };
            let mut kept_store = kept_store(position, store, before).ok_or_else(unfit)?;
            kept_store.is_same &= same_partitions && kept.iter().all(|other| other.uid != kept_store.uid);
            kept.push(kept_store);
        }
        Ok(kept)
    }

    /// Metrics of a plan that count only windows that start after some time.
    pub(crate) fn first_after(&self, plan: &SharedPlan) -> HashMap<MetricId, EventTime> {
        let of = |metric: &Arc<MetricPlan>| match self.kept_before(metric) {
            Some((before, _)) => before.first_after,
            None => Some(self.stream.max_event_time),
        };
        plan.metrics.iter().filter_map(|metric| Some((metric.id, of(&metric.plan)?))).collect()
    }
}

/// What two texts of a stream's columns disagree about. Columns that only one of them has are none of the other's metrics' business, unless they are
/// the event time.
fn changed_column(before: &str, now: &str) -> Option<String> {
    let columns = |text| StreamPlan::columns_described(text).collect::<BTreeMap<&str, (&str, bool)>>();
    let (before, now) = (columns(before), columns(now));
    let retyped = before.iter().find_map(|(name, (was, _))| {
        let (is, _) = now.get(name).filter(|(is, _)| is != was)?;
        Some(format!("the state directory has column {name} as {was}, the script as {is}"))
    });
    let event_time = |columns: &BTreeMap<&str, (&str, bool)>| {
        columns.iter().find(|(_, (_, is_event_time))| *is_event_time).map_or("no column".to_owned(), |(name, _)| (*name).to_owned())
    };
    let (was, is) = (event_time(&before), event_time(&now));
    retyped.or_else(|| (was != is).then(|| format!("the state directory has {was} as its event time, the script {is}")))
}

/// How a store's records are brought into the form that another store of the same rows wants; nothing if they can't be.
fn kept_store(position: usize, store: &Store, before: &StoreCommit) -> Option<KeptStore> {
    let place = |accumulator: &Accumulator| before.accumulators.iter().position(|before| *before == accumulator.description());
    let wanted: Vec<(usize, Accumulator)> =
        store.accumulators.iter().map(|accumulator| Some((place(accumulator)?, accumulator.clone()))).collect::<Option<_>>()?;
    let slices = match (Store::slices_described(&before.description), store.slices()) {
        (Some(before), Some(now)) => Some([before, now]),
        (None, None) => None,
        _ => return None,
    };
    let widens = |[(width, offset), (now_width, now_offset)]: [(i64, i64); 2]| now_width % width == 0 && (now_offset - offset) % width == 0;
    if !slices.is_none_or(widens) {
        return None;
    }
    let same_columns = wanted.len() == before.accumulators.len() && wanted.iter().enumerate().all(|(now, (before, _))| now == *before);
    let is_same = same_columns && slices.is_none_or(|[before, now]| before == now);
    Some(KeptStore { position, uid: before.uid, columns: Columns { stored: before.accumulators.len(), wanted }, slices, is_same })
}
