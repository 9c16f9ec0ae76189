//! The chain of one split: rows in order, judged and folded; deltas out, each beginning where the last one ended.
//!
//! Lateness is decided here, row by row, by the rows before it ([`RunningWatermark`]); short runs of rows take a short cut when their lowest
//! event time is not below the watermark after their highest. What the rows do not determine is placed as marks, always at the end of a delta.
//! Invariant: the deltas of a chain tile the split; a mark stands between two deltas and never inside one.
//!
//! A chain that goes on where another reader was lost ([`Chain::open_again`]) has to end deltas at given offsets and to repeat marks there: until the
//! last of these *stops* is passed, nothing else may be marked.

use crate::delta::{Delta, DeltaPart, Mark, SplitCounts, Stamp, Uncounted};
use crate::fold::{Batch, FLUSH_ROWS_MAX, Failure, StreamFold};
use crate::opening::{Opened, Stop};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::TimestampMicrosecondType;
use raympp_operators::accumulator::{RowOffsets, RowStamps};
use raympp_operators::sharing::SharedPlan;
use raympp_types::{EventTime, KeyGroups, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm};
use std::collections::VecDeque;

/// Rows that are judged together where that is possible: few, since rows out of order by nearly the bound need a look one by one.
const RUN_ROWS: usize = 64;

/// What a stream says about the rows of its splits.
#[derive(Clone, Copy, Debug)]
pub struct ChainOptions {
    /// Position of the event-time column; without one no row is late and only windowless metrics make sense.
    pub event_time: Option<usize>,
    /// Bound of out-of-orderness.
    pub bound_us: i64,
    /// Furthest a row may be ahead of the split's maximum and floor.
    pub max_jump_us: Option<i64>,
    /// Late rows travel with the deltas.
    pub keep_late_rows: bool,
}

/// A run of rows of the split.
pub struct Rows<'a> {
    /// Rows before the run.
    pub from: Offset,
    /// Rows up to and including its last.
    pub to: Offset,
    /// The decodable ones.
    pub batch: &'a RecordBatch,
    /// Offset of each decodable row, less `from`; `None` if all are.
    pub row_offsets: Option<&'a [u32]>,
    /// How many were not.
    pub undecodable: u64,
}

/// A row that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its offset: the number of rows before it.
    pub offset: Offset,
    /// Position in the batch.
    pub row: usize,
    /// Store whose metrics it is bad for; `None`: bad for the stream.
    pub store: Option<usize>,
    /// Why.
    pub reason: String,
}

/// Rows of one split on their way into deltas.
pub struct Chain {
    split: SplitId,
    term: SplitTerm,
    options: ChainOptions,
    from: Offset,
    to: Offset,
    watermark: RunningWatermark,
    fold: StreamFold,
    uncounted: Uncounted,
    counts: SplitCounts,
    plan: PlanVersion,
    /// Offsets to come at which a delta ends, and what is marked there.
    stops: VecDeque<Stop>,
    /// The partition that owns the split's counts.
    counts_in: PartitionId,
}

impl Chain {
    /// A chain that goes on from an offset with the watermark as of there.
    pub fn open(
        split: SplitId,
        term: SplitTerm,
        at: Offset,
        watermark: RunningWatermark,
        options: ChainOptions,
        plan: &SharedPlan,
        key_groups: KeyGroups,
    ) -> Chain {
        let counts_in = key_groups.counts_in(split);
        let fold = StreamFold::new(plan, key_groups);
        let (uncounted, counts, plan, stops) = (Uncounted::default(), SplitCounts::default(), plan.version, VecDeque::new());
        Chain { split, term, options, from: at, to: at, watermark, fold, uncounted, counts, plan, stops, counts_in }
    }

    /// A chain that goes on for a reader that was lost, as its listeners have answered. `plan` is the one that [`Opened`] names.
    pub fn open_again(
        split: SplitId,
        term: SplitTerm,
        opened: &Opened,
        options: ChainOptions,
        plan: &SharedPlan,
        key_groups: KeyGroups,
    ) -> Chain {
        let chain = Chain::open(split, term, opened.at, opened.watermark, options, plan, key_groups);
        Chain { counts: opened.counts, stops: opened.stops.clone(), ..chain }
    }

    /// The stop at the current offset: before anything else is pushed or marked, its marks are to be placed, in order, each barrier's plan adopted
    /// behind it, and a delta is to end here in any case.
    pub fn take_stop(&mut self) -> Option<Stop> {
        self.stops.pop_front_if(|stop| stop.at == self.to)
    }

