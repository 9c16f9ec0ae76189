//! A store of session windows, and of running totals with a time to live (sessions whose bounds nobody sees).
//!
//! Deltas bring pieces: rows of one key less than a gap apart, with first and last event time. A piece joins every session of its key
//! that it is less than a gap away from, and so joins those with each other. What results is the set of connected components of
//! the rows, whatever the order of pieces. A session closes when the frontier reaches its last row + gap. A row is never below the
//! frontier, hence never less than a gap from a closed session: closed ones do not change (the counter of replicas proves it).
//!
//! Per key, readers see an immutable list that is replaced as a whole; changing a key costs a copy of its list of pointers. The lists of
//! a page of keys lie under one lock that only readers wait for ([`crate::shared`]).

use crate::block::{PAGE_KEYS, in_page, page_of};
use crate::delta::StoreDelta;
use crate::keys::Keys;
use crate::shared::SharedCells;
use arc_swap::ArcSwap;
use raympp_operators::accumulator::AccumulatorColumn;
use raympp_operators::sharing::Store;
use raympp_types::EventTime;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sessions that one closing step hands out, or lets go of, at most.
const CLOSE_MAX: usize = 1024;

/// Rows of one key with no gap between them.
#[derive(Clone, Debug)]
pub struct Session {
    /// Event time of the first row.
    pub first_us: i64,
    /// Event time of the last row.
    pub last_us: i64,
    /// Number of rows.
    pub rows: u64,
    /// One cell per accumulator of the store.
    pub columns: Vec<AccumulatorColumn>,
}

/// The sessions of one key, by time; open ones and retained closed ones.
pub type SessionList = Vec<Arc<Session>>;

/// What readers share of a session store.
pub struct SessionPages {
    /// The plan.
    pub store: Arc<Store>,
    /// The gap.
    pub gap_us: i64,
    pages: ArcSwap<Vec<Arc<Page>>>,
}

/// The sessions of a page's keys; `None`: the key has none.
type Page = SharedCells<Option<Arc<SessionList>>>;

impl SessionPages {
    /// The sessions of a key.
    pub fn of(&self, id: u32) -> Option<Arc<SessionList>> {
        self.pages.load().get(page_of(id))?.read(|lists| lists[in_page(id) as usize].clone())
    }

    /// The sessions of several keys of one page, given by their ids within it, as they are at one instant.
    pub fn of_page(&self, page: usize, ids: impl Iterator<Item = u32>) -> Vec<Option<Arc<SessionList>>> {
        let pages = self.pages.load();
        pages.get(page).map_or_else(Vec::new, |page| page.read(|lists| ids.map(|id| lists[id as usize].clone()).collect()))
    }
}

/// A session's place in the order of ends.
type ByEnd = (i64, u32, i64);

/// Closed sessions, by ascending end.
#[derive(Debug, Default)]
pub struct ClosedSessions {
    /// Id and session.
    pub sessions: Vec<(u32, Arc<Session>)>,
    /// No further session ends where the last of these does.
    pub whole: bool,
    /// None is left to hand out, but some that retention no longer covers are left to let go of.
    pub more_to_retire: bool,
}

/// What a key had last, when retention lets go of it and the key has no session left.
#[derive(Clone, Debug)]
pub struct LetGo {
    /// The key's id until now.
    pub id: u32,
    /// The key's canonical bytes.
    pub key: Box<[u8]>,
    /// Its last session.
    pub session: Arc<Session>,
}

/// The writer's side.
pub struct SessionStore {
    shared: Arc<SessionPages>,
    open: BTreeSet<ByEnd>,
    closed: BTreeSet<ByEnd>,
    closed_to_us: i64,
    retention_us: i64,
    rows_below_frontier: u64,
    /// Memory of the sessions kept.
    bytes: usize,
}

impl SessionStore {
    /// An empty store of sessions `gap_us` apart, closed ones readable for `retention_us`.
    pub fn new(store: &Arc<Store>, gap_us: i64, retention_us: i64) -> SessionStore {
        let shared = SessionPages { store: Arc::clone(store), gap_us, pages: ArcSwap::from_pointee(Vec::new()) };
        SessionStore {
            shared: Arc::new(shared),
            open: BTreeSet::new(),
            closed: BTreeSet::new(),
            closed_to_us: i64::MIN,
            retention_us,
            rows_below_frontier: 0,
            bytes: 0,
        }
    }

