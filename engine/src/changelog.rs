//! EMIT ON UPDATE: the changelog of a metric, keyed by (group key, window).
//!
//! Of each key that changed, the live window's row is emitted as an upsert, at most once per delta or interval. A row that stops satisfying
//! HAVING or whose window gave way to another session is deleted; a window that closes is upserted once more with its final row, or deleted if it has
//! none. So where one of these may happen, what has been upserted and not finished is remembered. A deletion names key and window and nothing else. A
//! running total never closes: if it is forgotten while a change of it is held back, its last value is kept until it may be emitted, or until a
//! barrier passes behind which nobody would have it. So the last change per (key, window) is a function of the rows, however many changes came before
//! it.
//!
//! A partition's next primary, and a run that goes on from a checkpoint, go on from what the consumer shows: all keys count as changed, so each row is
//! said once more, and what is shown and not there any more is deleted as it would have been. If the job was taken back from a later checkpoint,
//! nothing is said until its rows have been read again.

use crate::consumer::Consumer;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use raympp_operators::sharing::SharedMetric;
use raympp_operators::window::Window;
use raympp_state::checkpoint::Ahead;
use raympp_state::checkpoint::shown::{KeyWindow, Shown};
use raympp_state::replica::Replica;
use raympp_state::result::ResultDelta;
use raympp_state::sessions::{LetGo, Session};
use raympp_types::{Epoch, EventTime, MetricId, Offset};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type KeyBytes = Box<[u8]>;

/// One consumer's changelog of one metric on one partition.
pub(crate) struct Changelog {
    metric: Arc<SharedMetric>,
    every_us: Option<i64>,
    consumer: Arc<Consumer>,
    dirty: BTreeSet<u32>,
    /// Running totals that were forgotten while a change of theirs was held back, as they were last, with the end of their time to live.
    let_go: BTreeMap<KeyBytes, (Arc<Session>, EventTime)>,
    next_us: u64,
    /// What is upserted and not finished, where it may have to be deleted.
    open: Shown,
    /// How many of that end when, in microseconds.
    ends: BTreeMap<i64, usize>,
    /// The consumer has had what changes up to here, and these rows have not all been read again.
    ahead: Option<Ahead>,
    /// It has had the final rows of windows that end up to here.
    had: EventTime,
    /// Rows to be emitted.
    ready: Vec<Ready>,
}

/// A row to be emitted.
struct Ready {
    /// From this time on no row changes it; [`EventTime::MAX`] if any may.
    end: EventTime,
    row: RecordBatch,
    /// What is shown from then on and was not, or is no longer.
    turned: Option<KeyWindow>,
}

/// Rows that are emitted together.
pub(crate) struct Change {
    /// The first epoch that holds all rows of the stream that they show.
    pub(crate) epoch: Epoch,
    pub(crate) rows: RecordBatch,
    /// What is shown from then on and was not, or is no longer.
    pub(crate) turned: Vec<KeyWindow>,
}

impl Changelog {
    /// Begins for a primary; `after`: for one that took another's place.
    pub(crate) fn begin(
        metric: Arc<SharedMetric>,
        every_us: Option<i64>,
        consumer: Arc<Consumer>,
        replica: &mut Replica,
        after: bool,
    ) -> Changelog {
        replica.track(&metric);
        let goes_on = after || consumer.goes_on;
        let dirty = if goes_on { replica.ids(metric.store).collect() } else { BTreeSet::new() };
        let open = if goes_on { consumer.shown(replica.view().partition()) } else { Shown::new() };
        let mut ends = BTreeMap::new();
        open.iter().for_each(|(_, _, end)| *ends.entry(*end).or_default() += 1);
        let had = consumer.ahead.as_ref().map_or(EventTime::MIN, |ahead| ahead.frontier);
        let ahead = consumer.ahead.clone();
        Changelog { metric, every_us, consumer, dirty, let_go: BTreeMap::new(), next_us: 0, open, ends, ahead, had, ready: Vec::new() }
    }

    /// True if something that was forgotten has yet to be said: nobody else could say it.
    pub(crate) fn holds_let_go(&self) -> bool {
        !self.let_go.is_empty()
    }

    pub(crate) fn metric(&self) -> MetricId {
        self.metric.id
    }

    pub(crate) fn consumer(&self) -> &Arc<Consumer> {
        &self.consumer
    }

    pub(crate) fn consumer_id(&self) -> u64 {
        self.consumer.id
    }

    pub(crate) fn due_us(&self) -> Option<u64> {
        self.holds_back().then_some(self.next_us)
    }

    fn holds_back(&self) -> bool {
        self.ahead.is_none() && (!self.dirty.is_empty() || !self.let_go.is_empty())
    }

