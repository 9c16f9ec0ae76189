//! What was published of one metric, read once from its first row to its last, beside what the ledger has.

use super::{Book, Bounds, Cells, Text, Verdict, merge, windows_of};
use crate::error::{Error, Result};
use raympp_engine::source::{self, SourcePoll};
use raympp_engine::{Offset, Value};
use raympp_operators::expr::arrow_types::value_at;
use raympp_operators::plan::{BadRows, MetricPlan, StreamPlan};
use raympp_operators::window::Window;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Rows that are read at once.
const ROWS: usize = 1 << 14;

/// What is still to come of a window.
enum Awaited {
    /// Nothing has come, and what should is still in the slices.
    All,
    /// These keys' rows have not come.
    Some(HashMap<u32, Cells>),
}

/// See the module.
pub(super) struct Comparing<'a> {
    book: Book,
    /// Every sliced window that there is.
    windows: BTreeMap<Bounds, Awaited>,
    verdict: &'a mut Verdict,
}

/// A row as it was published: keys come first, then its window, then what was kept.
struct Published {
    key: Vec<Text>,
    bounds: Bounds,
    values: Vec<Text>,
}

impl Published {
    /// `None` if it has no window.
    fn of(values: &[Value], keys: usize) -> Option<Published> {
        let text = |value: &Value| Text::from(value.to_string());
        let (key, rest) = values.split_at_checked(keys)?;
        let [Value::Timestamp(start_us), Value::Timestamp(end_us), values @ ..] = rest else { return None };
        Some(Published { key: key.iter().map(text).collect(), bounds: (*start_us, *end_us), values: values.iter().map(text).collect() })
    }
}

