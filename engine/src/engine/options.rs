//! How an engine is set up.

use super::Engine;
use crate::clock::{Clock, ManualClock};
use crate::error::{Error, Result};
use crate::flush::{FlushOptions, LINGER_MAX_US};
use crate::plant::{Place, Plant};
use crate::saved_checkpoints::Loss;
use raympp_state::fold::FLUSH_ROWS_MAX;
use raympp_types::KeyGroups;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::panic::RefUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Options in force.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    pub(crate) threads: usize,
    /// If they were asked for.
    pub(crate) partitions: Option<u32>,
    pub(crate) key_groups: u32,
    pub(crate) replicas: usize,
    pub(crate) flush: FlushOptions,
    pub(crate) pin_threads: bool,
    pub(crate) spin: Duration,
    pub(crate) barrier_interval_us: u64,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) keep_checkpoints: usize,
    pub(crate) checkpoint_url: Option<String>,
    pub(crate) fall_back: bool,
    pub(crate) loss: Loss,
    /// Metrics that do not go on with what the checkpoint has of them.
    pub(crate) reset_metrics: Arc<BTreeSet<String>>,
    pub(crate) clock: Clock,
    pub(crate) plant: Plant,
}

/// Sets options before the engine starts.
#[derive(Clone, Debug, Default)]
pub struct EngineBuilder {
    threads: Option<usize>,
    partitions: Option<u32>,
    key_groups: Option<u32>,
    replicas: Option<usize>,
    flush_rows: Option<u64>,
    flush_delay_us: Option<u64>,
    pin_threads: bool,
    spin_us: u64,
    barrier_interval_us: Option<u64>,
    state_dir: Option<PathBuf>,
    keep_checkpoints: Option<usize>,
    checkpoint_url: Option<String>,
    fall_back: bool,
    accept_loss: bool,
    reset_metrics: BTreeSet<String>,
    clock: Clock,
    plant: Plant,
}

impl EngineBuilder {
    /// Threads that do the work, one core loop each. Default: the machine's cores.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Partitions of each stream. Results do not depend on it. Default: one per thread; a stream that goes on from a checkpoint keeps those it had.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Key groups of each stream, at least as many as partitions, at most 65,536. Default: 256, or as many as there are partitions.
    pub fn key_groups(mut self, key_groups: u32) -> Self {
        self.key_groups = Some(key_groups);
        self
    }

    /// Replicas of each partition, 1 or 2. With 2, a standby takes over when a primary breaks, and a broken standby is made anew: neither shows in
    /// results. Default: 1.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// Rows folded into one delta at most. Results do not depend on it. Default: 1,048,576.
    pub fn flush_rows(mut self, rows: u64) -> Self {
        self.flush_rows = Some(rows);
        self
    }

    /// How long a row may wait for its delta while more rows come, in microseconds; when none come, it waits for at most 1,000 of them, and that only
    /// behind a delta of a thousand entries or more. Default: 5,000.
    pub fn flush_delay_us(mut self, micros: u64) -> Self {
        self.flush_delay_us = Some(micros);
        self
    }

    /// Binds each thread to one core of the machine. Default: false.
    pub fn pin_threads(mut self, pin: bool) -> Self {
        self.pin_threads = pin;
        self
    }

    /// How long a thread that has nothing to do looks for work before it sleeps, in microseconds. A processor without work takes a while to wake, a virtual one
    /// sometimes milliseconds; with a spin longer than the time from one push to the next it never sleeps, and is always busy. Worth it where each thread has a
    /// processor and answers must be fresh. Default: 0.
    pub fn spin_us(mut self, micros: u64) -> Self {
        self.spin_us = micros;
        self
    }

    /// Time from one barrier to the next, in microseconds: with a state directory, from one checkpoint to the next. Default: 1,000,000.
    pub fn barrier_interval_us(mut self, micros: u64) -> Self {
        self.barrier_interval_us = Some(micros);
        self
    }

