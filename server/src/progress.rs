//! The progress bar of `run`: rows, rows per second, late, bad, windows closed.

use crate::output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use raympp_engine::stats::{Stats, StreamStats};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows how far a job is, on standard error.
pub(crate) struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
    next_line: Duration,
}

#[expect(clippy::disallowed_methods, reason = "the terminal's clock, not the engine's")]
fn now() -> Instant {
    Instant::now()
}

impl Progress {
    /// A bar on a terminal, else a line now and then.
    pub(crate) fn start(plain: bool) -> Progress {
        let bar = (!plain && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30.cyan} {percent:>3}% {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Progress { started: now(), bar, next_line: Duration::from_secs(5) }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        now() - self.started
    }

    /// Shows counters as they are now.
    pub(crate) fn show(&mut self, stats: &Stats) {
        let line = self.line(stats);
        let (done, total) = input(stats);
        match &self.bar {
            Some(bar) => {
                bar.set_length(total.max(1));
                bar.set_position(done);
                bar.set_message(line);
            }
            None if self.elapsed() >= self.next_line => {
                self.next_line += Duration::from_secs(5);
                output::note(&line);
            }
            None => {}
        }
    }

    /// Takes the bar away; without one, a last line stays if there are counters to show.
    pub(crate) fn finish(&mut self, stats: Option<&Stats>) {
        match (&self.bar, stats) {
            (Some(bar), _) => bar.finish_and_clear(),
            (None, Some(stats)) => output::note(&self.line(stats)),
            (None, None) => {}
        }
    }

    fn line(&self, stats: &Stats) -> String {
        let sum = |count: fn(&StreamStats) -> u64| stats.streams.iter().map(count).sum::<u64>();
        let rows = sum(|stream| stream.rows);
        let per_second = rows as f64 / self.elapsed().as_secs_f64().max(1e-9);
        format!(
            "{rows} rows  {per_second:.0} rows/s  late {}  bad {}, bad for metrics {}  windows closed {}",
            sum(|stream| stream.late),
            sum(|stream| stream.bad),
            sum(|stream| stream.bad_for_metrics),
            sum(|stream| stream.windows_closed)
        )
    }
}

fn input(stats: &Stats) -> (u64, u64) {
    let splits = stats.streams.iter().flat_map(|stream| &stream.splits);
    splits.fold((0, 0), |(done, total), split| (done + split.progress.0, total + split.progress.1))
}
