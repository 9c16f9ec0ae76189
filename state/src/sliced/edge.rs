//! A base boundary seen from a tier: which of the tier's slices end at or before it, and which of these a running block holds there.

use super::NEVER;
use raympp_operators::sharing::{Store, Tier};
use raympp_operators::window::{Window, slice_of, slice_start};

/// The first slice of a tier that does not end at or before base boundary `boundary`; [`NEVER`] for no boundary.
pub(crate) fn edge_in(store: &Store, tier: &Tier, boundary: i64) -> i64 {
    if boundary == NEVER {
        return NEVER;
    }
    let base = &store.tiers[0];
    slice_of(slice_start(boundary, base.width_us, base.offset_us), tier.width_us, tier.offset_us)
}

/// A window of one slice is that slice; others keep a running block.
pub(crate) fn keeps_running(window: &Window) -> bool {
    match *window {
        Window::Hop { slide_us, size_us, .. } => size_us > slide_us,
        Window::Cumulate { step_us, size_us, .. } => size_us > step_us,
        _ => false,
    }
}

/// The first slice that a running block holds whose last one is `edge − 1`: all of a hop's window that ends there; of a cumulate, what
/// has ended of the window that holds slice `edge`.
pub(crate) fn running_from(tier: &Tier, window: &Window, edge: i64) -> i64 {
    let at_us = slice_start(edge, tier.width_us, tier.offset_us);
    let end_us = match *window {
        Window::Cumulate { step_us, .. } => at_us + step_us,
        _ => at_us,
    };
    slice_of(window.start_of_window_ending(end_us), tier.width_us, tier.offset_us)
}
