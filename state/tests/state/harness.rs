//! Drives chains and replicas without threads: a seed decides who does what next.

mod copy;
mod promotions;
mod restarts;
mod takeovers;

use raympp_operators::plan::MetricPlan;
use raympp_operators::sharing::SharedPlan;
use raympp_state::chain::{Chain, ChainOptions, Rejected};
use raympp_state::delta::{Delta, Mark};
use raympp_state::epoch_list::{EpochList, EpochLists};
use raympp_state::replica::{LateRows, PassedBarrier, Replica, SplitProgress, Want};
use raympp_state::result::ResultDelta;
use raympp_testkit::random::Random;
use raympp_testkit::reader::RowReader;
use raympp_testkit::reference::{KeyWindow, Reference, ReferenceMetric, SplitRows};
use raympp_testkit::rows::{difference, rows_sorted};
use raympp_testkit::script::StreamScript;
use raympp_testkit::views::{expected, shown};
use raympp_types::{
    Epoch, EventTime, KeyGroups, KeyHash, MetricId, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm,
};
use std::collections::{BTreeMap, VecDeque};
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
    /// One in this many flushes raises the split's floor; 0: none does.
    pub(crate) floor_once_in: u64,
}

/// What may change while rows flow: metrics come and go, splits join. Each change takes one barrier.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Metrics of the script from this one on are added later.
    pub(crate) first_metrics: usize,
    /// Most metrics that are dropped.
    pub(crate) drops: usize,
    /// Splits that join later.
    pub(crate) joining: Vec<SplitRows>,
}

/// Reads one split.
struct Feeder {
    chain: Chain,
    rows: SplitRows,
    reader: RowReader,
    ended: bool,
    /// Changes that had been finished when it ended.
    ended_before: u64,
}

/// A metric of the script and what has become of it.
struct Metric {
    id: MetricId,
    plan: Arc<MetricPlan>,
    /// The epoch whose barrier brought it, and the barrier's offsets; none for a metric of the first script.
    since: Option<(Epoch, BTreeMap<SplitId, Offset>)>,
    dropped: bool,
}

/// A change that is under way: its barrier has been asked for and not yet been placed in every chain.
struct Change {
    epoch: Epoch,
    splits: Arc<[SplitId]>,
    plan: Arc<SharedPlan>,
    added: Option<usize>,
    joining: Option<SplitRows>,
    /// By split that has one: offset and watermark at the barrier. An ended split counts as past it.
    placed: BTreeMap<SplitId, (Offset, EventTime)>,
}

/// A replica with what is on its way to it, by split, and what has come out of it.
pub(crate) struct Copy {
    pub(crate) replica: Replica,
    inbox: Vec<VecDeque<Arc<Delta>>>,
    pub(crate) results: Vec<ResultDelta>,
    late_rows: Vec<LateRows>,
    /// What a checkpoint would be made of, if the test takes any.
    lists: Option<EpochLists>,
    /// Complete lists, by epoch.
    saved: Vec<EpochList>,
    passed: Vec<PassedBarrier>,
}

pub(crate) struct Harness {
    pub(crate) script: StreamScript,
    /// By version, from 1.
    plans: Vec<Arc<SharedPlan>>,
    key_groups: KeyGroups,
    run: Run,
    metrics: Vec<Metric>,
    changes: Changes,
    change: Option<Change>,
    epoch: Epoch,
    /// Barriers that some chain has, each with the frontier and the offsets there.
    barriers: Vec<PassedBarrier>,
    feeders: Vec<Feeder>,
    /// By partition, then by replica.
    pub(crate) copies: Vec<Vec<Copy>>,
    pub(crate) rejected: Vec<Rejected>,
    /// How often everything has been lost but the epoch lists.
    restarts: u64,
    /// How often the reader of a split has been lost.
    takeovers: u64,
    /// Changes that have been finished.
    finished: u64,
}

pub(crate) fn chain_options(script: &StreamScript) -> ChainOptions {
    let stream = &script.stream;
    ChainOptions { event_time: stream.event_time, bound_us: stream.bound_us, max_jump_us: stream.max_jump_us, keep_late_rows: true }
}

impl Harness {
    pub(crate) fn new(script: &StreamScript, splits: &[SplitRows], run: Run) -> Harness {
        let changes = Changes { first_metrics: script.metrics.len(), ..Changes::default() };
        Harness::with_changes(script, splits, run, changes)
    }

