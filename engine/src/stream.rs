//! A stream at run time: its plan, where its partitions are, who consumes, what has been counted.

use crate::checkpoint::{Order, Orders, ResumePoint};
use crate::clock::Clock;
use crate::consumer::{Consumer, Consumers, ResumedChanges, Wants};
use crate::core_loop::CoreHandle;
use crate::engine::OpenedInput;
use crate::plant::Plant;
use crate::producer::{Level, ProducerId, ProducerState};
use crate::queue::Queue;
use crate::source::{Fingerprint, Source};
use crate::writer::WriterQueue;
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::{Condvar, Mutex};
use raympp_coordinator::IdleRule;
use raympp_operators::plan::{MetricPlan, StreamPlan};
use raympp_operators::sharing::{SharedMetric, SharedPlan};
use raympp_state::delta::{Delta, Mark};
use raympp_state::follower::Follower;
use raympp_state::persister::SplitInfo;
use raympp_state::result::ResultDelta;
use raympp_state::view::ReplicaView;
use raympp_types::{
    DataType, Epoch, EventTime, KeyGroups, KeyHash, MetricId, Offset, PartitionId, PlanVersion, SplitId, SplitTerm, StreamId, Term,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What is counted per split. Written by the split's task, read by anyone.
#[derive(Default)]
pub(crate) struct SplitCounters {
    pub(crate) name: String,
    pub(crate) rows: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) bad: AtomicU64,
    /// Rows bad for at least one metric, each once.
    pub(crate) bad_for_metrics: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) queued: AtomicU64,
    pub(crate) watermark_us: AtomicI64,
    pub(crate) bytes_done: AtomicU64,
    pub(crate) bytes_total: AtomicU64,
    pub(crate) ended: AtomicBool,
    pub(crate) idle: AtomicBool,
    pub(crate) lost: AtomicBool,
    /// By partition: offset that its primary has applied.
    pub(crate) applied: Box<[AtomicU64]>,
    /// By partition and place of a replica: offset that it has applied, or the highest number where there is none.
    pub(crate) by_slot: Box<[AtomicU64]>,
    /// Consumers have all late rows up to this offset.
    pub(crate) late_handed: AtomicU64,
    /// Rows that a producer had no more.
    pub(crate) skipped: AtomicU64,
    /// Two replicas of each partition have held it up to this offset.
    pub(crate) replicated: AtomicU64,
    /// A published checkpoint has it up to this offset.
    pub(crate) checkpointed: AtomicU64,
    /// Where it stood at commits that are not published.
    committed: Mutex<VecDeque<(Epoch, Offset)>>,
}

/// How a split is opened again.
pub(crate) enum Origin {
    /// A split of the stream's connector: which, and how it is known again.
    Connector(usize, Fingerprint),
    /// A writer, whose split joined with these marks.
    Writer(Arc<WriterQueue>, Vec<Mark>),
}

/// What the next reader of a split needs.
pub(crate) struct Reader {
    pub(crate) origin: Origin,
    /// Of the newest reader.
    pub(crate) term: SplitTerm,
    /// How far those that were lost had come, and how often in a row none got further.
    pub(crate) lost_at: (Offset, u32),
}

impl Reader {
    /// The split's first.
    pub(crate) fn first(origin: Origin) -> Reader {
        Reader { origin, term: SplitTerm(1), lost_at: (Offset(0), 0) }
    }
}

/// A barrier that was asked for.
#[derive(Clone)]
pub(crate) struct Ordered {
    pub(crate) epoch: Epoch,
    pub(crate) splits: Arc<[SplitId]>,
    pub(crate) plan: Arc<SharedPlan>,
}

/// What is counted per partition, by its primary.
#[derive(Default)]
pub(crate) struct PartitionCounters {
    pub(crate) deltas: AtomicU64,
    pub(crate) windows_closed: AtomicU64,
    pub(crate) overflowed: AtomicU64,
    pub(crate) rows_below_frontier: AtomicU64,
    pub(crate) violations: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) bad: AtomicU64,
    pub(crate) keys: AtomicU64,
    pub(crate) slices: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) by_store: Mutex<BTreeMap<usize, StoreCounters>>,
    pub(crate) by_metric: Mutex<BTreeMap<MetricId, MetricCounters>>,
    /// Consumers have been handed all windows that end up to here, in microseconds.
    pub(crate) closed_us: AtomicI64,
    /// Consumers have everything of windows that end up to here, in microseconds: standbys need it no longer.
    pub(crate) handed_us: AtomicI64,
    /// Consumers have been told of all epochs up to this one.
    pub(crate) sealed: AtomicU64,
    /// Everything has closed.
    pub(crate) complete: AtomicBool,
    /// Replicas in sync.
    pub(crate) in_sync: AtomicUsize,
}

