//! A replica of a partition: deltas in, closed windows out. The exactly-once rule lives here, and the proof that no row is missed.
//!
//! *Exactly once.* Per split the replica knows the offset it has applied. A delta `(from, to]` is applied iff `from == applied`; with
//! `to <= applied` it is a duplicate; with `from > applied` it is held until the gap is filled; anything else is a protocol violation,
//! which is counted and refused, never guessed at. Wire ids mean what the chain's earlier deltas said, so within a split term the replica
//! also follows the chain without a gap: a duplicate it hears for the first time still teaches it the sender's dictionary. A new term
//! starts a new dictionary, and what was held for the old one is dropped.
//!
//! *Closed means closed.* The frontier is the lowest watermark of the replica's splits, and windows close up to it. A delta holds
//! only rows that were not late in their split: event time ≥ the split's watermark before them ≥ the split's watermark at any earlier
//! stamp ≥ any frontier the replica has had. So no row meets a window that ends at or below the frontier. A split that joins does so
//! at a barrier under a floor that is at least the frontier there, and a replica that has seen the barrier on any chain waits for it.
//! [`Counters::rows_below_frontier`] counts breaches and must stay 0.

pub(crate) mod barriers;
mod answer;
mod changes;
mod close;
mod copy;
mod export;
mod plans;
mod restore;

pub use barriers::PassedBarrier;
pub use close::Want;
pub use export::ExportedGroup;
pub use restore::RestorePoint;

use crate::delta::{Delta, DeltaPart, DictionaryChange, Mark, PlacedMark, Placement, SplitCounts, Stamp, StoreDelta};
use crate::keys::Keys;
use crate::sessions::SessionStore;
use crate::sliced::SlicedStore;
use crate::view::ReplicaView;
use crate::wire::Dictionaries;
use arrow::array::RecordBatch;
use barriers::Barriers;
use changes::Tracked;
use plans::Joining;
use raympp_operators::sharing::SharedPlan;
use raympp_types::{DataType, Epoch, EventTime, MetricId, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm, Term};
use restore::LastLoaded;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// What became of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was merged, and held ones behind it.
    Yes,
    /// The replica had it.
    Duplicate,
    /// It lies ahead of what the replica has; rows from this offset are missing.
    Held(Offset),
    /// A newer reader of the split has been seen.
    Fenced,
    /// It overlaps what the replica has without being covered by it: the split must be opened anew.
    Violation,
}

/// A delta that a replica has taken in.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The delta.
    pub delta: Arc<Delta>,
    /// Its rows were merged. If not, the replica had them, and has learnt the sender's dictionary only.
    pub merged: bool,
}

/// Late rows of one delta of a split, of a replica that owns the split's counts.
#[derive(Clone, Debug)]
pub struct LateRows {
    /// Of which split.
    pub split: SplitId,
    /// Where the delta ends.
    pub to: Offset,
    /// Late rows of the split up to there, since the run has begun to read it: these are the last of them.
    pub last: u64,
    /// The first epoch that they may belong to: no barrier of their split stands between that one's and them.
    pub epoch: Epoch,
    /// In order of offset.
    pub rows: Vec<RecordBatch>,
}

/// What a replica counts; all but the last three are a function of the splits' contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Late rows of the splits whose counts this partition owns.
    pub late: u64,
    /// Undecodable rows and rows too far ahead of the splits whose counts this partition owns.
    pub bad: u64,
    /// Windows closed, over all metrics and keys.
    pub windows_closed: u64,
    /// Result values that did not fit their type.
    pub overflowed: u64,
    /// Rows that met a closed window: must stay 0.
    pub rows_below_frontier: u64,
    /// Deltas merged.
    pub deltas: u64,
    /// Deltas dropped because they had been applied.
    pub duplicates: u64,
    /// Deltas that overlapped: must stay 0.
    pub violations: u64,
}

