//! What is shown while results are verified: it can take longer than the run.

use crate::cli::Cli;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use raympp_loadgen::ledger::Verified;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// From one line to the next.
const LINE: Duration = Duration::from_secs(1);
/// From one picture of the bar to the next.
const PICTURE: Duration = Duration::from_millis(200);

/// A bar on a terminal, else a line a second, on standard error.
pub(crate) struct Verifying {
    bar: Option<ProgressBar>,
    next: Instant,
}

impl Verifying {
    pub(crate) fn start(cli: &Cli) -> Verifying {
        let bar = (!cli.plain && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30.cyan} {percent:>3}% {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Verifying { bar, next: Instant::now() + if cli.plain { LINE } else { PICTURE } }
    }

    /// Shows where it is, now and then.
    pub(crate) fn show(&mut self, now: &Verified) {
        let instant = Instant::now();
        if instant < self.next {
            return;
        }
        self.next = instant + if self.bar.is_some() { PICTURE } else { LINE };
        let text = format!("verifying: {} of {} rows entered, {} results compared", now.entered, now.rows, now.compared);
        match &self.bar {
            Some(bar) => {
                bar.set_length(now.rows);
                bar.set_position(now.entered);
                bar.set_message(text);
            }
            None => eprintln!("{text}"),
        }
    }
}

impl Drop for Verifying {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
