//! Epoch lists: what the deltas between two barriers say, merged. A checkpoint is made of them, and live memory is never looked at.
//!
//! The lists of a partition are fed the deltas that its replica has accepted, in that order. They follow the senders' dictionaries with a key
//! table of their own, so they share nothing with the replica and may live on another thread. A delta belongs to the epoch between
//! whose barriers it lies, and is merged into that epoch's tables at once: a list never holds more than one entry per (store, slice, key) touched, or
//! session piece, however long its epoch lasts. When the barrier has come from every split the list is *complete*.
//!
//! Invariant: list n is a function of V(n−1), V(n) and the splits' rows, down to its bytes: entries are sorted by key, and merging is
//! commutative and associative. So every replica of the partition would make the same one.

mod open;
mod session_pieces;

use crate::checkpoint::{Record, SplitState};
use crate::delta::{Delta, Mark, PlacedMark, SplitCounts, Stamp};
use crate::keys::Keys;
use crate::replica::SplitProgress;
use crate::replica::barriers::{Barriers, PassedBarrier};
use crate::wire::Dictionaries;
use open::{OpenList, Spare};
use raympp_operators::sharing::{SharedPlan, Store};
use raympp_types::{Epoch, EventTime, Offset, PartitionId, PlanVersion, RunningWatermark, SplitId, SplitTerm};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Called between pieces of a long piece of work: here its thread may let others go first. It has no effect on what comes out.
pub type Breathe = fn();

/// Rows of an epoch that count in no window, of the splits whose counts the partition owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// Rows late by their split's watermark.
    pub late: u64,
    /// Rows that could not be decoded or jumped too far ahead.
    pub bad: u64,
    /// Rows that could not be evaluated, by store.
    pub bad_by_store: BTreeMap<usize, u64>,
}

impl Uncounted {
    /// Adds the rows of another epoch.
    pub fn add(&mut self, other: &Uncounted) {
        self.late += other.late;
        self.bad += other.bad;
        other.bad_by_store.iter().for_each(|(&store, &bad)| *self.bad_by_store.entry(store).or_default() += bad);
    }
}

/// What the deltas of one epoch, or of several that follow each other, say to a partition.
#[derive(Clone, Debug)]
pub struct EpochList {
    /// The barrier at its end.
    pub epoch: Epoch,
    /// The splits at that barrier, by id: V(n), watermarks, ends.
    pub splits: Vec<SplitState>,
    /// F(n).
    pub frontier: EventTime,
    /// The plan in force after the barrier.
    pub plan: PlanVersion,
    /// Entries by store and slice (0 for sessions and running totals), each list of entries sorted by key.
    pub records: BTreeMap<(usize, i64), Record>,
    /// Rows that count in no window.
    pub uncounted: Uncounted,
}

/// The splits that have passed a barrier, as they were there.
struct At {
    plan: PlanVersion,
    splits: BTreeMap<SplitId, SplitState>,
}

/// The lists of one partition that are not complete.
pub struct EpochLists {
    partition: PartitionId,
    bound_us: i64,
    plan: PlanVersion,
    /// All stores there have been, by position, those included that a plan has dropped: an older epoch may still need them. `None`: it came and went
    /// between two barriers, so that no delta has anything of it.
    stores: Vec<Option<Arc<Store>>>,
    keys: Vec<Keys>,
    dictionaries: HashMap<SplitId, Dictionaries>,
    splits: BTreeMap<SplitId, SplitProgress>,
    /// Marks behind the last barrier of each split.
    marks: BTreeMap<SplitId, Vec<(Offset, Mark)>>,
    barriers: Barriers,
    /// By the barrier they begin behind.
    open: BTreeMap<Epoch, OpenList>,
    /// The splits at barriers that not all have passed.
    at: BTreeMap<Epoch, At>,
    ids: Vec<u32>,
    spare: Spare,
}

impl EpochLists {
    /// For a partition that has read nothing.
    pub fn new(partition: PartitionId, plan: &SharedPlan, bound_us: i64, splits: &[SplitId]) -> EpochLists {
        let splits = splits.iter().map(|&split| (split, SplitProgress::unread())).collect();
        EpochLists::after(partition, plan, bound_us, Barriers::default(), splits)
    }

