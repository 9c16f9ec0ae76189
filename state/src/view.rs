//! Reading a replica from any thread: the live window of a key, or all windows kept, without stopping the writer.
//!
//! A window of a page's keys is read at one instant (the page's version covers cells and progress), and so are a few windows that are put together in one
//! run; other windows and other pages may be read at other instants. Nothing here goes through the partition's actor or makes it wait. A reader takes the read
//! lock of a segment of keys, of heavy cells or of a page of sessions while it looks, and looks again where it meets the writer at it: for microseconds, unless the writer
//! has lost its core in the middle.

mod assemble;
mod page_keys;
mod pieces;

use crate::block::{in_page, page_of};
use crate::keys::KeyReader;
use crate::result::{Bound, Groups, Rows, row_of_names, rows_of};
use crate::sessions::{Session, SessionList, SessionPages};
use crate::sliced::SlicedPages;
use arc_swap::ArcSwap;
use arrow::array::{ArrayRef, RecordBatch};
use assemble::WindowReader;
use page_keys::{KeyInPage, PageOfKeys, keys_by_page};
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_operators::keycode;
use raympp_operators::sharing::{SharedMetric, SharedPlan};
use raympp_types::{DataType, EventTime, MetricId, PartitionId};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// One store, as readers see it.
#[derive(Clone)]
pub enum StoreView {
    /// Sliced windows and running totals.
    Sliced(Arc<SlicedPages>),
    /// Sessions.
    Sessions(Arc<SessionPages>),
}

struct Contents {
    plan: Arc<SharedPlan>,
    stores: Vec<Option<StoreView>>,
    keys: Vec<Arc<KeyReader>>,
    first_after: HashMap<MetricId, EventTime>,
}

/// What readers share of a replica.
pub struct ReplicaView {
    partition: PartitionId,
    time_type: DataType,
    contents: ArcSwap<Contents>,
    frontier: AtomicI64,
    seen: AtomicI64,
    as_of_us: AtomicU64,
}

/// Rows of a scan with the two pseudo-columns of a metric.
#[derive(Debug)]
pub struct ScannedRows {
    /// Output columns of the metric, HAVING applied.
    pub rows: Rows,
    /// True for windows that are over.
    pub closed: bool,
    /// True for the live window, row by row.
    pub live: Vec<bool>,
}

impl ReplicaView {
    pub(crate) fn new(partition: PartitionId, time_type: DataType) -> ReplicaView {
        let contents = Contents { plan: Arc::new(SharedPlan::empty()), stores: Vec::new(), keys: Vec::new(), first_after: HashMap::new() };
        ReplicaView {
            partition,
            time_type,
            contents: ArcSwap::from_pointee(contents),
            frontier: AtomicI64::new(i64::MIN),
            seen: AtomicI64::new(i64::MIN),
            as_of_us: AtomicU64::new(0),
        }
    }

    pub(crate) fn publish_plan(
        &self,
        plan: Arc<SharedPlan>,
        stores: Vec<Option<StoreView>>,
        keys: Vec<Arc<KeyReader>>,
        first_after: HashMap<MetricId, EventTime>,
    ) {
        self.contents.store(Arc::new(Contents { plan, stores, keys, first_after }));
    }

    pub(crate) fn publish_progress(&self, frontier: EventTime, seen: EventTime) {
        self.seen.store(seen.0, Ordering::Release);
        self.frontier.store(frontier.0, Ordering::Release);
    }

    /// Notes that at this wall-clock time (microseconds) everything its ingest tasks had sent was applied.
    pub fn publish_as_of(&self, now_us: u64) {
        self.as_of_us.store(now_us, Ordering::Release);
    }

    /// When the replica last had everything it had been sent, in microseconds of the wall clock.
    pub fn as_of_us(&self) -> u64 {
        self.as_of_us.load(Ordering::Acquire)
    }

    /// Which partition this is.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Windows that end at or before it are closed.
    pub fn frontier(&self) -> EventTime {
        EventTime(self.frontier.load(Ordering::Acquire))
    }

    /// Highest event time of the stream that has reached this replica.
    pub fn seen(&self) -> EventTime {
        EventTime(self.seen.load(Ordering::Acquire))
    }

    /// The plan that readers see.
    pub fn plan(&self) -> Arc<SharedPlan> {
        Arc::clone(&self.contents.load().plan)
    }

