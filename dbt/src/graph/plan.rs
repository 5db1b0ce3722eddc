//! From selected nodes to the tasks of a run, in order, with their priorities.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::manifest::{Node, ResourceType};
use common::node_config::Materialization;
use common::run::{PlannedTask, Verb};
use common::{Manifest, NodeId};
use petgraph::Direction;

use super::Graph;
use super::build_order::build_order;

/// How a plan is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// `build`: tests of an upstream must pass before what is downstream of it starts.
    pub tests_block: bool,
    /// `source freshness`: sources are what is looked at.
    pub sources_are_tasks: bool,
}

impl PlanOptions {
    pub fn of(verb: Verb) -> Self {
        Self { tests_block: verb == Verb::Build, sources_are_tasks: verb == Verb::Freshness }
    }
}

/// The tasks for `selected`, upstreams first. Sources and ephemeral models are no tasks; an order that goes through a node that
/// is not selected holds all the same. `durations` of earlier runs make the critical path; nodes without one count as typical
/// for their kind.
pub fn plan(
    manifest: &Manifest,
    graph: &Graph,
    selected: &BTreeSet<NodeId>,
    durations: &BTreeMap<NodeId, Duration>,
    options: PlanOptions,
) -> Vec<PlannedTask> {
    let edges = if options.tests_block { graph.with_test_edges(manifest) } else { graph.graph.clone() };
    let order = build_order(&edges);
    // For each node the tasks that anything downstream of it must wait for: itself if it is a task, else those of its upstreams.
    let mut awaited: Vec<Vec<u32>> = vec![Vec::new(); edges.node_count()];
    let mut tasks: Vec<PlannedTask> = Vec::new();
    for index in order {
        let mut upstreams: Vec<u32> = edges
            .neighbors_directed(index, Direction::Incoming)
            .flat_map(|upstream| awaited[upstream.index()].iter().copied())
            .collect();
        upstreams.sort_unstable();
        upstreams.dedup();
        let id = &edges[index];
        let is_source = options.sources_are_tasks && manifest.sources.contains_key(id);
        if selected.contains(id) && (is_source || is_task(manifest, id)) {
            let position = u32::try_from(tasks.len()).expect("a manifest has fewer than 2^32 nodes");
            awaited[index.index()] = vec![position];
            let relation = manifest.nodes.get(id).filter(|node| node.unit_test.is_none()).map(relation_key);
            tasks.push(PlannedTask { relation, ..PlannedTask::new(id.clone(), upstreams) });
        } else {
            awaited[index.index()] = upstreams;
        }
    }
    prioritize(manifest, &mut tasks, durations);
    tasks
}

/// Names what a node writes, whatever project it is in.
fn relation_key(node: &Node) -> String {
    [node.database.as_str(), &node.schema, &node.alias].join(".")
}

fn is_task(manifest: &Manifest, id: &NodeId) -> bool {
    match manifest.nodes.get(id) {
        Some(node) => node.config.materialized != Materialization::Ephemeral,
        None => manifest.exposures.contains_key(id),
    }
}

/// Sets each task's priority to the length of the longest path from its start to the end of the run.
fn prioritize(manifest: &Manifest, tasks: &mut [PlannedTask], durations: &BTreeMap<NodeId, Duration>) {
    let mut after = vec![0_u64; tasks.len()];
    for position in (0..tasks.len()).rev() {
        let task = &tasks[position];
        let own = match durations.get(&task.node) {
            Some(duration) => u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1),
            None => manifest.nodes.get(&task.node).map_or(1, typical_ms),
        };
        let priority = own.saturating_add(after[position]);
        for &upstream in &task.upstreams {
            let longest = &mut after[upstream as usize];
            *longest = priority.max(*longest);
        }
        tasks[position].priority = priority;
    }
}

/// A guess for a node that was never run: only the proportions matter.
fn typical_ms(node: &Node) -> u64 {
    match node.resource_type {
        ResourceType::Test | ResourceType::UnitTest => 50,
        _ => match node.config.materialized {
            Materialization::View => 50,
            Materialization::Seed => 200,
            _ => 1_000,
        },
    }
}