/// What is counted per partition and store, which is to say for all metrics that share slices.
#[derive(Clone, Copy, Default)]
pub(crate) struct StoreCounters {
    pub(crate) rows: u64,
    pub(crate) bad: u64,
    pub(crate) keys: u64,
    pub(crate) slices: u64,
    pub(crate) bytes: u64,
}

/// What is counted per partition and metric.
#[derive(Clone, Copy)]
pub(crate) struct MetricCounters {
    pub(crate) results: u64,
    pub(crate) overflowed: u64,
    /// Of whole windows that end up to here.
    counted_to: EventTime,
    term: Term,
    /// Of windows that are not whole.
    pending: (u64, u64),
}

impl Default for MetricCounters {
    fn default() -> MetricCounters {
        MetricCounters { results: 0, overflowed: 0, counted_to: EventTime::MIN, term: Term(0), pending: (0, 0) }
    }
}

impl MetricCounters {
    /// Counts a piece, windows that a new primary sends again left out; returns what has been added to the results.
    pub(crate) fn take(&mut self, piece: &ResultDelta) -> u64 {
        if piece.term > self.term {
            (self.term, self.pending) = (piece.term, (0, 0));
        }
        let news = piece.ends_us.len() - piece.ends_us.partition_point(|&end| end <= self.counted_to.0);
        self.pending.0 += news as u64;
        self.pending.1 += if news > 0 { piece.overflowed } else { 0 };
        if !piece.last {
            return 0;
        }
        self.counted_to = self.counted_to.max(piece.window_end);
        let (rows, overflowed) = std::mem::take(&mut self.pending);
        self.results += rows;
        self.overflowed += overflowed;
        rows
    }
}

impl SplitCounters {
    /// For a split that goes on from an offset.
    pub(crate) fn begin_at(&self, offset: Offset) {
        self.rows.store(offset.0, Ordering::Relaxed);
        let all = self.applied.iter().chain(&self.by_slot).chain([&self.replicated, &self.checkpointed]);
        all.for_each(|reached| reached.store(offset.0, Ordering::SeqCst));
    }

    /// Rows that are acknowledged at a level; `replicas`: places of a partition; `is_alive`: whether a partition's place is filled.
    fn acknowledged(&self, level: Level, replicas: usize, is_alive: impl Fn(PartitionId, usize) -> bool) -> u64 {
        match level {
            Level::Applied => self.applied.iter().map(|applied| applied.load(Ordering::SeqCst)).min().unwrap_or(0),
            Level::Replicated => {
                let held = |(partition, places): (usize, &[AtomicU64])| {
                    let alive = places.iter().enumerate().filter(|(slot, _)| is_alive(PartitionId(partition as u32), *slot));
                    let mut held: Vec<u64> =
                        alive.map(|(_, applied)| applied.load(Ordering::SeqCst)).filter(|at| *at != u64::MAX).collect();
                    held.sort_unstable();
                    held.iter().nth_back(1).copied().unwrap_or(0)
                };
                let now = self.by_slot.chunks(replicas.max(1)).enumerate().map(held).min().unwrap_or(0);
                self.replicated.fetch_max(now, Ordering::SeqCst).max(now)
            }
            Level::Checkpointed => self.checkpointed.load(Ordering::SeqCst),
        }
    }

    /// The offset up to which every replica has applied the split.
    pub(crate) fn lowest_applied(&self) -> u64 {
        self.by_slot.iter().map(|applied| applied.load(Ordering::SeqCst)).min().unwrap_or(0)
    }
}

impl PartitionCounters {
    fn new() -> PartitionCounters {
        let none = || AtomicI64::new(i64::MIN);
        PartitionCounters { closed_us: none(), handed_us: none(), ..PartitionCounters::default() }
    }
}

