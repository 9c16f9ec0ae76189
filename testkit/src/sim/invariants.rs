//! What must hold after every step, one function each. They look at the machines and at what has been seen of them, never at how either work.

use super::actor::Actor;
use super::sink::OutRow;
use raympp_coordinator::Vector;
use raympp_operators::sharing::SharedPlan;
use raympp_state::delta::{Delta, Mark, StoreDelta};
use raympp_state::result::NamedGroup;
use raympp_types::{Epoch, EventTime, Offset, SinkId, SplitId, StreamId};
use std::collections::{BTreeMap, BTreeSet};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) invariant: &'static str,
    pub(super) message: String,
}

pub(super) type Outcome<T = ()> = Result<T, Breach>;

/// Fails unless it holds.
pub(super) fn hold(invariant: &'static str, holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Breach { invariant, message: message() }) }
}

/// A mark of a split, wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MarkKind {
    Barrier(Epoch),
    Floor(EventTime),
    End,
}

impl MarkKind {
    fn of(mark: &Mark) -> MarkKind {
        match mark {
            Mark::Barrier { epoch, .. } => MarkKind::Barrier(*epoch),
            Mark::Floor(floor) => MarkKind::Floor(*floor),
            Mark::End => MarkKind::End,
        }
    }
}

/// What has been seen so far, over all processes of the life.
#[derive(Default)]
pub(super) struct Witness {
    marks: BTreeMap<(StreamId, SplitId, MarkKind), Offset>,
    maxima: BTreeMap<(StreamId, SplitId, Offset), EventTime>,
    vectors: BTreeMap<(StreamId, Epoch), Vector>,
    published: BTreeSet<(SinkId, NamedGroup)>,
    /// Up to where each sink has published.
    frontiers: BTreeMap<SinkId, EventTime>,
}

impl Witness {
    /// The process has died: what stands behind the last commit may be placed anew, and under another floor other rows leap too far to count.
    pub(super) fn go_back(&mut self, committed: Epoch, vector: &BTreeMap<(StreamId, SplitId), Offset>) {
        self.maxima.retain(|&(stream, split, at), _| vector.get(&(stream, split)).is_some_and(|&committed| at <= committed));
        self.marks.retain(|(_, _, kind), _| matches!(kind, MarkKind::Barrier(epoch) if *epoch <= committed));
        self.vectors.retain(|(_, epoch), _| *epoch <= committed);
    }

    /// A mark (split, kind, n) has one offset at all replicas.
    pub(super) fn one_offset_of_each_mark(&mut self, stream: StreamId, delta: &Delta) -> Outcome {
        let stamp = &delta.stamp;
        for mark in &stamp.marks {
            let kind = MarkKind::of(mark);
            let first = *self.marks.entry((stream, stamp.split, kind)).or_insert(stamp.to);
            hold("a mark has one offset at all replicas", first == stamp.to, || {
                format!("{stream}, {}: {kind:?} stands at {first} and at {}", stamp.split, stamp.to)
            })?;
        }
        Ok(())
    }

    /// Replayed maximum = answered maximum: whoever reads a split up to an offset has seen the same highest event time.
    pub(super) fn replayed_maximum(&mut self, stream: StreamId, delta: &Delta) -> Outcome {
        let stamp = &delta.stamp;
        let maximum = stamp.watermark.max_event_time;
        let first = *self.maxima.entry((stream, stamp.split, stamp.to)).or_insert(maximum);
        hold("replayed maximum = answered maximum", first == maximum, || {
            format!("{stream}, {} at {}: {first} and {maximum}", stamp.split, stamp.to)
        })
    }

    /// All acks of epoch n carry one V(n), and it is where the barrier stands.
    pub(super) fn one_vector(&mut self, stream: StreamId, epoch: Epoch, vector: &Vector, truth: &BTreeMap<SplitId, Offset>) -> Outcome {
        let first = self.vectors.entry((stream, epoch)).or_insert_with(|| vector.clone());
        let told: BTreeMap<SplitId, Offset> = vector.iter().copied().collect();
        hold("all acks of an epoch carry one vector", first == vector && told == *truth, || {
            format!("{stream}, {epoch}: {first:?} and {vector:?}; the barrier stands at {truth:?}")
        })
    }

