//! The ledger: what each window must hold, computed by hand from the same rows, and what was published, compared row by row.
//!
//! For each metric of a workload a [`Rule`] says in plain code which rows count, for which key, and what is kept of them; nothing here reads the SQL or
//! shares anything with how the engine folds. Rows are judged by the dialect's one rule of lateness, split by split. A window must have been published once,
//! with exactly these values, and no window beside them: so a row that was lost, or counted twice, shows.

mod cells;
mod rules;

use crate::error::{Error, Result};
use crate::run::RunPlan;
use crate::workload::Workload;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use cells::{Cells, Place};
use raympp_engine::source::{self, SourcePoll};
use raympp_engine::{Offset, Value};
use raympp_operators::expr::arrow_types::value_at;
use raympp_operators::plan::{MetricPlan, StreamPlan};
use raympp_operators::window::Window;
use rules::{Columns, Rule, rule_of};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// What tells a result row apart from all others: its key, and where its window begins and ends.
type Identity = (Vec<Text>, i64, i64);

/// A value of a key or of a result, as it is compared.
type Text = Arc<str>;

/// How the results of a run compare with its ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// Rows that were entered, late ones included.
    pub rows: u64,
    /// Rows among them that were late.
    pub late: u64,
    /// Result rows that should be there.
    pub expected: u64,
    /// Result rows that are there and right, each once.
    pub right: u64,
    /// Those that are missing.
    pub missing: u64,
    /// Those that are there with other values.
    pub wrong: u64,
    /// Those that are there more than once, or should not be there at all.
    pub surplus: u64,
    /// The first few that are not right, in words.
    pub examples: Vec<String>,
}

/// Examples that are kept.
const EXAMPLES_MAX: usize = 5;

impl Verdict {
    /// True if every window was published once, with the right values.
    pub fn is_right(&self) -> bool {
        self.right == self.expected && self.surplus == 0
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }
}

/// Makes the rows of a run once more and compares what they amount to with what was published.
///
/// # Errors
/// If rows can't be made, or files not be read.
pub fn verify(workload: &mut Workload, plan: &RunPlan, hand_overs: usize, producers: usize, published: &Path) -> Result<Verdict> {
    let windowed: Vec<Arc<MetricPlan>> = workload.metrics.iter().filter(|metric| metric.window.has_bounds()).cloned().collect();
    let mut ledger = Ledger::new(&workload.stream, &windowed, producers)?;
    for (hand_over, numbers) in plan.steps().take(hand_overs).enumerate() {
        ledger.enter(hand_over % producers, &workload.rows.take(numbers, &plan.schedule)?);
    }
    ledger.compare(published)
}

/// What the rows entered so far amount to.
pub struct Ledger {
    time_column: usize,
    bound_us: i64,
    books: Vec<Book>,
    /// By split: the highest event time, and rows so far.
    splits: Vec<(i64, u64)>,
    late: u64,
}

/// One metric's part of the ledger.
struct Book {
    plan: Arc<MetricPlan>,
    rule: Rule,
    /// Sliced windows: by slice and key.
    slices: BTreeMap<i64, HashMap<Vec<Text>, Cells>>,
    /// Sessions: by key, each from its first event time with its last one.
    sessions: HashMap<Vec<Text>, BTreeMap<i64, (i64, Cells)>>,
}

impl Ledger {
    /// An empty one for metrics of a stream that has so many splits.
    ///
    /// # Errors
    /// [`Error::Usage`] for a metric that no rule is written for.
    pub fn new(stream: &StreamPlan, metrics: &[Arc<MetricPlan>], splits: usize) -> Result<Ledger> {
        let no_rule = |name: &str| Error::Usage(format!("there is no ledger for metric {name}"));
        let book = |plan: &Arc<MetricPlan>| -> Result<Book> {
            let rule = rule_of(&plan.name).ok_or_else(|| no_rule(&plan.name))?;
            Ok(Book { plan: Arc::clone(plan), rule, slices: BTreeMap::new(), sessions: HashMap::new() })
        };
        let time_column = stream.event_time.ok_or_else(|| Error::Usage("a stream without event time has no ledger".to_owned()))?;
        let books = metrics.iter().map(book).collect::<Result<_>>()?;
        Ok(Ledger { time_column, bound_us: stream.bound_us, books, splits: vec![(i64::MIN, 0); splits], late: 0 })
    }

