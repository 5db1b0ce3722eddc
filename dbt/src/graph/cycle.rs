//! Finding a cycle and its path.

use common::NodeId;
use petgraph::Direction;
use petgraph::graph::NodeIndex;

use super::Graph;
use super::build_order::build_order;

impl Graph {
    /// The nodes with upstreams first, or a cycle.
    pub fn build_order(&self) -> Result<Vec<&NodeId>, Vec<NodeId>> {
        let order = build_order(&self.graph);
        if order.len() == self.graph.node_count() {
            return Ok(order.into_iter().map(|index| &self.graph[index]).collect());
        }
        let mut is_ordered = vec![false; self.graph.node_count()];
        for index in order {
            is_ordered[index.index()] = true;
        }
        Err(self.cycle_among(&is_ordered))
    }

    /// A cycle as a path in which each node depends on the one before it and the first on the last; `None` where there is none.
    pub fn cycle(&self) -> Option<Vec<NodeId>> {
        self.build_order().err()
    }

    /// Every node that was not ordered has an upstream that was not: walking upstream must come back to where it was.
    fn cycle_among(&self, is_ordered: &[bool]) -> Vec<NodeId> {
        let mut visited_at = vec![usize::MAX; self.graph.node_count()];
        let mut path: Vec<NodeIndex> = Vec::new();
        let mut next = self.graph.node_indices().find(|index| !is_ordered[index.index()]);
        while let Some(index) = next {
            if visited_at[index.index()] != usize::MAX {
                let mut cycle: Vec<NodeId> =
                    path[visited_at[index.index()]..].iter().map(|&index| self.graph[index].clone()).collect();
                cycle.reverse();
                // Begin with the smallest id, so that the same cycle is always told the same way.
                let first = (0..cycle.len()).min_by(|&left, &right| cycle[left].cmp(&cycle[right])).unwrap_or(0);
                cycle.rotate_left(first);
                return cycle;
            }
            visited_at[index.index()] = path.len();
            path.push(index);
            next = self
                .graph
                .neighbors_directed(index, Direction::Incoming)
                .filter(|upstream| !is_ordered[upstream.index()])
                .min();
        }
        Vec::new()
    }
}
