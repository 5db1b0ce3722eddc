//! From names to nodes: `ref`, `source`, access rules, names that clash, cycles.
//!
//! Invariant: resolving never stops at the first finding, and every edge it makes points at a node that exists.

pub mod cycle;
pub mod index;
pub mod place;
pub mod suggest;

mod access;
mod edges;
mod primary_key;
mod uniqueness;
mod unit_tests;

use std::collections::{BTreeMap, BTreeSet};

use common::diagnostic::Code;
use common::manifest::Manifest;
use common::{Diagnostic, NodeId};

use place::Places;

/// What resolving needs to know besides the nodes.
pub struct Scope<'a> {
    /// Packages that let others reference only their public models.
    pub restricted_packages: &'a BTreeSet<String>,
    /// dbt's flag `require_ref_searches_node_package_before_root`.
    pub own_package_first: bool,
    pub places: &'a Places,
}

/// Fills in every `depends_on.nodes` and checks what spans several nodes. Tests whose node is missing move to the disabled ones.
pub fn resolve(manifest: &mut Manifest, scope: &Scope<'_>, diagnostics: &mut Vec<Diagnostic>) {
    uniqueness::check(manifest, scope.places, diagnostics);
    edges::connect(manifest, scope, diagnostics);
    unit_tests::connect(manifest, scope, diagnostics);
    access::check_groups(manifest, scope.places, diagnostics);
    primary_key::infer(manifest);
    check_cycle(manifest, scope.places, diagnostics);
}

fn check_cycle(manifest: &Manifest, places: &Places, diagnostics: &mut Vec<Diagnostic>) {
    let graph: BTreeMap<&NodeId, &[NodeId]> =
        manifest.nodes.iter().map(|(id, node)| (id, node.depends_on.nodes.as_slice())).collect();
    let Some(path) = cycle::find(&graph) else { return };
    let text: Vec<&str> = path.iter().map(|id| id.as_str()).collect();
    let mut diagnostic = Diagnostic::error(Code::Cycle, format!("Found a cycle: {}", text.join(" --> ")));
    if let Some(node) = manifest.nodes.get(path[0]) {
        let next = path.get(1).and_then(|next| manifest.nodes.get(*next));
        let written = next.and_then(|next| node.refs.iter().find(|reference| reference.name == next.name));
        diagnostic = diagnostic.at(match written {
            Some(reference) => place::of_ref(manifest, places, node, reference),
            None => place::of_node(manifest, places, node),
        });
    }
    diagnostics.push(diagnostic.hint("remove one of these references"));
}
