//! What SQL text means: definitions of streams, metrics and sinks, typed and checked, ready to run.
//!
//! A metric is evaluated in two halves. Per row: `filter`, the keys, the aggregates' arguments and filters, all over the stream's
//! columns. Per group: `having` and `output`, over the *group row*: the keys, then window_start and window_end if the window has
//! bounds, then one column per aggregate ([`MetricPlan::group_schema`]).

use crate::accumulator::Aggregate;
use crate::expr::Expr;
use crate::window::Window;
use raympp_types::{DataType, Field, Schema, Value};
use std::collections::BTreeMap;

/// Columns that reading a metric adds to its own: `closed`, then `live`.
pub const METRIC_FLAGS: [&str; 2] = ["closed", "live"];

/// Column that EMIT ON UPDATE adds to a metric's: `upsert` or `delete`.
pub const CHANGELOG_COLUMN: &str = "op";

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
    /// Which column is the event time (TIMESTAMP or TIMESTAMPTZ): the WATERMARK clause's, else the only column of those types. `None`
    /// without such a column, or with several and no clause; then only windowless metrics read the stream, and no row is late.
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
    /// The statement as written.
    pub definition: String,
}

impl MetricPlan {
    /// Type of window_start and window_end: that of the time column.
    pub fn time_type(&self, stream: &StreamPlan) -> DataType {
        self.event_time.or(stream.event_time).map_or(DataType::Timestamp, |column| stream.schema.fields[column].data_type)
    }

    /// Columns of the group row: keys, window_start and window_end if the window has bounds, aggregates, named as they are written.
    pub fn group_schema(&self, stream: &StreamPlan) -> Schema {
        let mut fields: Vec<Field> = self.keys.iter().map(|key| Field::new(key.name.clone(), key.expr.data_type())).collect();
        if self.window.has_bounds() {
            let time = self.time_type(stream);
            fields.push(Field::new("window_start", time));
            fields.push(Field::new("window_end", time));
        }
        fields.extend(self.aggregates.iter().map(|aggregate| Field::new(aggregate.to_string(), aggregate.data_type())));
        Schema::new(fields)
    }

    /// Columns of the result.
    pub fn output_schema(&self) -> Schema {
        Schema::new(self.output.iter().map(|column| Field::new(column.name.clone(), column.expr.data_type())).collect())
    }

    /// What its groups mean, as text: window, keys, which rows count. State of a metric is good for another one with an equal text that
    /// keeps nothing else.
    pub fn meaning(&self) -> String {
        let typed = |key: &Key| format!("{} {}", key.expr, key.expr.data_type());
        let keys: Vec<String> = self.keys.iter().map(typed).collect();
        let filter = self.filter.as_ref().map_or(String::new(), |filter| format!(" where {filter}"));
        format!("{} by ({}){filter}", self.window, keys.join(", "))
    }
}

impl StreamPlan {
    /// What its rows are, as text: a line per column with its name, its type and whether it is the event time, divided by tabs.
    pub fn meaning(&self) -> String {
        let column = |(index, field): (usize, &Field)| {
            let event_time = if self.event_time == Some(index) { "\tevent time" } else { "" };
            format!("{}\t{}{event_time}", field.name.escape_debug(), field.data_type)
        };
        self.schema.fields.iter().enumerate().map(column).collect::<Vec<String>>().join("\n")
    }

    /// The columns that [`StreamPlan::meaning`] tells of: name, type, and whether it is the event time.
    pub fn columns_described(meaning: &str) -> impl Iterator<Item = (&str, (&str, bool))> {
        meaning.lines().filter_map(|line| {
            let (name, rest) = line.split_once('\t')?;
            let (data_type, is_event_time) = rest.split_once('\t').map_or((rest, false), |(data_type, _)| (data_type, true));
            Some((name, (data_type, is_event_time)))
        })
    }
}

impl MetricPlan {
    /// Columns of what SELECT reads: the result's, then [`METRIC_FLAGS`].
    pub fn readable_schema(&self) -> Schema {
        let mut schema = self.output_schema();
        schema.fields.extend(METRIC_FLAGS.map(|flag| Field::new(flag, DataType::Boolean)));
        schema
    }

    /// Columns that SELECT would have to show for a receiver of the changelog to tell its rows apart: every key as it is, and what names
    /// the window – its end, or for TUMBLE and HOP its start, for SESSION both, since both may change.
    pub fn missing_identity(&self) -> Vec<String> {
        let shows = |column: usize| self.output.iter().any(|output| output.expr.as_column() == Some(column));
        let (start, end) = (("window_start", shows(self.keys.len())), ("window_end", shows(self.keys.len() + 1)));
        let bounds = match self.window {
            Window::Global { .. } => vec![],
            Window::Tumble { .. } | Window::Hop { .. } if start.1 => vec![],
            Window::Tumble { .. } | Window::Hop { .. } | Window::Cumulate { .. } => vec![end],
            Window::Session { .. } => vec![start, end],
        };
        let keys = self.keys.iter().enumerate().map(|(index, key)| (key.name.as_str(), shows(index)));
        keys.chain(bounds).filter(|(_, shown)| !shown).map(|(name, _)| name.to_owned()).collect()
    }

    /// For each key the result column that holds it as it is; `None` if SELECT leaves a key out or only shows something made of it.
    pub fn key_outputs(&self) -> Option<Vec<usize>> {
        (0..self.keys.len()).map(|key| self.output.iter().position(|column| column.expr.as_column() == Some(key))).collect()
    }
}

/// One key of ORDER BY.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderKey {
    /// Over the same row as the projection.
    pub expr: Expr,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST; PostgreSQL's default is last for ASC, first for DESC.
    pub nulls_first: bool,
}

/// GROUP BY of a SELECT. Rows above see the *group row*: the keys, then the aggregates.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectGroups {
    /// Over the input; empty: one group, there even without rows.
    pub keys: Vec<Key>,
    /// The distinct aggregates, in order of appearance.
    pub aggregates: Vec<Aggregate>,
    /// HAVING, BOOLEAN, over the group row.
    pub having: Option<Expr>,
}

/// SELECT over a metric. Evaluated in this order: filter, groups, having, order, projection, distinct, offset, limit.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectPlan {
    /// The metric read.
    pub metric: String,
    /// Its readable columns ([`MetricPlan::readable_schema`]).
    pub input: Schema,
    /// WHERE, BOOLEAN, over the input.
    pub filter: Option<Expr>,
    /// GROUP BY or aggregates; `None` for a plain projection.
    pub groups: Option<SelectGroups>,
    /// SELECT, over the group row if there are groups, else over the input.
    pub projection: Vec<Output>,
    /// SELECT DISTINCT; then every key of ORDER BY is one of the projection.
    pub distinct: bool,
    /// ORDER BY, over the same row as the projection.
    pub order_by: Vec<OrderKey>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// OFFSET.
    pub offset: u64,
    /// A value for each key of the metric, of the key's type, if WHERE lets only rows of that one key through. The filter still
    /// applies; this only says where to look.
    pub point: Option<Vec<Value>>,
}

impl SelectPlan {
    /// Columns of the result; names may repeat, as in PostgreSQL.
    pub fn output_schema(&self) -> Schema {
        Schema::new(self.projection.iter().map(|column| Field::new(column.name.clone(), column.expr.data_type())).collect())
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