/// What a stream needs of the engine around it.
#[derive(Clone, Default)]
pub(crate) struct Host {
    pub(crate) clock: Clock,
    /// Replicas of each partition.
    pub(crate) replicas: usize,
    /// Where a test makes it break.
    pub(crate) plant: Plant,
    pub(crate) cores: Vec<Arc<CoreHandle>>,
    /// Where deltas go that are to outlive the process.
    pub(crate) persister: Option<Orders>,
}

impl Host {
    /// Where a list by partition and place of a replica has this one.
    fn place(&self, partition: usize, slot: usize) -> usize {
        partition * self.replicas.max(1) + slot
    }

    /// Lets every core look whether it can go on.
    pub(crate) fn wake(&self) {
        self.cores.iter().for_each(|core| core.wake());
    }
}

/// What counters and checkpoints call a stream that reads another one's splits again for a metric.
pub(crate) fn title_again(stream: &str, metric: &str) -> String {
    format!("{stream} read again for {metric}")
}

/// A stream that rows flow through, or will.
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) plan: Arc<StreamPlan>,
    pub(crate) key_groups: KeyGroups,
    pub(crate) host: Host,
    /// Where its rows come from, once it has started; nothing for a stream that writers feed.
    pub(crate) source: OnceLock<Arc<dyn Source>>,
    /// The metric for which it reads the splits of another stream again.
    again_for: Option<String>,
    /// The plan in force or about to be; older ones that a barrier may still name are in `plans`.
    pub(crate) shared: ArcSwap<SharedPlan>,
    plans: Mutex<BTreeMap<PlanVersion, Arc<SharedPlan>>>,
    /// Views of the primaries, by partition.
    views: Vec<ArcSwapOption<ReplicaView>>,
    /// Views of all replicas, by partition and place.
    views_by_slot: Mutex<BTreeMap<(PartitionId, usize), Arc<ReplicaView>>>,
    /// How its splits are read.
    pub(crate) readers: Mutex<BTreeMap<SplitId, Reader>>,
    /// The last barrier that its splits were to mark.
    pub(crate) ordered: Mutex<Option<Ordered>>,
    /// What the persister has been handed of each split, if there is one.
    pub(crate) followers: Mutex<BTreeMap<SplitId, Follower>>,
    /// Tasks and primaries that were replaced.
    pub(crate) tasks_replaced: AtomicU64,
    pub(crate) promotions: AtomicU64,
    pub(crate) consumers: Consumers,
    pub(crate) splits: Mutex<BTreeMap<SplitId, Arc<SplitCounters>>>,
    pub(crate) partitions: Vec<PartitionCounters>,
    /// Actors that could not hand over results: while there are any, tasks read no rows.
    pub(crate) held: AtomicUsize,
    /// Partitions that have closed everything.
    pub(crate) complete: AtomicUsize,
    pub(crate) started: AtomicBool,
    /// Number of the next writer's split.
    pub(crate) next_writer: AtomicU32,
    /// The splits of producers.
    pub(crate) producers: Mutex<BTreeMap<ProducerId, SplitId>>,
    /// All inputs are known and end by themselves.
    pub(crate) finite: AtomicBool,
    pub(crate) results: AtomicU64,
    pub(crate) keeps_late_rows: AtomicBool,
    /// The checkpoint that it goes on from.
    pub(crate) resume: Option<ResumePoint>,
    /// Its last windows are committed.
    pub(crate) settled: AtomicBool,
    /// The connector's input, opened by the statement that made the stream and not yet being read.
    pub(crate) input: Mutex<Option<OpenedInput>>,
    /// Nothing comes any more: the engine is shut down, the job has failed or the stream is dropped.
    over: AtomicBool,
    flush_waiters: AtomicUsize,
    flush_lock: Mutex<()>,
    flushed: Condvar,
}

