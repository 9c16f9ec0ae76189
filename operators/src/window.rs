//! All window arithmetic. Times and lengths are in microseconds; windows and slices are half-open `[start, end)`.
//!
//! A sliced window (tumble, hop, cumulate) is a union of consecutive *slices* of one width: the slide, the step or the size. Slice
//! `i` covers `[offset + i·width, offset + (i+1)·width)`, so boundaries are `offset` modulo the width, aligned to 1970-01-01 by floor
//! division, also before 1970. Invariant: [`WINDOW_SIZE_MAX_US`] and [`representable`] keep every sum here inside 64 bits, so nothing
//! below checks for overflow.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest window, gap, slide and offset: 2^53 microseconds, about 285 years.
pub const WINDOW_SIZE_MAX_US: i64 = 1 << 53;

/// True iff every window that holds this event time has bounds inside 64 bits, whatever the metric: at least
/// 2·[`WINDOW_SIZE_MAX_US`] away from both ends of the range. Other rows are bad rows of each windowed metric.
pub fn representable(event_time_us: i64) -> bool {
    const MARGIN_US: i64 = 2 * WINDOW_SIZE_MAX_US;
    (i64::MIN + MARGIN_US..=i64::MAX - MARGIN_US).contains(&event_time_us)
}

/// How rows of a key are put into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Window {
    /// TUMBLE: windows of `size_us` side by side.
    Tumble {
        /// Length of a window.
        size_us: i64,
        /// Shift from 1970-01-01.
        offset_us: i64,
    },
    /// HOP: a window of `size_us` ends at each multiple of `slide_us`.
    Hop {
        /// From one window to the next; divides the size.
        slide_us: i64,
        /// Length of a window.
        size_us: i64,
        /// Shift from 1970-01-01.
        offset_us: i64,
    },
    /// CUMULATE: windows that start together each `size_us` and end `step_us` after one another.
    Cumulate {
        /// From one window's end to the next; divides the size.
        step_us: i64,
        /// Length of the longest window.
        size_us: i64,
        /// Shift from 1970-01-01.
        offset_us: i64,
    },
    /// SESSION: rows of one key less than `gap_us` apart share a window, which ends `gap_us` after its last row.
    Session {
        /// Least distance between the rows of two windows.
        gap_us: i64,
    },
    /// No window: a running total per key, anew after `ttl_us` without a row if that is set (a session of that gap).
    Global {
        /// Idle time in event time after which the group starts anew.
        ttl_us: Option<i64>,
    },
}

/// Number of the slice of this width and offset that holds `event_time_us`.
pub fn slice_of(event_time_us: i64, width_us: i64, offset_us: i64) -> i64 {
    (event_time_us - offset_us).div_euclid(width_us)
}

/// Start of slice `slice`.
pub fn slice_start(slice: i64, width_us: i64, offset_us: i64) -> i64 {
    slice * width_us + offset_us
}

impl Window {
    /// True for tumble, hop and cumulate.
    pub fn is_sliced(&self) -> bool {
        self.slice_width_us().is_some()
    }

    /// True if result rows have window_start and window_end.
    pub fn has_bounds(&self) -> bool {
        !matches!(self, Window::Global { .. })
    }

    /// Width of the slices this window is assembled from: the size of a tumble, the slide of a hop, the step of a cumulate.
    pub fn slice_width_us(&self) -> Option<i64> {
        match *self {
            Window::Tumble { size_us, .. } => Some(size_us),
            Window::Hop { slide_us, .. } => Some(slide_us),
            Window::Cumulate { step_us, .. } => Some(step_us),
            Window::Session { .. } | Window::Global { .. } => None,
        }
    }

    /// Shift of a sliced window's boundaries, reduced to `0..slice width` where only slices matter; 0 for the others.
    pub fn offset_us(&self) -> i64 {
        match *self {
            Window::Tumble { offset_us, .. } | Window::Hop { offset_us, .. } | Window::Cumulate { offset_us, .. } => offset_us,
            Window::Session { .. } | Window::Global { .. } => 0,
        }
    }

    /// The gap of a session, or of a running total with a time to live.
    pub fn gap_us(&self) -> Option<i64> {
        match *self {
            Window::Session { gap_us } => Some(gap_us),
            Window::Global { ttl_us } => ttl_us,
            _ => None,
        }
    }

    /// Length of the longest window of the shape; the gap of a session; 0 without a window.
    pub fn size_us(&self) -> i64 {
        match *self {
            Window::Tumble { size_us, .. } | Window::Hop { size_us, .. } | Window::Cumulate { size_us, .. } => size_us,
            Window::Session { gap_us } => gap_us,
            Window::Global { .. } => 0,
        }
    }

    /// Start of the sliced window that ends at `end_us`, which is a slice boundary of this shape.
    pub fn start_of_window_ending(&self, end_us: i64) -> i64 {
        match *self {
            Window::Tumble { size_us, .. } | Window::Hop { size_us, .. } => end_us - size_us,
            Window::Cumulate { step_us, size_us, offset_us } => {
                slice_start(slice_of(end_us - step_us, size_us, offset_us), size_us, offset_us)
            }
            Window::Session { .. } | Window::Global { .. } => unreachable!("only sliced windows end at boundaries"),
        }
    }

    /// End of the live window of a sliced shape: the one whose last slice holds the highest event time.
    pub fn live_end(&self, max_event_time_us: i64) -> i64 {
        let width = self.slice_width_us().expect("a sliced window");
        slice_start(slice_of(max_event_time_us, width, self.offset_us()) + 1, width, self.offset_us())
    }

    /// All sliced windows `(start, end)` that hold an event time, by ascending end.
    pub fn windows_of(&self, event_time_us: i64) -> impl Iterator<Item = (i64, i64)> + use<> {
        let window = *self;
        let width = window.slice_width_us().expect("a sliced window");
        let first_end = window.live_end(event_time_us);
        let last_end = match window {
            Window::Cumulate { size_us, .. } => window.start_of_window_ending(first_end) + size_us,
            _ => first_end - width + window.size_us(),
        };
        (0..=(last_end - first_end) / width).map(move |i| {
            let end = first_end + i * width;
            (window.start_of_window_ending(end), end)
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |us: i64| raympp_types::text::format_interval(&raympp_types::Interval { months: 0, days: 0, micros: us });
        let shift = |us: i64| if us == 0 { String::new() } else { format!(", offset {}", span(us)) };
        match *self {
            Window::Tumble { size_us, offset_us } => write!(f, "TUMBLE size {}{}", span(size_us), shift(offset_us)),
            Window::Hop { slide_us, size_us, offset_us } => {
                write!(f, "HOP slide {}, size {}{}", span(slide_us), span(size_us), shift(offset_us))
            }
            Window::Cumulate { step_us, size_us, offset_us } => {
                write!(f, "CUMULATE step {}, size {}{}", span(step_us), span(size_us), shift(offset_us))
            }
            Window::Session { gap_us } => write!(f, "SESSION gap {}", span(gap_us)),
            Window::Global { ttl_us: None } => write!(f, "no window"),
            Window::Global { ttl_us: Some(ttl) } => write!(f, "no window, ttl {}", span(ttl)),
        }
    }
}