    /// True until the last stop is taken: marks of its own the reader places behind it.
    pub fn is_repeating(&self) -> bool {
        !self.stops.is_empty()
    }

    /// Whose chain it is.
    pub fn split(&self) -> SplitId {
        self.split
    }

    /// All rows up to here have been pushed.
    pub fn offset(&self) -> Offset {
        self.to
    }

    /// Rows that wait for the next flush.
    pub fn pending_rows(&self) -> u64 {
        self.to.0 - self.from.0
    }

    /// How many more rows may be pushed before a flush or the next stop.
    pub fn room(&self) -> u64 {
        let room = FLUSH_ROWS_MAX - self.fold.rows();
        self.stops.front().map_or(room, |stop| room.min(stop.at.0 - self.to.0))
    }

    /// Rows of the split so far that do not count, or not everywhere; since its beginning, or since the checkpoint that it goes on from.
    pub fn counts(&self) -> SplitCounts {
        self.counts
    }

    /// As of the last row.
    pub fn watermark(&self) -> EventTime {
        self.watermark.watermark(self.options.bound_us)
    }

    /// Highest event time and floor.
    pub fn running_watermark(&self) -> RunningWatermark {
        self.watermark
    }

    /// From here on late rows travel with the deltas, or do not; nor do those that wait for the next flush.
    pub fn keep_late_rows(&mut self, keep: bool) {
        self.options.keep_late_rows = keep;
        if !keep {
            self.uncounted.late_rows.clear();
        }
    }

    /// Takes the next rows. They must begin where the last ones ended and be at most [`Chain::room`] many. Returns those that are bad
    /// although they could be decoded.
    pub fn push(&mut self, rows: &Rows<'_>) -> Vec<Rejected> {
        assert_eq!(rows.from, self.to, "rows of a split come in order");
        assert!(self.stops.front().is_none_or(|stop| rows.to <= stop.at), "no delta spans an offset from which some replica goes on");
        self.to = rows.to;
        self.uncounted.bad += rows.undecodable;
        self.counts.bad += rows.undecodable;
        if rows.batch.num_rows() == 0 {
            return Vec::new();
        }
        let mut rejected = Vec::new();
        let offset_of = |row: usize| Offset(rows.from.0 + rows.row_offsets.map_or(row as u64, |offsets| offsets[row].into()));
        let no_times = vec![0; if self.options.event_time.is_none() { rows.batch.num_rows() } else { 0 }];
        let (times, judged) = match self.options.event_time {
            None => (&no_times[..], Judged::all_on_time((0, 0))),
            Some(column) => {
                let column = rows.batch.column(column);
                let judged = self.judge(column);
                (&column.as_primitive::<TimestampMicrosecondType>().values()[..], judged)
            }
        };
        for (row, reason) in &judged.bad {
            rejected.push(Rejected { offset: offset_of(*row), row: *row, store: None, reason: reason.to_string() });
        }
        self.uncounted.bad += judged.bad.len() as u64;
        self.counts.bad += judged.bad.len() as u64;
        self.keep_late(rows.batch, &judged.late);
        if judged.active.as_ref().is_some_and(|active| active.count_set_bits() == 0) {
            return rejected;
        }
        let absolute: Option<Vec<u64>> = rows.row_offsets.map(|offsets| offsets.iter().map(|&o| rows.from.0 + u64::from(o)).collect());
        let offsets = absolute.as_deref().map_or(RowOffsets::From(rows.from), RowOffsets::Each);
        let batch = Batch {
            columns: rows.batch.columns(),
            rows: rows.batch.num_rows(),
            event_times_us: times,
            range_us: judged.range_us,
            active: judged.active,
            stamps: RowStamps { event_times_us: times, split: self.split, offsets },
        };
        let failures = self.fold.fold(&batch);
        self.counts.bad_for_metrics += rows_of(&failures);
        for Failure { store, row, reason } in failures {
            rejected.push(Rejected { offset: offset_of(row), row, store: Some(store), reason });
        }
        rejected
    }

    fn keep_late(&mut self, batch: &RecordBatch, late: &[u32]) {
        self.uncounted.late += late.len() as u64;
        self.counts.late += late.len() as u64;
        if self.options.keep_late_rows && !late.is_empty() {
            let rows = arrow::compute::take_record_batch(batch, &UInt32Array::from(late.to_vec())).expect("rows of the batch");
            self.uncounted.late_rows.push(rows);
        }
    }

