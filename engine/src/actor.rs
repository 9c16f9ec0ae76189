//! A partition actor: one replica on one core, with what it owes to consumers and to the coordinator.
//!
//! An actor never waits. Results that a consumer has no room for stay here, the stream is marked *held* so that its tasks stop reading,
//! and nothing more is closed until they are gone. Deltas are always taken, so queues between cores always drain.
//!
//! A standby applies what the primary applies and closes what consumers have from it ([`standby`]); so it can take its place at any time.

mod standby;

use crate::changelog::{Change, Changelog};
use crate::consumer::{Changes, Consumer, Item, Wants};
use crate::plant::Place;
use crate::stream::{PartitionCounters, Stream};
use raympp_coordinator::Fact;
use raympp_state::delta::Delta;
use raympp_state::replica::{Applied, ExportedGroup, LateRows, PassedBarrier, Replica, Want};
use raympp_state::result::ResultDelta;
use raympp_types::{Epoch, EventTime, MetricId, PartitionId, ReplicaId, Term};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Closing steps of one actor in one round, if it is not behind.
const ROUND_CLOSINGS: u64 = 4;
/// An actor that is behind by so many rows closes at double speed, by twice as many at triple speed, and so on.
const CLOSING_LAG_ROWS: u64 = 1 << 17;
/// Time between two looks at the sizes of a replica.
const SIZES_EVERY_US: u64 = 1_000_000;

/// What a replica held when its engine was shut down, in canonical form: equal for replicas of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaExport {
    /// Of which stream.
    pub stream: String,
    /// Of which partition.
    pub partition: PartitionId,
    /// True for the replica that emits results.
    pub primary: bool,
    /// Groups that have not closed, sorted.
    pub groups: Vec<ExportedGroup>,
}

/// One replica of one partition.
pub(crate) struct Actor {
    pub(crate) stream: Arc<Stream>,
    pub(crate) partition: PartitionId,
    pub(crate) id: ReplicaId,
    /// Which of the partition's places it fills.
    pub(crate) slot: usize,
    pub(crate) primary: bool,
    /// What it sends under, if it is the primary.
    term: Term,
    replica: Replica,
    owed: VecDeque<(Arc<Consumer>, Item)>,
    holds_stream: bool,
    /// Barriers that every split has passed, whose windows have not all been handed over.
    sealing: VecDeque<PassedBarrier>,
    /// The last one whose windows have been put before everything that is owed.
    sealed: Epoch,
    /// Late rows that consumers may not have from the primary.
    late: VecDeque<LateRows>,
    /// Rows applied, by store.
    rows_by_store: BTreeMap<usize, u64>,
    /// Copies that are to be made of it when it has handed over all that has closed.
    copies: Vec<(ReplicaId, usize)>,
    /// Changes handed out under its term.
    changes: u64,
    /// Everything that the frontier closes has been closed and handed over.
    at_rest: bool,
    complete: bool,
    /// Consumers up to this number know that everything has closed.
    told_complete: u64,
    changelogs: Vec<Changelog>,
    /// Sizes, which take a walk through all pages, are looked at from this time on.
    sizes_due_us: u64,
    /// Rows of deltas applied since everything was closed that the frontier allows.
    rows_behind: u64,
}

impl Actor {
    /// The replica that fills a place of a partition; the first place's is the first primary.
    pub(crate) fn new(stream: Arc<Stream>, partition: PartitionId, id: ReplicaId, slot: usize, primary: bool, replica: Replica) -> Actor {
        stream.set_view(partition, slot, primary, Arc::clone(replica.view()));
        Actor {
            stream,
            partition,
            id,
            slot,
            primary,
            term: Term(1),
            replica,
            owed: VecDeque::new(),
            holds_stream: false,
            sealing: VecDeque::new(),
            sealed: Epoch(0),
            late: VecDeque::new(),
            rows_by_store: BTreeMap::new(),
            copies: Vec::new(),
            changes: 0,
            at_rest: false,
            complete: false,
            told_complete: 0,
            changelogs: Vec::new(),
            sizes_due_us: 0,
            rows_behind: 0,
        }
    }