    /// Each (metric, key group, window end) is published once, in the epoch whose frontier takes it in first.
    pub(super) fn published_once(&mut self, sink: SinkId, rows: &[OutRow], frontier: EventTime) -> Outcome {
        const NAME: &str = "each window is published once and whole";
        let before = self.frontiers.insert(sink, frontier).unwrap_or(EventTime::MIN);
        for group in rows.iter().filter_map(|row| row.group.as_ref()) {
            let end = EventTime(group.2);
            hold(NAME, self.published.insert((sink, group.clone())), || format!("sink {}: {group:?} is published again", sink.0))?;
            hold(NAME, before < end && end <= frontier, || {
                format!("sink {}: {group:?} is published with what ends in ({before}, {frontier}]", sink.0)
            })?;
        }
        Ok(())
    }
}

/// Σ rows + late + bad = offsets, of each delta and store that leaves no row out.
pub(super) fn all_rows_accounted_for(delta: &Delta, plan: &SharedPlan) -> Outcome {
    let offsets = delta.stamp.to.0 - delta.stamp.from.0;
    let parts = || delta.parts.iter().map(|(_, part)| part);
    let uncounted = || parts().filter_map(|part| part.uncounted.as_ref());
    let rejected: u64 = uncounted().map(|uncounted| uncounted.late + uncounted.bad).sum();
    for (position, _) in plan.live_stores().filter(|(_, store)| store.filter.is_none()) {
        let of_store = |entries: &&StoreDelta| entries.store == position;
        let rows: u64 = parts().flat_map(|part| part.entries.iter().filter(of_store)).flat_map(|entries| &entries.rows).sum();
        let bad = uncounted().flat_map(|uncounted| &uncounted.bad_by_store).filter(|(store, _)| *store == position);
        let bad: u64 = bad.map(|(_, bad)| bad).sum();
        hold("rows + late + bad = offsets", rows + rejected + bad == offsets, || {
            format!("store {position}: {rows} rows + {rejected} late or bad + {bad} not evaluated are not {:?}", delta.stamp)
        })?;
    }
    Ok(())
}

/// No delta overlaps an applied offset.
pub(super) fn no_overlap(actor: &Actor) -> Outcome {
    let violations = actor.replica.counters().violations;
    hold("no delta overlaps an applied offset", violations == 0, || format!("{:?}: {violations} deltas did", actor.place))
}

/// Rows below the frontier = 0.
pub(super) fn no_row_below_frontier(actor: &Actor) -> Outcome {
    let rows = actor.replica.counters().rows_below_frontier;
    hold("rows below the frontier = 0", rows == 0, || format!("{:?}: {rows} rows met a closed window", actor.place))
}

/// A partition has at most one primary.
pub(super) fn one_primary(replicas: &[Actor]) -> Outcome {
    let primaries = || replicas.iter().filter(|actor| actor.primary).map(|actor| actor.place);
    hold("a partition has at most one primary", primaries().count() <= 1, || format!("{:?}", primaries().collect::<Vec<_>>()))
}

/// Canonical exports of in-sync replicas are equal at equal vectors, under one plan: where all splits have ended, no chain brings it.
pub(super) fn equal_exports(replicas: &[Actor]) -> Outcome {
    let Some((first, others)) = replicas.split_first() else { return Ok(()) };
    let at = |actor: &Actor| (actor.replica.splits().clone(), actor.replica.plan_version());
    for other in others.iter().filter(|other| at(other) == at(first)) {
        let above = first.replica.frontier().max(other.replica.frontier());
        hold("exports of replicas are equal at equal vectors", first.replica.export(above) == other.replica.export(above), || {
            format!("{:?} and {:?} differ above {above}", first.place, other.place)
        })?;
    }
    Ok(())
}

/// Trim ≤ min(applied of replicas in sync, V(committed)): a split is never read from an offset that its source has forgotten.
pub(super) fn nothing_needed_is_forgotten(place: (StreamId, SplitId), opened: Offset, forgotten: Offset) -> Outcome {
    hold("trim ≤ min(applied of replicas in sync, V(committed))", opened >= forgotten, || {
        format!("{place:?} goes on at {opened}, and the source has forgotten up to {forgotten}")
    })
}
