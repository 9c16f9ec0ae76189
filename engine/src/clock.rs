//! The one place that reads the machine's clock. Everything below the engine's edge is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall-clock time in microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the engine's edge: time enters here")]
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as u64
}