    /// Enters the next rows of a split.
    pub fn enter(&mut self, split: usize, rows: &RecordBatch) {
        let times = rows.column(self.time_column).as_primitive::<TimestampMicrosecondType>().values();
        let (highest_us, offset) = self.splits[split];
        let (mut highest_us, mut counted) = (highest_us, Vec::with_capacity(times.len()));
        for (row, &time_us) in times.iter().enumerate() {
            if time_us < highest_us.saturating_sub(self.bound_us) {
                self.late += 1;
            } else {
                counted.push((row, Place { time_us, split: split as u64, offset: offset + row as u64 }));
            }
            highest_us = highest_us.max(time_us);
        }
        self.splits[split] = (highest_us, offset + times.len() as u64);
        let columns = Columns::new(rows);
        for book in &mut self.books {
            counted.iter().for_each(|(row, place)| book.enter(&columns, *row, *place));
        }
    }

    /// Compares all that the rows amount to with the files that the metrics' sinks have published below a directory, each in a directory of its name.
    ///
    /// # Errors
    /// If a file can't be read.
    pub fn compare(&self, published: &Path) -> Result<Verdict> {
        let mut verdict = Verdict { rows: self.splits.iter().map(|(_, rows)| rows).sum(), late: self.late, ..Verdict::default() };
        for book in &self.books {
            book.compare(&published.join(&book.plan.name), &mut verdict)?;
        }
        Ok(verdict)
    }
}

impl Book {
    fn enter(&mut self, columns: &Columns<'_>, row: usize, place: Place) {
        let Some(key) = (self.rule.key)(columns, row) else { return };
        let cells = (self.rule.cells)(columns, row, place);
        match (self.plan.window.slice_width_us(), self.plan.window) {
            (Some(width_us), window) => {
                let slice = (place.time_us - window.offset_us()).div_euclid(width_us);
                let slice = self.slices.entry(slice).or_default();
                match slice.get_mut(&key) {
                    Some(kept) => kept.merge(&cells),
                    None => drop(slice.insert(key, cells)),
                }
            }
            (None, Window::Session { gap_us }) => enter_session(self.sessions.entry(key).or_default(), place.time_us, gap_us, cells),
            (None, _) => {}
        }
    }

    /// Every window there is, by key and bounds.
    fn expected(&self) -> HashMap<Identity, Cells> {
        let mut windows: HashMap<Identity, Cells> = HashMap::new();
        for (&slice, keys) in &self.slices {
            for (start_us, end_us) in windows_of(self.plan.window, slice) {
                for (key, cells) in keys {
                    match windows.get_mut(&(key.clone(), start_us, end_us)) {
                        Some(kept) => kept.merge(cells),
                        None => drop(windows.insert((key.clone(), start_us, end_us), cells.clone())),
                    }
                }
            }
        }
        if let Window::Session { gap_us } = self.plan.window {
            for (key, sessions) in &self.sessions {
                for (&first_us, (last_us, cells)) in sessions {
                    windows.insert((key.clone(), first_us, last_us + gap_us), cells.clone());
                }
            }
        }
        windows
    }