    /// The live window's row of a key, given by canonical bytes; `None` if the key has no rows in it or HAVING refuses it.
    pub fn live(&self, metric: &SharedMetric, key: &[u8]) -> Option<RecordBatch> {
        self.window_of(metric, key, false)?.1
    }

    /// Bounds of the live window of a key that has rows in it, and its result row unless HAVING refuses it. A running total is given
    /// also when its time to live has passed.
    pub fn latest_window(&self, metric: &SharedMetric, key: &[u8]) -> Option<((i64, i64), Option<RecordBatch>)> {
        self.window_of(metric, key, !metric.plan.window.has_bounds())
    }

    fn window_of(&self, metric: &SharedMetric, key: &[u8], over_too: bool) -> Option<((i64, i64), Option<RecordBatch>)> {
        let contents = self.contents.load();
        let store = contents.stores.get(metric.store)?.as_ref()?;
        let space = contents.plan.stores[metric.store].as_ref()?.key_space;
        let group = self.live_group(store, &contents.keys[space], metric, key, over_too)?;
        let first_after = contents.first_after.get(&metric.id);
        if first_after.is_some_and(|&seen| metric.plan.window.has_bounds() && EventTime(group.start_us) <= seen) {
            return None;
        }
        Some(((group.start_us, group.end_us), self.row_of(metric, key, &group)))
    }

    /// The row of a running total that has been forgotten, as it was last, unless HAVING refuses it.
    pub fn row_let_go(&self, metric: &SharedMetric, key: &[u8], session: &Session) -> Option<RecordBatch> {
        self.row_of(metric, key, &LiveGroup::of_session(session, 0))
    }

    /// A row that names a key and its window and says nothing else.
    pub fn row_of_names(&self, metric: &SharedMetric, key: &[u8], bounds_us: (i64, i64)) -> RecordBatch {
        let keys = self.key_columns(metric, std::iter::once(key));
        row_of_names(metric, self.time_type, keys, metric.plan.window.has_bounds().then_some(bounds_us))
    }

    fn row_of(&self, metric: &SharedMetric, key: &[u8], group: &LiveGroup) -> Option<RecordBatch> {
        let keys = self.key_columns(metric, std::iter::once(key));
        let bounds_us = metric.plan.window.has_bounds().then_some((Bound::Same(group.start_us), Bound::Same(group.end_us)));
        let rows = rows_of(metric, self.time_type, Groups { keys, bounds_us, rows: &[group.rows], columns: &group.columns });
        (rows.batch.num_rows() == 1).then_some(rows.batch)
    }

    /// How many blocks of memory a look-up of a key's live window merges: what it costs. `None` where [`ReplicaView::live`] has no group.
    pub fn live_merges(&self, metric: &SharedMetric, key: &[u8]) -> Option<usize> {
        let contents = self.contents.load();
        let store = contents.stores.get(metric.store)?.as_ref()?;
        let space = contents.plan.stores[metric.store].as_ref()?.key_space;
        self.live_group(store, &contents.keys[space], metric, key, false).map(|group| group.merges)
    }

    fn live_group(&self, store: &StoreView, keys: &KeyReader, metric: &SharedMetric, key: &[u8], over_too: bool) -> Option<LiveGroup> {
        let read = |id| match store {
            StoreView::Sliced(pages) => self.live_sliced(pages, metric, id),
            StoreView::Sessions(pages) => self.live_session(pages, id, over_too),
        };
        keys.read(key, read).flatten()
    }

    fn live_sliced(&self, pages: &SlicedPages, metric: &SharedMetric, id: u32) -> Option<LiveGroup> {
        let page = Arc::clone(pages.pages.load().get(page_of(id))?);
        let in_page = [in_page(id)];
        let seen = self.seen();
        let (start_us, end_us) = live_bounds(metric, seen)?;
        let reader = WindowReader::new(&pages.store, metric);
        let groups = page.version().read(|| reader.read(&page, start_us, end_us, &in_page));
        (groups.rows[0] > 0).then(|| LiveGroup { merges: groups.merges, start_us, end_us, rows: groups.rows[0], columns: groups.columns })
    }

