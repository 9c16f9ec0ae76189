//! A handle on a metric: point look-ups, scans, subscriptions.

use crate::consumer::{Consumer, Intake, Item, News, Wants};
use crate::error::{Error, Result};
use crate::stream::Stream;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema as ArrowSchema};
use futures_core::Stream as AsyncStream;
use raympp_operators::expr::arrow_types::value_at;
use raympp_operators::keycode::encode_values;
use raympp_operators::plan::Key;
use raympp_operators::sharing::SharedMetric;
use raympp_state::version::PageLost;
use raympp_state::view::ReplicaView;
use raympp_types::{DataType, MetricId, Schema, Value};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Windows a subscription may have waiting before the stream is held.
const SUBSCRIPTION_QUEUE: usize = 4096;

/// A metric of a running engine. Cheap to clone; may be used from any thread.
#[derive(Clone)]
pub struct Metric {
    pub(crate) stream: Arc<Stream>,
    pub(crate) shared: Arc<SharedMetric>,
    key_types: Arc<[DataType]>,
    schema: Arc<Schema>,
}

/// One result row. Rows are equal if their columns and values are, whenever they were read.
#[derive(Clone, Debug)]
pub struct Row {
    schema: Arc<Schema>,
    values: Vec<Value>,
    as_of_us: u64,
}

impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        (&self.schema, &self.values) == (&other.schema, &other.values)
    }
}

impl Row {
    /// How fresh it is: at this time of the engine's clock, in microseconds since 1970, its partition had everything that had been sent to it.
    pub fn as_of_us(&self) -> u64 {
        self.as_of_us
    }

    /// Output columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Values in column order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of a column; `None` if there is no such column.
    pub fn get(&self, column: &str) -> Option<&Value> {
        Some(&self.values[self.schema.index_of(column)?])
    }

    /// A column of BIGINT, INTEGER, SMALLINT, DOUBLE PRECISION, REAL or DECIMAL as a float; `None` if it is NULL or another type.
    pub fn number(&self, column: &str) -> Option<f64> {
        match *self.get(column)? {
            Value::BigInt(v) => Some(v as f64),
            Value::Integer(v) => Some(v.into()),
            Value::SmallInt(v) => Some(v.into()),
            Value::Double(v) => Some(v),
            Value::Real(v) => Some(v.into()),
            ref decimal @ Value::Decimal { .. } => decimal.to_string().parse().ok(),
            _ => None,
        }
    }
}

impl Metric {
    pub(crate) fn open(stream: Arc<Stream>, id: MetricId) -> Option<Metric> {
        let shared = stream.metric(id)?;
        let key_types = shared.plan.keys.iter().map(|key| key.expr.data_type()).collect();
        let schema = Arc::new(shared.plan.output_schema());
        Some(Metric { stream, shared, key_types, schema })
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.shared.plan.name
    }

    /// Columns of its results.
    pub fn schema(&self) -> Schema {
        Schema::clone(&self.schema)
    }

    /// The live window's row of a key: one value per key of GROUP BY, in its order. `None` if the key has no row in the live window, or
    /// HAVING refuses it. It doesn't go through the partition's actor, and never makes it wait; where it meets a write to the same page or
    /// to keys beside its own, it looks again, which takes as long as the write: microseconds.
    ///
    /// # Errors
    /// [`Error::Refused`] if the number or types of values are not those of the keys.
    pub fn get(&self, key: &[Value]) -> Result<Option<Row>> {
        let key = self.key_bytes(key)?;
        Ok(self.look(|| {
            let view = self.stream.view_of_key(&key)?;
            let as_of_us = view.as_of_us();
            view.live(&self.shared, &key).map(|batch| self.row(&batch, as_of_us))
        }))
    }

    /// As [`Metric::get`], as a batch of one row.
    ///
    /// # Errors
    /// As [`Metric::get`].
    pub fn get_batch(&self, key: &[Value]) -> Result<Option<RecordBatch>> {
        let key = self.key_bytes(key)?;
        Ok(self.look(|| self.stream.view_of_key(&key).and_then(|view| view.live(&self.shared, &key))))
    }

