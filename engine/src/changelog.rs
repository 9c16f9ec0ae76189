//! EMIT ON UPDATE: the changelog of a metric, keyed by (group key, window).
//!
//! Of each key that changed, the live window's row is emitted as an upsert, at most once per delta or interval. What has been upserted
//! and not finished is remembered with its last row: a row that stops satisfying HAVING or whose window gave way to another session is
//! deleted; a window that closes is upserted once more with its final row, or deleted if it has none. A running total never closes: if it
//! is forgotten while a change of it is held back, its last value is kept until it may be emitted. So the last change per
//! (key, window) is a function of the rows, however many changes came before it.
//!
//! A partition's next primary goes on from what the consumer shows: all keys count as changed, so each row is said once more, and what is shown and
//! not there any more is deleted as it would have been.

use crate::consumer::{Consumer, KeyWindow, Shown};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use raympp_operators::sharing::SharedMetric;
use raympp_state::replica::Replica;
use raympp_state::result::ResultDelta;
use raympp_state::sessions::{LetGo, Session};
use raympp_types::{Epoch, EventTime, MetricId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type KeyBytes = Box<[u8]>;

/// One consumer's changelog of one metric on one partition.
pub(crate) struct Changelog {
    metric: Arc<SharedMetric>,
    every_us: Option<i64>,
    consumer: Arc<Consumer>,
    dirty: BTreeSet<u32>,
    /// Running totals that were forgotten while a change of theirs was held back, as they were last.
    let_go: BTreeMap<KeyBytes, Arc<Session>>,
    next_us: u64,
    /// Last row of each (key, window start, window end) upserted and not finished, where it may have to be deleted.
    open: Shown,
    /// Rows to be emitted.
    ready: Vec<Ready>,
}

/// A row to be emitted.
struct Ready {
    /// The end of its window; without windows [`EventTime::MAX`].
    end: EventTime,
    row: RecordBatch,
    /// What is open there from then on.
    at: KeyWindow,
    open: Option<RecordBatch>,
}

/// Rows that are emitted together.
pub(crate) struct Change {
    /// The first epoch that holds all rows of the stream that they show.
    pub(crate) epoch: Epoch,
    pub(crate) rows: RecordBatch,
    /// What is open from then on, by key and window.
    pub(crate) touches: Vec<(KeyWindow, Option<RecordBatch>)>,
}

impl Changelog {
    pub(crate) fn new(metric: Arc<SharedMetric>, every_us: Option<i64>, consumer: Arc<Consumer>, replica: &mut Replica) -> Changelog {
        replica.track(&metric);
        Changelog {
            metric,
            every_us,
            consumer,
            dirty: BTreeSet::new(),
            let_go: BTreeMap::new(),
            next_us: 0,
            open: BTreeMap::new(),
            ready: Vec::new(),
        }
    }

    /// Goes on for a primary that was replaced.
    pub(crate) fn take_over(metric: Arc<SharedMetric>, every_us: Option<i64>, consumer: Arc<Consumer>, replica: &mut Replica) -> Changelog {
        let open = consumer.shown(replica.view().partition());
        let changelog = Changelog::new(metric, every_us, consumer, replica);
        let dirty = replica.ids(changelog.metric.store).collect();
        Changelog { open, dirty, ..changelog }
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
        !self.dirty.is_empty() || !self.let_go.is_empty()
    }

    /// Notes the keys that the last delta touched.
    pub(crate) fn touch(&mut self, replica: &mut Replica) {
        self.dirty.extend(replica.touched(self.metric.store));
    }

    /// Takes over running totals of its store that are being forgotten. Their ids may soon mean other keys.
    pub(crate) fn keep(&mut self, store: usize, let_go: &[LetGo]) {
        if store == self.metric.store && !self.metric.plan.window.has_bounds() {
            for LetGo { id, key, session } in let_go {
                if self.dirty.remove(id) {
                    self.let_go.insert(key.clone(), Arc::clone(session));
                }
            }
        }
    }

    /// Rows to emit now, in order, each run with the first epoch that holds all rows of the stream that it shows; `epoch_of` tells that by
    /// the end of a window.
    pub(crate) fn changes(&mut self, replica: &Replica, now_us: u64, epoch_of: impl Fn(EventTime) -> Epoch) -> Vec<Change> {
        if now_us >= self.next_us && self.holds_back() {
            self.next_us = now_us + self.every_us.unwrap_or(0) as u64;
            self.emit_dirty(replica);
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
            if let Some(((start, end), rows)) = live
                && !(has_bounds && EventTime(end) <= replica.frontier())
            {
                // A group without a window is one row, also when its time to live has passed and it starts anew.
                let (start, end) = if has_bounds { (start, end) } else { (0, 0) };
                self.put((key, start, end), rows);
            }
        }
        for (key, session) in std::mem::take(&mut self.let_go) {
            let rows = replica.view().row_let_go(&self.metric, &key, &session);
            self.put((key, 0, 0), rows);
        }
    }

    /// Upserts a row, or deletes the one that was there if HAVING refuses it now.
    fn put(&mut self, at: (KeyBytes, i64, i64), rows: Option<RecordBatch>) {
        match rows {
            Some(rows) => {
                let open = (self.metric.plan.window.has_bounds() || self.metric.plan.having.is_some()).then(|| rows.clone());
                if let Some(rows) = &open {
                    self.open.insert(at.clone(), rows.clone());
                }
                self.emit(at, &rows, "upsert", open);
            }
            None => self.delete(&at),
        }
    }

    /// Sessions of a key that no longer exist as they were.
    fn delete_given_way(&mut self, replica: &Replica, key: &[u8], live: Option<(i64, i64)>) {
        if self.metric.plan.window.is_sliced() || !self.metric.plan.window.has_bounds() {
            return;
        }
        let from = (KeyBytes::from(key), i64::MIN, i64::MIN);
        let of_key = self.open.range(from..).map(|(at, _)| at).take_while(|(other, ..)| **other == *key);
        let gone: Vec<_> = of_key
            .filter(|(_, start, end)| Some((*start, *end)) != live && !replica.has_session(&self.metric, key, (*start, *end)))
            .cloned()
            .collect();
        gone.iter().for_each(|at| self.delete(at));
    }

    fn delete(&mut self, at: &(KeyBytes, i64, i64)) {
        if let Some(row) = self.open.remove(at) {
            self.emit(at.clone(), &row, "delete", None);
        }
    }

    fn emit(&mut self, at: KeyWindow, row: &RecordBatch, op: &str, open: Option<RecordBatch>) {
        let end = if self.metric.plan.window.has_bounds() { EventTime(at.2) } else { EventTime::MAX };
        self.ready.push(Ready { end, row: with_op(row, op), at, open });
    }

    /// Takes note of closed windows; returns final rows, and deletions of what has none, as [`Changelog::changes`] does.
    pub(crate) fn close(&mut self, result: &ResultDelta, epoch_of: impl Fn(EventTime) -> Epoch) -> Vec<Change> {
        for (row, (key, start, end)) in result.groups.iter().enumerate() {
            let at = (KeyBytes::from(&**key), *start, *end);
            self.open.remove(&at);
            self.emit(at, &result.batch.slice(row, 1), "upsert", None);
        }
        if result.last && self.metric.plan.window.has_bounds() {
            let over: Vec<_> = self.open.keys().filter(|(_, _, end)| EventTime(*end) <= result.window_end).cloned().collect();
            over.iter().for_each(|at| self.delete(at));
        }
        self.take_ready(epoch_of)
    }

    /// The last rows: what never closed is final now.
    pub(crate) fn finish(&mut self, replica: &Replica, epoch_of: impl Fn(EventTime) -> Epoch) -> Vec<Change> {
        self.emit_dirty(replica);
        if self.metric.plan.window.has_bounds() {
            let open: Vec<_> = self.open.keys().cloned().collect();
            open.iter().for_each(|at| self.delete(at));
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
            touches: run.iter().map(|(_, ready)| (ready.at.clone(), ready.open.clone())).collect(),
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