    /// Applies a delta; returns what the coordinator should know.
    pub(crate) fn apply(&mut self, delta: &Arc<Delta>, now_us: u64) -> Vec<Fact> {
        let stamp = &delta.stamp;
        self.at_rest = false;
        self.stream.host.plant.visit(|| Place::Apply { partition: self.partition, replica: self.id, split: stamp.split, to: stamp.to });
        let is_fenced = self.replica.is_fenced(stamp);
        for plan in stamp.plans() {
            if plan > self.replica.plan_version() && !is_fenced {
                self.replica.adopt(self.stream.plan_of(plan));
            }
        }
        if self.primary {
            self.watch_changes(false);
        }
        match self.replica.apply(delta) {
            Applied::Yes => self.count_rows(delta),
            // What a new reader sends again, and what its predecessor had still sent.
            Applied::Duplicate | Applied::Fenced => {}
            outcome => tracing::warn!(partition = %self.partition, split = %delta.stamp.split, ?outcome, "delta not applied"),
        }
        self.stream.host.plant.visit(|| Place::Applied { partition: self.partition, replica: self.id, split: stamp.split, to: stamp.to });
        // Before writers learn that their rows are applied: a look-up that comes then is as fresh as they are.
        self.replica.view().publish_as_of(now_us);
        self.note_applied(stamp.split);
        self.late.extend(self.replica.take_late_rows());
        self.rows_behind += delta.stamp.to.0 - delta.stamp.from.0;
        if !self.primary {
            self.forget_late();
            return self.take_passed();
        }
        self.publish_late();
        self.publish_counters();
        if now_us >= self.sizes_due_us {
            self.sizes_due_us = now_us + SIZES_EVERY_US;
            self.publish_sizes();
        }
        for i in 0..self.changelogs.len() {
            self.changelogs[i].touch(&mut self.replica);
        }
        self.take_passed()
    }

    /// No chain carries this barrier, since all splits have ended; returns what the coordinator should know.
    pub(crate) fn take_seal(&mut self, epoch: Epoch) -> Vec<Fact> {
        self.replica.seal(epoch);
        self.take_passed()
    }

    /// Counts the rows that a delta has brought, by store.
    fn count_rows(&mut self, delta: &Delta) {
        for entries in delta.part(self.partition).iter().flat_map(|part| &part.entries) {
            *self.rows_by_store.entry(entries.store).or_default() += entries.rows.iter().sum::<u64>();
        }
    }

    /// Barriers that every split has passed since the last call: consumers will be told when the epoch's windows have been handed over. Where
    /// there are checkpoints, the persister acks what it has written.
    fn take_passed(&mut self) -> Vec<Fact> {
        let mut acks = Vec::new();
        while let Some(passed) = self.replica.take_passed_barrier() {
            acks.extend(self.ack(&passed));
            self.sealing.push_back(passed);
            self.forget_marks();
        }
        acks
    }

    fn publish_late(&mut self) {
        for late in self.late.drain(..) {
            for consumer in self.stream.consumers.all().iter().filter(|consumer| consumer.wants == Wants::Late) {
                self.owed.push_back((Arc::clone(consumer), Item::Late(late.clone())));
            }
        }
    }

    fn publish_counters(&self) {
        let counters = self.replica.counters();
        let to = self.counters();
        to.deltas.store(counters.deltas, Ordering::Relaxed);
        to.windows_closed.store(counters.windows_closed, Ordering::Relaxed);
        to.overflowed.store(counters.overflowed, Ordering::Relaxed);
        to.rows_below_frontier.store(counters.rows_below_frontier, Ordering::Relaxed);
        to.violations.store(counters.violations, Ordering::Relaxed);
        to.late.store(counters.late, Ordering::Relaxed);
        to.bad.store(counters.bad, Ordering::Relaxed);
        to.rows.store(self.rows_by_store.values().sum(), Ordering::Relaxed);
        if !self.replica.bad_by_store().is_empty() || !self.rows_by_store.is_empty() {
            let mut by_store = to.by_store.lock();
            self.rows_by_store.iter().for_each(|(&store, &rows)| by_store.entry(store).or_default().rows = rows);
            self.replica.bad_by_store().iter().for_each(|(&store, &bad)| by_store.entry(store).or_default().bad = bad);
        }
    }

    fn counters(&self) -> &PartitionCounters {
        &self.stream.partitions[self.partition.0 as usize]
    }

    fn publish_sizes(&self) {
        let to = self.counters();
        let (keys, slices, bytes) = self.replica.size();
        to.keys.store(keys as u64, Ordering::Relaxed);
        to.slices.store(slices as u64, Ordering::Relaxed);
        to.bytes.store(bytes as u64, Ordering::Relaxed);
        let mut by_store = to.by_store.lock();
        for store in 0..self.replica.plan().stores.len() {
            let (keys, slices, bytes) = self.replica.store_size(store).unwrap_or_default();
            let counters = by_store.entry(store).or_default();
            (counters.keys, counters.slices, counters.bytes) = (keys as u64, slices as u64, bytes as u64);
        }
    }