    /// The same sessions in lists of their own; a session never changes, so it is shared.
    pub(crate) fn copy(&self) -> SessionStore {
        let page = |page: &Arc<Page>| {
            let copy = Page::empty(PAGE_KEYS);
            page.read(|lists| copy.write(|copies| copies.clone_from_slice(lists)));
            Arc::new(copy)
        };
        let pages: Vec<Arc<Page>> = self.shared.pages.load().iter().map(page).collect();
        let shared =
            SessionPages { store: Arc::clone(&self.shared.store), gap_us: self.shared.gap_us, pages: ArcSwap::from_pointee(pages) };
        SessionStore { shared: Arc::new(shared), open: self.open.clone(), closed: self.closed.clone(), ..*self }
    }

    /// What readers share.
    pub fn shared(&self) -> &Arc<SessionPages> {
        &self.shared
    }

    /// Rows that would have met a closed session; anything but 0 is a broken promise.
    pub fn rows_below_frontier(&self) -> u64 {
        self.rows_below_frontier
    }

    /// Merges a delta's pieces. `ids` are the replica's ids of the entries' keys.
    pub fn apply(&mut self, delta: &StoreDelta, first_us: &[i64], last_us: &[i64], ids: &[u32], keys: &mut Keys) {
        self.make_pages(keys.ids());
        for (entry, &id) in ids.iter().enumerate() {
            if last_us[entry].saturating_add(self.shared.gap_us) <= self.closed_to_us {
                self.rows_below_frontier += delta.rows[entry];
                continue;
            }
            self.join(id, self.piece(delta, entry, first_us[entry], last_us[entry]), keys);
        }
    }

    fn piece(&self, delta: &StoreDelta, entry: usize, first_us: i64, last_us: i64) -> Session {
        let cell = |(accumulator, values): (&_, &Option<AccumulatorColumn>)| {
            let mut column = AccumulatorColumn::identity(accumulator, 1);
            if let Some(values) = values {
                column.merge_cell(0, values, entry);
            }
            column
        };
        let columns = self.shared.store.accumulators.iter().zip(&delta.columns).map(cell).collect();
        Session { first_us, last_us, rows: delta.rows[entry], columns }
    }

    /// Puts a piece among the sessions of its key.
    fn join(&mut self, id: u32, mut piece: Session, keys: &mut Keys) {
        let gap = self.shared.gap_us;
        let mut list = self.shared.of(id).map_or_else(Vec::new, |list| Vec::clone(&list));
        let near = |session: &Arc<Session>| session.last_us + gap > piece.first_us && piece.last_us + gap > session.first_us;
        let from = list.iter().position(near).unwrap_or_else(|| list.partition_point(|session| session.first_us < piece.first_us));
        let to = from + list[from..].iter().take_while(|session| near(session)).count();
        if from == to {
            keys.hold(id);
        }
        for (i, joined) in list.drain(from..to).enumerate() {
            self.open.remove(&self.by_end(id, &joined));
            self.bytes -= joined.memory_bytes();
            if i > 0 {
                keys.release(id);
            }
            piece.absorb(&joined);
        }
        self.open.insert(self.by_end(id, &piece));
        self.bytes += piece.memory_bytes();
        list.insert(from, Arc::new(piece));
        self.store_list(id, list);
    }

    fn by_end(&self, id: u32, session: &Session) -> ByEnd {
        (session.last_us + self.shared.gap_us, id, session.first_us)
    }

    fn store_list(&self, id: u32, list: SessionList) {
        let pages = self.shared.pages.load();
        let mut list = (!list.is_empty()).then(|| Arc::new(list));
        // The old one is dropped after the lock.
        pages[page_of(id)].write(|lists| std::mem::swap(&mut lists[in_page(id) as usize], &mut list));
    }

