//! Pieces of sessions of one store: rows of a key less than a gap apart, with first and last event time.
//!
//! They are appended as they come and joined when there are twice as many as the last time, so joining costs a few comparisons a piece, and there
//! are never more than twice as many as sessions touched, plus a few.

use crate::checkpoint::{Pieces, Record};
use crate::delta::KeyList;
use crate::keys::Keys;
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn};

/// Pieces that are worth joining.
const MANY: usize = 1024;

/// See the module.
pub(super) struct SessionPieces {
    gap_us: i64,
    ids: Vec<u32>,
    first_us: Vec<i64>,
    last_us: Vec<i64>,
    rows: Vec<u64>,
    columns: Vec<AccumulatorColumn>,
    empty: Vec<AccumulatorColumn>,
    join_at: usize,
}

impl SessionPieces {
    pub(super) fn new(accumulators: &[Accumulator], gap_us: i64) -> SessionPieces {
        let empty: Vec<AccumulatorColumn> = accumulators.iter().map(|accumulator| AccumulatorColumn::identity(accumulator, 0)).collect();
        let columns = empty.clone();
        SessionPieces {
            gap_us,
            ids: Vec::new(),
            first_us: Vec::new(),
            last_us: Vec::new(),
            rows: Vec::new(),
            columns,
            empty,
            join_at: MANY,
        }
    }

    /// Ids of the pieces' keys.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Appends a piece whose cells are those at `at` of `columns`.
    pub(super) fn push(&mut self, id: u32, (first_us, last_us): (i64, i64), rows: u64, columns: &[Option<AccumulatorColumn>], at: usize) {
        self.ids.push(id);
        self.first_us.push(first_us);
        self.last_us.push(last_us);
        self.rows.push(rows);
        for (mine, theirs) in self.columns.iter_mut().zip(columns) {
            mine.push_identity();
            if let Some(theirs) = theirs {
                mine.merge_cell(self.ids.len() - 1, theirs, at);
            }
        }
    }

    /// Joins if there are many more than the last time.
    pub(super) fn join_if_many(&mut self, released: impl FnMut(u32)) {
        if self.ids.len() >= self.join_at {
            self.join(released);
            self.join_at = (2 * self.ids.len()).max(MANY);
        }
    }

    /// Joins pieces of one key that are less than a gap apart; `released` is called with the id of each piece that is gone. Then pieces are
    /// in order of id and time.
    pub(super) fn join(&mut self, mut released: impl FnMut(u32)) {
        let mut order: Vec<u32> = (0..self.ids.len() as u32).collect();
        order.sort_unstable_by_key(|&i| (self.ids[i as usize], self.first_us[i as usize]));
        let columns = self.empty.clone();
        let mut joined = SessionPieces { columns, empty: self.empty.clone(), ..SessionPieces::new(&[], self.gap_us) };
        for i in order.into_iter().map(|i| i as usize) {
            let last = joined.ids.len().wrapping_sub(1);
            let near = joined.ids.last() == Some(&self.ids[i]) && self.first_us[i] < joined.last_us[last].saturating_add(self.gap_us);
            if near {
                joined.last_us[last] = joined.last_us[last].max(self.last_us[i]);
                joined.rows[last] += self.rows[i];
                joined.columns.iter_mut().zip(&self.columns).for_each(|(mine, theirs)| mine.merge_cell(last, theirs, i));
                released(self.ids[i]);
            } else {
                joined.ids.push(self.ids[i]);
                joined.first_us.push(self.first_us[i]);
                joined.last_us.push(self.last_us[i]);
                joined.rows.push(self.rows[i]);
                for (mine, theirs) in joined.columns.iter_mut().zip(&self.columns) {
                    mine.push_identity();
                    mine.merge_cell(last.wrapping_add(1), theirs, i);
                }
            }
        }
        *self = SessionPieces { join_at: self.join_at, ..joined };
    }

    /// As a record, sorted by key and time. To be joined before.
    pub(super) fn record(&self, keys: &Keys) -> Record {
        let mut order: Vec<u32> = (0..self.ids.len() as u32).collect();
        order.sort_unstable_by_key(|&i| (keys.key(self.ids[i as usize]), self.first_us[i as usize]));
        let mut names = KeyList::default();
        order.iter().for_each(|&i| names.push(keys.key(self.ids[i as usize])));
        let times = |times: &[i64]| order.iter().map(|&i| times[i as usize]).collect();
        let pieces = Pieces::Sessions { first_us: times(&self.first_us), last_us: times(&self.last_us) };
        let rows = order.iter().map(|&i| self.rows[i as usize]).collect();
        let columns = self.columns.iter().map(|column| Some(column.gather(&order))).collect();
        let mut record = Record { pieces, keys: names, rows, columns };
        record.drop_identities();
        record
    }
}
