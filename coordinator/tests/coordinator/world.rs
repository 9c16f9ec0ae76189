//! A stream as the coordinator sees it. Splits and partitions carry out actions when told to, and what they report travels in a queue
//! per sender, so the coordinator may hear of it much later. Every action is checked against what has truly happened.

use raympp_coordinator::{Action, Coordinator, Fact, Silence};
use raympp_types::{Epoch, EventTime, PartitionId, PlanVersion, SplitId, StreamId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub(crate) const STREAM: StreamId = StreamId(4);
pub(crate) const INTERVAL_US: u64 = 1_000;

/// One thing that happens. Indexes are taken modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// So many microseconds pass.
    Time(u64),
    /// A split asks to join.
    Join,
    /// The set of metrics changes.
    Plan,
    /// A split reads rows up to this much more event time.
    Rows(usize, i64),
    /// A split marks the next barrier it was told of.
    Mark(usize),
    /// A split ends.
    End(usize),
    /// A split has been silent for long enough.
    Silence(usize),
    /// A partition acknowledges what it has seen.
    Ack(usize),
    /// The coordinator hears the next report of a split.
    HearSplit(usize),
    /// The coordinator hears the next report of a partition.
    HearPartition(usize),
}

/// A split that is being read.
struct Split {
    watermark: EventTime,
    /// Barriers it was told of and has not marked: number, plan.
    told: VecDeque<(Epoch, PlanVersion)>,
    silent_since: Option<u64>,
    ended: bool,
    reports: VecDeque<Fact>,
}

/// What the world knows of one barrier.
struct Barrier {
    splits: Arc<[SplitId]>,
    plan: PlanVersion,
    /// Lowest watermark at which a split marked it.
    lowest: EventTime,
    marked: bool,
}

/// See the module.
pub(crate) struct World {
    coordinator: Coordinator,
    now_us: u64,
    splits: BTreeMap<SplitId, Split>,
    /// By split that some barrier lists or that was there from the start: last barrier in its chain, and whether it has ended.
    chains: BTreeMap<SplitId, (Epoch, bool)>,
    wants_to_join: BTreeSet<SplitId>,
    next_split: u32,
    plan: PlanVersion,
    in_force: PlanVersion,
    barriers: BTreeMap<Epoch, Barrier>,
    partitions: Vec<(Epoch, VecDeque<Fact>)>,
    acks_heard: Vec<Epoch>,
    idle_heard: BTreeMap<SplitId, u64>,
    ends_heard: BTreeSet<SplitId>,
    pub(crate) commits: Vec<Epoch>,
    /// What the coordinator was asked for and gets with the next report.
    looks: usize,
}

impl World {
    pub(crate) fn new(splits: u32, partitions: u32) -> World {
        let mut world = World {
            coordinator: Coordinator::new(INTERVAL_US),
            now_us: 0,
            splits: BTreeMap::new(),
            chains: BTreeMap::new(),
            wants_to_join: BTreeSet::new(),
            next_split: splits,
            plan: PlanVersion(1),
            in_force: PlanVersion(1),
            barriers: BTreeMap::new(),
            partitions: (0..partitions).map(|_| (Epoch(0), VecDeque::new())).collect(),
            acks_heard: vec![Epoch(0); partitions as usize],
            idle_heard: BTreeMap::new(),
            ends_heard: BTreeSet::new(),
            commits: Vec::new(),
            looks: 0,
        };
        let ids: Vec<SplitId> = (0..splits).map(SplitId).collect();
        for &id in &ids {
            world.add_split(id, EventTime::MIN);
            world.chains.insert(id, (Epoch(0), false));
        }
        world.tell(Fact::StreamStarts { stream: STREAM, splits: ids, partitions, plan: PlanVersion(1) });
        world
    }