    fn make_pages(&mut self, ids: usize) {
        let pages = ids.div_ceil(PAGE_KEYS);
        let shared = self.shared.pages.load();
        if pages > shared.len() {
            let mut longer = Vec::clone(&shared);
            longer.resize_with(pages, || Arc::new(Page::empty(PAGE_KEYS)));
            self.shared.pages.store(Arc::new(longer));
        }
    }

    /// Closes some of the sessions that end at or before the frontier; empty when none is left. Then retention lets go of some old ones, and
    /// `let_go` is told what keys had last that have none any more.
    pub fn close_step(&mut self, frontier: EventTime, seen: EventTime, keys: &mut Keys, let_go: Option<&mut Vec<LetGo>>) -> ClosedSessions {
        let mut closed = ClosedSessions::default();
        while closed.sessions.len() < CLOSE_MAX
            && let Some(&next) = self.open.first()
            && next.0 <= frontier.0
        {
            self.open.pop_first();
            self.closed.insert(next);
            self.closed_to_us = self.closed_to_us.max(next.0);
            let (_, id, first_us) = next;
            let list = self.shared.of(id).expect("an open session is in its key's list");
            let session = list.iter().find(|session| session.first_us == first_us).expect("by its first event time");
            closed.sessions.push((id, Arc::clone(session)));
        }
        let next = self.open.first().map(|next| next.0);
        closed.whole = closed.sessions.last().is_none_or(|(_, last)| next.is_none_or(|end| end > last.last_us + self.shared.gap_us));
        if closed.sessions.is_empty() && frontier > EventTime::MIN {
            self.closed_to_us = self.closed_to_us.max(frontier.0);
            closed.more_to_retire = self.retire(frontier.min(seen), keys, let_go);
        }
        closed
    }

    /// Drops some closed sessions that retention no longer covers; true if there may be more.
    fn retire(&mut self, frontier: EventTime, keys: &mut Keys, mut let_go: Option<&mut Vec<LetGo>>) -> bool {
        for _ in 0..CLOSE_MAX {
            let over = |&(end_us, ..): &ByEnd| end_us.saturating_add(self.retention_us) <= frontier.0;
            let Some((_, id, first_us)) = self.closed.first().copied().filter(over) else { return false };
            self.closed.pop_first();
            let mut list = self.shared.of(id).map_or_else(Vec::new, |list| Vec::clone(&list));
            let old = list.iter().position(|session| session.first_us == first_us).map(|at| list.remove(at));
            self.bytes -= old.as_ref().map_or(0, |session| session.memory_bytes());
            if let (Some(let_go), Some(session), true) = (&mut let_go, old, list.is_empty()) {
                let_go.push(LetGo { id, key: keys.key(id).into(), session });
            }
            self.store_list(id, list);
            keys.release(id);
        }
        true
    }

    /// Lets go of every key it holds; the store is being dropped.
    pub fn release_keys(&mut self, keys: &mut Keys) {
        for (_, id, _) in self.open.iter().chain(&self.closed) {
            keys.release(*id);
        }
        self.open.clear();
        self.closed.clear();
        self.bytes = 0;
        self.shared.pages.store(Arc::default());
    }

    /// All sessions kept, open and closed: (id, session).
    pub fn all(&self) -> Vec<(u32, Arc<Session>)> {
        let find = |&(_, id, first_us): &ByEnd| {
            let list = self.shared.of(id)?;
            list.iter().find(|session| session.first_us == first_us).map(|session| (id, Arc::clone(session)))
        };
        self.open.iter().chain(&self.closed).filter_map(find).collect()
    }

    /// Number of sessions kept, and bytes of them.
    pub fn size(&self) -> (usize, usize) {
        (self.open.len() + self.closed.len(), self.bytes)
    }
}

impl Session {
    /// Memory held, in bytes; the same for as long as it lives, since a session is replaced and never changed.
    fn memory_bytes(&self) -> usize {
        size_of::<Session>() + self.columns.iter().map(|column| size_of::<AccumulatorColumn>() + column.memory_bytes()).sum::<usize>()
    }

    fn absorb(&mut self, other: &Session) {
        self.first_us = self.first_us.min(other.first_us);
        self.last_us = self.last_us.max(other.last_us);
        self.rows += other.rows;
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.merge_cell(0, theirs, 0);
        }
    }
}
