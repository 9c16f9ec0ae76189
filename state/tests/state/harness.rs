//! Drives chains and replicas without threads: a seed decides who does what next.

use raympp_operators::sharing::SharedPlan;
use raympp_state::chain::{Chain, ChainOptions, Rejected, Rows};
use raympp_state::delta::{Delta, Mark};
use raympp_state::replica::{Applied, Replica, Want};
use raympp_state::result::ResultDelta;
use raympp_testkit::random::Random;
use raympp_testkit::reference::{KeyWindow, Reference, ReferenceMetric, SplitRows};
use raympp_testkit::rows::{difference, rows_sorted};
use raympp_testkit::script::StreamScript;
use raympp_types::{EventTime, KeyGroups, KeyHash, MetricId, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm};
use std::collections::VecDeque;
use std::sync::Arc;

/// How a stream is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) partitions: u32,
    pub(crate) replicas: usize,
    /// A delta is cut at the latest after this many rows.
    pub(crate) flush_rows: u64,
    /// Most rows that are pushed at once.
    pub(crate) push_rows: u64,
    /// One in this many steps compares all replicas with the reference's view of what they have applied; 0: none does.
    pub(crate) look_once_in: u64,
}

/// Reads one split.
struct Feeder {
    chain: Chain,
    rows: SplitRows,
    /// Next batch, and the next row of it.
    at: (usize, usize),
    ended: bool,
}

/// A replica with what is on its way to it, by split, and what has come out of it.
pub(crate) struct Copy {
    pub(crate) replica: Replica,
    inbox: Vec<VecDeque<Arc<Delta>>>,
    pub(crate) results: Vec<ResultDelta>,
}

pub(crate) struct Harness {
    pub(crate) script: StreamScript,
    pub(crate) plan: Arc<SharedPlan>,
    pub(crate) key_groups: KeyGroups,
    run: Run,
    feeders: Vec<Feeder>,
    /// By partition, then by replica.
    pub(crate) copies: Vec<Vec<Copy>>,
    pub(crate) rejected: Vec<Rejected>,
}

pub(crate) fn chain_options(script: &StreamScript) -> ChainOptions {
    let stream = &script.stream;
    ChainOptions { event_time: stream.event_time, bound_us: stream.bound_us, max_jump_us: stream.max_jump_us, keep_late_rows: true }
}

impl Harness {
    pub(crate) fn new(script: &StreamScript, splits: &[SplitRows], run: Run) -> Harness {
        let plan = Arc::new(SharedPlan::of(PlanVersion(1), &script.metrics));
        let key_groups = KeyGroups::new(KeyGroups::GROUPS_DEFAULT, run.partitions).expect("a valid number of partitions");
        let ids: Vec<SplitId> = splits.iter().map(|split| split.split).collect();
        let time_type = script.metrics.first().map_or(raympp_types::DataType::Timestamp, |(_, plan)| plan.time_type(&script.stream));
        let copy = |partition: u32| Copy {
            replica: Replica::new(PartitionId(partition), Arc::clone(&plan), script.stream.bound_us, time_type, &ids),
            inbox: vec![VecDeque::new(); splits.len()],
            results: Vec::new(),
        };
        let copies = (0..run.partitions).map(|partition| (0..run.replicas).map(|_| copy(partition)).collect()).collect();
        let feeder = |rows: &SplitRows| Feeder {
            chain: Chain::open(
                rows.split,
                SplitTerm(1),
                Offset(0),
                RunningWatermark::default(),
                chain_options(script),
                &plan,
                key_groups,
            ),
            rows: rows.clone(),
            at: (0, 0),
            ended: false,
        };
        let feeders = splits.iter().map(feeder).collect();
        Harness { script: script.clone(), plan: Arc::clone(&plan), key_groups, run, feeders, copies, rejected: Vec::new() }
    }

    /// Runs everything to its end, in an order that the seed decides.
    pub(crate) fn run_to_end(&mut self, random: &mut Random) {
        while !self.step(random) {
            if self.run.look_once_in > 0 && random.once_in(self.run.look_once_in) {
                self.check_views();
            }
        }
        self.close_all();
    }

    pub(crate) fn close_all(&mut self) {
        for copy in self.copies.iter_mut().flatten() {
            while copy.replica.close_step(|_| Want::Rows, &mut copy.results) {}
        }
    }

    /// Does something; true when there is nothing left to read and to deliver.
    fn step(&mut self, random: &mut Random) -> bool {
        let reading: Vec<usize> = (0..self.feeders.len()).filter(|&i| !self.feeders[i].ended).collect();
        if !reading.is_empty() && random.once_in(2) {
            let split = random.pick(&reading);
            self.read(split, random);
            return false;
        }
        let partition = random.index(self.copies.len());
        let number = random.index(self.run.replicas);
        let copy = &mut self.copies[partition][number];
        if random.once_in(3) {
            copy.replica.close_step(|_| Want::Rows, &mut copy.results);
            return false;
        }
        let waiting: Vec<usize> = (0..copy.inbox.len()).filter(|&split| !copy.inbox[split].is_empty()).collect();
        if !waiting.is_empty() {
            copy.deliver(random.pick(&waiting));
        }
        reading.is_empty() && self.copies.iter().flatten().all(|copy| copy.inbox.iter().all(VecDeque::is_empty))
    }

