//! What is kept of a group of rows: as little cleverness as possible, since it is what the engine is held against.

use std::collections::BTreeSet;

/// Where a row lies, which breaks ties: the lowest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Its event time.
    pub(super) time_us: i64,
    /// Its split.
    pub(super) split: u64,
    /// Rows of the split before it.
    pub(super) offset: u64,
}

/// One thing that is kept.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    /// A number of rows, or a sum.
    Sum(i128),
    /// The lowest value there was.
    Min(Option<i64>),
    /// The highest value there was.
    Max(Option<i64>),
    /// All values there were.
    Distinct(BTreeSet<i64>),
    /// Of the row with the highest value. Apart, since cells are as large as the largest of them, and there are many.
    ArgMax(Box<Highest>),
}

/// What is kept of the row with the highest value.
#[derive(Clone, Debug)]
pub(super) struct Highest {
    by: i64,
    place: Place,
    /// Another value of it.
    beside: i64,
}

impl Cell {
    /// One row, if it is one that counts.
    pub(super) fn count(counts: bool) -> Cell {
        Cell::Sum(i128::from(counts))
    }

    /// A value, if the row counts.
    pub(super) fn distinct(value: i64, counts: bool) -> Cell {
        Cell::Distinct(counts.then_some(value).into_iter().collect())
    }

    /// Another value of the row with the highest value.
    pub(super) fn arg_max(by: i64, place: Place, beside: i64) -> Cell {
        Cell::ArgMax(Box::new(Highest { by, place, beside }))
    }

    fn merge(&mut self, other: &Cell) {
        match (self, other) {
            (Cell::Sum(a), Cell::Sum(b)) => *a += b,
            (Cell::Min(a), Cell::Min(b)) => *a = [*a, *b].into_iter().flatten().min(),
            (Cell::Max(a), Cell::Max(b)) => *a = (*a).max(*b),
            (Cell::Distinct(a), Cell::Distinct(b)) => a.extend(b),
            (Cell::ArgMax(kept), Cell::ArgMax(other)) => {
                if other.by > kept.by || (other.by == kept.by && other.place < kept.place) {
                    kept.clone_from(other);
                }
            }
            _ => unreachable!("cells of one rule are of the same kinds"),
        }
    }
}

/// All that is kept of a group.
#[derive(Clone, Debug)]
pub(super) struct Cells(pub(super) Vec<Cell>);

impl Cells {
    /// Adds the rows of another group.
    pub(super) fn merge(&mut self, other: &Cells) {
        self.0.iter_mut().zip(&other.0).for_each(|(cell, other)| cell.merge(other));
    }

    /// A sum or a number of rows.
    pub(super) fn sum(&self, cell: usize) -> i128 {
        if let Cell::Sum(sum) = self.0[cell] { sum } else { unreachable!("cell {cell} is a sum") }
    }

    /// A lowest or highest value.
    pub(super) fn extreme(&self, cell: usize) -> Option<i64> {
        match &self.0[cell] {
            Cell::Min(value) | Cell::Max(value) => *value,
            Cell::ArgMax(highest) => Some(highest.by),
            Cell::Sum(_) | Cell::Distinct(_) => unreachable!("cell {cell} is an extreme"),
        }
    }

    /// Number of different values.
    pub(super) fn distinct(&self, cell: usize) -> usize {
        if let Cell::Distinct(values) = &self.0[cell] { values.len() } else { unreachable!("cell {cell} is a set") }
    }

    /// What the row with the highest value has beside it.
    pub(super) fn beside_highest(&self, cell: usize) -> i64 {
        if let Cell::ArgMax(highest) = &self.0[cell] { highest.beside } else { unreachable!("cell {cell} is of one row") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger of a million keys keeps tens of millions of them.
    #[test]
    fn cells_are_small() {
        assert_eq!(size_of::<Cell>(), 32);
    }
}
