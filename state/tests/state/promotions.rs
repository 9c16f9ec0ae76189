//! Primaries are lost, standbys take over, copies of them fill the empty places: receivers get each window once and whole, and each late row once.

use super::{Copy, Harness};
use arrow::array::RecordBatch;
use raympp_state::receipts::{LateReceipts, WindowReceipts};
use raympp_state::replica::{LateRows, Want};
use raympp_state::result::ResultDelta;
use raympp_testkit::random::Random;
use raympp_testkit::reference::{Reference, SplitRows};
use raympp_testkit::rows::{difference, rows_sorted};
use raympp_types::{EventTime, SplitId, Term};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is outside of a partition's replicas: whoever receives results, and what is known of it.
#[derive(Default)]
pub(crate) struct Receiver {
    windows: WindowReceipts,
    late: LateReceipts,
    rows: Vec<Arc<ResultDelta>>,
    late_rows: Vec<RecordBatch>,
    /// The receiver has everything of windows that end up to here.
    handed: Option<EventTime>,
    /// The receiver has all late rows of the split up to here.
    late_handed: BTreeMap<SplitId, u64>,
    term: u64,
}

impl Receiver {
    fn take(&mut self, piece: ResultDelta) {
        let whole = self.windows.take(&Arc::new(piece));
        self.rows.extend(whole);
    }

    fn take_late(&mut self, late: &LateRows) {
        self.late_rows.extend(self.late.take(late.clone()));
        let handed = self.late_handed.entry(late.split).or_default();
        *handed = late.to.0.max(*handed);
    }
}

impl Copy {
    /// Another that has what this one has, and gets what this one will.
    fn copied(&self) -> Copy {
        Copy {
            replica: self.replica.copy(),
            inbox: self.inbox.clone(),
            results: Vec::new(),
            late_rows: Vec::new(),
            lists: None,
            saved: Vec::new(),
            passed: self.passed.clone(),
        }
    }
}

impl Harness {
    /// Runs to the end with two replicas of each partition, the first of them the primary, which is lost now and then.
    pub(crate) fn run_with_promotions(&mut self, random: &mut Random, most: u64) {
        assert_eq!(self.run.replicas, 2, "a primary and a standby");
        let mut receivers: Vec<Receiver> = self.copies.iter().map(|_| Receiver::default()).collect();
        self.copies.iter_mut().for_each(|copies| copies[1].replica.close_up_to(EventTime::MIN));
        let mut lost = 0;
        while !self.step(random) {
            let partition = random.index(self.copies.len());
            self.hand_over(partition, &mut receivers[partition], random);
            if lost < most && random.once_in(60) {
                lost += 1;
                self.promote(partition, &mut receivers[partition], random);
            }
        }
        for (partition, receiver) in receivers.iter_mut().enumerate() {
            self.finish(partition, receiver);
        }
        self.check_received(&receivers);
    }

    /// The receiver takes some of what the primary has for it; the standby hears how far it has got everything.
    fn hand_over(&mut self, partition: usize, receiver: &mut Receiver, random: &mut Random) {
        let [primary, standby] = &mut self.copies[partition][..] else { unreachable!("two replicas") };
        for _ in 0..random.index(4) {
            if !primary.results.is_empty() {
                receiver.take(primary.results.remove(0));
            }
            if !primary.late_rows.is_empty() {
                receiver.take_late(&primary.late_rows.remove(0));
            }
        }
        if primary.results.is_empty() && !primary.replica.close_step(|_| Want::RowsWithKeys, &mut primary.results) {
            receiver.handed = Some(primary.replica.closing_frontier());
        }
        standby.replica.close_up_to(receiver.handed.unwrap_or(EventTime::MIN));
        standby.results.clear();
        standby.late_rows.retain(|late| late.to.0 > receiver.late_handed.get(&late.split).copied().unwrap_or(0));
    }

    /// Loses the primary with all that it has not handed over. The standby takes its place, and is copied when it is at rest.
    fn promote(&mut self, partition: usize, receiver: &mut Receiver, random: &mut Random) {
        let plans = &self.plans;
        let copies = &mut self.copies[partition];
        copies.remove(0);
        let primary = &mut copies[0];
        receiver.term += 1;
        primary.replica.set_term(Term(1 + receiver.term));
        primary.replica.close_up_to(EventTime::MAX);
        primary.results.clear();
        for _ in 0..random.index(3) {
            let split = random.index(primary.inbox.len());
            primary.deliver(split, plans);
        }
        while primary.replica.close_step(|_| Want::RowsWithKeys, &mut primary.results) {}
        primary.results.drain(..).for_each(|piece| receiver.take(piece));
        primary.late_rows.drain(..).for_each(|late| receiver.take_late(&late));
        receiver.handed = Some(primary.replica.closing_frontier());
        let copy = primary.copied();
        assert_eq!(copy.replica.export(EventTime::MIN), copies[0].replica.export(EventTime::MIN), "a copy holds the same");
        copies.push(copy);
    }

    fn finish(&mut self, partition: usize, receiver: &mut Receiver) {
        let [primary, standby] = &mut self.copies[partition][..] else { unreachable!("two replicas") };
        while primary.replica.close_step(|_| Want::RowsWithKeys, &mut primary.results) {}
        primary.results.drain(..).for_each(|piece| receiver.take(piece));
        primary.late_rows.drain(..).for_each(|late| receiver.take_late(&late));
        standby.replica.close_up_to(EventTime::MAX);
        while standby.replica.close_step(|_| Want::Nothing, &mut Vec::new()) {}
    }

    /// Windows of all metrics that close.
    fn windows(&self, reference: &Reference) -> u64 {
        let closes = |position: &usize| self.metrics[*position].plan.window.has_bounds();
        (0..self.metrics.len()).filter(closes).map(|position| reference.windows(position).windows.len() as u64).sum()
    }

    fn check_received(&self, receivers: &[Receiver]) {
        let splits: Vec<SplitRows> = self.feeders.iter().map(|feeder| feeder.rows.clone()).collect();
        let reference = Reference::new(&self.script.stream, &self.reference_metrics(), &splits);
        for (position, metric) in self.metrics.iter().enumerate() {
            let received = receivers.iter().flat_map(|receiver| &receiver.rows).filter(|piece| piece.metric == metric.id);
            let found = rows_sorted(received.map(|piece| &piece.batch));
            assert_eq!(difference(&reference.closed_rows(position), &found), None, "closed windows of {}", metric.plan.name);
        }
        let mut late: Vec<String> = (0..self.feeders.len()).flat_map(|split| reference.late_rows(split)).collect();
        late.sort_unstable();
        assert_eq!(difference(&late, &rows_sorted(receivers.iter().flat_map(|receiver| &receiver.late_rows))), None, "late rows");
        for replica in 0..2 {
            let copies: Vec<_> = self.copies.iter().map(|copies| &copies[replica]).collect();
            self.check_uncounted(&reference, &copies);
            let closed: u64 = copies.iter().map(|copy| copy.replica.counters().windows_closed).sum();
            assert_eq!(closed, self.windows(&reference), "windows closed");
        }
        self.check_copies_equal();
        self.check_barriers();
        self.check_views_of(self.copies.iter().flatten());
    }
}