/// What a replica knows of one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitProgress {
    /// Rows up to here are in.
    pub applied: Offset,
    /// Highest term seen.
    pub term: SplitTerm,
    /// As of `applied`.
    pub watermark: RunningWatermark,
    /// Of the rows up to `applied`.
    pub counts: SplitCounts,
    /// No rows will come.
    pub ended: bool,
    /// Last barrier seen.
    pub barrier: Epoch,
    /// The plan that it has brought, or the one that the chain began with.
    pub plan: PlanVersion,
}

enum StoreState {
    Sliced(SlicedStore),
    Sessions(SessionStore),
}

impl StoreState {
    /// Base slices or sessions kept, and bytes of them.
    fn size(&self) -> (usize, usize) {
        match self {
            StoreState::Sliced(store) => store.size(),
            StoreState::Sessions(store) => store.size(),
        }
    }
}

/// What the replica knows of the task that reads a split, under its current term.
#[derive(Default)]
struct Sender {
    /// The chain has been heard up to here; `None` before its first delta.
    heard: Option<Offset>,
    dictionaries: Dictionaries,
}

/// One partition's state machine.
pub struct Replica {
    partition: PartitionId,
    bound_us: i64,
    time_type: DataType,
    plan: Arc<SharedPlan>,
    keys: Vec<Keys>,
    stores: Vec<Option<StoreState>>,
    splits: BTreeMap<SplitId, SplitProgress>,
    /// Deltas ahead of what has been heard, by where they start, in order of arrival: marks may share an offset.
    held: BTreeMap<(SplitId, Offset), VecDeque<Arc<Delta>>>,
    senders: HashMap<SplitId, Sender>,
    /// Marks of each split that a new reader of it may have to repeat.
    marks: BTreeMap<SplitId, Vec<PlacedMark>>,
    /// What its results are sent under.
    term: Term,
    frontier: EventTime,
    /// Windows close up to here at most.
    closing: EventTime,
    seen: EventTime,
    /// Windows of these metrics must start after this time to count.
    first_after: HashMap<MetricId, EventTime>,
    joining: Vec<Joining>,
    /// Metrics with rows in the window that is being closed, by store.
    unfinished: BTreeMap<usize, BTreeSet<MetricId>>,
    bad_by_store: BTreeMap<usize, u64>,
    late_rows: Vec<LateRows>,
    barriers: Barriers,
    counters: Counters,
    view: Arc<ReplicaView>,
    /// Stores whose changes are collected for updates.
    tracked: BTreeMap<usize, Tracked>,
    /// Deltas accepted since they were last taken, if anybody takes them.
    accepted: Option<Vec<Accepted>>,
    scratch_ids: Vec<u32>,
    /// While a checkpoint is loaded, by key space.
    last_loaded: BTreeMap<usize, LastLoaded>,
}

impl Replica {
    /// A replica of a partition of a stream that has read nothing. `bound_us` is the stream's bound of out-of-orderness, `time_type` the
    /// type of window bounds.
    pub fn new(partition: PartitionId, plan: Arc<SharedPlan>, bound_us: i64, time_type: DataType, splits: &[SplitId]) -> Replica {
        let mut replica = Replica {
            partition,
            bound_us,
            time_type,
            plan: Arc::new(SharedPlan::empty()),
            keys: Vec::new(),
            stores: Vec::new(),
            splits: BTreeMap::new(),
            held: BTreeMap::new(),
            senders: HashMap::new(),
            marks: BTreeMap::new(),
            term: Term(1),
            frontier: EventTime::MIN,
            closing: EventTime::MAX,
            seen: EventTime::MIN,
            first_after: HashMap::new(),
            joining: Vec::new(),
            unfinished: BTreeMap::new(),
            bad_by_store: BTreeMap::new(),
            late_rows: Vec::new(),
            barriers: Barriers::default(),
            counters: Counters::default(),
            view: Arc::new(ReplicaView::new(partition, time_type)),
            tracked: BTreeMap::new(),
            accepted: None,
            scratch_ids: Vec::new(),
            last_loaded: BTreeMap::new(),
        };
        replica.set_plan(plan);
        for &split in splits {
            replica.add_split(split, EventTime::MIN);
        }
        replica
    }

    /// What readers in other threads share.
    pub fn view(&self) -> &Arc<ReplicaView> {
        &self.view
    }

