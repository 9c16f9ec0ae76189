//! Keys in the order of their bytes, without comparing them again for each record: a rank by id.
//!
//! Keys are ranked now and then. Those that have come since are sorted and merged in each time; when they are many, or many ranked ones
//! have gone, all are ranked anew. A million keys that stay are sorted by looking at four megabytes of ranks instead of a million keys, a cache miss each.

use crate::delta::KeyList;
use std::sync::Arc;

/// No rank.
const NONE: u32 = u32::MAX;
/// All keys are ranked anew when more than one of so many has no rank.
const UNRANKED_SHARE: usize = 64;
/// Ids are put in order by one look at each rank, if at least one rank of so many is theirs; else their ranks are sorted.
const DENSE_SHARE: usize = 8;
/// So many ranks without keys are no reason for ranking anew.
const GONE_MIN: usize = 1024;

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct KeyOrder {
    /// The keys that were ranked, by rank.
    ranked: KeyList,
    /// By id; [`NONE`] for a key that has come since. Ids beyond have none.
    ranks: Vec<u32>,
    /// Keys without a rank.
    unranked: usize,
}

impl KeyOrder {
    /// An id that had none has a key from now on.
    pub(crate) fn add(&mut self, id: u32) {
        debug_assert_eq!(self.rank(id), NONE);
        self.unranked += 1;
    }

    /// An id has no key any more.
    pub(crate) fn remove(&mut self, id: u32) {
        match self.ranks.get_mut(id as usize).filter(|rank| **rank != NONE) {
            Some(rank) => *rank = NONE,
            None => self.unranked -= 1,
        }
    }

    fn rank(&self, id: u32) -> u32 {
        self.ranks.get(id as usize).copied().unwrap_or(NONE)
    }

    /// Ranks keys anew if that is due; `keys` are all there are, by id, and `count` their number.
    pub(crate) fn renew(&mut self, keys: &[Option<Arc<[u8]>>], count: usize) {
        if self.unranked * UNRANKED_SHARE <= count && self.ranked.len() <= 2 * count + GONE_MIN {
            return;
        }
        let live = || keys.iter().enumerate().filter_map(|(id, key)| Some((id as u32, &**key.as_ref()?)));
        let mut fresh: Vec<(&[u8], u32)> = live().filter(|(id, _)| self.rank(*id) == NONE).map(|(id, key)| (key, id)).collect();
        fresh.sort_unstable();
        let mut by_rank = vec![NONE; self.ranked.len()];
        live().filter(|(id, _)| self.rank(*id) != NONE).for_each(|(id, _)| by_rank[self.rank(id) as usize] = id);
        let old = by_rank.iter().zip(self.ranked.iter()).filter(|(id, _)| **id != NONE).map(|(&id, key)| (key, id));
        let (mut old, mut fresh) = (old.peekable(), fresh.into_iter().peekable());
        let (mut ranked, mut ranks) = (KeyList::default(), vec![NONE; keys.len()]);
        loop {
            let old_is_next = old.peek().is_some_and(|one| fresh.peek().is_none_or(|other| one < other));
            let Some((key, id)) = (if old_is_next { old.next() } else { fresh.next() }) else { break };
            ranks[id as usize] = ranked.len() as u32;
            ranked.push(key);
        }
        drop((old, fresh));
        *self = KeyOrder { ranked, ranks, unranked: 0 };
    }

    /// The positions of ids, which are distinct, in order of their keys, and the keys in this order. `key` knows those without a rank.
    pub(crate) fn sorted<'a>(&self, ids: &[u32], key: impl Fn(u32) -> &'a [u8]) -> (Vec<u32>, KeyList) {
        let mut fresh: Vec<(&[u8], u32)> = Vec::new();
        let ranks = ids.iter().enumerate().map(|(position, &id)| (self.rank(id), position as u32));
        let mut ranked: Vec<(u32, u32)> = Vec::new();
        if ids.len() * DENSE_SHARE >= self.ranked.len() {
            let mut positions = vec![NONE; self.ranked.len()];
            for (rank, position) in ranks {
                match positions.get_mut(rank as usize) {
                    Some(slot) => *slot = position,
                    None => fresh.push((key(ids[position as usize]), position)),
                }
            }
            let ranked_ones = positions.into_iter().enumerate().map(|(rank, position)| (rank as u32, position));
            ranked.extend(ranked_ones.filter(|(_, position)| *position != NONE));
        } else {
            for (rank, position) in ranks {
                match rank {
                    NONE => fresh.push((key(ids[position as usize]), position)),
                    rank => ranked.push((rank, position)),
                }
            }
            ranked.sort_unstable();
        }
        fresh.sort_unstable();
        let (mut order, mut names, mut ranked) = (Vec::with_capacity(ids.len()), KeyList::default(), ranked.as_slice());
        let mut push = |position: u32, key: &[u8]| {
            order.push(position);
            names.push(key);
        };
        for (key, position) in fresh {
            let (before, behind) = ranked.split_at(ranked.partition_point(|(rank, _)| self.ranked.get(*rank as usize) < key));
            before.iter().for_each(|&(rank, position)| push(position, self.ranked.get(rank as usize)));
            push(position, key);
            ranked = behind;
        }
        ranked.iter().for_each(|&(rank, position)| push(position, self.ranked.get(rank as usize)));
        (order, names)
    }
}

#[cfg(test)]
mod tests {
    use super::KeyOrder;
    use raympp_testkit::random::Random;
    use std::sync::Arc;

    #[test]
    fn order_is_that_of_the_keys_whatever_comes_and_goes() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut keys: Vec<Option<Arc<[u8]>>> = vec![None; 3_000];
            let mut order = KeyOrder::default();
            for round in 0..20 {
                // Now and then nearly all go, so that ranks without keys are many.
                let stays = if random.once_in(5) { 1 } else { 30 };
                for (id, slot) in keys.iter_mut().enumerate() {
                    if slot.is_none() && random.once_in(3) {
                        let key = format!("{:05}-{id}", random.index(100_000));
                        *slot = Some(key.as_bytes()[random.index(3)..].into());
                        order.add(id as u32);
                    } else if random.once_in(stays) && slot.take().is_some() {
                        order.remove(id as u32);
                    }
                }
                if random.once_in(2) {
                    order.renew(&keys, keys.iter().flatten().count());
                }
                let share = [1, 2, 100, 1_000][random.index(4)];
                let ids: Vec<u32> = (0..3_000).filter(|&id| keys[id as usize].is_some() && random.once_in(share)).collect();
                let key = |id: u32| keys[id as usize].as_deref().expect("it has one");
                let (positions, names) = order.sorted(&ids, key);
                let mut expected: Vec<&[u8]> = ids.iter().map(|&id| key(id)).collect();
                expected.sort_unstable();
                assert_eq!(names.iter().collect::<Vec<_>>(), expected, "seed {seed}, round {round}");
                let found: Vec<&[u8]> = positions.iter().map(|&position| key(ids[position as usize])).collect();
                assert_eq!(found, expected, "seed {seed}, round {round}");
            }
        }
    }
}