    fn add_split(&mut self, id: SplitId, watermark: EventTime) {
        let split = Split { watermark, told: VecDeque::new(), silent_since: None, ended: false, reports: VecDeque::new() };
        self.splits.insert(id, split);
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match *step {
            Step::Time(us) => self.pass(us),
            Step::Join => self.join(),
            Step::Plan => self.change_plan(),
            Step::Rows(index, us) => self.read(index, us),
            Step::Mark(index) => self.mark(index),
            Step::End(index) => self.end(index),
            Step::Silence(index) => self.fall_silent(index),
            Step::Ack(index) => self.ack(index),
            Step::HearSplit(index) => {
                if let Some(id) = nth(self.splits.keys(), index)
                    && let Some(fact) = self.splits.get_mut(&id).and_then(|split| split.reports.pop_front())
                {
                    self.tell(fact);
                }
            }
            Step::HearPartition(index) => {
                let index = index % self.partitions.len();
                if let Some(fact) = self.partitions[index].1.pop_front() {
                    self.tell(fact);
                }
            }
        }
    }

    fn pass(&mut self, us: u64) {
        self.now_us += us;
        self.tell(Fact::Tick(self.now_us));
    }

    fn join(&mut self) {
        let id = SplitId(self.next_split);
        self.next_split += 1;
        self.wants_to_join.insert(id);
        self.tell(Fact::SplitJoins(STREAM, id));
    }

    fn change_plan(&mut self) {
        self.plan = self.plan.next();
        self.tell(Fact::PlanChanges(STREAM, self.plan));
    }

    /// A split that has not ended.
    fn live(&mut self, index: usize) -> Option<(SplitId, &mut Split)> {
        let id = nth(self.splits.iter().filter(|(_, split)| !split.ended).map(|(id, _)| id), index)?;
        Some((id, self.splits.get_mut(&id)?))
    }

    fn read(&mut self, index: usize, us: i64) {
        let Some((id, split)) = self.live(index) else { return };
        if split.silent_since.take().is_some() {
            split.reports.push_back(Fact::SplitActive(STREAM, id));
        }
        split.watermark = EventTime(split.watermark.0.max(0) + us);
    }

    fn mark(&mut self, index: usize) {
        let Some((id, split)) = self.live(index) else { return };
        let Some((epoch, _)) = split.told.pop_front() else { return };
        let watermark = split.watermark;
        split.reports.push_back(Fact::Placed(STREAM, epoch, id, watermark));
        self.show(id, epoch);
        let barrier = self.barriers.get_mut(&epoch).unwrap();
        barrier.lowest = barrier.lowest.min(watermark);
    }

    /// A chain has the barrier: whoever sees it knows of the splits it lists.
    fn show(&mut self, split: SplitId, epoch: Epoch) {
        let barrier = self.barriers.get_mut(&epoch).unwrap();
        barrier.marked = true;
        for &listed in barrier.splits.iter() {
            self.chains.entry(listed).or_insert((Epoch(0), false));
        }
        self.chains.insert(split, (epoch, false));
    }

    fn end(&mut self, index: usize) {
        let Some((id, split)) = self.live(index) else { return };
        split.ended = true;
        split.told.clear();
        split.reports.push_back(Fact::SplitEnded(STREAM, id));
        self.chains.get_mut(&id).unwrap().1 = true;
    }

    fn fall_silent(&mut self, index: usize) {
        // No two silences of a split begin at the same time, since each lasts a while.
        self.now_us += 1;
        let now_us = self.now_us;
        let Some((id, split)) = self.live(index) else { return };
        if split.silent_since.is_none() {
            split.silent_since = Some(now_us);
            let silence = Silence { since_us: now_us, at_us: now_us, watermark: split.watermark };
            split.reports.push_back(Fact::SplitIdle(STREAM, id, silence));
        }
    }

    fn ack(&mut self, index: usize) {
        let index = index % self.partitions.len();
        let held_back = self.chains.values().filter(|(_, ended)| !ended).map(|(epoch, _)| *epoch).min();
        let passed = held_back.or_else(|| self.chains.values().map(|(epoch, _)| *epoch).max());
        let (acked, reports) = &mut self.partitions[index];
        if let Some(passed) = passed.filter(|passed| passed > acked) {
            *acked = passed;
            reports.push_back(Fact::Acked(STREAM, passed, PartitionId(index as u32)));
        }
    }

