//! Where in a file a `ref` or `source` stands, for diagnostics. Looked up only when there is something to report.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::NodeId;
use common::diagnostic::Location;
use common::manifest::{Manifest, Node, Ref};

use crate::jinja::Template;
use crate::jinja::ast::{CallArgs, ExprKind};
use crate::jinja::error::Span;
use crate::parse::{calls, extract};

/// Places of what has no SQL file of its own: generic tests, exposures, sources, hooks.
pub type Places = BTreeMap<NodeId, Location>;

/// Where `node` refers to `reference`, or where the node is declared.
pub fn of_ref(manifest: &Manifest, places: &Places, node: &Node, reference: &Ref) -> Location {
    of_call(manifest, places, node, "ref", |args| extract::reference(args).as_ref() == Some(reference))
}

/// Where `node` names `source`, or where the node is declared.
pub fn of_source(manifest: &Manifest, places: &Places, node: &Node, source: &[String; 2]) -> Location {
    of_call(manifest, places, node, "source", |args| extract::source(args).as_ref() == Some(source))
}

/// Where the node is declared.
pub fn of_node(manifest: &Manifest, places: &Places, node: &Node) -> Location {
    places.get(&node.unique_id).cloned().unwrap_or_else(|| Location::file(file_of(manifest, node)))
}

/// The node's file, relative to the root project.
pub fn file_of(manifest: &Manifest, node: &Node) -> String {
    match manifest.packages.get(&node.package_name).map(|package| package.root.as_str()) {
        None | Some("") => node.original_file_path.clone(),
        Some(root) => format!("{root}/{}", node.original_file_path),
    }
}

fn of_call(
    manifest: &Manifest,
    places: &Places,
    node: &Node,
    function: &str,
    is_it: impl Fn(&CallArgs) -> bool,
) -> Location {
    let declared = of_node(manifest, places, node);
    if places.contains_key(&node.unique_id) {
        return declared;
    }
    let Some(span) = span_of_call(&node.raw_code, function, is_it) else { return declared };
    let mut location = Location::in_text(declared.file, &node.raw_code, span.line, span.column);
    location.line += node.raw_code_line.saturating_sub(1);
    location
}

fn span_of_call(code: &str, function: &str, is_it: impl Fn(&CallArgs) -> bool) -> Option<Span> {
    let template = Template::parse(Arc::from(""), Arc::from(code)).ok()?;
    let mut found = None;
    calls::visit(&template.body, &mut |span, call| {
        let named = matches!(&call.callee.kind, ExprKind::Name(name) if &*name.name == function);
        if found.is_none() && named && is_it(&call.args) {
            found = Some(span);
        }
    });
    found
}