    /// Keeps checkpoints in this directory, made if it is not there, and goes on from the newest one in it. Default: nothing outlives the
    /// engine.
    pub fn state_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(directory.into());
        self
    }

    /// Goes on from the newest checkpoint that is whole if newer ones are damaged, which is logged; everything is read once to find out. Sinks do not
    /// publish again what they have published. Default: a damaged checkpoint is an error.
    pub fn fall_back(mut self, fall_back: bool) -> Self {
        self.fall_back = fall_back;
        self
    }

    /// Falling back to an older checkpoint may lose rows that producers have pushed behind it and may have forgotten. Default: it is refused then, and the
    /// error names the rows.
    pub fn accept_loss(mut self, accept_loss: bool) -> Self {
        self.accept_loss = accept_loss;
        self
    }

    /// Starts this metric anew at the checkpoint that the run goes on from: needed where its definition has changed so that what the checkpoint has
    /// of it means something else. It then counts as one that is added there. May be called several times.
    pub fn reset_metric(mut self, metric: impl Into<String>) -> Self {
        self.reset_metrics.insert(metric.into());
        self
    }

    /// Newest checkpoints that stay restorable, at least one. Default: 10.
    pub fn keep_checkpoints(mut self, checkpoints: usize) -> Self {
        self.keep_checkpoints = Some(checkpoints);
        self
    }

    /// Copies each checkpoint to this place as well, `s3://bucket/prefix` or `file:///directory`, and publishes an epoch when it is durable there. With an
    /// empty state directory the run goes on from the newest checkpoint of the place. For S3, the usual variables say who and where: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`. Needs a state directory. Default: none.
    pub fn checkpoint_url(mut self, url: impl Into<String>) -> Self {
        self.checkpoint_url = Some(url.into());
        self
    }

    /// Runs by a clock that the caller moves. Default: the machine's clock.
    pub fn clock(mut self, clock: ManualClock) -> Self {
        self.clock = Clock::Manual(clock);
        self
    }

    /// For tests: a hook that is told where tasks and actors are, and may panic there. Default: none.
    #[doc(hidden)]
    pub fn plant(mut self, hook: impl Fn(Place) + Send + Sync + RefUnwindSafe + 'static) -> Self {
        self.plant = Plant::new(hook);
        self
    }

    /// Starts the engine's threads.
    ///
    /// # Errors
    /// [`Error::Refused`] if an option is out of its range, [`Error::Checkpoint`] if the state directory can't be used.
    pub fn build(self) -> Result<Engine> {
        self.options().and_then(Engine::start)
    }

    /// The options in force, checked.
    pub(crate) fn options(self) -> Result<EngineOptions> {
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
        let partitions = self.partitions.unwrap_or(threads as u32);
        let key_groups = self.key_groups.unwrap_or(KeyGroups::GROUPS_DEFAULT.max(partitions));
        let replicas = self.replicas.unwrap_or(1);
        let flush_rows = self.flush_rows.unwrap_or(1 << 20);
        let groups_max = u64::from(KeyGroups::GROUPS_MAX);
        in_range("threads", threads as u64, 1..=1024)?;
        in_range("partitions", partitions.into(), 1..=groups_max)?;
        in_range(&format!("key_groups of {partitions} partitions"), key_groups.into(), partitions.into()..=groups_max)?;
        in_range("replicas", replicas as u64, 1..=2)?;
        in_range("flush_rows", flush_rows, 1..=FLUSH_ROWS_MAX)?;
        let delay_us = self.flush_delay_us.unwrap_or(5_000);
        let linger_us = match &self.clock {
            Clock::Machine => delay_us.min(LINGER_MAX_US),
            // Whoever waits for rows to show does not move it.
            Clock::Manual(_) => 0,
        };
        let flush = FlushOptions { rows_max: flush_rows, delay_us, linger_us, step_rows: 8_192 };
        let barrier_interval_us = self.barrier_interval_us.unwrap_or(1_000_000).max(1_000);
        let keep_checkpoints = self.keep_checkpoints.unwrap_or(10);
        in_range("keep_checkpoints", keep_checkpoints as u64, 1..=1_000_000)?;
        let (pin_threads, clock, state_dir, checkpoint_url) = (self.pin_threads, self.clock, self.state_dir, self.checkpoint_url);
        if checkpoint_url.is_some() && state_dir.is_none() {
            return Err(Error::Refused("a checkpoint URL needs a state directory, from which checkpoints are copied".into()));
        }
        Ok(EngineOptions {
            threads,
            partitions: self.partitions,
            key_groups,
            replicas,
            flush,
            pin_threads,
            spin: Duration::from_micros(self.spin_us),
            barrier_interval_us,
            state_dir,
            keep_checkpoints,
            checkpoint_url,
            fall_back: self.fall_back,
            loss: if self.accept_loss { Loss::Accept } else { Loss::Refuse },
            reset_metrics: Arc::new(self.reset_metrics),
            clock,
            plant: self.plant,
        })
    }
}

/// Refuses a value outside of its range, naming option, range and value.
fn in_range(option: &str, value: u64, range: RangeInclusive<u64>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::Refused(format!("{option} must be from {} to {}, not {value}", range.start(), range.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_linger_no_longer_than_they_may_wait_and_not_by_a_clock_that_stands_still() {
        let linger_us = |builder: EngineBuilder| builder.options().expect("in range").flush.linger_us;
        assert_eq!(linger_us(Engine::builder()), LINGER_MAX_US);
        assert_eq!(linger_us(Engine::builder().flush_delay_us(300)), 300);
        assert_eq!(linger_us(Engine::builder().clock(ManualClock::new(0))), 0);
    }
}