    fn tell(&mut self, fact: Fact) {
        match &fact {
            Fact::SplitIdle(_, split, silence) => {
                self.idle_heard.insert(*split, silence.since_us);
            }
            Fact::SplitActive(_, split) => {
                self.idle_heard.remove(split);
            }
            Fact::SplitEnded(_, split) => {
                self.idle_heard.remove(split);
                self.ends_heard.insert(*split);
            }
            Fact::Acked(_, epoch, partition) => self.acks_heard[partition.0 as usize] = *epoch,
            _ => {}
        }
        for action in self.coordinator.learn(fact) {
            self.carry_out(action);
        }
        while self.looks > 0 {
            self.looks -= 1;
            let shown = self.splits.iter().map(|(&id, split)| (id, split.watermark)).collect();
            self.tell(Fact::Watermarks(STREAM, shown));
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Barrier { stream, epoch, splits, plan } => {
                assert_eq!(stream, STREAM);
                self.start(epoch, splits, plan);
            }
            Action::Open { split, epoch, splits, plan, floor, .. } => self.open(split, epoch, &splits, plan, floor),
            Action::Refuse { split, .. } => {
                assert!(self.wants_to_join.remove(&split), "{split} is answered once");
                assert!(self.live_as_heard().is_empty(), "{split} is refused although the stream goes on");
            }
            Action::InForce { plan, carried, .. } => self.come_into_force(plan, carried),
            Action::Look(_) => self.looks += 1,
            Action::Floor { split, since_us, floor, .. } => self.raise(split, since_us, floor),
            Action::Commit { epoch, frontier, .. } => self.commit(epoch, frontier),
        }
    }

    /// A plan comes into force once, when a chain has its barrier, or when there are no chains.
    fn come_into_force(&mut self, plan: PlanVersion, carried: bool) {
        assert!(plan > self.in_force && plan <= self.plan, "{plan} after {}", self.in_force);
        self.in_force = plan;
        let marked = self.barriers.values().any(|barrier| barrier.marked && barrier.plan == plan);
        assert!(marked || !carried, "no chain carries {plan}");
        assert!(carried || marked || self.live_as_heard().is_empty(), "chains could carry {plan}");
    }

    /// Splits that are being read and have not ended, as far as the coordinator has heard.
    fn live_as_heard(&self) -> BTreeSet<SplitId> {
        self.splits.keys().filter(|id| !self.ends_heard.contains(id)).copied().collect()
    }

    /// One barrier at a time, in order, for all live splits and those that want to join, under the newest plan.
    fn start(&mut self, epoch: Epoch, splits: Arc<[SplitId]>, plan: PlanVersion) {
        if let Some((&last, barrier)) = self.barriers.last_key_value() {
            assert!(epoch > last, "{epoch} after {last}");
            let passed = |id: &SplitId| self.splits.get(id).is_some_and(|split| split.ended || split.told.is_empty());
            assert!(barrier.splits.iter().all(passed), "{epoch} starts before {last} is placed");
        }
        let expected: BTreeSet<SplitId> = self.live_as_heard().into_iter().chain(self.wants_to_join.iter().copied()).collect();
        assert_eq!(splits.iter().copied().collect::<BTreeSet<_>>(), expected, "the list of {epoch}");
        assert_eq!(splits.len(), expected.len(), "each once");
        assert_eq!(plan, self.plan, "the plan of {epoch}");
        self.barriers.insert(epoch, Barrier { splits, plan, lowest: EventTime::MAX, marked: false });
        for split in self.splits.values_mut().filter(|split| !split.ended) {
            split.told.push_back((epoch, plan));
        }
    }

