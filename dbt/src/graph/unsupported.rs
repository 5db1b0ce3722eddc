//! What cannot be run is refused by name before anything runs: a run that stops half way for it would help nobody.

use common::diagnostic::{Code, Location};
use common::manifest::{Node, ResourceType};
use common::{Diagnostic, Manifest, NodeId};

/// A finding for each selected node that Kontiki cannot run yet.
pub fn unsupported<'a>(manifest: &Manifest, selected: impl Iterator<Item = &'a NodeId>) -> Vec<Diagnostic> {
    selected.filter_map(|id| manifest.nodes.get(id)).filter_map(refuse).collect()
}

fn refuse(node: &Node) -> Option<Diagnostic> {
    let (feature, hint) = if node.resource_type == ResourceType::Snapshot {
        ("snapshots are", "leave them out: --exclude resource_type:snapshot".to_owned())
    } else if node.config.incremental_strategy.as_deref() == Some("microbatch") {
        ("the incremental strategy 'microbatch' is", format!("leave it out: --exclude {}", node.name))
    } else {
        return None;
    };
    let message = format!("{} '{}': {feature} not supported yet", node.resource_type, node.name);
    let location = Location::file(node.original_file_path.as_str());
    Some(Diagnostic::error(Code::Unsupported, message).at(location).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, resource_type: ResourceType) -> Node {
        Node { original_file_path: "f.sql".to_owned(), ..Node::new(id.into(), "n", resource_type) }
    }

    #[test]
    fn snapshots_and_microbatch_are_named() {
        let snapshot = node("snapshot.p.n", ResourceType::Snapshot);
        let mut microbatch = node("model.p.n", ResourceType::Model);
        assert_eq!(refuse(&microbatch), None);
        microbatch.config.incremental_strategy = Some("microbatch".to_owned());
        let findings = [refuse(&snapshot), refuse(&microbatch)].map(|finding| finding.map(|found| found.message));
        assert_eq!(
            findings,
            [
                Some("snapshot 'n': snapshots are not supported yet".to_owned()),
                Some("model 'n': the incremental strategy 'microbatch' is not supported yet".to_owned()),
            ]
        );
    }
}
