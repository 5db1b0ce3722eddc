//! Who may reference which model: `access`, `group` and `restrict-access`.
//!
//! Source of the rules: dbt's documentation of model access.

use std::collections::BTreeSet;

use common::diagnostic::Code;
use common::manifest::{Exposure, Manifest, ModelInfo, Node, ResourceType};
use common::node_config::Materialization;
use common::{Diagnostic, NodeId};

use super::Scope;
use super::place::{self, Places};

/// The finding where `node` may not reference `target`.
pub fn denied(manifest: &Manifest, scope: &Scope<'_>, node: &Node, target: &NodeId) -> Option<Diagnostic> {
    if node.resource_type == ResourceType::SqlOperation {
        return None;
    }
    let target = manifest.nodes.get(target)?;
    let model = target.model.as_ref()?;
    let is_foreign =
        node.package_name != target.package_name && scope.restricted_packages.contains(&target.package_name);
    let group = group_of(manifest, node);
    match model.access.as_str() {
        "private" if is_foreign || group.is_none() || group != model.group.as_deref() => {
            Some(private(&node.unique_id, target, model))
        }
        "protected" if is_foreign => {
            Some(refusal(&node.unique_id, target, "protected", &target.package_name, "package"))
        }
        _ => None,
    }
}

/// Exposures belong to no group, so a private model is closed to them.
pub fn denied_to_exposure(manifest: &Manifest, exposure: &Exposure, target: &NodeId) -> Option<Diagnostic> {
    let target = manifest.nodes.get(target)?;
    let model = target.model.as_ref().filter(|model| model.access == "private")?;
    Some(private(&exposure.unique_id, target, model))
}

/// Groups must exist; a public model must have a relation.
pub fn check_groups(manifest: &Manifest, places: &Places, diagnostics: &mut Vec<Diagnostic>) {
    let groups: BTreeSet<&str> = manifest.groups.values().map(|group| group.name.as_str()).collect();
    let known: Vec<&&str> = groups.iter().collect();
    for node in manifest.nodes.values() {
        if let Some(group) = own_group(node).filter(|group| !groups.contains(group)) {
            let message = format!("Invalid group '{group}' of {}, expected one of {known:?}", node.unique_id);
            diagnostics.push(
                Diagnostic::error(Code::InvalidConfig, message)
                    .at(place::of_node(manifest, places, node))
                    .hint("declare the group under 'groups:' in a properties file"),
            );
        }
        let is_public = node.model.as_ref().is_some_and(|model| model.access == "public");
        if is_public && node.config.materialized == Materialization::Ephemeral {
            let message = format!(
                "Node {} with 'ephemeral' materialization has an invalid value (public) for the access field",
                node.unique_id
            );
            diagnostics
                .push(Diagnostic::error(Code::InvalidConfig, message).at(place::of_node(manifest, places, node)));
        }
    }
}

fn own_group(node: &Node) -> Option<&str> {
    node.config.group.as_deref().or_else(|| node.model.as_ref()?.group.as_deref())
}

/// A test has the group of what it tests.
fn group_of<'m>(manifest: &'m Manifest, node: &'m Node) -> Option<&'m str> {
    let attached = node.test.as_ref().and_then(|test| test.attached_node.as_ref());
    match attached.and_then(|id| manifest.nodes.get(id)) {
        Some(attached) => own_group(attached),
        None => own_group(node),
    }
}

fn private(from: &NodeId, target: &Node, model: &ModelInfo) -> Diagnostic {
    refusal(from, target, "private", model.group.as_deref().unwrap_or_default(), "group")
}

fn refusal(from: &NodeId, target: &Node, access: &str, scope: &str, kind: &str) -> Diagnostic {
    Diagnostic::error(
        Code::AccessDenied,
        format!(
            "Node {from} attempted to reference node {}, which is not allowed because the referenced node is {access} \
             to the '{scope}' {kind}.",
            target.unique_id
        ),
    )
}
