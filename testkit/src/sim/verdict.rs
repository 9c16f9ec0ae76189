//! What has come out in the end against the reference: every published row exactly, once.

use super::around::Around;
use super::invariants::{Outcome, hold};
use super::process::{Process, StreamRun};
use super::start::{late_sink_of, sink_of};
use super::truth::{MetricTruth, StreamTruth};
use crate::reference::{KeyWindow, Reference, SplitRows};
use crate::rows::difference;
use crate::views::{expected, shown};
use raympp_state::replica::Counters;
use raympp_types::{KeyHash, SinkId};

/// Compares everything.
pub(super) fn check(around: &Around, process: &Process) -> Outcome {
    for (id, run) in &process.streams {
        check_stream(around, &around.truths[id], run)?;
    }
    Ok(())
}

fn check_stream(around: &Around, truth: &StreamTruth, run: &StreamRun) -> Outcome {
    let splits: Vec<SplitRows> = truth.members().map(|(_, split)| split.rows.clone()).collect();
    let reference = Reference::new(&truth.plan, &truth.reference_metrics(), &splits);
    for (position, metric) in truth.metrics.iter().enumerate().filter(|(_, metric)| metric.plan.window.has_bounds()) {
        check_metric(&reference, position, metric, published(around, sink_of(metric.id)))?;
    }
    check_views(&reference, truth, run)?;
    let mut late: Vec<String> = (0..splits.len()).flat_map(|split| reference.late_rows(split)).collect();
    late.sort_unstable();
    let differs = difference(&late, &published(around, late_sink_of(truth.id)));
    hold("late rows are published once", differs.is_none(), || format!("{}: {}", truth.id, differs.unwrap_or_default()))?;
    let primaries = || run.actors.iter().flatten().filter(|actor| actor.primary).map(|actor| actor.replica.counters());
    let sum = |of: fn(&Counters) -> u64| primaries().map(|counters| of(&counters)).sum::<u64>();
    let found = (sum(|counters| counters.late), sum(|counters| counters.bad));
    hold("rows + late + bad = offsets", found == (reference.late, reference.bad), || {
        format!("{}: late and bad are {found:?}, and should be {:?}", truth.id, (reference.late, reference.bad))
    })
}

/// What readers see of each replica, running totals and retained windows above all.
fn check_views(reference: &Reference, truth: &StreamTruth, run: &StreamRun) -> Outcome {
    for actor in run.actors.iter().flatten() {
        let (view, plan) = (actor.replica.view(), actor.replica.plan());
        let mine = |window: &&KeyWindow| truth.key_groups.partition(KeyHash::of(&window.key)) == actor.place.0;
        for (position, metric) in truth.metrics.iter().enumerate() {
            let Some(found) = plan.metrics.iter().find(|found| found.id == metric.id) else { continue };
            let expected = expected(reference, position, reference.windows(position).windows.iter().filter(mine), false);
            let differs = difference(&expected, &shown(view, found, false));
            hold("readers see what the reference says", differs.is_none(), || {
                format!("{:?}, {}: {}\n{}", actor.place, metric.plan.name, differs.unwrap_or_default(), metric.plan.definition)
            })?;
        }
    }
    Ok(())
}

/// Exact texts of what a sink has published, sorted.
fn published(around: &Around, sink: SinkId) -> Vec<String> {
    let rows = around.media.get(&sink).into_iter().flat_map(|medium| medium.visible());
    let mut texts: Vec<String> = rows.map(|row| row.text.clone()).collect();
    texts.sort_unstable();
    texts
}

fn check_metric(reference: &Reference, position: usize, metric: &MetricTruth, found: Vec<String>) -> Outcome {
    let mut expected = reference.closed_rows(position);
    if !metric.wanted {
        // Which windows had been published when it was dropped, or whether it ever came, is a matter of timing.
        expected.retain(|row| found.binary_search(row).is_ok());
    }
    let differs = difference(&expected, &found);
    hold("every published row is the reference's, once", differs.is_none(), || {
        format!("{}: {}\n{}", metric.plan.name, differs.unwrap_or_default(), metric.plan.definition)
    })
}
