//! What the generators share: rows numbered across splits, paced by the clock if asked to.
//!
//! Row `o` of split `s` of `n` is row `g = o·n + s` of the whole stream, and everything about it is a function of the options and `g`; so
//! the splits of a stream deal out the same rows whatever their number. Event time rises with `g` at `event_rate` rows a second.

use super::error::{SourceError, SourceErrorKind};
use super::options::{OptionReader, bad_value};
use super::{Fingerprint, Source, SourcePoll, SourceRows, SplitDescription, SplitReader};
use arrow::array::RecordBatch;
use raympp_operators::plan::{Options, StreamPlan};
use raympp_types::{Offset, text};
use std::sync::{Arc, OnceLock};

const SECOND_US: u128 = 1_000_000;
/// 2024-01-01 00:00:00, where event time starts unless told otherwise.
const START_US: i64 = 1_704_067_200 * 1_000_000;
/// Most rows made in one go.
const ROWS_MAX: usize = 65_536;

/// When event time starts.
#[derive(Clone, Debug)]
pub(super) enum Start {
    /// At a fixed time.
    At(i64),
    /// With the first poll of any split of the source, whose wall time is kept here.
    FirstPoll(Arc<OnceLock<i64>>),
}

/// The options all generators have.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) seed: u64,
    pub(super) splits: u64,
    rows: Option<u64>,
    /// Rows in 1,000 seconds of wall time, over all splits.
    rate_per_1000s: Option<u64>,
    /// Wall time at which row 0 of the stream was due, from the first poll of any reader on: whoever reads the rows again, later, finds
    /// those due that were due before.
    epoch_us: Arc<OnceLock<i128>>,
    /// Rows of the stream (or events, of which its rows are a part) in this many seconds of event time.
    pub(super) event_rate: (u64, u64),
    start: Start,
}

impl Shape {
    /// Reads `seed`, `splits`, `rows`, `rate`, `event_rate`, `start`.
    pub(super) fn read(options: &mut OptionReader<'_>, event_rate: u64) -> Result<Shape, SourceError> {
        let rate = options.number("rate", 0.001..=1e12)?;
        let rate_per_1000s = rate.map(|rate| (rate * 1_000.0).round() as u64);
        let start = match options.text("start") {
            None => Start::At(START_US),
            Some("now") => Start::FirstPoll(Arc::default()),
            Some(value) => {
                Start::At(text::parse_timestamptz(value.as_bytes()).map_err(|_| bad_value("start", value, "a timestamp, or 'now'"))?)
            }
        };
        Ok(Shape {
            seed: options.whole("seed", 0..=u64::MAX)?.unwrap_or(42),
            splits: options.whole("splits", 1..=65_536)?.unwrap_or(1),
            rows: options.whole("rows", 0..=u64::MAX)?,
            event_rate: match (options.whole("event_rate", 1..=1_000_000_000_000)?, rate_per_1000s) {
                (Some(rate), _) => (rate, 1),
                (None, Some(rate)) => (rate, 1_000),
                (None, None) => (event_rate, 1),
            },
            rate_per_1000s,
            epoch_us: Arc::default(),
            start,
        })
    }

    /// For rows that are but a part of all events, `events` to `rows` of them: makes event time follow a `rate` of rows, unless an
    /// event rate is set.
    pub(super) fn follow_rate(&mut self, options: &Options, (events, rows): (u64, u64)) {
        if let Some(rate) = self.rate_per_1000s
            && !options.contains_key("event_rate")
        {
            self.event_rate = (rate * events, 1_000 * rows);
        }
    }

    /// Number of rows of a split.
    fn rows_of_split(&self, split: u64) -> Option<u64> {
        self.rows.map(|rows| rows / self.splits + u64::from(split < rows % self.splits))
    }

    /// Row number over all splits.
    pub(super) fn global(&self, split: u64, offset: u64) -> u64 {
        offset.wrapping_mul(self.splits).wrapping_add(split)
    }

    /// When event time starts; before the first poll of a source that starts with it, 1970.
    pub(super) fn start_us(&self) -> i64 {
        match &self.start {
            Start::At(us) => *us,
            Start::FirstPoll(first) => first.get().copied().unwrap_or(0),
        }
    }

    /// Checks a split number and an offset in it.
    fn check(&self, split: usize, at: Offset) -> Result<u64, SourceError> {
        let split = split as u64;
        if split >= self.splits {
            return Err(SourceError::new(SourceErrorKind::Missing, format!("there is no split {split} of {}", self.splits)));
        }
        match self.rows_of_split(split) {
            Some(rows) if at.0 > rows => {
                Err(SourceError::new(SourceErrorKind::OffsetBeyondEnd, format!("asked for row {at}, but the split has {rows} rows"))
                    .split(split_name(split, self.splits)))
            }
            _ => Ok(split),
        }
    }
}

/// `3 of 8`
fn split_name(split: u64, splits: u64) -> String {
    format!("{} of {splits}", split + 1)
}

/// Event times of consecutive rows of a split without a division per row.
pub(super) struct EventClock {
    next_us: i64,
    remainder: u128,
    step_us: i64,
    step_remainder: u128,
    rate: u128,
}

impl EventClock {
    /// A clock that shows `start + g · seconds / rows` for rows `first`, `first + stride`, ….
    pub(super) fn new(start_us: i64, first: u64, stride: u64, (rows, seconds): (u64, u64)) -> EventClock {
        let rate = u128::from(rows);
        let scaled = |rows: u64| u128::from(rows) * SECOND_US * u128::from(seconds);
        let us = |rows: u64| i64::try_from(scaled(rows) / rate).unwrap_or(i64::MAX / 2);
        EventClock {
            next_us: start_us.saturating_add(us(first)),
            remainder: scaled(first) % rate,
            step_us: us(stride),
            step_remainder: scaled(stride) % rate,
            rate,
        }
    }