    pub(crate) fn with_changes(script: &StreamScript, splits: &[SplitRows], run: Run, changes: Changes) -> Harness {
        let plan = Arc::new(SharedPlan::of(PlanVersion(1), &script.metrics[..changes.first_metrics]));
        let key_groups = KeyGroups::new(KeyGroups::GROUPS_DEFAULT, run.partitions).expect("a valid number of partitions");
        let ids: Vec<SplitId> = splits.iter().map(|split| split.split).collect();
        let time_type = script.metrics.first().map_or(raympp_types::DataType::Timestamp, |(_, plan)| plan.time_type(&script.stream));
        let copy = |partition: u32| Copy {
            replica: Replica::new(PartitionId(partition), Arc::clone(&plan), script.stream.bound_us, time_type, &ids),
            inbox: vec![VecDeque::new(); splits.len()],
            results: Vec::new(),
            late_rows: Vec::new(),
            lists: None,
            saved: Vec::new(),
            passed: Vec::new(),
        };
        let copies = (0..run.partitions).map(|partition| (0..run.replicas).map(|_| copy(partition)).collect()).collect();
        let feeders = splits.iter().map(|rows| Feeder::new(script, rows, &plan, key_groups)).collect();
        let metric = |(id, plan): &(MetricId, Arc<MetricPlan>)| Metric { id: *id, plan: Arc::clone(plan), since: None, dropped: false };
        Harness {
            script: script.clone(),
            plans: vec![plan],
            key_groups,
            run,
            metrics: script.metrics[..changes.first_metrics].iter().map(metric).collect(),
            changes,
            change: None,
            epoch: Epoch(0),
            barriers: Vec::new(),
            feeders,
            copies,
            rejected: Vec::new(),
            restarts: 0,
            takeovers: 0,
            finished: 0,
        }
    }

    /// Runs everything to its end, in an order that the seed decides.
    pub(crate) fn run_to_end(&mut self, random: &mut Random) {
        while !self.step(random) {
            if self.run.look_once_in > 0 && random.once_in(self.run.look_once_in) {
                let (partition, number) = (random.index(self.copies.len()), random.index(self.run.replicas));
                self.check_views_of(&self.copies[partition][number..=number]);
            }
        }
        self.close_all();
    }

    pub(crate) fn close_all(&mut self) {
        for copy in self.copies.iter_mut().flatten() {
            while copy.replica.close_step(|_| Want::RowsWithKeys, &mut copy.results) {}
        }
    }

    /// Does something; true when there is nothing left to read and to deliver.
    fn step(&mut self, random: &mut Random) -> bool {
        let reading: Vec<usize> = (0..self.feeders.len()).filter(|&i| !self.feeders[i].ended).collect();
        if self.change.is_none() && !reading.is_empty() && random.once_in(20) {
            self.begin_change(random);
        }
        if !reading.is_empty() && random.once_in(2) {
            let split = random.pick(&reading);
            if self.change.is_some() && random.once_in(3) {
                self.place_barrier(split)
            } else {
                self.read(split, random)
            }
            self.finish_change();
            return false;
        }
        let partition = random.index(self.copies.len());
        let number = random.index(self.run.replicas);
        let copy = &mut self.copies[partition][number];
        if random.once_in(3) {
            copy.replica.close_step(|_| Want::RowsWithKeys, &mut copy.results);
            return false;
        }
        let waiting: Vec<usize> = (0..copy.inbox.len()).filter(|&split| !copy.inbox[split].is_empty()).collect();
        if !waiting.is_empty() {
            copy.deliver(random.pick(&waiting), &self.plans);
        }
        reading.is_empty() && self.copies.iter().flatten().all(|copy| copy.inbox.iter().all(VecDeque::is_empty))
    }

