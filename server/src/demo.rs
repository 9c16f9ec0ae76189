//! `demo`: a generated payments stream and its live success rates by channel.

use crate::cli::DemoOptions;
use crate::demo_screen::Screen;
use crate::run::watch_interrupts;
use crate::{Failure, output};
use hdrhistogram::Histogram;
use raympp_engine::{Engine, Metric, Row};
use std::collections::{BTreeMap, VecDeque};
use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Samples of a sparkline.
const HISTORY: usize = 30;
/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(500);
/// Time between two looks at how fresh the newest visible event is.
const PROBE: Duration = Duration::from_millis(1);

/// One channel of a picture.
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) success_rate: f64,
    pub(crate) payments: f64,
    pub(crate) volume: f64,
    pub(crate) history: Vec<f64>,
}

/// Everything in a picture.
pub(crate) struct Picture {
    /// Worst channel first.
    pub(crate) channels: Vec<Channel>,
    pub(crate) rows: u64,
    pub(crate) rows_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) elapsed: Duration,
}

struct Demo {
    engine: Engine,
    metric: Metric,
    history: BTreeMap<String, VecDeque<f64>>,
    latency_us: Histogram<u64>,
    newest_us: i64,
    started: Instant,
    last_rows: (u64, Duration),
}

#[expect(clippy::disallowed_methods, reason = "the terminal's clock, not the engine's")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "compared with event times that follow the wall clock")]
fn wall_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as i64)
}

/// Runs the demo of the options.
pub(crate) fn demo(options: &DemoOptions) -> Result<(), Failure> {
    let engine = Engine::builder().build()?;
    engine.execute(&script(options.rate))?;
    let metric = engine.metric("payment_success_rate")?;
    let latency_us = Histogram::new(3).expect("3 digits are allowed");
    let started = now();
    let last_rows = (0, Duration::ZERO);
    let mut demo = Demo { engine, metric, history: BTreeMap::new(), latency_us, newest_us: i64::MIN, started, last_rows };
    let interrupted = watch_interrupts()?;
    let mut screen = Screen::open(options.plain || !std::io::stdout().is_terminal())?;
    let mut next_frame = FRAME;
    loop {
        demo.probe();
        let elapsed = now() - demo.started;
        if elapsed >= next_frame {
            next_frame += FRAME;
            screen.draw(&demo.picture(elapsed))?;
        }
        let over = options.duration.is_some_and(|duration| elapsed >= duration);
        if over || interrupted.load(Ordering::Acquire) || screen.wants_to_quit(PROBE)? {
            break;
        }
    }
    let last = demo.picture(now() - demo.started);
    screen.close();
    output::line(&format!(
        "{} rows in {:.1} s; event to visible: p50 {} us, p99 {} us",
        last.rows,
        last.elapsed.as_secs_f64(),
        last.p50_us,
        last.p99_us
    ))?;
    demo.engine.shutdown()?;
    Ok(())
}

fn script(rate: u64) -> String {
    format!(
        "CREATE STREAM payments (
           payment_id BIGINT, channel VARCHAR, status VARCHAR, amount BIGINT, event_time TIMESTAMP,
           WATERMARK FOR event_time AS event_time - INTERVAL '2 seconds'
         ) WITH (connector = 'payments', rate = '{rate}', keys = '100', start = 'now');
         CREATE METRIC payment_success_rate AS
         SELECT channel, COUNT(*) AS payments,
                COUNT(*) FILTER (WHERE status = 'SUCCESS')::DOUBLE PRECISION / COUNT(*) AS success_rate,
                SUM(amount) AS volume
         FROM HOP(payments, event_time, INTERVAL '1 second', INTERVAL '1 minute')
         GROUP BY channel, window_start, window_end;"
    )
}

impl Demo {
    /// If a newer event has become visible since the last look, notes how old it is.
    fn probe(&mut self) {
        let newest_us = self.metric.highest_event_time_us();
        if newest_us > self.newest_us {
            self.newest_us = newest_us;
            self.latency_us.saturating_record((wall_us() - newest_us).max(1) as u64);
        }
    }

    fn picture(&mut self, elapsed: Duration) -> Picture {
        let rows: u64 = self.engine.stats().streams.iter().map(|stream| stream.rows).sum();
        let (before, at) = std::mem::replace(&mut self.last_rows, (rows, elapsed));
        let mut channels: Vec<Channel> = self.metric.live_rows().iter().filter_map(|row| self.channel(row)).collect();
        channels.sort_by(|a, b| a.success_rate.total_cmp(&b.success_rate).then_with(|| a.name.cmp(&b.name)));
        Picture {
            channels,
            rows,
            rows_per_second: (rows - before) as f64 / (elapsed - at).as_secs_f64().max(1e-9),
            p50_us: self.latency_us.value_at_quantile(0.5),
            p99_us: self.latency_us.value_at_quantile(0.99),
            elapsed,
        }
    }

    fn channel(&mut self, row: &Row) -> Option<Channel> {
        let name = row.get("channel")?.to_string();
        let success_rate = row.number("success_rate")?;
        let history = self.history.entry(name.clone()).or_default();
        history.push_back(success_rate);
        if history.len() > HISTORY {
            history.pop_front();
        }
        let history = history.iter().copied().collect();
        Some(Channel { name, success_rate, payments: row.number("payments")?, volume: row.number("volume").unwrap_or(0.0), history })
    }
}
