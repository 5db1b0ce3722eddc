//! What cannot be run is refused by name before anything runs: a run that stops half way for it would help nobody.

use common::diagnostic::{Code, Location};
use common::manifest::Node;
use common::{Diagnostic, Manifest, NodeId};

/// A finding for each selected node that Kontiki cannot run yet.
pub fn unsupported<'a>(manifest: &Manifest, selected: impl Iterator<Item = &'a NodeId>) -> Vec<Diagnostic> {
    selected.filter_map(|id| manifest.nodes.get(id)).filter_map(refuse).collect()
}

fn refuse(node: &Node) -> Option<Diagnostic> {
    if node.config.incremental_strategy.as_deref() != Some("microbatch") {
        return None;
    }
    let kind = node.resource_type;
    let message = format!("{kind} '{}': the incremental strategy 'microbatch' is not supported yet", node.name);
    let location = Location::file(node.original_file_path.as_str());
    let hint = format!("leave it out: --exclude {}", node.name);
    Some(Diagnostic::error(Code::Unsupported, message).at(location).hint(hint))
}

#[cfg(test)]
mod tests {
    use common::manifest::ResourceType;

    use super::*;

    #[test]
    fn microbatch_is_named() {
        let mut node = Node::new("model.p.n".into(), "n", ResourceType::Model);
        assert_eq!(refuse(&node), None);
        node.config.incremental_strategy = Some("microbatch".to_owned());
        let message = refuse(&node).map(|finding| finding.message);
        assert_eq!(message.as_deref(), Some("model 'n': the incremental strategy 'microbatch' is not supported yet"));
    }
}
