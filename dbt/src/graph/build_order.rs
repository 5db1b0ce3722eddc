//! A topological order that is the same on every machine: among nodes that are free, the smallest id first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

/// The nodes of `graph` with upstreams first. Nodes on a cycle, and those below one, are left out. Indexes follow ids.
pub fn build_order<N>(graph: &DiGraph<N, ()>) -> Vec<NodeIndex> {
    let mut waiting: Vec<usize> =
        graph.node_indices().map(|index| graph.neighbors_directed(index, Direction::Incoming).count()).collect();
    let mut free: BinaryHeap<Reverse<NodeIndex>> =
        graph.node_indices().filter(|index| waiting[index.index()] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(Reverse(index)) = free.pop() {
        order.push(index);
        for downstream in graph.neighbors_directed(index, Direction::Outgoing) {
            waiting[downstream.index()] -= 1;
            if waiting[downstream.index()] == 0 {
                free.push(Reverse(downstream));
            }
        }
    }
    order
}
