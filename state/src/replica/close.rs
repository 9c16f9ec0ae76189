//! Closing: what the frontier allows becomes results, a step at a time.
//!
//! A step seals pages and boundaries of one store, or closes some sessions, and makes batches of what closed. Results of one partition
//! leave in order of their windows' ends; the last piece of a window is flagged.

use super::changes::Tracked;
use super::{Replica, StoreState};
use crate::block::PAGE_KEYS;
use crate::keys::Keys;
use crate::result::{Bound, Groups, NamedGroup, ResultDelta, Rows, no_rows, rows_of};
use crate::sessions::{ClosedSessions, Session};
use crate::sliced::{ClosedCells, ClosedGroups, SealStep};
use arrow::array::{Array, ArrayRef, DictionaryArray, Int32Array, UInt32Array};
use raympp_operators::keycode::{KeyEncoder, decode_columns};
use raympp_operators::sharing::{SharedMetric, SharedPlan, StoreKind};
use raympp_types::{DataType, EventTime, MetricId};
use std::sync::Arc;

/// Steps of sealing in one call of [`Replica::close_step`] at most.
const CLOSE_STEPS: usize = 256;
/// Steps of settling in one call at most.
const SETTLE_STEPS: usize = 4;
/// Groups that make a batch of results big enough.
const CLOSE_GROUPS: usize = 2048;

/// What the caller of [`Replica::close_step`] wants of a metric's closed windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// They are counted only.
    Nothing,
    /// Result rows.
    Rows,
    /// Result rows, and of each the key and the window.
    RowsWithKeys,
}

impl Replica {
    /// Closes a little more of what the frontier allows: one page at one boundary, or some sessions, of one store. Results of metrics
    /// that `wanted` names are appended to `results`. False when nothing was left to do.
    pub fn close_step(&mut self, wanted: impl Fn(MetricId) -> Want, results: &mut Vec<ResultDelta>) -> bool {
        for store in 0..self.stores.len() {
            let Some(Some(space)) = self.plan.stores.get(store).map(|store| store.as_ref().map(|store| store.key_space)) else { continue };
            let worked = match self.stores[store] {
                Some(StoreState::Sliced(_)) => self.close_sliced(store, space, &wanted, results),
                Some(StoreState::Sessions(_)) => self.close_sessions(store, space, &wanted, results),
                None => false,
            };
            if worked {
                return true;
            }
        }
        false
    }

    fn counts(&self, metric: &SharedMetric, start_us: i64) -> bool {
        self.first_after.get(&metric.id).is_none_or(|&seen| EventTime(start_us) > seen)
    }

    fn close_sessions(&mut self, store: usize, space: usize, wanted: &impl Fn(MetricId) -> Want, results: &mut Vec<ResultDelta>) -> bool {
        let Some(StoreState::Sessions(sessions)) = self.stores[store].as_mut() else { return false };
        let let_go = self.tracked.get_mut(&store).and_then(Tracked::let_go);
        let closed = sessions.close_step(self.closing.min(self.frontier), self.seen, &mut self.keys[space], let_go);
        if closed.sessions.is_empty() {
            return closed.more_to_retire;
        }
        self.results_of_sessions(store, space, &closed, wanted, results);
        true
    }

    /// Seals until enough groups have closed to be worth a batch. Windows of few keys are put into one batch, as long as that keeps
    /// results in order of their windows' ends.
    fn close_sliced(&mut self, store: usize, space: usize, wanted: &impl Fn(MetricId) -> Want, results: &mut Vec<ResultDelta>) -> bool {
        let one_by_one = !self.first_after.is_empty() || self.keys[space].ids() > PAGE_KEYS;
        // Cells are gathered and keys decoded for somebody only.
        let of_store = self.plan.metrics.iter().filter(|metric| metric.store == store && wanted(metric.id) != Want::Nothing);
        let wanted_shapes: Vec<(usize, usize)> = of_store.map(|metric| (metric.tier, metric.shape)).collect();
        let mut batches: Vec<ClosedBatch> = Vec::new();
        let (mut worked, mut passed, mut settled, mut closed_groups) = (false, None, 0, 0);
        for _ in 0..CLOSE_STEPS {
            let Some(StoreState::Sliced(sliced)) = self.stores[store].as_mut() else { break };
            match sliced.seal_step(self.closing.min(self.frontier), self.seen, &wanted_shapes, &mut self.keys[space]) {
                SealStep::Idle => break,
                SealStep::Settled => {
                    (worked, settled) = (true, settled + 1);
                    if settled == SETTLE_STEPS {
                        break;
                    }
                }
                SealStep::Page(closed) => {
                    (worked, passed) = (true, None);
                    for mut groups in closed {
                        closed_groups += groups.ids.len();
                        self.count_closed(store, &groups);
                        if let Some(cells) = groups.cells.take() {
                            let keys = self.keys[space].columns_of_page(groups.page);
                            gather(&mut batches, groups, cells, keys.expect("keys are canonical: this replica encoded them"));
                        }
                    }
                }
                SealStep::Passed(at_us) => {
                    (worked, passed) = (true, Some(at_us));
                    if one_by_one {
                        break;
                    }
                }
            }
            if closed_groups >= CLOSE_GROUPS {
                break;
            }
        }
        for batch in &batches {
            self.results_of_batch(store, batch, wanted, results);
        }
        if let Some(at_us) = passed {
            self.finish_window(store, EventTime(at_us), results);
        }
        worked
    }

