//! The keys of a scan, page by page.
//!
//! What is read by a key's id is the key's own if it still has the id afterwards: then no other key had it in between, for a key that is forgotten and comes
//! again is another one ([`KeyReader::has`]). Most pages lose no key during a scan, which one number tells.

use crate::block::{PAGE_KEYS, in_page, page_of};
use crate::keys::KeyReader;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A key and its id within its page.
pub(super) type KeyInPage = (Arc<[u8]>, u32);

/// The keys that a page had at some instant of the scan.
pub(super) struct PageOfKeys<'a> {
    reader: &'a KeyReader,
    pub(super) number: usize,
    /// By ascending id.
    pub(super) keys: Vec<KeyInPage>,
    /// How many keys the page had lost when [`PageOfKeys::check`] was last called, or before the keys were listed.
    forgotten: u64,
    /// Positions of the keys that were gone when it was last called. Their windows are over, or others' have been read in their place.
    pub(super) gone: Vec<usize>,
}

/// All keys, by ascending page.
pub(super) fn keys_by_page(reader: &KeyReader) -> Vec<PageOfKeys<'_>> {
    let forgotten = reader.forgotten_by_page();
    let mut pages: BTreeMap<usize, Vec<KeyInPage>> = BTreeMap::new();
    for (key, id) in reader.all() {
        pages.entry(page_of(id)).or_default().push((key, in_page(id)));
    }
    let page = |(number, mut keys): (usize, Vec<KeyInPage>)| {
        keys.sort_by_key(|(_, id)| *id);
        PageOfKeys { reader, number, keys, forgotten: forgotten.get(number).copied().unwrap_or(0), gone: Vec::new() }
    };
    pages.into_iter().map(page).collect()
}

impl PageOfKeys<'_> {
    /// The keys' ids within the page.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.keys.iter().map(|(_, id)| *id)
    }

    /// Finds those that are gone by now: a look at each, if the page has lost any since the last call.
    pub(super) fn check(&mut self) {
        let forgotten = self.reader.forgotten(self.number);
        if std::mem::replace(&mut self.forgotten, forgotten) != forgotten {
            let is_gone = |(key, id): &KeyInPage| !self.reader.has(key, (self.number * PAGE_KEYS) as u32 + id);
            self.gone = self.keys.iter().enumerate().filter(|(_, key)| is_gone(key)).map(|(position, _)| position).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;

    fn gone(page: &mut PageOfKeys<'_>) -> Vec<usize> {
        page.check();
        page.gone.clone()
    }

    #[test]
    fn a_key_is_gone_when_it_was_forgotten_whatever_comes_after() {
        let mut keys = Keys::new(Vec::new());
        let key = |number: usize| format!("key {number}").into_bytes();
        (0..PAGE_KEYS + 10).for_each(|number| assert_eq!(keys.hold_key(&key(number)), number as u32));
        let reader = Arc::clone(keys.reader());
        let mut pages = keys_by_page(&reader);
        assert_eq!(pages.iter().map(|page| (page.number, page.keys.len())).collect::<Vec<_>>(), [(0, PAGE_KEYS), (1, 10)]);
        let [first, second] = &mut pages[..] else { unreachable!("two pages") };
        assert!(first.ids().eq(0..PAGE_KEYS as u32) && second.ids().eq(0..10));
        keys.release(PAGE_KEYS as u32 + 3);
        assert_eq!((gone(first), gone(second)), (vec![], vec![3]));
        assert_eq!((reader.forgotten(0), reader.forgotten(1)), (0, 1), "the first page is spared a look");
        // Its id becomes another key's, and it comes again under another id.
        assert_eq!(keys.hold_key(&key(9_999)), PAGE_KEYS as u32 + 3);
        assert_eq!(keys.hold_key(&key(PAGE_KEYS + 3)), PAGE_KEYS as u32 + 10);
        assert_eq!((gone(first), gone(second)), (vec![], vec![3]));
        // One that comes again under its own id is another one too.
        keys.release(7);
        assert_eq!(keys.hold_key(&key(7)), 7);
        assert_eq!((gone(first), gone(second)), (vec![7], vec![3]));
        keys.release(0);
        keys.release(PAGE_KEYS as u32 + 9);
        assert_eq!((gone(first), gone(second)), (vec![0, 7], vec![3, 9]));
        let all: Vec<(usize, usize)> = keys_by_page(&reader).iter_mut().map(|page| (page.keys.len(), gone(page).len())).collect();
        assert_eq!(all, [(PAGE_KEYS - 1, 0), (10, 0)]);
    }
}
