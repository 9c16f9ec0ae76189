//! What is shown meanwhile: while it runs, rows and how late they are; while results are verified, which can take longer, how far that has come.

use crate::cli::Cli;
use crate::output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use raympp_loadgen::ledger::Verified;
use raympp_loadgen::run;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// From one line to the next.
const LINE: Duration = Duration::from_secs(1);
/// From one picture of the bar to the next.
const PICTURE: Duration = Duration::from_millis(200);

/// A bar on a terminal, else a line a second, on standard error. It goes when this is dropped.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    every: Duration,
    next: Instant,
}

impl Progress {
    /// Shows the first that it is told.
    pub(crate) fn start(cli: &Cli) -> Progress {
        let bar = (!cli.plain && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30.cyan} {percent:>3}% {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Progress { every: if bar.is_some() { PICTURE } else { LINE }, bar, next: Instant::now() }
    }

    /// Shows nothing of what is over soon.
    pub(crate) fn start_later(cli: &Cli) -> Progress {
        let mut progress = Progress::start(cli);
        progress.next += progress.every;
        progress
    }

    /// Shows how far a run of that length has come, now and then.
    pub(crate) fn show_run(&mut self, now: &run::Progress<'_>, lasts: Duration) {
        let millis = |quantile: f64| now.recent.value_at_quantile(quantile) as f64 / 1e6;
        self.show(now.elapsed.as_millis() as u64, lasts.as_millis() as u64, || {
            format!(
                "{:>6.1} s  {} rows visible, {} due; last second p50 {:.3} ms, p99 {:.3} ms, p99.99 {:.3} ms",
                now.elapsed.as_secs_f64(),
                now.visible,
                now.due - now.visible,
                millis(0.5),
                millis(0.99),
                millis(0.9999)
            )
        });
    }

    /// Shows how far verifying has come, now and then.
    pub(crate) fn show_verifying(&mut self, now: &Verified) {
        self.show(now.entered, now.rows, || {
            format!("verifying: {} of {} rows entered, {} results compared", now.entered, now.rows, now.compared)
        });
    }

    fn show(&mut self, position: u64, length: u64, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + self.every;
        match &self.bar {
            Some(bar) => {
                bar.set_length(length);
                bar.set_position(position);
                bar.set_message(text());
            }
            None => output::note(&text()),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