impl<'a> Comparing<'a> {
    pub(super) fn new(book: Book, verdict: &'a mut Verdict) -> Comparing<'a> {
        let windows =
            book.slices.keys().flat_map(|slice| windows_of(book.plan.window, *slice)).map(|bounds| (bounds, Awaited::All)).collect();
        verdict.expected += book.sessions.values().map(|sessions| sessions.len() as u64).sum::<u64>();
        Comparing { book, windows, verdict }
    }

    /// Reads what lies in a directory.
    pub(super) fn compare(mut self, directory: &Path, watch: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let plan = self.book.plan.clone();
        read_rows(&plan, directory, |rows| {
            for values in rows {
                let row = Published::of(&values, plan.keys.len()).ok_or_else(|| failed(&plan, &"a published row has no window"))?;
                self.look_at(&row);
            }
            watch(self.seen())
        })?;
        self.miss_all(watch)
    }

    /// Nothing more comes.
    fn miss_all(mut self, watch: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        self.miss_sessions();
        while let Some((bounds, awaited)) = self.windows.pop_first() {
            let missing = match awaited {
                Awaited::All => self.expected(bounds),
                Awaited::Some(keys) => keys,
            };
            self.miss(missing.into_keys().map(|key| (key, bounds)));
            watch(self.seen())?;
        }
        Ok(())
    }

    fn seen(&self) -> u64 {
        self.verdict.right + self.verdict.wrong + self.verdict.surplus
    }

    fn look_at(&mut self, row: &Published) {
        let expected = self.take_expected(row);
        let name = &self.book.plan.name;
        match expected {
            None => {
                self.verdict.surplus += 1;
                self.verdict
                    .example(|| format!("{name}: {} with {:?} should not be there, or not again", shown(&row.key, row.bounds), row.values));
            }
            Some(cells) => {
                let right: Vec<Text> = (self.book.rule.results)(&cells);
                if row.values == right {
                    self.verdict.right += 1;
                } else {
                    self.verdict.wrong += 1;
                    self.verdict
                        .example(|| format!("{name}: {} has {:?}, and should have {right:?}", shown(&row.key, row.bounds), row.values));
                }
            }
        }
    }

    /// What a row should show, the first time that it is asked for.
    fn take_expected(&mut self, row: &Published) -> Option<Cells> {
        let key = *self.book.keys.numbers.get(&row.key[..])?;
        if let Window::Session { gap_us } = self.book.plan.window {
            let sessions = self.book.sessions.get_mut(&key)?;
            let (last_us, _) = sessions.get(&row.bounds.0)?;
            return if last_us + gap_us == row.bounds.1 { sessions.remove(&row.bounds.0).map(|(_, cells)| cells) } else { None };
        }
        if let Awaited::All = self.windows.get(&row.bounds)? {
            let expected = self.expected(row.bounds);
            self.windows.insert(row.bounds, Awaited::Some(expected));
        }
        let Some(Awaited::Some(keys)) = self.windows.get_mut(&row.bounds) else { return None };
        let cells = keys.remove(&key);
        // What has come is to leave no room behind.
        if keys.len() < keys.capacity() / 4 {
            keys.shrink_to_fit();
        }
        cells
    }

    /// All rows that a window should have, which are counted.
    fn expected(&mut self, (start_us, end_us): Bounds) -> HashMap<u32, Cells> {
        let window = self.book.plan.window;
        let Some(width_us) = window.slice_width_us() else { return HashMap::new() };
        let slice = |time_us: i64| (time_us - window.offset_us()).div_euclid(width_us);
        let mut expected: HashMap<u32, Cells> = HashMap::new();
        for keys in self.book.slices.range(slice(start_us)..slice(end_us)).map(|(_, keys)| keys) {
            keys.iter().for_each(|(key, cells)| merge(&mut expected, *key, cells));
        }
        self.verdict.expected += expected.len() as u64;
        expected
    }

    fn miss_sessions(&mut self) {
        let Window::Session { gap_us } = self.book.plan.window else { return };
        let sessions = std::mem::take(&mut self.book.sessions);
        let bounds = |first_us: i64, (last_us, _): (i64, Cells)| (first_us, last_us + gap_us);
        let missing =
            |(key, of_key): (u32, BTreeMap<i64, (i64, Cells)>)| of_key.into_iter().map(move |(first, rest)| (key, bounds(first, rest)));
        self.miss(sessions.into_iter().flat_map(missing));
    }

    /// These rows have not come.
    fn miss(&mut self, rows: impl Iterator<Item = (u32, Bounds)>) {
        for (key, bounds) in rows {
            self.verdict.missing += 1;
            let (name, keys) = (&self.book.plan.name, &self.book.keys.texts);
            self.verdict.example(|| format!("{name}: {} is missing", shown(&keys[key as usize], bounds)));
        }
    }
}

/// What tells a result row apart from all others.
fn shown(key: &[Text], (start_us, end_us): Bounds) -> String {
    format!("{key:?} in the window from {} to {}", Value::Timestamp(start_us), Value::Timestamp(end_us))
}

fn failed(plan: &MetricPlan, error: &dyn ToString) -> Error {
    Error::Workload { workload: plan.name.clone(), message: error.to_string() }
}

/// All rows of the files that a sink of this metric has published in a directory, some at a time.
fn read_rows(plan: &MetricPlan, directory: &Path, mut take: impl FnMut(Vec<Vec<Value>>) -> Result<()>) -> Result<()> {
    let failed = |error: &dyn ToString| failed(plan, error);
    if !has_files(directory) {
        return Ok(());
    }
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
        bad_rows: BadRows::default(),
        connector: Some("file".to_owned()),
        options,
    };
    let files = source::create(&stream).map_err(|error| failed(&error))?;
    for file in 0..files.splits().map_err(|error| failed(&error))?.len() {
        let mut reader = files.open(file, Offset(0)).map_err(|error| failed(&error))?;
        while let SourcePoll::Rows(rows) = reader.poll(0, ROWS).map_err(|error| failed(&error))? {
            let columns = rows.batch.columns();
            let row = |row: usize| columns.iter().map(|column| value_at(column, row)).collect();
            take((0..rows.batch.num_rows()).map(row).collect())?;
        }
    }
    Ok(())
}

/// True if something has been published here: a metric without results has no files.
fn has_files(directory: &Path) -> bool {
    let is_part = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("part-");
    directory.read_dir().is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_part(&entry.file_name()))))
}

#[cfg(test)]
mod tests {
    use super::super::Ledger;
    use super::*;
    use crate::schedule::Schedule;
    use crate::workload::{Metrics, Settings, Workload};