    /// The metrics whose windows these are, by store, tier and shape.
    fn users<'a>(&self, plan: &'a SharedPlan, place: (usize, usize, usize), start_us: i64) -> Vec<&'a Arc<SharedMetric>> {
        let users = plan.metrics.iter().filter(|metric| (metric.store, metric.tier, metric.shape) == place);
        users.filter(|metric| self.counts(metric, start_us)).collect()
    }

    fn count_closed(&mut self, store: usize, groups: &ClosedGroups) {
        let users = self.users(&self.plan, (store, groups.tier, groups.shape), groups.start_us).len();
        self.counters.windows_closed += (users * groups.ids.len()) as u64;
    }

    fn results_of_batch(&mut self, store: usize, groups: &ClosedBatch, wanted: &impl Fn(MetricId) -> Want, results: &mut Vec<ResultDelta>) {
        let plan = Arc::clone(&self.plan);
        let users = self.users(&plan, (store, groups.tier, groups.shape), groups.start_us[0]);
        let keys = groups.key_columns();
        let end = EventTime(*groups.end_us.last().expect("a batch has groups"));
        for metric in users.into_iter().filter(|metric| wanted(metric.id) != Want::Nothing) {
            let bounds_us = Some((Bound::Each(&groups.start_us), Bound::Each(&groups.end_us)));
            let groups_of = Groups { keys: keys.clone(), bounds_us, rows: &groups.cells.rows, columns: &groups.cells.columns };
            let rows = rows_of(metric, self.time_type, groups_of);
            let named = (wanted(metric.id) == Want::RowsWithKeys).then(|| Self::named(groups, &rows));
            let ends_us = kept(&rows, groups.ids.len()).map(|i| groups.end_us[i]).collect();
            self.push_result(store, metric, end, rows, (ends_us, named), results);
        }
    }

    /// Key and window of each result row.
    fn named(groups: &ClosedBatch, rows: &Rows) -> Vec<NamedGroup> {
        let columns = groups.key_columns();
        let mut encoded = vec![Vec::new(); groups.ids.len()];
        let encoder = KeyEncoder::new(&columns);
        encoded.iter_mut().enumerate().for_each(|(i, key)| encoder.encode(i, key));
        let named = |i: usize| (Box::from(&encoded[i][..]), groups.start_us[i], groups.end_us[i]);
        kept(rows, groups.ids.len()).map(named).collect()
    }

    fn push_result(
        &mut self,
        store: usize,
        metric: &SharedMetric,
        end: EventTime,
        rows: Rows,
        (ends_us, groups): (Vec<i64>, Option<Vec<NamedGroup>>),
        results: &mut Vec<ResultDelta>,
    ) {
        self.counters.overflowed += rows.overflowed;
        self.unfinished.entry(store).or_default().insert(metric.id);
        let groups = groups.unwrap_or_default();
        let (partition, overflowed) = (self.partition, rows.overflowed);
        results.push(ResultDelta {
            metric: metric.id,
            partition,
            term: self.term,
            window_end: end,
            batch: rows.batch,
            ends_us,
            groups,
            overflowed,
            last: false,
        });
    }

    fn finish_window(&mut self, store: usize, end: EventTime, results: &mut Vec<ResultDelta>) {
        let plan = Arc::clone(&self.plan);
        for id in self.unfinished.remove(&store).unwrap_or_default() {
            if let Some(metric) = plan.metrics.iter().find(|metric| metric.id == id) {
                let batch = no_rows(metric);
                let partition = self.partition;
                let (ends_us, groups) = (Vec::new(), Vec::new());
                let (term, window_end) = (self.term, end);
                results.push(ResultDelta { metric: id, partition, term, window_end, batch, ends_us, groups, overflowed: 0, last: true });
            }
        }
    }

    fn results_of_sessions(
        &mut self,
        store: usize,
        space: usize,
        closed: &ClosedSessions,
        wanted: &impl Fn(MetricId) -> Want,
        results: &mut Vec<ResultDelta>,
    ) {
        let plan = Arc::clone(&self.plan);
        let gap_us = match plan.stores[store].as_ref().expect("in use").kind {
            StoreKind::Sessions { gap_us } => gap_us,
            StoreKind::Sliced | StoreKind::Running => unreachable!("a session store"),
        };
        let end = EventTime(closed.sessions.last().expect("some closed").1.last_us + gap_us);
        for metric in plan.metrics.iter().filter(|metric| metric.store == store && metric.plan.window.has_bounds()) {
            let counted: Vec<_> = closed.sessions.iter().filter(|(_, session)| self.counts(metric, session.first_us)).cloned().collect();
            self.counters.windows_closed += counted.len() as u64;
            if !counted.is_empty() && wanted(metric.id) != Want::Nothing {
                let rows = session_rows(metric, self.time_type, gap_us, &self.keys[space], &counted);
                let named = (wanted(metric.id) == Want::RowsWithKeys).then(|| {
                    let named = |(id, session): &(u32, Arc<Session>)| {
                        (Box::from(self.keys[space].key(*id)), session.first_us, session.last_us + gap_us)
                    };
                    kept(&rows, counted.len()).map(|i| named(&counted[i])).collect()
                });
                let ends_us = kept(&rows, counted.len()).map(|i| counted[i].1.last_us + gap_us).collect();
                self.push_result(store, metric, end, rows, (ends_us, named), results);
            }
        }
        if closed.whole {
            self.finish_window(store, end, results);
        }
    }
}

