//! The rows as the circuit takes them: transactions, made before the clock starts.

use dbsp::utils::Tup2;
use peer_common::{Error, LATENESS_US, Query, Rows};

use crate::circuit::{Key, Slide, Value};

/// How many rows a transaction has at most.
const BATCH: usize = 1_000_000;

/// What a transaction takes.
pub struct Step {
    /// The rows, each with its weight.
    pub rows: Vec<Tup2<Key, Tup2<Value, i64>>>,
    /// The watermark.
    pub watermark: Slide,
    /// Whether the watermark moves, by one slide: every window is the newest complete one for one transaction.
    pub moves: bool,
}

/// All rows so many times over, and behind them what moves the watermark past the last window.
pub fn steps(rows: &Rows, query: Query, passes: usize) -> Result<Vec<Step>, Error> {
    let slide = |time: i64| Slide::try_from(time / query.slide_us);
    let mut highest = rows.event_time.first().copied().unwrap_or_default();
    let mut steps = Steps { done: Vec::new(), pending: Vec::with_capacity(BATCH), watermark: slide(highest - LATENESS_US)? };
    let mut moves_at = i64::MIN;
    for shift_us in rows.shifts_us(passes) {
        for row in 0..rows.len() {
            let event_time = rows.event_time[row] + shift_us;
            let key = Tup2(slide(event_time)?, rows.channel[row]);
            steps.pending.push(Tup2(key, Tup2(Tup2(rows.status[row], rows.amount[row]), 1)));
            highest = highest.max(event_time);
            if highest >= moves_at {
                let reached = slide(highest - LATENESS_US)?;
                steps.move_to(reached);
                moves_at = i64::from(reached + 1) * query.slide_us + LATENESS_US;
            } else if steps.pending.len() == BATCH {
                steps.end(false);
            }
        }
    }
    let last = slide(highest)?;
    steps.move_to(last + query.slides() as Slide);
    Ok(steps.done)
}

struct Steps {
    done: Vec<Step>,
    pending: Vec<Tup2<Key, Tup2<Value, i64>>>,
    watermark: Slide,
}

impl Steps {
    fn move_to(&mut self, watermark: Slide) {
        while self.watermark < watermark {
            self.watermark += 1;
            self.end(true);
        }
    }

    fn end(&mut self, moves: bool) {
        let rows = self.pending.drain(..).collect();
        self.done.push(Step { rows, watermark: self.watermark, moves });
    }
}