    /// How many steps of [`Actor::step`] it wants in this round. More the further it is behind: closing a big window takes turns with
    /// rows, but rows can't run away from closing for ever.
    pub(crate) fn steps_wanted(&self) -> u64 {
        ROUND_CLOSINGS * (1 + self.rows_behind / CLOSING_LAG_ROWS)
    }

    /// Hands over what is owed and closes a little more. True if there was something to do that went forward.
    pub(crate) fn step(&mut self, now_us: u64) -> bool {
        let handed = self.hand_over();
        if !self.owed.is_empty() {
            return handed;
        }
        self.stream.host.plant.visit(|| Place::Step { partition: self.partition, replica: self.id });
        if !self.primary {
            self.follow_primary();
        }
        let changed = self.primary && self.step_changelogs(now_us);
        let mut results = Vec::new();
        let consumers = self.stream.consumers.all();
        let primary = self.primary;
        let wanted = |metric: MetricId| {
            let mut readers = consumers.iter().filter(|consumer| consumer.wants.metric() == Some(metric)).peekable();
            match readers.peek().is_some() && primary {
                false => Want::Nothing,
                true if readers.any(|consumer| consumer.wants.with_keys()) => Want::RowsWithKeys,
                true => Want::Rows,
            }
        };
        let closed = self.replica.close_step(wanted, &mut results);
        self.keep_let_go();
        if !closed {
            self.rows_behind = 0;
        }
        for result in results {
            self.deliver(&consumers, result);
        }
        if closed && self.primary {
            self.publish_counters();
        }
        if !closed && !changed && self.primary {
            self.seal(&consumers);
        }
        if !closed && self.primary && self.owed.is_empty() {
            self.publish_closed();
        }
        if !closed && !changed && self.replica.closing_frontier() == EventTime::MAX && !self.complete {
            self.finish();
            self.seal(&consumers);
        }
        if self.complete && self.primary {
            self.tell_complete(&consumers);
        }
        self.at_rest = !closed && self.owed.is_empty();
        handed | changed | closed | !self.owed.is_empty()
    }

    /// Tells consumers of epochs that are whole: all that their frontiers close has been put before this. The one that takes in the rest of the
    /// stream waits for the last changes.
    fn seal(&mut self, consumers: &[Arc<Consumer>]) {
        if !self.primary {
            return;
        }
        let complete = self.complete;
        let may_seal = |passed: &&PassedBarrier| passed.frontier < EventTime::MAX || complete;
        while let Some(&PassedBarrier { epoch, frontier, .. }) = self.sealing.front().filter(may_seal) {
            self.owe_changelogs(|changelog, replica, epoch_of| changelog.changes_before(replica, frontier, epoch_of));
            self.sealing.pop_front();
            self.sealed = epoch;
            for consumer in consumers.iter().filter(|consumer| consumer.by_epochs) {
                self.owed.push_back((Arc::clone(consumer), Item::Sealed(self.partition, epoch, frontier)));
            }
        }
    }

    /// Says up to where all windows have been handed over. Whoever sees it finds them in its queue.
    fn publish_closed(&self) {
        let (counters, frontier) = (self.counters(), self.replica.closing_frontier().0);
        if counters.closed_us.load(Ordering::Relaxed) != frontier {
            counters.closed_us.store(frontier, Ordering::SeqCst);
        }
        if self.stream.host.replicas > 1 {
            self.publish_handed();
        }
    }

    /// Gives changelogs what closing has forgotten.
    fn keep_let_go(&mut self) {
        for (store, let_go) in self.replica.take_let_go() {
            self.changelogs.iter_mut().for_each(|changelog| changelog.keep(store, &let_go));
        }
    }

    fn deliver(&mut self, consumers: &[Arc<Consumer>], result: ResultDelta) {
        self.owe_changelogs(|changelog, replica, epoch_of| match changelog.metric() == result.metric {
            true => changelog.close(replica, &result, epoch_of),
            false => Vec::new(),
        });
        let result = Arc::new(result);
        let counted = self.counters().by_metric.lock().entry(result.metric).or_default().take(&result);
        self.stream.results.fetch_add(counted, Ordering::Relaxed);
        for consumer in consumers.iter().filter(|consumer| consumer.wants.closed_windows_of(result.metric)) {
            self.owed.push_back((Arc::clone(consumer), Item::Closed(Arc::clone(&result))));
        }
    }