    /// Looks again for as long as it meets a replica that broke in the middle of a write: another one takes its place at once, or the job ends.
    fn look<R: Default>(&self, look: impl Fn() -> R) -> R {
        loop {
            match catch_unwind(AssertUnwindSafe(&look)) {
                Ok(seen) => return seen,
                Err(lost) if !lost.is::<PageLost>() => resume_unwind(lost),
                Err(_) if self.stream.is_over() => return R::default(),
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    fn row(&self, batch: &RecordBatch, as_of_us: u64) -> Row {
        Row { schema: Arc::clone(&self.schema), values: batch.columns().iter().map(|column| value_at(column, 0)).collect(), as_of_us }
    }

    fn key_bytes(&self, key: &[Value]) -> Result<Vec<u8>> {
        let refuse = |problem: String| Err(Error::Refused(format!("look-up in metric {}: {problem}", self.name())));
        if key.len() != self.key_types.len() {
            return refuse(format!("its key is {}, so it takes {} values, not {}", self.key_text(), self.key_types.len(), key.len()));
        }
        let mut bytes = Vec::new();
        for ((value, &to), column) in key.iter().zip(self.key_types.iter()).zip(&self.shared.plan.keys) {
            if encode_values(&[widen(value, to)], &[to], &mut bytes).is_err() {
                return refuse(format!("{} is {to}, which the {} {value} is not", column.name, value.data_type()));
            }
        }
        Ok(bytes)
    }

    /// The columns of its key as `(name TYPE, …)`.
    fn key_text(&self) -> String {
        let column = |(key, data_type): (&Key, &DataType)| format!("{} {data_type}", key.name);
        let columns: Vec<String> = self.shared.plan.keys.iter().zip(self.key_types.iter()).map(column).collect();
        format!("({})", columns.join(", "))
    }

    /// How old a look-up's answer may be, in microseconds: the time since the partition that was heard of least recently had everything that
    /// had been sent to it. Every partition hears of every split at each barrier, so it stays below the time between two barriers and what
    /// they take to arrive; 0 for a stream that is complete or has not started, since nothing is missing. A row tells of its own partition: see
    /// [`Row::as_of_us`].
    pub fn staleness_us(&self) -> u64 {
        self.age_us(&self.stream.views())
    }

    /// To be asked before the views are read.
    fn age_us(&self, views: &[Arc<ReplicaView>]) -> u64 {
        match views.iter().map(|view| view.as_of_us()).min() {
            Some(oldest) if !self.stream.is_complete() => self.stream.host.clock.now_us().saturating_sub(oldest),
            _ => 0,
        }
    }

    /// Highest event time of the stream that look-ups can see, in microseconds since 1970; `i64::MIN` before the first row.
    pub fn highest_event_time_us(&self) -> i64 {
        self.stream.views().iter().map(|view| view.seen().0).max().unwrap_or(i64::MIN)
    }

    /// The live window's rows of all keys that have one.
    pub fn live_rows(&self) -> Vec<Row> {
        let rows_of = |batch: RecordBatch, as_of_us: u64| -> Vec<Row> {
            let values = |row: usize| batch.columns().iter().map(|column| value_at(column, row)).collect();
            (0..batch.num_rows()).map(|row| Row { schema: Arc::clone(&self.schema), values: values(row), as_of_us }).collect()
        };
        let rows_in = |view: &Arc<ReplicaView>| -> Vec<Row> {
            let as_of_us = view.as_of_us();
            view.scan(&self.shared, true).into_iter().flat_map(|scanned| rows_of(scanned.rows.batch, as_of_us)).collect()
        };
        self.look(|| self.stream.views().iter().flat_map(rows_in).collect())
    }

    /// All windows kept, with two more columns `closed` and `live`, from all partitions or that of the key `point`; and how stale that can be,
    /// in microseconds.
    pub(crate) fn readable(&self, point: Option<&[Value]>) -> (Vec<RecordBatch>, u64) {
        let point = point.and_then(|key| self.key_bytes(key).ok());
        self.look(|| {
            let views: Vec<Arc<ReplicaView>> = match &point {
                Some(key) => self.stream.view_of_key(key).into_iter().collect(),
                None => self.stream.views(),
            };
            let age_us = self.age_us(&views);
            let scanned = views.iter().flat_map(|view| view.scan(&self.shared, false));
            (scanned.map(|rows| with_state(&rows.rows.batch, rows.closed, &rows.live)).collect(), age_us)
        })
    }

    /// Closed windows from now on, each once, in order of their end within a partition. The stream is held while the subscription has a full
    /// queue; dropping it lets go.
    pub fn subscribe(&self) -> Subscription {
        self.consume(Wants::Closed(self.shared.id))
    }

    /// The changelog from the next delta on: rows with a first column `op` (upsert or delete) for each key's live window, at most once per
    /// delta or per `every`, and each window once more when it closes.
    ///
    /// # Errors
    /// [`Error::Refused`] if the rows of two keys or windows could not be told apart, as SELECT leaves out what names them.
    pub fn subscribe_updates(&self, every: Option<Duration>) -> Result<Subscription> {
        let missing = self.shared.plan.missing_identity();
        if !missing.is_empty() {
            let columns = missing.join(", ");
            return Err(Error::Refused(format!(
                "updates of metric {} cannot be told apart: its SELECT does not show {columns}",
                self.name()
            )));
        }
        Ok(self.consume(Wants::Changes(self.shared.id, every.map(|every| every.as_micros() as i64))))
    }

    fn consume(&self, wants: Wants) -> Subscription {
        let consumer = self.stream.consume(wants, false, SUBSCRIPTION_QUEUE, None);
        if self.stream.is_complete() {
            consumer.queue.finish();
        }
        Subscription { stream: Arc::clone(&self.stream), consumer, intake: Intake::default(), whole: VecDeque::new() }
    }
}

/// Key values of a narrower type are taken for the wider key.
fn widen(value: &Value, to: DataType) -> Value {
    match (value, to) {
        (Value::SmallInt(v), DataType::Integer) => Value::Integer((*v).into()),
        (Value::SmallInt(v), DataType::BigInt) => Value::BigInt((*v).into()),
        (Value::Integer(v), DataType::BigInt) => Value::BigInt((*v).into()),
        _ => value.clone(),
    }
}

fn with_state(batch: &RecordBatch, closed: bool, live: &[bool]) -> RecordBatch {
    let mut fields: Vec<Field> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column = crate::changelog::plain(column);
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    for (name, values) in [("closed", vec![closed; batch.num_rows()]), ("live", live.to_vec())] {
        fields.push(Field::new(name, ArrowType::Boolean, true));
        columns.push(Arc::new(BooleanArray::from(values)));
    }
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).expect("one length")
}

/// Results as they come. An iterator that waits, an async stream, or polled.
pub struct Subscription {
    stream: Arc<Stream>,
    consumer: Arc<Consumer>,
    intake: Intake,
    /// Rows of whole windows to be handed out.
    whole: VecDeque<RecordBatch>,
}

impl Subscription {
    /// Takes in one item.
    fn receive(&mut self, item: Item) {
        match self.intake.take(item) {
            News::Closed(pieces) => self.whole.extend(pieces.iter().map(|piece| piece.batch.clone())),
            News::Rows(_, batches, _) => self.whole.extend(batches),
            News::Sealed(..) => {}
            News::Nothing if self.intake.complete() == self.stream.partitions.len() => self.consumer.queue.finish(),
            News::Nothing => {}
        }
    }

    fn assembled(&mut self) -> Option<RecordBatch> {
        self.whole.pop_front()
    }

    /// The next rows if there are any now.
    pub fn try_next(&mut self) -> Option<RecordBatch> {
        loop {
            if let Some(rows) = self.assembled() {
                return Some(rows);
            }
            let item = self.consumer.queue.try_pop()?;
            self.receive(item);
        }
    }

    /// The next rows, or `None` if none come within `timeout` or the stream is complete.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<RecordBatch> {
        loop {
            if let Some(rows) = self.assembled() {
                return Some(rows);
            }
            let item = self.consumer.queue.pop_timeout(timeout).ok()??;
            self.receive(item);
        }
    }
}

impl Iterator for Subscription {
    type Item = RecordBatch;

    /// Waits for the next rows; `None` when the stream is complete or the engine has shut down.
    fn next(&mut self) -> Option<RecordBatch> {
        loop {
            if let Some(rows) = self.assembled() {
                return Some(rows);
            }
            let item = self.consumer.queue.pop()?;
            self.receive(item);
        }
    }
}

impl AsyncStream for Subscription {
    type Item = RecordBatch;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RecordBatch>> {
        loop {
            if let Some(rows) = self.assembled() {
                return Poll::Ready(Some(rows));
            }
            match self.consumer.queue.poll_pop(context) {
                Poll::Ready(Some(item)) => self.receive(item),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.consumer.queue.abandon();
        self.stream.consumers.remove(self.consumer.id);
    }
}
