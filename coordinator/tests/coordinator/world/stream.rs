//! One stream: what has truly happened in its splits and partitions, and what the coordinator has heard of it.

use raympp_coordinator::{Fact, Failure, Silence, Vector};
use raympp_types::{Epoch, EventTime, Offset, PartitionId, PlanVersion, SplitId, StreamId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A split that is or was read.
pub(crate) struct Split {
    pub(crate) watermark: EventTime,
    offset: Offset,
    /// Its chain begins with this barrier, or with the committed epoch.
    pub(crate) joined: Epoch,
    /// Barriers it was told of and has not marked.
    told: VecDeque<Epoch>,
    silent_since: Option<u64>,
    pub(crate) ended: bool,
    pub(crate) reports: VecDeque<Fact>,
}

impl Split {
    fn new(joined: Epoch, offset: Offset, watermark: EventTime) -> Split {
        Split { watermark, offset, joined, told: VecDeque::new(), silent_since: None, ended: false, reports: VecDeque::new() }
    }
}

/// One barrier in the stream.
pub(crate) struct Barrier {
    splits: Arc<[SplitId]>,
    plan: PlanVersion,
    /// Who has marked it: offset and watermark there.
    marks: BTreeMap<SplitId, (Offset, EventTime)>,
    sealed: bool,
}

impl Barrier {
    fn new(splits: Arc<[SplitId]>, plan: PlanVersion) -> Barrier {
        Barrier { splits, plan, marks: BTreeMap::new(), sealed: false }
    }

    /// Partitions see it.
    fn is_seen(&self) -> bool {
        self.sealed || !self.marks.is_empty()
    }
}

/// One partition.
#[derive(Default)]
pub(crate) struct Partition {
    acked: Epoch,
    /// Acks that the coordinator has heard.
    pub(crate) heard: BTreeSet<Epoch>,
    pub(crate) reports: VecDeque<Fact>,
    pub(crate) next_fails: bool,
}

/// What a store holds of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Offset, watermark, ended.
    splits: BTreeMap<SplitId, (Offset, EventTime, bool)>,
    pub(crate) frontier: EventTime,
    pub(crate) plan: PlanVersion,
}

/// See the module.
pub(crate) struct StreamWorld {
    pub(crate) id: StreamId,
    initial_splits: u32,
    pub(crate) splits: BTreeMap<SplitId, Split>,
    pub(crate) wants_to_join: BTreeSet<SplitId>,
    next_split: u32,
    pub(crate) plan: PlanVersion,
    pub(crate) in_force: PlanVersion,
    pub(crate) barriers: BTreeMap<Epoch, Barrier>,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) idle_heard: BTreeMap<SplitId, u64>,
    pub(crate) ends_heard: BTreeSet<SplitId>,
    /// The frontier it starts with.
    restored: EventTime,
}

impl StreamWorld {
    pub(crate) fn new(id: StreamId, splits: u32, partitions: usize) -> StreamWorld {
        let split = |id| (SplitId(id), Split::new(Epoch(0), Offset(0), EventTime::MIN));
        StreamWorld {
            id,
            initial_splits: splits,
            splits: (0..splits).map(split).collect(),
            wants_to_join: BTreeSet::new(),
            next_split: splits,
            plan: PlanVersion(1),
            in_force: PlanVersion(1),
            barriers: BTreeMap::new(),
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            idle_heard: BTreeMap::new(),
            ends_heard: BTreeSet::new(),
            restored: EventTime::MIN,
        }
    }

    /// As a new process finds it.
    pub(crate) fn restored(&self, committed: Epoch, snapshot: Option<&Snapshot>) -> StreamWorld {
        let mut stream = StreamWorld::new(self.id, self.initial_splits, self.partitions.len());
        (stream.plan, stream.in_force, stream.next_split) = (self.plan, self.plan, self.next_split);
        stream.partitions.iter_mut().for_each(|partition| partition.acked = committed);
        if let Some(snapshot) = snapshot {
            (stream.in_force, stream.restored) = (snapshot.plan, snapshot.frontier);
            let split =
                |(&id, &(offset, watermark, ended)): (&SplitId, _)| (id, Split { ended, ..Split::new(committed, offset, watermark) });
            stream.splits = snapshot.splits.iter().map(split).collect();
            stream.ends_heard = stream.splits.iter().filter(|(_, split)| split.ended).map(|(&id, _)| id).collect();
        }
        stream
    }

