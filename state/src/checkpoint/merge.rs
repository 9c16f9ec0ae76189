//! Merging records of one (store, slice) into one.
//!
//! First the order of the result is settled by a merge of the sorted inputs, which says for each entry of each input where it goes; then
//! each column is merged on its own, input by input. Merging accumulators is commutative and associative, so the result is the record
//! that would have come of all epochs at once. Pieces of sessions of one key less than the gap apart are one piece, as replicas have it: what results
//! are the connected components, whatever the inputs. Cost: a comparison of keys per entry and level of a heap of inputs, and one merge per cell.

use super::record::{Pieces, Record};
use crate::delta::KeyList;
use raympp_operators::accumulator::AccumulatorColumn;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How pieces of sessions come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionMerge {
    /// Pieces of one key less than this apart are one.
    pub gap_us: i64,
    /// Sessions that have ended (their last row and the gap) at or before this time are left out. Only for a merge that has all of a key's pieces up to
    /// some epoch: any other record may hold a part of a longer session.
    pub over_us: Option<i64>,
}

/// The entry goes nowhere.
const DROPPED: u32 = u32::MAX;

/// Where the entries of the result come from.
struct Layout {
    keys: KeyList,
    first_us: Vec<i64>,
    last_us: Vec<i64>,
    /// By input and entry: its place in the result.
    places: Vec<Vec<u32>>,
}

/// What entries are ordered by, and whose it is.
type Head<'a> = (&'a [u8], i64, usize, usize);

impl Record {
    /// The record that holds what these hold together. They are of one store and slice; `sessions` is given for a session store.
    ///
    /// # Panics
    /// If the records are of different stores and that shows, or hold 2^32 entries together.
    pub fn merge(records: &[&Record], sessions: Option<SessionMerge>) -> Record {
        let layout = match sessions {
            None => Layout::of_slices(records),
            Some(merge) => Layout::of_sessions(records, merge),
        };
        let length = layout.keys.len();
        let mut rows = vec![0u64; length];
        for (record, places) in records.iter().zip(&layout.places) {
            for (&place, &count) in places.iter().zip(&record.rows) {
                if place != DROPPED {
                    rows[place as usize] = rows[place as usize].wrapping_add(count);
                }
            }
        }
        let width = records.iter().map(|record| record.columns.len()).max().unwrap_or_default();
        let columns = (0..width).map(|column| layout.merge_column(records, column)).collect();
        let pieces = match sessions {
            None => Pieces::Sliced,
            Some(_) => Pieces::Sessions { first_us: layout.first_us, last_us: layout.last_us },
        };
        let mut merged = Record { pieces, keys: layout.keys, rows, columns };
        merged.drop_identities();
        merged
    }
}

impl Layout {
    fn new(records: &[&Record]) -> Layout {
        let entries: usize = records.iter().map(|record| record.len()).sum();
        assert!(entries < DROPPED as usize, "records are merged long before they hold 2^32 entries");
        let places = records.iter().map(|record| vec![DROPPED; record.len()]).collect();
        Layout { keys: KeyList::default(), first_us: Vec::new(), last_us: Vec::new(), places }
    }

    /// The place that the next key gets.
    fn next(&self) -> u32 {
        self.keys.len() as u32
    }

    fn of_slices(records: &[&Record]) -> Layout {
        let mut layout = Layout::new(records);
        let mut last: Option<&[u8]> = None;
        in_order(records, |(key, _, input, entry)| {
            if last != Some(key) {
                layout.keys.push(key);
                last = Some(key);
            }
            layout.places[input][entry] = layout.next() - 1;
        });
        layout
    }

    fn of_sessions(records: &[&Record], merge: SessionMerge) -> Layout {
        let mut layout = Layout::new(records);
        let mut open: Option<Piece> = None;
        in_order(records, |(key, first_us, input, entry)| {
            let last_us = last_of(records[input], entry);
            match &mut open {
                Some(piece) if piece.key == key && first_us.saturating_sub(piece.last_us) < merge.gap_us => {
                    piece.last_us = piece.last_us.max(last_us);
                    piece.members.push((input, entry));
                }
                _ => {
                    let next = Piece { key, first_us, last_us, members: vec![(input, entry)] };
                    layout.close(open.replace(next), merge);
                }
            }
        });
        layout.close(open, merge);
        layout
    }

    /// Gives a piece that nothing more joins its place.
    fn close(&mut self, piece: Option<Piece>, merge: SessionMerge) {
        let Some(piece) = piece else { return };
        if merge.over_us.is_some_and(|over_us| piece.last_us.saturating_add(merge.gap_us) <= over_us) {
            return;
        }
        for &(input, entry) in &piece.members {
            self.places[input][entry] = self.next();
        }
        self.keys.push(piece.key);
        self.first_us.push(piece.first_us);
        self.last_us.push(piece.last_us);
    }

    fn merge_column(&self, records: &[&Record], number: usize) -> Option<AccumulatorColumn> {
        let of = |record: &&Record| Some(record.columns.get(number)?.as_ref()?.gather(&[]));
        // Without cells, a column still says which shape it has.
        let mut merged = records.iter().find_map(of)?;
        (0..self.keys.len()).for_each(|_| merged.push_identity());
        for (record, places) in records.iter().zip(&self.places) {
            let Some(Some(column)) = record.columns.get(number) else { continue };
            for (entry, &place) in places.iter().enumerate() {
                if place != DROPPED {
                    merged.merge_cell(place as usize, column, entry);
                }
            }
        }
        Some(merged)
    }
}

/// A session as far as it is known.
struct Piece<'a> {
    key: &'a [u8],
    first_us: i64,
    last_us: i64,
    members: Vec<(usize, usize)>,
}

fn first_of(record: &Record, entry: usize) -> i64 {
    match &record.pieces {
        Pieces::Sliced => 0,
        Pieces::Sessions { first_us, .. } => first_us[entry],
    }
}

fn last_of(record: &Record, entry: usize) -> i64 {
    match &record.pieces {
        Pieces::Sliced => 0,
        Pieces::Sessions { last_us, .. } => last_us[entry],
    }
}

/// All entries by key, then first event time.
fn in_order<'a>(records: &[&'a Record], mut visit: impl FnMut(Head<'a>)) {
    let head = |input: usize, entry: usize| -> Option<Reverse<Head<'a>>> {
        let record: &'a Record = records[input];
        (entry < record.len()).then(|| Reverse((record.keys.get(entry), first_of(record, entry), input, entry)))
    };
    let mut heads: BinaryHeap<Reverse<Head<'a>>> = (0..records.len()).filter_map(|input| head(input, 0)).collect();
    while let Some(Reverse(lowest)) = heads.pop() {
        visit(lowest);
        heads.extend(head(lowest.2, lowest.3 + 1));
    }
}
