//! What SQL text means: definitions of streams, metrics and sinks, typed and checked, ready to run.
//!
//! A metric is evaluated in two halves. Per row: `filter`, the keys, the aggregates' arguments and filters, all over the stream's
//! columns. Per group: `having` and `output`, over the *group row*: the keys, then window_start and window_end if the window has
//! bounds, then one column per aggregate ([`MetricPlan::group_schema`]).

use crate::accumulator::Aggregate;
use crate::expr::Expr;
use crate::window::Window;
use raympp_types::{DataType, Field, Schema};
use std::collections::BTreeMap;

/// Options of a WITH clause: lower-case name → value as written, without quotes.
pub type Options = BTreeMap<String, String>;

/// What a row that can't be counted does to the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BadRows {
    /// It is counted.
    #[default]
    Skip,
    /// The job fails, naming the row.
    Fail,
    /// It is counted and written to this file.
    DeadLetter(String),
}

/// CREATE STREAM
#[derive(Clone, Debug, PartialEq)]
pub struct StreamPlan {
    /// Name.
    pub name: String,
    /// All declared columns.
    pub schema: Schema,
    /// Which column is the event time (TIMESTAMP or TIMESTAMPTZ): the WATERMARK clause's, else the time column that all metrics
    /// name; `None` until one does, and for good if only windowless metrics read the stream.
    pub event_time: Option<usize>,
    /// Bound of out-of-orderness in microseconds; 0 without a WATERMARK clause.
    pub bound_us: i64,
    /// Furthest a row may jump ahead of the split's maximum; `None`: as far as it likes.
    pub max_jump_us: Option<i64>,
    /// When a connected split without rows stops holding the others; `None`: never.
    pub idle_timeout_us: Option<i64>,
    /// How long a lost connection holds the watermark.
    pub disconnect_timeout_us: i64,
    /// What becomes of bad rows.
    pub bad_rows: BadRows,
    /// 'file', 'payments', 'nexmark', or `None` for a stream that only embedded writers feed.
    pub connector: Option<String>,
    /// The connector's own options, everything in WITH that is not above.
    pub options: Options,
}

/// One key of GROUP BY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Name of the column in the group row: the alias, the column's own name, or the expression's text.
    pub name: String,
    /// Over the stream's columns.
    pub expr: Expr,
}

/// One column of the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Name of the result column.
    pub name: String,
    /// Over the group row.
    pub expr: Expr,
}

/// CREATE METRIC
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPlan {
    /// Name.
    pub name: String,
    /// The stream it reads.
    pub stream: String,
    /// Column of the stream that the window function names; `None` without a window (then the stream's own event time counts).
    pub event_time: Option<usize>,
    /// WHERE, BOOLEAN, over the stream's columns.
    pub filter: Option<Expr>,
    /// GROUP BY without window_start and window_end; empty: one global group.
    pub keys: Vec<Key>,
    /// The window.
    pub window: Window,
    /// The distinct aggregates of SELECT and HAVING, in order of appearance.
    pub aggregates: Vec<Aggregate>,
    /// HAVING, BOOLEAN, over the group row.
    pub having: Option<Expr>,
    /// SELECT, over the group row.
    pub output: Vec<Output>,
    /// How long closed windows stay readable, in microseconds of event time.
    pub retention_us: i64,
    /// Counts from offset 0 even if added later.
    pub backfill: bool,
    /// Rows that fail evaluation: what the stream says, unless the metric says otherwise.
    pub definition: String,
}

impl MetricPlan {
    /// Type of window_start and window_end: that of the time column.
    pub fn time_type(&self, stream: &StreamPlan) -> DataType {
        self.event_time.or(stream.event_time).map_or(DataType::Timestamp, |column| stream.schema.fields[column].data_type)
    }

    /// Columns of the group row: keys, window_start and window_end if the window has bounds, aggregates (named `agg0`, …).
    pub fn group_schema(&self, stream: &StreamPlan) -> Schema {
        let mut fields: Vec<Field> = self.keys.iter().map(|key| Field::new(key.name.clone(), key.expr.data_type())).collect();
        if self.window.has_bounds() {
            let time = self.time_type(stream);
            fields.push(Field::new("window_start", time));
            fields.push(Field::new("window_end", time));
        }
        fields.extend(self.aggregates.iter().enumerate().map(|(i, aggregate)| Field::new(format!("agg{i}"), aggregate.data_type())));
        Schema::new(fields)
    }

    /// Columns of the result.
    pub fn output_schema(&self) -> Schema {
        Schema::new(self.output.iter().map(|column| Field::new(column.name.clone(), column.expr.data_type())).collect())
    }
}

/// When a sink gets rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emit {
    /// Each window once, when it has closed.
    #[default]
    OnWindowClose,
    /// A changelog of live windows, at most once per flush, or per this many microseconds of wall time.
    OnUpdate {
        /// Least time between two updates of one key; `None`: each flush.
        every_us: Option<i64>,
    },
}

/// What a sink reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkInput {
    /// The results of a metric.
    Metric(String),
    /// The late rows of a stream (`<stream>_late`), with the stream's columns.
    LateRows(String),
}

/// CREATE SINK
#[derive(Clone, Debug, PartialEq)]
pub struct SinkPlan {
    /// Name.
    pub name: String,
    /// What it writes.
    pub input: SinkInput,
    /// When.
    pub emit: Emit,
    /// 'file' or 'stdout'.
    pub connector: String,
    /// The connector's options.
    pub options: Options,
}
