//! Everything is lost but complete epoch lists, and goes on from one of them: what has come out in the end is what would have without.

use super::{Copy, Feeder, Harness, chain_options};
use raympp_state::chain::Chain;
use raympp_state::checkpoint::SplitState;
use raympp_state::epoch_list::{EpochList, EpochLists, Uncounted};
use raympp_state::replica::{Counters, Replica, RestorePoint};
use raympp_state::result::ResultDelta;
use raympp_testkit::random::Random;
use raympp_types::{Epoch, EventTime, PartitionId, SplitTerm};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

impl Harness {
    /// Keeps what checkpoints are made of from the beginning.
    pub(crate) fn keep_lists(&mut self) {
        let ids: Vec<_> = self.feeders.iter().map(|feeder| feeder.rows.split).collect();
        for (partition, copies) in self.copies.iter_mut().enumerate() {
            for copy in copies {
                copy.replica.keep_accepted();
                let partition = PartitionId(partition as u32);
                copy.lists = Some(EpochLists::new(partition, &self.plans[0], self.script.stream.bound_us, &ids));
            }
        }
    }

    /// Runs to the end and restarts now and then on the way.
    pub(crate) fn run_with_restarts(&mut self, random: &mut Random, most: u64) {
        self.keep_lists();
        while !self.step(random) {
            if self.restarts < most && random.once_in(60) {
                self.restart(random);
            }
        }
        self.close_all();
    }

    /// Goes on from an epoch that every partition has whole, if there is one.
    fn restart(&mut self, random: &mut Random) {
        self.check_lists_equal();
        let whole = self.copies.iter().flatten().map(|copy| copy.saved.last().map_or(Epoch(0), |list| list.epoch)).min();
        let Some(Epoch(last)) = whole.filter(|epoch| epoch.0 > 0) else { return };
        let epoch = Epoch(last - random.below(last.min(3)));
        self.close_all();
        self.restarts += 1;
        let found = self.copies[0][0].saved.iter().find(|list| list.epoch == epoch).expect("lists are kept");
        let (splits, frontier) = (found.splits.clone(), found.frontier);
        for partition in 0..self.copies.len() {
            for number in 0..self.copies[partition].len() {
                let restored = self.restored(&self.copies[partition][number], partition, epoch);
                self.copies[partition][number] = restored;
            }
        }
        for state in &splits {
            let feeder = self.feeders.iter_mut().find(|feeder| feeder.rows.split == state.split).expect("a split of the script");
            let options = chain_options(&self.script);
            let term = SplitTerm(1 + self.restarts);
            feeder.chain = Chain::open(state.split, term, state.offset, state.watermark, options, &self.plans[0], self.key_groups);
            feeder.go_back(state);
        }
        self.copies.iter_mut().flatten().for_each(|copy| copy.forget_beyond(epoch, frontier));
        self.barriers.retain(|barrier| barrier.epoch <= epoch);
        (self.epoch, self.change) = (epoch, None);
    }

    /// A copy that knows nothing but what the lists of another one up to an epoch say.
    fn restored(&self, from: &Copy, partition: usize, epoch: Epoch) -> Copy {
        let lists: Vec<&EpochList> = from.saved.iter().filter(|list| list.epoch <= epoch).collect();
        let newest = *lists.last().expect("a restart has an epoch to go on from");
        let (partition, plan, bound_us) = (PartitionId(partition as u32), &self.plans[0], self.script.stream.bound_us);
        let time_type = self.script.metrics[0].1.time_type(&self.script.stream);
        let mut replica = Replica::new(partition, Arc::clone(plan), bound_us, time_type, &[]);
        let mut uncounted = Uncounted::default();
        for list in &lists {
            list.records.iter().for_each(|(&(store, slice), record)| replica.load(store, slice, record.clone()));
            uncounted.add(&list.uncounted);
        }
        replica.resume(RestorePoint {
            epoch,
            splits: newest.splits.clone(),
            frontier: newest.frontier,
            first_after: HashMap::new(),
            counters: Counters { late: uncounted.late, bad: uncounted.bad, ..Counters::default() },
            bad_by_store: uncounted.bad_by_store,
        });
        replica.keep_accepted();
        Copy {
            replica,
            inbox: vec![VecDeque::new(); self.feeders.len()],
            results: from.results.clone(),
            late_rows: from.late_rows.clone(),
            lists: Some(EpochLists::resume(partition, plan, bound_us, (epoch, newest.frontier), &newest.splits)),
            saved: lists.into_iter().cloned().collect(),
            passed: from.passed.iter().filter(|passed| passed.epoch <= epoch).cloned().collect(),
        }
    }

    /// Replicas of a partition make the same lists, and all partitions agree on the splits and the frontier.
    fn check_lists_equal(&self) {
        for copy in self.copies.iter().flatten() {
            for (mine, other) in copy.saved.iter().zip(&self.copies[0][0].saved) {
                assert_eq!((mine.epoch, &mine.splits, mine.frontier), (other.epoch, &other.splits, other.frontier));
            }
        }
        for copies in &self.copies {
            for (mine, other) in copies[0].saved.iter().zip(&copies[copies.len() - 1].saved) {
                assert_eq!((&mine.records, &mine.uncounted), (&other.records, &other.uncounted), "lists of {}", mine.epoch);
                mine.records.values().for_each(|record| assert_eq!(record.fault(), None));
            }
        }
    }
}

impl Feeder {
    /// To where a split was at a barrier.
    fn go_back(&mut self, state: &SplitState) {
        self.seek(state.offset);
        self.ended = state.ended;
        let floor = state.watermark.floor;
        self.rows.floors.retain(|&(offset, raised)| offset < state.offset || offset == state.offset && raised <= floor);
    }
}

impl Copy {
    /// What had come out beyond an epoch was not published.
    fn forget_beyond(&mut self, epoch: Epoch, frontier: EventTime) {
        self.late_rows.retain(|late| late.epoch <= epoch);
        self.results = std::mem::take(&mut self.results).into_iter().filter_map(|result| up_to(result, frontier)).collect();
    }
}

/// The windows of a result that end up to a frontier.
fn up_to(result: ResultDelta, frontier: EventTime) -> Option<ResultDelta> {
    if result.window_end <= frontier {
        return Some(result);
    }
    let rows = result.ends_us.partition_point(|&end_us| end_us <= frontier.0);
    let last_end = *result.ends_us[..rows].last()?;
    Some(ResultDelta {
        window_end: EventTime(last_end),
        ends_us: result.ends_us[..rows].to_vec(),
        groups: result.groups[..rows].to_vec(),
        batch: result.batch.slice(0, rows),
        last: true,
        ..result
    })
}
