//! EXPLAIN: how a metric compiles and what it shares.

use crate::stream::Stream;
use raympp_operators::accumulator::{Accumulator, CellKind};
use raympp_operators::plan::MetricPlan;
use raympp_operators::sharing::{SharedMetric, SharedPlan, Store, StoreKind};
use raympp_types::text::format_interval;
use raympp_types::{Interval, MetricId};
use std::fmt::Write;
use std::sync::Arc;

/// The text of one metric.
pub(crate) fn metric(stream: &Stream, metric: &SharedMetric) -> String {
    text(stream, &stream.shared.load(), metric)
}

/// The text of a metric that there is not, as it would be if it were created now.
pub(crate) fn planned(stream: &Stream, id: MetricId, definition: &Arc<MetricPlan>) -> String {
    let plan = stream.plan_with(id, definition);
    let metric = plan.metrics.iter().find(|metric| metric.id == id).expect("just placed");
    text(stream, &plan, metric)
}

fn text(stream: &Stream, plan: &SharedPlan, metric: &SharedMetric) -> String {
    let definition = &metric.plan;
    let mut text = format!("metric {}\n", definition.name);
    let stream_plan = &stream.plan;
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<13}{value}");
    };
    line("stream", format!("{}, out of order by up to {}", stream_plan.name, span(stream_plan.bound_us)));
    line("filter", definition.filter.as_ref().map_or_else(|| "none".into(), ToString::to_string));
    let keys: Vec<String> = definition.keys.iter().map(|key| format!("{} {}", key.expr, key.expr.data_type())).collect();
    line("keys", if keys.is_empty() { "none: one group".into() } else { keys.join(", ") });
    line("window", definition.window.to_string());
    if let Some(store) = &plan.stores[metric.store] {
        line("slices", slices(store, metric));
        line("shared with", sharers(plan, metric));
        for (i, accumulator) in store.accumulators.iter().enumerate() {
            let users =
                plan.metrics.iter().filter(|other| other.store == metric.store && other.accumulators.iter().flatten().any(|&j| j == i));
            let names: Vec<&str> = users.map(|user| user.plan.name.as_str()).collect();
            if metric.accumulators.iter().flatten().any(|&j| j == i) {
                let inverts = if accumulator.invertible() { "inverts" } else { "merged by powers of two" };
                line("accumulator", format!("{accumulator}, {}, {inverts}, used by {}", size(accumulator), names.join(", ")));
            }
        }
        let heavy = store.accumulators.iter().any(|accumulator| accumulator.heavy_size().is_some());
        let beside = if heavy { ", beside what pointers point to" } else { "" };
        line("bytes", format!("{} per group and slice, rows included{beside}", store.bytes_per_group()));
    }
    line("having", definition.having.as_ref().map_or_else(|| "none".into(), ToString::to_string));
    for column in &definition.output {
        line("output", format!("{} {} = {}", column.name, column.expr.data_type(), column.expr));
    }
    line("retention", span(definition.retention_us));
    line("partitions", format!("{} of {} key groups", stream.key_groups.partitions(), stream.key_groups.groups()));
    text
}

fn span(us: i64) -> String {
    format_interval(&Interval { months: 0, days: 0, micros: us })
}

fn size(accumulator: &Accumulator) -> String {
    match (accumulator.heavy_size(), accumulator.cell_kind(), accumulator.bytes_per_cell()) {
        (Some(heavy), ..) => heavy.to_string(),
        (None, CellKind::Wide4 | CellKind::Wide8, 8) => "8 bytes while sums fit 64 bits".into(),
        (None, _, bytes) => format!("{bytes} bytes"),
    }
}

fn slices(store: &Store, metric: &SharedMetric) -> String {
    match store.kind {
        StoreKind::Running => "one for ever".into(),
        StoreKind::Sessions { gap_us } => format!("sessions, gap {}", span(gap_us)),
        StoreKind::Sliced => {
            let (base, tier) = (&store.tiers[0], &store.tiers[metric.tier]);
            let per_window = metric.plan.window.size_us() / tier.width_us;
            if metric.tier == 0 {
                format!("{} wide, {per_window} to a window", span(tier.width_us))
            } else {
                format!("{} wide, {per_window} to a window, merged from slices of {}", span(tier.width_us), span(base.width_us))
            }
        }
    }
}

fn sharers(plan: &SharedPlan, metric: &SharedMetric) -> String {
    let others = plan.metrics.iter().filter(|other| other.store == metric.store && other.id != metric.id);
    let names: Vec<&str> = others.map(|other| other.plan.name.as_str()).collect();
    if names.is_empty() { "no other metric".into() } else { names.join(", ") }
}
