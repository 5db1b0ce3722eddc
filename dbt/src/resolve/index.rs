//! Finds nodes and sources by the names that `ref` and `source` use.
//!
//! Invariant: the answer does not depend on the order in which files were read: candidates of several packages are told as such.

use std::collections::{BTreeMap, HashMap};

use common::manifest::{Manifest, Node, Ref, ResourceType, Source};
use common::{Json, NodeId};

use crate::parse::python_text::str_of;

/// Everything that can be referenced, enabled and disabled.
#[derive(Default)]
pub struct Index {
    nodes: Names,
    disabled_nodes: Names,
    sources: Names,
    disabled_sources: Names,
}

/// Name, then package.
type Names = HashMap<String, BTreeMap<String, NodeId>>;

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Node(NodeId),
    Disabled(NodeId),
    Nothing,
    /// Nodes of several packages have that name.
    Ambiguous(Vec<NodeId>),
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The package of the node that refers.
    pub package: &'a str,
    /// The root project.
    pub root: &'a str,
    /// dbt's flag `require_ref_searches_node_package_before_root`.
    pub own_package_first: bool,
}

impl Index {
    pub fn new(manifest: &Manifest) -> Self {
        let mut index = Self::default();
        for node in manifest.nodes.values() {
            add_node(&mut index.nodes, node);
        }
        for node in manifest.disabled.values().flatten() {
            add_node(&mut index.disabled_nodes, node);
        }
        for source in manifest.sources.values() {
            add_source(&mut index.sources, source);
        }
        for source in manifest.disabled_sources.values().flatten() {
            add_source(&mut index.disabled_sources, source);
        }
        index
    }

    pub fn find_ref(&self, reference: &Ref, asking: Asking<'_>) -> Found {
        let key = match &reference.version {
            Some(version) => format!("{}.v{version}", reference.name),
            None => reference.name.clone(),
        };
        let mut disabled = None;
        for package in asking.packages(reference.package.as_deref()) {
            match find(&self.nodes, &key, package).as_slice() {
                [] => {}
                [id] => return Found::Node((*id).clone()),
                ids => return Found::Ambiguous(ids.iter().map(|id| (*id).clone()).collect()),
            }
            disabled = disabled.or_else(|| find(&self.disabled_nodes, &key, package).first().map(|id| (*id).clone()));
        }
        disabled.map_or(Found::Nothing, Found::Disabled)
    }

    pub fn find_source(&self, source: &[String; 2], asking: Asking<'_>) -> Found {
        let key = source_key(&source[0], &source[1]);
        let mut disabled = None;
        for package in asking.packages(None) {
            if let Some(id) = find(&self.sources, &key, package).first() {
                return Found::Node((*id).clone());
            }
            disabled = disabled.or_else(|| find(&self.disabled_sources, &key, package).first().map(|id| (*id).clone()));
        }
        disabled.map_or(Found::Nothing, Found::Disabled)
    }

    /// Names that `ref` would find.
    pub fn ref_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// `source.table` names that `source` would find.
    pub fn source_names(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }
}

impl<'a> Asking<'a> {
    /// The packages to search in order; `None` means all.
    fn packages(self, target: Option<&'a str>) -> Vec<Option<&'a str>> {
        match target {
            Some(package) => vec![Some(package)],
            None if self.package == self.root => vec![Some(self.root), None],
            None if self.own_package_first => vec![Some(self.package), Some(self.root), None],
            None => vec![Some(self.root), Some(self.package), None],
        }
    }
}

pub fn source_key(source: &str, table: &str) -> String {
    format!("{source}.{table}")
}

fn find<'n>(names: &'n Names, key: &str, package: Option<&str>) -> Vec<&'n NodeId> {
    let Some(packages) = names.get(key) else { return Vec::new() };
    match package {
        None => packages.values().collect(),
        Some(package) => packages.get(package).into_iter().collect(),
    }
}

fn add_node(names: &mut Names, node: &Node) {
    if !matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot) {
        return;
    }
    let mut add = |name: String| {
        names.entry(name).or_default().insert(node.package_name.clone(), node.unique_id.clone());
    };
    let Some(version) = node.model.as_ref().and_then(|model| model.version.as_ref()) else {
        return add(node.name.clone());
    };
    add(format!("{}.v{}", node.name, str_of(version)));
    if is_latest(node, version) {
        add(node.name.clone());
    }
}

fn is_latest(node: &Node, version: &Json) -> bool {
    node.model.as_ref().and_then(|model| model.latest_version.as_ref()) == Some(version)
}

fn add_source(names: &mut Names, source: &Source) {
    let key = source_key(&source.source_name, &source.name);
    names.entry(key).or_default().insert(source.package_name.clone(), source.unique_id.clone());
}