    /// Pushes some rows of a split, and perhaps flushes.
    fn read(&mut self, split: usize, random: &mut Random) {
        let feeder = &mut self.feeders[split];
        let most = self.run.push_rows.min(self.run.flush_rows - feeder.chain.pending_rows()).min(feeder.chain.room()).max(1);
        self.rejected.extend(feeder.push(1 + random.below(most)));
        self.pass_stops(split);
        let feeder = &mut self.feeders[split];
        if feeder.chain.is_repeating() || feeder.ended {
            return;
        }
        let done = feeder.chain.offset().0 == feeder.rows.len();
        if done || feeder.chain.pending_rows() >= self.run.flush_rows || random.once_in(6) {
            feeder.ended = done;
            feeder.ended_before = self.finished;
            let mut marks = if done { vec![Mark::End] } else { Vec::new() };
            if self.run.floor_once_in > 0 && random.once_in(self.run.floor_once_in) {
                marks.insert(0, feeder.floor(random));
            }
            let delta = feeder.chain.flush(marks);
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

    /// Asks for a barrier with a change, if there is one left.
    fn begin_change(&mut self, random: &mut Random) {
        let plan = &self.plans[self.plans.len() - 1];
        let version = plan.version.next();
        let next_metric = (self.metrics.len() < self.script.metrics.len()).then_some(self.metrics.len());
        let living: Vec<MetricId> = self.metrics.iter().filter(|metric| !metric.dropped).map(|metric| metric.id).collect();
        let mut change = Change {
            epoch: self.epoch.next(),
            splits: Arc::new([]),
            plan: Arc::clone(plan),
            added: None,
            joining: None,
            placed: BTreeMap::new(),
        };
        match next_metric {
            Some(number) if random.once_in(2) => {
                let (id, metric) = &self.script.metrics[number];
                change.plan = Arc::new(plan.with(*id, metric));
                change.added = Some(number);
            }
            _ if self.changes.drops > 0 && living.len() > 1 && random.once_in(2) => {
                let id = random.pick(&living);
                change.plan = Arc::new(plan.without(id));
                self.changes.drops -= 1;
                self.metrics.iter_mut().filter(|metric| metric.id == id).for_each(|metric| metric.dropped = true);
            }
            _ if random.once_in(2) => change.joining = self.changes.joining.pop(),
            _ => {}
        }
        if change.plan.version == version {
            self.plans.push(Arc::clone(&change.plan));
        }
        let joining = change.joining.iter().map(|rows| rows.split);
        change.splits = self.feeders.iter().map(|feeder| feeder.rows.split).chain(joining).collect();
        if let Some(number) = change.added {
            let (id, plan) = &self.script.metrics[number];
            let since = Some((change.epoch, BTreeMap::new()));
            self.metrics.push(Metric { id: *id, plan: Arc::clone(plan), since, dropped: false });
        }
        self.epoch = change.epoch;
        self.change = Some(change);
    }

    /// Marks the barrier in one chain.
    fn place_barrier(&mut self, split: usize) {
        let Some(change) = &mut self.change else { return };
        let feeder = &mut self.feeders[split];
        if change.placed.contains_key(&feeder.rows.split) || feeder.chain.is_repeating() {
            return;
        }
        let delta = feeder.chain.flush(vec![change.mark()]);
        feeder.chain.adopt(&change.plan);
        change.placed.insert(feeder.rows.split, (feeder.chain.offset(), feeder.chain.watermark()));
        self.send(split, delta);
    }

    /// Goes on when every chain has the barrier or has ended.
    fn finish_change(&mut self) {
        let Some(change) = &mut self.change else { return };
        if self.feeders.iter().any(|feeder| !feeder.ended && !change.placed.contains_key(&feeder.rows.split)) {
            return;
        }
        for feeder in self.feeders.iter().filter(|feeder| feeder.ended) {
            change.placed.entry(feeder.rows.split).or_insert((feeder.chain.offset(), EventTime::MAX));
        }
        let change = self.change.take().expect("looked at above");
        self.finished += 1;
        let offsets = change.placed.iter().map(|(&split, &(offset, _))| (split, offset)).collect();
        if let Some(number) = change.added {
            self.metrics[number].since = Some((change.epoch, offsets));
        }
        let floor = change.placed.values().map(|&(_, watermark)| watermark).min().expect("a split");
        self.note_barrier(&change, floor);
        // A stream that is complete takes no further split, and nobody brings the barrier.
        if let Some(rows) = change.joining.clone().filter(|_| floor < EventTime::MAX) {
            self.join(rows, floor, &change);
        }
    }

    /// Notes F(n) and V(n), if a chain has the barrier.
    fn note_barrier(&mut self, change: &Change, lowest: EventTime) {
        if lowest < EventTime::MAX {
            let before = self.barriers.last().map_or(EventTime::MIN, |last| last.frontier);
            let joining = change.joining.iter().map(|rows| (rows.split, Offset(0)));
            let vector: BTreeMap<SplitId, Offset> = change.placed.iter().map(|(&split, &(at, _))| (split, at)).chain(joining).collect();
            let passed = PassedBarrier { epoch: change.epoch, frontier: before.max(lowest), vector: vector.into_iter().collect() };
            self.barriers.push(passed);
        }
    }

    fn join(&mut self, rows: SplitRows, floor: EventTime, change: &Change) {
        let rows = SplitRows { floors: vec![(Offset(0), floor)], ..rows };
        let mut feeder = Feeder::new(&self.script, &rows, &change.plan, self.key_groups);
        let delta = feeder.chain.flush(vec![change.mark(), Mark::Floor(floor)]);
        self.feeders.push(feeder);
        self.copies.iter_mut().flatten().for_each(|copy| copy.inbox.push(VecDeque::new()));
        self.send(self.feeders.len() - 1, delta);
    }

    /// The metrics as the reference wants them; a barrier that has not been placed in a chain lies behind all its rows.
    fn reference_metrics(&self) -> Vec<ReferenceMetric> {
        let since = |metric: &Metric| {
            let (_, offsets) = metric.since.as_ref()?;
            let change = self.change.as_ref().filter(|change| change.added.is_some_and(|number| self.metrics[number].id == metric.id));
            let Some(change) = change else { return Some(offsets.clone()) };
            let offset = |feeder: &Feeder| change.placed.get(&feeder.rows.split).map_or(Offset(u64::MAX), |placed| placed.0);
            Some(self.feeders.iter().map(|feeder| (feeder.rows.split, offset(feeder))).collect())
        };
        self.metrics.iter().map(|metric| ReferenceMetric { plan: Arc::clone(&metric.plan), since: since(metric) }).collect()
    }

    /// Compares everything that has come out with the reference. To be called at the end.
    pub(crate) fn check_results(&self) {
        let splits: Vec<SplitRows> = self.feeders.iter().map(|feeder| feeder.rows.clone()).collect();
        let reference = Reference::new(&self.script.stream, &self.reference_metrics(), &splits);
        for replica in 0..self.run.replicas {
            let copies: Vec<&Copy> = self.copies.iter().map(|copies| &copies[replica]).collect();
            self.check_counters(&reference, &copies);
            for (position, metric) in self.metrics.iter().enumerate() {
                let results = copies.iter().flat_map(|copy| &copy.results).filter(|result| result.metric == metric.id);
                let (mut expected, found) = (reference.closed_rows(position), rows_sorted(results.map(|result| &result.batch)));
                if metric.dropped {
                    // Which windows had closed when it was dropped is a matter of timing.
                    expected.retain(|row| found.contains(row));
                }
                if let Some(difference) = difference(&expected, &found) {
                    panic!("closed windows of {}: {difference}\n{}", metric.plan.name, metric.plan.definition);
                }
            }
            copies.iter().for_each(|copy| copy.check_flags(&self.metrics));
        }
        self.check_late_rows(&reference);
        self.check_copies_equal();
        self.check_barriers();
        self.check_views_of(self.copies.iter().flatten());
    }

    fn check_late_rows(&self, reference: &Reference) {
        let mut expected: Vec<String> = (0..self.feeders.len()).flat_map(|split| reference.late_rows(split)).collect();
        expected.sort_unstable();
        for replica in 0..self.run.replicas {
            let late = self.copies.iter().flat_map(|copies| &copies[replica].late_rows).flat_map(|late| &late.rows);
            assert_eq!(difference(&expected, &rows_sorted(late)), None, "late rows");
        }
    }

    fn check_counters(&self, reference: &Reference, copies: &[&Copy]) {
        let sum = |of: &dyn Fn(&Copy) -> u64| copies.iter().map(|copy| of(copy)).sum::<u64>();
        self.check_uncounted(reference, copies);
        if self.restarts > 0 || self.metrics.iter().any(|metric| metric.dropped || metric.since.is_some()) {
            return;
        }
        let (mut windows, mut overflowed) = (0, 0);
        for (position, shared) in self.plans[0].metrics.iter().enumerate() {
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

    fn check_uncounted(&self, reference: &Reference, copies: &[&Copy]) {
        let sum = |of: &dyn Fn(&Copy) -> u64| copies.iter().map(|copy| of(copy)).sum::<u64>();
        assert_eq!(sum(&|copy| copy.replica.counters().rows_below_frontier), 0, "rows met a closed window");
        assert_eq!(sum(&|copy| copy.replica.counters().violations), 0);
        assert_eq!(sum(&|copy| copy.replica.counters().late), reference.late, "late rows");
        assert_eq!(sum(&|copy| copy.replica.counters().bad), reference.bad, "bad rows");
    }

    /// Every replica of every partition has passed the same barriers.
    fn check_barriers(&self) {
        self.copies.iter().flatten().for_each(|copy| assert_eq!(copy.passed, self.barriers, "barriers passed"));
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

    /// Compares what readers see with the reference's view of the rows that the replicas, which are equally far, have applied.
    fn check_views_of<'a>(&self, copies: impl IntoIterator<Item = &'a Copy>) {
        let mut reference = None;
        for copy in copies {
            let splits = || self.feeders.iter().filter_map(|feeder| feeder.applied_at(&copy.replica)).collect::<Vec<SplitRows>>();
            let reference = reference.get_or_insert_with(|| Reference::new(&self.script.stream, &self.reference_metrics(), &splits()));
            let view = copy.replica.view();
            assert_eq!((view.frontier(), view.seen()), (reference.frontier, reference.seen));
            for position in 0..self.metrics.len() {
                self.check_view_of(reference, copy, position);
            }
        }
    }

    /// True if the replica has seen a metric's barrier on every chain, so that its first window is known.
    fn is_joined(&self, copy: &Copy, metric: &Metric) -> bool {
        let passed = |split: &SplitProgress, epoch: Epoch| split.ended || split.barrier >= epoch;
        metric.since.as_ref().is_none_or(|(epoch, offsets)| {
            let under_way = self.change.as_ref().is_some_and(|change| change.epoch == *epoch);
            !under_way && offsets.keys().all(|split| passed(&copy.replica.splits()[split], *epoch))
        })
    }

    fn check_view_of(&self, reference: &Reference, copy: &Copy, position: usize) {
        let view = copy.replica.view();
        let plan = copy.replica.plan();
        let Some(metric) = plan.metrics.iter().find(|metric| metric.id == self.metrics[position].id) else { return };
        let hidden = metric.plan.window.has_bounds() && !self.is_joined(copy, &self.metrics[position]);
        let mine = |window: &KeyWindow| self.key_groups.partition(KeyHash::of(&window.key)) == view.partition();
        let windows = if hidden { &[][..] } else { &reference.windows(position).windows };
        for live_only in [false, true] {
            let expected = expected(reference, position, windows.iter().filter(|window| mine(window)), live_only);
            if let Some(difference) = difference(&expected, &shown(view, metric, live_only)) {
                panic!("scan of {} (live only: {live_only}): {difference}\n{}", metric.plan.name, metric.plan.definition);
            }
        }
        for windows in windows.chunk_by(|one, other| one.key == other.key).filter(|windows| mine(&windows[0])) {
            let live = windows.iter().find(|window| reference.is_live(position, window));
            let expected = live.and_then(|live| reference.result(position, live).row.clone());
            let found = view.live(metric, &windows[0].key).map(|batch| rows_sorted([&batch]).remove(0));
            assert_eq!(found, expected, "live window of {:?} of {}", windows[0].key, metric.plan.definition);
        }
        assert!(view.live(metric, b"\x01no such key\x00").is_none());
    }
}

impl Change {
    fn mark(&self) -> Mark {
        Mark::Barrier { epoch: self.epoch, splits: Arc::clone(&self.splits), plan: self.plan.version }
    }
}

impl Feeder {
    fn new(script: &StreamScript, rows: &SplitRows, plan: &SharedPlan, key_groups: KeyGroups) -> Feeder {
        let (options, watermark) = (chain_options(script), RunningWatermark::default());
        let chain = Chain::open(rows.split, SplitTerm(1), Offset(0), watermark, options, plan, key_groups);
        Feeder { chain, rows: rows.clone(), reader: RowReader::new(rows.clone()), ended: false, ended_before: 0 }
    }

    /// A floor about where the split is, noted for the reference.
    fn floor(&mut self, random: &mut Random) -> Mark {
        let at = self.chain.running_watermark().max_event_time.0.max(-1_000_000_000);
        let floor = EventTime(at + random.between(-3_000_000, 3_000_000));
        let offset = self.chain.offset();
        let highest = self.rows.floors.iter().map(|&(_, floor)| floor).max();
        if highest.is_none_or(|highest| highest < floor) {
            self.rows.floors.push((offset, floor));
        }
        Mark::Floor(floor)
    }

    /// The rows that a replica has applied; `None` if it has not heard of the split.
    fn applied_at(&self, replica: &Replica) -> Option<SplitRows> {
        let progress = replica.splits().get(&self.rows.split)?;
        let floor = progress.watermark.floor;
        let mut prefix = self.rows.prefix(progress.applied, floor);
        if floor > EventTime::MIN && prefix.floors.iter().all(|&(_, other)| other < floor) {
            // A split that the replica has only heard of holds the frontier where it was.
            prefix.floors.push((progress.applied, floor));
        }
        Some(SplitRows { ended: progress.ended, ..prefix })
    }

    /// Pushes up to `most` offsets; a run ends with its batch.
    fn push(&mut self, most: u64) -> Vec<Rejected> {
        self.reader.read(most).map_or_else(Vec::new, |run| self.chain.push(&run.rows()))
    }
}
