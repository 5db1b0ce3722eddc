//! How the console names a node.

use std::collections::BTreeMap;

use common::manifest::{Exposure, Node, ResourceType, Source};
use common::microbatch::{Microbatch, STRATEGY};
use common::node_config::Materialization;
use common::target::Target;
use common::{Manifest, NodeId};
use serde_json::json;

use crate::console::{NodeKind, NodeLine, counted};

/// The line of a node; `index` is 0 until the node starts.
pub fn node_line(node: &Node, target: &Target, total: usize) -> NodeLine {
    let relation = display_relation(node, target);
    let (kind, description, skip_description) = match node.resource_type {
        ResourceType::Model => (
            NodeKind::Model,
            format!("sql {} model {relation}", built_as(node)),
            format!("relation {}.{}", node.schema, node.alias),
        ),
        ResourceType::Seed => {
            (NodeKind::Seed, format!("seed file {relation}"), format!("relation {}.{}", node.schema, node.alias))
        }
        ResourceType::Snapshot => {
            (NodeKind::Snapshot, format!("snapshot {relation}"), format!("relation {}.{}", node.schema, node.alias))
        }
        ResourceType::Test => (NodeKind::Test, format!("test {}", node.name), format!("test {}", node.name)),
        ResourceType::UnitTest => {
            let model = node.unit_test.as_ref().map_or("", |test| test.model.as_str());
            (NodeKind::Test, format!("unit_test {model}::{}", node.alias), format!("unit_test {}", node.name))
        }
        other => (NodeKind::Model, format!("{other} {}", node.name), format!("{other} {}", node.name)),
    };
    let info = json!({
        "materialized": node.config.materialized.as_str(),
        "meta": node.config.meta,
        "node_checksum": node.checksum.checksum,
        "node_name": node.name,
        "node_path": node.path,
        "node_relation": {
            "alias": node.alias,
            "database": node.database,
            "relation_name": node.relation_name.clone().unwrap_or_default(),
            "schema": node.schema,
        },
        "resource_type": node.resource_type.as_str(),
        "unique_id": node.unique_id.as_str(),
    });
    NodeLine { description, skip_description, index: 0, total, kind, info }
}

/// Models that are built in batches are named for it.
fn built_as(node: &Node) -> &str {
    match Microbatch::of(&node.config) {
        Some(_) => STRATEGY,
        None => node.config.materialized.as_str(),
    }
}

/// The line of an exposure, which is never run.
pub fn exposure_line(exposure: &Exposure, total: usize) -> NodeLine {
    let description = format!("exposure {}", exposure.name);
    NodeLine {
        skip_description: description.clone(),
        description,
        index: 0,
        total,
        kind: NodeKind::Exposure,
        info: json!({
            "node_name": exposure.name,
            "node_path": exposure.path,
            "resource_type": "exposure",
            "unique_id": exposure.unique_id.as_str(),
        }),
    }
}

/// The line of a source that is looked at.
pub fn source_line(source: &Source, total: usize) -> NodeLine {
    let description = format!("freshness of {}.{}", source.source_name, source.name);
    NodeLine {
        skip_description: description.clone(),
        description,
        index: 0,
        total,
        kind: NodeKind::Source,
        info: json!({
            "node_name": source.name,
            "node_path": source.path,
            "node_relation": {
                "alias": source.identifier,
                "database": source.database,
                "relation_name": source.relation_name,
                "schema": source.schema,
            },
            "resource_type": "source",
            "unique_id": source.unique_id.as_str(),
        }),
    }
}

/// `schema.alias`, with the database where it is not the target's.
fn display_relation(node: &Node, target: &Target) -> String {
    if node.database.is_empty() || node.database == target.database {
        format!("{}.{}", node.schema, node.alias)
    } else {
        format!("{}.{}.{}", node.database, node.schema, node.alias)
    }
}

/// `1 incremental model, 2 seeds, 49 data tests`: what ran, as `Finished running` tells it.
pub fn counts<'a>(manifest: &Manifest, ids: impl Iterator<Item = &'a NodeId>, hooks: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for id in ids {
        let kind = match manifest.nodes.get(id) {
            Some(node) if node.resource_type == ResourceType::Model => {
                let materialized = match &node.config.materialized {
                    Materialization::MaterializedView => "materialized view",
                    other => other.as_str(),
                };
                format!("{materialized} model")
            }
            Some(node) => node.resource_type.as_str().replace('_', " "),
            None => id.resource_type().to_owned(),
        };
        *counts.entry(kind).or_default() += 1;
    }
    if hooks > 0 {
        counts.insert("project hook".to_owned(), hooks);
    }
    let spelled: Vec<String> = counts
        .into_iter()
        .map(|(kind, count)| if kind == "test" { tests(count) } else { counted(count, &kind) })
        .collect();
    spelled.join(", ")
}

/// One is a test, more are data tests.
fn tests(count: usize) -> String {
    if count == 1 { counted(1, "test") } else { counted(count, "data test") }
}

/// `5 models, 1 seed, 5 data tests, 511 macros`: what the project has, as `Found` tells it: in the order in which dbt parses, that
/// is, singular tests before seeds and generic ones behind them.
pub fn found(manifest: &Manifest) -> String {
    let of_type = |resource_type| manifest.nodes.values().filter(|node| node.resource_type == resource_type).count();
    let is_singular = |node: &Node| node.test.as_ref().is_some_and(|test| test.metadata.is_none());
    let tests_first = manifest.nodes.values().any(is_singular);
    let all_tests = of_type(ResourceType::Test);
    let (before, behind) = if tests_first { (all_tests, 0) } else { (0, all_tests) };
    [
        (of_type(ResourceType::Model), "model"),
        (of_type(ResourceType::Snapshot), "snapshot"),
        (of_type(ResourceType::Analysis), "analysis"),
        (before, "test"),
        (of_type(ResourceType::Seed), "seed"),
        (of_type(ResourceType::Operation), "operation"),
        (behind, "test"),
        (manifest.sources.len(), "source"),
        (manifest.exposures.len(), "exposure"),
        (manifest.macros.len(), "macro"),
        (manifest.groups.len(), "group"),
        (of_type(ResourceType::UnitTest), "unit test"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| if word == "test" { tests(count) } else { counted(count, word) })
    .collect::<Vec<_>>()
    .join(", ")
}