    fn live_session(&self, pages: &SessionPages, id: u32, over_too: bool) -> Option<LiveGroup> {
        let list = pages.of(id)?;
        let latest = list.last()?;
        (over_too || self.seen().0.saturating_sub(latest.last_us) < pages.gap_us).then(|| LiveGroup::of_session(latest, pages.gap_us))
    }

    /// All windows kept of a metric, open and closed ones that retention covers; `live_only`: just each key's live window.
    pub fn scan(&self, metric: &SharedMetric, live_only: bool) -> Vec<ScannedRows> {
        let contents = self.contents.load();
        let Some(Some(store)) = contents.stores.get(metric.store) else { return Vec::new() };
        let Some(space) = contents.plan.stores[metric.store].as_ref().map(|store| store.key_space) else { return Vec::new() };
        let keys = keys_by_page(&contents.keys[space]);
        let first_after = contents.first_after.get(&metric.id).copied();
        match store {
            StoreView::Sliced(pages) => self.scan_sliced(pages, keys, metric, first_after, live_only),
            StoreView::Sessions(pages) => self.scan_sessions(pages, keys, metric, first_after, live_only),
        }
    }

    fn scan_sliced(
        &self,
        pages: &SlicedPages,
        keys: Vec<PageOfKeys<'_>>,
        metric: &SharedMetric,
        first_after: Option<EventTime>,
        live_only: bool,
    ) -> Vec<ScannedRows> {
        let (frontier, seen) = (self.frontier(), self.seen());
        let live = live_bounds(metric, seen);
        let retained_us = frontier.min(seen).0.saturating_sub(metric.plan.retention_us);
        let reader = WindowReader::new(&pages.store, metric);
        let mut scanned = Vec::new();
        let pages = pages.pages.load();
        for mut keys in keys {
            // A page that is not there yet has no windows.
            let Some(page) = pages.get(keys.number) else { break };
            let ids: Vec<u32> = keys.ids().collect();
            let mut windows = page.version().read(|| reader.windows(page, retained_us));
            windows.retain(|&(start_us, end_us)| {
                let foreign = first_after.is_some_and(|seen| metric.plan.window.has_bounds() && EventTime(start_us) <= seen);
                !foreign && (!live_only || live == Some((start_us, end_us)))
            });
            for windows in windows.chunks(reader.run_length(ids.len())) {
                let groups = reader.read_all(page, windows, &ids);
                keys.check();
                for (&(start_us, end_us), mut groups) in windows.iter().zip(groups) {
                    keys.gone.iter().for_each(|&position| groups.rows[position] = 0);
                    let closed = metric.plan.window.has_bounds() && EventTime(end_us) <= frontier;
                    scanned.extend(self.scanned(metric, &keys.keys, groups, (start_us, end_us), closed, live == Some((start_us, end_us))));
                }
            }
        }
        scanned
    }

    fn scanned(
        &self,
        metric: &SharedMetric,
        keys: &[KeyInPage],
        groups: assemble::WindowGroups,
        bounds: (i64, i64),
        closed: bool,
        live: bool,
    ) -> Option<ScannedRows> {
        let groups = groups.occupied();
        if groups.rows.is_empty() {
            return None;
        }
        let keys = self.key_columns(metric, groups.positions.iter().map(|&i| &*keys[i as usize].0));
        let bounds_us = metric.plan.window.has_bounds().then_some((Bound::Same(bounds.0), Bound::Same(bounds.1)));
        let rows = rows_of(metric, self.time_type, Groups { keys, bounds_us, rows: &groups.rows, columns: &groups.columns });
        let live = vec![live; rows.batch.num_rows()];
        Some(ScannedRows { rows, closed, live })
    }