    /// A split that joins is opened once, at a barrier that lists it, under the frontier there.
    fn open(&mut self, split: SplitId, epoch: Epoch, splits: &Arc<[SplitId]>, plan: PlanVersion, floor: EventTime) {
        assert!(self.wants_to_join.remove(&split), "{split} is opened once");
        if self.live_as_heard().is_empty() && !self.barriers.contains_key(&epoch) {
            // Without live splits nobody else is told of the barrier.
            let joining: BTreeSet<SplitId> = self.wants_to_join.iter().copied().chain([split]).collect();
            assert!(splits.iter().all(|id| joining.contains(id)));
            self.barriers.insert(epoch, Barrier { splits: Arc::clone(splits), plan, lowest: EventTime::MAX, marked: false });
        }
        let barrier = &self.barriers[&epoch];
        assert_eq!((&barrier.splits, barrier.plan), (splits, plan));
        assert!(splits.contains(&split));
        self.check_frontier(epoch, floor);
        self.add_split(split, floor);
        self.show(split, epoch);
    }

    /// F(n) is the lowest watermark at barrier n of the splits that have marked it, and never falls.
    fn check_frontier(&self, epoch: Epoch, frontier: EventTime) {
        let lowest = self.barriers.range(..=epoch).map(|(_, barrier)| barrier.lowest).filter(|&lowest| lowest < EventTime::MAX);
        assert_eq!(frontier, lowest.max().unwrap_or(EventTime::MIN), "the frontier at {epoch}");
    }

    /// Floors are for idle splits only, and never above a split that is not idle.
    fn raise(&mut self, id: SplitId, since_us: u64, floor: EventTime) {
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

    /// Epochs are committed in order, when every split has passed the barrier and every partition has said so.
    fn commit(&mut self, epoch: Epoch, frontier: EventTime) {
        assert!(self.commits.last().is_none_or(|last| epoch > *last), "{epoch} after {:?}", self.commits.last());
        let skipped = self.barriers.range(..epoch).filter(|(n, barrier)| barrier.marked && !self.commits.contains(n));
        assert_eq!(skipped.count(), 0, "epochs before {epoch} that some chain has");
        assert!(self.acks_heard.iter().all(|acked| *acked >= epoch), "{epoch} without all acks: {:?}", self.acks_heard);
        let passed = |id: &SplitId| self.chains[id].1 || self.chains[id].0 >= epoch;
        assert!(self.barriers[&epoch].splits.iter().all(passed), "{epoch} without all splits");
        self.check_frontier(epoch, frontier);
        self.commits.push(epoch);
    }

    /// Lets everything that is under way arrive.
    pub(crate) fn settle(&mut self) {
        for _ in 0..4 {
            self.pass(INTERVAL_US);
            for _ in 0..=self.barriers.len() + self.splits.len() {
                for index in 0..self.splits.len() {
                    self.mark(index);
                    self.take(&Step::HearSplit(index));
                }
            }
            while self.splits.values().any(|split| !split.reports.is_empty()) {
                (0..self.splits.len()).for_each(|index| self.take(&Step::HearSplit(index)));
            }
            for index in 0..self.partitions.len() {
                self.ack(index);
                while !self.partitions[index].1.is_empty() {
                    self.take(&Step::HearPartition(index));
                }
            }
        }
    }

    /// What must hold once everything has arrived.
    pub(crate) fn check_settled(&self) {
        assert_eq!(self.wants_to_join, BTreeSet::new(), "splits that wait to join");
        let marked: Vec<Epoch> = self.barriers.iter().filter(|(_, barrier)| barrier.marked).map(|(&epoch, _)| epoch).collect();
        assert_eq!(self.commits, marked, "what some chain has is committed, and nothing else");
        assert_eq!(self.in_force, self.plan, "the newest plan is in force");
    }
}

/// The element at `index`, counted round and round.
fn nth<'a, T: Copy + 'a>(elements: impl Iterator<Item = &'a T> + Clone, index: usize) -> Option<T> {
    let count = elements.clone().count();
    if count == 0 { None } else { elements.copied().nth(index % count) }
}
