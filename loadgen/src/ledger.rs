//! The ledger: what each window must hold, computed by hand from the same rows, and what was published, compared row by row.
//!
//! For each metric of a workload a [`Rule`] says in plain code which rows count, for which key, and what is kept of them; nothing here reads the SQL or
//! shares anything with how the engine folds. Rows are judged by the dialect's one rule of lateness, split by split. A window must have been published once,
//! with exactly these values, and no window beside them: so a row that was lost, or counted twice, shows.
//!
//! Kept are cells by slice and key, keys once. A window is put together from its slices when the first of its rows is read, and forgotten row by row as they
//! are (`comparing`): results come window by window, so few windows are there at a time, however many the run had.

mod cells;
mod comparing;
mod rules;

use crate::error::{Error, Result};
use crate::run::RunPlan;
use crate::workload::Workload;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use cells::{Cells, Place};
use comparing::Comparing;
use raympp_operators::plan::{MetricPlan, StreamPlan};
use raympp_operators::window::Window;
use rules::{Columns, Rule, rule_of};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Where a window begins and ends.
type Bounds = (i64, i64);

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
    /// True if there were windows, and every one was published once, with the right values.
    pub fn is_right(&self) -> bool {
        self.expected > 0 && self.right == self.expected && self.surplus == 0
    }

    /// What it means for the run.
    ///
    /// # Errors
    /// [`Error::Wrong`] if a result was not right, [`Error::Unchecked`] if there was none to be checked.
    pub fn judge(&self) -> Result<()> {
        match self.is_right() {
            true => Ok(()),
            false if self.expected == 0 && self.surplus == 0 => Err(Error::Unchecked),
            false => Err(Error::Wrong),
        }
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Rows that have been entered.
    pub entered: u64,
    /// Of so many.
    pub rows: u64,
    /// Results that have been compared.
    pub compared: u64,
}

/// What is told how far a verification is, and ends it by answering false.
pub type Watch<'a> = dyn FnMut(&Verified) -> bool + 'a;

/// Makes the rows of a run once more, enters them in an empty ledger, and compares what they amount to with what was published.
///
/// # Errors
/// If rows can't be made, or files not be read; [`Error::Interrupted`] if `watch` ends it.
pub fn verify(
    mut ledger: Ledger,
    workload: &mut Workload,
    plan: &RunPlan,
    hand_overs: usize,
    published: &Path,
    watch: &mut Watch<'_>,
) -> Result<Verdict> {
    let rows = plan.steps().take(hand_overs).last().map_or(0, |numbers| numbers.end);
    let mut verified = Verified { rows, ..Verified::default() };
    for (hand_over, numbers) in plan.steps().take(hand_overs).enumerate() {
        verified.entered = numbers.end;
        ledger.enter(hand_over % ledger.splits.len(), &workload.rows.take(numbers, &plan.schedule)?);
        go_on(watch, &verified)?;
    }
    ledger.compare(published, &mut |compared| {
        verified.compared = compared;
        go_on(watch, &verified)
    })
}

fn go_on(watch: &mut Watch<'_>, verified: &Verified) -> Result<()> {
    if watch(verified) { Ok(()) } else { Err(Error::Interrupted) }
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
    keys: Keys,
    /// Sliced windows: by slice and key.
    slices: BTreeMap<i64, HashMap<u32, Cells>>,
    /// Sessions: by key, each from its first event time with its last one.
    sessions: HashMap<u32, BTreeMap<i64, (i64, Cells)>>,
}

/// Keys by number, in the order in which they came.
#[derive(Default)]
struct Keys {
    numbers: HashMap<Arc<[Text]>, u32>,
    texts: Vec<Arc<[Text]>>,
}

impl Keys {
    fn number(&mut self, key: Vec<Text>) -> u32 {
        if let Some(number) = self.numbers.get(&key[..]) {
            return *number;
        }
        let (number, key): (u32, Arc<[Text]>) = (self.texts.len() as u32, key.into());
        self.texts.push(Arc::clone(&key));
        self.numbers.insert(key, number);
        number
    }
}