    /// True if an upsert may have to be deleted: else its window has a final row.
    fn remembers(metric: &SharedMetric) -> bool {
        metric.plan.having.is_some() || matches!(metric.plan.window, Window::Session { .. })
    }

    /// Notes the keys that the last delta touched.
    pub(crate) fn touch(&mut self, replica: &mut Replica) {
        self.dirty.extend(replica.touched(self.metric.store));
    }

    /// Takes over running totals of its store that are being forgotten. Their ids may soon mean other keys.
    pub(crate) fn keep(&mut self, store: usize, let_go: &[LetGo]) {
        let Window::Global { ttl_us: Some(gap_us) } = self.metric.plan.window else { return };
        if store == self.metric.store {
            for LetGo { id, key, session } in let_go {
                let end = EventTime(session.last_us.saturating_add(gap_us));
                if self.dirty.remove(id) && end > self.had {
                    self.let_go.insert(key.clone(), (Arc::clone(session), end));
                }
            }
        }
    }

    /// Rows to emit now, in order, each run with the first epoch that holds all rows of the stream that it shows; `epoch_of` tells that by
    /// the end of a window.
    pub(crate) fn changes(&mut self, replica: &Replica, now_us: u64, epoch_of: impl Fn(EventTime) -> Epoch) -> Vec<Change> {
        let is_behind = |ahead: &mut Ahead| {
            let applied = |split| replica.splits().get(split).map_or(Offset(0), |progress| progress.applied);
            ahead.offsets.iter().any(|(split, offset)| applied(split) < *offset)
        };
        self.ahead.take_if(|ahead| !is_behind(ahead));
        if now_us >= self.next_us && self.holds_back() {
            self.next_us = now_us + self.every_us.unwrap_or(0) as u64;
            self.emit_dirty(replica);
        }
        self.take_ready(epoch_of)
    }

    /// As [`Changelog::changes`], of what a barrier with this frontier leaves behind: totals that were forgotten by then, which no replica has that begins
    /// there, and windows that ended by then without a final row. To be called when all has closed up to the frontier.
    pub(crate) fn changes_before(&mut self, replica: &Replica, frontier: EventTime, epoch_of: impl Fn(EventTime) -> Epoch) -> Vec<Change> {
        if self.ahead.is_none() {
            for (key, (session, end)) in self.let_go.extract_if(.., |_, (_, end)| *end <= frontier).collect::<Vec<_>>() {
                self.put_let_go(replica, key, &session, end);
            }
        }
        if self.metric.plan.window.has_bounds() {
            self.delete_over(replica, frontier);
        }
        self.take_ready(epoch_of)
    }

    /// A window that is over is left to [`Changelog::close`], or its row would come again after the final one.
    fn emit_dirty(&mut self, replica: &Replica) {
        let has_bounds = self.metric.plan.window.has_bounds();
        for id in std::mem::take(&mut self.dirty) {
            let Some(key) = replica.key(self.metric.store, id).map(KeyBytes::from) else { continue };
            // A group that started anew meanwhile.
            self.let_go.remove(&key);
            let live = replica.view().latest_window(&self.metric, &key);
            self.delete_given_way(replica, &key, live.as_ref().map(|(bounds, _)| *bounds));
            if let Some(((start, end), row)) = live
                && !(has_bounds && EventTime(end) <= replica.frontier().max(self.had))
            {
                // A group without a window is one row, also when its time to live has passed and it starts anew.
                let (bounds, end) = if has_bounds { ((start, end), EventTime(end)) } else { ((0, 0), EventTime::MAX) };
                self.put(replica, (key, bounds.0, bounds.1), row, end);
            }
        }
        for (key, (session, end)) in std::mem::take(&mut self.let_go) {
            self.put_let_go(replica, key, &session, end);
        }
    }

    fn put_let_go(&mut self, replica: &Replica, key: KeyBytes, session: &Session, end: EventTime) {
        let row = replica.view().row_let_go(&self.metric, &key, session);
        self.put(replica, (key, 0, 0), row, end);
    }

    /// Upserts a row, or deletes the one that was there if HAVING refuses it now.
    fn put(&mut self, replica: &Replica, at: KeyWindow, row: Option<RecordBatch>, end: EventTime) {
        match row {
            Some(row) => {
                let turned = (Self::remembers(&self.metric) && self.show(&at)).then_some(at);
                self.ready.push(Ready { end, row: with_op(&row, "upsert"), turned });
            }
            None => self.delete(replica, at, end),
        }
    }

    /// Sessions of a key that no longer exist as they were.
    fn delete_given_way(&mut self, replica: &Replica, key: &[u8], live: Option<(i64, i64)>) {
        if !matches!(self.metric.plan.window, Window::Session { .. }) {
            return;
        }
        let from = (KeyBytes::from(key), i64::MIN, i64::MIN);
        let of_key = self.open.range(from..).take_while(|(other, ..)| **other == *key);
        let gone: Vec<_> = of_key
            .filter(|(_, start, end)| Some((*start, *end)) != live && !replica.has_session(&self.metric, key, (*start, *end)))
            .cloned()
            .collect();
        gone.into_iter().for_each(|at| self.delete_window(replica, at));
    }

