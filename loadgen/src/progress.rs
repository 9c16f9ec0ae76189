//! What is shown while it runs: rows, and how late they are.

use crate::cli::Cli;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use raympp_loadgen::run;
use std::io::IsTerminal;
use std::time::Duration;

/// From one line to the next.
const LINE: Duration = Duration::from_secs(1);
/// From one picture of the bar to the next.
const PICTURE: Duration = Duration::from_millis(200);

/// A bar on a terminal, else a line a second, on standard error.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    next: Duration,
}

impl Progress {
    pub(crate) fn start(cli: &Cli) -> Progress {
        let bar = (!cli.plain && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(cli.duration().as_millis() as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30.cyan} {percent:>3}% {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Progress { bar, next: Duration::ZERO }
    }

    /// Shows where it is, now and then.
    pub(crate) fn show(&mut self, now: &run::Progress<'_>) {
        if now.elapsed < self.next {
            return;
        }
        self.next = now.elapsed + if self.bar.is_some() { PICTURE } else { LINE };
        let millis = |quantile: f64| now.recent.value_at_quantile(quantile) as f64 / 1e6;
        let text = format!(
            "{:>6.1} s  {} rows visible, {} due; last second p50 {:.3} ms, p99 {:.3} ms, p99.99 {:.3} ms",
            now.elapsed.as_secs_f64(),
            now.visible,
            now.due - now.visible,
            millis(0.5),
            millis(0.99),
            millis(0.9999)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(now.elapsed.as_millis() as u64);
                bar.set_message(text);
            }
            None => eprintln!("{text}"),
        }
    }

    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
