//! What exists: streams, metrics and sinks by name. Pure data; binding a script makes a new catalog and leaves the old one alone.
//!
//! Invariant: all names are distinct, over all three kinds and the `<stream>_late` that each stream brings along, and whatever a plan
//! names exists, since nothing is dropped while it is used.

use super::nearest::nearest;
use super::syntax::ObjectKind;
use crate::plan::{MetricPlan, SinkInput, SinkPlan, StreamPlan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Suffix of the name under which a sink reads a stream's late rows.
pub(crate) const LATE_SUFFIX: &str = "_late";

/// All definitions in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Streams by name.
    pub streams: BTreeMap<String, Arc<StreamPlan>>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Arc<MetricPlan>>,
    /// Sinks by name.
    pub sinks: BTreeMap<String, Arc<SinkPlan>>,
}

impl Catalog {
    /// What a name stands for.
    pub fn kind_of(&self, name: &str) -> Option<ObjectKind> {
        if self.streams.contains_key(name) {
            Some(ObjectKind::Stream)
        } else if self.metrics.contains_key(name) {
            Some(ObjectKind::Metric)
        } else if self.sinks.contains_key(name) {
            Some(ObjectKind::Sink)
        } else {
            None
        }
    }

    /// The stream whose late rows go by this name.
    pub fn late_rows(&self, name: &str) -> Option<&Arc<StreamPlan>> {
        self.streams.get(name.strip_suffix(LATE_SUFFIX)?)
    }

    /// The names of one kind, in alphabetical order.
    pub fn names(&self, kind: ObjectKind) -> Vec<&str> {
        match kind {
            ObjectKind::Stream => self.streams.keys().map(String::as_str).collect(),
            ObjectKind::Metric => self.metrics.keys().map(String::as_str).collect(),
            ObjectKind::Sink => self.sinks.keys().map(String::as_str).collect(),
        }
    }

    /// Everything that reads an object, as `metric "x"` or `sink "y"`.
    pub fn users(&self, kind: ObjectKind, name: &str) -> Vec<String> {
        let metrics = self.metrics.values().filter(|metric| kind == ObjectKind::Stream && metric.stream == name);
        let reads = |sink: &SinkPlan| match &sink.input {
            SinkInput::Metric(metric) => kind == ObjectKind::Metric && metric == name,
            SinkInput::LateRows(stream) => kind == ObjectKind::Stream && stream == name,
        };
        let sinks = self.sinks.values().filter(|sink| reads(sink));
        metrics.map(|metric| format!("metric \"{}\"", metric.name)).chain(sinks.map(|sink| format!("sink \"{}\"", sink.name))).collect()
    }

    /// Removes an object; nothing may use it.
    pub(crate) fn remove(&mut self, kind: ObjectKind, name: &str) {
        match kind {
            ObjectKind::Stream => self.streams.remove(name).is_some(),
            ObjectKind::Metric => self.metrics.remove(name).is_some(),
            ObjectKind::Sink => self.sinks.remove(name).is_some(),
        };
    }

    /// Says that a name is none of this kind, and what it is or was meant to be instead.
    pub fn no_such(&self, kind: ObjectKind, name: &str) -> String {
        let noun = kind.noun();
        let instead = match (self.kind_of(name), nearest(name, self.names(kind)), &self.names(kind)[..]) {
            (Some(other), ..) if other == kind => "it is just being created or dropped".to_owned(),
            (Some(other), ..) => format!("that is a {}", other.noun()),
            (None, Some(near), _) => format!("did you mean {near}?"),
            (None, None, []) => format!("no {noun} has been created"),
            (None, None, all) => format!("there is {}", all.join(", ")),
        };
        format!("there is no {noun} {name}; {instead}")
    }

    /// The name closest to a misspelt one, of any of these kinds.
    pub(crate) fn nearest_name(&self, name: &str, kinds: &[ObjectKind]) -> Option<&str> {
        nearest(name, kinds.iter().flat_map(|kind| self.names(*kind)))
    }
}