impl Ledger {
    /// An empty one for metrics of a stream that has so many splits. `known` are those of the workload's own script, which the rules are for.
    ///
    /// # Errors
    /// [`Error::Usage`] for what could not be verified.
    pub fn new(stream: &StreamPlan, metrics: &[Arc<MetricPlan>], known: &[Arc<MetricPlan>], splits: usize) -> Result<Ledger> {
        let time_column = stream.event_time.ok_or_else(|| Error::Usage("a stream without event time has no ledger".to_owned()))?;
        let books = metrics.iter().map(|plan| Book::new(plan, known)).collect::<Result<Vec<_>>>()?;
        if books.is_empty() {
            return Err(Error::Usage("there is no metric that could be verified".to_owned()));
        }
        Ok(Ledger { time_column, bound_us: stream.bound_us, books, splits: vec![(i64::MIN, 0); splits.max(1)], late: 0 })
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
    /// Now and then `watch` is told how many results have been compared.
    ///
    /// # Errors
    /// If a file can't be read, and what `watch` says.
    pub fn compare(self, published: &Path, watch: &mut dyn FnMut(u64) -> Result<()>) -> Result<Verdict> {
        let mut verdict = Verdict { rows: self.splits.iter().map(|(_, rows)| rows).sum(), late: self.late, ..Verdict::default() };
        for book in self.books {
            let directory = published.join(&book.plan.name);
            Comparing::new(book, &mut verdict).compare(&directory, watch)?;
        }
        Ok(verdict)
    }
}

/// Fails if a metric can't be judged by the rule that is written for one of its name.
fn check_metric(plan: &MetricPlan, known: &[Arc<MetricPlan>]) -> Result<()> {
    let reason = match known.iter().find(|known| known.name == plan.name) {
        None => "there is no rule for it: the ledger knows the metrics of the workloads' own scripts",
        // What is written may differ where what it means does not.
        Some(known) if *plan != (MetricPlan { definition: plan.definition.clone(), ..(**known).clone() }) => {
            "it is defined otherwise than in the workload's own script, which the ledger's rule is for"
        }
        Some(_) if !plan.window.has_bounds() => "it has no windows that end, so nothing of it is published",
        Some(_) => return Ok(()),
    };
    Err(Error::Usage(format!("--verify can't check metric {}: {reason}", plan.name)))
}

impl Book {
    fn new(plan: &Arc<MetricPlan>, known: &[Arc<MetricPlan>]) -> Result<Book> {
        check_metric(plan, known)?;
        let rule = rule_of(&plan.name).ok_or_else(|| Error::Usage(format!("there is no ledger for metric {}", plan.name)))?;
        Ok(Book { plan: Arc::clone(plan), rule, keys: Keys::default(), slices: BTreeMap::new(), sessions: HashMap::new() })
    }

    fn enter(&mut self, columns: &Columns<'_>, row: usize, place: Place) {
        let Some(key) = (self.rule.key)(columns, row) else { return };
        let key = self.keys.number(key);
        let cells = (self.rule.cells)(columns, row, place);
        match (self.plan.window.slice_width_us(), self.plan.window) {
            (Some(width_us), window) => {
                let slice = (place.time_us - window.offset_us()).div_euclid(width_us);
                merge(self.slices.entry(slice).or_default(), key, &cells);
            }
            (None, Window::Session { gap_us }) => enter_session(self.sessions.entry(key).or_default(), place.time_us, gap_us, cells),
            (None, _) => {}
        }
    }
}

fn merge(groups: &mut HashMap<u32, Cells>, key: u32, cells: &Cells) {
    match groups.get_mut(&key) {
        Some(kept) => kept.merge(cells),
        None => drop(groups.insert(key, cells.clone())),
    }
}

/// Start and end of the windows that hold a slice.
fn windows_of(window: Window, slice: i64) -> Vec<Bounds> {
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
