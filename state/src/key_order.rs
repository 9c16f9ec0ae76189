//! Keys in the order of their bytes, without comparing them again for each record: a rank by id.
//!
//! Keys are ranked now and then. Those that have come since are sorted and merged in each time; when that has happened to as many as there are keys, or many
//! ranked ones have gone, all are ranked anew. A million keys that stay are sorted by looking at four megabytes of ranks instead of a million keys, a cache
//! miss each. Ranking anew compares keys that have come and copies the others run by run, so keys that come and go cost a few comparisons each; and where a
//! few keys of many that come and go are to be sorted, it is seldom due.

use crate::delta::KeyList;
use crate::epoch_list::Breathe;
use std::ops::Range;
use std::sync::Arc;

/// No rank.
const NONE: u32 = u32::MAX;
/// Ids are put in order by one look at each rank, if at least one rank of so many is theirs; else their ranks are sorted.
const DENSE_SHARE: usize = 8;
/// So many ranks without keys are no reason for ranking anew.
const GONE_MIN: usize = 1024;
/// Keys that are ranked from one breath to the next, at least.
const BREATH_KEYS: usize = 4096;

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct KeyOrder {
    /// The keys that were ranked, by rank.
    ranked: KeyList,
    /// Their ids; [`NONE`] for a key that has gone since.
    ids: Vec<u32>,
    /// By id; [`NONE`] for a key that has come since. Ids beyond have none.
    ranks: Vec<u32>,
    /// Keys without a rank that have been sorted since keys were ranked, each as often as it was.
    sorted_unranked: usize,
}

impl KeyOrder {
    /// An id has no key any more.
    pub(crate) fn remove(&mut self, id: u32) {
        if let Some(rank) = self.ranks.get_mut(id as usize).filter(|rank| **rank != NONE) {
            self.ids[std::mem::replace(rank, NONE) as usize] = NONE;
        }
    }

    fn rank(&self, id: u32) -> u32 {
        self.ranks.get(id as usize).copied().unwrap_or(NONE)
    }

    /// Ranks keys anew if that is due before these are sorted.
    fn renew_before(&mut self, ids: &[u32], keys: &[Option<Arc<[u8]>>], count: usize, breathe: Breathe) {
        self.sorted_unranked += ids.iter().filter(|&&id| self.rank(id) == NONE).count();
        if self.sorted_unranked >= count.max(1) || self.ranked.len() > 2 * count + GONE_MIN {
            self.renew(keys, count, breathe);
        }
    }

    fn renew(&mut self, keys: &[Option<Arc<[u8]>>], count: usize, breathe: Breathe) {
        let live = keys.iter().enumerate().filter_map(|(id, key)| Some((&**key.as_ref()?, id as u32)));
        let mut fresh: Vec<(&[u8], u32)> = live.filter(|(_, id)| self.rank(*id) == NONE).collect();
        breathe();
        fresh.sort_unstable();
        breathe();
        let ranked = self.room_for(count - fresh.len(), &fresh);
        let mut new = KeyOrder { ranked, ids: Vec::with_capacity(count), ranks: vec![NONE; keys.len()], sorted_unranked: 0 };
        let (mut taken, mut breath) = (0, BREATH_KEYS);
        for (key, id) in fresh {
            if new.ids.len() >= breath {
                breathe();
                breath = new.ids.len() + BREATH_KEYS;
            }
            let below = first_not(taken..self.ids.len(), |rank| self.ranked.get(rank) < key);
            new.take_over(self, taken..below);
            new.push(key, id);
            taken = below;
        }
        new.take_over(self, taken..self.ids.len());
        *self = new;
    }

    /// No keys, with room for so many of the ranked ones and those that have come since.
    fn room_for(&self, ranked: usize, fresh: &[(&[u8], u32)]) -> KeyList {
        let of_ranked = self.ranked.bytes() / self.ranked.len().max(1) * ranked;
        KeyList::with_capacity(ranked + fresh.len(), of_ranked + fresh.iter().map(|(key, _)| key.len()).sum::<usize>())
    }

    fn push(&mut self, key: &[u8], id: u32) {
        self.rank_next(id);
        self.ranked.push(key);
    }