    /// The plan in force.
    pub fn plan(&self) -> &Arc<SharedPlan> {
        &self.plan
    }

    /// Lowest watermark of all splits: windows that end at or before it have closed or are about to.
    pub fn frontier(&self) -> EventTime {
        self.frontier
    }

    /// What it knows of each split.
    pub fn splits(&self) -> &BTreeMap<SplitId, SplitProgress> {
        &self.splits
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        let below = |store: &StoreState| match store {
            StoreState::Sliced(store) => store.rows_below_frontier(),
            StoreState::Sessions(store) => store.rows_below_frontier(),
        };
        Counters { rows_below_frontier: self.stores.iter().flatten().map(below).sum(), ..self.counters }
    }

    /// From now on its results are sent under this term.
    pub fn set_term(&mut self, term: Term) {
        self.term = term;
    }

    /// Windows close up to here at most, however far the frontier is. A standby closes what every receiver has from the primary, so that it can still
    /// send the rest should it become the primary; whoever sends results is not held back ([`EventTime::MAX`], which it is before the first call).
    pub fn close_up_to(&mut self, limit: EventTime) {
        self.closing = limit;
    }

    /// Where it may close up to: the frontier, or less if it is held back.
    pub fn closing_frontier(&self) -> EventTime {
        self.frontier.min(self.closing)
    }

    /// Rows that could not be evaluated, by store.
    pub fn bad_by_store(&self) -> &BTreeMap<usize, u64> {
        &self.bad_by_store
    }

    /// Late rows since the last call, in order of (split's delta, offset).
    pub fn take_late_rows(&mut self) -> Vec<LateRows> {
        std::mem::take(&mut self.late_rows)
    }

    /// From now on keeps the deltas it accepts for [`Replica::take_accepted`].
    pub fn keep_accepted(&mut self) {
        self.accepted.get_or_insert_default();
    }