    /// Pushes some rows of a split, and perhaps flushes.
    fn read(&mut self, split: usize, random: &mut Random) {
        let feeder = &mut self.feeders[split];
        let most = self.run.push_rows.min(self.run.flush_rows - feeder.chain.pending_rows()).max(1);
        self.rejected.extend(feeder.push(1 + random.below(most)));
        let done = feeder.chain.offset().0 == feeder.rows.len();
        if done || feeder.chain.pending_rows() >= self.run.flush_rows || random.once_in(6) {
            feeder.ended = done;
            let delta = feeder.chain.flush(if done { vec![Mark::End] } else { Vec::new() });
            self.send(split, delta);
        }
    }

    fn send(&mut self, split: usize, delta: Option<Delta>) {
        if let Some(delta) = delta.map(Arc::new) {
            for copy in self.copies.iter_mut().flatten() {
                copy.inbox[split].push_back(Arc::clone(&delta));
            }
        }
    }

    fn reference_metrics(&self) -> Vec<ReferenceMetric> {
        self.script.metrics.iter().map(|(_, plan)| ReferenceMetric::new(plan)).collect()
    }

    /// Compares everything that has come out with the reference. To be called at the end.
    pub(crate) fn check_results(&self) {
        let splits: Vec<SplitRows> = self.feeders.iter().map(|feeder| feeder.rows.clone()).collect();
        let reference = Reference::new(&self.script.stream, &self.reference_metrics(), &splits);
        for replica in 0..self.run.replicas {
            let copies: Vec<&Copy> = self.copies.iter().map(|copies| &copies[replica]).collect();
            self.check_counters(&reference, &copies);
            for (position, (id, plan)) in self.script.metrics.iter().enumerate() {
                let batches = copies.iter().flat_map(|copy| &copy.results).filter(|result| result.metric == *id).map(|result| &result.batch);
                let (expected, found) = (reference.closed_rows(position), rows_sorted(batches));
                if let Some(difference) = difference(&expected, &found) {
                    panic!("closed windows of {}: {difference}\n{}", plan.name, plan.definition);
                }
            }
            copies.iter().for_each(|copy| copy.check_flags());
        }
        self.check_copies_equal();
        self.check_views();
    }

    fn check_counters(&self, reference: &Reference, copies: &[&Copy]) {
        let sum = |of: &dyn Fn(&Copy) -> u64| copies.iter().map(|copy| of(copy)).sum::<u64>();
        assert_eq!(sum(&|copy| copy.replica.counters().rows_below_frontier), 0, "rows met a closed window");
        assert_eq!(sum(&|copy| copy.replica.counters().violations), 0);
        assert_eq!(sum(&|copy| copy.replica.counters().late), reference.late, "late rows");
        assert_eq!(sum(&|copy| copy.replica.counters().bad), reference.bad, "bad rows");
        let (mut windows, mut overflowed) = (0, 0);
        for (position, shared) in self.plan.metrics.iter().enumerate() {
            let metric = reference.windows(position);
            let bad = sum(&|copy| copy.replica.bad_by_store().get(&shared.store).copied().unwrap_or(0));
            assert_eq!(bad, metric.bad, "bad rows of {}", shared.plan.definition);
            if shared.plan.window.has_bounds() {
                windows += metric.windows.len() as u64;
                overflowed += metric.windows.iter().map(|window| reference.result(position, window).overflowed).sum::<u64>();
            }
        }
        assert_eq!(sum(&|copy| copy.replica.counters().windows_closed), windows, "windows closed");
        assert_eq!(sum(&|copy| copy.replica.counters().overflowed), overflowed, "results that did not fit");
    }

    /// Replicas of a partition that have applied the same are the same.
    pub(crate) fn check_copies_equal(&self) {
        for copies in &self.copies {
            let above = copies.iter().map(|copy| copy.replica.frontier()).max().expect("a replica");
            let first = copies[0].replica.export(above);
            for copy in &copies[1..] {
                assert_eq!(copy.replica.splits(), copies[0].replica.splits());
                assert_eq!(copy.replica.export(above), first, "replicas that have applied the same differ");
            }
        }
    }

