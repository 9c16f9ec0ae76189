//! Entries sorted by the page of their ids, so that each page is written in one go.

use crate::block::{in_page, page_of};

/// Memory for the sort, kept from one delta to the next.
#[derive(Default)]
pub(crate) struct PageRuns {
    ids: Vec<u32>,
    picks: Vec<u32>,
    starts: Vec<usize>,
}

/// Counts of so many pages fit into a word.
const FEW_PAGES: usize = 4;
const COUNT_BITS: usize = u64::BITS as usize / FEW_PAGES;

impl PageRuns {
    /// Sorts by page, stable, by counting; `ids` lie on the first `pages` pages.
    pub(crate) fn split(&mut self, ids: &[u32], pages: usize) {
        self.starts.clear();
        self.ids.clear();
        self.picks.clear();
        if ids.is_sorted_by_key(|&id| page_of(id)) {
            self.starts.extend((0..=pages).map(|page| ids.partition_point(|&id| page_of(id) < page)));
            self.ids.extend(ids.iter().map(|&id| in_page(id)));
            self.picks.extend(0..ids.len() as u32);
            return;
        }
        self.ids.resize(ids.len(), 0);
        self.picks.resize(ids.len(), 0);
        if pages <= FEW_PAGES && ids.len() < 1 << COUNT_BITS { self.split_few(ids, pages) } else { self.split_many(ids, pages) }
    }

    /// With all counts in one register. A count in memory waits for the store before it, of which the processor has to guess whether it is the same page's: three times as
    /// long.
    fn split_few(&mut self, ids: &[u32], pages: usize) {
        let one = |id: u32| 1 << (page_of(id) * COUNT_BITS);
        let of_page = |counts: u64, page: usize| (counts >> (page * COUNT_BITS)) as usize & ((1 << COUNT_BITS) - 1);
        let counts = ids.iter().fold(0, |counts, &id| counts + one(id));
        let (mut next, mut start) = (0, 0);
        for page in 0..pages {
            self.starts.push(start);
            next |= (start as u64) << (page * COUNT_BITS);
            start += of_page(counts, page);
        }
        self.starts.push(start);
        for (entry, &id) in ids.iter().enumerate() {
            let at = of_page(next, page_of(id));
            self.ids[at] = in_page(id);
            self.picks[at] = entry as u32;
            next += one(id);
        }
    }

    fn split_many(&mut self, ids: &[u32], pages: usize) {
        self.starts.resize(pages + 1, 0);
        ids.iter().for_each(|&id| self.starts[page_of(id) + 1] += 1);
        for page in 0..pages {
            self.starts[page + 1] += self.starts[page];
        }
        let mut next = self.starts.clone();
        for (entry, &id) in ids.iter().enumerate() {
            let at = &mut next[page_of(id)];
            self.ids[*at] = in_page(id);
            self.picks[*at] = entry as u32;
            *at += 1;
        }
    }

    /// The pages that have entries: number, ids within the page, positions of the entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &[u32], &[u32])> {
        let runs = self.starts.windows(2).enumerate().filter(|(_, bounds)| bounds[0] < bounds[1]);
        runs.map(|(page, bounds)| (page, &self.ids[bounds[0]..bounds[1]], &self.picks[bounds[0]..bounds[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::PAGE_KEYS;
    use raympp_testkit::random::Random;

    #[test]
    fn every_entry_is_in_the_run_of_its_page_in_order() {
        let mut runs = PageRuns::default();
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let pages = 1 + random.index(12);
            // As many as counts of few pages hold, and more.
            let entries = if random.once_in(10) { (1 << COUNT_BITS) - 2 + random.index(20) } else { random.index(200) };
            let mut ids: Vec<u32> = (0..entries).map(|_| random.index(pages * PAGE_KEYS) as u32).collect();
            if random.once_in(3) {
                ids.sort_unstable();
            }
            runs.split(&ids, pages);
            let mut expected: Vec<(usize, u32, u32)> =
                ids.iter().zip(0..).map(|(&id, entry)| (id as usize / PAGE_KEYS, id % PAGE_KEYS as u32, entry)).collect();
            expected.sort_by_key(|&(page, _, _)| page);
            let found = runs.iter().flat_map(|(page, ids, picks)| ids.iter().zip(picks).map(move |(&id, &pick)| (page, id, pick)));
            assert_eq!(found.collect::<Vec<_>>(), expected, "seed {seed}");
        }
    }
}