    /// For a partition that goes on from a barrier with its splits and frontier there.
    pub fn resume(
        partition: PartitionId,
        plan: &SharedPlan,
        bound_us: i64,
        (epoch, frontier): (Epoch, EventTime),
        splits: &[SplitState],
    ) -> EpochLists {
        let progress = |split: &SplitState| SplitProgress { barrier: epoch, ..SplitProgress::at(split) };
        let splits = splits.iter().map(|split| (split.split, progress(split))).collect();
        EpochLists::after(partition, plan, bound_us, Barriers::after(epoch, frontier), splits)
    }

    fn after(
        partition: PartitionId,
        plan: &SharedPlan,
        bound_us: i64,
        barriers: Barriers,
        splits: BTreeMap<SplitId, SplitProgress>,
    ) -> EpochLists {
        let mut lists = EpochLists {
            partition,
            bound_us,
            plan: PlanVersion(0),
            stores: Vec::new(),
            keys: Vec::new(),
            dictionaries: HashMap::new(),
            splits,
            marks: BTreeMap::new(),
            barriers,
            open: BTreeMap::new(),
            at: BTreeMap::new(),
            ids: Vec::new(),
            spare: Spare::default(),
        };
        lists.adopt(plan);
        lists
    }

    /// Takes over a plan that a barrier brings, before the delta with the barrier's mark is taken.
    pub fn adopt(&mut self, plan: &SharedPlan) {
        for space in &plan.key_spaces[self.keys.len()..] {
            self.keys.push(Keys::new(space.types()));
        }
        self.stores.extend_from_slice(&plan.stores[self.stores.len()..]);
        self.plan = plan.version;
    }

    /// The last barrier that all splits have passed.
    pub fn written(&self) -> Epoch {
        self.barriers.passed()
    }

    /// Version of the plan in force.
    pub fn plan_version(&self) -> PlanVersion {
        self.plan
    }

    /// Takes the next delta of a chain. If the lists have its rows already, since the split has a new reader, only the sender's dictionary is news.
    pub fn take(&mut self, delta: &Delta) {
        let stamp = &delta.stamp;
        let progress = self.splits.entry(stamp.split).or_insert_with(SplitProgress::unread);
        if stamp.split_term > progress.term {
            progress.term = stamp.split_term;
            self.forget_sender(stamp.split);
        }
        let SplitProgress { applied, barrier: behind, .. } = self.splits[&stamp.split];
        let is_news = stamp.from == applied;
        if let Some(part) = delta.part(self.partition) {
            let dictionaries = self.dictionaries.entry(stamp.split).or_default();
            part.dictionaries.iter().for_each(|change| dictionaries.change(change, &mut self.keys));
            if is_news {
                let list = self.open.entry(behind).or_default();
                for entries in &part.entries {
                    let Some(store) = &self.stores[entries.store] else { continue };
                    dictionaries.resolve(store.key_space, &entries.ids, &mut self.ids);
                    list.merge(store, entries, &self.ids, &mut self.keys[store.key_space], &mut self.spare);
                }
                if let Some(uncounted) = &part.uncounted {
                    let bad_by_store = uncounted.bad_by_store.iter().copied().collect();
                    list.uncounted.add(&Uncounted { late: uncounted.late, bad: uncounted.bad, bad_by_store });
                }
            }
        }
        if is_news {
            self.splits.get_mut(&stamp.split).expect("just made sure").pass_rows(stamp);
            stamp.marks.iter().for_each(|mark| self.pass(stamp.split, mark));
        }
    }

