//! Event time: when something happened, as the row says. Never the clock of this machine.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Microseconds since 1970-01-01 00:00:00 UTC, negative before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before every event: the watermark of a split that has shown no row.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// After every event: the watermark of a split that has ended.
    pub const MAX: EventTime = EventTime(i64::MAX);

    /// This time less `micros`, stopping at [`EventTime::MIN`]; `MIN` and `MAX` stay what they are.
    pub fn minus(self, micros: i64) -> EventTime {
        match self {
            Self::MIN | Self::MAX => self,
            EventTime(t) => EventTime(t.saturating_sub(micros)),
        }
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("-infinity"),
            Self::MAX => f.write_str("infinity"),
            EventTime(t) => f.write_str(&crate::text::format_timestamp(t)),
        }
    }
}
