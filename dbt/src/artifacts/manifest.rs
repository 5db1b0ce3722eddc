//! `manifest.json`, version 12.

use std::collections::BTreeMap;
use std::io::{self, Write};

use common::manifest::Node;
use common::{Json, JsonMap, Manifest, NodeId};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::Metadata;
use super::node::{doc_block, exposure, group, macro_, node, source};
use super::unit_test::unit_test;

/// Entries that are turned into text at once, by all threads; bounds what is held in memory.
const BATCH: usize = 512;

/// The document; writing it builds some entries at a time, so that its size costs no memory.
pub struct Document<'a> {
    manifest: &'a Manifest,
    metadata: &'a Metadata,
}

pub fn manifest<'a>(manifest: &'a Manifest, metadata: &'a Metadata) -> Document<'a> {
    Document { manifest, metadata }
}

impl Document<'_> {
    /// Writes it as JSON.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let manifest = self.manifest;
        let created_at = self.metadata.generated_at.as_micros() as f64 / 1e6;
        out.write_all(b"{\"metadata\":")?;
        serde_json::to_writer(&mut *out, &self.metadata_entry())?;
        let is_unit_test = |(_, node): &(&NodeId, &Node)| node.unit_test.is_some();
        let nodes = manifest.nodes.iter().filter(|entry| !is_unit_test(entry));
        entries(out, "nodes", nodes, |found| grouped(manifest, found, created_at))?;
        entries(out, "sources", &manifest.sources, |found| source(found, created_at))?;
        entries(out, "macros", &manifest.macros, |found| macro_(found, created_at))?;
        entries(out, "docs", &manifest.docs, doc_block)?;
        entries(out, "exposures", &manifest.exposures, |found| exposure(found, created_at))?;
        field(out, "metrics", &json!({}))?;
        entries(out, "groups", &manifest.groups, group)?;
        field(out, "selectors", &manifest.selectors)?;
        field(out, "disabled", &disabled(manifest, created_at))?;
        let (parents, children) = edges(manifest);
        field(out, "parent_map", &parents)?;
        field(out, "child_map", &children)?;
        field(out, "group_map", &group_map(manifest))?;
        field(out, "saved_queries", &json!({}))?;
        field(out, "semantic_models", &json!({}))?;
        let unit_tests = manifest.nodes.iter().filter(is_unit_test);
        entries(out, "unit_tests", unit_tests, |found| unit_test(found, created_at))?;
        field(out, "functions", &json!({}))?;
        out.write_all(b"}")
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
    if found.unit_test.is_some() {
        return unit_test(found, created_at);
    }
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

/// A key of the document, not the first.
fn field(out: &mut impl Write, key: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, ",\"{key}\":")?;
    Ok(serde_json::to_writer(out, value)?)
}

/// Entries by id.
fn entries<'m, T: Sync + 'm, J: Serialize>(
    out: &mut impl Write,
    key: &str,
    found: impl IntoIterator<Item = (&'m NodeId, &'m T)>,
    to_json: impl Fn(&T) -> J + Sync,
) -> io::Result<()> {
    write!(out, ",\"{key}\":{{")?;
    let all: Vec<(&NodeId, &T)> = found.into_iter().collect();
    let render = |entries: &[(&NodeId, &T)]| -> serde_json::Result<Vec<u8>> {
        let mut text = Vec::new();
        for (id, entry) in entries {
            text.push(b',');
            serde_json::to_writer(&mut text, id.as_str())?;
            text.push(b':');
            serde_json::to_writer(&mut text, &to_json(entry))?;
        }
        Ok(text)
    };
    let mut is_first = true;
    for batch in all.chunks(BATCH) {
        let texts: Vec<Vec<u8>> = batch.par_chunks(BATCH / 16).map(render).collect::<serde_json::Result<_>>()?;
        for text in texts {
            // Each entry begins with a comma.
            out.write_all(&text[usize::from(is_first)..])?;
            is_first = false;
        }
    }
    out.write_all(b"}")
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