    /// Compares what readers see with the reference's view of the rows that each replica has applied.
    pub(crate) fn check_views(&self) {
        for copy in self.copies.iter().flatten() {
            let of = |feeder: &Feeder| {
                let progress = &copy.replica.splits()[&feeder.rows.split];
                let prefix = feeder.rows.prefix(progress.applied, progress.watermark.floor);
                SplitRows { ended: progress.ended, ..prefix }
            };
            let splits: Vec<SplitRows> = self.feeders.iter().map(of).collect();
            let reference = Reference::new(&self.script.stream, &self.reference_metrics(), &splits);
            let view = copy.replica.view();
            assert_eq!((view.frontier(), view.seen()), (reference.frontier, reference.seen));
            for position in 0..self.script.metrics.len() {
                self.check_view_of(&reference, copy, position);
            }
        }
    }

    fn check_view_of(&self, reference: &Reference, copy: &Copy, position: usize) {
        let view = copy.replica.view();
        let metric = &self.plan.metrics[position];
        let mine = |window: &KeyWindow| self.key_groups.partition(KeyHash::of(&window.key)) == view.partition();
        let text = |window: &KeyWindow| {
            let row = reference.result(position, window).row?;
            Some(format!("closed={} live={} {row}", reference.is_closed(position, window), reference.is_live(position, window)))
        };
        let windows = &reference.windows(position).windows;
        for live_only in [false, true] {
            let shown = |window: &&KeyWindow| {
                mine(window) && reference.is_readable(position, window) && (!live_only || reference.is_live(position, window))
            };
            let mut expected: Vec<String> = windows.iter().filter(shown).filter_map(text).collect();
            expected.sort_unstable();
            let found = scanned(copy, metric, live_only);
            if let Some(difference) = difference(&expected, &found) {
                panic!("scan of {} (live only: {live_only}): {difference}\n{}", metric.plan.name, metric.plan.definition);
            }
        }
        for window in windows.iter().filter(|window| mine(window)) {
            let live = windows.iter().find(|other| other.key == window.key && reference.is_live(position, other));
            let expected = live.and_then(|live| reference.result(position, live).row);
            let found = view.live(metric, &window.key).map(|rows| rows_sorted([&rows.batch]).remove(0));
            assert_eq!(found, expected, "live window of {:?} of {}", window.key, metric.plan.definition);
        }
        assert!(view.live(metric, b"\x01no such key\x00").is_none());
    }
}

fn scanned(copy: &Copy, metric: &raympp_operators::sharing::SharedMetric, live_only: bool) -> Vec<String> {
    let mut rows = Vec::new();
    for scanned in copy.replica.view().scan(metric, live_only) {
        assert_eq!(scanned.live.len(), scanned.rows.batch.num_rows());
        for (row, live) in scanned.live.iter().enumerate() {
            rows.push(format!("closed={} live={live} {}", scanned.closed, raympp_testkit::rows::row_text(&scanned.rows.batch, row)));
        }
    }
    rows.sort_unstable();
    rows
}

impl Feeder {
    /// Pushes up to `most` offsets; a run ends with its batch.
    fn push(&mut self, most: u64) -> Vec<Rejected> {
        let from = self.chain.offset();
        let (mut to, mut offsets) = (from.0, Vec::new());
        while self.rows.batches.get(self.at.0).is_some_and(|batch| batch.num_rows() == self.at.1) {
            self.at = (self.at.0 + 1, 0);
        }
        let left = self.rows.batches.get(self.at.0).map_or(0, |batch| batch.num_rows() - self.at.1);
        while to < self.rows.len() && to - from.0 < most {
            if !self.rows.undecodable.contains(&to) {
                if offsets.len() == left {
                    break;
                }
                offsets.push((to - from.0) as u32);
            }
            to += 1;
        }
        let batch = match self.rows.batches.get(self.at.0) {
            Some(batch) => batch.slice(self.at.1, offsets.len()),
            None => match self.rows.batches.last() {
                Some(batch) => batch.slice(0, 0),
                None => return Vec::new(),
            },
        };
        self.at.1 += offsets.len();
        let undecodable = to - from.0 - offsets.len() as u64;
        let row_offsets = (undecodable > 0).then_some(&offsets[..]);
        self.chain.push(&Rows { from, to: Offset(to), batch: &batch, row_offsets, undecodable })
    }
}

impl Copy {
    /// Applies the next delta of a split.
    pub(crate) fn deliver(&mut self, split: usize) {
        if let Some(delta) = self.inbox[split].pop_front() {
            assert_eq!(self.replica.apply(&delta), Applied::Yes);
        }
    }

    /// Windows leave in order of their ends, and nothing follows a window's last piece.
    fn check_flags(&self) {
        let metrics: std::collections::BTreeSet<MetricId> = self.results.iter().map(|result| result.metric).collect();
        for metric in metrics {
            let mut done = EventTime::MIN;
            let mut last = true;
            for result in self.results.iter().filter(|result| result.metric == metric) {
                assert!(result.window_end > done, "{metric}: a piece of {} after {done} was done", result.window_end);
                last = result.last;
                if last {
                    done = result.window_end;
                }
            }
            assert!(last, "{metric}: the last window's last piece is flagged");
        }
    }
}
