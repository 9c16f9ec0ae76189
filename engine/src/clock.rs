//! The one place that reads the machine's clock. Everything below the engine's edge is told the time.

use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time in microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the engine's edge: time enters here")]
pub(crate) fn machine_now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as u64
}

/// Asks again and again whether it is `over`, for so long of the machine's time at most: true if it was.
#[expect(clippy::disallowed_methods, reason = "the engine's edge: time enters here")]
pub(crate) fn spin(longest: Duration, over: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if over() {
            return true;
        }
        if started.elapsed() >= longest {
            return false;
        }
        std::hint::spin_loop();
    }
}

/// Where an engine's time comes from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Clock {
    /// The machine.
    #[default]
    Machine,
    /// A test or a simulation.
    Manual(ManualClock),
}

impl Clock {
    /// Wall-clock time in microseconds since 1970.
    pub(crate) fn now_us(&self) -> u64 {
        match self {
            Clock::Machine => machine_now_us(),
            Clock::Manual(clock) => clock.now_us(),
        }
    }
}

/// Told the new time; answers false when it is not interested any more.
type Listener = Box<dyn Fn(u64) -> bool + Send + Sync>;

/// A clock that moves only when it is told to, for tests and simulations: `Engine::builder().clock(clock.clone())`. Clones show the same
/// time. It paces generators, flushes, barriers and idle splits; sinks publish by the machine's clock all the same.
#[derive(Clone, Default)]
pub struct ManualClock {
    shared: Arc<Manual>,
}

#[derive(Default)]
struct Manual {
    now_us: AtomicU64,
    listeners: Mutex<Vec<Listener>>,
}

impl ManualClock {
    /// A clock that shows so many microseconds since 1970.
    pub fn new(now_us: u64) -> ManualClock {
        let clock = ManualClock::default();
        clock.shared.now_us.store(now_us, Ordering::SeqCst);
        clock
    }

    /// What it shows, in microseconds since 1970.
    pub fn now_us(&self) -> u64 {
        self.shared.now_us.load(Ordering::SeqCst)
    }

    /// Moves it forward and lets the engines that run by it know.
    pub fn advance(&self, by: Duration) {
        let mut listeners = self.shared.listeners.lock();
        let by_us = by.as_micros() as u64;
        let now_us = self.shared.now_us.fetch_add(by_us, Ordering::SeqCst) + by_us;
        listeners.retain(|listener| listener(now_us));
    }

    pub(crate) fn listen(&self, listener: impl Fn(u64) -> bool + Send + Sync + 'static) {
        self.shared.listeners.lock().push(Box::new(listener));
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock({} us)", self.now_us())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_spin_ends_when_it_is_over_or_has_lasted() {
        let asked = Cell::new(0);
        let over = || asked.replace(asked.get() + 1) == 3;
        assert!(spin(Duration::MAX, over));
        assert_eq!(asked.get(), 4);
        assert!(!spin(Duration::ZERO, || false));
        assert!(spin(Duration::ZERO, || true), "it is asked once at least");
        assert!(!spin(Duration::from_micros(50), || false));
    }
}
