//! Which replicas of a partition are in sync, and which of them is the primary, under which term.
//!
//! A replica is *in sync* when it has all that the partition's chains have brought, or gets it without anybody sending it again. Only such a
//! one can be promoted without going back, and it is promoted under a term of its own, which voids what its predecessor may still say.
//!
//! Invariants: a partition has at most one primary, which is in sync; terms rise with each primary; a replica that was lost never comes back, since
//! ids are given once; for each one lost, another is asked for, and if the primary that was to be copied is lost first, one more, of the next primary. A
//! partition without a replica in sync is *orphaned*: nobody can go on but from a checkpoint, and who does so is its primary as soon as it is in sync.

use crate::action::Action;
use raympp_types::{PartitionId, ReplicaId, StreamId, Term};
use std::collections::{BTreeMap, BTreeSet};

/// One partition.
#[derive(Default)]
struct Partition {
    term: Term,
    primary: Option<ReplicaId>,
    in_sync: BTreeSet<ReplicaId>,
    /// Asked for, and not in sync yet.
    coming: BTreeSet<ReplicaId>,
    lost: BTreeSet<ReplicaId>,
    /// The id of the one that is asked for next.
    next: ReplicaId,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Replicas {
    partitions: BTreeMap<(StreamId, PartitionId), Partition>,
    promotions: u64,
}

impl Replicas {
    /// A replica is in sync. The first one of a partition that has none becomes its primary; of a new partition under the first term, as it
    /// was made.
    pub(crate) fn join(&mut self, stream: StreamId, partition: PartitionId, replica: ReplicaId) -> Vec<Action> {
        let of = self.partitions.entry((stream, partition)).or_default();
        if of.lost.contains(&replica) {
            return Vec::new();
        }
        of.coming.remove(&replica);
        of.in_sync.insert(replica);
        of.next = of.next.max(replica.next());
        if of.primary.is_some() {
            return Vec::new();
        }
        of.promote(stream, partition, &mut self.promotions)
    }

    /// A replica is gone, in sync or not.
    pub(crate) fn lose(&mut self, stream: StreamId, partition: PartitionId, replica: ReplicaId) -> Vec<Action> {
        let Some(of) = self.partitions.get_mut(&(stream, partition)) else { return Vec::new() };
        if !of.lost.insert(replica) {
            return Vec::new();
        }
        of.in_sync.remove(&replica);
        of.coming.remove(&replica);
        let was_primary = of.primary == Some(replica);
        if was_primary {
            of.primary = None;
        }
        if of.in_sync.is_empty() {
            return vec![Action::Orphaned { stream, partition }];
        }
        let mut gone = vec![replica];
        let mut actions = Vec::new();
        if was_primary {
            actions = of.promote(stream, partition, &mut self.promotions);
            // Those that were to be copies of it will not come.
            gone.extend(std::mem::take(&mut of.coming));
            of.lost.extend(&gone);
        }
        actions.extend(gone.into_iter().map(|gone| of.replace(stream, partition, gone)));
        actions
    }

    pub(crate) fn drop_stream(&mut self, stream: StreamId) {
        self.partitions.retain(|(of, _), _| *of != stream);
    }

    /// Replicas in sync of a partition, in order.
    pub(crate) fn in_sync(&self, stream: StreamId, partition: PartitionId) -> Vec<ReplicaId> {
        self.partitions.get(&(stream, partition)).map_or_else(Vec::new, |of| of.in_sync.iter().copied().collect())
    }

    /// Standbys that have become primaries, and partitions that have gone on from a checkpoint.
    pub(crate) fn promotions(&self) -> u64 {
        self.promotions
    }
}

impl Partition {
    /// Asks for a replica in the place of one that is gone.
    fn replace(&mut self, stream: StreamId, partition: PartitionId, instead_of: ReplicaId) -> Action {
        let replica = self.next;
        self.next = replica.next();
        self.coming.insert(replica);
        Action::Repair { stream, partition, replica, instead_of }
    }