    pub(crate) fn starts(&self) -> Fact {
        Fact::StreamStarts {
            stream: self.id,
            live: self.live_as_heard().into_iter().collect(),
            ended: self.is_complete_as_heard(),
            partitions: self.partitions.len() as u32,
            plan: self.in_force,
            frontier: self.restored,
        }
    }

    /// A split that has not ended.
    pub(crate) fn live(&mut self, index: usize) -> Option<(SplitId, &mut Split)> {
        let id = super::nth(self.splits.iter().filter(|(_, split)| !split.ended).map(|(id, _)| id), index)?;
        Some((id, self.splits.get_mut(&id)?))
    }

    pub(crate) fn join(&mut self) -> Fact {
        let id = SplitId(self.next_split);
        self.next_split += 1;
        self.wants_to_join.insert(id);
        Fact::SplitJoins(self.id, id)
    }

    pub(crate) fn read(&mut self, index: usize, us: i64) {
        let stream = self.id;
        let Some((id, split)) = self.live(index) else { return };
        if split.silent_since.take().is_some() {
            split.reports.push_back(Fact::SplitActive(stream, id));
        }
        split.watermark = EventTime(split.watermark.0.max(0) + us);
        split.offset = split.offset.next();
    }

    pub(crate) fn mark(&mut self, index: usize) {
        let stream = self.id;
        let Some((id, split)) = self.live(index) else { return };
        let Some(epoch) = split.told.pop_front() else { return };
        let mark = (split.offset, split.watermark);
        split.reports.push_back(Fact::Placed(stream, epoch, id, split.watermark));
        self.barriers.get_mut(&epoch).unwrap().marks.insert(id, mark);
    }

    pub(crate) fn end(&mut self, index: usize) {
        let stream = self.id;
        let Some((id, split)) = self.live(index) else { return };
        split.ended = true;
        split.told.clear();
        split.reports.push_back(Fact::SplitEnded(stream, id));
    }

    pub(crate) fn fall_silent(&mut self, index: usize, now_us: u64) {
        let stream = self.id;
        let Some((id, split)) = self.live(index) else { return };
        if split.silent_since.is_none() {
            split.silent_since = Some(now_us);
            let silence = Silence { since_us: now_us, at_us: now_us, watermark: split.watermark };
            split.reports.push_back(Fact::SplitIdle(stream, id, silence));
        }
    }

    /// A partition acks the next barrier that it has from every split, or fails to write it.
    pub(crate) fn ack(&mut self, index: usize) {
        let index = index % self.partitions.len();
        let after = self.partitions[index].acked.next();
        let Some(epoch) = self.barriers.range(after..).find(|(_, barrier)| barrier.is_seen()).map(|(&epoch, _)| epoch) else { return };
        if !self.has_passed(epoch) {
            return;
        }
        let vector = self.vector(epoch);
        let (stream, partition) = (self.id, &mut self.partitions[index]);
        partition.acked = epoch;
        partition.reports.push_back(if std::mem::take(&mut partition.next_fails) {
            Fact::Failed(epoch, Failure::Partition)
        } else {
            Fact::Acked { stream, epoch, partition: PartitionId(index as u32), vector }
        });
    }

    /// Every split has passed the barrier.
    pub(crate) fn has_passed(&self, epoch: Epoch) -> bool {
        let barrier = &self.barriers[&epoch];
        if barrier.sealed {
            return self.splits.values().all(|split| split.ended);
        }
        let passed = |(id, split): (&SplitId, &Split)| split.ended || split.joined > epoch || barrier.marks.contains_key(id);
        self.splits.iter().all(passed) && barrier.splits.iter().all(|id| self.splits.contains_key(id))
    }