impl Stream {
    pub(crate) fn new(id: StreamId, plan: Arc<StreamPlan>, key_groups: KeyGroups, host: Host) -> Stream {
        let no_metrics = Arc::new(SharedPlan::empty());
        let partitions = key_groups.partitions() as usize;
        Stream {
            id,
            plan,
            key_groups,
            host,
            source: OnceLock::new(),
            again_for: None,
            plans: Mutex::new(BTreeMap::from([(no_metrics.version, Arc::clone(&no_metrics))])),
            shared: ArcSwap::new(no_metrics),
            views: (0..partitions).map(|_| ArcSwapOption::empty()).collect(),
            views_by_slot: Mutex::default(),
            readers: Mutex::default(),
            ordered: Mutex::default(),
            followers: Mutex::default(),
            tasks_replaced: AtomicU64::new(0),
            promotions: AtomicU64::new(0),
            consumers: Consumers::default(),
            splits: Mutex::default(),
            partitions: (0..partitions).map(|_| PartitionCounters::new()).collect(),
            held: AtomicUsize::new(0),
            complete: AtomicUsize::new(0),
            started: AtomicBool::new(false),
            next_writer: AtomicU32::new(0),
            producers: Mutex::default(),
            finite: AtomicBool::new(false),
            results: AtomicU64::new(0),
            keeps_late_rows: AtomicBool::new(false),
            resume: None,
            settled: AtomicBool::new(false),
            input: Mutex::default(),
            over: AtomicBool::new(false),
            flush_waiters: AtomicUsize::new(0),
            flush_lock: Mutex::default(),
            flushed: Condvar::new(),
        }
    }

    /// The plan with one metric more: before the first row all are placed anew, after it the others stay where they are. One that reads the
    /// splits again is alone.
    pub(crate) fn plan_with(&self, id: MetricId, metric: &Arc<MetricPlan>) -> SharedPlan {
        let (now, started) = (self.shared.load(), self.started.load(Ordering::Acquire));
        if started && !metric.backfill {
            return now.with(id, metric);
        }
        let others = now.metrics.iter().filter(|_| !started).map(|other| (other.id, Arc::clone(&other.plan)));
        let metrics: Vec<(MetricId, Arc<MetricPlan>)> = others.chain([(id, Arc::clone(metric))]).collect();
        self.first_plan(&metrics)
    }

    /// The plan before the first row, or before the first after a checkpoint.
    fn first_plan(&self, metrics: &[(MetricId, Arc<MetricPlan>)]) -> SharedPlan {
        self.resume.as_ref().map_or_else(|| SharedPlan::of(PlanVersion(1), metrics), |resume| resume.plan(metrics))
    }

    /// Reads the splits of `first` again (`input`), from their beginning and through a pipeline of their own, for one metric that was added to
    /// it while rows flowed. So the metric's rows are what they would be had it been there from the start; it costs what reading costs, for as
    /// long as the metric lives. The source is the same one, so the splits are the same, with the same pace.
    pub(crate) fn again(
        (id, key_groups): (StreamId, KeyGroups),
        first: &Stream,
        (input, resume): (OpenedInput, Option<ResumePoint>),
        metric: MetricId,
        plan: &Arc<MetricPlan>,
    ) -> Stream {
        let stream = Stream::new(id, Arc::clone(&first.plan), key_groups, first.host.clone());
        let stream = Stream { input: Mutex::new(Some(input)), again_for: Some(plan.name.clone()), resume, ..stream };
        stream.set_plan(Arc::new(stream.first_plan(&[(metric, Arc::clone(plan))])));
        stream
    }

    pub(crate) fn name(&self) -> String {
        self.plan.name.clone()
    }

    /// Its name in counters.
    pub(crate) fn title(&self) -> String {
        match &self.again_for {
            Some(metric) => title_again(&self.plan.name, metric),
            None => self.name(),
        }
    }

    /// True if another stream has read, and reported on, the same rows.
    pub(crate) fn is_again(&self) -> bool {
        self.again_for.is_some()
    }

    /// Type of window bounds.
    pub(crate) fn time_type(&self) -> DataType {
        let plan = &self.plan;
        plan.event_time.map_or(DataType::Timestamp, |column| plan.schema.fields[column].data_type)
    }

    /// Lets go of everybody who waits for results or for rows to be applied; nothing comes any more.
    pub(crate) fn let_go(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.consumers.all().iter().for_each(|consumer| consumer.queue.finish());
        self.wake_flush_waiters();
    }

    /// A new consumer with room for so many items, told what epochs are whole if it wants that. If nothing comes any more it learns that at once.
    pub(crate) fn consume(&self, wants: Wants, by_epochs: bool, capacity: usize, resumed: Option<ResumedChanges>) -> Arc<Consumer> {
        let host = self.host.clone();
        let queue = Queue::new(capacity, Box::new(move || host.wake()));
        let consumer = self.consumers.add(wants, by_epochs, queue, self.host.replicas > 1, resumed);
        if self.over.load(Ordering::SeqCst) {
            consumer.queue.finish();
        }
        consumer
    }