/// Groups of one shape and page, of one or several windows by ascending end, with the page's keys as they were then.
struct ClosedBatch {
    tier: usize,
    shape: usize,
    page: usize,
    page_keys: Arc<Vec<ArrayRef>>,
    start_us: Vec<i64>,
    end_us: Vec<i64>,
    ids: Vec<u32>,
    cells: ClosedCells,
}

impl ClosedBatch {
    /// Key columns of the groups: strings as codes into the page's own column, others taken.
    fn key_columns(&self) -> Vec<ArrayRef> {
        let ids = UInt32Array::from(self.ids.clone());
        self.page_keys.iter().map(|column| pick(column, &ids)).collect()
    }
}

/// Appends a window's groups to the batch of their shape and page, or begins one.
fn gather(batches: &mut Vec<ClosedBatch>, groups: ClosedGroups, cells: ClosedCells, page_keys: Arc<Vec<ArrayRef>>) {
    let ClosedGroups { tier, shape, start_us, end_us, page, ids, .. } = groups;
    let count = ids.len();
    let same = |batch: &&mut ClosedBatch| {
        (batch.tier, batch.shape, batch.page) == (tier, shape, page) && Arc::ptr_eq(&batch.page_keys, &page_keys)
    };
    match batches.iter_mut().find(same) {
        Some(batch) => {
            batch.start_us.extend(std::iter::repeat_n(start_us, count));
            batch.end_us.extend(std::iter::repeat_n(end_us, count));
            batch.ids.extend(ids);
            batch.cells.rows.extend(cells.rows);
            for (mine, more) in batch.cells.columns.iter_mut().zip(&cells.columns) {
                if let (Some(mine), Some(more)) = (mine, more) {
                    mine.append(more);
                }
            }
        }
        None => {
            batches.push(ClosedBatch {
                tier,
                shape,
                page,
                page_keys,
                start_us: vec![start_us; count],
                end_us: vec![end_us; count],
                ids,
                cells,
            });
        }
    }
}

fn pick(column: &ArrayRef, ids: &UInt32Array) -> ArrayRef {
    if *column.data_type() == arrow::datatypes::DataType::Utf8 && column.null_count() == 0 {
        let codes = Int32Array::from_iter_values(ids.values().iter().map(|&id| id as i32));
        return Arc::new(DictionaryArray::try_new(codes, Arc::clone(column)).expect("ids are below the page's keys"));
    }
    arrow::compute::take(column, ids, None).expect("ids are below the page's keys")
}

/// Positions of the groups that result rows are of.
fn kept(rows: &Rows, groups: usize) -> impl Iterator<Item = usize> {
    let positions = rows.groups.clone().unwrap_or_else(|| (0..groups as u32).collect());
    positions.into_iter().map(|position| position as usize)
}

/// Result rows of sessions of one metric.
fn session_rows(metric: &SharedMetric, time_type: DataType, gap_us: i64, keys: &Keys, sessions: &[(u32, Arc<Session>)]) -> Rows {
    let plan_types: Vec<DataType> = metric.plan.keys.iter().map(|key| key.expr.data_type()).collect();
    let columns = decode_columns(sessions.iter().map(|(id, _)| keys.key(*id)), &plan_types)
        .expect("keys are canonical: this replica decodes only what it encoded");
    crate::view::rows_of_sessions(metric, time_type, gap_us, columns, sessions.iter().map(|(_, session)| &**session))
}
