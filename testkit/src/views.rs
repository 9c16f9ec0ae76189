//! What readers see of a replica, and what the reference says they should: sorted texts of rows with their flags.

use crate::reference::{KeyWindow, Reference};
use crate::rows::row_text;
use raympp_operators::sharing::SharedMetric;
use raympp_state::view::ReplicaView;

/// What a scan of a metric shows. `live_only`: of live windows.
pub fn shown(view: &ReplicaView, metric: &SharedMetric, live_only: bool) -> Vec<String> {
    let mut rows = Vec::new();
    for scanned in view.scan(metric, live_only) {
        assert_eq!(scanned.live.len(), scanned.rows.batch.num_rows(), "each row says whether its window is live");
        let text = |(row, live)| format!("closed={} live={live} {}", scanned.closed, row_text(&scanned.rows.batch, row));
        rows.extend(scanned.live.iter().enumerate().map(text));
    }
    rows.sort_unstable();
    rows
}

/// What it should show of metric number `metric`: of these windows, those that are readable.
pub fn expected<'a>(reference: &Reference, metric: usize, windows: impl Iterator<Item = &'a KeyWindow>, live_only: bool) -> Vec<String> {
    let is_shown = |window: &&KeyWindow| reference.is_readable(metric, window) && (!live_only || reference.is_live(metric, window));
    let text = |window: &KeyWindow| {
        let row = reference.result(metric, window).row.as_ref()?;
        Some(format!("closed={} live={} {row}", reference.is_closed(metric, window), reference.is_live(metric, window)))
    };
    let mut rows: Vec<String> = windows.filter(is_shown).filter_map(text).collect();
    rows.sort_unstable();
    rows
}
