//! Finds a cycle in the graph of dependencies and tells its path.

use std::collections::BTreeMap;

use common::NodeId;

/// A cycle, its first node repeated at the end, or `None` where the graph has none. Depth is bounded by the heap, not by the
/// stack.
pub fn find<'g>(upstreams: &BTreeMap<&'g NodeId, &'g [NodeId]>) -> Option<Vec<&'g NodeId>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        OnPath,
        Done,
    }
    let mut marks: BTreeMap<&NodeId, Mark> = BTreeMap::new();
    for &start in upstreams.keys() {
        if marks.contains_key(start) {
            continue;
        }
        // Each entry is a node on the path and how many of its upstreams were followed.
        let mut path: Vec<(&NodeId, usize)> = vec![(start, 0)];
        marks.insert(start, Mark::OnPath);
        while let Some((node, followed)) = path.last_mut() {
            let node = *node;
            let Some(next) = upstreams.get(node).and_then(|list| list.get(*followed)) else {
                marks.insert(node, Mark::Done);
                path.pop();
                continue;
            };
            *followed += 1;
            match marks.get(next) {
                Some(Mark::Done) => {}
                Some(Mark::OnPath) => {
                    let from = path.iter().position(|(node, _)| *node == next).unwrap_or(0);
                    let mut cycle: Vec<&NodeId> = path[from..].iter().map(|(node, _)| *node).collect();
                    cycle.push(cycle[0]);
                    return Some(cycle);
                }
                None => {
                    marks.insert(next, Mark::OnPath);
                    path.push((next, 0));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle_of(edges: &[(&str, &[&str])]) -> Option<Vec<String>> {
        let graph: Vec<(NodeId, Vec<NodeId>)> = edges
            .iter()
            .map(|(node, upstreams)| (NodeId::from(*node), upstreams.iter().map(|id| NodeId::from(*id)).collect()))
            .collect();
        let graph = graph.iter().map(|(node, upstreams)| (node, upstreams.as_slice())).collect();
        find(&graph).map(|path| path.into_iter().map(NodeId::to_string).collect())
    }

    #[test]
    fn tells_the_path() {
        let edges: [(&str, &[&str]); 4] = [("a", &["b"]), ("b", &["d", "c"]), ("c", &["b"]), ("d", &[])];
        assert_eq!(cycle_of(&edges), Some(vec!["b".to_owned(), "c".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        let edges: [(&str, &[&str]); 4] = [("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])];
        assert_eq!(cycle_of(&edges), None);
    }

    #[test]
    fn a_node_may_point_at_itself() {
        assert_eq!(cycle_of(&[("a", &["a"])]), Some(vec!["a".to_owned(), "a".to_owned()]));
    }
}
