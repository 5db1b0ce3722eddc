//! What `ref` and `source` name, found by dbt's search order: the node's package, the root project, then anything.

use std::collections::HashMap;

use common::manifest::{Node, ResourceType, Source};
use common::{Json, Manifest, NodeId};

/// Names of a manifest. Built once.
#[derive(Default)]
pub struct Lookup {
    nodes: HashMap<String, Vec<NodeId>>,
    sources: HashMap<[String; 2], Vec<NodeId>>,
}

impl Lookup {
    pub fn new(manifest: &Manifest) -> Self {
        let mut lookup = Self::default();
        for (id, node) in &manifest.nodes {
            if !matches!(node.resource_type, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot) {
                continue;
            }
            let version =
                node.model.as_ref().and_then(|model| Some((model.version.as_ref()?, model.latest_version.as_ref())));
            if let Some((version, latest)) = version {
                lookup.nodes.entry(versioned(&node.name, &text(version))).or_default().push(id.clone());
                if latest != Some(version) {
                    continue;
                }
            }
            lookup.nodes.entry(node.name.clone()).or_default().push(id.clone());
        }
        for (id, source) in &manifest.sources {
            lookup.sources.entry([source.source_name.clone(), source.name.clone()]).or_default().push(id.clone());
        }
        lookup
    }

    pub fn node<'m>(
        &self,
        manifest: &'m Manifest,
        name: &str,
        package: Option<&str>,
        version: Option<&str>,
        order: [&str; 2],
    ) -> Option<&'m Node> {
        let found = match version {
            Some(version) => self.nodes.get(&versioned(name, version))?,
            None => self.nodes.get(name)?,
        };
        let candidates = || found.iter().filter_map(|id| manifest.nodes.get(id));
        match package {
            Some(package) => candidates().find(|node| node.package_name == package),
            None => order
                .iter()
                .find_map(|package| candidates().find(|node| node.package_name == *package))
                .or_else(|| candidates().next()),
        }
    }

    pub fn source<'m>(
        &self,
        manifest: &'m Manifest,
        source: &str,
        table: &str,
        order: [&str; 2],
    ) -> Option<&'m Source> {
        let found = self.sources.get(&[source.to_owned(), table.to_owned()])?;
        let candidates = || found.iter().filter_map(|id| manifest.sources.get(id));
        let preferred = order.iter().find_map(|package| candidates().find(|source| source.package_name == *package));
        preferred.or_else(|| candidates().next())
    }
}

fn versioned(name: &str, version: &str) -> String {
    format!("{name}.v{version}")
}

fn text(version: &Json) -> String {
    match version {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
