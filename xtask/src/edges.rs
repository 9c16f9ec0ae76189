//! Proves that forbidden dependencies are absent, on the graph that cargo has resolved.
//!
//! Two tables say what is allowed. [`OWN`]: which crates of ours a crate may name, which makes dependencies run downwards only;
//! development dependencies may add the testkit. [`FOREIGN`]: what a crate must not reach, also through others, in what is
//! built for use. A crate of ours that stands in no row is an error, so a new one has to be placed.

use crate::report::Outcome;
use crate::shell::Program;
use crate::workspace::{Workspace, metadata};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Crates of ours (without `raympp-`) and those of ours that they may name.
const OWN: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("operators", &["types"]),
    ("state", &["types", "operators"]),
    ("coordinator", &["types"]),
    ("engine", &["types", "operators", "state", "coordinator"]),
    ("server", &["types", "operators", "state", "coordinator", "engine"]),
    ("loadgen", &["types", "operators", "engine"]),
    ("testkit", &["types", "operators", "state", "coordinator", "engine"]),
    ("benches", &["types", "operators", "state", "coordinator", "engine", "loadgen", "testkit"]),
    ("tests", &["types", "operators", "state", "coordinator", "engine", "testkit"]),
    ("xtask", &[]),
];

/// Crates of ours and what they must not reach; a name may end in `*`.
const FOREIGN: &[(&str, &[&str])] = &[
    ("types", &["arrow*", "parquet", "sqlparser", "tokio", "crossbeam*", "parking_lot", "tracing*"]),
    ("coordinator", &["arrow*", "parquet", "sqlparser", "tokio", "crossbeam*", "parking_lot", "tracing*"]),
    ("operators", &["parquet", "tokio", "crossbeam*", "parking_lot", "arc-swap", "papaya", "tracing*"]),
    ("state", &["parquet", "tokio", "crossbeam*", "parking_lot", "tracing*"]),
    ("engine", &["clap", "ratatui", "indicatif", "datafusion*"]),
    ("xtask", &["arrow*", "tokio"]),
];

/// Direct dependencies by name, of what is built for use and of what is built for tests.
#[derive(Debug, Default)]
struct Node {
    used: BTreeSet<String>,
    tested: BTreeSet<String>,
}

/// Packages by name. Versions of one package are one node, which can only make more reachable.
type Graph = BTreeMap<String, Node>;