    /// Judges the rows in order. Where a run's lowest event time is high enough for any order, its rows need no look one by one.
    fn judge(&mut self, column: &ArrayRef) -> Judged {
        let column = column.as_primitive::<TimestampMicrosecondType>();
        let times = &column.values()[..];
        let runs_will_do = self.options.max_jump_us.is_none() && column.null_count() == 0;
        let mut judged = Judged::all_on_time((i64::MAX, i64::MIN));
        let mut on_time = Vec::new();
        for (run, times_of_run) in times.chunks(RUN_ROWS).enumerate() {
            let (low, high) = times_of_run.iter().fold((i64::MAX, i64::MIN), |(low, high), &t| (low.min(t), high.max(t)));
            if runs_will_do && self.watermark.observe_run(EventTime(low), EventTime(high), self.options.bound_us) {
                judged.take_range(low, high);
                continue;
            }
            for row in run * RUN_ROWS..run * RUN_ROWS + times_of_run.len() {
                if !self.judge_row(row, times[row], column.is_null(row), &mut judged) {
                    on_time.resize(times.len(), true);
                    on_time[row] = false;
                }
            }
        }
        judged.active = (!on_time.is_empty()).then(|| BooleanBuffer::from(on_time));
        judged
    }

    /// True if the row is on time; else it is noted as late or bad.
    fn judge_row(&mut self, row: usize, time: i64, is_null: bool, judged: &mut Judged) -> bool {
        let reference = self.watermark.max_event_time.max(self.watermark.floor);
        if is_null {
            judged.bad.push((row, "the event time is NULL"));
        } else if self.jumps_too_far(reference, time) {
            judged.bad.push((row, "the event time is further ahead of the split than max_jump allows"));
        } else if self.watermark.observe(EventTime(time), self.options.bound_us) {
            judged.late.push(row as u32);
        } else {
            judged.take_range(time, time);
            return true;
        }
        false
    }

    fn jumps_too_far(&self, reference: EventTime, time: i64) -> bool {
        self.options.max_jump_us.is_some_and(|jump| reference > EventTime::MIN && time > reference.0.saturating_add(jump))
    }

    /// Closes the delta at the current offset and places marks there. `None` if there is nothing to say.
    pub fn flush(&mut self, marks: Vec<Mark>) -> Option<Delta> {
        for mark in &marks {
            if let Mark::Floor(floor) = mark {
                self.watermark.raise_floor(*floor);
            }
        }
        if self.from == self.to && marks.is_empty() {
            return None;
        }
        let (mut parts, bad_by_store) = self.fold.flush();
        let mut uncounted = std::mem::take(&mut self.uncounted);
        uncounted.bad_by_store = bad_by_store;
        if uncounted.late + uncounted.bad > 0 || !uncounted.bad_by_store.is_empty() {
            let at = match parts.binary_search_by_key(&self.counts_in, |(partition, _)| *partition) {
                Ok(at) => at,
                Err(at) => {
                    parts.insert(at, (self.counts_in, DeltaPart::default()));
                    at
                }
            };
            parts[at].1.uncounted = Some(uncounted);
        }
        let from = std::mem::replace(&mut self.from, self.to);
        let stamp =
            Stamp { split: self.split, split_term: self.term, from, to: self.to, watermark: self.watermark, counts: self.counts, marks };
        Some(Delta { stamp, parts })
    }

    /// Goes on under another plan; to be called right after the flush that placed its barrier. An older one changes nothing.
    pub fn adopt(&mut self, plan: &SharedPlan) {
        assert_eq!(self.from, self.to, "a plan changes at a barrier, which no delta spans");
        if plan.version > self.plan {
            self.plan = plan.version;
            self.fold.adopt(plan);
        }
    }
}

/// Rows that could not be evaluated for some store, each once.
fn rows_of(failures: &[Failure]) -> u64 {
    let mut rows: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
    rows.sort_unstable();
    rows.dedup();
    rows.len() as u64
}

/// The verdict on a batch.
struct Judged {
    active: Option<BooleanBuffer>,
    range_us: (i64, i64),
    late: Vec<u32>,
    bad: Vec<(usize, &'static str)>,
}

impl Judged {
    fn all_on_time(range_us: (i64, i64)) -> Judged {
        Judged { active: None, range_us, late: Vec::new(), bad: Vec::new() }
    }

    fn take_range(&mut self, low: i64, high: i64) {
        self.range_us = (self.range_us.0.min(low), self.range_us.1.max(high));
    }
}
