//! In `build`, a failing test keeps what is downstream of the tested nodes from being built, and a failing unit test its model.
//!
//! Source: dbt's behaviour. A test blocks a node if everything the test depends on is upstream of that node, so no cycle can
//! arise; only the nearest such nodes get an edge, since those below them wait anyway.

use common::manifest::ResourceType;
use common::{Manifest, NodeId};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use super::Graph;

impl Graph {
    /// The dependencies, and the edges from tests to the nodes they block.
    pub(super) fn with_test_edges(&self, manifest: &Manifest) -> DiGraph<NodeId, ()> {
        let is_test: Vec<bool> = self
            .graph
            .node_weights()
            .map(|id| manifest.nodes.get(id).is_some_and(|node| node.resource_type == ResourceType::Test))
            .collect();
        let unit_tests: Vec<NodeIndex> =
            self.graph.node_indices().filter(|index| is_unit_test(manifest, &self.graph[*index])).collect();
        let is_blockable: Vec<bool> = self
            .graph
            .node_weights()
            .zip(&is_test)
            .map(|(id, is_test)| manifest.nodes.contains_key(id) && !is_test && !is_unit_test(manifest, id))
            .collect();
        let mut graph = self.graph.clone();
        for test in self.graph.node_indices().filter(|index| is_test[index.index()]) {
            let tested: Vec<NodeIndex> = self.graph.neighbors_directed(test, Direction::Incoming).collect();
            for blocked in self.blocked_by(&tested, &is_blockable) {
                graph.update_edge(test, blocked, ());
            }
        }
        put_before_models(&mut graph, &unit_tests);
        graph
    }

    /// The nearest nodes that are downstream of all of `tested`.
    fn blocked_by(&self, tested: &[NodeIndex], is_blockable: &[bool]) -> Vec<NodeIndex> {
        let downstreams = |index: NodeIndex| {
            self.graph.neighbors_directed(index, Direction::Outgoing).filter(|next| is_blockable[next.index()])
        };
        match tested {
            [] => Vec::new(),
            [only] => downstreams(*only).collect(),
            _ => {
                let mut times_reached = vec![0_usize; self.graph.node_count()];
                for &start in tested {
                    let mut seen = vec![false; self.graph.node_count()];
                    let mut stack = vec![start];
                    while let Some(index) = stack.pop() {
                        for next in downstreams(index) {
                            if !std::mem::replace(&mut seen[next.index()], true) {
                                times_reached[next.index()] += 1;
                                stack.push(next);
                            }
                        }
                    }
                }
                let is_below_all = |index: NodeIndex| times_reached[index.index()] == tested.len();
                self.graph
                    .node_indices()
                    .filter(|&index| is_below_all(index))
                    .filter(|&index| !self.graph.neighbors_directed(index, Direction::Incoming).any(is_below_all))
                    .collect()
            }
        }
    }
}

fn is_unit_test(manifest: &Manifest, id: &NodeId) -> bool {
    manifest.nodes.get(id).is_some_and(|node| node.unit_test.is_some())
}

/// A unit test waits for what its model waits for, and the model for the test.
fn put_before_models(graph: &mut DiGraph<NodeId, ()>, unit_tests: &[NodeIndex]) {
    let models: Vec<Option<NodeIndex>> =
        unit_tests.iter().map(|test| graph.neighbors_directed(*test, Direction::Incoming).next()).collect();
    let before: Vec<Vec<NodeIndex>> = models
        .iter()
        .map(|model| model.iter().flat_map(|model| graph.neighbors_directed(*model, Direction::Incoming)).collect())
        .collect();
    for ((test, model), before) in unit_tests.iter().zip(models).zip(before) {
        let Some(model) = model else { continue };
        if let Some(edge) = graph.find_edge(model, *test) {
            graph.remove_edge(edge);
        }
        for upstream in before {
            graph.update_edge(upstream, *test, ());
        }
        graph.update_edge(*test, model, ());
    }
}