    fn vector(&self, epoch: Epoch) -> Vector {
        self.progress(epoch).into_iter().map(|(id, (offset, ..))| (id, offset)).collect()
    }

    /// The splits at a barrier: offset, watermark, ended.
    fn progress(&self, epoch: Epoch) -> BTreeMap<SplitId, (Offset, EventTime, bool)> {
        let marks = self.barriers.get(&epoch).map(|barrier| &barrier.marks);
        let at = |(&id, split): (&SplitId, &Split)| match marks.and_then(|marks| marks.get(&id)) {
            Some(&(offset, watermark)) => Some((id, (offset, watermark, false))),
            None => (split.joined <= epoch).then_some((id, (split.offset, split.watermark, true))),
        };
        self.splits.iter().filter_map(at).collect()
    }

    /// What a store has to hold of a committed epoch.
    pub(crate) fn snapshot(&self, epoch: Epoch) -> Snapshot {
        Snapshot { splits: self.progress(epoch), frontier: self.frontier(epoch), plan: self.plan_at(epoch) }
    }

    /// F(n): the lowest watermark at barrier n of the splits that have marked it; it never falls.
    pub(crate) fn frontier(&self, epoch: Epoch) -> EventTime {
        let of = |barrier: &Barrier| match barrier.sealed {
            true => Some(EventTime::MAX),
            false => barrier.marks.values().map(|&(_, watermark)| watermark).min(),
        };
        self.barriers.range(..=epoch).filter_map(|(_, barrier)| of(barrier)).max().unwrap_or(EventTime::MIN).max(self.restored)
    }

    fn plan_at(&self, epoch: Epoch) -> PlanVersion {
        let carried = self.barriers.get(&epoch).filter(|barrier| barrier.is_seen());
        carried.map_or(self.in_force, |barrier| barrier.plan)
    }

    /// Splits that are being read and have not ended, as far as the coordinator has heard.
    pub(crate) fn live_as_heard(&self) -> BTreeSet<SplitId> {
        self.splits.keys().filter(|id| !self.ends_heard.contains(id)).copied().collect()
    }

    /// All splits have ended, as far as the coordinator has heard.
    pub(crate) fn is_complete_as_heard(&self) -> bool {
        !self.splits.is_empty() && self.live_as_heard().is_empty()
    }

    /// The next epoch has to have the stream.
    pub(crate) fn has_to_take_part(&self) -> bool {
        !self.live_as_heard().is_empty() || !self.wants_to_join.is_empty() || self.plan > self.in_force
    }

    /// The last barrier in (from, to] that partitions have seen or will.
    pub(crate) fn last_seen(&self, from: Epoch, to: Epoch) -> Option<Epoch> {
        self.barriers.range(from.next()..=to).rev().find(|(_, barrier)| barrier.is_seen()).map(|(&epoch, _)| epoch)
    }

    /// One barrier at a time, in order, for all live splits and those that want to join, under the newest plan.
    pub(crate) fn start(&mut self, epoch: Epoch, splits: Arc<[SplitId]>, plan: PlanVersion) {
        self.check_last_placed(epoch);
        let expected: BTreeSet<SplitId> = self.live_as_heard().union(&self.wants_to_join).copied().collect();
        assert_eq!(splits.iter().copied().collect::<BTreeSet<_>>(), expected, "the list of {epoch}");
        assert_eq!(splits.len(), expected.len(), "each once");
        assert_eq!(plan, self.plan, "the plan of {epoch}");
        assert!(!self.live_as_heard().is_empty(), "{epoch} has splits to mark it");
        self.barriers.insert(epoch, Barrier::new(splits, plan));
        self.splits.values_mut().filter(|split| !split.ended).for_each(|split| split.told.push_back(epoch));
    }

