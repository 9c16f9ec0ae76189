//! Which blocks make a window: arithmetic on slice numbers, so that its exactness and its length can be tested by themselves.
//!
//! What inverts is the running block at the settled edge, less the slices that have left, plus those that have entered, if that is
//! shorter than adding the slices up. What does not invert is nodes below the edge and slices above it. For the live window each is at most
//! 2·log₂(size/slide) merges and the quiet slices, because the edge follows the highest event time.

use crate::sliced::cover;

/// Which accumulators an addition is about. Row counts go with what inverts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    All,
    Inverting,
    Others,
}

impl Part {
    /// What two parts have in common, if anything.
    pub(super) fn and(self, other: Part) -> Option<Part> {
        match (self, other) {
            (Part::All, part) | (part, Part::All) => Some(part),
            (one, other) => (one == other).then_some(one),
        }
    }

    pub(super) fn takes(self, inverts: bool) -> bool {
        match self {
            Part::All => true,
            Part::Inverting => inverts,
            Part::Others => !inverts,
        }
    }
}

/// Where values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the running block at the settled edge.
    Running,
    /// In a node of this level and number; level 0: a slice.
    Node(usize, i64),
    /// In slices `from..to`.
    Slices(i64, i64),
}

/// Something to be added, or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub source: Source,
    pub part: Part,
    pub negative: bool,
}

impl Piece {
    fn plus(source: Source, part: Part) -> Piece {
        Piece { source, part, negative: false }
    }

    /// How many blocks it is at most.
    pub(super) fn merges(&self) -> i64 {
        match self.source {
            Source::Running | Source::Node(..) => 1,
            Source::Slices(from, to) => (to - from).max(0),
        }
    }
}

/// What a tier of a page has to offer to a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Slices below this are settled.
    pub edge: i64,
    /// First slice of the running block at the edge, if there is one.
    pub running_from: Option<i64>,
    /// The running block holds all of the metric's accumulators, and can't be taken from.
    pub running_is_whole: bool,
    /// Levels of nodes.
    pub levels: usize,
    /// The metric has accumulators that do not invert.
    pub others: bool,
}

impl Layout {
    /// The pieces of window `from..to`.
    pub(super) fn pieces(&self, from: i64, to: i64) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(32);
        let edge = self.edge.clamp(from, to);
        match self.running_from.filter(|&first| self.is_shorter(first, from, to)) {
            Some(_) if self.running_is_whole => pieces.push(Piece::plus(Source::Running, Part::All)),
            Some(first) => {
                pieces.push(Piece::plus(Source::Running, Part::Inverting));
                pieces.push(Piece { source: Source::Slices(first, from), part: Part::Inverting, negative: true });
                self.push_others(&mut pieces, from, edge);
            }
            None if self.levels == 0 => pieces.push(Piece::plus(Source::Slices(from, edge), Part::All)),
            None => {
                pieces.push(Piece::plus(Source::Slices(from, edge), Part::Inverting));
                self.push_others(&mut pieces, from, edge);
            }
        }
        pieces.push(Piece::plus(Source::Slices(edge, to), Part::All));
        pieces
    }

    fn push_others(&self, pieces: &mut Vec<Piece>, from: i64, to: i64) {
        if self.others {
            pieces
                .extend(cover(from, to, self.levels).into_iter().map(|(level, node)| Piece::plus(Source::Node(level, node), Part::Others)));
        }
    }

    /// True if the running block can be used for a window, and saves merges.
    fn is_shorter(&self, first: i64, from: i64, to: i64) -> bool {
        let usable = if self.running_is_whole { first == from } else { first <= from };
        usable && (from..=to).contains(&self.edge) && (from - first) + 1 < self.edge - from
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sliced::QUIET_SLICES;
    use std::collections::BTreeMap;

    /// How often each slice is counted, for what inverts or for the others.
    fn counted(layout: &Layout, pieces: &[Piece], inverts: bool) -> BTreeMap<i64, i32> {
        let mut counted = BTreeMap::new();
        for piece in pieces.iter().filter(|piece| piece.part.takes(inverts)) {
            let (from, to) = match piece.source {
                Source::Running => (layout.running_from.expect("there is one"), layout.edge),
                Source::Node(level, node) => {
                    assert!(level == 0 || (node + 1) << level <= layout.edge, "nodes lie below the edge");
                    (node << level, (node + 1) << level)
                }
                Source::Slices(from, to) => (from, to),
            };
            (from..to).for_each(|slice| *counted.entry(slice).or_default() += if piece.negative { -1 } else { 1 });
        }
        counted.retain(|_, times| *times != 0);
        counted
    }

    fn check(layout: &Layout, from: i64, to: i64) {
        let pieces = layout.pieces(from, to);
        for inverts in [true, false] {
            if inverts || layout.others {
                let expected: BTreeMap<i64, i32> = (from..to).map(|slice| (slice, 1)).collect();
                assert_eq!(counted(layout, &pieces, inverts), expected, "{from}..{to} of {layout:?}: {pieces:?}");
            }
        }
    }

    #[test]
    fn pieces_make_the_window_exactly_wherever_the_edge_is() {
        for size in [1, 2, 3, 8, 60] {
            let levels = i64::ilog2(size) as usize;
            for (from, edge) in (-9..9).step_by(2).flat_map(|from| (from - size - 3..from + size + 20).map(move |edge| (from, edge))) {
                for others in [false, true] {
                    let hop = Layout { edge, running_from: Some(edge - size), running_is_whole: false, levels, others };
                    check(&hop, from, from + size);
                    check(&Layout { running_from: None, ..hop }, from, from + size);
                    check(&Layout { levels: 0, ..hop }, from, from + size);
                    let start = edge.div_euclid(size) * size;
                    let cumulate = Layout { running_from: Some(start), running_is_whole: true, ..hop };
                    (from + 1..=from + size).for_each(|to| check(&cumulate, from, to));
                }
            }
        }
    }

    #[test]
    fn a_live_window_is_a_few_pieces_however_long_it_is() {
        for size in (1..300).chain([1_000, 3_600, 86_400]) {
            let levels = i64::ilog2(size) as usize;
            for (head, behind) in (5_000..5_070).flat_map(|head| (0..=QUIET_SLICES).map(move |behind| (head, behind))) {
                let (to, edge) = (head + 1, head + 1 - behind);
                let hop = Layout { edge, running_from: Some(edge - size), running_is_whole: false, levels, others: true };
                let pieces = hop.pieces(to - size, to);
                let merges = |inverts: bool| pieces.iter().filter(|piece| piece.part.takes(inverts)).map(Piece::merges).sum::<i64>();
                let (inverting, others) = (merges(true), merges(false));
                assert!(inverting <= 1 + 2 * QUIET_SLICES, "{inverting} merges of what inverts for {size} slices");
                let most = 2 * i64::from(i64::ilog2(size)) + QUIET_SLICES;
                assert!(others <= most.max(size), "{others} merges of what does not invert for {size} slices");
            }
        }
    }
}