    fn pass(&mut self, split: SplitId, mark: &Mark) {
        let Some(PlacedMark { offset, .. }) = self.splits[&split].place(mark) else { return };
        let marks = self.marks.entry(split).or_default();
        if marks.last().is_none_or(|(last, other)| (*last, other) != (offset, mark)) {
            marks.push((offset, mark.clone()));
        }
        let progress = self.splits.get_mut(&split).expect("known");
        progress.pass_mark(mark);
        match mark {
            Mark::Barrier { epoch, splits, plan } => {
                self.barriers.pass(*epoch, split, offset, progress.watermark.watermark(self.bound_us));
                let at = self.at.entry(*epoch).or_insert_with(|| At { plan: *plan, splits: BTreeMap::new() });
                at.splits.insert(split, state_of(split, progress, self.marks.remove(&split)));
                for &listed in splits.iter() {
                    self.splits.entry(listed).or_insert_with(SplitProgress::unread);
                }
            }
            Mark::Floor(_) => {}
            Mark::End => self.forget_sender(split),
        }
    }

    fn forget_sender(&mut self, split: SplitId) {
        self.dictionaries.remove(&split).unwrap_or_default().release(&mut self.keys);
    }

    /// No chain carries this barrier, since all splits of the stream have ended: the list is complete when the lists have seen that.
    pub fn seal(&mut self, epoch: Epoch) {
        self.barriers.seal(epoch);
    }

    /// The next list whose barrier has come from every split, in order.
    pub fn take_complete(&mut self, breathe: Breathe) -> Option<EpochList> {
        let PassedBarrier { epoch, frontier, .. } = self.barriers.take_passed(&self.splits)?;
        let At { plan, mut splits } = self.at.remove(&epoch).unwrap_or_else(|| At { plan: self.plan, splits: BTreeMap::new() });
        let ended_before = |progress: &SplitProgress| progress.ended && progress.barrier < epoch;
        for (&split, progress) in self.splits.iter().filter(|(_, progress)| ended_before(progress)) {
            splits.entry(split).or_insert_with(|| state_of(split, progress, self.marks.remove(&split)));
        }
        let splits = splits.into_values().collect();
        let mut list = EpochList { epoch, splits, frontier, plan, records: BTreeMap::new(), uncounted: Uncounted::default() };
        while let Some(open) = self.open.first_entry().filter(|open| *open.key() < epoch) {
            let open = open.remove();
            list.uncounted.add(&open.uncounted);
            for (place, record) in open.records(&mut self.keys, &mut self.spare, breathe) {
                debug_assert!(!list.records.contains_key(&place), "the splits of a stream pass the same barriers");
                list.records.insert(place, record);
            }
        }
        Some(list)
    }

    /// Puts a list, or what a checkpoint holds, into the epoch that is behind barrier `behind`: it becomes part of that epoch's list.
    pub fn put_back(&mut self, behind: Epoch, records: &BTreeMap<(usize, i64), Record>, uncounted: &Uncounted) {
        let list = self.open.entry(behind).or_default();
        list.uncounted.add(uncounted);
        for (&(store, slice), record) in records {
            let Some(layout) = &self.stores[store] else { continue };
            list.put(layout, (store, slice), record, &mut self.keys[layout.key_space], &mut self.spare);
        }
    }
}

fn state_of(split: SplitId, progress: &SplitProgress, marks: Option<Vec<(Offset, Mark)>>) -> SplitState {
    let SplitProgress { applied, watermark, ended, .. } = *progress;
    SplitState { split, offset: applied, watermark, ended, marks: marks.unwrap_or_default() }
}

impl SplitProgress {
    /// As a checkpoint has it, before any barrier.
    pub(crate) fn at(split: &SplitState) -> SplitProgress {
        SplitProgress { applied: split.offset, watermark: split.watermark, ended: split.ended, ..SplitProgress::unread() }
    }

    /// All rows up to where a delta ends are in. Watermarks never go back: a new reader may repeat marks below a floor that was seen.
    pub(crate) fn pass_rows(&mut self, stamp: &Stamp) {
        (self.applied, self.counts) = (stamp.to, stamp.counts);
        self.watermark.max_event_time = stamp.watermark.max_event_time;
        self.watermark.raise_floor(stamp.watermark.floor);
    }

    /// Of a split that nothing has been read of.
    pub(crate) fn unread() -> SplitProgress {
        let watermark = RunningWatermark::default();
        let counts = SplitCounts::default();
        SplitProgress { applied: Offset(0), term: SplitTerm(0), watermark, counts, ended: false, barrier: Epoch(0), plan: PlanVersion(0) }
    }
}
