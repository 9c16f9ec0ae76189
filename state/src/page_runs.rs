//! Entries sorted by the page of their ids, so that each page is written in one go.

use crate::block::PAGE_KEYS;

/// Memory for the sort, kept from one delta to the next.
#[derive(Default)]
pub(crate) struct PageRuns {
    ids: Vec<u32>,
    picks: Vec<u32>,
    starts: Vec<usize>,
}

impl PageRuns {
    /// Sorts by page, stable and in one pass of counting; `ids` lie on the first `pages` pages.
    pub(crate) fn split(&mut self, ids: &[u32], pages: usize) {
        self.starts.clear();
        self.starts.resize(pages + 1, 0);
        let (mut last, mut is_sorted) = (0, true);
        for &id in ids {
            let page = id as usize / PAGE_KEYS;
            self.starts[page + 1] += 1;
            is_sorted &= last <= page;
            last = page;
        }
        for page in 0..pages {
            self.starts[page + 1] += self.starts[page];
        }
        self.ids.clear();
        self.picks.clear();
        if is_sorted {
            self.ids.extend(ids.iter().map(|id| id % PAGE_KEYS as u32));
            self.picks.extend(0..ids.len() as u32);
            return;
        }
        self.ids.resize(ids.len(), 0);
        self.picks.resize(ids.len(), 0);
        let mut next = self.starts.clone();
        for (entry, &id) in ids.iter().enumerate() {
            let at = &mut next[id as usize / PAGE_KEYS];
            self.ids[*at] = id % PAGE_KEYS as u32;
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
    use raympp_testkit::random::Random;

    #[test]
    fn every_entry_is_in_the_run_of_its_page_in_order() {
        let mut runs = PageRuns::default();
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let pages = 1 + random.index(12);
            let mut ids: Vec<u32> = (0..random.index(200)).map(|_| random.index(pages * PAGE_KEYS) as u32).collect();
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
