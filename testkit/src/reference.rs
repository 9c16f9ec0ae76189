//! The reference: what the dialect says must come out, computed row by row and window by window, without any cleverness.
//!
//! A row is judged by the rows before it in its split. A row that counts is put into every window that holds it, found by the windows'
//! definition; a session is a run of rows of a key less than a gap apart. Each window's rows are then evaluated and folded in one go. So
//! there are no slices, no merging, no retraction, no sharing and no batches here: these are what the engine is checked for. Cost:
//! every row and window is evaluated on its own, some microseconds each.

mod finish;
mod judge;
mod windows;

use arrow::array::RecordBatch;
use judge::{JudgedSplit, Verdict};
use raympp_operators::plan::{MetricPlan, StreamPlan};
use raympp_operators::window::Window;
use raympp_types::{DataType, EventTime, Offset, SplitId};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The contents of a split.
#[derive(Clone, Debug)]
pub struct SplitRows {
    /// Which split.
    pub split: SplitId,
    /// Its decodable rows in order.
    pub batches: Vec<RecordBatch>,
    /// Offsets that hold no decodable row.
    pub undecodable: BTreeSet<u64>,
    /// Floors by the offset from which they judge, rising.
    pub floors: Vec<(Offset, EventTime)>,
    /// No rows will come.
    pub ended: bool,
}

impl SplitRows {
    /// A split of these rows that has ended.
    pub fn new(split: u32, batches: Vec<RecordBatch>) -> SplitRows {
        SplitRows { split: SplitId(split), batches, undecodable: BTreeSet::new(), floors: Vec::new(), ended: true }
    }

    /// Number of rows, decodable or not.
    pub fn len(&self) -> u64 {
        self.batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>() + self.undecodable.len() as u64
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows up to an offset, with the floors up to `floor`, not ended.
    pub fn prefix(&self, to: Offset, floor: EventTime) -> SplitRows {
        let undecodable: BTreeSet<u64> = self.undecodable.range(..to.0).copied().collect();
        let mut rows = (to.0 - undecodable.len() as u64) as usize;
        let mut batches = Vec::new();
        for batch in &self.batches {
            let taken = rows.min(batch.num_rows());
            batches.push(batch.slice(0, taken));
            rows -= taken;
        }
        let floors = self.floors.iter().copied().filter(|&(at, raised)| at <= to && raised <= floor).collect();
        SplitRows { split: self.split, batches, undecodable, floors, ended: false }
    }
}

/// A metric, and from where it counts.
#[derive(Clone, Debug)]
pub struct ReferenceMetric {
    /// Its definition.
    pub plan: Arc<MetricPlan>,
    /// The barrier's offsets, for a metric added while rows flowed; splits that are not listed joined later.
    pub since: Option<BTreeMap<SplitId, Offset>>,
}

impl ReferenceMetric {
    /// A metric that counts from offset 0.
    pub fn new(plan: &Arc<MetricPlan>) -> ReferenceMetric {
        ReferenceMetric { plan: Arc::clone(plan), since: None }
    }
}

/// One window of one key.
#[derive(Clone, Debug)]
pub struct KeyWindow {
    /// Canonical bytes of the key.
    pub key: Vec<u8>,
    /// First instant; 0 without a window.
    pub start_us: i64,
    /// First instant after it; 0 without a window.
    pub end_us: i64,
    /// Its rows: (position of the split, row of the split).
    rows: Vec<(usize, usize)>,
    /// Highest event time of its rows.
    last_us: i64,
    result: OnceCell<WindowResult>,
}

impl KeyWindow {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without rows, which no window is.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// What a metric computes.
#[derive(Clone, Debug)]
pub struct MetricWindows {
    /// Rows that could not be evaluated.
    pub bad: u64,
    /// All windows with rows, by key, start and end.
    pub windows: Vec<KeyWindow>,
}

impl MetricWindows {
    /// The windows of one key.
    pub fn of_key(&self, key: &[u8]) -> &[KeyWindow] {
        let from = self.windows.partition_point(|window| &window.key[..] < key);
        let count = self.windows[from..].partition_point(|window| window.key == key);
        &self.windows[from..from + count]
    }
}

/// A window's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowResult {
    /// Exact text of the result row; `None`: HAVING does not hold.
    pub row: Option<String>,
    /// Values that did not fit or could not be computed.
    pub overflowed: u64,
}

/// Everything that follows from the contents of a stream's splits.
pub struct Reference {
    time_type: DataType,
    splits: Vec<JudgedSplit>,
    metrics: Vec<(ReferenceMetric, MetricWindows)>,
    /// Late rows of all splits.
    pub late: u64,
    /// Rows that are bad for the stream.
    pub bad: u64,
    /// Highest event time of all rows.
    pub seen: EventTime,
    /// Lowest watermark of all splits.
    pub frontier: EventTime,
}

impl Reference {
    /// Judges and groups all rows.
    pub fn new(stream: &StreamPlan, metrics: &[ReferenceMetric], splits: &[SplitRows]) -> Reference {
        let splits: Vec<JudgedSplit> = splits.iter().map(|split| JudgedSplit::judge(stream, split)).collect();
        let count = |verdict: Verdict| splits.iter().flat_map(|split| &split.verdicts).filter(|&&v| v == verdict).count() as u64;
        let (late, bad) = (count(Verdict::Late), count(Verdict::Bad) + splits.iter().map(|split| split.undecodable).sum::<u64>());
        let seen = splits.iter().map(|split| split.seen_before(None)).max().unwrap_or(EventTime::MIN);
        let frontier = splits.iter().map(|split| split.watermark).min().unwrap_or(EventTime::MIN);
        let time_type = metrics.first().map_or(DataType::Timestamp, |metric| metric.plan.time_type(stream));
        let metrics = metrics.iter().map(|metric| (metric.clone(), windows::group(metric, &splits))).collect();
        Reference { time_type, splits, metrics, late, bad, seen, frontier }
    }

