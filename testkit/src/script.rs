//! Scripts for tests: SQL text becomes the plans of one stream.

use raympp_operators::plan::{MetricPlan, StreamPlan};
use raympp_operators::sql::{Catalog, Statement, bind_script};
use raympp_types::MetricId;
use std::sync::Arc;

/// One stream and its metrics in order of creation, with their ids.
#[derive(Clone, Debug)]
pub struct StreamScript {
    /// The stream.
    pub stream: Arc<StreamPlan>,
    /// The metrics.
    pub metrics: Vec<(MetricId, Arc<MetricPlan>)>,
}

/// Binds a script of one CREATE STREAM and any number of CREATE METRIC. Metric i of the script has id i.
///
/// # Panics
/// If the script makes no sense; the message holds it.
pub fn bind(sql: &str) -> StreamScript {
    let bound = bind_script(sql, &Catalog::default()).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    let metrics: Vec<_> = bound
        .statements
        .iter()
        .filter_map(|statement| if let Statement::CreateMetric { plan, .. } = statement { Some(Arc::clone(plan)) } else { None })
        .enumerate()
        .map(|(id, plan)| (MetricId(id as u32), plan))
        .collect();
    let stream = bound.catalog.streams.into_values().next().unwrap_or_else(|| panic!("the script creates no stream:\n{sql}"));
    StreamScript { stream, metrics }
}