    /// Makes the oldest replica in sync the primary.
    fn promote(&mut self, stream: StreamId, partition: PartitionId, promotions: &mut u64) -> Vec<Action> {
        let Some(&replica) = self.in_sync.first() else { return Vec::new() };
        self.term = self.term.next();
        self.primary = Some(replica);
        if self.term == Term(1) {
            return Vec::new();
        }
        *promotions += 1;
        vec![Action::Promote { stream, partition, replica, term: self.term }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(0);
    const PARTITION: PartitionId = PartitionId(0);

    fn join(replicas: &mut Replicas, replica: u32) -> Vec<Action> {
        replicas.join(STREAM, PARTITION, ReplicaId(replica))
    }

    fn lose(replicas: &mut Replicas, replica: u32) -> Vec<Action> {
        replicas.lose(STREAM, PARTITION, ReplicaId(replica))
    }

    fn promote(replica: u32, term: u64) -> Action {
        Action::Promote { stream: STREAM, partition: PARTITION, replica: ReplicaId(replica), term: Term(term) }
    }

    fn repair(replica: u32, instead_of: u32) -> Action {
        Action::Repair { stream: STREAM, partition: PARTITION, replica: ReplicaId(replica), instead_of: ReplicaId(instead_of) }
    }

    const ORPHANED: Action = Action::Orphaned { stream: STREAM, partition: PARTITION };

    #[test]
    fn a_standby_takes_over_and_another_is_made() {
        let mut replicas = Replicas::default();
        assert_eq!(join(&mut replicas, 0), [], "the first is the primary as it was made");
        assert_eq!(join(&mut replicas, 1), []);
        assert_eq!(lose(&mut replicas, 0), [promote(1, 2), repair(2, 0)]);
        assert_eq!(lose(&mut replicas, 0), [], "once");
        assert_eq!(join(&mut replicas, 0), [], "what was lost never comes back");
        assert_eq!(join(&mut replicas, 2), []);
        assert_eq!(lose(&mut replicas, 1), [promote(2, 3), repair(3, 1)]);
        assert_eq!((replicas.promotions(), replicas.in_sync(STREAM, PARTITION)), (2, vec![ReplicaId(2)]));
    }

    #[test]
    fn a_standby_that_is_lost_is_replaced() {
        let mut replicas = Replicas::default();
        join(&mut replicas, 0);
        join(&mut replicas, 1);
        assert_eq!(lose(&mut replicas, 1), [repair(2, 1)]);
        assert_eq!(lose(&mut replicas, 2), [repair(3, 2)], "its replacement did not get in sync");
        assert_eq!(replicas.in_sync(STREAM, PARTITION), [ReplicaId(0)]);
    }

    #[test]
    fn copies_that_were_to_be_made_of_a_lost_primary_are_asked_for_again() {
        let mut replicas = Replicas::default();
        (0..3).for_each(|replica| drop(join(&mut replicas, replica)));
        assert_eq!(lose(&mut replicas, 1), [repair(3, 1)]);
        assert_eq!(lose(&mut replicas, 0), [promote(2, 2), repair(4, 0), repair(5, 3)]);
        assert_eq!(join(&mut replicas, 3), [], "it is not waited for any more");
        assert_eq!((join(&mut replicas, 4), join(&mut replicas, 5)), (vec![], vec![]));
        assert_eq!(replicas.in_sync(STREAM, PARTITION), [2, 4, 5].map(ReplicaId));
    }

    #[test]
    fn only_a_replica_in_sync_takes_over() {
        let mut replicas = Replicas::default();
        join(&mut replicas, 0);
        assert_eq!(lose(&mut replicas, 0), [ORPHANED], "the other one is still on its way");
        assert_eq!(lose(&mut replicas, 1), [ORPHANED], "and so it was lost");
        assert_eq!(join(&mut replicas, 2), [promote(2, 2)]);
        replicas.drop_stream(STREAM);
        assert_eq!(lose(&mut replicas, 2), []);
    }

    /// Whatever comes and goes: a primary is in sync, terms rise, and no replica is promoted that was lost.
    #[test]
    fn random_losses_leave_one_primary_in_sync() {
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut replicas, mut alive, mut next, mut term) = (Replicas::default(), BTreeSet::new(), 0_u32, 0_u64);
        let (mut primary, mut asked) = (None, BTreeSet::new());
        for _ in 0..10_000 {
            let actions = if alive.is_empty() || random(2) == 0 {
                // One that was asked for, or somebody who goes on from a checkpoint.
                let comes = asked.pop_first().unwrap_or(next);
                next = next.max(comes + 1);
                alive.insert(comes);
                if primary.is_none() && term == 0 {
                    (primary, term) = (Some(comes), 1);
                }
                join(&mut replicas, comes)
            } else {
                let lost = alive.iter().copied().nth(random(alive.len() as u64) as usize).expect("one of them");
                alive.remove(&lost);
                primary = primary.filter(|&primary| primary != lost);
                lose(&mut replicas, lost)
            };
            for action in actions {
                if let Action::Promote { replica, term: new, .. } = action {
                    assert!(primary.is_none() && alive.contains(&replica.0) && new.0 == term + 1, "{replica} under {new}");
                    (primary, term) = (Some(replica.0), new.0);
                }
                if let Action::Repair { replica, instead_of, .. } = action {
                    assert!(!alive.contains(&instead_of.0) && replica.0 >= next, "{replica} instead of {instead_of}");
                    asked.remove(&instead_of.0);
                    asked.insert(replica.0);
                    next = replica.0 + 1;
                }
            }
            if alive.is_empty() {
                // Nobody can be copied.
                asked.clear();
            }
            assert_eq!(primary.is_none(), alive.is_empty());
            assert!(replicas.in_sync(STREAM, PARTITION).iter().map(|replica| replica.0).eq(alive.iter().copied()));
        }
    }
}
