//! What `on-run-end` sees of the run: `results`, and the schemas of the relations that were built.

use std::collections::BTreeSet;

use common::manifest::ResourceType;
use common::node_config::Materialization;
use common::task::NodeStatus;
use common::{Json, JsonMap, Manifest};
use serde_json::json;

use crate::artifacts::{self, NodeOutcome};

/// `results`, `schemas` and `database_schemas`.
pub fn names_at_end<'a>(manifest: &Manifest, outcomes: impl IntoIterator<Item = NodeOutcome<'a>>) -> JsonMap {
    let mut results = Vec::new();
    let mut schemas = BTreeSet::new();
    for outcome in outcomes {
        let mut entry = artifacts::run_result(&outcome);
        if let Some(exposure) = manifest.exposures.get(outcome.node) {
            entry["node"] = Json::Object(artifacts::exposure(exposure, 0.0));
            results.push(entry);
            continue;
        }
        let Some(node) = manifest.nodes.get(outcome.node) else { continue };
        if node.resource_type == ResourceType::Operation {
            continue;
        }
        entry["node"] = Json::Object(artifacts::node(node, 0.0));
        results.push(entry);
        let is_relation = node.relation_name.is_some() && node.config.materialized != Materialization::Ephemeral;
        if is_relation && matches!(outcome.result.status, NodeStatus::Success | NodeStatus::Pass | NodeStatus::Warn) {
            schemas.insert((node.database.as_str(), node.schema.as_str()));
        }
    }
    let names: BTreeSet<&str> = schemas.iter().map(|(_, schema)| *schema).collect();
    [("results", json!(results)), ("schemas", json!(names)), ("database_schemas", json!(schemas))]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}
