//! The DAG of a manifest: who depends on whom, in which order nodes can be built, and the plan of a run.
//!
//! An edge leads from an upstream node to a downstream one. Members are the manifest's enabled nodes, sources and exposures.
//! Invariants: iteration follows ids, so every result is the same on every machine; nothing here recurses, so deep graphs cannot
//! exhaust the stack.

mod build_order;
mod cycle;
mod plan;
mod test_edges;

use std::collections::{BTreeSet, HashMap};

use common::{Manifest, NodeId};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

pub use plan::{PlanOptions, plan};

/// The DAG, with the dependencies as edges.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    graph: DiGraph<NodeId, ()>,
    index: HashMap<NodeId, NodeIndex>,
}

impl Graph {
    /// Ids in `depends_on` that are not members (disabled nodes, say) are left out.
    pub fn new(manifest: &Manifest) -> Self {
        let sources = manifest.sources.iter().filter(|(_, source)| source.enabled).map(|(id, _)| id);
        let exposures = manifest.exposures.iter().filter(|(_, exposure)| exposure.enabled).map(|(id, _)| id);
        let members: BTreeSet<&NodeId> = manifest.nodes.keys().chain(sources).chain(exposures).collect();
        let mut graph = Self::default();
        for id in &members {
            let index = graph.graph.add_node((*id).clone());
            graph.index.insert((*id).clone(), index);
        }
        for id in &members {
            for upstream in manifest.upstreams(id) {
                if let (Some(from), Some(to)) = (graph.index_of(upstream), graph.index_of(id)) {
                    graph.graph.update_edge(from, to, ());
                }
            }
        }
        graph
    }

    pub fn contains(&self, id: &NodeId) -> bool {
        self.index.contains_key(id)
    }

    /// All members, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.graph.node_weights()
    }

    /// What `id` depends on directly.
    pub fn upstreams(&self, id: &NodeId) -> impl Iterator<Item = &NodeId> {
        self.neighbors(id, Direction::Incoming)
    }

    /// What depends on `id` directly.
    pub fn downstreams(&self, id: &NodeId) -> impl Iterator<Item = &NodeId> {
        self.neighbors(id, Direction::Outgoing)
    }

    /// The ancestors of `selected` within `depth` steps; a selected node is one only if it is an ancestor of another.
    pub fn ancestors(&self, selected: &BTreeSet<NodeId>, depth: Option<usize>) -> BTreeSet<NodeId> {
        self.reach(selected, depth, Direction::Incoming)
    }

    /// The descendants of `selected` within `depth` steps; a selected node is one only if it is a descendant of another.
    pub fn descendants(&self, selected: &BTreeSet<NodeId>, depth: Option<usize>) -> BTreeSet<NodeId> {
        self.reach(selected, depth, Direction::Outgoing)
    }

    fn index_of(&self, id: &NodeId) -> Option<NodeIndex> {
        self.index.get(id).copied()
    }

    fn neighbors(&self, id: &NodeId, direction: Direction) -> impl Iterator<Item = &NodeId> {
        let indexes =
            self.index_of(id).into_iter().flat_map(move |index| self.graph.neighbors_directed(index, direction));
        indexes.map(|index| &self.graph[index])
    }

    fn reach(&self, selected: &BTreeSet<NodeId>, depth: Option<usize>, direction: Direction) -> BTreeSet<NodeId> {
        let mut reached = vec![false; self.graph.node_count()];
        let mut layer: Vec<NodeIndex> = selected.iter().filter_map(|id| self.index_of(id)).collect();
        let mut steps = 0;
        while !layer.is_empty() && depth.is_none_or(|depth| steps < depth) {
            let mut next = Vec::new();
            for index in layer {
                for neighbor in self.graph.neighbors_directed(index, direction) {
                    if !std::mem::replace(&mut reached[neighbor.index()], true) {
                        next.push(neighbor);
                    }
                }
            }
            layer = next;
            steps += 1;
        }
        self.graph
            .node_indices()
            .filter(|index| reached[index.index()])
            .map(|index| self.graph[index].clone())
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