    pub(crate) fn set_plan(&self, plan: Arc<SharedPlan>) {
        self.plans.lock().insert(plan.version, Arc::clone(&plan));
        self.shared.store(plan);
    }

    /// The plan of a version that a barrier names.
    pub(crate) fn plan_of(&self, version: PlanVersion) -> Arc<SharedPlan> {
        Arc::clone(self.plans.lock().get(&version).expect("a barrier names plans that were set"))
    }

    /// A replica fills a place of a partition; readers look at the primary's.
    pub(crate) fn set_view(&self, partition: PartitionId, slot: usize, primary: bool, view: Arc<ReplicaView>) {
        if primary {
            self.views[partition.0 as usize].store(Some(Arc::clone(&view)));
        }
        self.views_by_slot.lock().insert((partition, slot), view);
    }

    /// A replica is broken: readers look at another one if there is one.
    pub(crate) fn lose_view(&self, partition: PartitionId, slot: usize) {
        let mut views = self.views_by_slot.lock();
        let Some(lost) = views.remove(&(partition, slot)) else { return };
        let other = views.range((partition, 0)..=(partition, usize::MAX)).next().map(|(_, view)| Arc::clone(view));
        drop(views);
        let current = &self.views[partition.0 as usize];
        if let Some(other) = other
            && current.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, &lost))
        {
            current.store(Some(other));
        }
    }

    /// What a lost replica has applied is not waited for any more. Not before it is known that no split is opened for it: writers may forget what
    /// everybody else has.
    pub(crate) fn stop_waiting_for(&self, partition: PartitionId, slot: usize) {
        let place = self.host.place(partition.0 as usize, slot);
        self.splits.lock().values().for_each(|split| split.by_slot[place].store(u64::MAX, Ordering::SeqCst));
    }

    /// The offset up to which every replica has applied a split.
    pub(crate) fn lowest_applied(&self, split: SplitId) -> Offset {
        let counters = self.splits.lock().get(&split).cloned();
        Offset(counters.map_or(0, |counters| counters.lowest_applied()))
    }

    /// Hands a delta to the persister, if there is one.
    pub(crate) fn persist(&self, delta: &Arc<Delta>) {
        let Some(persister) = &self.host.persister else { return };
        let mut followers = self.followers.lock();
        if followers.get_mut(&delta.stamp.split).is_some_and(|follower| follower.hear(&delta.stamp)) {
            persister.delta(self.id, delta);
        }
    }

    /// The primary that owns a key, if the stream has started.
    pub(crate) fn view_of_key(&self, key: &[u8]) -> Option<Arc<ReplicaView>> {
        self.views[self.key_groups.partition(KeyHash::of(key)).0 as usize].load_full()
    }

    pub(crate) fn views(&self) -> Vec<Arc<ReplicaView>> {
        self.views.iter().filter_map(|view| view.load_full()).collect()
    }

    pub(crate) fn metric(&self, id: MetricId) -> Option<Arc<SharedMetric>> {
        self.shared.load().metrics.iter().find(|metric| metric.id == id).cloned()
    }

    /// All partitions have handed over all windows that end up to here, in microseconds.
    pub(crate) fn closed_us(&self) -> i64 {
        self.partitions.iter().map(|partition| partition.closed_us.load(Ordering::SeqCst)).min().unwrap_or(i64::MIN)
    }

    /// True if nothing comes any more: the engine is shut down, the job has failed or the stream is dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// True while rows are not to be read: a consumer is full, or checkpoints are behind.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0 || self.host.persister.as_ref().is_some_and(Orders::is_behind)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire) == self.partitions.len()
    }

    pub(crate) fn add_split(&self, split: SplitId, name: String) -> Arc<SplitCounters> {
        let applied = self.partitions.iter().map(|_| AtomicU64::new(0)).collect();
        let places = self.host.place(self.partitions.len(), 0);
        let by_slot = (0..places).map(|_| AtomicU64::new(0)).collect();
        let counters = SplitCounters { name, applied, by_slot, ..SplitCounters::default() };
        counters.watermark_us.store(i64::MIN, Ordering::Relaxed);
        let counters = Arc::new(counters);
        self.splits.lock().insert(split, Arc::clone(&counters));
        counters
    }

    /// When its splits count as idle.
    pub(crate) fn idle_rule(&self) -> IdleRule {
        let plan = &self.plan;
        IdleRule {
            idle_timeout_us: plan.idle_timeout_us.map(|us| us.max(0) as u64),
            disconnect_timeout_us: plan.disconnect_timeout_us.max(0) as u64,
        }
    }

    /// The watermarks that splits have shown so far.
    pub(crate) fn watermarks(&self) -> Vec<(SplitId, EventTime)> {
        let shown = |split: &SplitCounters| EventTime(split.watermark_us.load(Ordering::Relaxed));
        self.splits.lock().iter().map(|(&id, split)| (id, shown(split))).collect()
    }

    /// Notes that a replica of a partition, in this place and perhaps the primary, has applied a split up to an offset.
    pub(crate) fn note_applied(&self, split: SplitId, partition: PartitionId, (slot, primary): (usize, bool), offset: Offset) {
        let Some(counters) = self.splits.lock().get(&split).cloned() else { return };
        // Sequentially consistent with the number of waiters, or both sides might miss each other.
        counters.by_slot[self.host.place(partition.0 as usize, slot)].store(offset.0, Ordering::SeqCst);
        if primary {
            counters.applied[partition.0 as usize].store(offset.0, Ordering::SeqCst);
        }
        if self.flush_waiters.load(Ordering::SeqCst) > 0 {
            self.wake_flush_waiters();
        }
    }

    pub(crate) fn wake_flush_waiters(&self) {
        let _held = self.flush_lock.lock();
        self.flushed.notify_all();
    }

    /// Waits until a split is acknowledged at a level up to `offset`. False if `given_up` before that.
    pub(crate) fn wait_acknowledged(&self, split: SplitId, level: Level, offset: u64, given_up: impl Fn() -> bool) -> bool {
        let done = || self.acknowledged(split, level) >= offset;
        self.flush_waiters.fetch_add(1, Ordering::SeqCst);
        let mut held = self.flush_lock.lock();
        while !done() && !given_up() {
            self.flushed.wait(&mut held);
        }
        drop(held);
        self.flush_waiters.fetch_sub(1, Ordering::SeqCst);
        done()
    }

    /// Rows of a split that are acknowledged at a level.
    pub(crate) fn acknowledged(&self, split: SplitId, level: Level) -> u64 {
        let counters = self.splits.lock().get(&split).cloned();
        let is_alive = |partition, slot| self.views_by_slot.lock().contains_key(&(partition, slot));
        counters.map_or(0, |counters| counters.acknowledged(level, self.host.replicas, is_alive))
    }

    /// An epoch is committed in the state directory: notes where splits stood, and lets the persister's queue forget what came before.
    pub(crate) fn note_committed(&self, epoch: Epoch) {
        let splits = self.splits.lock();
        for (split, follower) in self.followers.lock().iter_mut() {
            if let (Some(counters), Some(offset)) = (splits.get(split), follower.offset_at(epoch)) {
                counters.committed.lock().push_back((epoch, offset));
            }
            follower.forget_before(epoch);
        }
    }

    /// An epoch is committed wherever it has to be: acknowledges its rows.
    pub(crate) fn note_published(&self, epoch: Epoch) {
        for counters in self.splits.lock().values() {
            let mut committed = counters.committed.lock();
            while let Some((_, offset)) = committed.pop_front_if(|(of, _)| *of <= epoch) {
                counters.checkpointed.fetch_max(offset.0, Ordering::SeqCst);
            }
        }
        if self.flush_waiters.load(Ordering::SeqCst) > 0 {
            self.wake_flush_waiters();
        }
    }

    /// Has checkpoints keep what is known of the producer of a split.
    pub(crate) fn note_producer(&self, split: SplitId, state: ProducerState) {
        let name = self.splits.lock().get(&split).map(|counters| counters.name.clone());
        if let (Some(persister), Some(name)) = (&self.host.persister, name) {
            // It ends after the tasks.
            let _ = persister.tell(Order::Split(self.id, split, split_info(name, &Fingerprint::Producer(state))));
        }
    }
}

/// A split as checkpoints keep it.
pub(crate) fn split_info(name: String, fingerprint: &Fingerprint) -> SplitInfo {
    // A fingerprint is numbers and text, which JSON takes.
    SplitInfo { name, fingerprint: serde_json::to_string(fingerprint).unwrap_or_default() }
}
