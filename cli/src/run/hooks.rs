//! `on-run-start` and `on-run-end`: SQL of the project around a run, in the order in which it is written.

use std::collections::BTreeSet;
use std::time::Instant;

use common::manifest::{Node, ResourceType};
use common::node_config::Materialization;
use common::table::Response;
use common::task::{NodeResult, NodeStatus};
use common::{Json, JsonMap, Manifest, Timestamp};
use dbt::artifacts::{self, NodeOutcome};
use serde_json::json;
use worker::Run;
use worker::adapter::Adapter;

use super::outcome::Outcomes;
use crate::console::{Console, Event, NodeKind, NodeLine};

/// Which end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Start,
    End,
}

impl When {
    fn tag(self) -> &'static str {
        match self {
            Self::Start => "on-run-start",
            Self::End => "on-run-end",
        }
    }
}

/// The project's hooks of that end: packages' before the root project's, each in its own order.
pub fn hooks(manifest: &Manifest, when: When) -> Vec<&Node> {
    let mut hooks: Vec<&Node> = manifest
        .nodes
        .values()
        .filter(|node| node.resource_type == ResourceType::Operation && node.tags.iter().any(|tag| tag == when.tag()))
        .collect();
    hooks.sort_by_key(|node| (node.package_name == manifest.project_name, node.package_name.clone(), node.hook_index));
    hooks
}

/// Runs them one after the other; the first that fails ends it. Tells whether all succeeded.
pub fn run(
    when: When,
    manifest: &Manifest,
    run: &Run,
    adapter: &Adapter,
    console: &Console,
    outcomes: &mut Outcomes,
) -> bool {
    let hooks = hooks(manifest, when);
    if hooks.is_empty() {
        return true;
    }
    let total = hooks.len();
    let names = if when == When::End { names_at_end(manifest, outcomes) } else { JsonMap::new() };
    let mut all_succeeded = true;
    for (index, node) in hooks.into_iter().enumerate() {
        let statement = format!("{}.{}.{}", node.package_name, when.tag(), node.hook_index.unwrap_or_default());
        let line = NodeLine {
            description: format!("hook: {statement}"),
            skip_description: format!("hook: {statement}"),
            index: index + 1,
            total,
            kind: NodeKind::Hook,
            info: json!({ "resource_type": "operation", "unique_id": node.unique_id.as_str(), "node_name": node.name }),
        };
        if !all_succeeded {
            console.emit(&Event::Skipped(line));
            outcomes.push(node.unique_id.clone(), result(NodeStatus::Skipped, None, Response::default(), now(), now()));
            continue;
        }
        console.emit(&Event::Started(line.clone()));
        let began = Instant::now();
        let started_at = now();
        let mut code = None;
        let (status, message, ran) = match worker::execute::operation(run, &node.unique_id, adapter, &names) {
            Ok(ran) => (NodeStatus::Success, format!("{statement} passed"), Some(ran)),
            Err(failure) => {
                code = Some(failure.code);
                (NodeStatus::Error, failure.describe(node), None)
            }
        };
        all_succeeded = ran.is_some();
        console.emit(&Event::Finished {
            node: line,
            status,
            message: message.clone(),
            failures: None,
            seconds: began.elapsed().as_secs_f64(),
        });
        let (compiled_code, response) = ran.unzip();
        let response = response.flatten().unwrap_or_default();
        let mut result = result(status, Some(message), response, started_at, now());
        // As dbt counts them.
        result.failures = Some(i64::from(!all_succeeded));
        result.compiled_code = compiled_code;
        match code {
            Some(code) => outcomes.push_failed(node.unique_id.clone(), result, code),
            None => outcomes.push(node.unique_id.clone(), result),
        }
    }
    console.emit(&Event::Blank);
    all_succeeded
}

/// What `on-run-end` sees of the run: `results`, and the schemas of the relations that were built.
fn names_at_end(manifest: &Manifest, outcomes: &Outcomes) -> JsonMap {
    let mut results = Vec::new();
    let mut schemas = BTreeSet::new();
    for outcome in &outcomes.all {
        let mut entry = artifacts::run_result(&NodeOutcome { node: &outcome.node, result: &outcome.result });
        if let Some(exposure) = manifest.exposures.get(&outcome.node) {
            entry["node"] = Json::Object(artifacts::exposure(exposure, 0.0));
            results.push(entry);
            continue;
        }
        let Some(node) = manifest.nodes.get(&outcome.node) else { continue };
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

fn result(
    status: NodeStatus,
    message: Option<String>,
    response: Response,
    started_at: Timestamp,
    completed_at: Timestamp,
) -> NodeResult {
    NodeResult {
        status,
        thread: "main".to_owned(),
        compile_started_at: started_at,
        compile_completed_at: started_at,
        execute_started_at: started_at,
        execute_completed_at: completed_at,
        message,
        failures: None,
        response,
        relation_name: None,
        compiled_code: None,
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}