    fn rank_next(&mut self, id: u32) {
        self.ranks[id as usize] = self.ids.len() as u32;
        self.ids.push(id);
    }

    /// Goes on with the keys of these ranks of another order that have not gone.
    fn take_over(&mut self, other: &KeyOrder, ranks: Range<usize>) {
        let mut rank = ranks.start;
        for run in other.ids[ranks].chunk_by(|one, next| (*one == NONE) == (*next == NONE)) {
            if run[0] != NONE {
                let (keys, ends) = other.ranked.run(rank..rank + run.len());
                self.ranked.append(keys, ends);
                run.iter().for_each(|&id| self.rank_next(id));
            }
            rank += run.len();
        }
    }

    /// The positions of ids, which are distinct, in order of their keys, and the keys in this order. `keys` are all there are, by id, and `count` their number.
    pub(crate) fn sorted(&mut self, ids: &[u32], keys: &[Option<Arc<[u8]>>], count: usize, breathe: Breathe) -> (Vec<u32>, KeyList) {
        self.renew_before(ids, keys, count, breathe);
        let key = |id: u32| keys[id as usize].as_deref().expect("the id belongs to a key");
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
        let (mut order, mut names) = (Vec::with_capacity(ids.len()), self.room_for(ranked.len(), &fresh));
        let mut push = |position: u32, key: &[u8]| {
            order.push(position);
            names.push(key);
        };
        let mut taken = 0;
        for (key, position) in fresh {
            let below = first_not(taken..ranked.len(), |i| self.ranked.get(ranked[i].0 as usize) < key);
            ranked[taken..below].iter().for_each(|&(rank, position)| push(position, self.ranked.get(rank as usize)));
            push(position, key);
            taken = below;
        }
        ranked[taken..].iter().for_each(|&(rank, position)| push(position, self.ranked.get(rank as usize)));
        (order, names)
    }
}

/// The first of `range` for which `is_before` does not hold, as it does for none after it; its end if there is none. It is looked for close to the start first,
/// in steps that double: new keys often follow each other.
fn first_not(range: Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high, mut step) = (range.start, range.start, 1);
    while high < range.end && is_before(high) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    high = high.min(range.end);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::{KeyOrder, NONE};
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
                    } else if random.once_in(stays) && slot.take().is_some() {
                        order.remove(id as u32);
                    }
                }
                let share = [1, 2, 100, 1_000][random.index(4)];
                let ids: Vec<u32> = (0..3_000).filter(|&id| keys[id as usize].is_some() && random.once_in(share)).collect();
                let key = |id: u32| keys[id as usize].as_deref().expect("it has one");
                let (positions, names) = order.sorted(&ids, &keys, keys.iter().flatten().count(), || {});
                let mut expected: Vec<&[u8]> = ids.iter().map(|&id| key(id)).collect();
                expected.sort_unstable();
                assert_eq!(names.iter().collect::<Vec<_>>(), expected, "seed {seed}, round {round}");
                let found: Vec<&[u8]> = positions.iter().map(|&position| key(ids[position as usize])).collect();
                assert_eq!(found, expected, "seed {seed}, round {round}");
            }
        }
    }

    #[test]
    fn keys_are_ranked_anew_when_as_many_without_a_rank_have_been_sorted() {
        const KEYS: u32 = 1_000;
        let mut keys: Vec<Option<Arc<[u8]>>> = (0..KEYS).map(|id| Some(id.to_be_bytes().as_slice().into())).collect();
        let (mut order, all) = (KeyOrder::default(), (0..KEYS).collect::<Vec<_>>());
        order.sorted(&all, &keys, keys.len(), || {});
        assert_eq!(order.rank(KEYS - 1), KEYS - 1, "all at once, when they are sorted for the first time");
        keys.push(Some([0].as_slice().into()));
        for _ in 0..KEYS {
            assert_eq!(order.sorted(&[KEYS, 5], &keys, keys.len(), || {}).0, [0, 1]);
            assert_eq!(order.rank(KEYS), NONE);
        }
        assert_eq!(order.sorted(&[KEYS, 5], &keys, keys.len(), || {}).0, [0, 1]);
        assert_eq!((order.rank(KEYS), order.rank(0)), (0, 1));
    }
}