    fn key_columns<'a>(&self, metric: &SharedMetric, keys: impl Iterator<Item = &'a [u8]>) -> Vec<ArrayRef> {
        let types: Vec<DataType> = metric.plan.keys.iter().map(|key| key.expr.data_type()).collect();
        keycode::decode_columns(keys, &types).expect("keys are canonical: this replica decodes only what it encoded")
    }

    fn scan_sessions(
        &self,
        pages: &SessionPages,
        keys: Vec<PageOfKeys<'_>>,
        metric: &SharedMetric,
        first_after: Option<EventTime>,
        live_only: bool,
    ) -> Vec<ScannedRows> {
        let (frontier, seen) = (self.frontier(), self.seen());
        let retained_us = frontier.min(seen).0.saturating_sub(metric.plan.retention_us);
        let mut found: [Vec<FoundSession>; 2] = Default::default();
        let mut look = |key: &Arc<[u8]>, list: &SessionList| {
            for (i, session) in list.iter().enumerate() {
                let end_us = session.last_us + pages.gap_us;
                let live = i + 1 == list.len() && seen.0.saturating_sub(session.last_us) < pages.gap_us;
                let over = EventTime(end_us) <= frontier;
                let foreign = first_after.is_some_and(|seen| metric.plan.window.has_bounds() && EventTime(session.first_us) <= seen);
                if !foreign && (live || !live_only) && (!over || end_us > retained_us || live) {
                    // A running total never closes, even if its time to live is over.
                    found[usize::from(over && metric.plan.window.has_bounds())].push((Arc::clone(key), Arc::clone(session), live));
                }
            }
        };
        for mut keys in keys {
            let mut lists = pages.of_page(keys.number, keys.ids());
            keys.check();
            // A page that is not there yet has no lists.
            keys.gone.iter().for_each(|&position| drop(lists.get_mut(position).and_then(Option::take)));
            keys.keys.iter().zip(&lists).filter_map(|((key, _), list)| Some((key, list.as_ref()?))).for_each(|(key, list)| look(key, list));
        }
        let rows = |(closed, sessions): (usize, Vec<FoundSession>)| {
            let keys = self.key_columns(metric, sessions.iter().map(|(key, ..)| &**key));
            let rows = rows_of_sessions(metric, self.time_type, pages.gap_us, keys, sessions.iter().map(|(_, session, _)| &**session));
            let live = match &rows.groups {
                Some(groups) => groups.iter().map(|&i| sessions[i as usize].2).collect(),
                None => sessions.iter().map(|(.., live)| *live).collect(),
            };
            ScannedRows { rows, closed: closed == 1, live }
        };
        found.into_iter().enumerate().filter(|(_, sessions)| !sessions.is_empty()).map(rows).collect()
    }
}

/// A live window of one key.
struct LiveGroup {
    merges: usize,
    start_us: i64,
    end_us: i64,
    rows: u64,
    columns: Vec<Option<AccumulatorColumn>>,
}

impl LiveGroup {
    fn of_session(session: &Session, gap_us: i64) -> LiveGroup {
        let columns = session.columns.iter().cloned().map(Some).collect();
        LiveGroup { merges: 1, start_us: session.first_us, end_us: session.last_us + gap_us, rows: session.rows, columns }
    }
}

/// Bounds of the live window of a metric that is not made of sessions; `None` before the first row.
fn live_bounds(metric: &SharedMetric, seen: EventTime) -> Option<(i64, i64)> {
    if !metric.plan.window.is_sliced() {
        return Some((0, 0));
    }
    if seen == EventTime::MIN || !raympp_operators::window::representable(seen.0) {
        return None;
    }
    let end_us = metric.plan.window.live_end(seen.0);
    Some((metric.plan.window.start_of_window_ending(end_us), end_us))
}

/// A key, a session of it, and whether that is its live one.
type FoundSession = (Arc<[u8]>, Arc<Session>, bool);

/// Result rows of sessions.
pub(crate) fn rows_of_sessions<'a>(
    metric: &SharedMetric,
    time_type: DataType,
    gap_us: i64,
    keys: Vec<ArrayRef>,
    sessions: impl Iterator<Item = &'a Session> + Clone,
) -> Rows {
    let starts: Vec<i64> = sessions.clone().map(|session| session.first_us).collect();
    let ends: Vec<i64> = sessions.clone().map(|session| session.last_us + gap_us).collect();
    let counts: Vec<u64> = sessions.clone().map(|session| session.rows).collect();
    let width = sessions.clone().next().map_or(0, |session| session.columns.len());
    let columns: Vec<Option<AccumulatorColumn>> = (0..width)
        .map(|column| {
            let mut cells = sessions.clone().map(|session| &session.columns[column]);
            let mut all = cells.next()?.clone();
            cells.for_each(|cell| all.append(cell));
            Some(all)
        })
        .collect();
    let bounds_us = metric.plan.window.has_bounds().then_some((Bound::Each(&starts), Bound::Each(&ends)));
    rows_of(metric, time_type, Groups { keys, bounds_us, rows: &counts, columns: &columns })
}
