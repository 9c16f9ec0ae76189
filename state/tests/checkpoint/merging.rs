//! Merged records against the plainest way to merge.

use crate::sample::{accumulators, keys, record, sessions};
use raympp_operators::accumulator::{Accumulator, AccumulatorColumn};
use raympp_state::checkpoint::{Pieces, Record, SessionMerge};
use std::collections::BTreeMap;

/// A piece: first and last event time, rows, one cell per accumulator.
type Piece = (i64, i64, u64, Vec<AccumulatorColumn>);

fn pieces_of(record: &Record, accumulators: &[Accumulator]) -> Vec<(Vec<u8>, Piece)> {
    let times = |entry: usize| match &record.pieces {
        Pieces::Sliced => (0, 0),
        Pieces::Sessions { first_us, last_us } => (first_us[entry], last_us[entry]),
    };
    let cell = |(accumulator, column): (&Accumulator, &Option<AccumulatorColumn>), entry: usize| {
        let mut cell = AccumulatorColumn::identity(accumulator, 1);
        column.iter().for_each(|column| cell.merge_cell(0, column, entry));
        cell
    };
    let cells = |entry: usize| accumulators.iter().zip(&record.columns).map(|pair| cell(pair, entry)).collect();
    let piece = |entry: usize| (times(entry).0, times(entry).1, record.rows[entry], cells(entry));
    record.keys.iter().enumerate().map(|(entry, key)| (key.to_vec(), piece(entry))).collect()
}

fn join(left: &Piece, right: &Piece) -> Piece {
    let mut cells = left.3.clone();
    cells.iter_mut().zip(&right.3).for_each(|(cell, other)| cell.merge_cell(0, other, 0));
    (left.0.min(right.0), left.1.max(right.1), left.2 + right.2, cells)
}

/// Joins two pieces of a key that are less than `gap_us` apart for as long as there are any.
fn plainly(records: &[&Record], accumulators: &[Accumulator], gap_us: i64) -> Vec<(Vec<u8>, Piece)> {
    let mut by_key: BTreeMap<Vec<u8>, Vec<Piece>> = BTreeMap::new();
    for (key, piece) in records.iter().flat_map(|record| pieces_of(record, accumulators)) {
        by_key.entry(key).or_default().push(piece);
    }
    let mut merged = Vec::new();
    for (key, mut pieces) in by_key {
        let touch = |a: &Piece, b: &Piece| a.0.max(b.0) - a.1.min(b.1) < gap_us;
        while let Some((i, j)) = (0..pieces.len()).flat_map(|j| (0..j).map(move |i| (i, j))).find(|&(i, j)| touch(&pieces[i], &pieces[j])) {
            let right = pieces.swap_remove(j);
            pieces[i] = join(&pieces[i], &right);
        }
        pieces.sort_by_key(|piece| piece.0);
        merged.extend(pieces.into_iter().map(|piece| (key.clone(), piece)));
    }
    merged
}

#[test]
fn slices_are_merged_by_key() {
    let accumulators = accumulators();
    for seed in 0..20 {
        let records: Vec<Record> = (0..4).map(|i| record(10 * seed + i, &keys(12), &accumulators)).collect();
        let all: Vec<&Record> = records.iter().collect();
        let merged = Record::merge(&all, None);
        assert_eq!(merged.fault(), None);
        assert!(pieces_of(&merged, &accumulators) == plainly(&all, &accumulators, 1), "seed {seed}");
        let halves = [Record::merge(&all[2..], None), Record::merge(&all[..2], None)];
        assert!(Record::merge(&[&halves[0], &halves[1]], None) == merged, "in any order and grouping, seed {seed}");
        assert!(Record::merge(&[&merged], None) == merged, "seed {seed}");
    }
}

#[test]
fn sessions_are_joined_where_they_touch() {
    let accumulators = accumulators();
    for (seed, gap_us) in (0..30).zip([1, 20, 100, 131, 500, 5000].into_iter().cycle()) {
        let records: Vec<Record> = (0..4).map(|i| sessions(10 * seed + i, &keys(4), &accumulators)).collect();
        let all: Vec<&Record> = records.iter().collect();
        let merge = SessionMerge { gap_us, over_us: None };
        let merged = Record::merge(&all, Some(merge));
        assert_eq!(merged.fault(), None);
        assert!(pieces_of(&merged, &accumulators) == plainly(&all, &accumulators, gap_us), "seed {seed}");
        let halves = [Record::merge(&[all[1], all[3]], Some(merge)), Record::merge(&[all[2], all[0]], Some(merge))];
        assert!(Record::merge(&[&halves[0], &halves[1]], Some(merge)) == merged, "in any order and grouping, seed {seed}");
    }
}

#[test]
fn sessions_that_are_over_are_left_out() {
    let accumulators = accumulators();
    for seed in 0..20 {
        let records: Vec<Record> = (0..3).map(|i| sessions(10 * seed + i, &keys(4), &accumulators)).collect();
        let all: Vec<&Record> = records.iter().collect();
        let gap_us = 150;
        let open = |piece: &(Vec<u8>, Piece), over_us: i64| piece.1.1 + gap_us > over_us;
        for over_us in [-2000, -300, 0, 111, 700] {
            let merged = Record::merge(&all, Some(SessionMerge { gap_us, over_us: Some(over_us) }));
            let expected: Vec<_> = plainly(&all, &accumulators, gap_us).into_iter().filter(|piece| open(piece, over_us)).collect();
            assert!(pieces_of(&merged, &accumulators) == expected, "seed {seed}");
        }
    }
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let mut record = sessions(1, &keys(1), &[]);
    record.pieces = Pieces::Sessions { first_us: vec![i64::MIN; record.len()], last_us: vec![i64::MAX; record.len()] };
    let merged = Record::merge(&[&record], Some(SessionMerge { gap_us: i64::MAX, over_us: Some(i64::MAX - 1) }));
    assert_eq!(merged.len(), 1);
    assert_eq!(merged.pieces, Pieces::Sessions { first_us: vec![i64::MIN], last_us: vec![i64::MAX] });
}