    fn compare(&self, directory: &Path, verdict: &mut Verdict) -> Result<()> {
        let mut expected = self.expected();
        verdict.expected += expected.len() as u64;
        let name = &self.plan.name;
        read_rows(&self.plan, directory, |values| {
            let (identity, found) = self.split_row(values);
            match expected.remove(&identity) {
                None => {
                    verdict.surplus += 1;
                    verdict.example(|| format!("{name}: {identity:?} with {found:?} should not be there, or not again"));
                }
                Some(cells) => {
                    let right: Vec<Text> = (self.rule.results)(&cells);
                    if found == right {
                        verdict.right += 1;
                    } else {
                        verdict.wrong += 1;
                        verdict.example(|| format!("{name}: {identity:?} has {found:?}, and should have {right:?}"));
                    }
                }
            }
        })?;
        verdict.missing += expected.len() as u64;
        if let Some((identity, _)) = expected.iter().next() {
            verdict.example(|| format!("{name}: {identity:?} is missing"));
        }
        Ok(())
    }

    /// A result row: what names it, and its other values. Results show keys first, then their window, then what was kept.
    fn split_row(&self, values: Vec<Value>) -> (Identity, Vec<Text>) {
        let text = |value: &Value| Text::from(value.to_string());
        let (key, rest) = values.split_at(self.plan.keys.len());
        let micros = |value: &Value| if let Value::Timestamp(micros) = value { *micros } else { i64::MIN };
        ((key.iter().map(text).collect(), micros(&rest[0]), micros(&rest[1])), rest[2..].iter().map(text).collect())
    }
}

/// Start and end of the windows that hold a slice.
fn windows_of(window: Window, slice: i64) -> Vec<(i64, i64)> {
    let Some(width_us) = window.slice_width_us() else { return Vec::new() };
    let (start_us, size_us) = (slice * width_us + window.offset_us(), window.size_us());
    match window {
        Window::Hop { .. } => (1..=size_us / width_us).map(|after| start_us + after * width_us).map(|end| (end - size_us, end)).collect(),
        _ => vec![(start_us, start_us + size_us)],
    }
}

/// Puts a row into the sessions of its key: it joins what is less than the gap away on either side.
fn enter_session(sessions: &mut BTreeMap<i64, (i64, Cells)>, time_us: i64, gap_us: i64, mut cells: Cells) {
    let (mut first_us, mut last_us) = (time_us, time_us);
    let near: Vec<i64> = sessions
        .range(..time_us.saturating_add(gap_us))
        .rev()
        .take_while(|(_, (last, _))| *last > time_us.saturating_sub(gap_us))
        .map(|(first, _)| *first)
        .collect();
    for first in near {
        if let Some((last, other)) = sessions.remove(&first) {
            (first_us, last_us) = (first_us.min(first), last_us.max(last));
            cells.merge(&other);
        }
    }
    sessions.insert(first_us, (last_us, cells));
}

/// All rows of the files that a sink of this metric has published in a directory.
fn read_rows(plan: &MetricPlan, directory: &Path, mut take: impl FnMut(Vec<Value>)) -> Result<()> {
    let failed = |error: &dyn ToString| Error::Workload { workload: plan.name.clone(), message: error.to_string() };
    let path = directory.join("part-*.parquet").to_string_lossy().into_owned();
    let options = [("path".to_owned(), path), ("format".to_owned(), "parquet".to_owned())].into_iter().collect();
    let stream = StreamPlan {
        name: plan.name.clone(),
        schema: plan.output_schema(),
        event_time: None,
        bound_us: 0,
        max_jump_us: None,
        idle_timeout_us: None,
        disconnect_timeout_us: 0,
        bad_rows: raympp_operators::plan::BadRows::default(),
        connector: Some("file".to_owned()),
        options,
    };
    let files = source::create(&stream).map_err(|error| failed(&error))?;
    for file in 0..files.splits().map_err(|error| failed(&error))?.len() {
        let mut reader = files.open(file, Offset(0)).map_err(|error| failed(&error))?;
        while let SourcePoll::Rows(rows) = reader.poll(0, 1 << 16).map_err(|error| failed(&error))? {
            for row in 0..rows.batch.num_rows() {
                take(rows.batch.columns().iter().map(|column| value_at(column, row)).collect());
            }
        }
    }
    Ok(())
}