    /// The deltas it has accepted since the last call, in that order, if it keeps them.
    pub fn take_accepted(&mut self) -> Vec<Accepted> {
        self.accepted.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The next barrier that has come from every split, or that was sealed when every split had ended; in order, each once.
    pub fn take_passed_barrier(&mut self) -> Option<PassedBarrier> {
        self.barriers.take_passed(&self.splits)
    }

    /// No chain carries this barrier, since all splits of the stream have ended: the replica takes it when it has seen that.
    pub fn seal(&mut self, epoch: Epoch) {
        self.barriers.seal(epoch);
    }

    /// The first epoch whose barrier stands behind every row applied so far.
    pub fn epoch(&self) -> Epoch {
        self.splits.values().map(|split| split.barrier).max().unwrap_or_default().next()
    }

    /// The first epoch whose frontier takes in a window that ends at this time; to be asked when the window closes, of barriers that have not been
    /// taken ([`Replica::take_passed_barrier`]).
    pub fn epoch_of_window(&self, end: EventTime) -> Epoch {
        self.barriers.epoch_of_window(end).unwrap_or_else(|| self.epoch())
    }

    fn add_split(&mut self, split: SplitId, floor: EventTime) {
        let watermark = RunningWatermark { max_event_time: EventTime::MIN, floor };
        let plan = self.plan.version;
        self.splits.entry(split).or_insert(SplitProgress { watermark, plan, ..SplitProgress::unread() });
    }

    /// True if a newer reader of the split has been heard of.
    pub fn is_fenced(&self, stamp: &Stamp) -> bool {
        self.splits.get(&stamp.split).is_some_and(|progress| stamp.split_term < progress.term)
    }

    /// Applies a delta by the exactly-once rule, and whatever was held for it.
    pub fn apply(&mut self, delta: &Arc<Delta>) -> Applied {
        let stamp = &delta.stamp;
        if !self.splits.contains_key(&stamp.split) {
            // A chain that this replica has not heard of opens with the floor it joins under.
            self.add_split(stamp.split, self.frontier);
        }
        let progress = self.splits.get_mut(&stamp.split).expect("just made sure");
        if stamp.split_term < progress.term {
            return Applied::Fenced;
        }
        if stamp.split_term > progress.term {
            progress.term = stamp.split_term;
            self.forget_sender(stamp.split);
        }
        let applied = self.splits[&stamp.split].applied;
        let next = self.senders.entry(stamp.split).or_default().heard.unwrap_or(stamp.from.min(applied));
        if stamp.from > next {
            self.hold(delta);
            return Applied::Held(next);
        }
        if stamp.from < next {
            return self.refuse(stamp, next);
        }
        self.tracked.values_mut().for_each(|tracked| tracked.touched.clear());
        let verdict = self.accept(delta);
        while let Some(next) = self.take_held(stamp.split) {
            self.accept(&next);
        }
        self.advance_frontier();
        verdict
    }

    /// Takes the next delta of a chain.
    fn accept(&mut self, delta: &Arc<Delta>) -> Applied {
        let stamp = &delta.stamp;
        let applied = self.splits[&stamp.split].applied;
        if stamp.from == applied {
            self.merge(delta);
            self.note_accepted(delta, true);
            return Applied::Yes;
        }
        let verdict = self.refuse(stamp, applied);
        if verdict == Applied::Duplicate {
            let part = delta.part(self.partition);
            part.iter().flat_map(|part| &part.dictionaries).for_each(|change| self.change_dictionary(stamp.split, change));
            self.senders.entry(stamp.split).or_default().heard = Some(stamp.to);
            self.note_accepted(delta, false);
        }
        verdict
    }

    fn note_accepted(&mut self, delta: &Arc<Delta>, merged: bool) {
        self.accepted.iter_mut().for_each(|accepted| accepted.push(Accepted { delta: Arc::clone(delta), merged }));
    }

    fn hold(&mut self, delta: &Arc<Delta>) {
        let waiting = self.held.entry((delta.stamp.split, delta.stamp.from)).or_default();
        if waiting.iter().all(|other| other.stamp != delta.stamp) {
            waiting.push_back(Arc::clone(delta));
        }
    }

    /// The held delta that comes next in a chain. Those that lie before it were heard otherwise and are dropped.
    fn take_held(&mut self, split: SplitId) -> Option<Arc<Delta>> {
        let heard = self.senders.get(&split)?.heard?;
        while let Some((&key, waiting)) = self.held.range_mut((split, Offset(0))..=(split, heard)).next() {
            match waiting.pop_front() {
                Some(delta) if key.1 == heard => return Some(delta),
                Some(_) => {}
                None => {
                    self.held.remove(&key);
                }
            }
        }
        None
    }

    /// Lets go of the keys that a sender's wire ids named and of what was held for it.
    fn forget_sender(&mut self, split: SplitId) {
        let sender = self.senders.remove(&split).unwrap_or_default();
        sender.dictionaries.release(&mut self.keys);
        self.held.retain(|&(held, _), _| held != split);
    }

    fn refuse(&mut self, stamp: &Stamp, applied: Offset) -> Applied {
        if stamp.to <= applied {
            self.counters.duplicates += 1;
            return Applied::Duplicate;
        }
        self.counters.violations += 1;
        Applied::Violation
    }

    fn merge(&mut self, delta: &Delta) {
        if let Some(part) = delta.part(self.partition) {
            self.merge_part(&delta.stamp, part);
        }
        self.counters.deltas += 1;
        let stamp = &delta.stamp;
        let progress = self.splits.get_mut(&stamp.split).expect("known");
        progress.pass_rows(stamp);
        self.senders.entry(stamp.split).or_default().heard = Some(stamp.to);
        self.seen = self.seen.max(stamp.watermark.max_event_time);
        for mark in &stamp.marks {
            self.pass(stamp.split, mark);
        }
    }

    /// A mark that comes again, since the split has a new reader, changes nothing.
    fn pass(&mut self, split: SplitId, mark: &Mark) {
        let Some(placed) = self.splits[&split].place(mark) else { return };
        let marks = self.marks.entry(split).or_default();
        if !placed.is_in(marks) {
            marks.push(placed);
        }
        let progress = self.splits.get_mut(&split).expect("known");
        progress.pass_mark(mark);
        match mark {
            Mark::Barrier { epoch, splits, plan } => {
                self.barriers.pass(*epoch, split, progress.applied, progress.watermark.watermark(self.bound_us));
                self.advance_frontier();
                for &listed in splits.iter() {
                    self.add_split(listed, self.frontier);
                }
                self.pass_joining(split, splits, *plan);
                self.finish_joining();
            }
            Mark::Floor(_) => {}
            Mark::End => self.end_split(split),
        }
    }

    fn end_split(&mut self, split: SplitId) {
        let seen = self.splits[&split].watermark.max_event_time;
        for joining in &mut self.joining {
            if joining.waiting.remove(&split) {
                joining.seen = joining.seen.max(seen);
            }
        }
        self.finish_joining();
        self.forget_sender(split);
    }

    fn advance_frontier(&mut self) {
        let watermark = |split: &SplitProgress| if split.ended { EventTime::MAX } else { split.watermark.watermark(self.bound_us) };
        if let Some(lowest) = self.splits.values().map(watermark).min() {
            self.frontier = self.frontier.max(lowest);
        }
        self.view.publish_progress(self.frontier, self.seen);
    }

    fn merge_part(&mut self, stamp: &Stamp, part: &DeltaPart) {
        let split = stamp.split;
        for change in &part.dictionaries {
            self.change_dictionary(split, change);
        }
        for entries in &part.entries {
            self.merge_entries(split, entries);
        }
        if let Some(uncounted) = &part.uncounted {
            self.counters.late += uncounted.late;
            self.counters.bad += uncounted.bad;
            for &(store, bad) in &uncounted.bad_by_store {
                *self.bad_by_store.entry(store).or_default() += bad;
            }
            let epoch = self.splits[&split].barrier.next();
            if !uncounted.late_rows.is_empty() {
                self.late_rows.push(LateRows { split, to: stamp.to, last: stamp.counts.late, epoch, rows: uncounted.late_rows.clone() });
            }
        }
    }

    fn change_dictionary(&mut self, split: SplitId, change: &DictionaryChange) {
        self.senders.entry(split).or_default().dictionaries.change(change, &mut self.keys);
    }

    fn merge_entries(&mut self, split: SplitId, entries: &StoreDelta) {
        let Some(Some(state)) = self.stores.get_mut(entries.store) else { return };
        let store = self.plan.stores[entries.store].as_ref().expect("a store with state is in the plan");
        self.senders.entry(split).or_default().dictionaries.resolve(store.key_space, &entries.ids, &mut self.scratch_ids);
        let keys = &mut self.keys[store.key_space];
        match (state, &entries.placement) {
            (StoreState::Sliced(sliced), Placement::Slice(slice)) => sliced.apply(entries, *slice, &self.scratch_ids, keys),
            (StoreState::Sessions(sessions), Placement::Sessions { first_us, last_us }) => {
                sessions.apply(entries, first_us, last_us, &self.scratch_ids, keys);
            }
            _ => unreachable!("entries are placed as the plan says"),
        }
        if let Some(tracked) = self.tracked.get_mut(&entries.store) {
            tracked.touched.extend_from_slice(&self.scratch_ids);
        }
    }

    /// Keys interned, base slices kept, bytes of state.
    pub fn size(&self) -> (usize, usize, usize) {
        let keys = self.keys.iter().map(|keys| keys.reader().len()).sum();
        let key_bytes: usize = self.keys.iter().map(Keys::bytes).sum();
        let stores = self.stores.iter().flatten().map(StoreState::size);
        let (slices, bytes) = stores.fold((0, key_bytes), |sum, store| (sum.0 + store.0, sum.1 + store.1));
        (keys, slices, bytes)
    }

    /// Keys of its key space, base slices (or sessions) and bytes of one store; stores with equal keys share their key space.
    pub fn store_size(&self, store: usize) -> Option<(usize, usize, usize)> {
        let space = self.plan.stores.get(store)?.as_ref()?.key_space;
        let keys = self.keys[space].reader().len();
        let (slices, bytes) = self.stores.get(store)?.as_ref()?.size();
        Some((keys, slices, bytes))
    }
}
