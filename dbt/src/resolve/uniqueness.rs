//! Two nodes must not write the same relation, and a versioned model must not share its name with an unversioned one.

use std::collections::HashMap;

use common::Diagnostic;
use common::diagnostic::Code;
use common::manifest::{Manifest, Node};

use super::place::{self, Places};

pub fn check(manifest: &Manifest, places: &Places, diagnostics: &mut Vec<Diagnostic>) {
    let mut relations: HashMap<&str, &Node> = HashMap::new();
    let mut names: HashMap<(&str, &str), &Node> = HashMap::new();
    for node in manifest.nodes.values() {
        let Some(relation) = node.relation_name.as_deref() else { continue };
        if let Some(other) = relations.insert(relation, node) {
            diagnostics.push(ambiguous_alias(other, node, relation).at(place::of_node(manifest, places, node)));
        }
        let key = (node.package_name.as_str(), node.name.as_str());
        if let Some(other) = names.insert(key, node)
            && is_versioned(other) != is_versioned(node)
        {
            diagnostics.push(versioned_and_not(other, node).at(place::of_node(manifest, places, node)));
        }
    }
}

fn is_versioned(node: &Node) -> bool {
    node.model.as_ref().is_some_and(|model| model.version.is_some())
}

fn ambiguous_alias(first: &Node, second: &Node, relation: &str) -> Diagnostic {
    Diagnostic::error(
        Code::AmbiguousAlias,
        format!(
            "dbt found two resources with the database representation \"{relation}\": {} ({}) and {} ({})",
            first.unique_id, first.original_file_path, second.unique_id, second.original_file_path
        ),
    )
    .hint("give one of them another 'alias', 'schema' or 'database'")
}

fn versioned_and_not(first: &Node, second: &Node) -> Diagnostic {
    let (versioned, plain) = if is_versioned(first) { (first, second) } else { (second, first) };
    Diagnostic::error(
        Code::DuplicateName,
        format!(
            "dbt found versioned and unversioned models with the name \"{}\": {} ({}) and {} ({})",
            plain.name, versioned.unique_id, versioned.original_file_path, plain.unique_id, plain.original_file_path
        ),
    )
    .hint("give the unversioned one another name, or declare it as a version")
}