    /// Windows of metric number `metric`.
    pub fn windows(&self, metric: usize) -> &MetricWindows {
        &self.metrics[metric].1
    }

    /// The result of a window.
    pub fn result<'a>(&self, metric: usize, window: &'a KeyWindow) -> &'a WindowResult {
        window.result.get_or_init(|| finish::finish(&self.metrics[metric].0.plan, self.time_type, &self.splits, window))
    }

    /// Sorted result rows of the windows that `which` picks.
    pub fn rows(&self, metric: usize, which: impl Fn(&KeyWindow) -> bool) -> Vec<String> {
        let picked = self.windows(metric).windows.iter().filter(|window| which(window));
        let mut rows: Vec<String> = picked.filter_map(|window| self.result(metric, window).row.clone()).collect();
        rows.sort_unstable();
        rows
    }

    /// Sorted result rows of all windows that have closed; none of a metric without bounds.
    pub fn closed_rows(&self, metric: usize) -> Vec<String> {
        self.rows(metric, |window| self.is_closed(metric, window))
    }

    /// True if the frontier has reached the window's end.
    pub fn is_closed(&self, metric: usize, window: &KeyWindow) -> bool {
        self.metrics[metric].0.plan.window.has_bounds() && EventTime(window.end_us) <= self.frontier
    }

    /// True if this is its key's live window.
    pub fn is_live(&self, metric: usize, window: &KeyWindow) -> bool {
        match self.metrics[metric].0.plan.window {
            Window::Global { ttl_us: None } => true,
            Window::Session { gap_us } | Window::Global { ttl_us: Some(gap_us) } => {
                let latest = !self.windows(metric).of_key(&window.key).iter().any(|other| other.last_us > window.last_us);
                latest && i128::from(self.seen.0) - i128::from(window.last_us) < i128::from(gap_us)
            }
            shape => self.seen != EventTime::MIN && windows::live_window(&shape, self.seen.0) == (window.start_us, window.end_us),
        }
    }

    /// True if a scan shows the window: it is open, live, or closed and still retained.
    pub fn is_readable(&self, metric: usize, window: &KeyWindow) -> bool {
        let plan = &self.metrics[metric].0.plan;
        let retained_us = i128::from(self.frontier.min(self.seen).0) - i128::from(plan.retention_us);
        match plan.window {
            Window::Global { ttl_us: Some(gap_us) } => {
                let end_us = i128::from(window.last_us) + i128::from(gap_us);
                end_us > i128::from(self.frontier.0) || end_us > retained_us || self.is_live(metric, window)
            }
            Window::Global { ttl_us: None } => true,
            _ => !self.is_closed(metric, window) || i128::from(window.end_us) > retained_us || self.is_live(metric, window),
        }
    }

    /// Exact texts of the late rows of a split, in order.
    pub fn late_rows(&self, split: usize) -> Vec<String> {
        let split = &self.splits[split];
        let late = split.verdicts.iter().enumerate().filter(|(_, verdict)| **verdict == Verdict::Late);
        late.map(|(row, _)| crate::rows::row_text(&split.rows, row)).collect()
    }
}