    /// The book of a workload's only metric, with three seconds of 300 keys in it.
    fn book(workload: &str, metric: &str) -> Book {
        let metrics = Metrics::Named(vec![metric.to_owned()]);
        let settings =
            Settings { seed: 3, keys: 300, skew: 0.0, out_of_orderness: None, rate: 10_000, metrics, flights: std::path::PathBuf::new() };
        let mut workload = Workload::open(workload, &settings).expect("it is known");
        let mut ledger = Ledger::new(&workload.stream, &workload.metrics, &workload.metrics, 1).expect("there is a rule");
        ledger.enter(0, &workload.rows.take(0..30_000, &Schedule::new(10_000, &[])).expect("rows"));
        ledger.books.remove(0)
    }

    /// What an engine that makes no mistake publishes, window by window.
    fn published(workload: &str, metric: &str) -> Vec<Published> {
        let mut verdict = Verdict::default();
        let mut all = Comparing::new(book(workload, metric), &mut verdict);
        let (texts, results) = (all.book.keys.texts.clone(), all.book.rule.results);
        let mut rows = Vec::new();
        let mut publish = |key: u32, bounds: Bounds, cells: &Cells| {
            rows.push(Published { key: texts[key as usize].to_vec(), bounds, values: results(cells) });
        };
        for bounds in all.windows.keys().copied().collect::<Vec<_>>() {
            all.expected(bounds).iter().for_each(|(key, cells)| publish(*key, bounds, cells));
        }
        if let Window::Session { gap_us } = all.book.plan.window {
            for (key, sessions) in &all.book.sessions {
                sessions.iter().for_each(|(first_us, (last_us, cells))| publish(*key, (*first_us, last_us + gap_us), cells));
            }
        }
        rows
    }

    fn verdict_of(workload: &str, metric: &str, rows: &[Published]) -> Verdict {
        let mut verdict = Verdict::default();
        let mut comparing = Comparing::new(book(workload, metric), &mut verdict);
        rows.iter().for_each(|row| comparing.look_at(row));
        comparing.miss_all(&mut |_| Ok(())).expect("nobody ends it");
        verdict
    }

    #[test]
    fn every_mistake_shows() {
        for (workload, metric) in [("payments", "success"), ("nexmark", "q11")] {
            let mut rows = published(workload, metric);
            let all = rows.len() as u64;
            assert!(all > 100, "{metric}: {all}");
            let verdict = verdict_of(workload, metric, &rows);
            assert!(verdict.is_right() && (verdict.right, verdict.missing) == (all, 0), "{metric}: {verdict:?}");
            let (one, another) = (rows.remove(50), rows.remove(70));
            rows[5].values[0] = "0".into();
            rows[6].bounds.1 += 1;
            rows.push(Published { key: rows[7].key.clone(), bounds: rows[7].bounds, values: rows[7].values.clone() });
            rows.push(Published { key: vec!["nobody".into()], bounds: one.bounds, values: one.values });
            let verdict = verdict_of(workload, metric, &rows);
            let Verdict { expected, right, missing, wrong, surplus, .. } = verdict;
            // Both that were taken away, and the one whose window is another.
            assert_eq!((expected, right, missing, wrong, surplus), (all, all - 4, 3, 1, 3), "{metric}: {another:?}", another = another.key);
            assert!(!verdict.is_right());
        }
    }

    /// What is kept of windows does not grow with their number.
    #[test]
    fn a_window_whose_rows_have_come_leaves_no_room_behind() {
        let rows = published("payments", "success");
        let mut verdict = Verdict::default();
        let mut comparing = Comparing::new(book("payments", "success"), &mut verdict);
        assert!(comparing.windows.len() > 60);
        let mut room_max = 0;
        for row in &rows {
            comparing.look_at(row);
            let room = |awaited: &Awaited| if let Awaited::Some(keys) = awaited { keys.capacity() } else { 0 };
            room_max = room_max.max(comparing.windows.values().map(room).sum());
        }
        assert!((300..1_200).contains(&room_max), "{room_max} for windows of 300 keys");
    }

    #[test]
    fn a_ledger_that_has_checked_nothing_is_not_right() {
        assert!(!Verdict::default().is_right());
        assert!(matches!(Verdict::default().judge(), Err(Error::Unchecked)));
        assert!(matches!(Verdict { expected: 1, missing: 1, ..Verdict::default() }.judge(), Err(Error::Wrong)));
    }
}