    /// Deletes what is shown of a window.
    fn delete_window(&mut self, replica: &Replica, at: KeyWindow) {
        let end = EventTime(at.2);
        self.delete(replica, at, end);
    }

    fn delete(&mut self, replica: &Replica, at: KeyWindow, end: EventTime) {
        if self.hide(&at) {
            let row = replica.view().row_of_names(&self.metric, &at.0, (at.1, at.2));
            self.ready.push(Ready { end, row: with_op(&row, "delete"), turned: Some(at) });
        }
    }

    /// Deletes windows that end at or before the frontier: they have no final row, or it would have come.
    fn delete_over(&mut self, replica: &Replica, frontier: EventTime) {
        if self.ends.first_key_value().is_some_and(|(end, _)| EventTime(*end) <= frontier) {
            let over: Vec<_> = self.open.iter().filter(|(_, _, end)| EventTime(*end) <= frontier).cloned().collect();
            over.into_iter().for_each(|at| self.delete_window(replica, at));
        }
    }

    /// Notes that a pair is shown; true if it was not.
    fn show(&mut self, at: &KeyWindow) -> bool {
        let new = self.open.insert(at.clone());
        if new {
            *self.ends.entry(at.2).or_default() += 1;
        }
        new
    }

    /// Notes that a pair is no longer shown; true if it was.
    fn hide(&mut self, at: &KeyWindow) -> bool {
        let was = self.open.remove(at);
        if was && let Entry::Occupied(mut ends) = self.ends.entry(at.2) {
            *ends.get_mut() -= 1;
            if *ends.get() == 0 {
                ends.remove();
            }
        }
        was
    }

    /// Takes note of closed windows; returns final rows, and deletions of what has none, as [`Changelog::changes`] does.
    pub(crate) fn close(&mut self, replica: &Replica, result: &ResultDelta, epoch_of: impl Fn(EventTime) -> Epoch) -> Vec<Change> {
        let had = self.had;
        for (row, (key, start, end)) in result.groups.iter().enumerate().filter(|(_, (.., end))| EventTime(*end) > had) {
            let at = (KeyBytes::from(&**key), *start, *end);
            let turned = self.hide(&at).then_some(at);
            self.ready.push(Ready { end: EventTime(*end), row: with_op(&result.batch.slice(row, 1), "upsert"), turned });
        }
        if result.last && self.metric.plan.window.has_bounds() {
            self.delete_over(replica, result.window_end);
        }
        self.take_ready(epoch_of)
    }

    /// The last rows: what never closed is final now.
    pub(crate) fn finish(&mut self, replica: &Replica, epoch_of: impl Fn(EventTime) -> Epoch) -> Vec<Change> {
        self.ahead = None;
        self.emit_dirty(replica);
        if self.metric.plan.window.has_bounds() {
            self.delete_over(replica, EventTime::MAX);
        }
        self.take_ready(epoch_of)
    }

    fn take_ready(&mut self, epoch_of: impl Fn(EventTime) -> Epoch) -> Vec<Change> {
        let ready = std::mem::take(&mut self.ready).into_iter();
        let ready: Vec<(Epoch, Ready)> = ready.map(|ready| (epoch_of(ready.end), ready)).collect();
        let runs = ready.chunk_by(|one, next| one.0 == next.0);
        let change = |run: &[(Epoch, Ready)]| Change {
            epoch: run[0].0,
            rows: joined(run.iter().map(|(_, ready)| &ready.row)),
            turned: run.iter().filter_map(|(_, ready)| ready.turned.clone()).collect(),
        };
        runs.map(change).collect()
    }
}

fn joined<'a>(rows: impl Iterator<Item = &'a RecordBatch> + Clone) -> RecordBatch {
    let schema = rows.clone().next().expect("some rows").schema();
    concat_batches(&schema, rows).expect("rows of one metric have one schema")
}

/// Puts `op` before the output columns, and strings into plain form.
fn with_op(rows: &RecordBatch, op: &str) -> RecordBatch {
    let mut fields = vec![Field::new("op", ArrowType::Utf8, false)];
    let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec![op; rows.num_rows()]))];
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let column = plain(column);
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("one length")
}

/// A dictionary of strings as strings; other columns as they are.
pub(crate) fn plain(column: &ArrayRef) -> ArrayRef {
    match column.as_any_dictionary_opt() {
        Some(dictionary) => arrow::compute::take(dictionary.values(), dictionary.keys(), None).expect("codes are in range"),
        None => Arc::clone(column),
    }
}
