//! Plans as text, for DESCRIBE, EXPLAIN and snapshots: one fact a line, a label before it.

use crate::accumulator::{Accumulator, Aggregate};
use crate::expr::Expr;
use crate::plan::{BadRows, Emit, MetricPlan, Options, Output, SelectPlan, SinkInput, SinkPlan, StreamPlan};
use raympp_types::{Field, Interval, Schema, Value, text};
use std::fmt::Write;

const LABEL_WIDTH: usize = 10;

/// Lines below a title.
struct Lines(String);

impl Lines {
    fn new(title: String) -> Lines {
        Lines(title + "\n")
    }

    fn add(&mut self, label: &str, fact: impl std::fmt::Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "  {label:LABEL_WIDTH$} {fact}");
    }

    fn add_if(&mut self, label: &str, fact: Option<impl std::fmt::Display>) {
        if let Some(fact) = fact {
            self.add(label, fact);
        }
    }

    fn aggregates(&mut self, aggregates: &[Aggregate]) {
        for aggregate in aggregates {
            self.add("aggregate", format_args!("{aggregate} {}", aggregate.data_type()));
        }
    }

    fn options(&mut self, options: &Options) {
        for (name, value) in options {
            self.add("option", format_args!("{name} = '{value}'"));
        }
    }
}

fn length(us: i64) -> String {
    text::format_interval(&Interval { months: 0, days: 0, micros: us })
}

fn column(field: &Field) -> String {
    format!("{} {}", field.name, field.data_type)
}

fn named(name: &str, expr: &Expr) -> String {
    format!("{name} {} = {expr}", expr.data_type())
}

/// A stream: its columns, event time and options.
pub fn stream(plan: &StreamPlan) -> String {
    let mut lines = Lines::new(format!("stream {}", plan.name));
    for field in &plan.schema.fields {
        lines.add("column", column(field));
    }
    if let Some(field) = plan.event_time.and_then(|index| plan.schema.fields.get(index)) {
        lines.add("watermark", format_args!("{} - {}", field.name, length(plan.bound_us)));
    }
    lines.add_if("connector", plan.connector.as_ref());
    lines.options(&plan.options);
    lines.add_if("max jump", plan.max_jump_us.map(length));
    lines.add_if("idle", plan.idle_timeout_us.map(length));
    lines.add("disconnect", length(plan.disconnect_timeout_us));
    match &plan.bad_rows {
        BadRows::Skip => lines.add("bad rows", "skip"),
        BadRows::Fail => lines.add("bad rows", "fail"),
        BadRows::DeadLetter(path) => lines.add("bad rows", format_args!("dead letter: {path}")),
    }
    lines.0
}

/// A metric: window, filter, keys, aggregates with the accumulators they are made of, HAVING, output.
pub fn metric(plan: &MetricPlan, stream: &StreamPlan) -> String {
    let mut lines = Lines::new(format!("metric {} on stream {}", plan.name, plan.stream));
    let time = plan.event_time.and_then(|index| stream.schema.fields.get(index));
    lines.add("window", format_args!("{}{}", plan.window, time.map_or(String::new(), |time| format!(", on {}", time.name))));
    lines.add_if("slices", plan.window.slice_width_us().map(length));
    lines.add_if("where", plan.filter.as_ref());
    for key in &plan.keys {
        lines.add("key", named(&key.name, &key.expr));
    }
    lines.aggregates(&plan.aggregates);
    for accumulator in accumulators(&plan.aggregates) {
        lines.add("keeps", accumulator);
    }
    lines.add_if("having", plan.having.as_ref());
    outputs(&mut lines, &plan.output);
    lines.add("retention", length(plan.retention_us));
    lines.add_if("backfill", plan.backfill.then_some("from offset 0"));
    lines.0
}

/// What the aggregates share, each once, beside the number of rows that every group has.
fn accumulators(aggregates: &[Aggregate]) -> Vec<Accumulator> {
    let mut all: Vec<Accumulator> = vec![];
    for accumulator in aggregates.iter().flat_map(|aggregate| aggregate.lower().accumulators) {
        if !all.contains(&accumulator) {
            all.push(accumulator);
        }
    }
    all
}

fn outputs(lines: &mut Lines, outputs: &[Output]) {
    for output in outputs {
        lines.add("output", named(&output.name, &output.expr));
    }
}

/// A sink: what it reads, when, and where it writes.
pub fn sink(plan: &SinkPlan) -> String {
    let mut lines = Lines::new(format!("sink {}", plan.name));
    match &plan.input {
        SinkInput::Metric(name) => lines.add("from", format_args!("metric {name}")),
        SinkInput::LateRows(name) => lines.add("from", format_args!("late rows of stream {name}")),
    }
    match plan.emit {
        Emit::OnWindowClose => lines.add("emit", "on window close"),
        Emit::OnUpdate { every_us: None } => lines.add("emit", "on update"),
        Emit::OnUpdate { every_us: Some(us) } => lines.add("emit", format_args!("on update, every {}", length(us))),
    }
    lines.add("connector", &plan.connector);
    lines.options(&plan.options);
    lines.0
}

/// A SELECT: what it reads and every step after that, in order.
pub fn select(plan: &SelectPlan) -> String {
    let mut lines = Lines::new(format!("select from metric {}", plan.metric));
    if let Some(point) = &plan.point {
        let values: Vec<String> = point.iter().map(value).collect();
        lines.add("look-up", format_args!("({})", values.join(", ")));
    }
    lines.add_if("where", plan.filter.as_ref());
    if let Some(groups) = &plan.groups {
        for key in &groups.keys {
            lines.add("key", named(&key.name, &key.expr));
        }
        lines.aggregates(&groups.aggregates);
        lines.add_if("having", groups.having.as_ref());
    }
    outputs(&mut lines, &plan.projection);
    lines.add_if("distinct", plan.distinct.then_some("yes"));
    for key in &plan.order_by {
        let direction = if key.descending { "DESC" } else { "ASC" };
        let nulls = if key.nulls_first { "NULLS FIRST" } else { "NULLS LAST" };
        lines.add("order", format_args!("{} {direction} {nulls}", key.expr));
    }
    if plan.offset > 0 {
        lines.add("offset", plan.offset);
    }
    lines.add_if("limit", plan.limit);
    lines.0
}

fn value(value: &Value) -> String {
    Expr::literal(value.clone()).to_string()
}

/// A schema as `name TYPE, …`.
pub fn schema(schema: &Schema) -> String {
    schema.fields.iter().map(column).collect::<Vec<_>>().join(", ")
}