/// Fails if there is a forbidden edge.
pub(crate) fn run(workspace: &Workspace) -> Outcome<()> {
    // For this platform only: other platforms' dependencies need not even be downloaded.
    let host = Program::new("rustc").arguments(&["--print", "host-tuple"]).output()?;
    let metadata = metadata(&workspace.root, &["--filter-platform", host.trim()])?;
    let (graph, own) = read(&metadata).ok_or("cargo metadata has another form than this program knows")?;
    let faults = faults(&graph, &own);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// The graph, and the names of the workspace's own packages.
fn read(metadata: &Value) -> Option<(Graph, Vec<String>)> {
    let mut names = BTreeMap::new();
    for package in metadata["packages"].as_array()? {
        names.insert(package["id"].as_str()?, package["name"].as_str()?.to_owned());
    }
    let mut graph = Graph::new();
    for node in metadata["resolve"]["nodes"].as_array()? {
        let entry = graph.entry(names.get(node["id"].as_str()?)?.clone()).or_default();
        for dependency in node["deps"].as_array()? {
            let name = names.get(dependency["pkg"].as_str()?)?;
            for kind in dependency["dep_kinds"].as_array()? {
                let set = if kind["kind"] == "dev" { &mut entry.tested } else { &mut entry.used };
                set.insert(name.clone());
            }
        }
    }
    let members = metadata["workspace_members"].as_array()?.iter();
    let own = members.map(|id| names.get(id.as_str()?).cloned()).collect::<Option<Vec<_>>>()?;
    Some((graph, own))
}

fn faults(graph: &Graph, own: &[String]) -> Vec<String> {
    let mut faults = vec![];
    for package in own {
        let Some(node) = graph.get(package) else { continue };
        let Some((_, allowed)) = OWN.iter().find(|(name, _)| *name == short(package)) else {
            faults.push(format!("{package} stands in no row of the table of edges"));
            continue;
        };
        let names = |set: &BTreeSet<String>| set.iter().filter(|name| own.contains(name)).cloned().collect::<Vec<_>>();
        let forbidden = |name: &str, tested: bool| !(allowed.contains(&short(name)) || tested && short(name) == "testkit");
        faults.extend(
            names(&node.used).iter().filter(|name| forbidden(name, false)).map(|name| format!("{package} must not depend on {name}")),
        );
        let tested = names(&node.tested);
        faults
            .extend(tested.iter().filter(|name| forbidden(name, true)).map(|name| format!("{package}'s tests must not depend on {name}")));
    }
    for (crate_name, patterns) in FOREIGN {
        for package in own.iter().filter(|package| short(package) == *crate_name) {
            faults.extend(reached_against(graph, package, patterns));
        }
    }
    faults
}

/// One fault per forbidden package that can be reached, with the way to it.
fn reached_against(graph: &Graph, start: &str, patterns: &[&str]) -> Vec<String> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = vec![start];
    let mut faults = vec![];
    while let Some(package) = queue.pop() {
        if patterns.iter().any(|pattern| matches(pattern, package)) {
            let mut way = vec![package];
            while let Some(before) = way.last().and_then(|last| came_from.get(last)) {
                way.push(before);
            }
            way.reverse();
            faults.push(format!("{start} must not reach {package}: {}", way.join(" → ")));
        }
        for next in graph.get(package).into_iter().flat_map(|node| &node.used) {
            if next != start && !came_from.contains_key(next.as_str()) {
                came_from.insert(next, package);
                queue.push(next);
            }
        }
    }
    faults
}

fn short(package: &str) -> &str {
    package.strip_prefix("raympp-").unwrap_or(package)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str, bool)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to, tested) in edges {
            graph.entry((*to).to_owned()).or_default();
            let node = graph.entry((*from).to_owned()).or_default();
            let set = if *tested { &mut node.tested } else { &mut node.used };
            set.insert((*to).to_owned());
        }
        graph
    }

    fn faults_of(edges: &[(&str, &str, bool)]) -> Vec<String> {
        let graph = graph(edges);
        let own = graph.keys().filter(|name| name.starts_with("raympp-")).cloned().collect::<Vec<_>>();
        faults(&graph, &own)
    }

    #[test]
    fn downwards_is_allowed() {
        assert!(faults_of(&[("raympp-state", "raympp-operators", false), ("raympp-operators", "arrow", false)]).is_empty());
        assert!(faults_of(&[("raympp-state", "raympp-testkit", true), ("raympp-testkit", "raympp-engine", false)]).is_empty());
    }

    #[test]
    fn upwards_is_a_fault_also_in_tests() {
        assert_eq!(faults_of(&[("raympp-types", "raympp-state", false)]), ["raympp-types must not depend on raympp-state"]);
        assert_eq!(faults_of(&[("raympp-types", "raympp-state", true)]), ["raympp-types's tests must not depend on raympp-state"]);
        assert_eq!(faults_of(&[("raympp-engine", "raympp-testkit", false)]), ["raympp-engine must not depend on raympp-testkit"]);
    }

    #[test]
    fn what_is_forbidden_is_found_through_others_but_not_in_tests() {
        let edges = [("raympp-types", "a", false), ("a", "b", false), ("b", "arrow-schema", false), ("raympp-types", "tokio", true)];
        assert_eq!(faults_of(&edges), ["raympp-types must not reach arrow-schema: raympp-types → a → b → arrow-schema"]);
    }

    #[test]
    fn a_crate_without_a_row_is_a_fault() {
        assert_eq!(faults_of(&[("raympp-new", "a", false)]), ["raympp-new stands in no row of the table of edges"]);
    }
}
