//! The demo's picture: a table on the terminal, or lines.

use crate::demo::{Channel, Picture};
use crate::{Failure, output};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};
use std::time::Duration;

/// Rates below this are shown in red.
const DEGRADED: f64 = 0.9;
/// Heights of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Where pictures go.
pub(crate) enum Screen {
    /// Lines on standard output, one per second.
    Plain {
        /// Pictures so far.
        pictures: u64,
    },
    /// The whole terminal.
    Terminal(Box<DefaultTerminal>),
}

fn broken(error: std::io::Error) -> Failure {
    Failure::Running(format!("the terminal can't be used: {error}; try --plain"))
}

impl Screen {
    pub(crate) fn open(plain: bool) -> Result<Screen, Failure> {
        if plain {
            return Ok(Screen::Plain { pictures: 0 });
        }
        ratatui::try_init().map(|terminal| Screen::Terminal(Box::new(terminal))).map_err(broken)
    }

    pub(crate) fn draw(&mut self, picture: &Picture) -> Result<(), Failure> {
        match self {
            Screen::Plain { pictures } => {
                *pictures += 1;
                if pictures.is_multiple_of(2) { output::line(&plain_line(picture)) } else { Ok(()) }
            }
            Screen::Terminal(terminal) => terminal.draw(|frame| render(frame, picture)).map(|_| ()).map_err(broken),
        }
    }

    /// Waits a moment; true if somebody pressed q or Escape.
    pub(crate) fn wants_to_quit(&mut self, wait: Duration) -> Result<bool, Failure> {
        match self {
            Screen::Plain { .. } => {
                std::thread::park_timeout(wait);
                Ok(false)
            }
            Screen::Terminal(_) => {
                let pressed = event::poll(wait).map_err(broken)?;
                let key = if pressed { event::read().map_err(broken)? } else { return Ok(false) };
                Ok(matches!(key, Event::Key(key) if matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)))
            }
        }
    }

    pub(crate) fn close(&mut self) {
        if matches!(self, Screen::Terminal(_)) {
            ratatui::restore();
        }
    }
}

fn headline(picture: &Picture) -> String {
    format!(
        "{:>6.1} s  {} rows  {:.0} rows/s  event to visible p50 {} us  p99 {} us",
        picture.elapsed.as_secs_f64(),
        picture.rows,
        picture.rows_per_second,
        picture.p50_us,
        picture.p99_us
    )
}

fn plain_line(picture: &Picture) -> String {
    let worst = picture.channels.first().map_or(String::new(), |channel| {
        format!("  worst {} {:.2} % {}", channel.name, channel.success_rate * 100.0, sparkline(&channel.history))
    });
    format!("{}  {} channels{worst}", headline(picture), picture.channels.len())
}

fn render(frame: &mut ratatui::Frame<'_>, picture: &Picture) {
    let [top, body] = Layout::vertical([Constraint::Length(2), Constraint::Fill(1)]).areas(frame.area());
    let title = Line::from("Ray-MPP  success rate by channel over the last minute, worst first  (q quits)").bold();
    frame.render_widget(title, top);
    let below = ratatui::layout::Rect { y: top.y + 1, height: 1, ..top };
    frame.render_widget(Line::from(headline(picture)), below);
    let widths = [Constraint::Length(16), Constraint::Length(9), Constraint::Length(32), Constraint::Length(12), Constraint::Length(18)];
    let header = Row::new(["channel", "success", "", "payments", "volume"]).bold();
    frame.render_widget(Table::new(picture.channels.iter().map(table_row), widths).header(header), body);
}

fn table_row(channel: &Channel) -> Row<'_> {
    let colour = if channel.success_rate < DEGRADED { Color::Red } else { Color::Green };
    let cells = [
        channel.name.clone(),
        format!("{:.2} %", channel.success_rate * 100.0),
        sparkline(&channel.history),
        format!("{:.0}", channel.payments),
        format!("{:.0}", channel.volume),
    ];
    Row::new(cells).style(Style::new().fg(colour))
}

/// One character per sample, from 50 % to 100 %.
fn sparkline(history: &[f64]) -> String {
    let bar = |rate: &f64| BARS[(((rate - 0.5) * 2.0).clamp(0.0, 1.0) * 7.0).round() as usize];
    history.iter().map(bar).collect()
}
