//! `manifest.json`, version 12.

use std::collections::BTreeMap;

use common::manifest::Node;
use common::{Json, JsonMap, Manifest, NodeId};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use super::Metadata;
use super::node::{doc_block, exposure, group, macro_, node, source};

/// The document; serialising it builds one entry at a time, so that its size costs no memory.
pub struct Document<'a> {
    manifest: &'a Manifest,
    metadata: &'a Metadata,
}

pub fn manifest<'a>(manifest: &'a Manifest, metadata: &'a Metadata) -> Document<'a> {
    Document { manifest, metadata }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let manifest = self.manifest;
        let created_at = self.metadata.generated_at.as_micros() as f64 / 1e6;
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("metadata", &self.metadata_entry())?;
        out.serialize_entry("nodes", &entries(&manifest.nodes, |found| grouped(manifest, found, created_at)))?;
        out.serialize_entry("sources", &entries(&manifest.sources, |found| source(found, created_at)))?;
        out.serialize_entry("macros", &entries(&manifest.macros, |found| macro_(found, created_at)))?;
        out.serialize_entry("docs", &entries(&manifest.docs, doc_block))?;
        out.serialize_entry("exposures", &entries(&manifest.exposures, |found| exposure(found, created_at)))?;
        out.serialize_entry("metrics", &json!({}))?;
        out.serialize_entry("groups", &entries(&manifest.groups, group))?;
        out.serialize_entry("selectors", &manifest.selectors)?;
        out.serialize_entry("disabled", &disabled(manifest, created_at))?;
        let (parents, children) = edges(manifest);
        out.serialize_entry("parent_map", &parents)?;
        out.serialize_entry("child_map", &children)?;
        out.serialize_entry("group_map", &group_map(manifest))?;
        for absent in ["saved_queries", "semantic_models", "unit_tests", "functions"] {
            out.serialize_entry(absent, &json!({}))?;
        }
        out.end()
    }
}

impl Document<'_> {
    pub(super) fn metadata_entry(&self) -> Json {
        let manifest = self.manifest;
        let mut metadata = self.metadata.to_json("manifest/v12");
        let quoting = manifest.quoting;
        if let Json::Object(metadata) = &mut metadata {
            metadata.insert("project_name".to_owned(), json!(manifest.project_name));
            metadata.insert("project_id".to_owned(), json!(manifest.project_id));
            metadata.insert("user_id".to_owned(), Json::Null);
            metadata.insert("send_anonymous_usage_stats".to_owned(), json!(false));
            metadata.insert("adapter_type".to_owned(), json!(manifest.adapter_type.as_str()));
            let quoting = json!({
                "database": quoting.database, "schema": quoting.schema, "identifier": quoting.identifier, "column": null,
            });
            metadata.insert("quoting".to_owned(), quoting);
            metadata.insert("run_started_at".to_owned(), json!(self.metadata.invocation_started_at.to_iso()));
        }
        metadata
    }
}

/// A node with its group: a test belongs to that of what it tests.
fn grouped(manifest: &Manifest, found: &Node, created_at: f64) -> JsonMap {
    let mut out = node(found, created_at);
    out.insert("group".to_owned(), json!(group_of(manifest, found)));
    out
}

fn group_of<'m>(manifest: &'m Manifest, node: &'m Node) -> Option<&'m str> {
    let attached = node.test.as_ref().and_then(|test| test.attached_node.as_ref());
    match attached.and_then(|id| manifest.nodes.get(id)) {
        Some(attached) => attached.config.group.as_deref(),
        None => node.config.group.as_deref(),
    }
}

/// Entries by id, each turned into JSON when it is written.
struct Entries<'a, T, F>(&'a BTreeMap<NodeId, T>, F);

fn entries<T, J: Serialize, F: Fn(&T) -> J>(found: &BTreeMap<NodeId, T>, to_json: F) -> Entries<'_, T, F> {
    Entries(found, to_json)
}

impl<T, J: Serialize, F: Fn(&T) -> J> Serialize for Entries<'_, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(self.0.len()))?;
        for (id, entry) in self.0 {
            out.serialize_entry(id.as_str(), &(self.1)(entry))?;
        }
        out.end()
    }
}

fn disabled(manifest: &Manifest, created_at: f64) -> JsonMap {
    let mut out = JsonMap::new();
    for (id, nodes) in &manifest.disabled {
        let entries: Vec<Json> = nodes.iter().map(|found| Json::Object(grouped(manifest, found, created_at))).collect();
        out.insert(id.to_string(), entries.into());
    }
    for (id, sources) in &manifest.disabled_sources {
        let entries: Vec<Json> = sources.iter().map(|found| Json::Object(source(found, created_at))).collect();
        out.insert(id.to_string(), entries.into());
    }
    out
}

type Edges<'a> = BTreeMap<&'a NodeId, Vec<&'a NodeId>>;

/// Upstreams and downstreams of everything in the graph, those without any included.
fn edges(manifest: &Manifest) -> (Edges<'_>, Edges<'_>) {
    let ids = manifest.nodes.keys().chain(manifest.sources.keys()).chain(manifest.exposures.keys());
    let (mut parents, mut children) = (Edges::new(), Edges::new());
    for id in ids {
        children.entry(id).or_default();
        let upstreams = manifest.upstreams(id);
        parents.insert(id, upstreams.iter().collect());
        for upstream in upstreams {
            children.entry(upstream).or_default().push(id);
        }
    }
    (parents, children)
}

fn group_map(manifest: &Manifest) -> BTreeMap<&str, Vec<&NodeId>> {
    let mut map: BTreeMap<&str, Vec<&NodeId>> =
        manifest.groups.values().map(|group| (group.name.as_str(), Vec::new())).collect();
    for node in manifest.nodes.values() {
        if let Some(members) = group_of(manifest, node).and_then(|group| map.get_mut(group)) {
            members.push(&node.unique_id);
        }
    }
    map
}