    /// Makes a changelog for each consumer that wants one; `after`: one that goes on for another primary.
    fn watch_changes(&mut self, after: bool) {
        let consumers = self.stream.consumers.all();
        for consumer in consumers.iter() {
            if let Wants::Changes(metric, every_us) = consumer.wants
                && !self.changelogs.iter().any(|changelog| changelog.consumer_id() == consumer.id)
                && let Some(metric) = self.stream.metric(metric)
            {
                self.changelogs.push(Changelog::begin(metric, every_us, Arc::clone(consumer), &mut self.replica, after));
            }
        }
        let is_wanted = |changelog: &Changelog| {
            consumers.iter().any(|consumer| consumer.id == changelog.consumer_id()) && self.stream.metric(changelog.metric()).is_some()
        };
        self.changelogs.retain(is_wanted);
    }

    fn step_changelogs(&mut self, now_us: u64) -> bool {
        self.owe_changelogs(|changelog, replica, epoch_of| changelog.changes(replica, now_us, epoch_of))
    }

    /// Owes consumers what their changelogs have to say; true if that is anything.
    fn owe_changelogs(&mut self, say: impl Fn(&mut Changelog, &Replica, &dyn Fn(EventTime) -> Epoch) -> Vec<Change>) -> bool {
        let (partition, term, before) = (self.partition, self.term, self.changes);
        let (replica, sealing) = (&self.replica, &self.sealing);
        for changelog in &mut self.changelogs {
            for Change { epoch, rows, turned } in say(changelog, replica, &|end| epoch_of_window(replica, sealing, end)) {
                self.changes += 1;
                let changes = Changes { partition, term, number: self.changes, epoch, rows, turned };
                self.owed.push_back((Arc::clone(changelog.consumer()), Item::Changes(changes)));
            }
        }
        self.changes > before
    }

    /// Everything has closed.
    fn finish(&mut self) {
        self.complete = true;
        if !self.primary {
            return;
        }
        self.owe_changelogs(|changelog, replica, epoch_of| changelog.finish(replica, epoch_of));
        self.tell_complete(&self.stream.consumers.all());
        self.publish_counters();
        self.publish_sizes();
        self.hand_over();
        if !self.counters().complete.swap(true, Ordering::AcqRel) {
            self.stream.complete.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Tells the consumers that do not know yet; some come when all is over.
    fn tell_complete(&mut self, consumers: &[Arc<Consumer>]) {
        for consumer in consumers.iter().filter(|consumer| consumer.id > self.told_complete) {
            self.owed.push_back((Arc::clone(consumer), Item::Complete(self.partition)));
        }
        self.told_complete = consumers.iter().map(|consumer| consumer.id).max().unwrap_or(0).max(self.told_complete);
    }

    /// What its replica holds above its frontier.
    pub(crate) fn export(&self) -> ReplicaExport {
        ReplicaExport {
            stream: self.stream.name(),
            partition: self.partition,
            primary: self.primary,
            groups: self.replica.export(self.replica.frontier()),
        }
    }

    fn hand_over(&mut self) -> bool {
        let before = self.owed.len();
        while let Some((consumer, item)) = self.owed.pop_front() {
            if let Err(item) = consumer.hand_over(item) {
                self.owed.push_front((consumer, item));
                break;
            }
        }
        self.hold_stream(!self.owed.is_empty());
        self.owed.len() < before
    }

    fn hold_stream(&mut self, hold: bool) {
        if hold != self.holds_stream {
            self.holds_stream = hold;
            if hold {
                self.stream.held.fetch_add(1, Ordering::AcqRel);
            } else if self.stream.held.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.stream.host.wake();
            }
        }
    }

    /// Takes over a plan where no chain can bring it: the stream has no live split.
    pub(crate) fn adopt(&mut self, plan: &Arc<raympp_operators::sharing::SharedPlan>) {
        self.replica.adopt(Arc::clone(plan));
    }

    /// When it wants to be stepped although nothing arrives.
    pub(crate) fn due_us(&self) -> Option<u64> {
        self.changelogs.iter().filter_map(Changelog::due_us).min()
    }

    /// True if something is owed to a consumer that has room for it. One that has none will wake the cores when it has.
    pub(crate) fn can_hand_over(&self) -> bool {
        self.owed.front().is_some_and(|(consumer, _)| consumer.queue.ask_room())
    }

    /// True if nothing is left to hand over.
    pub(crate) fn is_settled(&self) -> bool {
        self.owed.is_empty()
    }
}

/// The first epoch that takes in a window that ends at this time, of those that every split has passed and of those to come. A window is shown
/// and closed under rising epochs, since a barrier that every split has passed stays in `sealing` until the window has closed.
fn epoch_of_window(replica: &Replica, sealing: &VecDeque<PassedBarrier>, end: EventTime) -> Epoch {
    let sealed = sealing.iter().find(|passed| end <= passed.frontier).map(|passed| passed.epoch);
    sealed.unwrap_or_else(|| replica.epoch_of_window(end))
}
