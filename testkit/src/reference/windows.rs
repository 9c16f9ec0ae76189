//! Which windows hold a row: by definition, one after the other.

use super::judge::{JudgedSplit, Verdict};
use super::{KeyWindow, MetricWindows, ReferenceMetric};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use raympp_operators::expr::Expr;
use raympp_operators::keycode::encode_row;
use raympp_operators::plan::MetricPlan;
use raympp_operators::window::{Window, representable};
use raympp_types::EventTime;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// A row that counts: event time, position of the split, row of the split.
type Row = (i64, usize, usize);

/// Groups the rows that count by key and window.
pub(super) fn group(metric: &ReferenceMetric, splits: &[JudgedSplit]) -> MetricWindows {
    let plan = &metric.plan;
    let mut by_key: BTreeMap<Vec<u8>, Vec<Row>> = BTreeMap::new();
    let mut bad = 0;
    for (position, split) in splits.iter().enumerate() {
        let since = metric.since.as_ref().and_then(|since| since.get(&split.split)).map_or(0, |offset| offset.0);
        for row in (0..split.verdicts.len()).filter(|&row| split.verdicts[row] == Verdict::OnTime && split.offsets[row] >= since) {
            match key_of(plan, &split.rows.slice(row, 1), split.times_us[row]) {
                Ok(Some(key)) => by_key.entry(key).or_default().push((split.times_us[row], position, row)),
                Ok(None) => {}
                Err(Bad) => bad += 1,
            }
        }
    }
    let mut windows: Vec<KeyWindow> = by_key.into_iter().flat_map(|(key, rows)| windows_of_key(&plan.window, &key, rows)).collect();
    if let Some(since) = &metric.since
        && plan.window.has_bounds()
    {
        let seen = splits.iter().filter_map(|split| Some(split.seen_before(Some(*since.get(&split.split)?)))).max();
        windows.retain(|window| seen.is_none_or(|seen| EventTime(window.start_us) > seen));
    }
    MetricWindows { bad, windows }
}

/// The row can't be evaluated.
pub(super) struct Bad;

/// The value of an expression for a batch of one row.
pub(super) fn value(expr: &Expr, row: &RecordBatch) -> Result<ArrayRef, Bad> {
    let evaluated = expr.evaluate(row, None);
    if evaluated.errors.is_some() { Err(Bad) } else { Ok(evaluated.values) }
}

fn holds(predicate: &Expr, row: &RecordBatch) -> Result<bool, Bad> {
    let verdict = value(predicate, row)?;
    Ok(verdict.is_valid(0) && verdict.as_boolean().value(0))
}

/// Canonical bytes of the row's key; `None` if WHERE removes it.
fn key_of(plan: &MetricPlan, row: &RecordBatch, time_us: i64) -> Result<Option<Vec<u8>>, Bad> {
    if let Some(filter) = &plan.filter
        && !holds(filter, row)?
    {
        return Ok(None);
    }
    let keys = plan.keys.iter().map(|key| value(&key.expr, row)).collect::<Result<Vec<_>, Bad>>()?;
    for aggregate in &plan.aggregates {
        let passes = aggregate.filter.as_ref().map_or(Ok(true), |filter| holds(filter, row))?;
        if passes {
            aggregate.args.iter().try_for_each(|argument| value(argument, row).map(|_| ()))?;
        }
    }
    if plan.window != (Window::Global { ttl_us: None }) && !representable(time_us) {
        return Err(Bad);
    }
    let mut key = Vec::new();
    encode_row(&keys, 0, &mut key);
    Ok(Some(key))
}

fn windows_of_key(window: &Window, key: &[u8], mut rows: Vec<Row>) -> Vec<KeyWindow> {
    rows.sort_unstable();
    match window.gap_us() {
        Some(gap_us) => sessions(key, &rows, gap_us),
        None => {
            let mut found: BTreeMap<(i64, i64), Vec<Row>> = BTreeMap::new();
            for row in rows {
                for bounds in bounds_of(window, row.0) {
                    found.entry(bounds).or_default().push(row);
                }
            }
            found.into_iter().map(|(bounds, rows)| key_window(key, bounds, &rows)).collect()
        }
    }
}

/// Runs of rows, sorted by time, with less than a gap from one to the next.
fn sessions(key: &[u8], rows: &[Row], gap_us: i64) -> Vec<KeyWindow> {
    let runs = rows.chunk_by(|before, after| i128::from(after.0) - i128::from(before.0) < i128::from(gap_us));
    runs.map(|run| key_window(key, (run[0].0, run[run.len() - 1].0 + gap_us), run)).collect()
}

fn key_window(key: &[u8], (start_us, end_us): (i64, i64), rows: &[Row]) -> KeyWindow {
    let last_us = rows.iter().map(|row| row.0).max().unwrap_or(i64::MIN);
    let rows = rows.iter().map(|&(_, split, row)| (split, row)).collect();
    KeyWindow { key: key.to_vec(), start_us, end_us, last_us, rows, result: OnceCell::new() }
}

/// All windows `[start, end)` that hold an event time.
fn bounds_of(window: &Window, time_us: i64) -> Vec<(i64, i64)> {
    match *window {
        Window::Tumble { size_us, offset_us } => vec![(align(time_us, size_us, offset_us), align(time_us, size_us, offset_us) + size_us)],
        Window::Hop { slide_us, size_us, offset_us } => {
            let last_start = align(time_us, slide_us, offset_us);
            let starts = (0..).map(|i| last_start - i * slide_us).take_while(|start| time_us < start + size_us);
            starts.map(|start| (start, start + size_us)).collect()
        }
        Window::Cumulate { step_us, size_us, offset_us } => {
            let start = align(time_us, size_us, offset_us);
            let ends = (1..=size_us / step_us).map(|i| start + i * step_us).filter(|&end| time_us < end);
            ends.map(|end| (start, end)).collect()
        }
        Window::Global { .. } | Window::Session { .. } => vec![(0, 0)],
    }
}

/// The window whose last slide, step or size holds an event time.
pub(super) fn live_window(window: &Window, time_us: i64) -> (i64, i64) {
    let holding = bounds_of(window, time_us);
    holding.into_iter().min_by_key(|(_, end)| *end).unwrap_or((0, 0))
}

/// The highest `offset + i·width` that is not above a time.
fn align(time_us: i64, width_us: i64, offset_us: i64) -> i64 {
    let (time, width, offset) = (i128::from(time_us), i128::from(width_us), i128::from(offset_us));
    let below = (time - offset).rem_euclid(width);
    (time - below) as i64
}