    /// Time of the next row.
    #[inline(always)]
    pub(super) fn next(&mut self) -> i64 {
        let now = self.next_us;
        self.remainder += self.step_remainder;
        let carry = self.remainder >= self.rate;
        self.remainder -= if carry { self.rate } else { 0 };
        self.next_us = now.saturating_add(self.step_us + i64::from(carry));
        now
    }
}

/// Makes rows.
pub(super) trait RowMaker: Send + Sync {
    /// The options that all generators have.
    fn shape(&self) -> &Shape;
    /// Rows `offset..offset + rows` of the split.
    fn make(&self, split: u64, offset: u64, rows: usize) -> RecordBatch;
}

/// A generator as a source.
pub(super) struct GeneratorSource<M> {
    maker: Arc<M>,
    fingerprint: String,
}

impl<M: RowMaker + 'static> GeneratorSource<M> {
    /// Of the connector `name` as the stream's options say.
    pub(super) fn new(name: &str, stream: &StreamPlan, maker: M) -> GeneratorSource<M> {
        GeneratorSource { maker: Arc::new(maker), fingerprint: format!("{name} {:?}", stream.options) }
    }
}

impl<M: RowMaker + 'static> Source for GeneratorSource<M> {
    fn splits(&self) -> Result<Vec<SplitDescription>, SourceError> {
        let splits = self.maker.shape().splits;
        let describe = |split| SplitDescription {
            name: split_name(split, splits),
            size_bytes: None,
            fingerprint: Fingerprint::Generator(self.fingerprint.clone()),
        };
        Ok((0..splits).map(describe).collect())
    }

    fn open(&self, split: usize, at: Offset) -> Result<Box<dyn SplitReader>, SourceError> {
        let split = self.maker.shape().check(split, at)?;
        let end = self.maker.shape().rows_of_split(split);
        Ok(Box::new(GeneratorReader { maker: Arc::clone(&self.maker), split, next: at.0, end }))
    }

    fn open_again(&self, split: usize, at: Offset, fingerprint: &Fingerprint) -> Result<Box<dyn SplitReader>, SourceError> {
        match fingerprint {
            Fingerprint::Generator(options) if *options == self.fingerprint => self.open(split, at),
            _ => Err(SourceError::new(SourceErrorKind::Replaced, "the generator's options are not those of the earlier run")
                .hint("restore the options, or start anew without the stored state")),
        }
    }

    fn endless(&self) -> bool {
        self.maker.shape().rows.is_none()
    }
}

/// Reads a split of a generator.
struct GeneratorReader<M> {
    maker: Arc<M>,
    split: u64,
    next: u64,
    end: Option<u64>,
}

impl<M: RowMaker> GeneratorReader<M> {
    /// How many rows may be handed out now, or when the next one may be.
    fn due(&self, now_us: u64) -> Result<u64, u64> {
        let shape = self.maker.shape();
        let start = match &shape.start {
            Start::FirstPoll(first) => Some(*first.get_or_init(|| now_us as i64)),
            Start::At(_) => None,
        };
        let Some(rate) = shape.rate_per_1000s.map(u128::from) else { return Ok(u64::MAX) };
        let next = u128::from(shape.global(self.split, self.next));
        let span_us = |row: u128| (row * 1_000 * SECOND_US).div_ceil(rate) as i128;
        let epoch = *shape.epoch_us.get_or_init(|| start.map_or_else(|| i128::from(now_us) - span_us(next), i128::from));
        let due_at = epoch + span_us(next);
        if i128::from(now_us) < due_at {
            return Err(due_at as u64);
        }
        let last = (i128::from(now_us) - epoch) as u128 * rate / (1_000 * SECOND_US);
        Ok(u64::try_from((last - next) / u128::from(shape.splits) + 1).unwrap_or(u64::MAX))
    }
}

impl<M: RowMaker> SplitReader for GeneratorReader<M> {
    fn poll(&mut self, now_us: u64, rows_max: usize) -> Result<SourcePoll, SourceError> {
        let left = self.end.map_or(u64::MAX, |end| end - self.next);
        if left == 0 {
            return Ok(SourcePoll::End);
        }
        match self.due(now_us) {
            Err(due_at) => Ok(SourcePoll::Pending { retry_at_us: Some(due_at) }),
            Ok(due) => {
                let rows = due.min(left).min(rows_max.clamp(1, ROWS_MAX) as u64);
                let batch = self.maker.make(self.split, self.next, rows as usize);
                let from = Offset(self.next);
                self.next += rows;
                Ok(SourcePoll::Rows(SourceRows { from, to: Offset(self.next), batch, row_offsets: None, bad: Vec::new() }))
            }
        }
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.end.map(|end| (self.next, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_agrees_with_division() {
        for (rate, seconds, stride, first) in
            [(3, 1, 1, 0), (7, 2, 4, 5), (1_000_000, 1, 1, 9), (999_983, 3, 13, 1_000_000_007), (1, 1, 2, 3)]
        {
            let mut clock = EventClock::new(-5, first, stride, (rate, seconds));
            for row in (0..1_000u64).map(|i| first + i * stride) {
                let expected = -5 + i128::from(row) * 1_000_000 * i128::from(seconds) / i128::from(rate);
                assert_eq!(i128::from(clock.next()), expected, "{rate} {seconds} {stride} {first}");
            }
        }
    }
}