    /// The barrier before is behind every split.
    pub(crate) fn check_last_placed(&self, epoch: Epoch) {
        let Some((&last, barrier)) = self.barriers.last_key_value() else { return };
        assert!(epoch > last, "{epoch} after {last}");
        let passed = |id: &SplitId| self.splits.get(id).is_none_or(|split| split.ended || split.told.is_empty());
        assert!(barrier.splits.iter().all(passed), "{epoch} starts before {last} is placed");
        let opened = |id: &SplitId| self.splits.contains_key(id) || barrier.marks.is_empty();
        assert!(barrier.splits.iter().all(opened), "{epoch} starts before all have been opened that joined at {last}");
    }

    /// A split that joins is opened once, at a barrier that lists it, under the frontier there.
    pub(crate) fn open(&mut self, id: SplitId, epoch: Epoch, splits: &Arc<[SplitId]>, plan: PlanVersion, floor: EventTime) {
        assert!(self.wants_to_join.remove(&id), "{id} is opened once");
        if self.splits.is_empty() && !self.barriers.contains_key(&epoch) {
            // Without splits nobody else is told of the barrier.
            assert!(splits.iter().all(|other| *other == id || self.wants_to_join.contains(other)));
            self.barriers.insert(epoch, Barrier::new(Arc::clone(splits), plan));
        }
        assert_eq!(floor, self.frontier(epoch), "the floor of {id} at {epoch}");
        assert!(!self.is_complete_as_heard() || self.barriers[&epoch].is_seen(), "nobody knows of {id}");
        let barrier = self.barriers.get_mut(&epoch).unwrap();
        assert_eq!((&barrier.splits, barrier.plan), (splits, plan));
        assert!(splits.contains(&id));
        barrier.marks.insert(id, (Offset(0), floor));
        self.splits.insert(id, Split::new(epoch, Offset(0), floor));
    }

    pub(crate) fn refuse(&mut self, id: SplitId) {
        assert!(self.wants_to_join.remove(&id), "{id} is answered once");
        assert!(self.is_complete_as_heard(), "{id} is refused although the stream goes on");
    }

    /// A plan comes into force once, when a chain has its barrier, or when there are no chains.
    pub(crate) fn come_into_force(&mut self, plan: PlanVersion, carried: bool) {
        assert!(plan > self.in_force && plan <= self.plan, "{plan} after {}", self.in_force);
        self.in_force = plan;
        let marked = self.barriers.values().any(|barrier| barrier.is_seen() && barrier.plan == plan);
        assert!(marked || !carried, "no chain carries {plan}");
        assert!(carried || marked || self.live_as_heard().is_empty(), "chains could carry {plan}");
    }

    /// A stream is sealed only where no chain has the barrier or ever will.
    pub(crate) fn seal(&mut self, epoch: Epoch) {
        assert!(self.is_complete_as_heard(), "{epoch} has splits to mark it");
        self.check_seal_order(epoch);
        let plan = self.in_force;
        let barrier = self.barriers.entry(epoch).or_insert_with(|| Barrier::new(Arc::new([]), plan));
        assert!(barrier.marks.is_empty(), "a chain has {epoch}");
        barrier.sealed = true;
    }

    fn check_seal_order(&self, epoch: Epoch) {
        let last = self.barriers.last_key_value().map(|(&last, _)| last);
        assert!(last.is_none_or(|last| last <= epoch), "{epoch} after {last:?}");
    }

    /// Floors are for idle splits only, and never above a split that is not idle.
    pub(crate) fn raise(&mut self, id: SplitId, since_us: u64, floor: EventTime) {
        assert_eq!(self.idle_heard.get(&id), Some(&since_us), "{id} is idle, as far as the coordinator can know");
        for other in self.live_as_heard().iter().filter(|other| !self.idle_heard.contains_key(other)) {
            assert!(floor <= self.splits[other].watermark, "the floor of {id} is beyond {other}, which is not idle");
        }
        let split = self.splits.get_mut(&id).unwrap();
        if !split.ended && split.silent_since == Some(since_us) {
            assert!(floor > split.watermark, "a floor rises");
            split.watermark = floor;
        }
    }
}
